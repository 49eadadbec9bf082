"""The index that people find tweets by, kept up with the shards and label files: each enters whole, in one transaction.

Only a shard's ids, texts, times and languages are read. What cannot be read keeps nothing else out, and is read again next time.
"""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyarrow as pa

from infra.catalog.database import Catalog
from infra.catalog.statistics import refresh_statistics
from infra.catalog.tables import LabelFile, Shard
from infra.catalog.tweet_entries import (
    LabelEntry,
    TweetEntry,
    enter_labels,
    enter_tweets,
    pending_label_files,
    pending_shards,
)
from infra.errors import CatalogError, InfraError
from infra.object_store import ObjectStore
from itrp.data.shards import iter_rows
from itrp.errors import ItrpError
from itrp.progress import Count, Progress, count_stage, ignore_progress
from serving.labels import decode_labels, read_set_aside_rows
from serving.outages import is_outage

logger = logging.getLogger(__name__)

COLUMNS = ("id", "text", "created_at", "lang")
UNREADABLE = (ItrpError, InfraError, pa.ArrowException, OSError, ValueError, KeyError)
"""What reading a damaged or missing object raises."""
Source = TypeVar("Source", Shard, LabelFile)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class IndexFailure:
    """A shard or label file that is not in the index, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one update has entered; what was in the index before is not counted."""

    shards: int
    tweets: int
    label_files: int
    labels: int
    set_aside: int
    """Tweets of these label files that have no label."""
    failures: tuple[IndexFailure, ...]


class _Labels(NamedTuple):
    labels: int
    set_aside: int


def update_index(
    catalog: Catalog, store: ObjectStore, progress: Progress = ignore_progress, *, dataset: str | None = None
) -> IndexReport:
    """Enter what the index does not hold yet, of one data set (by name) or all.

    Safe to kill, to repeat, and in several processes at once: each source enters once. Raises what an outage of the store or the
    catalog raises; a damaged or missing object is in the report.
    """
    failures: list[IndexFailure] = []
    with catalog.session() as session:
        shards = pending_shards(session, dataset)
    tweets = [
        *_entered(
            shards, partial(_enter_shard, catalog, store), failures, count_stage(progress, "index tweets", len(shards))
        )
    ]
    with catalog.session() as session:
        files = pending_label_files(session, dataset)
    labels = [
        *_entered(
            files,
            partial(_enter_label_file, catalog, store),
            failures,
            count_stage(progress, "index labels", len(files)),
        )
    ]
    if tweets or labels:
        refresh_statistics(catalog)
    return IndexReport(
        shards=len(tweets),
        tweets=sum(tweets),
        label_files=len(labels),
        labels=sum(each.labels for each in labels),
        set_aside=sum(each.set_aside for each in labels),
        failures=tuple(failures),
    )


def _entered(
    sources: Sequence[Source], enter: Callable[[Source], Result | None], failures: list[IndexFailure], count: Count
) -> Iterator[Result]:
    """What entering each source gave, those aside that cannot be read or that another process has entered."""
    for source in sources:
        try:
            result = enter(source)
        except UNREADABLE as error:
            if is_outage(error) or isinstance(error, CatalogError):
                raise
            failures.append(IndexFailure(source.key, " ".join(str(error).split()) or type(error).__name__))
            logger.warning("%s is not in the index: %s", source.key, error)
        else:
            if result is not None:
                yield result
        count(1)


def _enter_shard(catalog: Catalog, store: ObjectStore, shard: Shard) -> int | None:
    # read first: a transaction that waits for the store would keep every other writer out
    with _as_file(store, shard.key) as path:
        tweets = [
            TweetEntry(row, found["id"], found["text"], found["created_at"], found["lang"])
            for row, found in enumerate(iter_rows(path, COLUMNS))
        ]
    with catalog.session() as session:
        return enter_tweets(session, shard, tweets)


def _enter_label_file(catalog: Catalog, store: ObjectStore, file: LabelFile) -> _Labels | None:
    table = decode_labels(store.get(file.key))
    labels = [
        LabelEntry(
            found["id"],
            2 * found["text_is_represented"] + found["image_adds"],
            found["text_is_represented_probability"],
            found["image_adds_probability"],
        )
        for found in table.to_pylist()
    ]
    with catalog.session() as session:
        entered = enter_labels(session, file, labels)
    return None if entered is None else _Labels(entered, len(read_set_aside_rows(table)))


@contextmanager
def _as_file(store: ObjectStore, key: str) -> Iterator[Path]:
    """The object as a file: its own, or a copy for as long as the block lasts, so that its images need not be in memory."""
    path = store.local_path(key)
    if path is not None:
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=".parquet") as copy:
        with store.open(key) as source:
            shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        yield Path(copy.name)
