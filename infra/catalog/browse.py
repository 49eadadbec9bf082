"""Views of the indexed tweets: filtered, ordered, a page at a time, and quick with a million of them.

A view walks along the index of its order, whose columns hold all that it filters by, and stops at the page's end. Where a filter
leaves few tweets (rare words, tweets with a human label), these are gathered first and then sorted.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy.orm import Session

from infra.catalog.review_tables import ModelPair

PAGE_TWEETS = 200
"""A page holds at most so many tweets."""
COUNTED = 10_000
"""Tweets are counted up to here; more are "more than 10,000"."""
RELATIONS = frozenset(range(4))


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
    text_probability: tuple[float, float] = (0.0, 1.0)
    """Least and greatest, both included."""
    image_probability: tuple[float, float] = (0.0, 1.0)
    least_certainty: float = 0.0
    """Of the less certain task: distance of its probability from 1/2."""
    lang: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Not included."""
    words: str = ""
    """All of them, in any order."""
    human: Human = Human.ANY


class ModelLabel(NamedTuple):
    """A pair's label of a tweet."""

    relation: int
    text_probability: float
    image_probability: float


class BrowsedTweet(NamedTuple):
    """A tweet of a view."""

    id: int
    """Of `IndexedTweet`."""
    dataset_id: int
    tweet_id: str
    shard_key: str
    row: int
    """0-based in the shard, where its image lies."""
    text: str
    created_at: datetime | None
    lang: str | None
    label: ModelLabel | None
    """By the filter's pair."""


class TweetPage(NamedTuple):
    """A part of a view."""

    tweets: list[BrowsedTweet]
    next: str | None
    """Cursor for `after`; None at the end."""
    previous: str | None
    """Cursor for `before`; None at the beginning."""


class Count(NamedTuple):
    """How many tweets a view has: `number`, or more than it."""

    number: int
    more: bool


def browse(
    session: Session,
    wanted: TweetFilter,
    order: Order = Order.NEWEST,
    *,
    seed: int = 0,
    after: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> TweetPage:
    """The view's page behind one cursor, or before another; the first without any.

    Raises ReviewError for a cursor of another order, damaged or made up, and for an order that needs a pair and has none.
    """
    raise NotImplementedError


def count_tweets(session: Session, wanted: TweetFilter, cap: int = COUNTED) -> Count:
    """How many tweets the filter leaves, up to the cap."""
    raise NotImplementedError


def get_tweet(session: Session, dataset_id: int, tweet_id: str) -> BrowsedTweet | None:
    """One tweet, without a label; None when the index does not hold it."""
    raise NotImplementedError


def list_pairs(session: Session, dataset_id: int) -> list[ModelPair]:
    """Pairs with labels of the data set in the index, the one that has labelled last first."""
    raise NotImplementedError


def list_languages(session: Session, dataset_id: int) -> list[str]:
    """Languages of the data set's tweets, by their codes."""
    raise NotImplementedError
