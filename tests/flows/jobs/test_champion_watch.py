"""Champions moved by hand: noticed once, looked at, remembered last."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from flows.jobs.champion_watch import find_moves, remember_move, review_move
from infra.catalog.queries import last_champion, record_champion
from infra.catalog.tables import ChampionMove
from itrp.errors import UnmappedModelError

if TYPE_CHECKING:
    from flows.platform import Platform


def set_champion(platform: "Platform", task: str, version: str) -> None:
    platform.registry.set_alias(platform.registry.resolve(f"itrp-{task}-task/{version}"), "champion")


def test_before_there_is_a_champion_nothing_has_moved(platform: "Platform") -> None:
    assert find_moves(platform.registry, platform.catalog) == []


def test_a_move_is_found_until_it_is_remembered(platform: "Platform") -> None:
    set_champion(platform, "text", "2")
    for _ in range(2):  # whoever dies before it is remembered finds it again
        (move,) = find_moves(platform.registry, platform.catalog)
        assert (str(move.version), move.before) == ("itrp-text-task/2", None)
    assert remember_move(platform.catalog, move, "run-1")
    assert find_moves(platform.registry, platform.catalog) == []
    assert not remember_move(platform.catalog, move, "run-2")  # another process was quicker


def test_moving_back_is_a_move(platform: "Platform") -> None:
    for version, before in (("2", None), ("1", "itrp-text-task/2"), ("2", "itrp-text-task/1")):
        set_champion(platform, "text", version)
        (move,) = find_moves(platform.registry, platform.catalog)
        assert (str(move.before) if move.before else None) == before
        assert remember_move(platform.catalog, move, None)
    with platform.catalog.session() as session:
        rows = session.scalars(select(ChampionMove).order_by(ChampionMove.position)).all()
    assert [(row.position, row.version) for row in rows] == [(1, "2"), (2, "1"), (3, "2")]


def test_a_review_says_what_the_gate_thinks_and_moves_nothing(scoring: "Platform") -> None:
    move = find_moves(scoring.registry, scoring.catalog)[0]
    report = review_move(scoring, move)
    assert report.challenger == "itrp-text-task/2"
    assert "the most frequent class (no champion yet)" in report.reason
    assert report.preview is not None
    assert report.preview.looked_at == 0  # nothing is scored yet
    assert str(scoring.registry.champions()) == "text 2, image 2"


def test_a_champion_without_class_names_is_refused_with_the_next_step(platform: "Platform") -> None:
    set_champion(platform, "text", "1")
    (move,) = find_moves(platform.registry, platform.catalog)
    with pytest.raises(UnmappedModelError, match="itrp evaluate itrp-text-task/1 --data NAME"):
        review_move(platform, move)
    assert find_moves(platform.registry, platform.catalog) == [move]


def test_a_champion_taken_away_is_warned_of(platform: "Platform", caplog: pytest.LogCaptureFixture) -> None:
    set_champion(platform, "image", "2")
    (move,) = find_moves(platform.registry, platform.catalog)
    remember_move(platform.catalog, move, None)
    platform.registry.client.delete_registered_model_alias("itrp-image-task", "champion")
    with caplog.at_level(logging.WARNING):
        assert find_moves(platform.registry, platform.catalog) == []
    assert "the image task has no champion any more (the last was 2)" in caplog.text


def test_of_many_who_notice_one_enters_it(platform: "Platform") -> None:
    def record(_: int) -> bool:
        with platform.catalog.session() as session:
            return record_champion(session, "text", "7")

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(record, range(16)))
    assert won.count(True) == 1
    with platform.catalog.session() as session:
        known = last_champion(session, "text")
    assert known is not None
    assert (known.version, known.position) == ("7", 1)
