"""Stage 5: from scores to class probabilities (docs/alignment.md): log-odds = kappa (z - threshold)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from itrp.alignment.share import thin_out

LARGEST_SLOPE = 20.0
"""Two heaps of scores without any spread would make every probability 0 or 1."""


@dataclass(frozen=True)
class Decision:
    """probability that a pair matches = 1 / (1 + exp(-slope (z - threshold)))."""

    slope: float
    threshold: float

    def probabilities(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """[n] of z [n]."""
        odds = np.clip(self.slope * (np.asarray(scores, dtype=np.float64) - self.threshold), -60, 60)
        return 1 / (1 + np.exp(-odds))


def decide(scores: NDArray[np.floating], share: float, seed: int) -> Decision:
    """The threshold leaves the matched share of the z [n] above it; the slope is that of a tied mixture of two components:
    distance of the means / variance."""
    mixture = GaussianMixture(2, covariance_type="tied", n_init=3, random_state=seed).fit(
        np.asarray(thin_out(scores), dtype=np.float64)[:, None]
    )
    distance, variance = float(np.ptp(mixture.means_)), float(mixture.covariances_.item())
    slope = min(max(distance / max(variance, 1e-9), 1e-3), LARGEST_SLOPE)
    return Decision(slope, float(np.quantile(scores, 1 - share)))
