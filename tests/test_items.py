"""What differs between two states is listed once, under its right name, and can be put in piece by piece."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import small_world as world
from hypothesis import given, settings
from hypothesis import strategies as st

from valuation.errors import LedgerError
from valuation.models import joint
from valuation.study import Study, open_study
from valuation.study.items import (
    SAME,
    Item,
    at_the_date_of,
    items_of,
    mixed,
    roster_changes,
    silent_rows,
    state_digest,
    with_rosters_of,
)
from valuation.study.pool import evidence_of


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joint, "bind", partial(joint.bind, draws=200))
        yield
    joint.MEMORY.clear()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Study:
    home = tmp_path_factory.mktemp("items")
    return open_study("test_deal", root=world.project(home / "project"), cache=home / "cache")


def state(base: Study, rows: Sequence[Mapping[str, Any]], **changed: Any) -> Study:
    return replace(base, ledger=world.ledger_of(rows), **changed)


def row(
    key: str, kind: str | None = None, subject: str | None = None, **more: Any
) -> dict[str, Any]:
    """A row of January 2026 with a root of its own."""
    return {"id": key, "kind": kind, "subject": subject, "root": f"root-{key}"} | more


CLOSE = row("E01", event_date="2025-06-12", published="2025-06-12")
EARLY = {"event_date": "2025-10-01", "published": "2025-10-02"}
SEEN = row("E02", "sighting", world.FOUNDER, **EARLY)
COUNT = row("E08", "group_exits", "Movers", value=1, **EARLY)
POOR = row("E20", "quality_report", "Maker", value=-1, **EARLY)
GAP = row("E51", "index_gap", "Buyer", value=15, sd=5, **EARLY)
LATE = row("E52", "milestone", "Buyer", value=0, **EARLY)
SIGN = row("E61", "regulatory_signal", "Authority", value=-1, **EARLY)
KNOWN = (CLOSE, SEEN, COUNT, POOR, GAP, LATE, SIGN)


@pytest.fixture(scope="module")
def old(base: Study) -> Study:
    return state(base, KNOWN)


def found(old: Study, new: Study) -> dict[str, tuple[str, str]]:
    """Bucket and what happened, by item."""
    return {i.id: (i.bucket, i.what) for i in items_of(old, new)}


def scored(study: Study) -> set[str]:
    return set(study.ledger.scored()["id"])


# --- rows -----------------------------------------------------------------------------------------


def test_a_state_differs_from_itself_in_nothing(old):
    assert items_of(old, old) == ()
    assert roster_changes(old, old) == ""
    assert silent_rows(old, old) == 0


def test_the_order_of_rows_in_the_ledger_is_no_difference(base, old):
    assert items_of(old, state(base, KNOWN[::-1])) == ()


def test_an_added_row_is_news(base, old):
    new = state(base, (*KNOWN, row("N1", "departure", world.STAR)))
    assert found(old, new) == {"N1": ("news", "added")}
    (item,) = items_of(old, new)
    assert (item.title, item.takes, item.drops) == ("A claim.", {"N1"}, frozenset())
    assert item.row is not None
    assert item.row["published"] == dt.date(2026, 1, 16)


def test_a_row_that_replaces_an_old_one_is_a_revision(base, old):
    new = state(
        base, (*KNOWN, row("N1", "group_exits", "Movers", value=2, supersedes="E08", **EARLY))
    )
    assert found(old, new) == {"N1": ("revisions", "revised")}


def test_an_old_row_with_another_grade_and_nothing_else_is_regraded(base, old):
    again = GAP | {"id": "N1", "supersedes": "E51", "root": "root-E51"}
    assert found(old, state(base, (*KNOWN, again | {"credibility": "D"}))) == {
        "N1": ("revisions", "regraded")
    }
    # a new grade for other words too; and the same row said again is revised, whatever that is worth
    for change in ({"credibility": "D", "value": 14}, {}):
        assert found(old, state(base, (*KNOWN, again | change)))["N1"] == ("revisions", "revised")


def test_an_old_row_replaced_by_nothing_is_withdrawn(base, old):
    new = state(base, (*KNOWN, row("N1", supersedes="E20")))
    assert found(old, new) == {"N1": ("revisions", "withdrawn")}
    (item,) = items_of(old, new)
    claims = old.ledger.evidence.set_index("id")["claim"]
    assert item.title == f"Withdrawn: {claims[item.row['supersedes']]}"
    assert silent_rows(old, new) == 0


def test_a_row_that_replaces_another_new_one_is_news(base, old):
    first = row("N1", "group_exits", "Stars", value=1)
    second = row("N2", "group_exits", "Stars", value=2, supersedes="N1")
    gone = row("N3", supersedes="N2")
    assert found(old, state(base, (*KNOWN, first, second))) == {
        "N1": ("news", "added"), "N2": ("news", "added"),
    }  # fmt: skip
    assert found(old, state(base, (*KNOWN, first, second, gone))) == {"N1": ("news", "cancelled")}


def test_what_was_added_and_withdrawn_since_is_one_item_with_no_net_effect(base, old):
    first = row("N1", "group_exits", "Stars", value=1)
    new = state(
        base, (*KNOWN, first, row("N2", supersedes="N1"), row("N3", "departure", world.STAR))
    )
    one, other = items_of(old, new)
    assert (one.id, one.what, one.title) == (
        "N1", "cancelled", "Added and withdrawn, no net effect: A claim.",
    )  # fmt: skip
    assert (one.takes, one.drops) == ({"N1", "N2"}, frozenset())
    assert (other.id, other.what) == ("N3", "added")
    assert scored(mixed(old, new, (one, other), {0})) == scored(old)
    # Seen from the other end it is one item as well: not known yet, or gone from the files.
    for end, bucket, title in (
        (old, "news", "Not public by then, nor its withdrawal, no net effect: A claim."),
        (at_the_date_of(old, new), "revisions", "Gone together with its withdrawal, no net effect: A claim."),
    ):  # fmt: skip
        (back, _) = sorted(items_of(new, end), key=lambda item: item.id)
        assert (back.bucket, back.what, back.title) == (bucket, "cancelled", title)
        assert scored(mixed(new, end, items_of(new, end), {0, 1})) == scored(old)
    # And so it is if the earlier day alone has it.
    both = state(base, [*KNOWN, *(r | EARLY for r in (first, row("N2", supersedes="N1")))])
    other_rows = state(base, (*KNOWN, row("N3", "departure", world.STAR)))
    told = {i.id: (i.bucket, i.what, i.title) for i in items_of(other_rows, both)}
    assert told["N1"] == ("news", "cancelled", "Added and withdrawn, no net effect: A claim.")


def test_a_withdrawal_of_one_of_two_that_replace_a_new_row_is_told_by_itself(base, old):
    first = row("N1", "group_exits", "Stars", value=1)
    second = row("N2", "group_exits", "Stars", value=2, supersedes="N1")
    new = state(base, (*KNOWN, first, second, row("N3", supersedes="N1")))
    assert {item.what for item in items_of(old, new)} == {"added", "withdrawn"}


def test_a_row_that_replaces_what_replaced_an_old_one_is_a_revision_too(base, old):
    first = row("N1", "group_exits", "Movers", value=2, supersedes="E08", **EARLY)
    second = first | {"id": "N2", "value": 3, "supersedes": "N1"}
    new = state(base, (*KNOWN, first, second))
    assert found(old, new) == {"N1": ("revisions", "revised"), "N2": ("revisions", "revised")}
    items = items_of(old, new)
    assert scored(mixed(old, new, items, {1})) == scored(old) - {"E08"} | {"N2"}


def test_a_removed_row_is_a_revision(base, old):
    new = state(base, [r for r in KNOWN if r is not LATE])
    assert found(old, new) == {"E52": ("revisions", "removed")}
    (item,) = items_of(old, new)
    assert (item.takes, item.drops) == (frozenset(), {"E52"})


def test_the_title_of_a_row_says_what_became_of_it(base, old):
    def title(before, after):
        (item,) = items_of(before, after)
        return item.title

    again = GAP | {"id": "N1", "supersedes": "E51", "root": "root-E51", "claim": "Behind."}
    with_late = state(base, (*KNOWN, row("N1", "departure", world.STAR)))
    less = state(base, [r for r in KNOWN if r is not LATE])
    said = {
        title(old, state(base, (*KNOWN, again | {"credibility": "D"}))),
        title(old, state(base, (*KNOWN, again | {"value": 14}))),
        title(old, state(base, [r if r is not GAP else r | {"value": 12} for r in KNOWN])),
        title(old, less).split(":")[0],
        title(with_late, old),
    }
    assert said == {
        "Graded D now, not B: Behind.",
        "Revised: Behind.",
        "Edited: A claim.",
        "Removed",
        "Not public by then: A claim.",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"value": 12},
        {"sd": 4},
        {"credibility": "C"},
        {"event_date": "2025-09-30"},
        {"root": "other"},
    ],
)
def test_a_row_edited_in_place_is_a_revision(base, old, change):
    new = state(base, [r if r is not GAP else r | change for r in KNOWN])
    assert found(old, new) == {"E51": ("revisions", "edited")}


@pytest.mark.parametrize("change", [{"claim": "Other words."}, {"note": "Seen again."}])
def test_other_words_for_the_same_are_no_item(base, old, change):
    assert items_of(old, state(base, [r if r is not GAP else r | change for r in KNOWN])) == ()


def test_context_that_becomes_evidence_and_back_is_an_edit(base, old):
    blank = row("E20", **EARLY)
    typed, bare = old, state(base, [blank if r is POOR else r for r in KNOWN])
    assert found(bare, typed) == {"E20": ("revisions", "edited")}
    assert found(typed, bare) == {"E20": ("revisions", "edited")}
    for before, after in ((bare, typed), (typed, bare)):
        whole = mixed(before, after, (*items_of(before, after), NOTHING), {0})
        assert scored(whole) == scored(after)


def test_context_rows_are_counted_and_are_no_items(base, old):
    new = state(base, (*KNOWN, row("N1"), row("N2", supersedes="E01"), row("N3", supersedes="N2")))
    assert items_of(old, new) == ()
    assert silent_rows(old, new) == 3


def test_evidence_that_replaces_context_is_news(base, old):
    new = state(base, (*KNOWN, row("N1", "departure", world.STAR, supersedes="E01")))
    assert found(old, new) == {"N1": ("news", "added")}


def test_seen_from_an_earlier_day_later_rows_are_news_taken_back(base, old):
    later = state(base, (*KNOWN, row("N1", "departure", world.STAR), row("N2", supersedes="E20")))
    items = items_of(later, old)
    # The last comes first; what is taken back is counted where it was counted when it came.
    assert [(i.id, i.bucket, i.what, i.title) for i in items] == [
        ("N2", "revisions", "unpublished", "Not public by then: Withdrawn: A claim."),
        ("N1", "news", "unpublished", "Not public by then: A claim."),
    ]
    assert scored(mixed(later, old, items, {0})) == scored(old) | {"N1"}
    assert mixed(later, old, items, set()) is later


def test_what_an_earlier_day_alone_has_is_an_item_of_its_own_on_the_way_back(base, old):
    """Two files, not two days of one: each has rows that the other lacks."""
    early = state(
        base,
        [
            *(r | {"claim": "Said otherwise.", "value": 4} if r is GAP else r for r in KNOWN[:-1]),
            SIGN | {"kind": None, "subject": None, "value": None},
            row("M1", "departure", world.STAR, **EARLY),
        ],
    )
    fair = row("N2", "quality_report", "Maker", value=1, **EARLY)
    late = state(base, (*KNOWN, row("N1", "departure", world.LEGACY), fair))
    told = {i.id: (i.bucket, i.what, i.title) for i in items_of(late, early)}
    assert told == {
        "E51": ("revisions", "edited", "Edited: Said otherwise."),
        "E61": ("revisions", "edited", "No longer scored: A claim."),
        "M1": ("news", "added", "A claim."),
        "N1": ("news", "unpublished", "Not public by then: A claim."),
        "N2": ("revisions", "removed", "Removed: A claim."),
    }
    assert {i.id: i.what for i in items_of(early, late)}["E61"] == "edited"


def made(study: Study, hour: int) -> Study:
    """The state as a run of that hour had it."""
    return replace(study, made=dt.datetime(2026, 3, 1, hour, tzinfo=dt.UTC))


def test_of_one_day_the_state_that_was_made_first_is_the_earlier_one(base, old):
    """Rows typed between two runs are taken back in the bucket in which they came; a row that was lost, likewise."""
    day = {"published": "2025-10-02", "event_date": "2025-10-01"}
    pair = [row("N3", "departure", world.MOVER, **day), row("N4", supersedes="N3", **day)]
    more = [row("N1", "departure", world.STAR, **day), row("N2", supersedes="E20", **day), *pair]
    lost = row("M1", "sighting", world.LEGACY, **day)
    early = made(state(base, (*KNOWN, lost)), 9)
    late = made(state(base, (*KNOWN, *more)), 12)
    assert early.as_of == late.as_of
    there = {i.id: (i.bucket, i.what) for i in items_of(early, late)}
    back = items_of(late, early)
    assert there == {
        "N1": ("news", "added"), "N2": ("revisions", "withdrawn"), "N3": ("news", "cancelled"),
        "M1": ("revisions", "removed"),
    }  # fmt: skip
    assert {i.id: (i.bucket, i.what, i.title) for i in back} == {
        "N1": ("news", "unrecorded", "Not in the ledger yet: A claim."),
        "N2": ("revisions", "unrecorded", "Not in the ledger yet: Withdrawn: A claim."),
        "N3": ("news", "cancelled", "Not in the ledger yet, nor its withdrawal, no net effect: A claim."),
        "M1": ("revisions", "kept", "Removed since: A claim."),
    }  # fmt: skip
    assert mixed(late, early, back, set()) is late
    # The files of the present come after every run, so what they lack has been removed.
    present = state(base, (*KNOWN, lost))
    told = {i.id: (i.bucket, i.what) for i in items_of(late, present)}
    assert told["N1"] == ("revisions", "removed")
    assert told["M1"] == ("news", "added")


def test_a_row_and_its_withdrawal_that_were_removed_since_are_told_as_such(base, old):
    day = {"published": "2025-10-02", "event_date": "2025-10-01"}
    pair = [row("N3", "departure", world.MOVER, **day), row("N4", supersedes="N3", **day)]
    early, late = made(state(base, (*KNOWN, *pair)), 9), made(old, 12)
    (item,) = items_of(late, early)
    assert (item.bucket, item.what) == ("revisions", "cancelled")
    assert item.title == "Removed since: A claim."


def test_what_says_the_same_has_the_same_content_and_what_does_not_has_not(base, old):
    alike = [
        row("N1", "index_gap", "Buyer", value=9, sd=4, root="g"),
        row("N2", "index_gap", "Buyer", value=9, sd=4, root="g", claim="In other words.", note="!"),
    ]
    others = [alike[0] | {"id": f"M{i}"} | c for i, c in enumerate((
        {"value": 8}, {"sd": 3}, {"root": "h"}, {"credibility": "A"}, {"event_date": "2026-01-14"},
        {"supersedes": "E51"},
    ))]  # fmt: skip
    items = {i.id: i.content for i in items_of(old, state(base, (*KNOWN, *alike, *others)))}
    assert items["N1"] == items["N2"]
    assert len(set(items.values())) == len(items) - 1
    # taking a row away is not the same as putting it in
    removed = items_of(state(base, (*KNOWN, alike[0])), old)
    assert removed[0].content != items["N1"]


def test_items_come_in_the_order_in_which_they_were_published(base, old):
    rows = [
        row("N3", "departure", world.STAR, published="2026-01-20"),
        row("N1", "index_gap", "Buyer", value=9, sd=4, published="2026-02-01"),
        row("N2", "quality_report", "Maker", value=1, published="2026-01-20"),
    ]
    new = with_term(state(base, (*KNOWN, *rows)), horizon_years=9)
    assert [i.id for i in items_of(old, new)] == ["N2", "N3", "N1", "term horizon_years"]
    turned = with_term(state(base, (*rows[::-1], *KNOWN)), horizon_years=9)
    assert items_of(old, turned) == items_of(old, new)


# --- everything else ------------------------------------------------------------------------------


def with_term(study: Study, **terms: Any) -> Study:
    deal = study.base_deal.model_copy(update=terms)
    return replace(study, base_deal=deal, deal=study.scenario.resolve(deal))


def with_prior(
    study: Study, name: str, *, sets: Sequence[str] | None = None, **change: Any
) -> Study:
    known = {label: study.book.get(label) for label in study.book.sets()}
    for label in known if sets is None else sets:
        known[label][name] = replace(known[label][name], quantiles=None, fit=(), **change)
    return replace(study, book=replace(study.book, _priors=known))


OTHER = {"parameters": {"mu": 2.0, "sigma": 0.4}, "rationale": "Comparable deals."}


def test_a_prior_with_other_numbers_is_an_item_with_its_reason(old):
    (item,) = items_of(old, with_prior(old, "exit_multiple", **OTHER))
    assert (item.id, item.bucket, item.what) == ("prior exit_multiple", "prior_edits", "prior")
    assert item.title.endswith(": Comparable deals.")


def test_a_prior_in_other_words_is_no_item(old):
    new = {label: old.book.get(label) for label in old.book.sets()}
    for priors in new.values():
        priors["exit_multiple"] = replace(priors["exit_multiple"], rationale="Other words.")
    assert items_of(old, replace(old, book=replace(old.book, _priors=new))) == ()


def test_a_prior_of_a_set_that_neither_state_uses_is_no_item(old):
    assert items_of(old, with_prior(old, "exit_multiple", sets=["sceptic"], **OTHER)) == ()
    sceptic = with_term(old, prior_set="sceptic")
    (item,) = items_of(sceptic, with_prior(sceptic, "exit_multiple", sets=["sceptic"], **OTHER))
    assert item.id == "prior exit_multiple"
    assert "(sceptic)" in item.title


def test_another_grade_is_an_item_that_says_both(old):
    new = replace(old, credibility=dict(old.credibility) | {"C": 0.25})
    (item,) = items_of(old, new)
    assert (item.id, item.bucket, item.what) == ("grade C", "prior_edits", "credibility")
    assert "0.25 instead of" in item.title


def test_a_deals_term_is_an_item_that_says_what_was_changed(old):
    outlay = old.base_deal.outlay.model_copy(update={"equity_bn": 8.0})
    (item,) = items_of(old, with_term(old, outlay=outlay))
    assert (item.id, item.bucket, item.what) == ("term outlay", "deal_terms", "term")
    assert item.title == "outlay: equity usd bn 8.0 instead of 9.5"


def test_a_deals_name_and_title_are_no_items(old):
    assert items_of(old, with_term(old, title="Another title")) == ()


def test_the_deals_prior_set_is_an_item_among_beliefs(old):
    (item,) = items_of(old, with_term(old, prior_set="sceptic"))
    assert (item.id, item.bucket) == ("term prior_set", "prior_edits")
    new = with_term(old, prior_set="sceptic")
    assert mixed(old, new, (item, NOTHING), {0}).prior_set == "sceptic"
    assert mixed(old, new, (item, NOTHING), {1}).prior_set == "house"


def test_a_scenario_is_one_item(old):
    other = old.scenario.model_copy(update={"scenario": "other", "title": "Other"})
    (item,) = items_of(old, replace(old, scenario=other, deal=other.resolve(old.base_deal)))
    assert (item.id, item.bucket, item.what) == ("scenario", "scenario", "scenario")
    assert item.title == "Scenario: Other instead of What we expect"
    edited = old.scenario.model_copy(update={"prior_set": "sceptic"})
    (item,) = items_of(old, replace(old, scenario=edited))
    assert item.title == "Scenario 'What we expect' edited"


def test_rosters_are_told_in_words_and_are_no_items(old):
    people = old.ledger.people
    more = people.assign(size=people["size"].where(people["subject"] != "Stars", 30))
    new = replace(old, ledger=replace(old.ledger, people=more))
    assert items_of(old, new) == ()
    assert roster_changes(old, new) == "people: 1 rows new or changed, 1 gone or changed"
    assert with_rosters_of(old, old, new).ledger.people is new.ledger.people
    assert with_rosters_of(new, old, new) is new


def without(study: Study, roster: str, subject: str, column: str = "subject") -> Study:
    """The state whose roster has never heard of somebody."""
    table = getattr(study.ledger, roster)
    return replace(study, ledger=replace(study.ledger, **{roster: table[table[column] != subject]}))


def test_whom_rows_of_the_earlier_day_are_about_stays_in_the_rosters_of_both(base, old):
    new = without(old, "people", world.FOUNDER)
    both = [with_rosters_of(study, old, new).ledger.people for study in (old, new)]
    assert both[0].equals(both[1])
    assert sorted(both[0]["subject"]) == sorted(old.ledger.people["subject"])
    # Whom no row is about has gone, and that is all there is to it.
    new = without(old, "people", world.STAR)
    assert with_rosters_of(old, old, new).ledger.people is new.ledger.people
    bought = state(base, (*KNOWN, row("V1", "vendor_in_use", "Other Vendor", value=1)))
    new = without(bought, "vendors", "Other Vendor")
    assert "Other Vendor" in set(with_rosters_of(new, bought, new).ledger.vendors["subject"])


def test_a_party_of_the_deal_under_two_names_is_a_clear_error(old):
    new = without(old, "entities", "Buyer", "entity")
    with pytest.raises(
        LedgerError, match=r"the state of .* is about 'Buyer', the deal's acquirer, who has another name in the entiti"
    ):  # fmt: skip
        with_rosters_of(old, old, new)


def test_a_founder_whom_no_row_is_about_may_have_another_name_too(base):
    first = state(base, (CLOSE, POOR))
    people = first.ledger.people.replace({world.FOUNDER: "Ada Foundress"})
    last = with_term(first, founder="Ada Foundress")
    last = replace(last, ledger=replace(last.ledger, people=people))
    for ends in ((first, last), (last, first)):
        founder = mixed(*ends, (*items_of(*ends), NOTHING), set()).base_deal.founder
        there = with_rosters_of(ends[0], *ends)
        assert founder == ends[0].base_deal.founder
        assert {world.FOUNDER, "Ada Foundress"} <= set(there.ledger.people["subject"])
        assert evidence_of(there).ids == ("E20",)


def starting(study: Study, who: str, day: dt.date) -> Study:
    people = study.ledger.people
    entry = people["entry"].where(people["subject"] != who, day)
    return replace(study, ledger=replace(study.ledger, people=people.assign(entry=entry)))


def test_a_start_that_was_corrected_together_with_an_exit_is_no_obstacle(base):
    gone = row("E06", "departure", world.STAR, **EARLY)
    later = row("N1", "departure", world.STAR, supersedes="E06", root="root-E06")
    old, new = state(base, (CLOSE, SEEN, gone)), state(base, (CLOSE, SEEN, gone, later))
    new = starting(new, world.STAR, dt.date(2025, 12, 1))
    for ends in ((old, new), (new, old)):
        items = items_of(*ends)
        for chosen in (set(), {0}):
            there = mixed(*ends, items, chosen)
            assert len(evidence_of(there).ids) == 2
            # The first one's: by the last one's they had left before they came.
            assert there.ledger.people.equals(old.ledger.people)


def test_rows_that_contradict_the_other_rosters_each_way_are_a_clear_error(base):
    first = starting(state(base, (CLOSE, row("E06", "departure", world.STAR, **EARLY))),
                     world.LEGACY, dt.date(2025, 12, 1))  # fmt: skip
    last = starting(state(base, (CLOSE, row("E07", "departure", world.LEGACY, **EARLY))),
                    world.STAR, dt.date(2025, 12, 1))  # fmt: skip
    with pytest.raises(LedgerError, match="contradict the rosters of the other") as caught:
        with_rosters_of(first, first, last)
    assert len(caught.value.problems) == 3  # what it means, and a row of each


# --- states in between ----------------------------------------------------------------------------

NOTHING = Item("nothing", "news", "added", "Keeps the others from being all.", "nothing")


def everything(base: Study) -> tuple[Study, Study]:
    """Two states that differ in every way at once."""
    old = state(base, KNOWN)
    rows = [
        r if r is not GAP else GAP | {"value": 12} for r in KNOWN if r is not LATE
    ]  # GAP edited, LATE removed
    rows += [
        row("N1", "departure", world.STAR),
        row("N2", "group_exits", "Movers", value=2, supersedes="E08", **EARLY),
        row("N3", supersedes="E20"),
        SEEN | {"id": "N4", "supersedes": "E02", "credibility": "C"},
        SEEN | {"id": "N5", "supersedes": "N4", "credibility": "A"},
        row("N6", "quality_report", "Maker", value=1),
        row("N7", "quality_report", "Maker", value=0, supersedes="N6"),
        row("N8"),
    ]
    new = with_prior(state(base, rows), "exit_multiple", **OTHER)
    new = replace(new, credibility=dict(new.credibility) | {"C": 0.25})
    return old, with_term(new, horizon_years=9, title="Another title")


def expected(chosen: set[str]) -> set[str]:
    """Which rows count after these items, each life told by hand."""
    return {
        "E61",
        "E51",
        *([] if "E52" in chosen else ["E52"]),
        *(["N1"] if "N1" in chosen else []),
        "N2" if "N2" in chosen else "E08",
        *([] if "N3" in chosen else ["E20"]),
        "N5" if "N5" in chosen else "N4" if "N4" in chosen else "E02",
        *(["N7"] if "N7" in chosen else ["N6"] if "N6" in chosen else []),
    }


@pytest.fixture(scope="module")
def ends(base: Study) -> tuple[Study, Study, tuple[Item, ...]]:
    old, new = everything(base)
    return old, new, items_of(old, new)


def test_every_difference_is_listed_once(ends):
    old, new, items = ends
    assert {i.id for i in items} == {
        "E51", "E52", "N1", "N2", "N3", "N4", "N5", "N6", "N7", "prior exit_multiple", "grade C",
        "term horizon_years",
    }  # fmt: skip
    assert len(items) == 12
    assert silent_rows(old, new) == 1


def test_all_items_make_the_new_state_and_none_the_old_one_on_its_day(ends):
    old, new, items = ends
    assert mixed(old, new, items, set(range(12))) is new
    assert mixed(new, old, items_of(new, old), set()) is new
    none = mixed(old, new, items, set())
    assert scored(none) == scored(old)
    assert none.as_of == new.as_of > old.as_of
    assert none.deal == old.deal.model_copy(update={"title": "Another title"})
    assert state_digest(none) == state_digest(
        with_term(at_the_date_of(old, new), title="Another title")
    )


def test_the_items_are_all_that_differs(ends):
    """Put in one by one beside one that does nothing, they end at the new state and nowhere else."""
    old, new, items = ends
    built = mixed(old, new, (*items, NOTHING), set(range(12)))
    assert built is not new
    columns = ["id", *SAME]
    assert (
        built.ledger.scored()[columns].astype(str).to_numpy().tolist()
        == new.ledger.scored()[columns].astype(str).to_numpy().tolist()
    )
    assert dict(built.credibility) == dict(new.credibility)
    assert (built.deal, built.base_deal, built.scenario) == (new.deal, new.base_deal, new.scenario)
    assert {s: built.book.digest(s) for s in built.book.sets()} == {
        s: new.book.digest(s) for s in new.book.sets()
    }


@given(st.sets(st.integers(0, 11)))
def test_any_of_the_items_make_a_state_with_the_rows_that_it_should_have(ends, chosen):
    old, new, items = ends
    middle = mixed(old, new, items, chosen)
    names = {items[i].id for i in chosen}
    assert scored(middle) == expected(names)
    cells = middle.ledger.scored().set_index("id")
    assert cells.loc["E51", "value"] == (12.0 if "E51" in names else 15.0)
    assert middle.credibility["C"] == (0.25 if "grade C" in names else old.credibility["C"])
    assert middle.deal.horizon_years == (9 if "term horizon_years" in names else 8)
    changed = (
        middle.book.get()["exit_multiple"].content() != old.book.get()["exit_multiple"].content()
    )
    assert changed == ("prior exit_multiple" in names)
    assert middle.as_of == new.as_of


@settings(max_examples=12)
@given(st.sets(st.integers(0, 11)))
def test_any_of_the_items_can_be_bound_to_the_models(ends, chosen):
    old, new, items = ends
    evidence = evidence_of(mixed(old, new, items, chosen))
    assert set(evidence.ids) == expected({items[i].id for i in chosen})


@given(st.permutations(range(12)), st.integers(0, 12))
def test_the_order_in_which_items_are_put_in_does_not_matter(ends, order, number):
    old, new, items = ends
    straight, turned = sorted(order[:number]), list(order[:number])
    assert state_digest(mixed(old, new, items, turned)) == state_digest(
        mixed(old, new, items, straight)
    )


@given(st.sets(st.integers(0, 11)))
def test_told_backwards_the_states_in_between_are_the_same(ends, chosen):
    old, new, items = ends
    back = items_of(new, old)
    assert [i.id for i in back] == [i.id for i in items[::-1]]
    assert [i.bucket for i in back] == [
        "news" if i.id == "E52" else i.bucket for i in items[::-1]
    ]  # what the later day lacks is new to the earlier one
    rest = {11 - i for i in range(12) if i not in chosen}
    assert state_digest(mixed(new, old, back, rest)) == state_digest(mixed(old, new, items, chosen))


def test_a_state_is_known_by_what_may_move_it_and_by_its_day(base, old):
    same = state(base, (*KNOWN[::-1], row("N1", published="2025-10-02")))
    assert state_digest(same) == state_digest(old)
    others = [
        state(base, (*KNOWN, row("N1", "departure", world.STAR))),
        with_prior(old, "exit_multiple", **OTHER),
        with_term(old, horizon_years=9),
        replace(old, credibility=dict(old.credibility) | {"C": 0.25}),
        at_the_date_of(old, replace(old, ledger=replace(old.ledger, as_of=dt.date(2026, 3, 1)))),
    ]
    digests = {state_digest(s) for s in (old, *others)}
    assert len(digests) == 1 + len(others)


def test_passing_time_changes_the_day_and_nothing_else(old):
    later = replace(old, ledger=replace(old.ledger, as_of=dt.date(2026, 3, 1)), random_seed=5)
    moved = at_the_date_of(old, later)
    assert (moved.as_of, moved.random_seed) == (later.as_of, 5)
    assert moved.ledger.evidence is old.ledger.evidence
