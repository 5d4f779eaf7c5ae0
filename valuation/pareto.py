"""Pareto smoothing of importance ratios, with NumPy alone.

The largest ratios are replaced by quantiles of a generalized Pareto distribution fitted to them; its shape k says
how heavy the tail is (Vehtari, Simpson, Gelman, Yao and Gabry 2024, JMLR 25(72), arXiv:1507.02646). The fit is the
weighted mean over a grid of Zhang and Stephens (2009, Technometrics 51), with the paper's weak prior on k. ArviZ has
the same; importing it costs more than a whole update, so it is the test's oracle here and not the tool.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAST_TAIL = 5
GRID = 30  # points of the grid besides the square root of the tail's length
FLAT = 0.01  # a tail whose largest ratio exceeds the rest by less is bounded: what is left of it is rounding
PRIOR_SHAPE, PRIOR_WEIGHT = 0.5, 10.0  # k is drawn towards 0.5 as by ten observations


def tail_length(draws: int) -> int:
    """How many of the largest ratios are smoothed: a fifth of few draws, 3√S of many."""
    return int(np.floor(min(draws / 5.0, 3.0 * np.sqrt(draws))))


def fit_tail(exceedances: Array) -> tuple[float, float]:
    """Shape and scale of a generalized Pareto distribution for sorted exceedances above 0.

    Returns
    -------
    tuple
        ``(k, scale)``; ``(inf, nan)`` where the values cannot be a tail of this kind.
    """
    x, n = exceedances, len(exceedances)
    quartile = x[int(n / 4 + 0.5) - 1]
    if not quartile > x[0]:
        return np.inf, np.nan
    size = GRID + int(np.sqrt(n))
    theta = 1.0 / x[-1] + (1.0 - np.sqrt(size / (np.arange(1, size + 1) - 0.5))) / (3.0 * quartile)
    shape = np.log1p(-theta[:, None] * x).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        profile = n * (np.log(-theta / shape) - shape - 1.0)
    weight = np.exp(profile - profile.max())
    weight /= weight.sum()
    weight = np.where(weight >= 10.0 * np.finfo(float).eps, weight, 0.0)
    best = float(theta @ weight / weight.sum())
    k = float(np.log1p(-best * x).mean())
    scale = -k / best
    k = (n * k + PRIOR_WEIGHT * PRIOR_SHAPE) / (n + PRIOR_WEIGHT)
    return (k, scale) if np.isfinite(k) else (np.inf, np.nan)


def smoothed(log_ratio: Array) -> tuple[Array, float]:
    """Smoothed log weights, summing to 1 on the natural scale, and the shape k of their tail.

    ``log_ratio`` has shape ``(draw,)`` and no NaN or plus infinity. With too few draws for a tail the ratios stay as
    they are and k is infinite: what cannot be judged is not trusted. A tail of ratios that are equal to within 1% is
    bounded: it stays as it is, and its k is 0.
    """
    log_weight = np.asarray(log_ratio, dtype=float) - np.max(log_ratio)
    length, k = tail_length(len(log_weight)), np.inf
    if length >= LEAST_TAIL:
        order = np.argsort(log_weight, kind="stable")
        tail = order[-length:]
        largest, cutoff = log_weight[tail[-1]], np.exp(log_weight[order[-length - 1]])
        if largest - log_weight[order[-length - 1]] < np.log1p(FLAT):
            k = 0.0
        else:
            k, scale = fit_tail(np.exp(log_weight[tail]) - cutoff)
            if np.isfinite(k):
                place = (np.arange(length) + 0.5) / length
                reach = -np.log1p(-place)  # quantiles of the unit exponential
                with np.errstate(divide="ignore"):
                    quantile = np.log(cutoff + scale * (np.expm1(k * reach) / k if k else reach))
                log_weight[tail] = np.minimum(quantile, largest)
    total = np.log(np.exp(log_weight).sum())
    return log_weight - total, float(k)
