"""What only the folder store has to get right: links, kills, strange files, full or missing folders."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.errors import ObjectKeyError, ObjectMissingError, StoreError
from infra.object_store import ObjectStore, open_store
from infra.object_store.file_store import ABANDONED_SECONDS
from tests.disk import record_disk


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def store(root: Path) -> ObjectStore:
    store = open_store(root.as_uri())
    store.put("landing/a.jsonl", b"inside")
    return store


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def test_objects_are_plain_files_that_others_may_read(store: ObjectStore, root: Path) -> None:
    path = root / "landing/a.jsonl"
    assert path.read_bytes() == b"inside"
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_an_object_can_be_used_in_place(store: ObjectStore, root: Path) -> None:
    assert store.local_path("landing/a.jsonl") == root / "landing/a.jsonl"
    for key in ("landing", "landing/b.jsonl"):
        with pytest.raises(ObjectMissingError, match="put it there"):
            store.local_path(key)


def test_the_etag_is_size_and_time(store: ObjectStore, root: Path) -> None:
    os.utime(root / "landing/a.jsonl", ns=(0, 255))
    info = store.stat("landing/a.jsonl")
    assert info is not None
    assert info.etag == "6-ff"


def test_files_put_by_others_are_objects(store: ObjectStore, root: Path) -> None:
    (root / "landing/b.jsonl").write_bytes(b"by hand")
    assert keys(store) == ["landing/a.jsonl", "landing/b.jsonl"]
    assert store.get("landing/b.jsonl") == b"by hand"


def test_links_out_of_the_store_are_refused(store: ObjectStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/x").write_bytes(b"outside")
    (root / "landing/file").symlink_to(tmp_path / "secret/x")
    (root / "landing/folder").symlink_to(tmp_path / "secret")
    for key in ("landing/file", "landing/folder/x", "landing/folder/new"):
        for act in (store.get, store.stat, lambda k: store.put(k, b""), lambda k: store.delete([k])):
            with pytest.raises(ObjectKeyError, match=r"leads out of the store .* through a symbolic link"):
                act(key)
    assert keys(store) == ["landing/a.jsonl"]
    with pytest.raises(ObjectKeyError):
        keys(store, "landing/folder/")
    assert (tmp_path / "secret/x").read_bytes() == b"outside"


def test_links_inside_the_store_are_followed_to_files_only(store: ObjectStore, root: Path) -> None:
    (root / "landing/again").symlink_to(root / "landing/a.jsonl")
    (root / "landing/ring").symlink_to(root)
    (root / "landing/loop").symlink_to(root / "landing/loop")
    assert keys(store) == ["landing/a.jsonl", "landing/again"]
    assert store.get("landing/again") == b"inside"


def test_the_folder_itself_may_be_a_link(store: ObjectStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert keys(open_store((tmp_path / "link").as_uri())) == ["landing/a.jsonl"]


def test_names_that_are_no_keys_are_passed_over(
    store: ObjectStore, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "back\\slash").write_bytes(b"")
    Path(os.fsdecode(os.fsencode(root) + b"/not-utf8-\xff")).write_bytes(b"")
    os.mkfifo(root / "pipe")
    assert keys(store) == ["landing/a.jsonl"]
    assert "back\\\\slash" in caplog.text


def test_what_a_listing_leaves_out_is_told(store: ObjectStore, root: Path, tmp_path: Path) -> None:
    store.put("landing/B.JSONL", b"")
    store.put("landing/notes.txt", b"")
    store.put("raw/c.jsonl", b"")
    (tmp_path / "secret.jsonl").write_bytes(b"outside")
    for name, target in {"today": "../raw", "out.jsonl": tmp_path / "secret.jsonl", "gone.jsonl": "nowhere"}.items():
        (root / "landing" / name).symlink_to(target)
    (root / "landing/back\\slash.jsonl").write_bytes(b"")
    os.mkfifo(root / "landing/pipe.jsonl")
    told: dict[str, str] = {}
    found = store.list("landing/", endings=(".jsonl", ".json"), passed_over=told.__setitem__)
    assert [info.key for info in found] == ["landing/B.JSONL", "landing/a.jsonl"]
    assert told.pop("landing/back\\slash.jsonl").startswith("no object key: expected an object key such as")
    assert told == {
        "landing/gone.jsonl": "a symbolic link to nothing",
        "landing/notes.txt": "",
        "landing/out.jsonl": "a symbolic link that leads out of the store",
        "landing/pipe.jsonl": "no regular file",
        "landing/today": "a symbolic link to a folder: move the folder here",
    }
    assert [*store.list("landing/c", endings=".jsonl", start_after="landing/x", passed_over=told.__setitem__)] == []
    assert len(told) == 5


def test_an_object_cannot_be_a_folder_too(store: ObjectStore) -> None:
    for put in (store.put, store.put_if_absent):
        with pytest.raises(StoreError, match="choose another key"):
            put("landing/a.jsonl/below", b"x")
        with pytest.raises(StoreError, match="choose another key"):
            put("landing", b"x")
    with pytest.raises(StoreError, match="at most 255 bytes"):
        store.put("n" * 256, b"x")


KILLED_WRITER = """
import sys
from pathlib import Path
from infra.object_store import open_store
open_store(sys.argv[1]).{act}("landing/killed", Path(sys.argv[2]))
"""


@pytest.mark.e2e
@pytest.mark.parametrize("act", ["put", "put_if_absent"])
def test_kill_in_the_middle_of_a_put_leaves_nothing(store: ObjectStore, root: Path, tmp_path: Path, act: str) -> None:
    # The writer copies from a pipe that gives a part and no end: it is in the middle for as long as we want.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = subprocess.Popen([sys.executable, "-c", KILLED_WRITER.format(act=act), root.as_uri(), str(pipe)])
    with pipe.open("wb", buffering=0) as source:
        source.write(b"x" * 60_000)
        while not [*(root / ".tmp").iterdir()]:
            assert writer.poll() is None
            time.sleep(0.01)
        assert keys(store) == ["landing/a.jsonl"]
        writer.kill()
        assert writer.wait() == -9
    assert store.stat("landing/killed") is None
    assert keys(store) == ["landing/a.jsonl"]
    assert len([*(root / ".tmp").iterdir()]) == 1
    store.put("landing/killed", b"again")
    assert store.get("landing/killed") == b"again"


def test_what_killed_writers_left_is_removed_a_day_later(store: ObjectStore, root: Path) -> None:
    for name, age in (("old", ABANDONED_SECONDS + 60), ("young", ABANDONED_SECONDS - 60)):
        (root / ".tmp" / name).write_bytes(b"half")
        moment = time.time() - age
        os.utime(root / ".tmp" / name, (moment, moment))
    open_store(root.as_uri())
    assert [path.name for path in (root / ".tmp").iterdir()] == ["young"]


@pytest.mark.parametrize(("act", "named"), [("put", "rename"), ("put_if_absent", "link")])
def test_an_object_is_on_the_disk_before_it_has_its_key_and_the_key_is_too(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, act: str, named: str
) -> None:
    calls = record_disk(monkeypatch)
    getattr(store, act)("shards/new/x", b"data")
    draft, *rest = calls
    assert draft[0] == "sync"
    assert rest == [("sync", "objects"), ("sync", "shards"), (named, "x"), ("sync", "new")]


def test_a_finished_put_leaves_no_temporary_file(store: ObjectStore, root: Path) -> None:
    store.put("x", b"1")
    store.put_if_absent("x", b"2")
    store.put_if_absent("y", b"2")
    assert [*(root / ".tmp").iterdir()] == []


def test_opening_creates_nothing_and_the_check_does(tmp_path: Path) -> None:
    store = open_store((tmp_path / "new/objects").as_uri())
    assert keys(store) == []
    assert not (tmp_path / "new").exists()
    store.check()
    assert (tmp_path / "new/objects").is_dir()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = open_store((tmp_path / "file/objects").as_uri())
    with pytest.raises(StoreError, match=r"expected a folder that can be written at .*file/objects.*Not a dir"):
        store.check()
    with pytest.raises(StoreError, match="the folder store failed at x"):
        store.put("x", b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="Permission denied; create it, give this user the right"):
            open_store((tmp_path / "objects").as_uri()).check()
    finally:
        tmp_path.chmod(0o700)
