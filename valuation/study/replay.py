"""The answer as it would have been on each date, and what moved it: the ledger walked from the deal's close.

On each date the state is what was public by then, under the present priors, terms and code. The draws of the last fit
are weighed forward; where they do not reach, the state of that date is fitted and the walk goes on from there:
iterated batch importance sampling (Chopin 2002, Biometrika 89, 539) with a new run of the sampler for its moves.
"""

from __future__ import annotations

import calendar
import datetime as dt
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from valuation import archive, clock, publish
from valuation import gate as gates
from valuation.errors import ArtifactError, GateError, LedgerError, ModelError, ParameterError
from valuation.params import HOUSE
from valuation.schema import finite
from valuation.study.case import Study
from valuation.study.change import OVERLAP_MIN, REFITTED, REWEIGHTED, SAME_NUMBER
from valuation.study.items import NEWS, items_of, mixed
from valuation.study.pool import (
    Pool,
    Position,
    Quantity,
    Source,
    error_of,
    evidence_of,
    read_source,
    trouble,
)

SCHEMA, KIND = 1, "replay"
FITTED = "fitted"
SHOWN = 3  # items named at a point

Told = Callable[[str], None]
Fit = Callable[[Study], Source]


# --- dates ----------------------------------------------------------------------------------------


def month_ends(study: Study) -> tuple[dt.date, ...]:
    """The day the deal closed, the end of every month since, and the day of the newest row."""
    first, last = _ends(study)
    found = {first, last}
    year, month = first.year, first.month
    while (end := dt.date(year, month, calendar.monthrange(year, month)[1])) < last:
        found.add(end)
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return tuple(sorted(found))


def news_days(study: Study) -> tuple[dt.date, ...]:
    """As :func:`month_ends`, but every day on which the rows that count became others."""
    first, last = _ends(study)
    rows = study.ledger.evidence
    rows = rows[rows["kind"].notna() | rows["supersedes"].notna()]
    ledger = replace(study.ledger, evidence=rows.reset_index(drop=True))
    found, before = {first, last}, set(study.ledger.cut(first).scored()["id"])
    for day in sorted({day for day in rows["published"] if first < day}):
        now = set(ledger.cut(day).scored()["id"])
        if now != before:
            found.add(day)
        before = now
    return tuple(sorted(found))


def _ends(study: Study) -> tuple[dt.date, dt.date]:
    first, last = study.deal.closed, max(study.ledger.evidence["published"])
    if last < first:
        raise ModelError(
            f"the newest row was published on {last}, before the deal closed on {first}; "
            "a history begins at the close: add rows, or correct the date in the deal's file"
        )
    return first, last


EVERY: dict[str, Callable[[Study], tuple[dt.date, ...]]] = {"month": month_ends, "news": news_days}


def state_at(study: Study, day: dt.date) -> Study:
    """The state on a day: the rows public by then; all else as it is now."""
    return replace(study, ledger=study.ledger.cut(day), as_of_given=True)


# --- the walk -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stand:
    """Where the walk stands: the last state that was valued, the draws of the last fit (of this state, if ``fitted``),
    the point they gave.
    """

    study: Study
    known: tuple[tuple[str, ...], ...]
    pool: Pool
    point: dict[str, Any] | None
    fitted: bool


def fit_at(study: Study) -> Source:
    """Draws of a state: read from the cache if they are stored there, sampled if not.

    Raises
    ------
    GateError
        If the sampler did not converge.
    """
    from valuation.posterior import diagnose

    diagnose(study.posterior, study.limits).raise_if_failed(study.override)
    prior_set = HOUSE
    if study.prior_set != HOUSE and study.beliefs.method == "refitted":
        prior_set = study.prior_set
    # What a fit is sampled under knows nothing of a scenario's terms.
    terms = study.base_deal.model_copy(update={"prior_set": prior_set})
    key = study.posterior_key(prior_set)
    source = read_source(study, key, first=True, owner=replace(study, deal=terms))
    if source is None:
        raise ArtifactError(f"the fit {key} has gone; run the replay again")
    return source


def replay(
    study: Study,
    *,
    every: str = "month",
    refit_at_each: bool = False,
    told: Told = lambda text: None,
    fit: Fit = fit_at,
) -> dict[str, Any]:
    """The history of every published quantity, keys as documented in CONTRIBUTING.

    The first date with rows that count is fitted, then every date that the draws of the last fit do not reach, and the
    last one, so that the history ends in the number that a report of that state gives. A date on which nothing is new
    repeats the point before. At most three items are named at a point: what each moved the
    headline as it arrived, in order of publication, then of id. At a date that was fitted both fits are pooled for
    that, so that two runs of the sampler are never subtracted. An item that cannot stand without a later one counts
    with it; one whose step rests on weights that cannot be trusted is left out.

    Parameters
    ----------
    study
        The newest state.
    every
        A name of :data:`EVERY`.
    refit_at_each
        Fit wherever the state has changed; weigh nothing forward.
    told
        Called with a sentence before each fit, and for each date that is left out.
    fit
        Draws of a state, with the owner they were sampled under.

    Raises
    ------
    GateError
        If a fit is refused, or serves its own date no better than the draws before; names the date.
    ModelError
        If no date can be valued.
    """
    if every not in EVERY:
        raise ParameterError(f"a replay goes by {' or '.join(EVERY)}, not by {every!r}")
    digests = digests_of(study)  # of what was read, before anybody edits it
    here: _Stand | None = None
    points: list[dict[str, Any]] = []
    quantities: dict[str, Quantity] = {}
    fits: list[str] = []
    days = EVERY[every](study)
    for day in days:
        state = state_at(study, day)
        if state.ledger.scored().empty:
            continue
        known, newest = _known(state), day == days[-1]
        if here is not None and here.known == known and (here.fitted or not newest):
            points += [] if here.point is None else [_again(here, day)]
            continue
        why = _why_fit(here, state, refit_at_each, newest)
        if here is None or why:
            told(f"As of {day}: {why}; {_to_do(state)}.")
            pool = Pool([_fitted(state, day, fit)], state)
            fits.append(pool.sources[0].key)
        else:
            pool = here.pool
        rare = _too_rare(pool, state)
        if rare:
            told(f"As of {day}: left out, {rare}.")
            here = _Stand(state, known, pool, None, bool(why))
            continue
        if why and (still := pool.fault(state)):
            raise GateError(
                f"as of {day}: {still}, although the model was fitted there; "
                "replay a scenario nearer to the priors of the fit"
            )
        moved = [] if here is None else _moved(_both(here.pool, pool, state), here.study, state)
        point = _point(pool, state, FITTED if why else REWEIGHTED, moved)
        points.append(point)
        quantities = {q.name: q for q in pool.at(state).quantities} | {
            name: q for name, q in quantities.items() if name not in point["values"]
        }
        here = _Stand(state, known, pool, point, bool(why))
    if not points:
        raise ModelError(
            "no date from the deal's close on can be valued; add typed rows to the ledger, or replay another scenario"
        )
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "deal": study.base_deal.name,
        "scenario": study.scenario.scenario,
        "every": every,
        "made": clock.moment(),
        "headline": study.deal.headline,
        "quantities": [
            {"name": q.name, "label": q.label, "unit": q.unit, "group": q.group}
            for q in quantities.values()
        ],
        "points": points,
        "run": {
            "seed": study.random_seed,
            "refit_at_each": refit_at_each,
            "posterior": " ".join(fits),
            "digests": digests,
            "versions": _versions(),
        },
    }


def pools(
    study: Study,
    days: Sequence[dt.date],
    *,
    told: Told = lambda text: None,
    fit: Fit = fit_at,
) -> Iterator[tuple[dt.date, Study, Pool]]:
    """Each day that can be valued, its state, and draws that serve it: weighed forward, fitted where they do not reach.

    Raises
    ------
    GateError
        If a fit is refused; names the day.
    """
    pool: Pool | None = None
    for day in days:
        state = state_at(study, day)
        if state.ledger.scored().empty:
            continue
        why = "the first date with rows that count" if pool is None else pool.fault(state)
        if pool is None or why:
            told(f"As of {day}: {why}; {_to_do(state)}.")
            pool = Pool([_fitted(state, day, fit)], state)
        yield day, state, pool


def _known(study: Study) -> tuple[tuple[str, ...], ...]:
    """What a state's numbers depend on that another date of the same ledger may have otherwise."""
    evidence = evidence_of(study)
    rosters = (evidence.context.people, evidence.context.customers)
    return (tuple(sorted(evidence.ids)), *(tuple(r["subject"].astype(str)) for r in rosters))


def _why_fit(here: _Stand | None, study: Study, at_each: bool, newest: bool) -> str:
    """Why a state must be fitted; empty if the draws at hand serve it."""
    if here is None:
        return "the first date with rows that count"
    if newest:
        return "the newest date, which a report answers from its own fit"
    return "a fit was asked for at each date" if at_each else here.pool.fault(study) or ""


def _to_do(study: Study) -> str:
    stored = (study.posteriors / f"{study.posterior_key()}.json").is_file()
    return "reading the stored fit" if stored else "fitting, which takes about a minute"


def _fitted(study: Study, day: dt.date, fit: Fit) -> Source:
    try:
        return fit(study)
    except GateError as error:
        told = [f"as of {day}: {problem}" for problem in error.problems]
        raise GateError([*told, "another --seed may sample better"]) from None


def _too_rare(pool: Pool, study: Study) -> str:
    """Why a scenario's conditions leave nothing to speak from at a date; empty if they do not."""
    if not study.scenario.conditions:
        return ""
    try:
        weight = pool.at(study).weight
    except ModelError as error:
        return str(error)
    name = study.scenario.scenario
    check = gates.scenario_draws(weight.tolist(), study.limits, scenario=name)
    return "" if check.passed else check.sentence.rstrip(".")


def _both(before: Pool, now: Pool, study: Study) -> Pool:
    """The draws that two dates are compared on: of one fit if it serves both, else of both fits."""
    if before is now:
        return now
    (first,), (second,) = before.sources, now.sources
    # With dice of its own, so that none is thrown twice.
    return Pool([first, replace(second, seed=second.seed + 1)], study)


def _moved(pool: Pool, before: Study, now: Study) -> list[dict[str, Any]]:
    """The new items that moved the headline most, by what each did as it arrived; largest first."""
    items = items_of(before, now)
    found: list[dict[str, Any]] = []
    last: Position | None = None
    for count in range(len(items) + 1) if items else ():
        try:
            position = pool.at(mixed(before, now, items, range(count)))
        except LedgerError:
            continue  # cannot stand yet: counts with the item that lets it
        except ModelError:
            last = None
            continue
        # The two ends rest each on its own fit; between them the fits must overlap.
        between = 0 < count < len(items)
        if (between and pool.overlap < OVERLAP_MIN) or trouble(position.weights, now.limits):
            last = None
            continue
        if last is not None:
            item = items[count - 1]
            place = [q.name for q in position.quantities].index(now.deal.headline)
            change = float(position.values[place] - last.values[place])
            error = float(error_of(position.scatter[place] - last.scatter[place]))
            if abs(change) > SAME_NUMBER:
                found.append(
                    {"item": item.id, "title": item.title, "change": change, "mcse": error}
                )
        last = position
    return sorted(found, key=lambda step: (-abs(step["change"]), step["item"]))[:SHOWN]


def _point(
    pool: Pool, study: Study, method: str, moved: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    position = pool.at(study)
    names = [q.name for q in position.quantities]

    def told(values: np.ndarray) -> dict[str, float]:
        return {name: float(value) for name, value in zip(names, values, strict=True)}

    weights = position.weights
    return {
        "as_of": str(study.as_of),
        "rows": len(study.ledger.scored()),
        "values": told(position.values),
        "mcse": told(position.error),
        "method": method,
        "khat": None if method == FITTED else finite(weights.khat),
        "effective_draws": float(weights.effective_draws),
        "moved": list(moved),
    }


def _again(here: _Stand, day: dt.date) -> dict[str, Any]:
    """The last point on a later day: time passed, and nothing came that counts."""
    assert here.point is not None
    khat = finite(here.pool.at(here.study).weights.khat)
    return here.point | {"as_of": str(day), "method": REWEIGHTED, "khat": khat, "moved": []}


def _versions() -> dict[str, str]:
    from valuation.posterior import versions

    return dict(versions())


# --- kept -----------------------------------------------------------------------------------------


def digests_of(study: Study) -> dict[str, str]:
    """SHA-256 of what a history depends on, by name."""
    return {**study.digests, "limits": study.limits.digest()}


def is_current(history: Mapping[str, Any], study: Study) -> bool:
    """Whether a history was made from this ledger, these priors, this deal, scenario and code, with this seed."""
    run = history.get("run") or {}
    same = (history.get("deal"), history.get("scenario"), run.get("seed"), run.get("digests"))
    return same == (
        study.base_deal.name,
        study.scenario.scenario,
        study.random_seed,
        digests_of(study),
    )


def ended_now(
    history: Mapping[str, Any] | None, study: Study, answer: Mapping[str, Any]
) -> dict[str, Any] | None:
    """A history that ends in what an update says of the present state; None without one.

    The last replay may have been made before the news. The point added has ``own``, and so has the history: whether the
    replay is ``current``, and how many rows that count it knew (``rows_before``) of those there are (``rows``). Of a
    replay that is current the last point, of the same state, makes room for it.
    """
    if history is None:
        return None
    day, made = str(study.as_of), answer["is"]
    points = [point for point in history["points"] if point["as_of"] <= day]
    known = points[-1]["rows"] if points else 0
    current = is_current(history, study)
    moved = _arrived(answer)
    if current and points and points[-1]["as_of"] == day:
        moved = points.pop()["moved"]
    fitted = made["method"] == REFITTED
    own = {
        "as_of": day,
        "rows": len(study.ledger.scored()),
        "values": {q["name"]: q["is"] for q in answer["quantities"]},
        "mcse": {q["name"]: q["mcse_is"] for q in answer["quantities"]},
        "method": FITTED if fitted else REWEIGHTED,
        "khat": None if fitted else finite(made["khat"]),
        "effective_draws": made["effective_draws"],
        "moved": moved,
        "own": True,
    }
    told = {"current": current, "rows_before": known, "rows": own["rows"]}
    return {**history, "points": [*points, own], "own": told}


def _arrived(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The news of an update by what each moved the headline as it arrived, largest first; none against a date, whose
    news the dates before it have.
    """
    if answer["was"]["run"] is None:
        return []
    name = answer["headline"]
    found = [
        {
            "item": item["item"],
            "title": item["title"],
            "change": item["arrival"][name],
            "mcse": item["mcse"][name],
        }
        for item in answer["items"]
        if item["bucket"] == NEWS and abs(item["arrival"][name]) > SAME_NUMBER
    ]
    return sorted(found, key=lambda step: (-abs(step["change"]), step["item"]))[:SHOWN]


def write_history(root: Path, history: Mapping[str, Any]) -> Path:
    """Put a history in its place in one step, with a digest of its content; the path.

    One that says the same as the one in place leaves it as it is, so that no report is older for it.
    """
    names = str(history["deal"]), str(history["scenario"])
    path = archive.history_path(root, *names)
    before = read_history(root, *names)
    if before is not None and {**before, "made": ""} == {**history, "made": ""}:
        return path
    kept = {**history, "sha256": _digest(history)}
    text = json.dumps(kept, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    publish.write_file(path, f"{text}\n".encode())
    return path


def read_history(root: Path, deal: str, scenario: str = archive.BASE) -> dict[str, Any] | None:
    """The history that was written for a deal, or None; if it is there and damaged, stderr says so."""
    return read_history_in(archive.history_path(root, deal, scenario), deal, scenario)


def read_history_in(path: Path, deal: str, scenario: str = archive.BASE) -> dict[str, Any] | None:
    """As :func:`read_history`, of a file."""
    history, problem = examined(path, deal, scenario)
    if problem:
        print(
            f"reports/{path.name}: {problem}; make it again with `valuation replay`",
            file=sys.stderr,
        )
    return history


def examined(
    path: Path, deal: str, scenario: str = archive.BASE
) -> tuple[dict[str, Any] | None, str]:
    """The history in a file, and what is wrong with the file; neither where there is none."""
    try:
        history = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError, RecursionError):
        history = None
    if problem := _fault(history, deal, scenario):
        return None, problem
    return {key: value for key, value in history.items() if key != "sha256"}, ""


def _fault(history: Any, deal: str, scenario: str) -> str:
    if not isinstance(history, dict):
        return "damaged: not the JSON that was written"
    if (history.get("kind"), history.get("schema")) != (KIND, SCHEMA):
        return f"of another version ({history.get('kind')!r}, schema {history.get('schema')!r})"
    content = {key: value for key, value in history.items() if key != "sha256"}
    if history.get("sha256") != _digest(content):
        return "damaged: not what was written"
    if (history["deal"], history["scenario"]) != (deal, scenario):
        return f"the history of {history['deal']}, {history['scenario']}"
    return ""


def _digest(history: Mapping[str, Any]) -> str:
    text = json.dumps(history, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
