"""Pairs that an int8 encoder is made from: some give the ranges of its activations, others its labels are tried on."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from itrp.data.inputs import ShardFile
from itrp.data.shards import iter_batches
from itrp.files import write_atomically

CALIBRATED = 64
"""Pairs that give the ranges."""
TRIED = 100
"""Pairs that labels are compared on."""


@dataclass(frozen=True)
class Calibration:
    """Pairs of the data that the models were trained on: real ones, because ranges of other pictures would clip theirs."""

    pairs: ShardFile
    trial: ShardFile
    """None of the pairs above."""
    folder: Path
    """Where encoders in int8 are kept: making one takes half a minute."""

    @property
    def name(self) -> str:
        """8 hex digits: equal for equal pairs."""
        return self.pairs.hash[:8]


def draw_calibration(shard: ShardFile, folder: Path) -> Calibration | None:
    """The first rows of a shard, those for the ranges first; a small shard's are shared out alike. None for a single pair."""
    few = min(shard.pairs, CALIBRATED + TRIED)
    if few < 2:
        return None
    cut = max(1, few * CALIBRATED // (CALIBRATED + TRIED))
    return Calibration(_keep_rows(shard, 0, cut, folder), _keep_rows(shard, cut, few, folder), folder)


def _keep_rows(shard: ShardFile, start: int, end: int, folder: Path) -> ShardFile:
    """These rows as a shard of their own, written when they are first asked for."""
    name = sha256(f"{shard.hash} {start} {end}".encode()).hexdigest()
    path = folder / f"{name}.parquet"
    if not path.exists():
        rows = pa.Table.from_batches([next(iter_batches(shard.path, batch_size=end))])
        with write_atomically(path) as draft:
            pq.write_table(rows.slice(start), draft)
    return ShardFile(name, path, end - start)
