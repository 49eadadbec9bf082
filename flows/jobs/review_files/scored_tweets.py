"""What a pair of models has labelled of a data set, read once: counts, days, and a few tweets drawn at random."""

import hashlib
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
from sqlalchemy import select

from flows.jobs.datasets import KnownData
from flows.platform import Platform
from infra.catalog.tables import LabelFile, Shard
from itrp.errors import WrongUseError
from itrp.labels import RELATIONS
from serving.errors import NotFoundError
from serving.files import local_file
from serving.labels import decode_labels

NEWEST = "newest"
EARLIEST = date(1990, 1, 1)
"""Times before this day, or after tomorrow, are somebody's mistake."""


@dataclass(frozen=True)
class ScoredData:
    """Label files of one pair of versions."""

    known: KnownData
    text_version: str
    image_version: str
    files: tuple[tuple[Shard, LabelFile], ...]
    """By the shards' positions."""
    unlabelled: int
    """Shards of the data set that the pair has not labelled."""
    run: str
    """The flow run that they are restricted to; empty for all."""

    @property
    def scored(self) -> tuple[datetime, datetime]:
        """When the first and the last one was written."""
        times = [file.scored_at for _, file in self.files]
        return min(times), max(times)


@dataclass(frozen=True, order=True)
class Pick:
    """A tweet drawn at random, with the models' label."""

    place: bytes
    """Its place in an order that the seed alone decides."""
    tweet_id: str
    shard_key: str
    row: int
    label: dict[str, Any] = field(compare=False)


@dataclass
class Tally:
    """What the label files say."""

    counts: Counter[str] = field(default_factory=Counter)
    """Tweets by relation."""
    days: dict[date, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """The same by the day they were written, UTC."""
    undated: int = 0
    """Without a time that can be."""
    set_aside: int = 0
    picks: dict[str, list[Pick]] = field(default_factory=lambda: {code: [] for code in RELATIONS})
    """Tweets drawn at random, by relation."""

    @property
    def tweets(self) -> int:
        """With a label."""
        return self.counts.total()


def find_scored(
    platform: Platform, known: KnownData, version: tuple[str, str] | None = None, run: str | None = None
) -> ScoredData:
    """The label files of a pair (text, image version), by default of the one that has labelled last.

    run: only those of a flow run, "newest" for the last one's. Raises NotFoundError where there are none, WrongUseError
    where the last label was written without a flow.
    """
    query = select(Shard, LabelFile).join(LabelFile, LabelFile.shard_id == Shard.id)
    query = query.where(Shard.dataset_id == known.dataset.id).order_by(LabelFile.scored_at, LabelFile.id)
    with platform.catalog.session() as session:
        rows = [(shard, file) for shard, file in session.execute(query)]
    if run is not None:
        run = _find_run(rows, run)
        rows = [(shard, file) for shard, file in rows if file.flow_run_id == run]
    there = dict.fromkeys((file.text_version, file.image_version) for _, file in rows)
    chosen = version or next(reversed(there), ("", ""))
    files = [(shard, file) for shard, file in rows if (file.text_version, file.image_version) == chosen]
    if not files:
        raise NotFoundError(_explain_missing(known.dataset.name, there, version, run))
    files.sort(key=lambda each: each[0].position)
    return ScoredData(known, *chosen, tuple(files), len(known.shards) - len(files) if run is None else 0, run or "")


def tally(platform: Platform, scored: ScoredData, *, seed: int, shown: int) -> Tally:
    """Read the label files and the tweets' times; `shown` tweets of each relation are drawn by the seed."""
    found, drawn = Tally(), {code: list[tuple[int, Pick]]() for code in RELATIONS}
    latest = datetime.now(UTC).date() + timedelta(1)
    for shard, file in scored.files:
        found.set_aside += file.set_aside
        for row, label, moment in _read_shard(platform, shard, file):
            code = label["relation"]
            found.counts[code] += 1
            if moment is None or not EARLIEST <= moment.date() <= latest:
                found.undated += 1
            else:
                found.days[moment.date()][code] += 1
            place = hashlib.sha256(f"{seed}:{label['id']}".encode()).digest()
            _keep(drawn[code], Pick(place, label["id"], shard.key, row, label), shown)
    found.picks = {code: sorted(pick for _, pick in picks) for code, picks in drawn.items()}
    return found


def _find_run(rows: Sequence[tuple[Shard, LabelFile]], run: str) -> str:
    if run != NEWEST:
        return run
    newest = rows[-1][1].flow_run_id if rows else None
    if rows and newest is None:
        raise WrongUseError("the last labels were written without a flow run: leave out --run, or name one")
    return newest or ""


def _explain_missing(
    data: str, there: dict[tuple[str, str], None], version: tuple[str, str] | None, run: str | None
) -> str:
    if version is not None and there:
        known = "; ".join(",".join(pair) for pair in there)
        return f"the pair {','.join(version)} has labelled nothing of {data!r}: there are {known}"
    if run:
        return f"the flow run {run!r} has labelled nothing of {data!r}: leave out --run"
    return f"nothing of {data!r} is labelled yet: run itrp score"


def _read_shard(
    platform: Platform, shard: Shard, file: LabelFile
) -> Iterator[tuple[int, dict[str, Any], datetime | None]]:
    """(row in the shard, label, time) of each labelled tweet."""
    labels = {row["id"]: row for row in decode_labels(platform.store.get(file.key)).to_pylist()}
    path = local_file(platform.store, shard.key, platform.settings.cache_dir / "objects")
    table = pq.read_table(path, columns=["id", "created_at"])
    for row, (tweet_id, moment) in enumerate(
        zip(table.column("id").to_pylist(), table.column("created_at").to_pylist(), strict=True)
    ):
        if tweet_id in labels:
            yield row, labels[tweet_id], moment


def _keep(heap: list[tuple[int, Pick]], pick: Pick, number: int) -> None:
    """Keep the first `number` picks by their places: a heap whose first entry is the last of them."""
    entry = (-int.from_bytes(pick.place, "big"), pick)
    if len(heap) < number:
        heapq.heappush(heap, entry)
    elif number and entry > heap[0]:
        heapq.heapreplace(heap, entry)
