"""A tweet told in words, from a platform without trained models."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.jobs.reviewed import refresh_reviewed
from tests.flows.labelled_zone import open_zone


def test_the_command_begins_with_the_text(itrp: Callable[..., Any], tmp_path: Path) -> None:
    zone = open_zone(tmp_path / "work", ["plain", "two\nlines \x1b[31m", "x" * 3000])
    zone.say(zone.ids[1], 1, None, seconds=2.0)
    work = zone.platform.settings.work_dir
    done = itrp(work, "explain", zone.ids[1])
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "two lines  [31m", "what a terminal would obey is not printed"
    assert lines[2] == f"tweet {zone.ids[1]} of 2026-11-02 12:00 UTC, language en, in the data set landing"
    assert lines[3].startswith(f"picture: {zone.ids[1]}.jpg, row 1 of shards/")
    assert "models say nothing yet: itrp score labels what is new" in lines
    assert "  text represented (1 of 1)" in lines
    report = json.loads(itrp(work, "explain", zone.ids[1], "--json").out)
    assert report["stored"][0]["text"] == "two\nlines \x1b[31m"
    refresh_reviewed(zone.platform)
    with_copy = itrp(work, "explain", zone.ids[1]).out.splitlines()
    assert with_copy[:4] == lines[:4]
    assert with_copy[-1].startswith("also in the data set reviewed (row 0 of shards/")
    long = itrp(work, "explain", zone.ids[2]).out.splitlines()[0]
    assert (len(long), long[-2:]) == (2002, " …")
    assert "of an unknown time" in itrp(work, "explain", zone.ids[2]).out


def test_a_rejected_tweet_is_told_with_its_reason(itrp: Callable[..., Any], tmp_path: Path) -> None:
    zone = open_zone(tmp_path / "work", ["plain"])
    zone.platform.store.put("landing/late/b.jsonl", b'{"id": "q1", "text": "words", "image": "absent.png"}\n')
    work = zone.platform.settings.work_dir
    assert itrp(work, "ingest", "landing").status == 0
    first, second = itrp(work, "explain", "q1").out.splitlines()
    assert first.startswith("tweet q1 was rejected at 20")
    assert first.endswith("(image_missing), still in quarantine")
    assert second.startswith("  landing/late/b.jsonl, line 1: expected an image")
