"""Objects as local files, from a store that is a folder and from one that is not."""

from pathlib import Path
from typing import Any

import pytest

from infra.catalog.tables import Shard
from infra.errors import ObjectMissingError
from infra.object_store import ObjectStore, open_store
from serving.files import local_file, local_shards


class FarStore:
    """A real store whose objects are no local files, as on an S3 server."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.opened = 0

    def local_path(self, key: str) -> None:
        return None

    def open(self, key: str) -> Any:
        self.opened += 1
        return self._store.open(key)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    store = open_store((tmp_path / "objects").as_uri())
    store.put("shards/ab/one.parquet", b"one")
    return store


def test_a_folders_objects_are_used_in_place(store: ObjectStore, tmp_path: Path) -> None:
    path = local_file(store, "shards/ab/one.parquet", tmp_path / "cache")
    assert path == tmp_path / "objects/shards/ab/one.parquet"
    assert not (tmp_path / "cache").exists()


def test_others_are_downloaded_once(store: ObjectStore, tmp_path: Path) -> None:
    far: Any = FarStore(store)
    first = local_file(far, "shards/ab/one.parquet", tmp_path / "cache")
    assert first == tmp_path / "cache/shards/ab/one.parquet"
    assert local_file(far, "shards/ab/one.parquet", tmp_path / "cache") == first
    assert far.opened == 1
    assert [path.name for path in first.parent.iterdir()] == ["one.parquet"]
    assert first.read_bytes() == b"one"


def test_a_missing_object_leaves_nothing_behind(store: ObjectStore, tmp_path: Path) -> None:
    far: Any = FarStore(store)
    with pytest.raises(ObjectMissingError):
        local_file(far, "shards/gone", tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_shards_keep_their_order(store: ObjectStore, tmp_path: Path) -> None:
    store.put("shards/ab/two.parquet", b"two")
    rows = [
        Shard(hash=name, key=f"shards/ab/{name}.parquet", pairs=n) for n, name in enumerate(("two", "one"), start=5)
    ]
    found = local_shards(store, rows, tmp_path / "cache")
    assert [(file.hash, file.pairs, file.path.read_bytes()) for file in found] == [
        ("two", 5, b"two"),
        ("one", 6, b"one"),
    ]
