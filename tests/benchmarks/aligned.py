"""What the label-free way costs: training beside the public reference implementation, scoring beside two ITRp models.

    python -m tests.benchmarks.aligned
    python -m tests.benchmarks.aligned --reference CHECKOUT --data TWITTER100K_LAYOUT --labelled captions_match

Training takes the same tweets, encoders and pixels on both sides, a process each (`tests.benchmarks.training`). Scoring takes
the pairs and encoders of `tests.benchmarks.scoring_inputs`: two ITRp models, each with one fine-tuned encoder, need four passes
over a tweet; an aligned and an image model on the same frozen encoders need two.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from itrp.alignment.config import AlignmentConfig
from itrp.alignment.fit import PairFeatures, fit_alignment
from itrp.config import ExperimentConfig
from itrp.data.inputs import ShardFile
from itrp.experiments import paper_aligned, small_aligned, small_picture
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.runtimes import Precision, choose_runtime, exact_runtime
from itrp.inference.speed import NetworkSpeed
from itrp.labels import Task
from itrp.models.aligned_model import AlignedModel, build_aligned_model
from itrp.models.aligner import build_aligner
from itrp.models.itrp_model import ItrpModel, load_model
from itrp.training.alignment import train_aligned
from serving.labeller import ShardLabeller
from tests.benchmarks.record import Row, record
from tests.benchmarks.scoring_inputs import save_models, write_shards
from tests.benchmarks.side_by_side import Bench, configure
from tests.benchmarks.sides import CPU
from tests.benchmarks.targets import ALIGNED_SCORING, ALIGNED_TRAINING, TARGETS
from tests.benchmarks.training import SUBSET, Spent, spend, train_reference

PRECISIONS: tuple[Precision, ...] = ("fp32", "auto", "openvino")
"""In which ours is trained; the reference knows fp32 alone."""
PAIRS = 64
"""Scored in each turn."""


def train_ours(config: ExperimentConfig, tweets: ShardFile, precision: Precision, work: Path) -> float:
    """small-aligned on the encoders and pixels of `config`; its area of true against shuffled pairs."""
    aligned = small_aligned().model_copy(
        update={
            "text": config.text.model_copy(update={"finetune": False}),
            "image": config.image.model_copy(update={"finetune": False}),
            "pairs": config.pairs,
        }
    )
    cache, model = EmbeddingCache(work / "cache", CPU), build_aligned_model(aligned)
    runtime = choose_runtime(CPU, precision, NetworkSpeed([model], work / "checks", lambda: tweets))
    return train_aligned(model, [tweets], cache, runtime=runtime).fitted.area


def training_rows(bench: Bench, seeds: int, pixels: int) -> list[Row]:
    """The reference, then ours in each precision, in turns; pixels: width and height of the images that all read."""
    sides = ("reference", *PRECISIONS)
    found: dict[str, list[Spent]] = {side: [] for side in sides}
    for seed in range(seeds):
        config = configure("text", seed, SUBSET, bench.tweets.pairs, pixels)
        lines = bench.lines[: config.pairs]
        for side in sides:
            if side == "reference":
                spent = bench.run_apart(
                    spend, train_reference, bench.reference, config, bench.data, lines, bench.labelled
                )
            else:
                spent = bench.run_apart(spend, train_ours, config, bench.tweets, side)
            found[side].append(spent)
            print(f"seed {seed}, {side}: {spent}, load {os.getloadavg()[0]:.1f}", flush=True)
    cpu = {side: statistics.median(each.cpu_seconds for each in spent) for side, spent in found.items()}
    peak = {side: statistics.median(each.peak_mib for each in spent) for side, spent in found.items()}
    ratios = {precision: cpu["reference"] / cpu[precision] for precision in PRECISIONS}
    told = [
        f"{ratio:.1f}x less CPU time ({cpu[precision]:.0f} s, {peak[precision]:.0f} MiB) with ITRP_PRECISION={precision}, area "
        f"{statistics.mean(each.f1 for each in found[precision]):.3f}"
        for precision, ratio in ratios.items()
    ]
    return [
        Row(
            what=ALIGNED_TRAINING,
            how=f"small-aligned on {bench.tweets.pairs - bench.tweets.pairs % SUBSET} real tweets, {pixels} x {pixels} pixels, "
            f"{bench.threads} threads of torch, {seeds} seeds in turns; the reference also evaluates its rounds",
            target=next(target.target for target in TARGETS if target.what == ALIGNED_TRAINING),
            measured="; ".join(told),
            peer=f"public reference implementation {cpu['reference']:.0f} s, {peak['reference']:.0f} MiB",
            figures={**{f"{side}, CPU-seconds": value for side, value in cpu.items()}, **ratios},
            met=max(ratios.values()) >= 8,
        )
    ]


def save_two_passes(folder: Path, models: Mapping[str, Path]) -> dict[Task, Path]:
    """An aligned and an image model whose encoders are the untouched ones of the ITRp models."""
    folders = {task: folder / f"two-passes-{task}" for task in (Task.TEXT, Task.IMAGE)}
    text, image = load_model(models["image-1"])[0].text, load_model(models["text-1"])[0].image
    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=(400, side.width)).astype(np.float32) for side in (text, image)]
    keys = np.arange(400, dtype=np.int64)
    fitted = fit_alignment(
        PairFeatures(drawn[0].__getitem__, drawn[1].__getitem__, keys, keys), AlignmentConfig(), seed=0, device=CPU
    )
    config = paper_aligned().model_copy(update={"text": text.config.model_copy(update={"finetune": False})})
    AlignedModel(config, text, image, build_aligner(fitted, keys, keys)).save(folders[Task.TEXT], (0, 1), {"round": 1})
    picture = small_picture().model_copy(update={"text": config.text, "image": config.image})
    model = ItrpModel(picture, text, image)
    model.reset_head(0)
    model.save(folders[Task.IMAGE], (0, 1), {"round": 1})
    return folders


def scoring_rows(turns: int) -> list[Row]:
    """Both ways in turns, nothing cached, torch in fp32."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        models = save_models(work / "models")
        ways = {
            "four passes": {Task.TEXT: models["text-1"], Task.IMAGE: models["image-1"]},
            "two passes": save_two_passes(work / "models", models),
        }
        shards = write_shards(work / "shards", PAIRS * (turns + 1), turns + 1)
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for turn, shard in enumerate(shards):  # the first one warms up
            for name, folders in ways.items():
                cache = work / f"cache-{turn}-{name}"
                labeller = ShardLabeller(folders, cache=cache, device="cpu", runtime=exact_runtime(CPU))
                wall, cpu = time.perf_counter(), time.process_time()
                labeller.label(shard)
                spent[name].append((time.perf_counter() - wall, time.process_time() - cpu))
                print(f"turn {turn}, {name}: {spent[name][-1]}, load {os.getloadavg()[0]:.1f}", flush=True)
    wall, cpu = (
        {name: statistics.median(each[kind] for each in found[1:]) for name, found in spent.items()} for kind in (0, 1)
    )
    ratio = cpu["four passes"] / cpu["two passes"]
    return [
        Row(
            what=ALIGNED_SCORING,
            how=f"BERT-base + ResNet-101, {PAIRS} pairs a turn, {turns} turns, torch in fp32, {torch.get_num_threads()} threads, "
            "nothing cached",
            target=next(target.target for target in TARGETS if target.what == ALIGNED_SCORING),
            measured=f"{ratio:.2f}x by processor time, {wall['four passes'] / wall['two passes']:.2f}x by the clock",
            peer=f"two ITRp models {PAIRS / wall['four passes']:.1f} pairs/s; aligned and image model "
            f"{PAIRS / wall['two passes']:.1f}",
            note=f"load {os.getloadavg()[0]:.1f}",
            figures={"cpu_ratio": ratio, **{f"{name}, pairs/s": PAIRS / value for name, value in wall.items()}},
            met=ratio >= 1.8,
        )
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, help="checkout of SuYindu/ITRp: training is measured too")
    parser.add_argument("--data", type=Path, help="folder in Twitter100k's layout")
    parser.add_argument("--labelled", type=Path, help="folder with pairs.csv")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--pixels", type=int, default=224, help="of both sides: the paper's and small-aligned's own size"
    )
    parser.add_argument("--threads", type=int, default=1, help="of torch, in each training run")
    args = parser.parse_args(arguments)
    rows = scoring_rows(args.turns)
    if args.reference is not None:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(args.reference, args.data, args.labelled, Path(folder), args.threads)
            rows += training_rows(bench, args.seeds, args.pixels)
    record(rows, "aligned")


if __name__ == "__main__":
    main()
