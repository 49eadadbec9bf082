"""`torchrun -m flows.distributed`: several processes, one MLflow run, one version, one set of checkpoints."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flows.distributed import Launch, main, read_launch
from itrp.errors import WrongUseError
from itrp.labels import Task
from serving.assessment import CHECKPOINTS_TAG

if TYPE_CHECKING:
    from flows.platform import Platform

Train = Callable[..., "subprocess.CompletedProcess[str]"]
QUICKLY = ["subset_size=30", "batch_size=16", "seed=5"]
"""Two rounds of 30 pairs; a seed of its own, so that no other run of the session counts as this one."""


@pytest.fixture
def train_together() -> Train:
    """`train_together(work_dir, *arguments)`: two processes on the CPU."""

    def train(work_dir: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
        torchrun = [str(Path(sys.executable).with_name("torchrun")), "--standalone", "--nproc-per-node", "2"]
        environment = {**os.environ, "ITRP_WORK_DIR": str(work_dir), "ITRP_DEVICE": "cpu"}
        return subprocess.run(
            [*torchrun, "-m", "flows.distributed", *arguments], env=environment, capture_output=True, text=True
        )

    return train


def test_two_processes_make_one_run_and_one_version(platform: "Platform", train_together: Train) -> None:
    folder = platform.settings.work_dir
    before = {version.version for version in platform.registry.versions(Task.TEXT)}
    done = train_together(folder, "small-text", "--data", "unlabelled", "--json", *QUICKLY)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)  # one of the processes alone has printed
    assert (report["rounds"], report["task"], report["model"]) == (2, "text", "itrp-text-task")
    newest = platform.registry.versions(Task.TEXT)[0]
    assert {version.version for version in platform.registry.versions(Task.TEXT)} - before == {newest.version}
    assert newest.version == report["version"]
    run = platform.registry.client.get_run(report["run_id"])
    assert (run.info.status, run.data.tags["itrp.processes"]) == ("FINISHED", "2")
    assert [metric.step for metric in platform.registry.client.get_metric_history(report["run_id"], "loss")] == [1, 2]
    kept = [info.key for info in platform.store.list(newest.tags[CHECKPOINTS_TAG])]
    assert sum(key.endswith("tuned.safetensors") for key in kept) == 2
    assert not list((folder / "training").iterdir())  # what a resume would have needed


def test_a_run_goes_on_from_checkpoints_of_one_process(
    platform: "Platform", train_together: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single process stops after a round; two go on in its MLflow run, from the object store."""
    from flows.jobs import training as training_run
    from flows.jobs.training import run_training

    upload = training_run._upload_round

    def upload_and_stop(*arguments: object) -> None:
        upload(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training_run, "_upload_round", upload_and_stop)
        with pytest.raises(KeyboardInterrupt):
            run_training(platform, "small-text", "unlabelled", QUICKLY)
    folder = platform.settings.work_dir
    shutil.rmtree(folder / "training")
    runs = platform.registry.client.search_runs(["1"], "attributes.status = 'FAILED'")
    assert len(runs) == 1
    done = train_together(folder, "small-text", "--data", "unlabelled", "--resume", "--json", *QUICKLY)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["rounds"], report["run_id"]) == (2, runs[0].info.run_id)


def test_what_is_wrong_is_told_in_one_line_a_process(platform: "Platform", train_together: Train) -> None:
    done = train_together(platform.settings.work_dir, "small-text", "--data", "nothing")
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if line.startswith("itrp (process ")]
    assert told
    assert all("no data set is called 'nothing'" in line for line in told)
    assert 'distributed.py", line' not in done.stderr  # the traceback there is torchrun's own


def test_torchruns_variables_are_read() -> None:
    assert read_launch({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}) == Launch(5, 8, 1)
    for partial in ({}, {"RANK": "0", "WORLD_SIZE": "2"}, {"RANK": "x", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}):
        with pytest.raises(WrongUseError, match=r"torchrun --nproc-per-node N -m flows.distributed"):
            read_launch(partial)


@pytest.mark.usefixtures("log_as_before")
def test_without_torchrun_the_next_step_is_told(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert main(["small-text", "--data", "unlabelled"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("itrp (process 0): expected torchrun's RANK, WORLD_SIZE and LOCAL_RANK")


@pytest.mark.usefixtures("log_as_before")
def test_a_supervised_system_trains_in_one_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0"), ("ITRP_WORK_DIR", str(tmp_path))):
        monkeypatch.setenv(name, value)
    assert main(["small-clip-text", "--data", "labelled"]) == 2
    assert (
        "small-clip-text is supervised and trains in one process: itrp train small-clip-text" in capfd.readouterr().err
    )
