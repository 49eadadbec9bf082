"""Are the labels any good? How well text and image fit, judged by a dual encoder, against what people said.

Sun et al. 2023: a relation says how much an image shares with its text, so the cosine of a CLIP model should rise with
the score 00 -> 1, 01 -> 2, 10 -> 3, 11 -> 4. Their Spearman correlations on ITR's test set: 0.09 on the controversial
samples as published, 0.28 once corrected, 0.38 on the whole test set.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from itrp.data.annotations import Annotations
from itrp.errors import DataError
from itrp.evaluation.bootstrap import resampled_interval
from itrp.labels import UNLABELLED, Task

PUBLISHED = {"controversial raw": 0.09, "controversial corrected": 0.28, "test raw": 0.38}
"""Spearman correlations of the paper. It does not say whether the whole test set is corrected; we compare it with raw."""
FEWEST_PAIRS = 3
"""With fewer a correlation says nothing."""


@dataclass(frozen=True, eq=False)
class LabelQuality:
    """Spearman correlation of cosine and score on one set of labels."""

    set: str
    n: int
    correlation: float
    p: float
    """Two-sided, of no correlation."""
    low: float
    high: float
    """Ends of the percentile bootstrap 95 % interval."""
    published: float | None
    scores: NDArray[np.int64] = field(repr=False)
    cosines: NDArray[np.float64] = field(repr=False)
    """[n] each: what was correlated."""


def similarity_scores(relations: NDArray[np.integer]) -> NDArray[np.int64]:
    """The paper's scores 1 to 4 of relations 2*T + I, [n]: one more than the class index. UNLABELLED stays so."""
    relations = np.asarray(relations, dtype=np.int64)
    return np.where(relations == UNLABELLED, UNLABELLED, relations + 1)


def check_label_quality(
    cosines: NDArray[np.floating], annotations: Annotations, *, seed: int = 0, resamples: int = 1000
) -> tuple[list[LabelQuality], list[str]]:
    """Correlations on the test split: controversial raw and corrected, the whole split raw and corrected.

    cosines: [n] of the pairs' texts and images, in the order of the annotations; those of pairs that are set aside are not looked
    at. Returns the sets that can be judged
    and a sentence for each that cannot. Raises DataError for another length, cosines that are not finite, and when the
    test split holds no pair with both labels.
    """
    cosines = np.asarray(cosines, dtype=np.float64)
    unknown = ~np.isfinite(cosines)
    if cosines.shape == (len(annotations),):
        unknown &= annotations.split != "set-aside"
    if cosines.shape != (len(annotations),) or unknown.any():
        raise DataError(
            f"expected one finite cosine a pair, [{len(annotations)}], found the shape {cosines.shape} with "
            f"{int(unknown.sum())} not finite: take the cosines of the same data set"
        )
    is_test = annotations.split == "test"
    if not (is_test & (annotations.labels(Task.IMAGE_TEXT) != UNLABELLED)).any():
        raise DataError("the test split has no pair with both labels: ingest a labelled data set with a test split")
    found, notes = [], []
    for name in ("controversial raw", "controversial corrected", "test raw", "test corrected"):
        rows = is_test & annotations.controversial if name.startswith("controversial") else is_test
        scores = similarity_scores(annotations.labels(Task.IMAGE_TEXT, corrected=name.endswith("corrected")))
        rows = rows & (scores != UNLABELLED)
        missing = _explain_missing(name, scores[rows], cosines[rows])
        if missing:
            notes.append(missing)
        else:
            found.append(_correlate(name, scores[rows], cosines[rows], seed, resamples))
    return found, notes


def _explain_missing(name: str, scores: NDArray[np.int64], cosines: NDArray[np.float64]) -> str | None:
    """Why a set has no correlation, None when it has one."""
    if name.startswith("controversial") and not len(scores):
        return f"{name}: the data set has no controversial samples; ingest it with --controversial FILE to have them"
    if len(scores) < FEWEST_PAIRS:
        return f"{name}: {len(scores)} pairs are too few for a correlation, {FEWEST_PAIRS} are the least"
    if len(np.unique(scores)) < 2 or len(np.unique(cosines)) < 2:
        return f"{name}: no correlation, all {len(scores)} pairs have one score or one cosine"
    return None


def _correlate(
    name: str, scores: NDArray[np.int64], cosines: NDArray[np.float64], seed: int, resamples: int
) -> LabelQuality:
    result = spearmanr(scores, cosines)
    low, high = resampled_interval(
        lambda rows: _spearman(scores[rows], cosines[rows]), len(scores), seed=seed, resamples=resamples
    )
    return LabelQuality(
        name,
        len(scores),
        float(result.statistic),
        float(result.pvalue),
        low,
        high,
        PUBLISHED.get(name),
        scores,
        cosines,
    )


def _spearman(scores: NDArray[np.int64], cosines: NDArray[np.float64]) -> float:
    """The correlation alone, without scipy's p value and its warnings; NaN where all scores or all cosines are the same."""
    first, second = (rankdata(values) - (len(values) + 1) / 2 for values in (scores, cosines))
    spread = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / spread) if spread else float("nan")


def tabulate_quality(found: Sequence[LabelQuality]) -> list[dict[str, object]]:
    """One row a set, for a table."""
    columns = ("set", "n", "correlation", "low", "high", "p", "published")
    return [{name: getattr(each, name) for name in columns} for each in found]
