"""Batch scoring: every shard gets one label file for a pinned pair of model versions, and then a row in the ledger."""

import logging
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from infra.catalog import Catalog
from infra.catalog_queries import record_label_file
from infra.object_store import ObjectStore
from infra.parallel import map_in_order, open_pool
from infra.tables import LabelFile, Shard
from itrp.errors import DataError
from itrp.inputs import ShardFile
from itrp.labels import Task
from itrp.stages import StageTimes
from serving.examples import find_examples
from serving.files import local_shards
from serving.labels import build_labels, count_relations, decode_labels, encode_labels, label_key
from serving.registry import ModelPair, Registry

if TYPE_CHECKING:
    from itrp.inference import Precision
    from itrp.inference_stream import Embedded
    from serving.labelling import ShardLabeller

logger = logging.getLogger(__name__)

Fetched: TypeAlias = tuple[Shard, ShardFile | None]


READ_AHEAD = 2
"""Shards fetched while one is computed."""
WRITTEN_BEHIND = 2
"""Shards whose label files are being written while the next is computed."""


@dataclass(frozen=True)
class ScoreReport:
    """What a scoring run did."""

    pairs: int
    shards: int
    text_version: str
    image_version: str
    counts: dict[str, int] = field(default_factory=dict)
    """Pairs by relation code."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds that each stage of the pipeline worked and waited, summed over its threads (`StageTimes.figures`)."""


class BatchScorer:
    """Labels shards with one pair of model versions. The models are loaded at the first shard, not before.

    precision: what `itrp.inference.choose_runtimes` takes. It is no part of a label file's key or bytes: where machines differ
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
        self.times = StageTimes()

    @cached_property
    def _labeller(self) -> "ShardLabeller":
        # imported late: torch takes seconds, and a run with nothing to label does not need it
        from serving.labelling import ShardLabeller

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

        Where a label file of this pair already lies, its labels count: the first writer wins.
        """
        (row,) = self.score_all([shard], flow_run_id)
        return row

    def score_all(self, shards: Iterable[Shard], flow_run_id: str | None = None) -> Iterator[LabelFile]:
        """`score` for shard after shard, in their order: the next ones are fetched and the last ones written meanwhile.

        Yields each ledger row once it is committed. What goes wrong with a shard is raised in its place: the shards before
        it are labelled.
        """
        began, pairs = time.perf_counter(), 0
        with open_pool(1) as fetching, open_pool(1) as writing:
            fetched = map_in_order(fetching, self._fetch, shards, ahead=READ_AHEAD)
            write = partial(self._write, flow_run_id=flow_run_id)
            with closing(self._compute(self._watch_fetching(fetched))) as computed:
                for row in map_in_order(writing, write, computed, ahead=WRITTEN_BEHIND):
                    pairs += row.pairs
                    yield row
        seconds = time.perf_counter() - began
        logger.info(
            "%d pairs in %.1f s, %.1f pairs/s; so far %s", pairs, seconds, pairs / seconds, self.times.describe()
        )

    def _key(self, shard: Shard) -> str:
        return label_key(shard.hash, self.pair.text.short, self.pair.image.short)

    def _fetch(self, shard: Shard) -> Fetched:
        """The shard's file, or none where its labels already lie."""
        with self.times.working("fetch"):
            labelled = self.store.stat(self._key(shard)) is not None
            return shard, None if labelled else local_shards(self.store, [shard], self.cache)[0]

    def _watch_fetching(self, fetched: Iterator[Fetched]) -> Iterator[Fetched]:
        while True:
            with self.times.waiting("read", "fetch"):
                item = next(fetched, None)
            if item is None:
                return
            yield item

    def _compute(self, fetched: Iterator[Fetched]) -> "Generator[tuple[Shard, Embedded | None]]":
        """Each shard with what the models' encoders make of it; None where it is labelled already."""
        order: deque[Fetched] = deque()

        def pick_files() -> Iterator[ShardFile]:
            for shard, file in fetched:
                order.append((shard, file))
                if file is not None:
                    yield file

        for embedded in self._embed(pick_files()):
            while order[0][1] is None:
                yield order.popleft()[0], None
            with self.times.waiting("read", "write"):
                yield order.popleft()[0], embedded
        yield from ((shard, None) for shard, _ in order)

    def _embed(self, files: Iterator[ShardFile]) -> "Iterator[Embedded]":
        """The models are asked for when there is a first file."""
        for file in files:
            yield from self._labeller.embed(chain([file], files))

    def _write(self, item: "tuple[Shard, Embedded | None]", *, flow_run_id: str | None) -> LabelFile:
        shard, embedded = item
        with self.times.working("write"):
            key = self._key(shard)
            if embedded is not None:
                self.store.put_if_absent(key, encode_labels(self._label(shard, embedded)))
            return self._record(shard, key, flow_run_id)

    def _record(self, shard: Shard, key: str, flow_run_id: str | None) -> LabelFile:
        """Enter in the ledger what lies at the key, whoever wrote it."""
        data = self.store.get(key)
        table = decode_labels(data)
        if table.num_rows != shard.pairs:
            raise DataError(
                f"{key} holds {table.num_rows} labels, but its shard holds {shard.pairs} pairs: remove the file and score again"
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
                flow_run_id=flow_run_id,
            )
        logger.info("labelled shard %s: %d pairs", shard.hash[:12], table.num_rows)
        return row

    def _label(self, shard: Shard, embedded: "Embedded") -> pa.Table:
        ids, probabilities = self._labeller.finish(embedded)
        return build_labels(
            ids,
            probabilities[Task.TEXT],
            probabilities[Task.IMAGE],
            shard=shard.hash,
            text_version=self.pair.text.short,
            image_version=self.pair.image.short,
        )


def summarise(rows: Sequence[LabelFile], pair: ModelPair, times: StageTimes | None = None) -> ScoreReport:
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
        stages=times.figures() if times else {},
    )
