"""Batch scoring: every shard gets one label file for a pinned pair of model versions, and then a row in the ledger."""

import logging
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from infra.catalog.database import Catalog
from infra.catalog.queries import record_label_file
from infra.catalog.tables import LabelFile, Shard
from infra.errors import InfraError
from infra.object_store import ObjectStore
from infra.parallel import map_in_order, open_pool
from itrp.data.inputs import ShardFile
from itrp.errors import DataError, ItrpError
from itrp.inference.timings import PipelineTimings
from itrp.labels import Task
from serving.files import find_examples, local_shards
from serving.labels import (
    build_labels,
    count_relations,
    decode_labels,
    encode_labels,
    label_key,
    read_set_aside_rows,
)
from serving.outages import is_outage
from serving.registry import ModelPair, Registry

if TYPE_CHECKING:
    from itrp.inference.pipeline import Embedded
    from itrp.inference.runtimes import Precision
    from serving.labeller import ShardLabeller

logger = logging.getLogger(__name__)


PATIENCE = 10
"""Failed shards after which a run ends early: by then it is not the shards."""
READ_AHEAD = 2
"""Shards fetched while one is computed."""
WRITTEN_BEHIND = 2
"""Shards whose label files are being written while the next is computed."""


class ShardsFailedError(ItrpError):
    """Shards that could not be labelled. All others of the run are: files and ledger."""

    def __init__(self, faults: Mapping[str, str], shards: int) -> None:
        early = "; the run ended early" if len(faults) >= PATIENCE else "; the others have labels"
        told = next(f"shard {shard[:12]}: {fault}" for shard, fault in faults.items())
        super().__init__(f"{len(faults)} of {shards} shards could not be labelled{early}. First: {told}")


@dataclass(frozen=True)
class ScoreReport:
    """What a scoring run did."""

    pairs: int
    """Tweets labelled."""
    shards: int
    text_version: str
    image_version: str
    counts: dict[str, int] = field(default_factory=dict)
    """Pairs by relation code."""
    set_aside: int = 0
    """Tweets in these shards that could not be labelled; the catalog tells which, and why."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds that each stage of the pipeline worked and waited, summed over its threads (`PipelineTimings.figures`)."""


class BatchScorer:
    """Labels shards with one pair of model versions. The models are loaded at the first shard, not before.

    precision: what `itrp.inference.runtimes.choose_runtimes` takes. It is no part of a label file's key or bytes:
    where machines differ
    in what they can do, they may differ about tweets near the boundary, and the first writer's labels count. On one kind of
    machine a shard has the same bytes whenever it is labelled.
    """

    def __init__(
        self,
        store: ObjectStore,
        catalog: Catalog,
        registry: Registry,
        pair: ModelPair,
        *,
        cache: Path,
        device: str,
        precision: "Precision" = "auto",
    ) -> None:
        self.store = store
        self.catalog = catalog
        self.registry = registry
        self.pair = pair
        self.cache = cache
        self.device = device
        self.precision = precision
        self.times = PipelineTimings()

    @cached_property
    def _labeller(self) -> "ShardLabeller":
        # imported late: torch takes seconds, and a run with nothing to label does not need it
        from serving.labeller import ShardLabeller

        folders = {Task.TEXT: self.registry.fetch(self.pair.text), Task.IMAGE: self.registry.fetch(self.pair.image)}
        return ShardLabeller(
            folders,
            cache=self.cache,
            device=self.device,
            precision=self.precision,
            examples=partial(find_examples, self.store, self.catalog, self.pair.text, self.cache),
            times=self.times,
        )

    def score(self, shard: Shard, flow_run_id: str | None = None) -> LabelFile:
        """Label one shard: the file first, then the ledger, so that a kill between the two repeats nothing and loses nothing.

        Where a label file of this pair already lies, its labels count: the first writer wins. Raises what goes wrong with it.
        """
        (turn,) = self._run([shard], flow_run_id)
        return turn.result()

    def score_all(
        self, shards: Iterable[Shard], flow_run_id: str | None = None, faults: "dict[str, str] | None" = None
    ) -> Iterator[LabelFile]:
        """`score` for shard after shard, in their order: the next ones are fetched and the last ones written meanwhile.

        Yields each ledger row once it is committed. A shard that cannot be labelled keeps none of the others from it: it is
        entered in `faults` (hash -> what is wrong), which a caller who gives them looks at; otherwise ShardsFailedError is
        raised at the end, and in any case after PATIENCE of them. An outage is raised at once.
        """
        began, pairs, count, found = time.perf_counter(), 0, 0, {} if faults is None else faults
        with closing(self._run(shards, flow_run_id)) as turns:
            for turn in turns:
                count += 1
                if turn.row is not None:
                    found.pop(turn.shard.hash, None)
                    pairs += turn.row.pairs
                    yield turn.row
                    continue
                found[turn.shard.hash] = explain_fault(turn.shard, turn.error)
                if len(found) >= PATIENCE:
                    raise ShardsFailedError(found, count)
        seconds = time.perf_counter() - began
        logger.info(
            "%d pairs in %.1f s, %.1f pairs/s; so far %s", pairs, seconds, pairs / seconds, self.times.describe()
        )
        if found and faults is None:
            raise ShardsFailedError(found, count)

    def _run(self, shards: Iterable[Shard], flow_run_id: str | None) -> "Generator[_Turn]":
        """Each shard's turn, over. Raises outages, and what has to do with the models."""
        with open_pool(1) as fetching, open_pool(1) as writing:
            turns = (_Turn(shard) for shard in shards)
            fetched = map_in_order(fetching, self._fetch, turns, ahead=READ_AHEAD)
            write = partial(self._write, flow_run_id=flow_run_id)
            with closing(self._compute(self._watch_fetching(fetched))) as computed:
                yield from map_in_order(writing, write, computed, ahead=WRITTEN_BEHIND)

    def _key(self, shard: Shard) -> str:
        return label_key(shard.hash, self.pair.text.short, self.pair.image.short)

    def _fetch(self, turn: "_Turn") -> "_Turn":
        """With the shard's file, or none where its labels already lie."""
        with self.times.working("fetch"), turn.blaming():
            if self.store.stat(self._key(turn.shard)) is None:
                turn.file = local_shards(self.store, [turn.shard], self.cache)[0]
        return turn

    def _watch_fetching(self, fetched: "Iterator[_Turn]") -> "Iterator[_Turn]":
        while True:
            with self.times.waiting("read", "fetch"):
                item = next(fetched, None)
            if item is None:
                return
            yield item

    def _compute(self, fetched: "Iterator[_Turn]") -> "Generator[_Turn]":
        """With what the models' encoders make of each; nothing where it is labelled already."""
        order: deque[_Turn] = deque()

        def pick_files() -> Iterator[ShardFile]:
            for turn in fetched:
                order.append(turn)
                if turn.file is not None:
                    yield turn.file

        for embedded in self._embed(pick_files()):
            while order[0].file is None:
                yield order.popleft()
            order[0].embedded = embedded
            with self.times.waiting("read", "write"):
                yield order.popleft()
        yield from order

    def _embed(self, files: Iterator[ShardFile]) -> "Iterator[Embedded]":
        """The models are asked for when there is a first file."""
        for file in files:
            yield from self._labeller.embed(chain([file], files))

    def _write(self, turn: "_Turn", *, flow_run_id: str | None) -> "_Turn":
        with self.times.working("write"), turn.blaming():
            if turn.error is None:
                key = self._key(turn.shard)
                if turn.embedded is not None:
                    self.store.put_if_absent(key, encode_labels(self._label(turn.shard, turn.embedded)))
                turn.row = self._record(turn.shard, key, flow_run_id)
        turn.embedded = None
        return turn

    def _record(self, shard: Shard, key: str, flow_run_id: str | None) -> LabelFile:
        """Enter in the ledger what lies at the key, whoever wrote it."""
        data = self.store.get(key)
        table = decode_labels(data)
        set_aside = read_set_aside_rows(table)
        if table.num_rows + len(set_aside) != shard.pairs:
            besides = f" and lists {len(set_aside)} tweets without one" if set_aside else ""
            raise DataError(
                f"{key} holds {table.num_rows} labels{besides}, but its shard holds {shard.pairs} pairs: remove the file and "
                "score again"
            )
        with self.catalog.session() as session:
            row = record_label_file(
                session,
                shard_id=shard.id,
                text_version=self.pair.text.short,
                image_version=self.pair.image.short,
                key=key,
                sha256=sha256(data).hexdigest(),
                pairs=table.num_rows,
                counts=count_relations(table),
                set_aside=[asdict(each) for each in set_aside],
                flow_run_id=flow_run_id,
            )
        logger.info("labelled shard %s: %d pairs", shard.hash[:12], table.num_rows)
        for each in set_aside:
            where = (each.tweet_id, each.row, shard.hash[:12], each.reason)
            logger.warning("tweet %s (row %d of shard %s) gets no labels: %s", *where)
        return row

    def _label(self, shard: Shard, embedded: "Embedded") -> pa.Table:
        ids, probabilities, set_aside = self._labeller.finish(embedded)
        return build_labels(
            ids,
            probabilities[Task.TEXT],
            probabilities[Task.IMAGE],
            shard=shard.hash,
            text_version=self.pair.text.short,
            image_version=self.pair.image.short,
            set_aside=set_aside,
        )


@dataclass
class _Turn:
    """A shard on its way through the scorer."""

    shard: Shard
    file: ShardFile | None = None
    embedded: "Embedded | None" = None
    row: LabelFile | None = None
    error: Exception | None = None

    @contextmanager
    def blaming(self) -> Iterator[None]:
        """What the block raises is this shard's fault, unless a server is away: then it says nothing about the shard."""
        try:
            yield
        except Exception as error:
            if is_outage(error):
                raise
            self.error = error

    def result(self) -> LabelFile:
        """The ledger's row, or what kept the shard from having it."""
        if self.error is not None:
            raise self.error
        assert self.row is not None
        return self.row


def explain_fault(shard: Shard, error: Exception | None) -> str:
    """One line for a person; what is not meant for people is named by its kind, and its traceback logged."""
    told = isinstance(error, ItrpError | InfraError)
    logger.error("cannot label shard %s: %s", shard.hash[:12], error, exc_info=None if told else error)
    return f"{'' if told else f'{type(error).__name__}: '}{error}"


def summarise(rows: Sequence[LabelFile], pair: ModelPair, times: PipelineTimings | None = None) -> ScoreReport:
    """The report of a run that wrote these ledger rows; `times`: of the scorer that did."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row.counts)
    return ScoreReport(
        pairs=sum(row.pairs for row in rows),
        shards=len(rows),
        text_version=pair.text.short,
        image_version=pair.image.short,
        counts=dict(sorted(counts.items())),
        set_aside=sum(row.set_aside or 0 for row in rows),
        stages=times.figures() if times else {},
    )
