"""What the scoring benchmark makes of its measurements."""

from pathlib import Path

import pytest
import torch

from itrp.data.inputs import ShardFile
from itrp.data.shards import read_shard
from tests.benchmarks.scoring import Rate, _judge, _repeat_shard
from tests.benchmarks.scoring_inputs import SIZE, make_tokenizer, write_shards
from tests.benchmarks.targets import SCORING_CPU

FOUND = {
    "floor fp32": [Rate(5, 3)],
    "floor bf16": [Rate(22, 12)],
    "fp32": [Rate(7, 4), Rate(6, 3), Rate(99, 5)],
    "fp32 text backfill": [Rate(28, 20)],
    "fp32 image backfill": [Rate(14, 6)],
    "bf16": [Rate(19, 10)],
    "bf16 text backfill": [Rate(76, 50)],
    "bf16 image backfill": [Rate(30, 25)],
    "plain-1": [Rate(4.5, 4)],
    "ray-bf16": [Rate(15, 8)],
}


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def test_on_a_calm_machine_the_wall_clock_counts() -> None:
    bf16, fp32, backfill, slow_backfill = _judge(FOUND, busy=False)
    assert (bf16.measured, bf16.floor, bf16.met) == ("19.0 pairs/s", "22.0 pairs/s", True)
    assert bf16.peer == "plain-1 4.5 (4.2x); ray-bf16 15.0 (1.3x)"
    assert (fp32.measured, fp32.met) == ("7.0 pairs/s", None)  # the median; the target is about the quicker one
    assert (backfill.measured, backfill.met) == ("4.0x (new text model), 1.6x (new image model)", False)
    assert slow_backfill.met is True


def test_int8_is_told_beside_the_target_that_it_is_not_asked_for() -> None:
    found = FOUND | {"floor int8": [Rate(25, 13)]}
    found |= {name.replace("fp32", "int8"): rates for name, rates in FOUND.items() if name.startswith("fp32")}
    int8 = next(row for row in _judge(found, busy=False) if row.what == f"{SCORING_CPU}: int8")
    assert (int8.measured, int8.floor, int8.met) == ("7.0 pairs/s", "25.0 pairs/s", None)


def test_where_bf16_is_no_gain_the_target_is_asked_of_fp32() -> None:
    found = {name: rates for name, rates in FOUND.items() if not name.startswith("bf16")}
    found |= {name.replace("fp32", "openvino"): rates for name, rates in found.items() if name.startswith("fp32")}
    openvino, fp32, *_ = _judge(found, busy=False)
    assert (fp32.what, fp32.floor, fp32.met) == (f"{SCORING_CPU}: fp32", "5.0 pairs/s", False)
    assert (openvino.what, openvino.floor, openvino.met) == (f"{SCORING_CPU}: openvino", "5.0 pairs/s", False)


def test_on_a_busy_one_processor_time_counts_and_it_is_said() -> None:
    bf16, _, backfill, _ = _judge(FOUND, busy=True)
    assert (bf16.measured, bf16.met) == ("20.0 pairs/s", False)
    assert bf16.peer == "plain-1 8.0 (2.5x); ray-bf16 16.0 (1.2x)"
    assert "the machine was busy" in bf16.note
    assert backfill.measured == "5.0x (new text model), 2.5x (new image model)"


def test_shards_are_drawn_as_promised(tmp_path: Path) -> None:
    first, second = write_shards(tmp_path, 6, 2)
    assert (first.pairs, second.pairs) == (3, 3)
    assert first.hash != second.hash
    row = read_shard(first.path).to_pylist()[0]
    assert row["image"]["bytes"][:3] == b"\xff\xd8\xff"
    assert SIZE == (600, 400)
    assert 12 <= len(make_tokenizer()(row["text"])["input_ids"]) <= 39
    other = _repeat_shard(first, 3)
    assert len({shard.hash for shard in other}) == 3
    assert {shard.path for shard in other} == {first.path}
    assert isinstance(other[0], ShardFile)
