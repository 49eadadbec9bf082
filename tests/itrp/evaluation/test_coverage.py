"""How often the intervals hold the truth, by simulation with fixed seeds (tests/benchmarks/coverage.py)."""

import numpy as np
import pytest

from itrp.evaluation.bootstrap import f1_from_confusion
from itrp.evaluation.prediction_moments import PredictionMoments, moments_of_classes
from itrp.evaluation.prediction_powered import Of, estimate_share, estimate_shares
from itrp.evaluation.sampled_figures import measure_sample
from tests.benchmarks.coverage import BIASED, GOOD, USELESS, SimulatedModel, main, measure_coverage, normal_interval


def test_the_tables_of_the_docs(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--draws", "3"])
    shares, f1 = capsys.readouterr().out.split("\n\n")
    assert [len(table.strip().splitlines()) for table in (shares, f1)] == [2 + 6 * 3, 2 + 3 * 3]
    assert len({line.count("|") for line in shares.strip().splitlines()}) == 1


@pytest.mark.parametrize("of", ["source", "collection"])
@pytest.mark.parametrize("n", [100, 400])
@pytest.mark.parametrize("model", [GOOD, USELESS, BIASED], ids=lambda model: model.name)
def test_a_thousand_draws_cover_the_truth(model: SimulatedModel, n: int, of: Of) -> None:
    found = measure_coverage(model, n, of)
    assert 0.93 <= found["ppi"].covered <= 0.97
    assert 0.93 <= found["human"].covered <= 0.97
    if model is USELESS:
        assert found["ppi"].width == pytest.approx(found["human"].width, rel=0.02)
    else:
        assert found["ppi"].width < (0.7 if model is GOOD else 0.93) * found["human"].width
        assert found["model"].covered < 0.05  # it is off by 2 points or more, and 10,000 predictions do not help


@pytest.mark.parametrize(
    ("cells", "others", "ends"),
    [
        # ppi-python 0.2.3: ppi_mean_ci(..., alpha=0.05)
        ((9, 3, 2, 16), (400, 1000), (0.28587680845955266, 0.5554686890136761)),
        ((30, 10, 25, 35), (90, 120), (0.3458696956977371, 0.5314599594746767)),
    ],
)
def test_the_normal_interval_beside_it_is_ppi_pythons(
    cells: tuple[int, ...], others: tuple[int, int], ends: tuple[float, float]
) -> None:
    labels, predictions = np.repeat([1, 1, 0, 0], cells), np.repeat([1, 0, 1, 0], cells)
    rest = moments_of_classes([others[1] - others[0], others[0]])[1]
    found = estimate_share(labels, predictions, rest, of="source")
    assert normal_interval(labels, predictions, rest, found) == pytest.approx(ends, abs=1e-12)


@pytest.mark.parametrize("n", [20, 100])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.97])
def test_rare_classes_and_few_labels_are_covered(share: float, n: int) -> None:
    """More cautious than 95 % is no fault there; the normal interval, which has no width without a positive, is one."""
    for found, false in ((0.8, 0.01), (0.98, 0.02), (0.3, 0.3)):
        coverage = measure_coverage(SimulatedModel("", share, found, false), n, "source", draws=500)
        assert coverage["ppi"].covered >= 0.91
        assert coverage["ppi"].covered > coverage["normal"].covered


def test_probabilities_cover_the_truth_of_a_collection() -> None:
    """5,000 tweets whose probabilities mean what they say; 1,000 times 100 of them are labelled."""
    rng = np.random.default_rng(11)
    probabilities = rng.beta(0.6, 0.9, 5000)
    truth = (rng.random(5000) < probabilities).astype(np.int64)
    whole, covered, widths, human = PredictionMoments.of(probabilities), 0, [], []
    for _ in range(1000):
        rows = rng.choice(5000, 100, replace=False)
        found = estimate_share(truth[rows], probabilities[rows], whole.leave_out(probabilities[rows]))
        covered += found.low <= truth.mean() <= found.high
        widths.append(found.width)
        human.append(found.human.width)
    assert 930 <= covered <= 970
    assert np.mean(widths) < 0.85 * np.mean(human)


def test_each_of_four_relations_is_covered() -> None:
    """One weight for all of them, although the model is worse at the rare ones."""
    rng, n, population = np.random.default_rng(7), 100, 10_000
    prior, right = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.9, 0.85, 0.6, 0.3])
    table = np.diag(prior * right) + np.outer(prior * (1 - right), [0.4, 0.3, 0.2, 0.1])
    inside = np.zeros(4)
    for counts in rng.multinomial(n, table.ravel(), size=1000):
        labels, predictions = np.divmod(np.repeat(np.arange(16), counts), 4)
        others = moments_of_classes(rng.multinomial(population - n, table.sum(axis=0)).tolist())
        found = estimate_shares(labels, predictions, others, of="source")
        inside += [each.low <= share <= each.high for each, share in zip(found, prior, strict=True)]
    assert (inside / 1000 >= 0.93).all()
    assert (inside / 1000 <= 0.975).all()


@pytest.mark.parametrize(("n", "accuracy"), [(20, 0.98), (50, 0.9), (100, 0.9), (100, 0.75)])
@pytest.mark.parametrize("prior", [(0.5, 0.5), (0.85, 0.15), (0.4, 0.3, 0.2, 0.1)], ids=len)
def test_figures_of_few_labels_cover_the_truth(prior: tuple[float, ...], n: int, accuracy: float) -> None:
    """F1 and accuracy of a model whose errors fall on all other classes alike."""
    rng, classes = np.random.default_rng(5), len(prior)
    table = np.full((classes, classes), (1 - accuracy) / (classes - 1))
    np.fill_diagonal(table, accuracy)
    table *= np.array(prior)[:, None]
    truth, draws = float(f1_from_confusion(table * 1e9)), 200
    held = np.zeros(2)
    for counts in rng.multinomial(n, table.ravel(), size=draws):
        labels, predictions = np.divmod(np.repeat(np.arange(classes**2), counts), classes)
        found = measure_sample(labels, predictions, classes)
        held += [found.f1.low <= truth <= found.f1.high, found.accuracy.low <= accuracy <= found.accuracy.high]
    assert (held / draws >= 0.9).all()
