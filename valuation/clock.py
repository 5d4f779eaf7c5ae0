"""The calendar, read in one place: what is judged by the day on which it is made asks here.

No number of an answer, no digest and no key of a store depends on it: an answer is a function of its evidence. What is
told beside it does: how old the evidence is, what waits for an outcome, whether a row is dated ahead.
"""

from __future__ import annotations

import datetime as dt


def today() -> dt.date:
    """The present day where the command runs."""
    return dt.date.today()


def now() -> dt.datetime:
    """The present in UTC."""
    return dt.datetime.now(dt.UTC)


def moment() -> str:
    """The present in UTC, ISO, to the second: when results were asked for."""
    return now().isoformat(timespec="seconds")
