"""The benchmark of decoding, on a few pictures."""

import pytest

from tests.benchmarks.decoding import rows
from tests.benchmarks.targets import DECODING


def test_decoding_is_extrapolated_from_processor_time() -> None:
    found = rows(images=12, repeats=1)
    assert [row.what for row in found] == [DECODING, f"{DECODING}: image.decoder=torchvision"]
    for row in found:
        rate = row.figures["pictures_a_core_second"]
        assert row.figures["extrapolated_seconds"] == pytest.approx(100_000 / (16 * rate))
        assert "extrapolated" in row.measured
