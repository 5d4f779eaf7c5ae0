"""News is checked before it is written, written whole or not at all, and cannot be changed unseen."""

from __future__ import annotations

import csv
import datetime as dt
import gc
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import small_world as world
from hypothesis import given
from hypothesis import strategies as st

from valuation.cli import news
from valuation.errors import LedgerError
from valuation.ledger import TABLES, check_ledger, load_ledger, reading, writing
from valuation.ledger.chain import CHAIN_FILE, NOTE
from valuation.ledger.keeping import add_rows, supersede
from valuation.ledger.sealing import seal
from valuation.ledger.tables import column
from valuation.models import KINDS, kinds_in
from valuation.process import brief
from valuation.report.checks import check_project
from valuation.schema import Kind

TODAY = dt.date(2026, 3, 1)
PROJECT = Path(__file__).resolve().parents[1]
FILES = ("sources.csv", "evidence.csv", CHAIN_FILE)
WANG = {
    "kind": "departure",
    "subject": "Alexandr Wang",
    "event_date": "2026-02-20",
    "published": "2026-02-21",
    "source": "Example Wire",
    "credibility": "B",
    "claim": "HYPOTHETICAL, for a test: leaves to found a company",
}
ROW = {
    "event_date": "2026-02-01",
    "published": "2026-02-02",
    "claim": "Something happened.",
    "source": "paper",
    "credibility": "B",
}

Run = Callable[..., tuple[int, str, str]]


def words(row: dict[str, Any]) -> list[str]:
    """The options that give these fields."""
    return [w for k, v in row.items() for w in (f"--{k.replace('_', '-')}", str(v))]


@pytest.fixture
def run(command: Run, monkeypatch: pytest.MonkeyPatch, project: Path) -> Run:
    """`valuation news ...` in a copy of the project: exit code, stdout, stderr."""
    monkeypatch.setenv("VALUATION_HOME", str(project))
    return partial(command, "news")


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """A small sound ledger whose rows are sealed."""
    folder = world.write_seeds(tmp_path / "seeds")
    seal(folder, kinds=KINDS)
    return folder


def contents_of(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    return {p.name: p.read_bytes() for p in files}


def add(folder: Path, *rows: dict[str, Any], **options: Any) -> Any:
    return add_rows(folder, rows, kinds=KINDS, today=TODAY, **options)


def last_rows(folder: Path, n: int = 1) -> list[dict[str, str]]:
    with (folder / "evidence.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))[-n:]


def check(folder: Path, name: str = "sealed rows unchanged") -> tuple[bool, str]:
    found = check_ledger(folder, kinds=KINDS, today=TODAY)
    return next((c.passed, c.detail) for c in found if c.name == name)


def problems_of(call: Callable[[], Any]) -> str:
    with pytest.raises(LedgerError) as caught:
        call()
    return "\n".join(caught.value.problems)


# Adding.


def test_the_example_of_the_help_is_added_with_its_source_and_its_seal(
    run: Run, project: Path
) -> None:
    before = contents_of(project / "seeds")
    code, out, err = run("add", *words(WANG))
    assert (code, out) == (0, "N0001\n")
    assert "source 'example-wire' (Example Wire) is new and gets a row in sources.csv" in err
    after = contents_of(project / "seeds")
    for name in FILES:
        assert after[name].startswith(before[name])
        assert after[name].count(b"\n") == before[name].count(b"\n") + 1
    (row,) = last_rows(project / "seeds")
    assert row == dict.fromkeys(TABLES["evidence"].header, "") | WANG | {
        "id": "N0001",
        "root": "N0001",
        "source": "example-wire",
    }
    assert run("check")[0] == 0
    ledger = load_ledger(project / "seeds", kinds=KINDS)
    assert "N0001" in set(ledger.scored()["id"])
    assert ledger.sources.set_index("source").loc["example-wire", "publisher"] == "Example Wire"


def test_what_is_published_today_is_added_today(seeds: Path) -> None:
    assert add(seeds, {**ROW, "published": TODAY.isoformat()}).ids == ("N0001",)


def test_ids_go_on_counting_and_never_repeat(seeds: Path) -> None:
    assert add(seeds, ROW, {**ROW, "claim": "Another."}).ids == ("N0001", "N0002")
    assert add(seeds, {**ROW, "claim": "A third.", "id": "N0007"}).ids == ("N0007",)
    assert add(seeds, {**ROW, "claim": "A fourth."}).ids == ("N0008",)
    words = problems_of(lambda: add(seeds, {**ROW, "claim": "A fifth.", "id": "N0007"}))
    assert "news:1: id 'N0007' is already taken; leave it out and one is given" in words


def test_the_unit_is_that_of_the_kind_if_there_is_a_value(seeds: Path) -> None:
    count = {**ROW, "kind": "group_exits", "subject": "Movers", "value": 4}
    assert add(seeds, count).rows[0]["unit"] == "count"
    seen = {**ROW, "kind": "sighting", "subject": "Ada Founder", "claim": "She spoke."}
    assert add(seeds, seen).rows[0]["unit"] == ""


def test_a_known_source_is_taken_by_id_or_by_publisher_and_a_new_story_is_a_new_source(
    seeds: Path,
) -> None:
    def source(**fields: str) -> tuple[str, int]:
        added = add(seeds, {**ROW, "claim": f"Claim {time.monotonic_ns()}.", **fields})
        return added.rows[0]["source"], len(added.sources)

    assert source(source="paper") == ("paper", 0)
    assert source(source="Example Wire") == ("example-wire", 1)
    assert source(source="example wire") == ("example-wire", 0)
    story = {"source": "Example Wire", "source_title": "A story", "source_kind": "filing"}
    address = {"source_address": "https://example.org/a"}
    assert source(**story, **address) == ("example-wire-a-story", 1)
    assert source(**story, **address) == ("example-wire-a-story", 0)
    assert source(source="Zeitung für Überall") == ("zeitung-fur-uberall", 1)
    assert source(source="新华社") == ("source", 1)
    assert source(source="=SUM(A1)")[1] == 1
    table = load_ledger(seeds, kinds=KINDS).sources.set_index("source")
    assert table.loc["example-wire-a-story", "kind"] == "filing"
    assert table.loc["sum-a1", "publisher"] == "'=SUM(A1)"
    assert "of the same publisher: paper" in " ".join(
        add(seeds, {**ROW, "source": "The Paper", "claim": "New."}).remarks
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "departed"}, "unknown kind 'departed'; did you mean 'departure'"),
        ({"kind": "departure", "subject": "Ada"}, "'Ada' is not in people.csv"),
        ({"kind": "departure", "subject": ""}, "needs a subject; name one of people.csv"),
        ({"kind": "group_exits", "subject": "Movers"}, "value is missing; give a whole number"),
        (
            {"kind": "group_exits", "subject": "Movers", "value": "0.5"},
            "value must be a whole number",
        ),
        ({"kind": "group_exits", "subject": "Movers", "value": "3", "unit": "%"}, "write 'count'"),
        ({"value": "3"}, "a context row (kind blank) states value; clear them"),
        ({"credibility": "E"}, "'E' is not one of A, B, C, D"),
        ({"published": "2026-02-30"}, "'2026-02-30' is not a date; write it as YYYY-MM-DD"),
        ({"published": "2026-03-02"}, "published 2026-03-02, after today 2026-03-01; correct"),
        ({"claim": ""}, "claim is blank; fill it in"),
        ({"claim": "one\ntwo"}, "claim holds a line break; one row is one line"),
        ({"claim": "a \u202e b"}, "claim holds an invisible control character"),
        ({"claim": "x" * 2001}, "claim is longer than 2,000 characters; shorten it"),
        ({"root": "the first story"}, "'the first story' is not an identifier"),
        ({"source": "New One", "source_address": "ftp://a"}, "'ftp://a' is not a web address"),
        ({"supersedes": "E99"}, "supersedes 'E99', which is no row; correct the id"),
        ({"supersedes": "E53"}, "supersedes 'E53', which was published later; swap the two"),
        ({"colour": "red"}, "unknown field 'colour'; known: id, event_date"),
        (
            {"kind": "quality_report", "subject": "Other Vendor", "value": "1"},
            "quality_report is about whoever has the role 'target' in vendors.csv, and 'Other Vendor' has "
            "'rival'; name 'Maker'",
        ),
    ],
)
def test_what_is_wrong_is_said_with_a_remedy_and_nothing_is_written(
    fields: dict[str, Any], said: str, seeds: Path
) -> None:
    before = contents_of(seeds)
    found = problems_of(lambda: add(seeds, {**ROW, **fields}, file="rows.csv"))
    assert said in found
    assert found.startswith("rows.csv:1: ")
    assert contents_of(seeds) == before


def test_one_bad_row_keeps_the_good_ones_out_and_all_problems_are_listed(seeds: Path) -> None:
    before = contents_of(seeds)
    rows = [
        ROW,
        {**ROW, "claim": "", "line": 4},
        {**ROW, "claim": "Else.", "credibility": "F", "line": 9},
    ]
    found = problems_of(lambda: add(seeds, *rows, file="rows.csv")).splitlines()
    assert [p.split(": ")[0] for p in found] == ["rows.csv:4", "rows.csv:9"]
    assert contents_of(seeds) == before


def test_nothing_is_added_to_a_ledger_that_is_broken_already(seeds: Path) -> None:
    path = seeds / "people.csv"
    path.write_text(path.read_text().replace("founder,2025", "founder,2O25"))
    found = problems_of(lambda: add(seeds, ROW))
    assert "people.csv:2: entry: '2O25-06-12' is not a date" in found
    assert "the ledger cannot be used as it is; nothing was written" in found


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"event_date": "2025-06-12"}, "is not after the start of their clock; correct event_date"),
        (
            {"kind": "new_customers", "subject": "Scale AI", "value": "1"},
            "dates and counts must rise; supersede the row that does not",
        ),
        (
            {"kind": "revenue", "subject": "Scale AI", "event_date": "2021-12-31", "value": "1"}
            | {"sd": "0.1"},
            "lies outside the model's months",
        ),
        (
            {
                "kind": "lab_rank",
                "subject": "Meta",
                "event_date": "1900-01-01",
                "value": "1",
                "sd": "0.3",
            },
            "lab_rank on 1900-01-01 is more than 5 years before the close on 2025-06-12",
        ),
        (
            {"event_date": "2062-02-20"},
            "more than 3 years after the row was published on 2026-02-21",
        ),
    ],
)
def test_a_row_that_its_model_could_not_read_is_refused_before_it_is_written(
    fields: dict[str, str], said: str, run: Run, project: Path
) -> None:
    before = contents_of(project / "seeds")
    code, out, err = run("add", *words(WANG | fields))
    assert (code, out) == (3, "")
    assert "error: news add:1: " in err
    assert said in err
    assert contents_of(project / "seeds") == before


@pytest.mark.parametrize(("value", "told"), [("870", True), ("0.0087", True), ("0.87", False)])
def test_a_figure_that_the_priors_hold_for_next_to_impossible_is_told(
    run: Run, value: str, told: bool
) -> None:
    figure = WANG | {"kind": "run_rate", "subject": "Scale AI", "claim": "An invented figure"}
    code, out, err = run("add", *words(figure | {"value": value, "sd": "0.2"}), "--dry-run")
    assert (code, out) == (0, "N0001\n")
    assert ("warning: N0001: the priors give what it says less than one chance" in err) is told


def test_a_dry_run_checks_everything_and_writes_nothing(run: Run, project: Path) -> None:
    before = contents_of(project / "seeds")
    code, out, err = run("add", *words(WANG), "--dry-run")
    assert (code, out) == (0, "N0001\n")
    assert "N0001 would be added to" in err
    assert contents_of(project / "seeds") == before
    assert run("add", *words(WANG | {"subject": "Nobody"}), "--dry-run")[0] == 3


def test_an_ending_dated_after_its_report_is_echoed_as_announced(run: Run) -> None:
    assert "announced" not in run("add", *words(WANG), "--dry-run")[2]
    later = run("add", *words(WANG | {"event_date": "2026-06-30"}), "--dry-run")
    assert later[0] == 0
    assert "departure of Alexandr Wang, announced for 2026-06-30, B" in later[2]


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(start: str, seeds: Path) -> None:
    added = add(seeds, {**ROW, "claim": f"{start}HYPERLINK(1)", "note": f"{start}1"})
    assert last_rows(seeds)[0]["claim"] == f"'{start}HYPERLINK(1)"
    assert last_rows(seeds)[0]["note"] == f"'{start}1"
    assert any("an apostrophe was put before it" in remark for remark in added.remarks)
    grade = {**ROW, "kind": "quality_report", "subject": "Maker", "value": -1}
    assert add(seeds, grade).rows[0]["value"] == "-1"


ODD = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(",\"'\n\r;=|\t\u2028 é")),
    min_size=1,
    max_size=60,
)


@given(claim=ODD)
def test_a_claim_is_read_back_as_it_was_given_or_refused(
    claim: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = world.write_seeds(tmp_path_factory.mktemp("odd") / "seeds")
    before = contents_of(folder)
    try:
        add(folder, {**ROW, "claim": claim})
    except LedgerError:
        assert contents_of(folder) == before
        kept = claim.strip()
        assert not kept or not kept.isprintable()
        return
    found = load_ledger(folder, kinds=KINDS).evidence.set_index("id").loc["N0001", "claim"]
    assert found.removeprefix("'") == claim.strip().removeprefix("'")
    assert check(folder)[0]


@pytest.mark.parametrize(
    ("style", "row"),
    [
        (lambda text: text.replace("\n", "\r\n"), b'"A, b",paper,N0001,B,,,,,,,\r\n'),
        (lambda text: "\ufeff" + text, b'"A, b",paper,N0001,B,,,,,,,\n'),
    ],
)
def test_line_ends_and_a_byte_order_mark_are_kept(
    style: Callable[[str], str], row: bytes, seeds: Path
) -> None:
    path = seeds / "evidence.csv"
    path.write_bytes(style(path.read_text()).encode())
    before = path.read_bytes()
    add(seeds, {**ROW, "claim": "A, b"})
    after = path.read_bytes()
    assert after.startswith(before)
    assert after.endswith(row)
    assert check(seeds)[0]


def test_quoting_and_the_order_of_columns_are_kept(seeds: Path) -> None:
    path = seeds / "evidence.csv"
    rows = list(csv.reader(io.StringIO(path.read_text())))
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([r[::-1] for r in rows])
    path.write_text(out.getvalue())
    add(seeds, ROW)
    last = path.read_text().splitlines()[-1]
    assert last.startswith('"","","","","","","","B","N0001","paper","Something happened."')
    assert last_rows(seeds)[0]["id"] == "N0001"
    assert check(seeds) == (True, f"{len(rows)} of {len(rows)}")


# Duplicates.

REPORT = {
    **ROW,
    "kind": "departure",
    "subject": "Eve Legacy",
    "root": "story",
    "claim": "Eve left.",
}


def test_a_second_row_of_one_root_subject_and_kind_is_refused_unless_told_why(seeds: Path) -> None:
    add(seeds, REPORT)
    copy = {**REPORT, "claim": "Eve has left, says another outlet."}
    found = problems_of(lambda: add(seeds, copy))
    assert "repeats N0001: the same root 'story', subject 'Eve Legacy' and kind" in found
    assert "(--why-duplicate)" in found
    added = add(seeds, copy, why_duplicate="it was printed twice")
    assert last_rows(seeds)[0]["note"] == "Repeats N0001 on purpose: it was printed twice"
    assert added.remarks == ("N0002 is not scored: same root as N0001",)
    assert check(seeds)[0]


def test_the_same_claim_of_the_same_source_and_day_is_a_duplicate_whatever_its_root(
    seeds: Path,
) -> None:
    add(seeds, ROW)
    assert "repeats N0001: the same claim, source and event date" in problems_of(
        lambda: add(seeds, {**ROW, "root": "other"})
    )
    assert "news:2: repeats line 1: the same claim" in problems_of(
        lambda: add(seeds, {**ROW, "claim": "Twice."}, {**ROW, "claim": "Twice."})
    )


def test_a_second_report_of_one_matter_under_another_root_is_told(seeds: Path) -> None:
    view = {**ROW, "kind": "quality_report", "subject": "Maker", "value": -1}
    assert add(seeds, {**view, "root": "wire"}).remarks == ()
    later = {**view, "claim": "The data are poor, says another outlet."}
    (said,) = add(seeds, later).remarks
    assert said.startswith(
        "N0001 says quality_report of 'Maker' too, from another root, so both count"
    )
    assert "give N0002 --root wire" in said
    replaced = replace(seeds, "N0002", changes={"root": "wire"})
    assert replaced.remarks == ("N0003 is not scored: same root as N0001",)
    # months apart they are two matters; rows of one file are compared as well
    assert add(seeds, {**later, "claim": "Earlier.", "event_date": "2025-07-15"}).remarks == ()
    both = [{**REPORT, "root": root, "claim": f"Eve left, says {root}."} for root in ("one", "two")]
    (said,) = add(seeds, *both).remarks
    assert said.startswith("N0005 says departure of 'Eve Legacy' too")
    assert "give N0006 --root one" in said


def test_another_subject_kind_or_context_of_one_root_is_no_duplicate(seeds: Path) -> None:
    add(
        seeds,
        REPORT,
        {**REPORT, "subject": "Ada Founder", "claim": "Ada left."},
        {**REPORT, "kind": "sighting", "claim": "Eve was seen."},
        {**ROW, "root": "story", "claim": "Context."},
        {**ROW, "root": "story", "claim": "More context."},
    )
    assert len(last_rows(seeds, 5)) == 5


def test_a_row_that_replaces_another_is_no_duplicate_of_it(seeds: Path) -> None:
    add(seeds, REPORT)
    assert add(seeds, {**REPORT, "supersedes": "N0001"}).ids == ("N0002",)
    assert "repeats N0002" in problems_of(lambda: add(seeds, {**REPORT, "claim": "Again."}))


# Superseding.


def replace(folder: Path, row_id: str, **options: Any) -> Any:
    changes = options.pop("changes", {})
    return supersede(folder, row_id, changes, kinds=KINDS, today=TODAY, **options)


def test_a_replacement_differs_in_what_was_changed_and_the_old_row_is_not_scored(
    seeds: Path,
) -> None:
    replace(seeds, "E08", changes={"value": 2}, reason="a recount")
    old = load_ledger(seeds, kinds=KINDS).evidence.set_index("id").loc["E08"]
    (new,) = last_rows(seeds)
    assert new["value"] == "2"
    assert new["supersedes"] == "E08"
    assert new["note"] == "Replaces E08: a recount"
    for name in ("event_date", "published", "claim", "source", "root", "kind", "subject", "unit"):
        assert new[name] == str(old[name])
    ledger = load_ledger(seeds, kinds=KINDS)
    assert "N0001" in set(ledger.scored()["id"])
    assert ledger.dropped().set_index("id").loc["E08", "reason"] == "superseded by N0001"


def test_a_withdrawn_row_is_replaced_by_context(seeds: Path) -> None:
    before = set(load_ledger(seeds, kinds=KINDS).scored()["id"])
    replace(seeds, "E06", withdraw=True, reason="the outlet took it back")
    (new,) = last_rows(seeds)
    assert new["claim"] == "Withdrawn (E06): the outlet took it back"
    assert (new["kind"], new["value"], new["subject"]) == ("", "", "Cat Star")
    assert set(load_ledger(seeds, kinds=KINDS).scored()["id"]) == before - {"E06"}


def test_evidence_is_as_old_as_its_newest_row_that_stands(seeds: Path) -> None:
    before = load_ledger(seeds, kinds=KINDS).newest
    late = TODAY
    days = {"event_date": late.isoformat(), "published": late.isoformat()}
    add(seeds, {**ROW, **days, "kind": "sighting", "subject": "Cat Star"})
    assert load_ledger(seeds, kinds=KINDS).newest == late
    replace(seeds, "N0001", changes={"event_date": before.isoformat()}, reason="it was earlier")
    replace(seeds, "N0002", withdraw=True, reason="the outlet took it back")
    ledger = load_ledger(seeds, kinds=KINDS)
    assert (ledger.newest, ledger.as_of) == (before, late)
    add(seeds, {**ROW, **days, "claim": "Read, and bears on nothing."})
    assert load_ledger(seeds, kinds=KINDS).newest == late


def test_a_new_grade_is_a_new_row(run: Run, project: Path) -> None:
    code, out, _ = run("supersede", "B034", "--credibility", "d", "--reason", "the firm denies it")
    assert (code, out) == (0, "N0001\n")
    (new,) = last_rows(project / "seeds")
    assert (new["credibility"], new["supersedes"]) == ("D", "B034")
    assert new["note"].endswith("Replaces B034: the firm denies it")


def test_a_copy_that_begins_to_count_when_its_original_is_withdrawn_is_named(seeds: Path) -> None:
    add(seeds, REPORT)
    add(seeds, {**REPORT, "claim": "Eve left, they say."}, why_duplicate="a copy")
    added = replace(seeds, "N0001", withdraw=True, reason="untrue")
    assert added.remarks[0].startswith("N0002 tells of the same report and is scored now")


@pytest.mark.parametrize(
    ("row_id", "options", "said"),
    [
        ("E99", {"withdraw": True}, "no evidence row 'E99'; `valuation news list` shows the ids"),
        ("E08", {"changes": {"value": 1}}, "nothing would differ from 'E08'; change a field"),
        ("E08", {"changes": {"published": "2025-01-01"}}, "published later; swap the two"),
        ("E08", {"changes": {"value": 11}}, "11 of 'Movers', whose size is 10"),
    ],
)
def test_a_replacement_is_checked_like_any_row(
    row_id: str, options: dict[str, Any], said: str, seeds: Path
) -> None:
    before = contents_of(seeds)
    assert said in problems_of(lambda: replace(seeds, row_id, **options))
    assert contents_of(seeds) == before


def test_only_the_newest_of_several_replacements_can_be_replaced(seeds: Path) -> None:
    replace(seeds, "E08", changes={"value": 2})
    assert "row 'E08' is superseded by 'N0001' already; supersede that one" in problems_of(
        lambda: replace(seeds, "E08", changes={"value": 0})
    )
    assert replace(seeds, "N0001", changes={"value": 0}).ids == ("N0002",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--withdraw"], "--withdraw needs --reason"),
        (["--credibility", "D"], "a new grade needs --reason"),
        ([], "nothing is changed; give a field"),
        (["--withdraw", "--reason", "x", "--value", "1"], "has no kind, value, sd or unit"),
    ],
)
def test_a_replacement_that_says_too_little_or_too_much_is_a_usage_error(
    given: list[str], said: str, run: Run
) -> None:
    code, _, err = run("supersede", "B034", *given)
    assert code == 2
    assert said in err


# Many from a file, and one by answering.

MANY = [
    {**ROW, "source": "Example Wire", "claim": 'He said "no", twice.', "note": "a; b"},
    {**WANG, "kind": "sighting", "claim": "Seen at work."},
]
YAML_ROWS = "".join(
    "- " + "\n  ".join(f"{k.replace('_', '-')}: {json.dumps(v)}" for k, v in row.items()) + "\n"
    for row in MANY
)


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(k for r in rows for k in r)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.yaml", YAML_ROWS),
        ("rows.csv", as_csv(MANY)),
        ("rows.json", json.dumps(MANY, indent=1)),
    ],
)
def test_the_same_rows_come_from_yaml_csv_and_json(
    name: str, text: str, run: Run, project: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    code, out, err = run("add", "--from", str(tmp_path / name))
    assert (code, out) == (0, "N0001\nN0002\n"), err
    first, second = last_rows(project / "seeds", 2)
    assert (first["claim"], first["note"], first["kind"]) == ('He said "no", twice.', "a; b", "")
    assert (second["kind"], second["source"]) == ("sighting", "example-wire")
    assert err.count("is new and gets a row") == 1


def test_options_fill_what_the_rows_of_a_file_leave_blank(
    run: Run, project: Path, tmp_path: Path
) -> None:
    rows = [{"claim": "One.", "credibility": "C"}, {"claim": "Two."}]
    (tmp_path / "rows.csv").write_text(as_csv(rows))
    shared = {k: ROW[k] for k in ("event_date", "published")} | {
        "source": "Wire",
        "credibility": "A",
    }
    code, _, _ = run("add", "--from", str(tmp_path / "rows.csv"), *words(shared))
    assert code == 0
    assert [r["credibility"] for r in last_rows(project / "seeds", 2)] == ["C", "A"]


@pytest.mark.parametrize(
    ("name", "text", "code", "said"),
    [
        ("rows.txt", "x", 2, "a file of .yaml, .yml, .csv, .json is wanted"),
        ("rows.yaml", "claim: x\n", 3, "rows.yaml:1: is not a list of rows"),
        ("rows.yaml", "- claim: x\n- [1, 2]\n", 3, "rows.yaml:2: is not a row of plain fields"),
        ("rows.yaml", "- claim: x\n  claim: y\n", 2, "rows.yaml:2:3:"),
        ("rows.yaml", "[]\n", 3, "no row to add; give at least one"),
        ("rows.yaml", f"{YAML_ROWS}- claim: z\n", 3, f"rows.yaml:{YAML_ROWS.count(chr(10)) + 1}: "),
        ("rows.csv", "claim,source\na,b,c\n", 3, "rows.csv:2: has not as many cells"),
        ("rows.csv", 'claim,source\n"a,b\n', 3, "broken quoting"),
        (
            "rows.csv",
            "claim,sauce\na,b\n",
            3,
            "rows.csv:1: unknown field 'sauce'; did you mean 'source'?",
        ),
        (
            "rows.csv",
            "claim,claim\na,b\n",
            3,
            "rows.csv:1: column 'claim' stands 2 times; keep one",
        ),
        ("rows.json", "{}", 3, "rows.json:1: is not a list of rows"),
        ("rows.json", '[\n{"claim": "x"},\n{"claim" "y"}]', 3, "rows.json:3: not valid JSON"),
        ("rows.json", '[{"claim": "x", "claim": "y"}]', 3, "a field is given twice"),
        (
            "rows.json",
            '[\n {"claim": "x",}]',
            3,
            "rows.json:2: not valid JSON at column 15 (Illegal trailing comma",
        ),
        ("rows.json", '[{"claim": "x"}', 3, "rows.json:1: not valid JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(
    name: str, text: str, code: int, said: str, run: Run, project: Path, tmp_path: Path
) -> None:
    before = contents_of(project / "seeds")
    (tmp_path / name).write_text(text)
    found, out, err = run("add", "--from", str(tmp_path / name))
    assert (found, out) == (code, "")
    assert said in err
    assert contents_of(project / "seeds") == before


def test_missing_options_are_named_together(run: Run) -> None:
    code, _, err = run("add", "--claim", "x", "--source", "y")
    assert code == 2
    assert "missing --event-date, --published, --credibility; give them" in err


def test_without_a_terminal_nothing_is_asked(run: Run) -> None:
    code, _, err = run("add")
    assert code == 2
    assert "there is no terminal to ask on; give --claim" in err


def type_in(monkeypatch: pytest.MonkeyPatch, answers: Sequence[str]) -> None:
    """Answers to what is asked on a terminal, a line each."""
    monkeypatch.setattr(news, "_on_a_terminal", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(answers) + "\n"))


def test_on_a_terminal_every_field_is_asked_and_a_wrong_answer_is_asked_again(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        *("departed", "departure", "Wang", "Alexandr Wang", "20 February", "2026-02-20"),
        *("2026-02-21", "a month", "0", "1", "", " ", "He leaves.", "Example Wire"),
        *("An exit", "https://example.org/exit", "e", "b", "", "", "y"),
    ]
    type_in(monkeypatch, answers)
    code, out, err = run("add")
    assert (code, out) == (0, "N0001\n"), err
    assert "did you mean 'departure'" in err
    assert "did you mean 'Alexandr Wang'" in err
    assert "is not a date; write YYYY-MM-DD" in err
    assert "it cannot be left blank" in err
    assert "'a month' is not a number" in err
    assert "Error: value is the width of the window in months, above 0" in err
    assert "Error (sd)" not in err, "a departure has none"
    assert "Subjects of people.csv:\n  Ahmad Al-Dahle\n" in err, "names hold commas"
    assert "group_exits" in err
    assert "true with probability 0.85" in err
    (row,) = last_rows(project / "seeds")
    assert (row["kind"], row["subject"], row["credibility"]) == ("departure", "Alexandr Wang", "B")
    assert (row["value"], row["sd"], row["unit"]) == ("1", "", "months")
    with (project / "seeds" / "sources.csv").open(encoding="utf-8", newline="") as file:
        source = next(s for s in csv.DictReader(file) if s["source"] == row["source"])
    assert (source["title"], source["address"]) == ("An exit", "https://example.org/exit")


def test_the_error_of_a_figure_is_asked_for(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        *("run_rate", "Scale AI", "2026-02-20", "2026-02-21", "0.9", "", "0.9", "0.1"),
        *("A figure.", "Wire", "", "", "B", "", "", "y"),
    ]
    type_in(monkeypatch, answers)
    code, _, err = run("add")
    assert code == 0, err
    assert "Error: sd is missing; it must be between 0.01 and 2" in err
    assert last_rows(project / "seeds")[0]["sd"] == "0.1"


@pytest.mark.parametrize("kind", KINDS.values())
def test_a_kind_says_truly_whether_a_row_states_an_error(kind: Kind) -> None:
    values = (None, -1.0, 0.0, 0.5, 1.0)
    assert any(kind.check(value, 0.5) is None for value in values) == kind.measured
    assert any(kind.check(value, None) is None for value in values) != kind.measured


def test_an_answer_of_no_writes_nothing(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents_of(project / "seeds")
    answers = ["", "2026-02-20", "2026-02-21", "Context.", "Wire", "", "", "B", "", "", "n"]
    type_in(monkeypatch, answers)
    assert run("add")[0] == 130
    assert contents_of(project / "seeds") == before


# Looking.


def test_a_subject_that_nobody_is_called_is_told_with_the_nearest_name(run: Run) -> None:
    code, out, err = run("list", "--subject", "alex wang")
    assert (code, out) == (0, "")
    assert "no subject has 'alex wang' in its name; did you mean 'Alexandr Wang'?" in err
    code, out, err = run("list", "--subject", "zzz", "--json")
    assert (code, json.loads(out)) == (0, [])
    assert "no subject has 'zzz' in its name\n" in err
    assert "no subject" not in run("list", "--subject", "Wang", "--kind", "layoff")[2]


@pytest.mark.parametrize("kind", [k for k in KINDS.values() if k.check(None, None) is not None])
def test_a_missing_value_is_called_missing(kind: Kind) -> None:
    assert str(kind.check(None, 0.1)).startswith("value is missing; give ")


def test_rows_are_listed_by_driver_subject_kind_date_and_grade(run: Run) -> None:
    def ids(*given: str) -> set[str]:
        code, out, _ = run("list", *given, "--json")
        assert code == 0
        rows = json.loads(out)
        assert [r["published"] for r in rows] == sorted(r["published"] for r in rows)
        return {r["id"] for r in rows}

    everything = ids()
    assert len(everything) == 229
    churn = ids("--driver", "churn")
    assert {"B030", "B032"} <= churn < everything
    assert ids("--driver", "churn", "--kind", "customer_ended") < churn
    assert "B041-2" in ids("--subject", "wang")
    late = ids("--since", "2026-01-01")
    assert late | ids("--until", "2025-12-31") == everything
    assert ids("--credibility", "AB") | ids("--credibility", "cd") == everything
    assert len(ids("--kind", "context")) == 172


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--driver", "churm"], "no driver 'churm'; there are integration, retention"),
        (["--kind", "exit"], "no kind 'exit'; there are"),
        (["--credibility", "AE"], "'E' is no grade; there are A, B, C, D"),
        (["--since", "May"], "'May' is not a date; write YYYY-MM-DD"),
    ],
)
def test_a_filter_that_cannot_be_is_a_usage_error(given: list[str], said: str, run: Run) -> None:
    code, _, err = run("list", *given)
    assert code == 2
    assert said in err


def test_a_row_is_shown_with_its_source_its_successor_and_why_it_is_not_scored(run: Run) -> None:
    _, out, _ = run("show", "A106")
    assert "no: same root as B020" in out
    assert "same root      B020: departure" in out
    _, out, _ = run("show", "A003", "--json")
    shown = json.loads(out)
    assert (shown["superseded_by"], shown["scored"]) == (["A003-2"], False)
    assert shown["why_not"] == "superseded by A003-2"
    assert shown["sealed"] is True
    assert shown["source_details"]["publisher"]
    code, _, err = run("show", "A0003")
    assert code == 2
    assert "no evidence row 'A0003'; did you mean 'A003'?" in err


# Seals.


def edited(
    folder: Path, change: Callable[[list[str]], list[str]], name: str = "evidence.csv"
) -> None:
    path = folder / name
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def swapped(lines: list[str], i: int, j: int) -> list[str]:
    lines[i], lines[j] = lines[j], lines[i]
    return lines


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            "evidence.csv",
            lambda lines: [line.replace("Cat left.", "Cat stays.") for line in lines],
            "evidence.csv:7: row 'E06' is not as it was sealed (evidence.chain.csv:7); restore it",
        ),
        (
            "evidence.csv",
            lambda lines: [line for line in lines if not line.startswith("E06")],
            "row 'E06' was sealed (evidence.chain.csv:7) and is gone; restore it, then supersede it",
        ),
        (
            "evidence.csv",
            lambda lines: swapped(lines, 6, 7),
            "evidence.csv:7: row 'E07' was sealed after 'E06' and now stands above it; restore",
        ),
        (
            CHAIN_FILE,
            lambda lines: [line for line in lines if not line.startswith("E06")],
            "evidence.chain.csv:7: 'E07' follows a seal that is gone; restore",
        ),
        (CHAIN_FILE, lambda lines: [*lines, "E06,start,"], "evidence.chain.csv:39: is not a seal"),
        (CHAIN_FILE, lambda lines: lines[1:], "evidence.chain.csv:1: does not begin with 'id,prev"),
    ],
)
def test_a_sealed_row_that_was_edited_deleted_or_moved_is_named(
    name: str, change: Callable[[list[str]], list[str]], said: str, seeds: Path
) -> None:
    assert check(seeds) == (True, "37 of 37")
    edited(seeds, change, name)
    passed, detail = check(seeds)
    assert not passed
    assert said in detail


def test_an_edit_with_its_own_seal_made_anew_breaks_the_seals_after_it(seeds: Path) -> None:
    edited(seeds, lambda lines: [line.replace("Cat left.", "Cat stays.") for line in lines])
    edited(seeds, lambda lines: [x for x in lines if not x.startswith("E06")], CHAIN_FILE)
    seal(seeds, kinds=KINDS)
    passed, detail = check(seeds)
    assert not passed
    assert "'E07' follows a seal that is gone" in detail


def test_rows_typed_by_hand_pass_and_are_counted_until_they_are_sealed(
    seeds: Path, run: Run, project: Path
) -> None:
    typed = "X{},2026-02-01,2026-02-02,By hand {}.,paper,x{},B,,,,,,,"
    edited(seeds, lambda lines: [*lines, typed.format(1, 1, 1)])
    add(seeds, ROW)
    edited(seeds, lambda lines: [*lines[:3], typed.format(2, 2, 2), *lines[3:]])
    passed, detail = check(seeds)
    assert passed
    assert detail == "38 of 40; 2 not sealed (X1, X2): `valuation news seal` does it"
    assert seal(seeds, kinds=KINDS).sealed == ("X2", "X1")
    assert check(seeds) == (True, "40 of 40")
    assert seal(seeds, kinds=KINDS).sealed == ()
    edited(seeds, lambda lines: [line.replace("By hand 2", "By head 2") for line in lines])
    assert "row 'X2' is not as it was sealed" in check(seeds)[1]
    code, out, err = run("seal")
    assert (code, out) == (0, "")
    assert "every row is sealed already" in err


def test_the_committed_ledger_is_sealed_row_by_row() -> None:
    rows = len(load_ledger(PROJECT / "seeds", kinds=KINDS).evidence)
    assert check(PROJECT / "seeds") == (True, f"{rows} of {rows}")


# With git.


class Repository:
    """A throw-away repository around a ledger, with the project's own attributes."""

    def __init__(self, home: Path) -> None:
        self.home, self.seeds = home, world.write_seeds(home / "seeds")
        shutil.copy(PROJECT / ".gitattributes", home)
        seal(self.seeds, kinds=KINDS)
        (home / ".gitignore").write_text(".evidence.lock\n")
        self.git("init", "-q", "-b", "main")
        self.commit("Begin")

    def git(self, *given: str) -> str:
        person = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.hooksPath="]
        done = subprocess.run(
            ["git", *person, *given], cwd=self.home, check=True, capture_output=True, text=True
        )
        return done.stdout

    def commit(self, message: str) -> None:
        self.git("add", ".")
        self.git("commit", "-q", "-m", message)

    def failures(self) -> dict[str, str]:
        found = check_ledger(self.seeds, kinds=KINDS, today=TODAY)
        return {c.name: c.detail for c in found if not c.passed}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "home")


def test_a_row_that_an_earlier_commit_changed_is_found_although_it_was_sealed_anew(
    repository: Repository,
) -> None:
    seeds = repository.seeds
    edited(seeds, lambda lines: [line.replace("Cat left.", "Cat stays.") for line in lines])
    (seeds / CHAIN_FILE).unlink()
    seal(seeds, kinds=KINDS)
    repository.commit("Rewrite the past")
    add(seeds, ROW)
    repository.commit("Go on")
    failed = repository.failures()
    assert list(failed) == ["no evidence row of an earlier commit lost"]
    (detail,) = failed.values()
    assert detail.startswith("evidence.csv:7: row 'E06' differs from commit ")
    assert "in claim; restore it and add a row that supersedes it" in detail


def test_a_row_that_a_merge_left_out_is_found(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "side")
    add(repository.seeds, {**ROW, "id": "S1"})
    repository.commit("A row on the side")
    repository.git("checkout", "-q", "main")
    add(repository.seeds, {**ROW, "claim": "Another.", "id": "M1"})
    repository.commit("A row on main")
    repository.git("merge", "-q", "-s", "ours", "-m", "Merge and forget", "side")
    (detail,) = repository.failures().values()
    assert "row 'S1' of commit" in detail
    assert "is gone; restore it, then supersede it" in detail


def test_a_chain_that_is_in_git_and_gone_is_missed(repository: Repository) -> None:
    (repository.seeds / CHAIN_FILE).unlink()
    (detail,) = repository.failures().values()
    assert "evidence.chain.csv:1: is in git and is gone; restore it" in detail


def test_the_additions_of_two_people_merge_and_no_row_is_lost(repository: Repository) -> None:
    seeds = repository.seeds
    for branch in ("one", "two"):
        repository.git("checkout", "-q", "-b", branch, "main")
        for n in range(2):
            row = {**ROW, "claim": f"Person {branch} saw event {n}.", "source": "Example Wire"}
            add(seeds, {**row, "kind": "departure", "subject": ("Eve Legacy", "Stars")[0]})
        repository.commit(f"News of {branch}")
    repository.git("merge", "-q", "-m", "Both", "one")
    assert "id 'N0001' is already on line" in "\n".join(
        check_ledger(seeds, kinds=KINDS, today=TODAY)[5].detail.splitlines()
    )
    done = seal(seeds, kinds=KINDS)
    assert dict(done.renamed) == {"N0001": "N0003", "N0002": "N0004"}
    rows = {r["id"]: r for r in last_rows(seeds, 4)}
    assert {r["claim"] for r in rows.values()} == {
        f"Person {branch} saw event {n}." for branch in ("one", "two") for n in range(2)
    }
    assert all(r["root"] == r["id"] for r in rows.values())
    assert check(seeds) == (True, "41 of 41")
    repository.commit("Tell them apart")
    assert repository.failures() == {}
    add(seeds, ROW)
    assert check(seeds) == (True, "42 of 42")


def test_the_row_that_others_refer_to_keeps_its_id(repository: Repository) -> None:
    seeds = repository.seeds
    for branch in ("one", "two"):
        repository.git("checkout", "-q", "-b", branch, "main")
        add(seeds, {**ROW, "claim": f"Of {branch}."})
        if branch == "one":
            replace(seeds, "N0001", changes={"claim": "Of one, corrected."})
        repository.commit(f"News of {branch}")
    repository.git("merge", "-q", "-m", "Both", "one")
    seal(seeds, kinds=KINDS)
    rows = {r["claim"]: r for r in last_rows(seeds, 3)}
    assert rows["Of one."]["id"] == rows["Of one, corrected."]["supersedes"] == "N0001"
    assert rows["Of two."]["id"] == "N0003"
    repository.commit("Tell them apart")
    assert repository.failures() == {}


# Several writers, and a machine that stops.

WRITER = """
import datetime as dt, os, sys
from pathlib import Path
from valuation.ledger.keeping import add_rows
from valuation.models import KINDS
folder, name, batches, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
print("ready", flush=True)
for batch in range(batches):
    rows = [
        dict(event_date="2026-02-01", published="2026-02-02", credibility="B",
             claim=f"Claim {name} {batch} {n}, with a comma.", source=f"Wire {name} {batch}")
        for n in range(size)
    ]
    added = add_rows(folder, rows, kinds=KINDS, today=dt.date(2026, 3, 1))
    print(*added.ids, flush=True)
"""


def writer(folder: Path, name: str, batches: int, size: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(batches), str(size)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )


@pytest.mark.parametrize(("batches", "size"), [(20, 25), (25, 1)])
def test_two_processes_that_add_rows_at_once_lose_none_and_tear_none(
    batches: int, size: int, seeds: Path
) -> None:
    writers = [writer(seeds, name, batches, size) for name in ("a", "b")]
    said = [w.communicate(timeout=300)[0].split() for w in writers]
    assert [w.returncode for w in writers] == [0, 0]
    ids = [row_id for words in said for row_id in words if row_id != "ready"]
    assert len(set(ids)) == len(ids) == 2 * batches * size
    evidence = load_ledger(seeds, kinds=KINDS).evidence
    claims = set(evidence["claim"])
    assert set(ids) <= set(evidence["id"])
    assert claims >= {
        f"Claim {name} {batch} {n}, with a comma."
        for name in ("a", "b")
        for batch in range(batches)
        for n in range(size)
    }
    total = 37 + len(ids)
    assert check(seeds) == (True, f"{total} of {total}")


def test_a_writer_that_is_killed_leaves_a_ledger_that_reads_and_loses_no_row_it_reported(
    seeds: Path,
) -> None:
    chance = random.Random(20260301)
    reported: set[str] = set()
    for attempt in range(8):
        process = writer(seeds, f"k{attempt}", 1000, 3)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
        reported |= set(process.communicate()[0].split())
        whole = load_ledger(seeds, kinds=KINDS)
        assert reported <= set(whole.evidence["id"])
        assert check(seeds)[0]
    add(seeds, ROW)
    evidence = load_ledger(seeds, kinds=KINDS).evidence
    total = len(evidence)
    assert check(seeds) == (True, f"{total} of {total}")
    assert (total - 38) % 3 == 0, "a batch of three came in part"
    assert len(reported) > 3, "no writer got as far as writing"
    assert [p.name for p in seeds.glob(".tmp-*")] == []


class Stopped(BaseException):
    """The machine stops here."""


@pytest.mark.parametrize("writes", range(5))
def test_sources_rows_and_seals_are_added_together_wherever_the_machine_stops(
    writes: int, seeds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents_of(seeds)
    done = 0

    def write(path: Path, content: bytes) -> None:
        nonlocal done
        if done == writes:
            raise Stopped
        done += 1
        real(path, content)

    real = writing.write_file
    with monkeypatch.context() as patched:
        patched.setattr(writing, "write_file", write)
        if writes < 4:
            with pytest.raises(Stopped):
                add(seeds, {**ROW, "source": "New Source"})
        else:
            add(seeds, {**ROW, "source": "New Source"})
    load_ledger(seeds, kinds=KINDS)
    assert check(seeds)[0]
    assert (seeds / NOTE).exists() == (0 < writes < 4)
    if 0 < writes < 4:
        assert "an addition was cut off, which `valuation news seal` completes" in check(seeds)[1]
    assert seal(seeds, kinds=KINDS).sealed == ()
    after = contents_of(seeds)
    if writes == 0:
        assert after == before
    else:
        for name in FILES:
            assert after[name].startswith(before[name])
            assert after[name].count(b"\n") == before[name].count(b"\n") + 1
    assert not (seeds / NOTE).exists()


def test_a_writer_waits_for_the_lock_and_says_so_if_it_never_comes(
    seeds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    monkeypatch.setattr(writing, "PATIENCE_SECONDS", 0.2)
    with FileLock(seeds / writing.LOCK):
        found = problems_of(lambda: add(seeds, ROW))
    assert "another process has been writing for 0.2 seconds; wait for it" in found


def test_a_folder_that_cannot_be_written_is_named(seeds: Path) -> None:
    (seeds / writing.LOCK).unlink()
    (seeds / writing.LOCK).mkdir()  # no file can be opened under this name, whoever runs the test
    found = problems_of(lambda: add(seeds, ROW))
    assert "cannot be written" in found
    assert "check the folder's permissions and the free space, then try again" in found


# What an update would refuse, and what contradicts.


def test_a_row_that_an_update_would_refuse_is_refused_before_it_is_written(
    run: Run, project: Path
) -> None:
    before = contents_of(project / "seeds")
    row = WANG | {"kind": "impairment", "subject": "Scale AI", "value": "1"}
    code, out, err = run("add", *words(row | {"event_date": "2025-03-31"}))
    assert (code, out) == (3, "")
    assert "news add:1: row N0001: impairment on 2025-03-31 is before the close on" in err
    assert "evidence.csv:" not in err, "a row that is not written has no line there"
    code, out, err = run("add", *words(row | {"event_date": "2026-03-20"}))
    assert (code, out) == (3, "")
    assert "event_date 2026-03-20 is after the row was published on 2026-02-21" in err
    assert contents_of(project / "seeds") == before


def test_a_row_typed_by_hand_that_no_model_can_take_is_told_with_its_line(
    run: Run, project: Path
) -> None:
    file = project / "seeds" / "evidence.csv"
    row = "X1,2025-03-31,2025-07-01,Invented: written down.,s0,x1,D,impairment,Scale AI,1,,indicator,,"
    file.write_text(file.read_text(encoding="utf-8") + row + "\n", encoding="utf-8")
    line = file.read_text(encoding="utf-8").count("\n")
    found = check_project(project, deal="meta_scale", today=TODAY)
    (taken,) = [c for c in found if c.name == "every scored row can be given to its model"]
    assert not taken.passed
    assert taken.detail.startswith(f"evidence.csv:{line}: row X1: impairment on 2025-03-31")
    code, _, err = run("add", *words(WANG))
    assert code == 3
    assert f"evidence.csv:{line}: row X1: impairment on 2025-03-31 is before the close" in err
    assert run("supersede", "X1", "--withdraw", "--reason", "invented for a test")[0] == 0
    assert run("add", *words(WANG))[0] == 0


LATER = WANG | {"kind": "sighting", "event_date": "2026-02-25", "published": "2026-02-26"}


def test_a_row_that_contradicts_another_is_added_with_a_warning_that_names_it(run: Run) -> None:
    assert "warning: " not in run("add", *words(WANG))[2]
    code, out, err = run("add", "--quiet", *words(LATER | {"claim": "HYPOTHETICAL: still there"}))
    assert (code, out) == (0, "N0002\n")
    assert (
        "warning: N0002 (sighting, 2026-02-25, B) and N0001 (departure, 2026-02-20, B) contradict "
        "each other about 'Alexandr Wang': what has ended is not there later"
    ) in err
    code, out, _ = run("check")
    assert code == 0
    assert "rows that contradict each other: 1 pairs\n      N0002 (sighting" in out
    code, _, err = run("supersede", "N0001", "--withdraw", "--reason", "denied")
    assert code == 0
    assert "N0003 added to" in err
    assert ": withdraws N0001, B, " in err
    assert "rows that contradict each other: none" in run("check")[1]


def test_an_ending_dated_before_an_older_sighting_is_told_as_well(run: Run) -> None:
    code, _, err = run("add", *words(WANG | {"event_date": "2025-12-20"}))
    assert code == 0
    assert "warning: B041-2 (sighting, 2026-01-02, B) and N0001 (departure, 2025-12-20" in err


@pytest.mark.parametrize(
    ("kind", "subject", "day", "there"),
    [
        ("impairment", "Scale AI", "2025-12-31", "B003"),
        ("regulatory_action", "US regulators", "2026-02-04", "B121-2"),
    ],
)
def test_two_values_of_one_kind_and_one_day_contradict_each_other(
    kind: str, subject: str, day: str, there: str, run: Run
) -> None:
    fields = {
        "kind": kind,
        "subject": subject,
        "event_date": day,
        "value": "1",
        "published": "2026-02-27",
    }
    code, _, err = run("add", *words(WANG | fields))
    assert code == 0
    assert f"warning: {there} ({kind}, {day}, " in err
    assert f"contradict each other about {subject!r}: on one day it cannot be both" in err


def test_a_person_seen_on_the_day_on_which_they_leave_contradicts_nothing(run: Run) -> None:
    assert run("add", *words(WANG))[0] == 0
    same = LATER | {"event_date": WANG["event_date"], "claim": "HYPOTHETICAL: says goodbye"}
    code, _, err = run("add", *words(same))
    assert code == 0
    assert "contradict" not in err


AGAIN = WANG | {"subject": "Ruben Mayer", "event_date": "2026-02-10", "published": "2026-02-11"}


def test_a_second_departure_of_one_person_is_told_with_the_remedy(run: Run) -> None:
    code, out, err = run("add", "--quiet", *words(AGAIN))
    assert (code, out) == (0, "N0001\n")
    said = " ".join(err.split())
    assert (
        "warning: N0001 (departure, 2026-02-10, B) and B020 (departure, 2025-08-29, B) contradict each other about "
        "'Ruben Mayer': what ends once cannot end twice"
    ) in said
    assert "let their windows meet (`--event-date`, `--value`) or give them one `--root`" in said
    assert "rows that contradict each other: 1 pairs\n      N0001 (departure" in run("check")[1]
    # The remedy that it names works: the same end, told with the root of the row that was there.
    code, _, err = run("supersede", "N0001", "--root", "techcrunch-2025-08-29")
    assert code == 0
    assert "contradict" not in err
    assert "rows that contradict each other: none" in run("check")[1]


@pytest.mark.parametrize(
    ("day", "months", "contradicts"),
    [("2025-09-20", "1", False), ("2025-09-20", "", True), ("2026-02-10", "6", False)],
)
def test_two_ends_of_one_person_agree_if_their_windows_meet(
    day: str, months: str, contradicts: bool, run: Run
) -> None:
    row = AGAIN | {"event_date": day} | ({"value": months} if months else {})
    code, _, err = run("add", *words(row))
    assert code == 0
    assert ("contradict" in err) == contradicts


def test_two_ends_told_of_one_day_agree(run: Run) -> None:
    assert run("add", *words(WANG))[0] == 0
    code, _, err = run("add", *words(WANG | {"source": "Other Wire", "claim": "He leaves."}))
    assert code == 0
    assert "contradict" not in err


def test_two_endings_of_a_customer_contradict_nothing_as_it_may_have_come_back_unseen(
    run: Run,
) -> None:
    row = WANG | {"kind": "customer_ended", "subject": "OpenAI", "value": "1"}
    code, _, err = run("add", *words(row))
    assert code == 0
    assert "contradict" not in err


@pytest.mark.parametrize("name", ["", "hp_autonomy", "microsoft_linkedin"])
def test_the_shipped_ledgers_contradict_themselves_nowhere(name: str, project: Path) -> None:
    ledger = load_ledger(project / "seeds" / name, kinds=kinds_in("USD"))
    assert [c.sentence for c in ledger.contradictions()] == []


def test_a_customer_that_comes_back_contradicts_nothing(seeds: Path) -> None:
    ledger = load_ledger(seeds, kinds=KINDS)
    assert {"E30", "E31"} <= set(ledger.scored()["id"]), "left, and was back later"
    assert ledger.contradictions() == ()


def test_rows_of_a_source_whose_id_cannot_be_read_are_told_and_nothing_breaks(seeds: Path) -> None:
    path = seeds / "sources.csv"
    header, first, *rest = path.read_text(encoding="utf-8").splitlines(keepends=True)
    used = first.split(",")[0]
    path.write_text(
        "".join([header, first.replace(used, "no id", 1), *rest]), encoding="utf-8", newline=""
    )
    with pytest.raises(LedgerError) as caught:
        load_ledger(seeds, kinds=KINDS)
    told = "\n".join(caught.value.problems)
    assert "sources.csv:2: source: 'no id' is not an identifier" in told
    assert f"source {used!r} is not in sources.csv" in told


# Speed.


def test_reading_a_column_at_a_time_gives_what_reading_a_row_at_a_time_gives() -> None:
    for table in TABLES.values():
        text, _ = reading.read_text(PROJECT / "seeds" / table.file)
        header, rows, problems = reading.read_rows(table, text)
        assert problems == []
        fast = reading._read_records(table, header, rows)
        assert fast == reading._read_records_singly(table, header, rows)


def test_records_kept_by_column_are_the_records_that_were_kept() -> None:
    rows = reading.read_table(TABLES["vendors"], PROJECT / "seeds")[0]
    plain = [rows[place] for place in range(len(rows))]
    assert list(rows) == plain
    assert list(rows[1:]) == plain[1:]
    assert list(rows.at([2, 0])) == [plain[2], plain[0]]
    assert list(rows + plain[:1]) == [*plain, plain[0]]
    assert column(rows, "subject") == column(plain, "subject") == [r["subject"] for r in plain]
    plain[0]["subject"] = "somebody else"
    assert rows[0]["subject"] != "somebody else", "a record is one's own"


def test_a_brief_command_leaves_the_collector_as_it_was() -> None:
    for running in (True, False):
        (gc.enable if running else gc.disable)()
        try:
            with brief():
                assert not gc.isenabled()
            assert gc.isenabled() is running
        finally:
            gc.enable()


@pytest.mark.parametrize("threads", ["", "2"])
def test_a_brief_command_asks_for_one_thread_unless_it_is_told_otherwise(threads: str) -> None:
    code = (
        "import os\nfrom valuation.process import brief\n"
        "with brief(): print(os.environ['OPENBLAS_NUM_THREADS'])\n"
    )
    plain = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    asked = {"OPENBLAS_NUM_THREADS": threads} if threads else {}
    done = subprocess.run(
        [sys.executable, "-c", code], env=plain | asked, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == (threads or "1")


def test_keeping_the_ledger_loads_no_sampler_and_no_plots() -> None:
    code = (
        "import sys\n"
        "from valuation.cli import main\n"
        "try: main(['news', 'add', '--dry-run', *sys.argv[1:]])\n"
        "except SystemExit: pass\n"
        "heavy = {'pymc', 'pytensor', 'arviz', 'arviz_stats', 'xarray', 'matplotlib', 'papermill',\n"
        "         'numba', 'nutpie', 'nbconvert', 'rich', 'scipy.stats'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words(WANG)], capture_output=True, text=True, cwd=PROJECT
    )
    assert (done.returncode, done.stdout) == (0, "N0001\n"), done.stderr


@pytest.mark.slow
def test_a_ledger_of_a_hundred_thousand_rows_is_checked_and_added_to(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long it takes is measured by the benchmarks."""
    monkeypatch.setenv("VALUATION_HOME", str(project))
    chance = random.Random(1)
    vocabulary = ("staff", "report", "says", "the", "lab", "left", "price", "revenue", "firm")
    with (project / "seeds" / "evidence.csv").open("a", encoding="utf-8", newline="") as file:
        for n in range(100_000):
            claim = " ".join(chance.choices(vocabulary, k=16))
            day = f"2026-01-{chance.randint(1, 28):02d}"
            file.write(f'X{n},{day},{day},"{claim}, number {n}",s0,story-{n},B,,,,,,,a feed\n')

    def said(*given: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "valuation", "news", *given],
            check=True,
            capture_output=True,
            text=True,
            cwd=PROJECT,
        )
        return done.stdout + done.stderr

    said("seal")
    assert "N0001" in said("add", *words(WANG))
    assert "FAIL" not in said("check")
    assert "not sealed" not in said("check")
