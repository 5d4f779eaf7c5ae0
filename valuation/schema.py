"""Names that travel: dims, units, interval mass, and the records that layers share.

Nothing here computes. A dim or a unit that two modules must agree on is spelled once, here.
"""

from __future__ import annotations

import calendar
import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# Dimensions.
CHAIN = "chain"
DRAW = "draw"
MONTH = "month"
QUARTER = "quarter"
COMPONENT = "component"
SCENARIO = "scenario"
DEFINITION = "definition"
PERSON = "person"
CUSTOMER = "customer"
EVENT = "event"
ROW = "row"

# Sampling. Fixed here because PyMC's defaults follow the machine's core count.
CHAINS = 4
DRAWS = 1000
TUNE = 1000
TARGET_ACCEPT = 0.95

# Mass of intervals, equal-tailed. Fixed here because ArviZ's defaults move between releases.
CI_PROB = 0.90
TAIL = (1.0 - CI_PROB) / 2.0  # what lies beyond on either side

# Units, as they appear in ``attrs["units"]``; those of money are in :mod:`valuation.currency`.
FRACTION = "fraction"
INDEX_POINTS = "index points"
MONTHS = "months"
MULTIPLE = "x revenue"
INDICATOR = "0 or 1"

DAYS_PER_MONTH = 365.25 / 12


def finite(value: float | None) -> float | None:
    """A number that JSON can hold; None for what is missing, infinite or no number."""
    return float(value) if value is not None and math.isfinite(value) else None


def months_between(start: dt.date, end: dt.date) -> float:
    """Months from ``start`` to ``end``, a month being 365.25/12 days; negative if reversed."""
    return (end - start).days / DAYS_PER_MONTH


def date_after(start: dt.date, months: int) -> dt.date:
    """The same day of the month ``months`` calendar months later; a missing day is the last one."""
    year, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + year, month + 1
    return dt.date(year, month, min(start.day, calendar.monthrange(year, month)[1]))


@dataclass(frozen=True)
class Kind:
    """What a row of one evidence kind must look like; its likelihood lives beside its model.

    Attributes
    ----------
    name
        As written in the ``kind`` column.
    model
        The sub-model whose likelihood reads it.
    roster
        Which roster its ``subject`` must be in: ``people``, ``customers``, ``vendors`` or ``entities``.
    about
        The role that its subject has in that roster (``target``, ``acquirer``, ``rival``, ``regulator``), as its
        likelihood reads no name; empty for rosters of people and customers, which tell them apart.
    unit
        The only unit a row may state; empty if the kind takes no value. Money carries the currency of the deal
        (``EUR bn``) where rows are read, and none (``bn``) where it is not known.
    meaning
        One sentence: what ``value`` and ``sd`` say.
    check
        ``(value, sd) -> problem or None``; the remedy is in the sentence. Missing numbers are None.
    measured
        Whether a row states the error of its value, ``sd``.
    density
        Whether its likelihood is a density on the scale of ``sd``, rather than a probability.
    ahead
        Whether a row may be published before its event: an ending announced for a later day. Other kinds
        report what has happened.
    stands
        Of a kind about something that ends once and for all, ``value -> `` whether the row says that it stands
        still; None for kinds that say nothing of the sort.
    within
        Of a kind about an end that comes once, ``value -> `` the months before ``event_date`` within which the row
        says that it came, 0 for that day itself; None for kinds whose event may come again.
    """

    name: str
    model: str
    roster: str
    unit: str
    meaning: str
    check: Callable[[float | None, float | None], str | None]
    measured: bool = False
    density: bool = False
    about: str = ""
    ahead: bool = False
    stands: Callable[[float | None], bool] | None = None
    within: Callable[[float | None], float] | None = None


Kinds = Mapping[str, Kind]
