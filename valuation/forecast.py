"""From parameters to drivers: events and monthly paths over the horizon, draw by draw.

Draw *i* of every driver belongs to draw *i* of every other and of the parameters. Each subject's random numbers are
keyed by its name (:func:`valuation.models.joint.keyed_rng`), so two forecasts that differ in one row of the ledger,
one prior or one intervention differ because of it and not because of the dice.

What is known stays known: a person or customer who has left is out in the share of draws that the ledger's credibility
gives it; one last seen in place at some time is simulated from then on, since silence is not a sighting.

Interventions (``sets``) overrule a driver from a date on and everything downstream is computed from the overruled
path; conditions select draws. Neither touches the posterior.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from valuation.errors import ModelError, ParameterError
from valuation.models import capability, churn, joint, retention, revenue, worth
from valuation.models.base import BoundLifeCourse, Context, Curves, LifeProcess, State
from valuation.models.joint import Evidence, keyed_rng
from valuation.ops import numpy_ops
from valuation.schema import (
    CUSTOMER,
    DRAW,
    FRACTION,
    INDEX_POINTS,
    INDICATOR,
    MONTH,
    MONTHS,
    MULTIPLE,
    PERSON,
    USD_BN,
    USD_BN_PER_YEAR,
    date_after,
    months_between,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from valuation.params import Scenario

Draws = Mapping[str, np.ndarray]

# Groups up to this size are simulated person by person; larger ones follow their expectation.
SMALL_GROUP = 100

# driver: (unit, label); the monthly paths that scenarios may condition on or set, in order of computation.
DRIVERS: dict[str, tuple[str, str]] = {
    "founder_in_post": (INDICATOR, "Founder in post"),
    "talent_retained": (FRACTION, "Acquired talent still there"),
    "stars_retained": (FRACTION, "Star hires still there"),
    "adoption_share": (FRACTION, "Target's share of data spending"),
    "acquirer_spend": (USD_BN_PER_YEAR, "Acquirer's spending on expert data"),
    "purchases": (USD_BN_PER_YEAR, "Acquirer's purchases from the target"),
    "rivals_active": (FRACTION, "Rivals' business kept"),
    "revenue_retained": (USD_BN_PER_YEAR, "Revenue of customers kept"),
    "revenue_new": (USD_BN_PER_YEAR, "Revenue of new customers"),
    "revenue": (USD_BN_PER_YEAR, "Revenue of the target"),
    "capability_gap": (INDEX_POINTS, "Gap to the frontier"),
    "exit_multiple": (MULTIPLE, "Value over revenue"),
    "stake_value": (USD_BN, "Value of the stake"),
    "regulatory_action": (INDICATOR, "Formal action opened"),
    "impairment": (INDICATOR, "Stake written down"),
}


def forecast(
    evidence: Evidence,
    parameters: Draws,
    *,
    random_seed: int,
    founder: str | None = None,
    sets: Sequence[Any] = (),
    expected: Curves | None = None,
) -> xr.Dataset:
    """Simulate the drivers and events of a deal.

    Parameters
    ----------
    evidence
        The bound ledger of a joint model with every sub-model.
    parameters
        Draws of all parameters, ``{name: (draw, …)}``, as from :func:`valuation.models.joint.extend`.
    random_seed
        Of the events; everything follows from it and the subjects' names.
    founder
        Subject of the people roster; default: the deal's.
    sets
        Interventions with ``driver``, ``operation`` (set, multiply, add), ``value`` and ``start``.
    expected
        The curves of these parameters if the caller has them (:func:`valuation.models.joint.curves`).

    Returns
    -------
    Dataset
        Monthly paths ``(draw, month)`` with coordinate ``date``, event times ``person_exit`` ``(draw, person)``,
        ``customer_end`` and ``customer_return`` ``(draw, customer)`` in months since the close (``inf``: not within
        reach), the worth parameters ``(draw)``, and ``weight`` ``(draw)``, equal and summing to 1.

    Raises
    ------
    ModelError
        If the evidence lacks a sub-model, or a simulated path is not finite.
    """
    context = evidence.context
    missing = set(joint.closure(None)) - set(evidence.models)
    if missing:
        raise ModelError(
            f"a forecast needs every sub-model; missing: {', '.join(sorted(missing))}. Build the joint model"
        )
    founder = context.deal.founder if founder is None else founder
    ops = numpy_ops()
    near = joint.near(evidence, parameters)
    draws = len(next(iter(parameters.values())))
    months = context.months.astype(float)
    dates = [date_after(context.deal.closed, int(m)) for m in context.months]
    paths: dict[str, NDArray] = {}

    def overruled(name: str, path: NDArray) -> NDArray:
        paths[name] = apply_sets(name, path, sets, dates)
        if sets:
            _possible(name, paths[name])
        return paths[name]

    people = context.subjects("people")
    if founder not in people:
        raise ParameterError(
            f"founder {founder!r} is not in the people roster; subjects: {', '.join(people)}"
        )
    here = _people(evidence, near, random_seed=random_seed)
    in_post = _before(months, here.exits[founder])
    overruled("founder_in_post", in_post)
    talent = here.talent
    if paths["founder_in_post"] is not in_post:
        talent = talent + _weight_of(context, founder) * (paths["founder_in_post"] - in_post)
    overruled("talent_retained", talent)
    if here.stars is not None:
        overruled("stars_retained", here.stars)
    plain = _plain(evidence, parameters, near) if expected is None else expected
    share = overruled("adoption_share", plain["adoption_share"])
    spend = overruled("acquirer_spend", plain["acquirer_spend"])
    bought = overruled(
        "purchases",
        plain["purchases"]
        if share is plain["adoption_share"] and spend is plain["acquirer_spend"]
        else adoption.purchases(context, share, spend, ops),
    )

    buying = _customers(evidence, parameters, near, random_seed=random_seed)
    overruled("rivals_active", buying.rivals)
    kept = buying.others + buying.rivals_share * paths["rivals_active"]
    base = plain["revenue_at_close"] * (1.0 - parameters["acquirer_share_before"])
    retained = overruled("revenue_retained", base[:, None] * kept * plain["growth_factor"])
    new = overruled("revenue_new", plain["revenue_new"])
    total = overruled("revenue", retained + new + bought)

    overruled(
        "capability_gap", _gap(evidence, parameters, near, paths["talent_retained"], share, dates)
    )
    multiple = overruled("exit_multiple", plain["multiple"])
    scale = context.deal.stake.fraction * (1.0 - parameters["liquidity_discount"])[:, None]
    stake = overruled("stake_value", scale * multiple * total)
    opened = _first_event(evidence, near, "regulatory_action", random_seed=random_seed)
    overruled("regulatory_action", 1.0 - _before(months, opened))
    written = _impairment(evidence, parameters, near, stake, random_seed=random_seed)
    overruled("impairment", 1.0 - _before(months, written))

    for name, path in paths.items():
        if not np.isfinite(path).all():
            raise ModelError(
                f"driver {name} is not finite in {int((~np.isfinite(path)).sum())} values; "
                "check the priors and interventions that enter it"
            )
    data: dict[str, Any] = {
        name: ((DRAW, MONTH), path, {"units": DRIVERS[name][0], "label": DRIVERS[name][1]})
        for name, path in paths.items()
    }
    for name in (*worth.NAMES, "liquidity_discount"):
        prior = context.prior(name)
        data[name] = (DRAW, parameters[name], {"units": prior.unit, "label": prior.label})
    data["person_exit"] = (
        (DRAW, PERSON),
        np.stack(list(exits.values()), axis=1),
        {"units": MONTHS, "label": "Exit of a named person"},
    )
    for name, values, label in (
        ("customer_end", ends, "End of a customer's business"),
        ("customer_return", returns, "Return of a customer"),
    ):
        data[name] = ((DRAW, CUSTOMER), values, {"units": MONTHS, "label": label})
    data["weight"] = (DRAW, np.full(draws, 1.0 / draws), {"units": FRACTION, "label": "Weight"})
    return xr.Dataset(
        data,
        coords={
            DRAW: np.arange(draws),
            MONTH: ("month", context.months, {"units": MONTHS}),
            "date": (MONTH, np.array(dates, dtype="datetime64[ns]")),
            PERSON: list(exits),
            CUSTOMER: context.subjects("customers"),
        },
        attrs={"random_seed": random_seed, "founder": founder, "closed": str(context.deal.closed)},
    )


def apply_sets(name: str, path: NDArray, sets: Sequence[Any], dates: Sequence[dt.date]) -> NDArray:
    """A monthly path ``(draw, month)`` after the interventions on it, in their order."""
    result = path
    for item in sets:
        if item.driver != name:
            continue
        late = np.array([d >= item.start for d in dates])
        changed = {
            "set": np.full_like(result, item.value),
            "multiply": result * item.value,
            "add": result + item.value,
        }[item.operation]
        result = np.where(late, changed, result)
    return result


def _possible(name: str, path: NDArray) -> None:
    """Refuse a path that an intervention has pushed out of what the driver's unit allows."""
    unit = DRIVERS[name][0]
    if unit == INDEX_POINTS:
        return
    high = 1.0 if unit in (FRACTION, INDICATOR) else np.inf
    low, top = float(np.nanmin(path)), float(np.nanmax(path))
    if low < -1e-9 or top > high + 1e-9:
        raise ParameterError(
            f"the sets put {name} between {low:.3g} and {top:.3g}; it is in {unit}, from 0 to "
            f"{'1' if high == 1.0 else 'any amount'}. Change the value or the operation"
        )


# --- events ---------------------------------------------------------------------------------------


def _chosen_states(
    life: BoundLifeCourse | None,
    parameters: Draws,
    derived: Curves,
    subject: int,
    uniform: NDArray,
) -> tuple[list[State], NDArray]:
    """Each draw's state of a subject, by inversion of one uniform: ``(states, index per draw)``."""
    if life is None or subject not in life.final:
        return [(None, None, 0.0, None)], np.zeros(len(uniform), dtype=int)
    states, mass = life.weights(parameters, derived)[subject]
    chosen = (uniform[:, None] > np.cumsum(mass, axis=1)).sum(axis=1)
    return states, np.minimum(chosen, len(states) - 1)


def _invert(
    process: LifeProcess,
    parameters: Draws,
    derived: Curves,
    subject: int,
    *,
    start: float,
    uniform: NDArray,
    last: float,
) -> NDArray:
    """Exit times after ``start`` by inversion of the survival function; ``inf`` beyond ``last``."""
    grid = np.unique(np.concatenate([[start], np.arange(np.ceil(start), last + 1.0), [last]]))
    grid = grid[grid >= start]
    if len(grid) < 2:
        return np.full(len(uniform), np.inf)
    ops = numpy_ops()
    log_s = np.asarray(
        process.log_survival(parameters, derived, np.full(len(grid), subject), grid, ops)
    )
    used = log_s[:, :1] - log_s  # cumulative hazard since ``start``, rising
    target = -np.log1p(-uniform)
    right = (used < target[:, None]).sum(axis=1)
    inside = right < len(grid)
    right = np.clip(right, 1, len(grid) - 1)
    rows = np.arange(len(uniform))
    low, high = used[rows, right - 1], used[rows, right]
    part = (target - low) / np.maximum(high - low, 1e-12)
    times = grid[right - 1] + part * (grid[right] - grid[right - 1])
    return np.where(inside, times, np.inf)


def _exit_times(
    process: LifeProcess,
    life: BoundLifeCourse | None,
    parameters: Draws,
    derived: Curves,
    subject: int,
    *,
    key: str,
    random_seed: int,
    last: float,
) -> tuple[NDArray, NDArray, list[State], NDArray]:
    """Exit time on the subject's clock, when seen back (``inf``: not seen), states and choices."""
    rng = keyed_rng(random_seed, key)
    draws = len(next(iter(parameters.values())))
    pick, wait = rng.random(draws), rng.random(draws)
    states, chosen = _chosen_states(life, parameters, derived, subject, pick)
    times, back = np.full(draws, np.inf), np.full(draws, np.inf)
    for j, (lower, upper, seen, returned) in enumerate(states):
        mine = chosen == j
        if not mine.any():
            continue
        if upper is None:
            ahead = _invert(
                process, parameters, derived, subject, start=seen, uniform=wait, last=last
            )
            times[mine] = ahead[mine]
        elif lower is None:
            times[mine] = upper
        else:
            times[mine] = (lower + wait * (upper - lower))[mine]
        if returned is not None:
            back[mine] = returned
    return times, back, states, chosen


def _people_exits(
    evidence: Evidence, parameters: Draws, derived: Curves, *, random_seed: int
) -> dict[str, NDArray]:
    """Months since the close at which each named person leaves, ``{subject: (draw,)}``."""
    context = evidence.context
    process, life = retention.process(context), evidence.bound.get("life_people")
    roster = context.people.set_index("subject")
    out: dict[str, NDArray] = {}
    for i, subject in enumerate(context.subjects("people")):
        if roster.loc[subject, "size"] > 1:
            continue
        start = max(context.month(roster.loc[subject, "entry"]), 0.0)
        times, *_ = _exit_times(
            process,
            life if isinstance(life, BoundLifeCourse) else None,
            parameters,
            derived,
            i,
            key=f"person {subject}",
            random_seed=random_seed,
            last=context.horizon - start,
        )
        out[subject] = times + start
    return out


def _weight_of(context: Context, subject: str) -> float:
    row = context.people.set_index("subject").loc[subject]
    return float(row["weight"]) if row["talent"] else 0.0


def _group_share(
    context: Context,
    derived: Curves,
    subject: str,
    months: NDArray,
    *,
    random_seed: int,
) -> NDArray:
    """Share of a group still there on the monthly grid, ``(draw, month)``; 1 before it arrives."""
    row = context.people.set_index("subject").loc[subject]
    start = max(context.month(row["entry"]), 0.0)
    names = retention.cohorts(context)
    hazard = np.exp(derived["log_exit_hazard"][:, names.index(row["cohort"]), :])
    clock = np.maximum(months - start, 0.0)
    survival = np.exp(-hazard @ retention.exposure(clock).T)
    size = int(row["size"])
    if size > SMALL_GROUP:
        return survival
    uniform = keyed_rng(random_seed, f"group {subject}").random((len(hazard), size))
    share = np.zeros_like(survival)
    for member in range(size):  # a member stays while its uniform lies below the survival
        share += uniform[:, [member]] < survival
    return share / size


def _talent(
    context: Context,
    derived: Curves,
    exits: Mapping[str, NDArray],
    months: NDArray,
    *,
    random_seed: int,
) -> NDArray:
    roster = context.people[context.people["talent"] == 1]
    total = np.zeros((len(next(iter(exits.values()))), len(months)))
    for _, row in roster.iterrows():
        if row["subject"] in exits:
            here = (months < exits[row["subject"]][:, None]).astype(float)
        else:
            here = _group_share(context, derived, row["subject"], months, random_seed=random_seed)
        total += float(row["weight"]) * here
    return np.clip(total, 0.0, 1.0)


def _cohort(
    context: Context,
    derived: Curves,
    exits: Mapping[str, NDArray],
    months: NDArray,
    cohort: str,
    *,
    random_seed: int,
) -> NDArray | None:
    """Head-count share of a cohort still there; None if the deal has no such cohort."""
    roster = context.people[context.people["cohort"] == cohort]
    if roster.empty:
        return None
    sizes = roster["size"].to_numpy(float)
    total = np.zeros((len(next(iter(exits.values()))), len(months)))
    for size, subject in zip(sizes, roster["subject"], strict=True):
        if subject in exits:
            total += months < exits[subject][:, None]
        else:
            total += size * _group_share(context, derived, subject, months, random_seed=random_seed)
    return total / sizes.sum()


def _customers(
    evidence: Evidence, parameters: Draws, derived: Curves, *, random_seed: int
) -> tuple[NDArray, NDArray, NDArray]:
    """End and return times ``(draw, customer)`` and activity ``(draw, month, customer)``."""
    context = evidence.context
    process, life = churn.process(context), evidence.bound.get("life_customers")
    subjects = context.subjects("customers")
    pooled = context.customers.set_index("subject").loc[subjects, "pooled"].to_numpy(float) > 0
    months = context.months.astype(float)
    draws = len(next(iter(parameters.values())))
    ends, returns = (np.full((draws, len(subjects)), np.inf) for _ in range(2))
    active = np.empty((draws, len(months), len(subjects)))
    for i, subject in enumerate(subjects):
        if pooled[i]:
            active[:, :, i] = derived["customer_active"][:, i, :]
            continue
        times, back, _states, _chosen = _exit_times(
            process,
            life if isinstance(life, BoundLifeCourse) else None,
            parameters,
            derived,
            i,
            key=f"customer {subject}",
            random_seed=random_seed,
            last=float(context.horizon),
        )
        uniform = keyed_rng(random_seed, f"return {subject}").random(draws)
        away = -np.log1p(-uniform) / parameters["return_rate"]
        # Seen back by some date: the return lies between leaving and then, at the same constant rate.
        seen_back = np.isfinite(back)
        span = np.where(
            seen_back, np.where(seen_back, back, 0.0) - np.where(seen_back, times, 0.0), 0.0
        )
        chance = -np.expm1(-parameters["return_rate"] * span)
        known = -np.log1p(-uniform * chance) / parameters["return_rate"]
        again = times + np.where(seen_back, known, away)
        again = np.where(np.isfinite(times) & (again <= context.horizon), again, np.inf)
        ends[:, i], returns[:, i] = times, again
        active[:, :, i] = (months < times[:, None]) | (months >= again[:, None])
    return ends, returns, active


def _gap(
    evidence: Evidence,
    parameters: Draws,
    derived: Curves,
    talent: NDArray,
    share: NDArray,
    dates: Sequence[dt.date],
) -> NDArray:
    """Monthly gap: expected talent up to the last evidence, simulated talent and set shares after it."""
    context = evidence.context
    last = max(evidence.rows["event_date"], default=dates[0])
    past = np.array([d <= last for d in dates])
    blended = np.where(past, derived["talent_retained"], talent)
    knots = capability.gap_path(context, parameters, blended, share, numpy_ops())
    weights = capability.interpolation(context.knots.astype(float), context.months.astype(float))
    return knots @ weights


def _first_event(
    evidence: Evidence, parameters: Draws, derived: Curves, term: str, *, random_seed: int
) -> NDArray:
    from valuation.models import regulation

    life = evidence.bound.get(term)
    times, *_ = _exit_times(
        regulation.process(evidence.context),
        life if isinstance(life, BoundLifeCourse) else None,
        parameters,
        derived,
        0,
        key=term,
        random_seed=random_seed,
        last=float(evidence.context.horizon),
    )
    return times


def _impairment(
    evidence: Evidence,
    parameters: Draws,
    derived: Curves,
    stake: NDArray,
    *,
    random_seed: int,
) -> NDArray:
    """Month of the first write-down, tested at year ends after the last accounts on record."""
    context = evidence.context
    life = evidence.bound.get("impairment")
    rng = keyed_rng(random_seed, "impairment")
    draws = len(stake)
    pick = rng.random(draws)
    states, chosen = _chosen_states(
        life if isinstance(life, BoundLifeCourse) else None, parameters, derived, 0, pick
    )
    ends = revenue.year_ends(context)
    spared = np.exp(revenue.log_spared(context, parameters, stake, numpy_ops()))
    uniform = rng.random(
        (len(ends), draws)
    ).T  # a longer horizon leaves the first years' dice alone
    when = np.full(draws, np.inf)
    for j, (_, upper, seen, _) in enumerate(states):
        mine = chosen == j
        if upper is not None:
            when[mine] = np.floor(upper)
            continue
        hit = (uniform > spared) & (ends > seen + 1e-6)
        first = np.where(hit.any(axis=1), np.floor(ends[np.argmax(hit, axis=1)]), np.inf)
        when[mine] = first[mine]
    return when


# --- conditions -----------------------------------------------------------------------------------


def holds(drivers: xr.Dataset, condition: Any) -> NDArray:
    """Whether a scenario's condition holds in each draw, shape ``(draw,)``.

    Raises
    ------
    ParameterError
        If it names a subject or a driver that the forecast lacks; lists the known ones.
    """
    if hasattr(condition, "event"):
        limit = condition.before if condition.before is not None else condition.not_before
        early = _happens_before(drivers, condition, limit)
        return early if condition.before is not None else ~early
    if condition.driver not in drivers:
        raise ParameterError(
            f"this deal has no driver {condition.driver!r}; "
            f"drivers: {', '.join(n for n in DRIVERS if n in drivers)}"
        )
    path = drivers[condition.driver]
    dates = drivers["date"].to_numpy()
    if not dates[0] <= np.datetime64(condition.at) <= dates[-1]:
        raise ParameterError(
            f"condition on {condition.driver} at {condition.at} lies outside the forecast, which "
            f"runs from {drivers.attrs['closed']} for {int(path[MONTH][-1])} months"
        )
    level = path.isel({MONTH: _month_begun(drivers, condition.at)}).to_numpy()
    return level > condition.above if condition.above is not None else level < condition.below


def _month_begun(drivers: xr.Dataset, date: dt.date) -> int:
    """Place of the last month of the forecast that has begun on a date; -1 before the close."""
    # By calendar: months of 365.25/12 days put an anniversary into the month before it.
    return int(np.searchsorted(drivers["date"].to_numpy(), np.datetime64(date), side="right")) - 1


def _happens_before(drivers: xr.Dataset, condition: Any, limit: dt.date) -> NDArray:
    """Whether an event comes before a date; one kept by month, whether it shows in the month begun."""
    event, subject = condition.event, condition.subject
    if event == "founder_exit":
        event, subject = "person_exit", drivers.attrs["founder"]
    if event in ("regulatory_action", "impairment"):
        path = drivers[event].to_numpy() > 0.5
        return path[:, : _month_begun(drivers, limit) + 1].any(axis=1)
    dim = PERSON if event == "person_exit" else CUSTOMER
    known = [str(s) for s in drivers[dim].to_numpy()]
    if subject not in known:
        raise ParameterError(f"no {dim} named {subject!r} in the roster; known: {', '.join(known)}")
    closed = dt.date.fromisoformat(str(drivers.attrs["closed"]))
    return drivers[event].sel({dim: subject}).to_numpy() < months_between(closed, limit)


def conditioned(
    drivers: xr.Dataset, scenario: Scenario, *, least: float
) -> tuple[xr.Dataset, NDArray]:
    """The drivers with the weight of draws that meet every condition, and which ones do.

    Raises
    ------
    ParameterError
        If fewer than ``least`` effective draws remain; says how likely the conditions are.
    """
    meets = np.ones(drivers.sizes[DRAW], dtype=bool)
    for item in scenario.conditions:
        meets &= holds(drivers, item)
    if not scenario.conditions:
        return drivers, meets
    weight = np.where(meets, drivers["weight"].to_numpy(), 0.0)
    mass = weight.sum()
    effective = 0.0 if mass <= 0.0 else float(mass**2 / (weight**2).sum())
    if effective < least:
        raise ParameterError(
            f"scenario {scenario.scenario!r}: its conditions hold in {100 * mass:.2g}% of draws, "
            f"{effective:.0f} effective draws where {least:g} are needed; relax a condition or use a set"
        )
    out = drivers.copy()
    out["weight"] = (DRAW, weight / mass, drivers["weight"].attrs)
    return out, meets
