"""The demo is the first thing a newcomer runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.demo import MARKER, NEW_TWEETS, prepare_demo
from itrp.errors import WrongUseError


@pytest.mark.e2e
def test_the_demo_goes_from_nothing_to_labels(tmp_path: Path) -> None:
    command = [Path(sys.executable).with_name("itrp"), "demo", "--folder", tmp_path / "demo", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["promoted"] == {"text": True, "image": True}
    assert report["scored"]["pairs"] == NEW_TWEETS == sum(report["scored"]["counts"].values())
    counts = report["scored"]["counts"]
    assert counts.get("00", 0) + counts.get("11", 0) <= 0.95 * NEW_TWEETS, "both models have learned one question"
    assert "into the same two groups" not in done.stderr  # nor is it warned of
    assert report["scored"]["second_run_pairs"] == 0
    # one flow of flows: versions 1 as trained, versions 2 with class names, which are promoted and score
    assert report["trained"] == ["itrp-text-task/1", "itrp-image-task/1"]
    assert [each["task"] for each in report["evaluations"]] == ["text", "image", "image-text"]
    assert [each["models"] for each in report["evaluations"][:2]] == [["itrp-text-task/2"], ["itrp-image-task/2"]]
    assert report["scored"]["models"] == ["2", "2"]
    for each in report["evaluations"]:
        f1 = {row["system"]: row["f1"] for row in each["rows"]}
        assert {"majority", "vanilla kmeans", "vanilla gmm"} < set(f1)
        assert each["rows"][0]["f1"] > f1["majority"], "ITRp answers no better than the most frequent class"
        assert f1["vanilla kmeans"] < 0.95, "the synthetic tweets are too easy"
    assert all(share > 0.5 for task, share in report["agreement_with_truth"].items() if task != "relation")
    aligned = report["aligned"]
    assert aligned["warnings"] == []
    assert aligned["rows"][0]["f1"] > max(row["f1"] for row in aligned["rows"][1:]), "k-means sees as much"
    without_labels, with_labels = aligned["agreement_with_truth"], report["agreement_with_truth"]
    assert without_labels["text_is_represented"] > 0.7
    assert without_labels["image_adds"] == with_labels["image_adds"]  # the same image model
    assert {path.name for path in (tmp_path / "demo" / "objects").iterdir()} >= {
        "landing",
        "shards",
        "labels",
        "checkpoints",
    }


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(WrongUseError, match="holds files the demo did not make: give another folder with --folder"):
        prepare_demo(str(tmp_path))
    assert (tmp_path / "thesis.tex").exists()


def test_a_demo_is_made_anew_and_forgets_other_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITRP_WORK_DIR", "/elsewhere")
    monkeypatch.setenv("ITRP_CATALOG_URL", "postgresql://elsewhere/catalog")
    monkeypatch.setenv("ITRP_PRECISION", "bf16")
    (tmp_path / MARKER).touch()
    (tmp_path / "catalog.db").write_text("old")
    prepare_demo(str(tmp_path))
    assert os.environ["ITRP_WORK_DIR"] == str(tmp_path)
    assert "ITRP_CATALOG_URL" not in os.environ
    assert os.environ["ITRP_PRECISION"] == "bf16"  # it is asked for, and says nothing of where things lie
    assert [path.name for path in tmp_path.iterdir()] == [MARKER]
