"""`itrp zero-shot`: models asked without training, under the same evaluation as all others."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from itrp.errors import WrongUseError

if TYPE_CHECKING:
    from flows.platform import Platform


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small random models of both sorts, as they save themselves."""
    from itrp.baselines.stand_ins import write_clip, write_vlm

    folder = tmp_path_factory.mktemp("models")
    return {"similarity": write_clip(folder / "clip", 1), "vlm": write_vlm(folder / "vlm", 1)}


@pytest.mark.parametrize("method", ["similarity", "vlm"])
@pytest.mark.parametrize("protocol", ["dev", "oracle"])
def test_all_three_tasks_are_evaluated_and_logged(
    platform: "Platform", models: dict[str, Path], method: str, protocol: str
) -> None:
    from flows.jobs.zero_shot import run_zero_shot
    from serving.registry import connect_mlflow

    report = run_zero_shot(platform, str(models[method]), "labelled", protocol=protocol, set_name="RL")
    assert (report.method, report.protocol, report.set) == (method, protocol, "RL")
    assert [row["task"] for row in report.rows] == ["text", "image", "image-text"]
    assert all(0 <= row["low"] <= row["f1"] <= row["high"] <= 1 and row["n"] == 16 for row in report.rows)
    assert report.rows[0]["gflop_per_1000"] > 0
    assert len(report.prompt_sha256) == (64 if method == "vlm" else 0)
    assert report.table.count("majority") == 3
    run = connect_mlflow(platform.settings.mlflow_uri).get_run(report.run_id)
    assert run.data.metrics[f"text/test_RL/{protocol}/f1"] == pytest.approx(report.rows[0]["f1"])
    assert run.data.params["method"] == method


def test_the_threshold_chosen_on_the_test_labels_is_never_worse(platform: "Platform", models: dict[str, Path]) -> None:
    from flows.jobs.zero_shot import run_zero_shot

    by_protocol = {
        protocol: run_zero_shot(platform, str(models["similarity"]), "labelled", protocol=protocol).rows
        for protocol in ("dev", "oracle")
    }
    for dev, oracle in zip(by_protocol["dev"][:2], by_protocol["oracle"][:2], strict=True):
        assert oracle["f1"] >= dev["f1"]


def test_there_is_no_last_checkpoint(platform: "Platform", models: dict[str, Path]) -> None:
    from flows.jobs.zero_shot import run_zero_shot

    with pytest.raises(WrongUseError, match="has no last checkpoint"):
        run_zero_shot(platform, str(models["vlm"]), "labelled", protocol="last")


def test_the_command_prints_one_object(
    itrp: Callable[..., Any], platform: "Platform", models: dict[str, Path], prefect_server: str
) -> None:
    work = platform.settings.work_dir
    done = itrp(work, "zero-shot", models["similarity"], "--data", "labelled", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["method"] == "similarity"
    missing = itrp(work, "zero-shot", work / "nowhere", "--data", "labelled")
    assert missing.status == 1
    assert "was looked for as a local folder" in missing.err
