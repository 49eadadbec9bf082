"""The landing contract: JSONL lines and X API v2 responses become candidates or refusals."""

import io
import json
from collections.abc import Callable

import pytest

from itrp.data.pairs import Candidate, Rejection
from itrp.data.rejections import RejectedError
from itrp.datasets.lines import MAX_LINE_BYTES, iter_lines
from itrp.datasets.media import resolve_key
from itrp.datasets.tweets import read_tweets

SOURCE = "landing/day/batch.jsonl"


class SlowStream(io.BytesIO):
    """Gives at most three bytes a read, as a network may."""

    def read(self, n: int | None = -1, /) -> bytes:
        return super().read(min(3, n) if n and n > 0 else 3)


class CountingStream(io.RawIOBase):
    """One endless line, made as it is read; knows how much was asked for."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, n: int = -1, /) -> bytes:
        given = min(n, self.left)
        self.left -= given
        return b"x" * given


def read(data: bytes) -> list[Candidate | Rejection]:
    return [*read_tweets(io.BytesIO(data), SOURCE)]


def line(**record: object) -> bytes:
    return json.dumps(record).encode() + b"\n"


@pytest.mark.parametrize("stream", [io.BytesIO, SlowStream])
def test_lines(stream: Callable[[bytes], io.BytesIO]) -> None:
    data = "a\r\nb\u2028c\x0bd\n\n  \ne".encode()
    assert list(iter_lines(stream(data))) == [
        (1, b"a"),
        (2, "b\u2028c\x0bd".encode()),
        (3, b""),
        (4, b"  "),
        (5, b"e"),
    ]
    assert list(iter_lines(stream(b""))) == []
    assert list(iter_lines(stream(b"a\n"))) == [(1, b"a")]


@pytest.mark.parametrize("stream", [io.BytesIO, SlowStream])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_line_limit_is_inclusive(stream: Callable[[bytes], io.BytesIO], ending: bytes) -> None:
    data = b"12345" + ending + b"123456" + ending + b"1234567890" + ending + b"ok" + ending + b"123456"
    assert list(iter_lines(stream(data), 5)) == [(1, b"12345"), (2, None), (3, None), (4, b"ok"), (5, None)]


def test_an_endless_line_is_not_kept() -> None:
    import tracemalloc

    tracemalloc.start()
    assert list(iter_lines(CountingStream(64 * 1024 * 1024))) == [(1, None)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 1024 * 1024


def test_candidates() -> None:
    data = (
        line(id="1", text="one", image="1.jpg", created_at="2020-01-01", lang="en")
        + b"\n"
        + line(id=2, text="two", image="/p/2.jpg")
    )
    assert read(data) == [
        Candidate(SOURCE, 1, "1", "one", "landing/day/1.jpg", "2020-01-01", "en"),
        Candidate(SOURCE, 3, 2, "two", "p/2.jpg", None, None),
    ]


def test_a_byte_order_mark_is_no_content() -> None:
    assert read(b"\xef\xbb\xbf" + line(id="1"))[0] == Candidate(SOURCE, 1, "1", None, None)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{not json}\n", "record_not_json"),
        (b"[1, 2]\n", "record_not_json"),
        (b'"text"\n', "record_not_json"),
        (b"null\n", "record_not_json"),
        (b'{"id": "1"} {"id": "2"} x\n', "record_not_json"),
        (b"[" * 100_000 + b"\n", "record_not_json"),
        (b'{"id": ' + b"9" * 5000 + b"}\n", "record_not_json"),
        (b'{"id": "1", "text": "caf\xe9"}\n', "text_not_utf8"),
        (b"x" * (MAX_LINE_BYTES + 1) + b"\n", "record_too_long"),
        (line(id="1", text="t", image="../../../etc/passwd"), "image_key_invalid"),
        (line(id="1", text="t", image=7), "image_key_invalid"),
    ],
    ids=range(11),
)
def test_a_bad_line_does_not_touch_the_others(data: bytes, code: str) -> None:
    first, bad, last = read(line(id="a") + data + line(id="b"))
    assert isinstance(first, Candidate)
    assert isinstance(last, Candidate)
    assert (first.line, last.line) == (1, 3)
    assert isinstance(bad, Rejection)
    assert (bad.code, bad.line, bad.source) == (code, 2, SOURCE)


def test_a_refused_key_keeps_its_record_recognisable() -> None:
    (rejection,) = read(line(id=5, text="t", image="../../../x.jpg"))
    assert isinstance(rejection, Rejection)
    assert (rejection.id, rejection.image_key) == ("5", "../../../x.jpg")
    assert "leads out of it" in rejection.reason


@pytest.mark.parametrize(
    ("image", "key"),
    [
        ("a.jpg", "landing/day/a.jpg"),
        ("./a.jpg", "landing/day/a.jpg"),
        ("sub/a.jpg", "landing/day/sub/a.jpg"),
        ("../a.jpg", "landing/a.jpg"),
        ("../../a.jpg", "a.jpg"),
        ("x/../a.jpg", "landing/day/a.jpg"),
        ("/pictures/a.jpg", "pictures/a.jpg"),
        ("//pictures//a.jpg", "pictures/a.jpg"),
        ("/", None),
        ("../../../a.jpg", None),
        ("/../a.jpg", None),
        ("..", "landing"),
        ("../..", None),
        ("a\\b.jpg", None),
        ("a\0.jpg", None),
        ("a\n.jpg", None),
        ("\ud800.jpg", None),
        ("x" * 256, None),
        ("x/" * 600 + "a.jpg", None),
        (["a.jpg"], None),
    ],
)
def test_keys(image: object, key: str | None) -> None:
    if key is None:
        with pytest.raises(RejectedError) as caught:
            resolve_key(image, SOURCE)
        assert caught.value.code == "image_key_invalid"
    else:
        assert resolve_key(image, SOURCE) == key


def test_no_key() -> None:
    assert resolve_key(None, SOURCE) is None
    assert resolve_key("", SOURCE) is None


RESPONSE = {
    "data": [
        {
            "id": "1",
            "text": "one",
            "lang": "en",
            "created_at": "2020-01-01T00:00:00.000Z",
            "attachments": {"media_keys": ["3_1"]},
        },
        {
            "id": "2",
            "text": "cut...",
            "note_tweet": {"text": "whole"},
            "attachments": {"media_keys": ["7_9", "3_2", "3_1"]},
        },
        {"id": "3", "text": "no media"},
        {"id": "4", "text": "a video", "attachments": {"media_keys": ["7_9"]}},
        {"id": "5", "text": "not expanded", "attachments": {"media_keys": ["3_99"]}},
        "not a tweet",
        {"id": "7", "text": "two tweets, one photo", "attachments": {"media_keys": ["3_2"]}},
        {"id": "8", "text": "escape", "attachments": {"media_keys": ["../x"]}},
    ],
    "includes": {
        "media": [
            {"media_key": "3_1", "type": "photo"},
            {"media_key": "3_2", "type": "photo"},
            {"media_key": "7_9", "type": "video"},
            {"media_key": "../x", "type": "photo"},
            {"type": "photo"},
            None,
        ]
    },
    "meta": {"result_count": 8},
}
RESPONSE_KEY = "landing/day/r.json"


def read_response(response: object) -> list[Candidate | Rejection]:
    return [*read_tweets(io.BytesIO(json.dumps(response).encode()), RESPONSE_KEY)]


def test_x_api_response() -> None:
    outcomes = read_response(RESPONSE)
    assert [outcome.line for outcome in outcomes] == [1, 2, 3, 4, 5, 6, 7, 8]
    first, second = outcomes[:2]
    assert isinstance(first, Candidate)
    assert isinstance(second, Candidate)
    assert (first.id, first.text, first.created_at, first.lang) == ("1", "one", "2020-01-01T00:00:00.000Z", "en")
    assert (first.image_key, *first.other_keys[:4]) == tuple(
        f"landing/day/3_1.{ending}" for ending in ("jpg", "jpeg", "png", "gif", "webp")
    )
    assert first.other_keys[4] == "landing/day/1.jpg"
    assert (second.text, second.image_key) == ("whole", "landing/day/3_2.jpg")
    codes = [outcome.code if isinstance(outcome, Rejection) else None for outcome in outcomes]
    assert codes[2:] == ["image_not_named"] * 3 + ["record_not_json", None, "image_key_invalid"]
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Rejection)]
    assert "found one without attachments; name the image's key in the field image, or" in reasons[0]
    assert "found: video" in reasons[1]
    assert "not in includes.media" in reasons[2]


@pytest.mark.parametrize("response", [{"meta": {"result_count": 0}}, {"errors": []}, {"data": []}, {"data": None}])
def test_x_api_response_without_tweets(response: dict[str, object]) -> None:
    assert read_response(response) == []


def test_x_api_single_tweet() -> None:
    response = {"data": RESPONSE["data"][0], "includes": RESPONSE["includes"]}  # type: ignore[index]
    (outcome,) = read_response(response)
    assert isinstance(outcome, Candidate)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{", "record_not_json"),
        (b"[", "record_not_json"),
        (b'{"batch": 1}', "record_not_json"),
        (b'{"data": "\xff"}', "text_not_utf8"),
    ],
)
def test_other_json_files(data: bytes, code: str) -> None:
    (rejection,) = read(data)
    assert isinstance(rejection, Rejection)
    assert (rejection.code, rejection.line) == (code, 1)
