"""The pictures show the numbers they are given; findings are written as files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from itrp.analysis.annotators import Agreement
from itrp.analysis.clip_check import check_label_quality
from itrp.analysis.findings import Findings, format_table
from itrp.analysis.label_errors import rank_label_errors
from itrp.analysis.plots import plot_agreement, plot_label_errors, plot_label_quality
from itrp.data.annotations import Annotations
from itrp.labels import Task

Annotate = Callable[..., Annotations]


def agreement(task: str, alpha: float) -> Agreement:
    return Agreement(task, "nominal", alpha, alpha - 0.1, alpha + 0.1, 40, 3, 120, ("0", "1"))


def test_agreement_has_one_line_a_task() -> None:
    axes = plot_agreement([agreement("text", 0.46), agreement("image", 0.71)]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["text\n40 items", "image\n40 items"]
    points = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
    assert [np.atleast_1d(point).tolist() for point in points] == [[0.46], [0.71]]
    low, high = plot_agreement([agreement("odd", -0.3)]).axes[0].get_xlim()
    assert low < -0.4
    assert high > 1


def test_label_quality_has_one_panel_a_set(annotate: Annotate) -> None:
    annotations = annotate(["00", "01", "10", "11"], {0: "11", 1: "01", 2: "00"})
    found, _ = check_label_quality(np.array([0.1, 0.2, 0.3, 0.4]), annotations)
    axes = plot_label_quality(found).axes
    assert [each.get_title() for each in axes] == [
        "controversial raw, n = 3\nSpearman 1.00 (published 0.09)",
        "controversial corrected, n = 3\nSpearman -1.00 (published 0.28)",
        "test raw, n = 4\nSpearman 1.00 (published 0.38)",
        "test corrected, n = 4\nSpearman -0.11",
    ]


def test_the_ranking_is_drawn_where_it_finds_an_error(annotate: Annotate) -> None:
    represented = np.array([0.1, 0.2, 0.9, 0.3, 0.9, 0.8, 0.05, 0.7])
    probabilities = np.stack([1 - represented, represented], axis=1)
    relations = ["00"] * 4 + ["10"] * 4
    found = rank_label_errors(Task.TEXT, probabilities, annotate(relations, {2: "10", 3: "10"}))
    axes = plot_label_errors({Task.TEXT: found}).axes[0]
    curve, _, flagged = axes.lines
    assert curve.get_xydata().tolist() == pytest.approx(np.array([[0.5, 1 / 2], [1, 2 / 3]]))  # ranks 2 and 3
    assert flagged.get_xydata().tolist() == [[0.5, 0.5]]
    nothing = plot_label_errors({Task.TEXT: rank_label_errors(Task.TEXT, probabilities, annotate(relations))}).axes[0]
    assert [text.get_text() for text in nothing.texts] == ["no error is known"]


def test_findings_are_written_as_files(tmp_path: Path) -> None:
    table = pd.DataFrame({"name": ["ä, b"], "value": [0.25]})
    figure = Figure(figsize=(2, 1))
    findings = Findings("s", {}, {"t.csv": table}, {"p.png": figure}, {"h.html": "<p>ä"})
    written = findings.write(tmp_path / "new" / "folder")
    assert [path.name for path in written] == ["t.csv", "p.png", "h.html"]
    assert written[0].read_text(encoding="utf-8") == 'name,value\n"ä, b",0.25\n'
    assert Image.open(written[1]).size == (300, 150)
    assert written[2].read_text(encoding="utf-8") == "<p>ä"
    assert findings.write(tmp_path / "new" / "folder") == written


def test_a_table_as_text_has_dashes_for_what_there_is_not() -> None:
    assert format_table(pd.DataFrame({"a": [0.12345, None]})).split() == ["a", "0.123", "-"]
