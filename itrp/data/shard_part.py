"""Some rows of a shard as a shard of their own: for what takes whole shards, and needs a few hundred pairs."""

from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from itrp.data.inputs import ShardFile
from itrp.data.shards import iter_batches
from itrp.files import write_atomically


def keep_rows(shard: ShardFile, start: int, end: int, folder: Path) -> ShardFile:
    """The rows from `start` to before `end` as a shard of their own in a folder, written when they are first asked for."""
    name = sha256(f"{shard.hash} {start} {end}".encode()).hexdigest()
    path = folder / f"{name}.parquet"
    if not path.exists():
        rows = pa.Table.from_batches([next(iter_batches(shard.path, batch_size=end))])
        with write_atomically(path) as draft:
            pq.write_table(rows.slice(start), draft)
    return ShardFile(name, path, end - start)
