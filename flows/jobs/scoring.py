"""Which shards a scoring run labels, with which models: the champions' pair against the ledger. No Prefect in here."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from flows.jobs.datasets import LANDING
from flows.jobs.ingestion.report import IngestReport
from flows.platform import Platform
from infra.catalog.queries import set_aside_by, unlabelled_shards
from infra.catalog.tables import LabelFile, Shard
from serving.champions import Champions, find_champions
from serving.registry import ModelPair
from serving.scorer import BatchScorer, ScoreReport

LISTED = 20
"""Tweets named one by one in a report."""


@dataclass(frozen=True)
class ScoringReport(ScoreReport):
    """What a scoring run did, with the ingestion it began with."""

    ingested: IngestReport = field(default_factory=IngestReport)
    warnings: list[str] = field(default_factory=list)
    """What somebody has to see to, though the run has done its work."""
    set_aside_tweets: list[dict[str, str]] = field(default_factory=list)
    """The first LISTED of the tweets that could not be labelled: tweet, shard, row, code, reason."""

    @property
    def telling(self) -> list[str]:
        """A line for each of these tweets."""
        return [f"{each['tweet']} in shard {each['shard'][:12]}: {each['reason']}" for each in self.set_aside_tweets]


def pin_champions(platform: Platform) -> Champions:
    """The champions as they are now: an alias that moves during the run changes nothing in it.

    Raises NotReadyError when a task has no champion yet, or none with class names.
    """
    return find_champions(platform.registry, platform.catalog)


def open_scorer(platform: Platform, pair: ModelPair) -> BatchScorer:
    """A scorer of the platform's parts for a pair of versions."""
    settings = platform.settings
    return BatchScorer(
        platform.store,
        platform.catalog,
        platform.registry,
        pair,
        cache=settings.cache_dir,
        device=settings.device,
        precision=settings.precision,
    )


def pin_scorer(platform: Platform) -> BatchScorer:
    """`open_scorer` for the champions as they are now. Raises as `pin_champions`."""
    return open_scorer(platform, pin_champions(platform).pair)


def find_new(platform: Platform) -> list[Shard]:
    """Shards of the landing data set that no pair of versions has labelled, oldest first."""
    with platform.catalog.session() as session:
        return unlabelled_shards(session, LANDING)


def find_archive(platform: Platform, pair: ModelPair) -> list[Shard]:
    """Shards that other pairs have labelled and this one has not, newest first."""
    with platform.catalog.session() as session:
        behind = unlabelled_shards(session, LANDING, pair.text.short, pair.image.short)
        new = {shard.id for shard in unlabelled_shards(session, LANDING)}
    return [shard for shard in reversed(behind) if shard.id not in new]


def find_work(platform: Platform, pair: ModelPair, *, backfill: bool) -> list[Shard]:
    """`find_new`; with `backfill`, `find_archive` after it: new tweets do not wait behind old ones."""
    return [*find_new(platform), *(find_archive(platform, pair) if backfill else [])]


def list_set_aside(platform: Platform, rows: Sequence[LabelFile]) -> list[dict[str, str]]:
    """The first tweets that have no label in these label files, and why."""
    with platform.catalog.session() as session:
        found = set_aside_by(session, [row.id for row in rows if row.set_aside][:LISTED])
    return [
        {
            "tweet": tweet.tweet_id, "shard": shard.hash, "row": str(tweet.row), "code": tweet.code, "reason": tweet.reason,
        }
        for tweet, shard in found[:LISTED]
    ]  # fmt: skip


class Backlog:
    """What a run has yet to label, a group at a time. Shards that come meanwhile go before the archive."""

    def __init__(self, platform: Platform, new: Sequence[Shard], archive: Sequence[Shard] = ()) -> None:
        self.shards = {shard.id: shard for shard in (*new, *archive)}
        """Everything the run has taken on, what is labelled included."""
        self.archive = len(archive)
        """How many of them other pairs have labelled."""
        self._platform = platform
        self._waiting = deque([*new, *archive])
        self._taken = 0

    @property
    def total(self) -> int:
        """Shards the run has taken on so far."""
        return len(self.shards)

    def take(self, size: int) -> list[Shard]:
        """The next shards, at most `size`; none when all is done. A shard is given out once, whatever becomes of it."""
        if self._taken:
            self._add_new()
        group = [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]
        self._taken += len(group)
        return group

    def _add_new(self) -> None:
        new = [shard for shard in find_new(self._platform) if shard.id not in self.shards]
        self.shards.update((shard.id, shard) for shard in new)
        self._waiting.extendleft(reversed(new))
