"""How far an answer hangs on a prior or on the evidence: arithmetic on draws and log densities.

Nothing here samples, simulates or reads a file. A changed prior or likelihood becomes one weight a draw
(:func:`valuation.update.importance_weights`), so every number comes with the Pareto k of its weights.

Power scaling
-------------
Raise a prior, or a likelihood, to the power alpha: below 1 it says less, above 1 it says more. How far the cumulative
distribution of a quantity moves, by the cumulative Jensen-Shannon distance, per doubling of alpha, is its sensitivity
(Kallioinen, Paananen, Bürkner and Vehtari 2024, Statistics and Computing 34:57, doi:10.1007/s11222-023-10366-5). A
quantity that moves with its prior **and** with its likelihood stands between two that disagree; one that moves with
the prior alone has learnt little.

Tilts
-----
The normal score of a draw is the standard-normal quantile of its place in its prior. ``exp(s z)``, z the score, turns a
prior into one whose scores are N(s, 1): for a normal prior that is the same prior, s standard deviations further on,
for a lognormal one the same in logs, and every quantile goes to one that the prior already had.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from valuation import decision
from valuation.decision import Estimate
from valuation.errors import ParameterError, ValuationError
from valuation.update import Weights, importance_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

ALPHAS = (0.8, 1.25)  # a fifth less and a quarter more: equally far from 1 on the log scale
CONFLICT, LEANS = "prior and data disagree", "rests on the prior"
FURTHEST = 3.0  # standard deviations of a prior that a shift may reach; beyond is another belief
STEPS, PRECISION = 12, 0.02
EDGE = 1e-16  # a draw this near the end of its prior counts as there


class Distribution(Protocol):
    """What a tilt needs of a prior."""

    def cdf(self, x: ArrayLike) -> NDArray[np.float64]: ...
    def ppf(self, q: ArrayLike) -> NDArray[np.float64]: ...


# --- power scaling --------------------------------------------------------------------------------


def power_scaled(log_component: ArrayLike, alpha: float) -> Weights:
    """Weights of draws for a posterior one part of which is raised to ``alpha``.

    Parameters
    ----------
    log_component
        Shape ``(draw,)``: the log prior or the log likelihood to scale, up to a constant.
    """
    if not (math.isfinite(alpha) and alpha > 0):
        raise ParameterError(f"a power is a number above 0, got {alpha}")
    return importance_weights((alpha - 1.0) * np.asarray(log_component, dtype=float))


def cumulative_distance(values: ArrayLike, weight: ArrayLike) -> float:
    """Cumulative Jensen-Shannon distance between equally weighted and weighted draws, 0 .. 1.

    Symmetric, in bits, divided by its upper bound; the larger of the distances of the values and of their negatives,
    as distribution functions tell the two tails apart. Draws that are all alike are at no distance.
    """
    x = np.asarray(values, dtype=float)
    w = decision.weights(weight, x.size)
    if not np.isfinite(x).all():
        raise ValuationError("values: not all of them are finite")
    order = np.argsort(x, kind="stable")
    gaps, w = np.diff(x[order]), w[order]
    if not gaps.sum() > 0:
        return 0.0
    plain = np.arange(1, x.size) / x.size
    return max(
        _distance(gaps, plain, np.cumsum(w)[:-1]),
        _distance(gaps[::-1], plain, np.cumsum(w[::-1])[:-1]),
    )


def _distance(gaps: NDArray, p: NDArray, q: NDArray) -> float:
    """The same of two distribution functions that are constant between draws ``gaps`` apart."""
    middle = 0.5 * (p + q)

    def against(own: NDArray, other: NDArray) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            bits = np.where(own > 0, own * np.log2(own / middle), 0.0)
        return max(0.0, float(gaps @ bits + 0.5 / math.log(2.0) * (gaps @ (other - own))))

    return math.sqrt((against(p, q) + against(q, p)) / float(gaps @ (p + q)))


def sensitivity(
    values: ArrayLike, lower: ArrayLike, upper: ArrayLike, alphas: tuple[float, float] = ALPHAS
) -> float:
    """Distance per doubling of alpha, the mean of both directions.

    Parameters
    ----------
    values
        Draws of one quantity, ``(draw,)``.
    lower, upper
        Weights (:func:`power_scaled`) at the two ``alphas``, the first below and the second above 1.
    """
    low, high = alphas
    if not 0 < low < 1 < high:
        raise ParameterError(f"one power must be below 1 and one above, got {low} and {high}")
    down = cumulative_distance(values, lower) / -math.log2(low)
    up = cumulative_distance(values, upper) / math.log2(high)
    return 0.5 * (down + up)


def diagnosis(prior: float, likelihood: float | None, limit: float) -> str:
    """What two sensitivities say together, in words; empty if the prior matters little."""
    if prior < limit:
        return ""
    return CONFLICT if likelihood is not None and likelihood >= limit else LEANS


# --- how far a prior would have to move -----------------------------------------------------------


def normal_score(prior: Distribution, values: ArrayLike) -> NDArray[np.float64]:
    """Standard-normal quantile of each value's place in its prior, same shape."""
    from scipy.special import ndtri

    return np.asarray(ndtri(np.clip(prior.cdf(values), EDGE, 1.0 - EDGE)))


def shifted(prior: Distribution, values: ArrayLike, shift: float) -> NDArray[np.float64]:
    """Values moved by ``shift`` in their normal score: prior draws become draws of the tilted prior."""
    from scipy.special import ndtr

    place = np.clip(ndtr(normal_score(prior, values) + shift), EDGE, 1.0 - EDGE)
    return np.asarray(prior.ppf(place))


def tilted(score: ArrayLike, shift: float) -> Weights:
    """Weights of draws under the prior whose normal scores are N(``shift``, 1) instead of N(0, 1)."""
    return importance_weights(shift * np.asarray(score, dtype=float))


@dataclass(frozen=True)
class Shift:
    """How far one prior would have to move for a probability to reach a target.

    Attributes
    ----------
    shift
        In the prior's own standard deviations; None if no shift that could be looked at does.
    reach
        The furthest shift looked at, with its sign: the search ends where the weights are not to be trusted.
    probability
        At ``shift``, or at ``reach`` if there is none.
    khat
        Pareto k of the weights there; None where nothing was reweighted.
    """

    shift: float | None
    reach: float
    probability: float
    khat: float | None


# A probability at a shift and the Pareto k of its weights, or None where they are not to be trusted.
Chance = Callable[[float], tuple[float, float | None] | None]


def shift_to(
    chance: Chance,
    *,
    target: float,
    direction: float,
    furthest: float = FURTHEST,
    steps: int = STEPS,
) -> Shift:
    """The least shift in one direction at which ``chance`` reaches the target.

    Parameters
    ----------
    chance
        Probability at a shift; at 0 it must be known.
    direction
        Its sign is that of the shifts looked at.
    steps
        Where the search looks before it narrows down; a probability that rises and falls between two is missed.
    """
    here = chance(0.0)
    if here is None:
        raise ValuationError("the probability without any shift is not known")
    before, known = 0.0, here
    if known[0] == target:
        return Shift(0.0, 0.0, known[0], known[1])
    side = math.copysign(1.0, direction)
    for step in range(1, steps + 1):
        at = side * furthest * step / steps
        found = chance(at)
        if found is None:
            return Shift(None, before, *known)
        if (found[0] - target) * (here[0] - target) <= 0:
            root, there = _crossing(chance, target, (before, known), (at, found))
            return Shift(root, at, *there)
        before, known = at, found
    return Shift(None, before, *known)


Known = tuple[float, tuple[float, float | None]]


def _crossing(chance: Chance, target: float, near: Known, far: Known) -> Known:
    """The shift between two at which the target is met, and what is known at the nearest shift looked at."""
    from scipy.optimize import brentq

    seen = dict((near, far))

    def excess(shift: float) -> float:
        if shift not in seen:
            # Between two trusted shifts weights are trusted, or else as good as those of the nearer one.
            seen[shift] = chance(shift) or near[1]
        return seen[shift][0] - target

    root = float(brentq(excess, near[0], far[0], xtol=PRECISION))
    return root, seen[min(seen, key=lambda s: abs(s - root))]


# --- several sets of priors as one ----------------------------------------------------------------


@dataclass(frozen=True)
class Pooled:
    """A mean under a mixture of distributions, and how its variance splits.

    Attributes
    ----------
    estimate
        Of the mean, with its error.
    within, between
        Mean of the parts' variances, and variance of their means; they sum to the mixture's variance.
    """

    estimate: Estimate
    within: float
    between: float

    @property
    def between_share(self) -> float:
        """Part of the variance that is disagreement about the mean, 0 .. 1."""
        total = self.within + self.between
        return self.between / total if total > 0 else 0.0


def pooled(
    values: Mapping[str, ArrayLike],
    weight: Mapping[str, ArrayLike],
    shares: Mapping[str, float],
    *,
    inflation: float = 1.0,
) -> Pooled:
    """The linear pool: draws of each part in proportion to its share, not an average of parameters.

    Parameters
    ----------
    values, weight
        By part: its draws and their weights. Parts with as many draws as each other are taken to be paired, draw by
        draw, as prior sets that share their dice are; their common noise then counts once in the error.
    shares
        By part: how much it is believed, up to scale.
    """
    if set(values) != set(shares) or set(weight) != set(shares):
        raise ParameterError("every part of a mixture needs draws, weights and a share")
    share = dict(zip(shares, decision.weights(list(shares.values()), len(shares)), strict=True))
    means, within, pulls = {}, 0.0, []
    for name, part in share.items():
        x = np.asarray(values[name], dtype=float)
        w = decision.weights(weight[name], x.size)
        means[name] = decision.mean(x, w).value
        deviation = x - means[name]
        within += part * float(w @ deviation**2)
        pulls.append(part * w * deviation)
    middle = sum(share[n] * means[n] for n in share)
    between = sum(share[n] * (means[n] - middle) ** 2 for n in share)
    paired = len({len(pull) for pull in pulls}) == 1
    scatter = np.sum(pulls, axis=0) if paired else np.concatenate(pulls)
    error = math.sqrt(float((scatter**2).sum()) * inflation)
    return Pooled(Estimate(float(middle), error), float(within), float(between))


def shares_after(
    log_ratio: Mapping[str, ArrayLike], shares: Mapping[str, float]
) -> dict[str, float]:
    """How much each part of a mixture of priors is believed once the evidence is in.

    Parameters
    ----------
    log_ratio
        By part: log of its prior over the prior that the posterior draws were made under, ``(draw,)``; the mean of
        the ratio is the part's marginal likelihood over that one's.
    """
    worth = {}
    for name, part in shares.items():
        ratio = np.asarray(log_ratio[name], dtype=float)
        top = float(ratio.max())
        worth[name] = part * math.exp(top) * float(np.exp(ratio - top).mean())
    total = sum(worth.values())
    return {name: value / total for name, value in worth.items()}
