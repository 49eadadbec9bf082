"""What an ingestion did, in figures that must add up."""

from collections import Counter
from dataclasses import dataclass, field

from itrp.errors import ItrpError


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
    """Records refused."""
    shards: int = 0
    """Shards newly written into the catalog."""
    by_code: dict[str, int] = field(default_factory=dict)
    """Reason code -> records refused for it."""

    def __post_init__(self) -> None:
        accounted = self.pairs + self.duplicates + self.quarantined
        if self.lines != accounted or sum(self.by_code.values()) != self.quarantined:
            raise MiscountError(
                f"expected lines = pairs + duplicates + quarantined, found {self.lines} = {self.pairs} "
                f"+ {self.duplicates} + {self.quarantined} with the reasons {self.by_code}: "
                "a fault of itrp, please report it with the batch"
            )


@dataclass
class Tally:
    """The figures while they grow."""

    lines: int = 0
    pairs: int = 0
    duplicates: int = 0
    shards: int = 0
    by_code: Counter[str] = field(default_factory=Counter)

    @property
    def quarantined(self) -> int:
        """Records refused so far."""
        return self.by_code.total()

    def report(self) -> IngestReport:
        """The checked figures. Raises MiscountError when they do not add up."""
        codes = dict(sorted(self.by_code.items()))
        return IngestReport(self.lines, self.pairs, self.duplicates, self.quarantined, self.shards, codes)
