"""What the clusters of a model are about, as a page with images: a person looks at it and gives them their names."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from itrp.analysis.cases import Tweet, make_thumbnail, render_page
from itrp.labels import CLASS_NAMES, PERSON_WORDS, RELATIONS, Task

TEMPLATE = "contact_sheet.html.jinja"
TYPICAL, RANDOM = 6, 6
"""Tweets shown of each cluster: those the model is most certain of, and others drawn at random."""
THUMBNAIL = 320
"""Longest side of an inlined image, in pixels."""
QUESTIONS: dict[Task, str] = {
    Task.TEXT: "Does the image show what the text says?",
    Task.IMAGE: "Does the image add to the meaning of the tweet?",
    Task.IMAGE_TEXT: "Does the image show what the text says, and does it add to the meaning?",
}
MEANINGS: dict[Task, tuple[str, ...]] = {
    Task.TEXT: (
        "the text speaks of something else than the image shows",
        "what the text says can be seen in the image",
    ),
    Task.IMAGE: (
        "without the image the tweet would say the same",
        "the image tells something that the text does not",
    ),
    Task.IMAGE_TEXT: tuple(RELATIONS[code] for code in CLASS_NAMES[Task.IMAGE_TEXT]),
}
"""When a cluster deserves each name, by class index."""


@dataclass(frozen=True)
class ClusterSample:
    """A few rows of one cluster."""

    cluster: int
    size: int
    """Pairs whose most probable cluster it is."""
    typical: tuple[int, ...]
    """The most certain ones first."""
    random: tuple[int, ...]


def sample_clusters(
    probabilities: NDArray[np.floating], usable: NDArray[np.bool_], images: Sequence[str], *, seed: int
) -> list[ClusterSample]:
    """Rows to look at of each of k clusters: TYPICAL ones nearest to certainty, and RANDOM others.

    probabilities: [n, k]. usable: [n], whether a pair may be shown and counted. images: [n] hashes; of pairs with one image a
    cluster shows one. The seed decides between equally certain ones too.
    """
    probabilities = np.asarray(probabilities)
    order = np.random.default_rng(seed).permutation(len(probabilities))
    order = order[np.asarray(usable)[order]]
    clusters = probabilities.argmax(axis=1)
    samples = []
    for cluster in range(probabilities.shape[1]):
        drawn = order[clusters[order] == cluster]
        certain = drawn[np.argsort(-probabilities[drawn, cluster], kind="stable")]
        shown: set[str] = set()
        typical = _take_distinct(certain, images, shown, TYPICAL)
        samples.append(
            ClusterSample(cluster, len(drawn), typical, _take_distinct(drawn, images, shown, RANDOM)),
        )
    return samples


def render_contact_sheet(
    samples: Sequence[ClusterSample],
    tweets: Mapping[int, Tweet],
    probabilities: NDArray[np.floating],
    *,
    task: Task,
    model: str,
    answers: Sequence[str],
    names: Sequence[str],
    heading: Mapping[str, str],
) -> str:
    """One self-contained HTML page: images are inlined as small JPEGs, and no address is ever asked.

    tweets: by row, those of the samples at least. task: what the clusters are about. answers: commands that give names.
    names: what each cluster is called so far; empty for clusters without names. heading: name -> value, under the title.
    """
    looked_at = sum(sample.size for sample in samples)
    clusters = [
        {
            "number": sample.cluster,
            "size": sample.size,
            "share": 100 * sample.size / max(looked_at, 1),
            "name": names[sample.cluster] if names else "",
            "groups": [
                (title, [_show(tweets[row], probabilities[row, sample.cluster]) for row in rows])
                for title, rows in (
                    ("Typical: the model is most certain of these", sample.typical),
                    ("Drawn at random from the others", sample.random),
                )
            ],
        }
        for sample in samples
    ]
    return render_page(
        TEMPLATE,
        question=QUESTIONS[task],
        choices=[*zip(PERSON_WORDS[task], MEANINGS[task], strict=True)],
        clusters=clusters,
        looked_at=looked_at,
        model=model,
        answers=answers,
        heading=heading,
    )


def _take_distinct(rows: NDArray[np.integer], images: Sequence[str], shown: set[str], number: int) -> tuple[int, ...]:
    """The first rows whose image is not shown yet; they are, then."""
    taken: list[int] = []
    for row in map(int, rows):
        if len(taken) == number:
            break
        if images[row] not in shown:
            shown.add(images[row])
            taken.append(row)
    return tuple(taken)


def _show(tweet: Tweet, probability: float) -> dict[str, object]:
    """A tweet as the template reads it."""
    return {
        "id": tweet.id,
        "text": tweet.text,
        "image": b64encode(make_thumbnail(tweet.image, THUMBNAIL)).decode("ascii"),
        "sure": 100 * float(probability),
    }
