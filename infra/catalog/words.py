"""Words of a tweet's text: what counts as one, and how both databases find tweets by them.

The text is cut here, not by the database, so that SQLite (FTS5) and PostgreSQL (`tsvector`) find the same tweets.
"""

import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from sqlalchemy import ColumnElement, Select, String, cast, column, exists, func, select, table, text
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR
from sqlalchemy.orm import Session

WORDS = "tweet_words"
"""Name of the index, and beginning of the names of the tables that SQLite keeps it in."""
HOLDS_WORDS = "itrp_holds_words"
WORD_CHARACTERS = 64
"""Longer words are cut, in tweets as in what is looked for."""
RARE = 20_000
"""Up to so many tweets with the words are gathered at once; of more, each tweet of a walk is asked whether it has them."""


def split_words(text: str) -> list[str]:
    """The words of a text in their order: letters, digits and marks, without regard to case or width."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    spaced = "".join(each if unicodedata.category(each)[0] in "LNM" else " " for each in folded)
    return [word[:WORD_CHARACTERS] for word in spaced.split()]


def add_words(session: Session, texts: Mapping[int, str]) -> None:
    """Enter the words of tweets (`IndexedTweet.id` -> text)."""
    if _is_sqlite(session):
        statement = text("INSERT INTO tweet_words (rowid, words) VALUES (:tweet, :words)")
    else:
        statement = text("INSERT INTO tweet_words VALUES (:tweet, array_to_tsvector(string_to_array(:words, ' ')))")
    rows = [{"tweet": tweet, "words": " ".join(dict.fromkeys(split_words(each)))} for tweet, each in texts.items()]
    if rows:
        session.execute(statement, rows)


def matching_tweets(session: Session, words: str) -> Select[int]:
    """Ids (`IndexedTweet.id`) of the tweets that hold every word of a non-empty text."""
    return _select_matching(_is_sqlite(session), words)


def has_words(session: Session, words: str, tweet: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether the tweet of a query's row holds every word of a non-empty text."""
    if _is_sqlite(session):  # FTS5 would begin a search anew for every row, which takes longer than to cut its text
        place = table("indexed_tweet", column("id"), column("text"))
        return exists().where(place.c.id == tweet, getattr(func, HOLDS_WORDS)(place.c.text, words) == 1)
    matching = _select_matching(False, words)
    return exists(matching.where(matching.selected_columns[0] == tweet))


def holds_words(text: str, words: str) -> bool:
    """Whether a text holds every word of another: the function HOLDS_WORDS of a catalog in SQLite."""
    return _wanted(words) <= {*split_words(text)}


@lru_cache(maxsize=64)
def _wanted(words: str) -> frozenset[str]:
    return frozenset(split_words(words))


def join_words(session: Session, words: str, tweet: ColumnElement[int]) -> list[ColumnElement[bool]]:
    """Conditions that join a query's rows to the tweets that hold every word of a non-empty text, the words' tweets first: for
    whoever wants thousands in any order."""
    matching = _select_matching(_is_sqlite(session), words)
    held = matching.selected_columns[0]
    # "+ 0" keeps SQLite from beginning a search anew for every row
    joined = (held + 0 if _is_sqlite(session) else held) == tweet
    return [joined, *(() if matching.whereclause is None else (matching.whereclause,))]


def are_rare(session: Session, words: str) -> bool:
    """Whether at most RARE tweets hold every word."""
    some = matching_tweets(session, words).limit(RARE + 1).subquery()
    return (session.scalar(select(func.count()).select_from(some)) or 0) <= RARE


def _select_matching(sqlite: bool, words: str) -> Select[int]:
    wanted = [*dict.fromkeys(split_words(words))]
    if sqlite:
        index = table(WORDS, column("rowid"), column(WORDS, String))
        return select(index.c.rowid).where(index.c[WORDS].match(" ".join(f'"{word}"' for word in wanted)))
    index = table(WORDS, column("tweet"), column("words", TSVECTOR))
    query = " & ".join("'" + word + "'" for word in wanted)
    return select(index.c.tweet).where(index.c.words.bool_op("@@")(cast(query, TSQUERY)))


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"
