"""Tables read in Python: frames, files and folders as pairs in shards, and the rows that are none."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from itrp.data.inputs import read_ids, read_texts
from itrp.datasets.pair_table import PairTable, read_pairs
from itrp.errors import ColumnError, DataError


def draw(number: int) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 2, 3)).save(sink, "PNG")
    return sink.getvalue()


@pytest.fixture
def frame() -> pd.DataFrame:
    """Four tweets with names of their own."""
    images = [draw(number) for number in range(4)]
    return pd.DataFrame({"text": ["a", "b", "c", "d"], "image": images}, index=["w", "x", "y", "z"])


def texts_of(pairs: PairTable) -> list[str]:
    return [text for shard in pairs.shards for text in read_texts(shard)]


def test_a_frame_becomes_shards(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itrp.datasets.pair_table.SHARD_PAIRS", 3)
    pairs = read_pairs(frame)
    assert (len(pairs), pairs.rows.tolist(), texts_of(pairs)) == (4, [0, 1, 2, 3], ["a", "b", "c", "d"])
    assert [shard.pairs for shard in pairs.shards] == [3, 1]
    assert [name for shard in pairs.shards for name in read_ids(shard)] == ["0", "1", "2", "3"]
    assert pairs.index.tolist() == ["w", "x", "y", "z"]
    assert pairs.annotations is None
    assert len(pairs.rejected) == 0
    folder = pairs.folder
    assert folder.is_dir()
    del pairs
    assert not folder.exists()  # nobody named a folder for it


def test_rejected_rows_do_not_stop_the_others(frame: pd.DataFrame, caplog: pytest.LogCaptureFixture) -> None:
    frame.at["w", "image"] = b"no image"
    frame.at["y", "text"] = None
    with caplog.at_level("WARNING"):
        pairs = read_pairs(frame)
    assert texts_of(pairs) == ["b", "d"]
    assert pairs.rows.tolist() == [1, 3]
    assert pairs.rejected["code"].to_dict() == {"w": "image_not_a_picture", "y": "text_missing"}
    (record,) = caplog.records
    assert record.message.startswith(
        "2 of 4 rows of data frame are left out, `rejected` lists them; first: row w: image_not"
    )


def test_labels_go_with_their_rows(frame: pd.DataFrame) -> None:
    frame["text_is_represented"] = [1, np.nan, 0, 1]
    frame["split"] = ["train", "train", "test", "test"]
    frame.at["w", "image"] = b""
    pairs = read_pairs(frame)
    assert pairs.annotations is not None
    assert pairs.annotations.text.tolist() == [-1, 0, 1]
    assert pairs.annotations.split.tolist() == ["train", "test", "test"]


def test_an_id_that_comes_again_is_rejected(frame: pd.DataFrame) -> None:
    pairs = read_pairs(frame.assign(key=["1", "2", "1", "3"]), id="key")
    assert texts_of(pairs) == ["a", "b", "d"]
    assert pairs.rejected["reason"].to_dict() == {
        "y": "expected every id once, found 1 again, after row 1: drop one of the two"
    }


def test_a_file_and_a_folder_are_read_beside_their_images(frame: pd.DataFrame, tmp_path: Path) -> None:
    for number, data in enumerate(frame["image"]):
        (tmp_path / f"{number}.png").write_bytes(data)
    table = frame.assign(image=[f"{number}.png" for number in range(4)])
    table.to_csv(tmp_path / "tweets.csv", index=False)
    for place in (tmp_path / "tweets.csv", str(tmp_path)):
        pairs = read_pairs(place)
        assert (texts_of(pairs), pairs.index.tolist()) == (["a", "b", "c", "d"], [0, 1, 2, 3])
    assert texts_of(read_pairs(table, folder=tmp_path)) == ["a", "b", "c", "d"]
    table.to_parquet(tmp_path / "tweets.parquet")
    with pytest.raises(
        DataError, match=r"expected one table .* found tweets.csv, tweets.parquet: give the table's own path"
    ):
        read_pairs(tmp_path)


def test_twitter100k_is_read_as_a_folder(frame: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "text.txt").write_text("first\n\nthird\n")
    for number in (1, 2, 3):
        sink = io.BytesIO()
        Image.new("RGB", (8, 8)).save(sink, "JPEG")
        (tmp_path / f"images/{number}.jpg").write_bytes(sink.getvalue())
    pairs = read_pairs(tmp_path)
    assert texts_of(pairs) == ["first", "third"]
    assert (len(pairs.index), pairs.rejected["code"].to_dict()) == (3, {1: "text_empty"})


def test_what_is_computed_can_be_kept(frame: pd.DataFrame, tmp_path: Path) -> None:
    first = read_pairs(frame, cache=tmp_path / "kept")
    again = read_pairs(frame, cache=str(tmp_path / "kept"))
    assert first.shards == again.shards
    assert first.folder == tmp_path / "kept"
    del first, again
    assert len([*(tmp_path / "kept/shards").iterdir()]) == 1


def test_wrong_tables_are_told_with_arguments_not_options(frame: pd.DataFrame, tmp_path: Path) -> None:
    told = "expected a column with the image files, found the columns words, text: say which with image=COLUMN"
    with pytest.raises(ColumnError, match=told):
        read_pairs(pd.DataFrame({"words": ["a"], "text": ["b"]}))
    with pytest.raises(DataError, match="it cannot be opened: No such file or directory"):
        read_pairs(tmp_path / "none.csv")
    with pytest.raises(DataError, match="name the column with their files with image=COLUMN"):
        read_pairs(frame.assign(image="https://example.org/a.jpg"))
    with pytest.raises(
        DataError, match=r"expected usable rows in data frame, found none of 4; row w: image_missing: .*folder="
    ):
        read_pairs(frame.assign(image="none.png"))
