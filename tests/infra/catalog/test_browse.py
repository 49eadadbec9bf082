"""Views of tweets against the same views in plain Python: what is shown, in which order, page by page; on both databases."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.catalog.annotations import record_annotations
from infra.catalog.browse import (
    Human,
    Order,
    TweetFilter,
    browse,
    count_tweets,
    get_tweet,
    list_languages,
    list_pairs,
)
from infra.catalog.database import Catalog
from infra.catalog.words import RARE
from infra.errors import ReviewError
from tests.infra.catalog.review_tweets import Tweet, index_labels, index_tweets, make_label, make_tweets, say

NUMBER = 150


@dataclass(frozen=True)
class World:
    """A catalog and the tweets that are in it, of which the last 20 have no label by the pair."""

    catalog: Catalog
    tweets: list[Tweet]
    dataset_id: int
    pair_id: int


@pytest.fixture
def world(catalog: Catalog) -> World:
    tweets = make_tweets(NUMBER)
    with catalog.session() as session:
        index_tweets(session, [each.entry for each in make_tweets(30, 5)], "other")
        shard = index_tweets(session, [each.entry for each in tweets])
        pair_id = index_labels(session, shard, [each.label for each in tweets[:-20]])
        index_labels(session, shard, [make_label(each.entry.tweet_id, 0.9, 0.9) for each in tweets], "2")
        dataset_id = shard.dataset_id
        for row in range(0, 30, 2):
            record_annotations(session, [say(dataset_id, f"t{row}", "anna", 1)])
        record_annotations(session, [say(dataset_id, f"t{row}", "bert", row % 3 // 2) for row in range(0, 20, 2)])
        record_annotations(
            session, [say(dataset_id, "t40", "bert", None), say(dataset_id, "t0", "bert", 1, kind="decision")]
        )
    return World(catalog, tweets, dataset_id, pair_id)


def random_place(tweet: Tweet) -> int:
    return int(hashlib.sha256(tweet.entry.tweet_id.encode()).hexdigest()[:16], 16) // 2


def certainty(tweet: Tweet) -> float:
    return min(abs(tweet.label.text_probability - 0.5), abs(tweet.label.image_probability - 0.5))


def newest_first(tweet: Tweet) -> Any:
    created = tweet.entry.created_at
    return (created is None, -created.timestamp() if created else 0, -tweet.entry.row)


def words(tweet: Tweet) -> set[str]:
    cut = tweet.entry.text.casefold().replace("-", " ").replace("#", " ")
    return set(cut.split())


EARLY, LATE = datetime(2026, 11, 5, tzinfo=UTC), datetime(2026, 11, 15, tzinfo=UTC)
LABELLED = {f"t{row}" for row in range(0, 30, 2)}
DIFFERING = {f"t{row}" for row in range(2, 20, 2) if row % 3 // 2 == 0}
CASES: dict[str, tuple[dict[str, Any], Callable[[Tweet], bool]]] = {
    "all": ({}, lambda tweet: True),
    "language": ({"lang": "de"}, lambda tweet: tweet.entry.lang == "de"),
    "since": ({"since": EARLY}, lambda tweet: tweet.entry.created_at is not None and tweet.entry.created_at >= EARLY),
    "until": ({"until": LATE}, lambda tweet: tweet.entry.created_at is not None and tweet.entry.created_at < LATE),
    "word": ({"words": "CAFÉ"}, lambda tweet: "café" in words(tweet)),
    "words": ({"words": "covid, 犬"}, lambda tweet: {"covid", "犬"} <= words(tweet)),
    "labelled": ({"human": Human.LABELLED}, lambda tweet: tweet.entry.tweet_id in LABELLED),
    "unlabelled": ({"human": Human.UNLABELLED}, lambda tweet: tweet.entry.tweet_id not in LABELLED),
    "disagreement": ({"human": Human.DISAGREEMENT}, lambda tweet: tweet.entry.tweet_id in DIFFERING),
    "labelled with a word": (
        {"human": Human.LABELLED, "words": "cat"},
        lambda tweet: tweet.entry.tweet_id in LABELLED and "cat" in words(tweet),
    ),
    "nothing": ({"words": "zebra"}, lambda tweet: False),
}
LABEL_CASES: dict[str, tuple[dict[str, Any], Callable[[Tweet], bool]]] = {
    "relations": ({"relations": frozenset({1, 3})}, lambda tweet: tweet.label.relation in (1, 3)),
    "probabilities": (
        {"text_probability": (0.25, 0.75), "image_probability": (0.0, 0.5)},
        lambda tweet: 0.25 <= tweet.label.text_probability <= 0.75 and tweet.label.image_probability <= 0.5,
    ),
    "certainty": ({"least_certainty": 0.2}, lambda tweet: certainty(tweet) >= 0.2),
    "everything": (
        {
            "relations": frozenset({0, 1, 2}),
            "lang": "en",
            "since": EARLY,
            "text_probability": (0.1, 1.0),
            "words": "cat",
        },
        lambda tweet: (
            tweet.label.relation < 3
            and tweet.entry.lang == "en"
            and tweet.entry.created_at is not None
            and tweet.entry.created_at >= EARLY
            and tweet.label.text_probability >= 0.1
            and "cat" in words(tweet)
        ),
    ),
}
ORDERS: dict[Order, Callable[[Tweet], Any]] = {
    Order.NEWEST: newest_first,
    Order.RANDOM: random_place,
    Order.LEAST_CERTAIN: lambda tweet: (certainty(tweet), tweet.entry.row),
}


def read_forwards_and_backwards(world: World, wanted: TweetFilter, order: Order, seed: int, limit: int) -> list[str]:
    """Ids of all tweets of a view, page by page to the end; and back, which has to give the same pages."""
    with world.catalog.session() as session:
        pages = [browse(session, wanted, order, seed=seed, limit=limit)]
        while pages[-1].next:
            pages.append(browse(session, wanted, order, seed=seed, limit=limit, after=pages[-1].next))
        assert pages[0].previous is None
        for page, following in zip(reversed(pages[:-1]), reversed(pages[1:]), strict=True):
            assert (
                browse(session, wanted, order, seed=seed, limit=limit, before=following.previous).tweets == page.tweets
            )
    return [tweet.tweet_id for page in pages for tweet in page.tweets]


def test_views_without_models(world: World) -> None:
    for order in (Order.NEWEST, Order.RANDOM):
        for case in CASES:
            check_view_without_models(world, case, order)


def check_view_without_models(world: World, case: str, order: Order) -> None:
    changes, keeps = CASES[case]
    wanted = TweetFilter(dataset_id=world.dataset_id, **changes)
    expected = sorted(filter(keeps, world.tweets), key=ORDERS[order])
    found = read_forwards_and_backwards(world, wanted, order, 0, 17)
    ids = [each.entry.tweet_id for each in expected]
    if order is Order.RANDOM and ids:  # from a place on, around
        first = ids.index(found[0])
        ids = ids[first:] + ids[:first]
    assert found == ids, (case, order)
    with world.catalog.session() as session:
        assert tuple(count_tweets(session, wanted)) == (len(expected), False), case


def test_views_of_a_pair_s_labels(world: World) -> None:
    for order in (Order.NEWEST, Order.LEAST_CERTAIN):
        for case in CASES | LABEL_CASES:
            check_view_of_labels(world, case, order)


def check_view_of_labels(world: World, case: str, order: Order) -> None:
    changes, keeps = (CASES | LABEL_CASES)[case]
    wanted = TweetFilter(dataset_id=world.dataset_id, pair_id=world.pair_id, **changes)
    expected = sorted(filter(keeps, world.tweets[:-20]), key=ORDERS[order])
    found = read_forwards_and_backwards(world, wanted, order, 0, 13)
    assert found == [each.entry.tweet_id for each in expected], (case, order)
    with world.catalog.session() as session:
        assert tuple(count_tweets(session, wanted, cap=9)) == (min(len(expected), 9), len(expected) > 9)


def test_what_a_view_shows_of_a_tweet(world: World) -> None:
    with world.catalog.session() as session:
        (tweet,) = browse(session, TweetFilter(dataset_id=world.dataset_id, pair_id=world.pair_id), limit=1).tweets
        entry, label = world.tweets[int(tweet.tweet_id[1:])].entry, world.tweets[int(tweet.tweet_id[1:])].label
        assert (tweet.text, tweet.created_at, tweet.lang, tweet.row) == (
            entry.text,
            entry.created_at,
            entry.lang,
            entry.row,
        )
        assert tweet.label == (label.relation, label.text_probability, label.image_probability)
        assert get_tweet(session, world.dataset_id, tweet.tweet_id, world.pair_id) == tweet
        assert get_tweet(session, world.dataset_id, tweet.tweet_id) == tweet._replace(label=None)
        assert get_tweet(session, world.dataset_id, "gone") is None


def test_seeds_give_other_beginnings_of_one_order(world: World) -> None:
    wanted = TweetFilter(dataset_id=world.dataset_id, pair_id=world.pair_id)
    orders = [read_forwards_and_backwards(world, wanted, Order.RANDOM, seed, 50) for seed in range(6)]
    assert len({order[0] for order in orders}) >= 4
    for order in orders:
        place = order.index(orders[0][0])
        assert order[place:] + order[:place] == orders[0]


def test_a_cursor_holds_its_place_when_tweets_are_added(world: World) -> None:
    wanted = TweetFilter(dataset_id=world.dataset_id)
    with world.catalog.session() as session:
        first = browse(session, wanted, limit=20)
        rest = browse(session, wanted, limit=20, after=first.next)
        newer = [each.entry._replace(created_at=datetime(2027, 1, 1, tzinfo=UTC)) for each in make_tweets(5, 9, "new")]
        index_tweets(session, newer)
        assert browse(session, wanted, limit=20, after=first.next) == rest
        assert {each.tweet_id for each in browse(session, wanted, limit=5).tweets} == {each.tweet_id for each in newer}


def test_pairs_and_languages(world: World) -> None:
    with world.catalog.session() as session:
        assert [pair.text_version for pair in list_pairs(session, world.dataset_id)] == ["2", "1"]
        assert list_languages(session, world.dataset_id) == ["de", "en", "ja"]
        assert list_pairs(session, world.dataset_id + 9) == list_languages(session, world.dataset_id + 9) == []


def test_words_that_most_tweets_have(catalog: Catalog) -> None:
    """Past RARE tweets each tweet of a walk is asked, instead of all with the word being gathered."""
    entries = [each._replace(text="cat dog" if each.row % 1000 == 0 else "cat") for each in (
        tweet.entry for tweet in make_tweets(RARE + 500)
    )]  # fmt: skip
    with catalog.session() as session:
        shard = index_tweets(session, entries)
        pair_id = index_labels(session, shard, [make_label(each.tweet_id, 0.2, 0.8) for each in entries])
        for pair in (None, pair_id):
            wanted = TweetFilter(dataset_id=shard.dataset_id, pair_id=pair, words="cat")
            assert tuple(count_tweets(session, wanted)) == (10_000, True)
            german = browse(session, replace(wanted, lang="de"), limit=50).tweets
            everything = browse(session, TweetFilter(dataset_id=shard.dataset_id, pair_id=pair, lang="de"), limit=50)
            assert german == everything.tweets
            assert len(german) == 50
            both = browse(session, replace(wanted, words="dog cat"), limit=50).tweets
            assert {each.row for each in both} == {*range(0, RARE + 500, 1000)}


MADE_UP = ["x", "!!!", "ü", "W10", "WzEsMiwzXQ", "eyJhIjoxfQ", "W" * 5000, "WyJuZXdlc3QiLE5hTiwzXQ", "\0"]


def test_cursors_that_nobody_gave(world: World) -> None:
    wanted = TweetFilter(dataset_id=world.dataset_id)
    with world.catalog.session() as session:
        for cursor in MADE_UP:
            with pytest.raises(
                ReviewError, match=r"expected a cursor (that a page of|of) this view.*begin at the first page"
            ):
                browse(session, wanted, after=cursor)


def test_a_cursor_of_another_order(world: World) -> None:
    wanted = TweetFilter(dataset_id=world.dataset_id)
    with world.catalog.session() as session:
        newest = browse(session, wanted, limit=3).next
        seeded = browse(session, wanted, Order.RANDOM, seed=1, limit=3).next
        assert newest is not None
        assert seeded is not None
        assert all(each.isalnum() or each in "-_" for each in newest + seeded)
        for cursor, seed in ((newest, 1), (seeded, 2)):
            with pytest.raises(ReviewError, match="found one of another order or seed"):
                browse(session, wanted, Order.RANDOM, seed=seed, after=cursor)


def test_views_that_cannot_be(world: World) -> None:
    wanted = TweetFilter(dataset_id=world.dataset_id)
    with world.catalog.session() as session:
        with pytest.raises(ReviewError, match="expected a pair of models to sort by its certainty"):
            browse(session, wanted, Order.LEAST_CERTAIN)
        with pytest.raises(ReviewError, match="expected a page of 1 to 200 tweets, found 0"):
            browse(session, wanted, limit=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"relations": frozenset({1})}, "expected a pair of models to filter by its labels"),
        ({"pair_id": 1, "relations": frozenset()}, "expected relations of 0 to 3"),
        ({"pair_id": 1, "text_probability": (0.6, 0.5)}, "expected probabilities of the text task from 0 to 1"),
        ({"pair_id": 1, "image_probability": (0.0, float("nan"))}, "expected probabilities of the image task"),
        ({"pair_id": 1, "least_certainty": 0.7}, "expected a certainty of 0 to 0.5, found 0.7"),
        ({"since": datetime(2026, 1, 1)}, "expected as since a time with its zone"),
        ({"words": "🐱!"}, "expected letters or digits to look for, found '🐱!'"),
        ({"words": "a" * 1001}, "expected at most 1000 characters to look for, found 1001"),
    ],
)
def test_filters_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ReviewError, match=message):
        TweetFilter(dataset_id=1, **changes)
