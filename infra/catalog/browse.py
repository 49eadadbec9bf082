"""Views of the indexed tweets: filtered, ordered, a page at a time, and quick with a million of them.

A view walks along the index of its order, whose columns hold all that it filters by, and stops at the page's end. Where a filter
leaves few tweets (rare words, tweets with a human label), these are gathered first and then sorted.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from infra.catalog.cursors import Place, read_cursor, write_cursor
from infra.catalog.review_tables import IndexedLabelFile, IndexedTweet, ModelPair, TweetLabel, from_microseconds
from infra.catalog.tables import LabelFile, Shard
from infra.catalog.tweet_entries import random_key
from infra.catalog.tweet_filter import ALL_PROBABILITIES, RELATIONS, Human, Order, TweetFilter
from infra.catalog.tweet_walk import Stretch, plan_walk
from infra.errors import ReviewError

__all__ = [
    "ALL_PROBABILITIES", "RELATIONS", "BrowsedTweet", "Count", "Human", "ModelLabel", "Order", "TweetFilter", "TweetPage",
    "browse", "count_tweets", "get_tweet", "list_languages", "list_pairs", "read_tweets",
]  # fmt: skip

PAGE_TWEETS = 200
"""A page holds at most so many tweets."""
COUNTED = 10_000
"""Tweets are counted up to here; more are "more than 10,000"."""


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
    _check_page(wanted, order, after, before, limit)
    view = f"{order} {seed}" if order is Order.RANDOM else str(order)
    backwards = before is not None
    cursor = before or after
    place = None if cursor is None else read_cursor(view, cursor)
    walk = plan_walk(session, wanted, order)
    start = random_key(f"seed {seed}") if order is Order.RANDOM else None
    found: list[Place] = []
    for stretch in _stretches(place, start, backwards):
        if len(found) <= limit:
            found += walk.take(stretch, limit + 1 - len(found), backwards)
    more, found = len(found) > limit, found[:limit]
    if backwards:
        found.reverse()
    following, preceding = (bool(cursor), more) if backwards else (more, bool(cursor))
    return TweetPage(
        read_tweets(session, [each.tweet for each in found], wanted.pair_id),
        write_cursor(view, found[-1]) if found and following else None,
        write_cursor(view, found[0]) if found and preceding else None,
    )


def count_tweets(session: Session, wanted: TweetFilter, cap: int = COUNTED) -> Count:
    """How many tweets the filter leaves, up to the cap."""
    found = plan_walk(session, wanted, counting=True).count(cap + 1)
    return Count(min(found, cap), found > cap)


def get_tweet(session: Session, dataset_id: int, tweet_id: str, pair_id: int | None = None) -> BrowsedTweet | None:
    """One tweet, with its label by a pair; None when the index does not hold it."""
    query = select(IndexedTweet.id).filter_by(dataset_id=dataset_id, tweet_id=tweet_id)
    return next(iter(read_tweets(session, [*session.scalars(query)], pair_id)), None)


def list_pairs(session: Session, dataset_id: int) -> list[ModelPair]:
    """Pairs with labels of the data set in the index, the one that has labelled last first."""
    query = (
        select(ModelPair)
        .join(IndexedLabelFile, IndexedLabelFile.pair_id == ModelPair.id)
        .join(LabelFile, LabelFile.id == IndexedLabelFile.label_file_id)
        .join(Shard, Shard.id == LabelFile.shard_id)
        .where(Shard.dataset_id == dataset_id)
        .group_by(ModelPair.id)
        .order_by(func.max(LabelFile.scored_at).desc(), func.max(LabelFile.id).desc())
    )
    return [*session.scalars(query)]


def list_languages(session: Session, dataset_id: int) -> list[str]:
    """Languages of the data set's tweets, by their codes."""
    found: list[str] = []
    while True:  # from each to the next one, rather than past a million rows
        query = select(func.min(IndexedTweet.lang)).where(IndexedTweet.dataset_id == dataset_id)
        following = session.scalar(query.where(IndexedTweet.lang > found[-1]) if found else query)
        if following is None:
            return found
        found.append(following)


def read_tweets(session: Session, tweets: Sequence[int], pair_id: int | None = None) -> list[BrowsedTweet]:
    """The tweets (by `IndexedTweet.id`) in the order given, with their labels by a pair."""
    query = select(IndexedTweet, Shard.key, TweetLabel).join(Shard, Shard.id == IndexedTweet.shard_id)
    query = query.outerjoin(TweetLabel, and_(TweetLabel.tweet == IndexedTweet.id, TweetLabel.pair_id == pair_id))
    rows = {
        tweet.id: _describe(tweet, key, label)
        for tweet, key, label in session.execute(query.where(IndexedTweet.id.in_(tweets)))
    }
    return [rows[tweet] for tweet in tweets]


def _describe(tweet: IndexedTweet, shard_key: str, label: TweetLabel | None) -> BrowsedTweet:
    return BrowsedTweet(
        id=tweet.id,
        dataset_id=tweet.dataset_id,
        tweet_id=tweet.tweet_id,
        shard_key=shard_key,
        row=tweet.row,
        text=tweet.text,
        created_at=from_microseconds(tweet.created_us),
        lang=tweet.lang,
        label=None if label is None else ModelLabel(label.relation, label.text_probability, label.image_probability),
    )


def _check_page(wanted: TweetFilter, order: Order, after: str | None, before: str | None, limit: int) -> None:
    if order is Order.LEAST_CERTAIN and wanted.pair_id is None:
        raise ReviewError("expected a pair of models to sort by its certainty, found none: choose a pair")
    if after is not None and before is not None:
        raise ReviewError("expected one cursor, found two: begin at the first page")
    if not 1 <= limit <= PAGE_TWEETS:
        raise ReviewError(f"expected a page of 1 to {PAGE_TWEETS} tweets, found {limit}: choose another size")


def _stretches(place: Place | None, start: int | None, backwards: bool) -> list[Stretch]:
    """What is to be walked, one stretch after the other; an order that goes around begins at `start`."""
    if start is None:
        return [Stretch(place)]
    first, second = Stretch(least=start), Stretch(under=start)
    if backwards:
        first, second = second, first
    if place is None:
        return [first, second]
    if (place.key >= start) is not backwards:
        return [replace(first, behind=place), second]
    return [replace(second, behind=place)]
