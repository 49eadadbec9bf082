"""The command line: help, wrong use, failing work, one JSON object, secrets."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flows.cli.main import parse_arguments

if TYPE_CHECKING:
    from flows.platform import Platform

COMMANDS = ["demo", "ingest", "quarantine", "train", "evaluate", "promote", "score", "agreement", "explain", "doctor"]
COMMANDS += ["name", "predict", "synthetic", "analyse", "reproduce"]
HEAVY = ["torch", "mlflow", "prefect", "sklearn", "transformers"]
LIGHT = """
import sys
from flows.cli.main import main
try:
    status = main(sys.argv[2:])
except SystemExit as stopped:
    status = stopped.code
assert not status, status
print([name for name in sys.argv[1].split(",") if name in sys.modules], file=sys.stderr)
"""


def run_light(names: list[str], *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIGHT, ",".join(names), *arguments]
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_the_installed_script_shows_help(spawn: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    process = spawn(tmp_path / "w", "--help")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    shown = out.split()
    assert [name for name in COMMANDS if name in shown] == COMMANDS
    assert "Exit status: 0, 1 when the work failed, 2 for wrong use." in " ".join(shown)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(itrp: Callable[..., Any], tmp_path: Path, command: str) -> None:
    done = itrp(tmp_path, command, "--help")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"usage: itrp {command} ")
    assert "--json" in done.out


@pytest.mark.parametrize(
    "command", [["analyse", "clip", "--data", "x"], ["reproduce", "figure4", "--data", "x"]], ids=lambda words: words[0]
)
def test_the_dual_encoder_has_its_former_name_too(command: list[str]) -> None:
    named = [parse_arguments([*command, option, "some/clip"]) for option in ("--dual-encoder", "--joint")]
    assert [each.joint for each in named] == ["some/clip", "some/clip"]


def test_help_imports_nothing_heavy() -> None:
    done = run_light([*HEAVY, "sqlalchemy", "pydantic", "numpy"], "--help")
    assert (done.returncode, done.stderr) == (0, "[]\n")


@pytest.mark.parametrize("command", [["doctor"], ["ingest", "landing"], ["quarantine"]], ids=" ".join)
def test_without_a_server_a_command_costs_no_prefect(tmp_path: Path, command: list[str]) -> None:
    """Nor MLflow nor torch, before there is a model."""
    done = run_light(HEAVY, *command, "--json", ITRP_WORK_DIR=str(tmp_path / "work"), ITRP_DEVICE="cpu")
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (0, ["[]"]), done.stderr
    assert json.loads(done.stdout)


WRONG = {
    "no command": ([], "the following arguments are required: COMMAND"),
    "unknown command": (["label"], "invalid choice: 'label'"),
    "unknown option": (["score", "--all"], "--all"),
    "word too many": (["score", "now"], "itrp score: not understood: now (see `itrp score --help`)"),
    "nothing to train": (["train"], "the following arguments are required: experiment, --data (see "),
    "no data": (["train", "small-text"], "the following arguments are required: --data"),
    "unknown experiment": (["train", "big", "--data", "x"], "no experiment is called 'big'; known are paper-text, "),
    "unknown setting": (["train", "small-text", "--data", "x", "seeds=1"], "no setting is called 'seeds'; known are "),
    "wrong value": (["train", "small-text", "--data", "x", "seed=abc"], "seed: "),
    "wrong choice": (["train", "small-text", "--data", "x", "clustering.method=magic"], "clustering.method: "),
    "no assignment": (["train", "small-text", "--data", "x", "quick"], "quick"),
    "no assignment before": (["train", "small-text", "quick", "--data", "x"], "expected key=value, found 'quick'"),
    "no model": (["evaluate", "--data", "x"], "MODEL"),
    "no reference": (["evaluate", "bert", "--data", "x"], "expected a model such as itrp-text-task@challenger or "),
    "unknown protocol": (
        ["evaluate", "itrp-text-task/1", "--data", "x", "--protocol", "best"], "invalid choice: 'best'",
    ),
    "protocol and mapping": (
        ["evaluate", "itrp-text-task/1", "--data", "x", "--protocol", "last", "--map-with", "20"], "not allowed with",
    ),
    "mapping with nothing": (
        ["evaluate", "itrp-text-task/1", "--data", "x", "--map-with", "0"], "expected at least 1 labelled pair, or a model",
    ),
    "version of no task": (["promote", "--to", "3"], "--to VERSION needs the task it is for: itrp promote text --to 3"),
    "unknown task": (["promote", "both"], "invalid choice: 'both'"),
    "unknown layout": (["ingest", "xml"], "invalid choice: 'xml'"),
    "no table": (["ingest", "csv", "--name", "n"], "itrp ingest csv needs a path and a name: "),
    "column of no table": (
        ["ingest", "twitter100k", "folder", "--name", "n", "--text", "t"], "name columns of a table: itrp ingest csv FILE",
    ),
    "ITR's options for a table": (["ingest", "csv", "t.csv", "--name", "n", "--texts", "t"], "they belong to ITR"),
    "no path": (["ingest", "twitter100k"], "itrp ingest twitter100k needs a path and a name: "),
    "no name": (["ingest", "twitter100k", "folder"], "needs a path and a name"),
    "no images": (["ingest", "itr", "labels.csv", "--name", "n"], "needs --images DIR"),
    "no LTEC images": (["ingest", "ltec", "l.json", "--name", "n"], "itrp ingest ltec needs --images DIR"),
    "ITR's options for LTEC": (
        ["ingest", "ltec", "l.json", "--images", "d", "--name", "n", "--texts", "t"], "they belong to ITR",
    ),
    "replay of a folder": (["ingest", "twitter100k", "folder", "--name", "n", "--replay"], "itrp ingest landing --replay"),
    "path of the landing zone": (["ingest", "landing", "folder"], "itrp ingest landing takes no path"),
    "name of the landing zone": (["ingest", "landing", "--name", "n"], "itrp ingest landing takes no path"),
    "number": (["synthetic", "x", "--layout", "itr", "--pairs", "many"], "expected a whole number from 0 to 9,223,37"),
    "too few pairs": (["synthetic", "x", "--layout", "itr", "--pairs", "5"], "expected 20 to 100,000 pairs, found 5"),
    "too many pairs": (["synthetic", "x", "--layout", "landing", "--pairs", "100001"], "pairs, found 100,001"),
    "agreement of no task": (["agreement", "both"], "invalid choice: 'both'"),
    "no id": (["explain"], "the following arguments are required: id"),
}  # fmt: skip


@pytest.mark.parametrize("json_too", [False, True], ids=["", "json"])
@pytest.mark.parametrize(("arguments", "told"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_told_in_one_line(
    itrp: Callable[..., Any], tmp_path: Path, arguments: list[str], told: str, json_too: bool
) -> None:
    done = itrp(tmp_path, *arguments, *(["--json"] if json_too and arguments else []))
    assert (done.status, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("itrp")
    assert told in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ITRP_DEVICE", "tpu"),
        ("ITRP_OBJECT_STORE_URL", "ftp://somewhere"),
        ("ITRP_CATALOG_URL", "mysql://somewhere"),
        ("ITRP_WORK_DIR", "/dev/null/work"),
    ],
)
@pytest.mark.parametrize("command", [["score"], ["ingest", "landing"], ["explain", "1"]], ids=" ".join)
def test_a_wrong_setting_is_wrong_use_and_named(
    itrp: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    done = itrp(value if name == "ITRP_WORK_DIR" else tmp_path, *command)
    assert (done.status, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert name in line


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A file where a folder is needed."""
    path = tmp_path / "file"
    path.write_text("in the way")
    return path


def check_failure(done: Any, told: str) -> None:
    """Exit status 1, nothing on standard output, no traceback, and a last line that says it."""
    assert (done.status, done.out) == (1, "")
    assert "Traceback" not in done.err
    *_, last = done.err.splitlines()
    assert last.startswith("itrp: ")
    assert told in last


FAILING = {
    "unknown tweet": (["explain", "nobody"], "no tweet with the id 'nobody' was ever ingested"),
    "unknown data": (
        ["train", "small-text", "--data", "x"],
        "no data set is called 'x': there are labelled, landing, ",
    ),
    "unknown data to agree on": (
        ["agreement", "--data", "x"],
        "no data set is called 'x': there are labelled, landing, ",
    ),
    "no folder": (["ingest", "twitter100k", "/dev/null/x", "--name", "n"], "/dev/null/x"),
    "full folder": (["synthetic", "{tmp}", "--layout", "itr", "--pairs", "20"], "name another folder"),
}


@pytest.mark.parametrize(("arguments", "told"), FAILING.values(), ids=FAILING)
def test_failing_work_ends_in_one_clear_line(
    itrp: Callable[..., Any], platform: "Platform", tmp_path: Path, arguments: list[str], told: str
) -> None:
    done = itrp(platform.settings.work_dir, *(argument.format(tmp=tmp_path) for argument in arguments))
    check_failure(done, told)


FAILING_FLOWS = {
    "no champion": (["score"], "no champion yet for the text and the image task: train a model, then `itrp promote`"),
    "unknown version": (
        ["evaluate", "itrp-text-task/9", "--data", "labelled"],
        "itrp-text-task has the versions 1 to 2",
    ),
    "no labels": (["evaluate", "itrp-text-task/2", "--data", "landing"], "the data set 'landing' has no human labels"),
    "unmapped": (
        ["promote", "text", "--to", "1"],
        "itrp-text-task/1 knows clusters but not yet which class each one is",
    ),
    "unknown gate data": (["promote", "text", "--data", "x"], "no data set is called 'x'"),
}


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(("arguments", "told"), FAILING_FLOWS.values(), ids=FAILING_FLOWS)
def test_a_failing_flow_ends_in_one_clear_line(
    itrp: Callable[..., Any], platform: "Platform", arguments: list[str], told: str
) -> None:
    check_failure(itrp(platform.settings.work_dir, *arguments, "--json"), told)


@pytest.mark.usefixtures("prefect_server")
def test_wrong_use_found_in_a_flow_is_wrong_use(itrp: Callable[..., Any], platform: "Platform") -> None:
    done = itrp(platform.settings.work_dir, "evaluate", "itrp-text-task/1", "itrp-text-task/2", "--data", "labelled")
    assert (done.status, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("itrp: expected one model, or a text and an image model together, found itrp-text-task/1, ")


@pytest.mark.usefixtures("prefect_server")
def test_what_nobody_foresaw_is_one_line_too(itrp: Callable[..., Any], platform: "Platform") -> None:
    """A shard's file is damaged: the library's error, by its name; the traceback on request."""
    from infra.catalog.queries import list_shards

    with platform.catalog.session() as session:
        (shard,) = list_shards(session, "unlabelled")
    path = platform.store.local_path(shard.key)
    assert path is not None
    path.unlink()
    path.write_bytes(b"not a shard")
    arguments = ["train", "small-image", "--data", "unlabelled", "image.size=80"]
    done = itrp(platform.settings.work_dir, *arguments)
    check_failure(done, "ArrowInvalid: ")
    assert "--verbose shows where" in done.err.splitlines()[-1]
    verbose = itrp(platform.settings.work_dir, *arguments, "--verbose")
    assert verbose.status == 1
    assert "Traceback (most recent call last)" in verbose.err


@pytest.mark.parametrize("variable", ["ITRP_CATALOG_URL", "ITRP_MLFLOW_URI"])
def test_a_broken_part_is_told_in_one_line(
    itrp: Callable[..., Any], scoring: "Platform", blocked: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Of the catalog before anything, of MLflow when a label leads to a model."""
    from tests.scoring import find_work, pin_scorer

    scorer = pin_scorer(scoring)
    shard = find_work(scoring.catalog, scorer.pair, backfill=False)[0]
    row = scorer.score(shard)
    from serving.labels import decode_labels

    tweet = decode_labels(scoring.store.get(row.key)).column("id")[0].as_py()
    assert itrp(scoring.settings.work_dir, "explain", tweet).status == 0
    monkeypatch.setenv(variable, f"sqlite:///{blocked}/x.db")
    done = itrp(scoring.settings.work_dir, "explain", tweet)
    check_failure(done, "")


def test_secrets_are_never_shown(itrp: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of a store that does not answer, passwords in addresses: in no line, also of those asked for with --verbose."""
    monkeypatch.setenv("ITRP_OBJECT_STORE_URL", "s3://tweets?endpoint=http://127.0.0.1:9")
    monkeypatch.setenv("ITRP_OBJECT_STORE_ACCESS_KEY", "access-s3cr3t")
    monkeypatch.setenv("ITRP_OBJECT_STORE_SECRET_KEY", "secret-s3cr3t")
    monkeypatch.setenv("ITRP_CATALOG_URL", "postgresql://me:catalog-s3cr3t@127.0.0.1:9/itrp")
    monkeypatch.setenv("ITRP_MLFLOW_URI", "http://me:mlflow-s3cr3t@127.0.0.1:9")
    done = itrp(tmp_path, "doctor", "--verbose")
    assert done.status == 1
    assert [line[:19] for line in done.out.splitlines() if line.startswith("FAIL")] == [
        "FAIL object store  ", "FAIL catalog       ", "FAIL data sets     ", "FAIL mlflow        ", "FAIL models        ",
        "FAIL labels        ",
    ]  # fmt: skip
    explained = itrp(tmp_path, "explain", "1", "--verbose")
    assert explained.status == 1
    for text in (done.out, done.err, explained.err):
        assert "s3cr3t" not in text


def test_synthetic_tweets(itrp: Callable[..., Any], tmp_path: Path) -> None:
    done = itrp(
        tmp_path / "w", "synthetic", tmp_path / "s", "--layout", "twitter100k", "--pairs", "20", "--seed", "4", "--json"
    )
    assert done.status == 0
    drawn = {"layout": "twitter100k", "pairs": 20, "seed": 4, "margins": "natural"}
    assert json.loads(done.out) == {"folder": str(tmp_path / "s"), **drawn}
    assert len((tmp_path / "s/text.txt").read_text().splitlines()) == 20
    assert not (tmp_path / "w").exists()
    told = itrp(tmp_path / "w", "synthetic", tmp_path / "t", "--layout", "landing", "--pairs", "20")
    assert told.out == f"20 tweets in the layout landing in {tmp_path}/t; the truth is in {tmp_path}/t/truth.csv\n"
    assert "tweets drawn: 1 of 20" in told.err
    matched = itrp(
        tmp_path / "w", "synthetic", tmp_path / "m", "--layout", "itr", "--pairs", "20", "--margins", "matched"
    )
    assert matched.out.startswith("20 tweets with matched margins in the layout itr in ")
    assert (tmp_path / "m/truth.csv").read_text().count(",1,") == 10


def test_explain_prints_one_object_or_a_page(itrp: Callable[..., Any], trained: "Platform") -> None:
    done = itrp(trained.settings.work_dir, "explain", "7", "--json")
    assert done.status == 0
    assert done.out.count("\n") == 1
    report = json.loads(done.out)
    assert (report["id"], report["stored"][0]["dataset"]) == ("7", "unlabelled")
    page = itrp(trained.settings.work_dir, "explain", "7")
    assert page.out.startswith(report["stored"][0]["text"].splitlines()[0])
    assert "\ntweet 7 of an unknown time, in the data set unlabelled\n" in page.out
    assert page.err == ""


def test_a_demo_does_not_empty_a_strangers_folder(itrp: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    done = itrp(tmp_path / "w", "demo", "--folder", tmp_path / "mine")
    assert (done.status, done.out) == (2, "")
    assert "holds files the demo did not make: give another folder with --folder" in done.err
    assert (tmp_path / "mine/letter.txt").read_text() == "dear"
