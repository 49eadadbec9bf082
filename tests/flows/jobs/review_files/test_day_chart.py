"""Bars of tweets over time."""

from datetime import date, timedelta

import pytest

from flows.jobs.review_files.day_chart import HEIGHT, MOST_BARS, WIDTH, build_chart

FIRST = date(2026, 11, 2)
"""A Monday."""


def test_bars_add_up_and_stand_on_each_other() -> None:
    chart = build_chart({FIRST: {"00": 1, "11": 3}, FIRST + timedelta(2): {"01": 2}})
    assert chart is not None
    assert (chart.step, chart.highest) == ("day", 4)
    assert [(bar.name, bar.total) for bar in chart.bars] == [("2026-11-02", 4), ("2026-11-03", 0), ("2026-11-04", 2)]
    lower, upper = chart.bars[0].parts
    assert (lower.relation, lower.y, lower.height) == ("00", HEIGHT * 3 / 4, HEIGHT / 4)
    assert (upper.relation, upper.y, upper.height) == ("11", 0, HEIGHT * 3 / 4)
    assert chart.bars[0].counts == {"00": 1, "11": 3}
    assert chart.bars[-1].x + chart.bars[-1].width == pytest.approx(WIDTH)


@pytest.mark.parametrize(
    ("days", "step"), [(MOST_BARS - 1, "day"), (MOST_BARS, "week"), (7 * MOST_BARS, "month"), (20_000, "year")]
)
def test_many_days_become_weeks_months_and_years(days: int, step: str) -> None:
    last = FIRST + timedelta(days)
    chart = build_chart({FIRST: {"00": 1}, last: {"10": 5}})
    assert chart is not None
    assert chart.step == step
    assert len(chart.bars) <= MOST_BARS
    assert sum(bar.total for bar in chart.bars) == 6
    assert sum(bar.is_named for bar in chart.bars) <= 12


def test_without_days_there_is_nothing_to_draw() -> None:
    assert build_chart({}) is None
