"""Signs that training has taught nothing, or two tasks the same thing: a run's figures in, findings out. No label is used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from itrp.clustering.agreement import align_clusters
from itrp.clustering.mapping import apply_mapping
from itrp.config import ExperimentConfig

FEWEST_BATCHES = 2
"""Every round draws a new head. Fewer pairs than so many batches are one step or two: it stays about as it was drawn."""
SMALLEST_SHARE = 0.01
"""A cluster of a smaller share of its round is outliers (one account's images, a broken decoder), not a class."""
SMALLEST_CLUSTER = 5
"""A cluster of fewer pairs is one too: 1 % of the smallest subset a named experiment has (500), as 1 % of 60 is no pair."""
SAME_SHARE = 0.95
"""Two partitions that agree on more are one. The two tasks of ITR, by people's labels, agree on about half of the pairs."""
FEWEST_COMPARED = 20
"""Of fewer pairs a share above 95 % says nothing."""
TRIVIAL_CHANCE = 0.9
"""Where so many pairs would agree by chance, it is because each model puts nearly all into one group: that is said too."""

Code = Literal["few-pairs", "small-cluster", "same-answers", "weak-alignment"]
GROUPS = 2


@dataclass(frozen=True)
class Finding:
    """Something a person should know before a model is used."""

    code: Code
    sentence: str
    """What was found, with its numbers and what is expected."""
    remedy: str
    """What would help."""
    round: int | None = None
    """The first round it was found in; None for what no round has done."""

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.sentence}; {self.remedy}"


class RoundSizes(Protocol):
    """What is looked at of a round (`itrp.training.trainer.RoundResult` has it)."""

    @property
    def round(self) -> int: ...
    @property
    def rounds(self) -> int: ...
    @property
    def cluster_sizes(self) -> Sequence[int]: ...
    @property
    def sampled_sizes(self) -> Sequence[int]: ...


def taught_by(config: ExperimentConfig) -> int | None:
    """Pairs of a step in which clusters are trained on; None for vanilla clustering, which has no steps."""
    return config.batch_size if config.algorithm == "itrp" else None


def find_weak_rounds(rounds: Iterable[RoundSizes], *, batch_size: int | None) -> list[Finding]:
    """Findings about the rounds of a run, one of a kind at most, that names the first round it is true of.

    Every round counts, not the last alone: the encoder goes on from what each has taught it, and evaluation may choose any.
    batch_size: as `taught_by` says.
    """
    rounds = list(rounds)
    few = [each for each in rounds if batch_size and sum(each.sampled_sizes) < FEWEST_BATCHES * batch_size]
    small = [each for each in rounds if min(each.cluster_sizes) < _smallest_cluster(sum(each.cluster_sizes))]
    findings = []
    if few:
        findings.append(_explain_few_pairs(few, batch_size or 0))
    if small:
        findings.append(_explain_small_cluster(small))
    return findings


def find_small_epochs(pairs: int, *, batch_size: int) -> list[Finding]:
    """The same of supervised training, which sees `pairs` pairs in each epoch."""
    if pairs >= FEWEST_BATCHES * batch_size:
        return []
    sentence = f"every epoch trained on {pairs} pairs, expected at least {FEWEST_BATCHES} batches of {batch_size}"
    return [Finding("few-pairs", sentence, "train on more labelled pairs, or with a smaller batch_size")]


def find_same_predictions(
    text: NDArray[np.integer], image: NDArray[np.integer], *, names: tuple[str, str], data: str
) -> Finding | None:
    """Do the text and the image model part the pairs in the same two groups? None where they do not.

    text, image: [n] groups 0 or 1 of the same pairs; they are aligned, since the groups of a new model have no names.
    names: of the two versions. data: where the pairs are from. Raises DataError for other numbers or lengths.
    """
    text, image = np.asarray(text), np.asarray(image)
    if len(text) < FEWEST_COMPARED or len(text) != len(image):
        return None
    renamed = apply_mapping(image, align_clusters(text, image, GROUPS))
    same = int((renamed == text).sum())
    if same / len(text) <= SAME_SHARE:
        return None
    shares = [float(np.bincount(each, minlength=GROUPS).max() / len(each)) for each in (text, renamed)]
    first, second = float(text.mean()), float(renamed.mean())
    chance = first * second + (1 - first) * (1 - second)
    sentence = (
        f"{names[0]} and {names[1]} put {same} of {len(text)} pairs of {data} ({same / len(text):.1%}, by chance "
        f"{chance:.0%}) into the same two groups, expected at most {SAME_SHARE:.0%}: "
    )
    if chance > TRIVIAL_CHANCE:
        sentence += (
            f"each has nearly all pairs in one group ({shares[0]:.0%} and {shares[1]:.0%}), so neither separates pairs"
        )
    else:
        sentence += "both have learned one task, not two"
    return Finding(
        "same-answers",
        sentence,
        "train with a smaller head_optimizer.learning_rate (a fast head leaves its encoder nothing to learn), or more pairs",
    )


def find_same_labels(counts: Mapping[str, int], *, names: tuple[str, str]) -> Finding | None:
    """The same of tweets that were labelled by two models. counts: by relation, such as 01 (text label, image label)."""
    text = np.repeat([int(code[0]) for code in counts], list(counts.values()))
    image = np.repeat([int(code[1]) for code in counts], list(counts.values()))
    return find_same_predictions(text, image, names=names, data="the tweets just labelled")


def _smallest_cluster(pairs: int) -> float:
    return max(SMALLEST_SHARE * pairs, SMALLEST_CLUSTER)


def _explain_few_pairs(rounds: Sequence[RoundSizes], batch_size: int) -> Finding:
    first = rounds[0]
    sentence = (
        f"{_name(rounds)} trained on {sum(first.sampled_sizes)} pairs, {list(first.sampled_sizes)} of its clusters, expected "
        f"at least {FEWEST_BATCHES} batches of {batch_size}"
    )
    remedy = "train on more pairs, with a larger subset_size or a smaller batch_size"
    return Finding("few-pairs", sentence, remedy, first.round)


def _explain_small_cluster(rounds: Sequence[RoundSizes]) -> Finding:
    first = rounds[0]
    pairs, smallest = sum(first.cluster_sizes), min(first.cluster_sizes)
    sentence = (
        f"{_name(rounds)} has clusters of {list(first.cluster_sizes)} pairs, the smallest {smallest / pairs:.1%}, expected at "
        f"least {SMALLEST_SHARE:.0%} and {SMALLEST_CLUSTER} pairs"
    )
    remedy = (
        "check the tweets (copies, one account?), train on more pairs, or cluster otherwise (clustering.method=gmm)"
    )
    return Finding("small-cluster", sentence, remedy, first.round)


def _name(rounds: Sequence[RoundSizes]) -> str:
    first = rounds[0]
    others = f" (and {len(rounds) - 1} more)" if len(rounds) > 1 else ""
    return f"round {first.round} of {first.rounds}{others}"
