"""Worth of one sequence of flows: present value, rates of return, payback, annuities.

Plain numbers in, plain numbers out; draws and deals are :mod:`valuation.value`'s. Rates are effective
per period, as fractions; a flow is positive when received. Flow 0 falls now unless a function says
otherwise. Dated flows are discounted from the first date given, a year being 365 days.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation.errors import ParameterError, ValuationError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "annuity_future_value",
    "annuity_payment",
    "annuity_present_value",
    "effective_rate",
    "irr",
    "irr_roots",
    "log_grid",
    "mirr",
    "npv",
    "payback",
    "roots",
    "worth",
    "xirr",
    "xirr_roots",
    "xnpv",
]

# An internal rate of return is looked for between these rates.
LOWEST_RATE, HIGHEST_RATE = -0.99, 10.0
DAYS_PER_YEAR = 365.0  # as spreadsheets count


# What goes in


def _flows(flows: ArrayLike, least: int = 1) -> NDArray:
    try:
        amounts = np.asarray(flows, dtype=float)
    except (TypeError, ValueError) as err:
        raise ValuationError("flows must be numbers, one for each time") from err
    if amounts.ndim != 1 or not amounts.size:
        raise ValuationError(f"flows have shape {amounts.shape}; give one sequence of numbers")
    if amounts.size < least:
        raise ValuationError("a rate of return needs at least two flows, each with its time")
    if not np.isfinite(amounts).all():
        where = np.flatnonzero(~np.isfinite(amounts))
        raise ValuationError(
            f"flow {where[0]} (counted from 0) is {amounts[where[0]]}; give finite flows, 0 for none"
        )
    return amounts


def _rate(rate: float, name: str = "rate") -> float:
    if not (math.isfinite(rate) and rate > -1.0):
        raise ParameterError(f"{name} is a fraction above -1 (0.09 is 9%), got {rate}")
    return float(rate)


def _day(date: Any) -> dt.date:
    if isinstance(date, np.datetime64):
        date = date.astype("datetime64[D]").item()
    if not isinstance(date, dt.date) or date != date:  # NaT
        raise ValuationError(f"{date!r} is not a date; give datetime.date values")
    return dt.date(date.year, date.month, date.day)


def _years(dates: Sequence[Any], count: int) -> NDArray:
    """Years of 365 days since the first date."""
    days = [_day(date) for date in dates]
    if len(days) != count:
        raise ValuationError(f"{count} flows, but {len(days)} dates; give each flow its date")
    return np.array([(day - days[0]).days for day in days]) / DAYS_PER_YEAR


# Present value


def npv(flows: ArrayLike, rate: float, *, first: int = 0) -> float:
    """Net present value of evenly spaced flows, ``Σ flow_i (1 + rate)^-(i + first)``.

    ``first`` is the period in which the first flow falls: 0 is now. A spreadsheet's NPV has its first
    flow after one period, ``first=1``.
    """
    amounts = _flows(flows)
    return float(amounts @ (1.0 + _rate(rate)) ** -(np.arange(amounts.size) + float(first)))


def xnpv(flows: ArrayLike, dates: Sequence[Any], rate: float) -> float:
    """Net present value of dated flows on the first date given, at an annual effective rate."""
    amounts = _flows(flows)
    return float(amounts @ (1.0 + _rate(rate)) ** -_years(dates, amounts.size))


# Rates of return


def worth(amounts: NDArray, years: NDArray, log_growth: NDArray) -> NDArray:
    """Present values, (flows, rates), of (flows, times) at rates given as ``log(1 + rate)``."""
    return amounts @ np.exp(-np.multiply.outer(years, log_growth))


def log_grid(points: int) -> NDArray:
    """Rates to look at, as ``log(1 + rate)``, evenly spaced over the range that is searched."""
    return np.linspace(math.log1p(LOWEST_RATE), math.log1p(HIGHEST_RATE), points)


def roots(amounts: NDArray, years: NDArray) -> list[float]:
    """Every annual rate in the searched range at which one flow sequence is worth nothing.

    A grid finds the roots where the sign changes. Two roots inside one cell leave no change of
    sign; they give themselves away by a turning point there that reaches or crosses zero.
    """
    from scipy.optimize import brentq  # a tenth of a second that few callers need

    scale = np.abs(amounts).max(initial=0.0)
    if scale == 0:
        return []
    flows = amounts / scale

    def present(g: float) -> float:
        return float(flows @ np.exp(-years * g))

    def slope(g: float) -> float:
        return float(-(flows * years) @ np.exp(-years * g))

    grid = log_grid(2001)
    positive = worth(flows[None, :], years, grid)[0] >= 0
    rising = worth(-(flows * years)[None, :], years, grid)[0] >= 0
    found: list[float] = []
    for i in np.flatnonzero(positive[:-1] != positive[1:]):
        found.append(brentq(present, grid[i], grid[i + 1], xtol=1e-15, rtol=1e-14))
    turns = (positive[:-1] == positive[1:]) & (rising[:-1] != rising[1:])
    turns &= positive[:-1] != rising[:-1]  # heads for zero, then back
    for i in np.flatnonzero(turns):
        turn = brentq(slope, grid[i], grid[i + 1], xtol=1e-15, rtol=1e-14)
        depth = present(turn)
        if abs(depth) < 1e-14:
            found.append(turn)
        elif (depth >= 0) != positive[i]:
            found.append(brentq(present, grid[i], turn, xtol=1e-15, rtol=1e-14))
            found.append(brentq(present, turn, grid[i + 1], xtol=1e-15, rtol=1e-14))
    return sorted(math.expm1(g) for g in found)


def _one_root(amounts: NDArray, years: NDArray) -> float:
    found = roots(amounts, years)
    if len(found) > 1:
        listed = ", ".join(f"{root:.6g}" for root in found)
        raise ValuationError(
            f"the flows have {len(found)} internal rates of return: {listed}; none of them is"
            " the answer, so compare net present values at the hurdle rate"
        )
    if found:
        return found[0]
    if (worth(amounts[None, :], years, log_grid(2001)) < 0).all():
        return -1.0
    raise ValuationError("the flows have no internal rate of return between -99% and 1,000% a year")


def irr_roots(flows: ArrayLike, *, periods_per_year: float = 1) -> list[float]:
    """Every internal rate of return of evenly spaced flows, annual effective, in rising order.

    Looked for between -99% and 1,000% a year. Empty if there is none.
    """
    amounts = _flows(flows, 2)
    return roots(amounts, np.arange(amounts.size) / periods_per_year)


def irr(flows: ArrayLike, *, periods_per_year: float = 1) -> float:
    """Internal rate of return of one sequence of evenly spaced flows, annual effective.

    -1 if the flows are worth less than nothing at every rate.

    Raises
    ------
    ValuationError
        The flows have several roots, which it lists, or none.
    """
    amounts = _flows(flows, 2)
    return _one_root(amounts, np.arange(amounts.size) / periods_per_year)


def xirr_roots(flows: ArrayLike, dates: Sequence[Any]) -> list[float]:
    """Every internal rate of return of dated flows, annual effective; see :func:`irr_roots`."""
    amounts = _flows(flows, 2)
    return roots(amounts, _years(dates, amounts.size))


def xirr(flows: ArrayLike, dates: Sequence[Any]) -> float:
    """Internal rate of return of dated flows, annual effective, a year being 365 days.

    Counts from the first date given. Errors as :func:`irr`.
    """
    amounts = _flows(flows, 2)
    return _one_root(amounts, _years(dates, amounts.size))


def mirr(flows: ArrayLike, *, finance_rate: float, reinvest_rate: float) -> float:
    """Modified internal rate of return per period (Lin 1976): one root, whatever the signs.

    ``(FV of inflows at the reinvestment rate / -PV of outflows at the finance rate)^(1/n) - 1``.
    """
    amounts = _flows(flows, 2)
    last = amounts.size - 1
    period = np.arange(amounts.size)
    cost = -np.minimum(amounts, 0.0) @ (1.0 + _rate(finance_rate, "finance_rate")) ** -period
    grown = (1.0 + _rate(reinvest_rate, "reinvest_rate")) ** (last - period)
    gained = np.maximum(amounts, 0.0) @ grown
    if not cost > 0.0:
        raise ValuationError("nothing was paid out, so there is no rate of return on it")
    return float((gained / cost) ** (1.0 / last) - 1.0)


# Payback and annuities


def payback(flows: ArrayLike, *, rate: float = 0.0, interpolate: bool = True) -> float:
    """Periods until the (discounted) sum of flows first comes back to 0; infinite if it never does.

    ``interpolate`` spreads a period's flow evenly over it; otherwise whole periods are counted.
    """
    amounts = _flows(flows)
    present = amounts * (1.0 + _rate(rate)) ** -np.arange(amounts.size)
    total = np.cumsum(present)
    reached = total >= -1e-12 * np.abs(present).max(initial=0.0)
    if not reached.any():
        return math.inf
    first = int(reached.argmax())
    if first == 0 or not interpolate:
        return float(first)
    return float(first - max(total[first], 0.0) / present[first])


def _annuity(rate: float, periods: float, growth: float) -> tuple[float, float]:
    """Discount rate net of growth, and the number of periods, checked."""
    if not periods >= 0.0:
        raise ParameterError(f"periods is a number of periods, 0 or more, got {periods}")
    return (1.0 + _rate(rate)) / (1.0 + _rate(growth, "growth")) - 1.0, float(periods)


def annuity_present_value(
    payment: float, rate: float, periods: float, *, due: bool = False, growth: float = 0.0
) -> float:
    """Value now of level (or growing) payments at each period's end, or start if ``due``.

    ``payment (1 - (1+rate)^-n)/rate``; infinite ``periods`` is the perpetuity ``payment/rate``. Of
    payments that grow, the first is ``payment``.
    """
    net, n = _annuity(rate, periods, growth)
    if math.isinf(n) and net <= 0.0:
        raise ParameterError("an endless stream needs a rate above its growth")
    # Close to 0 the difference quotient loses its digits; expm1 keeps them.
    factor = n if net == 0.0 else -math.expm1(-n * math.log1p(net)) / net
    factor *= 1.0 / (1.0 + growth)
    return payment * factor * (1.0 + rate if due else 1.0)


def annuity_future_value(
    payment: float, rate: float, periods: float, *, due: bool = False
) -> float:
    """Value after the last period of level payments, ``payment ((1+rate)^n - 1)/rate``."""
    if math.isinf(periods):
        raise ParameterError("an endless stream has no last period")
    return annuity_present_value(payment, rate, periods, due=due) * (1.0 + rate) ** periods


def annuity_payment(
    present_value: float, rate: float, periods: float, *, due: bool = False
) -> float:
    """Level payment that repays ``present_value``, at each period's end, or start if ``due``."""
    factor = annuity_present_value(1.0, rate, periods, due=due)
    if factor == 0.0:
        raise ParameterError("no payment repays anything in 0 periods; give at least one")
    return present_value / factor


def effective_rate(nominal: float, periods_per_year: float) -> float:
    """Annual effective rate of a nominal annual one, ``(1 + nominal/m)^m - 1``; m infinite: continuous."""
    if not periods_per_year > 0.0:
        raise ParameterError(f"periods_per_year must be above 0, got {periods_per_year}")
    if math.isinf(periods_per_year):
        return math.expm1(nominal)
    return math.expm1(periods_per_year * math.log1p(_rate(nominal / periods_per_year, "nominal")))
