"""Which tweets of a data set a view shows, and in which order."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from infra.catalog.words import split_words
from infra.errors import ReviewError

RELATIONS = frozenset(range(4))
"""2 * text + image."""
ALL_PROBABILITIES = (0.0, 1.0)
"""Every probability."""
WORDS_CHARACTERS = 1000


class Order(StrEnum):
    """Of the tweets in a view."""

    NEWEST = "newest"
    """Those without a time at the end."""
    RANDOM = "random"
    """Along the fixed random order, from a place that the seed chooses, around."""
    LEAST_CERTAIN = "least-certain"
    """By a pair of models, which the filter has to name."""


class Human(StrEnum):
    """What people have said of a tweet so far."""

    ANY = "any"
    LABELLED = "labelled"
    """Somebody's label holds."""
    UNLABELLED = "unlabelled"
    DISAGREEMENT = "disagreement"
    """Labels differ, and no decision holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TweetFilter:
    """Which tweets of a data set are shown. Raises ReviewError for what cannot mean anything."""

    dataset_id: int
    pair_id: int | None = None
    """With a pair of models, only tweets that it has labelled, with their labels; without, all tweets, with none."""
    relations: frozenset[int] = RELATIONS
    """2 * text + image. This and the next three need a pair."""
    text_probability: tuple[float, float] = ALL_PROBABILITIES
    """Least and greatest, both included."""
    image_probability: tuple[float, float] = ALL_PROBABILITIES
    least_certainty: float = 0.0
    """Of the less certain task: distance of its probability from 1/2."""
    lang: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Not included."""
    words: str = ""
    """All of them, in any order."""
    human: Human = Human.ANY

    def __post_init__(self) -> None:
        self._check_labels()
        for name, moment in (("since", self.since), ("until", self.until)):
            if moment is not None and moment.tzinfo is None:
                raise ReviewError(
                    f"expected as {name} a time with its zone, found {moment.isoformat()}: give it a zone"
                )
        if len(self.words) > WORDS_CHARACTERS:
            raise ReviewError(
                f"expected at most {WORDS_CHARACTERS} characters to look for, found {len(self.words)}: shorten them"
            )
        if self.words and not split_words(self.words):
            raise ReviewError(
                f"expected letters or digits to look for, found {self.words!r}: leave it out, or name a word"
            )

    def _check_labels(self) -> None:
        if not self.relations or not self.relations <= RELATIONS:
            raise ReviewError(
                f"expected relations of 0 to 3, found {sorted(self.relations)}: name at least one of them"
            )
        for task, (least, greatest) in (("text", self.text_probability), ("image", self.image_probability)):
            if not 0 <= least <= greatest <= 1:
                raise ReviewError(
                    f"expected probabilities of the {task} task from 0 to 1, found {least} to {greatest}: correct them"
                )
        if not 0 <= self.least_certainty <= 0.5:
            raise ReviewError(f"expected a certainty of 0 to 0.5, found {self.least_certainty}: correct it")
        if self.pair_id is None and self._asks_for_labels():
            raise ReviewError("expected a pair of models to filter by its labels, found none: choose a pair")

    def _asks_for_labels(self) -> bool:
        asked = (self.relations, self.text_probability, self.image_probability, self.least_certainty)
        return asked != (RELATIONS, ALL_PROBABILITIES, ALL_PROBABILITIES, 0.0)
