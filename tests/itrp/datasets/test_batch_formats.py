"""Batch files by their content: JSON Lines, pages, arrays, documents over several lines, compressed, damaged."""

import gzip
import io
import json
import random
import tracemalloc
from typing import Any

import pyarrow as pa
import pytest

from itrp.data.pairs import Candidate, Rejection
from itrp.datasets.tweets import read_tweets

SOURCE = "landing/day/batch.jsonl"
UMLAUT = "Übersee \N{GRINNING FACE}"


class SlowStream(io.BytesIO):
    """Gives at most five bytes a read, as a network may."""

    def read(self, n: int | None = -1, /) -> bytes:
        return super().read(min(5, n) if n and n > 0 else 5)


def tweet(number: int) -> dict[str, Any]:
    return {"id": f"t{number}", "text": f"{UMLAUT} {number}", "image": "p.jpg"}


def page(*numbers: int) -> dict[str, Any]:
    tweets = [{"id": f"t{n}", "text": f"words {n}", "attachments": {"media_keys": [f"3_{n}"]}} for n in numbers]
    media = [{"media_key": f"3_{n}", "type": "photo"} for n in numbers]
    return {"data": tweets, "includes": {"media": media}, "meta": {"result_count": len(numbers)}}


def dump(*values: Any, indent: int | None = None) -> bytes:
    return "\n".join(json.dumps(value, indent=indent, ensure_ascii=False) for value in values).encode()


def compress_zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def read(data: bytes) -> list[Candidate | Rejection]:
    slow = [*read_tweets(SlowStream(data), SOURCE)] if len(data) < 20_000 else None
    outcomes = [*read_tweets(io.BytesIO(data), SOURCE)]
    assert slow in (None, outcomes)
    return outcomes


def show(data: bytes) -> list[tuple[int, str]]:
    """(number, id or reason code) of each record."""
    return [(one.line, str(one.id) if isinstance(one, Candidate) else one.code) for one in read(data)]


WHOLE: dict[str, tuple[bytes, list[int]]] = {
    "lines": (dump(tweet(1), tweet(2), tweet(3)), [1, 2, 3]),
    "lines of Windows": (dump(tweet(1), tweet(2), tweet(3)).replace(b"\n", b"\r\n") + b"\r\n", [1, 2, 3]),
    "lines with a mark": (b"\xef\xbb\xbf" + dump(tweet(1), tweet(2), tweet(3)), [1, 2, 3]),
    "blank lines first": (b"\n \n" + dump(tweet(1), tweet(2), tweet(3)), [3, 4, 5]),
    "two on a line": (dump(tweet(1)) + b" " + dump(tweet(2)) + b"\n" + dump(tweet(3)), [1, 2, 3]),
    "several lines each": (dump(tweet(1), tweet(2), tweet(3), indent=1), [1, 6, 11]),
    "several lines, no line between": (dump(tweet(1), tweet(2), tweet(3), indent=1).replace(b"}\n{", b"}{"), [1, 2, 3]),
    "array": (dump([tweet(1), tweet(2), tweet(3)]), [1, 2, 3]),
    "array with a mark": (b"\xef\xbb\xbf\n" + dump([tweet(1), tweet(2), tweet(3)]), [2, 3, 4]),
    "array, indented": (dump([tweet(1), tweet(2), tweet(3)], indent=1), [2, 7, 12]),
    "array, a comma too much": (dump([tweet(1), tweet(2), tweet(3)])[:-1] + b",\n]\n", [1, 2, 3]),
    "two arrays": (dump([tweet(1), tweet(2)], [tweet(3)]), [1, 2, 3]),
    "an array a line, after a tweet": (dump(tweet(1), [tweet(2), tweet(3)]), [1, 2, 3]),
    "page": (dump(page(1, 2, 3)), [1, 2, 3]),
    "page, indented": (dump(page(1, 2, 3), indent=4), [1, 2, 3]),
    "page, a tweet a line": (dump(page(1, 2, 3)).replace(b'[{"id"', b'[\n{"id"').replace(b"}, {", b"},\n{"), [1, 2, 3]),
    "pages": (dump(page(1, 2), page(3)), [1, 2, 3]),
    "an empty page between": (dump(page(1, 2), {"meta": {"result_count": 0}}, page(3)), [1, 2, 3]),
    "array of pages": (dump([page(1, 2), page(3)], indent=2), [2, 3, 39]),
    "page of one tweet each, as a stream": (
        dump(*({**page(n), "data": page(n)["data"][0], "matching_rules": []} for n in (1, 2, 3))),
        [1, 2, 3],
    ),
}
PACKED = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "gzip, appended to": lambda data: b"".join(gzip.compress(line) for line in data.splitlines(keepends=True)),
    "zstd": compress_zstd,
    "zstd, appended to": lambda data: b"".join(compress_zstd(line) for line in data.splitlines(keepends=True)),
}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("form", WHOLE)
def test_three_tweets_in_every_form(form: str, packing: str) -> None:
    data, numbers = WHOLE[form]
    assert show(PACKED[packing](data)) == [(number, f"t{place}") for place, number in enumerate(numbers, start=1)]


def test_nothing_is_lost_of_a_text() -> None:
    for data in (dump(tweet(1)), dump([tweet(1)]), dump(tweet(1), indent=2), gzip.compress(dump(tweet(1)))):
        (outcome,) = read(data)
        assert isinstance(outcome, Candidate)
        assert (outcome.text, outcome.image_key) == (f"{UMLAUT} 1", "landing/day/p.jpg")


# named: gzip writes the time into what it makes, and two processes of pytest must collect the same names
EMPTY = {
    "nothing": b"",
    "empty lines": b"\n\n",
    "an empty array": b"[]",
    "a mark": b"\xef\xbb\xbf",
    "nothing in gzip": gzip.compress(b""),
    "errors alone": b'{"errors": [{}]}',
    "empty arrays": b"[]\n[]",
}


@pytest.mark.parametrize("data", EMPTY.values(), ids=EMPTY)
def test_files_without_records(data: bytes) -> None:
    assert show(data) == []


ONE_REFUSAL: dict[str, tuple[bytes, str, str]] = {
    "UTF-16": (dump(tweet(1), tweet(2)).decode().encode("utf-16"), "text_not_utf8", "Out-File -Encoding utf8"),
    "UTF-16 without a mark": (dump(tweet(1)).decode().encode("utf-16-le"), "text_not_utf8", "found UTF-16"),
    "JPEG": (b"\xff\xd8\xff\xe0\0\x10JFIF" + b"\n" * 99, "record_not_json", "found a JPEG image"),
    "zip": (b"PK\x03\x04" + b"\n\n\n", "record_not_json", "a zip archive or an Excel file"),
    "AppleDouble": (b"\0\5\x16\7\0\2\0\0Mac OS X\n\n", "record_not_json", "found bytes that are no text"),
    "error of the API": (b'{"title": "x", "detail": "Too Many Requests"}', "record_not_json", "(Too Many Requests)"),
    "a collector's settings": (b'{"collector": "x", "version": 3}', "record_not_json", "an object with collector, version"),
    "an indented object cut off": (dump(tweet(1), indent=1)[:-2], "record_not_json", "the closing bracket of this object"),
    "an indented object, damaged": (
        dump(page(1, 2), indent=1).replace(b'"includes"', b"includes"), "record_not_json", "Expecting property name",
    ),
    "no JSON in gzip": (gzip.compress(b"nothing"), "record_not_json", "found what cannot be read as such"),
    "gzip cut in its head": (gzip.compress(b"x")[:5], "batch_damaged", "expected gzip data up to the file's end"),
}  # fmt: skip


@pytest.mark.parametrize("case", ONE_REFUSAL)
def test_a_file_that_is_no_batch_is_one_rejection(case: str) -> None:
    data, code, said = ONE_REFUSAL[case]
    (rejection,) = read(data)
    assert isinstance(rejection, Rejection)
    assert (rejection.code, rejection.line) == (code, 1)
    assert said in rejection.reason


DAMAGED: dict[str, tuple[bytes, list[tuple[int, str]]]] = {
    "cut in its last line": (dump(tweet(1), tweet(2))[:-20], [(1, "t1"), (2, "record_not_json")]),
    "first line cut": (dump(tweet(1))[:-9] + b"\n" + dump(tweet(2)), [(1, "record_not_json"), (2, "t2")]),
    "first line cut at a comma": (b'{"id": "1",\n' + dump(tweet(2), tweet(3)), [(1, "record_not_json"), (2, "t2"), (3, "t3")]),
    "first two lines cut": (
        b'{"id": "1",\n{"id": "2", "te\n' + dump(tweet(3)), [(1, "record_not_json"), (2, "record_not_json"), (3, "t3")],
    ),
    "a word in the middle": (dump(tweet(1)) + b"\nnull\n" + dump(tweet(3)), [(1, "t1"), (2, "record_not_json"), (3, "t3")]),
    "a tweet and the rest of another": (
        dump(tweet(1)) + b' "x"}\n' + dump(tweet(2)), [(1, "record_not_json"), (2, "t2")],
    ),
    "NaN beside": (b'{"id": "t1", "text": "x", "image": "p.jpg", "score": NaN}', [(1, "t1")]),
    "array cut": (dump([tweet(1), tweet(2), tweet(3)])[:-30], [(1, "t1"), (2, "t2"), (3, "record_not_json")]),
    "array without its end": (dump([tweet(1), tweet(2)])[:-1], [(1, "t1"), (2, "t2"), (3, "record_not_json")]),
    "array of other things": (b'[{"id": "t1"}, 7, "x", {"id": "t2"}]', [(1, "t1"), (2, "record_not_json"),
                                                                      (3, "record_not_json"), (4, "t2")]),
    "more behind an array": (dump([tweet(1)]) + b"\nend", [(1, "t1"), (2, "record_not_json")]),
    "no comma in an array": (b'[{"id": "t1"} {"id": "t2"}]', [(1, "t1"), (2, "record_not_json")]),
    "a broken object among indented ones": (
        dump(tweet(1), indent=1) + b'\n{\n "id": nothing\n}\n' + dump(tweet(2), indent=1),
        [(1, "t1"), (6, "record_not_json"), (9, "t2")],
    ),
    "gzip cut": (gzip.compress(dump(tweet(1), tweet(2)) + b"\n")[:-4], [(1, "t1"), (2, "t2"), (3, "batch_damaged")]),
    "a part of gzip broken": (gzip.compress(dump(tweet(1)) + b"\n") + b"\x1f\x8b nonsense", [(1, "t1"), (2, "batch_damaged")]),
    "zstd cut": (
        compress_zstd(dump(tweet(1), {"padding": "x" * 2000}) + b"\n") + compress_zstd(dump(tweet(2)))[:-6],
        [(1, "t1"), (2, "batch_damaged")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_whole_is_read_and_what_is_not_is_refused(case: str) -> None:
    data, expected = DAMAGED[case]
    assert show(data) == expected


def test_a_byte_that_is_not_utf8_touches_one_element_of_an_array() -> None:
    data = b'[{"id": "t1", "text": "caf\xe9"}, {"id": "t2", "text": "caf\xc3\xa9"}]'
    first, second = read(data)
    assert isinstance(first, Candidate)
    assert isinstance(second, Candidate)
    assert (first.text, second.text) == ("caf\udce9", "café")


def test_a_page_may_be_longer_than_a_tweet() -> None:
    response = page(*range(3))
    response["includes"]["users"] = [{"description": "x" * 1000}] * 1500
    for data in (dump(response, page(4)), dump([response, page(4)])):
        assert [number for number, _ in show(data)] == [1, 2, 3, 4]
    long = {**tweet(1), "user": "x" * 1_500_000}
    assert show(dump(tweet(0), long, tweet(2))) == [(1, "t0"), (2, "record_too_long"), (3, "t2")]
    assert show(dump([tweet(0), long, tweet(2)])) == [(1, "t0"), (2, "record_too_long"), (3, "t2")]
    endless = b'[{"id": "' + b"x" * 5_000_000
    assert show(endless) == [(1, "record_too_long")]


@pytest.mark.parametrize("pack", [gzip.compress, compress_zstd], ids=["gzip", "zstd"])
def test_a_small_file_that_unpacks_to_much_costs_no_memory(pack: Any) -> None:
    bomb = pack(b'{"id": "1", "text": "' + b"x" * (64 << 20))
    assert len(bomb) < 1 << 17
    tracemalloc.start()
    assert show(bomb) == [(1, "record_too_long")]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_a_long_array_is_not_held() -> None:
    data = dump([{**tweet(n), "user": "x" * 1000} for n in range(20_000)])
    packed = gzip.compress(data)
    tracemalloc.start()
    assert sum(1 for _ in read_tweets(io.BytesIO(packed), SOURCE)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20 < len(data)


def test_a_failing_disk_is_no_damage_of_the_file() -> None:
    class Failing(io.BytesIO):
        def read(self, n: int | None = -1, /) -> bytes:
            if self.tell() > 10:
                raise OSError(5, "Input/output error")
            return super().read(min(n or 8, 8))

    for data in (gzip.compress(dump(tweet(1))), compress_zstd(dump(tweet(1))), dump(tweet(1))):
        with pytest.raises(OSError, match="Input/output error"):
            [*read_tweets(Failing(data), SOURCE)]


def test_whatever_happens_to_a_file_its_records_have_numbers_of_their_own() -> None:
    """Bytes are overwritten, left out and put in at random; the numbers identify rows of the quarantine."""
    draw = random.Random(11)
    packings = [*PACKED.values()]
    for data, _ in WHOLE.values():
        for _ in range(40):
            spoiled = bytearray(draw.choice(packings)(data))
            for _ in range(draw.randint(1, 4)):
                place = draw.randrange(len(spoiled))
                spoiled[place : place + draw.randint(0, 3)] = draw.choice(
                    [b"", b"\0", b"{", b"]", b'"', b"\n", b"\xff", b"\\u"]
                )
            numbers = [record.line for record in read_tweets(io.BytesIO(bytes(spoiled)), SOURCE)]
            assert numbers == sorted(set(numbers))
