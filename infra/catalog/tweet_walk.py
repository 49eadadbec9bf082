"""Walks along the index of tweets: in an order, from a place on, past the tweets that a filter leaves out.

A walk reads an index whose columns hold all that is filtered by (`TweetLabel`), one relation after the other, because only
with a known relation an index is in the order of its next column. Where few tweets are asked for (rare words, tweets with a
human label) these are gathered first, by their ids, and then sorted: `+ 0` keeps a database from walking then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, tuple_, union_all
from sqlalchemy.orm import Session

from infra.catalog.current_labels import has_label, labelled_tweets
from infra.catalog.cursors import Place
from infra.catalog.queries import is_one_of
from infra.catalog.review_tables import UNDATED, IndexedTweet, TweetLabel, to_microseconds
from infra.catalog.tweet_filter import ALL_PROBABILITIES, Human, Order, TweetFilter
from infra.catalog.words import are_rare, has_words, join_words, matching_tweets

Condition = ColumnElement[bool]
_KEYS = {Order.NEWEST: "created_us", Order.RANDOM: "random_key", Order.LEAST_CERTAIN: "certainty"}
_INDEXES = {Order.NEWEST: "newest", Order.RANDOM: "random", Order.LEAST_CERTAIN: "certain"}


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of an order."""

    behind: Place | None = None
    """In the walk's direction; not included."""
    least: int | None = None
    """Keys from here on, included."""
    under: int | None = None
    """Keys up to here, not included."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The tweets that a filter leaves, in an order."""

    session: Session
    table: type[TweetLabel] | type[IndexedTweet]
    key: ColumnElement[Any]
    """What the order sorts by."""
    tweet: ColumnElement[int]
    falling: bool
    """Whether the greatest key comes first."""
    index: str | None
    """To walk along; None where the tweets are gathered and sorted."""
    branches: Sequence[Sequence[Condition]]
    """Conditions of each part that the index holds in the order; together they are all that is asked for."""

    def take(self, stretch: Stretch, limit: int, backwards: bool = False) -> list[Place]:
        """The first tweets of a stretch; backwards the last ones, the last of all first."""
        falling = self.falling is not backwards
        parts = [self._part(each, stretch, limit, falling).subquery() for each in self.branches]
        rows = union_all(*(select(part.c.key, part.c.tweet) for part in parts)).subquery()
        query = select(rows.c.key, rows.c.tweet).order_by(*_sort(rows.c.key, rows.c.tweet, falling)).limit(limit)
        return [Place(key, tweet) for key, tweet in self.session.execute(query)]

    def count(self, cap: int) -> int:
        """How many tweets there are, at most `cap`."""
        parts = [self._rows(each).limit(cap).subquery() for each in self.branches]
        rows = union_all(*(select(part.c.tweet) for part in parts)).limit(cap).subquery()
        return self.session.scalar(select(func.count()).select_from(rows)) or 0

    def _part(self, branch: Sequence[Condition], stretch: Stretch, limit: int, falling: bool) -> Select[Any]:
        query = self._rows(branch)
        if stretch.behind is not None:
            place = tuple_(self.key, self.tweet)
            behind = tuple(stretch.behind)
            query = query.where(place < behind if falling else place > behind)
        if stretch.least is not None:
            query = query.where(self.key >= stretch.least)
        if stretch.under is not None:
            query = query.where(self.key < stretch.under)
        return query.order_by(*_sort(self.key, self.tweet, falling)).limit(limit)

    def _rows(self, branch: Sequence[Condition]) -> Select[Any]:
        query = select(self.key.label("key"), self.tweet.label("tweet")).where(*branch)
        if self.index is not None:
            query = query.with_hint(self.table, f"INDEXED BY {self.index}", "sqlite")
        return query


def plan_walk(
    session: Session,
    wanted: TweetFilter,
    order: Order = Order.NEWEST,
    further: Sequence[Condition] = (),
    *,
    counting: bool = False,
) -> Walk:
    """How to go through the tweets that a filter leaves; `further` conditions are about `tweet_of(wanted)`.

    counting: thousands are wanted in any order, not a page: then it goes along the tweets with frequent words, and asks of each
    what else is wanted.
    """
    table = IndexedTweet if wanted.pair_id is None else TweetLabel
    rare = bool(wanted.words) and are_rare(session, wanted.words)
    few = _gather(session, wanted, rare)
    asked = _other_conditions(session, wanted if not rare else replace(wanted, words=""), counting)
    conditions = [*_own_conditions(wanted, table), *asked, *further]
    if few is not None:
        some = [] if wanted.pair_id is None else [TweetLabel.relation.in_(sorted(wanted.relations))]
        gathered = is_one_of(session, tweet_of(wanted), few)
        branches = [[table.dataset_id + 0 == wanted.dataset_id, gathered, *some, *conditions]]
    elif wanted.pair_id is None:
        branches = [[table.dataset_id == wanted.dataset_id, *conditions]]
    else:
        branches = [
            [table.dataset_id == wanted.dataset_id, TweetLabel.relation == relation, *conditions]
            for relation in sorted(wanted.relations)
        ]
    joined = counting and bool(wanted.words) and not rare
    index = None if few is not None or joined else f"ix_{table.__tablename__}_{_INDEXES[order]}"
    key = table.__table__.c[_KEYS[order]]
    return Walk(session, table, key, tweet_of(wanted), order is Order.NEWEST, index, branches)


def tweet_of(wanted: TweetFilter) -> ColumnElement[int]:
    """`IndexedTweet.id` in a row of what is walked along."""
    return IndexedTweet.__table__.c.id if wanted.pair_id is None else TweetLabel.__table__.c.tweet


def _own_conditions(wanted: TweetFilter, table: type[TweetLabel] | type[IndexedTweet]) -> list[Condition]:
    """What the columns of the walk's index decide."""
    conditions: list[Condition] = []
    if wanted.pair_id is not None:
        conditions += _label_conditions(wanted, wanted.pair_id)
    if wanted.lang is not None:
        conditions.append(table.lang == wanted.lang)
    if wanted.since is not None:
        conditions.append(table.created_us >= to_microseconds(wanted.since))
    if wanted.until is not None:
        conditions += [table.created_us < to_microseconds(wanted.until), table.created_us > UNDATED]
    return conditions


def _label_conditions(wanted: TweetFilter, pair_id: int) -> list[Condition]:
    conditions: list[Condition] = [TweetLabel.pair_id == pair_id]
    for column, chosen in (
        (TweetLabel.text_probability, wanted.text_probability),
        (TweetLabel.image_probability, wanted.image_probability),
    ):
        if chosen != ALL_PROBABILITIES:
            conditions.append(column.between(*chosen))
    if wanted.least_certainty > 0:
        conditions.append(TweetLabel.certainty >= wanted.least_certainty)
    return conditions


def _other_conditions(session: Session, wanted: TweetFilter, counting: bool) -> list[Condition]:
    """What is asked tweet by tweet, having been left by the walk's index."""
    tweet = tweet_of(wanted)
    conditions: list[Condition] = []
    if wanted.human is Human.UNLABELLED:
        conditions.append(~has_label(tweet))
    if wanted.words:
        words = wanted.words
        conditions += join_words(session, words, tweet) if counting else [has_words(session, words, tweet)]
    return conditions


def _gather(session: Session, wanted: TweetFilter, rare: bool) -> set[int] | None:
    """Few tweets, among which all are that the filter leaves; None where no part of it leaves few."""
    few: set[int] | None = None
    if wanted.human in (Human.LABELLED, Human.DISAGREEMENT):
        few = labelled_tweets(session, wanted.dataset_id, disagreed=wanted.human is Human.DISAGREEMENT)
    if rare:
        found = {*session.scalars(matching_tweets(session, wanted.words))}
        few = found if few is None else few & found
    return few


def _sort(key: ColumnElement[Any], tweet: ColumnElement[int], falling: bool) -> list[ColumnElement[Any]]:
    return [key.desc(), tweet.desc()] if falling else [key.asc(), tweet.asc()]
