"""What benchmarks leave behind: kept whole, read back, and told with every promise on the page."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.benchmarks.record import Row, Run, describe_machine, format_rows, read_runs, record
from tests.benchmarks.report import build_page
from tests.benchmarks.targets import TARGETS, Target

ROW = Row(
    what="sorting",
    how="a million numbers, median of 5",
    target="<= 1 s",
    measured="0.4 s",
    floor="0.1 s",
    peer="numpy 0.3 s",
    note="ascending",
    figures={"seconds": 0.4},
    met=True,
)
SORTING = Target("sorting", "<= 1 s", "sorting")
GUESSING = Target("guessing, H100", "<= 2 s", "guessing", needs_gpu=True)


def _run(row: Row, time: str) -> Run:
    machine = {"processor": "Abacus", "cores": 2, "load": [0.5, 0.4, 0.3]}
    return Run("sorting", time, machine, {"torch": "2.15.0"}, "0123456789abcdef-dirty", [row])


def test_runs_are_appended_and_read_back_as_they_were(tmp_path: Path) -> None:
    first = record([ROW], "sorting", tmp_path)
    second = record([replace(ROW, measured="0.3 s"), replace(ROW, what="merging")], "sorting", tmp_path)
    assert read_runs(tmp_path) == [first, second]
    lines = (tmp_path / "sorting.jsonl").read_text().splitlines()
    assert [json.loads(line)["rows"][0] for line in lines] == [asdict(ROW), asdict(second.rows[0])]
    assert set(json.loads(lines[0])) == {"name", "time", "machine", "versions", "commit", "rows"}


def test_a_recorded_table_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record([ROW], "sorting", tmp_path)
    assert capsys.readouterr().out.splitlines() == [
        "| what | target | measured | met | floor | peer | note |",
        "|---|---|---|---|---|---|---|",
        "| sorting | <= 1 s | 0.4 s | yes | 0.1 s | numpy 0.3 s | ascending |",
    ]


def test_cells_stay_cells() -> None:
    table = format_rows([replace(ROW, note="a | b\nc")])
    assert table.splitlines()[-1].endswith("| a \\| b c |")


def test_a_machine_is_described_without_its_name() -> None:
    machine = describe_machine()
    assert machine["cores"] >= 1
    assert machine["memory_gib"] > 0
    assert len(machine["load"]) == 3
    assert not {"node", "host", "hostname"} & set(machine)


def test_the_page_takes_the_newest_row_and_says_what_is_open() -> None:
    runs = [_run(ROW, "2026-01-01T00:00:00+00:00"), _run(replace(ROW, measured="0.2 s"), "2026-01-02T10:20:30+00:00")]
    page = build_page(runs, [SORTING, GUESSING])
    assert "| sorting | <= 1 s | 0.2 s | yes | 0.1 s | numpy 0.3 s |" in page
    assert "0.4 s" not in page
    assert "| guessing, H100 | <= 2 s | open: no GPU at hand; `make bench-gpu` |  |  |  |  |\n" in page
    assert (
        "- **sorting**: a million numbers, median of 5. ascending. *2 cores of Abacus, load 0.5, 2026-01-02 10:20, "
        "commit 0123456789ab-dirty, torch 2.15.0*" in page
    )


def test_every_kind_of_machine_has_its_row() -> None:
    runs = [_run(replace(ROW, measured=f"{day}.0 s"), f"2026-01-0{day}") for day in (1, 2, 3)]
    runs[0].machine["processor"] = "Rechenschieber(R) Gold(TM) 8 CPU @ 2.10GHz"
    runs[1].machine["accelerator"] = "Card 1"
    page = build_page(runs, [SORTING])
    assert "| 1.0 s | yes | 0.1 s | numpy 0.3 s | 2 cores of Rechenschieber Gold 8 |" in page
    assert "| 2.0 s | yes | 0.1 s | numpy 0.3 s | Card 1 |" in page
    assert "| 3.0 s | yes | 0.1 s | numpy 0.3 s | 2 cores of Abacus |" in page


def test_memory_is_the_same_on_every_machine() -> None:
    runs = [_run(replace(ROW, measured=f"{day}.0 s"), f"2026-01-0{day}") for day in (1, 2)]
    runs[0].machine["processor"] = "Rechenschieber"
    page = build_page(runs, [replace(SORTING, of_machine=False)])
    assert "| 2.0 s |" in page
    assert "| 1.0 s |" not in page


def test_variants_stand_below_their_target_and_strangers_apart() -> None:
    rows = [replace(ROW, what="sorting: backwards", met=False), ROW, replace(ROW, what="sortingly")]
    runs = [_run(row, f"2026-01-0{day}") for day, row in enumerate(rows, start=1)]
    table, _, besides = build_page(runs, [SORTING]).partition("## Besides")
    names = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| sorting")]
    assert names == ["| sorting", "| sorting: backwards"]
    assert "| sorting: backwards | <= 1 s | 0.4 s | **no** |" in table
    assert "| sortingly |" in besides


def test_without_any_run_every_promise_is_open() -> None:
    page = build_page([])
    for target in TARGETS:
        assert f"| {target.what} | {target.target} | open: " in page


def test_a_broken_file_is_not_passed_over(tmp_path: Path) -> None:
    record([ROW], "sorting", tmp_path)
    with (tmp_path / "sorting.jsonl").open("a") as file:
        file.write("{\n")
    with pytest.raises(json.JSONDecodeError):
        read_runs(tmp_path)
