"""k-means and the tied Gaussian mixture on 5,000 x 2,816 features, against scikit-learn from the same start.

    python -m tests.benchmarks.clustering              # two threads, scikit-learn's mixture takes minutes
    python -m tests.benchmarks.clustering --skip-reference   # for a profile: ours alone, nothing is recorded

Whatever `itrp.clustering.assign_clusters` and `itrp.tied_mixture.fit_tied_mixture` do is what is measured.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from itrp.clustering import assign_clusters
from itrp.tied_mixture import REGULARISATION, TiedMixture, fit_tied_mixture
from tests.benchmarks.record import Row, record
from tests.benchmarks.targets import KMEANS_CPU, MIXTURE_CPU
from tests.benchmarks.timing import Timing, time_in_turns, time_once

ROWS, TEXT_WIDTH, IMAGE_WIDTH = 5_000, 768, 2_048
"""A subset of the paper, BERT-base and ResNet-101."""
FACTORS = 64
K, SEED = 2, 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="of k-means and of our mixture (default: %(default)s)")
    parser.add_argument("--skip-reference", action="store_true", help="ours alone, not recorded")
    args = parser.parse_args(arguments)
    if args.skip_reference:
        print("\n".join(_profile(args.threads)))
        return
    record(rows(args.threads, args.repeats), "clustering")


def rows(threads: int = 2, repeats: int = 5) -> list[Row]:
    """k-means and the mixture on so many threads."""
    features = draw_features(ROWS, SEED)
    with threadpool_limits(threads):
        return [measure_kmeans(features, threads, repeats), measure_mixture(features, threads, repeats)]


def draw_features(count: int, seed: int) -> NDArray[np.float32]:
    """[count, 2816] float32: what fused vectors look like. Two overlapping groups in a few correlated directions; the text
    part is centred, the image part is what a ReLU and an average over the map leave: not negative, and skewed.
    """
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((count, FACTORS)) / np.sqrt(np.arange(1, FACTORS + 1))  # (n, f)
    factors[:, 0] += np.where(np.arange(count) % 2, 1.5, -1.5)
    width = TEXT_WIDTH + IMAGE_WIDTH
    features = factors @ rng.standard_normal((FACTORS, width)) + 0.8 * rng.standard_normal((count, width))
    features[:, TEXT_WIDTH:] = 0.25 * np.maximum(features[:, TEXT_WIDTH:], 0)
    return rng.permutation(features.astype(np.float32))


def measure_kmeans(features: NDArray[np.float32], threads: int, repeats: int) -> Row:
    """One start of k-means++, the same for both."""
    found: dict[str, NDArray[Any]] = {}

    def fit_ours() -> None:
        found["ours"] = assign_clusters(features, "kmeans", K, SEED, n_init=1)

    def fit_theirs() -> None:
        model = KMeans(K, random_state=SEED, n_init=1).fit(features)
        found["theirs"], found["iterations"] = model.labels_, np.asarray(model.n_iter_)

    timings = time_in_turns({"ours": fit_ours, "theirs": fit_theirs}, repeats)
    ours, theirs = timings["ours"], timings["theirs"]
    agree = float(np.mean(found["ours"] == found["theirs"]))
    iterations = int(found["iterations"])
    floor = (iterations + 1) * _read_seconds(features)
    return Row(
        what=KMEANS_CPU,
        how=f"assign_clusters on float32 drawn like fused vectors, {threads} threads, median of {repeats} in turns with "
        f"scikit-learn's KMeans from the same seed ({iterations} iterations)",
        target="<= 1 s and never slower than scikit-learn, label agreement >= 99.9 %",
        measured=f"{ours.seconds:.2f} s (CPU {ours.cpu_seconds:.2f} s), agreement {agree:.2%}",
        floor=f"{floor:.2f} s: {iterations + 1} times reading the features",
        peer=f"scikit-learn {_tell(theirs)}: ours {theirs.seconds / ours.seconds:.2f}x as fast by the clock, "
        f"{theirs.cpu_seconds / ours.cpu_seconds:.2f}x by CPU time",
        figures=_figures(ours, theirs) | {"agreement": agree, "iterations": iterations, "floor": floor},
        met=ours.seconds <= 1 and ours.seconds <= theirs.seconds and agree >= 0.999,
    )


def measure_mixture(features: NDArray[np.float32], threads: int, repeats: int) -> Row:
    """One start from k-means, the same for both; scikit-learn's once, it takes minutes."""
    values = features.astype(np.float64)
    ours = Timing()
    for _ in range(repeats):
        fitted, *seconds = _fit_mixture(features)
        _keep(ours, *seconds)
    theirs, reference = (
        Timing(),
        GaussianMixture(K, covariance_type="tied", reg_covar=REGULARISATION, random_state=SEED),
    )
    _keep(theirs, *time_once(lambda: reference.fit(values)))
    difference = float(np.abs(responsibilities(fitted, values) - reference.predict_proba(values)).max())
    same = fitted.iterations == reference.n_iter_
    floor, rate = _mixture_floor(*values.shape)
    return Row(
        what=MIXTURE_CPU,
        how=f"fit_tied_mixture on the same features, k-means start included, {threads} threads, median of {repeats}; "
        "scikit-learn's GaussianMixture in float64 from the same seed once",
        target=">= 20x faster than scikit-learn, same iterations, responsibilities to 1e-6",
        measured=f"{ours.seconds:.2f} s (CPU {ours.cpu_seconds:.2f} s): {theirs.seconds / ours.seconds:.0f}x as fast by the "
        f"clock, {theirs.cpu_seconds / ours.cpu_seconds:.0f}x by CPU time; {fitted.iterations} iterations, "
        f"responsibilities differ by at most {difference:.0e}",
        floor=f"{floor:.2f} s: scatter, Cholesky and whitening at {rate / 1e9:.0f} GFLOP/s, as float64 products ran",
        peer=f"scikit-learn {_tell(theirs)}, {reference.n_iter_} iterations",
        figures=_figures(ours, theirs)
        | {"responsibilities_differ": difference, "iterations": fitted.iterations, "their_iterations": reference.n_iter_}
        | {"floor": floor},
        met=theirs.seconds / ours.seconds >= 20 and same and difference <= 1e-6,
    )  # fmt: skip


def responsibilities(fitted: TiedMixture, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n, k] posterior probabilities of [n, d] values: what the components share cancels in the softmax."""
    return np.asarray(softmax((values - fitted.mean) @ fitted.coefficients.T + fitted.intercepts, axis=1))


def _fit_mixture(features: NDArray[np.float32]) -> tuple[TiedMixture, float, float]:
    kept: list[TiedMixture] = []
    wall, cpu = time_once(lambda: kept.append(fit_tied_mixture(features, K, SEED)))
    return kept[0], wall, cpu


def _keep(timing: Timing, wall: float, cpu: float) -> None:
    timing.wall.append(wall)
    timing.cpu.append(cpu)


def _read_seconds(features: NDArray[np.floating]) -> float:
    """Seconds to read the features once: the quickest of ten products with a vector."""
    vector = np.ones(features.shape[1], dtype=features.dtype)
    return min(_wall(lambda: features @ vector) for _ in range(10))


def _mixture_floor(n: int, d: int) -> tuple[float, float]:
    """Seconds and the rate they stand on. The symmetric scatter n d^2, the Cholesky d^3 / 3, the triangular solve n d^2."""
    size = 2_048
    square = np.random.default_rng(0).standard_normal((size, size))
    rate = 2 * size**3 / min(_wall(lambda: square @ square) for _ in range(5))
    return (n * d**2 + d**3 / 3 + n * d**2) / rate, rate


def _wall(act: Callable[[], object]) -> float:
    return time_once(act)[0]


def _tell(timing: Timing) -> str:
    return f"{timing.seconds:.2f} s (CPU {timing.cpu_seconds:.2f} s)"


def _figures(ours: Timing, theirs: Timing) -> dict[str, float]:
    return {
        "seconds": ours.seconds,
        "cpu_seconds": ours.cpu_seconds,
        "their_seconds": theirs.seconds,
        "their_cpu_seconds": theirs.cpu_seconds,
    }


def _profile(threads: int) -> Iterator[str]:
    features = draw_features(ROWS, SEED)
    with threadpool_limits(threads):
        yield f"k-means {_wall(lambda: assign_clusters(features, 'kmeans', K, SEED)):.2f} s"
        fitted, wall, cpu = _fit_mixture(features)
        yield f"mixture {wall:.2f} s, CPU {cpu:.2f} s, {fitted.iterations} iterations"


if __name__ == "__main__":
    main()
