"""A scoring run: new tweets ingested, champions pinned once, every unlabelled shard labelled."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from flows.jobs.datasets import LANDING, find_data
from flows.jobs.ingestion.report import IngestReport
from flows.jobs.ingestion.run import run_ingestion
from flows.platform import Platform
from infra.catalog.database import Catalog
from infra.catalog.queries import set_aside_by, unlabelled_shards
from infra.catalog.tables import LabelFile, Shard
from itrp.progress import ProgressBar
from itrp.training.health import find_same_labels
from serving.champions import Champions, find_champions
from serving.ray_scorer import score_on_ray
from serving.registry import ModelPair, Registry
from serving.scorer import BatchScorer, ScoreReport, ShardsFailedError, summarise

logger = logging.getLogger(__name__)

Engine = Literal["local", "ray"]
Keep = Callable[[LabelFile], None]
"""Called with each ledger row once it is committed."""

GROUP_SHARDS = 25
"""Shards that are labelled in one step: one after the other without a gap, and one task run in Prefect's database for them."""
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
    def set_aside_lines(self) -> list[str]:
        """A line for each of these tweets."""
        return [f"{each['tweet']} in shard {each['shard'][:12]}: {each['reason']}" for each in self.set_aside_tweets]


class ScoringSteps:
    """How a run takes its steps: one after the other. The flow takes them as Prefect tasks, and shows and emits what is done."""

    def ingest(self, platform: Platform) -> IngestReport:
        """Store what is new in the landing zone."""
        return run_ingestion(platform.store, platform.catalog)

    def pin(self, platform: Platform, data: str, *, backfill: bool) -> "tuple[Champions, Backlog]":
        """Choose models and shards."""
        return pin_work(platform.registry, platform.catalog, data, backfill=backfill)

    def begin(self, backlog: "Backlog") -> None:
        """Called once it is known what is to be labelled."""

    def take(self, backlog: "Backlog") -> list[Shard]:
        """The next group to label, what has come in meanwhile first."""
        return backlog.take(GROUP_SHARDS)

    def list_set_aside(self, catalog: Catalog, rows: Sequence[LabelFile]) -> list[dict[str, str]]:
        """The first tweets without a label, and why."""
        return list_set_aside(catalog, rows)

    def label(
        self, scorer: BatchScorer, shards: Sequence[Shard], what: str, keep: Keep, faults: dict[str, str]
    ) -> None:
        """Label a group and keep each ledger row; shards that cannot be labelled are entered in `faults`."""
        label_shards(scorer, shards, keep, faults)

    def show(self, done: int, total: int) -> None:
        """Called with the shards labelled so far."""

    def end(
        self,
        platform: Platform,
        champions: Champions,
        backlog: "Backlog",
        rows: Sequence[LabelFile],
        report: ScoringReport,
    ) -> None:
        """Called with what was done, also where some shards could not be labelled."""


def run_scoring(
    platform: Platform,
    backfill: bool = False,
    engine: Engine = "local",
    ray_address: str | None = None,
    data: str | None = None,
    *,
    flow_run_id: str | None = None,
    steps: ScoringSteps | None = None,
) -> ScoringReport:
    """Label every newly collected tweet once, and then the archive as far as the champions have not labelled it.

    What is to be done follows from the champions' pair and the ledger alone: whatever killed a run, the next one goes on.
    The arguments are those of the flow `score-tweets`. Raises NotReadyError without champions, NotFoundError for a data set
    that there is not, ShardsFailedError at the end where shards could not be labelled, and in any case after too many of them.
    """
    steps = steps or ScoringSteps()
    if data is not None:
        find_data(platform.catalog, data)
    ingested = steps.ingest(platform) if data is None else IngestReport()
    asked_for = backfill or data is not None or platform.settings.backfill
    champions, backlog = steps.pin(platform, data or LANDING, backfill=asked_for)
    logger.info("champions: %s", champions.pair)
    steps.begin(backlog)
    scorer, rows, bar = open_scorer(platform, champions.pair), dict[int, LabelFile](), ProgressBar()

    def keep(row: LabelFile) -> None:
        rows[row.shard_id] = row  # a step that is tried again tells of a shard twice
        bar("shards labelled", len(rows), backlog.total)
        steps.show(len(rows), backlog.total)

    failure = None
    try:
        if engine == "ray":
            # no step of its own: Ray has its own retries, and its workers may be many machines
            work = backlog.take(backlog.total)
            for row in score_on_ray(platform.settings, scorer.pair, work, flow_run_id, address=ray_address):
                keep(row)
        else:
            _label_groups(scorer, backlog, steps, keep)
    except ShardsFailedError as error:
        failure = error
    finally:
        bar.close()
    set_aside = (
        steps.list_set_aside(platform.catalog, [*rows.values()]) if any(r.set_aside for r in rows.values()) else []
    )
    report = _report(scorer, champions, [*rows.values()], ingested, set_aside)
    steps.end(platform, champions, backlog, [*rows.values()], report)
    if failure is not None:
        raise failure
    return report


def label_shards(
    scorer: BatchScorer,
    shards: Sequence[Shard],
    keep: Keep,
    faults: dict[str, str],
    flow_run_id: str | None = None,
) -> None:
    """Label shards one after the other, each file first and its ledger row second; called again, it skips what is labelled."""
    for row in scorer.score_all(shards, flow_run_id, faults):
        keep(row)


def pin_work(registry: Registry, catalog: Catalog, data: str, *, backfill: bool) -> "tuple[Champions, Backlog]":
    """The pair of versions this run keeps to, whatever happens to the aliases meanwhile, and its shards."""
    champions = find_champions(registry, catalog)
    work, archive = find_new(catalog, data), find_archive(catalog, champions.pair, data)
    if archive:
        _log_archive(champions, len(work), len(archive), backfill)
    return champions, Backlog(catalog, work, archive if backfill else (), data)


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


def find_new(catalog: Catalog, data: str = LANDING) -> list[Shard]:
    """Shards of a data set that no pair of versions has labelled, oldest first."""
    with catalog.session() as session:
        return unlabelled_shards(session, data)


def find_archive(catalog: Catalog, pair: ModelPair, data: str = LANDING) -> list[Shard]:
    """Shards that other pairs have labelled and this one has not, newest first."""
    with catalog.session() as session:
        behind = unlabelled_shards(session, data, pair.text.short, pair.image.short)
        new = {shard.id for shard in unlabelled_shards(session, data)}
    return [shard for shard in reversed(behind) if shard.id not in new]


def list_set_aside(catalog: Catalog, rows: Sequence[LabelFile]) -> list[dict[str, str]]:
    """The first tweets that have no label in these label files, and why."""
    with catalog.session() as session:
        found = set_aside_by(session, [row.id for row in rows if row.set_aside][:LISTED])
    return [
        {
            "tweet": tweet.tweet_id, "shard": shard.hash, "row": str(tweet.row), "code": tweet.code, "reason": tweet.reason,
        }
        for tweet, shard in found[:LISTED]
    ]  # fmt: skip


class Backlog:
    """What a run has yet to label, a group at a time. Shards that come meanwhile go before the archive."""

    def __init__(
        self, catalog: Catalog, new: Sequence[Shard], archive: Sequence[Shard] = (), data: str = LANDING
    ) -> None:
        self.shards = {shard.id: shard for shard in (*new, *archive)}
        """Everything the run has taken on, what is labelled included."""
        self.archive = len(archive)
        """How many of them other pairs have labelled."""
        self._catalog = catalog
        self._data = data
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
        new = [shard for shard in find_new(self._catalog, self._data) if shard.id not in self.shards]
        self.shards.update((shard.id, shard) for shard in new)
        self._waiting.extendleft(reversed(new))


def _label_groups(scorer: BatchScorer, backlog: Backlog, steps: ScoringSteps, keep: Keep) -> None:
    """Group after group. Raises ShardsFailedError at the end, or when too many shards have failed."""
    faults: dict[str, str] = {}
    first = 1
    while group := steps.take(backlog):
        what = f"shards {first} to {first + len(group) - 1} of {backlog.total}"
        steps.label(scorer, group, what, keep, faults)
        first += len(group)
    if faults:
        raise ShardsFailedError(faults, backlog.total)


def _report(
    scorer: BatchScorer,
    champions: Champions,
    rows: Sequence[LabelFile],
    ingested: IngestReport,
    set_aside: list[dict[str, str]],
) -> ScoringReport:
    summary = summarise(rows, scorer.pair, scorer.times)
    same = find_same_labels(summary.counts, names=(str(scorer.pair.text), str(scorer.pair.image)))
    if same is not None:
        logger.warning("%s", same)
    return ScoringReport(
        **vars(summary),
        ingested=ingested,
        warnings=[*map(str, champions.stopgaps), *([str(same)] if same else [])],
        set_aside_tweets=set_aside,
    )


def _log_archive(champions: Champions, new: int, archive: int, backfill: bool) -> None:
    behind = f"{archive} shards of the archive have labels of older pairs and none of this one ({champions.pair})"
    after = f": scoring labels them after the {new} new ones; ITRP_BACKFILL=false keeps scoring to new shards"
    logger.info("%s%s", behind, after if backfill else ": `itrp score --backfill` labels them")
