"""What the values of the draws say to somebody who must decide: arithmetic on weighted draws.

Nothing here samples or reads a file. Every function takes the draws it speaks of and their weights
(``None``: all alike). Weights need not sum to 1; they are scaled. A draw of weight 0 changes
nothing, the order of draws changes nothing, and equal weights give the unweighted answer. Inputs
are NumPy arrays or DataArrays over draws, paired by position; a value that is not finite is an
error, never skipped.

An estimate carries its Monte Carlo standard error (MCSE): ``sqrt(sum w^2 (x - mean)^2)`` for
weights that sum to 1 (the delta method for a ratio of sums; Owen 2013, Monte Carlo theory, 9.2),
times ``sqrt(inflation)`` where draws of a chain repeat each other. Weights and chains combine since
both act on a draw's pull ``u = w (x - mean)``: the variance of a sum of pulls is ``sum u^2`` times
draws over effective draws *of the pulls* (:func:`inflation_of`; initial sequences of Geyer 1992, over
split chains as in Vehtari et al. 2021). With equal weights that is the usual error from the ESS, with
independent draws that of importance sampling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from valuation import forecast
from valuation import value as worth
from valuation.currency import BN, unit_in
from valuation.errors import ParameterError, ValuationError
from valuation.schema import (
    CHAINS,
    CI_PROB,
    COMPONENT,
    DEFINITION,
    DRAW,
    FRACTION,
    MONTH,
    date_after,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from valuation.params import Deal

# Below this many effective draws a cell of a break-even map stays empty.
ENOUGH_DRAWS = 20
# Cumulated weights are compared with a quantile up to this much rounding.
ROUNDING = 1e-12


# Weighted draws


def weights(weight: ArrayLike | None, size: int) -> NDArray:
    """Weights that sum to 1 for ``size`` draws; equal ones if ``weight`` is None."""
    if weight is None:
        if size < 1:
            raise ValuationError("there are no draws")
        return np.full(size, 1.0 / size)
    given = np.asarray(weight, dtype=float)
    if given.shape != (size,):
        raise ValuationError(f"{size} draws need {size} weights, got shape {given.shape}")
    bad = int((~np.isfinite(given)).sum())
    if bad:
        raise ValuationError(f"weight: {bad} of {size} values are not finite")
    if (given < 0).any() or not given.sum() > 0:
        raise ValuationError("weights must not be negative and must not all be 0")
    return given / given.sum()


def _draws(values: ArrayLike, name: str, *, infinite: bool = False) -> NDArray:
    """One value a draw, checked."""
    array = np.asarray(values, dtype=float)
    if array.ndim != 1:
        raise ValuationError(f"{name}: expected one value a draw, got shape {array.shape}")
    bad = int(np.isnan(array).sum() if infinite else (~np.isfinite(array)).sum())
    if bad:
        raise ValuationError(f"{name}: {bad} of {array.size} values are not finite")
    return array


def effective_draws(weight: ArrayLike) -> float:
    """How many draws of equal weight would be as good: ``1 / sum w^2`` for weights summing to 1."""
    given = np.asarray(weight, dtype=float)
    return float(1.0 / (weights(given, given.size) ** 2).sum())


@dataclass(frozen=True)
class Estimate:
    """A number from draws and its Monte Carlo standard error, in the units of the draws."""

    value: float
    mcse: float


def mean(values: ArrayLike, weight: ArrayLike | None = None, *, inflation: float = 1.0) -> Estimate:
    """Weighted mean with its MCSE."""
    x = _draws(values, "values")
    w = weights(weight, x.size)
    middle = float(w @ x)
    return Estimate(middle, math.sqrt(float(w**2 @ (x - middle) ** 2) * _inflation(inflation)))


def inflation_of(
    values: ArrayLike, weight: ArrayLike | None = None, *, parts: Sequence[int] | None = None
) -> float:
    """By how much repetition within chains widens the variance of a weighted mean, at least 1.

    ``values`` and ``weight``, shape ``(draw,)``, chains one after another. ``parts`` are the draws of
    each fit where several were pooled; none: one fit. A fit of :data:`CHAINS` chains of equal length.
    """
    x = _draws(values, "values")
    w = weights(weight, x.size)
    return repetition(w * (x - w @ x), parts)


def repetition(pull: NDArray, parts: Sequence[int] | None = None) -> float:
    """As :func:`inflation_of`, of each draw's pull on a mean, shape ``(draw,)``."""
    total = float(pull @ pull)
    if total == 0.0:
        return 1.0
    variance = 0.0
    for part in np.split(pull, np.cumsum(parts)[:-1]) if parts is not None else [pull]:
        size, own = part.size, float(part @ part)
        chains = part.reshape(CHAINS if size % CHAINS == 0 else 1, -1)
        if np.ptp(part) > 0.0 and chains.shape[1] >= 4:
            own *= max(1.0, _repeats(chains))
        variance += own
    return variance / total


def _repeats(chains: NDArray) -> float:
    """Draws over effective draws of a mean, ``chains`` of shape ``(chain, draw)``, at least 4 draws, not all alike.

    Each chain counts as two halves, the middle draw of an odd number left out. Autocorrelations are added in pairs up
    to the first pair that is not above 0, no pair more than the one before (Geyer 1992, Statistical Science 7(4), 3.3;
    Vehtari et al. 2021, Bayesian Analysis 16(2), equations 10 to 12). ArviZ has the same; importing it costs a
    quarter of a whole update, so it is the test's oracle here and not the tool.
    """
    half = chains.shape[1] // 2
    halves = np.concatenate([chains[:, :half], chains[:, -half:]])
    middles = halves.mean(axis=1)
    # Padded to twice the length, a circular covariance is the plain one.
    waves = np.fft.rfft(halves - middles[:, None], n=2 * half, axis=1)
    lagged = np.fft.irfft(np.abs(waves) ** 2, axis=1)[:, :half].mean(axis=0) / half
    within = lagged[0] * half / (half - 1.0)
    correlation = 1.0 - (within - lagged) / (lagged[0] + middles.var(ddof=1))
    correlation[0] = 1.0
    looked_at = max((half - 3) // 2, 0)
    pairs = correlation[: 2 * looked_at].reshape(-1, 2).sum(axis=1)
    end = int(np.argmax(np.append(pairs <= 0.0, True)))
    kept = np.minimum.accumulate(pairs[:end]).sum()
    return float(
        max(2.0 * kept - 1.0 + max(correlation[2 * end], 0.0), 1.0 / math.log10(halves.size))
    )


def _inflation(inflation: float) -> float:
    if not (math.isfinite(inflation) and inflation > 0):
        raise ParameterError(
            f"inflation is draws / effective sample size, above 0, got {inflation}"
        )
    return inflation


def probability(
    event: ArrayLike, weight: ArrayLike | None = None, *, inflation: float = 1.0
) -> Estimate:
    """Weighted share of draws in which ``event`` (bool or 0/1) holds, with its MCSE.

    Where all draws agree the formula would claim no error at all. Then, with n effective draws, the
    error is that of a probability of ``1/(n+2)``, what Laplace's rule gives to the unseen outcome.
    """
    x = _draws(event, "event")
    if not np.isin(x, (0.0, 1.0)).all():
        raise ValuationError("an event is true or false in each draw: use bool or 0 and 1")
    w = weights(weight, x.size)
    share = mean(x, w, inflation=inflation)
    # All of one kind may sum to 1 only up to rounding.
    value = min(max(share.value, 0.0), 1.0)
    seen = x[w > 0]
    if seen.min() == seen.max():
        n = effective_draws(w) / inflation
        unseen = 1.0 / (n + 2.0)
        return Estimate(float(seen[0]), math.sqrt(unseen * (1 - unseen) / n))
    return Estimate(value, share.mcse)


def difference(
    values: ArrayLike,
    other: ArrayLike,
    weight: ArrayLike | None = None,
    other_weight: ArrayLike | None = None,
    *,
    inflation: float = 1.0,
) -> Estimate:
    """Mean of ``values`` less mean of ``other``, where draw i of both is the same draw.

    What the draws share cancels, in the difference and in its MCSE: ``sqrt(sum (w (x - mean) -
    w' (x' - mean'))^2)``. Serves two valuations of the same draws, the same values under two sets
    of weights (a condition, another prior set), and both at once; bool values give a difference of
    probabilities.
    """
    x, y = _draws(values, "values"), _draws(other, "other")
    w, v = weights(weight, x.size), weights(other_weight, y.size)
    if x.size != y.size:
        raise ValuationError(f"{x.size} draws cannot be paired with {y.size}")
    a, b = float(w @ x), float(v @ y)
    scatter = float(((w * (x - a) - v * (y - b)) ** 2).sum())
    return Estimate(a - b, math.sqrt(scatter * _inflation(inflation)))


def quantiles(values: ArrayLike, q: ArrayLike, weight: ArrayLike | None = None) -> NDArray:
    """Weighted quantiles: the smallest value at which the cumulated weight reaches ``q``.

    A quantile is always one of the draws (the inverse of the empirical distribution), so infinite
    values, as in a payback time, are welcome.
    """
    x = _draws(values, "values", infinite=True)
    at = np.asarray(q, dtype=float)
    if not ((at >= 0) & (at <= 1)).all():
        raise ParameterError(f"a quantile lies between 0 and 1, got {at}")
    w = weights(weight, x.size)
    x, w = x[w > 0], w[w > 0]
    order = np.argsort(x, kind="stable")
    reached = np.searchsorted(np.cumsum(w[order]), at - ROUNDING)
    return x[order][np.minimum(reached, x.size - 1)]


def interval(
    values: ArrayLike, weight: ArrayLike | None = None, *, ci_prob: float = CI_PROB
) -> tuple[float, float]:
    """Equal-tailed interval of mass ``ci_prob``: (lower, upper)."""
    low, high = quantiles(values, [(1 - ci_prob) / 2, (1 + ci_prob) / 2], weight)
    return float(low), float(high)


def quantile_dots(
    values: ArrayLike, weight: ArrayLike | None = None, *, dots: int = 100
) -> NDArray:
    """Quantiles at (i - 1/2)/dots, i = 1 .. dots; each dot stands for one chance in ``dots``."""
    return quantiles(values, (np.arange(dots) + 0.5) / dots, weight)


def natural_frequency(chance: float) -> str:
    """A probability as people count it: ``"17 in 100"``; never "0 in 100" or "100 in 100"."""
    if not 0 <= chance <= 1:
        raise ParameterError(f"a probability lies between 0 and 1, got {chance}")
    count = math.floor(100 * chance + 0.5)
    if count < 1:
        return "fewer than 1 in 100"
    if count > 99:
        return "more than 99 in 100"
    return f"{count} in 100"


# Against price and hurdle rate


def by_price(
    drivers: xr.Dataset,
    flows: xr.DataArray,
    deal: Deal,
    prices: Sequence[float],
    *,
    definition: str | None = None,
    inflation: float = 1.0,
) -> xr.Dataset:
    """P(pays off) had the same deal cost another total outlay, all else as it is.

    Parameters
    ----------
    prices
        Total outlays at close, bn, not negative.
    definition
        A name of :data:`valuation.value.PAYS_OFF`; the deal's headline if none is given.

    Returns
    -------
    Dataset
        ``probability`` and ``mcse``, dims ``(price_bn)``.
    """
    name = deal.headline if definition is None else definition
    if "outlay" not in flows[COMPONENT]:
        raise ParameterError("components: outlay is switched off, so there is no price to change")
    if not all(price >= 0 for price in prices):
        raise ParameterError(f"a price must not be negative, got {list(prices)}")
    weight = worth.weights_of(drivers)
    is_outlay = flows[COMPONENT] == "outlay"
    estimates = []
    for price in prices:
        at_close = xr.where(flows[worth.QUARTER] == 0, -float(price), 0.0)
        shifted = flows.where(~is_outlay, at_close)
        verdict = worth.pays_off(drivers, shifted, deal, name)
        estimates.append(probability(verdict, weight, inflation=inflation))
    return xr.Dataset(
        {
            "probability": ("price_bn", [e.value for e in estimates], {"units": FRACTION}),
            "mcse": ("price_bn", [e.mcse for e in estimates], {"units": FRACTION}),
        },
        coords={"price_bn": np.asarray(prices, dtype=float)},
        attrs={"definition": name},
    )


def by_hurdle(
    flows: xr.DataArray,
    deal: Deal,
    rates: Sequence[float],
    weight: ArrayLike | None = None,
    *,
    inflation: float = 1.0,
) -> xr.Dataset:
    """Net present value if every component is discounted at one rate, for a grid of rates.

    Returns
    -------
    Dataset
        Dims ``(rate)``, annual effective: ``probability`` (NPV > 0) and its ``mcse``; ``npv_mean``;
        ``expected_loss`` = E max(-NPV, 0), what a buyer stands to lose; ``evpi`` = what knowing the
        draw before deciding to buy would be worth; bn.
    """
    made: dict[str, list[float]] = {
        key: [] for key in ("probability", "mcse", "npv_mean", "expected_loss", "evpi")
    }
    for rate in rates:
        x = _draws(worth.npv(flows, deal, rate=float(rate)), "npv")
        chance = probability(x > 0, weight, inflation=inflation)
        made["probability"].append(chance.value)
        made["mcse"].append(chance.mcse)
        made["npv_mean"].append(mean(x, weight).value)
        made["expected_loss"].append(mean(np.maximum(-x, 0), weight).value)
        made["evpi"].append(evpi(np.column_stack([np.zeros_like(x), x]), weight).value)
    money = unit_in(BN, deal.currency)
    units = {"probability": FRACTION, "mcse": FRACTION}
    return xr.Dataset(
        {key: ("rate", items, {"units": units.get(key, money)}) for key, items in made.items()},
        coords={"rate": np.asarray(rates, dtype=float)},
    )


# What the number is made of


def waterfall(
    present_value: xr.DataArray,
    weight: ArrayLike | None = None,
    *,
    ci_prob: float = CI_PROB,
) -> xr.Dataset:
    """Mean present value by component, from the outlay to the net present value.

    Means, since they add up: ``mean`` sums to the mean NPV. Each component's interval is its own.

    Returns
    -------
    Dataset
        Dims ``(component)``, bn: ``mean``, ``mcse``, ``lower``, ``upper``, and ``start`` and
        ``end``, between which the bar is drawn.
    """
    columns = present_value.transpose(DRAW, COMPONENT).to_numpy()
    estimates = [mean(column, weight) for column in columns.T]
    bounds = [interval(column, weight, ci_prob=ci_prob) for column in columns.T]
    means = np.array([e.value for e in estimates])
    end = np.cumsum(means)
    bars = {
        "mean": means,
        "mcse": [e.mcse for e in estimates],
        "lower": [low for low, _ in bounds],
        "upper": [high for _, high in bounds],
        "start": end - means,
        "end": end,
    }
    return xr.Dataset(
        {
            name: (COMPONENT, items, {"units": present_value.attrs.get("units", "")})
            for name, items in bars.items()
        },
        coords={COMPONENT: present_value[COMPONENT].to_numpy()},
        attrs={"ci_prob": ci_prob},
    )


def driver_scalars(drivers: xr.Dataset, deal: Deal, *, fixed: bool = False) -> xr.Dataset:
    """One number a draw for each driver, dims ``(draw)``, with ``units`` and ``label``.

    Those that are the same in every draw are left out unless ``fixed`` asks for them, too.

    A monthly driver is averaged over the months in which the deal's terms use it, or read at the
    exit month where they use it then. Indicators are the part of those months in which they are 1.
    """
    contract = 12 * deal.services.contract_years
    exit_month = 3 * math.ceil(4 * deal.stake.exit_years - 1e-9)
    horizon = 12 * deal.horizon_years
    # driver: (first month, last month, what is said of the time)
    read_over = {
        "talent_retained": (0, deal.talent.value_months, "mean while its worth is counted"),
        "stars_retained": (0, deal.talent.value_months, "mean while its worth is counted"),
        "founder_in_post": (0, deal.talent.value_months, "part of the counted time"),
        "adoption_share": (0, contract, "mean over the contract"),
        "acquirer_spend": (0, contract, "mean over the contract"),
        "rivals_active": (0, 12 * deal.denial.years, "mean over the years of denial"),
        "capability_gap": (0, horizon, "mean over the horizon"),
        "revenue": (exit_month, exit_month, "at exit"),
        "exit_multiple": (exit_month, exit_month, "at exit"),
    }
    made = {}
    for name, (first, last, when) in read_over.items():
        if name in drivers:
            path = drivers[name].variable
            part = path.isel({MONTH: drivers.indexes[MONTH].slice_indexer(first, last)})
            part = part.mean(MONTH, skipna=False)
            label = f"{path.attrs.get('label', name)}, {when}"
            part.attrs = {"units": path.attrs.get("units", ""), "label": label}
            made[name] = part
    for key, values in drivers.data_vars.items():
        if values.dims == (DRAW,) and key != "weight":
            made[str(key)] = values.variable.astype(float, keep_attrs=True)
    return _labelled({n: v for n, v in made.items() if fixed or moves(v)}, drivers)


def _labelled(variables: Mapping[str, xr.Variable], drivers: xr.Dataset) -> xr.Dataset:
    """Variables of the drivers' draws with their labels: put together by place, as all of them have the same."""
    dims = {dim for variable in variables.values() for dim in variable.dims}
    return xr.Dataset(
        dict(variables), coords={d: drivers[d].variable for d in dims if d in drivers.coords}
    )


def moves(driver: xr.DataArray | xr.Variable) -> bool:
    """Whether draws or months differ at all; what is fixed is a part of the model that a deal does without."""
    x = driver.to_numpy()
    return float(np.ptp(x)) > 1e-12 * max(1.0, float(np.abs(x).max()))


def driver_events(drivers: xr.Dataset, deal: Deal) -> xr.Dataset:
    """What may have happened by the dates that the deal's terms look at, 0 or 1, dims ``(draw)``, with ``label``.

    A probability is a mean over draws. An event whose driver the forecast lacks is left out.
    """
    horizon = 12 * deal.horizon_years
    contract = round(12 * deal.services.contract_years)
    counted = round(deal.talent.value_months)
    told = {
        "founder_stays": ("founder_in_post", counted, lambda x: x > 0.5, "Founder still in post"),
        "main_supplier": ("adoption_share", contract, lambda x: x > 0.5, "Target supplies most of the data"),
        "half_rivals_kept": ("rivals_active", 12 * deal.denial.years, lambda x: x > 0.5,
                             "Half of the rivals' business kept"),
        "near_frontier": ("capability_gap", horizon, lambda x: x <= deal.frontier.near_points,
                          f"Within {deal.frontier.near_points:g} points of the frontier"),
        "action_opened": ("regulatory_action", horizon, lambda x: x > 0.5, "Formal action opened"),
    }  # fmt: skip
    made = {}
    for name, (driver, month, holds, label) in told.items():
        if driver not in drivers:
            continue
        last = min(int(month), int(drivers[MONTH][-1]))
        place = drivers.indexes[MONTH].get_loc(last)
        made[name] = holds(drivers[driver].variable.isel({MONTH: place})).astype(float)
        day = date_after(deal.closed, last)
        made[name].attrs = {"units": "probability", "label": f"{label} on {day}"}
    if "impairment" in drivers:
        down = forecast.happened(drivers, "impairment", deal.impairment.by).astype(float)
        label = f"Stake written down by {deal.impairment.by}"
        made["written_down"] = xr.Variable(DRAW, down, {"units": "probability", "label": label})
    return _labelled(made, drivers)


def _named(scalars: xr.Dataset | Mapping[str, ArrayLike]) -> dict[str, ArrayLike]:
    variables = scalars.data_vars if isinstance(scalars, xr.Dataset) else scalars
    return {str(name): values for name, values in variables.items()}


def tornado(
    scalars: xr.Dataset | Mapping[str, ArrayLike],
    npv: ArrayLike,
    weight: ArrayLike | None = None,
) -> xr.Dataset:
    """Mean NPV among the draws in which a driver is low, and among those in which it is high.

    Low: at or below its tenth percentile. High: at or above its ninetieth. No new simulation: other
    drivers move along as far as they go together with this one in the draws. A driver with fewer
    values than ten (yes or no) takes all draws at the end value.

    Returns
    -------
    Dataset
        Dims ``(driver)``, widest bar first: ``low_value``, ``high_value`` (P10, P90, in the
        driver's units), ``npv_low``, ``npv_high`` and their MCSEs; coords ``label`` and ``unit``.
    """
    y = _draws(npv, "npv")
    w = weights(weight, y.size)
    money = {"units": getattr(npv, "attrs", {}).get("units", "")}
    rows = []
    for name, values in _named(scalars).items():
        x = _draws(values, name)
        attrs: Mapping[str, Any] = getattr(values, "attrs", {})
        low, high = (float(edge) for edge in quantiles(x, [0.1, 0.9], w))
        below = mean(y[x <= low], w[x <= low])
        above = mean(y[x >= high], w[x >= high])
        label, unit = attrs.get("label", name), attrs.get("units", "")
        rows.append((name, label, unit, low, high, below, above))
    # Ties by name, so that the order of the input does not matter.
    rows.sort(key=lambda row: (-abs(row[6].value - row[5].value), row[0]))
    driver = "driver"
    return xr.Dataset(
        {
            "low_value": (driver, [row[3] for row in rows]),
            "high_value": (driver, [row[4] for row in rows]),
            "npv_low": (driver, [row[5].value for row in rows], money),
            "npv_high": (driver, [row[6].value for row in rows], money),
            "npv_low_mcse": (driver, [row[5].mcse for row in rows], money),
            "npv_high_mcse": (driver, [row[6].mcse for row in rows], money),
        },
        coords={
            driver: [row[0] for row in rows],
            "label": (driver, [row[1] for row in rows]),
            "unit": (driver, [row[2] for row in rows]),
        },
    )


# What would have to be true


def _edges(x: NDArray, w: NDArray, bins: int) -> NDArray:
    """Upper edges of bins of about equal weight; fewer where many draws share a value."""
    return np.unique(quantiles(x, (np.arange(bins) + 1) / bins, w))


def _binned(x: NDArray, w: NDArray, bins: int) -> tuple[NDArray, NDArray]:
    """Bin number of each draw, and the weighted median of each bin.

    A draw of weight 0 beyond the last edge goes to the last bin, where it counts nothing.
    """
    edges = _edges(x, w, bins)
    number = np.minimum(np.searchsorted(edges, x), edges.size - 1)
    middle = np.array(
        [quantiles(x[number == i], 0.5, w[number == i])[()] for i in range(edges.size)]
    )
    return number, middle


def break_even_map(
    x: ArrayLike,
    y: ArrayLike,
    pays_off: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    bins: int = 6,
    minimum: float = ENOUGH_DRAWS,
) -> xr.Dataset:
    """P(pays off) where two drivers lie in given ranges: what would have to be true.

    Both drivers are cut into ``bins`` ranges of equal weight, fewer where values repeat.

    Returns
    -------
    Dataset
        Dims ``(y, x)``; coords are the weighted medians of the ranges. ``probability`` is NaN in a
        cell of fewer than ``minimum`` effective draws; ``effective_draws`` says how many there are.
    """
    horizontal, vertical = _draws(x, "x"), _draws(y, "y")
    event = _draws(pays_off, "pays_off")
    w = weights(weight, event.size)
    column, x_middle = _binned(horizontal, w, bins)
    row, y_middle = _binned(vertical, w, bins)
    shape = (y_middle.size, x_middle.size)
    cell = np.ravel_multi_index((row, column), shape)

    def summed(values: NDArray) -> NDArray:
        return np.bincount(cell, values, minlength=math.prod(shape)).reshape(shape)

    total, squares, hits = summed(w), summed(w**2), summed(w * event)
    with np.errstate(invalid="ignore", divide="ignore"):
        count = np.where(total > 0, total**2 / squares, 0.0)
        share = np.where(count >= minimum * (1 - ROUNDING), hits / total, np.nan)
    return xr.Dataset(
        {
            "probability": (("y", "x"), np.clip(share, 0.0, 1.0), {"units": FRACTION}),
            "effective_draws": (("y", "x"), count),
        },
        coords={"x": x_middle, "y": y_middle},
    )


def break_even_value(
    x: ArrayLike, npv: ArrayLike, weight: ArrayLike | None = None, *, bins: int = 20
) -> float | None:
    """The value of one driver at which the expected NPV is 0, others moving along as in the draws.

    Mean NPV in ``bins`` ranges of equal weight is smoothed to the closest monotone curve (isotonic
    regression, rising or falling as fits better) and joined by straight lines between the ranges'
    mean values. None if the curve does not cross 0 within the draws.
    """
    from scipy.optimize import isotonic_regression  # deferred: an update does not ask for this

    values, y = _draws(x, "x"), _draws(npv, "npv")
    w = weights(weight, y.size)
    number, middle = _binned(values, w, bins)
    mass = np.bincount(number, w, minlength=middle.size)
    centre = np.bincount(number, w * values, minlength=middle.size) / mass
    height = np.bincount(number, w * y, minlength=middle.size) / mass
    if centre.size < 2:
        return None
    curves = [
        isotonic_regression(height, weights=mass, increasing=rising).x for rising in (True, False)
    ]
    misfits = [float(mass @ (curve - height) ** 2) for curve in curves]
    rising = misfits[0] <= misfits[1]
    curve = curves[0] if rising else curves[1]
    if not curve.min() <= 0 <= curve.max() or curve.min() == curve.max():
        return None
    # np.interp wants rising heights; where the curve is flat at 0 any point of the flat would do
    if rising:
        return float(np.interp(0.0, curve, centre))
    return float(np.interp(0.0, curve[::-1], centre[::-1]))


# Whose opinion it is


def compare_sets(
    valued: Mapping[str, xr.Dataset], *, definition: str, inflation: float = 1.0
) -> xr.Dataset:
    """The answer under several prior sets, side by side.

    Parameters
    ----------
    valued
        Values (:func:`valuation.value.value`) by name of the prior set, each with its own
        ``weight``. Reweighted sets share the draws: ``values.assign(weight=...)``.

    Returns
    -------
    Dataset
        Dims ``(prior_set)``: ``probability``, ``mcse``, ``npv_mean``, ``npv_mcse``,
        ``effective_draws``.
    """
    if not valued:
        raise ParameterError("there is no prior set to compare")
    rows = []
    for values in valued.values():
        if definition not in values[DEFINITION]:
            raise ParameterError(
                f"{definition!r} is no definition of paying off;"
                f" there are {', '.join(map(str, values[DEFINITION].values))}"
            )
        verdict = values["pays_off"].sel({DEFINITION: definition})
        chance = probability(verdict, values["weight"], inflation=inflation)
        money = mean(values["npv"], values["weight"], inflation=inflation)
        count = effective_draws(values["weight"])
        rows.append((chance.value, chance.mcse, money.value, money.mcse, count))
    names = ("probability", "mcse", "npv_mean", "npv_mcse", "effective_draws")
    units_of_money = next(iter(valued.values()))["npv"].attrs.get("units", "")
    units = (FRACTION, FRACTION, units_of_money, units_of_money, "draws")
    return xr.Dataset(
        {
            name: ("prior_set", [row[i] for row in rows], {"units": units[i]})
            for i, name in enumerate(names)
        },
        coords={"prior_set": list(valued)},
        attrs={"definition": definition},
    )


def variance_share(
    npv: ArrayLike,
    parameters: Mapping[str, ArrayLike] | xr.Dataset,
    weight: ArrayLike | None = None,
) -> float:
    """Part of the variance of NPV that a group of quantities explains together, 0 .. 1.

    By the law of total variance, ``Var(E[NPV | group]) / Var(NPV)``: the part of the variance that
    would be gone, on average, if the whole group were known. The conditional mean is a weighted
    least-squares fit on each member's normal score (its weighted rank turned into a normal
    quantile), its square and cube, and all products of two members; the share is the R-squared
    adjusted for the number of terms, so that many members do not explain by chance. Quantities that
    never vary explain nothing.
    """
    y = _draws(npv, "npv")
    w = weights(weight, y.size)
    scores = []
    for name, values in _named(parameters).items():
        x = _draws(values, name)
        if np.ptp(x[w > 0]) > 0:
            scores.append(_normal_score(x, w))
    columns = [np.ones_like(y)]
    columns += [score**power for score in scores for power in (1, 2, 3)]
    columns += [a * b for i, a in enumerate(scores) for b in scores[:i]]
    spread = mean(y, w).value
    total = float(w @ (y - spread) ** 2)
    if not scores or total == 0:
        return 0.0
    fitted, rank = _fit(np.column_stack(columns), y[:, None], w)
    left = float(w @ (y - fitted[:, 0]) ** 2)
    n = effective_draws(w)
    if n <= rank + 1:
        raise ValuationError(
            f"{n:.0f} effective draws cannot tell {rank} terms apart; use fewer quantities or"
            " more draws"
        )
    return min(max(1.0 - left / total * (n - 1) / (n - rank), 0.0), 1.0)


# Value of information


def _normal_score(x: NDArray, w: NDArray) -> NDArray:
    """Weighted rank as a quantile of the normal distribution; equal values get equal scores.

    A monotone change of scale leaves every conditional mean as it is and keeps far outliers from
    ruling a fit. Draws of weight 0 get the score of their place among the others.
    """
    from scipy.special import ndtri

    distinct, number = np.unique(x, return_inverse=True)
    mass = np.bincount(number, w, minlength=distinct.size)
    middle = np.cumsum(mass) - mass / 2
    least = 0.5 * w[w > 0].min()
    return ndtri(np.clip(middle, least, 1 - least))[number]


def _fit(basis: NDArray, y: NDArray, w: NDArray) -> tuple[NDArray, int]:
    """Weighted least-squares fit of each column of ``y``, and the rank of the basis."""
    root = np.sqrt(w)[:, None]
    coefficients, _, rank, _ = np.linalg.lstsq(basis * root, y * root, rcond=1e-10)
    return basis @ coefficients, int(rank)


def _payoffs(payoff: ArrayLike | xr.DataArray) -> NDArray:
    if isinstance(payoff, xr.DataArray) and DRAW in payoff.dims:
        payoff = payoff.transpose(DRAW, ...)
    table = np.asarray(payoff, dtype=float)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValuationError(
            f"payoffs are a table (draw, option) of two options or more, got shape {table.shape}"
        )
    bad = int((~np.isfinite(table)).sum())
    if bad:
        raise ValuationError(f"payoff: {bad} of {table.size} values are not finite")
    return table


def evpi(
    payoff: ArrayLike | xr.DataArray, weight: ArrayLike | None = None, *, inflation: float = 1.0
) -> Estimate:
    """Expected value of perfect information: E max - max E over options, in the payoffs' units.

    What it would be worth to see the draw before choosing; ``payoff`` has dims ``(draw, option)``.
    """
    table = _payoffs(payoff)
    w = weights(weight, len(table))
    best = int((w @ table).argmax())
    return mean(table.max(axis=1) - table[:, best], w, inflation=inflation)
