"""A table of tweets in Python: its usable rows as shards on the disk, as training and prediction read them, and the others."""

import logging
import re
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from itrp.data.annotations import Annotations
from itrp.data.inputs import ShardFile
from itrp.data.pairs import Candidate, Pair, Rejection
from itrp.data.rejections import MissingImageError, RejectedError
from itrp.data.shards import encode_shard, shard_hash
from itrp.data.validation import check_candidate
from itrp.datasets.table import TableSource
from itrp.datasets.twitter100k import Twitter100kFolder
from itrp.errors import DataError
from itrp.files import make_folder, write_atomically

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

SHARD_PAIRS = 1000
"""Pairs of a shard: what is in memory at a time."""
CHECKED_TOGETHER = 64
"""Rows whose images are read and decoded together, by threads."""
TABLES = (".csv", ".tsv", ".parquet")
_OPTION = re.compile(r"--([a-z-]+) COLUMN")


@dataclass(frozen=True, eq=False)
class PairTable:
    """n usable pairs of a table of m rows."""

    index: "pd.Index" = field(repr=False)
    """[m] names of the table's rows: a frame's index, else 0 to m - 1. Predictions have it."""
    shards: tuple[ShardFile, ...] = field(repr=False)
    """The pairs, in the table's order."""
    rows: NDArray[np.int64] = field(repr=False)
    """[n] the place in the table of each pair."""
    rejections: tuple[Rejection, ...]
    """Why the other rows are no pairs; `line` counts rows from 1."""
    annotations: Annotations | None = field(repr=False)
    """[n] human labels, from the columns text_is_represented, image_adds and split; None without them."""
    folder: Path
    """Holds the shards, and what is computed from them."""
    _temporary: "tempfile.TemporaryDirectory[str] | None" = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def rejected(self) -> "pd.DataFrame":
        """A row for each rejected one, under its name in `index`: code (`itrp.data.rejections.REASONS`) and reason."""
        import pandas as pd

        places = [each.line - 1 for each in self.rejections]
        told = {
            "code": [each.code for each in self.rejections],
            "reason": [each.reason for each in self.rejections],
        }
        return pd.DataFrame(told, index=self.index[places], dtype=object)


def read_pairs(
    table: "pd.DataFrame | Path | str",
    *,
    text: str | None = None,
    image: str | None = None,
    id: str | None = None,
    created_at: str | None = None,
    folder: Path | str | None = None,
    cache: Path | str | None = None,
) -> PairTable:
    """Check every row of a table as ingestion does, and keep the usable ones.

    table: a pandas frame, or a CSV, TSV or Parquet file, with columns of texts and of images (a file's name or path; in a frame
    also its bytes), and as it may be ids, times, and labels (text_is_represented, image_adds: 1, 0 or nothing; split: train
    or test); or a folder that holds one such file, or Twitter100k's text.txt and images/. text, image, id, created_at: names
    of columns; those not given are guessed from the usual names, and without ids rows are numbered. folder: where relative
    names of images start; by default the file's folder, for a frame the working directory. cache: a folder that keeps the
    pairs and what is computed from them for another session; by default a temporary one, which goes with the result.

    A row that is no pair is reported (log, `rejected`) and does not stop the others. Raises ColumnError for a column that
    cannot be told, DataError for a table that cannot be read, or of which no row is usable.
    """
    columns = {"text": text, "image": image, "id": id, "created_at": created_at}
    try:
        source = _open_source(table, columns, Path(folder) if folder is not None else None)
        temporary = tempfile.TemporaryDirectory(prefix="itrp-pairs-") if cache is None else None
        keeper = Path(temporary.name if temporary is not None else cache or "")
        return _keep_pairs(table, source, keeper, temporary)
    except DataError as error:  # its next step is told to users of the command line
        raise type(error)(_OPTION.sub(lambda option: f"{option[1].replace('-', '_')}=COLUMN", str(error))) from None


def _open_source(
    table: "pd.DataFrame | Path | str", columns: dict[str, str | None], folder: Path | None
) -> TableSource | Twitter100kFolder:
    if isinstance(table, str | Path) and Path(table).is_dir():
        place = Path(table)
        if (place / "text.txt").is_file():
            return Twitter100kFolder(place)
        tables = sorted(path for path in place.iterdir() if path.suffix.lower() in TABLES)
        if len(tables) != 1:
            found = ", ".join(path.name for path in tables) or "none"
            raise DataError(
                f"expected one table ({', '.join(TABLES)}) in {place}, found {found}: give the table's own path"
            )
        table = tables[0]
    return TableSource(table, **columns, folder=folder, numbered=True)


def _keep_pairs(
    table: "pd.DataFrame | Path | str",
    source: TableSource | Twitter100kFolder,
    folder: Path,
    temporary: "tempfile.TemporaryDirectory[str] | None",
) -> PairTable:
    import pandas as pd

    rows: list[int] = []
    rejections: list[Rejection] = []
    shards = tuple(_write_shards(_accept(_check_rows(source), rows, rejections), folder))
    index = table.index if isinstance(table, pd.DataFrame) else pd.RangeIndex(len(rows) + len(rejections))
    if rejections:
        first = rejections[0]
        told = f"row {index[first.line - 1]}: {first.code}: {first.reason}"
        if not rows:
            raise DataError(
                f"expected usable rows in {source.label_path}, found none of {len(rejections)}; {told}. Correct the table; where "
                "images are not found, say with folder=FOLDER where their names start"
            )
        logger.warning(
            "%d of %d rows of %s are left out, `rejected` lists them; first: %s",
            len(rejections), len(index), source.label_path, told,
        )  # fmt: skip
    annotations = source.annotations()
    kept = np.array(rows, dtype=np.int64)
    return PairTable(
        index,
        shards,
        kept,
        tuple(rejections),
        annotations.take(kept) if annotations is not None else None,
        folder,
        temporary,
    )


def _check_rows(source: TableSource | Twitter100kFolder) -> Iterator[Pair | Rejection]:
    """What becomes of each row, in order; few images are in memory at a time."""

    def fetch(key: str) -> bytes:
        try:
            return source.read_image(key)
        except MissingImageError:
            raise RejectedError(
                "image_missing", f"expected an image at {key[:600]!r}, found no file: correct its name, or the folder"
            ) from None

    def check(record: Candidate | Rejection) -> Pair | Rejection:
        return record if isinstance(record, Rejection) else check_candidate(record, fetch)

    records = iter(source.candidates())
    with ThreadPoolExecutor() as pool:
        while together := [*islice(records, CHECKED_TOGETHER)]:
            yield from pool.map(check, together)


def _accept(outcomes: Iterable[Pair | Rejection], rows: list[int], rejections: list[Rejection]) -> Iterator[Pair]:
    """The pairs, of several with one id the first; their places go to `rows`, all else to `rejections`."""
    lines: dict[str, int] = {}
    for outcome in outcomes:
        if isinstance(outcome, Rejection):
            rejections.append(outcome)
        elif outcome.id in lines:
            reason = (
                f"expected every id once, found {outcome.id} again, after row {lines[outcome.id]}: drop one of the two"
            )
            rejections.append(Rejection(outcome.source, outcome.line, "id_conflict", reason, outcome.id))
        else:
            lines[outcome.id] = outcome.line
            rows.append(outcome.line - 1)
            yield outcome


def _write_shards(pairs: Iterator[Pair], folder: Path) -> Iterator[ShardFile]:
    make_folder(folder / "shards")
    while together := [*islice(pairs, SHARD_PAIRS)]:
        data = encode_shard(together)
        name = shard_hash(data)
        path = folder / "shards" / f"{name}.parquet"
        if not path.exists():
            with write_atomically(path) as draft:
                draft.write_bytes(data)
        yield ShardFile(name, path, len(together))
