"""Tables for a console: columns padded to their widest cell."""

from collections.abc import Sequence


def align_rows(rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """Rows of equal length (the header is one) as lines; the first `words` columns to the left, the others, numbers, to the
    right, so that the decimal points stand under each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
