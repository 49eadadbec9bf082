"""What an ingestion did, in figures that must add up."""

from collections import Counter
from dataclasses import dataclass, field, replace

from itrp.errors import ItrpError

NAMES_KEPT = 20
"""Objects that were skipped of which a report tells the names; of the others it tells the number."""


class MiscountError(ItrpError):
    """The figures of an ingestion do not add up: a fault of this program, not of the data."""


@dataclass(frozen=True)
class IngestReport:
    """Figures of one run. Raises MiscountError unless lines = pairs + duplicates + quarantined."""

    lines: int = 0
    """Records read."""
    pairs: int = 0
    """Tweets newly stored."""
    duplicates: int = 0
    """Records of a tweet that is stored with the same content."""
    quarantined: int = 0
    """Records rejected."""
    shards: int = 0
    """Shards newly written into the catalog."""
    by_code: dict[str, int] = field(default_factory=dict)
    """Reason code -> records rejected for it."""
    without_row: int = 0
    """Of the records rejected, those beyond the first of their batch and reason: counted, but without a row of their own."""
    times_unread: int = 0
    """Of the tweets newly stored, those whose time of creation was given but could not be read."""
    passed_over: int = 0
    """Objects of the landing zone that are neither an image nor a batch file with a record that was read."""
    passed_over_names: tuple[str, ...] = ()
    """The first of them, each with the reason."""
    notes: tuple[str, ...] = ()
    """What a source tells of how its pairs were made."""

    def __post_init__(self) -> None:
        accounted = self.pairs + self.duplicates + self.quarantined
        if self.lines != accounted or sum(self.by_code.values()) != self.quarantined:
            raise MiscountError(
                f"expected lines = pairs + duplicates + quarantined, found {self.lines} = {self.pairs} "
                f"+ {self.duplicates} + {self.quarantined} with the reasons {self.by_code}: "
                "a bug of itrp, please report it with the batch"
            )


def describe(report: IngestReport) -> str:
    """The report for people: the sum in its first line, then whatever somebody should look at."""
    lines = [
        f"{report.lines} lines = {report.pairs} pairs stored + {report.duplicates} duplicates "
        f"+ {report.quarantined} quarantined; {report.shards} new shards"
    ]
    lines += [f"  quarantined {count:6d}  {code}" for code, count in report.by_code.items()]
    if report.without_row:
        lines.append(f"  of these    {report.without_row:6d}  are only counted, without rows; --replay tries them too")
    if report.times_unread:
        lines.append(f"  stored      {report.times_unread:6d}  without their created_at, which could not be read")
    if report.passed_over:
        lines.append(f"  skipped     {report.passed_over:6d}  objects")
        lines += [f"    {name}" for name in report.passed_over_names]
        more = report.passed_over - len(report.passed_over_names)
        lines += [f"    and {more} more"] if more else []
    return "\n".join([*lines, *(f"  {note}" for note in report.notes)])


@dataclass
class PassedOver:
    """Objects that an ingestion did not read: all are counted, the first are named."""

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, key: str, reason: str) -> None:
        """Note an object and why it is skipped."""
        self.count += 1
        if len(self.names) < NAMES_KEPT:
            self.names.append(f"{ascii(key)[1:-1] if not key.isprintable() else key}: {reason}")


@dataclass
class Tally:
    """The figures while they grow."""

    lines: int = 0
    pairs: int = 0
    duplicates: int = 0
    shards: int = 0
    without_row: int = 0
    times_unread: int = 0
    by_code: Counter[str] = field(default_factory=Counter)
    passed_over: PassedOver = field(default_factory=PassedOver)

    @property
    def quarantined(self) -> int:
        """Records rejected so far."""
        return self.by_code.total()

    def copy(self) -> "Tally":
        """The figures as they are now."""
        passed_over = replace(self.passed_over, names=[*self.passed_over.names])
        return replace(self, by_code=self.by_code.copy(), passed_over=passed_over)

    def report(self) -> IngestReport:
        """The checked figures. Raises MiscountError when they do not add up."""
        return IngestReport(
            lines=self.lines,
            pairs=self.pairs,
            duplicates=self.duplicates,
            quarantined=self.quarantined,
            shards=self.shards,
            by_code=dict(sorted(self.by_code.items())),
            without_row=self.without_row,
            times_unread=self.times_unread,
            passed_over=self.passed_over.count,
            passed_over_names=tuple(self.passed_over.names),
        )
