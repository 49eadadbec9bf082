"""Which runtime is quickest with which networks on this machine? What `ITRP_PRECISION=auto` measures, for a person to read.

    python -m tests.benchmarks.runtimes [--experiments small-aligned small-image] [--repeats 3]

Untrained networks on 200 drawn tweets, all threads; runtimes in turns, the median counts.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from itrp.alignment.config import ALIGNED_CONFIGS
from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile
from itrp.data.shards import encode_shard, shard_hash
from itrp.experiments import find_experiment
from itrp.inference.runtimes import WORTHWHILE_GAIN, choose_runtimes, list_runtimes
from itrp.inference.speed import list_encoders, measure_seconds
from itrp.models.encoder_pair import EncoderPair
from itrp.models.itrp_model import build_model
from itrp.training.alignment import build_untrained
from tests.benchmarks.record import Row, record
from tests.benchmarks.scoring_inputs import draw_pairs
from tests.benchmarks.targets import RUNTIMES, TARGETS

PAIRS = 200
EXPERIMENTS = ("small-aligned", "small-image")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", nargs="+", default=EXPERIMENTS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        pairs = draw_shard(Path(folder), args.pairs)
        record([measure(name, build(name), pairs, args.repeats) for name in args.experiments], "runtimes")


def draw_shard(folder: Path, count: int) -> ShardFile:
    """So many drawn tweets."""
    data = encode_shard([*draw_pairs(count)])
    path = folder / "shard.parquet"
    path.write_bytes(data)
    return ShardFile(shard_hash(data), path, count)


def build(experiment: str) -> EncoderPair:
    """An experiment's networks, untrained but for what comes with the package."""
    config = find_experiment(experiment)
    if isinstance(config, ALIGNED_CONFIGS):
        model = build_untrained(config)
        assert isinstance(model, EncoderPair)  # a dual encoder computes its vectors itself
        return model
    assert isinstance(config, ExperimentConfig)
    return build_model(config)


def measure(name: str, model: EncoderPair, pairs: ShardFile, repeats: int) -> Row:
    """Pairs a second by each runtime that is installed, and which of them auto takes by these measurements."""
    cpu, found = torch.device("cpu"), list_runtimes()
    seconds: dict[str, list[float]] = {runtime.name: [] for runtime in found}
    for _ in range(repeats):
        for runtime in found:
            seconds[runtime.name].append(
                sum(measure_seconds(encoder, runtime, pairs) for encoder in list_encoders([model]))
            )
    medians = {each: statistics.median(times) for each, times in seconds.items()}
    chosen = choose_runtimes(cpu, "auto", lambda runtime: medians[runtime.name])[0].name
    told = ", ".join(f"{each} {1 / spent:.0f}" for each, spent in medians.items())
    best = min(medians.values())
    return Row(
        what=f"{RUNTIMES}: {name}",
        how=f"{pairs.pairs} drawn tweets, {torch.get_num_threads()} threads, median of {repeats} turns",
        target=next(target.target for target in TARGETS if target.what == RUNTIMES),
        measured=f"pairs a second: {told}; auto takes {chosen}",
        figures={**medians, "gain": medians["cpu"] / medians[chosen]},
        met=medians[chosen] <= WORTHWHILE_GAIN * best,
    )


if __name__ == "__main__":
    main()
