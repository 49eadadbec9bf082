"""`itrp name` as it is typed, and `itrp evaluate --map-with` where there is no label."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flows.platform import Platform


@pytest.fixture(scope="module")
def joint_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CLIP of random weights: what it says of a pair is noise, but always the same."""
    from itrp.baselines.stand_ins import write_clip

    return str(write_clip(tmp_path_factory.mktemp("joint"), seed=0))


def test_from_the_page_to_a_name_to_promotion(itrp: Callable[..., Any], platform: "Platform") -> None:
    work = platform.settings.work_dir
    shown = itrp(work, "name", "itrp-text-task/1")
    assert shown.status == 0, shown.err
    page = work / "naming/itrp-text-task-1-unlabelled.html"
    assert f"page: {page} " in shown.out
    *_, first, second = shown.out.splitlines()
    assert (first, second) == (
        "  itrp name itrp-text-task/1 --cluster 0=represented",
        "  itrp name itrp-text-task/1 --cluster 0=not-represented",
    )
    named = itrp(work, *second.split()[1:], "--by", "Ada")
    assert named.out.splitlines() == [
        "itrp-text-task/3 (challenger), made of itrp-text-task/1: cluster 0 is 'text not represented', "
        "cluster 1 is 'text represented'",
        "named by Ada on tweets of unlabelled",
        "next: itrp promote text",
    ]
    assert itrp(work, "promote", "text", "--dry-run", "--json").status == 0
    report = json.loads(
        itrp(work, "name", "text", "--cluster", "0=represented", "--cluster", "1=represented", "--json").out
    )
    assert (report["model"], report["named_from"], len(report["warnings"])) == (
        "itrp-text-task/4",
        "itrp-text-task/3",
        1,
    )


def test_similarity_by_both_commands(itrp: Callable[..., Any], platform: "Platform", joint_model: str) -> None:
    work = platform.settings.work_dir
    done = itrp(work, "name", "itrp-text-task/1", "--map-with", joint_model, "--data", "landing", "--json")
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert (report["model"], report["by"], report["data"]) == ("itrp-text-task/3", "joint", "landing")
    assert f"{report['gap']:.2f} standard deviations apart, {report['z']:.1f} standard errors" in report["told"]

    done = itrp(
        work, "evaluate", "itrp-text-task/1", "itrp-image-task/1", "--data", "unlabelled", "--map-with", joint_model
    )
    assert done.status == 0, done.err
    first, *_ = done.out.splitlines()
    assert first == "unlabelled has no human labels: class names only, nothing is measured"
    assert "itrp-text-task/4 (challenger), made of itrp-text-task/1" in done.out
    assert "itrp-image-task/3 (challenger), made of itrp-image-task/1" in done.out
    again = itrp(work, "evaluate", "itrp-text-task/4", "--data", "unlabelled", "--map-with", joint_model)
    assert (again.status, again.out) == (2, "")
    assert (
        "expected human labels in 'unlabelled' to evaluate itrp-text-task/4 on, whose clusters have their names"
        in again.err
    )


WRONG = {
    "no reference": (["bert"], "expected a model such as itrp-text-task@challenger"),
    "no name": (
        ["text", "--cluster", "0"],
        "expected a cluster and its name such as 0=represented or 1=adds, found '0'",
    ),
    "twice": (["text", "--cluster", "0=adds", "--cluster", "0=does-not-add"], "found two for the same"),
    "two ways": (["text", "--cluster", "0=adds", "--map-with", "clip"], "not allowed with"),
    "nobody names": (["text", "--by", "Ada"], "it belongs to --cluster N=NAME"),
}


@pytest.mark.parametrize(("arguments", "told"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_told_before_anything_starts(
    itrp: Callable[..., Any], tmp_path: Path, arguments: list[str], told: str
) -> None:
    done = itrp(tmp_path / "work", "name", *arguments)
    assert (done.status, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert told in line
    assert not (tmp_path / "work").exists()
