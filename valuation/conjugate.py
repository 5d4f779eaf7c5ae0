"""Beliefs that data update in closed form: no sampling, exact numbers.

Each update takes a prior's parameters and data, and returns the posterior as a frozen record with its
moments, quantiles and predictive probabilities (Gelman et al. 2013, Bayesian Data Analysis, chapter 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation.errors import DataError, ParameterError
from valuation.schema import CI_PROB

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Beta",
    "Dirichlet",
    "Gamma",
    "Normal",
    "beta_binomial",
    "dirichlet_multinomial",
    "gamma_exponential",
    "gamma_poisson",
    "normal_normal",
]


def _above_zero(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0.0):
            raise ParameterError(f"{name} must be above 0, got {value}")


def _count(name: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0.0 and value == round(value)):
        raise DataError(f"{name} must be a whole number, 0 or more, got {value}")
    return float(value)


def _central(quantile: Callable[[float], float], ci_prob: float) -> tuple[float, float]:
    if not 0.0 < ci_prob < 1.0:
        raise ParameterError(f"ci_prob lies between 0 and 1, got {ci_prob}; 90% is 0.9")
    tail = (1.0 - ci_prob) / 2.0
    return quantile(tail), quantile(1.0 - tail)


def _level(q: float) -> float:
    if not 0.0 <= q <= 1.0:
        raise ParameterError(f"a quantile's level lies between 0 and 1, got {q}")
    return q


def _choose(n: float, k: NDArray) -> NDArray:
    from scipy.special import gammaln

    return np.asarray(gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0))


def _whole(name: str, values: ArrayLike) -> NDArray:
    array = np.asarray(values, dtype=float)
    if not (np.isfinite(array) & (array >= 0.0) & (array == np.round(array))).all():
        raise DataError(f"{name} must be whole numbers, 0 or more, got {values!r}")
    return array


@dataclass(frozen=True)
class Gamma:
    """Belief about a rate per unit of time: ``Gamma(alpha, beta)``, beta in units of time.

    Its mean is ``alpha/beta``: as if ``alpha`` events had been seen in ``beta`` units.
    """

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        _above_zero(alpha=self.alpha, beta=self.beta)

    @property
    def mean(self) -> float:
        return self.alpha / self.beta

    @property
    def sd(self) -> float:
        return math.sqrt(self.alpha) / self.beta

    def quantile(self, q: float) -> float:
        from scipy.special import gammaincinv

        return float(gammaincinv(self.alpha, _level(q))) / self.beta

    def interval(self, ci_prob: float = CI_PROB) -> tuple[float, float]:
        """Central interval of the rate."""
        return _central(self.quantile, ci_prob)

    def survival(self, time: ArrayLike) -> NDArray:
        """Probability of no event within ``time``, ``E exp(-rate t) = (beta/(beta + t))^alpha`` (Lomax)."""
        t = np.asarray(time, dtype=float)
        if not (t >= 0.0).all():
            raise ParameterError("a time is 0 or more")
        return np.asarray(np.exp(-self.alpha * np.log1p(t / self.beta)))

    def count_probability(self, events: ArrayLike, exposure: float) -> NDArray:
        """Probability of that many events in ``exposure`` units of time (negative binomial)."""
        from scipy.special import gammaln

        k = _whole("events", events)
        _above_zero(exposure=exposure)
        share = (
            math.log(self.beta / (self.beta + exposure)),
            math.log(exposure / (self.beta + exposure)),
        )
        ways = gammaln(self.alpha + k) - gammaln(self.alpha) - gammaln(k + 1.0)
        return np.asarray(np.exp(ways + self.alpha * share[0] + k * share[1]))


@dataclass(frozen=True)
class Beta:
    """Belief about a probability: ``Beta(alpha, beta)``, as if alpha successes and beta failures were seen."""

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        _above_zero(alpha=self.alpha, beta=self.beta)

    @property
    def mean(self) -> float:
        return self.alpha / (self.alpha + self.beta)

    @property
    def sd(self) -> float:
        size = self.alpha + self.beta
        return math.sqrt(self.alpha * self.beta / (size + 1.0)) / size

    def quantile(self, q: float) -> float:
        from scipy.special import betaincinv

        return float(betaincinv(self.alpha, self.beta, _level(q)))

    def interval(self, ci_prob: float = CI_PROB) -> tuple[float, float]:
        """Central interval of the probability."""
        return _central(self.quantile, ci_prob)

    def count_probability(self, successes: ArrayLike, trials: int) -> NDArray:
        """Probability of that many successes in further trials (beta-binomial)."""
        from scipy.special import betaln

        k, n = _whole("successes", successes), _count("trials", trials)
        if (k > n).any():
            raise DataError(f"{k.max():g} successes in {n:g} trials cannot be; correct one of them")
        inside = betaln(self.alpha + k, self.beta + n - k) - betaln(self.alpha, self.beta)
        return np.asarray(np.exp(_choose(n, k) + inside))


@dataclass(frozen=True)
class Dirichlet:
    """Belief about the shares of categories: ``Dirichlet(alpha)``, as if alpha had been counted."""

    alpha: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.alpha) < 2:
            raise ParameterError("shares need at least two categories")
        _above_zero(**{f"alpha[{i}]": a for i, a in enumerate(self.alpha)})

    @property
    def mean(self) -> NDArray:
        """Expected share of each category; also the probability that the next one counted is in it."""
        return np.asarray(self.alpha) / sum(self.alpha)

    @property
    def sd(self) -> NDArray:
        return np.array([self.share(i).sd for i in range(len(self.alpha))])

    def share(self, category: int) -> Beta:
        """Belief about the share of one category, by position from 0."""
        if not 0 <= category < len(self.alpha):
            raise ParameterError(f"category is a position from 0 to {len(self.alpha) - 1}")
        own = self.alpha[category]
        return Beta(own, sum(self.alpha) - own)

    def count_probability(self, counts: Sequence[float]) -> float:
        """Probability of these further counts, in any order (Dirichlet-multinomial)."""
        from scipy.special import gammaln

        k, a = _whole("counts", counts), np.asarray(self.alpha)
        if k.shape != a.shape:
            raise DataError(f"{k.size} counts for {a.size} categories; give one for each")
        ways = gammaln(k.sum() + 1.0) - gammaln(k + 1.0).sum()
        whole = gammaln(a.sum()) - gammaln(a.sum() + k.sum())
        return float(np.exp(ways + whole + (gammaln(a + k) - gammaln(a)).sum()))


@dataclass(frozen=True)
class Normal:
    """Belief about a quantity with normal errors, in the quantity's unit."""

    mean: float
    sd: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.mean):
            raise ParameterError(f"mean must be finite, got {self.mean}")
        _above_zero(sd=self.sd)

    def quantile(self, q: float) -> float:
        from scipy.special import ndtri

        return self.mean + self.sd * float(ndtri(_level(q)))

    def interval(self, ci_prob: float = CI_PROB) -> tuple[float, float]:
        """Central interval of the quantity."""
        return _central(self.quantile, ci_prob)


def gamma_poisson(alpha: float, beta: float, *, events: float, exposure: float) -> Gamma:
    """Belief about a rate after ``events`` in ``exposure`` units of time: ``Gamma(alpha + k, beta + T)``.

    The prior is ``Gamma(alpha, beta)`` with ``beta`` in the unit of ``exposure``.
    """
    prior = Gamma(alpha, beta)
    if not (math.isfinite(exposure) and exposure >= 0.0):
        raise DataError(f"exposure must be finite and not negative, got {exposure}")
    k = _count("events", events)
    if k and exposure == 0.0:
        raise DataError(f"{k:g} events in no time cannot be; give the exposure")
    return Gamma(prior.alpha + k, prior.beta + exposure)


def gamma_exponential(
    alpha: float, beta: float, *, durations: ArrayLike, events: ArrayLike
) -> Gamma:
    """Belief about a constant hazard after lifetimes, right-censored ones among them.

    Parameters
    ----------
    durations
        Time to the event or to the last sighting, in the unit of ``beta``.
    events
        1 if the event came then, 0 if the subject was last seen without it.
    """
    t, e = np.atleast_1d(np.asarray(durations, dtype=float)), np.atleast_1d(np.asarray(events))
    if t.shape != e.shape or t.ndim != 1:
        raise DataError(f"durations of shape {t.shape} and events of shape {e.shape}; give pairs")
    bad = np.flatnonzero(~(np.isfinite(t) & (t >= 0.0)))
    if bad.size:
        raise DataError(f"durations[{bad[0]}] is {t[bad[0]]}; give a time, 0 or more")
    wrong = np.flatnonzero(~np.isin(e, (0, 1)))
    if wrong.size:
        raise DataError(
            f"events[{wrong[0]}] is {e[wrong[0]]}; write 1 for the event and 0 for none"
        )
    return gamma_poisson(alpha, beta, events=float(e.astype(float).sum()), exposure=float(t.sum()))


def beta_binomial(alpha: float, beta: float, *, successes: float, trials: float) -> Beta:
    """Belief about a probability after ``successes`` in ``trials``: ``Beta(alpha + k, beta + n - k)``."""
    prior = Beta(alpha, beta)
    k, n = _count("successes", successes), _count("trials", trials)
    if k > n:
        raise DataError(f"{k:g} successes in {n:g} trials cannot be; correct one of them")
    return Beta(prior.alpha + k, prior.beta + n - k)


def dirichlet_multinomial(alpha: Sequence[float], counts: Sequence[float]) -> Dirichlet:
    """Belief about shares after counts by category: ``Dirichlet(alpha + counts)``."""
    prior = Dirichlet(tuple(float(a) for a in alpha))
    k = _whole("counts", counts)
    if k.shape != (len(prior.alpha),):
        raise DataError(f"{k.size} counts for {len(prior.alpha)} categories; give one for each")
    return Dirichlet(tuple(a + n for a, n in zip(prior.alpha, k.tolist(), strict=True)))


def normal_normal(mean: float, sd: float, *, observed: ArrayLike, error: Any) -> Normal:
    """Belief about a quantity after measurements with known normal errors: precisions add.

    ``error`` is the standard deviation of one measurement: one for all, or one each.
    """
    prior = Normal(mean, sd)
    y = np.atleast_1d(np.asarray(observed, dtype=float))
    e = np.asarray(error, dtype=float)
    if e.shape not in ((), y.shape) or not (np.isfinite(e) & (e > 0.0)).all():
        raise DataError("error is a standard deviation above 0: one number, or one a measurement")
    bad = np.flatnonzero(~np.isfinite(y))
    if bad.size:
        raise DataError(f"observed[{bad[0]}] is {y[bad[0]]}; leave out what was not measured")
    precision = np.broadcast_to(e**-2.0, y.shape)
    total = prior.sd**-2.0 + precision.sum()
    return Normal(float((prior.mean * prior.sd**-2.0 + precision @ y) / total), float(total**-0.5))
