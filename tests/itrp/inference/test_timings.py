"""Who works, who waits for whom."""

import time
from concurrent.futures import ThreadPoolExecutor

from itrp.inference.timings import PipelineTimings


def test_seconds_add_up_over_threads_and_faults() -> None:
    times = PipelineTimings()

    def act(number: int) -> None:
        try:
            with times.working("decode"):
                time.sleep(0.02)
                raise ValueError
        except ValueError:
            pass
        with times.waiting("compute", "decode"):
            time.sleep(0.01)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(act, range(8)))
    figures = times.figures()
    assert set(figures) == {"decode", "compute_waits_for_decode"}
    assert figures["decode"] >= 8 * 0.02
    assert figures["compute_waits_for_decode"] >= 8 * 0.01


def test_work_and_waits_are_told_in_one_line() -> None:
    times = PipelineTimings()
    times.waits = {("compute", "decode"): 3.0, ("read", "compute"): 4.0, ("write", "decode"): 2.0}
    times.work = {"compute": 7.25}
    assert times.describe() == (
        "worked: compute 7.2 s; waited: compute for decode 3.0 s, read for compute 4.0 s, write for decode 2.0 s"
    )
