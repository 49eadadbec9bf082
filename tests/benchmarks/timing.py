"""Several ways to do the same, timed in turns, so that a busy machine slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Timing:
    """Seconds of each call."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Of all threads of this process."""

    @property
    def seconds(self) -> float:
        """Median of the wall clock."""
        return statistics.median(self.wall)

    @property
    def cpu_seconds(self) -> float:
        """Median of the processor time."""
        return statistics.median(self.cpu)


def time_in_turns(ways: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Timing]:
    """Call each way so many times, one after the other, in another order every second time."""
    timings = {name: Timing() for name in ways}
    for turn in range(repeats):
        for name in [*ways][:: -1 if turn % 2 else 1]:
            wall, cpu = time_once(ways[name])
            timings[name].wall.append(wall)
            timings[name].cpu.append(cpu)
    return timings


def time_once(act: Callable[[], object]) -> tuple[float, float]:
    """(wall, processor) seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - cpu
