"""What differs between two states of knowledge, as items that can be put in one by one.

A state is a :class:`valuation.study.Study`. ``items_of`` lists what the new one has and the old one has not: rows,
priors, grades, terms, the scenario. ``mixed`` builds the state in between that has some of the items, which is what
attribution values. Context rows move nothing and are no items.

States in between live on the later of the two days, whichever way the change is told: whoever a row of either state
is about was known by then. Seen from a later state back to an earlier one, the same items are taken back, in the
reverse of the order in which they came, and counted where they were counted when they came.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from valuation.currency import spelled
from valuation.errors import LedgerError, ParameterError
from valuation.ledger.tables import SUBJECT
from valuation.params import HOUSE, PriorBook
from valuation.params.deals import Deal
from valuation.params.reading import Document, digest_of, validate

if TYPE_CHECKING:
    from valuation.params import Scenario
    from valuation.study.case import Study

NEWS, REVISIONS, PRIORS, TERMS, SCENARIO = (
    "news", "revisions", "prior_edits", "deal_terms", "scenario",
)  # fmt: skip
ROSTERS = ("people", "customers", "vendors", "entities")
PARTIES = ("acquirer", "target")  # roles whose names the deal file gives
# Terms of a deal that no number which an update splits depends on.
WORDS = frozenset(
    {"name", "title", "author", "acquirer", "target", "seeds", "priors"}
    | {"decision_date", "options", "disclosures", "scenarios", "prior_range", "ending"}
)
# Those of them that must agree with other terms, as a deal has them that leaves nothing to choose.
NO_CHOICE: dict[str, Any] = {
    "decision_date": None,
    "options": {},
    "disclosures": {},
    "ending": None,
}
# What a row says; ids, wording and where it stood do not count. Its root does where another row shares it.
SAME = ("event_date", "credibility", "kind", "subject", "value", "sd", "root")


@dataclass(frozen=True)
class Item:
    """One thing that changed.

    Attributes
    ----------
    id
        Row id, or ``prior NAME``, ``grade X``, ``term NAME``, ``scenario``.
    bucket
        Where its effect is counted.
    what
        ``added``, ``revised``, ``withdrawn``, ``regraded``, ``removed``, ``edited``, ``cancelled``; on the way back
        ``unpublished`` by the earlier day, ``unrecorded`` when the earlier run was made, or ``kept`` by it alone; or
        ``prior``, ``credibility``, ``term``, ``scenario``.
    title
        For people: of a row its claim, with what became of it unless it is simply new.
    content
        Equal for items that say the same.
    row
        Cells of the ledger row, if it is one.
    takes, drops
        Rows of the later state that come with it, and rows of the earlier one that go.
    """

    id: str
    bucket: str
    what: str
    title: str
    content: str
    row: Mapping[str, Any] | None = field(default=None, repr=False)
    takes: frozenset[str] = frozenset()
    drops: frozenset[str] = frozenset()

    @property
    def order(self) -> tuple[dt.date, int, str]:
        """Arrival: rows by the day they were published, then what was decided here."""
        known = self.row is not None
        return (self.row["published"] if self.row else dt.date.max, int(not known), self.id)


def items_of(old: Study, new: Study) -> tuple[Item, ...]:
    """Everything that may move the answer from ``old`` to ``new``, in order of arrival; of the way back, reversed."""
    first, last = in_time(old, new)
    rows = _rows(first, last)
    if last is not new:
        rows = [_taken_back(item, old, new) for item in rows]
    found = [*rows, *_priors(old, new), *_grades(old, new), *_terms(old, new)]
    if old.scenario.digest() != new.scenario.digest():
        title = f"Scenario: {new.scenario.title} instead of {old.scenario.title}"
        if old.scenario.scenario == new.scenario.scenario:
            title = f"Scenario {new.scenario.title!r} edited"
        found.append(Item("scenario", SCENARIO, "scenario", title, "scenario"))
    return tuple(sorted(found, key=lambda item: item.order, reverse=last is not new))


def in_time(old: Study, new: Study) -> tuple[Study, Study]:
    """The two states, the later one last: by the day that they speak for, then by when they were made."""
    if new.as_of != old.as_of:
        return (new, old) if new.as_of < old.as_of else (old, new)
    return (new, old) if _made_before(new, old) else (old, new)


def _made_before(one: Study, other: Study) -> bool:
    """Whether one state's files were those of a run before the other's; the present ones come last."""
    return one.made is not None and (other.made is None or one.made < other.made)


def silent_rows(old: Study, new: Study) -> int:
    """Rows added that are context: shown, never scored."""
    before = set(old.ledger.evidence["id"])
    evidence = new.ledger.evidence
    return int((~evidence["id"].isin(before) & ~_moves(evidence)).sum())


def roster_changes(old: Study, new: Study) -> str:
    """What differs between the rosters, in words; empty if nothing does."""
    told = []
    for name in ROSTERS:
        before = {_spelled(r) for r in _records(getattr(old.ledger, name))}
        after = {_spelled(r) for r in _records(getattr(new.ledger, name))}
        if before != after:
            told.append(
                f"{name}: {len(after - before)} rows new or changed, {len(before - after)} gone or changed"
            )
    return "; ".join(told)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(k): None if pd.isna(v) else v for k, v in row.items() if k != "line"}
        for row in frame.to_dict(orient="records")
    ]


def _spelled(row: Mapping[str, Any]) -> str:
    return repr(sorted((k, str(v)) for k, v in row.items()))


def _moves(frame: pd.DataFrame) -> pd.Series:
    """Which rows could move something: typed ones, and those that replace a typed one."""
    typed = frame["kind"].notna()
    return typed | frame["supersedes"].isin(set(frame["id"][typed]))


def _able(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[_moves(frame)]


def _rows(old: Study, new: Study) -> list[Item]:
    before = {r["id"]: r for r in _records(_able(old.ledger.evidence))}
    after = {r["id"]: r for r in _records(_able(new.ledger.evidence))}
    seen, stays = (set(s.ledger.evidence["id"]) for s in (old, new))
    replacing = new.ledger.evidence[new.ledger.evidence["supersedes"].notna()]
    replaces = dict(zip(replacing["id"], replacing["supersedes"], strict=True))
    # Rows of one root count once; a root that stands alone says nothing about its row.
    union = Counter(_root(row) for row in (before | after).values())
    shared = {root for root, rows in union.items() if rows > 1}
    found, idle = [], set[str]()
    for rows, known, fates in ((after, seen, ADDED), (before, stays, DROPPED)):
        for ids in _cancelling(rows, known):
            found.append(_no_effect([rows[key] for key in ids], fates))
            idle.update(ids)
    for key, row in after.items():
        if key in idle:
            continue
        same = before.get(key)
        if same is None and key not in seen:
            found.append(_new_row(row, before, replaces, shared))
        elif same is None or _spelled({c: row[c] for c in (*SAME, "supersedes")}) != _spelled(
            {c: same[c] for c in (*SAME, "supersedes")}
        ):
            found.append(
                Item(key, REVISIONS, "edited", f"Edited: {row['claim']}", _content(row, shared), row,
                     frozenset({key}), frozenset({key}))
            )  # fmt: skip
    for key, row in before.items():
        if key in after or key in idle:
            continue
        what = "edited" if key in stays else "removed"
        title = f"{_GONE[what]}: {row['claim']}"
        found.append(
            Item(key, REVISIONS, what, title,
                 f"less {_content(row, shared)}", row, frozenset(), frozenset({key}))
        )  # fmt: skip
    return found


def _taken_back(item: Item, old: Study, new: Study) -> Item:
    """A row's item between the new state, the earlier one, and the old one, told of the way back to the new one."""
    assert item.row is not None
    evidence = new.ledger.evidence
    here = {r["id"]: r for r in _records(evidence[evidence["id"] == item.id])}
    row = here.get(item.id, item.row)
    late, before = row["published"] > new.as_of, _made_before(new, old)
    bucket, what, claim = item.bucket, item.what, row["claim"]
    if item.what == "cancelled":
        if here:
            words, bucket = (KEPT, bucket) if before else ADDED
        elif late or before:
            words, bucket = f"{_NOT_YET[late]}, nor its withdrawal, no net effect", bucket
        else:
            words, bucket = DROPPED
        title = f"{words}: {claim}"
    elif item.what == "edited":
        typed = row["kind"] is not None
        title = f"{'Edited' if typed else _GONE['edited']}: {claim}"
    elif here and before:
        what, title = "kept", f"{KEPT}: {claim}"
    elif here:
        bucket, what, title = NEWS, "added", claim
    elif late or before:
        what, title = "unpublished" if late else "unrecorded", f"{_NOT_YET[late]}: {item.title}"
    else:
        bucket, what, title = REVISIONS, "removed", f"{_GONE['removed']}: {claim}"
    content = f"less {item.content}"
    return replace(item, bucket=bucket, what=what, title=title, content=content, row=row)


ADDED = ("Added and withdrawn, no net effect", NEWS)
DROPPED = ("Gone together with its withdrawal, no net effect", REVISIONS)
KEPT = "Removed since"
_NOT_YET = {True: "Not public by then", False: "Not in the ledger yet"}


def _cancelling(
    rows: Mapping[str, Mapping[str, Any]], elsewhere: Collection[str]
) -> list[tuple[str, ...]]:
    """Ids of rows that one state alone has and that come to nothing there: a claim, what revised it, its withdrawal.

    Oldest first. A withdrawal of what both states have is no such case: it takes something away.
    """
    found = []
    replaced = {row["supersedes"] for row in rows.values()}
    for key, row in rows.items():
        if row["kind"] is not None or key in replaced:
            continue
        chain, place = [key], row["supersedes"]
        while place in rows and place not in chain:
            chain.append(place)
            place = rows[place]["supersedes"]
        if place is None and len(chain) > 1 and not set(chain) & set(elsewhere):
            found.append(tuple(reversed(chain)))
    # Two rows may replace one: then it comes to nothing only if all who replace it do.
    ids = [i for chain in found for i in chain]
    twice = {i for i in ids if ids.count(i) > 1} | {
        row["supersedes"] for key, row in rows.items() if key not in ids
    }
    return [chain for chain in found if not twice & set(chain)]


def _no_effect(rows: Sequence[Mapping[str, Any]], told: tuple[str, str]) -> Item:
    first, ids = rows[0], frozenset(str(row["id"]) for row in rows)
    words, bucket = told
    takes, drops = (ids, frozenset[str]()) if bucket == NEWS else (frozenset[str](), ids)
    return Item(
        str(first["id"]), bucket, "cancelled", f"{words}: {first['claim']}",
        f"nothing of {sorted(ids)}", first, takes, drops,
    )  # fmt: skip


# How the title of a row begins that has gone: its claim alone would read as if it had come.
_GONE = {"edited": "No longer scored", "removed": "Removed"}


def _new_row(
    row: Mapping[str, Any],
    before: Mapping[str, Mapping[str, Any]],
    replaces: Mapping[str, str],
    shared: Collection[tuple[Any, ...]],
) -> Item:
    chain: list[str] = []  # what it replaces, and what that had replaced
    place: str | None = row["supersedes"]
    while place is not None and place not in chain:
        chain.append(place)
        place = replaces.get(place)
    known = [before[i] for i in chain if i in before]
    older = known[0] if known else None
    bucket, what = (NEWS, "added") if older is None else (REVISIONS, "revised")
    title = row["claim"]
    if row["kind"] is None:
        what = "withdrawn"
        if known:  # its own claim says why, and not what
            title = f"Withdrawn: {known[0]['claim']}"
    elif older is not None:
        rest = [c for c in SAME if c not in ("credibility", "root")]
        if all(row[c] == older[c] for c in rest) and row["credibility"] != older["credibility"]:
            what = "regraded"
            title = f"Graded {row['credibility']} now, not {older['credibility']}: {title}"
        else:
            title = f"Revised: {title}"
    content = _content(row, shared)
    if older is not None:
        content = f"{older['id']} becomes {content}"
    # Without the row in between, nothing else would take the first one's place.
    drops = frozenset(i for i in chain[1:] if i in before)
    return Item(row["id"], bucket, what, title, content, row, frozenset({row["id"]}), drops)


def _root(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What rows must have in common to count once."""
    return row["root"], row["subject"], row["kind"]


def _content(row: Mapping[str, Any], shared: Collection[tuple[Any, ...]]) -> str:
    told = {c: str(row[c]) for c in SAME}
    if _root(row) not in shared:
        del told["root"]
    return repr(told)


def _priors(old: Study, new: Study) -> list[Item]:
    found = []
    sets = list(dict.fromkeys((HOUSE, old.prior_set, new.prior_set)))
    names: dict[str, list[str]] = {}
    for prior_set in sets:
        if prior_set not in old.book.sets() or prior_set not in new.book.sets():
            continue
        before, after = old.book.get(prior_set), new.book.get(prior_set)
        for name in after:
            if name in before and before[name].content() != after[name].content():
                names.setdefault(name, []).append(prior_set)
    for name, where in names.items():
        prior = new.book.get(where[0])[name]
        label = prior.label if HOUSE in where else f"{prior.label} ({', '.join(where)})"
        found.append(
            Item(f"prior {name}", PRIORS, "prior", f"{label}: {prior.rationale}", f"prior {name}")
        )
    return found


def _grades(old: Study, new: Study) -> list[Item]:
    return [
        Item(
            f"grade {grade}", PRIORS, "credibility",
            f"A claim of grade {grade} is true with probability {new.credibility[grade]:g} instead of "
            f"{old.credibility[grade]:g}",
            f"grade {grade}",
        )
        for grade in new.credibility
        if grade in old.credibility and new.credibility[grade] != old.credibility[grade]
    ]  # fmt: skip


def _terms(old: Study, new: Study) -> list[Item]:
    before, after = (s.base_deal.model_dump(mode="json") for s in (old, new))
    found = []
    for name in after:
        if name in WORDS or before.get(name) == after[name]:
            continue
        told = f"{name.replace('_', ' ')}: {_differs(before.get(name), after[name], new.base_deal.currency)}"
        # Which priors the deal goes by is a belief about it, though its file says so.
        bucket, what = (PRIORS, "prior") if name == "prior_set" else (TERMS, "term")
        found.append(Item(f"term {name}", bucket, what, told, f"term {name}"))
    return found


def _differs(before: Any, after: Any, currency: str) -> str:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        parts = [
            f"{spelled(str(key), currency).replace('_', ' ')} {after.get(key)} instead of {before.get(key)}"
            for key in dict.fromkeys((*before, *after))
            if before.get(key) != after.get(key)
        ]
        return ", ".join(parts)
    return f"{after} instead of {before}"


# --- states in between ----------------------------------------------------------------------------


def at_the_date_of(old: Study, new: Study) -> Study:
    """The old state on the new state's day: what passing time alone does."""
    return replace(old, ledger=replace(old.ledger, as_of=new.as_of), random_seed=new.random_seed)


def completed(old: Study, new: Study) -> Study:
    """The old state with the priors that only the new one has: models that came later ask for them."""
    sets = {}
    for name in old.book.sets():
        known = new.book.get(name if name in new.book.sets() else HOUSE)
        sets[name] = known | old.book.get(name)
    if all(set(sets[name]) == set(old.book.get(name)) for name in sets):
        return old
    return replace(old, book=replace(old.book, _priors=sets))


def with_rosters_of(study: Study, first: Study, last: Study) -> Study:
    """The state with the people, customers, vendors and entities that all states between two others have.

    They are those of the last state, and whoever else a row or a term of the first one is about. If rows of the first
    state contradict what the last one says of somebody (a start was corrected together with an exit), they are those
    of the first, and whoever else a row of the last is about.

    Raises
    ------
    LedgerError
        If a row of the first state is about a party of the deal that has another name in the last one, or each
        state's rows contradict the other's rosters.
    """
    return _with(study, _shared_rosters(first, last))


def _shared_rosters(first: Study, last: Study) -> dict[str, pd.DataFrame]:
    rosters = _joined(first, last)
    if not roster_changes(first, last):  # as ever but seldom: rows need not be heard again
        return rosters
    try:
        _bind(replace(first, ledger=replace(first.ledger, as_of=last.as_of)), rosters)
    except LedgerError as error:
        rosters = _joined(last, first)
        try:
            _bind(last, rosters)
        except LedgerError as other:
            raise LedgerError(
                [
                    "the rows of each of the two states contradict the rosters of the other, so nothing between them "
                    "can be valued; publish a new report and compare with that",
                    *error.problems,
                    *other.problems,
                ]
            ) from None
    return rosters


def _with(study: Study, rosters: Mapping[str, pd.DataFrame]) -> Study:
    if all(rosters[name] is getattr(study.ledger, name) for name in ROSTERS):
        return study
    return replace(study, ledger=replace(study.ledger, **rosters))


def _bind(study: Study, rosters: Mapping[str, pd.DataFrame]) -> None:
    """Raise what the models say of a state's rows beside these rosters; its own have been heard."""
    there = _with(study, rosters)
    if there is not study:
        _ = there.evidence


def _joined(first: Study, last: Study) -> dict[str, pd.DataFrame]:
    """The last state's rosters with whoever else a row or a term of the first one is about."""
    rosters = {name: getattr(last.ledger, name) for name in ROSTERS}
    for name, more in _strangers(first, last).items():
        rosters[name] = pd.concat([rosters[name], more], ignore_index=True)
    return rosters


def _strangers(first: Study, last: Study) -> dict[str, pd.DataFrame]:
    """Rows of the first state's rosters that its evidence or its terms need and the last state has not."""
    evidence = first.ledger.evidence[first.ledger.evidence["kind"].notna()]
    needed: dict[str, set[str]] = {name: set() for name in ROSTERS}
    for kind, subject in zip(evidence["kind"], evidence["subject"], strict=True):
        needed[first.ledger.kinds[kind].roster].add(subject)
    # Named by the terms, whether a row does so or not.
    needed["people"].add(first.base_deal.founder)
    found, problems = {}, []
    for name in ROSTERS:
        mine, theirs = (getattr(s.ledger, name) for s in (first, last))
        missing = needed[name] - set(theirs[SUBJECT[name]])
        if not missing:
            continue
        found[name] = mine[mine[SUBJECT[name]].isin(missing)]
        if "role" in mine:  # the deal file gives those names, and has one of each
            problems += [
                f"evidence of the state of {first.as_of} is about {who!r}, the deal's {role}, who has another name in "
                f"the {name}.csv of the other state, so nothing between the two can be valued; write one name in "
                "both, or publish a new report and compare with that"
                for who, role in zip(found[name][SUBJECT[name]], found[name]["role"], strict=True)
                if role in PARTIES
            ]
    if problems:
        raise LedgerError(problems)
    return found


@dataclass(frozen=True)
class _Ends:
    """What is the same for all mixtures of two states: ten items are mixed a thousand times between the same two.

    Attributes
    ----------
    first, last
        The states, that of the later day last.
    base, top
        Both on the last one's day and with the rosters of all states in between.
    rows, ids, newer
        The rows of both that may move something, sorted by id; their ids; which are the last state's.
    deals
        The terms of the deal by what was put in of the last ones: as written, and under the scenario.
    """

    first: Study
    last: Study
    base: Study
    top: Study
    rows: pd.DataFrame
    ids: list[str]
    newer: list[bool]
    deals: dict[frozenset[str], tuple[Deal, Deal]] = field(default_factory=dict)

    @classmethod
    def of(cls, first: Study, last: Study) -> _Ends:
        rosters = _shared_rosters(first, last)
        base, top = _with(at_the_date_of(first, last), rosters), _with(last, rosters)
        both = [_able(first.ledger.evidence), _able(last.ledger.evidence)]
        order = np.argsort(np.concatenate([rows["id"] for rows in both]), kind="stable")
        rows = pd.concat(both, ignore_index=True).iloc[order]
        return cls(first, last, base, top, rows, rows["id"].tolist(), list(order >= len(both[0])))

    def evidence(self, drops: Collection[str], takes: Collection[str]) -> pd.DataFrame:
        """The first state's rows but ``drops``, and of the last one's ``takes``."""
        stay = [
            (i in takes) if newer else (i not in drops)
            for i, newer in zip(self.ids, self.newer, strict=True)
        ]
        return self.rows[stay].reset_index(drop=True)

    def deal(self, ids: Collection[str], scenario: Scenario) -> tuple[Deal, Deal]:
        """The first terms with those of the last that are among ``ids``; as written, and under a scenario."""
        names = frozenset(i for i in ids if i.startswith("term ") or i == "scenario")
        if names not in self.deals:
            terms, after = (s.base_deal.model_dump() for s in (self.first, self.last))
            for name in after:
                if f"term {name}" in names or name in WORDS:
                    terms[name] = after[name]
            what = f"deal {self.last.base_deal.name!r} with some changes"
            currency = self.last.base_deal.currency

            def built(terms: Mapping[str, Any]) -> tuple[Deal, Deal]:
                deal = validate(Deal, Document(what, terms, currency=currency))
                return deal, scenario.resolve(deal)

            try:
                self.deals[names] = built(terms)
            except ParameterError:
                # An option or a disclosure of the last may be one of the last terms alone, and moves nothing here.
                self.deals[names] = built(terms | NO_CHOICE)
        return self.deals[names]


_ENDS: list[_Ends] = []  # the pair that was mixed last


def _ends(old: Study, new: Study) -> _Ends:
    first, last = in_time(old, new)
    if not _ENDS or _ENDS[0].first is not first or _ENDS[0].last is not last:
        _ENDS[:] = [_Ends.of(first, last)]
    return _ENDS[0]


def mixed(old: Study, new: Study, items: Sequence[Item], chosen: Collection[int]) -> Study:
    """The old state after the chosen items, on the later day of the two and with the rosters of both ends.

    With none and all of them these are the ends that the items lie between.

    Raises
    ------
    LedgerError, ParameterError
        If the items cannot stand together; names them.
    """
    ends = _ends(old, new)
    first, last = ends.first, ends.last
    # On the way back, what is not taken back yet is there.
    here = set(chosen) if last is new else set(range(len(items))) - set(chosen)
    if items and len(here) == len(items):
        return ends.top
    put = [items[i] for i in sorted(here)]
    takes = frozenset().union(*(item.takes for item in put))
    drops = frozenset().union(*(item.drops for item in put))
    ids = {item.id for item in put}
    grades = {
        g: last.credibility[g]
        if f"grade {g}" in ids or g not in first.credibility
        else first.credibility[g]
        for g in last.credibility
    }
    scenario = last.scenario if "scenario" in ids else first.scenario
    written, deal = ends.deal(ids, scenario)
    names = {i.removeprefix("prior ") for i in ids if i.startswith("prior ")}
    return replace(
        ends.base,
        ledger=replace(ends.base.ledger, evidence=ends.evidence(drops, takes)),
        book=_book(first.book, last.book, names),
        credibility=grades,
        base_deal=written,
        deal=deal,
        scenario=scenario,
    )


def _book(old: PriorBook, new: PriorBook, names: Collection[str]) -> PriorBook:
    """The new book with the old numbers of every prior not among ``names``, and sets that the old one alone has."""

    def kept(prior_set: str, name: str) -> bool:
        return name not in names and prior_set in old.sets() and name in old.get(prior_set)

    priors = {}
    for prior_set in new.sets():
        before = old.get(prior_set) if prior_set in old.sets() else {}
        after = new.get(prior_set)
        priors[prior_set] = {
            name: before[name] if kept(prior_set, name) else prior for name, prior in after.items()
        }
    for prior_set in old.sets():  # the deal may go by one of them until its own term is put in
        priors.setdefault(prior_set, new.get() | old.get(prior_set))
    return replace(new, _priors=priors)


def state_digest(study: Study) -> str:
    """Names a state by its content: rows that may move something, rosters, priors, terms, scenario, day."""
    return digest_of(
        {
            "rows": sorted(_spelled(r) for r in _records(_able(study.ledger.evidence))),
            "rosters": [
                sorted(_spelled(r) for r in _records(getattr(study.ledger, n))) for n in ROSTERS
            ],
            "priors": {name: study.book.digest(name) for name in study.book.sets()},
            "grades": dict(study.credibility),
            "deal": study.deal.model_dump(mode="json"),
            "base": study.base_deal.model_dump(mode="json"),
            "scenario": study.scenario.digest(),
            "day": str(study.as_of),
            "seed": study.random_seed,
        }
    )
