"""Work on many threads with its results in order: how much is taken at once, and what becomes of errors."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import ObjectMissingError
from infra.object_store import ObjectStore, open_store
from infra.parallel import map_in_order, open_pool


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    store = open_store(tmp_path.as_uri())
    for number in range(100):
        store.put(f"{number:03d}", b"%d" % number)
    return store


def test_results_come_in_order_whichever_is_first() -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.05 if number % 4 == 0 else 0)
        return number * number

    with open_pool(4) as pool:
        assert [*map_in_order(pool, slow_first, range(30))] == [number * number for number in range(30)]
        assert [*map_in_order(pool, slow_first, [])] == []


def test_no_more_is_taken_than_said() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    with open_pool(3) as pool:
        results = map_in_order(pool, str, items(), ahead=5)
        assert [next(results) for _ in range(10)] == [str(number) for number in range(10)]
        assert len(taken) == 14  # ten given, and four more than those on their way
        results.close()  # type: ignore[attr-defined]
    assert len(taken) == 14


def test_no_more_threads_work_than_said() -> None:
    busy, most, lock = 0, 0, threading.Lock()

    def count(_: int) -> None:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.01)
        with lock:
            busy -= 1

    with open_pool(3) as pool:
        assert len([*map_in_order(pool, count, range(30), ahead=20)]) == 30
    assert 1 < most <= 3


def test_an_error_comes_in_its_place_and_drops_the_rest() -> None:
    done: list[int] = []

    def fail_at_five(number: int) -> int:
        if number == 5:
            raise ValueError("five")
        done.append(number)
        return number

    with open_pool(2) as pool:
        results = map_in_order(pool, fail_at_five, range(1000), ahead=8)
        assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(ValueError, match="five"):
            next(results)
    assert max(done) < 14


def test_many_objects(store: ObjectStore) -> None:
    keys = [f"{number:03d}" for number in range(99, -1, -1)]
    expected = [b"%d" % int(key) for key in keys]
    for threads in (1, 8):
        with open_pool(threads) as pool:
            assert [*map_in_order(pool, store.get, keys, ahead=2 * threads)] == expected
    with open_pool() as pool:
        assert [*map_in_order(pool, store.get, iter(keys[:3]))] == expected[:3]


def test_a_missing_object_among_many(store: ObjectStore) -> None:
    with open_pool() as pool:
        found = map_in_order(pool, store.get, ["000", "gone", "001"])
        assert next(found) == b"0"
        with pytest.raises(ObjectMissingError, match="no object lies at gone"):
            next(found)
