"""What somebody does next with a labelled data set: each step with its reason and what to type."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from flows.jobs.review_files.scored_tweets import ScoredData
from itrp.evaluation.sampled_figures import FEW_LABELS
from serving.review.measured import HowGood


@dataclass(frozen=True)
class Situation:
    """What is there and what is not."""

    data: str
    scored: ScoredData
    good: HowGood | None
    quarantined: int
    undecided: int
    """Answers on which people differ and that nobody has decided."""

    @property
    def random_labels(self) -> int:
        """Tweets with a random label of either task that the models have labelled too."""
        if self.good is None:
            return 0
        return max((each.figures.n for each in (self.good.text, self.good.image) if each is not None), default=0)


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    reason: str
    command: str

    @property
    def told(self) -> str:
        """In one line."""
        return f"{self.command} ({self.reason})"


def suggest_steps(situation: Situation) -> list[Step]:
    """What is worth doing now, the most telling first."""
    return [*_suggest_labels(situation), *_suggest_repairs(situation), *_suggest_use(situation)]


def _suggest_labels(situation: Situation) -> Iterator[Step]:
    labels, name = situation.random_labels, shlex.quote(situation.data)
    if labels < FEW_LABELS:
        wanted = FEW_LABELS - labels
        reason = (
            f"nobody has labelled tweets drawn at random yet, so nothing says how good these labels are: {wanted} labels, half "
            "an hour's work, do"
            if not labels
            else f"{labels} random labels are few: {wanted} more make the intervals about 20 points wide or less"
        )
        yield Step(reason, "itrp review")
        yield Step("the same in a spreadsheet", f"itrp sample {wanted} --queue random --data {name} --out to-label")
    else:
        halve = [each.to_halve for each in situation.good.estimates[:2] if each.to_halve] if situation.good else []
        if halve:
            yield Step(f"{max(halve):,} more random labels make the intervals half as wide", "itrp review")
    if situation.undecided:
        yield Step(f"people differ in {situation.undecided} answers that nobody has decided", "itrp review")


def _suggest_repairs(situation: Situation) -> Iterator[Step]:
    name = shlex.quote(situation.data)
    if situation.scored.unlabelled:
        yield Step(f"{situation.scored.unlabelled} shards have no label of these models", "itrp score --backfill")
    if situation.quarantined:
        yield Step(
            f"{situation.quarantined} tweets were rejected: each has its reason and its remedy",
            f"itrp quarantine --data {name}",
        )


def _suggest_use(situation: Situation) -> Iterator[Step]:
    name = shlex.quote(situation.data)
    if situation.random_labels >= FEW_LABELS:
        yield Step(
            "people's labels train a head for both tasks, the next challenger",
            "itrp train labelled-head --data reviewed",
        )
    yield Step(
        "labels, texts and pictures as one table", f"itrp export --data {name} --out labels.csv --pictures pictures"
    )
