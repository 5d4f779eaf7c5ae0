"""What moved the answer: an old state of knowledge against a new one, split into causes that add up.

Both states are valued on one pool of stored draws. The change between what was published and what holds now is

    passing time + rosters + the items' Shapley shares + code + Monte Carlo noise

where the items are put in, in every order, between the two states on the later of their days and with the rosters of
both: told backwards, a change is the same with its sign turned. Nothing is sampled unless the weights of the stored
draws cannot be trusted; then the new state is fitted, and both fits serve both states.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from valuation import clock
from valuation import gate as gates
from valuation.archive import DEFAULT_DEAL, Run, history_path
from valuation.errors import ArtifactError, LedgerError, ParameterError
from valuation.models import KINDS
from valuation.params import HOUSE, cache_folder, find_root
from valuation.params.reading import digest_of
from valuation.schema import finite
from valuation.study.case import RANDOM_SEED, Study, open_study
from valuation.study.items import (
    NEWS,
    PRIORS,
    REVISIONS,
    SCENARIO,
    TERMS,
    Item,
    at_the_date_of,
    completed,
    in_time,
    items_of,
    mixed,
    roster_changes,
    silent_rows,
    state_digest,
    with_rosters_of,
)
from valuation.study.pool import (
    Memory,
    Pool,
    Position,
    Quantity,
    Source,
    error_of,
    evidence_of,
    read_source,
    trouble,
)
from valuation.study.stored import package_digest
from valuation.update import Coefficients, Weights, shapley_coefficients

SCHEMA = 1
CODE, TIME, NOISE = "code", "time", "noise"
# Bucket: label, in the order in which reports show them.
BUCKETS = {
    NEWS: "News",
    REVISIONS: "Revisions",
    PRIORS: "Changed priors",
    TERMS: "Deal terms",
    SCENARIO: "Scenario",
    CODE: "Code",
    TIME: "Passing time",
    NOISE: "Monte Carlo noise",
}
# Nothing changed; the draws stand and only what follows from them was computed again; new weights; new draws.
UNCHANGED, REVALUED, REWEIGHTED, REFITTED = "unchanged", "revalued", "reweighted", "refitted"
SAME_NUMBER = 1e-9
FIXED = 1e-12  # rounding of what is the same in every draw
OVERLAP_MIN = 0.03  # of two fits, below which a state between them is a guess
DECIDED = 3.0  # errors beyond which a driver is said to have moved


# Keys of stored fits, each with the state that it was sampled under where that is known.
type Fits = tuple[tuple[str, Study | None], ...]


@dataclass(frozen=True)
class Shares:
    """Shapley shares of the items and what they rest on.

    Attributes
    ----------
    value, scatter
        ``(item, quantity)`` and ``(item, quantity, batch)``.
    sampling
        ``(item, quantity)``: standard error of having sampled orders; 0 where every order counts.
    arrival
        ``(item, quantity)``: the change when each item arrived, after those before it.
    alone
        Each item's weights when it alone is put in.
    worst
        Weights of the coalition that the pool serves worst.
    coefficients
        How the shares were formed.
    """

    value: np.ndarray
    scatter: np.ndarray
    sampling: np.ndarray
    arrival: np.ndarray
    alone: tuple[Weights, ...]
    worst: Weights
    coefficients: Coefficients


@dataclass(frozen=True)
class Change:
    """An old state, a new one, and what lies between; everything is computed once and on demand.

    Attributes
    ----------
    old, new
        The two states.
    run
        The published run that the old state is, or None where it is the present ledger at an earlier date.
    published
        Quantities as that run published them, ``{name: value}``.
    keys
        Stored fits that serve, and the state each was sampled under where it is known. What else lies in the cache
        is used only where these do not reach, so that one change has one answer.
    owners
        Id of the run whose state a fit was sampled under, by its key.
    until, until_published
        The run that the new state is, and what it published, where two runs are compared.
    told
        Called with the reason before a fit, which takes a minute.
    step
        Called with how many combinations of items have been valued, and of how many.
    memory
        What pools have computed: another change of the same session goes on from it.
    """

    old: Study
    new: Study
    run: Run | None
    published: Mapping[str, float]
    keys: Fits
    until: Run | None = None
    until_published: Mapping[str, float] | None = None
    told: Callable[[str], None] = field(default=lambda why: None, repr=False)
    step: Callable[[int, int], None] = field(default=lambda done, of: None, repr=False)
    owners: Mapping[str, str] = field(default_factory=dict, repr=False)
    memory: Memory = field(default_factory=Memory, repr=False)

    # --- draws ------------------------------------------------------------------------------------

    @cached_property
    def _stored(self) -> tuple[tuple[Source, ...], str]:
        """The stored fits that can serve together, and why one that is there cannot be read."""
        sources: list[Source] = []
        why = ""
        for key, owner in self.keys:
            state = None if owner is None else _sampled_under(owner, key)
            try:
                found = self._source(key, first=not sources, owner=state)
            except ArtifactError as error:
                found, why = None, why or f"stored draws are damaged ({error})"
            if (
                found is not None
                and (not sources or (owner is not None and sources[0].owner is not None))
                and key not in {s.key for s in sources}
            ):
                sources.append(found)
        return tuple(sources), why

    @property
    def ready(self) -> bool:
        """Whether stored draws serve both ends, so that nothing must be fitted."""
        sources, why = self._stored
        if why or not sources:
            return False
        pool = Pool(sources, self.new, self.memory)
        return all(pool.fault(study) is None for study in (self.new, self.old))

    @cached_property
    def _pooled(self) -> tuple[Pool, str]:
        """The pool that both ends can trust, and why anything was fitted (empty if nothing was)."""
        stored, why = self._stored
        sources = list(stored)
        if not sources:
            # Against a date there is no run, and the draws that are weighed are those of the present.
            own = bool(self.keys) and all(state is self.new for _, state in self.keys)
            why = why or f"no draws of the {'present' if own else 'old'} state are stored"
        pool = Pool(sources, self.new, self.memory) if sources else None
        for study, which in ((self.new, "the new state"), (self.old, "the old state")):
            fault = why if pool is None else pool.fault(study)
            if fault is None:
                continue
            reason = why if pool is None else f"{fault} at {which}"
            why = why or reason
            key = self._fit(study, reason)
            if any(s.owner is None for s in sources):
                sources = []  # draws whose own state is lost cannot be pooled
            if key not in {s.key for s in sources}:
                state = _sampled_under(study, key)
                again = self._source(key, first=not sources, owner=state)
                if again is None:
                    raise ArtifactError(f"the fit {key} has gone; run the update again")
                sources.append(again)
            pool = Pool(sources, self.new, self.memory)
        assert pool is not None  # either there were draws, or a fit was made
        return pool, why

    def _source(self, key: str, *, first: bool, owner: Study | None) -> Source | None:
        return read_source(self.new, key, first=first, owner=owner, memory=self.memory)

    def _fit(self, study: Study, why: str) -> str:
        from valuation.posterior import diagnose

        key = study.posterior_key(study.prior_set)
        if self._stored[1] or not (study.posteriors / f"{key}.json").is_file():
            self.told(why)
        # Under the priors in use: a fit under others would be as far away as the draws at hand.
        tree = study.fitted(study.prior_set)
        diagnose(tree, study.limits).raise_if_failed(study.override)
        return key

    @property
    def pool(self) -> Pool:
        return self._pooled[0]

    # --- positions --------------------------------------------------------------------------------

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """What both states publish, but for drivers that are fixed at one value in both."""
        ends = [self.pool.at(study) for study in (self.old, self.new)]
        before, after = ({q.name: j for j, q in enumerate(end.quantities)} for end in ends)

        def fixed(name: str) -> bool:
            places = [(ends[0], before[name]), (ends[1], after[name])]
            values = [float(end.values[j]) for end, j in places]
            still = all(np.abs(end.scatter[j]).max() < FIXED for end, j in places)
            return still and abs(values[0] - values[1]) < FIXED * max(1.0, abs(values[0]))

        return tuple(
            q
            for q in ends[1].quantities
            if q.name in before and not (q.group == "driver" and fixed(q.name))
        )

    def _at(self, study: Study) -> Position:
        return self.pool.at(study).of(self.quantities)

    @cached_property
    def was(self) -> Position:
        """The old state on the pool."""
        return self._at(self.old)

    @cached_property
    def now(self) -> Position:
        """The new state on the pool."""
        return self._at(self.new)

    @cached_property
    def _later_states(self) -> tuple[Study, Study]:
        first, last = in_time(self.old, self.new)
        if first.as_of == last.as_of and first.random_seed == last.random_seed:
            return self.old, self.new
        moved = at_the_date_of(first, last)
        return (moved, last) if first is self.old else (last, moved)

    @cached_property
    def _end_states(self) -> tuple[Study, Study]:
        if not self.rosters:
            return self._later_states
        first, last = in_time(self.old, self.new)
        old, new = (with_rosters_of(state, first, last) for state in self._later_states)
        return old, new

    @cached_property
    def later(self) -> tuple[Position, Position]:
        """Both states on the later of their days."""
        old, new = (self._at(state) for state in self._later_states)
        return old, new

    @cached_property
    def ends(self) -> tuple[Position, Position]:
        """Both states on the later of their days and with the same rosters: what the items lie between."""
        old, new = (self._at(state) for state in self._end_states)
        return old, new

    @cached_property
    def items(self) -> tuple[Item, ...]:
        return items_of(self.old, self.new)

    @cached_property
    def rosters(self) -> str:
        """What changed in the rosters, in words."""
        return roster_changes(self.old, self.new)

    def _coalition(self, chosen: frozenset[int]) -> Position:
        if len(chosen) in (0, len(self.items)):
            return self.ends[bool(chosen)]
        try:
            state = mixed(self.old, self.new, self.items, chosen)
            self.pool.stands(state)
        except (LedgerError, ParameterError):
            self._partial.add(chosen)
            return self._coalition(self._standing(chosen))
        return self._at(state)

    @cached_property
    def _partial(self) -> set[frozenset[int]]:
        """Combinations that were found to contradict themselves, and are worth what stands of them."""
        return set()

    def _by_model(self, chosen: frozenset[int]) -> list[list[int]]:
        """Sorts coalitions so that those come together that share what most items are about: memories are bounded."""
        of: dict[str, list[int]] = {}
        for i, item in enumerate(self.items):
            kind = KINDS.get(str((item.row or {}).get("kind")))
            of.setdefault("" if kind is None else kind.model, []).append(i)
        groups = sorted(of.values(), key=len, reverse=True)
        return [[i for i in group if i in chosen] for group in groups]

    def _standing(self, chosen: frozenset[int]) -> frozenset[int]:
        """The items that can be put in without contradiction, each as it arrives or as soon as another allows it.

        A group's counts must not fall: of two that were both restated, one may not stand without the other. Nor may
        one term of a deal without another that it must agree with.
        """
        kept: frozenset[int] = frozenset()
        left = sorted(chosen)
        while left:
            for i in left:
                try:
                    evidence_of(mixed(self.old, self.new, self.items, kept | {i}))
                except (LedgerError, ParameterError):
                    continue
                kept |= {i}
                left.remove(i)
                break
            else:
                break
        return kept

    @cached_property
    def shares(self) -> Shares:
        """Shapley shares and arrival order of the items."""
        count = len(self.items)
        coefficients = shapley_coefficients(count, random_seed=self.new.random_seed)
        seen: dict[frozenset[int], Position] = {}

        def at(chosen: frozenset[int]) -> Position:
            if chosen not in seen:
                seen[chosen] = self._coalition(chosen)
            return seen[chosen]

        for done, coalition in enumerate(sorted(coefficients.coalitions, key=self._by_model)):
            self.step(done, len(coefficients.coalitions))
            at(coalition)
        worth = [at(coalition) for coalition in coefficients.coalitions]
        values = np.array([p.values for p in worth])
        scatter = np.array([p.scatter for p in worth])
        share = coefficients.table @ values
        pull = np.tensordot(coefficients.table, scatter, axes=1)
        sampling = np.zeros_like(share)
        if coefficients.by_order is not None:
            each = coefficients.by_order @ values
            sampling = each.std(axis=0, ddof=1) / math.sqrt(len(each))
            # Items that say the same are worth the same; sampled orders alone would not know.
            alike: dict[str, list[int]] = {}
            for i, item in enumerate(self.items):
                alike.setdefault(item.content, []).append(i)
            for group in alike.values():
                for table in (share, pull, sampling):
                    table[group] = table[group].mean(axis=0)
        path = [at(frozenset(range(i))).values for i in range(count + 1)]
        arrival = np.diff(np.array(path), axis=0)
        alone = tuple(at(frozenset({i})).weights for i in range(count))
        everyone = [p.weights for p in seen.values()]
        worst = min(everyone, key=lambda w: w.effective_draws) if everyone else self.ends[0].weights
        return Shares(share, pull, sampling, arrival, alone, worst, coefficients)

    # --- answers ----------------------------------------------------------------------------------

    @property
    def method(self) -> str:
        if self._pooled[1]:
            return REFITTED
        moved = bool(self.items or self.rosters) or self.old.as_of != self.new.as_of
        moved = moved or any(
            abs(value - self.published.get(q.name, value)) > SAME_NUMBER
            for q, value in zip(self.quantities, self.now.values, strict=True)
        )
        if not moved:
            return UNCHANGED
        same = np.array_equal(self.was.weights.weight, self.now.weights.weight)
        return REVALUED if same else REWEIGHTED

    @cached_property
    def checks(self) -> tuple[gates.Check, ...]:
        """What must hold before the change is told: both ends rest on enough draws."""
        from valuation.ledger import check_seals

        folder = self.new.root / self.new.base_deal.seeds
        found: list[gates.Check] = [*gates.ledger_lint([check_seals(folder)])]
        for name, position in (("update, before", self.was), ("update, now", self.now)):
            w = position.weights
            found += gates.reweighting(
                w.khat, self.pool.draws, w.effective_draws, self.new.limits, name=name
            )
        for study, position in ((self.old, self.was), (self.new, self.now)):
            if study.scenario.conditions:
                found.append(
                    gates.scenario_draws(
                        position.weight.tolist(), study.limits, scenario=study.scenario.scenario
                    )
                )
        return tuple(dict.fromkeys(found))

    @cached_property
    def answer(self) -> dict[str, Any]:
        """The change without pictures: what a terminal prints. Keys as documented in CONTRIBUTING."""
        from valuation.study.answers import told_deal

        gates.gate(self.checks, self.new.override).raise_if_refused()
        meta = self.quantities
        names = [q.name for q in meta]
        was = np.array(
            [self.published.get(n, v) for n, v in zip(names, self.was.values, strict=True)]
        )
        later = self.until_published or {}
        now = np.array([later.get(n, v) for n, v in zip(names, self.now.values, strict=True)])
        buckets = self._buckets(was, now)
        error = np.hypot(error_of(self.now.scatter - self.was.scatter), self._redrawn)
        told_before = said_by(self.run) if self.run is not None and self.run.files else {}

        def told(values: np.ndarray) -> dict[str, float]:
            return {n: float(v) for n, v in zip(names, values, strict=True)}

        return {
            "schema": SCHEMA,
            "kind": "update",
            "deal": told_deal(self.new.deal),
            "scenario": {
                "scenario": self.new.scenario.scenario,
                "title": self.new.scenario.title,
            },
            "as_of": str(self.new.as_of),
            "freshness": self.new.freshness() if self.until is None else None,
            "headline": self.new.deal.headline,
            "was": {
                "run": None if self.run is None else self.run.id,
                "label": self._label,
                "as_of": str(self.old.as_of),
                "effective_draws": self._effective(self.old, self.was),
            },
            "is": {
                "run": None if self.until is None else self.until.id,
                "label": None if self.until is None else _named(self.until, self.new),
                "as_of": str(self.new.as_of),
                "method": self.method,
                "khat": float(self.now.weights.khat),
                "effective_draws": self._effective(self.new, self.now),
                "draws": self.pool.draws,
                "why": self._pooled[1],
            },
            "quantities": [
                {
                    "name": q.name,
                    "label": q.label,
                    "unit": q.unit,
                    "group": q.group,
                    "was": float(was[j]),
                    "is": float(now[j]),
                    "change": float(now[j] - was[j]),
                    "mcse": float(error[j]),
                    "mcse_was": told_before.get(q.name, (0.0, float(self.was.error[j])))[1],
                    "mcse_is": float(self.now.error[j]),
                }
                for j, q in enumerate(meta)
            ],
            "buckets": [
                {
                    "bucket": name,
                    "label": label,
                    "change": told(buckets[name][0]),
                    "mcse": told(buckets[name][1]),
                    "items": [i.id for i in self.items if i.bucket == name],
                }
                for name, label in BUCKETS.items()
            ],
            "items": self._items(names, told),
            "rosters": self.rosters,
            "context_rows": silent_rows(self.old, self.new),
            "attribution": self._attribution(),
        }

    @property
    def _label(self) -> str:
        from valuation.study.answers import told_day

        if self.run is None:
            return f"the present ledger as of {told_day(self.old.as_of)}"
        return self.run.label if self.until is None else _named(self.run, self.old)

    @staticmethod
    def _effective(state: Study, position: Position) -> float:
        """Equally weighted draws that an answer is worth: of those that meet the scenario's conditions."""
        if not state.scenario.conditions:
            return float(position.weights.effective_draws)
        return float(1.0 / (position.weight**2).sum())

    def _buckets(
        self, was: np.ndarray, now: np.ndarray
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Change and error of every bucket; changes sum to ``now - was``."""
        shares, nothing = self.shares, np.zeros(len(was))
        found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        # From the old state to where the items begin, and from where they end to the new one.
        legs = {
            TIME: ((self.was, self.later[0]), (self.later[1], self.now)),
            REVISIONS: ((self.later[0], self.ends[0]), (self.ends[1], self.later[1])),
        }
        for bucket in BUCKETS:
            mine = [i for i, item in enumerate(self.items) if item.bucket == bucket]
            pull = shares.scatter[mine].sum(axis=0) if mine else np.zeros_like(self.was.scatter)
            change = shares.value[mine].sum(axis=0) if mine else nothing
            for before, after in legs.get(bucket, ()):
                change = change + after.values - before.values
                pull = pull + after.scatter - before.scatter
            found[bucket] = (change, error_of(pull))
        # What was published, computed again here; other code or other draws make the difference.
        again = (self.was.values - was) + (now - self.now.values)
        # What differs between the states without being an item, if ever anything does, is not kept quiet.
        again = again + (self.ends[1].values - self.ends[0].values) - shares.value.sum(axis=0)
        beyond = self._same_draws | (np.abs(again) > 2.0 * self._redrawn)
        by_code = self._other_code & beyond
        for bucket, mine in ((CODE, by_code), (NOISE, ~by_code)):
            found[bucket] = (np.where(mine, again, 0.0), np.where(mine, self._redrawn, 0.0))
        return found

    @property
    def _other_code(self) -> bool:
        """Whether other code may have made what was published and is not found again."""
        return self.run is not None and _code(self.run) != (
            _code(self.until) if self.until is not None else package_digest()
        )

    @property
    def _same_draws(self) -> bool:
        """Whether all that was published came from the very draws of this pool; else chance may have moved it, too."""
        here = [s.key for s in self.pool.sources]
        told = [run.posterior for run in (self.run, self.until) if run is not None]
        return all((keys or "").split() == here for keys in told)

    @cached_property
    def _redrawn(self) -> np.ndarray:
        """Error of what was published and is told from other draws here; 0 where it comes out the same."""
        squared = np.zeros(len(self.quantities))
        ends = (
            (self.run, self.published, self.was),
            (self.until, self.until_published or {}, self.now),
        )
        for run, published, position in ends:
            told = said_by(run) if run is not None and run.files else {}
            own = position.error
            for j, quantity in enumerate(self.quantities):
                said = published.get(quantity.name, position.values[j])
                if abs(said - position.values[j]) > SAME_NUMBER:
                    error = told[quantity.name][1] if quantity.name in told else own[j]
                    squared[j] += error**2 + own[j] ** 2
        return np.sqrt(squared)

    def _items(self, names: Sequence[str], told: Any) -> list[dict[str, Any]]:
        shares, out = self.shares, []
        sources = self.new.ledger.sources.set_index("source")
        groups = {q.name: q.group for q in self.quantities}
        for i, item in enumerate(self.items):
            error = error_of(shares.scatter[i])
            row = item.row or {}
            source = sources.loc[row["source"]] if row and row["source"] in sources.index else None
            chance = self._chance(i, item)
            kind = KINDS.get(str(row.get("kind")))
            out.append(
                {
                    "item": item.id,
                    "bucket": item.bucket,
                    "what": item.what,
                    "title": item.title,
                    "published": str(row["published"]) if row else None,
                    "event_date": str(row["event_date"]) if row else None,
                    "source": row.get("source"),
                    "publisher": _text(source, "publisher"),
                    "address": _text(source, "address"),
                    "credibility": row.get("credibility"),
                    "kind": row.get("kind"),
                    "subject": row.get("subject"),
                    "model": None if kind is None else kind.model,
                    "root": row.get("root"),
                    "supersedes": row.get("supersedes"),
                    "shapley": told(shares.value[i]),
                    "mcse": told(error),
                    "sampling_se": told(shares.sampling[i]),
                    "arrival": told(shares.arrival[i]),
                    "probability": chance,
                    "bits": None if chance is None else -math.log2(max(chance, 1e-300)),
                    "khat": finite(shares.alone[i].khat),
                    "effective_draws": float(shares.alone[i].effective_draws),
                    "moved": [
                        n
                        for j, n in enumerate(names)
                        if groups[n] in ("driver", "event")
                        and abs(shares.value[i, j])
                        > max(DECIDED * math.hypot(error[j], shares.sampling[i, j]), 1e-9)
                    ],
                }
            )
        return out

    def _chance(self, place: int, item: Item) -> float | None:
        """What the old state gave to the item beforehand; None where it was nothing that happens."""
        if item.what != "added" or item.row is None or item.row["kind"] is None:
            return None
        alone = mixed(self.old, self.new, self.items, frozenset({place}))
        try:
            chance = self.pool.row_probability(self._end_states[0], alone, item.id)
        except LedgerError:  # it cannot stand without another item
            return None
        return None if math.isnan(chance) else chance

    def _attribution(self) -> dict[str, Any]:
        coefficients, worst = self.shares.coefficients, self.shares.worst
        return {
            "method": "exact" if coefficients.exact else "sampled",
            "orders": coefficients.orders or math.factorial(len(self.items)),
            "evaluations": self.pool.evaluations,
            "combinations": len(self.shares.coefficients.coalitions),
            "partial": len(self._partial),
            "worst_khat": finite(worst.khat),
            "least_draws": float(worst.effective_draws),
            "overlap": self.pool.overlap,
            "rough": trouble(worst, self.new.limits) is not None or self.pool.overlap < OVERLAP_MIN,
        }

    @cached_property
    def results(self) -> dict[str, Any]:
        """The change with drivers, history and provenance: what the news report shows; stored by content."""
        from valuation.study.stored import load_or_make

        key = digest_of(
            {
                "old": state_digest(self.old),
                "new": state_digest(self.new),
                "ledgers": [self.old.ledger.digest, self.new.ledger.digest],  # context is shown
                "run": None if self.run is None else self.run.id,
                "until": None if self.until is None else self.until.id,
                "pool": [s.key for s in self.pool.sources],
                "code": package_digest(),
                "override": self.new.override,
                "limits": self.new.limits.digest(),
                "history": [_stamp(self._history_path), self.new.digests],
                "lint": [check.sentence for check in self.new.lint if not check.passed],
            }
        )
        found = load_or_make(self.new.cache / "results" / f"update-{key[:16]}.json", self._full)
        # Of the day on which they are asked for, not of that on which they were first computed.
        return found | {
            "run": found["run"] | {"created": clock.moment()},
            "freshness": self.answer["freshness"],
        }

    @property
    def _history_path(self) -> Path:
        return history_path(self.new.root, self.new.base_deal.name, self.new.scenario.scenario)

    def _full(self) -> dict[str, Any]:
        from valuation.study.answers import told_checks
        from valuation.study.replay import ended_now, read_history  # which reads this module

        verdict = gates.gate(self._all_checks(), self.new.override)
        verdict.raise_if_refused()
        return {
            **self.answer,
            "drivers": self._drivers(),
            "questions": self.pool.answers(self.new),
            "history": ended_now(
                read_history(self.new.root, self.new.base_deal.name, self.new.scenario.scenario),
                self.new,
                self.answer,
            ),
            "diagnostics": told_checks(verdict.checks),
            "run": self._provenance(verdict),
        }

    def _all_checks(self) -> list[gates.Check]:
        from valuation.posterior import diagnose, load

        checks = [*self.checks]
        for source in self.pool.sources:
            tree = load(self.new.posteriors, source.key)
            if tree is None:
                raise ArtifactError(f"the fit {source.key} has gone; run the update again")
            checks += gates.from_table(diagnose(tree, self.new.limits).table)
        # The seals were checked before anything was told.
        checks += self.new.ledger_checks()
        return list(dict.fromkeys(checks))

    def _provenance(self, verdict: gates.Verdict) -> dict[str, Any]:
        from valuation.posterior import versions

        return {
            "seed": self.new.random_seed,
            "created": clock.moment(),
            "digests": self.new.digests,
            "versions": versions(),
            "sampler": (
                "a new fit and stored draws, weighed together"
                if self.method == REFITTED
                else "stored draws, weighed again"
            ),
            "posterior": " ".join(s.key for s in self.pool.sources),
            "owners": self._owners,
            "override": self.new.override if not verdict.passed else "",
        }

    @property
    def _owners(self) -> dict[str, str]:
        """Whose state each fit of the pool was sampled under: the id of a run; empty for this change's new state."""
        known = dict(self.owners)
        if self.run is not None:
            known.update(dict.fromkeys((key for key, _ in _fits_of(self.old)), self.run.id))
        known.update(dict.fromkeys((key for key, _ in _fits_of(self.new)), ""))
        return {s.key: known[s.key] for s in self.pool.sources if s.key in known}

    def _drivers(self) -> list[dict[str, Any]]:
        from valuation.study.answers import driver_bands

        before, after = (driver_bands(*self.pool.drivers(study)) for study in (self.old, self.new))
        return [
            {
                "driver": name,
                "label": band["label"],
                "unit": band["units"],
                "dates": band["dates"],
                "is": {k: band[k] for k in ("mean", "lower", "upper")},
                "was": {k: before[name][k] for k in ("mean", "lower", "upper")},
            }
            for name, band in after.items()
            if name in before
        ]


def _named(run: Run, state: Study) -> str:
    """One of two runs, so that it can be told from the other."""
    from valuation.study.answers import told_day

    return f"{run.label} as of {told_day(state.as_of)} ({run.short})"


def _code(run: Run) -> str:
    return str(run.digests.get("code", ""))


def _text(row: Any, column: str) -> str | None:
    value = None if row is None else row[column]
    return None if value is None or value != value else str(value)


def _stamp(path: Path) -> str:
    return str(path.stat().st_mtime_ns) if path.is_file() else ""


# --- opening --------------------------------------------------------------------------------------


def open_change(
    deal: str = DEFAULT_DEAL,
    scenario: str = "base",
    *,
    against: str = "",
    since: str | dt.date = "",
    random_seed: int = RANDOM_SEED,
    override: str = "",
    root: str | Path | None = None,
    told: Callable[[str], None] = lambda why: None,
    step: Callable[[int, int], None] = lambda done, of: None,
    like: Change | None = None,
) -> Change:
    """The present ledger, priors and terms against an earlier state; nothing is computed yet.

    Parameters
    ----------
    against
        Id of a run, or the start of one; empty: the last published run of the scenario.
    since
        Instead of a run: the present priors and terms with what was public on this day.
    told
        Called with the reason before a fit, which takes a minute.
    step
        Called with how many combinations of items have been valued, and of how many.
    like
        An earlier change of this session: what it has computed is used again.

    Raises
    ------
    ParameterError
        If both are given, or there is no run to compare with.
    """
    from valuation.archive import find_run, latest_run

    base = find_root() if root is None else Path(root)
    cache = cache_folder(base)
    memory = Memory() if like is None else like.memory
    new = open_study(
        deal, scenario, random_seed=random_seed, override=override, root=base, cache=cache
    )
    if since:
        if against:
            raise ParameterError("give a run or a date to compare with, not both")
        old = open_study(
            deal, scenario, as_of=since, random_seed=random_seed, root=base, cache=cache
        )
        own = ((new.posterior_key(), new),)
        return Change(old, new, None, {}, own, told=told, step=step, memory=memory)
    run = (
        find_run(base, against, deal=deal)
        if against
        else latest_run(base, deal=deal, scenario=scenario)
    )
    if run is None:
        raise ParameterError(
            f"no published run of {scenario!r} to compare with; run `valuation report {scenario}` "
            "first, or give --since DATE"
        )
    old, fits, owners = _behind(run, new, like=like)
    return Change(
        old,
        new,
        run,
        published_by(run),
        fits,
        told=told,
        step=step,
        owners=owners,
        memory=memory,
    )


def between(run: Run, new: Study, published: Mapping[str, float]) -> Change:
    """From a published run to a state that has its own fit and is about to publish ``{quantity: value}``."""
    old, fits, owners = _behind(run, new)
    keys = (*fits, *_fits_of(new))
    return Change(
        old, new, run, published_by(run), keys, until_published=dict(published), owners=owners
    )


def _behind(
    run: Run, new: Study, *, like: Change | None = None
) -> tuple[Study, Fits, Mapping[str, str]]:
    """A run's state and the fits behind it, completed by what only the new state has; and whose the fits are.

    What ``like`` has read of the same run is not read again.
    """
    fits: Fits
    owners: Mapping[str, str]
    if like is not None and like.run is not None and like.run.id == run.id:
        old, fits, owners = like.old, like.keys, like.owners
    else:
        old = state_of(run, cache=new.cache)
        fits, owners = _keys_of(run, new.root, new.cache)
    return completed(old, new), _completed(fits, new), owners


def _completed(fits: Fits, other: Study) -> Fits:
    """Fits whose states have the priors that only the other one has."""
    return tuple((key, None if s is None else completed(s, other)) for key, s in fits)


def compare_runs(
    first: str,
    second: str,
    *,
    deal: str = DEFAULT_DEAL,
    root: str | Path | None = None,
    told: Callable[[str], None] = lambda why: None,
    step: Callable[[int, int], None] = lambda done, of: None,
) -> Change:
    """What moved the answer between two published runs; ``told`` and ``step`` as in :func:`open_change`."""
    from valuation.archive import find_run

    base = find_root() if root is None else Path(root)
    cache = cache_folder(base)
    one, two = (find_run(base, word, deal=deal) for word in (first, second))
    old, new = (state_of(run, cache=cache) for run in (one, two))
    (before, owners), (after, others) = (_keys_of(run, base, cache) for run in (one, two))
    fits = [_completed(before, new), _completed(after, old)]
    if (
        in_time(old, new)[0] is not old
    ):  # the same draws in the same order, whichever way it is told
        fits.reverse()
    return Change(
        completed(old, new),
        completed(new, old),
        one,
        published_by(one),
        (*fits[0], *fits[1]),
        two,
        published_by(two),
        told,
        step,
        owners={**owners, **others},
    )


def state_of(run: Run, *, cache: Path) -> Study:
    """The state of knowledge that a run was made from, from the inputs kept with it."""
    found = open_study(
        run.deal,
        run.scenario,
        as_of=run.as_of if run.as_of_given else "",
        random_seed=RANDOM_SEED if run.seed is None else run.seed,
        root=run.inputs,
        cache=cache,
    )
    return replace(found, made=run.created)


def said_by(run: Run) -> dict[str, tuple[float, float]]:
    """What a run published, ``{quantity: (value, Monte Carlo error)}``."""
    return {
        row["name"]: (float(row["is"]), float(row["mcse_is"]))
        if "is" in row  # an update also tells what was; a report has values
        else (float(row["value"]), float(row["mcse"]))
        for row in run.results.get("quantities", ())
    }


def published_by(run: Run) -> dict[str, float]:
    """What a run published, ``{quantity: value}``."""
    return {name: value for name, (value, _) in said_by(run).items()}


def _fits_of(state: Study) -> Fits:
    """The fits that a state may have: under the house priors, and under those in use."""
    return tuple(
        (state.posterior_key(name), state) for name in dict.fromkeys((HOUSE, state.prior_set))
    )


def _sampled_under(state: Study, key: str) -> Study:
    """The state as the fit ``key`` of it saw it: without the scenario's terms, under one set of priors."""
    own = state.prior_set
    prior_set = own if own != HOUSE and key == state.posterior_key(own) else HOUSE
    return replace(state, deal=state.base_deal.model_copy(update={"prior_set": prior_set}))


def _keys_of(run: Run, root: Path, cache: Path) -> tuple[Fits, dict[str, str]]:
    """The fits behind a run, each with the state that it was sampled under where that is known; and whose it is."""
    from valuation.archive import find_run, list_runs

    keys = (run.posterior or "").split()
    owners: dict[str, str] = {}
    if run.kind == "report":  # made from one fit, its own
        owners = dict.fromkeys(keys, run.id)
    elif run.files:
        owners = {
            key: owner or run.id
            for key, owner in run.results["run"].get("owners", {}).items()
            if key in keys
        }
    for key in keys:  # of a run that did not say whose
        if key not in owners:
            known = [
                r
                for r in list_runs(root, deal=run.deal)
                if r.kind == "report" and r.posterior == key and not r.problem
            ]
            if known:
                owners[key] = known[-1].id
    states = {
        owner: state_of(
            run if owner == run.id else find_run(root, owner, deal=run.deal), cache=cache
        )
        for owner in dict.fromkeys(owners.values())
    }
    return tuple((key, states.get(owners.get(key, ""))) for key in keys), owners


__all__ = ["BUCKETS", "Change", "compare_runs", "open_change"]
