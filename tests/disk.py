"""What a process asks of the disk, in order: syncs and renames, which are also done."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = tuple[str, str]
"""("sync", name) of a file or folder, ("rename", new name), ("link", new name); names without their folder."""


def record_disk(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """The calls from here on."""
    calls: list[Call] = []
    fsync = os.fsync

    def sync(descriptor: int) -> None:
        fsync(descriptor)
        calls.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))

    def watch(name: str, act: Callable[..., Any]) -> None:
        def call(source: object, target: object, **options: Any) -> None:
            act(source, target, **options)
            calls.append((name, Path(str(target)).name))

        monkeypatch.setattr(os, act.__name__, call)

    monkeypatch.setattr(os, "fsync", sync)
    watch("rename", os.replace)
    watch("link", os.link)
    return calls
