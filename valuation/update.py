"""Move stored draws to changed priors or changed evidence by Pareto-smoothed importance sampling.

A ratio of densities per draw becomes a weight per draw; Pareto smoothing (Vehtari, Simpson, Gelman, Yao and Gabry
2024, arXiv:1507.02646) tames the largest and its shape k-hat says whether the weights can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from valuation.errors import ModelError


@dataclass(frozen=True)
class Weights:
    """Normalized importance weights of stored draws.

    Attributes
    ----------
    weight
        Shape ``(draw,)``, non-negative, summing to 1.
    khat
        Pareto shape of the largest ratios; above 0.7 the weights are not to be trusted.
    effective_draws
        ``1 / sum(weight²)``: equally weighted draws these are worth.
    """

    weight: NDArray[np.float64]
    khat: float
    effective_draws: float


def importance_weights(log_ratio: ArrayLike) -> Weights:
    """Smoothed weights proportional to ``exp(log_ratio)``, the new density over the old one.

    Raises
    ------
    ModelError
        If a ratio is NaN or plus infinity, or no draw has a positive weight.
    """
    ratio = np.asarray(log_ratio, dtype=float)
    if ratio.ndim != 1 or np.isnan(ratio).any() or np.isposinf(ratio).any():
        raise ModelError(
            "importance ratios must be one finite number a draw; check the likelihoods and priors that changed"
        )
    if np.isneginf(ratio).all():
        raise ModelError("no stored draw is possible under the change; fit again")
    if np.ptp(ratio[np.isfinite(ratio)]) < 1e-12 and np.isfinite(ratio).all():
        # ArviZ cannot smooth equal weights, and there is nothing to smooth.
        return Weights(np.full(len(ratio), 1.0 / len(ratio)), 0.0, float(len(ratio)))
    from arviz_stats.base import array_stats

    # psislw takes the log-likelihood of the left-out point and negates it: hence the minus.
    smoothed, khat = array_stats.psislw(-ratio, axis=-1)
    weight = np.exp(smoothed - smoothed.max())
    weight /= weight.sum()
    return Weights(weight, float(khat), float(1.0 / (weight**2).sum()))
