"""Progress: a bar on a terminal, plain lines otherwise, standard output left alone."""

import fcntl
import logging
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from itrp.progress import ProgressBar, count_stage

DRAW = """
import sys
from itrp.progress import ProgressBar
report = ProgressBar()
for done in range(1, 5):
    report("shards labelled", done, 4)
report.close()
print("result")
"""


def test_plain_lines_where_there_is_no_terminal(caplog: pytest.LogCaptureFixture) -> None:
    """The first step of each stage is told, and then nothing for ten seconds."""
    report = ProgressBar()
    with caplog.at_level(logging.INFO, "itrp.progress"):
        for done in (1, 2, 3):
            report("drawn", done, 3)
        report("checked", 5, None)
        report.close()
    assert [record.getMessage() for record in caplog.records] == ["drawn: 1 of 3", "checked: 5"]


def test_a_line_every_ten_seconds(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 109.9, 110.0, 119.0, 121.0])
    monkeypatch.setattr("itrp.progress.time.monotonic", lambda: next(clock))
    report = ProgressBar()
    with caplog.at_level(logging.INFO, "itrp.progress"):
        for done in range(1, 6):
            report("drawn", done, 5)
    assert [record.getMessage() for record in caplog.records] == ["drawn: 1 of 5", "drawn: 3 of 5", "drawn: 5 of 5"]


def test_short_rounds_have_no_line_each(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds differ in their number alone: a line every ten seconds, whichever round it is. Another stage has its own."""
    clock = iter([100.0, 104.0, 108.0, 109.0, 112.0, 113.0, 114.0])
    monkeypatch.setattr("itrp.progress.time.monotonic", lambda: next(clock))
    report = ProgressBar()
    with caplog.at_level(logging.INFO, "itrp.progress"):
        for number in (1, 2, 3):
            for step in (1, 2):
                report(f"round {number}/3", step, 2)
        report("shards labelled", 1, 4)
    assert [record.getMessage() for record in caplog.records] == [
        "round 1/3: 1 of 2", "round 3/3: 1 of 2", "shards labelled: 1 of 4",
    ]  # fmt: skip


def test_stages_that_alternate_have_a_line_each_in_ten_seconds(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short round embeds, clusters and trains; the next one does not say all of it again."""
    clock = iter([100.0, 101.0, 102.0, 103.0, 104.0, 105.0, 113.0])
    monkeypatch.setattr("itrp.progress.time.monotonic", lambda: next(clock))
    report = ProgressBar()
    with caplog.at_level(logging.INFO, "itrp.progress"):
        for number in (1, 2):
            report(f"embedding for round {number}/3", 0, 500)
            report(f"clustering for round {number}/3", 0, 1)
            report(f"round {number}/3", 1, 30)
        report("embedding for round 3/3", 0, 500)
    assert [record.getMessage() for record in caplog.records] == [
        "embedding for round 1/3: 0 of 500", "clustering for round 1/3: 0 of 1", "round 1/3: 1 of 30",
        "embedding for round 3/3: 0 of 500",
    ]  # fmt: skip


def test_counts_add_up(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itrp.progress.PLAIN_SECONDS", 0.0)
    with caplog.at_level(logging.INFO, "itrp.progress"), ProgressBar() as bar:
        count = count_stage(bar, "checked")
        count(3)
        count(4)
    assert [record.getMessage() for record in caplog.records] == ["checked: 3", "checked: 7"]


def test_a_bar_on_a_terminal() -> None:
    """A real pseudo-terminal on standard error; standard output holds the result alone."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    done = subprocess.run([sys.executable, "-c", DRAW], stdout=subprocess.PIPE, stderr=slave, text=True, check=True)
    os.write(slave, b"\n")
    shown = os.read(master, 65536)
    os.close(slave)
    os.close(master)
    assert done.stdout == "result\n"
    assert b"shards labelled" in shown
    assert b"\r" in shown
    assert b"0/4" in shown
