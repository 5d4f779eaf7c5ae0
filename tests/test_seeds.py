"""The committed ledger is complete, counts every report once, knows nothing ahead of time."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pandas as pd
import pytest

from valuation.ledger import TABLES, Ledger, check_ledger, load_ledger
from valuation.models import KINDS

SEEDS = Path(__file__).resolve().parents[1] / "seeds"
SECOND_DOCUMENT = "techcrunch-2025-08-29"


def numbered(letter: str, *ranges: tuple[int, int], width: int = 3) -> set[str]:
    return {f"{letter}{i:0{width}d}" for a, b in ranges for i in range(a, b + 1)}


DOCUMENTS = numbered("A", (1, 94), (101, 127))
PUBLIC = numbered(
    "B",
    *[(1, 3), (5, 15), (20, 37), (40, 43), (45, 46), (50, 54), (56, 57), (60, 66), (68, 69)],
    *[(72, 73), (76, 77), (80, 81), (83, 86), (90, 95), (98, 98), (100, 100), (108, 108)],
    *[(120, 123), (130, 133)],
) - {"B067"}


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return load_ledger(SEEDS, kinds=KINDS)


@pytest.fixture(scope="module")
def rows(ledger: Ledger) -> pd.DataFrame:
    return ledger.evidence.set_index("id")


def test_every_claim_of_the_two_documents_has_a_row(rows: pd.DataFrame) -> None:
    assert len(DOCUMENTS) == 121
    assert set(rows.index) >= DOCUMENTS


def test_every_further_public_fact_has_a_row(rows: pd.DataFrame) -> None:
    assert len(PUBLIC) == 81
    assert set(rows.index) >= PUBLIC


def test_every_other_row_belongs_to_a_fact_by_its_id(rows: pd.DataFrame) -> None:
    extra = set(rows.index) - DOCUMENTS - PUBLIC
    assert {row_id.split("-")[0] for row_id in extra} <= DOCUMENTS | PUBLIC


def test_every_typed_row_is_scored_or_says_why_not(ledger: Ledger) -> None:
    typed = set(ledger.evidence.loc[ledger.evidence["kind"].notna(), "id"])
    scored, dropped = set(ledger.scored()["id"]), set(ledger.dropped()["id"])
    assert scored | dropped == typed
    assert not scored & dropped
    assert ledger.dropped()["reason"].str.match(r"(superseded by|same root as) [AB]\d{3}").all()


def test_every_typed_row_is_about_somebody_in_its_roster(ledger: Ledger) -> None:
    for row in ledger.evidence[ledger.evidence["kind"].notna()].itertuples():
        roster = getattr(ledger, KINDS[row.kind].roster)
        names = roster["entity" if "entity" in roster else "subject"]
        assert row.subject in set(names), row.id


def test_no_two_scored_rows_share_root_subject_and_kind(ledger: Ledger) -> None:
    assert not ledger.scored().duplicated(["root", "subject", "kind"]).any()


def test_every_model_has_evidence_and_there_is_enough_of_it(ledger: Ledger) -> None:
    scored = ledger.scored()
    assert {KINDS[k].model for k in scored["kind"]} == {kind.model for kind in KINDS.values()}
    assert 40 <= len(scored) <= 60


def test_everything_in_the_second_document_counts_as_one_report(rows: pd.DataFrame) -> None:
    second = rows.loc[sorted(numbered("A", (101, 127)))]
    assert set(second["root"]) == {SECOND_DOCUMENT}
    assert {"B020", "B050", "B052"} <= set(rows.index[rows["root"] == SECOND_DOCUMENT])


@pytest.mark.parametrize(
    ("copy", "original"),
    [
        ("A106", "B020"),
        ("A110", "B050"),
        ("A113", "B050-2"),
        ("A113-2", "B050-3"),
        ("A116-2", "B030"),
        ("A116-3", "B032"),
        ("B028", "B024"),
    ],
)
def test_a_repeated_story_counts_once(copy: str, original: str, ledger: Ledger) -> None:
    reasons = ledger.dropped().set_index("id")["reason"]
    assert reasons[copy] == f"same root as {original}"


@pytest.mark.parametrize(
    ("wrong", "by"),
    [
        ("A003", "A003-2"),
        ("A007", "B003-2"),
        ("A025", "B130-2"),
        ("A027", "B130"),
        ("A031", "B023"),
        ("A087", "B098"),
    ],
)
def test_a_contradicted_claim_is_superseded(wrong: str, by: str, rows: pd.DataFrame) -> None:
    assert rows.loc[by, "supersedes"] == wrong


@pytest.mark.parametrize("row_id", ["A007", "A025", "A027", "A031", "A056", "A115"])
def test_a_contradicted_claim_has_the_lowest_credibility(row_id: str, rows: pd.DataFrame) -> None:
    assert rows.loc[row_id, "credibility"] == "D"


def test_what_is_remembered_only_says_so_and_is_not_trusted(rows: pd.DataFrame) -> None:
    remembered = rows[rows["source"] == "mem"]
    assert len(remembered) == 3
    assert remembered["note"].str.contains("From memory, unverified").all()
    assert remembered["credibility"].isin(["C", "D"]).all()
    assert remembered["kind"].isna().all()


def test_anonymous_comments_never_score_above_the_lowest_grade(ledger: Ledger) -> None:
    scored = ledger.scored()
    opinions = scored[scored["claim"].str.startswith("A forum commenter")]
    assert set(opinions.loc[~opinions["kind"].isin(["sighting"]), "credibility"]) == {"D"}


def test_interested_parties_are_not_graded_above_c_on_their_own_quality(
    rows: pd.DataFrame,
) -> None:
    praise = rows[rows["kind"].isin(["quality_report", "integration_report"]) & (rows["value"] > 0)]
    assert len(praise) >= 2
    assert set(praise["credibility"]) == {"C"}


def test_the_three_replay_dates_see_more_and_more(ledger: Ledger) -> None:
    counts = [
        len(load_ledger(SEEDS, kinds=KINDS, as_of=day).scored())
        for day in ("2025-06-20", "2025-09-01", "2026-02-28")
    ]
    assert counts == sorted(set(counts))
    early = ledger.cut("2025-06-20")
    assert (early.evidence["published"] <= dt.date(2025, 6, 20)).all()
    assert {"B030", "B032"} <= set(early.scored()["id"])
    assert "B050" not in set(early.evidence["id"])


def test_nothing_is_dated_after_the_facts_were_gathered(ledger: Ledger) -> None:
    assert ledger.as_of == dt.date(2026, 2, 28)
    assert max(ledger.evidence["event_date"]) <= dt.date(2026, 2, 28)


def test_the_talent_bought_is_the_founder_and_those_who_came_along(ledger: Ledger) -> None:
    bought = ledger.people[ledger.people["talent"] == 1]
    assert set(bought["cohort"]) == {"founder", "movers"}
    assert bought["weight"].sum() == pytest.approx(1.0)
    assert bought["note"].str.contains("judged").all()


def test_every_revenue_share_states_its_basis(ledger: Ledger) -> None:
    assert ledger.customers["note"].notna().all()
    old = ledger.customers[ledger.customers["new"] == 0]
    assert old["revenue_share"].sum() == pytest.approx(1.0)
    assert (ledger.customers.loc[ledger.customers["new"] == 1, "revenue_share"] == 0).all()


def test_reference_classes_and_questions_are_complete(ledger: Ledger) -> None:
    assert set(ledger.reference_deals["id"]) == numbered("R", (1, 56), width=2)
    assert ledger.base_rates["id"].nunique() == 35
    assert len(ledger.questions) == 40
    asked = ledger.questions
    for column in ("fine_print", "resolution_source", "opens", "closes"):
        assert asked[column].notna().all(), column
    assert asked["event"].notna().sum() >= 29
    assert asked["unit"].notna().sum() >= 2


def test_every_question_has_a_base_rate_whose_origin_can_be_looked_up(ledger: Ledger) -> None:
    asked = ledger.questions
    rated = asked["base_rate"].notna() | asked["base_value"].notna()
    assert (rated == asked["base_rate_source"].notna()).all()
    assert rated.all()
    assert asked.loc[asked["unit"].isna(), "base_rate"].notna().all()
    cited = set(re.findall(r"\b[ABCR]\d+(?:-\d+)?\b", " ".join(asked["base_rate_source"].dropna())))
    known = {
        *ledger.base_rates["id"], *ledger.reference_deals["id"], *ledger.evidence["id"],
    }  # fmt: skip
    assert len(cited) > 10
    assert cited <= known


def test_every_resolved_question_names_the_row_that_resolved_it(ledger: Ledger) -> None:
    resolved = ledger.questions[ledger.questions["outcome"].notna()]
    assert len(resolved) == 9
    assert resolved["resolution_row"].notna().all()


def test_every_source_that_is_cited_is_listed(ledger: Ledger) -> None:
    used = {
        source
        for name in ("evidence", "financials", "base_rates", "reference_deals")
        for source in getattr(ledger, name)["source"]
    }
    assert used <= set(ledger.sources["source"])


def test_the_check_of_the_committed_folder_passes() -> None:
    checks = check_ledger(SEEDS, kinds=KINDS, today=dt.date(2026, 3, 1))
    assert all(c.passed for c in checks), [c for c in checks if not c.passed]
    assert {f"seeds/{t.file}" for t in TABLES.values()} <= {c.name for c in checks}
