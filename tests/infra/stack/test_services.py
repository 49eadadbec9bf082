"""Processes of the stack: waited for, stopped, killed with all they have started, and started again."""

import dataclasses
import json
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.errors import StackError
from infra.stack import service as services
from infra.stack.ports import Ports
from infra.stack.secrets import Secrets, keep_secrets
from infra.stack.service import MARK, Service, end_engines, find_engines, find_program, mark_workers, own_paths
from infra.stack.stack import Stack
from tests.ports import choose_ports, free_ports

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1"], start_new_session={apart})
print(child.pid, flush=True)
child.wait()
"""


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_parent(tmp_path: Path, *, apart: bool) -> Service:
    """A program whose child, in a process group of its own or not, is the server."""
    (port,) = free_ports(1)
    program = PARENT.format(port=port, apart=apart)
    command = [sys.executable, "-c", program]
    return Service("parent", command, tmp_path / "parent.log", lambda: accepts(port), own_paths(), patience=30)


def child_of(service: Service) -> psutil.Process:
    return psutil.Process(int(service.log.read_text().split()[0]))


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.e2e
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_nothing_is_left_of_it(tmp_path: Path, apart: bool, how: str) -> None:
    service = make_parent(tmp_path, apart=apart)
    service.start()
    child = child_of(service)
    assert service.running
    getattr(service, how)()
    assert not service.running
    psutil.wait_procs([child], timeout=5)
    assert is_gone(child)
    getattr(service, how)()  # once more is nothing


@pytest.mark.e2e
def test_killed_from_outside_it_starts_again_on_the_same_port(tmp_path: Path) -> None:
    service = make_parent(tmp_path, apart=False)
    service.start()
    child, first = child_of(service), service.process
    assert first is not None
    first.kill()
    first.wait()
    assert not service.running
    assert not is_gone(child)  # and still holds the port
    service.start()
    try:
        assert service.running
        assert is_gone(child)
    finally:
        service.stop()


def test_a_program_that_ends_is_told_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no database there')"]
    service = Service("broken", command, tmp_path / "broken.log", lambda: False, own_paths())
    with pytest.raises(StackError, match=r"broken ended; the end of .*broken\.log:\nno database there"):
        service.start()


@pytest.mark.e2e
def test_one_that_never_answers_is_given_up_and_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    service = Service("mute", command, tmp_path / "mute.log", lambda: False, own_paths(), patience=0.5)
    with pytest.raises(StackError, match="mute does not answer"):
        service.start()
    assert not service.running


def test_a_missing_program_is_told_with_the_way_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="expected the program no-such-server, found none: pip install it"):
        find_program("no-such-server", "pip install it")
    with pytest.raises(StackError, match="gone cannot be started: No such file"):
        Service("gone", [tmp_path / "gone"], tmp_path / "gone.log", lambda: True).start()


def test_secrets_are_drawn_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    drawn = keep_secrets(file)
    assert keep_secrets(file) == drawn
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(set(drawn.values)) == len(drawn.values) == len(json.loads(file.read_text()))
    assert not any(secret in repr(drawn) for secret in drawn.values)
    assert drawn != Secrets()


def test_a_stack_of_before_keeps_its_secrets_and_gets_the_new_ones_once(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    before = json.loads(json.dumps(dataclasses.asdict(Secrets())))
    del before["collector_access_key"], before["collector_secret_key"]
    file.write_text(json.dumps(before))
    kept = keep_secrets(file)
    assert {name: getattr(kept, name) for name in before} == before
    assert kept.collector_secret_key
    assert keep_secrets(file) == kept
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_worker_that_only_scores_has_no_administrators_password(tmp_path: Path) -> None:
    stack = Stack(tmp_path, Ports(), {"ITRP_SCORING_POOL": "scoring"})
    assert stack.scoring_pool == "scoring"
    assert stack.environment_of("cpu")["MLFLOW_TRACKING_USERNAME"] == "admin"
    told = stack.environment_of("scoring")
    assert (told["MLFLOW_TRACKING_USERNAME"], told["MLFLOW_TRACKING_PASSWORD"]) == (
        "scorer", stack.secrets.mlflow_scorer_password
    )  # fmt: skip
    assert stack.secrets.mlflow_admin_password not in told.values()
    assert Stack(tmp_path, Ports()).scoring_pool == "cpu"


def test_the_collectors_file_holds_their_keys_alone(tmp_path: Path) -> None:
    stack = Stack(tmp_path, Ports(objects=9123))
    file = stack.write_collectors_keys()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    words = file.read_text().split()
    assert f"AWS_ACCESS_KEY_ID={stack.secrets.collector_access_key}" in words
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:9123" in words
    assert [secret for secret in stack.secrets.values if secret in file.read_text()] == [
        stack.secrets.collector_access_key, stack.secrets.collector_secret_key
    ]  # fmt: skip


def test_ports_in_use_are_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert Ports(mlflow=port).taken().count(port) == 1
    assert choose_ports().taken() == []


ENGINE = """
import subprocess, sys
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True, stdout=subprocess.DEVNULL)
print(left.pid, flush=True)
"""
"""A worker that dies at once and leaves a run behind, in a session of its own and without a parent."""


def leave_engine(marks: dict[str, str]) -> psutil.Process:
    told = subprocess.run(
        [sys.executable, "-c", ENGINE], env={**own_paths(), **marks}, stdout=subprocess.PIPE, text=True, check=True
    )
    return psutil.Process(int(told.stdout))


@pytest.mark.e2e
def test_what_a_dead_worker_has_left_is_found_and_ended_and_nothing_else(tmp_path: Path) -> None:
    ours = leave_engine(mark_workers(tmp_path / "ours"))
    others = [leave_engine(marks) for marks in (mark_workers(tmp_path / "ours-too"), {"PREFECT_HOME": str(tmp_path)})]
    try:
        assert ours.parent() is None or ours.parent().pid != psutil.Process().pid
        assert find_engines(tmp_path / "ours") == [ours]
        assert end_engines(tmp_path / "ours") == 1
        assert is_gone(ours)
        assert not any(is_gone(other) for other in others)
        assert end_engines(tmp_path / "ours") == 0
    finally:
        for each in (ours, *others):
            if each.is_running():
                each.kill()


@pytest.mark.e2e
def test_an_engine_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "TERM_SECONDS", 2)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    environment = {**own_paths(), **mark_workers(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", deaf], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # deaf from here on
        assert end_engines(tmp_path) == 1
        assert not psutil.pid_exists(process.pid)


def test_a_shell_that_sources_the_environment_finds_our_commands_and_keeps_its_own(tmp_path: Path) -> None:
    stack = Stack(tmp_path, choose_ports())
    script = (
        f'. {stack.write_environment()}; . {tmp_path / "env.sh"}; command -v itrp; command -v prefect; echo "$PATH"'
    )
    done = subprocess.run(
        ["sh", "-ec", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    itrp, prefect, path = done.stdout.split()
    programs = Path(sys.executable).parent
    assert (Path(itrp), Path(prefect)) == (programs / "itrp", programs / "prefect")
    assert path == f"{programs}:/usr/bin:/bin"


def test_workers_alone_are_marked(tmp_path: Path) -> None:
    assert MARK not in Stack(tmp_path, choose_ports()).environment
