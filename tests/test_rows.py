"""Whatever row the ledger can hold: it is refused in words, or it counts and leaves the others their say."""

from __future__ import annotations

import datetime as dt
import re
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_world as world

from valuation.errors import LedgerError
from valuation.ledger import Ledger, load_ledger
from valuation.ledger.tables import TABLES
from valuation.models import KINDS, joint
from valuation.models.base import BoundLifeCourse, LifeCourse, LifeProcess, Observation
from valuation.models.joint import Evidence
from valuation.ops import numpy_ops
from valuation.schema import Kind

OPS = numpy_ops()
CLOSED = world.deal().closed
NOW = dt.date(2026, 3, 1)
SUBJECTS = {
    "people": (world.MOVER, world.STAR, "Stars"),
    "customers": (world.RIVAL, "Shop"),
    "vendors": ("Maker", "Other Vendor"),
    "entities": ("Maker", "Buyer", "Authority"),
}
MEANT = {"target": "Maker", "rival": "Other Vendor", "acquirer": "Buyer", "regulator": "Authority"}
DATES = {
    "a year before the close": "2024-06-12",
    "the day before the close": "2025-06-11",
    "the close": "2025-06-12",
    "the day a customer starts": "2025-12-01",
    "the year's end": "2025-12-31",
    "now": "2026-03-01",
    "later than it was reported": "2026-03-20",
    "the horizon": "2033-06-12",
    "after the horizon": "2034-02-05",
    "a lifetime later": "2199-12-31",
}
AHEAD = "later than it was reported"
NUMBERS: tuple[tuple[float | None, float | None], ...] = (
    (None, None), (0.0, None), (1.0, None), (-1.0, None), (0.1, None), (12.0, None), (1e6, None),
    (1e-12, 0.05), (1.0 - 1e-12, 0.05), (1e-9, 0.01), (1000.0, 0.01), (1.0, 0.05), (100.0, 0.1),
    (-100.0, 0.1),
)  # fmt: skip


def given(kind: Kind, subject: str, date: str, value: float | None, sd: float | None) -> Any:
    published = str(NOW) if date == DATES[AHEAD] else max(date, str(NOW))
    row = {"id": "X1", "root": "x1", "kind": kind.name, "subject": subject, "event_date": date}
    number = {"value": value, "sd": sd, "unit": kind.unit if value is not None else None}
    told = {"published": published, "claim": "It.", "source": "paper", "credibility": "D"}
    return row | number | told


def bound(known: Ledger, kind: Kind, credibility: Any) -> tuple[Evidence, dict[str, np.ndarray]]:
    evidence = world.bound(known, credibility=credibility, models=(kind.model,), draws=40)
    return evidence, world.loglik(evidence, world.prior_draws(evidence, draws=25))


def plain(error: LedgerError) -> None:
    for problem in error.problems:
        assert re.match(r"(added|evidence\.csv):\d+: ", problem), problem
        assert ";" in problem, f"no remedy: {problem}"
        assert not re.search(r"\bnan\b|\binf\b|Error|Traceback", problem), problem


Awkward = tuple[str, str, tuple[float | None, float | None]]


def in_pairs(kind: Kind) -> list[Awkward]:
    """Every date with every number, with every subject, and every subject with every number; not all three."""
    subjects, dates = SUBJECTS[kind.roster], list(DATES.values())
    numbers = [n for n in NUMBERS if kind.check(*n) is None]
    if len(numbers) < len(subjects):
        return list(product(subjects, dates, numbers))
    return [
        (subjects[(i + j) % len(subjects)], date, number)
        for (i, date), (j, number) in product(enumerate(dates), enumerate(numbers))
    ]


each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)


@each_kind
def test_awkward_rows_hold_every_pair_of_a_subject_a_date_and_a_number(kind: Kind) -> None:
    numbers = [n for n in NUMBERS if kind.check(*n) is None]
    tried = in_pairs(kind)
    for (i, one), (j, other) in combinations(
        enumerate((SUBJECTS[kind.roster], list(DATES.values()), numbers)), 2
    ):
        assert {(row[i], row[j]) for row in tried} == set(product(one, other))


@each_kind
def test_an_awkward_row_is_refused_in_words_or_counts_and_silences_no_other(kind: Kind) -> None:
    refused_or_counts(kind, in_pairs(kind))


@pytest.mark.slow
@each_kind
def test_no_awkward_row_of_all_is_silent_or_silences_another(kind: Kind) -> None:
    tried = set(in_pairs(kind))
    numbers = [n for n in NUMBERS if kind.check(*n) is None]
    every = product(SUBJECTS[kind.roster], DATES.values(), numbers)
    refused_or_counts(kind, [row for row in every if row not in tried])


def refused_or_counts(kind: Kind, tried: list[Awkward]) -> None:
    before = bound(world.ledger(), kind, world.DOUBTED)[1]
    moving = {name for name, values in before.items() if np.ptp(values) > 1e-9}
    taken = 0
    for subject, date, (value, sd) in tried:
        row = given(kind, subject, date, value, sd)
        try:
            known = world.ledger().adding([row])
        except LedgerError as error:
            plain(error)
            continue
        for credibility in (world.DOUBTED, world.CERTAIN):
            try:
                evidence, rows = bound(known, kind, credibility)
            except LedgerError as error:
                plain(error)
                continue
            taken += 1
            assert all(np.isfinite(values).all() for values in rows.values()), row
            for term in evidence.bound.values():
                assert np.isfinite(term.log_p0).all(), row
            if credibility is world.DOUBTED:
                still = {name for name in moving if np.ptp(rows[name]) > 1e-9}
                assert still == moving, (row, moving - still)
    assert taken or not tried


PARTIES = [
    (kind, subject)
    for kind in KINDS.values()
    for subject in SUBJECTS[kind.roster]
    if kind.roster in ("vendors", "entities") and subject != MEANT[kind.about]
]


@pytest.mark.parametrize(
    ("kind", "subject"), PARTIES, ids=[f"{kind.name} of {subject}" for kind, subject in PARTIES]
)
def test_a_row_about_another_party_than_its_kind_means_is_refused_by_name(
    kind: Kind, subject: str, tmp_path: Path
) -> None:
    numbers = next(n for n in NUMBERS if kind.check(*n) is None)
    row = given(kind, subject, DATES["the year's end"], *numbers)
    with pytest.raises(LedgerError) as refused:
        world.ledger().adding([row])
    plain(refused.value)
    (problem,) = refused.value.problems
    assert f"{kind.name} is about whoever has the role {kind.about!r}" in problem
    assert f"name {MEANT[kind.about]!r}" in problem
    cells = ["" if row.get(name) is None else str(row[name]) for name in TABLES["evidence"].header]
    folder = world.write_seeds(tmp_path, evidence=f"{world.SEEDS['evidence']}\n{','.join(cells)}\n")
    with pytest.raises(LedgerError, match=rf"evidence.csv:\d+: {kind.name} is about whoever"):
        load_ledger(folder, kinds=KINDS)
    assert "X1" in set(world.ledger().adding([row | {"subject": MEANT[kind.about]}]).scored()["id"])


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
@pytest.mark.parametrize("date", ["1900-01-01", "2020-05-31", "2034-02-28", "2062-02-20"])
def test_a_day_that_no_news_of_the_deal_can_have_is_refused(kind: Kind, date: str) -> None:
    subject = "Stars" if kind.unit == "count" and kind.roster == "people" else None
    subject = subject or MEANT.get(kind.about) or SUBJECTS[kind.roster][0]
    numbers = next(n for n in NUMBERS if kind.check(*n) is None)
    with pytest.raises(LedgerError) as refused:
        bound(world.ledger().adding([given(kind, subject, date, *numbers)]), kind, world.DOUBTED)
    plain(refused.value)
    assert any(date in problem for problem in refused.value.problems)


@pytest.mark.parametrize("kind", [k for k in KINDS.values() if k.ahead], ids=lambda kind: kind.name)
def test_an_ending_may_be_announced_three_years_ahead_and_no_longer(kind: Kind) -> None:
    row = given(kind, SUBJECTS[kind.roster][0], "2029-02-28", None, None) | {"published": str(NOW)}
    known = world.ledger().adding([row])
    assert np.isfinite(bound(known, kind, world.DOUBTED)[1]["X1"]).all()
    with pytest.raises(
        LedgerError, match=r"2029-03-02 is more than 3 years after .*; no ending is"
    ):
        world.ledger().adding([row | {"event_date": "2029-03-02"}])


@pytest.mark.parametrize(
    ("date", "fits"), [("2025-06-30", True), ("2025-12-31", True), ("2025-11-04", False)]
)
def test_a_year_of_accounts_ends_with_a_month(date: str, fits: bool) -> None:
    row = given(KINDS["revenue"], "Maker", date, 1.0, 0.1)
    known = world.ledger().adding([row])
    if fits:
        assert np.isfinite(bound(known, KINDS["revenue"], world.DOUBTED)[1]["X1"]).all()
        return
    with pytest.raises(
        LedgerError, match=r"evidence.csv:1: row X1: revenue of a year that ends on"
    ):
        bound(known, KINDS["revenue"], world.DOUBTED)


@pytest.mark.parametrize("role", ["acquirer", "target"])
def test_a_deal_file_and_rosters_that_name_different_parties_are_refused(role: str) -> None:
    with pytest.raises(LedgerError, match=rf"entities.csv:1: .* has the role '{role}'.*'Nobody'"):
        world.context(**{role: "Nobody"})


def test_every_kind_that_tells_what_has_happened_is_refused_ahead_of_its_event() -> None:
    for kind in KINDS.values():
        subject = "Stars" if kind.unit == "count" and kind.roster == "people" else None
        subject = subject or MEANT.get(kind.about) or SUBJECTS[kind.roster][0]
        numbers = next(n for n in NUMBERS if kind.check(*n) is None)
        row = given(kind, subject, DATES[AHEAD], *numbers)
        if kind.ahead:
            known = world.ledger().adding([row])
            assert "X1" in set(known.scored()["id"])
            assert known.as_of < row_date(row)
            continue
        with pytest.raises(
            LedgerError,
            match=rf"added:1: event_date 2026-03-20 is after the row was published on 2026-03-01, "
            rf"and {kind.name} tells what has happened; date it by",
        ):
            world.ledger().adding([row])
    assert {k.name for k in KINDS.values() if k.ahead} == {"departure", "customer_ended"}


def row_date(row: dict[str, Any]) -> dt.date:
    return dt.date.fromisoformat(row["event_date"])


def test_nothing_is_said_of_somebody_before_they_come() -> None:
    late = world.SEEDS["customers"] + "Later,enterprise,0,0,2026-03-15,1,0,\n"
    known = world.ledger_with(customers=late)
    row = given(KINDS["customer_ended"], "Later", DATES[AHEAD], None, None)
    with pytest.raises(LedgerError, match="published 2026-03-01, before 'Later' starts on 2026-03"):
        known.adding([row])


# --- write-downs: the row that was forgotten, and what it made forget ------------------------------


def marks(*rows: tuple[str, float, str], credibility: Any = world.DOUBTED) -> BoundLifeCourse:
    told = [
        {"kind": "impairment", "subject": "Maker", "event_date": d, "value": v, "credibility": c}
        for d, v, c in rows
    ]
    evidence = world.bound(
        world.ledger_of(told), credibility=credibility, models=("revenue",), draws=200
    )
    term = evidence.bound["impairment"]
    assert isinstance(term, BoundLifeCourse)
    return term


def chance_of_no_write_down(*rows: tuple[str, float, str]) -> float:
    """Mean posterior probability, over prior draws, of the states without a write-down so far."""
    told = [
        {"kind": "impairment", "subject": "Maker", "event_date": d, "value": v, "credibility": c}
        for d, v, c in rows
    ]
    evidence = world.bound(
        world.ledger_of(told), credibility=world.DOUBTED, models=("revenue",), draws=400
    )
    draws = world.prior_draws(evidence, draws=200)
    term = evidence.bound["impairment"]
    assert isinstance(term, BoundLifeCourse)
    states, share = term.weights(draws, joint.curves(evidence, draws, OPS))[0]
    assert np.isfinite(share).all()
    assert share.sum(axis=1) == pytest.approx(1.0)
    return float(share[:, [upper is None for _, upper, *_ in states]].sum(axis=1).mean())


def test_a_doubtful_write_down_before_the_first_year_end_does_not_silence_the_accounts() -> None:
    clean = ("2025-12-31", 0.0, "A")
    alone = chance_of_no_write_down(clean)
    rumour = chance_of_no_write_down(("2025-06-20", 1.0, "D"), clean)
    at_year_end = chance_of_no_write_down(("2025-12-31", 1.0, "D"), clean)
    assert rumour == pytest.approx(at_year_end, abs=1e-9), "the same claim about the same test"
    assert 0.9 * alone < rumour < alone


def test_a_write_down_after_clean_accounts_and_before_the_next_year_end_contradicts_nothing() -> (
    None
):
    term = marks(("2025-12-31", 0.0, "A"), ("2026-06-30", 1.0, "A"))
    seen, next_end = world.context().month(dt.date(2025, 12, 31)), dt.date(2026, 12, 31)
    state = (seen, world.context().month(next_end), seen, None)
    assert term.final[0][state] == pytest.approx(0.97**2), "both believed, in the year after"
    marks(("2025-12-31", 0.0, "A"), ("2026-06-30", 1.0, "A"), credibility=world.CERTAIN)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_no_stake_is_written_down_before_the_close(value: float) -> None:
    with pytest.raises(
        LedgerError,
        match=r"evidence\.csv:2: row R01: impairment on 2025-03-31 is before the close on 2025-06-12",
    ):
        marks(("2025-03-31", value, "D"))


def test_a_write_down_after_the_last_year_end_of_the_horizon_is_refused() -> None:
    marks(("2032-12-31", 1.0, "D"))
    with pytest.raises(LedgerError, match="comes after the last year end within the deal's hor"):
        marks(("2033-01-02", 1.0, "D"))


# --- the guard itself -----------------------------------------------------------------------------


def sleeping(before: float) -> LifeProcess:
    """Nothing ends before this month; afterwards the hazard is constant."""
    return LifeProcess(
        lambda p, curves, who, t, ops: -p["hazard"][..., None] * np.maximum(t - before, 0.0),
        lambda p, curves, who, t, ops: ops.log(p["hazard"][..., None]) + 0.0 * t,
    )


PRIOR = {"hazard": np.geomspace(0.01, 0.3, 20)}


@pytest.mark.parametrize("truth", [0.0, 0.15, 1.0])
def test_an_ending_that_no_draw_can_bring_about_is_refused_however_much_it_is_believed(
    truth: float,
) -> None:
    early = Observation("early", 0, True, 5.0, 0.0, truth)
    clean = Observation("clean", 0, False, 12.0, None, 0.97)
    with pytest.raises(
        LedgerError, match=r"row early: no state of the world .*; correct its event"
    ):
        LifeCourse((early, clean), sleeping(6.0)).bind(PRIOR, {})


def test_rows_that_only_together_are_impossible_are_named_together() -> None:
    seen = Observation("seen", 0, False, 2.0, None, 1.0)
    left = Observation("left", 0, True, 5.0, 0.0, 1.0)
    process = LifeProcess(
        # All that ends does so in the first month.
        lambda p, curves, who, t, ops: -p["hazard"][..., None] * np.minimum(t, 1.0),
        lambda p, curves, who, t, ops: ops.log(p["hazard"][..., None]) + 0.0 * t,
    )
    with pytest.raises(LedgerError, match="rows seen, left cannot all be true and none may be"):
        LifeCourse((seen, left), process).bind(PRIOR, {})


def test_a_draw_under_which_everything_underflows_has_shares_and_no_nan() -> None:
    seen = Observation("seen", 0, False, 40.0, None, 1.0)
    term = LifeCourse((seen,), sleeping(0.0)).bind(PRIOR, {})
    states, share = term.weights({"hazard": np.array([0.1, 1e6])}, {})[0]
    assert share.tolist() == [[1.0]] * 2
    assert len(states) == 1
    with pytest.raises(LedgerError, match="rows seen cannot all be true"):
        term.weights({"hazard": np.array([1e6])}, {})
