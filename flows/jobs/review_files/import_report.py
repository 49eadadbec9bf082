"""What became of a file of human labels."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

SHOWN = 10
"""Of bad rows and unknown ids that a person sees; the JSON has KEPT."""
KEPT = 1000


@dataclass(frozen=True)
class BadLine:
    """A row, or one value of it, that says nothing."""

    line: int
    told: str


@dataclass
class ImportReport:
    """What was read, and what was entered. A row may hold an answer to either question, or both."""

    file: str
    data: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    """Role -> column, as they were given or guessed; empty for Label Studio's JSON."""
    answers: int = 0
    """Read, of known and unknown tweets: labels, skips and decisions."""
    labels: int = 0
    """Entered; so are skips and decisions."""
    skips: int = 0
    decisions: int = 0
    unchanged: int = 0
    """Not entered: the person says so already."""
    repeated: int = 0
    """Not entered: this row of this file was imported before."""
    tweets: int = 0
    """That got an answer."""
    people: dict[str, int] = field(default_factory=dict)
    """Answers entered, by person."""
    queues: dict[str, int] = field(default_factory=dict)
    unknown: int = 0
    """Ids that the data set does not hold."""
    unknown_ids: list[str] = field(default_factory=list)
    bad: int = 0
    bad_rows: list[BadLine] = field(default_factory=list)
    contradictions: int = 0
    """Rows that say otherwise than an earlier row of the same person about the same tweet: the later one holds."""
    rounded: str = ""
    """How the unknown ids were rounded, where they were."""

    @property
    def entered(self) -> int:
        """Rows that went into the catalog."""
        return self.labels + self.skips + self.decisions

    def add_bad(self, line: int, told: str) -> None:
        """Count a bad row, and keep it while there is room."""
        self.bad += 1
        if len(self.bad_rows) < KEPT:
            self.bad_rows.append(BadLine(line, told))

    def add_unknown(self, tweet_id: str) -> None:
        """Count an id, and keep it while there is room."""
        self.unknown += 1
        if len(self.unknown_ids) < KEPT:
            self.unknown_ids.append(tweet_id)

    def add_entered(self, people: Counter[str], queues: Counter[str]) -> None:
        """Who has said how much, and where she met the tweets."""
        self.people = dict(sorted((Counter(self.people) + people).items()))
        self.queues = dict(sorted((Counter(self.queues) + queues).items()))

    def as_json(self) -> dict[str, Any]:
        """All figures; exit status 1 where the file held answers, and none of them is of a known tweet."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        found["bad_rows"] = [vars(row) for row in self.bad_rows]
        return {**found, "entered": self.entered}

    @property
    def has_failed(self) -> bool:
        """Whether nothing of the file is known to the catalog, now or before."""
        return not (self.entered or self.unchanged or self.repeated)

    def __str__(self) -> str:
        """For people."""
        kinds = f"{self.labels} labels, {self.skips} passed over, {self.decisions} decisions"
        about = f", about {self.tweets} tweets of {self.data}" if self.entered else f" of {self.data}"
        lines = [f"{self.answers} answers read from {self.file}; entered {kinds}{about}"]
        guessed = [f"{column} as {role}" for role, column in self.columns.items() if column != role]
        lines += [f"columns: {', '.join(guessed)}"] * bool(guessed)
        lines += [f"by {', '.join(f'{name} ({count})' for name, count in self.people.items())}"] * bool(self.people)
        lines += [f"queues: {', '.join(f'{name} ({count})' for name, count in self.queues.items())}"] * bool(
            self.queues
        )
        lines += [f"{self.unchanged} say what their person says already"] * bool(self.unchanged)
        lines += [f"{self.repeated} were imported before"] * bool(self.repeated)
        lines += [f"{self.contradictions} contradict an earlier row of the file: the later one holds"] * bool(
            self.contradictions
        )
        lines += self._tell_unknown() + self._tell_bad()
        return "\n".join(lines)

    def _tell_unknown(self) -> list[str]:
        if not self.unknown:
            return []
        more = f" and {self.unknown - SHOWN} more (--json lists them)" if self.unknown > SHOWN else ""
        are = "ids are" if self.unknown > 1 else "id is"
        told = [f"{self.unknown} {are} not in {self.data}: {', '.join(self.unknown_ids[:SHOWN])}{more}"]
        return [*told, f"  {self.rounded}"] if self.rounded else told

    def _tell_bad(self) -> list[str]:
        if not self.bad:
            return []
        lines = [f"{self.bad} {'rows or values are' if self.bad > 1 else 'row or value is'} left out:"]
        lines += [f"  line {row.line}: {row.told}" for row in self.bad_rows[:SHOWN]]
        return [*lines, f"  and {self.bad - SHOWN} more (--json lists them)"] if self.bad > SHOWN else lines
