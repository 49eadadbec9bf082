"""Tables of tweets: CSV, TSV, Parquet and pandas frames, their columns, pictures, ids and labels."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from itrp.data.pairs import Candidate, Pair, Rejection
from itrp.data.validation import check_candidate
from itrp.datasets.table import TableSource
from itrp.errors import DataError, WrongUseError

REAL = Path(__file__).parents[3].parent / "shared/data"
IDS = [738098541445386241, 738098541445386242, 738098541445386243]
TEXTS = ['he said "wait, what?", then left', "first line\\nsecond line", "NA"]


def draw(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sink = io.BytesIO()
    Image.new("RGB", (8, 8), (1, 2, len(path.name))).save(sink, "JPEG")
    path.write_bytes(sink.getvalue())
    return path


def make_frame(folder: Path, **more: Any) -> pd.DataFrame:
    images = [draw(folder / f"images/{n}.jpg").relative_to(folder).as_posix() for n in range(3)]
    return pd.DataFrame({"id": IDS, "text": TEXTS, "image": images, **more})


def check(source: TableSource) -> list[Pair | Rejection]:
    return [
        record if isinstance(record, Rejection) else check_candidate(record, source.read_image)
        for record in source.candidates()
    ]


def save(frame: pd.DataFrame, path: Path, **how: Any) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, **how)
    return path


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("t.csv", {}),
        ("t.tsv", {"sep": "\t"}),
        ("t.txt", {"sep": ";", "encoding": "utf-8-sig", "lineterminator": "\r\n"}),
        ("t.parquet", {}),
    ],
)
def test_every_kind_of_file_gives_the_same_tweets(tmp_path: Path, name: str, how: dict[str, Any]) -> None:
    frame = make_frame(tmp_path, created_at="2016-06-01T10:00:00.000Z", lang="en", in_reply_to_user_id="")
    source = TableSource(save(frame, tmp_path / name, **how))
    pairs = check(source)
    assert [(p.id, p.text, p.lang, p.line) for p in pairs if isinstance(p, Pair)] == [
        (str(id_), text, "en", line) for line, (id_, text) in enumerate(zip(IDS, TEXTS, strict=True), 1)
    ]
    assert {str(p.created_at) for p in pairs if isinstance(p, Pair)} == {"2016-06-01 10:00:00+00:00"}
    assert source.annotations() is None
    assert (source.layout, source.source_files) == ("csv", (tmp_path / name,))


def test_a_frame(tmp_path: Path) -> None:
    frame = make_frame(tmp_path, created_at=pd.to_datetime(["2016-06-01T10:00:00Z", None, None]))
    source = TableSource(frame, folder=tmp_path)
    pairs = check(source)
    assert [p.id for p in pairs] == [*map(str, IDS)]
    assert [str(p.created_at) for p in pairs if isinstance(p, Pair)] == ["2016-06-01 10:00:00+00:00", "None", "None"]
    missing = pd.DataFrame({"id": ["1", None], "text": [float("nan"), "words"], "image": ["images/0.jpg", pd.NA]})
    assert [o.code for o in check(TableSource(missing, folder=tmp_path))] == ["text_missing", "id_missing"]


def test_whole_numbers_beside_gaps_stay_whole_in_parquet(tmp_path: Path) -> None:
    make_frame(tmp_path)
    table = pa.table({"id": pa.array([IDS[0], None], pa.int64()), "text": ["a", "b"], "image": ["images/0.jpg"] * 2})
    pq.write_table(table, tmp_path / "t.parquet")
    first, second = check(TableSource(tmp_path / "t.parquet"))
    assert (first.id, second.code) == (str(IDS[0]), "id_missing")


NAMES = {
    "twarc-csv": [
        "id",
        "conversation_id",
        "author_id",
        "in_reply_to_user_id",
        "created_at",
        "text",
        "lang",
        "image_path",
    ],
    "Hydrator": ["coordinates", "created_at", "tweet_id", "text", "user_screen_name", "local_image"],
    "snscrape": ["url", "date", "rawContent", "id", "media_file"],
    "twint": ["id", "conversation_id", "date", "tweet", "img"],
    "4CAT": ["thread_id", "id", "timestamp", "body", "file_name"],
    "minet": ["id", "timestamp_utc", "text", "media_files"],
    "CrisisMMD": ["event_name", "tweet_id", "image_id", "tweet_text", "image_path"],
    "ITR": ["tweet_id", "user_id", "tweet", "picture"],
    "a spreadsheet": ["Tweet ID", "Full Text", "Image Path", "Created At"],
}


@pytest.mark.parametrize("tool", NAMES)
def test_usual_names_are_guessed(tmp_path: Path, tool: str) -> None:
    draw(tmp_path / "a.jpg")
    values = {"id": "12", "text": "words", "image": "a.jpg", "created_at": "2016-06-01"}
    roles = {
        "tweetid": "id",
        "tweet": "text",
        "tweettext": "text",
        "body": "text",
        "rawcontent": "text",
        "fulltext": "text",
    }
    roles |= {"date": "created_at", "timestamp": "created_at", "timestamputc": "created_at", "createdat": "created_at"}
    roles |= dict.fromkeys(
        ("localimage", "mediafile", "mediafiles", "img", "filename", "imagepath", "picture"), "image"
    )

    def fill(name: str) -> str:
        simple = name.lower().replace("_", "").replace(" ", "")
        return values.get(roles.get(simple, simple), f"other {name}")

    path = save(pd.DataFrame([{name: fill(name) for name in NAMES[tool]}]), tmp_path / "t.csv")
    (pair,) = check(TableSource(path))
    assert isinstance(pair, Pair)
    assert (pair.id, pair.text, pair.image_path) == ("12", "words", "a.jpg")
    assert pair.created_at is not None or tool in ("CrisisMMD", "ITR")


def test_a_column_that_cannot_be_guessed_is_asked_for(tmp_path: Path) -> None:
    frame = make_frame(tmp_path).rename(columns={"text": "words", "image": "pic"})
    path = save(frame, tmp_path / "t.csv")
    told = r"expected a column with the texts, found the columns id, words, pic: say which with --text COLUMN"
    with pytest.raises(WrongUseError, match=told):
        TableSource(path)
    with pytest.raises(WrongUseError, match="column 'Words' with the texts, found the columns id, words, pic"):
        TableSource(path, text="Words", image="pic")
    with pytest.raises(WrongUseError, match="say which with --created-at COLUMN"):
        TableSource(path, text="words", image="pic", created_at="when")
    assert [p.text for p in check(TableSource(path, text="words", image="pic")) if isinstance(p, Pair)] == TEXTS


def test_columns_that_differ_are_asked_for_and_equal_ones_are_not(tmp_path: Path) -> None:
    frame = make_frame(tmp_path, full_text=[*TEXTS[:2], "more"], tweet_id=IDS, file_name="", date="2016-06-01")
    frame["created_at"] = "Wed Jun 01 00:00:00 +0000 2016"
    with pytest.raises(
        WrongUseError, match=r"found text, full_text, which differ, first in row 3: say which with --text"
    ):
        TableSource(frame, folder=tmp_path)
    assert [p.text for p in check(TableSource(frame, text="full_text", folder=tmp_path))][2] == "more"
    frame["date"] = "2016-06-02"
    with pytest.raises(WrongUseError, match="found created_at, date, which differ, first in row 1"):
        TableSource(frame, text="text", folder=tmp_path)
    (tmp_path / "t.csv").write_text("id,text,Text,image\n1,a,b,c\n")
    with pytest.raises(WrongUseError, match="expected one column 'Text', found several among id, text, Text, image"):
        TableSource(tmp_path / "t.csv")


def test_pictures_by_any_path(tmp_path: Path) -> None:
    away, names = (
        draw(tmp_path / "away/a.jpg"),
        ["../away/a.jpg", "sub\\b.jpg", "", "none.jpg", "sub", "http://x/c.jpg"],
    )
    draw(tmp_path / "here/sub/b.jpg")
    os.mkfifo(tmp_path / "here/pipe")
    names += [str(away), f"file://{away}", "pipe", "x" * 300, "a\nb"]
    frame = pd.DataFrame({"id": range(1, len(names) + 1), "text": "words", "image": names})
    outcomes = check(TableSource(save(frame, tmp_path / "here/t.csv")))
    assert [o.code if isinstance(o, Rejection) else o.image_path for o in outcomes] == [
        "a.jpg", "b.jpg", "image_not_named", "image_missing", "image_missing", "image_key_invalid",
        "a.jpg", "a.jpg", "image_missing", "image_missing", "image_key_invalid",
    ]  # fmt: skip
    reasons = [o.reason for o in outcomes if isinstance(o, Rejection)]
    assert f"expected an image at '{tmp_path}/here/none.jpg', found nothing" in reasons[1]
    assert "found an address, 'http://x/c.jpg': download the image and name its file" in reasons[3]
    assert "File name too long" in reasons[5]


def test_addresses_for_pictures_are_refused_unless_a_column_has_files(tmp_path: Path) -> None:
    frame = make_frame(tmp_path).rename(columns={"image": "local_image"})
    frame["image"] = "https://pbs.twimg.com/media/a.jpg"
    assert all(isinstance(outcome, Pair) for outcome in check(TableSource(frame, folder=tmp_path)))
    with pytest.raises(
        DataError, match=r"found addresses such as https://pbs\.twimg\.com/media/a\.jpg: download the images"
    ):
        TableSource(frame.drop(columns="local_image"))


@pytest.mark.parametrize(
    "write", [float, lambda id_: f"{id_:.5E}", lambda id_: id_ // 10000 * 10000, lambda id_: f"{id_}.0"]
)
def test_rounded_ids_are_refused_for_the_file(tmp_path: Path, write: Any) -> None:
    frame = make_frame(tmp_path)
    frame["id"] = [write(1294030472427835393 + n * 10**12) for n in range(3)]
    with pytest.raises(DataError, match=r"data frame: expected the tweets' ids with all their digits, found 3 of 3"):
        TableSource(frame, folder=tmp_path)
    with pytest.raises(DataError, match=r"t\.csv: expected .* import the column as text"):
        TableSource(save(frame, tmp_path / "t.csv"))


def test_ids_kept_from_being_rounded_are_unwrapped(tmp_path: Path) -> None:
    frame = make_frame(tmp_path)
    frame["id"] = ['="738098541445386241"', "'738098541445386242", " 738098541445386243 "]
    assert [o.id for o in check(TableSource(save(frame, tmp_path / "t.csv")))] == [*map(str, IDS)]


def test_labels_become_annotations(tmp_path: Path) -> None:
    frame = make_frame(
        tmp_path, text_is_represented=[1.0, 0.0, None], image_adds=["1", "", "0"], split=["train", "test", "x"]
    )
    found = TableSource(save(frame, tmp_path / "t.csv")).annotations()
    assert found is not None
    assert (found.text.tolist(), found.image.tolist()) == ([1, 0, -1], [1, -1, 0])
    assert found.ids.tolist() == [*map(str, IDS)]
    assert found.split.tolist()[:2] == ["train", "test"]
    assert not found.controversial.any()
    one = TableSource(frame.drop(columns=["image_adds", "split"]), folder=tmp_path).annotations()
    assert one is not None
    assert np.array_equal(one.image, [-1, -1, -1])
    frame["text_is_represented"] = [1, 2, 0]
    with pytest.raises(DataError, match="found '2' in row 2: correct it, or give the column another name"):
        TableSource(frame, folder=tmp_path)


def test_a_duplicate_does_not_hide_a_second_label(tmp_path: Path) -> None:
    frame = pd.concat([make_frame(tmp_path, image_adds=["1", "0", ""])] * 2, ignore_index=True)
    frame["image_adds"] = ["1", "0", "", "1", "1", "0"]
    outcomes = check(TableSource(frame, folder=tmp_path))
    assert [isinstance(outcome, Pair) for outcome in outcomes] == [True, True, True, True, False, True]
    assert isinstance(outcomes[4], Rejection)
    assert (outcomes[4].code, outcomes[4].line) == ("id_conflict", 5)
    assert "expected one label image_adds a tweet, found 1 in row 5 after 0 in row 2" in outcomes[4].reason


def test_a_table_without_rows_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found only a header"):
        TableSource(make_frame(tmp_path).iloc[:0])


def test_a_text_that_is_not_utf8_is_refused_alone(tmp_path: Path) -> None:
    lines = save(make_frame(tmp_path), tmp_path / "t.csv").read_bytes().replace(b"NA", "café".encode("cp1252"))
    (tmp_path / "t.csv").write_bytes(lines)
    *others, last = check(TableSource(tmp_path / "t.csv"))
    assert all(isinstance(outcome, Pair) for outcome in others)
    assert isinstance(last, Rejection)
    assert (last.code, last.reason) == (
        "text_not_utf8",
        "expected UTF-8, found bytes that are not: save the file as UTF-8",
    )


def test_times_that_cannot_be_read_at_all_are_told(tmp_path: Path) -> None:
    frame = make_frame(tmp_path, date="last Friday")
    with pytest.raises(DataError, match="found 'last Friday' and no other that can be read"):
        TableSource(frame, folder=tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"PK\x03\x04rest", "found a spreadsheet or zip file: save it as CSV in UTF-8"),
        (b"\x1f\x8brest", "found a gzip file"),
        (b"PAR1rest", "expected a Parquet file at"),
        (b"id,text,image\n1,two\nlines,a.jpg\n", r"2 fields for 3 columns in row 1 \(line 2\)"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=told):
        TableSource(tmp_path / "t.csv")
    with pytest.raises(DataError, match="cannot be opened: No such file"):
        TableSource(tmp_path / "absent.csv")


def test_pictures_in_the_table_are_told(tmp_path: Path) -> None:
    table = pa.table({"id": ["1"], "text": ["a"], "image": [{"bytes": b"x", "path": "a.jpg"}]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="expected plain values in the column image"):
        TableSource(tmp_path / "t.parquet")


def test_another_column_is_another_source_and_an_unused_one_is_not(tmp_path: Path) -> None:
    frame = make_frame(tmp_path, other=["a", "b", "c"])
    whole, less = TableSource(frame), TableSource(frame.drop(columns="other"))
    assert whole.fingerprint == less.fingerprint != TableSource(frame, text="other").fingerprint
    assert whole.fingerprint == TableSource(frame.astype(str)).fingerprint


@pytest.mark.e2e
@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="no real data beside the checkout")
def test_real_tables() -> None:
    news = check(TableSource(REAL / "news_tweets/tweets.csv"))
    assert len(news) == 1285
    assert sum(isinstance(outcome, Pair) for outcome in news) >= 1200
    rated = TableSource(REAL / "captions_rated/pairs.csv", id="image")
    assert sum(isinstance(record, Candidate) for record in rated.candidates()) == 2961


def test_a_frame_may_hold_paths_or_the_images_themselves(tmp_path: Path) -> None:
    frame = make_frame(tmp_path).astype(object)
    files = [tmp_path / name for name in frame["image"]]
    frame["image"] = [files[0], files[1].read_bytes(), memoryview(files[2].read_bytes())]
    source = TableSource(frame, folder=tmp_path)
    pairs = check(source)
    assert [pair.image for pair in pairs if isinstance(pair, Pair)] == [file.read_bytes() for file in files]
    frame.at[1, "image"] = draw(tmp_path / "another.jpg").read_bytes()
    assert TableSource(frame, folder=tmp_path).fingerprint != source.fingerprint
    frame["image"] = [b"", 3.5, None]
    refused = [(o.code, o.reason) for o in check(TableSource(frame, folder=tmp_path)) if isinstance(o, Rejection)]
    assert [code for code, _ in refused] == ["image_empty", "image_key_invalid", "image_not_named"]
    assert refused[1][1] == "expected the image's file name or its bytes, found a float"


def test_rows_without_ids_are_numbered_where_that_is_wanted(tmp_path: Path) -> None:
    frame = make_frame(tmp_path).drop(columns="id")
    with pytest.raises(DataError, match=r"expected a column with the tweets' ids.*say which with --id COLUMN"):
        TableSource(frame, folder=tmp_path)
    assert [o.id for o in check(TableSource(frame, folder=tmp_path, numbered=True))] == ["0", "1", "2"]
    own = TableSource(frame.assign(id=IDS), folder=tmp_path, numbered=True)
    assert [o.id for o in check(own)] == [*map(str, IDS)]
    with pytest.raises(DataError, match="expected a column 'key' with the tweets' ids"):
        TableSource(frame, folder=tmp_path, numbered=True, id="key")
