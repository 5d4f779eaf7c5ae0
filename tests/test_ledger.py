# ruff: noqa: E501  (the small files below are as wide as the real ones)
"""The ledger reads strictly, sees nothing from the future and counts each original report once."""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from valuation.errors import LedgerError
from valuation.ledger import TABLES, Ledger, check_ledger, load_ledger
from valuation.models import KINDS, kinds_in

FILES = {
    "sources": """source,publisher,title,address,kind
wire,The Wire,A story,https://example.org/story,press
court,A court,A ruling,,filing
""",
    "people": """subject,cohort,entry,size,weight,talent,note
Ada Founder,founder,2025-06-12,1,0.6,1,
Ben Mover,movers,2025-06-15,1,0.4,1,came along
Old staff,legacy,2025-06-12,100,,0,
""",
    "customers": """subject,segment,rival,revenue_share,start,new,pooled,note
Rival Lab,rival_lab,1,0.25,2025-06-12,0,0,
"Others, pooled",technology,0,0.75,2025-06-12,0,1,
Late Client,enterprise,0,0,2026-01-21,1,0,
""",
    "vendors": """subject,role,note
Target Co,target,
Other Data,rival,
""",
    "entities": """entity,role,note
Buyer,acquirer,
Target Co,target,
Agency,regulator,
""",
    "evidence": """id,event_date,published,claim,source,root,credibility,kind,subject,value,sd,unit,supersedes,note
E1,2025-06-12,2025-06-14,The deal closed.,wire,deal,A,,,,,,,
E2,2025-08-29,2025-08-30,"Ben Mover, it is said, left.",wire,story-1,B,departure,Ben Mover,1,,months,,a window
E3,2025-08-29,2025-09-02,A copy of the same story.,court,story-1,A,departure,Ben Mover,1,,months,,
E4,2025-09-30,2025-10-01,Eight of the old staff left.,wire,story-2,B,group_exits,Old staff,8,,count,,
E5,2025-06-18,2025-06-18,Rival Lab ended its orders.,wire,story-3,B,customer_ended,Rival Lab,0.2,,months,,
E6,2024-12-31,2025-07-01,Revenue was 0.87.,wire,story-4,B,revenue,Target Co,0.87,0.05,USD bn,,
E7,2024-12-31,2026-01-05,Revenue is restated.,court,story-5,A,revenue,Target Co,0.9,0.05,USD bn,E6,
""",
    "financials": """entity,period_start,period_end,item,value,unit,sd,source,published,credibility,note
Target Co,2024-01-01,2024-12-31,revenue,0.87,USD bn,0.05,wire,2025-07-01,B,
Target Co,2025-01-01,2025-12-31,revenue,1.1,USD bn,,court,2026-01-20,A,
""",
    "base_rates": """id,reference_class,name,measure,value,unit,source,published,credibility,use
C1,retention,Exit in a year,exit_12m,0.33,fraction,wire,2019-08-31,A,hazard
""",
    "reference_deals": """id,acquirer,target,year,price_usd_bn,stake_pct,structure,outcome,writedown_usd_bn,outcome_date,recovered_fraction,value_multiple_rough,note,source,credibility
R1,Big,Small,2012,1.0,100,acquisition,success,,,,10,,wire,B
""",
    "questions": """id,question,opens,closes,resolution_source,fine_print,outcome,resolved,resolution_row,event,subject,threshold,base_rate,base_rate_source,note
Q1,Does Ben Mover leave?,2025-06-12,2025-12-31,press,Any report.,1,2025-08-29,E2,person_exit,Ben Mover,,0.33,C1,
Q2,Does Ada Founder stay?,2025-06-12,2026-12-31,press,Any report.,,,,in_post,Ada Founder,,,,
Q3,Does a client return?,2025-10-01,2026-12-31,press,Any report.,,,,customer_return,Rival Lab,,,,
""",
}


def write(folder: Path, **changed: str | bytes | None) -> Path:
    """A small sound ``seeds`` folder, some files of which are replaced (None: absent)."""
    folder.mkdir(exist_ok=True)
    for name, text in {**FILES, **changed}.items():
        if isinstance(text, bytes):
            (folder / f"{name}.csv").write_bytes(text)
        elif text is not None:
            (folder / f"{name}.csv").write_text(text, encoding="utf-8", newline="")
    return folder


def swap(name: str, old: str, new: str) -> dict[str, str | bytes | None]:
    assert old in FILES[name], f"{old!r} is not in {name}"
    return {name: FILES[name].replace(old, new, 1)}


def more(row: str) -> dict[str, str | bytes | None]:
    """One more evidence row, on line 9."""
    return {"evidence": FILES["evidence"] + row + "\n"}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return load_ledger(write(tmp_path / "seeds"), kinds=KINDS)


# Each case: what is changed, where the message must point, what it must say, and the remedy in it.
BAD: dict[str, tuple[dict[str, str | bytes | None], str, str, str]] = {
    "a missing file": ({"evidence": None}, "evidence.csv:1", "no such file", "add it"),
    "an empty file": ({"people": ""}, "people.csv:1", "empty", "add its header"),
    "a file in Latin-1": (
        {"evidence": FILES["evidence"].replace("copy", "copié").encode("latin-1")},
        "evidence.csv:4",
        "not UTF-8",
        "save the file",
    ),
    "a NUL character": (swap("evidence", "A copy", "A\0copy"), "evidence.csv:4", "NUL", "restore"),
    "an unknown column": (
        swap("evidence", ",credibility,", ",credibilty,"),
        "evidence.csv:1",
        "unknown column 'credibilty'",
        "did you mean 'credibility'",
    ),
    "a missing column": (
        {"vendors": "subject,role\nTarget Co,target\n"},
        "vendors.csv:1",
        "missing column 'note'",
        "add it",
    ),
    "a column named twice": (
        swap("vendors", "subject,role,note", "subject,role,role"),
        "vendors.csv:1",
        "appears 2 times",
        "keep one",
    ),
    "too many cells": (
        swap("evidence", '"Ben Mover, it is said, left."', "Ben Mover, it is said, left."),
        "evidence.csv:3",
        "16 cells where the header has 14",
        "quote text",
    ),
    "an open quote": (
        swap("evidence", "Eight of", '"Eight of'),
        "evidence.csv:5",
        "broken quoting",
        "close the quotes",
    ),
    "a line break in a cell": (
        swap("evidence", "A copy of the same story.", '"A copy\nof it"'),
        "evidence.csv:4",
        "line break",
        "remove it",
    ),
    "a blank line": (
        swap("evidence", "\nE4", "\n\nE4"),
        "evidence.csv:5",
        "blank line",
        "delete it",
    ),
    "a torn last line": (
        {"evidence": FILES["evidence"] + "E8,2025-09-30,2025-10-01,Cut"},
        "evidence.csv:9",
        "cut short",
        "end it with a line break",
    ),
    "a torn last cell": (
        {"evidence": FILES["evidence"].rstrip("\n")},
        "evidence.csv:8",
        "cut short",
        "end it with a line break",
    ),
    "no evidence at all": (
        {"evidence": FILES["evidence"].splitlines()[0] + "\n"},
        "evidence.csv:1",
        "no row below the header",
        "add at least one row",
    ),
    "an empty roster": (
        {"people": FILES["people"].splitlines()[0] + "\n"},
        "people.csv:1",
        "no row below the header",
        "add the rows",
    ),
    "an American date": (
        swap("evidence", "E2,2025-08-29", "E2,08/29/2025"),
        "evidence.csv:3",
        "event_date: '08/29/2025' is not a date",
        "YYYY-MM-DD",
    ),
    "a date that does not exist": (
        swap("evidence", "E2,2025-08-29", "E2,2025-02-30"),
        "evidence.csv:3",
        "'2025-02-30' is not a date",
        "YYYY-MM-DD",
    ),
    "a date without a day": (
        swap("evidence", "E2,2025-08-29", "E2,2025-08"),
        "evidence.csv:3",
        "'2025-08' is not a date",
        "YYYY-MM-DD",
    ),
    "a blank claim": (
        swap("evidence", "The deal closed.", ""),
        "evidence.csv:2",
        "claim is blank",
        "fill it in",
    ),
    "a missing source": (
        swap("evidence", "The deal closed.,wire", "The deal closed.,"),
        "evidence.csv:2",
        "source is blank",
        "fill it in",
    ),
    "an unknown source": (
        swap("evidence", "The deal closed.,wire", "The deal closed.,wiret"),
        "evidence.csv:2",
        "source 'wiret' is not in sources.csv",
        "did you mean 'wire'",
    ),
    "a duplicate id": (
        swap("evidence", "\nE3,", "\nE2,"),
        "evidence.csv:4",
        "id 'E2' is already on line 3",
        "give the row its own",
    ),
    "an id with a space": (
        swap("evidence", "\nE3,", "\nE 3,"),
        "evidence.csv:4",
        "not an identifier",
        "use letters",
    ),
    "a grade that does not exist": (
        swap("evidence", "story-2,B", "story-2,E"),
        "evidence.csv:5",
        "'E' is not one of A, B, C, D",
        "use one of these",
    ),
    "an unknown kind": (
        swap("evidence", "group_exits", "group_exit"),
        "evidence.csv:5",
        "unknown kind 'group_exit'",
        "did you mean 'group_exits'",
    ),
    "an unknown subject": (
        swap("evidence", "group_exits,Old staff", "group_exits,Old stuff"),
        "evidence.csv:5",
        "subject 'Old stuff' is not in people.csv",
        "did you mean 'Old staff'",
    ),
    "a typed row without subject": (
        swap("evidence", "group_exits,Old staff", "group_exits,"),
        "evidence.csv:5",
        "needs a subject",
        "name one of people.csv",
    ),
    "a subject of another roster": (
        swap("evidence", "customer_ended,Rival Lab", "customer_ended,Ben Mover"),
        "evidence.csv:6",
        "not in customers.csv",
        "add a row to customers.csv (subject, segment, rival, revenue_share, start, new, pooled; note",
    ),
    "a value the kind refuses": (
        swap("evidence", "Rival Lab,0.2", "Rival Lab,-3"),
        "evidence.csv:6",
        "customer_ended:",
        "width of the window",
    ),
    "a wrong unit": (
        swap("evidence", "0.87,0.05,USD bn", "870,0.05,USD m"),
        "evidence.csv:7",
        "unit 'USD m'",
        "write 'USD bn'",
    ),
    "a figure a thousand times too large": (
        swap("evidence", "Target Co,0.87,", "Target Co,870000,"),
        "evidence.csv:7",
        "revenue:",
        "check the unit",
    ),
    "a value that is not a number": (
        swap("evidence", "Target Co,0.87,", "Target Co,NaN,"),
        "evidence.csv:7",
        "'NaN' is not a finite number",
        "leave it blank",
    ),
    "a value in full-width digits": (
        swap("evidence", "Target Co,0.87,", "Target Co,\uff11.\uff15,"),
        "evidence.csv:7",
        "'\uff11.\uff15' is not a finite number",
        "use digits 0 to 9",
    ),
    "a count in full-width digits": (
        swap("people", "legacy,2025-06-12,100,", "legacy,2025-06-12,\uff12,"),
        "people.csv:4",
        "is not a whole number",
        "digits 0 to 9",
    ),
    "a value with a thousands mark": (
        swap("evidence", "Old staff,8,", "Old staff,1_000,"),
        "evidence.csv:5",
        "'1_000' is not a finite number",
        "no thousands mark",
    ),
    "an infinite value": (
        swap("evidence", "Target Co,0.87,", "Target Co,1e999,"),
        "evidence.csv:7",
        "too large",
        "check its size",
    ),
    "a negative error": (
        swap("evidence", "0.87,0.05,USD bn", "0.87,-0.05,USD bn"),
        "evidence.csv:7",
        "sd: -0.05 is negative",
        "0 or more",
    ),
    "a context row with a value": (
        swap("evidence", "deal,A,,,,,,,", "deal,A,,,14.3,,USD bn,,"),
        "evidence.csv:2",
        "a context row (kind blank) states value, unit",
        "name the evidence kind",
    ),
    "more exits than people": (
        swap("evidence", "Old staff,8,", "Old staff,800,"),
        "evidence.csv:5",
        "800 of 'Old staff', whose size is 100",
        "correct one of them",
    ),
    "a departure of a group": (
        swap("evidence", "group_exits,Old staff,8,,count", "sighting,Old staff,,,"),
        "evidence.csv:5",
        "which is a group",
        "use a kind counted in people",
    ),
    "an exit before the start": (
        swap("evidence", "E5,2025-06-18", "E5,2025-06-01"),
        "evidence.csv:6",
        "before 'Rival Lab' starts on 2025-06-12",
        "correct either",
    ),
    "a row that supersedes nothing": (
        swap("evidence", "USD bn,E6", "USD bn,E66"),
        "evidence.csv:8",
        "supersedes 'E66', which is no row",
        "correct the id",
    ),
    "a row that supersedes itself": (
        swap("evidence", "USD bn,E6", "USD bn,E7"),
        "evidence.csv:8",
        "supersedes itself",
        "name the older row",
    ),
    "rows that supersede each other": (
        {
            "evidence": FILES["evidence"]
            .replace("2025-07-01,Revenue", "2026-01-05,Revenue")
            .replace("0.05,USD bn,,", "0.05,USD bn,E7,")
        },
        "evidence.csv:7",
        "supersede each other",
        "break the circle",
    ),
    "a row that supersedes a later one": (
        more("E8,2025-06-12,2025-06-14,Early.,wire,x,A,,,,,,E7,"),
        "evidence.csv:9",
        "published later",
        "swap the two",
    ),
    "a formula in a claim": (
        swap("evidence", "The deal closed.", "=HYPERLINK(1)"),
        "evidence.csv:2",
        "runs as a formula",
        "begin with a word",
    ),
    "a formula in a note": (
        swap("evidence", "a window", "@SUM(A1)"),
        "evidence.csv:3",
        "runs as a formula",
        "begin with a word",
    ),
    "a hidden direction mark": (
        swap("evidence", "A copy", "A \u202ecopy"),
        "evidence.csv:4",
        "invisible control character",
        "type it again",
    ),
    "space around a name": (
        swap("evidence", "group_exits,Old staff", "group_exits, Old staff"),
        "evidence.csv:5",
        "space around 'Old staff'",
        "remove it",
    ),
    "a text of a book's length": (
        swap("evidence", "The deal closed.", "x" * 2001),
        "evidence.csv:2",
        "longer than",
        "shorten it",
    ),
    "weights that do not sum to one": (
        swap("people", "1,0.6,1", "1,0.5,1"),
        "people.csv:2",
        "sum to 0.9, not 1",
        "adjust them",
    ),
    "talent without a weight": (
        swap("people", "1,0.6,1", "1,,1"),
        "people.csv:2",
        "weight is blank",
        "state its share",
    ),
    "a weight without talent": (
        swap("people", "100,,0", "100,0.1,0"),
        "people.csv:4",
        "must be blank",
        "clear it",
    ),
    "a group of nobody": (swap("people", "100,,0", "0,,0"), "people.csv:4", "size is 0", "write 1"),
    "shares that do not sum to one": (
        swap("customers", "1,0.25", "1,0.35"),
        "customers.csv:2",
        "sums to 1.1, not 1",
        "adjust the pooled rows",
    ),
    "a share in per cent": (
        swap("customers", "1,0.25", "1,25"),
        "customers.csv:2",
        "not a fraction",
        "write 0.17",
    ),
    "a new customer with a share": (
        swap("customers", "0,0,2026-01-21", "0,0.1,2026-01-21"),
        "customers.csv:4",
        "won after the close",
        "set new to 0",
    ),
    "a segment that does not exist": (
        swap("customers", "technology", "tech"),
        "customers.csv:3",
        "'tech' is not one of",
        "use one of these",
    ),
    "two acquirers": (
        swap("entities", "Agency,regulator", "Agency,acquirer"),
        "entities.csv:1",
        "2 rows with role 'acquirer'",
        "exactly one",
    ),
    "a period that ends before it starts": (
        swap("financials", "2025-01-01,2025-12-31", "2026-01-01,2025-12-31"),
        "financials.csv:3",
        "period_start is after period_end",
        "correct them",
    ),
    "a question that closes before it opens": (
        swap("questions", "2025-10-01,2026-12-31", "2025-10-01,2025-01-31"),
        "questions.csv:4",
        "opens after it closes",
        "correct the dates",
    ),
    "an outcome without a day": (
        swap("questions", "Any report.,1,2025-08-29,E2", "Any report.,1,,E2"),
        "questions.csv:2",
        "go together",
        "fill both or neither",
    ),
    "a question resolved by no row": (
        swap("questions", "2025-08-29,E2", "2025-08-29,E22"),
        "questions.csv:2",
        "'E22' is not in evidence.csv",
        "correct the id",
    ),
    "an address that is none": (
        swap("sources", "https://example.org/story", "javascript:alert(1)"),
        "sources.csv:2",
        "not a web address",
        "begin with https://",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_input_is_named_with_file_line_and_remedy(case: str, tmp_path: Path) -> None:
    changed, where, what, remedy = BAD[case]
    folder = write(tmp_path / "seeds", **changed)
    with pytest.raises(LedgerError) as caught:
        load_ledger(folder, kinds=kinds_in("USD"))
    matching = [p for p in caught.value.problems if p.startswith(f"{where}: ") and what in p]
    assert matching, caught.value.problems
    assert remedy in matching[0].split(what, 1)[1], matching[0]
    assert all("\n" not in p and re.match(r"[a-z_]+\.csv:\d+: ", p) for p in caught.value.problems)


def test_every_problem_of_every_file_is_listed_at_once(tmp_path: Path) -> None:
    changed = (
        swap("people", "1,0.6,1", "1,0.5,1")
        | swap("customers", "1,0.25", "1,25")
        | {
            "evidence": FILES["evidence"]
            .replace("E2,2025-08-29", "E2,yesterday")
            .replace("Old staff,8", "Old staff,many")
            .replace("story-3,B", "story-3,Z")
        }
    )
    with pytest.raises(LedgerError) as caught:
        load_ledger(write(tmp_path / "seeds", **changed), kinds=KINDS)
    places = {p.split(": ")[0] for p in caught.value.problems}
    assert places >= {
        "people.csv:2",
        "customers.csv:2",
        "evidence.csv:3",
        "evidence.csv:5",
        "evidence.csv:6",
    }


def test_a_good_folder_is_read_with_lines_dates_and_blanks(ledger: Ledger) -> None:
    assert list(ledger.evidence["id"]) == ["E1", "E2", "E3", "E4", "E5", "E6", "E7"]
    assert list(ledger.evidence["line"]) == [2, 3, 4, 5, 6, 7, 8]
    first = ledger.evidence.iloc[0]
    assert first["published"] == dt.date(2025, 6, 14)
    assert first["kind"] is None
    assert pd.isna(first["value"])
    assert ledger.evidence.loc[5, "value"] == 0.87
    assert ledger.people["size"].sum() == 102


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(
    ledger: Ledger, tmp_path: Path
) -> None:
    changed = {
        name: ("\ufeff" + text).replace("\n", "\r\n").encode() for name, text in FILES.items()
    }
    other = load_ledger(write(tmp_path / "other", **changed), kinds=KINDS)
    assert other.digest == ledger.digest


def test_the_as_of_date_defaults_to_the_last_publication(ledger: Ledger) -> None:
    assert ledger.as_of == dt.date(2026, 1, 5)
    assert ledger.hidden == 0


def test_a_cut_shows_only_rows_published_by_then(ledger: Ledger) -> None:
    seen = ledger.cut("2025-09-01")
    assert list(seen.evidence["id"]) == ["E1", "E2", "E5", "E6"]
    assert seen.as_of == dt.date(2025, 9, 1)
    assert seen.hidden == 3
    assert len(seen.financials) == 1


def test_a_planted_future_row_is_not_seen(ledger: Ledger, tmp_path: Path) -> None:
    row = "E8,2025-06-20,2026-02-01,Planted.,wire,planted,A,sighting,Ada Founder,,,,E2,"
    planted = load_ledger(write(tmp_path / "planted", **more(row)), kinds=KINDS, as_of="2025-12-31")
    plain = ledger.cut(dt.date(2025, 12, 31))
    assert "E8" not in set(planted.evidence["id"])
    assert planted.digest == plain.digest
    pd.testing.assert_frame_equal(planted.scored(), plain.scored())
    later = load_ledger(tmp_path / "planted", kinds=KINDS)
    assert later.digest != ledger.digest


def test_an_as_of_date_before_every_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"first is of 2025-06-14.*choose an as-of date"):
        load_ledger(write(tmp_path / "seeds"), kinds=KINDS, as_of=dt.date(2025, 6, 1))


def test_an_as_of_date_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="'soon' is not a date; write it as YYYY-MM-DD"):
        load_ledger(write(tmp_path / "seeds"), kinds=KINDS, as_of="soon")


def test_a_cut_cannot_be_undone_by_a_later_cut(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="load it again as of that date"):
        ledger.cut("2025-09-01").cut("2025-12-31")
    assert ledger.cut("2027-01-01").as_of == dt.date(2027, 1, 1)


def test_an_outcome_is_blank_before_its_day_and_its_row_are_known(ledger: Ledger) -> None:
    def outcome(as_of: str) -> pd.Series:
        return ledger.cut(as_of).questions.set_index("id").loc["Q1"]

    assert pd.isna(
        outcome("2025-08-29")["outcome"]
    )  # resolved that day, its row published the next
    assert outcome("2025-08-29")["resolution_row"] is None
    assert outcome("2025-08-30")["outcome"] == "yes"
    assert list(ledger.cut("2025-09-01").questions["id"]) == ["Q1", "Q2"]


def test_rows_of_one_root_count_once_and_the_most_credible_wins(ledger: Ledger) -> None:
    assert list(ledger.scored()["id"]) == ["E3", "E4", "E5", "E7"]
    assert dict(zip(ledger.dropped()["id"], ledger.dropped()["reason"], strict=True)) == {
        "E2": "same root as E3",
        "E6": "superseded by E7",
    }


def test_among_equally_credible_copies_the_smaller_id_wins(tmp_path: Path) -> None:
    folder = write(tmp_path / "seeds", **swap("evidence", "court,story-1,A", "court,story-1,B"))
    scored = load_ledger(folder, kinds=KINDS).scored()
    assert "E2" in set(scored["id"])
    assert "E3" not in set(scored["id"])


def test_one_root_may_speak_about_several_subjects_and_kinds(ledger: Ledger) -> None:
    both = ledger.adding(
        [
            {
                "id": "E8",
                "event_date": dt.date(2025, 8, 29),
                "published": dt.date(2025, 8, 30),
                "claim": "Ada Founder is in charge.",
                "source": "wire",
                "root": "story-1",
                "credibility": "B",
                "kind": "sighting",
                "subject": "Ada Founder",
            }
        ]
    )
    assert {"E3", "E8"} <= set(both.scored()["id"])


def test_a_superseding_row_works_only_once_it_is_visible(ledger: Ledger) -> None:
    before = ledger.cut("2025-12-31")
    assert "E6" in set(before.scored()["id"])
    assert "E6" not in set(ledger.scored()["id"])


def test_a_context_row_can_retract_a_typed_row(tmp_path: Path) -> None:
    row = "E8,2025-10-02,2025-10-02,The outlet withdraws the count.,wire,story-6,A,,,,,,E4,"
    retracted = load_ledger(write(tmp_path / "seeds", **more(row)), kinds=KINDS)
    assert "E4" not in set(retracted.scored()["id"])


def shuffled(text: str, seed: int) -> str:
    header, *rows = list(csv.reader(io.StringIO(text)))
    random.Random(seed).shuffle(rows)
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    return out.getvalue()


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_changes_nothing(ledger: Ledger, tmp_path: Path, seed: int) -> None:
    mixed = {name: shuffled(text, seed) for name, text in FILES.items()}
    other = load_ledger(write(tmp_path / "mixed", **mixed), kinds=KINDS)
    assert other.digest == ledger.digest
    for mine, theirs in [(ledger.scored(), other.scored()), (ledger.dropped(), other.dropped())]:
        pd.testing.assert_frame_equal(mine.drop(columns="line"), theirs.drop(columns="line"))
    pd.testing.assert_frame_equal(ledger.people, other.people)


def _changed_cell(table: str, row: int, column: str, value: object) -> Callable[[Ledger], Ledger]:
    def change(ledger: Ledger) -> Ledger:
        frame = getattr(ledger, table)
        copy = frame.copy()
        copy[column] = copy[column].astype(object)
        copy.at[row, column] = value
        object.__setattr__(ledger, table, copy)
        return ledger.cut(ledger.as_of)

    return change


@pytest.mark.parametrize(
    ("table", "column"), [(name, c) for name, t in TABLES.items() for c in t.header]
)
def test_the_digest_depends_on_every_visible_cell(table: str, column: str, ledger: Ledger) -> None:
    before = ledger.digest
    old = getattr(ledger, table)[column].iloc[0]
    new: object
    if isinstance(old, dt.date):
        new = old - dt.timedelta(days=1)
    elif isinstance(old, str) or old is None:
        new = f"{old or ''}x"
    else:
        new = 0.5 if pd.isna(old) else float(old) + 0.5
    if column in ("outcome", "resolved", "resolution_row"):
        new = {"outcome": "no", "resolved": dt.date(2025, 8, 28), "resolution_row": "E3"}[column]
    assert _changed_cell(table, 0, column, new)(ledger).digest != before


def test_a_later_cut_that_shows_nothing_new_keeps_the_digest(ledger: Ledger) -> None:
    assert ledger.cut("2025-07-01").digest == ledger.cut("2025-08-29").digest
    assert ledger.cut("2025-07-01").digest != ledger.cut("2025-08-30").digest


def test_a_ledger_without_a_row_is_a_what_if(ledger: Ledger) -> None:
    other = ledger.without("E5")
    assert "E5" not in set(other.scored()["id"])
    assert "E5" in set(ledger.scored()["id"])
    assert other.digest != ledger.digest
    assert other.without("E7").scored()["id"].tolist() == ["E3", "E4", "E6"]


def test_removing_a_row_that_is_not_there_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match=r"'E77' is not visible.*did you mean 'E7'"):
        ledger.without("E77")


def test_removing_every_row_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no evidence row would be left; keep at least one"):
        ledger.without(*ledger.evidence["id"])


NEW = {
    "id": "X1",
    "event_date": "2026-01-31",
    "published": "2026-02-01",
    "claim": "Ada Founder left.",
    "source": "wire",
    "root": "what-if",
    "credibility": "A",
    "kind": "departure",
    "subject": "Ada Founder",
}


def test_added_rows_are_scored_and_move_the_as_of_date(ledger: Ledger) -> None:
    other = ledger.adding([NEW])
    assert "X1" in set(other.scored()["id"])
    assert other.as_of == dt.date(2026, 2, 1)
    assert ledger.adding(pd.DataFrame([NEW])).digest == other.digest
    assert other.without("X1").digest == ledger.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "E1"}, "added:1: id 'E1' is already taken; give"),
        ({"kind": "departed"}, "added:1: unknown kind 'departed'; did you mean 'departure'"),
        ({"subject": "Nobody"}, "added:1: subject 'Nobody' is not in people.csv; add"),
        ({"published": "soon"}, "added:1: published: 'soon' is not a date; write"),
        (
            {"kind": "sighting", "event_date": "2026-02-02"},
            "added:1: event_date 2026-02-02 is after the row was published on 2026-02-01",
        ),
        ({"value": float("inf")}, "added:1: value: 'inf' is not a finite number; use"),
        ({"colour": "red"}, "added:1: unknown column 'colour'; known: id"),
        ({"claim": None}, "added:1: claim is blank; fill it in"),
    ],
)
def test_added_rows_are_checked_like_those_of_the_file(
    change: dict[str, object], message: str, ledger: Ledger
) -> None:
    with pytest.raises(LedgerError) as caught:
        ledger.adding([{**NEW, **change}])
    assert any(p.startswith(message) for p in caught.value.problems), caught.value.problems


def test_a_row_from_after_the_cut_cannot_be_added_to_a_cut_ledger(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="after the cut at 2025-09-01; load the ledger"):
        ledger.cut("2025-09-01").adding([NEW])


def test_the_check_names_every_file_and_passes_on_a_sound_folder(tmp_path: Path) -> None:
    checks = check_ledger(write(tmp_path / "seeds"), kinds=KINDS, today=dt.date(2026, 2, 1))
    assert {f"seeds/{t.file}" for t in TABLES.values()} <= {c.name for c in checks}
    assert all(c.passed for c in checks), [c for c in checks if not c.passed]


def test_the_check_refuses_a_row_published_after_today(tmp_path: Path) -> None:
    checks = check_ledger(write(tmp_path / "seeds"), kinds=KINDS, today=dt.date(2026, 1, 1))
    failed = {c.name: c.detail for c in checks if not c.passed}
    assert list(failed) == ["no row from the future"]
    assert (
        "evidence.csv:8: published 2026-01-05, after today 2026-01-01; correct"
        in failed["no row from the future"]
    )
    assert "financials.csv:3: published 2026-01-20" in failed["no row from the future"]


def test_the_check_reports_a_bad_file_under_its_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "seeds", **swap("people", "1,0.6,1", "1,0.5,1"))
    failed = [
        c for c in check_ledger(folder, kinds=KINDS, today=dt.date(2026, 2, 1)) if not c.passed
    ]
    assert [c.name for c in failed] == ["seeds/people.csv"]
    assert "people.csv:2: weights" in failed[0].detail


def test_the_check_catches_an_edited_and_a_deleted_row_but_not_an_added_one(
    tmp_path: Path,
) -> None:
    folder = write(tmp_path / "seeds")

    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "Begin")

    def verdict() -> tuple[bool, str]:
        checks = check_ledger(folder, kinds=KINDS, today=dt.date(2026, 2, 1))
        found = next(c for c in checks if c.name == "no evidence row edited or deleted")
        return found.passed, found.detail

    assert verdict() == (True, "7 committed rows unchanged")
    write(folder, **more("E8,2026-01-06,2026-01-06,New.,wire,n,A,,,,,,,"))
    assert verdict()[0]
    write(folder, **swap("evidence", "Old staff,8,", "Old staff,9,"))
    assert verdict() == (
        False,
        "evidence.csv:5: row 'E4' differs from the last commit in value; "
        "restore it and add a row that supersedes it",
    )
    write(folder, evidence="\n".join(FILES["evidence"].splitlines()[:-1]) + "\n")
    passed, detail = verdict()
    assert not passed
    assert "row 'E7' of the last commit is gone" in detail


def test_the_ledger_loads_neither_models_nor_plots() -> None:
    code = (
        "import sys, valuation.ledger; "
        "print([m for m in ('pymc', 'pytensor', 'matplotlib', 'papermill', 'arviz') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
