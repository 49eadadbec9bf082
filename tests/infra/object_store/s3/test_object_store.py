"""What every object store does: a folder, and buckets of two real S3 servers, one of them with versioning on."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from infra.errors import InfraError, ObjectKeyError, ObjectMissingError, StoreError
from infra.object_store import ObjectStore, check_key, content_of, listed_etag, open_store
from infra.object_store.objects import check_prefix
from infra.parallel import map_in_order, open_pool

WRONG_KEYS = {
    "": "is empty",
    "/etc/passwd": "is absolute",
    "..": "leads out of its folder",
    "a/../../b": "leads out of its folder",
    "a/./b": "leads out of its folder",
    "a//b": "has an empty segment",
    "a/": "has an empty segment",
    "a\\b": "holds a backslash",
    "a\0b": "holds a control character",
    "a\nb": "holds a control character",
    "\ud800": "is not UTF-8",
    ".tmp/x": "lies in the store's own .tmp/",
    "a" * 1025: "is 1025 bytes long",
}


SERVERS = ("seaweedfs", "versioned", "juicefs")


@pytest.fixture(params=["folder", *(pytest.param(each, marks=pytest.mark.e2e) for each in SERVERS)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """An empty-to-the-test store; on S3 every test keeps to its own prefix (`fresh`)."""
    if request.param == "folder":
        return open_store((tmp_path / "objects").as_uri())
    server: Any = request.getfixturevalue("juicefs_server" if request.param == "juicefs" else "s3_server")
    bucket = request.getfixturevalue("versioned_bucket") if request.param == "versioned" else "tweets"
    return open_store(server.url(bucket), server.access_key, SecretStr(server.secret_key))


@pytest.fixture
def ignores_conditions(request: pytest.FixtureRequest) -> bool:
    """Whether the test's store ignores If-None-Match, as JuiceFS's gateway does."""
    return "juicefs" in request.node.callspec.id


@pytest.fixture
def fresh() -> str:
    """A prefix nobody else writes under."""
    return f"t-{uuid.uuid4().hex}/"


def keys_under(store: ObjectStore, prefix: str) -> list[str]:
    """Keys listed under a prefix, without the test's own first folder."""
    return [info.key.partition("/")[2] for info in store.list(prefix)]


def race(count: int, act: Callable[[int], bool]) -> list[bool]:
    """Let threads act at the same moment."""
    barrier = threading.Barrier(count)

    def run(number: int) -> bool:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return [*pool.map(run, range(count))]


def test_put_then_read(store: ObjectStore, fresh: str) -> None:
    before = datetime.now(UTC)
    info = store.put(fresh + "a/b.bin", b"\x00\x01two\r\n")
    assert (info.key, info.size) == (fresh + "a/b.bin", 7)
    assert store.get(info.key) == b"\x00\x01two\r\n"
    found = store.stat(info.key)
    assert found is not None
    assert (found.etag, found.size) == (info.etag, 7)
    for moment in (info.modified, found.modified):
        assert moment.utcoffset() == timedelta(0)
        # Servers give whole seconds.
        assert before - timedelta(seconds=1) <= moment <= datetime.now(UTC) + timedelta(seconds=1)


def test_put_a_local_file_larger_than_a_part(store: ObjectStore, fresh: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * (17 << 12)  # 17 MiB: two parts on S3
    source = tmp_path / "source.bin"
    source.write_bytes(content)
    assert store.put(fresh + "large", source).size == 17 << 20
    assert store.get(fresh + "large") == content
    assert store.put_if_absent(fresh + "large-too", source)
    assert store.get(fresh + "large-too") == content


def test_a_local_file_that_is_not_there_is_no_fault_of_the_store(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.put("x", tmp_path / "missing")


def test_an_empty_object_is_an_object(store: ObjectStore, fresh: str) -> None:
    store.put(fresh + "empty", b"")
    assert store.put_if_absent(fresh + "empty-too", b"")
    assert store.get(fresh + "empty") == b"" == store.get(fresh + "empty-too")
    assert keys_under(store, fresh) == ["empty", "empty-too"]


def test_put_over_changes_content_and_etag(store: ObjectStore, fresh: str) -> None:
    first = store.put(fresh + "x", b"one")
    second = store.put(fresh + "x", b"two")
    assert store.get(fresh + "x") == b"two"
    assert first.etag != second.etag
    listed = [*store.list(fresh)]
    assert [(info.key, info.etag, info.size) for info in listed] == [(fresh + "x", second.etag, 3)]


def test_equal_contents_are_identified_as_equal(store: ObjectStore, fresh: str) -> None:
    first = store.put(fresh + "x", b"one")
    known = store.identify(first)
    found = store.stat(first.key)
    assert found is not None
    assert store.identify(found) == known
    assert listed_etag(known) == found.etag
    again, other = store.put(first.key, b"one"), store.put(fresh + "y", b"two")
    assert (content_of(store.identify(again)) or again.etag) == (content_of(known) or known)
    assert (content_of(store.identify(other)) or other.etag) != (content_of(known) or known)


def test_stream_by_lines_and_by_pieces(store: ObjectStore, fresh: str) -> None:
    store.put(fresh + "lines", b"first\nsecond\n\nlast")
    with store.open(fresh + "lines") as stream:
        assert [*stream] == [b"first\n", b"second\n", b"\n", b"last"]
    with store.open(fresh + "lines") as stream:
        assert (stream.read(3), stream.readline(), stream.read(), stream.read(1)) == (
            b"fir", b"st\n", b"second\n\nlast", b"",
        )  # fmt: skip


def test_a_stream_left_early_does_not_spoil_the_next(store: ObjectStore, fresh: str) -> None:
    content = b"0123456789" * 300_000
    store.put(fresh + "x", content)
    for _ in range(3):
        with store.open(fresh + "x") as stream:
            assert stream.read(5) == b"01234"
    assert store.get(fresh + "x") == content


def test_what_is_not_there(store: ObjectStore, fresh: str) -> None:
    store.put(fresh + "folder/x", b"1")
    for key in (fresh + "nothing", fresh + "folder", fresh + "folder/x/y"):
        assert store.stat(key) is None
        with pytest.raises(ObjectMissingError, match=f"no object lies at {key} in .*: put it there"):
            store.get(key)
        with pytest.raises(ObjectMissingError), store.open(key):
            pass
    assert keys_under(store, fresh + "nothing/") == []


def test_list_is_in_the_order_of_bytes(store: ObjectStore, fresh: str) -> None:
    keys = ["a/x", "a-b/x", "a.txt", "a0", "ab", "A/z", "a/é", "a/z", "a/b c+%20&.txt", "Z/\U0001f600", "￿"]
    for key in keys:
        store.put(fresh + key, b"1")
    assert keys_under(store, fresh) == [
        "A/z", "Z/\U0001f600", "a-b/x", "a.txt", "a/b c+%20&.txt", "a/x", "a/z", "a/é", "a0", "ab", "￿",
    ]  # fmt: skip
    assert keys_under(store, fresh) == sorted(keys, key=str.encode)


def test_a_prefix_is_the_beginning_of_a_string(store: ObjectStore, fresh: str) -> None:
    for key in ("2026/a", "2026/b/c", "2026-11/d", "2027/e"):
        store.put(fresh + key, b"1")
    assert keys_under(store, fresh + "2026") == ["2026-11/d", "2026/a", "2026/b/c"]
    assert keys_under(store, fresh + "2026/") == ["2026/a", "2026/b/c"]
    assert keys_under(store, fresh + "2026/b/c") == ["2026/b/c"]
    assert keys_under(store, fresh + "2026/b/cd") == []
    assert {info.key for info in store.list()} >= {fresh + "2026/a", fresh + "2027/e"}


def test_more_than_a_page_is_listed_read_and_deleted(store: ObjectStore, fresh: str) -> None:
    contents = {
        f"{fresh}{number:04d}.{'json' if number % 200 == 199 else 'jpg'}": b"%d" % number for number in range(1105)
    }
    keys = [*contents]
    with ThreadPoolExecutor(8) as pool:
        [*pool.map(store.put, keys, contents.values())]
    assert [info.key for info in store.list(fresh)] == keys
    assert [info.key for info in store.list(fresh, endings=(".jsonl", ".json"))] == keys[199::200]
    assert [info.key for info in store.list(fresh, start_after=keys[700])] == keys[701:]
    with open_pool() as pool:
        assert [*map_in_order(pool, store.get, keys[::10])] == [*contents.values()][::10]
    store.delete(keys[1:])
    assert [info.key for info in store.list(fresh)] == keys[:1]


def test_a_listing_tells_what_a_look_tells(store: ObjectStore, fresh: str) -> None:
    store.put(fresh + "x", b"12345")
    store.put_if_absent(fresh + "y", b"1")
    for info in store.list(fresh):
        found = store.stat(info.key)
        assert found is not None
        assert (found.key, found.etag, found.size) == (info.key, info.etag, info.size)


def test_a_listing_by_endings_tells_the_others(store: ObjectStore, fresh: str) -> None:
    for key in ("a.jsonl", "b.JSONL", "b.txt", "c/d.Json", "c/e.jpg", "f"):
        store.put(fresh + key, b"1")
    told: set[tuple[str, str]] = set()
    found = store.list(
        fresh, endings=(".jsonl", ".json"), start_after=fresh + "a", passed_over=lambda *one: told.add(one)
    )
    assert [info.key.removeprefix(fresh) for info in found] == ["a.jsonl", "b.JSONL", "c/d.Json"]
    assert told == {(fresh + "b.txt", ""), (fresh + "c/e.jpg", ""), (fresh + "f", "")}
    found = store.list(fresh, endings=".jsonl", start_after=fresh + "b.txt", passed_over=lambda *one: told.clear())
    assert ([*found], told) == ([], set())


BY_DAY = [
    "2026-11-2/a.json", "2026-11-20-b/a.jpg", "2026-11-20-b/a.json", "2026-11-20.json", "2026-11-20/a.json",
    "2026-11-20/a/b.jpg", "2026-11-20/b.json", "2026-11-21/a.json", "2026-11-21/a/b/c.json", "2026-11/a.json",
    "2026/11/20/a.json", "2026/a-b/c.json", "2026/a/b.json", "2026/a0.json", "2027.json",
]  # fmt: skip
"""Keys in the order of bytes; a server that goes through folders has another."""


STARTS = [
    *BY_DAY, "", "2", "2026", "2026-", "2026-11", "2026-11-20", "2026-11-20-", "2026-11-20-b/", "2026-11-20/",
    "2026-11-20/a/", "2026-11-205/", "2026/", "2026/a-", "2026/a-b/", "2026/a-b/d/", "2026/a/", "2027", "3",
]  # fmt: skip


def test_a_listing_from_a_key_on_is_complete(store: ObjectStore, fresh: str) -> None:
    for key in BY_DAY:
        store.put(fresh + key, b"1")
    for start_after in STARTS:
        expected = [key for key in BY_DAY if key > start_after]
        for prefix in ("", "2026-11-20", "2026-11-20/a", "2026/"):
            wanted = [key for key in expected if key.startswith(prefix)]
            assert (start_after, keys_under_from(store, fresh, prefix, start_after)) == (start_after, wanted)
        found = store.list(fresh, endings=".jpg", start_after=fresh + start_after)
        assert [info.key for info in found] == [fresh + key for key in expected if key.endswith(".jpg")]


def keys_under_from(store: ObjectStore, base: str, prefix: str, start_after: str) -> list[str]:
    found = store.list(base + prefix, start_after=base + start_after)
    return [info.key.removeprefix(base) for info in found]


def test_delete_passes_over_what_is_not_there(store: ObjectStore, fresh: str) -> None:
    store.put(fresh + "x", b"1")
    store.put(fresh + "y", b"1")
    store.delete(iter([fresh + "x", fresh + "nothing", fresh + "x/below"]))
    assert keys_under(store, fresh) == ["y"]
    store.delete([])


def test_put_if_absent_keeps_the_first(store: ObjectStore, fresh: str) -> None:
    assert store.put_if_absent(fresh + "x", b"first") is True
    assert store.put_if_absent(fresh + "x", b"second") is False
    assert store.get(fresh + "x") == b"first"
    store.delete([fresh + "x"])
    assert store.put_if_absent(fresh + "x", b"third") is True


def test_of_32_racing_writers_one_wins(store: ObjectStore, fresh: str, ignores_conditions: bool) -> None:
    contents = [f"writer {number}".encode() * 5000 for number in range(32)]
    won = race(32, lambda number: store.put_if_absent(fresh + "x", contents[number]))
    winners = [contents[number] for number in range(32) if won[number]]
    assert len(winners) == 1 or (winners and ignores_conditions)
    assert store.get(fresh + "x") in winners
    assert keys_under(store, fresh) == ["x"]
    assert store.put_if_absent(fresh + "x", b"late") is False
    assert store.get(fresh + "x") in winners


def test_a_reader_sees_the_old_or_the_new(store: ObjectStore, fresh: str, ignores_conditions: bool) -> None:
    if ignores_conditions:
        pytest.skip("JuiceFS's gateway, a file system below, gives a reader parts of both")
    versions = [bytes([65 + number]) * (200_000 + number) for number in range(20)]
    store.put(fresh + "x", versions[0])
    done = threading.Event()

    def read_until_done() -> set[bytes]:
        seen = set()
        while not done.is_set():
            seen.add(store.get(fresh + "x"))
        return seen

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read_until_done)
        try:
            for version in versions:
                store.put(fresh + "x", version)
        finally:
            done.set()
        assert reader.result()
        assert reader.result() <= set(versions)


@pytest.mark.parametrize("key", WRONG_KEYS, ids=range(len(WRONG_KEYS)))
def test_a_wrong_key_is_refused_everywhere(store: ObjectStore, key: str) -> None:
    acts: list[Callable[[], object]] = [
        lambda: store.stat(key),
        lambda: store.get(key),
        lambda: store.local_path(key),
        lambda: store.put(key, b"x"),
        lambda: store.put_if_absent(key, b"x"),
        lambda: store.delete([key]),
    ]
    for act in acts:
        with pytest.raises(ObjectKeyError, match=WRONG_KEYS[key]):
            act()


@pytest.mark.parametrize("wrong", ["/a", "a//b", "../a"])
def test_a_wrong_listing_is_refused(store: ObjectStore, wrong: str) -> None:
    with pytest.raises(ObjectKeyError):
        store.list(wrong)
    with pytest.raises(ObjectKeyError):
        store.list("", start_after=wrong)


def test_the_check_passes_and_leaves_nothing(store: ObjectStore, fresh: str) -> None:
    before = [info.key for info in store.list()]
    store.check()
    assert [info.key for info in store.list()] == before


def test_keys_and_prefixes() -> None:
    for key in ("a", "landing/2026/x.jsonl", "..a/b..", "a b", "é/ü", "x" * 1024, "tmp/.tmp"):
        assert check_key(key) == key
    for prefix in ("", "a", "a/", "a/b", ".", "a/.", "a/.."):
        assert check_prefix(prefix) == prefix
    for prefix in ("/", "/a", "../", "a/../b", "a//", "a\\", ".tmp/", "a/\0"):
        with pytest.raises(ObjectKeyError):
            check_prefix(prefix)
    assert issubclass(ObjectKeyError, StoreError)
    assert issubclass(StoreError, InfraError)
