"""What a coming disclosure would say in each draw, if that draw were the truth.

A deal lists disclosures (:class:`valuation.params.deals.Disclosure`): news with a date, of which
each datum is an event that questions ask about (:data:`valuation.questions.EVENTS`), told as yes
or no, or a figure (:data:`FIGURES`) with the error of its kind of evidence: normal on the scale on
which a row of the ledger states its ``sd``. As there, a report is true with the probability of
its grade; if it is not, it says what it could have said in any other draw, which tells nothing.

Nothing here decides; what such a figure is worth is for :mod:`valuation.information`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from valuation import options, questions
from valuation.currency import BN, BN_PER_YEAR, unit_in
from valuation.errors import ModelError, ParameterError, ValuationError
from valuation.models import KINDS
from valuation.models.joint import keyed_rng
from valuation.schema import (
    DRAW,
    FRACTION,
    INDEX_POINTS,
    INDICATOR,
    MONTH,
    months_between,
)

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike, NDArray

    from valuation.params import Deal
    from valuation.params.deals import Datum, Disclosure


# --- figures --------------------------------------------------------------------------------------

Truth = Callable[["xr.Dataset", "Deal", dt.date], "NDArray"]


@dataclass(frozen=True)
class Scale:
    """Where an error is normal: there and back."""

    there: Callable[[NDArray], NDArray]
    back: Callable[[NDArray], NDArray]


@dataclass(frozen=True)
class Figure:
    """A number that may be disclosed.

    Attributes
    ----------
    truth
        Its value in each draw on a day, ``(draw,)``.
    scale
        Name of the scale on which its error is normal, in :data:`SCALES`.
    unit, label
        As results show them.
    """

    truth: Truth
    scale: str
    unit: str
    label: str


def _logit(share: NDArray) -> NDArray:
    inside = np.clip(share, 1e-9, 1 - 1e-9)
    return np.log(inside / (1 - inside))


SCALES: Mapping[str, Scale] = {
    "points": Scale(lambda x: x, lambda x: x),
    "log": Scale(lambda x: np.log(np.maximum(x, 1e-9)), np.exp),
    "logit": Scale(_logit, lambda x: 1 / (1 + np.exp(-x))),
}


def _revenue(drivers: xr.Dataset, deal: Deal, day: dt.date) -> NDArray:
    """Of the calendar year that ends on that day."""
    if (day.month, day.day) != (12, 31):
        raise ModelError(f"revenue is that of a calendar year, and {day} is not the end of one")
    return questions.year_revenue(drivers, day.year)


def _gap(drivers: xr.Dataset, deal: Deal, day: dt.date) -> NDArray:
    return options.on_day(drivers["capability_gap"], deal, day)


def _purchases(drivers: xr.Dataset, deal: Deal, day: dt.date) -> NDArray:
    """Mean of the twelve months up to that day, or of the months since closing if fewer."""
    last = int(months_between(deal.closed, day))
    return drivers["purchases"].isel({MONTH: slice(max(0, last - 11), last + 1)}).mean(MONTH).data


FIGURES: Mapping[str, Figure] = {
    "revenue": Figure(_revenue, "log", BN, "Revenue of the year"),
    "run_rate": Figure(
        lambda drivers, deal, day: options.on_day(drivers["revenue"], deal, day),
        "log",
        BN_PER_YEAR,
        "Revenue of the target",
    ),
    "index_gap": Figure(_gap, "points", INDEX_POINTS, "Gap to the frontier"),
    "lab_rank": Figure(
        lambda drivers, deal, day: questions.lab_rank(drivers, _gap(drivers, deal, day)),
        "log",
        "rank",
        "Rank among labs",
    ),
    "vendor_share": Figure(
        lambda drivers, deal, day: options.on_day(drivers["adoption_share"], deal, day),
        "logit",
        FRACTION,
        "Target's share of data spending",
    ),
    # No kind of evidence reads these two yet; their error is relative, as that of other money is.
    "purchases": Figure(_purchases, "log", BN_PER_YEAR, "Purchases from the target"),
    "whole_value": Figure(options.market, "log", BN, "Price of the whole target"),
}


# --- data -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """A datum in each draw.

    Attributes
    ----------
    exact, told
        What is so, and what will be reported, ``(draw,)``; an event is 0 or 1.
    unit, label
        As results show them.
    """

    exact: NDArray
    told: NDArray
    unit: str
    label: str


def said(
    name: str,
    news: Disclosure,
    drivers: xr.Dataset,
    deal: Deal,
    weight: ArrayLike,
    *,
    truth: float,
    random_seed: int,
) -> tuple[Said, ...]:
    """What a disclosure will report in each draw, one :class:`Said` for each datum.

    Parameters
    ----------
    drivers
        As of :func:`valuation.forecast.asked`.
    weight
        Of the draws; what an untrue report says comes from draws by their weight.
    truth
        Probability that the report is true; all its data are, or none.

    Raises
    ------
    ParameterError
        If a datum names neither an event nor a figure, or its error is none for its kind; with the
        key in the deal file.
    ModelError
        If its subject is not known on this date, or the forecast does not reach its day.
    """
    if not 0 <= truth <= 1:
        raise ParameterError(f"the probability of a true report is 0 to 1, got {truth}")
    n = drivers.sizes[DRAW]
    rng = keyed_rng(random_seed, f"disclosure {name}")
    share = np.asarray(weight, dtype=float)
    # An untrue report is that of another future as a whole.
    other = rng.choice(n, size=n, p=share / share.sum())
    origin = np.where(rng.random(n) < truth, np.arange(n), other)
    found = []
    for index, datum in enumerate(news.data):
        where = f"disclosures.{name}.data[{index}]"
        exact, unit, label = _exact(datum, where, drivers, deal)
        seen = exact
        if datum.about in FIGURES:
            scale = SCALES[FIGURES[datum.about].scale]
            error = float(datum.sd or 0.0) * rng.standard_normal(n)
            seen = scale.back(scale.there(exact) + error)
        found.append(Said(exact, seen[origin], unit, label))
    return tuple(found)


def _exact(datum: Datum, where: str, drivers: xr.Dataset, deal: Deal) -> tuple[NDArray, str, str]:
    if datum.about in FIGURES:
        return _figure(datum, where, drivers, deal)
    if datum.about not in questions.EVENTS:
        raise ParameterError(
            f"{where}.about: {datum.about!r} is neither an event ({', '.join(questions.EVENTS)}) "
            f"nor a figure ({', '.join(FIGURES)})"
        )
    if datum.sd is not None:
        raise ParameterError(f"{where}.sd: an event is told as yes or no; leave sd out")
    question = questions.Question(
        id=where,
        question=datum.about,
        opens=deal.closed,
        closes=datum.day,
        event=datum.about,
        subject=datum.subject or None,
        threshold=None if datum.threshold is None else f"{datum.threshold:g}",
    )
    happens = questions.happens(drivers, question).astype(float)
    return happens, INDICATOR, datum.about.replace("_", " ")


def _figure(datum: Datum, where: str, drivers: xr.Dataset, deal: Deal) -> tuple[NDArray, str, str]:
    figure = FIGURES[datum.about]
    if datum.sd is None:
        raise ParameterError(f"{where}.sd: a figure has an error; say how large it is")
    try:
        exact = np.asarray(figure.truth(drivers, deal, datum.day), dtype=float)
    except (ModelError, ValuationError) as error:
        raise ModelError(f"{where}: {error}") from None
    if kind := KINDS.get(datum.about):
        middle = float(np.median(exact))
        if problem := kind.check(round(middle) if figure.unit == "rank" else middle, datum.sd):
            raise ParameterError(f"{where}.sd: {datum.sd:g}: {problem}")
    return exact, unit_in(figure.unit, deal.currency), figure.label
