"""An object store in which something goes wrong in the middle."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from infra.errors import StoreError
from infra.object_store import ObjectStore


class FailingStore:
    """A real store whose objects with one ending cannot be read."""

    def __init__(self, store: ObjectStore, ending: str) -> None:
        self._store = store
        self._ending = ending

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """As the store's own. Raises StoreError."""
        if key.endswith(self._ending):
            raise StoreError("the disk is away: mount it")
        with self._store.open(key) as stream:
            yield stream
