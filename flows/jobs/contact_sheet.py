"""A page with tweets of each cluster of a version, for the person who names them. No Prefect in here."""

import shlex
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flows.jobs.data_names import name_file
from flows.jobs.datasets import KnownData, find_data
from flows.jobs.reviewed import refresh_if_reviewed
from flows.jobs.seed_agreement import open_predictions
from flows.platform import Platform
from infra.catalog.tables import Shard
from itrp.analysis.cases import read_shown_tweets
from itrp.analysis.contact_sheet import ClusterSample, render_contact_sheet, sample_clusters
from itrp.data.inputs import ShardFile, find_set_aside, read_contents
from itrp.errors import WrongUseError
from itrp.files import write_atomically
from itrp.labels import CLASS_NAMES, PERSON_WORDS, Task
from serving.assessment import own_round
from serving.files import local_shards
from serving.registry import CHALLENGER, DATASET_TAG, MODEL_NAMES, SUPERVISED_TAG, ModelVersion, connect_mlflow

FOLDER = "naming"
"""Of the pages, in the work folder and among the artifacts of the training run."""
PAIRS = 2_000
"""So many pairs are looked at; whole shards of a larger data set, drawn by the seed, until there are."""


@dataclass(frozen=True)
class SheetReport:
    """A page that shows the clusters."""

    model: str
    task: str
    """What the clusters are about."""
    data: str
    pairs: int
    """Those looked at."""
    sizes: list[int]
    """Pairs by cluster."""
    file: str
    run_id: str
    """The MLflow run that has the page among its artifacts."""
    answers: list[str]
    """Commands that give names."""

    def __str__(self) -> str:
        """For people."""
        sizes = ", ".join(f"cluster {cluster}: {size}" for cluster, size in enumerate(self.sizes))
        return "\n".join(
            [
                f"{self.model} on {self.data}, {self.pairs} pairs: {sizes}",
                f"page: {self.file} (also under {FOLDER}/ of the MLflow run {self.run_id})",
                "next: look at it, then",
                *(f"  {answer}" for answer in self.answers),
            ]
        )


@dataclass(frozen=True, eq=False)
class LookedAt:
    """Pairs of a data set, and what the version says of them."""

    files: list[ShardFile]
    probabilities: NDArray[np.float32]
    """[n, k]."""
    usable: NDArray[np.bool_]
    """[n], whether the image can be decoded."""


def show_clusters(
    platform: Platform, reference: str, *, data: str | None = None, pairs: int = PAIRS, seed: int = 0
) -> SheetReport:
    """Write a page with tweets of each cluster of a version, and log it on the version's run.

    reference: as `Registry.resolve` takes it, or a task's name for its challenger. data: by default what the version was trained
    on. Raises WrongUseError for a supervised version, NotFoundError.
    """
    version = find_unsupervised(platform, reference)
    known = find_shown_data(platform, version, data)
    seen = look_at(platform, version, known, pairs, seed)
    images = [image for file in seen.files for image in read_contents(file)[1]]
    samples = sample_clusters(seen.probabilities, seen.usable, images, seed=seed)
    answers = _suggest_answers(version, data)
    page = _render(version, known, seen, samples, answers, seed)
    path = (
        platform.settings.work_dir / FOLDER / f"{version.name}-{version.version}-{name_file(known.dataset.name)}.html"
    )
    with write_atomically(path) as draft:
        draft.write_text(page, encoding="utf-8")
    connect_mlflow(platform.settings.mlflow_uri).log_artifact(version.run_id, str(path), FOLDER)
    sizes = [sample.size for sample in samples]
    return SheetReport(
        str(version), str(version.model_task), known.dataset.name, sum(sizes), sizes, str(path), version.run_id, answers
    )


def find_unsupervised(platform: Platform, reference: str) -> ModelVersion:
    """The version, `text` and `image` being that task's challenger. Raises WrongUseError where its classes have names anyway."""
    if reference in (Task.TEXT, Task.IMAGE):
        reference = f"{MODEL_NAMES[Task(reference)]}@{CHALLENGER}"
    version = platform.registry.resolve(reference)
    if version.named:
        taught = "by human labels" if SUPERVISED_TAG in version.tags else "by true against shuffled pairs"
        raise WrongUseError(
            f"expected a model of clusters, found {version}, which was taught {taught}: its outputs are the classes already, "
            "so there is nothing to name"
        )
    return version


def find_shown_data(platform: Platform, version: ModelVersion, data: str | None) -> KnownData:
    """The named data set, by default the one the version was trained on. Raises NotFoundError."""
    refresh_if_reviewed(platform, data)
    return find_data(platform.catalog, data or version.tags.get(DATASET_TAG, ""))


def look_at(platform: Platform, version: ModelVersion, known: KnownData, pairs: int, seed: int) -> LookedAt:
    """At least so many pairs of a data set, or all there are, in whole shards that the seed draws."""
    cache = platform.settings.cache_dir
    files = local_shards(platform.store, _draw_shards(known, pairs, seed), cache)
    probabilities = open_predictions(platform).probabilities(version, files)
    usable = np.ones(len(probabilities), dtype=np.bool_)
    start = 0
    for file in files:
        usable[[start + each.row for each in find_set_aside(file, cache / "embeddings")]] = False
        start += file.pairs
    return LookedAt(files, probabilities, usable)


def _draw_shards(known: KnownData, pairs: int, seed: int) -> list[Shard]:
    """Whole shards until there are so many pairs; all of a small data set, in the order they lie in."""
    drawn: list[int] = []
    for place in np.random.default_rng(seed).permutation(len(known.shards)):
        if drawn and sum(known.shards[each].pairs for each in drawn) >= pairs:
            break
        drawn.append(int(place))
    return [known.shards[place] for place in sorted(drawn)]


def _render(
    version: ModelVersion,
    known: KnownData,
    seen: LookedAt,
    samples: list[ClusterSample],
    answers: list[str],
    seed: int,
) -> str:
    shown = [row for sample in samples for row in (*sample.typical, *sample.random)]
    unread = int((~seen.usable).sum())
    return render_contact_sheet(
        samples,
        read_shown_tweets(seen.files, shown),
        seen.probabilities,
        task=version.model_task,
        model=str(version),
        answers=answers,
        names=[CLASS_NAMES[version.task][index] for index in version.mapping] if version.mapping else [],
        heading={
            "data set": f"{known.dataset.name}, {len(seen.usable)} of {known.pairs} pairs looked at",
            **({"images not decoded": str(unread)} if unread else {}),
            "seed": str(seed),
            "round": str(own_round(version)),
            "MLflow run": version.run_id,
        },
    )


def _suggest_answers(version: ModelVersion, data: str | None) -> list[str]:
    """Commands to be typed once somebody has looked."""
    words = PERSON_WORDS[version.model_task]
    command, rest = f"itrp name {version}", f" --data {shlex.quote(data)}" if data else ""
    if len(words) == 2:
        return [f"{command} --cluster 0={word}{rest}" for word in reversed(words)]
    return [command + "".join(f" --cluster {cluster}={word}" for cluster, word in enumerate(words)) + rest]
