"""Do people agree? Krippendorff's alpha of whatever items two or more of them have answered, and who differs from the others.

Alpha = 1 - observed / expected disagreement: 1 where nobody differs, 0 where people agree as often as chance would have it.
Source: Krippendorff, "Content analysis: an introduction to its methodology", 2nd edition, 2004, chapter 11. Its rule (page 241):
rely on data with an alpha of 0.800 or more, draw tentative conclusions from 0.667 on, and discard what is below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import krippendorff
import numpy as np
from numpy.typing import ArrayLike, NDArray

from itrp.errors import DataError
from itrp.evaluation.shares import LEVEL, Share, measure_share

Level = Literal["nominal", "ordinal", "interval"]
"""How labels are compared: same or not, by rank, by distance."""


class Grade(StrEnum):
    """What Krippendorff lets a researcher do with labels of such an alpha."""

    RELIABLE = "reliable"
    TENTATIVE = "tentative"
    NOT_RELIABLE = "not reliable"


GRADES = {Grade.RELIABLE: 0.8, Grade.TENTATIVE: 0.667}
"""Least alpha of a grade, best first."""

ADDED = 2.0
"""Items added before resampling. Without, the interval of 20 items of people who err in 2 % covers in half of the cases: nobody
differs, and it is 1 to 1."""


@dataclass(frozen=True, slots=True)
class PersonAgreement:
    """One person beside the others."""

    person: str
    answers: int
    """All of hers."""
    pairs: int
    """Pairs of her answers with other people's about the same item."""
    agreed: float | None
    """Share of these pairs that are the same; None without a pair."""
    alpha_without: float | None
    """Alpha of all others: where it is clearly higher, she answers another question than they do. None where undefined."""


@dataclass(frozen=True, slots=True)
class PeopleAgreement:
    """Krippendorff's alpha (nominal) of people's answers."""

    alpha: float | None
    """None where it is not defined: nobody answered what another did, or all answers are the same."""
    low: float | None
    high: float | None
    """Ends of the bootstrap interval over items, smoothed where they are few."""
    grade: Grade | None
    sentence: str
    """What was found, in words."""
    items: int
    """Items that two people or more have answered: only these count."""
    answers: int
    """About these items."""
    unanimous: Share | None
    """Share of these items about which all answers are the same; None without an item."""
    people: tuple[PersonAgreement, ...]
    """In the order of their names."""


def measure_agreement(
    items: ArrayLike,
    people: ArrayLike,
    values: ArrayLike,
    *,
    seed: int = 0,
    resamples: int = 1000,
    level: float = LEVEL,
) -> PeopleAgreement:
    """Alpha of answers [n] (`values`) that people [n] gave about items [n], any subset of items each, one answer an item.

    Answers are compared as the same or not. Raises DataError for lengths that differ and for a person's second answer about
    an item: hand over the newest.
    """
    item_names, item = np.unique(np.asarray(items), return_inverse=True)
    names, person = np.unique(np.asarray(people).astype(str), return_inverse=True)
    seen, value = np.unique(np.asarray(values), return_inverse=True)
    _check_answers(item, person, value, names)
    counts = _count(item, value, (len(item_names), len(seen)))
    shared = counts[counts.sum(axis=1) > 1]
    alpha = _known(krippendorff_alpha(shared))
    low, high = _interval(shared, seed, resamples, level) if alpha is not None else (None, None)
    unanimous = int((shared.max(axis=1) == shared.sum(axis=1)).sum()) if len(shared) else 0
    return PeopleAgreement(
        alpha=alpha,
        low=low,
        high=high,
        grade=None if alpha is None else grade_alpha(alpha),
        sentence=_tell(alpha, low, high, shared, level),
        items=len(shared),
        answers=int(shared.sum()),
        unanimous=measure_share(unanimous, len(shared), level=level) if len(shared) else None,
        people=tuple(_compare(number, str(name), item, person, value, counts) for number, name in enumerate(names)),
    )


def grade_alpha(alpha: float) -> Grade:
    """Krippendorff's verdict on labels of such an alpha."""
    return next((grade for grade, least in GRADES.items() if alpha >= least), Grade.NOT_RELIABLE)


def krippendorff_alpha(
    counts: NDArray[np.int64], domain: NDArray[np.float64] | None = None, level: Level = "nominal"
) -> float:
    """Alpha of counts [n, v] of labels by item and value; NaN where it is not defined.

    That is: no item has two labels, or all labels are the same. domain: [v] the values as numbers, for the levels above nominal.
    """
    counts = counts[counts.sum(axis=1) > 1]  # a single label cannot agree with anything
    if (counts.sum(axis=0) > 0).sum() < 2:
        return float("nan")
    return float(krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement=level))


def _check_answers(
    item: NDArray[np.intp], person: NDArray[np.intp], value: NDArray[np.intp], names: NDArray[np.str_]
) -> None:
    if not len(item) == len(person) == len(value):
        raise DataError(
            f"expected an item, a person and a value an answer, found {len(item)}, {len(person)} and {len(value)} of them"
        )
    answers, times = np.unique(np.stack([item, person]), axis=1, return_counts=True)
    if (times > 1).any():
        twice = names[answers[1, times > 1][0]]
        raise DataError(
            f"expected one answer a person and item, found several of {twice} about the same item: keep her newest"
        )


def _compare(
    number: int,
    name: str,
    item: NDArray[np.intp],
    person: NDArray[np.intp],
    value: NDArray[np.intp],
    counts: NDArray[np.int64],
) -> PersonAgreement:
    """Person `number` beside the others; counts: [items, values] of everybody's answers."""
    hers = person == number
    others = counts - _count(item[hers], value[hers], counts.shape)
    pairs = int(others[item[hers]].sum())
    agreed = int(others[item[hers], value[hers]].sum())
    return PersonAgreement(
        name, int(hers.sum()), pairs, agreed / pairs if pairs else None, _known(krippendorff_alpha(others))
    )


def _count(item: NDArray[np.intp], value: NDArray[np.intp], shape: Sequence[int]) -> NDArray[np.int64]:
    """Counts [items, values] of answers."""
    counts = np.zeros(shape, dtype=np.int64)
    np.add.at(counts, (item, value), 1)
    return counts


def _interval(shared: NDArray[np.int64], seed: int, resamples: int, level: float) -> tuple[float | None, float | None]:
    """Ends of the bootstrap interval over items, of which resamples without an alpha are left out.

    Items whose answers are alike are drawn together, as many as a draw of items has of them: the same distribution, and ten
    thousand items take no longer than ten. `ADDED` items with two answers, spread evenly over all pairs of values, are among
    those drawn from: a difference that few items do not show can occur.
    """
    kinds, times = np.unique(shared, axis=0, return_counts=True)
    values = np.eye(shared.shape[1], dtype=np.int64)
    pairs = (values[:, None] + values).reshape(-1, len(values))
    weights = np.concatenate([times, np.full(len(pairs), ADDED / len(pairs))])
    drawn = np.random.default_rng(seed).multinomial(len(shared), weights / weights.sum(), size=resamples)
    kinds = np.concatenate([kinds, pairs])
    alphas = _nominal_alphas(drawn, kinds)
    alphas = alphas[~np.isnan(alphas)]
    if not len(alphas):
        return None, None
    low, high = np.quantile(alphas, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def _nominal_alphas(drawn: NDArray[np.int64], kinds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Alpha [r] of each resample, which has so many [r, k] items of each kind, by counts [k, v]; NaN for one value only."""
    answers = kinds.sum(axis=1)
    differing = (answers**2 - (kinds**2).sum(axis=1)) / (answers - 1)
    totals = drawn @ kinds  # (r, v)
    n = totals.sum(axis=1)
    expected = (n**2 - (totals**2).sum(axis=1)) / (n - 1)
    alphas: NDArray[np.float64] = 1 - drawn @ differing / np.where(expected > 0, expected, np.nan)
    return alphas


def _known(alpha: float) -> float | None:
    return None if np.isnan(alpha) else alpha


def _tell(alpha: float | None, low: float | None, high: float | None, shared: NDArray[np.int64], level: float) -> str:
    if not len(shared):
        return "No item has answers of two people: let a second person answer some of the items that one has answered."
    if alpha is None:
        return (
            f"All {shared.sum()} answers about the {len(shared)} items that two people or more have answered are the same, "
            "so agreement cannot be told from chance: alpha needs items of another class."
        )
    ends = f"{100 * level:g} % interval {low:.2f} to {high:.2f}, " if low is not None else ""
    told = f"alpha {alpha:.2f}, {ends}{len(shared)} items: {grade_alpha(alpha)}"
    if alpha == 1:
        unseen = 1 - measure_share(len(shared), len(shared), level=level).low
        return (
            f"{told}. Nobody differs; of so few items, people could differ about {100 * unseen:.0f} % and none be seen."
        )
    if low is not None and grade_alpha(low) is not grade_alpha(alpha):
        return f"{told}; the interval reaches down to {grade_alpha(low)}."
    return f"{told}."
