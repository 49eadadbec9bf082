"""Predictions as a file: what stands in it, what is refused, and that no half of one is ever seen."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from itrp.data.set_aside import SetAside
from itrp.errors import WrongUseError
from serving.prediction_file import build_predictions, check_prediction_file, write_predictions

NAMES = ("text not represented", "text represented")
TABLE = build_predictions(
    ["1294573920384756736", "-b", "c"],
    np.array([[0.25, 0.75], [0.5, 0.5], [0.87654321, 0.12345679]], dtype=np.float32),
    [SetAside(1, "image_truncated", 'expected a "whole" picture, its data ends')],
    NAMES,
)


def test_a_csv_has_labels_or_reasons(tmp_path: Path) -> None:
    with write_predictions(tmp_path / "labels.csv") as write:
        write(TABLE)
        write(TABLE.slice(0, 1))
    assert (tmp_path / "labels.csv").read_bytes().decode() == (
        "id,label,class,probability,reason\n"
        "1294573920384756736,1,text represented,0.75,\n"
        '-b,,,,"image_truncated: expected a ""whole"" picture, its data ends"\n'
        "c,0,text not represented,0.123457,\n"
        "1294573920384756736,1,text represented,0.75,\n"
    )
    read = pd.read_csv(tmp_path / "labels.csv", dtype={"id": str, "label": "Int64"})
    assert read["id"].tolist()[0] == "1294573920384756736"
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    with write_predictions(tmp_path / "labels.Parquet") as write:
        write(TABLE)
    assert pq.read_table(tmp_path / "labels.Parquet").equals(TABLE)
    assert TABLE.column("label").to_pylist() == [1, None, 0]
    assert TABLE.column("probability").null_count == 1


@pytest.mark.parametrize("name", ["labels.xlsx", "labels", "labels.csv.gz"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongUseError, match=r"expected a file that ends in \.csv or \.parquet, found '.*labels"):
        check_prediction_file(tmp_path / name)


def test_what_is_there_stays_unless_it_may_go(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("mine")
    with (
        pytest.raises(WrongUseError, match=r"expected a new file, found .*labels.csv: .*--overwrite"),
        write_predictions(path),
    ):
        raise AssertionError("nothing is done")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(WrongUseError, match=r"found the folder .*folder.csv: name a file in it"):
        check_prediction_file(tmp_path / "folder.csv", overwrite=True)
    assert path.read_text() == "mine"
    with write_predictions(path, overwrite=True) as write:
        write(TABLE)
    assert path.read_text().startswith("id,label,")


def test_work_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with write_predictions(tmp_path / "labels.csv") as write:
            write(TABLE)
            raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError):
        fail()
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_came_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"

    def race() -> None:
        with write_predictions(path) as write:
            write(TABLE)
            path.write_text("somebody else's")

    with pytest.raises(WrongUseError, match="expected a new file"):
        race()
    assert path.read_text() == "somebody else's"
