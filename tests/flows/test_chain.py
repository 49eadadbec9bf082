"""The chain through the command line and its Prefect flows: ingest, train, evaluate, promote, score, score again, explain."""

import asyncio
import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

if TYPE_CHECKING:
    from flows.platform import Platform

KEYS = {
    "ingest": {"lines", "pairs", "duplicates", "quarantined", "shards"},
    "train": {"experiment", "task", "rounds", "run_id", "model", "version"},
    "evaluate": {"task", "set", "protocol", "f1", "low", "high", "n"},
    "score": {"pairs", "shards", "text_version", "image_version"},
}
"""What issue 2 promises of each command's JSON object."""


def read_object(done: Any) -> dict[str, Any]:
    """The one JSON object on standard output."""
    assert done.status == 0, done.err
    assert done.out.endswith("}\n")
    assert done.out.count("\n") == 1
    return dict(json.loads(done.out))


def read_flow_run(identity: str) -> tuple[str, str]:
    """Name and state of a run, as Prefect's server has them."""
    from prefect.client.orchestration import get_client

    async def ask() -> tuple[str, str]:
        async with get_client() as client:
            run = await client.read_flow_run(UUID(identity))
            return str(run.name), str(run.state_name)

    return asyncio.run(ask())


def read_table(key: str) -> list[dict[str, Any]]:
    """The newest table artifact of that key."""
    from prefect.artifacts import Artifact

    found = Artifact.get(key)
    assert found is not None
    assert found.type == "table"
    return list(json.loads(found.data))


@pytest.mark.usefixtures("prefect_server")
def test_from_landing_to_explanation(
    itrp: Callable[..., Any], platform: "Platform", tmp_path: Path, drop: "Callable[[Platform, Path], None]"
) -> None:
    work = platform.settings.work_dir
    # 10 of 20 more tweets come twice; one has no picture
    itrp(work, "synthetic", tmp_path / "more", "--layout", "landing", "--pairs", 20, "--seed", 21)
    (batch,) = (tmp_path / "more").glob("batch-*")
    batch.rename(batch.with_name("later"))
    lines = (tmp_path / "more/later/tweets.jsonl").read_text().splitlines(keepends=True)
    spoiled = json.loads(lines[0])
    spoiled.update(id="spoiled", image="absent.jpg")
    (tmp_path / "more/later/tweets.jsonl").write_text("".join([*lines, *lines[:10], json.dumps(spoiled) + "\n"]))
    drop(platform, tmp_path / "more")

    ingested = read_object(itrp(work, "ingest", "landing", "--json"))
    assert KEYS["ingest"] <= ingested.keys()
    assert [ingested[key] for key in ("lines", "pairs", "duplicates", "quarantined", "shards")] == [31, 20, 10, 1, 1]
    again = read_object(itrp(work, "ingest", "--json"))
    assert [again[key] for key in ("lines", "pairs", "shards")] == [0, 0, 0]

    arguments = ["train", "small-image", "--data", "unlabelled", "--json", "pairs=30", "image.size=64", "seed=3"]
    trained = read_object(itrp(work, *arguments))
    assert KEYS["train"] <= trained.keys()
    assert [trained[key] for key in ("experiment", "task", "rounds", "model", "version")] == [
        "small-image", "image", 1, "itrp-image-task", "3",
    ]  # fmt: skip

    evaluated = read_object(itrp(work, "evaluate", "itrp-image-task@challenger", "--data", "labelled", "--json"))
    assert KEYS["evaluate"] <= evaluated.keys()
    assert [evaluated[key] for key in ("task", "set", "protocol", "n")] == ["image", "raw", "dev", 16]
    assert evaluated["low"] <= evaluated["f1"] <= evaluated["high"]
    assert evaluated["models"] == ["itrp-image-task/4"]

    assert read_object(itrp(work, "promote", "--json"))["decisions"][0]["challenger"] == "itrp-text-task/2"
    for task, version in (("text", "2"), ("image", "4")):
        (decision,) = read_object(itrp(work, "promote", task, "--to", version, "--json"))["decisions"]
        assert decision["promoted"] is True
    told = itrp(work, "promote", "image", "--to", "4", "--dry-run")
    assert "itrp-image-task/4 dry run (champion before: itrp-image-task/4)" in told.out
    assert "no tweet has a label yet" in told.out

    scored = read_object(itrp(work, "score", "--json"))
    assert KEYS["score"] <= scored.keys()
    assert [scored[key] for key in ("pairs", "shards", "text_version", "image_version")] == [50, 4, "2", "4"]
    assert sum(row["tweets"] for row in read_table("label-counts")) == 50
    assert {row["relation"]: row["tweets"] for row in read_table("label-counts")} == {
        code: scored["counts"][code] for code in ("00", "01", "10", "11")
    }
    once_more = itrp(work, "score")
    assert once_more.out.splitlines()[0] == "0 tweets in 0 shards labelled by text 2, image 4"
    assert "  0 lines = 0 pairs stored + 0 duplicates + 0 quarantined; 0 new shards" in once_more.out.splitlines()
    assert read_object(itrp(work, "score", "--backfill", "--json"))["pairs"] == 0

    with (tmp_path / "more/truth.csv").open(newline="") as file:
        tweet = next(csv.DictReader(file))["id"]
    (stored,) = read_object(itrp(work, "explain", tweet, "--json"))["stored"]
    (label,) = stored["labels"]
    minute = r"\d{4}-\d\d-\d\dT\d\d:\d\d"
    name, state = read_flow_run(stored["landing_object"]["flow_run"])
    assert re.fullmatch(f"ingest-tweets/{minute} landing", name)
    assert state == "Completed"
    name, state = read_flow_run(label["flow_run"])
    assert re.fullmatch(f"score-tweets/{minute} [0-9]+ shards", name)
    assert state == "Completed"
    assert [model["model"] for model in label["models"]] == ["itrp-text-task/2", "itrp-image-task/4"]
    assert label["models"][1]["mlflow_run"] == trained["run_id"]
    assert read_flow_run(label["models"][1]["flow_run"]) == ("train-itrp/small-image on unlabelled", "Completed")


@pytest.fixture(params=[pytest.param("flow", marks=pytest.mark.e2e), "job"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Through the flow, as with a Prefect server, and directly, as without one."""
    if request.param == "flow":
        request.getfixturevalue("prefect_server")
        yield "flow"
        return
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        yield "job"


def test_scoring_ingests_what_is_new_first(
    itrp: Callable[..., Any], scoring: "Platform", tmp_path: Path, drop: "Callable[[Platform, Path], None]", way: str
) -> None:
    work = scoring.settings.work_dir
    assert read_object(itrp(work, "score", "--json"))["pairs"] == 30
    itrp(work, "synthetic", tmp_path / "more", "--layout", "landing", "--pairs", 20, "--seed", 22)
    (batch,) = (tmp_path / "more").glob("batch-*")
    batch.rename(batch.with_name("later"))
    drop(scoring, tmp_path / "more")
    done = itrp(work, "score", "--json")
    assert [read_object(done)[key] for key in ("pairs", "shards")] == [20, 1]
    # what a person sees of it: our lines, not Prefect's
    assert "champions: text 2, image 2" in done.err
    assert "prefect" not in done.err
    from infra.catalog.queries import list_shards

    with scoring.catalog.session() as session:
        *_, newest = list_shards(session, "landing")
    assert (newest.flow_run_id is not None) == (way == "flow")


def test_scoring_with_nothing_to_do_needs_no_torch(
    prefect_server: str, scoring: "Platform", itrp: Callable[..., Any]
) -> None:
    """Nightly runs that find nothing must be cheap; without a server they do not need Prefect either."""
    assert read_object(itrp(scoring.settings.work_dir, "score", "--json"))["pairs"] == 30
    program = """
import sys
from flows.cli.main import main
assert main(["score", "--json"]) == 0
print([name for name in ("torch", "torchvision", "transformers", "sklearn", "matplotlib", "prefect") if name in sys.modules])
"""
    for server, needed in ((prefect_server, "['prefect']"), ("", "[]")):
        environment = {"ITRP_WORK_DIR": str(scoring.settings.work_dir), "PREFECT_API_URL": server}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        report, imported = done.stdout.splitlines()
        assert json.loads(report)["pairs"] == 0
        assert imported == needed
