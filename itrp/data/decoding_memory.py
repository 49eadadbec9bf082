"""Memory that decoding may take: for one image, and for all that are decoded at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from itrp.data.rejections import RejectedError

MEMORY_BUDGET = 16 * 4096 * 4096
"""Bytes that one image may take while it is decoded, 256 MiB: enough for whatever X serves, at most 4096 x 4096 pixels, in the
format that takes most (WebP: 16 bytes a pixel)."""
TOTAL_MEMORY = 8 * MEMORY_BUDGET
"""Bytes that all images of a process may take while they are decoded, 2 GiB, however many threads decode."""


def check_memory(size: tuple[int, int], needed: int) -> None:
    """Raises RejectedError (image_too_large) when decoding needs more bytes than the budget."""
    if needed > MEMORY_BUDGET:
        width, height = size
        raise RejectedError(
            "image_too_large",
            f"expected a picture that decodes within {MEMORY_BUDGET >> 20:,} MiB of memory, this one of {width:,} x {height:,} "
            f"pixels takes {needed >> 20:,} MiB: scale it down, or save it as an 8-bit RGB JPEG or PNG",
        )


class MemoryRoom:
    """Room that threads share: who does not find enough of it waits, in turn."""

    def __init__(self, total: int) -> None:
        self._free = total
        self._changed = threading.Condition()
        self._turn = threading.Lock()

    @contextmanager
    def take(self, amount: int) -> Iterator[None]:
        """Have so many bytes, at most the total, inside the block."""
        with self._turn, self._changed:
            self._changed.wait_for(lambda: amount <= self._free)
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()


ROOM = MemoryRoom(TOTAL_MEMORY)
"""This process's."""
