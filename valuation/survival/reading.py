"""Life courses from a table: what is known of each subject's time to an event, read strictly.

A table may say it in three ways, each with its columns named:

- ``duration`` and ``event``: 1 if the event came exactly then, 0 if the subject was last seen without it;
- ``lower`` and ``upper``: the event came after ``lower`` and by ``upper``. Equal: exactly then. ``upper``
  infinite: not by ``lower`` (right-censored). ``lower`` 0: some time before ``upper`` (left-censored);
- ``duration`` and ``survivors``: how many of a cohort are left, from time 0 on.

Nothing is guessed, dropped or filled in: what cannot be read as meant is a :class:`DataError` that names
the rows, counted from 0 as ``frame.iloc`` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from valuation.errors import DataError
from valuation.schema import DAYS_PER_MONTH

Array = NDArray[np.float64]

MONTHS_PER: dict[str, float] = {
    "hours": 1.0 / (24.0 * DAYS_PER_MONTH),
    "days": 1.0 / DAYS_PER_MONTH,
    "weeks": 7.0 / DAYS_PER_MONTH,
    "months": 1.0,
    "years": 12.0,
}
LONGEST_YEARS = 100.0  # more than that is a slip of the unit
MISSING = "is missing; find the value or leave the row out yourself"
NAMED_ROWS = 5  # how many bad rows an error lists
EVERYBODY = "all"  # the group of subjects that are in none
LAYOUTS = ({"duration", "event"}, {"lower", "upper"}, {"duration", "survivors"})

# How a column's name or attribute may spell its unit.
_SPELLINGS = {
    word: unit
    for unit in MONTHS_PER
    for word in (unit, unit[:-1], {"weeks": "wks", "years": "yrs"}.get(unit, unit))
} | {"minutes": "minutes", "seconds": "seconds"}


class Columns(TypedDict, total=False):
    """The keywords of :func:`lives`, so that every fit takes a table as it is."""

    unit: str
    duration: str | None
    event: str | None
    lower: str | None
    upper: str | None
    survivors: str | None
    entry: str | None
    count: str | None
    group: str | None
    conflict: str | None
    covariates: Sequence[str]
    entity: str | None


@dataclass(frozen=True)
class Lives:
    """Life courses, equal ones counted together; all arrays have one value a row.

    Attributes
    ----------
    unit
        Of all times, one of :data:`MONTHS_PER`.
    groups
        Labels in alphabetical order; ``("all",)`` if the table names none.
    grouped
        Whether the table names groups.
    covariates
        Names of the columns of ``design``.
    group
        Position in ``groups``.
    conflict
        1 where the subject has a conflict (see :mod:`valuation.models.churn`), else 0.
    design
        Shape ``(row, covariate)``.
    entry
        Under observation since this time; 0 if from the start.
    lower, upper
        The event came after ``lower`` and by ``upper``; exactly then if they are equal; ``upper`` is
        infinite if it had not come by ``lower``.
    count
        How many subjects.
    """

    unit: str
    groups: tuple[str, ...]
    grouped: bool
    covariates: tuple[str, ...]
    group: NDArray[np.intp]
    conflict: Array
    design: Array
    entry: Array
    lower: Array
    upper: Array
    count: Array

    @property
    def exact(self) -> NDArray[np.bool_]:
        """Where the time of the event is known."""
        return self.lower == self.upper

    @property
    def censored(self) -> NDArray[np.bool_]:
        """Where the event had not come when the subject was last seen."""
        return np.isinf(self.upper)

    @property
    def events(self) -> float:
        """How many events there were."""
        return float(self.count[~self.censored].sum())

    @property
    def months_per_unit(self) -> float:
        return MONTHS_PER[self.unit]


def lives(
    frame: pd.DataFrame,
    *,
    unit: str,
    duration: str | None = None,
    event: str | None = None,
    lower: str | None = None,
    upper: str | None = None,
    survivors: str | None = None,
    entry: str | None = None,
    count: str | None = None,
    group: str | None = None,
    conflict: str | None = None,
    covariates: Sequence[str] = (),
    entity: str | None = None,
) -> Lives:
    """Read a table of life courses; every argument but ``unit`` names a column.

    Parameters
    ----------
    unit
        Of the times: ``hours``, ``days``, ``weeks``, ``months`` or ``years``. A column whose name says another unit
        is refused, and so is a time beyond a hundred years.
    duration, event
        Time to the event, or to the last sighting, and 1 or 0 (or True or False) accordingly.
    lower, upper
        Instead of those: the window in which the event came.
    survivors
        Instead of ``event``: how many are left at each ``duration``. Each cohort starts at 0.
    entry
        Under observation only since this time: what happens to a subject counts given that it got there.
    count
        How many subjects a row stands for, whole; 1 if not given.
    group
        Cohort or segment, any label.
    conflict
        1 for a customer that competes with the new owner, else 0.
    covariates
        Numbers that raise or lower the hazard in proportion.
    entity
        Name of the subject; one row each, so that nobody counts twice.

    Raises
    ------
    DataError
        Lists every problem with column, rows and remedy.
    """
    given = _named(
        {
            "duration": duration,
            "event": event,
            "lower": lower,
            "upper": upper,
            "survivors": survivors,
        }
    )
    others = _named(
        {"entry": entry, "count": count, "group": group, "conflict": conflict, "entity": entity}
    )
    _refuse_unreadable(frame, unit, given, others, covariates)
    problems: list[str] = []
    times = {
        name: _times(frame, column, unit, problems, endless=name == "upper")
        for name, column in (given | others).items()
        if name in ("duration", "lower", "upper", "entry")
    }
    size = len(frame)
    if event is not None:
        happened = _indicator(frame, event, problems, "it happened", "it had not been seen to")
        low = times["duration"]
        high = np.where(happened == 1.0, low, np.inf)
    elif survivors is not None:
        low, high = times["duration"], np.full(size, np.inf)
    else:
        low, high = times["lower"], times["upper"]
        _tell(problems, lower, low > high, "lies after the upper end; swap the two")
    began = times.get("entry", np.zeros(size))
    if entry is not None:
        with np.errstate(invalid="ignore"):
            _tell(
                problems,
                entry,
                (began > low) | (began >= high),
                "is not before the end of observation; correct it, or leave the row out",
            )
    number = np.ones(size)
    for name in (count, survivors):
        if name is not None:
            number = _numbers(frame, name, problems)
            _tell(
                problems,
                name,
                (number < 0.0) | (number != np.round(number)),
                "must be a whole number, 0 or more; give counts, not shares",
            )
    labels = np.full(size, EVERYBODY)
    if group is not None:
        _tell(problems, group, frame[group].isna().to_numpy(), "is missing; name the group")
        labels = frame[group].astype(str).to_numpy(dtype=str)
    competes = np.zeros(size)
    if conflict is not None:
        competes = _indicator(frame, conflict, problems, "there is a conflict", "there is none")
    alike = pd.DataFrame({"label": labels, "conflict": competes})
    for i, column in enumerate(covariates):
        alike[f"x{i}"] = _numbers(frame, column, problems)
    if entity is not None:
        _tell(problems, entity, frame[entity].isna().to_numpy(), "is missing; name the subject")
        twice = frame[entity].duplicated(keep=False).to_numpy()
        _tell(problems, entity, twice, "occurs more than once; keep the last row of each subject")
    if problems:
        raise DataError(problems)

    if survivors is not None:
        table = _departures(alike, low, number, survivors)
    else:
        table = alike.assign(entry=began, lower=low, upper=high, count=number)
    return _counted(table, unit, covariates, grouped=group is not None)


def _named(columns: Mapping[str, str | None]) -> dict[str, str]:
    """The columns that were named."""
    return {name: column for name, column in columns.items() if column is not None}


def _refuse_unreadable(
    frame: pd.DataFrame,
    unit: str,
    given: Mapping[str, str],
    others: Mapping[str, str],
    covariates: Sequence[str],
) -> None:
    """Refuse what cannot be read as a table of life courses at all, before any cell is looked at."""
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"expected a DataFrame, got {type(frame).__name__}; give one row a subject")
    if unit not in MONTHS_PER:
        raise DataError(f"unit {unit!r} is not known; give one of {', '.join(MONTHS_PER)}")
    if set(given) not in LAYOUTS:
        raise DataError(
            "name the columns duration and event, or lower and upper, or duration and survivors;"
            f" got {', '.join(given) or 'none of them'}"
        )
    if "survivors" in given and others.keys() & {"entry", "count", "entity"}:
        raise DataError("a table of survivors takes no entry, count or entity column; leave it out")
    if isinstance(covariates, str):
        raise DataError(f"covariates is a list of columns; write [{covariates!r}]")
    wanted = [*given.values(), *others.values(), *covariates]
    missing = [c for c in dict.fromkeys(wanted) if list(frame.columns).count(c) != 1]
    if missing:
        raise DataError(
            f"no single column named {', '.join(repr(c) for c in missing)};"
            f" the table has {', '.join(repr(str(c)) for c in frame.columns)}"
        )
    if frame.empty:
        raise DataError("the table has no rows; give at least one subject")


def _counted(table: pd.DataFrame, unit: str, covariates: Sequence[str], *, grouped: bool) -> Lives:
    """Rows that say the same as one row with their count."""
    keys = [name for name in table.columns if name != "count"]
    table = table.groupby(keys, as_index=False, sort=True)["count"].sum()
    table = table[table["count"] > 0]
    if table.empty:
        raise DataError("every count is 0; give at least one subject")
    names, position = np.unique(table["label"].to_numpy(dtype=str), return_inverse=True)
    return Lives(
        unit=unit,
        groups=tuple(str(name) for name in names),
        grouped=grouped,
        covariates=tuple(covariates),
        group=position,
        conflict=table["conflict"].to_numpy(float),
        design=table[[f"x{i}" for i in range(len(covariates))]].to_numpy(float),
        entry=table["entry"].to_numpy(float),
        lower=table["lower"].to_numpy(float),
        upper=table["upper"].to_numpy(float),
        count=table["count"].to_numpy(float),
    )


def as_lives(data: pd.DataFrame | Lives, columns: Columns) -> Lives:
    """``data`` if it has been read, else what :func:`lives` reads from it."""
    if isinstance(data, Lives):
        if columns:
            raise DataError(
                f"the table has been read; leave out {', '.join(sorted(columns))}, or give the DataFrame"
            )
        return data
    if "unit" not in columns:
        raise DataError(f"unit is required; give one of {', '.join(MONTHS_PER)}")
    return lives(data, **columns)


def _departures(alike: pd.DataFrame, time: Array, left: Array, name: str) -> pd.DataFrame:
    """Who went between two counts of one cohort, and who is left at the last.

    Rows of one cohort are those that are ``alike``.
    """
    keys = list(alike.columns)
    frame = alike.assign(time=time, left=left, row=np.arange(len(time)))
    rows: list[dict[str, object]] = []
    problems: list[str] = []
    for key, cohort in frame.groupby(keys, sort=True):
        ordered = cohort.sort_values("time")
        t, n = ordered["time"].to_numpy(float), ordered["left"].to_numpy(float)
        at = ordered["row"].tolist()
        if t[0] != 0.0:
            problems.append(
                f"cohort {key[0]!r} starts at {t[0]:g} (row {at[0]}); add the row of time 0, its size"
            )
        same, rises = np.flatnonzero(np.diff(t) == 0.0), np.flatnonzero(np.diff(n) > 0.0)
        problems += [f"{name!r}: two rows of cohort {key[0]!r} at {t[i]:g}" for i in same]
        problems += [
            f"{name!r} rises from {n[i]:g} to {n[i + 1]:g} in row {at[i + 1]}; survivors of a cohort only fall"
            for i in rises
        ]
        known = dict(zip(keys, key, strict=True)) | {"entry": 0.0}
        ends = zip(t[:-1], t[1:], n[:-1] - n[1:], strict=True)
        rows += [known | {"lower": a, "upper": b, "count": gone} for a, b, gone in ends]
        rows.append(known | {"lower": t[-1], "upper": np.inf, "count": n[-1]})
    if problems:
        raise DataError(problems)
    return pd.DataFrame(rows)


def _tell(problems: list[str], column: str | None, bad: NDArray[np.bool_], remedy: str) -> None:
    """Note that a column is wrong in some rows."""
    if not bad.any():
        return
    rows = np.flatnonzero(bad).tolist()
    listed = ", ".join(str(row) for row in rows[:NAMED_ROWS])
    more = f" and {len(rows) - NAMED_ROWS} more" if len(rows) > NAMED_ROWS else ""
    problems.append(
        f"column {column!r}, row{'s' if len(rows) > 1 else ''} {listed}{more} (counted from 0): {remedy}"
    )


def _numbers(
    frame: pd.DataFrame, name: str, problems: list[str], *, endless: bool = False
) -> Array:
    """A column of finite numbers; anything else is a problem, never a conversion."""
    column = frame[name]
    if column.dtype.kind in "mM":
        problems.append(
            f"column {name!r} holds {column.dtype}; divide time spans by pd.Timedelta(days=1) and say"
            " unit='days'"
        )
        return np.zeros(len(frame))
    missing = column.isna().to_numpy()
    if column.dtype.kind not in "iufb":
        text = np.array([not isinstance(value, Real) for value in column]) & ~missing
        _tell(problems, name, text, "is not a number; give numbers")
        _tell(problems, name, missing, MISSING)
        if not (text.any() or missing.any()):
            problems.append(f"column {name!r} holds {column.dtype}; convert it to numbers")
        return np.zeros(len(frame))
    values = column.to_numpy(dtype=float, na_value=np.nan)
    _tell(problems, name, missing, MISSING)
    wild = np.isneginf(values) | (np.isposinf(values) & (not endless))
    _tell(problems, name, wild, "is infinite; give a finite number")
    return np.asarray(np.where(missing | wild, 0.0, values))


def _times(
    frame: pd.DataFrame, name: str, unit: str, problems: list[str], *, endless: bool
) -> Array:
    said = str(frame[name].attrs.get("units", "")).lower()
    words = {said, *re.split(r"[^a-z]+", str(name).lower())}
    other = {_SPELLINGS[word] for word in words if word in _SPELLINGS} - {unit}
    if other:
        problems.append(
            f"column {name!r} says {', '.join(sorted(other))}, but unit={unit!r}; convert it, or state"
            " its unit"
        )
    if frame[name].dtype.kind == "b":
        problems.append(f"column {name!r} holds True and False; give times in {unit}")
    values = _numbers(frame, name, problems, endless=endless)
    _tell(problems, name, values < 0.0, "is negative; a time counts from the start, 0 or more")
    most = LONGEST_YEARS * 12.0 / MONTHS_PER[unit]
    _tell(
        problems,
        name,
        np.isfinite(values) & (values > most),
        f"is beyond {most:,.0f} {unit}, a hundred years; is it in another unit?",
    )
    return values


def _indicator(frame: pd.DataFrame, name: str, problems: list[str], yes: str, no: str) -> Array:
    before = len(problems)
    values = _numbers(frame, name, problems)
    if len(problems) == before:
        bad = (values != 0.0) & (values != 1.0)
        found = ", ".join(f"{value:g}" for value in np.unique(values)[:NAMED_ROWS])
        _tell(
            problems,
            name,
            bad,
            f"is neither 0 nor 1 (the column holds {found}); write 1 where {yes} and 0 where {no},"
            f" for instance frame[{name!r}] == {np.max(values):g}",
        )
    return values
