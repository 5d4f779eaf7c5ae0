"""A new deal from a few answers: what is written, what is refused, and that nothing is left half done."""

from __future__ import annotations

import csv
import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from valuation import scaffold
from valuation.cli import cli
from valuation.cli import init as command
from valuation.errors import ParameterError
from valuation.ledger import check_ledger, load_ledger
from valuation.models import KINDS, kinds_in
from valuation.params import load_deal, load_priors
from valuation.report.checks import check_project
from valuation.scaffold import Answers, create

DAY = dt.date(2025, 3, 31)


def answers(name: str = "rocket", **changed: object) -> Answers:
    given: dict[str, object] = {
        "acquirer": "Big Co",
        "target": "Rocket",
        "price_bn": 2.5,
        "closed": DAY,
        "stake": 0.5,
        "people": ("Ann Example", "Bob Example"),
        "staff": 120,
        "customers": {"Bank": 0.2, "Mill": 0.1},
        "revenue_bn": 0.4,
    }
    return Answers(name=name, **(given | changed))  # type: ignore[arg-type]


def everything(project: Path) -> dict[str, bytes]:
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.is_file()
    }


def test_the_answers_stand_in_the_files(project: Path) -> None:
    create(answers(), project)
    deal = load_deal("rocket", project)
    assert (deal.acquirer, deal.target, deal.founder) == ("Big Co", "Rocket", "Ann Example")
    assert (deal.outlay.total_bn, deal.stake.fraction, deal.stake.entry_value_bn) == (
        2.5,
        0.5,
        5.0,
    )
    assert deal.closed == DAY
    ledger = load_ledger(project / deal.seeds, kinds=KINDS)
    people = ledger.people.set_index("subject")
    assert people.loc[scaffold.STAFF, "size"] == 120
    assert people["weight"].sum() == pytest.approx(1.0)
    assert people.loc["Ann Example", "weight"] > people.loc["Bob Example", "weight"]
    shares = ledger.customers.set_index("subject")["revenue_share"]
    assert shares.to_dict() == pytest.approx({"Bank": 0.2, "Mill": 0.1, scaffold.POOLED: 0.7})
    house = load_priors(project / deal.priors).get()
    assert float(house["revenue_before"].ppf(0.5)) == pytest.approx(0.4, rel=0.01)
    assert "USD 2.5 bn for 50% of Rocket" in deal.title


def test_a_new_deal_passes_every_check_of_the_project(project: Path, root: Path) -> None:
    for name, given in {
        "rocket": answers(),
        "lonely": answers("lonely", people=("Ann Example",), customers={}, revenue_bn=None),
        "whole": answers("whole", customers={"Bank": 0.25, "Mill": 0.75}),
    }.items():
        create(given, project)
        found = check_project(project, deal=name, today=dt.date.today())
        failed = [r for r in found if not r.passed and not r.name.startswith("notebooks")]
        assert not failed, failed


def test_a_first_ledger_counts_a_row_that_tells_nothing_and_is_sealed(project: Path) -> None:
    made = create(answers(), project)
    ledger = load_ledger(made.seeds, kinds=KINDS)
    (row,) = ledger.scored().to_dict("records")
    assert (row["kind"], row["subject"], row["event_date"]) == ("sighting", "Ann Example", DAY)
    seals = next(
        c
        for c in check_ledger(made.seeds, kinds=KINDS, today=dt.date.today())
        if c.name == "sealed rows unchanged"
    )
    assert seals.passed
    assert seals.detail == "2 of 2"


def test_the_templates_ask_for_the_priors_that_the_shipped_deal_has(root: Path) -> None:
    """A model that gains a prior must gain it here as well."""
    mine = {line.split(":")[0].strip() for line in _template().splitlines() if line[2:3].strip()}
    shipped = set(load_priors(root / "params" / "priors.yaml").get())
    by_roster = ("exit_hazard_", "reporting_rate_", "churn_hazard_")
    assert {n for n in shipped if not n.startswith(by_roster)} <= mine | {
        "exit_hazard_shift",
        "exit_hazard_drift",
    }


def _template() -> str:
    text = (Path(scaffold.__file__).parent / "priors.yaml").read_text(encoding="utf-8")
    return text.replace("${code}", "usd")


def test_the_new_files_share_no_word_with_the_shipped_deal(project: Path) -> None:
    made = create(answers(), project)
    own = [made.deal, made.priors, *(made.seeds / f"{n}.csv" for n in ("evidence", "people"))]
    for path in own:
        words = path.read_text(encoding="utf-8").casefold()
        for word in ("scale ai", "wang", "superintelligence", "labelling", "rival lab"):
            assert word not in words, (path.name, word)


@pytest.mark.parametrize("name", ["Rocket", "", ".hidden", "a/b", "../up", "x" * 65, "naïve"])
def test_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match=r"use up to 64 of a-z"):
        answers(name)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"price_bn": 2500.0}, "is in USD bn"),
        ({"price_bn": float("nan")}, "is in USD bn"),
        ({"price_bn": 2500.0, "currency": "GBP"}, "is in GBP bn"),
        (
            {"price_bn": 2.5e5, "currency": "JPY"},
            "price 250000: is in JPY bn, from 0.001 to 100000; check",
        ),
        (
            {"revenue_bn": 2.5e5, "currency": "JPY"},
            "revenue 250000: is in JPY bn a year, from 0.0001 to 100000",
        ),
        ({"currency": "Euro"}, "currency 'Euro': is none of ISO 4217; write its three capitals"),
        ({"stake": 49.0}, "0.49 is 49 per cent"),
        ({"closed": dt.date.today() + dt.timedelta(days=1)}, "lies ahead"),
        (
            {"closed": dt.date(1, 1, 1)},
            "date 0001-01-01: is before 1900; write the day of the close",
        ),
        ({"stake": 1e-9}, "stake 1e-09: at a price of USD .* bn the whole would be worth"),
        ({"people": ()}, "name at least the one person"),
        ({"people": ("Ann", "Ann")}, "named twice"),
        ({"acquirer": "=cmd()"}, "begins with a word"),
        ({"target": "Big Co"}, "are both"),
        ({"customers": {"A": 0.7, "B": 0.7}}, "above 1"),
        ({"revenue_bn": 0.0}, "is in USD bn a year"),
        ({"staff": 1}, "at least 2"),
    ],
)
def test_answers_that_make_no_deal_are_refused_in_words(
    changed: dict[str, object], words: str
) -> None:
    with pytest.raises(ParameterError, match=words):
        answers(**changed)


@pytest.mark.parametrize(
    "there", ["params/deals/rocket.yaml", "params/priors/rocket.yaml", "seeds/rocket"]
)
def test_what_is_there_already_is_never_written_over(project: Path, there: str) -> None:
    (project / there).mkdir(parents=True)
    before = everything(project)
    with pytest.raises(ParameterError, match=f"{there}: is there already"):
        create(answers(), project)
    assert everything(project) == before


def test_all_that_is_in_the_way_of_a_new_deal_is_named_at_once(project: Path) -> None:
    create(answers(), project)
    places = "params/deals/rocket.yaml, params/priors/rocket.yaml, seeds/rocket"
    with pytest.raises(ParameterError, match=f"{places}: are there already.*remove them"):
        create(answers(), project)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_failure_half_way_leaves_nothing_behind(
    project: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    before, rename, count = everything(project), os.rename, 0

    def fails(source: Path, place: Path) -> None:
        nonlocal count
        count += 1
        if count == step:
            raise OSError("no space left on device")
        rename(source, place)

    monkeypatch.setattr(scaffold.os, "rename", fails)
    with pytest.raises(OSError, match="no space left"):
        create(answers(), project)
    assert everything(project) == before
    assert not list(project.glob(".init-*"))
    create(answers(), project)  # and the name is still free


def test_reference_classes_come_along_without_the_deal_itself(project: Path) -> None:
    with (project / "seeds" / "reference_deals.csv").open(encoding="utf-8", newline="") as file:
        known = list(csv.DictReader(file))
    one = known[0]
    made = create(answers(acquirer=one["acquirer"], target=one["target"]), project)
    ids = set(load_ledger(made.seeds, kinds=KINDS).reference_deals["id"])
    assert ids == {row["id"] for row in known} - {one["id"]}


# The command.


@pytest.fixture
def at(project: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("VALUATION_HOME", str(project))
    return CliRunner()


def test_bare_and_without_a_terminal_the_name_becomes_an_example(
    at: CliRunner, project: Path
) -> None:
    done = at.invoke(cli, ["init", "demo"])
    assert done.exit_code == 0, done.output
    assert "params/deals/demo.yaml" in done.stdout
    assert "an example is set up" in done.stderr
    assert load_deal("demo", project).target == "Demo"


def test_without_a_terminal_what_is_missing_is_named(at: CliRunner, project: Path) -> None:
    before = everything(project)
    done = at.invoke(cli, ["init", "demo", "--price", "2", "--acquirer", "Big Co"])
    assert done.exit_code == 2
    assert "give --target, --date" in done.output
    assert everything(project) == before


def test_options_are_answers(at: CliRunner, project: Path) -> None:
    words = "init rocket --acquirer Big --target Rocket --price 2.5 --date 2025-03-31 --stake 0.5"
    more = ["--person", "Ann Example", "--person", "Bob", "--customer", "Bank=0.2", "--staff", "9"]
    done = at.invoke(cli, [*words.split(), *more, "--revenue", "0.4"])
    assert done.exit_code == 0, done.output
    deal = load_deal("rocket", project)
    assert (deal.founder, deal.closed, deal.stake.fraction) == ("Ann Example", DAY, 0.5)


def test_a_deal_may_be_set_up_in_another_currency_and_then_names_no_other(
    at: CliRunner, project: Path
) -> None:
    words = (
        "init rocket --currency JPY --acquirer Big --target Rocket --price 250 --date 2025-03-31"
    )
    done = at.invoke(cli, [*words.split(), "--revenue", "40", "--customer", "Bank=0.2"])
    assert done.exit_code == 0, done.output
    deal = load_deal("rocket", project)
    assert (deal.currency, deal.outlay.total_bn) == ("JPY", 250.0)
    assert deal.title == "Big's JPY 250 bn for Rocket"
    for folder in ("deals", "priors"):
        text = (project / "params" / folder / "rocket.yaml").read_text(encoding="utf-8").casefold()
        assert "usd" not in text
        assert "_jpy_bn" in text
    claims = load_ledger(project / deal.seeds, kinds=KINDS).evidence["claim"]
    assert "for JPY 250 bn." in claims.iloc[0]
    found = check_project(project, deal="rocket", today=dt.date.today())
    assert not [r for r in found if not r.passed and not r.name.startswith("notebooks")]


@pytest.mark.parametrize(
    ("code", "price", "revenue"), [("JPY", 6800, 1500), ("KRW", 900_000, 300_000)]
)
def test_a_price_and_a_revenue_of_a_small_unit_are_no_slips(
    project: Path, code: str, price: float, revenue: float
) -> None:
    made = create(answers(currency=code, price_bn=price, revenue_bn=revenue), project)
    deal = load_deal("rocket", project)
    assert deal.outlay.total_bn == price
    text = (made.seeds / "evidence.csv").read_text(encoding="utf-8").splitlines()
    row = dict.fromkeys(text[0].split(","), "") | {
        "id": "A003", "event_date": "2025-03-31", "published": "2025-03-31", "claim": "Revenue.",
        "source": "announcement", "root": "r", "credibility": "A", "kind": "revenue",
        "subject": "Rocket", "value": str(revenue), "sd": "0.05", "unit": f"{code} bn",
    }  # fmt: skip
    (made.seeds / "evidence.csv").write_text("\n".join([*text, ",".join(row.values()), ""]))
    problems = check_ledger(made.seeds, kinds=kinds_in(code), today=dt.date.today())
    assert not [p for p in map(str, problems) if "value" in p or "revenue" in p]
    assert "A003" in set(load_ledger(made.seeds, kinds=kinds_in(code)).evidence["id"])


@pytest.mark.parametrize("customer", ["Bank", "Bank=", "=0.2", "Bank=2", "Bank=much"])
def test_a_customer_needs_a_name_and_a_share(at: CliRunner, customer: str) -> None:
    done = at.invoke(cli, ["init", "rocket", "--customer", customer])
    assert done.exit_code == 2
    assert "NAME=SHARE" in done.output


@pytest.mark.parametrize(
    ("option", "given", "remedy"),
    [
        ("--price", "2.5bn", "not a number; write it as 2.5 for 2.5 bn"),
        ("--stake", "49%", "not a number; write it as 0.49 for 49 per cent"),
        ("--date", "31/03/2025", "not a date; write YYYY-MM-DD"),
    ],
)
def test_an_answer_that_cannot_be_read_is_told_how_to_write_it(
    at: CliRunner, option: str, given: str, remedy: str
) -> None:
    done = at.invoke(cli, ["init", "rocket", option, given])
    assert done.exit_code == 2
    assert f"'{given}' is {remedy}" in done.output


@pytest.mark.parametrize("name", ["1", "1e5", "null", "true", "2025-03-31"])
def test_a_name_that_yaml_would_read_as_something_else_is_a_name(name: str, project: Path) -> None:
    create(answers(name), project)
    assert load_deal(name, project).name == name


def test_a_fault_of_the_new_files_is_told_by_their_place_and_not_by_a_folder_that_is_gone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaffold, "_around", lambda *_: "{0.05: 3, 0.5: 2, 0.95: 1}")
    with pytest.raises(ParameterError, match="nothing was written: ") as refused:
        create(answers(), project)
    assert "params/priors/rocket.yaml:" in str(refused.value)
    assert ".init-" not in str(refused.value)


def test_a_customer_may_bring_all_the_revenue(at: CliRunner, project: Path) -> None:
    words = "init rocket --acquirer Big --target Rocket --price 2.5 --date 2025-03-31"
    done = at.invoke(cli, [*words.split(), "--customer", "Army=1"])
    assert done.exit_code == 0, done.output
    ledger = load_ledger(project / "seeds" / "rocket", kinds=KINDS)
    assert ledger.customers.set_index("subject")["revenue_share"].to_dict() == {"Army": 1.0}


def test_on_a_terminal_what_was_not_given_is_asked_for(
    at: CliRunner, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(command, "sys", terminal)
    said = "\n".join(
        ["Big Co", "", "", "0.5", "2025-03-31", "Ann Example; Bob", "30", "0.4", "Bank=0.25", ""]
    )
    done = at.invoke(cli, ["init", "rocket", "--price", "2.5"], input=said)
    assert done.exit_code == 0, done.output
    deal = load_deal("rocket", project)
    assert (deal.acquirer, deal.target) == ("Big Co", "Rocket")
    assert (deal.outlay.total_bn, deal.stake.fraction) == (2.5, 0.5)
    ledger = load_ledger(project / deal.seeds, kinds=KINDS)
    assert "Bob" in set(ledger.people["subject"])
    assert "Bank" in set(ledger.customers["subject"])


def test_what_is_proposed_next_names_the_deal(at: CliRunner, project: Path) -> None:
    create(answers(), project)
    row = ["--source", "Wire", "--credibility", "B", "--claim", "Bob has left", "--subject"]
    row += ["Bob Example", "--event-date", "2025-09-20", "--published", "2025-09-21"]
    done = at.invoke(cli, ["news", "add", "--deal", "rocket", "--kind", "departure", *row])
    assert done.exit_code == 0, done.output
    assert "valuation update --deal rocket" in done.stderr
    prior = ["--quantiles", "0.05=1,0.5=4,0.95=12", "--reason", "Peers", "--by", "Ann Example"]
    done = at.invoke(cli, ["prior", "set", "exit_multiple", "--deal", "rocket", *prior])
    assert done.exit_code == 0, done.output
    assert "valuation update --deal rocket" in done.stderr
    # Neither touched the files of the deal that ships.
    ids = load_ledger(project / "seeds" / "rocket", kinds=KINDS).evidence["id"]
    assert "N0001" in set(ids)
    assert "N0001" not in set(load_ledger(project / "seeds", kinds=KINDS).evidence["id"])


GIVEN = (
    *("--acquirer", "Big Co", "--target", "Rocket", "--price", "2.5", "--stake", "0.5"),
    *("--date", dt.date.today().isoformat(), "--person", "Ann Example", "--person", "Bob Example"),
    *("--customer", "Bank=0.2", "--customer", "Mill=0.1", "--currency", "EUR"),
)


@pytest.mark.slow
@pytest.mark.parametrize("given", [(), GIVEN], ids=["an example", "by options"])
def test_a_new_deal_is_reported_at_once_with_the_answer_of_the_priors(
    project: Path, root: Path, given: tuple[str, ...]
) -> None:
    """`valuation init demo && valuation report --deal demo`, in a folder of its own; by options the base case of it."""
    import json
    import shutil

    shutil.rmtree(project / "notebooks")
    shutil.copytree(root / "notebooks", project / "notebooks")
    environment = os.environ | {"VALUATION_HOME": str(project), "PYTHONPATH": str(root)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "valuation", *words],
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    assert run("init", "demo", *given).returncode == 0
    done = run("report", *(["base"] if given else []), "--deal", "demo", "--quiet")
    assert done.returncode == 0, done.stderr
    base = project / "reports" / "deals" / "demo"
    results = json.loads((base / "scenarios" / "base" / "results.json").read_text())
    assert any("No evidence has been entered" in note for note in results["notes"])
    assert 0 < results["headline"]["probability"] < 1
    assert "No evidence has been entered" in (base / "index.html").read_text()
    if not given:
        methods = json.loads((base / "models" / "methods" / "results.json").read_text())
        assert methods["calibration"]["passed"]
        assert {row["model"] for row in methods["coverage"]} == {"retention", "churn"}
        assert [row["model"] for row in methods["uncovered"]] == ["adoption"]
    added = run(
        *("news", "add", "--deal", "demo", "--kind", "departure", "--credibility", "B"),
        *("--source", "Wire", "--claim", "Gone", "--subject", "Ann Example"),
        *("--event-date", dt.date.today().isoformat()),
        *("--published", dt.date.today().isoformat()),
    )
    # The demo closed today: nobody can have left yet, and the ledger says so.
    assert added.returncode != 0
    assert "not after" in added.stderr
    assert run("questions", "--deal", "demo").returncode == 0
