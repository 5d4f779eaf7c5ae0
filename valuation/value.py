"""From drivers and deal terms to cash flows, and from cash flows to worth: arithmetic on draws.

No sampling, no files. Three conventions hold throughout.

*Time.* Quarter 0 is the day of close. Quarter ``q`` covers the months ``3(q-1)`` to ``3q`` after
close, and all that happens in it is paid at its end. Only what is paid at close (the outlay) falls
in quarter 0. A quarter's level of a monthly driver is the driver's mean over that quarter, by the
trapezoidal rule, so a driver that moves in straight lines is averaged exactly.

*Money.* bn of the deal's currency, positive towards the acquirer. Annual amounts contribute a quarter of themselves to
a quarter.

*Discounting.* Rates are annual and effective: a flow of quarter ``q`` is worth ``(1+r)^(-q/4)`` of
itself at close. The stake is discounted at ``deal.discount.stake_per_year``; every other component,
whether the deal calls it strategic or not, at ``deal.discount.strategic_per_year``, the acquirer's
own cost of capital. A rate that is given as an argument replaces both.

Draws stay paired: nothing here takes a mean over draws.
"""

from __future__ import annotations

import datetime as dt
import math
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from valuation import money
from valuation.currency import BN, spelled, unit_in
from valuation.errors import ParameterError, ValuationError
from valuation.forecast import happened
from valuation.models.memory import Memory, content
from valuation.schema import (
    COMPONENT,
    DEFINITION,
    DRAW,
    FRACTION,
    INDICATOR,
    MONTH,
    QUARTER,
    date_after,
    months_between,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from valuation.params import Deal

# Terms align by dim name as everything does, but carry no labels: matching labels takes longer than the arithmetic.
TermFunction = Callable[[xr.Dataset, "Deal"], xr.Variable]
TestFunction = Callable[[xr.Dataset, xr.DataArray, "Deal"], xr.DataArray]

YEARS = "years"
RATE_PER_YEAR = "fraction per year"
PER_YEAR = 4  # quarters


# Dates and quarters


def last_quarter(deal: Deal) -> int:
    """The number of the horizon's last quarter."""
    return round(PER_YEAR * deal.horizon_years)


def quarters(deal: Deal) -> xr.Variable:
    """Quarter numbers 0 .. 4 x horizon, dims ``(quarter)``."""
    return xr.Variable(QUARTER, np.arange(last_quarter(deal) + 1))


def by_quarter(monthly: xr.Variable, deal: Deal) -> xr.Variable:
    """Mean level of a monthly driver over each quarter, dims ``(..., quarter)``; 0 in quarter 0.

    ``monthly`` has every month from 0 to the deal's horizon.
    """
    level = monthly.transpose(..., MONTH)
    x, last = level.to_numpy(), 3 * last_quarter(deal)
    if x.shape[-1] != last + 1:
        raise ValuationError(f"a monthly driver has months 0 to {last}, got {x.shape[-1]} of them")
    mean = np.zeros((*x.shape[:-1], last // 3 + 1))
    with np.errstate(
        invalid="ignore"
    ):  # what is not finite is told by name once the flows are whole
        ends = x[..., :-1:3] + x[..., 3::3]
        mean[..., 1:] = (ends / 2 + x[..., 1::3] + x[..., 2::3]) / 3
    return xr.Variable((*level.dims[:-1], QUARTER), mean)


def within(deal: Deal, *, months: float) -> xr.Variable:
    """Part of each quarter that lies in the first ``months`` months, dims ``(quarter)``, 0 .. 1."""
    number = quarters(deal)
    return ((months - 3 * (number - 1)) / 3).clip(0, 1).where(number > 0, 0.0)


def spread(deal: Deal, *, months: float) -> xr.Variable:
    """Part of an amount that each quarter gets if it is spread evenly over ``months`` months.

    Sums to 1 if the months lie within the horizon; what lies beyond it is not counted.
    """
    if not months > 0:
        raise ParameterError(f"an amount is spread over more than 0 months, got {months}")
    return within(deal, months=months) * 3 / months


def _driver(drivers: xr.Dataset, name: str) -> xr.Variable:
    if name not in drivers:
        raise ValuationError(
            f"the drivers lack {name!r}; the value needs every driver that the forecast makes"
        )
    found = drivers[name].variable
    for read in _READ:
        read.append(name)
    return xr.Variable(found.dims, found.data)


# Names of the drivers that terms being valued have asked for.
_READ: list[list[str]] = []


def _months(deal: Deal, years: float) -> int:
    """Months of the quarter end at or after ``years`` years."""
    return 3 * math.ceil(PER_YEAR * years - 1e-9)


def sale_month(deal: Deal) -> int:
    """Month, at a quarter's end, at which the stake is sold."""
    return _months(deal, deal.stake.exit_years)


def date_of_exit(deal: Deal) -> dt.date:
    """The day on which the stake is sold: the end of :func:`sale_month`."""
    return date_after(deal.closed, sale_month(deal))


def _paid_at(amount: xr.Variable, deal: Deal, quarter: int) -> xr.Variable:
    """``amount`` in one quarter, 0 in all others."""
    return amount * (quarters(deal) == quarter)


# Terms: one component of the cash flows each


def outlay(drivers: xr.Dataset, deal: Deal) -> xr.Variable:
    """What the deal costs at close: minus equity and other payments, in quarter 0, bn."""
    total = deal.outlay.equity_bn + deal.outlay.other_bn
    return _paid_at(xr.Variable(DRAW, np.full(drivers.sizes[DRAW], -total)), deal, 0)


def stake(drivers: xr.Dataset, deal: Deal) -> xr.Variable:
    """Proceeds of selling the stake ``deal.stake.exit_years`` after close, bn.

    The driver ``stake_value`` is fraction x exit multiple x revenue x (1 - liquidity discount) at
    each month; its value at the exit month is received, and never less than nothing. An exit
    between two quarter ends is moved to the later one.
    """
    month = sale_month(deal)
    if not 0 < month <= 3 * last_quarter(deal):
        raise ParameterError(
            f"stake.exit_years is {deal.stake.exit_years}; it must be above 0 and at most"
            f" horizon_years, {deal.horizon_years}"
        )
    proceeds = _driver(drivers, "stake_value").isel({MONTH: month}).clip(min=0)
    return _paid_at(proceeds, deal, month // 3)


def data_services(drivers: xr.Dataset, deal: Deal) -> xr.Variable:
    """What the supply contract is worth to the acquirer against buying on the market, bn.

    While the contract runs (``deal.services.contract_years``), per year:

    - need = adoption share x the acquirer's spending: what it would buy from the target anyway;
    - saved = need x ``price_discount``: the need costs less than on the market;
    - wasted = (purchases - need), where positive: bought because of the contract floor, not needed;
    - delivered = services paid for at close (``prepaid_bn``, part of the outlay), taken to come
      on top of the floor and spread evenly over the contract. They are worth their price where
      needed: the part min(1, need / floor), the floor being the smaller of the fixed amount and
      the stated share of spending. A need above the floor uses all of them.

    The component is saved - wasted + delivered. Purchases beyond that are fair exchange: money for
    services of the same worth. After the contract ends both sides trade at market prices.
    """
    terms = deal.services
    spend = _driver(drivers, "acquirer_spend")
    need = _driver(drivers, "adoption_share") * spend
    floor = (terms.floor_share_of_spend * spend).clip(max=terms.floor_bn_per_year)
    # Without a floor (no minimum, or nothing spent) all that is prepaid counts as needed.
    needed = (need / floor.where(floor > 0, np.inf)).clip(max=1).where(floor > 0, 1.0)
    saved = need * _driver(drivers, "price_discount")
    wasted = (_driver(drivers, "purchases") - need).clip(min=0)
    months = 12 * terms.contract_years
    yearly = by_quarter(saved - wasted, deal) / PER_YEAR * within(deal, months=months)
    return yearly + terms.prepaid_bn * by_quarter(needed, deal) * spread(deal, months=months)


def talent(drivers: xr.Dataset, deal: Deal) -> xr.Variable:
    """What the retained people would have cost to hire elsewhere, bn.

    The pool is spread evenly over ``deal.talent.value_months``; each quarter earns the part of its
    share that belongs to people who are still there.
    """
    earned = by_quarter(_driver(drivers, "talent_retained"), deal)
    return (
        _driver(drivers, spelled("talent_pool_bn", deal.currency))
        * earned
        * spread(deal, months=deal.talent.value_months)
    )


def acquirer_revenue(deal: Deal, months: xr.Variable) -> xr.Variable:
    """Revenue of the acquirer, bn per year, ``months`` after close, as the deal file states it.

    The base grows at ``growth_per_year`` for five years from its date, then at
    ``growth_after_5_years``; both are annual and effective.
    """
    terms = deal.acquirer_revenue
    years = (months + months_between(terms.base_date, deal.closed)) / 12
    early = (1 + terms.growth_per_year) ** years.clip(max=5.0)
    late = (1 + terms.growth_after_5_years) ** (years - 5.0).clip(min=0.0)
    return terms.base_bn_per_year * early * late


def proximity(gap: xr.Variable, *, near_points: float) -> xr.Variable:
    """How much of being at the frontier is had at a ``gap`` of index points behind it, 0 .. 1.

    A logistic curve, since a lead of one point is not worth everything and a lag of one nothing:
    1/2 at ``near_points``, 0.88 level with the frontier, towards 1 in the lead, 0.12 at twice
    ``near_points``. Its scale is half of ``near_points``, so the deal states one number only.
    """
    if not near_points > 0:
        raise ParameterError(f"frontier.near_points must be above 0, got {near_points}")
    # tanh is the logistic curve without the overflow of exp at a hopeless gap
    return 0.5 * (1 - xr.ufuncs.tanh((gap - near_points) / near_points))


def capability(drivers: xr.Dataset, deal: Deal) -> xr.Variable:
    """Profit after tax from better models, as far as they are due to this deal, bn.

    Acquirer's revenue x uplift at the frontier x :func:`proximity` x share due to the deal x
    operating margin x (1 - tax rate). It starts at close: any lag is in the driver
    ``capability_gap``, which the forecast moves.
    """
    gap = _driver(drivers, "capability_gap")
    near = proximity(gap, near_points=deal.frontier.near_points)
    revenue = acquirer_revenue(deal, xr.Variable(MONTH, np.arange(gap.sizes[MONTH])))
    kept = deal.acquirer_revenue.operating_margin * (1 - deal.acquirer_revenue.tax_rate)
    return (
        _driver(drivers, "uplift_at_frontier")
        * _driver(drivers, "share_due_to_deal")
        * kept
        * by_quarter(revenue * near, deal)
        / PER_YEAR
    )


def denial(drivers: xr.Dataset, deal: Deal) -> xr.Variable:
    """Worth of keeping the target's work from rivals, bn.

    ``denial_bn`` is the whole harm to rivals, as worth to the acquirer, if every rival is shut
    out; it is spread evenly over ``deal.denial.years``. Only what the deal took from rivals counts:
    the fraction of their business that would be active had nobody minded the deal
    (``rivals_anyway``), less the fraction that is. A rival that would have left anyway loses
    nothing by it.
    """
    left = _driver(drivers, "rivals_anyway") - _driver(drivers, "rivals_active")
    denied = by_quarter(left.clip(min=0), deal)
    return (
        _driver(drivers, spelled("denial_bn", deal.currency))
        * denied
        * spread(deal, months=12 * deal.denial.years)
    )


def retention_pay(drivers: xr.Dataset, deal: Deal) -> xr.Variable:
    """Pay promised for staying: spread as the talent's worth is, paid to those who stay, bn."""
    staying = by_quarter(_driver(drivers, "talent_retained"), deal)
    return -(
        _driver(drivers, spelled("retention_pay_bn", deal.currency))
        * staying
        * spread(deal, months=deal.talent.value_months)
    )


def integration_cost(drivers: xr.Dataset, deal: Deal) -> xr.Variable:
    """Cost of joining the organizations, spread evenly over ``deal.integration.years``, bn."""
    return -_driver(drivers, spelled("integration_cost_bn", deal.currency)) * spread(
        deal, months=12 * deal.integration.years
    )


def regulation_cost(drivers: xr.Dataset, deal: Deal) -> xr.Variable:
    """Cost of a formal action, paid once, at the end of the quarter in which it opens, bn."""
    opened = _driver(drivers, "regulatory_action").cumsum(MONTH)
    at_end = (opened.isel({MONTH: slice(None, None, 3)}) > 0).astype(float)
    at_end = xr.Variable([QUARTER if d == MONTH else d for d in at_end.dims], at_end.data)
    before = at_end.shift({QUARTER: 1}, fill_value=0.0)
    return -_driver(drivers, spelled("regulation_cost_bn", deal.currency)) * (at_end - before)


TERMS: dict[str, TermFunction] = {
    "outlay": outlay,
    "stake": stake,
    "data_services": data_services,
    "talent": talent,
    "capability": capability,
    "denial": denial,
    "retention_pay": retention_pay,
    "integration_cost": integration_cost,
    "regulation_cost": regulation_cost,
}

COMPONENT_LABELS: dict[str, str] = {
    "outlay": "Outlay",
    "stake": "Sale of the stake",
    "data_services": "Data services",
    "talent": "Talent kept",
    "capability": "Better models",
    "denial": "Kept from rivals",
    "retention_pay": "Retention pay",
    "integration_cost": "Integration cost",
    "regulation_cost": "Regulatory action",
}


# Flows


def _known(names: Sequence[str], where: str) -> None:
    unknown = [name for name in names if name not in TERMS]
    if unknown:
        raise ParameterError(
            f"{where}: {', '.join(map(repr, unknown))} is no component;"
            f" the components are {', '.join(TERMS)}"
        )


def _finite[T: (xr.DataArray, xr.Variable)](values: T, name: str) -> T:
    """``values`` unchanged, or an error: xarray and pandas would skip a NaN without a word."""
    plain = values.to_numpy()
    if np.isfinite(plain.sum()):  # one pass, no copy; of infinities of both signs it is NaN
        return values
    bad = int((~np.isfinite(plain)).sum())
    if bad:
        raise ValuationError(
            f"{name}: {bad} of {values.size} values are not finite; look for the driver or the"
            " term that is missing or without bound"
        )
    return values


def components_of(deal: Deal) -> tuple[str, ...]:
    """Names of the components that the deal switches on, in the order of :data:`TERMS`."""
    switches = dict(deal.components)
    _known(list(switches), "components")
    _known(list(deal.strategic), "strategic")
    names = tuple(name for name in TERMS if switches.get(name, False))
    if not names:
        raise ParameterError("components: all are switched off; switch at least one on")
    return names


def cash_flows(drivers: xr.Dataset, deal: Deal) -> xr.DataArray:
    """Cash flows in bn, dims ``(draw, quarter, component)``, of the components switched on.

    The coordinate ``date`` (quarter) says when each quarter's flows are paid.

    Raises
    ------
    ParameterError
        The deal names an unknown component, or terms that cannot be met.
    ValuationError
        The drivers do not cover the deal's horizon, lack a variable, or give a value that is not
        finite.
    """
    names = components_of(deal)
    months = np.arange(3 * last_quarter(deal) + 1)
    if MONTH not in drivers.coords or not np.array_equal(drivers[MONTH], months):
        raise ValuationError(
            f"the drivers must give every month from 0 to {months[-1]}, the deal's horizon;"
            " forecast them for this deal"
        )
    stated = repr(deal)
    flows = [_flow(name, drivers, deal, stated) for name in names]
    sizes = {d: n for flow in flows for d, n in flow.sizes.items() if d not in (DRAW, QUARTER)}
    sizes |= {DRAW: drivers.sizes[DRAW], QUARTER: last_quarter(deal) + 1}
    dates = [date_after(deal.closed, 3 * q) for q in range(last_quarter(deal) + 1)]
    labels = {dim: drivers[dim].variable for dim in sizes if dim in drivers.coords}

    def joined() -> xr.DataArray:
        amounts = np.stack([flow.set_dims(sizes).transpose(*sizes).data for flow in flows])
        amounts.flags.writeable = False  # so that what followed from them once need not again
        return xr.DataArray(
            np.moveaxis(amounts, 0, -1),
            dims=(*sizes, COMPONENT),
            coords={
                **labels,
                QUARTER: quarters(deal),
                COMPONENT: np.array(names),
                "date": (QUARTER, np.array(dates, dtype="datetime64[ns]")),
            },
            attrs={"units": unit_in(BN, deal.currency), "label": "Cash flow to the acquirer"},
            name="cash_flow",
        )

    if not all(_fixed(flow.data) for flow in flows):
        return joined()
    told = [part for flow in flows for part in (flow.dims, flow.data)]
    key = content(stated, sizes, *((d, v.to_numpy()) for d, v in labels.items()), *told)
    if key not in _TABLES:
        _TABLES[key] = joined()
        while len(_TABLES) > TABLES_KEPT:
            _TABLES.popitem(last=False)
    return _TABLES[key]


# Tables of flows by all that they were made of, oldest out first: many states of an update pay the same.
_TABLES: OrderedDict[str, xr.DataArray] = OrderedDict()
# What followed from flows that cannot be written to, by their identity.
_AFTER: list[tuple[weakref.ref[xr.DataArray], dict[Any, Any]]] = []
TABLES_KEPT = 8


def _after[T](flows: xr.DataArray, key: Any, make: Callable[[], T]) -> T:
    """What ``make`` gives, remembered while the flows live if they cannot be written to."""
    if flows.variable.values.flags.writeable:
        return make()
    known = next((made for table, made in _AFTER if table() is flows), None)
    if known is None:
        known = {}
        alive = [(table, made) for table, made in _AFTER if table() is not None]
        _AFTER[:] = [*alive[1 - TABLES_KEPT :], (weakref.ref(flows), known)]
    if key not in known:
        known[key] = make()
    found: T = known[key]
    return found


# Flows of terms by all that they were made of, and by term and deal the drivers that it asked for.
FLOWS = Memory(limit_bytes=128 * 2**20)
_ASKED: dict[tuple[TermFunction, str], tuple[str, ...]] = {}
TERMS_KEPT = 512
CHEAP_BYTES = 2**20  # an array up to this size is read again sooner than most terms are made


def _flow(name: str, drivers: xr.Dataset, deal: Deal, stated: str) -> xr.Variable:
    """One component's flows, remembered by the deal (``stated``) and the content of the drivers that the term reads.

    What a term reads is seen, not declared; it may depend on the deal, not on the draws. Drivers that may still be
    written to are not worth telling apart.
    """
    term = TERMS[name]
    asked = _ASKED.get((term, stated))
    if asked is None or not all(n in drivers for n in asked):
        found = _made(name, drivers, deal, stated)
        asked = _ASKED[term, stated]
    else:
        found = None
    read = [drivers[n].variable for n in asked]
    if not all(v.nbytes <= CHEAP_BYTES or _fixed(v.data) for v in read):
        return _made(name, drivers, deal, stated) if found is None else found
    sizes = sorted((str(d), n) for d, n in drivers.sizes.items())
    key = content(name, term, stated, sizes, *(part for v in read for part in (v.dims, v.data)))

    def make() -> tuple[tuple[Any, ...], NDArray]:
        made = _made(name, drivers, deal, stated) if found is None else found
        return made.dims, made.to_numpy()

    return xr.Variable(*FLOWS.recall(key, make))


def _made(name: str, drivers: xr.Dataset, deal: Deal, stated: str) -> xr.Variable:
    _READ.append([])
    try:
        flow = _finite(TERMS[name](drivers, deal), f"component {name!r}")
    finally:
        read = _READ.pop()
    while len(_ASKED) >= TERMS_KEPT:
        _ASKED.pop(next(iter(_ASKED)))
    _ASKED[TERMS[name], stated] = tuple(dict.fromkeys(read))
    return flow


def _fixed(values: NDArray) -> bool:
    return not values.flags.writeable and values.base is None


def _total(flows: xr.DataArray) -> xr.DataArray:
    return flows.sum(COMPONENT, skipna=False) if COMPONENT in flows.dims else flows


def discount_rates(flows: xr.DataArray, deal: Deal) -> xr.DataArray:
    """Annual effective rate of each component of ``flows``, dims ``(component)``."""
    names, rates = flows[COMPONENT], deal.discount
    stake = names.to_numpy() == "stake"
    return names.copy(data=np.where(stake, rates.stake_per_year, rates.strategic_per_year))


def present_values(
    flows: xr.DataArray, deal: Deal, *, rate: float | xr.DataArray | None = None
) -> xr.DataArray:
    """Value at close of each component, bn, dims ``(draw, component)``.

    ``rate`` (annual, effective, above -1) replaces the deal's rates for all components.
    """
    annual = discount_rates(flows, deal) if rate is None else rate
    if not bool(np.all(np.asarray(annual) > -1)):
        raise ParameterError(f"a discount rate must be above -1, got {rate}")
    if isinstance(rate, xr.DataArray):
        worth = xr.dot(flows, (1 + annual) ** (-flows[QUARTER] / PER_YEAR), dim=QUARTER)
    else:
        worth = _discounted(flows, np.asarray(annual, dtype=float))
    worth = _finite(worth, "present value")
    worth.attrs = {"units": unit_in(BN, deal.currency), "label": "Present value at close"}
    return worth.rename("present_value")


def _discounted(flows: xr.DataArray, annual: NDArray) -> xr.DataArray:
    """Sum over quarters of flows at one rate for all components or one for each.

    Computed without labels, which cost more than the sum. Remembered: each definition of paying off discounts the
    same flows.
    """

    def summed() -> xr.DataArray:
        table = flows.transpose(..., QUARTER, COMPONENT)
        years = flows[QUARTER].to_numpy()[:, None] / PER_YEAR
        factor = np.broadcast_to((1 + annual) ** -years, table.shape[-2:])
        return xr.DataArray(
            np.einsum("...qc,qc->...c", table.to_numpy(), factor),
            dims=[dim for dim in table.dims if dim != QUARTER],
            coords={k: c for k, c in table.coords.items() if QUARTER not in c.dims},
        )

    return _after(flows, annual.tobytes(), summed).copy()


def npv(
    flows: xr.DataArray, deal: Deal, *, rate: float | xr.DataArray | None = None
) -> xr.DataArray:
    """Net present value at close, bn, dims ``(draw)``; see :func:`present_values`."""
    worth = present_values(flows, deal, rate=rate).sum(COMPONENT)
    worth.attrs = {"units": unit_in(BN, deal.currency), "label": "Net present value"}
    return worth.rename("npv")


def npv_financial(flows: xr.DataArray, deal: Deal) -> xr.DataArray:
    """Net present value without what no market prices (``deal.strategic``), bn, ``(draw)``."""
    priced = ~np.isin(flows[COMPONENT], list(deal.strategic))
    worth = present_values(flows, deal).isel({COMPONENT: priced}).sum(COMPONENT)
    worth.attrs = {
        "units": unit_in(BN, deal.currency),
        "label": "Net present value without strategic components",
    }
    return worth.rename("npv_financial")


def paid(flows: xr.DataArray, deal: Deal) -> xr.DataArray:
    """The outlay as a positive amount, bn: from the flows, or if switched off from the deal."""
    if "outlay" in flows[COMPONENT]:
        return -flows.sel({COMPONENT: "outlay"}, drop=True).sum(QUARTER, skipna=False)
    return xr.DataArray(deal.outlay.equity_bn + deal.outlay.other_bn)


def _returned(flows: xr.DataArray, deal: Deal, by: dt.date) -> xr.DataArray:
    """Undiscounted sum until ``by`` of all flows but the outlay, costs netted, bn."""
    if by < deal.closed:
        raise ParameterError(f"a return by {by} cannot be: the deal closed on {deal.closed}")
    due = sum(date_after(deal.closed, 3 * int(q)) <= by for q in flows[QUARTER].to_numpy())
    returned = flows.isel({QUARTER: slice(due)}).sum(QUARTER, skipna=False)
    return returned.isel({COMPONENT: flows[COMPONENT].to_numpy() != "outlay"}).sum(COMPONENT)


def moic(flows: xr.DataArray, deal: Deal, by: dt.date | None = None) -> xr.DataArray:
    """Multiple on invested capital by a date (the deal's if none is given), dims ``(draw)``.

    Undiscounted flows other than the outlay, costs netted, paid on or before the date, over the
    outlay. It is at least 1 exactly when the outlay has come back. A stake not yet sold counts
    nothing; a date beyond the horizon counts the whole horizon.
    """
    amount = paid(flows, deal)
    if not bool((amount > 0).all()):
        raise ValuationError("MOIC divides by the outlay, which must be above 0")
    ratio = _finite(_returned(flows, deal, by or deal.hurdle.moic_by) / amount, "MOIC")
    ratio.attrs = {"units": "x outlay", "label": "Multiple on invested capital"}
    return ratio.rename("moic")


def payback_years(flows: xr.DataArray) -> xr.DataArray:
    """Years until the undiscounted sum of all flows first reaches 0; infinite if it never does."""
    reached = _total(flows).cumsum(QUARTER) >= -1e-12
    first = flows[QUARTER].isel({QUARTER: reached.argmax(QUARTER)}, drop=True)
    years = (first / PER_YEAR).where(reached.any(QUARTER), np.inf)
    years = years.drop_vars([QUARTER, "date"], errors="ignore")
    years.attrs = {"units": YEARS, "label": "Payback time"}
    return years.rename("payback_years")


# Internal rate of return


def _rates_of_return(amounts: NDArray, years: NDArray) -> tuple[NDArray, NDArray]:
    """Rate of return and number of roots of each row of ``amounts`` (flows, times)."""
    scale = np.abs(amounts).max(axis=-1, keepdims=True, initial=0.0)
    flows = amounts / np.where(scale > 0, scale, 1.0)
    grid = money.log_grid(401)
    positive = money.worth(flows, years, grid) >= 0
    crossed = positive[:, :-1] != positive[:, 1:]
    count = crossed.sum(axis=-1)

    # Bisection in all rows at once; rows without exactly one crossing are overwritten below.
    cell = crossed.argmax(axis=-1)
    low, high = grid[cell], grid[cell + 1]
    start = positive[np.arange(len(flows)), cell]
    for _ in range(45):
        middle = (low + high) / 2
        same = ((flows * np.exp(-np.multiply.outer(middle, years))).sum(axis=-1) >= 0) == start
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    rate = np.expm1((low + high) / 2)

    # Descartes: flows that change sign once have one root at most. Only the others may hide two
    # roots in one cell, and only where the curve turns there.
    signs = _sign_changes(flows)
    unsure = np.flatnonzero(signs > 1)
    if unsure.size:
        inner = positive[unsure]
        rising = money.worth(-(flows[unsure] * years), years, grid) >= 0
        turns = (inner[:, :-1] == inner[:, 1:]) & (rising[:, :-1] != rising[:, 1:])
        turns &= inner[:, :-1] != rising[:, :-1]
        for row in unsure[turns.any(axis=-1)]:
            roots = money.roots(flows[row], years)
            count[row] = len(roots)
            rate[row] = roots[0] if len(roots) == 1 else np.nan

    lost = (count == 0) & ~positive.any(axis=-1)
    rate = np.where(count == 1, rate, np.where(lost, -1.0, np.nan))
    return rate, count


def _sign_changes(flows: NDArray) -> NDArray:
    """Changes of sign along each row, zeros left out."""
    sign = np.sign(flows)
    last = np.zeros(len(flows))
    changes = np.zeros(len(flows), dtype=int)
    for column in sign.T:
        changes += (column != 0) & (last != 0) & (column != last)
        last = np.where(column != 0, column, last)
    return changes


def irr(flows: xr.DataArray) -> xr.DataArray:
    """Internal rate of return of all components together, annual effective, dims ``(draw)``.

    Looked for between -99% and 1,000% a year.

    - One root: the rate.
    - Several roots: NaN, since no one of them is the answer; counted in ``attrs["several_roots"]``.
    - No root, worth less than nothing at every rate: -1, the outlay is lost; counted in
      ``attrs["total_loss"]``.
    - No root otherwise (no outlay to return on): NaN, counted in ``attrs["no_root"]``.

    A decision on a hurdle does not need the root: see :data:`PAYS_OFF`.
    """
    total = _finite(_total(flows), "cash flow").transpose(..., QUARTER)
    years = total[QUARTER].to_numpy() / PER_YEAR
    shape = total.shape[:-1]
    rows = total.to_numpy().reshape(-1, years.size)
    pieces = [_rates_of_return(rows[i : i + 4096], years) for i in range(0, len(rows), 4096)]
    rate = np.concatenate([piece[0] for piece in pieces])
    count = np.concatenate([piece[1] for piece in pieces])
    found = total.isel({QUARTER: 0}, drop=True).copy(data=rate.reshape(shape))
    found = found.drop_vars("date", errors="ignore")
    found.attrs = {
        "units": RATE_PER_YEAR,
        "label": "Internal rate of return",
        "several_roots": int((count > 1).sum()),
        "total_loss": int((rate == -1).sum()),
        "no_root": int(((count == 0) & (rate != -1)).sum()),
    }
    return found.rename("irr")


# What "pays off" may mean


def _npv_positive(drivers: xr.Dataset, flows: xr.DataArray, deal: Deal) -> xr.DataArray:
    return npv(flows, deal) > 0


def _npv_financial_positive(drivers: xr.Dataset, flows: xr.DataArray, deal: Deal) -> xr.DataArray:
    return npv_financial(flows, deal) > 0


def _stake_alone(drivers: xr.Dataset, flows: xr.DataArray, deal: Deal) -> xr.DataArray:
    stakes = present_values(flows, deal).isel({COMPONENT: np.isin(flows[COMPONENT], ["stake"])})
    return stakes.sum(COMPONENT) >= paid(flows, deal)


def _moic_reached(drivers: xr.Dataset, flows: xr.DataArray, deal: Deal) -> xr.DataArray:
    # Multiplied out, so that a price of nothing needs no division.
    return _returned(flows, deal, deal.hurdle.moic_by) >= deal.hurdle.moic * paid(flows, deal)


def _irr_reached(drivers: xr.Dataset, flows: xr.DataArray, deal: Deal) -> xr.DataArray:
    """For an outlay followed by returns, IRR >= h exactly when the NPV at h is at least 0.

    The NPV also decides where the flows change sign again and the rate is not unique.
    """
    return npv(flows, deal, rate=deal.hurdle.irr_per_year) >= 0


def _not_impaired(drivers: xr.Dataset, flows: xr.DataArray, deal: Deal) -> xr.DataArray:
    """Not written down in accounts of a day up to ``deal.impairment.by``."""
    months = _driver(drivers, "impairment").sizes[MONTH]
    if not deal.closed <= deal.impairment.by <= date_after(deal.closed, months - 1):
        raise ParameterError(
            f"impairment.by is {deal.impairment.by}; it must lie between the close,"
            f" {deal.closed}, and the end of the horizon, {date_after(deal.closed, months - 1)}"
        )
    spared = ~happened(drivers, "impairment", deal.impairment.by)
    return xr.DataArray(spared, dims=DRAW, coords={DRAW: drivers[DRAW].variable})


PAYS_OFF: dict[str, TestFunction] = {
    "npv": _npv_positive,
    "npv_financial": _npv_financial_positive,
    "stake_alone": _stake_alone,
    "moic": _moic_reached,
    "irr": _irr_reached,
    "no_impairment": _not_impaired,
}

# Those that depend on nothing but flows and terms.
OF_FLOWS = frozenset({"npv", "npv_financial", "stake_alone", "moic", "irr"})

LABELS: dict[str, str] = {
    "npv": "NPV above 0 with strategic value",
    "npv_financial": "NPV above 0 without strategic value",
    "stake_alone": "The stake alone recovers the outlay",
    "moic": "The outlay comes back in time, undiscounted",
    "irr": "The return reaches the hurdle rate",
    "no_impairment": "The stake is not written down",
}


def pays_off(drivers: xr.Dataset, flows: xr.DataArray, deal: Deal, definition: str) -> xr.DataArray:
    """Whether the deal pays off in each draw under one definition, bool, dims ``(draw)``."""
    if definition not in PAYS_OFF:
        raise ParameterError(
            f"{definition!r} is no definition of paying off; there are {', '.join(PAYS_OFF)}"
        )

    test = PAYS_OFF[definition]

    def made() -> xr.DataArray:
        return test(drivers, flows, deal).rename("pays_off")

    if definition not in OF_FLOWS:
        return made()
    # Holding the deal keeps its identity its own.
    return _after(flows, (test, id(deal)), lambda: (made(), deal))[0].copy()


def weights_of(drivers: xr.Dataset) -> xr.DataArray:
    """The weights of the draws, dims ``(draw)``, summing to 1; equal if the drivers carry none."""
    if "weight" in drivers:
        weight = _finite(drivers["weight"].astype(float), "weight")
        total = float(weight.sum())
        if bool((weight < 0).any()) or not total > 0:
            raise ValuationError("weights must not be negative and must not all be 0")
        return weight / total
    size = drivers.sizes[DRAW]
    return xr.full_like(drivers[DRAW], 1 / size, dtype=float)


def _verdicts(drivers: xr.Dataset, flows: xr.DataArray, deal: Deal) -> xr.DataArray:
    """Every definition of paying off, bool, dims ``(definition, draw)``."""
    tests = [pays_off(drivers, flows, deal, name).transpose(..., DRAW) for name in PAYS_OFF]
    if len({test.dims for test in tests}) > 1:
        tests = list(xr.broadcast(*tests))
    labels = {dim: tests[0][dim] for dim in tests[0].dims if dim in tests[0].coords}
    found = xr.DataArray(
        np.stack([test.to_numpy() for test in tests]),
        dims=(DEFINITION, *tests[0].dims),
        coords=labels | {DEFINITION: np.array(list(PAYS_OFF))},
    )
    found.attrs = {"units": INDICATOR, "label": "Pays off"}
    return found


# What :func:`value` computes, by name.
VALUES: dict[str, TestFunction] = {
    "npv": lambda drivers, flows, deal: npv(flows, deal),
    "npv_financial": lambda drivers, flows, deal: npv_financial(flows, deal),
    "moic": lambda drivers, flows, deal: moic(flows, deal),
    "irr": lambda drivers, flows, deal: irr(flows),
    "payback_years": lambda drivers, flows, deal: payback_years(flows),
    "present_value": lambda drivers, flows, deal: present_values(flows, deal),
    "pays_off": _verdicts,
}


def value(drivers: xr.Dataset, deal: Deal, *, only: Collection[str] | None = None) -> xr.Dataset:
    """All values of a deal, draw by draw, or ``only`` some of them: the search for rates of return takes the longest.

    Returns
    -------
    Dataset
        ``npv``, ``npv_financial`` [bn], ``moic`` [x outlay], ``irr`` [fraction per year; NaN as
        :func:`irr` says], ``payback_years`` [years, may be infinite], ``weight``, dims ``(draw)``;
        ``present_value`` [bn], dims ``(draw, component)``; ``pays_off`` [bool], dims
        ``(definition, draw)``. Every variable has ``units`` and ``label``. ``weight`` is always there.

    Raises
    ------
    ParameterError
        ``only`` names a value that there is not; lists those there are.
    """
    unknown = sorted(set(only or ()) - set(VALUES))
    if unknown:
        raise ParameterError(
            f"{', '.join(map(repr, unknown))} is no value; there are {', '.join(VALUES)}"
        )
    flows = cash_flows(drivers, deal)
    weight = weights_of(drivers)
    weight.attrs = {"units": FRACTION, "label": "Weight of the draw"}
    found = {
        name: make(drivers, flows, deal)
        for name, make in VALUES.items()
        if only is None or name in only
    }
    return xr.Dataset(found | {"weight": weight.rename("weight")}, attrs={"deal": deal.name})
