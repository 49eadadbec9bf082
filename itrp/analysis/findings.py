"""What an analysis found, and how it is written to a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

DOTS_PER_INCH = 150
"""Of images written to a folder."""


@dataclass(frozen=True, eq=False)
class Findings:
    """The outcome of one analysis. File names carry their endings: .csv, .png, .html."""

    summary: str
    """The result as plain text, for a console; ends without a line break."""
    figures: Mapping[str, float]
    """Single numbers by name."""
    tables: Mapping[str, pd.DataFrame]
    images: Mapping[str, Figure] = field(default_factory=dict)
    pages: Mapping[str, str] = field(default_factory=dict)
    """HTML by file name."""
    notes: Sequence[str] = ()
    """What could not be found out, and why: one sentence each."""

    def write(self, folder: Path) -> list[Path]:
        """Write tables, images and pages (UTF-8) to a folder, which is made if need be; returns the files' paths.

        Equal findings give equal tables and pages; a file of the same name is replaced.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in self.tables.items():
            table.to_csv(folder / name, index=False, lineterminator="\n")
        for name, image in self.images.items():
            image.savefig(folder / name, dpi=DOTS_PER_INCH)
        for name, page in self.pages.items():
            (folder / name).write_text(page, encoding="utf-8")
        return [folder / name for part in (self.tables, self.images, self.pages) for name in part]


def format_table(table: pd.DataFrame, digits: int = 3) -> str:
    """A table as plain text, numbers with so many digits after the point and a dash where there is none."""
    return str(table.to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.{digits}f}"))
