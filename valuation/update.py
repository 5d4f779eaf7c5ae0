"""Move stored draws to changed priors or changed evidence by Pareto-smoothed importance sampling.

A ratio of densities per draw becomes a weight per draw; Pareto smoothing (Vehtari, Simpson, Gelman, Yao and Gabry
2024, arXiv:1507.02646) tames the largest and its shape k-hat says whether the weights can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from valuation import pareto
from valuation.errors import ModelError, OutOfReach

SAME = 1e-9  # log ratios within this are equal
IMPOSSIBLE = "no stored draw is possible under the change"


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
        If a ratio is NaN or plus infinity.
    OutOfReach
        If no draw has a positive weight: the new density must be sampled.
    """
    ratio = np.asarray(log_ratio, dtype=float)
    if ratio.ndim != 1 or np.isnan(ratio).any() or np.isposinf(ratio).any():
        raise ModelError(
            "importance ratios must be one finite number a draw; check the likelihoods and priors that changed"
        )
    if np.isneginf(ratio).all():
        raise OutOfReach(f"{IMPOSSIBLE}; fit again")
    if np.ptp(ratio[np.isfinite(ratio)]) < SAME and np.isfinite(ratio).all():
        # Nothing to smooth: the tail of rounding errors would pass for one of weights.
        return Weights(np.full(len(ratio), 1.0 / len(ratio)), 0.0, float(len(ratio)))
    log_weight, khat = pareto.smoothed(ratio)
    weight = np.exp(log_weight)
    weight /= weight.sum()
    return Weights(weight, float(khat), float(1.0 / (weight**2).sum()))


# --- several fits at once -------------------------------------------------------------------------


def mixture_log_density(log_density: ArrayLike, counts: ArrayLike) -> NDArray[np.float64]:
    """Log density of pooled draws of several fits under the mixture that they come from.

    The multistate Bennett acceptance ratio (Shirts and Chodera 2008, J. Chem. Phys. 129, 124105): each fit's unknown
    constant is solved for, so that every draw of every fit serves every state, and a difference between two states is
    taken on the same draws instead of between two runs.

    Parameters
    ----------
    log_density
        Shape ``(fit, draw)``: unnormalized log density of every draw under each fit's own state, the draws of the
        first fit first.
    counts
        Draws of each fit.

    Returns
    -------
    NDArray
        Shape ``(draw,)``, up to a constant: ``importance_weights(log target - this)`` weighs the pool.
    """
    density = np.asarray(log_density, dtype=float)
    number = np.asarray(counts, dtype=float)
    if density.ndim != 2 or number.shape != density.shape[:1] or number.sum() != density.shape[1]:
        raise ModelError(
            f"pooled draws need one log density per fit and draw, got shape {density.shape} for {len(number)} fits"
        )
    own = np.repeat(np.arange(len(number)), number.astype(int))
    if not np.isfinite(density[own, np.arange(density.shape[1])]).all() or np.isnan(density).any():
        raise ModelError(
            "a draw is impossible under the state that it was drawn from; fit that state again"
        )
    free = np.zeros(len(number))  # minus the log constants
    for _ in range(200):
        before = free.copy()
        for fit in range(1, len(number)):
            free[fit] = _balance(density, free + np.log(number), fit, own == fit) - np.log(
                number[fit]
            )
        if np.max(np.abs(free - before)) < 1e-9:
            break
    return _log_sum(density + (free + np.log(number))[:, None])


def _balance(
    density: NDArray[np.float64], shift: NDArray[np.float64], fit: int, own: NDArray[np.bool_]
) -> float:
    """The shift of one fit at which as much of it is in others' draws as of others in its own.

    Solved on the log scale: where fits hardly overlap, the two sides are far below the rounding of a sum of shares.
    """
    from scipy.optimize import brentq

    rest = np.delete(density + shift[:, None], fit, axis=0)
    lead = density[fit] - _log_sum(rest)  # log odds of this fit, up to its shift
    lead = np.clip(lead, -1e6, 1e6)

    def excess(x: float) -> float:
        others = -np.logaddexp(0.0, -(lead[~own] + x))
        mine = -np.logaddexp(0.0, lead[own] + x)
        return float(_log_sum(others) - _log_sum(mine))

    low, high = -lead.max() - 10.0, -lead.min() + 10.0
    if excess(low) >= 0.0 or excess(high) <= 0.0:  # nothing says how the two compare
        return float(shift[fit])
    return float(brentq(excess, low, high, xtol=1e-11))


def overlap(log_density: ArrayLike, counts: ArrayLike, mixture: ArrayLike) -> float:
    """How far the fits of a mixture cover each other: 1 if they are one, 0 if a group of them stands apart.

    One less the second eigenvalue of the matrix of shared draws (Klimovich, Shirts and Mobley 2015, J. Comput.
    Aided Mol. Des. 29, 397). Two fits of n draws each have a log ratio of constants known to within
    ``sqrt(2 / n * (1 - overlap) / overlap)``: below 0.03 a state between them rests on a guess.
    """
    density, number = np.asarray(log_density, dtype=float), np.asarray(counts, dtype=float)
    log_share = density - np.asarray(mixture, dtype=float)
    share = np.exp(log_share - _log_sum(log_share.T)[:, None] + np.log(number)[:, None])
    scale = np.sqrt(number)
    shared = (share @ share.T) / np.outer(scale, scale)
    if len(number) == 1:
        return 1.0
    return float(np.clip(1.0 - np.linalg.eigvalsh(shared)[-2], 0.0, 1.0))


def _log_sum(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """log of the sum of exp(x) over the first axis."""
    top = x.max(axis=0)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(top + np.log(np.exp(x - top).sum(axis=0)))


# --- who moved it ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coefficients:
    """How each player's Shapley share is read off the worth of coalitions.

    Attributes
    ----------
    coalitions
        Every coalition that must be valued, each once, the empty one first and the full one second.
    table
        Shape ``(player, coalition)``: a share is the sum over coalitions of coefficient × worth.
    orders
        Orders of arrival averaged over; None where all of them are.
    by_order
        Shape ``(batch, player, coalition)``, one table per pair of opposite orders, for the sampling error; None if
        exact.
    """

    coalitions: tuple[frozenset[int], ...]
    table: NDArray[np.float64]
    orders: int | None
    by_order: NDArray[np.float64] | None

    @property
    def exact(self) -> bool:
        return self.orders is None


EXACT_PLAYERS = 10
SAMPLED_PAIRS = 32


def shapley_coefficients(
    players: int, *, random_seed: int, exact_to: int = EXACT_PLAYERS, pairs: int = SAMPLED_PAIRS
) -> Coefficients:
    """Coefficients of the Shapley value (Shapley 1953; sampled by orders: Castro, Gómez and Tejada 2009).

    Up to ``exact_to`` players every coalition counts; above, ``pairs`` of random orders, each with its reverse, which
    halves the variance of the ends. Either way the shares add up to what the full coalition is worth more than none.
    """
    if players <= exact_to:
        return _exact(players)
    rng = np.random.default_rng(random_seed)
    places: dict[frozenset[int], int] = {
        frozenset(): 0,
        frozenset(range(players)): 1,
    }
    steps: list[list[tuple[int, int, int]]] = []
    for _ in range(pairs):
        order = rng.permutation(players)
        walked = []
        for way in (order, order[::-1]):
            before: frozenset[int] = frozenset()
            for player in way:
                after = before | {int(player)}
                for coalition in (before, after):
                    places.setdefault(coalition, len(places))
                walked.append((int(player), places[after], places[before]))
                before = after
        steps.append(walked)
    by_order = np.zeros((pairs, players, len(places)))
    for batch, walked in enumerate(steps):
        for player, after_place, before_place in walked:
            by_order[batch, player, after_place] += 0.5
            by_order[batch, player, before_place] -= 0.5
    return Coefficients(tuple(places), by_order.mean(axis=0), 2 * pairs, by_order)


def _exact(players: int) -> Coefficients:
    from math import factorial

    everyone = range(1 << players)
    coalitions = [
        frozenset(i for i in range(players) if mask >> i & 1)
        for mask in sorted(everyone, key=lambda m: (m not in (0, (1 << players) - 1), m))
    ]
    place = {c: j for j, c in enumerate(coalitions)}
    table = np.zeros((players, len(coalitions)))
    for coalition, j in place.items():
        size = len(coalition)
        for player in range(players):
            if player in coalition:
                continue
            share = factorial(size) * factorial(players - size - 1) / factorial(players)
            table[player, place[coalition | {player}]] += share
            table[player, j] -= share
    return Coefficients(tuple(coalitions), table, None, None)
