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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from valuation.currency import BN, BN_PER_YEAR, unit_in
from valuation.errors import ModelError, ParameterError
from valuation.models import adoption, capability, churn, joint, retention, revenue, worth
from valuation.models.base import (
    MONTHS_BEFORE,
    UNKNOWN,
    BoundLifeCourse,
    Context,
    LifeProcess,
    State,
    occupancy,
)
from valuation.models.joint import Evidence, Near, keyed_rng
from valuation.models.memory import content
from valuation.ops import numpy_ops
from valuation.schema import (
    CUSTOMER,
    DRAW,
    EVENT,
    FRACTION,
    INDEX_POINTS,
    INDICATOR,
    MONTH,
    MONTHS,
    MULTIPLE,
    PERSON,
    date_after,
    months_between,
)

MOMENT = 1e-6  # months: three seconds, within which two times are one

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from valuation.params import Deal, Scenario

Draws = Mapping[str, np.ndarray]

# Groups up to this size are simulated person by person; larger ones follow their expectation.
SMALL_GROUP = 100

# Models whose curves an event needs.
RETENTION, CHURN, REVENUE = (joint.closure((n,)) for n in ("retention", "churn", "revenue"))

# driver: (unit, label); the monthly paths that scenarios may condition on or set, in order of computation.
DRIVERS: dict[str, tuple[str, str]] = {
    "founder_in_post": (INDICATOR, "Founder in post"),
    "talent_retained": (FRACTION, "Acquired talent still there"),
    "stars_retained": (FRACTION, "Star hires still there"),
    "adoption_share": (FRACTION, "Target's share of data spending"),
    "acquirer_spend": (BN_PER_YEAR, "Acquirer's spending on expert data"),
    "purchases": (BN_PER_YEAR, "Acquirer's purchases from the target"),
    "rivals_active": (FRACTION, "Rivals' business kept"),
    "revenue_retained": (BN_PER_YEAR, "Revenue of customers kept"),
    "revenue_new": (BN_PER_YEAR, "Revenue of new customers"),
    "revenue": (BN_PER_YEAR, "Revenue of the target"),
    "capability_gap": (INDEX_POINTS, "Gap to the frontier"),
    "exit_multiple": (MULTIPLE, "Value over revenue"),
    "stake_value": (BN, "Value of the stake"),
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

    Returns
    -------
    Dataset
        Monthly paths ``(draw, month)`` with coordinate ``date``, ``rivals_anyway`` among them; event times
        ``person_exit`` ``(draw, person)``, ``customer_end`` and ``customer_return`` ``(draw, customer)`` and
        ``event_month`` ``(draw, event)``, of a regulatory action and of a write-down, in months since the close
        (``inf``: not within reach); the worth parameters ``(draw)``; and ``weight`` ``(draw)``, equal,
        and summing to 1.

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
    near = joint.near(evidence, parameters)
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
    leaves = here.exits[founder]
    in_post = _once("in post", lambda: _before(months, leaves), months, leaves)
    overruled("founder_in_post", in_post)
    talent = here.talent
    if paths["founder_in_post"] is not in_post:
        talent = talent + _weight_of(context, founder) * (paths["founder_in_post"] - in_post)
    overruled("talent_retained", talent)
    if here.stars is not None:
        overruled("stars_retained", here.stars)
    plain = _plain(evidence, parameters)
    share = overruled("adoption_share", plain["adoption_share"])
    spend = overruled("acquirer_spend", plain["acquirer_spend"])
    terms = context.deal.services

    def purchases() -> NDArray:
        floor = np.where(months <= terms.contract_years * 12, terms.floor_bn_per_year, 0.0)
        promised = np.minimum(floor, terms.floor_share_of_spend * spend)
        return np.asarray(np.maximum(share * spend, promised))

    bought = overruled("purchases", _once("purchases", purchases, terms, months, share, spend))

    buying = _customers(evidence, parameters, near, random_seed=random_seed)
    overruled("rivals_active", buying.rivals)
    active, before = paths["rivals_active"], parameters["acquirer_share_before"]
    close, growth = plain["revenue_at_close"], plain["growth_factor"]

    def kept() -> NDArray:
        part = buying.others + buying.rivals_share * active
        return np.asarray((close * (1.0 - before))[:, None] * part * growth)

    business = (buying.others, buying.rivals_share, active, close, before, growth)
    retained = overruled("revenue_retained", _once("retained", kept, *business))
    new = overruled("revenue_new", plain["revenue_new"])
    total = overruled(
        "revenue", _once("revenue", lambda: retained + new + bought, retained, new, bought)
    )

    overruled("capability_gap", _gap(evidence, parameters, near, paths["talent_retained"], share))
    multiple = overruled("exit_multiple", plain["multiple"])
    fraction, discount = context.deal.stake.fraction, parameters["liquidity_discount"]
    stake = overruled(
        "stake_value",
        _once(
            "stake",
            lambda: fraction * (1.0 - discount)[:, None] * multiple * total,
            *(fraction, discount, multiple, total),
        ),
    )
    opened = _first_event(evidence, near, "regulatory_action", random_seed=random_seed)
    written = _impairment(evidence, parameters, near, stake, random_seed=random_seed)
    came: dict[str, NDArray] = {}
    for name, what, times in (
        ("regulatory_action", "opened", opened),
        ("impairment", "written", written),
    ):
        path = _since(what, months, times)
        shown = overruled(name, path)
        came[name] = times
        if shown is not path:  # what a set left alone keeps its day
            own, now = (_first_shown(months, which) for which in (path, shown))
            came[name] = np.where(own == now, times, now)

    _refuse_infinite(paths)
    told = {
        "rivals_anyway": (
            (DRAW, MONTH),
            buying.rivals_anyway,
            {
                "units": FRACTION,
                "label": "Rivals' business that a deal nobody minded would have left",
            },
        ),
        "person_exit": (
            (DRAW, PERSON),
            np.stack(list(here.exits.values()), axis=1),
            {"units": MONTHS, "label": "Exit of a named person"},
        ),
        "customer_end": (
            (DRAW, CUSTOMER),
            buying.ends,
            {"units": MONTHS, "label": "End of a customer's business"},
        ),
        "customer_return": (
            (DRAW, CUSTOMER),
            buying.returns,
            {"units": MONTHS, "label": "Return of a customer"},
        ),
        "event_month": (
            (DRAW, EVENT),
            np.stack(list(came.values()), axis=1),
            {"units": MONTHS, "label": "First time of an event"},
        ),
    }
    return _dataset(
        context,
        parameters,
        paths,
        told,
        dates,
        people=list(here.exits),
        events=list(came),
        attrs={"random_seed": random_seed, "founder": founder, "closed": str(context.deal.closed)},
    )


def _refuse_infinite(paths: Mapping[str, NDArray]) -> None:
    for name, path in paths.items():
        # A sum is finite if all is, and takes no copy; only if it is not does every value count.
        if not np.isfinite(path.sum()) and not np.isfinite(path).all():
            raise ModelError(
                f"driver {name} is not finite in {int((~np.isfinite(path)).sum())} values; "
                "check the priors and interventions that enter it"
            )


def _dataset(
    context: Context,
    parameters: Draws,
    paths: Mapping[str, NDArray],
    told: Mapping[str, Any],
    dates: Sequence[dt.date],
    *,
    people: Sequence[str],
    events: Sequence[str],
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    """Paths, what else is ``told`` of draws, and the worth parameters, each with its unit and label."""
    draws, currency = len(next(iter(parameters.values()))), context.deal.currency
    data: dict[str, Any] = {
        name: (
            (DRAW, MONTH),
            path,
            {"units": unit_in(DRIVERS[name][0], currency), "label": DRIVERS[name][1]},
        )
        for name, path in paths.items()
    }
    for name in (*worth.names(currency), "liquidity_discount"):
        prior = context.prior(name)
        data[name] = (DRAW, parameters[name], {"units": prior.unit, "label": prior.label})
    data |= told
    data["weight"] = (DRAW, np.full(draws, 1.0 / draws), {"units": FRACTION, "label": "Weight"})
    return xr.Dataset(
        data,
        coords={
            DRAW: np.arange(draws),
            MONTH: ("month", context.months, {"units": MONTHS}),
            "date": (MONTH, np.array(dates, dtype="datetime64[ns]")),
            PERSON: people,
            EVENT: list(events),
            CUSTOMER: context.subjects("customers"),
        },
        attrs=attrs,
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


# --- what depends on parameters alone -------------------------------------------------------------


def _plain(evidence: Evidence, parameters: Draws) -> dict[str, NDArray]:
    """Monthly curves over the horizon that no event enters, remembered by content."""
    context = evidence.context
    names = joint.scalars(context, REVENUE)
    steps = parameters["adoption_steps"]
    key = content("plain", context.content, names, *(parameters[n] for n in names), steps)

    def make() -> dict[str, NDArray]:
        ops, months = numpy_ops(), context.months.astype(float)
        bought = adoption.MODEL.curves(context, parameters, {}, {}, ops)
        at_close = revenue.revenue_at_close(context, parameters, ops)
        growth = revenue.growth_factor(parameters, months, ops)
        return {
            "adoption_share": bought["adoption_share"],
            "acquirer_spend": bought["acquirer_spend"],
            "revenue_at_close": at_close,
            "growth_factor": growth,
            "revenue_new": revenue.new_revenue(context, parameters, {}, months, ops),
            "multiple": revenue.exit_multiple_path(context, parameters, at_close, months, ops),
        }

    return joint.MEMORY.recall(key, make)


# --- events ---------------------------------------------------------------------------------------


def _before(months: NDArray, times: NDArray) -> NDArray:
    """1.0 in the months before an event, else 0.0, shape ``(draw, month)``."""
    return np.asarray((months < times[:, None]).astype(float))


def _once(what: str, make: Callable[[], NDArray], *inputs: Any) -> NDArray:
    """What ``make`` gives, remembered by the content of all that it reads: a row about one subject leaves it alone."""
    return joint.MEMORY.recall(content(what, *inputs), make)


def _first_shown(months: NDArray, path: NDArray) -> NDArray:
    """The first month mark at which an indicator stands, shape ``(draw,)``; ``inf`` where it never does."""
    stands = path > 0.5
    return np.where(stands.any(axis=1), months[stands.argmax(axis=1)], np.inf)


def _since(what: str, months: NDArray, times: NDArray) -> NDArray:
    """0.0 in the months before an event, else 1.0, shape ``(draw, month)``."""
    return _once(what, lambda: 1.0 - _before(months, times), months, times)


def _chosen(
    weights: Mapping[int, tuple[list[State], NDArray]], subject: int, uniform: NDArray
) -> tuple[list[State], NDArray]:
    """Each draw's state of a subject, by inversion of one uniform: ``(states, index per draw)``."""
    if subject not in weights:
        return [UNKNOWN], np.zeros(len(uniform), dtype=int)
    states, mass = weights[subject]
    chosen = (uniform[:, None] > np.cumsum(mass, axis=1)).sum(axis=1)
    return states, np.minimum(chosen, len(states) - 1)


def _weights(
    near: Near, term: str, models: Sequence[str]
) -> dict[int, tuple[list[State], NDArray]]:
    """Posterior probability of the states of every subject that the term has rows about."""
    life = near.evidence.bound.get(term)
    if not isinstance(life, BoundLifeCourse):
        return {}
    return life.weights(near.parameters, near.curves(models))


def _known(near: Near, term: str) -> Mapping[int, dict[State, float]]:
    """What the rows of a term say of each subject: weights of its states."""
    life = near.evidence.bound.get(term)
    return life.final if isinstance(life, BoundLifeCourse) else {}


def _grid(start: float, last: float) -> NDArray:
    """Times between which cumulative hazards are taken to be straight: whole months from ``start`` on."""
    points = np.unique(np.concatenate([[start], np.arange(np.ceil(start), last + 1.0), [last]]))
    return points[points >= start]


def _invert(
    log_survival: Callable[[NDArray], NDArray],
    grids: Sequence[NDArray],
    which: NDArray,
    uniform: NDArray,
) -> NDArray:
    """Exit times after the first point of each grid, by inversion of the survival function; ``inf`` beyond its last.

    ``log_survival`` takes times ``(draw, subject)``; ``which`` is the place of each one's grid. Survival falls, so the
    interval is found by halving, for all draws and subjects at once.
    """
    length = np.array([len(grid) for grid in grids])
    points = np.array([np.pad(grid, (0, length.max() - len(grid)), "edge") for grid in grids])

    def used(place: NDArray) -> NDArray:
        """Cumulative hazard since the start."""
        return base - log_survival(points[which, place])

    low, high = np.zeros(which.shape, dtype=int), length[which]
    base = log_survival(points[which, low])
    target = -np.log1p(-uniform)
    for _ in range(int(length.max()).bit_length()):
        middle = (low + high) // 2
        less = used(np.minimum(middle, length[which] - 1)) < target
        open_ = low < high
        low, high = np.where(open_ & less, middle + 1, low), np.where(open_ & ~less, middle, high)
    inside = (low < length[which]) & (length[which] > 1)
    right = np.clip(low, 1, np.maximum(length[which] - 1, 1))
    right = np.minimum(right, points.shape[1] - 1)
    left = np.maximum(right - 1, 0)
    before, after = used(left), used(right)
    part = (target - before) / np.maximum(after - before, 1e-12)
    at, step = points[which, left], points[which, right] - points[which, left]
    return np.where(inside, at + part * step, np.inf)


def _exit_times(
    process: LifeProcess,
    near: Near,
    term: str,
    models: Sequence[str],
    subjects: Mapping[int, str],
    *,
    last: Sequence[float] | NDArray,
    random_seed: int,
) -> tuple[NDArray, NDArray]:
    """Exit times on the subjects' clocks and when they were seen back, ``(draw, subject)``; ``inf``: not at all.

    ``subjects`` gives each one's key of random numbers, ``last`` the end of its forecast. Each subject's times are
    remembered apart, since a row about one leaves the others alone.
    """
    if not subjects:  # a roster of pooled rows alone
        nobody = np.zeros((len(next(iter(near.parameters.values()))), 0))
        return nobody, nobody
    known = _known(near, term)
    fixed = content(term, near.draws[models[-1]], near.evidence.context.content, random_seed)
    keys = {
        i: content(fixed, name, list(known.get(i, {UNKNOWN: 1.0}).items()), float(end))
        for (i, name), end in zip(subjects.items(), last, strict=True)
    }
    found = {i: joint.MEMORY.get(key) for i, key in keys.items()}
    new = {i: name for i, name in subjects.items() if found[i] is None}
    times, back = _simulated_exits(
        process,
        near,
        term,
        models,
        new,
        last=[end for i, end in zip(subjects, last, strict=True) if i in new],
        random_seed=random_seed,
    )
    for j, i in enumerate(new):
        apart = times[:, j].copy(), back[:, j].copy()
        found[i] = joint.MEMORY.recall(keys[i], lambda apart=apart: apart)  # type: ignore[misc]
    every = list(found.values())
    return np.stack([t for t, _ in every], axis=1), np.stack([b for _, b in every], axis=1)


def _simulated_exits(
    process: LifeProcess,
    near: Near,
    term: str,
    models: Sequence[str],
    subjects: Mapping[int, str],
    *,
    last: Sequence[float],
    random_seed: int,
) -> tuple[NDArray, NDArray]:
    """:func:`_exit_times` of all these subjects at once."""
    draws = len(next(iter(near.parameters.values())))
    shape = (draws, len(subjects))
    times, back = np.full(shape, np.inf), np.full(shape, np.inf)
    if not subjects:
        return times, back
    wait, which = np.empty(shape), np.full(shape, -1)
    grids: list[NDArray] = []
    weights = _weights(near, term, models)
    for j, (subject, key) in enumerate(subjects.items()):
        rng = keyed_rng(random_seed, key)
        pick, wait[:, j] = rng.random(draws), rng.random(draws)
        states, chosen = _chosen(weights, subject, pick)
        for k, (lower, upper, seen, returned) in enumerate(states):
            mine = chosen == k
            if not mine.any():
                continue
            if upper is None:
                which[mine, j] = len(grids)
                grids.append(_grid(seen, last[j]))
            elif lower is None:
                times[mine, j] = upper
            else:
                times[mine, j] = lower + wait[mine, j] * (upper - lower)
            if returned is not None:
                back[mine, j] = returned
    ahead = np.flatnonzero((which >= 0).any(axis=0))
    if ahead.size:
        who = np.array(list(subjects))[ahead]
        curves, ops = near.curves(models), numpy_ops()

        def log_survival(t: NDArray) -> NDArray:
            return np.asarray(process.log_survival(near.parameters, curves, who, t, ops))

        later = _invert(log_survival, grids, np.maximum(which[:, ahead], 0), wait[:, ahead])
        times[:, ahead] = np.where(which[:, ahead] >= 0, later, times[:, ahead])
    return times, back


@dataclass(frozen=True)
class People:
    """Exits of named people in months since the close, and the shares still there, ``(draw, month)``."""

    exits: dict[str, NDArray]
    talent: NDArray
    stars: NDArray | None


def _people(evidence: Evidence, near: Near, *, random_seed: int) -> People:
    """Exits of people and groups, remembered by content: of the rows, what is known of each person counts."""
    context = evidence.context
    known = _known(near, "life_people")
    key = content("people", near.draws["retention"], context.content, random_seed, known)

    def make() -> tuple[dict[str, NDArray], NDArray, NDArray | None]:
        roster = context.people.set_index("subject")
        named = {
            i: subject
            for i, subject in enumerate(context.subjects("people"))
            if roster.loc[subject, "size"] == 1
        }
        start = np.array([context.starts[subject] for subject in named.values()])
        times, _ = _exit_times(
            retention.process(context),
            near,
            "life_people",
            RETENTION,
            {i: f"person {subject}" for i, subject in named.items()},
            last=context.horizon - start,
            random_seed=random_seed,
        )
        times += start
        exits = {subject: times[:, j] for j, subject in enumerate(named.values())}
        counted = roster[(roster["talent"] == 1) | (roster["cohort"] == "stars")]
        groups = {
            subject: _group_share(context, near, subject, random_seed=random_seed)
            for subject in counted.index
            if subject not in exits
        }
        months = context.months.astype(float)
        shape = (len(times), len(months))

        def told(chosen: pd.Series) -> list[Any]:
            """The numbers of these subjects and when they leave, or what share of them is there."""
            return [
                part
                for s, number in chosen.items()
                for part in (float(number), exits[s] if s in exits else groups[s])
            ]

        bought = roster["weight"][roster["talent"] == 1]

        def shares() -> NDArray:
            talent = np.zeros(shape)
            for subject, weight in bought.items():
                share = _before(months, exits[subject]) if subject in exits else groups[subject]
                talent += float(weight) * share
            return np.asarray(np.clip(talent, 0.0, 1.0, out=talent))

        talent = _once("talent", shares, shape, months, *told(bought))
        stars = roster["size"][roster["cohort"] == "stars"]
        if stars.empty:
            return exits, talent, None

        def heads() -> NDArray:
            there = np.zeros(shape)
            for subject, size in stars.items():
                if subject in exits:
                    there += months < exits[subject][:, None]
                else:
                    there += float(size) * groups[subject]
            there /= stars.to_numpy(float).sum()
            return there

        return exits, talent, _once("stars", heads, shape, months, *told(stars))

    return People(*joint.MEMORY.recall(key, make))


def _weight_of(context: Context, subject: str) -> float:
    row = context.people.set_index("subject").loc[subject]
    return float(row["weight"]) if row["talent"] else 0.0


def _group_share(context: Context, near: Near, subject: str, *, random_seed: int) -> NDArray:
    """Share of a group still there on the monthly grid, ``(draw, month)``; 1 before it arrives.

    Remembered by content: no row about a person enters it.
    """
    row = context.people.set_index("subject").loc[subject]
    cohort, size = retention.cohorts(context).index(row["cohort"]), int(row["size"])
    log_hazard = near.curves(RETENTION)["log_exit_hazard"][:, cohort, :]
    clock = np.maximum(context.months - context.starts[subject], 0.0)
    return joint.MEMORY.recall(
        content("group", log_hazard, clock, size, subject, random_seed),
        lambda: _staying(np.exp(log_hazard), clock, size, f"group {subject}", random_seed),
    )


def _staying(hazard: NDArray, clock: NDArray, size: int, key: str, random_seed: int) -> NDArray:
    """Share of so many people who are there at each time on their clock, ``(draw, time)``."""
    if size > SMALL_GROUP:
        return np.asarray(np.exp(-hazard @ retention.exposure(clock).T))
    draws, times = len(hazard), len(clock)
    uniform = keyed_rng(random_seed, key).random((draws, size))
    # A member stays while its uniform lies below the survival: up to the time at which they meet.
    first_out = np.searchsorted(clock, retention.time_to_exit(hazard, uniform))
    place = np.arange(draws)[:, None] * (times + 1) + first_out
    out = np.bincount(place.ravel(), minlength=draws * (times + 1)).reshape(draws, times + 1)
    return np.asarray((size - np.cumsum(out, axis=1)[:, :times]) / size)


@dataclass(frozen=True)
class Customers:
    """Ends and returns ``(draw, customer)``, and what is bought, ``(draw, month)``, by share of revenue at the close.

    ``rivals`` is the part of the rivals' business that is kept, ``rivals_share`` what it was; ``rivals_anyway`` the
    part that would have been kept had nobody minded the deal; ``others`` is everyone else's business.
    """

    ends: NDArray
    returns: NDArray
    rivals: NDArray
    others: NDArray
    rivals_share: float
    rivals_anyway: NDArray


def _customers(evidence: Evidence, parameters: Draws, near: Near, *, random_seed: int) -> Customers:
    """Ends and returns of customers and the business that stays, remembered by content, as people are."""
    context = evidence.context
    known = _known(near, "life_customers")
    key = content("customers", near.draws["churn"], context.content, random_seed, known)

    def make() -> tuple[NDArray, NDArray, NDArray, NDArray, float, NDArray]:
        process = churn.process(context)
        subjects = context.subjects("customers")
        roster = context.customers.set_index("subject").loc[subjects]
        pooled = roster["pooled"].to_numpy(float) > 0
        months = context.months.astype(float)
        draws = len(next(iter(parameters.values())))
        single = {i: f"customer {s}" for i, s in enumerate(subjects) if not pooled[i]}
        times, back = _exit_times(
            process,
            near,
            "life_customers",
            CHURN,
            single,
            last=[float(context.horizon)] * len(single),
            random_seed=random_seed,
        )
        ends, returns = (np.full((draws, len(subjects)), np.inf) for _ in range(2))
        for j, i in enumerate(single):
            uniform = keyed_rng(random_seed, f"return {subjects[i]}").random(draws)
            ends[:, i] = times[:, j]
            returns[:, i] = _returns(
                times[:, j], back[:, j], uniform, parameters["return_rate"], context.horizon
            )
        share = roster["revenue_share"].to_numpy(float)
        rival = roster["rival"].to_numpy(float) * share
        kept = {True: np.zeros((draws, len(months))), False: np.zeros((draws, len(months)))}
        anyway = np.zeros((draws, len(months)))
        life = near.evidence.bound.get("life_customers")
        for i in np.flatnonzero(share > 0.0).tolist():
            total = kept[bool(rival[i] > 0.0)]
            if pooled[i]:
                active = occupancy(
                    process,
                    life if isinstance(life, BoundLifeCourse) else None,
                    parameters,
                    near.curves(CHURN),
                    [i],
                    months[None],
                    numpy_ops(),
                )[:, 0, :]
                total += share[i] * active
                if rival[i] > 0.0:
                    plain = np.exp(near.curves(CHURN)["log_churn_hazard"][:, [i]])
                    anyway += share[i] * np.maximum(active, np.exp(-plain * months))
            else:
                active = (months < ends[:, [i]]) | (months >= returns[:, [i]])
                np.add(total, share[i], out=total, where=active)
                if rival[i] > 0.0:
                    longer = _unconflicted(
                        process, parameters, near, i, ends[:, i], subjects[i], random_seed
                    )
                    later = longer + (
                        returns[:, i] - np.where(np.isfinite(ends[:, i]), ends[:, i], 0.0)
                    )
                    active = (months < longer[:, None]) | (months >= later[:, None])
                    np.add(anyway, share[i], out=anyway, where=active)
        most = float(rival.sum())
        for part in (kept[True], anyway):
            if most > 0.0:
                part /= most
            else:
                part += 1.0
        return ends, returns, kept[True], kept[False], most, anyway

    return Customers(*joint.MEMORY.recall(key, make))


def _unconflicted(
    process: LifeProcess,
    parameters: Draws,
    near: Near,
    customer: int,
    ends: NDArray,
    subject: str,
    random_seed: int,
) -> NDArray:
    """When a rival would have left had it not minded the deal, months since the close, ``(draw,)``.

    An ending that came of the conflict is put off by a wait at the ordinary hazard; any other stands.
    """
    curves, rng = near.curves(CHURN), keyed_rng(random_seed, f"cause {subject}")
    cause, wait = rng.random(len(ends)), rng.random(len(ends))
    gone = np.isfinite(ends)
    at = np.where(gone, ends, 0.0)[:, None]
    chance = churn.due_to_conflict(
        process, parameters, curves, np.array([customer]), at, numpy_ops()
    )
    plain = np.exp(curves["log_churn_hazard"][:, customer])
    put_off = gone & (cause < np.asarray(chance)[:, 0])
    return np.where(put_off, ends - np.log1p(-wait) / plain, ends)


def _returns(
    times: NDArray, back: NDArray, uniform: NDArray, rate: NDArray, horizon: int
) -> NDArray:
    """When those that left at ``times`` come back, months since the close; ``inf``: not within the horizon."""
    away = -np.log1p(-uniform) / rate
    # Seen back by some date: the return lies between leaving and then, at the same constant rate.
    seen_back = np.isfinite(back)
    span = np.where(
        seen_back, np.where(seen_back, back, 0.0) - np.where(seen_back, times, 0.0), 0.0
    )
    chance = -np.expm1(-rate * span)
    known = -np.log1p(-uniform * chance) / rate
    again = times + np.where(seen_back, known, away)
    return np.where(np.isfinite(times) & (again <= horizon), again, np.inf)


def _gap(
    evidence: Evidence,
    parameters: Draws,
    near: Near,
    talent: NDArray,
    share: NDArray,
) -> NDArray:
    """Monthly gap: expected talent up to the last evidence, simulated talent and set shares after it."""
    context = evidence.context
    told = (evidence.rows[name].tolist() for name in ("event_date", "published", "credibility"))
    # A row that nobody believes says nothing of time either.
    believed = ((d, p) for d, p, g in zip(*told, strict=True) if context.credibility[g] > 0.0)
    past = months_known(context.deal, believed)
    known = near.curves(RETENTION)["talent_retained"][:, :past].copy()
    names = joint.scalars(context, joint.closure(("capability",)))
    vectors = joint.innovations(context, joint.closure(("capability",)))

    def path() -> NDArray:
        blended = talent.copy()
        blended[:, :past] = known
        knots = capability.gap_path(context, parameters, blended, share, numpy_ops())
        months = context.months.astype(float)
        return np.asarray(knots @ capability.interpolation(context.knots.astype(float), months))

    read = (context.content, talent, share, known, *(parameters[n] for n in (*names, *vectors)))
    return _once("gap", path, *read)


def months_known(deal: Deal, believed: Iterable[tuple[dt.date, dt.date]]) -> int:
    """Months of the forecast that had begun by the last day known from believed rows, the close's among them.

    ``believed`` has the day that each row is about and that of its publication: what is announced for later is not
    known before.
    """
    last = max((min(days) for days in believed), default=deal.closed)
    return sum(d <= last for d in _month_starts(deal.closed, round(12 * deal.horizon_years)))


@lru_cache(maxsize=16)
def _month_starts(closed: dt.date, months: int) -> tuple[dt.date, ...]:
    return tuple(date_after(closed, m) for m in range(months + 1))


def _first_event(evidence: Evidence, near: Near, term: str, *, random_seed: int) -> NDArray:
    from valuation.models import regulation

    times, _ = _exit_times(
        regulation.process(evidence.context),
        near,
        term,
        ("regulation",),
        {0: term},
        last=[float(evidence.context.horizon)],
        random_seed=random_seed,
    )
    return times[:, 0]


def _impairment(
    evidence: Evidence, parameters: Draws, near: Near, stake: NDArray, *, random_seed: int
) -> NDArray:
    """Months since the close to the first write-down, tested at year ends after the last accounts on record."""
    context = evidence.context
    rng = keyed_rng(random_seed, "impairment")
    draws = len(stake)
    states, chosen = _chosen(_weights(near, "impairment", REVENUE), 0, rng.random(draws))
    ends = revenue.year_ends(context)
    with np.errstate(divide="ignore"):  # a stake that is set to nothing is as far below as can be
        spared = np.exp(revenue.log_spared(context, parameters, stake, numpy_ops()))
    uniform = rng.random(
        (len(ends), draws)
    ).T  # a longer horizon leaves the first years' dice alone
    when = np.full(draws, np.inf)
    for j, (_, upper, seen, _) in enumerate(states):
        mine = chosen == j
        if upper is not None:
            when[mine] = upper
            continue
        hit = (uniform > spared) & (ends > seen + 1e-6)
        first = np.where(hit.any(axis=1), ends[np.argmax(hit, axis=1)], np.inf)
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


def happened(
    drivers: xr.Dataset, event: str, day: dt.date, *, before: bool = False
) -> NDArray[np.bool_]:
    """Whether a regulatory action or a write-down came by a day, or ``before`` it, shape ``(draw,)``.

    A monthly path shows an event from the month mark after it on: it cannot tell the accounts of 31 December from
    those of the day before. Drivers that come without ``event_month`` are read by their marks.
    """
    if "event_month" not in drivers:
        shown = drivers[event].transpose(DRAW, MONTH).to_numpy() > 0.5
        return np.asarray(shown[:, : _month_begun(drivers, day) + 1].any(axis=1))
    times = drivers["event_month"].sel({EVENT: event}).to_numpy()
    closed = drivers["date"].to_numpy()[0].astype("datetime64[D]").item()
    month = months_between(closed, day)
    return np.asarray(times < month - MOMENT if before else times <= month + MOMENT)


def _happens_before(drivers: xr.Dataset, condition: Any, limit: dt.date) -> NDArray:
    """Whether an event comes before a date."""
    event, subject = condition.event, condition.subject
    if event == "founder_exit":
        event, subject = "person_exit", drivers.attrs["founder"]
    if event in ("regulatory_action", "impairment"):
        return happened(drivers, event, limit, before=True)
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


# --- what questions ask ---------------------------------------------------------------------------


def asked(
    drivers: xr.Dataset, evidence: Evidence, parameters: Draws, *, random_seed: int
) -> xr.Dataset:
    """The drivers with what dated questions ask for besides them, draw by draw, on the same dice.

    Returns
    -------
    Dataset
        ``drivers`` and: ``reported_exit`` ``(draw, member)``, when the exit of each member of a group is reported,
        months since the close, with ``member_group``, and cohorts by member and by person; ``revenue_past``
        ``(draw, past_month)``, bn per year before the close; ``action_opened`` ``(draw)``, months since the close;
        ``rank_spacing`` [index points] and ``milestone_chance`` ``(draw)``; ``milestone_met`` ``(announced)``, whether
        a dated model came in time, as claimed with the probability ``truth``.
    """
    context, ops = evidence.context, numpy_ops()
    near = joint.near(evidence, parameters)
    roster = context.people.set_index("subject")
    groups = [s for s in context.subjects("people") if 1 < roster.loc[s, "size"] <= SMALL_GROUP]
    reported = [
        _reported_exits(evidence, parameters, near, s, random_seed=random_seed) for s in groups
    ]
    members = [s for s, times in zip(groups, reported, strict=True) for _ in range(times.shape[1])]
    past = np.arange(-MONTHS_BEFORE, 0).astype(float)
    growth = (past - revenue.middle_of_year_before(context)) / 12.0
    before = parameters["revenue_before"][:, None] * np.exp(
        parameters["growth_to_close"][:, None] * growth
    )
    logit = parameters["milestone_level"] + (
        parameters["milestone_effect"] * parameters["integration"]
    )
    opened = _first_event(evidence, near, "regulatory_action", random_seed=random_seed)
    rows = evidence.rows[evidence.rows["kind"] == capability.MILESTONE.name]
    rows = rows.sort_values(["event_date", "id"])
    made: dict[str, Any] = {
        "reported_exit": (
            (DRAW, "member"),
            np.concatenate([np.zeros((drivers.sizes[DRAW], 0)), *reported], axis=1),
            {"units": MONTHS, "label": "Reported exit of a member of a group"},
        ),
        "revenue_past": (
            (DRAW, "past_month"),
            before,
            {
                "units": unit_in(BN_PER_YEAR, evidence.context.deal.currency),
                "label": "Revenue before the close",
            },
        ),
        "action_opened": (DRAW, opened, {"units": MONTHS, "label": "Formal action opened"}),
        "rank_spacing": (
            DRAW,
            parameters["rank_spacing"],
            {"units": INDEX_POINTS, "label": "Points between labs"},
        ),
        "milestone_chance": (
            DRAW,
            np.asarray(ops.sigmoid(logit)),
            {"units": FRACTION, "label": "Chance that a model date is met"},
        ),
        "milestone_met": (
            "announced",
            rows["value"].to_numpy(float),
            {"units": INDICATOR, "label": "A model came in time, as claimed"},
        ),
    }
    people = [str(s) for s in drivers[PERSON].to_numpy()]
    return drivers.assign(made).assign_coords(
        {
            "member_group": ("member", np.array(members, str)),
            "member_cohort": ("member", np.array([roster.loc[s, "cohort"] for s in members], str)),
            "past_month": past,
            "announced": np.array(list(rows["event_date"]), dtype="datetime64[ns]"),
            "truth": ("announced", context.truth(rows)),
            "person_cohort": (PERSON, np.array([roster.loc[s, "cohort"] for s in people], str)),
        }
    )


def _reported_exits(
    evidence: Evidence, parameters: Draws, near: Near, subject: str, *, random_seed: int
) -> NDArray:
    """When each one's exit from a group is reported, months since the close, ``(draw, member)``; ``inf``: never.

    Questions are resolved by what is reported, and the press misses some. What was counted stands, in the share of
    draws that the last count is believed; whoever it left is simulated from its day on.
    """
    context = evidence.context
    row = context.people.set_index("subject").loc[subject]
    size, start = int(row["size"]), context.starts[subject]
    log_hazard = near.curves(RETENTION)["log_exit_hazard"][
        :, retention.cohorts(context).index(row["cohort"]), :
    ]
    hazard, rate = np.exp(log_hazard), parameters[f"reporting_rate_{row['cohort']}"]
    draws = len(hazard)
    kind = evidence.rows["kind"] == retention.GROUP_EXITS.name
    counts = evidence.rows[kind & (evidence.rows["subject"] == subject)]
    counts = counts.sort_values(["event_date", "id"])
    rng = keyed_rng(random_seed, f"reported {subject}")
    uniform, press, belief = (
        rng.random((draws, size)),
        rng.random((draws, size)),
        rng.random(draws),
    )
    believed = np.zeros(draws, dtype=bool)
    since, known = np.zeros(draws), np.zeros(draws, dtype=int)  # on the group's clock
    counted = np.full((draws, size), np.inf)
    for i, (_, told) in enumerate(counts.iterrows()):
        believed = belief < context.truth(counts)[i]
        clock, count = retention.clock(context, subject, told), int(told["value"])
        first = believed[:, None] & (np.arange(size) < count) & np.isinf(counted)
        # Some day since the count before, which did not see them.
        day = since[:, None] + uniform * (clock - since)[:, None]
        counted = np.where(first, start + day, counted)
        since = np.where(believed, clock, since)
        known = np.where(believed, count, known)
    # Time to exit of a member who was there when last counted: its clock goes on from then.
    spent = (hazard * retention.exposure(since)).sum(axis=-1)
    exits = retention.time_to_exit(hazard, uniform * np.exp(-spent)[:, None])
    ahead = np.arange(size) >= known[:, None]
    return np.where(ahead & (press < rate[:, None]), exits + start, counted)
