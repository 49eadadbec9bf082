"""The flows `score-tweets` and `follow-champions` from state: what was killed is taken up, and what is wrong is told."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Running
from sqlalchemy import select, update

from infra.catalog.queries import last_champion, list_shards, record_champion, record_notice
from infra.catalog.tables import ChampionMove, LabelFile, Notice, now
from itrp.data.pairs import Pair
from itrp.datasets.synthetic import generate_tweets
from tests.flows.test_scoring import add_version
from tests.poison import palette_without_colours, store_shard

if TYPE_CHECKING:
    from flows.platform import Platform

PICTURE = next(iter(generate_tweets(1, seed=5))).image
KILLED_BACKFILL = """
import os, signal
from flows.platform import open_platform
from tests.scoring import find_work, pin_scorer

platform = open_platform()
scorer = pin_scorer(platform)
for shard in find_work(platform.catalog, scorer.pair, backfill=True):
    scorer.score(shard)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def night(scoring: "Platform", monkeypatch: pytest.MonkeyPatch, prefect_server: str, log_as_before: None) -> "Platform":
    """A platform that flows called in this process open."""
    monkeypatch.setenv("ITRP_WORK_DIR", str(scoring.settings.work_dir))
    monkeypatch.setenv("ITRP_DEVICE", "cpu")
    return scoring


def labelled_by(platform: "Platform", text: str, image: str) -> int:
    with platform.catalog.session() as session:
        query = select(LabelFile).where(LabelFile.text_version == text, LabelFile.image_version == image)
        return len([*session.scalars(query)])


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Events as they are handed to Prefect, which sends them without anybody waiting."""
    import flows.runtime.events

    told: list[tuple[str, dict[str, Any]]] = []
    send = flows.runtime.events.emit_event

    def note(event: str, resource: dict[str, str], payload: dict[str, Any]) -> object:
        told.append((event, payload))
        return send(event, resource, payload=payload)

    monkeypatch.setattr(flows.runtime.events, "emit_event", note)
    return told


def test_a_killed_backfill_is_taken_up_by_the_next_scheduled_run(night: "Platform") -> None:
    from flows.score import score_tweets

    assert score_tweets().shards == 3
    add_version(night, "image")
    done = subprocess.run([sys.executable, "-c", KILLED_BACKFILL], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert labelled_by(night, "2", "3") == 1
    report = score_tweets()  # as the schedule calls it
    assert (report.shards, report.image_version) == (2, "3")
    assert labelled_by(night, "2", "3") == 3
    assert score_tweets().shards == 0


def test_who_wants_no_archive_labelled_says_so(night: "Platform", monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.score import score_tweets

    monkeypatch.setenv("ITRP_BACKFILL", "false")
    assert score_tweets().shards == 3
    add_version(night, "image")
    assert score_tweets().shards == 0
    assert score_tweets(backfill=True).shards == 3


def test_scoring_goes_on_with_the_last_named_champion_and_says_so(
    night: "Platform", itrp: Callable[..., Any], emitted: list[tuple[str, dict[str, Any]]]
) -> None:
    from flows.follow_champions import follow_champions

    with night.catalog.session() as session:
        for task in ("text", "image"):
            record_champion(session, task, "2")
    night.registry.set_alias(night.registry.resolve("itrp-text-task/1"), "champion")
    done = itrp(night.settings.work_dir, "score")
    assert done.status == 0
    lines = done.out.splitlines()
    assert "  0 lines = 0 pairs stored + 0 duplicates + 0 quarantined; 0 new shards" in lines
    assert lines[0] == "30 tweets in 3 shards labelled by text 2, image 2"
    assert lines[-1].startswith(
        "attention: itrp-text-task/2 continues to score: itrp-text-task/1, which the alias champion names,"
    )

    assert follow_champions() == []  # it does not stop, and remembers nothing
    with night.catalog.session() as session:
        known = last_champion(session, "text")
    assert known is not None
    assert known.version == "2"
    ((_, payload),) = emitted_of(emitted, "itrp.attention.needed")
    assert payload["kind"] == "champion-unnamed"
    assert "itrp evaluate itrp-text-task/1 --data NAME" in payload["told"]
    follow_champions()
    assert len(emitted_of(emitted, "itrp.attention.needed")) == 1  # once a day


def emitted_of(emitted: list[tuple[str, dict[str, Any]]], name: str) -> list[tuple[str, dict[str, Any]]]:
    return [(event, payload) for event, payload in emitted if event == name]


def test_a_tweet_without_labels_is_counted_and_told(
    night: "Platform", itrp: Callable[..., Any], emitted: list[tuple[str, dict[str, Any]]]
) -> None:
    pairs = [Pair("fine", "words", PICTURE, "a.png"), Pair("poison", "words", palette_without_colours(), "b.png")]
    shard = store_shard(night, pairs)
    done = itrp(night.settings.work_dir, "score")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "31 tweets in 4 shards labelled by text 2, image 2"
    place = lines.index("1 tweets set aside without labels:")
    assert lines[place + 1].startswith(f"  poison in shard {shard.hash[:12]}: expected a ")
    ((_, payload),) = emitted_of(emitted, "itrp.tweets.set-aside")
    assert payload["set_aside"] == 1
    assert payload["tweets"][0]["tweet"] == "poison"
    assert f"poison in shard {shard.hash[:12]}: expected a " in payload["told"]


def forget_runs() -> None:
    with get_client(sync_client=True) as client:
        while runs := client.read_flow_runs(limit=200):
            for run in runs:
                client.delete_flow_run(run.id)


def test_moves_are_followed_and_a_pair_that_is_behind_is_asked_for(
    night: "Platform", emitted: list[tuple[str, dict[str, Any]]]
) -> None:
    """The event of a move that was lost: the pair is behind the ledger, and nobody has scored for an hour."""
    from flows.follow_champions import follow_champions
    from flows.score import score_tweets

    forget_runs()
    reports = follow_champions()
    assert [report.task for report in reports] == ["text", "image"]
    assert len(emitted_of(emitted, "itrp.champion.moved")) == 2
    assert follow_champions() == []
    assert (
        emitted_of(emitted, "itrp.labels.behind") == []
    )  # the moves have asked for it, their runs may not be there yet

    with night.catalog.session() as session:
        session.execute(update(ChampionMove).values(noticed_at=now() - timedelta(hours=2)))
    assert follow_champions() == []
    assert emitted_of(emitted, "itrp.labels.behind") == [("itrp.labels.behind", {"shards": 3})]
    with get_client(sync_client=True) as client:
        client.create_flow_run(score_tweets, state=Running())
    follow_champions()
    assert len(emitted_of(emitted, "itrp.labels.behind")) == 1


def test_a_review_that_fails_keeps_no_other_move_from_being_followed(
    night: "Platform", emitted: list[tuple[str, dict[str, Any]]], tmp_path: Path
) -> None:
    from flows.follow_champions import follow_champions

    version = night.registry.resolve("itrp-text-task/2")
    night.registry.folder_of(version).rename(tmp_path / "gone")
    night.registry.folder_of(version).mkdir()
    (night.settings.cache_dir / "predictions").rename(tmp_path / "predictions")
    with pytest.raises(Exception, match=r".+"):
        follow_champions()
    moved = [payload["task"] for _, payload in emitted_of(emitted, "itrp.champion.moved")]
    assert moved == ["image"]
    with night.catalog.session() as session:
        assert last_champion(session, "text") is None  # found again by the next run


def test_the_server_knows_who_has_scored(night: "Platform") -> None:
    from flows.runtime.shift import has_scored_lately
    from flows.score import score_tweets

    forget_runs()
    assert not has_scored_lately()
    score_tweets()
    assert has_scored_lately()


def test_what_stays_wrong_is_told_once_a_day(scoring: "Platform") -> None:
    from flows.jobs.night_watch import Finding, choose_news

    findings = [
        Finding("labels-overdue", "a"),
        Finding("labels-overdue", "b"),
        Finding("labels-behind", "c", wrong=False),
    ]
    assert choose_news(scoring.catalog, findings) == findings[:2]
    assert choose_news(scoring.catalog, findings) == []
    with scoring.catalog.session() as session:
        session.execute(update(Notice).values(told_at=now() - timedelta(hours=25)))
    assert choose_news(scoring.catalog, findings) == findings[:2]
    with scoring.catalog.session() as session:
        assert not record_notice(session, "labels-overdue", timedelta(days=1))
        assert list_shards(session, "landing")
