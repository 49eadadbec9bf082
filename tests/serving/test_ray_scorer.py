"""Scoring on Ray: two worker processes write what one process writes, also when one of them is killed."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from infra.catalog.queries import list_shards
from infra.catalog.tables import LabelFile, Shard
from infra.settings import Settings
from itrp.data.inputs import read_ids
from itrp.errors import WrongUseError
from serving.errors import UnavailableError
from serving.files import local_shards
from serving.labels import decode_labels, label_key
from serving.ray_scorer import (
    ShardsFailedError,
    _check_reach,
    _import_ray,
    connect_ray,
    decode_row,
    encode_row,
    open_scorer,
    score_on_ray,
)
from serving.scorer import summarise
from tests.ports import free_ports

if TYPE_CHECKING:
    from flows.platform import Platform

SHARDS = 15
"""Of two tweets each, beside the session's three of ten."""


@pytest.fixture
def many(scoring: "Platform", drop: "Callable[[Platform, Path], None]", tmp_path: Path) -> "Platform":
    """Champions, and 18 shards to label."""
    from flows.jobs.ingestion import ingest_landing
    from itrp.datasets.synthetic import write_landing_layout

    folder = write_landing_layout(tmp_path / "drawn", 2 * SHARDS, 41, batch_size=2 * SHARDS)
    for batch in folder.glob("batch-*"):
        batch.rename(batch.with_name(f"more-{batch.name}"))
    drop(scoring, folder)
    assert ingest_landing(scoring.store, scoring.catalog, shard_size=2).shards == SHARDS
    return scoring


SCORE_EVERYTHING = """
import sys
from flows.platform import open_platform
from tests.scoring import find_work, pin_scorer
from serving.ray_scorer import score_on_ray

platform = open_platform()
scorer = pin_scorer(platform)
work = find_work(platform.catalog, scorer.pair, backfill=False)
print(*(row.shard_id for row in score_on_ray(platform.settings, scorer.pair, work, "run-1", address=sys.argv[1])))
"""


def landed(platform: "Platform") -> list[Shard]:
    with platform.catalog.session() as session:
        return list_shards(session, "landing")


def ledger(platform: "Platform") -> list[LabelFile]:
    with platform.catalog.session() as session:
        return [*session.scalars(select(LabelFile).order_by(LabelFile.shard_id))]


def label_files(platform: "Platform") -> dict[str, bytes]:
    return {info.key: platform.store.get(info.key) for info in platform.store.list("labels/")}


def figures(rows: list[LabelFile]) -> list[tuple[object, ...]]:
    """What must be equal in two ledgers: everything but the row's number and the clock."""
    return sorted(
        (row.shard_id, row.text_version, row.image_version, row.key, row.sha256, row.pairs, str(row.counts))
        for row in rows
    )


def ray_workers() -> list[int]:
    """Processes of this test's Ray actors: below this process, busy with our class or waiting for it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            parent = _parent(int(folder.name))
        except OSError:  # it has ended meanwhile
            continue
        if name.startswith(b"ray::") and b"ShardWorker" in name and _parent(parent) == os.getpid():
            found.append(int(folder.name))
    return found


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.e2e
def test_labels_are_those_of_one_machine(
    many: "Platform", fork: "Callable[[Path], Platform]", tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The local engine on the same shards writes the same bytes at the same keys, and the same rows."""
    pair, shards = many.registry.champions(), landed(many)
    local = open_scorer(many.settings, pair)
    expected = figures([local.score(shard, "run-1") for shard in shards])
    bytes_of_one = label_files(many)
    many.store.delete(bytes_of_one)
    with many.catalog.session() as session:
        for row in session.scalars(select(LabelFile)):
            session.delete(row)

    rows = list(score_on_ray(many.settings, pair, shards, "run-1", workers=2))
    assert label_files(many) == bytes_of_one
    assert figures(rows) == figures(ledger(many)) == expected
    assert {row.flow_run_id for row in ledger(many)} == {"run-1"}
    assert summarise(rows, pair).pairs == 30 + 2 * SHARDS
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert list(score_on_ray(many.settings, pair, [], "run-2")) == []
    import ray

    assert not ray.is_initialized()  # the cluster it started is gone


@pytest.mark.e2e
def test_a_killed_worker_costs_no_label_and_doubles_none(many: "Platform") -> None:
    pair, shards = many.registry.champions(), landed(many)
    with connect_ray(workers=2):
        rows = score_on_ray(many.settings, pair, shards, "run-1", workers=2)
        first = next(rows)
        victims = ray_workers()
        assert len(victims) == 2
        done = len(label_files(many))
        os.kill(victims[0], signal.SIGKILL)
        killed_at = time.monotonic()
        rest = list(rows)
        print(f"killed with {done} of {len(shards)} shards labelled; done {time.monotonic() - killed_at:.1f} s later")
        assert victims[0] not in ray_workers()
    assert 1 <= done < len(shards)
    assert sorted(row.shard_id for row in [first, *rest]) == sorted(shard.id for shard in shards)
    assert sorted(row.shard_id for row in ledger(many)) == sorted(shard.id for shard in shards)
    stored = Counter(
        tweet for file in local_shards(many.store, shards, many.settings.cache_dir) for tweet in read_ids(file)
    )
    labelled = Counter(
        tweet for data in label_files(many).values() for tweet in decode_labels(data).column("id").to_pylist()
    )
    assert labelled == stored
    assert set(labelled.values()) == {1}


@pytest.mark.e2e
def test_a_shard_that_fails_leaves_the_others_complete(many: "Platform") -> None:
    """Another's label file with the wrong number of labels, and a shard whose object is gone."""
    pair, shards = many.registry.champions(), landed(many)
    scorer = open_scorer(many.settings, pair)
    key = label_key(shards[0].hash, pair.text.short, pair.image.short)
    many.store.put(key, many.store.get(scorer.score(shards[5]).key))
    many.store.delete([shards[3].key])
    rows: list[LabelFile] = []
    with pytest.raises(ShardsFailedError) as caught:
        rows.extend(score_on_ray(many.settings, pair, shards, "run-1", workers=2))
    told = str(caught.value)
    assert told.startswith("2 of 18 shards could not be labelled; the others have labels. First: shard ")
    assert shards[0].hash[:12] in told or shards[3].hash[:12] in told
    whole = {shard.id for shard in shards} - {shards[0].id, shards[3].id}
    assert {row.shard_id for row in rows} == {row.shard_id for row in ledger(many)} == whole
    assert len(label_files(many)) == 17  # the refused one lies where it lay


@pytest.mark.e2e
def test_where_nothing_works_the_run_ends_early(many: "Platform") -> None:
    pair, shards = many.registry.champions(), landed(many)
    many.store.delete([shard.key for shard in shards])
    with pytest.raises(ShardsFailedError, match="10 of 18 shards could not be labelled; the run ended early"):
        list(score_on_ray(many.settings, pair, shards, workers=2))
    assert ledger(many) == []


@pytest.mark.e2e
def test_no_secret_is_left_in_rays_files(many: "Platform", tmp_path: Path) -> None:
    """Settings reach the workers in an actor's arguments: neither logs nor command lines tell them."""
    import ray

    keys = {"object_store_access_key": "AccessKeyNobodySees", "object_store_secret_key": "SecretKeyNobodySees"}
    settings = Settings(
        work_dir=many.settings.work_dir,
        device="cpu",
        webhook_secret="WebhookSecretNobodySees",
        **keys,
    )
    with connect_ray(workers=2):
        rows = score_on_ray(settings, many.registry.champions(), landed(many), workers=2)
        next(rows)
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        session = Path(ray._private.worker.global_worker.node.get_session_dir_path())
        list(rows)
    logs = [path for path in session.rglob("*") if path.is_file()]
    # the workers' own logs are among them
    assert any("labelled shard" in path.read_text(errors="replace") for path in logs)
    # nor can anybody else come in: the cluster asks for a token, which stands in this process's environment alone
    assert os.environ["RAY_AUTH_MODE"] == "token"
    for secret in (*keys.values(), "WebhookSecretNobodySees", os.environ["RAY_AUTH_TOKEN"]):
        assert not any(secret.encode() in line for line in lines)
        assert [path.name for path in logs if secret.encode() in path.read_bytes()] == []


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a cluster that `ray start` made, of one machine with two cores; its token is in the environment."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "8d1f" * 16)
    (port,), log = free_ports(1), tmp_path / "ray.log"
    # without --block the command would leave processes that only `ray stop` ends, and with them everybody's
    command = f"start --head --block --port {port} --num-cpus 2 --include-dashboard false --disable-usage-stats"
    program = str(Path(sys.executable).with_name("ray"))
    with log.open("wb") as sink:
        process = subprocess.Popen([program, *command.split()], stdout=sink, stderr=sink, start_new_session=True)
        deadline = time.monotonic() + 120
        while b"Ray runtime started" not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
        process.terminate()
        process.wait(60)


@pytest.mark.e2e
def test_a_cluster_that_is_there(many: "Platform", cluster: str) -> None:
    """From a process of its own: Ray reads its token once, when it is imported."""
    environment = {**os.environ, "ITRP_WORK_DIR": str(many.settings.work_dir), "ITRP_DEVICE": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SCORE_EVERYTHING, cluster], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    everything = sorted(shard.id for shard in landed(many))
    assert sorted(map(int, done.stdout.split())) == everything
    assert sorted(row.shard_id for row in ledger(many)) == everything


@pytest.mark.e2e
def test_a_cluster_that_is_not_there(scoring: "Platform") -> None:
    with pytest.raises(UnavailableError) as caught:
        list(score_on_ray(scoring.settings, scoring.registry.champions(), landed(scoring), address="127.0.0.1:9"))
    assert str(caught.value).startswith("expected a Ray cluster at 127.0.0.1:9, found none (")


def test_without_ray_the_next_step_is_told(scoring: "Platform", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(WrongUseError, match=r"expected Ray Data .* found none .*: pip install 'itrp\[ray\]'"):
        list(score_on_ray(scoring.settings, scoring.registry.champions(), landed(scoring)))


def test_rays_own_console_is_quiet_and_nobody_elses_handler() -> None:
    """A handler of others, such as pytest's, whose level it once raised for all tests to come."""
    log, other = logging.getLogger("ray.data"), logging.StreamHandler()
    _import_ray()
    log.addHandler(other)
    try:
        _import_ray()
    finally:
        log.removeHandler(other)
    assert other.level == logging.NOTSET
    assert {each.level for each in log.handlers if type(each).__name__ == "PlainRayHandler"} == {logging.ERROR}


def test_other_machines_reach_no_folder_of_this_one(tmp_path: Path) -> None:
    embedded = Settings(work_dir=tmp_path)
    _check_reach(embedded, machines=1)
    with pytest.raises(WrongUseError) as caught:
        _check_reach(embedded, machines=3)
    assert "all 3 machines" in str(caught.value)
    assert "in ITRP_OBJECT_STORE_URL, ITRP_CATALOG_URL, ITRP_MLFLOW_URI: name servers" in str(caught.value)
    servers = Settings(
        work_dir=tmp_path,
        object_store_url="s3://tweets?endpoint=http://store:9000",
        object_store_access_key="key",
        object_store_secret_key="secret",
        catalog_url="postgresql://itrp@postgres/itrp",
        mlflow_uri="http://mlflow:5000",
    )
    _check_reach(servers, machines=3)


def test_a_ledger_row_survives_the_way_back() -> None:
    row = LabelFile(
        id=7, shard_id=3, text_version="2", image_version="4", key="labels/x.parquet", sha256="ab", pairs=2,
        counts={"00": 1, "01": 0, "10": 0, "11": 1}, flow_run_id=None, scored_at=datetime(2026, 11, 24, 3, tzinfo=UTC),
    )  # fmt: skip
    columns = [column.key for column in LabelFile.__table__.columns]
    back = decode_row(encode_row(row))
    assert {name: getattr(back, name) for name in columns} == {name: getattr(row, name) for name in columns}
