"""Synthetic tweets on disk: the layouts as real ones come in, the truth beside them, nothing half-written."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from itrp.datasets.synthetic import (
    generate_tweets,
    write_itr_layout,
    write_landing_layout,
    write_twitter100k_layout,
)
from itrp.errors import DataError, WrongUseError


def open_picture(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, escapechar="\\", doublequote=False))


def test_itr_layout(tmp_path: Path) -> None:
    folder = write_itr_layout(tmp_path / "new" / "itr", 50, seed=4)
    assert sorted(path.name for path in folder.iterdir()) == [
        "controversial_samples.txt", "images", "labels.csv", "truth.csv",
    ]  # fmt: skip
    first_line = (folder / "labels.csv").read_text(encoding="utf-8").splitlines()[0]
    assert first_line == (
        '"tweet_id","user_id","tweet","text_is_represented","image_adds","image_adds_text_repr",'
        '"image_adds_text_notrepr","image_notadds_text_repr","image_notadds_text_notrepr"'
    )
    rows = read_csv(folder / "labels.csv")
    expected = list(generate_tweets(50, seed=4))
    assert [(row["tweet_id"], row["tweet"]) for row in rows] == [(tweet.id, tweet.text) for tweet in expected]
    assert {path.name for path in (folder / "images").iterdir()} == {f"T{row['tweet_id']}.jpg" for row in rows}
    assert all(open_picture(path.read_bytes()).format == "JPEG" for path in (folder / "images").iterdir())
    assert [
        (row["tweet_id"], int(row["text_is_represented"]), int(row["image_adds"]))
        for row in read_csv(folder / "truth.csv")
    ] == [(tweet.id, tweet.text_is_represented, tweet.image_adds) for tweet in expected]


def test_itr_one_hot_columns_say_what_the_two_bits_say(tmp_path: Path) -> None:
    columns = [
        "image_notadds_text_notrepr",
        "image_adds_text_notrepr",
        "image_notadds_text_repr",
        "image_adds_text_repr",
    ]
    for row in read_csv(write_itr_layout(tmp_path / "itr", 60, seed=4) / "labels.csv"):
        one_hot = [int(row[column]) for column in columns]
        assert sum(one_hot) == 1
        assert one_hot.index(1) == 2 * int(row["text_is_represented"]) + int(row["image_adds"])


def test_itr_controversial_rows(tmp_path: Path) -> None:
    folder = write_itr_layout(tmp_path / "itr", 200, seed=6)
    published, truth = read_csv(folder / "labels.csv"), read_csv(folder / "truth.csv")
    heads: dict[int, tuple[str, str]] = {}
    for line in (folder / "controversial_samples.txt").read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"([01]{2})->([01]{2}): (\d+(?:, \d+)*)", line)
        assert match, line
        for number in match[3].split(", "):
            assert int(number) not in heads
            heads[int(number)] = (match[1], match[2])
    # 218 of 895 test rows in ITR; 40 of the 200 are test rows here: 9.74 of them, rounded
    assert len(heads) == 10
    assert min(heads) >= 160
    for number, (row, true) in enumerate(zip(published, truth, strict=True)):
        given = row["text_is_represented"] + row["image_adds"]
        right = true["text_is_represented"] + true["image_adds"]
        assert heads.get(number, (right, right)) == (given, right)
        assert (given != right) == (number in heads)


def test_itr_texts_with_quotes_and_backslashes_survive(tmp_path: Path) -> None:
    texts = [row["tweet"] for row in read_csv(write_itr_layout(tmp_path / "itr", 60, seed=6) / "labels.csv")]
    assert any('"' in text for text in texts)
    assert any("\\" in text for text in texts)
    assert texts == [tweet.text for tweet in generate_tweets(60, seed=6)]


def test_twitter100k_layout(tmp_path: Path) -> None:
    folder = write_twitter100k_layout(tmp_path / "t", 30, seed=2)
    expected = list(generate_tweets(30, seed=2, jpeg_only=True))
    assert (folder / "text.txt").read_text(encoding="utf-8").split("\n") == [
        *(tweet.text for tweet in expected),
        "",
    ]
    for number, tweet in enumerate(expected, start=1):
        assert (folder / "images" / f"{number}.jpg").read_bytes() == tweet.image
    assert len(list((folder / "images").iterdir())) == 30
    truth = read_csv(folder / "truth.csv")
    assert [row["id"] for row in truth] == [str(number) for number in range(1, 31)]
    assert [int(row["image_adds"]) for row in truth] == [tweet.image_adds for tweet in expected]


def test_landing_layout(tmp_path: Path) -> None:
    folder = write_landing_layout(tmp_path / "landing", 25, seed=2, batch_size=10)
    assert sorted(path.name for path in folder.iterdir()) == [
        "batch-0001",
        "batch-0002",
        "batch-0003",
        "truth.csv",
    ]
    records = []
    for batch, size in (("batch-0001", 10), ("batch-0002", 10), ("batch-0003", 5)):
        lines = (folder / batch / "tweets.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) == size
        assert len(list((folder / batch).iterdir())) == size + 1
        records += [(folder / batch, json.loads(line)) for line in lines]
    for (batch_folder, record), tweet in zip(records, generate_tweets(25, seed=2), strict=True):
        assert set(record) == {"id", "text", "image", "created_at", "lang"}
        assert (record["id"], record["text"], record["lang"]) == (tweet.id, tweet.text, "en")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["created_at"])
        assert record["image"] == tweet.id + tweet.suffix
        assert (batch_folder / record["image"]).read_bytes() == tweet.image
    assert len(read_csv(folder / "truth.csv")) == 25


def test_progress_counts_every_pair(tmp_path: Path) -> None:
    seen: list[int] = []
    write_landing_layout(tmp_path / "landing", 20, seed=2, progress=seen.append)
    assert seen == [1] * 20


WRITERS = [write_itr_layout, write_twitter100k_layout, write_landing_layout]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("count", [19, 100_001])
def test_counts_out_of_range_are_refused(write, count: int, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(WrongUseError, match=f"expected 20 to 100,000 pairs, found {count:,}"):
        write(tmp_path / "x", count, 0)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("write", WRITERS)
def test_a_folder_with_something_in_it_is_refused(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=r"not to exist or to be an empty folder.*name another folder"):
        write(tmp_path / "x", 20, 0)
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("write", WRITERS)
def test_an_empty_folder_is_taken_and_nothing_else_is_left_behind(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "x").mkdir()
    write(tmp_path / "x", 20, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x" / "truth.csv").is_file()


@pytest.mark.parametrize("write", WRITERS)
def test_nothing_half_written_is_ever_visible(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    seen: list[int] = []

    def stop(more: int) -> None:
        assert not (tmp_path / "x").exists()
        seen.append(more)
        if len(seen) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "x", 20, 0, stop)
    assert list(tmp_path.iterdir()) == []


def test_seed_and_batch_size_are_checked(tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match="expected a seed of 0 or more, found -1"):
        write_itr_layout(tmp_path / "x", 20, -1)
    with pytest.raises(WrongUseError, match="expected a batch size of 1 or more, found 0"):
        write_landing_layout(tmp_path / "x", 20, 0, batch_size=0)


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"expected to write into .*file.*; name another folder"):
        write_itr_layout(tmp_path / "file" / "x", 20, 0)
