"""The promotion gate: may a challenger become the champion? Decided on labels where there are any, and said plainly where not."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from itrp.alignment.gate import GATE, area, area_interval, compare_areas
from itrp.evaluation.bootstrap import paired_bootstrap
from itrp.evaluation.results import weighted_f1
from itrp.evaluation.sampled_figures import FEW_LABELS
from serving.matching import MatchScores

CONFIDENCE = 0.95
"""The share of bootstrap resamples in which the challenger must be better."""


@dataclass(frozen=True)
class GateDecision:
    """What the gate says, why, and the numbers it was decided on (written on the version as tags)."""

    passed: bool
    reason: str
    figures: dict[str, float | str] = field(default_factory=dict)


def decide_on_labels(
    labels: NDArray[np.int64],
    challenger: NDArray[np.int64],
    rival: NDArray[np.int64],
    *,
    rival_name: str,
    seed: int = 0,
) -> GateDecision:
    """Compare class predictions [n] of the challenger with the champion's (or, before the first, the majority class's).

    Passed when the challenger's weighted F1 is better in at least 95 % of the paired bootstrap's resamples.
    """
    compared = paired_bootstrap(labels, challenger, rival, seed=seed)
    figures: dict[str, float | str] = {
        "f1": weighted_f1(labels, challenger),
        "rival_f1": weighted_f1(labels, rival),
        "rival": rival_name,
        "difference": compared.difference,
        "difference_low": compared.low,
        "difference_high": compared.high,
        "probability_better": compared.probability_better,
        "n": float(len(labels)),
    }
    passed = compared.probability_better >= CONFIDENCE
    reason = (
        f"weighted F1 {figures['f1']:.3f} against {figures['rival_f1']:.3f} of {rival_name} on {len(labels)} test pairs, "
        f"difference {compared.difference:+.3f} (95 % interval {compared.low:+.3f} to {compared.high:+.3f}), better in "
        f"{compared.probability_better:.1%} of resamples (needed {CONFIDENCE:.0%})"
    )
    if len(labels) < FEW_LABELS:
        reason += (
            f"; {len(labels)} labels are few: the interval is {100 * (compared.high - compared.low):.0f} points wide, about "
            f"{3 * len(labels)} more would halve it"
        )
    return GateDecision(passed, reason, figures)


def decide_without_labels(
    *,
    agreement_between_seeds: float | None,
    balance: float,
    confidence: float,
    agreement_with_champion: float | None,
    accept: bool,
    agreement_of_all_seeds: float | None = None,
) -> GateDecision:
    """Label-free figures inform, but never promote by themselves: a person says `--accept`."""
    known = {
        "agreement_between_seeds": agreement_between_seeds,
        "agreement_of_all_seeds": agreement_of_all_seeds,
        "agreement_with_champion": agreement_with_champion,
    }
    figures: dict[str, float | str] = {name: value for name, value in known.items() if value is not None}
    figures |= {"cluster_balance": balance, "mean_confidence": confidence}
    told = ", ".join(
        f"{name.replace('_', ' ')} {value:.3f}" for name, value in figures.items() if isinstance(value, float)
    )
    if agreement_between_seeds is None:
        told += ", agreement between seeds unknown (one seed trained)"
    verdict = (
        "accepted by hand" if accept else "keeps the old champion; promote with --accept if these figures convince you"
    )
    return GateDecision(accept, f"no labelled data set, so only label-free figures: {told}; {verdict}", figures)


def decide_on_matching(
    challenger: MatchScores, rival: MatchScores | None, *, rival_name: str, accept: bool, seed: int = 0
) -> GateDecision:
    """Without labels, on what an aligned challenger is made for: the area under the curve of pairs as they are against pairs with
    another image.

    Passed from GATE on where there is no champion yet, and against one when the area is larger in at least 95 % of the paired
    bootstrap's resamples. `accept`: a person takes it although it is not better, but not below GATE.
    """
    own = area(*challenger)
    low, high = area_interval(*challenger, seed=seed)
    n = len(challenger.true)
    figures: dict[str, float | str] = {"auc": own, "auc_low": low, "auc_high": high, "n": float(n)}
    reason = (
        f"no labelled data set, so true against shuffled pairs: area {own:.3f} (95 % interval {low:.3f} to {high:.3f}) on {n} "
        "unlabelled pairs"
    )
    if own < GATE:
        return GateDecision(
            False, f"{reason}, below {GATE:.2f}: train on more tweets of the kind that is to be labelled", figures
        )
    if rival is None:
        return GateDecision(True, f"{reason}, expected at least {GATE:.2f}; {rival_name}", figures)
    compared = compare_areas(challenger, rival, seed=seed)
    figures |= {
        "rival": rival_name,
        "rival_auc": compared.champion,
        "difference": own - compared.champion,
        "difference_low": compared.low,
        "difference_high": compared.high,
        "probability_better": compared.probability_better,
    }
    passed = compared.probability_better >= CONFIDENCE
    reason += (
        f", {compared.champion:.3f} of {rival_name}, difference {own - compared.champion:+.3f} "
        f"(95 % interval {compared.low:+.3f} to {compared.high:+.3f}), better in {compared.probability_better:.1%} of "
        f"resamples (needed {CONFIDENCE:.0%})"
    )
    if not passed:
        reason += "; accepted by hand" if accept else "; promote with --accept to take it all the same"
    return GateDecision(passed or accept, reason, figures)


def weigh_warnings(decision: GateDecision, warnings: Mapping[str, str], *, accept: bool) -> GateDecision:
    """The decision on a challenger that something is doubtful about: rejected, whatever its figures, unless a person accepts.

    warnings: sentences by code. Accepting them does not promote what the figures reject.
    """
    if not warnings:
        return decision
    codes, told = ", ".join(warnings), "; ".join(warnings.values())
    figures = {**decision.figures, "warnings": codes}
    if accept:
        return GateDecision(decision.passed, f"{decision.reason}; accepted by hand although {told}", figures)
    rejected = f"{decision.reason}; rejected because {told}; promote with --accept to take it all the same"
    return GateDecision(False, rejected, figures)
