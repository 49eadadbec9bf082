"""The rows of the table that need a GPU; small and on a CPU to see that all of it runs.

    python -m tests.benchmarks.gpu                             # one GPU, the paper's sizes, recorded
    python -m tests.benchmarks.gpu --only text image           # some of the rows
    python -m tests.benchmarks.gpu --scale 0.001 --device cpu  # everything small, not recorded

Needs the room itrp and what it imports, and torch 2.11 or newer. A floor is the arithmetic at the rate at which the device was
measured, in the same run, to multiply or convolve. Takes 15 GB of GPU memory and some 5 GB of disk.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from itrp.clustering.agreement import agreement
from itrp.clustering.kmeans import fit_kmeans
from itrp.clustering.tied_mixture import REGULARISATION, fit_tied_mixture
from itrp.data.inputs import ShardFile, find_pixels
from itrp.inference.embedders import prepare_image
from itrp.inference.embeddings import EmbeddingCache
from itrp.inference.pipeline import EmbeddingStream, Job, count_workers
from itrp.inference.prepared_model import PreparedModel, prepare_model
from itrp.inference.runtimes import Runtime, choose_runtime
from itrp.inference.speed import NetworkSpeed
from itrp.inference.timings import PipelineTimings
from itrp.models.device import choose_device
from itrp.models.itrp_model import ItrpModel
from itrp.training.trainer import RoundResult, Trainer
from itrp.training.training_set import prepare_training_set
from tests.benchmarks.clustering import SEED, K, draw_features, responsibilities
from tests.benchmarks.gpu_inputs import (
    Sizes,
    choose_sizes,
    draw_model,
    flops_of,
    name_variant,
    write_scored_shards,
    write_training_shards,
)
from tests.benchmarks.gpu_rates import Rates, call_times, measure_rates, median_time, wait_for
from tests.benchmarks.record import Row, format_rows, record
from tests.benchmarks.targets import (
    FROZEN_EMBEDDING,
    IMAGE_EPOCH,
    KMEANS_GPU,
    MIXTURE_GPU,
    SCORING_GPU,
    TARGETS,
    TEXT_EPOCH,
)

BACKWARD = 3
"""A training step costs three times the arithmetic of the pass forward."""
SECONDS = {TEXT_EPOCH: 15, IMAGE_EPOCH: 60, FROZEN_EMBEDDING: 11, KMEANS_GPU: 0.010, MIXTURE_GPU: 0.030}
PAIRS_A_SECOND = 4_000


class Bench:
    """One device, one size, and what the measurements share."""

    def __init__(self, work: Path, sizes: Sizes, device: torch.device, compiled: Sequence[bool]) -> None:
        self.work, self.sizes, self.device, self.compiled = work, sizes, device, compiled
        self.rates: Rates = measure_rates(device)
        self.folder = work / "cache"
        self.shards = write_training_shards(work / "shards", self.folder, sizes)

    def row(self, what: str, variant: str, how: str, measured: str, floor: float, **rest: object) -> Row:
        """A row of the table; judged where the sizes are those of the target."""
        target = next(target.target for target in TARGETS if target.what == what)
        told = f"{floor * 1000:.1f} ms" if floor < 0.1 else f"{floor:.1f} s"
        return Row(name_variant(what, self.sizes, self.device, variant), how, target, measured, told, **rest)  # type: ignore[arg-type]

    def judge(self, what: str, seconds: float) -> bool | None:
        """Whether a time is what was promised; None for other sizes."""
        return seconds <= SECONDS[what] if self.sizes.full else None

    def measure_epoch(self, task: str) -> Iterator[Row]:
        """Two epochs: the second one counts, in the first one kernels are chosen and graphs compiled."""
        for compiled in self.compiled:
            model = draw_model(task, self.sizes)
            text, image = flops_of(model, self.sizes, self.device)
            cache = EmbeddingCache(self.folder, self.device, self.sizes.batch)
            prepare_training_set(model.to(self.device), self.shards, cache, on_device=False)  # the one-off part
            with tempfile.TemporaryDirectory(dir=self.work) as checkpoints:
                trainer = Trainer(
                    model, self.shards, cache=cache, checkpoints=Path(checkpoints) / "run", compiled=compiled
                )
                start, results, ends = time.perf_counter(), [], []
                for result in trainer.run():
                    wait_for(self.device)
                    results.append(result)
                    ends.append(time.perf_counter() - start)
            yield self._tell_epoch(task, compiled, results, ends, text if task == "text" else image)

    def _tell_epoch(
        self, task: str, compiled: bool, results: Sequence[RoundResult], ends: Sequence[float], flops: float
    ) -> Row:
        what = TEXT_EPOCH if task == "text" else IMAGE_EPOCH
        half = len(results) // 2
        seconds, later = ends[-1] - ends[half - 1], results[half:]
        trained = sum(sum(result.sampled_sizes) for result in later)
        rate = self.rates.product if task == "text" else self.rates.convolution
        floor = flops * (sum(result.pairs for result in later) + BACKWARD * trained) / rate
        stages = {
            stage: sum(result.seconds[stage] for result in later)
            for stage in ("embed", "cluster", "sample", "train", "checkpoint")
        }
        return self.row(
            what,
            "compiled" if compiled else "",
            f"second epoch of paper-{task} with random weights, {half} rounds, {trained} pairs trained on; without the one-off "
            "decode and frozen embedding, with checkpoints",
            f"{seconds:.1f} s",
            floor,
            note=", ".join(f"{stage} {spent:.1f} s" for stage, spent in stages.items())
            + f"; first epoch {ends[half - 1]:.1f} s",
            figures={"seconds": seconds, "first_epoch": ends[half - 1], "trained": trained, "floor": floor, **stages},
            met=self.judge(what, seconds),
        )

    def measure_embedding(self) -> Iterator[Row]:
        """All pictures through the frozen encoder: as training's cache computes it, and as scoring does."""
        model = draw_model("text", self.sizes)
        _, flops = flops_of(model, self.sizes, self.device)
        floor = self.sizes.pairs * flops / self.rates.convolution
        images = model.config.image.pixels
        parts = [find_pixels(shard, images, self.folder) for shard in self.shards]
        embedder = prepare_image(model.image, self._choose_runtime(model))
        cache = EmbeddingCache(self.folder, self.device, self.sizes.batch)

        def embed_folded() -> None:
            for part in parts:
                assert part is not None
                for start in range(0, len(part), self.sizes.batch):
                    embedder.embed(np.array(part[start : start + self.sizes.batch]))

        ways: dict[str, Callable[[], object]] = {
            "": embed_folded,
            "as training caches it": lambda: [cache.embed_images(model.image, shard) for shard in self.shards],
        }
        for variant, act in ways.items():
            seconds = call_times(act, self.device, 1)[0]
            yield self.row(
                FROZEN_EMBEDDING,
                variant,
                f"{self.sizes.pairs} decoded pictures from the page cache to vectors on the host, second pass",
                f"{seconds:.1f} s",
                floor,
                figures={"seconds": seconds, "floor": floor},
                met=self.judge(FROZEN_EMBEDDING, seconds),
            )

    def measure_clustering(self) -> Iterator[Row]:
        """Both on features that lie on the device, against scikit-learn on the host from the same start."""
        n, d = self.sizes.clustered
        features = draw_features(n, SEED)[:, :d].copy()
        held = torch.from_numpy(features).to(self.device)
        yield self._measure_kmeans(features, held)
        yield self._measure_mixture(features.astype(np.float64), held)

    def _measure_kmeans(self, features: np.ndarray, held: torch.Tensor) -> Row:
        act = partial(fit_kmeans, held, K)
        found, reference = act(np.random.RandomState(SEED)), KMeans(K, random_state=SEED, n_init=1).fit(features)
        seconds = median_time(lambda: act(np.random.RandomState(SEED)), self.device, 20)
        ten = median_time(lambda: act(np.random.RandomState(SEED), 10), self.device, 5)
        agree = agreement(reference.labels_.astype(np.int64), found.labels, K)
        floor = 2 * (found.iterations + 1) * features.nbytes / self.rates.bytes
        return self.row(
            KMEANS_GPU,
            "",
            f"{features.shape[0]} x {features.shape[1]} float32 on the device, one start, median of 20; "
            f"{found.iterations} iterations",
            f"{seconds * 1000:.1f} ms, agreement {agree:.2%}",
            floor,
            note=f"ten starts {ten * 1000:.1f} ms; floor: reading the features twice an iteration",
            figures={"seconds": seconds, "ten_starts": ten, "agreement": agree, "floor": floor},
            met=None if (met := self.judge(KMEANS_GPU, seconds)) is None else met and agree >= 0.999,
        )

    def _measure_mixture(self, features: np.ndarray, held: torch.Tensor) -> Row:
        found = fit_tied_mixture(held, K, SEED)
        seconds = median_time(lambda: fit_tied_mixture(held, K, SEED), self.device, 10)
        reference = GaussianMixture(K, covariance_type="tied", reg_covar=REGULARISATION, random_state=SEED)
        expected = reference.fit(features).predict_proba(features)
        difference = float(np.abs(responsibilities(found, features) - expected).max())
        n, d = features.shape
        floor = (n * d**2 + d**3) / self.rates.double
        right = difference <= 1e-6 and found.iterations == reference.n_iter_
        return self.row(
            MIXTURE_GPU,
            "",
            f"{n} x {d} on the device, k-means start included, median of 10; scikit-learn's mixture from the same seed",
            f"{seconds * 1000:.1f} ms; {found.iterations} iterations, scikit-learn's {reference.n_iter_}; responsibilities "
            f"differ by at most {difference:.0e}",
            floor,
            note="floor: the symmetric scatter and its inverse at the measured rate of float64 products",
            figures={"seconds": seconds, "difference": difference, "iterations": found.iterations, "floor": floor},
            met=None if (met := self.judge(MIXTURE_GPU, seconds)) is None else met and right,
        )

    def _choose_runtime(self, model: ItrpModel) -> Runtime:
        """Of scoring."""
        return choose_runtime(self.device, "auto", NetworkSpeed([model], self.folder))

    def measure_scoring(self) -> Iterator[Row]:
        """Shards on the local disk to both models' probabilities: decode, tokenise, four passes, two heads."""
        shards = write_scored_shards(self.work / "scored", self.sizes)
        runtime = self._choose_runtime(draw_model("text", self.sizes))
        flops = sum(2 * side for side in flops_of(draw_model("text", self.sizes), self.sizes, self.device))
        models = [
            prepare_model(draw_model(task, self.sizes, seed), runtime, count_workers(runtime))
            for seed, task in enumerate(("text", "image"))
        ]
        pairs = sum(shard.pairs for shard in shards)
        _score(models, runtime, shards[:1])
        start = time.perf_counter()
        times = _score(models, runtime, shards)
        rate = pairs / (time.perf_counter() - start)
        arithmetic = min(self.rates.product, self.rates.convolution)
        yield self.row(
            SCORING_GPU,
            "",
            f"{pairs} pairs, JPEGs of 600 x 400 in shards of {shards[0].pairs} on local disk, {runtime.name}; one shard "
            "before to warm up",
            f"{rate:.0f} pairs/s",
            pairs * flops / arithmetic,
            note=f"floor {arithmetic / flops:.0f} pairs/s; {times.describe()}",
            figures={"pairs_per_second": rate, "floor_pairs_per_second": arithmetic / flops},
            met=rate >= PAIRS_A_SECOND if self.sizes.full else None,
        )


def _score(models: Sequence[PreparedModel], runtime: Runtime, shards: Sequence[ShardFile]) -> PipelineTimings:
    """Probabilities of every pair, [n, k] a model; equal encoders are asked once."""
    texts = list({model.text.fingerprint: model.text for model in models}.values())
    images = list({model.image.fingerprint: model.image for model in models}.values())
    times = PipelineTimings()
    for embedded in EmbeddingStream(runtime, times).run(Job(shard, texts, images) for shard in shards):
        if embedded.error is not None:
            raise embedded.error
        for model in models:
            model.classify(embedded.vectors, embedded.job.shard)
    return times


def rows(
    scale: float, device: torch.device, only: Sequence[str] | None = None, compiled: Sequence[bool] = (False,)
) -> Iterator[Row]:
    """The rows asked for, each as soon as it is measured."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), choose_sizes(scale), device, compiled)
        print(f"measured rates a second: {bench.rates}", flush=True)
        measurements = _measurements(bench)
        for name in only or measurements:
            yield from measurements[name]()


def _measurements(bench: Bench) -> dict[str, Callable[[], Iterator[Row]]]:
    return {
        "clustering": bench.measure_clustering,
        "embedding": bench.measure_embedding,
        "text": partial(bench.measure_epoch, "text"),
        "image": partial(bench.measure_epoch, "image"),
        "scoring": bench.measure_scoring,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and record what was measured at the paper's sizes."""
    names = ("clustering", "embedding", "text", "image", "scoring")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="of 100,000 pairs (default: all)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", nargs="+", choices=names, metavar="ROW", help=f"some of {', '.join(names)}")
    parser.add_argument(
        "--steps", choices=("eager", "compiled", "both"), default="both", help="epochs with and without torch.compile"
    )
    args = parser.parse_args(arguments)
    compiled = {"eager": (False,), "compiled": (True,), "both": (False, True)}[args.steps]
    for row in rows(args.scale, choose_device(args.device), args.only, compiled):
        # one by one: what was measured is kept when the next measurement fails
        if args.scale == 1:
            record([row], "gpu")
        else:
            print(format_rows([row]), flush=True)


if __name__ == "__main__":
    main()
