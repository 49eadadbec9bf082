"""Do annotators agree? Krippendorff's alpha of any table of items x annotators.

Source: Krippendorff, "Content Analysis", chapter on reliability (alpha = 1 - observed / expected disagreement; 1 =
perfect, 0 = chance). The annotators of ITR reach 0.46 on the text task and 0.71 on the image task.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from itrp.errors import DataError, WrongUseError
from itrp.evaluation.annotator_agreement import Level, krippendorff_alpha
from itrp.evaluation.bootstrap import resampled_interval

LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval")

ITEM_COLUMNS = ("item", "id", "tweet_id")
ANNOTATOR_COLUMN, TASK_COLUMN = "annotator", "task"
FORMS = (
    "expected a CSV with a header: one row an item and one column an annotator (item,ann,bob), "
    "or one row a label (item,annotator,label; several label columns are several tasks); "
    f"the item's column is called {', '.join(ITEM_COLUMNS[:-1])} or {ITEM_COLUMNS[-1]}, and a column task splits the rows"
)


@dataclass(frozen=True, eq=False)
class AnnotationTable:
    """Everybody's labels for one task: items [n], annotators [a], labels [n, a] of str, "" where there is none."""

    task: str
    items: NDArray[np.str_]
    annotators: NDArray[np.str_]
    labels: NDArray[np.str_]


@dataclass(frozen=True)
class Agreement:
    """Krippendorff's alpha of one task."""

    task: str
    level: Level
    alpha: float
    low: float
    high: float
    """Ends of the bootstrap interval over items; NaN when none was asked for."""
    items: int
    """Items with two labels or more: only these count."""
    annotators: int
    labels: int
    """Labels of the items that count."""
    values: tuple[str, ...]
    """The different labels, sorted."""


def read_annotation_tables(path: Path) -> list[AnnotationTable]:
    """Read a CSV (UTF-8) in the wide or the long form, one table a task; an empty cell is no label.

    Wide: an item column and one column an annotator; the task is named after the file. Long: an item column, a column
    `annotator`, and one column of labels a task. In both a column `task` splits the rows into tasks.
    Raises DataError for a file of another form, and for an item that an annotator labelled twice.
    """
    frame = _read_cells(path)
    item = next((name for name in ITEM_COLUMNS if name in frame.columns), None)
    is_long = ANNOTATOR_COLUMN in frame.columns
    others = [name for name in frame.columns if name not in (item, ANNOTATOR_COLUMN, TASK_COLUMN)]
    if item is None or len(others) < (1 if is_long else 2):
        raise DataError(f"{FORMS}; found in {path} the columns {', '.join(frame.columns)}")
    groups = list(frame.groupby(TASK_COLUMN, sort=False)) if TASK_COLUMN in frame.columns else [("", frame)]
    tables = []
    for name, rows in groups:
        if not is_long:
            tables.append(_read_wide(rows, item, others, str(name) or path.stem, path))
            continue
        for column in others:
            task = column if not name else str(name) if len(others) == 1 else f"{name}/{column}"
            tables.append(_read_long(rows, item, column, task, path))
    return tables


def measure_alpha(
    table: AnnotationTable,
    level: Level = "nominal",
    *,
    seed: int = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Agreement:
    """Krippendorff's alpha, with a percentile bootstrap interval over items (no interval with 0 resamples).

    Raises WrongUseError for another level, and DataError where alpha is undefined (no item with two labels, or all
    labels the same) and for labels that are no numbers at the levels ordinal and interval.
    """
    if level not in LEVELS:
        raise WrongUseError(f"expected one of the levels {', '.join(LEVELS)}, found {level!r}")
    labels = table.labels[(table.labels != "").sum(axis=1) > 1]  # a single label cannot agree with anything
    values = _sort_values(np.unique(labels[labels != ""]), level, table.task)
    _check_defined(table, len(labels), values)
    counts = np.stack([(labels == value).sum(axis=1) for value in values], axis=1)  # (items, values)
    domain = None if level == "nominal" else np.array([float(value) for value in values])
    low, high = resampled_interval(
        lambda rows: krippendorff_alpha(counts[rows], domain, level),
        len(counts),
        seed=seed,
        resamples=resamples,
        level=confidence,
    )
    used = (labels != "").any(axis=0)
    alpha = krippendorff_alpha(counts, domain, level)
    return Agreement(
        table.task, level, alpha, low, high, len(labels), int(used.sum()), int(counts.sum()), tuple(values)
    )


def _read_cells(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except OSError as error:
        raise DataError(f"expected an annotation table at {path}, it cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{FORMS}; {path} cannot be read as one: {error}") from error
    frame.columns = [str(name).strip() for name in frame.columns]
    if frame.empty:
        raise DataError(f"{FORMS}; found in {path} no row below the header")
    return frame.apply(lambda column: column.str.strip())


def _read_wide(rows: pd.DataFrame, item: str, annotators: Sequence[str], task: str, path: Path) -> AnnotationTable:
    twice = rows[item][rows[item].duplicated()]
    if len(twice):
        raise DataError(
            f"expected every item once a task in {path}, found {twice.iloc[0]!r} twice: remove one of its rows, "
            "or name the annotators in a column annotator"
        )
    items, labels = rows[item].to_numpy(str), rows[list(annotators)].to_numpy(str)
    return AnnotationTable(task, items, np.array(annotators, dtype=str), labels)


def _read_long(rows: pd.DataFrame, item: str, column: str, task: str, path: Path) -> AnnotationTable:
    rows = rows[rows[column] != ""]
    twice = rows[rows.duplicated([item, ANNOTATOR_COLUMN])]
    if len(twice):
        raise DataError(
            f"expected one label an item and annotator in {path}, found two of annotator "
            f"{twice.iloc[0][ANNOTATOR_COLUMN]!r} for item {twice.iloc[0][item]!r}: remove one"
        )
    wide = rows.pivot(index=item, columns=ANNOTATOR_COLUMN, values=column).fillna("")
    return AnnotationTable(task, wide.index.to_numpy(str), wide.columns.to_numpy(str), wide.to_numpy(str))


def _sort_values(values: NDArray[np.str_], level: Level, task: str) -> list[str]:
    """The different labels in the level's order; at the levels above nominal, equal numbers must be written alike."""
    if level == "nominal":
        return [str(value) for value in values]
    try:
        numbers = {str(value): float(value) for value in values}
    except ValueError as error:
        raise DataError(
            f"the level {level} needs numbers as labels of {task}, found {values.tolist()}: "
            "write them as ranks (1, 2, 3), or take --level nominal"
        ) from error
    if not np.isfinite(list(numbers.values())).all() or len(set(numbers.values())) < len(numbers):
        raise DataError(
            f"expected finite numbers as labels of {task}, each written in one way, found {values.tolist()}"
        )
    return sorted(numbers, key=lambda value: numbers[value])


def _check_defined(table: AnnotationTable, items: int, values: Sequence[str]) -> None:
    if not items:
        raise DataError(
            f"alpha compares annotators, but no item of {table.task} has two labels "
            f"({len(table.items)} items, {len(table.annotators)} annotators): let a second person label some of the items"
        )
    if len(values) < 2:
        raise DataError(
            f"alpha of {table.task} is undefined: all labels of its {items} items are {values[0]!r}, "
            "so agreement cannot be distinguished from chance; add items of another class"
        )
