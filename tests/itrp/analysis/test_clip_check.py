"""Label quality by cosine, worked out by hand."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import spearmanr

from itrp.analysis.clip_check import PUBLISHED, _spearman, check_label_quality, similarity_scores, tabulate_quality
from itrp.data.annotations import Annotations
from itrp.errors import DataError

Annotate = Callable[..., Annotations]

RELATIONS = ("00", "01", "10", "11", "00", "11", "00")
CORRECTED = {0: "01", 1: "00", 2: "11", 3: "10"}
SPLIT = ("test",) * 6 + ("train",)
COSINES = np.array([0.2, 0.1, 0.4, 0.3, 0.0, 0.5, 9.0], dtype=np.float32)  # the last is a train pair: it must not count


def test_scores_of_the_paper() -> None:
    assert similarity_scores(np.array([0, 1, 2, 3, -1])).tolist() == [1, 2, 3, 4, -1]


def test_correlations_by_hand(annotate: Annotate) -> None:
    found, notes = check_label_quality(COSINES, annotate(RELATIONS, CORRECTED, SPLIT), resamples=200)
    by_set = {each.set: each for each in found}
    assert list(by_set) == ["controversial raw", "controversial corrected", "test raw", "test corrected"]
    assert notes == []
    # scores 1 2 3 4, ranks of the cosines 2 1 4 3: 1 - 6*4 / (4*15)
    assert by_set["controversial raw"].correlation == pytest.approx(0.6)
    # scores 2 1 4 3, ranks 2 1 4 3
    assert by_set["controversial corrected"].correlation == pytest.approx(1)
    # scores 1 2 3 4 1 4 with ranks 1.5 3 4 5.5 1.5 5.5, cosines with ranks 3 2 5 4 1 6: 13.5 / sqrt(16.5 * 17.5)
    assert by_set["test raw"].correlation == pytest.approx(13.5 / np.sqrt(16.5 * 17.5))
    assert [each.n for each in found] == [4, 4, 6, 6]
    assert [each.published for each in found] == [0.09, 0.28, 0.38, None]
    assert by_set["test raw"].p == pytest.approx(spearmanr([1, 2, 3, 4, 1, 4], COSINES[:6]).pvalue)
    assert tabulate_quality(found)[0]["set"] == "controversial raw"


def test_the_interval_is_that_of_resampled_pairs(annotate: Annotate) -> None:
    """As a plain loop over resamples has it, within what a thousand draws leave open."""
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, 150)
    cosines = scores + rng.normal(0, 2.5, 150)
    annotations = annotate([f"{score // 2}{score % 2}" for score in scores])
    found, notes = check_label_quality(cosines, annotations, seed=3)
    (raw, corrected) = found
    assert (raw.set, corrected.set) == ("test raw", "test corrected")
    assert len(notes) == 2
    assert (
        "controversial raw: the data set has no controversial samples; ingest it with --controversial FILE" in notes[0]
    )
    rows = np.random.default_rng(5).integers(0, 150, (1000, 150))
    drawn = [spearmanr(scores[row], cosines[row]).statistic for row in rows]
    assert (raw.low, raw.high) == pytest.approx(np.quantile(drawn, (0.025, 0.975)), abs=0.03)
    assert raw.low < raw.correlation < raw.high
    assert check_label_quality(cosines, annotations, seed=3)[0][0].low == raw.low


def test_the_ranks_correlation_equals_scipys_also_with_ties() -> None:
    rng = np.random.default_rng(1)
    scores, cosines = rng.integers(1, 5, (6, 40)), rng.integers(0, 12, (6, 40)) / 10
    for row in zip(scores, cosines, strict=True):
        assert _spearman(*row) == pytest.approx(spearmanr(*row).statistic)
    assert np.isnan(_spearman(np.ones(5, dtype=int), np.arange(5.0)))


def test_what_cannot_be_judged_is_told(annotate: Annotate) -> None:
    found, notes = check_label_quality(COSINES[:5], annotate(["00", "00", "00", "--", "01"], {0: "11"}))
    assert [each.set for each in found] == ["test raw", "test corrected"]
    assert notes == [
        "controversial raw: 1 pairs are too few for a correlation, 3 are the least",
        "controversial corrected: 1 pairs are too few for a correlation, 3 are the least",
    ]
    found, notes = check_label_quality(COSINES[:4], annotate(["00"] * 4))
    assert found == []
    assert notes[2] == "test raw: no correlation, all 4 pairs have one score or one cosine"


def test_wrong_input_is_refused(annotate: Annotate) -> None:
    annotations = annotate(RELATIONS, CORRECTED, SPLIT)
    with pytest.raises(DataError, match=r"expected one finite cosine a pair, \[7\], found the shape \(6,\)"):
        check_label_quality(COSINES[:6], annotations)
    with pytest.raises(DataError, match="with 1 not finite"):
        check_label_quality(np.where(np.arange(7) == 2, np.nan, COSINES), annotations)
    aside = annotations.set_aside(np.array([2]))
    check_label_quality(np.where(np.arange(7) == 2, np.nan, COSINES), aside)
    with pytest.raises(DataError, match="the test split has no pair with both labels: ingest a labelled data set"):
        check_label_quality(COSINES, annotate(RELATIONS, None, ["train"] * 7))


def test_published_figures() -> None:
    assert PUBLISHED == {"controversial raw": 0.09, "controversial corrected": 0.28, "test raw": 0.38}
