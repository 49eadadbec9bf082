"""Entering tweets and labels in the index that people find tweets by; what is entered twice stands once."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from infra.catalog.queries import dialect_insert, insert_unless_there
from infra.catalog.review_tables import (
    IndexedLabelFile,
    IndexedShard,
    IndexedTweet,
    ModelPair,
    TweetLabel,
    to_microseconds,
)
from infra.catalog.tables import Dataset, LabelFile, Shard
from infra.catalog.words import add_words
from infra.errors import ReviewError

LANG_CHARACTERS = 32


class TweetEntry(NamedTuple):
    """A tweet of a shard, as the index takes it."""

    row: int
    tweet_id: str
    text: str
    created_at: datetime | None
    lang: str | None


class LabelEntry(NamedTuple):
    """A pair's label of a tweet, as the index takes it."""

    tweet_id: str
    relation: int
    """2 * text + image."""
    text_probability: float
    image_probability: float


def random_key(tweet_id: str) -> int:
    """The tweet's place in the fixed random order: the first 63 bits of SHA-256 of its id."""
    return int.from_bytes(hashlib.sha256(tweet_id.encode("utf-8", "surrogatepass")).digest()[:8]) >> 1


def pending_shards(session: Session, dataset: str | None = None) -> list[Shard]:
    """Shards whose tweets are not in the index, of one data set or all, in the order they came."""
    query = select(Shard).where(~exists().where(IndexedShard.shard_id == Shard.id)).order_by(Shard.id)
    if dataset is not None:
        query = query.join(Dataset).where(Dataset.name == dataset)
    return [*session.scalars(query)]


def pending_label_files(session: Session, dataset: str | None = None) -> list[LabelFile]:
    """Label files that are not in the index while their shards' tweets are, in the order they came."""
    query = (
        select(LabelFile)
        .join(IndexedShard, IndexedShard.shard_id == LabelFile.shard_id)
        .where(~exists().where(IndexedLabelFile.label_file_id == LabelFile.id))
        .order_by(LabelFile.id)
    )
    if dataset is not None:
        query = query.join(Shard, Shard.id == LabelFile.shard_id).join(Dataset).where(Dataset.name == dataset)
    return [*session.scalars(query)]


def enter_tweets(session: Session, shard: Shard, tweets: Sequence[TweetEntry]) -> int | None:
    """Enter all tweets of a shard and say how many; None when another process has entered them."""
    if not insert_unless_there(session, IndexedShard, ("shard_id",), {"shard_id": shard.id, "tweets": len(tweets)}):
        return None
    texts = {each.tweet_id: _clean(each.text) for each in tweets}
    rows = [
        {
            "dataset_id": shard.dataset_id,
            "tweet_id": each.tweet_id,
            "shard_id": shard.id,
            "row": each.row,
            "created_us": to_microseconds(each.created_at),
            "lang": each.lang[:LANG_CHARACTERS] if each.lang else None,
            "random_key": random_key(each.tweet_id),
            "text": texts[each.tweet_id],
        }
        for each in tweets
    ]
    if rows:
        session.execute(dialect_insert(session, IndexedTweet).on_conflict_do_nothing(), rows)
    entered = select(IndexedTweet.id, IndexedTweet.tweet_id).where(IndexedTweet.shard_id == shard.id)
    ids = {tweet_id: id_ for id_, tweet_id in session.execute(entered)}
    add_words(session, {id_: texts[tweet_id] for tweet_id, id_ in ids.items()})
    return len(ids)


def enter_labels(session: Session, file: LabelFile, labels: Sequence[LabelEntry]) -> int | None:
    """Enter all labels of a file and say how many; None when another process has entered them.

    Raises ReviewError, and is to be rolled back, when a label is of a tweet that the file's shard does not hold.
    """
    pair = find_or_add_pair(session, file.text_version, file.image_version)
    marker = {"label_file_id": file.id, "pair_id": pair.id, "labels": len(labels)}
    if not insert_unless_there(session, IndexedLabelFile, ("label_file_id",), marker):
        return None
    tweets = {
        tweet.tweet_id: tweet
        for tweet in session.execute(
            select(
                IndexedTweet.id,
                IndexedTweet.tweet_id,
                IndexedTweet.dataset_id,
                IndexedTweet.created_us,
                IndexedTweet.lang,
                IndexedTweet.random_key,
            ).where(IndexedTweet.shard_id == file.shard_id)
        )
    }
    strangers = [each.tweet_id for each in labels if each.tweet_id not in tweets]
    if strangers:
        raise ReviewError(
            f"expected labels of the shard's tweets in {file.key}, found {len(strangers)} of others, such as "
            f"{strangers[0]!r}: remove the file and its row in label_file, and score the shard again"
        )
    rows = [
        {
            "pair_id": pair.id,
            "tweet": tweets[each.tweet_id].id,
            "dataset_id": tweets[each.tweet_id].dataset_id,
            "relation": each.relation,
            "text_probability": each.text_probability,
            "image_probability": each.image_probability,
            "certainty": min(abs(each.text_probability - 0.5), abs(each.image_probability - 0.5)),
            "created_us": tweets[each.tweet_id].created_us,
            "lang": tweets[each.tweet_id].lang,
            "random_key": tweets[each.tweet_id].random_key,
        }
        for each in labels
    ]
    if rows:
        session.execute(dialect_insert(session, TweetLabel).on_conflict_do_nothing(), rows)
    return len(rows)


def find_or_add_pair(session: Session, text_version: str, image_version: str) -> ModelPair:
    """The pair of model versions, made if need be."""
    row = {"text_version": text_version, "image_version": image_version}
    insert_unless_there(session, ModelPair, ("text_version", "image_version"), row)
    return session.scalars(select(ModelPair).filter_by(**row)).one()


def _clean(text: str) -> str:
    """The text in characters that every database keeps: PostgreSQL has no NUL, and neither has lone surrogates."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
