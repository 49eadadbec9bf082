"""Many slow things at once, with the results in order: a bounded number of threads, a bounded number of results."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = max(8, 2 * (os.cpu_count() or 1))
"""Objects read at once: a store answers slowly, and waiting leaves Python's lock."""


@contextmanager
def open_pool(threads: int = THREADS) -> Iterator[ThreadPoolExecutor]:
    """A thread pool whose waiting work is dropped when the block is left by an error."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="parallel")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def map_in_order(
    pool: ThreadPoolExecutor, act: Callable[[Item], Result], items: Iterable[Item], *, ahead: int = 2 * THREADS
) -> Iterator[Result]:
    """`act` of each item, in the items' order. At most `ahead` items are taken and results held at any time.

    What `act` raises is raised at the item's place; items after it that have begun are finished and dropped.
    """
    window: deque[Future[Result]] = deque()
    try:
        for item in items:
            window.append(pool.submit(act, item))
            if len(window) >= ahead:
                yield window.popleft().result()
        while window:
            yield window.popleft().result()
    finally:
        for future in window:
            future.cancel()
