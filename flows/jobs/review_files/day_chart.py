"""Tweets a day, week, month or year by relation, as the bars of a drawing."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from itrp.labels import RELATIONS

MOST_BARS = 70
NAME_WIDTH = 80
"""Room that a bar's name needs."""
WIDTH, HEIGHT = 1000, 260
"""Of the drawing, without the room for its labels."""


@dataclass(frozen=True)
class Part:
    """A part of a bar: the tweets of one relation."""

    relation: str
    y: float
    height: float
    count: int


@dataclass(frozen=True)
class Bar:
    """One step of time."""

    name: str
    x: float
    width: float
    total: int
    parts: tuple[Part, ...]
    is_named: bool
    """Whether its name is written below it: not all have the room."""

    @property
    def counts(self) -> dict[str, int]:
        """Tweets by relation, of those there are."""
        return {part.relation: part.count for part in self.parts}


@dataclass(frozen=True)
class DayChart:
    """Bars from left to right, a bar a step."""

    step: str
    """day, week, month or year."""
    bars: tuple[Bar, ...]
    highest: int
    """Tweets of the highest bar."""


def build_chart(days: Mapping[date, Mapping[str, int]]) -> DayChart | None:
    """The finest steps of which no more than MOST_BARS reach over all days; those without tweets are empty. None without days."""
    if not days:
        return None
    first, last = min(days), max(days)
    step, starts = _choose_step(first, last)
    begin, _, name = _STEPS[step]
    sums: dict[date, Counter[str]] = {start: Counter() for start in starts}
    for day, counts in days.items():
        sums[begin(day)].update(counts)
    highest = max(counts.total() for counts in sums.values())
    every = -(-len(starts) // 12)
    width = WIDTH / len(starts)
    bars = [
        Bar(
            name(start), place * width, width, sums[start].total(), _stack(sums[start], highest),
            place % every == 0 and place * width <= WIDTH - NAME_WIDTH,
        )
        for place, start in enumerate(starts)
    ]  # fmt: skip
    return DayChart(step, tuple(bars), highest)


def _choose_step(first: date, last: date) -> tuple[str, list[date]]:
    fitting = {}
    for step, (begin, following, _) in _STEPS.items():
        fitting[step] = _list_starts(begin(first), last, following)
        if len(fitting[step]) <= MOST_BARS:
            break
    return fitting.popitem()


def _stack(counts: Mapping[str, int], highest: int) -> tuple[Part, ...]:
    parts, top = [], float(HEIGHT)
    for relation in RELATIONS:
        count = counts.get(relation, 0)
        height = HEIGHT * count / highest
        top -= height
        if count:
            parts.append(Part(relation, top, height, count))
    return tuple(parts)


def _list_starts(first: date, last: date, following: Callable[[date], date]) -> list[date]:
    starts = [first]
    while (start := following(starts[-1])) <= last:
        starts.append(start)
    return starts


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


_Step = tuple[Callable[[date], date], Callable[[date], date], Callable[[date], str]]
_STEPS: dict[str, _Step] = {
    "day": (lambda day: day, lambda day: day + timedelta(1), lambda day: f"{day:%Y-%m-%d}"),
    "week": (
        lambda day: day - timedelta(day.weekday()),
        lambda day: day + timedelta(7),
        lambda day: f"week of {day:%Y-%m-%d}",
    ),
    "month": (lambda day: day.replace(day=1), _next_month, lambda day: f"{day:%Y-%m}"),
    "year": (lambda day: date(day.year, 1, 1), lambda day: date(day.year + 1, 1, 1), lambda day: str(day.year)),
}
"""Step -> its first day, the step after, and its name."""
