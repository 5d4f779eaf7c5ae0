"""What each thing that could be done from now on would bring: arithmetic on draws, no sampling.

An option changes what is still to come: the stake and what it is sold for, what is kept of every
other component, and what it costs. Its pay-off in a draw is the present value of all flows after
the decision date under that option::

    sum over components of  part kept x present value of the flows still to come
    + price of the stake given up (or less that of the stake bought)  -  cost

What was paid or received up to and on that date is the same under every option and is left out, so
that no choice depends on it. Values are at closing and rates are the deal's, as everywhere: a trade
of the stake is discounted at the rate of the stake, a cost at that of the other components.
Taxes on a gain or a loss from a trade are not counted. Where the deal (or a scenario) does not
count the stake at all, a trade of it is not counted either.

The price is that of the whole target on the decision date, in each future; see
:class:`valuation.params.deals.Price`. Draws stay paired: no mean is taken here, except in
:func:`terms_of`, whose job it is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from valuation import decision, value
from valuation.currency import BN, unit_in
from valuation.errors import ParameterError, ValuationError
from valuation.schema import COMPONENT, DRAW, MONTH, QUARTER, months_between

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from valuation.params import Deal
    from valuation.params.deals import Option, Price

OPTION = "option"


def on_day(path: xr.DataArray, deal: Deal, day: dt.date) -> NDArray:
    """A monthly driver on a day, straight between its months, shape ``(draw,)``."""
    month = months_between(deal.closed, day)
    values = path.transpose(DRAW, MONTH).to_numpy()
    if not 0 <= month <= values.shape[1] - 1:
        raise ValuationError(
            f"{day} is not within the {values.shape[1] - 1} months of the forecast that starts on "
            f"{deal.closed}; choose another day or lengthen the deal's horizon"
        )
    left = min(int(month), values.shape[1] - 2)
    part = month - left
    return np.asarray(values[:, left] * (1 - part) + values[:, left + 1] * part)


# --- what the whole target is taken to be worth ---------------------------------------------------

Worth = Callable[[xr.Dataset, "Deal", dt.date], "NDArray"]


def _fixed(drivers: xr.Dataset, deal: Deal, day: dt.date) -> NDArray:
    return np.ones(drivers.sizes[DRAW])


def _revenue(drivers: xr.Dataset, deal: Deal, day: dt.date) -> NDArray:
    return on_day(drivers["revenue"], deal, day)


def market(drivers: xr.Dataset, deal: Deal, day: dt.date) -> NDArray:
    """Revenue x the multiple of a day: the whole target, bn, shape ``(draw,)``."""
    return _revenue(drivers, deal, day) * on_day(drivers["exit_multiple"], deal, day)


def _holding(drivers: xr.Dataset, deal: Deal, day: dt.date) -> NDArray:
    return market(drivers, deal, day) * (1 - drivers["liquidity_discount"].to_numpy())


def _book(drivers: xr.Dataset, deal: Deal, day: dt.date) -> NDArray:
    whole = deal.impairment.carrying_bn / deal.stake.fraction
    return np.full(drivers.sizes[DRAW], whole)


BASES: Mapping[str, Worth] = {
    "amount": _fixed,
    "revenue": _revenue,
    "market": market,
    "holding": _holding,
    "book": _book,
}


BY_THE_BOOKS = "book"  # what the accounts state, not what a buyer and a seller agree on


# --- pay-offs -------------------------------------------------------------------------------------


def still_to_come(flows: xr.DataArray, deal: Deal, after: dt.date) -> xr.DataArray:
    """Present value at closing of what is paid after a day, bn, dims ``(draw, component)``."""
    late = flows["date"].to_numpy() > np.datetime64(after, "ns")
    return value.present_values(flows.isel({QUARTER: late}), deal)


def payoffs(
    drivers: xr.Dataset,
    flows: xr.DataArray,
    deal: Deal,
    *,
    day: dt.date,
    since: dt.date | None = None,
) -> xr.DataArray:
    """What each option of the deal would bring in each draw if it is taken on a day.

    Parameters
    ----------
    drivers, flows
        As :func:`valuation.value.cash_flows` takes and gives them.
    day
        The decision date.
    since
        Count what is paid after this earlier day instead, so that choices made on different days
        can be compared: up to ``day`` all goes on as it is.

    Returns
    -------
    DataArray
        Dims ``(draw, option)``, bn of the day of closing.

    Raises
    ------
    ParameterError
        The deal has fewer than two options, or the stake would be traded after it has been sold.
    """
    if len(deal.options) < 2:
        raise ParameterError(
            f"{deal.name} has {len(deal.options)} options; a choice needs two or more"
        )
    first = day if since is None else since
    if first > day:
        raise ParameterError(f"flows cannot count from {first}, after the decision on {day}")
    ahead = still_to_come(flows, deal, day)
    between = still_to_come(flows, deal, first).sum(COMPONENT) - ahead.sum(COMPONENT)
    columns = [
        between.to_numpy() + _payoff(option, name, ahead, drivers, deal, day)
        for name, option in deal.options.items()
    ]
    return xr.DataArray(
        np.stack(columns, axis=1),
        dims=(DRAW, OPTION),
        coords={DRAW: flows[DRAW].variable, OPTION: list(deal.options)},
        attrs={
            "units": unit_in(BN, deal.currency),
            "label": "Present value of what is still to come",
        },
        name="payoff",
    )


def _payoff(
    option: Option, name: str, ahead: xr.DataArray, drivers: xr.Dataset, deal: Deal, day: dt.date
) -> NDArray:
    total = np.zeros(ahead.sizes[DRAW])
    for component in ahead[COMPONENT].to_numpy():
        part = option.keep.get(str(component), 1.0)
        worth = ahead.sel({COMPONENT: component}).to_numpy()
        total = total + part * worth * (
            _scale(option, drivers, deal) if component == "stake" else 1.0
        )
    cost = option.cost_bn * _factor(deal.discount.strategic_per_year, deal, day)
    return total + trade(option, name, ahead, drivers, deal, day) - cost


def _factor(rate: float, deal: Deal, day: dt.date) -> float:
    """Worth at closing of one dollar on a day."""
    return float((1 + rate) ** (-months_between(deal.closed, day) / 12))


def _after(option: Option, deal: Deal) -> float:
    return deal.stake.fraction if option.stake_after is None else option.stake_after


def _scale(option: Option, drivers: xr.Dataset, deal: Deal) -> NDArray | float:
    """What the later sale of the stake brings under an option, over what it brings as it is."""
    if deal.stake.fraction == 0:
        return 1.0
    scale = _after(option, deal) / deal.stake.fraction
    return scale / (1 - drivers["liquidity_discount"].to_numpy()) if option.control else scale


def whole_price(price: Price, drivers: xr.Dataset, deal: Deal, day: dt.date) -> NDArray:
    """What the whole target is priced at on a day, premium included, bn then, ``(draw,)``."""
    basis = BASES[price.basis](drivers, deal, day)
    return np.asarray(basis * price.times * (1 + price.premium))


def trade(
    option: Option, name: str, ahead: xr.DataArray, drivers: xr.Dataset, deal: Deal, day: dt.date
) -> NDArray:
    """What an option receives for stake given up, less what it pays for stake bought, ``(draw,)``.

    bn of the day of closing.
    """
    nothing = np.zeros(ahead.sizes[DRAW])
    if option.price is None or "stake" not in ahead[COMPONENT]:
        return nothing
    sold = value.date_of_exit(deal)
    if day >= sold:
        raise ParameterError(
            f"options.{name} trades the stake on {day}, but it is sold on {sold}; move "
            "decision_date or stake.exit_years"
        )
    given = deal.stake.fraction - _after(option, deal)
    now = given * whole_price(option.price, drivers, deal, day)
    return nothing + now * _factor(deal.discount.stake_per_year, deal, day)


@dataclass(frozen=True)
class Terms:
    """At what worth of the whole target an option trades, on average over draws, bn then.

    Both are None where nothing is traded, and where the stake goes at what the books say: nobody asks or offers that as
    a price, and none would be better.

    Attributes
    ----------
    price
        As the option has it, premium included.
    indifferent
        The price that would leave it as good as doing nothing: buying is better below it, selling
        above it. None where only a price below nothing would.
    """

    price: float | None
    indifferent: float | None


def terms_of(
    drivers: xr.Dataset,
    flows: xr.DataArray,
    deal: Deal,
    weight: ArrayLike | None = None,
    *,
    day: dt.date,
) -> dict[str, Terms]:
    """The price of each option's trade, and the one at which it would not matter, by option."""
    ahead = still_to_come(flows, deal, day)
    plain = ahead.sum(COMPONENT).to_numpy()
    found: dict[str, Terms] = {}
    for name, option in deal.options.items():
        paid = trade(option, name, ahead, drivers, deal, day)
        if option.price is None or option.price.basis == BY_THE_BOOKS or not np.any(paid):
            found[name] = Terms(None, None)
            continue
        rest = _payoff(option, name, ahead, drivers, deal, day) - paid
        price = decision.mean(whole_price(option.price, drivers, deal, day), weight).value
        short = decision.mean(plain - rest, weight).value / decision.mean(paid, weight).value
        found[name] = Terms(price, price * short if short > 0 else None)
    return found
