"""Forecasts are put on record once, whole and for good; what changes the past is found."""

from __future__ import annotations

import csv
import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import small_world as world
from example_results import example_results
from example_update import example_update

from valuation import archive, publish, record
from valuation.errors import LedgerError
from valuation.publish import RECORD
from valuation.record import Forecast, check_record, freeze, read, said_of, unrecorded
from valuation.report import checks, runs

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
SAID = {"Q1": (0.25, 0.004), "Q2": (0.9, None), "pays_off:npv": (0.17, 0.006)}


def add(folder: Path, run: str, *, said: Any = SAID, hours: int = 0) -> int:
    return freeze(
        folder,
        run=run,
        deal="test_deal",
        scenario="base",
        as_of="2026-02-28",
        said=said,
        now=NOON + dt.timedelta(hours=hours),
    )


def problems(folder: Path) -> list[str]:
    return [line for c in check_record(folder) if not c.passed for line in c.detail.splitlines()]


def rows(folder: Path) -> list[list[str]]:
    with (folder / RECORD).open(newline="") as file:
        return list(csv.reader(file))


def rewrite(folder: Path, lines: list[list[str]]) -> None:
    with (folder / RECORD).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """A record of three runs."""
    for hours, run in enumerate(("run-a", "run-b", "run-c")):
        add(tmp_path, run, hours=hours)
    return tmp_path


# --- adding ---------------------------------------------------------------------------------------


def test_a_run_is_recorded_with_all_that_it_said(tmp_path):
    assert add(tmp_path, "run-a") == 3
    first, second, third = read(tmp_path)
    assert first == Forecast(
        NOON, "run-a", "test_deal", "base", dt.date(2026, 2, 28), "Q1", 0.25, 0.004
    )
    assert (second.question, second.probability, second.mcse) == ("Q2", 0.9, None)
    assert (third.question, third.probability) == ("pays_off:npv", 0.17)
    assert problems(tmp_path) == []


def test_the_columns_are_those_of_the_documented_file(seeds):
    assert rows(seeds)[0] == [
        "made", "run", "deal", "scenario", "as_of", "question", "probability", "mcse", "quantiles", "digest",
    ]  # fmt: skip
    assert rows(seeds)[1][:2] == ["2026-03-01T12:00:00Z", "run-a"]


def test_the_same_run_is_never_recorded_twice(seeds):
    before = (seeds / RECORD).read_bytes()
    assert add(seeds, "run-b", said={"Q1": (0.99, 0.001)}, hours=9) == 0
    assert (seeds / RECORD).read_bytes() == before


def test_a_later_run_only_appends(seeds):
    before = (seeds / RECORD).read_bytes()
    add(seeds, "run-d", hours=3)
    assert (seeds / RECORD).read_bytes().startswith(before)
    assert problems(seeds) == []


def test_a_run_that_says_nothing_leaves_no_file(tmp_path):
    assert add(tmp_path, "run-a", said={}) == 0
    assert not (tmp_path / RECORD).exists()
    assert read(tmp_path) == ()
    assert problems(tmp_path) == []


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(seeds, probability):
    before = (seeds / RECORD).read_bytes()
    with pytest.raises(LedgerError, match="is no probability; nothing was recorded"):
        add(seeds, "run-d", said={"Q1": (probability, 0.01)})
    assert (seeds / RECORD).read_bytes() == before


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (0.0, "0"), (0.5, "0.5"), (1e-5, "0.00001"), (1e-9, "0")]
)
def test_a_probability_is_written_with_six_digits(tmp_path, value, text):
    add(tmp_path, "run-a", said={"Q1": (value, 0.001)})
    assert rows(tmp_path)[1][6] == text
    assert read(tmp_path)[0].probability == pytest.approx(value, abs=1e-6)


def test_an_error_is_never_rounded_down_to_none(tmp_path):
    add(tmp_path, "run-a", said={"Q1": (0.5, 1e-9)})
    assert read(tmp_path)[0].mcse == 1e-6


def test_two_writers_at_once_lose_nothing(tmp_path, root):
    code = (
        "import sys\nfrom valuation.record import freeze\n"
        "for i in range(8):\n"
        "    freeze(sys.argv[1], run=f'{sys.argv[2]}-{i}', deal='d', scenario='base',\n"
        "           as_of='2026-02-28', said={'Q1': (0.5, 0.01), 'Q2': (0.25, 0.01)})\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], cwd=root)
        for name in ("left", "right")
    ]
    assert [w.wait(timeout=120) for w in writers] == [0, 0]
    found = read(tmp_path)
    assert len(found) == 32
    assert {f.run for f in found} == {f"{n}-{i}" for n in ("left", "right") for i in range(8)}
    assert problems(tmp_path) == []


def test_a_quantity_is_recorded_as_values_that_rise(tmp_path):
    freeze(
        tmp_path, run="run-a", deal="d", scenario="base", as_of="2026-02-28", said={"Q1": (0.5, 0.01)},
        quantities={"Q0": (0.25, 0.125, 3.0)}, now=NOON,
    )  # fmt: skip
    quantity, chance = read(tmp_path)
    assert (quantity.question, quantity.quantiles) == ("Q0", (0.125, 0.25, 3.0))
    assert (quantity.probability, quantity.mcse) == (None, None)
    assert (chance.question, chance.quantiles) == ("Q1", ())
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    "values", [{"Q0": (1.0, float("nan"))}, {"Q0": ()}, {"Q0": (float("inf"),)}, {"Q1": (1.0,)}]
)
def test_values_that_are_none_or_beside_a_chance_are_refused(tmp_path, values):
    with pytest.raises(LedgerError, match="its values are no numbers"):
        freeze(
            tmp_path, run="run-a", deal="d", scenario="base", as_of="2026-02-28",
            said={"Q1": (0.5, 0.01)}, quantities=values,
        )  # fmt: skip
    assert read(tmp_path) == ()


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["0.5", "", "1;2"], "not both"),
        (["", "", ""], "needs a probability or quantiles"),
        (["", "", "2;1"], "no rising numbers"),
        (["", "", "1;x"], "no numbers"),
        (["", "", "1;nan"], "no rising numbers"),
    ],
)
def test_a_row_says_how_likely_or_how_much_and_nothing_else(seeds, cells, words):
    lines = rows(seeds)
    lines[2][6:9] = cells
    rewrite(seeds, lines)
    with pytest.raises(LedgerError, match=words):
        read(seeds)
    assert any(words in p for p in problems(seeds))


def test_a_record_that_cannot_be_read_is_not_written_to(seeds):
    with (seeds / RECORD).open("a") as file:
        file.write("2026-03-01T15:00:00Z,run-d,test_")
    before = (seeds / RECORD).read_bytes()
    with pytest.raises(LedgerError, match="cut short"):
        add(seeds, "run-e")
    assert (seeds / RECORD).read_bytes() == before
    assert any("cut short" in p for p in problems(seeds))


# --- the past -------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", range(10))
def test_a_changed_cell_is_found_and_placed(seeds, column):
    lines = rows(seeds)
    line = lines[5]  # run-b, Q2
    line[column] = {
        0: "2026-02-01T12:00:00Z", 1: "run-x", 2: "other", 3: "bear", 4: "2026-01-31", 5: "Q9",
        6: "0.1", 7: "0.001", 8: "1;2", 9: "0" * 64,
    }[column]  # fmt: skip
    rewrite(seeds, lines)
    told = problems(seeds)
    assert any(p.startswith(f"{RECORD}:6: ") for p in told)
    assert all("git checkout" in p for p in told)


@pytest.mark.parametrize("gone", [1, 4, 5, 6, 7])
def test_a_removed_row_is_found(seeds, gone):
    lines = rows(seeds)
    del lines[gone]
    rewrite(seeds, lines)
    assert problems(seeds)


def test_a_removed_run_is_found_by_the_run_after_it(seeds):
    lines = rows(seeds)
    rewrite(seeds, [line for line in lines if line[1] != "run-b"])
    assert any("removed" in p for p in problems(seeds))


def test_a_row_slipped_in_is_found(seeds):
    lines = rows(seeds)
    forged = [*lines[2][:5], "Q3", "0.999", "0.001", "", lines[2][9]]
    rewrite(seeds, [*lines, forged])
    assert problems(seeds)


def test_a_second_opinion_under_one_run_is_found_even_if_it_is_well_sealed(seeds):
    lines = rows(seeds)
    cells = [*lines[-1][:5], "Q1", "0.8", "0.004", ""]
    rewrite(seeds, [*lines, [*cells, record._seal(lines[-1][9], "\x1f".join(cells))]])
    assert any("speaks of Q1 twice" in p for p in problems(seeds))


def git(folder: Path, *words: str) -> str:
    name = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *name, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A record of one run under git, merged as the project's is."""
    folder = tmp_path / "seeds"
    folder.mkdir()
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / ".gitattributes").write_text(f"seeds/{RECORD} merge=union\n")
    add(folder, "run-a")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    return folder


def test_the_last_rows_cannot_be_taken_back_once_git_has_them(committed):
    add(committed, "run-b", hours=1)
    git(committed.parent, "commit", "-qam", "two")
    assert problems(committed) == []
    lines = rows(committed)
    rewrite(committed, lines[:-1])
    (told,) = problems(committed)
    assert "of commit" in told
    assert "gone or changed" in told
    # Also when that is committed.
    git(committed.parent, "commit", "-qam", "three")
    assert problems(committed) == [told]
    (committed / RECORD).unlink()
    assert any("is in git and is gone" in p for p in problems(committed))


def test_records_kept_apart_merge_by_keeping_the_lines_of_both(committed):
    top = committed.parent
    git(top, "checkout", "-qb", "other")
    add(committed, "run-b", hours=1)
    add(committed, "run-c", hours=2)
    git(top, "commit", "-qam", "other")
    git(top, "checkout", "-q", "main")
    add(committed, "run-d", hours=3)
    git(top, "commit", "-qam", "main")
    git(top, "merge", "-q", "other", "-m", "merged")
    assert {f.run for f in read(committed)} == {"run-a", "run-b", "run-c", "run-d"}
    assert problems(committed) == []
    add(committed, "run-e", hours=4)
    assert problems(committed) == []


def test_the_projects_record_merges_by_keeping_both(root):
    assert f"seeds/{RECORD} merge=union" in (root / ".gitattributes").read_text()


def test_a_published_run_that_is_missing_is_named(seeds):
    kept = {"run-b": NOON + dt.timedelta(hours=1), "run-x": NOON + dt.timedelta(hours=2)}
    assert unrecorded(read(seeds), kept) == ["run-x"]
    # From before there was a record.
    assert unrecorded(read(seeds), {"run-0": NOON - dt.timedelta(days=9)}) == []
    assert unrecorded((), kept) == []


# --- what a run said ------------------------------------------------------------------------------


def test_a_report_says_every_definition_and_every_question_that_is_answered():
    results = example_results()
    said = said_of(results)
    head = results["headline"]
    assert said[f"pays_off:{head['definition']}"][0] == head["probability"]
    assert {q for q in said if q.startswith("pays_off:")} == {
        f"pays_off:{d['definition']}" for d in results["definitions"]
    }
    assert said["Q02"] == (0.71, 0.008)
    assert said["Q24"] == (0.3, None)
    assert said["Q27"] == (0.69, None)  # by its base rate
    assert "Q39" not in said  # it is a quantity
    results["questions"][2] |= {"probability": None, "by": "", "why": "no model answers it"}
    assert "Q27" not in said_of(results)
    assert {q: len(values) for q, values in record.quantities_of(results).items()} == {"Q39": 20}


def test_an_update_says_the_same():
    results = example_update()
    said = said_of(results)
    told = {q["name"]: q for q in results["quantities"] if q["group"] == "definition"}
    assert told
    for name, row in told.items():
        assert said[f"pays_off:{name}"] == (row["is"], row["mcse_is"])
    assert said["Q02"] == (0.71, 0.008)


# --- in a project ---------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = world.project(tmp_path / "project")
    for name in ("reports", "notebooks"):
        (folder / name).mkdir()
    return folder


def kept(
    home: Path, *, scenario: str = "base", as_of_given: bool = False, kind: str = "report"
) -> archive.Run:
    results = example_results() if kind == "report" else example_update()
    inputs = archive.keep_inputs(home, "test_deal", scenario)
    return archive.keep_run(
        home,
        deal="test_deal",
        scenario=scenario,
        kind=kind,
        files={},
        results=results,
        inputs=inputs,
        as_of_given=as_of_given,
    )


def test_a_published_run_of_the_base_is_recorded_once(home):
    run = kept(home)
    results = example_results()
    assert runs.freeze(home, run) == len({**said_of(results), **record.quantities_of(results)})
    assert runs.freeze(home, kept(home)) == 0  # the same again is the same run
    found = read(home / "seeds")
    assert {f.run for f in found} == {run.id}
    assert {f.as_of for f in found} == {dt.date.fromisoformat(run.as_of)}
    assert runs.freeze(home, kept(home, kind="update")) > 0


def test_keeping_a_run_of_the_base_records_it(home):
    results = example_results()
    task = runs.Task(
        runs.SCENARIOS, "base", "x", home / "n.ipynb", {"deal": "test_deal", "as_of": ""},
        home / "reports" / "x", home, source=home / "params" / "scenarios" / "base.yaml",
    )  # fmt: skip
    inputs, note = runs._keep_inputs(task)
    folder, late = runs._keep_run(task, {}, results, inputs)
    assert (note, late) == ("", "")
    assert {f.run for f in read(home / "seeds")} == {folder.name}


def test_a_run_as_of_a_date_or_of_another_scenario_forecasts_nothing(home):
    assert runs.freeze(home, kept(home, as_of_given=True)) == 0
    assert runs.freeze(home, kept(home, scenario="founder_leaves")) == 0
    assert read(home / "seeds") == ()


def test_recording_changes_no_input_of_any_run(home):
    from valuation.ledger import load_ledger
    from valuation.models import KINDS

    (home / "notebooks" / "x.ipynb").write_text("{}")
    task = runs.Task(
        "models", "x", "x", home / "notebooks" / "x.ipynb", {}, home / "reports" / "x", home,
        reads=(home / "seeds", home / "params" / "gate.yaml"),
    )  # fmt: skip
    before = (
        runs.inputs_digest(task),
        archive.keep_inputs(home, "test_deal", "base"),
        load_ledger(home / "seeds", kinds=KINDS).digest,
    )
    runs.freeze(home, kept(home))
    assert (home / "seeds" / RECORD).is_file()
    after = (
        runs.inputs_digest(task),
        archive.keep_inputs(home, "test_deal", "base"),
        load_ledger(home / "seeds", kinds=KINDS).digest,
    )
    assert after == before
    assert archive.changed_inputs(home, "test_deal", "base", before[1]) == []
    assert RECORD not in {p.name for p in publish.inputs_below(home / "seeds")}
    # Any other file of the folder does count.
    (home / "seeds" / "more.csv").write_text("a\n")
    assert runs.inputs_digest(task) != before[0]


def test_the_check_of_a_project_finds_a_changed_past_and_a_run_left_out(home):
    def failed() -> dict[str, str]:
        found = checks.check_project(home, deal="test_deal", today=dt.date(2026, 3, 1))
        named = [r for r in found if "forecast" in r.name or r.name.startswith("questions")]
        assert len(named) >= 5
        return {r.name: r.detail for r in named if not r.passed}

    run = kept(home)
    runs.freeze(home, run)
    assert failed() == {}
    register = home / "seeds" / "questions.csv"
    empty = register.read_text()
    register.write_text(
        empty + "Q9,Late?,2025-06-12,2025-07-01,press,Any report.,,,,impairment,,,,,\n"
        "Q8,Odd?,2025-06-12,2027-07-01,press,Any report.,,,,,,,,,\n"
    )
    assert "Q9 (235 days)" in failed()["questions: none overdue"]
    register.write_text(empty + "Q8,Odd?,2025-06-12,2027-07-01,press,Any report.,,,,jump,,,,,\n")
    told = failed()
    assert "Q8: unknown event 'jump'" in told["questions: every event is one that can be asked"]
    register.write_text(empty)
    path = home / "seeds" / RECORD
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b",Q02,0.71,", b",Q02,0.51,"))
    assert list(failed()) == ["forecasts: none changed"]
    path.write_bytes(whole)
    add(home / "seeds", "early", hours=-24 * 4000)  # so that the record had begun
    lines = rows(home / "seeds")
    rewrite(home / "seeds", [line for line in lines if line[1] != run.id])
    told = failed()
    assert run.id in told["forecasts: every published run is on record"]
    assert "--force" in told["forecasts: every published run is on record"]
