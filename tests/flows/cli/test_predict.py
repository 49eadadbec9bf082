"""`itrp predict` as it is typed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.platform import Platform


def test_labels_go_to_a_file_and_counts_to_the_reader(
    itrp: Callable[..., Any], scoring: "Platform", tmp_path: Path
) -> None:
    work, out = scoring.settings.work_dir, tmp_path / "labels.csv"
    done = itrp(work, "predict", "image", "--data", "landing", "--out", out)
    assert done.status == 0, done.err
    first, second, third = done.out.splitlines()
    assert first == "30 pairs: 30 labelled, 0 without label"
    assert second.startswith("labelled by itrp-image-task/2, the champion: ")
    assert third == f"written to {out}"
    assert len(out.read_text().splitlines()) == 31
    before = out.stat().st_mtime_ns
    refused = itrp(work, "predict", "image", "--data", "landing", "--out", out)
    assert (refused.status, refused.out) == (2, "")
    assert "--overwrite" in refused.err
    assert out.stat().st_mtime_ns == before
    again = itrp(
        work, "predict", "itrp-image-task@champion", "--data", "landing", "--out", out, "--overwrite", "--json"
    )
    report = json.loads(again.out)
    assert (report["model"], report["alias"], report["pairs"], report["labelled"]) == ("itrp-image-task/2", "", 30, 30)
    assert out.stat().st_mtime_ns > before


def test_a_wrong_file_is_refused_before_anything_starts(itrp: Callable[..., Any], tmp_path: Path) -> None:
    for arguments, told in (
        (("text", "--out", "labels.xlsx"), "expected a file that ends in .csv or .parquet, found 'labels.xlsx'"),
        (("bert", "--out", "labels.csv"), "expected a model such as itrp-text-task@challenger"),
    ):
        done = itrp(tmp_path / "work", "predict", *arguments, "--data", "x")
        assert (done.status, done.out) == (2, "")
        (line,) = done.err.splitlines()
        assert told in line
    assert not (tmp_path / "work").exists()
