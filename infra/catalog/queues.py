"""Which tweet a person is asked next: blind, never one that she has answered or skipped, and nobody waits for anybody.

Nothing is reserved. Of the first tweets in a queue that are open to a person she gets those first that others have begun,
then those in an order of her own (a hash of her name and the tweet's id), so that two people at once seldom label the same one.
What comes next depends on what the catalog holds and on her name alone.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy.orm import Session

from infra.catalog.browse import BrowsedTweet
from infra.catalog.review_tables import TASKS, Queue

CLUSTER_TWEETS = 12
"""Tweets of each relation that the queue "clusters" shows."""


class PairsToCompare(NamedTuple):
    """Two pairs of models (`ModelPair.id`) whose answers are compared."""

    first: int
    second: int


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
    raise NotImplementedError


def count_waiting(
    session: Session, queue: Queue, dataset_id: int, person: str, *, people: int = 1, cap: int = 1000
) -> int:
    """How many tweets wait for the person in a queue, up to the cap."""
    raise NotImplementedError


def add_doubtful(session: Session, dataset_id: int, doubts: Mapping[str, float], source: str) -> int:
    """Put tweets (id -> doubt, the greater the sooner) into the queue "errors"; one that is there gets the new doubt.

    Returns how many tweets there are from this call. Raises ReviewError for ids that are not stored.
    """
    raise NotImplementedError
