"""Stage 4: how many pairs match, and how likely each one does, against shuffled pairs (docs/alignment.md).

Weights for pairs that may not belong together: Huang et al., "Learning with noisy correspondence for cross-modal matching",
NeurIPS 2021. The share is the mixture-proportion estimate of how much of the low scores the shuffled pairs explain.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

LEVELS = np.array([0.2, 0.3, 0.4, 0.5, 0.6])
"""Quantiles of the shuffled pairs' scores at which the true pairs' are compared."""
SMALLEST_SHARE, LARGEST_SHARE = 0.02, 0.98


SAMPLE = 50_000
"""Scores that a curve through them is fitted on, at most: of a million it says the same, and takes the memory of these."""


def thin_out(scores: NDArray[np.floating]) -> NDArray[np.floating]:
    """[m] every so many-th of them, m <= 2 SAMPLE."""
    return scores[:: max(1, len(scores) // SAMPLE)]


def estimate_share(true: NDArray[np.floating], shuffled: NDArray[np.floating]) -> float:
    """pi = 1 - mean over u of F(z0_u) / u: F the distribution of the true pairs' z [n], z0_u quantile u of the shuffled [m].

    Below the quantile u of what does not match lies a share u of the pairs that do not match, and next to none that do.
    """
    below = np.searchsorted(np.sort(true), np.quantile(shuffled, LEVELS), side="right") / len(true)
    return float(np.clip(1 - np.mean(below / LEVELS), SMALLEST_SHARE, LARGEST_SHARE))


def posterior(true: NDArray[np.floating], shuffled: NDArray[np.floating], share: float) -> NDArray[np.float64]:
    """q [n]: how likely each true pair matches. q = 1 - (1 - pi)(1 - p) / p, p the isotonic regression of true (1) against
    shuffled (0) on z: at a score where the two are as frequent, p = 1/2 and q = pi.
    """
    sides = thin_out(true), thin_out(shuffled)
    scores = np.concatenate(sides)
    # as many of one as of the other
    weights = np.concatenate([np.full(len(side), 1 / len(side)) for side in sides])
    kinds = np.repeat([1.0, 0.0], [len(side) for side in sides])
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scores, kinds, sample_weight=weights)
    p = np.clip(fitted.predict(true), 1e-6, 1.0)
    matched: NDArray[np.float64] = np.clip(1 - (1 - share) * (1 - p) / p, 0.0, 1.0)
    return matched
