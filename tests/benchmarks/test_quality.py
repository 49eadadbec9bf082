"""The benchmark of quality: what is finished stays finished, figures are those worked out by hand, and one table shows them."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from itrp.labels import Task
from tests.benchmarks import quality
from tests.benchmarks.quality_cells import SYSTEMS, Cell, CellBook, TestSet
from tests.benchmarks.quality_sets import SETS, write_labelled_table
from tests.benchmarks.quality_table import (
    NOTES,
    choose_newest_rows,
    format_quality,
    make_row,
    measure_cells,
    measure_majority,
)
from tests.benchmarks.record import Run
from tests.benchmarks.report import build_page

TEST = TestSet(ids=["a", "b", "c", "d"], labels=[1, 0, 1, 0], ratings=[4.0, 1.0, 3.0, 2.0], majority=1, dev=4)
RIGHT = Cell(
    set="captions_rated",
    task="text",
    system="aligned",
    seed=0,
    labels=[1, 0, 1, 0],
    probabilities=[0.9, 0.1, 0.8, 0.2],
    named_by_labels=False,
    gate=0.8,
    cost={"train_cpu_seconds": 30.0, "score_cpu_seconds_1000": 20.0, "peak_mib": 1536.0},
)
ALL_ONES = replace(RIGHT, seed=1, labels=[1, 1, 1, 1], probabilities=[0.6, 0.6, 0.7, 0.7], cost=None)
SYSTEM = {system.name: system for system in SYSTEMS}


def test_a_finished_cell_is_not_measured_again(tmp_path: Path) -> None:
    book = CellBook(tmp_path)
    book.write(RIGHT)
    chosen = SETS[0]
    quality.measure(book, chosen, Task.TEXT, SYSTEM["aligned"], 0, tmp_path / "no data", with_cost=True)
    assert book.read(chosen.name, Task.TEXT, "aligned", 0) == RIGHT
    assert not book.is_prepared(chosen)
    assert book.read(chosen.name, Task.TEXT, "aligned", 1) is None


def test_seeds_are_read_in_order_and_forgotten_together(tmp_path: Path) -> None:
    book = CellBook(tmp_path / "work")
    cells = [replace(RIGHT, seed=seed) for seed in (10, 2, 0)]
    for cell in [*cells, replace(RIGHT, system="kmeans")]:
        book.write(cell)
    assert book.read_all("captions_rated", Task.TEXT, "aligned") == cells[::-1]
    book.forget()
    assert book.read_all("captions_rated", Task.TEXT, "aligned") == []


def test_the_first_seed_of_everything_comes_first() -> None:
    sets = [each for each in SETS if each.name in ("captions_rated", "synthetic")]
    systems = [SYSTEM["kmeans"], SYSTEM["aligned"]]
    cells = [
        (chosen.name, str(task), system.name, seed)
        for chosen, task, system, seed in quality.list_cells(sets, systems, [*Task], 2)
    ]
    first = [
        ("captions_rated", "text", "kmeans", 0),
        ("synthetic", "text", "kmeans", 0),
        ("synthetic", "image", "kmeans", 0),
        ("captions_rated", "text", "aligned", 0),  # which says nothing of the image task
        ("synthetic", "text", "aligned", 0),
    ]
    assert cells == first + [(*cell[:3], 1) for cell in first]


def test_an_experiment_that_is_not_known_is_left_out() -> None:
    system = replace(SYSTEM["aligned"], experiments={Task.TEXT: ("no-such-experiment",)})
    assert system.experiment(Task.TEXT) is None
    assert SYSTEM["aligned"].experiment(Task.IMAGE) is None
    assert SYSTEM["itrp"].experiment(Task.IMAGE) == ("small-image",)


def test_a_set_is_there_where_its_folders_are(tmp_path: Path) -> None:
    rated, _, synthetic, _ = SETS
    (tmp_path / "captions_rated").mkdir()
    assert (rated.is_there(tmp_path), synthetic.is_there(tmp_path)) == (False, True)
    (tmp_path / "captions_unlabelled").mkdir()
    assert rated.is_there(tmp_path)


def test_figures_are_means_over_the_seeds() -> None:
    figures = measure_cells(TEST, [RIGHT, ALL_ONES])
    # all ones: class 1 has F1 2 * 2 / (2 + 4) = 2/3, class 0 none, half of the weight each
    assert figures["f1"] == pytest.approx((1 + 1 / 3) / 2)
    # of the second run's four pairs of a 1 and a 0, one is in order, one is not, and two are ties
    assert figures["auc"] == pytest.approx((1 + 1 / 2) / 2)
    assert (figures["n"], figures["seeds"], figures["gate"]) == (4, 2, 0.8)
    # ranks of the ratings 4 1 3 2, of the second run's probabilities 1.5 1.5 3.5 3.5: deviations 1.5 -1.5 .5 -.5 and -1 -1 1 1
    assert figures["rho"] == pytest.approx((1 + 0) / 2)
    assert (figures["train_cpu_seconds"], figures["score_cpu_seconds_1000"]) == (
        30,
        20,
    )  # of the run that found nothing kept
    assert figures["low"] <= figures["f1"] <= figures["high"]


def test_pairs_without_a_label_are_left_out_of_every_run() -> None:
    unread = replace(ALL_ONES, labels=[1, None, 1, 1], probabilities=[0.6, None, 0.7, 0.7])
    figures = measure_cells(TEST, [RIGHT, unread])
    assert figures["n"] == 3
    assert figures["f1"] == pytest.approx(
        (1 + (2 / 3) * 0.8) / 2
    )  # 2 * 2 / (2 + 3) of class 1, which has two of three pairs


def test_the_majority_is_that_of_the_train_split() -> None:
    assert measure_majority(TEST)["f1"] == pytest.approx(1 / 3)
    assert measure_majority(replace(TEST, labels=[0, 0, 0, 1]))["f1"] == pytest.approx(0.25 * 0.4)


def test_one_table_has_a_column_for_each_system_that_was_measured() -> None:
    figures = measure_cells(TEST, [RIGHT]) | {"low": 0.5}
    rows = [
        make_row("captions_rated", "text", "majority", 8, measure_majority(TEST) | {"low": 0.1, "high": 0.6}),
        make_row("captions_rated", "text", "aligned", 8, figures),
        make_row("synthetic", "image", "majority", 1000, {"f1": 0.4, "low": 0.3, "high": 0.5, "n": 500}),
    ]
    assert format_quality(rows).splitlines() == [
        "| set | task | labels by | pairs (test) | majority | aligned |",
        "|---|---|---|---|---|---|",
        "| photographs and captions, rated | text | three people | 8 (4) | **33.3** (10.0 to 60.0) | "
        "**100.0** (50.0 to 100.0), AUC 1.00, rho 1.00; 30 + 20 s, 1.5 GiB; 1 seed |",
        "| synthetic tweets | image | rule | 1,000 (500) | **40.0** (30.0 to 50.0) |  |",
    ]
    assert format_quality([]) == ""


def test_a_cell_says_whether_labels_gave_the_names() -> None:
    figures = measure_cells(TEST, [ALL_ONES, replace(ALL_ONES, named_by_labels=True)])
    told = make_row("captions_rated", "text", "aligned", 8, figures).measured
    assert "†, AUC" in told
    assert told.endswith("rho 0.00; 2 seeds")  # no cost was measured
    assert "†" not in make_row("captions_rated", "text", "kmeans", 8, figures).measured  # the notes say it of all


def test_the_page_has_the_newest_figures_below_a_heading_of_their_own() -> None:
    def run(time: str, f1: float) -> Run:
        figures = measure_cells(TEST, [RIGHT]) | {"f1": f1}
        rows = [make_row("captions_rated", "text", "aligned", 8, figures)]
        return Run("quality", time, {"processor": "Abacus", "cores": 2}, {}, "0123456789abcdef", rows)

    runs = [run("2026-01-01T00:00:00", 0.5), run("2026-01-02T00:00:00", 0.75)]
    assert [row.figures["f1"] for row in choose_newest_rows(runs)] == [0.75]
    page = build_page(runs)
    assert f"## Quality\n\n{NOTES}\n\n| set |" in page
    assert "**75.0**" in page
    assert "quality: " not in page
    assert "## Besides" not in page


@pytest.mark.parametrize("margins", ["natural", "matched"])
def test_labelled_tweets_are_a_table_of_two_halves(tmp_path: Path, margins: Literal["natural", "matched"]) -> None:
    table = write_labelled_table(tmp_path / "labelled", 20, margins)
    with table.open(newline="", encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    assert [row["split"] for row in rows] == 10 * ["train"] + 10 * ["test"]
    assert all((table.parent / row["image"]).is_file() and row["text"] for row in rows)
    assert {row["text_is_represented"] for row in rows} == {"0", "1"}


def test_changed_settings_are_a_system_of_their_own() -> None:
    tried = SYSTEM["aligned"].changed(["image.name=efficientnet-lite1"])
    assert tried.name == "aligned+image.name=efficientnet-lite1"
    assert tried.experiment(Task.TEXT) == ("small-aligned", "image.name=efficientnet-lite1")
    assert SYSTEM["aligned"].changed([]) == SYSTEM["aligned"]
