"""Killing a scoring run anywhere and running it again: every tweet exactly one label, the same bytes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from infra.catalog.queries import list_shards
from infra.catalog.tables import LabelFile
from itrp.data.shards import read_shard
from serving.labels import decode_labels

if TYPE_CHECKING:
    from flows.platform import Platform

WRITES = [("vectors", 1), ("predictions", 2), ("labels", 1), ("ledger", 1), ("labels", 3), ("ledger", 3)]
"""What a scoring writes, and before which one it is killed, counted from 1: the state after a write is that before the next."""
RANDOM_KILLS = 3
NURSERY = """
import os, signal, sys
import mlflow, torch, serving.labeller  # what takes seconds to import is imported once, before the forks
from sqlalchemy import Engine, event
from flows.platform import open_platform
from tests.scoring import find_work, pin_scorer

def die_at(write, number):
    seen, entering = 0, False

    def reach(name):
        nonlocal seen
        seen += name == write
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def place(event, arguments):  # how every finished file gets its name
        if event in ("os.link", "os.rename"):
            target = str(arguments[1])
            reach("labels" if "/objects/labels/" in target else "vectors" if "/cache/embeddings/" in target else
                  "predictions" if "/cache/" in target else "other")

    @event.listens_for(Engine, "before_cursor_execute")
    def enter(connection, cursor, statement, *_):
        nonlocal entering
        entering = entering or statement.startswith("INSERT INTO label_file ")

    @event.listens_for(Engine, "commit")
    def commit(connection):
        nonlocal entering
        if entering:
            entering = False
            reach("ledger")

    sys.addaudithook(place)

def score(write, number):
    platform = open_platform()
    scorer = pin_scorer(platform)
    scorer._labeller  # the models are loaded: from here on it works
    if write:
        die_at(write, number)
    print("ready", os.getpid(), flush=True)
    for shard in find_work(platform.catalog, scorer.pair, backfill=False):
        scorer.score(shard)

for line in sys.stdin:
    folder, write, number = line.rstrip("\\n").split("\\t")
    os.environ["ITRP_WORK_DIR"] = folder
    child = os.fork()
    if child == 0:
        try:
            score(write, int(number))
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Starts a scoring process for each line of its input (folder, before which write and which one of these it is killed), and
tells how it ended."""


class Nursery:
    """Scoring processes, one at a time."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def score(
        self, folder: Path, kill_after: float | None = None, kill_at: tuple[str, int] = ("", 0)
    ) -> tuple[int, float]:
        """Run a scoring, killed so many seconds after it is ready or before the n-th write of a kind.

        Returns how it ended, and the seconds from ready to end.
        """
        assert self._process.stdin is not None
        print(folder, *kill_at, sep="\t", file=self._process.stdin, flush=True)
        word, identity = self._read()
        assert word == "ready"
        began = time.perf_counter()
        if kill_after is not None:
            time.sleep(kill_after)
            with suppress(ProcessLookupError):  # it was quicker
                os.kill(identity, signal.SIGKILL)
        word, status = self._read()
        assert word == "ended"
        return status, time.perf_counter() - began

    def _read(self) -> tuple[str, int]:
        assert self._process.stdout is not None
        word, number = self._process.stdout.readline().split()
        return word, int(number)


@contextmanager
def open_nursery() -> Iterator[Nursery]:
    environment = {**os.environ, "ITRP_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Nursery(process)


@pytest.fixture
def many(
    fork: "Callable[[Path], Platform]", drop: "Callable[[Platform, Path], None]", tmp_path: Path
) -> "Callable[[str], Platform]":
    """`many(name)`: a platform with champions, and 15 shards of 10 tweets to label."""
    from flows.jobs.ingestion import ingest_landing
    from itrp.datasets.synthetic import write_landing_layout

    folder = write_landing_layout(tmp_path / "drawn", 120, 31)
    for batch in sorted(folder.glob("batch-*")):
        batch.rename(batch.with_name(f"more-{batch.name}"))

    def make(name: str) -> "Platform":
        platform = fork(tmp_path / name)
        for task in ("text", "image"):
            platform.registry.set_alias(platform.registry.resolve(f"itrp-{task}-task/2"), "champion")
        drop(platform, folder)
        assert ingest_landing(platform.store, platform.catalog, shard_size=10).shards == 12
        return platform

    return make


def label_files(platform: "Platform") -> dict[str, bytes]:
    return {info.key: platform.store.get(info.key) for info in platform.store.list("labels/")}


def check_exactly_once(platform: "Platform") -> None:
    """Ids in the label files are the ids in the shards, each once; ledger and files tell the same."""
    stored: Counter[str] = Counter()
    with platform.catalog.session() as session:
        shards = list_shards(session, "landing")
        ledger = [*session.scalars(select(LabelFile))]
    for shard in shards:
        stored.update(read_shard(platform.store.get(shard.key), ["id"]).column("id").to_pylist())
    labelled: Counter[str] = Counter()
    for data in label_files(platform).values():
        labelled.update(decode_labels(data).column("id").to_pylist())
    assert labelled == stored
    assert (len(stored), set(stored.values())) == (150, {1})
    assert sorted(row.shard_id for row in ledger) == sorted(shard.id for shard in shards)
    assert sorted(row.key for row in ledger) == sorted(label_files(platform))


@pytest.mark.e2e
def test_killed_before_each_write_and_at_random_moments(many: "Callable[[str], Platform]") -> None:
    """Scoring runs are killed before each kind of write, then within the first sixth of the time a whole one takes, and
    each time run again; at the end one gets to the end.
    """
    moments = random.Random(11)
    undisturbed, killed = many("undisturbed"), many("killed")
    folder, in_work = killed.settings.work_dir, 0
    with open_nursery() as nursery:
        status, whole = nursery.score(undisturbed.settings.work_dir)
        assert status == 0
        expected = label_files(undisturbed)
        check_exactly_once(undisturbed)
        for write in WRITES:
            assert nursery.score(folder, kill_at=write)[0] == -signal.SIGKILL, write
            in_work += 0 < len(label_files(killed)) < 15
        for _ in range(RANDOM_KILLS):
            status, _ = nursery.score(folder, moments.uniform(0, whole / 6))
            assert status == -signal.SIGKILL
            in_work += 0 < len(label_files(killed)) < 15
        assert nursery.score(folder)[0] == 0
    assert label_files(killed) == expected
    check_exactly_once(killed)
    assert in_work >= (len(WRITES) + RANDOM_KILLS) // 2


def test_the_command_itself_is_killed_in_its_work(
    many: "Callable[[str], Platform]", spawn: "Callable[..., subprocess.Popen[str]]", prefect_server: str
) -> None:
    """`itrp score`, killed when its third label file is there, and run again."""
    platform = many("killed")
    folder = platform.settings.work_dir
    process = spawn(folder, "score", "--json", PREFECT_API_URL=prefect_server)
    while process.poll() is None and len(label_files(platform)) < 3:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    out, _ = process.communicate()
    assert (process.returncode, out) == (-signal.SIGKILL, "")
    with platform.catalog.session() as session:
        entered = len([*session.scalars(select(LabelFile))])
    assert 2 <= entered < 15

    process = spawn(folder, "score", "--json", PREFECT_API_URL=prefect_server)
    out, err = process.communicate()
    assert process.returncode == 0, err
    report = json.loads(out)
    assert (report["shards"], report["pairs"]) == (15 - entered, 10 * (15 - entered))
    check_exactly_once(platform)
