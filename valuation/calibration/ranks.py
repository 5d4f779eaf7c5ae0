"""Is a truth where its posterior says that it is? Places, their exact test, and coverage. Arrays in, numbers out.

The *place* of a truth is the posterior probability of less than it. If model, likelihood and arithmetic agree, places
over simulations are uniform (Cook, Gelman and Rubin 2006; Talts et al. 2018, arXiv:1804.06788; Modrák et al. 2023,
doi:10.1214/23-BA1404). How far their empirical distribution may stray is known exactly: counts below a grid of points
form a Markov chain with binomial steps, so that the probability of leaving a band anywhere is a finite sum (after
Säilynoja, Bürkner and Vehtari 2022, doi:10.1007/s11222-022-10090-6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

POINTS = 20  # of the grid on which a distribution of places is held against the diagonal


def place(values: ArrayLike, weight: ArrayLike, truth: int, rng: np.random.Generator) -> float:
    """Place of the value at index ``truth`` among weighted values, ties broken at random.

    Where the truth is one of the values, picked with equal chances, and the weights are proportional to the likelihood
    of what it made, the place is uniform exactly, however few values there are: given the values, they are the prior.
    """
    value, w = np.asarray(values, dtype=float), np.asarray(weight, dtype=float)
    level = value[truth]
    below, tied = w[value < level].sum(), w[value == level].sum()
    return float(min(max((below + rng.random() * tied) / w.sum(), 0.0), 1.0))


def _points() -> Array:
    """Inner points of the grid."""
    return np.asarray(np.arange(1, POINTS) / POINTS)


@cache
def _uniform_chain(simulations: int) -> tuple[Array, ...]:
    return _chain(simulations, _points())


def _chain(simulations: int, cumulative: Array) -> tuple[Array, ...]:
    """Transitions of the counts from each point to the next, for places with this distribution at the points."""
    from scipy.stats import binom

    counts = np.arange(simulations + 1)
    more = counts[None, :] - counts[:, None]
    steps = []
    for before, after in zip((0.0, *cumulative[:-1]), cumulative, strict=True):
        share = min((after - before) / max(1.0 - before, 1e-300), 1.0)
        steps.append(binom.pmf(more, simulations - counts[:, None], share))
    return tuple(steps)


@cache
def _tails(simulations: int) -> Array:
    """Twice the smaller tail of every count at every point if places are uniform, shape ``(point, count)``."""
    from scipy.stats import binom

    points, counts = _points(), np.arange(simulations + 1)
    low = binom.cdf(counts, simulations, points[:, None])
    high = binom.sf(counts - 1, simulations, points[:, None])
    return np.minimum(2.0 * np.minimum(low, high), 1.0)


def _strays(simulations: int, tail: float, cumulative: ArrayLike | None = None) -> float:
    """Probability that places have, at some point, a count whose tail is ``tail`` or less.

    ``cumulative`` is their distribution function at the points; default: uniform.
    """
    inside = _tails(simulations) > tail * (1.0 + 1e-9)
    if cumulative is None:
        steps = _uniform_chain(simulations)
    else:
        steps = _chain(simulations, np.asarray(cumulative, dtype=float))
    mass = np.zeros(simulations + 1)
    mass[0] = 1.0
    out = 0.0
    for step, kept in zip(steps, inside, strict=True):
        mass = mass @ step
        out += float(mass[~kept].sum())
        mass = np.where(kept, mass, 0.0)
    return out


def _counts(places: Array) -> NDArray[np.int_]:
    return np.asarray((places[:, None] <= _points()).sum(axis=0))


def uniformity(places: ArrayLike) -> float:
    """Exact p-value of the test that places are uniform: how rarely uniform ones stray as far somewhere."""
    found = np.asarray(places, dtype=float)
    counts = _counts(found)
    tail = _tails(len(found))[np.arange(len(counts)), counts].min()
    return min(_strays(len(found), float(tail)), 1.0)


@dataclass(frozen=True)
class Band:
    """How far shares of places may lie from the diagonal.

    ``lower`` and ``upper`` are shares less ``points``, which ``level`` of uniform samples never leave.
    """

    points: Array
    lower: Array
    upper: Array
    level: float


def band(simulations: int, *, level: float) -> Band:
    """The simultaneous band that uniform places stay in with at least the probability ``level``."""
    points = _points()
    inside = _tails(simulations) > _limit(simulations, level)
    counts = np.arange(simulations + 1)
    lower = np.array([counts[kept].min() for kept in inside]) / simulations
    upper = np.array([counts[kept].max() for kept in inside]) / simulations
    return Band(points, lower - points, upper - points, level)


@cache
def _limit(simulations: int, level: float) -> float:
    """The tail that all counts of uniform places exceed with at least the probability ``level``."""
    return _largest(lambda tail: _strays(simulations, tail) <= 1.0 - level)


def _largest(holds: Callable[[float], bool], *, high: float = 1.0, halvings: int = 40) -> float:
    """The largest number up to ``high`` for which something that holds for small ones holds."""
    low = 0.0
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


@dataclass(frozen=True)
class Detectable:
    """The least errors of a normal posterior that are found with the given power.

    ``bias`` is in posterior standard deviations; ``narrow`` and ``wide`` are the factors by which its standard
    deviation is too small or too large.
    """

    bias: float
    narrow: float
    wide: float
    power: float


POWER = 0.8


@cache
def detectable(simulations: int, *, level: float, power: float = POWER) -> Detectable:
    """What a test with this many simulations can see of one quantity, exactly, by the chain that gives its level."""
    from scipy.stats import norm

    tail, quantile = _limit(simulations, level), norm.ppf(_points())

    def missed(bias: float, scale: float) -> bool:
        """Whether a posterior whose centre is off by ``bias`` of its own sd, ``scale`` times the right one, escapes."""
        found = norm.cdf(scale * quantile + scale * bias)
        return _strays(simulations, tail, found) < power

    return Detectable(
        bias=_largest(lambda x: missed(x, 1.0), high=5.0, halvings=12),
        narrow=float(
            np.exp(-_largest(lambda x: missed(0.0, float(np.exp(-x))), high=5.0, halvings=12))
        ),
        wide=float(
            np.exp(_largest(lambda x: missed(0.0, float(np.exp(x))), high=5.0, halvings=12))
        ),
        power=power,
    )


def strays(places: ArrayLike) -> Array:
    """Share of places up to each point of the grid, less the point."""
    found = np.asarray(places, dtype=float)
    return np.asarray(_counts(found) / len(found) - _points())


def family_wise(places: Mapping[str, ArrayLike]) -> tuple[str, float]:
    """The quantity that strays most, and its p-value times the number of quantities (Bonferroni), at most 1."""
    found = {name: uniformity(values) for name, values in places.items()}
    worst = min(found, key=lambda name: found[name])
    return worst, min(found[worst] * len(found), 1.0)


@dataclass(frozen=True)
class Covered:
    """How many central intervals held their truth, and how many may.

    ``lower`` and ``upper`` are the shares between which the count of a calibrated interval lies with ``band_level``.
    """

    level: float
    inside: int
    simulations: int
    lower: float
    upper: float

    @property
    def share(self) -> float:
        return self.inside / self.simulations

    @property
    def kept(self) -> bool:
        return self.lower <= self.share <= self.upper


def covered(places: ArrayLike, level: float, *, band_level: float) -> Covered:
    """Count places in the central interval of mass ``level``, with the binomial band of that count."""
    from scipy.stats import binom

    found = np.asarray(places, dtype=float)
    tail, count = (1.0 - level) / 2.0, len(found)
    inside = int(((found > tail) & (found < 1.0 - tail)).sum())
    off = (1.0 - band_level) / 2.0
    low, high = binom.ppf(off, count, level), binom.ppf(1.0 - off, count, level)
    return Covered(level, inside, count, float(low / count), float(high / count))


def interval_width(values: ArrayLike, weight: ArrayLike, level: float) -> float:
    """Width of the central interval of weighted values."""
    value, w = np.asarray(values, dtype=float), np.asarray(weight, dtype=float)
    order = np.argsort(value)
    mass = np.cumsum(w[order]) / w.sum()
    tail = (1.0 - level) / 2.0
    ends = np.minimum(np.searchsorted(mass, [tail, 1.0 - tail]), len(value) - 1)
    return float(value[order][ends[1]] - value[order][ends[0]])
