"""k-means and the tied Gaussian mixture on 5,000 x 2,816 features, against scikit-learn from the same start.

    python -m tests.benchmarks.clustering                    # two threads; scikit-learn's mixture takes minutes
    python -m tests.benchmarks.clustering --skip-reference   # ours alone, nothing is recorded

Whatever `itrp.clustering.pseudo_labels.assign_clusters` and `itrp.clustering.tied_mixture.fit_tied_mixture` do is
what is measured. The rows of the GPU
are in tests.benchmarks.gpu, on the same features.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from itrp.clustering.pseudo_labels import assign_clusters
from itrp.clustering.tied_mixture import REGULARISATION, TiedMixture, fit_tied_mixture
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
    parser.add_argument("--threads", type=int, default=2, help="of the CPU (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=9, help="(default: %(default)s)")
    parser.add_argument("--skip-reference", action="store_true", help="ours alone, not recorded")
    args = parser.parse_args(arguments)
    if args.skip_reference:
        print("\n".join(profile(args.threads)))
        return
    record(rows(args.threads, args.repeats), "clustering")


def rows(threads: int = 2, repeats: int = 9) -> list[Row]:
    """k-means and the mixture on so many threads."""
    features = draw_features(ROWS, SEED)
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        return [
            measure_kmeans(features, threads, repeats),
            measure_mixture(features, threads, max(1, repeats // 4)),
        ]


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
        what=_name(KMEANS_CPU, threads),
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
    """One start from k-means, the same for both. Ours before and after each of scikit-learn's, which takes minutes."""
    values = features.astype(np.float64)
    found: dict[str, Any] = {}

    def fit_ours() -> None:
        found["ours"] = fit_tied_mixture(features, K, SEED)

    def fit_theirs() -> None:
        found["theirs"] = _reference_mixture().fit(values)

    fit_ours()
    timings = time_in_turns({"ours": fit_ours, "theirs": fit_theirs, "ours again": fit_ours}, repeats)
    ours = Timing(timings["ours"].wall + timings["ours again"].wall, timings["ours"].cpu + timings["ours again"].cpu)
    theirs, fitted, reference = timings["theirs"], found["ours"], found["theirs"]
    difference = float(np.abs(responsibilities(fitted, values) - reference.predict_proba(values)).max())
    floor, rate = _mixture_floor(*values.shape)
    clock, cpu = theirs.seconds / ours.seconds, theirs.cpu_seconds / ours.cpu_seconds
    return Row(
        what=_name(MIXTURE_CPU, threads),
        how=f"fit_tied_mixture on the same features, k-means start included, {threads} threads, median of {2 * repeats}; "
        f"scikit-learn's GaussianMixture in float64 from the same seed, median of {repeats} in turns",
        target=">= 20x faster than scikit-learn, same iterations, responsibilities to 1e-6",
        measured=f"{_tell(ours)}: {clock:.0f}x as fast by the clock, {cpu:.0f}x by CPU time; {fitted.iterations} "
        f"iterations, responsibilities differ by at most {difference:.0e}",
        floor=f"{floor:.2f} s: scatter, Cholesky and inverse at {rate / 1e9:.0f} GFLOP/s, as float64 products ran",
        peer=f"scikit-learn {_tell(theirs)}, {reference.n_iter_} iterations",
        figures=_figures(ours, theirs)
        | {"responsibilities_differ": difference, "iterations": fitted.iterations, "floor": floor}
        | {"their_iterations": reference.n_iter_},
        met=clock >= 20 and fitted.iterations == reference.n_iter_ and difference <= 1e-6,
    )


def _name(target: str, threads: int) -> str:
    """The target speaks of two cores. One thread tells more where others are on them: two wait for each other."""
    return target if threads == 2 else f"{target}: {'one thread' if threads == 1 else f'{threads} threads'}"


def _reference_mixture() -> GaussianMixture:
    return GaussianMixture(K, covariance_type="tied", reg_covar=REGULARISATION, random_state=SEED)


def responsibilities(fitted: TiedMixture, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n, k] posterior probabilities of [n, d] values: what the components share cancels in the softmax."""
    return np.asarray(softmax((values - fitted.mean) @ fitted.coefficients.T + fitted.intercepts, axis=1))


def _read_seconds(features: NDArray[np.floating]) -> float:
    """Seconds to read the features once: the quickest of twenty products with a vector."""
    there = torch.from_numpy(features)
    vector = torch.ones(there.shape[1], dtype=there.dtype)
    return min(_wall(lambda: (there @ vector).sum().item()) for _ in range(20))


def _mixture_floor(n: int, d: int) -> tuple[float, float]:
    """Seconds, and the rate they stand on: the symmetric scatter n d^2, its Cholesky d^3 / 3, the inverse 2 d^3 / 3."""
    size = 2_048
    square = torch.from_numpy(np.random.default_rng(0).standard_normal((size, size)))
    rate = 2 * size**3 / min(_wall(lambda: (square @ square)[0, 0].item()) for _ in range(10))
    return (n * d**2 + d**3) / rate, rate


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


def profile(threads: int) -> Iterator[str]:
    """Ours alone, second calls."""
    features = draw_features(ROWS, SEED)
    torch.set_num_threads(threads)
    acts = {
        "k-means": lambda: assign_clusters(features, "kmeans", K, SEED),
        "mixture": lambda: assign_clusters(features, "gmm", K, SEED),
    }
    with threadpool_limits(threads):
        for name, act in acts.items():
            act()
            yield f"{name} {_tell(time_in_turns({name: act}, 3)[name])}"


if __name__ == "__main__":
    main()
