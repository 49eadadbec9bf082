"""Ingest and score so many pairs, or train on them, in a process of its own: how long it took, how much memory it had.

Encoders are tiny and pictures small, so that everything but encoding is what counts.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flows.runtime.orchestration import prepare_environment
from infra.settings import Settings

SAMPLED_SECONDS = 0.05
WARM_UP = 20
"""Pairs ingested and labelled first, so that loading models and opening databases is not counted."""
FAR = 100_000_000
"""The number of the first of them."""


@dataclass
class Stage:
    """What one stage cost."""

    wall: float = 0.0
    cpu: float = 0.0
    peak_rss: float = 0.0
    """MiB: the most that was resident at any time, pages of mapped files included."""
    peak_private: float = 0.0
    """MiB: the same without pages of files, which the kernel takes back when somebody needs the room."""


@dataclass(frozen=True)
class Scaled:
    """A child's report."""

    pairs: int
    stages: dict[str, Stage] = field(default_factory=dict)


def run_apart(what: str, folder: Path, pairs: int, *options: str) -> Scaled:
    """`what` (ingest, score, train-text, train-image) with so many pairs in a new process and an empty folder."""
    command = [sys.executable, "-m", "tests.benchmarks.scaled_run", what, str(folder), str(pairs), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-4000:], file=sys.stderr)
    done.check_returncode()
    found = json.loads(done.stdout.splitlines()[-1])
    return Scaled(found["pairs"], {name: Stage(**stage) for name, stage in found["stages"].items()})


@contextmanager
def measured(stages: dict[str, Stage], name: str) -> Iterator[None]:
    """Clock and memory of a block."""
    stage = stages[name] = Stage()
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(stage, done))
    _forget_peak()
    watcher.start()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield
    finally:
        stage.wall, stage.cpu = time.perf_counter() - wall, time.process_time() - cpu
        done.set()
        watcher.join()
        stage.peak_rss = read_status("VmHWM")


def read_status(name: str) -> float:
    """A line of /proc/self/status in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(name)


def _forget_peak() -> None:
    """Let VmHWM begin anew (proc(5), clear_refs); where that is not allowed it tells the process's own peak."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _watch(stage: Stage, done: threading.Event) -> None:
    while not done.wait(SAMPLED_SECONDS):
        stage.peak_private = max(stage.peak_private, read_status("RssAnon"))


def ingest(folder: Path, pairs: int) -> dict[str, Stage]:
    """Landing zone -> shards, and once more with nothing new."""
    from flows.jobs.ingestion import ingest_landing
    from flows.platform import open_platform
    from tests.benchmarks.landing import fill_landing

    platform = open_platform(Settings(work_dir=folder / "work"))
    fill_landing(platform, WARM_UP, first=FAR)
    ingest_landing(platform.store, platform.catalog)
    fill_landing(platform, pairs)
    stages: dict[str, Stage] = {}
    with measured(stages, "ingest"):
        report = ingest_landing(platform.store, platform.catalog)
    with measured(stages, "ingest nothing"):
        ingest_landing(platform.store, platform.catalog)
    if report.pairs != pairs:
        raise AssertionError(f"expected {pairs} pairs, found {report}")
    return stages


def score(folder: Path, pairs: int) -> dict[str, Stage]:
    """Shards -> labels."""
    from flows.jobs.ingestion import ingest_landing
    from tests.benchmarks.landing import fill_landing
    from tests.benchmarks.platforms import make_platform
    from tests.scoring import find_work, pin_scorer

    platform = make_platform(folder / "work")
    fill_landing(platform, WARM_UP, first=FAR)
    ingest_landing(platform.store, platform.catalog)
    scorer = pin_scorer(platform)
    for shard in find_work(platform.catalog, scorer.pair, backfill=False):
        scorer.score(shard)
    fill_landing(platform, pairs)
    ingest_landing(platform.store, platform.catalog)
    stages: dict[str, Stage] = {}
    with measured(stages, "score"):
        rows = [scorer.score(shard) for shard in find_work(platform.catalog, scorer.pair, backfill=False)]
    if sum(row.pairs for row in rows) != pairs:
        raise AssertionError(f"expected {pairs} pairs, found {sum(row.pairs for row in rows)} labels")
    return stages


def train(folder: Path, pairs: int, task: str, size: int) -> dict[str, Stage]:
    """One epoch of Algorithm 1 in subsets of 5,000; pictures of size x size."""
    import torch

    from itrp.inference.embeddings import EmbeddingCache
    from itrp.labels import Task
    from itrp.models.itrp_model import build_model
    from itrp.training.trainer import Trainer
    from tests.benchmarks.landing import write_shards
    from tests.benchmarks.platforms import tiny_config

    options = ("subset_size=5000", "clustering.n_init=1", "batch_size=32", f"image.size={size}")
    config = tiny_config(folder, Task(task), *options)
    shards = write_shards(folder / "shards", pairs)
    cache = EmbeddingCache(folder / "cache", torch.device("cpu"), config.embed_batch_size)
    trainer = Trainer(build_model(config), shards, cache=cache, checkpoints=folder / "checkpoints")
    stages: dict[str, Stage] = {}
    with measured(stages, "train"):
        rounds = list(trainer.run())
    if sum(each.pairs for each in rounds) != pairs:
        raise AssertionError(f"expected {pairs} pairs, found {sum(each.pairs for each in rounds)}")
    return stages


def main(arguments: Sequence[str] | None = None) -> None:
    """The child: prints one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("ingest", "score", "train-text", "train-image"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("pairs", type=int)
    parser.add_argument("--size", type=int, default=64)
    args = parser.parse_args(arguments)
    for name in [name for name in os.environ if name.startswith(("ITRP_", "PREFECT_", "MLFLOW_"))]:
        del os.environ[name]
    prepare_environment(Settings(work_dir=args.folder / "work"))
    if args.what == "ingest":
        stages = ingest(args.folder, args.pairs)
    elif args.what == "score":
        stages = score(args.folder, args.pairs)
    else:
        stages = train(args.folder, args.pairs, args.what.removeprefix("train-"), args.size)
    print(json.dumps(asdict(Scaled(args.pairs, stages))))


if __name__ == "__main__":
    main()
