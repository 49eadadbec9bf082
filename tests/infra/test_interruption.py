"""Ctrl-C at the command line: one line that says how to go on, exit status 130, nothing left running or open."""

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from flows.cli.main import advise

if TYPE_CHECKING:
    from flows.platform import Platform

ITRP = Path(sys.executable).with_name("itrp")
DEFAULT_SIGNALS = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)
"""A test run that was started in a shell's background ignores SIGINT, and so would its children."""
SLOW_CLEANUP = """
import subprocess, sys, time
from infra.interruption import InterruptWatch, closed_when_interrupted
from pathlib import Path

watch = InterruptWatch("itrp score goes on")
watch.start()
child = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"])
Path(sys.argv[1]).write_text(str(child.pid))
with closed_when_interrupted(lambda: (Path(sys.argv[2]).touch(), time.sleep(float(sys.argv[3])))):
    if sys.argv[4] == "finished":
        watch.finish()
    print("ready", flush=True)
    time.sleep(600)
"""


def start(command: list[str], **environment: str) -> "subprocess.Popen[str]":
    """A program in a process group of its own, as a shell starts it in the foreground."""
    return subprocess.Popen(
        [sys.executable, "-c", DEFAULT_SIGNALS, *command], env={**os.environ, **environment}, text=True,
        start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def press(process: "subprocess.Popen[str]") -> None:
    """Ctrl-C: the terminal sends the signal to every process of the group."""
    os.killpg(process.pid, signal.SIGINT)


def has_ended(pid: int) -> bool:
    """Gone, or a zombie nobody has asked about."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def lines_until(process: "subprocess.Popen[str]", told: str) -> Iterator[str]:
    """Lines of standard error, the last of them the first that holds `told`."""
    assert process.stderr is not None
    for line in process.stderr:
        yield line
        if told in line:
            return
    pytest.fail(f"the program ended before it said {told!r}")


def read_rest(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """What is left of both streams (`communicate` would pass over what is read already and not yet asked for), at its end."""
    assert process.stdout is not None
    assert process.stderr is not None
    err, out = process.stderr.read(), process.stdout.read()
    process.wait()
    return out, err


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("seconds", "presses", "finished", "told"),
    [
        pytest.param(0, 1, "", "itrp: stopped; itrp score goes on\n", id="books closed"),
        pytest.param(600, 1, "", "itrp: stopped; itrp score goes on\n", id="books that do not close"),
        pytest.param(600, 2, "", "itrp: stopped; itrp score goes on\n", id="twice"),
        pytest.param(0, 1, "finished", "itrp: stopped\n", id="nothing to go on with"),
        pytest.param(0, 0, "", "itrp: stopped; itrp score goes on\n", id="kill"),
    ],
)
def test_one_line_and_everything_is_gone(tmp_path: Path, seconds: int, presses: int, finished: str, told: str) -> None:
    """Books (MLflow, a server) are closed where that is quick. The child is not told by the signal but ended."""
    closing = tmp_path / "closing"
    process = start([sys.executable, "-c", SLOW_CLEANUP, str(tmp_path / "pid"), str(closing), str(seconds), finished])
    assert process.stdout is not None
    assert {process.stdout.readline(), process.stdout.readline()} == {"ready\n", "up\n"}
    for _ in range(presses):
        press(process)
        time.sleep(0.1)
    if not presses:  # SIGTERM, to the process alone
        process.terminate()
    out, err = process.communicate()
    assert (process.returncode, out, err) == (130 if presses else 143, "", told)
    assert closing.exists()
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 30
    while not has_ended(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert has_ended(child)


@pytest.mark.e2e
def test_who_ignores_the_signal_is_left_alone(tmp_path: Path) -> None:
    """As `nohup itrp score &` does."""
    program = (
        "import os, signal; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "from infra.interruption import InterruptWatch; InterruptWatch('x').start();"
        "os.kill(os.getpid(), signal.SIGINT); print('goes on')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "goes on\n", "")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("train small-text --data 'my tweets' seed=3", "--data 'my tweets' seed=3 --resume continues where it stopped"),
        ("train small-text --resume --data x", "itrp train small-text --resume --data x continues where it stopped"),
        ("score --backfill", "itrp score --backfill continues where it stopped: labelled tweets keep their labels"),
        ("ingest landing", "itrp ingest landing continues where it stopped: no tweet is stored twice"),
        ("reproduce DIR", "itrp reproduce DIR continues where it stopped: it keeps finished runs"),
        ("evaluate itrp-text-task/1 --data x", "--data x repeats it: it keeps the predictions that exist"),
        ("demo", "itrp demo starts from the beginning"),
    ],
)
def test_the_line_names_the_command_that_goes_on(command: str, told: str) -> None:
    words = shlex.split(command)
    assert advise(words[0], words).endswith(told)


def test_while_libraries_load(platform: "Platform", prefect_server: str) -> None:
    process = start(
        [str(ITRP), "train", "small-text", "--data", "unlabelled"],
        ITRP_WORK_DIR=str(platform.settings.work_dir), PREFECT_API_URL=prefect_server,
    )  # fmt: skip
    *before, _ = lines_until(process, "small-text on unlabelled: loading libraries")
    assert before == []  # the first thing that is said
    press(process)
    out, err = read_rest(process)
    assert (process.returncode, out) == (130, "")
    assert err == ("itrp: stopped; itrp train small-text --data unlabelled --resume continues where it stopped\n")


@pytest.mark.e2e
@pytest.mark.parametrize("orchestrated", [True, False], ids=["flow", "job"])
def test_training_is_stopped_and_resumed_by_the_command_it_names(
    platform: "Platform", orchestrated: bool, request: pytest.FixtureRequest
) -> None:
    """In the second of two rounds: MLflow's run ends as killed, Prefect's as cancelled, and --resume goes on with the first."""
    from flows.tracking.runs import FLOW_RUN_TAG, find_experiment_id

    settings = {
        "ITRP_WORK_DIR": str(platform.settings.work_dir), "ITRP_DEVICE": "cpu",
        "PREFECT_API_URL": request.getfixturevalue("prefect_server") if orchestrated else "",
        "PATH": f"{ITRP.parent}:{os.environ['PATH']}",
    }  # fmt: skip
    command = "itrp train small-text --data unlabelled subset_size=30 image.size=64 batch_size=1 seed=8"
    process = start([str(ITRP), *command.split()[1:]], **settings)
    told = [*lines_until(process, "round 1 of 2: loss ")]
    assert "images embedded: 0 of 60" in "".join(told)
    press(process)
    out, err = read_rest(process)
    *_, last = err.splitlines()
    assert (process.returncode, out) == (130, "")
    assert last == f"itrp: stopped; {command} --resume continues where it stopped"
    assert "Traceback" not in err

    client = platform.registry.client
    find = ([find_experiment_id(platform.settings)], "run_name = 'small-text seed 8'")
    (run,) = client.search_runs(*find)
    assert run.info.status == "KILLED"
    if orchestrated:
        assert read_state(run.data.tags[FLOW_RUN_TAG]) == ("CANCELLED", "stopped at the command line")
    else:
        assert run.data.tags[FLOW_RUN_TAG] == ""

    resume = last.partition("; ")[2].partition(" continues")[0]
    done = subprocess.run(
        ["bash", "-c", resume], env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "2 rounds" in done.stdout
    (run,) = client.search_runs(*find)
    assert run.info.status == "FINISHED"


def read_state(flow_run: str) -> tuple[str, str]:
    """Type and message of a flow run's state, as the server has it."""
    from prefect.client.orchestration import get_client

    async def ask() -> tuple[str, str]:
        async with get_client() as client:
            state = (await client.read_flow_run(UUID(flow_run))).state
            assert state is not None
            return state.type.value, str(state.message)

    return asyncio.run(ask())
