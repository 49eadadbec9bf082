"""`itrp export`: labels joined with the tweets, and with what people say of them, as one file."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.jobs.datasets import LANDING, find_data
from flows.jobs.review_files.export_rows import EXPORT_SCHEMA, ExportFilter, Row, iterate_rows
from flows.jobs.review_files.label_studio_export import iterate_tasks, write_config, write_tasks
from flows.jobs.review_files.pictures import PictureFolder
from flows.platform import Platform
from itrp.errors import WrongUseError
from itrp.files import write_atomically
from itrp.labels import RELATIONS
from itrp.progress import Count, Progress, count_stage, ignore_progress

PARQUET_ROWS = 2000
"""Rows of a row group."""
LABEL_STUDIO = "label-studio"
FORMATS = (".csv", ".jsonl", ".parquet")

WriteRow = Callable[[Row], object]


@dataclass
class ExportReport:
    """What was written."""

    file: str
    data: str
    format: str
    tweets: int = 0
    relations: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RELATIONS, 0))
    """Tweets by the model's relation."""
    without_label: int = 0
    """Tweets that no model has labelled."""
    human: int = 0
    """Tweets with a human label of either task."""
    pictures: str = ""
    """The folder they were written to; empty for none."""
    without_picture: int = 0
    config: str = ""
    """Label Studio's labelling interface, written beside."""

    def __str__(self) -> str:
        """For people."""
        counts = ", ".join(f"{count} {code}" for code, count in self.relations.items())
        lines = [
            f"{self.tweets} tweets of {self.data} written to {self.file}",
            f"models: {counts}, {self.without_label} without label; people: {self.human} with a label",
        ]
        if self.pictures:
            lost = f", {self.without_picture} cannot be decoded" if self.without_picture else ""
            lines.append(f"pictures: {self.pictures}{lost}")
        if self.config:
            lines.append(f"next: paste {self.config} into the project's labelling interface, then import {self.file}")
        return "\n".join(lines)


def check_export(out: Path, form: str | None, *, overwrite: bool) -> str:
    """The form of the file: csv, jsonl, parquet or label-studio. Raises WrongUseError for what cannot be written there."""
    ending = out.suffix.lower()
    if form == LABEL_STUDIO or (form is None and ending == ".json"):
        if ending != ".json" or form is None:
            raise WrongUseError(
                f"Label Studio takes a .json file: itrp export --format {LABEL_STUDIO} --out FILE.json, found {out}"
            )
    elif ending not in FORMATS:
        raise WrongUseError(f"expected a file that ends in {', '.join(FORMATS)}, found {str(out)!r}: name another")
    if out.is_dir():
        raise WrongUseError(f"expected a file to write to, found the folder {out}: name a file in it")
    if out.exists() and not overwrite:
        raise WrongUseError(f"expected a new file, found {out}: name another, or add --overwrite")
    return form or ending[1:]


def export_labels(
    platform: Platform,
    out: Path,
    chosen: ExportFilter = ExportFilter(),  # noqa: B008
    *,
    form: str | None = None,
    data: str | None = None,
    pictures: PictureFolder | None = None,
    overwrite: bool = False,
    progress: Progress = ignore_progress,
) -> ExportReport:
    """Write the tweets of a data set that the filter leaves; the file stands there when it is whole.

    data: by default the landing zone's. Raises WrongUseError, NotFoundError.
    """
    form = check_export(out, form, overwrite=overwrite)
    known = find_data(platform.catalog, data or LANDING)
    report = ExportReport(str(out), known.dataset.name, form, pictures=str(pictures.folder) if pictures else "")
    count = count_stage(progress, "tweets written")
    with write_atomically(out) as draft:
        if form == LABEL_STUDIO:
            tasks = iterate_tasks(platform, known, chosen, out, pictures)
            write_tasks(draft, _count_tasks(report, tasks, count))
        else:
            with _WRITERS[form](draft) as write:
                for row in iterate_rows(platform, known, chosen, out, pictures):
                    _count(report, row, count)
                    write(row)
        check_export(out, form, overwrite=overwrite)
    if form == LABEL_STUDIO:
        report.config = str(write_config(out))
    return report


def _count_tasks(
    report: ExportReport, tasks: Iterable[tuple[Row, dict[str, Any]]], count: Count
) -> Iterator[dict[str, Any]]:
    for row, task in tasks:
        _count(report, row, count)
        yield task


def _count(report: ExportReport, row: Row, count: Count) -> None:
    report.tweets += 1
    if row["relation"] is None:
        report.without_label += 1
    else:
        report.relations[row["relation"]] += 1
    report.human += row["human_text_is_represented"] is not None or row["human_image_adds"] is not None
    report.without_picture += bool(report.pictures) and row["picture"] is None
    count(1)


@contextmanager
def _open_csv(path: Path) -> Iterator[WriteRow]:
    """UTF-8 with a line of names; ids and texts are their characters, so whoever reads it with pandas says dtype=str."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(EXPORT_SCHEMA.names)
        yield lambda row: rows.writerow([_write_cell(row[name]) for name in EXPORT_SCHEMA.names])


def _write_cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    return int(value) if isinstance(value, bool) else value


def format_time(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second where it has no finer part."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@contextmanager
def _open_json_lines(path: Path) -> Iterator[WriteRow]:
    with path.open("w", encoding="utf-8") as file:

        def write(row: Row) -> None:
            cells = {**row, "created_at": row["created_at"] and format_time(row["created_at"])}
            file.write(json.dumps(cells, ensure_ascii=False) + "\n")

        yield write


@contextmanager
def _open_parquet(path: Path) -> Iterator[WriteRow]:
    waiting: list[Row] = []
    with pq.ParquetWriter(path, EXPORT_SCHEMA, compression="zstd") as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_pylist(waiting, schema=EXPORT_SCHEMA))
            waiting.clear()

        def write(row: Row) -> None:
            waiting.append(row)
            if len(waiting) >= PARQUET_ROWS:
                flush()

        yield write
        flush()


_WRITERS = {"csv": _open_csv, "jsonl": _open_json_lines, "parquet": _open_parquet}
