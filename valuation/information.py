"""What news is worth to somebody who must choose between options: arithmetic on existing draws.

Payoffs are a table ``(draw, option)``: what each option would bring in each draw. Parameters, or
the figures that a disclosure would show, have the same draws as rows. Nothing here samples a model
or reads a file. As in :mod:`valuation.decision`, weights need not sum to 1, a draw of weight 0
changes nothing, and the order of draws and of options changes nothing.

Method
------
To know a group of quantities is worth ``E max E[payoff | group] - max E payoff`` (EVPPI; of a
sample, EVSI). The conditional mean is a regression of each option's payoff, less that of the option
that is best on average, on the group (Strong, Oakley and Brennan 2014, doi:10.1177/0272989X13505910
for parameters; Strong, Oakley, Brennan and Breeze 2015, doi:10.1177/0272989X15575286 for samples).
A group of any size is fitted by smooth functions of each member's normal score, products of pairs
and of triples. Each kind of term of each member or pair has its own penalty, found by restricted
likelihood (MacKay 1992; Wood and Fasiolo 2017); a term that explains too little is dropped.

A regression that is judged on the draws it was fitted to promises more than it can give. So draws
are dealt into folds. In each, the option is chosen by a fit, penalties included, to the other
folds, and what counts is the payoff that this choice earned: on average never more than the truth.
The option that is best on average may be chosen throughout, so no group is worth less than 0, and
no rule earns more than choosing with the draw in sight: that is EVPI. Who knows more may ignore a
part: a group is worth at least what the rule of a part of it earned, where that part was fitted too.

The standard error is that of what the rule earned, together with the fit's own doubt about which
option is better. Where options are about as good as each other on average, the one that leads in
these draws looks better than it is, by less than one such error, and news, like EVPI, looks worth
that much less. Numbers count in the payoffs' units.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from valuation import decision
from valuation.decision import Estimate, effective_draws, evpi
from valuation.errors import ParameterError, ValuationError
from valuation.schema import DRAW

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    # Draws of one quantity, of several as columns, or of several by name.
    Columns = ArrayLike | xr.DataArray | xr.Dataset | Mapping[str, ArrayLike]

__all__ = [
    "Best",
    "Estimate",
    "Worth",
    "best_option",
    "evpi",
    "evpi_normal",
    "evppi",
    "evsi",
    "evsi_by_size",
    "evsi_normal",
    "evsi_table",
    "expected_loss",
    "measured",
    "ranked",
    "regret",
]

OPTION = "option"
NEWS = "news"
SIZE = "size"

FOLDS = 5
# With fewer effective draws than this no conditional mean can be told from noise.
ENOUGH_DRAWS = 40
# Smooth functions of one quantity; of one with fewer values, a mean for each.
FUNCTIONS = 16
# More columns than this cost time and explain nothing that draws in their thousands could show.
MOST_COLUMNS = 450
# Nor shall a table of them take more memory than a laptop has to spare (200 MB, a few times).
MOST_CELLS = 25_000_000
# A term that keeps less than this part of its freedom explains less than a tenth of its own noise.
KEPT = 0.1
ROUNDS, SETTLED = 40, 0.03
# Up to this size all parts of a group are fitted as well: 7 rules for 3 quantities.
ALL_PARTS = 3


# Options


def _labels(payoff: ArrayLike | xr.DataArray, count: int) -> list[Any]:
    """Names of the options: the coordinate of the dim that is not draws, else 0, 1, 2 ..."""
    if isinstance(payoff, xr.DataArray):
        for dim in payoff.dims:
            if dim != DRAW and dim in payoff.coords and payoff.sizes[dim] == count:
                return list(payoff[dim].values.tolist())
    return list(range(count))


def _options(
    payoff: ArrayLike | xr.DataArray,
    columns: Mapping[str, tuple[list[Estimate], Any]],
) -> xr.Dataset:
    count = len(next(iter(columns.values()))[0])
    units = payoff.attrs.get("units", "") if isinstance(payoff, xr.DataArray) else ""
    made: dict[str, Any] = {}
    for name, (found, unit) in columns.items():
        attrs = {"units": units if unit is None else unit}
        made[name] = (OPTION, [f.value for f in found], attrs)
        made["mcse" if len(made) == 1 else f"{name}_mcse"] = (
            OPTION,
            [f.mcse for f in found],
            attrs,
        )
    return xr.Dataset(made, coords={OPTION: _labels(payoff, count)})


def expected_loss(
    payoff: ArrayLike | xr.DataArray, weight: ArrayLike | None = None, *, inflation: float = 1.0
) -> xr.Dataset:
    """What one stands to lose with each option, ``E max(-payoff, 0)``, and how likely a loss is.

    Returns
    -------
    Dataset
        Dims ``(option)``: ``expected_loss`` and ``mcse`` in the payoffs' units, ``chance`` of a
        loss with ``chance_mcse``.
    """
    table = decision._payoffs(payoff)
    loss = [decision.mean(np.maximum(-x, 0.0), weight, inflation=inflation) for x in table.T]
    chance = [decision.probability(x < 0, weight, inflation=inflation) for x in table.T]
    return _options(payoff, {"expected_loss": (loss, None), "chance": (chance, "fraction")})


def regret(
    payoff: ArrayLike | xr.DataArray, weight: ArrayLike | None = None, *, inflation: float = 1.0
) -> xr.Dataset:
    """How much each option falls short, on average, of choosing with the draw in sight.

    ``E[max payoff - payoff of the option]``. The least of them is the EVPI.

    Returns
    -------
    Dataset
        Dims ``(option)``: ``regret`` and ``mcse`` in the payoffs' units; ``chance_best``, how often
        no other option brings more (options that tie are each counted), with ``chance_best_mcse``.
    """
    table = decision._payoffs(payoff)
    top = table.max(axis=1)
    short = [decision.mean(top - x, weight, inflation=inflation) for x in table.T]
    best = [decision.probability(x == top, weight, inflation=inflation) for x in table.T]
    return _options(payoff, {"regret": (short, None), "chance_best": (best, "fraction")})


@dataclass(frozen=True)
class Best:
    """The option with the highest mean payoff, and by how much it leads.

    Attributes
    ----------
    option, runner_up
        Names where the payoffs have some, else numbers from 0.
    payoff
        Mean payoff of the best option.
    margin
        Mean lead over the runner-up, draw by draw, so that what both share adds no error.
    """

    option: Any
    payoff: Estimate
    runner_up: Any
    margin: Estimate


def best_option(
    payoff: ArrayLike | xr.DataArray, weight: ArrayLike | None = None, *, inflation: float = 1.0
) -> Best:
    """The option to choose if no news can be had; of options that tie, the first."""
    table = decision._payoffs(payoff)
    labels = _labels(payoff, table.shape[1])
    w = decision.weights(weight, len(table))
    first, second = np.argsort(-(w @ table), kind="stable")[:2]
    return Best(
        labels[first],
        decision.mean(table[:, first], w, inflation=inflation),
        labels[second],
        decision.mean(table[:, first] - table[:, second], w, inflation=inflation),
    )


# Terms of the regression


def _columns(given: Columns, size: int, name: str) -> list[NDArray]:
    """Draws of each quantity, checked; infinite values are fine, for only ranks are used."""
    if isinstance(given, (Mapping, xr.Dataset)):
        found = [(str(key), np.asarray(draws, dtype=float)) for key, draws in given.items()]
    else:
        if isinstance(given, xr.DataArray) and DRAW in given.dims:
            given = given.transpose(DRAW, ...)
        array = np.asarray(given, dtype=float)
        if array.ndim not in (1, 2):
            raise ValuationError(
                f"{name}: expected draws of one quantity or a table (draw, quantity), got shape"
                f" {array.shape}"
            )
        found = [(name, column) for column in np.atleast_2d(array.T)]
    if not 0 < len(found) <= MOST_COLUMNS:
        raise ValuationError(
            f"{name}: {len(found)} quantities; give at least one and at most {MOST_COLUMNS}"
        )
    for label, column in found:
        if column.shape != (size,):
            raise ValuationError(
                f"{label}: {size} rows of payoffs, but shape {column.shape}; one value a draw"
            )
        if np.isnan(column).any():
            raise ValuationError(f"{label}: {int(np.isnan(column).sum())} of {size} values are NaN")
    return [column for _, column in found]


def _functions(x: NDArray, w: NDArray, most: int) -> tuple[NDArray, NDArray] | None:
    """Uncorrelated functions of one quantity, smoothest first, and how rough each is.

    The span is that of cubic splines on the normal score with ``most`` pieces, or of one mean for
    each value where there are few; turned so that functions have mean 0 and variance 1 and their
    roughness adds up (Demmler and Reinsch 1975). The first is close to the score itself.
    """
    from scipy.interpolate import BSpline

    distinct, number = np.unique(x, return_inverse=True)
    if distinct.size < 2:
        return None
    if distinct.size <= most + 1:
        basis = (number[:, None] == np.arange(distinct.size)).astype(float)
        bend = np.diff(np.eye(distinct.size), axis=0)
    else:
        score = decision._normal_score(x, w)
        low, high = score.min(), score.max()
        inner = np.unique(decision.quantiles(score, np.arange(1, most - 2) / (most - 2), w))
        inner = inner[(inner > low) & (inner < high)]
        knots = np.concatenate([[low] * 4, inner, [high] * 4])
        basis = BSpline.design_matrix(score, knots, 3).toarray()
        grid = np.linspace(low, high, 20 * most)
        bend = BSpline(knots, np.eye(basis.shape[1]), 3).derivative(2)(grid)
    centred = basis - w @ basis
    size, turn = np.linalg.eigh((centred * w[:, None]).T @ centred)
    real = size > 1e-9 * size.max()
    white = turn[:, real] / np.sqrt(size[real])
    rough, order = np.linalg.eigh((bend @ white).T @ (bend @ white))
    return centred @ (white @ order), np.maximum(rough, 0.0)


def _richness(count: int, most: int) -> tuple[int, int, bool]:
    """How many functions of each of ``count`` quantities, of each in a pair, and whether triples.

    The richest that keeps within ``most`` columns.
    """
    pairs, triples = math.comb(count, 2), math.comb(count, 3)
    for functions, order, third in (
        (FUNCTIONS, 4, True),
        (FUNCTIONS, 3, True),
        (FUNCTIONS // 2, 2, True),
        (FUNCTIONS // 2, 2, False),
        (FUNCTIONS // 2, 1, False),
        (FUNCTIONS // 2, 0, False),
        (4, 0, False),
    ):
        if functions * count + order**2 * pairs + (triples if third else 0) <= most:
            return functions, order, third
    return 1, 0, False


def _terms(columns: Sequence[NDArray], w: NDArray, most: int) -> tuple[NDArray, NDArray]:
    """Columns of the regression, and the number of the block that shares a penalty with each."""
    functions, order, third = _richness(len(columns), most)
    found = [f for f in (_functions(x, w, max(functions, 4)) for x in columns) if f is not None]
    parts: list[NDArray] = []
    for values, rough in found:
        parts.append(values[:, :1])
        if functions > 1 and values.shape[1] > 1:
            # Rougher functions are expected to matter less, by as much as they are rougher.
            parts.append(values[:, 1:] * np.sqrt(rough[1] / rough[1:]))
    for (a, _), (b, _) in itertools.combinations(found, 2):
        one, other = a[:, :order], b[:, :order]
        if order and one.size and other.size:
            falling = np.outer(
                1 / np.arange(1, one.shape[1] + 1), 1 / np.arange(1, other.shape[1] + 1)
            )
            product = one[:, :, None] * other[:, None, :] * falling
            parts.append(product.reshape(len(w), -1))
    if third and len(found) > 2:
        heads = [values[:, 0] for values, _ in found]
        triples = [a * b * c for a, b, c in itertools.combinations(heads, 3)]
        parts.append(np.column_stack(triples))
    if not parts:
        return np.empty((len(w), 0)), np.empty(0, dtype=int)
    block = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
    return np.concatenate(parts, axis=1), block


# The fit


def _regress(
    gram: NDArray, slope: NDArray, total: float, block: NDArray, n: float
) -> tuple[NDArray, NDArray]:
    """Coefficients and their covariance, each block with the penalty of highest likelihood.

    ``gram``, ``slope`` and ``total`` are the weighted sums of X'X, X'y and y'y for weights that sum
    to ``n`` and y of mean 0. Each round gives a block the precision freedom / sum of squares.
    """
    kept = np.arange(block.max() + 1 if block.size else 0)
    coefficients, covariance = np.zeros(len(slope)), np.zeros_like(gram)
    if not kept.size or total <= 0:
        return coefficients, covariance
    size = np.bincount(block)
    scale = np.bincount(block, np.diag(gram)) / n
    noise = total / n
    # To begin with, each block could explain its part of the variance.
    precision = np.where(scale > 0, len(size) * scale / noise, np.inf)
    kept = kept[np.isfinite(precision)]
    for _ in range(ROUNDS):
        use = np.isin(block, kept)
        if not use.any():
            return coefficients, covariance
        inner, member = gram[np.ix_(use, use)], block[use]
        spread = np.linalg.inv(inner / noise + np.diag(precision[member]))
        found = spread @ slope[use] / noise
        variance = np.bincount(member, np.diag(spread), minlength=size.size)[kept]
        square = np.bincount(member, found**2, minlength=size.size)[kept]
        freedom = np.clip(size[kept] - precision[kept] * variance, 1e-9, size[kept])
        left = total - 2 * found @ slope[use] + found @ inner @ found
        noise_now = max(left / max(n - 1 - freedom.sum(), 1.0), 1e-10 * total / n)
        now = freedom / np.maximum(square, 1e-300)
        moved = np.abs(np.log(now / precision[kept])) * freedom / (1 + freedom)
        still = bool(moved.max() < SETTLED and abs(math.log(noise_now / noise)) < SETTLED)
        precision[kept], noise = now, noise_now
        remain = kept[freedom > KEPT * size[kept]]
        if still and remain.size == kept.size:
            break
        kept = remain
    use = np.isin(block, kept)
    if use.any():
        inner = gram[np.ix_(use, use)] / noise
        spread = np.linalg.inv(inner + np.diag(precision[block[use]]))
        coefficients[use] = spread @ slope[use] / noise
        covariance[np.ix_(use, use)] = spread
    return coefficients, covariance


def _folds(relative: NDArray, columns: Sequence[NDArray], count: int) -> NDArray:
    """Fold of each draw: dealt out by rank of payoff, so that the order of draws does not matter.

    Copies of a draw go together, or one would be judged by a fit to the other. Where payoffs have
    few values, draws that look alike are not copies, and are dealt out.
    """
    key = relative.sum(axis=1)
    order = np.lexsort((*columns, key))
    table = np.column_stack([key, *columns])[order]
    start = np.concatenate([[True], (table[1:] != table[:-1]).any(axis=1)])
    number = np.cumsum(start) - 1
    copies = np.bincount(number)[number]
    few = max(10, len(key) // 100)
    together = (copies <= few) if 10 * (number[-1] + 1) > len(key) else np.zeros(len(key), bool)
    # A draw opens a new place unless it is a copy that stays with the one before.
    place = np.cumsum(start | ~together) - 1
    fold = np.empty(len(key), dtype=int)
    fold[order] = place % count
    return fold


@cache
def _threads() -> Any:
    """What sets the threads of linear algebra; looking for the libraries takes longer than a fit."""
    import threadpoolctl  # type: ignore[import-untyped]

    return threadpoolctl.ThreadpoolController()


@dataclass(frozen=True)
class _Rule:
    """What a choice by fitted means earned on draws that the fit had not seen."""

    earned: float
    mcse: float
    promised: float
    changes: float


@dataclass(frozen=True)
class _Problem:
    """Payoffs relative to the option that is best on average, draws of weight 0 left out."""

    relative: NDArray
    weight: NDArray
    fold: NDArray
    inflation: float
    ceiling: float
    most: int

    def rule(self, columns: Sequence[NDArray]) -> _Rule:
        """Choose by the regression on ``columns``, fold by fold."""
        relative, w = self.relative, self.weight
        if relative.shape[1] == 1:
            return _Rule(0.0, 0.0, 0.0, 0.0)  # one option is never beaten
        n = effective_draws(w) / self.inflation
        most = min(self.most, n / 2, MOST_CELLS / len(w))
        terms, block = _terms(columns, w, int(most))
        means, doubt = np.zeros_like(relative), np.zeros_like(relative)
        rivals = np.flatnonzero(np.abs(relative).max(axis=0) > 0)
        for number in range(self.fold.max() + 1):
            test = self.fold == number
            train = ~test
            part = n * w[train]
            middle = part @ terms[train] / part.sum()
            inside = terms[train] - middle
            pulled = inside * part[:, None]
            gram = pulled.T @ inside
            for option in rivals:
                y = relative[train, option]
                level = float(part @ y / part.sum())
                y = y - level
                total = float(part @ y**2)
                found, spread = _regress(gram, pulled.T @ y, total, block, float(part.sum()))
                outside = terms[test] - middle
                means[test, option] = level + outside @ found
                # A dropped term may still be one: never surer than with one term more.
                least = total / part.sum() ** 2
                doubt[test, option] = np.einsum("ij,ij->i", outside @ spread, outside) + least
        chosen = means.argmax(axis=1)
        row = np.arange(len(w))
        earned = relative[row, chosen]
        own = decision.mean(earned, w, inflation=self.inflation)
        unsure = float(w @ _doubt(means, doubt))
        other = float(w @ (np.abs(relative[row, chosen]) > 0))
        return _Rule(own.value, math.hypot(own.mcse, unsure), float(w @ means[row, chosen]), other)


def _doubt(means: NDArray, variance: NDArray) -> NDArray:
    """What a wrong choice between the best two could cost in each draw: a normal density at 0."""
    row = np.arange(len(means))
    order = np.argsort(-means, axis=1, kind="stable")
    first, second = order[:, 0], order[:, 1]
    gap = means[row, first] - means[row, second]
    spread = np.sqrt(variance[row, first] + variance[row, second])
    some = np.where(spread > 0, spread, 1.0)
    return np.where(
        spread > 0, spread * np.exp(-0.5 * (gap / some) ** 2) / math.sqrt(2 * math.pi), 0
    )


# Worth


@dataclass(frozen=True)
class Worth:
    """What a piece of news is worth, in the payoffs' units.

    Attributes
    ----------
    value, mcse
        Expected gain from knowing it before choosing, and its standard error.
    earned
        The same before it is raised to 0 and to what a part of the news is worth.
    promised
        What the fits expected of the choices they made. Well above ``earned``: they overfit.
    ceiling
        EVPI: no news is worth more.
    changes
        How often it leads to another choice than the option that is best on average, 0 .. 1.
    """

    value: float
    mcse: float
    earned: float
    promised: float
    ceiling: float
    changes: float = 0.0


class _Bench:
    """Rules for one table of payoffs, each group fitted once."""

    def __init__(
        self,
        payoff: ArrayLike | xr.DataArray,
        news: Mapping[str, Columns],
        weight: ArrayLike | None,
        inflation: float,
        most: int = MOST_COLUMNS,
    ):
        table = decision._payoffs(payoff)
        w = decision.weights(weight, len(table))
        decision._inflation(inflation)
        seen = w > 0
        self.groups: dict[str, frozenset[int]] = {}
        self.columns: list[NDArray] = []
        for name, given in news.items():
            members = set()
            for column in _columns(given, len(table), name):
                members.add(self._number(column[seen]))
            # A quantity that never varies is no news.
            self.groups[name] = frozenset(m for m in members if np.ptp(_codes(self.columns[m])))
        table, w = table[seen], w[seen]
        n = effective_draws(w) / inflation
        if n < ENOUGH_DRAWS:
            raise ValuationError(
                f"{n:.0f} effective draws cannot tell what news is worth; {ENOUGH_DRAWS} are the"
                " least: use more draws or more even weights"
            )
        best = int((w @ table).argmax())
        relative = _rivals(table - table[:, [best]])
        fold = _folds(relative, self.columns, FOLDS)
        ceiling = float(w @ relative.max(axis=1))
        self.problem = _Problem(relative, w, fold, inflation, ceiling, most)
        self.rules: dict[frozenset[int], _Rule] = {frozenset(): _Rule(0.0, 0.0, 0.0, 0.0)}

    def _number(self, column: NDArray) -> int:
        """The same number for the same draws, so that parts of a group are known as such."""
        for number, known in enumerate(self.columns):
            if np.array_equal(known, column):
                return number
        self.columns.append(column)
        return len(self.columns) - 1

    def fit(self, group: frozenset[int]) -> _Rule:
        if group not in self.rules:
            columns = [self.columns[m] for m in sorted(group)]
            # These matrices are small: threads that wait for each other take five times as long.
            with _threads().limit(limits=1, user_api="blas"):
                self.rules[group] = self.problem.rule(columns)
        return self.rules[group]

    def worth(self, group: frozenset[int]) -> Worth:
        """The best of the rules that who knows the group can follow."""
        own = self.fit(group)
        sizes = range(1, len(group)) if len(group) <= ALL_PARTS else (1,)
        for size in sizes:
            for part in itertools.combinations(sorted(group), size):
                self.fit(frozenset(part))
        for other in self.groups.values():
            if other < group:
                self.fit(other)
        # The group's own rule first, for its error, where a part earned no more.
        usable = [own] + [rule for part, rule in self.rules.items() if part and part < group]
        top = max(usable, key=lambda rule: rule.earned)
        value = min(max(top.earned, 0.0), self.problem.ceiling)
        changes = top.changes if value > 0 else 0.0
        return Worth(value, top.mcse, own.earned, own.promised, self.problem.ceiling, changes)


def _rivals(relative: NDArray) -> NDArray:
    """The options that some news could recommend, those left out that never beat a certain other.

    Where one option brings no more than another in any draw, no news makes it the better one.
    """
    kept = list(range(relative.shape[1]))
    for option in range(relative.shape[1]):
        column = relative[:, [option]]
        others = [other for other in kept if other != option]
        # Of options that are the same everywhere the first stays, which is dealt with first.
        beaten = (relative[:, others] >= column).all(axis=0)
        same = (relative[:, others] == column).all(axis=0)
        if any(
            b and (not s or other < option)
            for b, s, other in zip(beaten, same, others, strict=True)
        ):
            kept.remove(option)
    return relative[:, kept]


def _codes(column: NDArray) -> NDArray:
    """0 where a draw has the least value; infinite values allowed."""
    return (column != column.min()).astype(float)


def evppi(
    payoff: ArrayLike | xr.DataArray,
    parameters: Columns,
    weight: ArrayLike | None = None,
    *,
    inflation: float = 1.0,
) -> Worth:
    """Expected value of knowing one parameter, or a group, exactly before choosing.

    Parameters
    ----------
    payoff
        Dims ``(draw, option)``; two options or more.
    parameters
        ``(draw,)`` for one, ``(draw, k)`` or a mapping by name for a group. They may depend on each
        other in any way. Infinite values are allowed (a date that never comes).
    inflation
        Draws / effective sample size, for draws of a chain that repeat each other.

    Notes
    -----
    Between calls ``0 <= EVPPI(A) <= EVPPI(A and B) <= EVPI`` holds exactly for groups of up to
    three, and for a single member of any group, since their parts are fitted as well. For larger
    groups use :func:`ranked`, where it holds for everything that is listed.
    """
    bench = _Bench(payoff, {"parameters": parameters}, weight, inflation)
    return bench.worth(bench.groups["parameters"])


def evsi(
    payoff: ArrayLike | xr.DataArray,
    statistics: Columns,
    weight: ArrayLike | None = None,
    *,
    inflation: float = 1.0,
) -> Worth:
    """Expected value of a sample or a disclosure before choosing.

    Parameters
    ----------
    statistics
        ``(draw,)``, ``(draw, s)`` or a mapping by name: in each draw, the figures that would be
        published if that draw were the truth, chance and errors of measurement included. A report
        of yes or no is a column of 0 and 1. See :func:`measured` for a figure with a known error.
    """
    bench = _Bench(payoff, {"statistics": statistics}, weight, inflation)
    return bench.worth(bench.groups["statistics"])


def ranked(
    payoff: ArrayLike | xr.DataArray,
    news: Mapping[str, Columns],
    weight: ArrayLike | None = None,
    *,
    inflation: float = 1.0,
    most: int = MOST_COLUMNS,
    follows: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Which news is worth waiting for: parameters, groups or disclosures, the most valuable first.

    A piece of news that has all columns of another one (the same draws) is worth at least as much
    by construction. All share the luck of the
    same draws, so ranks are surer than the errors suggest.

    Parameters
    ----------
    most
        Columns of a regression at most; fewer are quicker and see less of how many quantities
        work together.
    follows
        By name of a piece of news, another one that tells no more: a figure with an error for the
        figure without. Who knows more may add the error and follow the other's rule, so the first
        is worth at least as much as the second.

    Returns
    -------
    Dataset
        Dims ``(news)``: ``value``, ``mcse``, ``earned``, ``promised``, ``changes`` (see
        :class:`Worth`) and ``share`` of EVPI (0 where EVPI is 0); attrs ``evpi`` and ``evpi_mcse``.
    """
    if not news:
        raise ParameterError("there is no news to rank; give draws by name")
    bench = _Bench(payoff, news, weight, inflation, most)
    # Small groups first, so that all parts are fitted when a larger one looks for them.
    for group in sorted(bench.groups.values(), key=len):
        bench.worth(group)
    found = {name: bench.worth(group) for name, group in bench.groups.items()}
    for name, other in (follows or {}).items():
        if name not in found or other not in found:
            raise ParameterError(
                f"{name!r} cannot follow {other!r}: the news are {', '.join(map(repr, found))}"
            )
        if found[other].value > found[name].value:
            own, better = found[name], found[other]
            found[name] = replace(better, earned=own.earned, promised=own.promised)
    names = sorted(found, key=lambda name: (-found[name].value, name))
    ceiling = evpi(payoff, weight, inflation=inflation)
    units = payoff.attrs.get("units", "") if isinstance(payoff, xr.DataArray) else ""
    made: dict[str, Any] = {
        key: (NEWS, [getattr(found[name], key) for name in names], {"units": units})
        for key in ("value", "mcse", "earned", "promised")
    }
    made["changes"] = (NEWS, [found[name].changes for name in names], {"units": "fraction"})
    share = [found[n].value / ceiling.value if ceiling.value > 0 else 0.0 for n in names]
    made["share"] = (NEWS, np.minimum(share, 1.0), {"units": "fraction"})
    return xr.Dataset(
        made,
        coords={NEWS: names},
        attrs={"evpi": ceiling.value, "evpi_mcse": ceiling.mcse, "units": units},
    )


# Samples of growing size


def measured(
    parameter: ArrayLike, error: ArrayLike, sizes: ArrayLike, *, random_seed: int
) -> NDArray:
    """Mean of the first n measurements of a parameter, each with a normal error: ``(draw, size)``.

    Parameters
    ----------
    error
        Standard deviation of one measurement, in the parameter's units; one for all, or one a draw.
    sizes
        How many measurements; above 0, parts allowed (a noisier figure than one measurement);
        infinity is the parameter itself. A larger sample holds the smaller ones.
    """
    x = decision._draws(parameter, "parameter")
    n = np.atleast_1d(np.asarray(sizes, dtype=float))
    if n.ndim != 1 or not n.size or not (n > 0).all():
        raise ParameterError(f"sizes must be numbers above 0, got {sizes!r}")
    deviation = np.asarray(error, dtype=float)
    if (
        deviation.shape not in ((), x.shape)
        or not (np.isfinite(deviation) & (deviation >= 0)).all()
    ):
        raise ParameterError(
            "error is a standard deviation, finite and not negative: one number or one a draw"
        )
    finite = np.unique(n[np.isfinite(n)])
    step = np.sqrt(np.diff(finite, prepend=0.0))
    rng = np.random.default_rng(random_seed)
    walk = np.cumsum(rng.standard_normal((x.size, finite.size)) * step, axis=1)
    made = np.repeat(x[:, None], n.size, axis=1)
    for place, size in enumerate(n):
        if math.isfinite(size):
            made[:, place] += deviation * walk[:, np.searchsorted(finite, size)] / size
    return made


def evsi_by_size(
    payoff: ArrayLike | xr.DataArray,
    parameter: ArrayLike,
    error: ArrayLike,
    sizes: Sequence[float],
    weight: ArrayLike | None = None,
    *,
    random_seed: int,
    inflation: float = 1.0,
) -> xr.Dataset:
    """What n measurements of a parameter are worth, rising with n to what the parameter is worth.

    The samples are those of :func:`measured`. They are nested, and who has the larger one, or the
    parameter itself, may follow the rule for the smaller one; so a value is the best of those up to
    its size, and never falls.

    Returns
    -------
    Dataset
        Dims ``(size)``, in rising order: ``value``, ``mcse``, ``earned``; attrs ``evppi`` and
        ``evppi_mcse`` of the parameter, and ``evpi``.
    """
    order = np.unique(np.asarray(sizes, dtype=float))
    figures = measured(parameter, error, order, random_seed=random_seed)
    news: dict[str, Columns] = {str(i): column for i, column in enumerate(figures.T)}
    bench = _Bench(payoff, news | {"parameter": parameter}, weight, inflation)
    found: list[Worth] = []
    for group in bench.groups.values():
        own = bench.worth(group)
        if found and found[-1].value > own.value:
            last = found[-1]
            own = replace(last, earned=own.earned, promised=own.promised)
        found.append(own)
    whole = found.pop()
    units = payoff.attrs.get("units", "") if isinstance(payoff, xr.DataArray) else ""
    made: dict[str, Any] = {
        key: (SIZE, [getattr(worth, key) for worth in found], {"units": units})
        for key in ("value", "mcse", "earned")
    }
    attrs = {"evppi": whole.value, "evppi_mcse": whole.mcse, "evpi": whole.ceiling, "units": units}
    return xr.Dataset(made, coords={SIZE: order}, attrs=attrs)


# Known in closed form


def evpi_normal(mean: float, sd: float) -> float:
    """What it is worth to know a net benefit ``N(mean, sd)`` before taking it or leaving it.

    ``sd (φ(u) - u Φ(-u))`` with ``u = |mean|/sd``: the unit normal loss integral (Raiffa and Schlaifer 1961, Applied
    Statistical Decision Theory). The net benefit is that of one option over the other. With the standard deviation
    of its conditional mean in place of its own this is the EVPPI of what it is conditioned on, or the EVSI.
    """
    from scipy.special import ndtr

    if not (math.isfinite(mean) and math.isfinite(sd) and sd >= 0.0):
        raise ParameterError(f"mean and sd must be finite and sd not negative, got {mean} and {sd}")
    if sd == 0.0:
        return 0.0
    u = abs(mean) / sd
    density = math.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)
    return max(sd * (density - u * float(ndtr(-u))), 0.0)


def evsi_normal(mean: float, sd: float, *, error: float, size: float = 1) -> float:
    """What ``size`` measurements of a net benefit ``N(mean, sd)`` are worth before taking it or leaving it.

    ``error`` is the standard deviation of one measurement. The mean after the sample varies by
    ``sd² / sqrt(sd² + error²/size)``, which is what :func:`evpi_normal` is of; an endless sample gives EVPI.
    """
    if not (error >= 0.0 and size > 0.0):
        raise ParameterError(f"error is not negative and size above 0, got {error} and {size}")
    if sd == 0.0:
        return evpi_normal(mean, sd)
    return evpi_normal(mean, sd * sd / math.sqrt(sd * sd + error * error / size))


def evsi_table(payoff: ArrayLike, probability: ArrayLike, likelihood: ArrayLike) -> float:
    """What a report is worth, exactly, where states, options and reports are a few.

    ``Σ_x max_a Σ_s p(s) P(x|s) payoff(s, a) - max_a Σ_s p(s) payoff(s, a)``. A report that names the state gives
    EVPI; one that names a part of it gives EVPPI.

    Parameters
    ----------
    payoff
        Dims ``(state, option)``.
    probability
        Of each state, summing to 1.
    likelihood
        Dims ``(state, report)``: probability of each report in each state; rows sum to 1.
    """
    table = decision._payoffs(payoff)
    p, seen = np.asarray(probability, dtype=float), np.asarray(likelihood, dtype=float)
    if p.shape != (len(table),) or seen.ndim != 2 or len(seen) != len(table):
        raise ValuationError(
            f"{len(table)} states need as many probabilities and rows of likelihood,"
            f" got shapes {p.shape} and {seen.shape}"
        )
    for name, rows in (("probability", p[None]), ("likelihood", seen)):
        if not (rows >= 0.0).all() or np.abs(rows.sum(axis=1) - 1.0).max() > 1e-6:
            raise ValuationError(
                f"{name} must be fractions that sum to 1 in each row; divide by their sum"
            )
    with_report = np.einsum("s,sx,sa->xa", p, seen, table).max(axis=1).sum()
    return max(float(with_report - (p @ table).max()), 0.0)
