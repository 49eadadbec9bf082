"""What counts as a word, and that both databases find the same tweets by it."""

import pytest

from infra.catalog.database import Catalog
from infra.catalog.words import are_rare, matching_tweets, split_words
from tests.infra.catalog.review_tweets import TweetEntry, index_tweets

TEXTS = [
    "Cats, cats & #CatsOfTwitter! http://t.co/abC",
    "don't say 'OR' \"NOT\" AND (cats*) -cats :* <-> x@y.org",
    "यह हिन्दी है",
    "ﬁne ＷＩＤＥ straße ΣΊΣΥΦΟΣ",
    "🐱🐶 𝒸𝒶𝓉 \ud800 nul\0byte",
    "a" * 25_000,
    "",
]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't #Stop_me COVID-19", ["don", "t", "stop", "me", "covid", "19"]),
        ("हिन्दी", ["हिन्दी"]),
        ("ﬁne ＷＩＤＥ Straße", ["fine", "wide", "strasse"]),
        ("🐱 -- \t\n", []),
        ("b" * 100, ["b" * 64]),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        ("CATS", [0, 1]),
        ("catsoftwitter abc", [0]),
        ("cats or not", [1]),
        ("cats*", [0, 1]),
        ("'cats' & \"y.org\" | !x", [1]),
        ("हिन्दी", [2]),
        ("wide STRASSE σισυφοσ", []),
        ("wide STRASSE Σίσυφος", [3]),
        ("cat nul byte", [4]),
        ("a" * 25_000, [5]),
        ("cat cats", []),
    ],
)
def test_both_databases_find_the_same(catalog: Catalog, words: str, rows: list[int]) -> None:
    with catalog.session() as session:
        shard = index_tweets(session, [TweetEntry(row, f"t{row}", text, None, None) for row, text in enumerate(TEXTS)])
        assert shard.id == 1
        assert [id_ - 1 for id_ in sorted(session.scalars(matching_tweets(session, words)))] == rows
        assert are_rare(session, words)
