"""How many labels does the mapping from clusters to classes need, and does similarity do without any?

    python -m tests.benchmarks.mapping_labels --out docs/figures

Trains small-text and small-image on synthetic tweets (600 unlabelled; cached in --work), then names their clusters again and
again with m of 300 labelled dev pairs drawn at random, and by text-picture similarity, and counts how often the mapping is
that of all 300 labels and what weighted F1 the other 300 labelled pairs (test) give. Writes mapping_labels.csv and .png.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from itrp.baselines.untrained import vanilla_rounds
from itrp.clustering.mapping import apply_mapping
from itrp.evaluation.class_mapping import ExampleNaming, SimilarityNaming
from itrp.evaluation.protocols import Choice, Protocol, RoundPredictions, choose_round, weighted_f1
from itrp.labels import RELATIONS, UNLABELLED, Task
from tests.benchmarks.mapping_figure import plot_labels
from tests.benchmarks.stand_in_similarity import similarity_of, weaken
from tests.benchmarks.trained_clusters import (
    LABELLED_SEED,
    PAIRS,
    UNLABELLED_SEED,
    LabelledTweets,
    draw_labelled,
    frozen_vectors,
    train_clusters,
)

EXAMPLES = (5, 10, 20, 50)
DEV = PAIRS // 2
"""The first half of the labelled tweets may be labelled; the second half tests."""
Chooser = Callable[[Task, Sequence[RoundPredictions], NDArray[np.int64], int], Choice]
"""(task, rounds, dev labels, number of the draw) -> choice."""


@dataclass(frozen=True)
class Part:
    """One model: its task, its clusters by round, and the labels of both halves."""

    task: Task
    rounds: tuple[RoundPredictions, ...]
    dev_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]

    @property
    def last(self) -> RoundPredictions:
        """The last checkpoint's clusters."""
        return self.rounds[-1]


@dataclass(frozen=True)
class Figures:
    """What one system does with one way of naming, over its draws."""

    system: str
    seed: int
    naming: str
    """What chose: labels (protocol dev-<m>), labels on the last checkpoint, or similarity on the last checkpoint (joint)."""
    labels: int
    agrees: float
    """Share of the draws whose mapping is that of all dev labels on the same checkpoint."""
    f1: float
    f1_sd: float
    f1_low: float
    """5th percentile."""
    f1_high: float
    """95th percentile."""


def main() -> None:
    """Train what is not cached, draw, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "itrp-mapping-labels", metavar="DIR")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=300)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    args.out.mkdir(parents=True, exist_ok=True)
    labelled = draw_labelled(args.work, LABELLED_SEED)
    cosines = similarity_of(args.work, labelled)
    tell_similarity(cosines, labelled)
    weak = weaken(cosines[:DEV], labelled.labels(Task.IMAGE_TEXT)[:DEV], args.draws)
    rows: list[Figures] = []
    for seed in range(args.seeds):
        for system, parts in build_systems(args.work, labelled, seed).items():
            rows += measure(system, seed, parts, cosines[:DEV], weak, args.draws)
            tell_gaps(system, seed, parts, cosines[:DEV])
    table = pd.DataFrame(map(asdict, rows))
    table.to_csv(args.out / "mapping_labels.csv", index=False, float_format="%.4f")
    plot_labels(table).savefig(args.out / "mapping_labels.png", dpi=80)
    print_table(table)


def tell_similarity(cosines: NDArray[np.float32], labelled: LabelledTweets) -> None:
    """Print how strong the stand-in's similarity is; CLIP's correlation on ITR's test set is 0.38 (Sun et al. 2023)."""
    relations = labelled.labels(Task.IMAGE_TEXT)
    means = [float(cosines[relations == relation].mean()) for relation in range(len(RELATIONS))]
    told = ", ".join(f"{code} {mean:.3f}" for code, mean in zip(RELATIONS, means, strict=True))
    strength = spearmanr(cosines, relations).statistic
    print(f"stand-in similarity: Spearman correlation {strength:.2f} with the relation; mean cosine {told}")


def tell_gaps(system: str, seed: int, parts: list[Part], cosines: NDArray[np.float32]) -> None:
    """Print how clearly similarity names each model's clusters, and whether all dev labels say the same."""
    for part in parts if len(parts) == 1 else ():
        choice = SimilarityNaming(cosines).choose(part.task, part.rounds, np.full(DEV, UNLABELLED))
        told = "as" if _agree(parts, (_plain(choice),)) else "not as"
        print(f"{system}, seed {seed}: gap {choice.gap:.2f}, z {choice.z:.1f}; mapping {told} by all dev labels")


def build_systems(work: Path, labelled: LabelledTweets, seed: int) -> dict[str, list[Part]]:
    """The trained models alone and together, and vanilla k-means with four clusters."""
    text, image = (
        _halve(task, train_clusters(work, task, seed), labelled.labels(task)) for task in (Task.TEXT, Task.IMAGE)
    )
    unlabelled = draw_labelled(work, UNLABELLED_SEED)
    features, own = (np.concatenate(frozen_vectors(work, each.shards), axis=1) for each in (unlabelled, labelled))
    relations = labelled.labels(Task.IMAGE_TEXT)
    (four,) = vanilla_rounds(features, own[:DEV], own[DEV:], "kmeans", 4, seed, n_init=10)
    return {
        "small-text": [text],
        "small-image": [image],
        "both, image-text": [text, image],
        "vanilla k-means, k = 4": [Part(Task.IMAGE_TEXT, (four,), relations[:DEV], relations[DEV:])],
    }


def _halve(task: Task, clusters: NDArray[np.int64], labels: NDArray[np.int64]) -> Part:
    rounds = tuple(RoundPredictions(number, row[:DEV], row[DEV:]) for number, row in enumerate(clusters, start=1))
    return Part(task, rounds, labels[:DEV], labels[DEV:])


def measure(
    system: str, seed: int, parts: list[Part], cosines: NDArray[np.floating], weak: NDArray[np.floating], draws: int
) -> Iterator[Figures]:
    """Figures of every way of naming: m labels, m labels on the last checkpoint, similarity on the last checkpoint."""
    for examples in (*EXAMPLES, DEV):
        times = 1 if examples == DEV else draws
        yield _repeat(system, seed, "labels", examples, parts, _by_examples(examples), times)
        yield _repeat(system, seed, "labels, last checkpoint", examples, parts, _on_last(examples), times)
    yield _repeat(system, seed, "similarity", 0, parts, _by_similarity(cosines[None]), 1)
    yield _repeat(system, seed, "weak similarity", 0, parts, _by_similarity(weak), draws)


def _by_examples(examples: int) -> Chooser:
    """Mapping and checkpoint on m labels: the protocol dev-<m>, with all of them dev."""
    return lambda task, rounds, labels, draw: ExampleNaming(examples, draw).choose(task, rounds, labels)


def _on_last(examples: int) -> Chooser:
    """Only the mapping on m labels, of the last checkpoint."""
    return lambda task, rounds, labels, draw: ExampleNaming(examples, draw).choose(task, rounds[-1:], labels)


def _by_similarity(cosines: NDArray[np.floating]) -> Chooser:
    """The mapping of the last checkpoint by row `draw` of [draws, n_dev] cosines."""
    return lambda task, rounds, labels, draw: SimilarityNaming(cosines[draw]).choose(task, rounds, labels)


def _repeat(
    system: str, seed: int, naming: str, labels: int, parts: list[Part], choose: Chooser, draws: int
) -> Figures:
    agrees, scores = [], []
    known: dict[tuple[Choice, ...], tuple[bool, float]] = {}
    for draw in range(draws):
        choices = tuple(_plain(choose(part.task, part.rounds, part.dev_labels, draw)) for part in parts)
        if choices not in known:
            known[choices] = _agree(parts, choices), _score(parts, choices)
        agree, score = known[choices]
        agrees.append(agree)
        scores.append(score)
    low, high = np.percentile(scores, (5, 95))
    return Figures(
        system, seed, naming, labels, float(np.mean(agrees)), float(np.mean(scores)), float(np.std(scores)),
        float(low), float(high),
    )  # fmt: skip


def _plain(choice: Choice) -> Choice:
    """Without gap and z, so that equal choices are equal."""
    return Choice(choice.round, choice.mapping)


def _agree(parts: list[Part], choices: tuple[Choice, ...]) -> bool:
    """Whether all dev labels would give the chosen checkpoints the same mappings."""
    return all(
        choose_round(Protocol.LAST, [_round(part, choice)], part.dev_labels, len(choice.mapping)).mapping
        == choice.mapping
        for part, choice in zip(parts, choices, strict=True)
    )


def _score(parts: list[Part], choices: tuple[Choice, ...]) -> float:
    """Weighted F1 on the test half; of two models on the relation 2*T + I."""
    answers = [
        apply_mapping(_round(part, choice).test, choice.mapping) for part, choice in zip(parts, choices, strict=True)
    ]
    truths = [part.test_labels for part in parts]
    if len(parts) == 2:
        return weighted_f1(2 * truths[0] + truths[1], 2 * answers[0] + answers[1])
    return weighted_f1(truths[0], answers[0])


def _round(part: Part, choice: Choice) -> RoundPredictions:
    return next(each for each in part.rounds if each.round == choice.round)


def print_table(table: pd.DataFrame) -> None:
    """Means over the training seeds, per cent."""
    grouped = table.groupby(["system", "naming", "labels"], sort=False)[["agrees", "f1", "f1_sd", "f1_low", "f1_high"]]
    print((100 * grouped.mean()).round(1).to_string())


if __name__ == "__main__":
    main()
