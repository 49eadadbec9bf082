"""What a person is asked next: the queue's own order, never again what she has said, and nobody waits; on both databases."""

import hashlib
from dataclasses import dataclass

import pytest
from sqlalchemy.orm import Session

from infra.catalog.annotations import record_annotations, undo, withdraw
from infra.catalog.database import Catalog
from infra.catalog.queues import WINDOW, add_doubtful, count_waiting, next_tweets
from infra.catalog.review_tables import Queue
from infra.catalog.tweet_entries import LabelEntry
from infra.errors import ReviewError
from tests.infra.catalog.review_tweets import GUIDELINE, Tweet, index_labels, index_tweets, make_label, make_tweets, say

NUMBER = 120


@dataclass(frozen=True)
class World:
    """A catalog with 120 tweets, labelled by version 1 (`Tweet.label`) and by version 2, which differs in every tenth."""

    catalog: Catalog
    tweets: list[Tweet]
    dataset_id: int
    first: int
    second: int


@pytest.fixture
def world(catalog: Catalog) -> World:
    tweets = make_tweets(NUMBER)
    with catalog.session() as session:
        shard = index_tweets(session, [each.entry for each in tweets])
        first = index_labels(session, shard, [each.label for each in tweets], "1")
        second = index_labels(session, shard, [relabel(each) for each in tweets], "2")
    return World(catalog, tweets, shard.dataset_id, first, second)


def relabel(tweet: Tweet) -> LabelEntry:
    """Version 2: every tenth tweet's image is seen otherwise, every thirtieth's text."""
    text, image = tweet.label.text_probability, tweet.label.image_probability
    if tweet.entry.row % 10 == 3:
        image = 0.2 if image > 0.5 else 0.8
    if tweet.entry.row % 30 == 7:
        text = 0.2 if text > 0.5 else 0.8
    return make_label(tweet.entry.tweet_id, text, image)


def random_order() -> list[str]:
    return sorted((f"t{row}" for row in range(NUMBER)), key=lambda each: hashlib.sha256(each.encode()).hexdigest())


def label_next(
    session: Session, world: World, person: str, number: int, queue: Queue = Queue.RANDOM, people: int = 1
) -> list[str]:
    """Label the next tweets one after the other, as the page does; the ids in their order."""
    labelled = []
    for _ in range(number):
        found = next_tweets(session, queue, world.dataset_id, person, people=people)
        if not found:
            break
        labelled.append(found[0].tweet_id)
        record_annotations(session, [say(world.dataset_id, labelled[-1], person, 1, queue=queue)])
    return labelled


def test_the_random_queue_follows_its_order(world: World) -> None:
    """Tweet by tweet within a window of the fixed order, whatever the tweets hold; all of them in the end, each once."""
    with world.catalog.session() as session:
        labelled = label_next(session, world, "anna", NUMBER + 5)
    order = random_order()
    assert sorted(labelled) == sorted(order)
    assert all({*labelled[:step]} <= {*order[: step + WINDOW - 1]} for step in range(1, NUMBER + 1))
    assert labelled != order


def test_a_queue_is_blind(world: World) -> None:
    with world.catalog.session() as session:
        for queue in (Queue.RANDOM, Queue.LEAST_CERTAIN, Queue.DISAGREE, Queue.CLUSTERS):
            (tweet,) = next_tweets(session, queue, world.dataset_id, "anna")
            assert tweet.label is None
            assert next_tweets(session, queue, world.dataset_id, "anna") == [tweet]


@pytest.mark.parametrize("queue", [Queue.RANDOM, Queue.LEAST_CERTAIN, Queue.DISAGREE, Queue.CLUSTERS])
def test_nothing_comes_again_but_what_was_taken_back(world: World, queue: Queue) -> None:
    with world.catalog.session() as session:
        (first,) = next_tweets(session, queue, world.dataset_id, "anna")
        record_annotations(session, [say(world.dataset_id, first.tweet_id, "anna", None, queue=queue)])
        (second,) = next_tweets(session, queue, world.dataset_id, "anna")
        record_annotations(session, [say(world.dataset_id, second.tweet_id, "anna", 0, queue="browse", task="image")])
        rest = label_next(session, world, "anna", NUMBER, queue)
        assert len(rest) == len({*rest, first.tweet_id, second.tweet_id}) - 2
        assert count_waiting(session, queue, world.dataset_id, "anna") == 0
        withdraw(session, world.dataset_id, first.tweet_id, "anna", token="w", guideline=GUIDELINE)
        (again,) = next_tweets(session, queue, world.dataset_id, "anna")
        assert again == first
        assert undo(session, "anna", token="u", guideline=GUIDELINE) is not None
        assert {each.tweet_id for each in next_tweets(session, queue, world.dataset_id, "anna", limit=9)} == {
            first.tweet_id,
            rest[-1],
        }


def test_so_many_people_a_tweet(world: World) -> None:
    with world.catalog.session() as session:
        by_anna = label_next(session, world, "anna", 20, people=2)
        by_bert = label_next(session, world, "bert", 20, people=2)
        # what others have begun comes first, within the window
        assert len({*by_anna} & {*by_bert}) >= 20 - WINDOW
        by_carl = label_next(session, world, "carl", 30, people=2)
        assert not {*by_anna} & {*by_bert} & {*by_carl}
        assert {*label_next(session, world, "dora", NUMBER, people=2)}.isdisjoint({*by_anna} & {*by_bert})
        counts = [sum(each in said for said in (by_anna, by_bert, by_carl)) for each in random_order()]
        assert max(counts) == 2


def test_two_people_at_once_seldom_label_the_same(world: World) -> None:
    """In lockstep, each is given a tweet before either has answered."""
    with world.catalog.session() as session:
        twice = 0
        for _ in range(40):
            given = {
                person: next_tweets(session, Queue.RANDOM, world.dataset_id, person)[0].tweet_id
                for person in ("anna", "bert")
            }
            twice += given["anna"] == given["bert"]
            for person, tweet_id in given.items():
                record_annotations(session, [say(world.dataset_id, tweet_id, person, 1)])
        assert twice < 16


def test_chance_alone_counts_in_the_random_queue(world: World) -> None:
    """A tweet that somebody chose to label is still drawn, or the sample would lack what people choose."""
    first = random_order()[:WINDOW]
    with world.catalog.session() as session:
        record_annotations(session, [say(world.dataset_id, each, "bert", 1, queue="browse") for each in first])
        assert next_tweets(session, Queue.RANDOM, world.dataset_id, "anna")[0].tweet_id in first
        assert {
            each.tweet_id for each in next_tweets(session, Queue.RANDOM, world.dataset_id, "bert", limit=30)
        }.isdisjoint(first)


def test_the_least_certain_first(world: World) -> None:
    def certainty(tweet: Tweet) -> float:
        return min(abs(tweet.label.text_probability - 0.5), abs(tweet.label.image_probability - 0.5))

    order = [each.entry.tweet_id for each in sorted(world.tweets, key=lambda each: (certainty(each), each.entry.row))]
    with world.catalog.session() as session:
        found = next_tweets(
            session, Queue.LEAST_CERTAIN, world.dataset_id, "anna", pair_id=world.first, limit=NUMBER // WINDOW
        )
        assert {each.tweet_id for each in found} <= {*order}
        one = next_tweets(session, Queue.LEAST_CERTAIN, world.dataset_id, "anna", pair_id=world.first)
        assert one[0].tweet_id in order[:WINDOW]


def test_models_that_disagree(world: World) -> None:
    by_image = {f"t{row}" for row in range(NUMBER) if row % 10 == 3}
    by_text = {f"t{row}" for row in range(NUMBER) if row % 30 == 7}
    with world.catalog.session() as session:
        for tasks, expected in ((("text", "image"), by_image | by_text), (("text",), by_text), (("image",), by_image)):
            for pairs in ((None, None), (world.first, world.second), (world.second, None)):
                found = next_tweets(
                    session, Queue.DISAGREE, world.dataset_id, "anna", tasks=tasks, pair_id=pairs[0],
                    other_pair_id=pairs[1], limit=NUMBER,
                )  # fmt: skip
                assert {each.tweet_id for each in found} == expected
        assert count_waiting(session, Queue.DISAGREE, world.dataset_id, "anna") == len(by_image | by_text)
        assert count_waiting(session, Queue.DISAGREE, world.dataset_id, "anna", cap=5) == 5


def test_twelve_of_each_relation(world: World) -> None:
    order = random_order()
    relation = {each.entry.tweet_id: each.label.relation for each in world.tweets}
    expected = {each for wanted in range(4) for each in [tweet for tweet in order if relation[tweet] == wanted][:12]}
    with world.catalog.session() as session:
        found = next_tweets(session, Queue.CLUSTERS, world.dataset_id, "anna", pair_id=world.first, limit=NUMBER)
        assert {each.tweet_id for each in found} == expected
        assert len(found) == 48
        label_next(session, world, "bert", 20, Queue.CLUSTERS)
        assert count_waiting(session, Queue.CLUSTERS, world.dataset_id, "anna", people=2) == 48


def test_doubtful_labels_are_asked_again(world: World) -> None:
    with world.catalog.session() as session:
        record_annotations(session, [say(world.dataset_id, "t1", "anna", 1), say(world.dataset_id, "t2", "anna", 1)])
        assert next_tweets(session, Queue.ERRORS, world.dataset_id, "anna") == []
        assert add_doubtful(session, world.dataset_id, {"t1": 0.9, "t2": 0.4, "t3": 0.6}, "report 1") == 3
        assert {*label_next(session, world, "anna", 9, Queue.ERRORS)} == {"t1", "t2", "t3"}
        assert add_doubtful(session, world.dataset_id, {"t2": 0.8}, "report 2") == 1
        assert label_next(session, world, "anna", 9, Queue.ERRORS) == ["t2"]
        doubts = {f"t{row}": row / NUMBER for row in range(NUMBER)}
        assert add_doubtful(session, world.dataset_id, doubts, "report 3") == NUMBER
        first = label_next(session, world, "anna", 20, Queue.ERRORS)
        assert {*first} <= {f"t{row}" for row in range(NUMBER - 20 - WINDOW, NUMBER)}
        with pytest.raises(ReviewError, match="expected ids of stored tweets, found 'gone'"):
            add_doubtful(session, world.dataset_id, {"t1": 1.0, "gone": 1.0}, "report 4")


def test_queues_that_cannot_be(world: World) -> None:
    with world.catalog.session() as session:
        with pytest.raises(ReviewError, match="expected a queue that tweets come from, found browse"):
            next_tweets(session, Queue.BROWSE, world.dataset_id, "anna")
        with pytest.raises(ReviewError, match="expected at least 1 person a tweet, found 0"):
            next_tweets(session, Queue.RANDOM, world.dataset_id, "anna", people=0)
        other = index_tweets(session, [each.entry for each in make_tweets(3)], "other").dataset_id
        with pytest.raises(ReviewError, match="expected labels by 2 pairs of models for the queue disagree, found 0"):
            next_tweets(session, Queue.DISAGREE, other, "anna")
