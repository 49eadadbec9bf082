"""What the README tells a newcomer to type works, as typed."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.main import main, parse_arguments
from itrp.datasets.synthetic import write_itr_layout, write_landing_layout, write_twitter100k_layout
from tests.coloured_pairs import write_coloured_pairs

CHECKOUT = Path(__file__).parents[1]
README = (CHECKOUT / "README.md").read_text()
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.S)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line]
INLINE = [each for each in re.findall(r"`(itrp [^`]+)`", README) if "…" not in each and "COMMAND" not in each]


def test_the_make_targets_exist() -> None:
    targets = [line.split()[1] for line in COMMANDS if line.startswith("make ")]
    assert targets == ["demo", "test", "test-e2e"]
    done = subprocess.run(["make", "--dry-run", *targets], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "itrp demo" in done.stdout
    # between them the two run every test, and each tells which were the slowest
    suites = [line for line in done.stdout.splitlines() if "pytest" in line]
    assert [re.findall(r'-m ("not e2e"|e2e)$', line) for line in suites] == [['"not e2e"'], ["e2e"]]
    assert all("--durations=20" in line for line in suites)


@pytest.mark.parametrize("line", [line for line in [*COMMANDS, *INLINE] if line.startswith("itrp ")])
def test_every_command_is_one(line: str) -> None:
    words = [word for word in shlex.split(line) if word != "NAME"]
    assert parse_arguments(words[1:]).command == words[1]


def test_the_tree_names_what_is_there() -> None:
    tree = README.split("## The tree")[1].split("```")[1]
    room = ""
    for line in tree.splitlines():
        if re.match(r"\w+/ ", line):
            room = line.split("/")[0]
            assert (CHECKOUT / room).is_dir(), room
        names = re.findall(r"\b(\w+\.py|\w+/|\w+\.md)(?=\s|,|$)", line.strip() if line.startswith("  ") else "")
        assert all((CHECKOUT / room / name).exists() for name in names), (room, names)


AS_PROGRAMS = ("itrp doctor", "itrp explain")
"""What is typed into a shell; the other commands run in this process, where nothing has to be imported again."""


def run_here(command: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """A command of the README through `main`. Returns status, standard output and standard error."""
    words = [os.path.expanduser(word) for word in shlex.split(command)]  # noqa: PTH111  # as the shell does, word by word
    capfd.readouterr()
    status = main(words[1:])
    return status, *capfd.readouterr()


def run_in_shell(command: str, folder: Path) -> tuple[int, str, str]:
    """The same in a shell, with the installed script on its path."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.usefixtures("log_as_before")
def test_the_commands_run_in_order_on_synthetic_tweets(
    prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The block "On your own tweets", with a home folder that holds synthetic tweets in the layouts it names.

    Where no server is named each command starts one, which is most of what it takes; tests/flows/test_demo.py does that.
    """
    write_twitter100k_layout(tmp_path / "twitter100k", 240, 11)
    write_itr_layout(tmp_path / "itr", 300, 12)
    (tmp_path / "itr/labels.csv").rename(tmp_path / "itr/data.csv")
    write_landing_layout(tmp_path / "new", 40, 13)
    shutil.copytree(
        tmp_path / "new", tmp_path / "itrp-work/objects/landing", ignore=shutil.ignore_patterns("truth.csv")
    )
    tweet = json.loads(next((tmp_path / "new").rglob("*.jsonl")).read_text().splitlines()[0])["id"]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ITRP_WORK_DIR", str(tmp_path / "itrp-work"))
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    monkeypatch.chdir(tmp_path)
    block = next(block for block in BLOCKS if "itrp doctor" in block)
    commands = [line for line in block.splitlines() if line.startswith("itrp ")]
    assert sum(command.startswith(AS_PROGRAMS) for command in commands) == len(AS_PROGRAMS)
    for line in commands:
        command = re.sub(r"explain \d+", f"explain {tweet}", line)
        typed = command.startswith(AS_PROGRAMS)
        status, out, err = run_in_shell(command, tmp_path) if typed else run_here(command, capfd)
        assert status == 0, f"{command}\n{err[-2000:]}"
        assert out.strip(), command
    assert f"tweet {tweet} of " in out
    assert "models say:\n" in out


@pytest.mark.e2e
@pytest.mark.usefixtures("log_as_before")
def test_the_label_free_commands_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The block "Without any label": no labelled tweet lies anywhere, and every new tweet has a label in the end."""
    write_coloured_pairs(tmp_path / "twitter100k", 300, 14)
    write_landing_layout(tmp_path / "new", 40, 15)
    shutil.copytree(
        tmp_path / "new", tmp_path / "itrp-work/objects/landing", ignore=shutil.ignore_patterns("truth.csv")
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ITRP_WORK_DIR", str(tmp_path / "itrp-work"))
    monkeypatch.chdir(tmp_path)
    block = next(block for block in BLOCKS if "small-aligned" in block)
    outputs = {}
    for command in ["itrp ingest twitter100k ~/twitter100k --name twitter100k", *block.splitlines()]:
        status, outputs[command], err = run_here(command, capfd)
        assert status == 0, f"{command}\n{err[-2000:]}"
    assert "promoted (champion before: none)" in outputs["itrp promote text"]
    assert "40 " in outputs["itrp score"]
    assert (
        "300 pairs: 300 labelled, 0 without label" in outputs["itrp predict text --data twitter100k --out labels.csv"]
    )
    assert len((tmp_path / "labels.csv").read_text().splitlines()) == 301
