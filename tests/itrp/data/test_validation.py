"""Candidate -> pair or refusal."""

import hashlib
import io
from datetime import UTC, datetime

import pytest
from PIL import Image

from itrp.data.pairs import Candidate, Pair, Rejection
from itrp.data.rejections import MissingImageError, RejectedError
from itrp.data.validation import check_candidate, check_id, parse_time


def draw(colour: str = "red") -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(sink, "PNG")
    return sink.getvalue()


PICTURE = draw()


def fetch(key: str) -> bytes:
    if key == "refused.png":
        raise RejectedError("image_key_invalid", "expected a key, found another")
    if key != "landing/a/1.png":
        raise MissingImageError(key)
    return PICTURE


def candidate(**changes: object) -> Candidate:
    values = {
        "source": "landing/a/b.jsonl",
        "line": 3,
        "id": "17",
        "text": "words",
        "image_key": "landing/a/1.png",
    }
    return Candidate(**(values | changes))  # type: ignore[arg-type]


def test_pair_keeps_everything() -> None:
    pair = check_candidate(candidate(created_at="2018-10-10T20:19:24Z", lang="lv"), fetch)
    assert isinstance(pair, Pair)
    assert (pair.id, pair.text, pair.image, pair.image_path) == ("17", "words", PICTURE, "1.png")
    assert (pair.source, pair.line, pair.lang) == ("landing/a/b.jsonl", 3, "lv")
    assert pair.created_at == datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)
    assert pair.image_sha256 == hashlib.sha256(PICTURE).hexdigest()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": None}, "id_missing"),
        ({"id": ""}, "id_missing"),
        ({"id": "a b"}, "id_invalid"),
        ({"id": "x" * 65}, "id_invalid"),
        ({"id": 1.5}, "id_invalid"),
        ({"id": True}, "id_invalid"),
        ({"id": ["1"]}, "id_invalid"),
        ({"text": None}, "text_missing"),
        ({"text": " "}, "text_empty"),
        ({"image_key": None}, "image_not_named"),
        ({"image_key": "landing/a/2.png"}, "image_missing"),
        ({"image_key": "refused.png"}, "image_key_invalid"),
    ],
)
def test_refusals(changes: dict[str, object], code: str) -> None:
    rejection = check_candidate(candidate(**changes), fetch)
    assert isinstance(rejection, Rejection)
    assert rejection.code == code
    assert (rejection.source, rejection.line) == ("landing/a/b.jsonl", 3)
    assert rejection.image_key == changes.get("image_key", "landing/a/1.png")


def test_a_failing_store_says_nothing_about_the_tweet() -> None:
    def broken(key: str) -> bytes:
        raise ConnectionError("the store is away")

    with pytest.raises(ConnectionError):
        check_candidate(candidate(), broken)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a-B_9", "a-B_9"), (682734696447520768, "682734696447520768"), ("x" * 64, "x" * 64)],
)
def test_ids(value: object, expected: str) -> None:
    assert check_id(value) == expected


@pytest.mark.parametrize("value", ["6.92094E+17", "7e17", "6.9e+17"])
def test_rounded_ids_are_not_guessed(value: str) -> None:
    with pytest.raises(RejectedError, match="a spreadsheet rounded the id"):
        check_id(value)


@pytest.mark.parametrize("value", ["1\n", "../1", "1" * 5000, 10**5000, "\ud800", "a\0", "\u0661"], ids=range(7))
def test_strange_ids_are_refused_in_writing(value: object) -> None:
    rejection = check_candidate(candidate(id=value), fetch)
    assert isinstance(rejection, Rejection)
    assert rejection.code == "id_invalid"
    assert rejection.id is not None
    assert len(rejection.id) <= 64
    assert rejection.id.isascii()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2018-10-10T20:19:24Z", datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)),
        ("2018-10-10T20:19:24.500+02:00", datetime(2018, 10, 10, 18, 19, 24, 500_000, tzinfo=UTC)),
        ("2018-10-10 20:19:24", datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)),
        ("2018-10-10", datetime(2018, 10, 10, tzinfo=UTC)),
        ("Wed Oct 10 20:19:24 +0000 2018", datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)),
        ("Wed Oct 10 20:19:24 -0330 2018", datetime(2018, 10, 10, 23, 49, 24, tzinfo=UTC)),
        (1539202764, datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)),
        ("1539202764", datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)),
        (1539202764000, datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        ("1477437716000", datetime(2016, 10, 25, 23, 21, 56, tzinfo=UTC)),
        ("1665432000.0", datetime(2022, 10, 10, 20, 0, tzinfo=UTC)),
        ("Wed, 10 Oct 2018 20:19:24 +0000", datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)),
        ("Wed, 10 Oct 2018 20:19:24 -0000", datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)),
        ("10 Oct 2018 22:19 +0200", datetime(2018, 10, 10, 20, 19, tzinfo=UTC)),
        ("Wed, 10 Oct 2018 20:19:24 GMT", datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)),
        ("2022-02-21T20:13:28 UTC", datetime(2022, 2, 21, 20, 13, 28, tzinfo=UTC)),
        ("2022-02-21 20:13:28 GMT", datetime(2022, 2, 21, 20, 13, 28, tzinfo=UTC)),
        ("2022-02-21 20:13:28+00:00", datetime(2022, 2, 21, 20, 13, 28, tzinfo=UTC)),
        ("2024-11-18T12:34:56.123456789Z", datetime(2024, 11, 18, 12, 34, 56, 123456, tzinfo=UTC)),
        ("2024-11-18T12:34:56+0530", datetime(2024, 11, 18, 7, 4, 56, tzinfo=UTC)),
        ("2012-09-09 09:59 +0300", datetime(2012, 9, 9, 6, 59, tzinfo=UTC)),
        ("20240229T101112Z", datetime(2024, 2, 29, 10, 11, 12, tzinfo=UTC)),
        ("9:59 AM · Sep 9, 2012", datetime(2012, 9, 9, 9, 59, tzinfo=UTC)),
        ("12:05\u202fAM · Sep 9, 2012", datetime(2012, 9, 9, 0, 5, tzinfo=UTC)),
        ("Sep 9, 2012 · 12:59 PM UTC", datetime(2012, 9, 9, 12, 59, tzinfo=UTC)),
        ("2016-10-25 19:21:56 EST", None),
        ("2019-02-12 08:00:00 CET", None),
        ("Wed, 10 Oct 2018 20:19:24 EST", None),
        ("11/25/2016 7:21:56 PM", None),
        ("13:59 AM · Sep 9, 2012", None),
        ("9:59 AM · Foo 9, 2012", None),
        ("Wed, 99 Oct 2018 20:19:24 +0000", None),
        ("yesterday", None),
        ("Wed Foo 10 20:19:24 +0000 2018", None),
        ("2018-13-45", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("", None),
        (None, None),
        (True, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**30, None),
        ({}, None),
    ],
)
def test_times_are_read_leniently(value: object, expected: datetime | None) -> None:
    assert parse_time(value) == expected


@pytest.mark.parametrize(
    ("value", "unread"),
    [("yesterday", True), ({}, True), (float("nan"), True), (None, False), ("", False), ("2018-10-10", False)],
)
def test_a_time_that_cannot_be_read_is_told(value: object, unread: bool) -> None:
    pair = check_candidate(candidate(created_at=value), fetch)
    assert isinstance(pair, Pair)
    assert pair.time_unread is unread


@pytest.mark.parametrize("value", ["\ud800", 12, "x" * 36, "", "a\0"])
def test_a_strange_language_is_dropped(value: object) -> None:
    pair = check_candidate(candidate(lang=value), fetch)
    assert isinstance(pair, Pair)
    assert pair.lang is None
