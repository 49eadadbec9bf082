"""Which tweet a person is asked next: blind, never one that she has answered or skipped, and nobody waits for anybody.

Nothing is reserved. Of the first tweets in a queue that are open to a person she gets those first that others have begun,
then those in an order of her own (a hash of her name and the tweet's id), so that two people at once seldom label the same one.
What comes next depends on what the catalog holds and on her name alone.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, ScalarSelect, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from infra.catalog.annotations import held_answers, known_tweets, newest_annotation, of_tweet
from infra.catalog.browse import BrowsedTweet, list_pairs, read_tweets
from infra.catalog.cursors import Place
from infra.catalog.queries import dialect_insert, in_parts
from infra.catalog.review_tables import TASKS, DoubtfulTweet, IndexedTweet, Kind, Queue, TweetLabel
from infra.catalog.tables import now
from infra.catalog.tweet_filter import RELATIONS, Order, TweetFilter
from infra.catalog.tweet_walk import Condition, Stretch, plan_walk, tweet_of
from infra.errors import ReviewError

WINDOW = 8
"""Open tweets at the front of a queue that a person gets hers from; whoever asks for more gets the front itself."""
CLUSTER_TWEETS = 12
"""Tweets of each relation that the queue "clusters" shows."""


def next_tweets(
    session: Session,
    queue: Queue,
    dataset_id: int,
    person: str,
    *,
    people: int = 1,
    tasks: Collection[str] = TASKS,
    pair_id: int | None = None,
    other_pair_id: int | None = None,
    limit: int = 1,
) -> list[BrowsedTweet]:
    """The next tweets for a person, without any label; none when the queue holds no more for her.

    random        all tweets in their fixed random order; `people` counts answers that chance brought, in this queue
    least-certain by `pair_id` (the newest pair without one), the least certain first
    disagree      `pair_id` and `other_pair_id` (the two newest pairs) answer one of the tasks otherwise; in random order
    clusters      the first 12 tweets in random order of each relation by `pair_id` (the newest pair)
    errors        what `add_doubtful` has entered, the greatest doubt first; only answers given since then count

    people: a tweet with current labels of so many others, in any of the tasks, is left out.
    Raises ReviewError for browse and import, which are no queues, and where the pairs that it needs do not exist.
    """
    open_tweets = _open_tweets(
        session, queue, Asked(dataset_id, person, people, tasks), pair_id, other_pair_id, max(WINDOW, limit)
    )
    return read_tweets(session, _prefer(session, open_tweets, person, tasks)[:limit])


def count_waiting(
    session: Session,
    queue: Queue,
    dataset_id: int,
    person: str,
    *,
    people: int = 1,
    tasks: Collection[str] = TASKS,
    pair_id: int | None = None,
    other_pair_id: int | None = None,
    cap: int = 1000,
) -> int:
    """How many tweets wait for the person in a queue, up to the cap; arguments and errors as of `next_tweets`."""
    asked = Asked(dataset_id, person, people, tasks)
    return len(_open_tweets(session, queue, asked, pair_id, other_pair_id, cap))


def add_doubtful(session: Session, dataset_id: int, doubts: Mapping[str, float], source: str) -> int:
    """Put tweets (id -> doubt, the greater the sooner) into the queue "errors"; one that is there gets the new doubt.

    Returns how many there are. Answers given so far no longer count there. Raises ReviewError for ids that are not stored.
    """
    unknown = sorted(doubts.keys() - known_tweets(session, dataset_id, doubts))
    if unknown:
        raise ReviewError(f"expected ids of stored tweets, found {unknown[0]!r}: ingest it first, or leave it out")
    common = {
        "dataset_id": dataset_id,
        "source": source,
        "after_annotation": newest_annotation(session),
        "created_at": now(),
    }
    for some in in_parts(sorted(doubts)):
        statement = dialect_insert(session, DoubtfulTweet).values(
            [{**common, "tweet_id": tweet_id, "doubt": doubts[tweet_id]} for tweet_id in some]
        )
        changed = {name: statement.excluded[name] for name in ("doubt", "source", "after_annotation", "created_at")}
        session.execute(statement.on_conflict_do_update(index_elements=("dataset_id", "tweet_id"), set_=changed))
    return len(doubts)


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom a queue asks for what."""

    dataset_id: int
    person: str
    people: int
    tasks: Collection[str]

    def is_open(
        self, tweet: ColumnElement[int], *, after: ColumnElement[int] | int = 0, random: bool = False
    ) -> list[Condition]:
        """Whether a tweet waits for the person: of answers past the id `after`, the others' only where chance brought them."""
        own = held_answers(tweet, tasks=self.tasks)
        others = held_answers(tweet, tasks=self.tasks, kinds=(Kind.LABEL,))
        by_others = [others.said.person != self.person, others.said.id > after]
        if random:
            by_others.append(others.said.queue == Queue.RANDOM)
        number = select(func.count(others.said.person.distinct())).where(*others.conditions, *by_others)
        answered = exists().where(*own.conditions, own.said.person == self.person, own.said.id > after)
        return [~answered, number.scalar_subquery() < self.people]


def _open_tweets(
    session: Session, queue: Queue, asked: Asked, pair_id: int | None, other_pair_id: int | None, limit: int
) -> list[int]:
    """The first tweets of the queue that wait for the person, by `IndexedTweet.id`."""
    if asked.people < 1:
        raise ReviewError(f"expected at least 1 person a tweet, found {asked.people}: correct it")
    pairs = _choose_pairs(session, queue, asked.dataset_id, pair_id, other_pair_id)
    match queue:
        case Queue.RANDOM:
            return _walk(session, asked, TweetFilter(dataset_id=asked.dataset_id), Order.RANDOM, limit, random=True)
        case Queue.LEAST_CERTAIN:
            wanted = TweetFilter(dataset_id=asked.dataset_id, pair_id=pairs[0])
            return _walk(session, asked, wanted, Order.LEAST_CERTAIN, limit)
        case Queue.DISAGREE:
            wanted = TweetFilter(dataset_id=asked.dataset_id, pair_id=pairs[0])
            return _walk(session, asked, wanted, Order.RANDOM, limit, [_answers_otherwise(pairs[1], asked.tasks)])
        case Queue.CLUSTERS:
            return _open_in_clusters(session, asked, pairs[0], limit)
        case Queue.ERRORS:
            return _open_doubtful(session, asked, limit)
    raise ReviewError(f"expected a queue that tweets come from, found {queue}: choose another one")


def _choose_pairs(session: Session, queue: Queue, dataset_id: int, *given: int | None) -> list[int]:
    """The pairs that a queue needs: those given, the newest others for the rest."""
    needed = {Queue.LEAST_CERTAIN: 1, Queue.CLUSTERS: 1, Queue.DISAGREE: 2}.get(queue, 0)
    chosen = [pair for pair in given[:needed] if pair is not None]
    if len(chosen) < needed:
        others = [pair.id for pair in list_pairs(session, dataset_id) if pair.id not in chosen]
        chosen += others[: needed - len(chosen)]
    if len(chosen) < needed:
        raise ReviewError(
            f"expected labels by {needed} pairs of models for the queue {queue}, found {len(chosen)}: "
            "run `itrp score` with other versions, or choose the random queue"
        )
    return chosen


def _walk(
    session: Session,
    asked: Asked,
    wanted: TweetFilter,
    order: Order,
    limit: int,
    further: Sequence[Condition] = (),
    random: bool = False,
) -> list[int]:
    conditions = [*further, *asked.is_open(tweet_of(wanted), random=random)]
    return [place.tweet for place in plan_walk(session, wanted, order, conditions).take(Stretch(), limit)]


def _answers_otherwise(pair_id: int, tasks: Collection[str]) -> Condition:
    """Whether another pair answers one of the tasks otherwise than the label that is walked past."""
    other = aliased(TweetLabel)
    differing = {
        "text": other.relation // 2 != TweetLabel.relation // 2,
        "image": other.relation % 2 != TweetLabel.relation % 2,
    }
    return exists().where(
        other.pair_id == pair_id, other.tweet == TweetLabel.tweet, or_(*(differing[task] for task in tasks))
    )  # fmt: skip


def _open_in_clusters(session: Session, asked: Asked, pair_id: int, limit: int) -> list[int]:
    shown: list[Place] = []
    for relation in RELATIONS:
        wanted = TweetFilter(dataset_id=asked.dataset_id, pair_id=pair_id, relations=frozenset({relation}))
        shown += plan_walk(session, wanted, Order.RANDOM).take(Stretch(), CLUSTER_TWEETS)
    query = select(IndexedTweet.id).where(
        IndexedTweet.id.in_([place.tweet for place in shown]), *asked.is_open(IndexedTweet.__table__.c.id)
    )
    return [*session.scalars(query.order_by(IndexedTweet.random_key, IndexedTweet.id).limit(limit))]


def _open_doubtful(session: Session, asked: Asked, limit: int) -> list[int]:
    query = (
        select(IndexedTweet.id)
        .join(DoubtfulTweet, and_(*of_tweet(DoubtfulTweet, IndexedTweet)))
        .where(DoubtfulTweet.dataset_id == asked.dataset_id)
        .where(*asked.is_open(IndexedTweet.__table__.c.id, after=DoubtfulTweet.__table__.c.after_annotation))
        .order_by(DoubtfulTweet.doubt.desc(), DoubtfulTweet.tweet_id)
    )
    return [*session.scalars(query.limit(limit))]


def _prefer(session: Session, tweets: Sequence[int], person: str, tasks: Collection[str]) -> list[int]:
    """Tweets that others have begun first, the others in the person's own order."""
    number = _count_others(person, tasks)
    query = select(IndexedTweet.id, IndexedTweet.tweet_id, number).where(IndexedTweet.id.in_(tweets))
    rows = [(-others, _own_place(person, tweet_id), id_) for id_, tweet_id, others in session.execute(query)]
    return [id_ for _, _, id_ in sorted(rows)]


def _count_others(person: str, tasks: Collection[str]) -> ScalarSelect[int]:
    others = held_answers(IndexedTweet.__table__.c.id, tasks=tasks, kinds=(Kind.LABEL,))
    return (
        select(func.count(others.said.person.distinct()))
        .where(*others.conditions, others.said.person != person)
        .scalar_subquery()
    )


def _own_place(person: str, tweet_id: str) -> bytes:
    return hashlib.sha256(f"{person}\0{tweet_id}".encode("utf-8", "surrogatepass")).digest()
