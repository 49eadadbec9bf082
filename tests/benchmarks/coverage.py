"""How often 95 % intervals hold the truth, and how wide they are: of a share by human sample, raw model and PPI++; of F1.

    python -m tests.benchmarks.coverage [--draws 4000]

Tweets, labels and predictions are drawn from a table whose truth is known, again and again; seeded, under a minute.
docs/review-statistics.md has the tables.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from itrp.evaluation.bootstrap import smoothed_interval
from itrp.evaluation.prediction_moments import PredictionMoments
from itrp.evaluation.prediction_powered import EstimatedShare, Of, estimate_share
from itrp.evaluation.shares import measure_share, normal_quantile

SEED, DRAWS, POPULATION = 20261130, 1000, 10_000


@dataclass(frozen=True)
class SimulatedModel:
    """A model that says 1 about `found` of the tweets of a class and about `false` of the others."""

    name: str
    share: float
    """Of all tweets that are of the class: the truth to be estimated."""
    found: float
    false: float

    @property
    def cells(self) -> NDArray[np.float64]:
        """Shares [4] of (label, prediction) = (1, 1), (1, 0), (0, 1), (0, 0)."""
        ones, zeros = self.share, 1 - self.share
        return np.array([ones * self.found, ones * (1 - self.found), zeros * self.false, zeros * (1 - self.false)])


GOOD = SimulatedModel("good", 0.4, 0.9, 0.1)
EXCELLENT = SimulatedModel("excellent", 0.4, 0.98, 0.02)
BIASED = SimulatedModel("biased", 0.4, 0.95, 0.5)
USELESS = SimulatedModel("useless", 0.4, 0.3, 0.3)
RARE = SimulatedModel("good, rare class", 0.03, 0.8, 0.01)
RARE_USELESS = SimulatedModel("useless, rare class", 0.03, 0.3, 0.3)


@dataclass(frozen=True)
class Coverage:
    """Share of the draws whose interval holds the truth, and the mean width of the interval."""

    covered: float
    width: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=DRAWS)
    draws = parser.parse_args(arguments).draws
    for line in (*tabulate_shares(draws), "", *tabulate_f1(draws)):
        print(line)


def tabulate_shares(draws: int) -> Iterator[str]:
    """Lines of a Markdown table, for the source's share."""
    yield "| model | truth | labels | human sample | raw model | PPI++, normal | PPI++ |"
    yield "|---|---|---|---|---|---|---|"
    for model in (GOOD, EXCELLENT, BIASED, USELESS, RARE, RARE_USELESS):
        for n in (20, 100, 400):
            found = measure_coverage(model, n, "source", draws=draws)
            cells = [f"{100 * each.covered:.1f} % ({100 * each.width:.1f})" for each in found.values()]
            yield f"| {model.name} | {100 * model.share:.0f} % | {n} | {' | '.join(cells)} |"


def tabulate_f1(draws: int) -> Iterator[str]:
    """Lines of a Markdown table: the percentile bootstrap of the weighted F1 and the smoothed one, two equal classes."""
    yield "| right in | labels | percentile | smoothed |"
    yield "|---|---|---|---|"
    for accuracy in (0.98, 0.9, 0.75):
        for n in (20, 100, 400):
            cells = [
                f"{100 * each.covered:.1f} % ({100 * each.width:.1f})"
                for each in (measure_f1_coverage(accuracy, n, added, draws=draws) for added in (0.0, 2.0))
            ]
            yield f"| {100 * accuracy:.0f} % | {n} | {' | '.join(cells)} |"


def measure_f1_coverage(accuracy: float, n: int, added: float, *, draws: int, seed: int = SEED) -> Coverage:
    """Coverage of the bootstrap interval of the weighted F1 of a model that errs alike about two equally frequent classes.

    Its true weighted F1 is its accuracy.
    """
    cells = np.array([accuracy, 1 - accuracy, 1 - accuracy, accuracy]) / 2
    counts = np.random.default_rng(seed).multinomial(n, cells, size=draws).reshape(draws, 2, 2)
    ends = [smoothed_interval(each, seed=seed, resamples=400, added=added) for each in counts]
    return _summarise(np.array(ends), accuracy)


def measure_coverage(
    model: SimulatedModel, n: int, of: Of, *, draws: int = DRAWS, population: int = POPULATION, seed: int = SEED
) -> dict[str, Coverage]:
    """Coverage of each interval (human, model, normal, ppi) over draws of n labels from a population or its source."""
    ends: dict[str, list[tuple[float, float]]] = {}
    truth = model.share if of == "source" else _count_population(model, population)[:2].sum() / population
    for labels, predictions, others in draw_samples(model, n, of, draws=draws, population=population, seed=seed):
        found = estimate_share(labels, predictions, others, of=of)
        raw = measure_share(round(found.model * population), population)
        ends.setdefault("human", []).append((found.human.low, found.human.high))
        ends.setdefault("model", []).append((raw.low, raw.high))
        ends.setdefault("normal", []).append(normal_interval(labels, predictions, others, found))
        ends.setdefault("ppi", []).append((found.low, found.high))
    return {name: _summarise(np.array(pairs), truth) for name, pairs in ends.items()}


def draw_samples(
    model: SimulatedModel, n: int, of: Of, *, draws: int, population: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], PredictionMoments]]:
    """(labels [n], predictions [n], the other tweets' predictions), `draws` times.

    source: all tweets are drawn anew every time. collection: always the same tweets, of which n others are labelled.
    """
    rng = np.random.default_rng(seed)
    if of == "source":
        samples = rng.multinomial(n, model.cells, size=draws)
        ones = rng.binomial(population - n, model.cells[[0, 2]].sum(), size=draws)
    else:
        everything = _count_population(model, population)
        samples = rng.multivariate_hypergeometric(everything, n, size=draws)
        ones = everything[[0, 2]].sum() - samples[:, [0, 2]].sum(axis=1)
    for counts, positive in zip(samples, ones, strict=True):
        share = positive / (population - n)
        others = PredictionMoments(population - n, share, share * (1 - share))
        yield np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts), others


def normal_interval(
    labels: NDArray[np.int64], predictions: NDArray[np.int64], others: PredictionMoments, found: EstimatedShare
) -> tuple[float, float]:
    """PPI++'s own interval: 1.96 standard errors to either side, as ppi-python has it."""
    variance = (labels - found.weight * predictions).var() / len(labels) + (
        found.weight**2 * others.variance / others.count
    )
    half = normal_quantile(found.level) * float(np.sqrt(variance))
    return found.value - half, found.value + half


def _count_population(model: SimulatedModel, population: int) -> NDArray[np.int64]:
    """Tweets [4] of a collection by cell."""
    counts = np.round(population * model.cells).astype(np.int64)
    counts[3] += population - counts.sum()
    return counts


def _summarise(ends: NDArray[np.float64], truth: float) -> Coverage:
    low, high = ends.T
    return Coverage(float(((low <= truth) & (truth <= high)).mean()), float((high - low).mean()))


if __name__ == "__main__":
    main()
