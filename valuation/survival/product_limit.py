"""Survival without a family: the product-limit estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd
import xarray as xr

from valuation.errors import DataError, ParameterError
from valuation.schema import CI_PROB, FRACTION
from valuation.survival.hazards import GROUP
from valuation.survival.reading import Columns, Lives, as_lives

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

TIME = "time"


def kaplan_meier(
    data: pd.DataFrame | Lives, *, ci_prob: float = CI_PROB, **columns: Unpack[Columns]
) -> xr.Dataset:
    """Product-limit estimate of survival at every observed time.

    ``S(t) = Π (1 - d/n)`` over event times up to t, with d events among n at risk (Kaplan and Meier
    1958, JASA 53, 457-481). A subject last seen at t is at risk at t; one that enters at t is not.
    Times of events must be known: windows are refused.

    Parameters
    ----------
    data
        A table, with its columns named as for :func:`valuation.survival.lives`, or what that has read.

    Returns
    -------
    Dataset
        Dims ``(time)``, or ``(group, time)`` where the table names groups: ``at_risk``, ``events``,
        ``censored`` (subjects), ``survival``, ``sd`` (Greenwood 1926) and the interval ``lower``,
        ``upper`` of log(-log S), which is the point itself where S is 0 or 1. Time 0 is included.
    """
    from scipy.special import ndtri

    lives = as_lives(data, columns)
    if (~lives.exact & ~lives.censored).any():
        raise DataError("events in windows have no product-limit estimate; fit a family instead")
    if lives.covariates or lives.conflict.any():
        raise DataError("the product-limit estimate takes groups, no covariates; leave them out")
    if not 0.0 < ci_prob < 1.0:
        raise ParameterError(f"ci_prob lies between 0 and 1, got {ci_prob:g}; 90% is 0.9")
    time = np.unique(np.append(lives.lower, 0.0))
    shape = (len(lives.groups), len(time))

    def counted(at: NDArray, which: NDArray) -> NDArray:
        """Subjects by group and by place in ``time``."""
        number = np.bincount(
            lives.group[which] * shape[1] + at[which],
            weights=lives.count[which],
            minlength=shape[0] * shape[1],
        )
        return number.reshape(shape)

    end = np.searchsorted(time, lives.lower)
    # Who goes as they come was never at risk.
    seen = (lives.lower > lives.entry) | (lives.entry == 0.0)
    events, censored = counted(end, lives.exact & seen), counted(end, lives.censored & seen)
    # Who enters at a time is at risk from the next one on; from the start, at once.
    late = lives.entry > 0.0
    begin = np.minimum(np.searchsorted(time, lives.entry, side="right"), shape[1] - 1)
    entered = np.cumsum(counted(np.where(late, begin, 0), seen), axis=-1)
    gone = np.cumsum(events + censored, axis=-1)
    risk = entered - gone + events + censored
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(risk > 0.0, events / risk, 0.0)
        s = np.cumprod(1.0 - share, axis=-1)
        term = np.where(events > 0.0, events / (risk * (risk - events)), 0.0)
        spread = np.sqrt(np.cumsum(term, axis=-1))  # of log S
        inner = (s > 0.0) & (s < 1.0)
        relative = np.where(inner, spread / np.abs(np.log(s)), 0.0)
    z = float(ndtri(0.5 + ci_prob / 2.0))
    with np.errstate(invalid="ignore", over="ignore"):
        lower = np.where(inner, s ** np.exp(z * relative), s)
        upper = np.where(inner, s ** np.exp(-z * relative), s)
        sd = np.where(s > 0.0, s * spread, 0.0)
    whole = {"at_risk": risk, "events": events, "censored": censored}
    parts: dict[str, Any] = {k: ((GROUP, TIME), v, {"units": "subjects"}) for k, v in whole.items()}
    for name, values in {"survival": s, "sd": sd, "lower": lower, "upper": upper}.items():
        parts[name] = ((GROUP, TIME), values, {"units": FRACTION})
    coords = {GROUP: list(lives.groups), TIME: (TIME, time, {"units": lives.unit})}
    found = xr.Dataset(parts, coords=coords, attrs={"unit": lives.unit, "ci_prob": ci_prob})
    return found if lives.grouped else found.isel({GROUP: 0}, drop=True)


def survival_at(estimate: xr.Dataset, times: ArrayLike) -> xr.DataArray:
    """The step function of :func:`kaplan_meier` at the given times; dims ``([group,] time)``.

    Refused beyond the last time at which anybody was at risk, where there is no estimate, unless
    everybody's event had come.
    """
    t = np.atleast_1d(np.asarray(times, dtype=float))
    if t.ndim != 1 or not np.isfinite(t).all() or (t < 0.0).any():
        raise ParameterError("times must be finite and not negative")
    known = estimate[TIME].to_numpy()
    last = estimate[TIME].where(estimate["at_risk"] > 0).max(TIME)
    ends = estimate["survival"].isel({TIME: -1})
    if bool(((last < t.max()) & (ends > 0.0)).any()):
        shortest = float(last.where(ends > 0.0).min())
        raise ParameterError(
            f"nobody was observed beyond {shortest:g} {estimate.attrs['unit']}; ask for times up to it"
        )
    place = np.searchsorted(known, t, side="right") - 1
    return estimate["survival"].isel({TIME: place}).assign_coords({TIME: t})


def quantile_time(estimate: xr.Dataset, q: float) -> xr.DataArray:
    """The first time by which a share ``q`` has had the event; infinite if it was never reached.

    Where survival stays at exactly ``1 - q`` for a while, the time at which that began.
    """
    if not 0.0 < q < 1.0:
        raise ParameterError(f"q lies between 0 and 1, got {q:g}")
    reached = estimate["survival"] <= 1.0 - q + 1e-12
    first = estimate[TIME].isel({TIME: reached.argmax(TIME)}, drop=True)
    time = first.drop_vars(TIME, errors="ignore").where(reached.any(TIME), np.inf)
    time.attrs = {"units": estimate.attrs["unit"]}
    return time.rename("time")


def median_time(estimate: xr.Dataset) -> xr.DataArray:
    """:func:`quantile_time` of one half; dims ``(group)`` where there are groups."""
    return quantile_time(estimate, 0.5)


def logrank(data: pd.DataFrame | Lives, **columns: Unpack[Columns]) -> tuple[float, float]:
    """Whether groups share one survival curve: the statistic and its p-value.

    ``(O - E)' V⁻ (O - E)``, chi-squared with one degree less than there are groups, each event time
    weighted alike (Mantel 1966; ties by the hypergeometric variance).
    """
    from scipy.special import chdtrc

    estimate = kaplan_meier(data, **columns)
    if GROUP not in estimate.dims or estimate.sizes[GROUP] < 2:
        raise DataError("a comparison needs two groups or more; name the group column")
    risk, events = (
        estimate[name].transpose(TIME, GROUP).to_numpy() for name in ("at_risk", "events")
    )
    n, d = risk.sum(axis=1), events.sum(axis=1)
    some = (d > 0) & (n > 1)
    share = risk[some] / n[some, None]
    excess: NDArray = (events[some] - d[some, None] * share).sum(axis=0)
    factor = d[some] * (n[some] - d[some]) / (n[some] - 1.0)
    variance = np.diag(factor @ share) - np.einsum("t,ti,tj->ij", factor, share, share)
    if not (factor > 0.0).any():
        raise DataError(
            "no event has others at risk, so groups cannot be compared; collect more data"
        )
    value = float(excess[:-1] @ np.linalg.pinv(variance[:-1, :-1]) @ excess[:-1])
    return value, float(chdtrc(len(excess) - 1, value))
