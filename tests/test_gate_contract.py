"""Every kind of check is in one table with a defect planted for it, and each defect refuses the report.

A check that is added without a planted defect fails here: names are gathered from what the gate looks at, and the
functions that make checks from the gate's own source.
"""

from __future__ import annotations

import datetime as dt
import inspect
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_world as world
from test_gate import BROKEN, EXPECTED, FIGURE, NOTEBOOK, PAGE
from test_gate import LIMITS as WEIGHT_LIMITS
from test_news import Repository, edited
from test_posterior import BAD, LIMITS, draws_of, good, random_walk
from test_study import opened, stand_ins, what_if

from valuation import gate as gates
from valuation.errors import GateError
from valuation.gate import Check
from valuation.ledger import check_ledger
from valuation.ledger.chain import CHAIN_FILE
from valuation.ledger.sealing import seal
from valuation.ledger.tables import TABLES
from valuation.models import KINDS
from valuation.posterior import diagnose, tree_of
from valuation.publish import RECORD
from valuation.record import check_record, freeze
from valuation.study import Study

TODAY = dt.date(2026, 11, 22)
Planted = Callable[[Path, Path], Sequence[Check]]

# Said beside the others and never refused: what they find may be as it should be. Each has its own test, at the end
# of this file and in test_news.py.
SAID_ONLY = {"power scaling", "ledger: rows that contradict each other"}


def kind_of(name: str) -> str:
    """The kind of a check from its name: without the quantity, driver or set that it is about."""
    if found := re.match(r"(?:NPV, USD bn|P\(\w+\)|npv): (.+)", name):
        return f"headline: {found[1]}"
    if found := re.match(r"(prior range|Pareto k of weights|effective draws): ", name):
        return found[1]
    if name.startswith("page: ") and name not in ("page: whole", "page: numbers", "page: sections"):
        return "page: a section"
    return name


# --- defects --------------------------------------------------------------------------------------


def of_draws(fault: str) -> Planted:
    return lambda home, folder: gates.from_table(diagnose(BAD[fault][0](), LIMITS).table)


def of_headline(values: Callable[[], Any]) -> Planted:
    return lambda home, folder: gates.from_table(diagnose(good(), LIMITS, {"npv": values()}).table)


def normal() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(4, 1000))


def impossible_row(home: Path, folder: Path) -> Sequence[Check]:
    drawn, stats = draws_of()
    drawn["log_likelihood"] = (("chain", "draw", "row"), np.full((4, 1000, 2), -np.inf))
    return gates.from_table(diagnose(tree_of(drawn, stats, constant=["start"]), LIMITS).table)


def linted(seeds: Path) -> Sequence[Check]:
    return gates.ledger_lint(check_ledger(seeds, kinds=KINDS, today=TODAY))


def of_table(file: str) -> Planted:
    """A column of one file is misspelled."""

    def plant(home: Path, folder: Path) -> Sequence[Check]:
        seeds = world.write_seeds(folder / "seeds")
        edited(seeds, lambda lines: [f"odd_{lines[0]}", *lines[1:]], file)
        return linted(seeds)

    return plant


def row_from_the_future(home: Path, folder: Path) -> Sequence[Check]:
    seeds = world.write_seeds(folder / "seeds")
    edited(seeds, lambda lines: [*lines, "F1,2027-01-01,2027-01-02,Later.,paper,f1,B,,,,,,,"])
    return linted(seeds)


def row_edited_since_the_last_commit(home: Path, folder: Path) -> Sequence[Check]:
    seeds = Repository(folder / "home").seeds
    edited(seeds, lambda lines: [line.replace("Cat left.", "Cat stays.") for line in lines])
    return linted(seeds)


def row_lost_since_an_earlier_commit(home: Path, folder: Path) -> Sequence[Check]:
    repository = Repository(folder / "home")
    edited(repository.seeds, lambda lines: [x for x in lines if not x.startswith("E07")])
    (repository.seeds / CHAIN_FILE).unlink()
    seal(repository.seeds, kinds=KINDS)
    repository.commit("Forget a row")
    repository.git("commit", "-q", "--allow-empty", "-m", "Go on")
    return linted(repository.seeds)


def broken_chain(home: Path, folder: Path) -> Sequence[Check]:
    seeds = world.write_seeds(folder / "seeds")
    seal(seeds, kinds=KINDS)
    edited(seeds, lambda lines: [x for x in lines if not x.startswith("E06")], CHAIN_FILE)
    return linted(seeds)


def recorded(folder: Path, spoil: Callable[[str], str]) -> Sequence[Check]:
    """The record of a run after somebody had a hand in it."""
    repository = Repository(folder / "home")
    seeds = repository.seeds
    freeze(
        seeds, run="run-a", deal="test_deal", scenario="base", as_of="2026-02-28",
        said={"Q1": (0.8, 0.004), "Q2": (0.3, 0.004)},
    )  # fmt: skip
    repository.commit("A forecast")
    place = seeds / RECORD
    place.write_text(spoil(place.read_text(encoding="utf-8")), encoding="utf-8")
    return gates.ledger_lint(check_record(seeds))


def of_record(spoil: Callable[[str], str]) -> Planted:
    return lambda home, folder: recorded(folder, spoil)


def nothing_scored(home: Path, folder: Path) -> Sequence[Check]:
    rows = [line for line in world.SEEDS["evidence"].strip().splitlines() if ",close," in line]
    header = world.SEEDS["evidence"].strip().splitlines()[0]
    return linted(world.write_seeds(folder / "seeds", evidence="\n".join([header, *rows])))


def of_study(change: Callable[[Study], Study], scenario: Any = "base") -> Planted:
    """A whole study with one thing wrong."""
    return lambda home, folder: change(opened(home, scenario)).gate().checks


def stale(study: Study) -> Study:
    newest = max(study.ledger.evidence["published"])
    days = dt.timedelta(days=study.limits.evidence_age_days_max + 1)
    return replace(study, ledger=replace(study.ledger, as_of=newest + days), as_of_given=True)


def waiting(study: Study) -> Study:
    questions = study.ledger.questions
    row = dict.fromkeys(questions.columns, None) | {
        "id": "Q9",
        "question": "Has it come true?",
        "opens": dt.date(2025, 1, 1),
        "closes": study.as_of - dt.timedelta(days=study.limits.overdue_days_max + 1),
    }
    return replace(study, ledger=replace(study.ledger, questions=type(questions)([row])))


def narrow(study: Study) -> Study:
    limits = study.limits.prior_range | {
        "revenue": study.limits.prior_range["revenue"].model_copy(update={"high": 0.1})
    }
    return replace(study, limits=study.limits.model_copy(update={"prior_range": limits}))


def few(study: Study) -> Study:
    """The conditions leave one draw less than they must."""
    left = (study.drivers["weight"] > 0).sum()
    assert study.other_sets  # computed under the limits that they do meet
    return replace_limits(study, scenario_draws_min=float(left) + 1)


def replace_limits(study: Study, **limits: float) -> Study:
    """The same study with what it has computed, held to other limits."""
    other = replace(study, limits=study.limits.model_copy(update=limits))
    kept = {"drivers", "values", "unconditioned", "beliefs", "other_sets", "posterior", "evidence"}
    for name in kept & set(vars(study)):
        vars(other)[name] = vars(study)[name]
    return other


FOUNDER_GOES = what_if(conditions=[{"event": "founder_exit", "before": "2030-01-01"}])


def weights_of(khat: float, effective: float) -> Planted:
    """A prior set whose weights have gone bad behind the study's back."""

    def change(study: Study) -> Study:
        name = next(n for n, (b, _) in study.other_sets.items() if b.khat is not None)
        believed, values = study.other_sets[name]
        bad = replace(believed, khat=khat, effective_draws=effective)
        other = replace_limits(study)
        vars(other)["other_sets"] = study.other_sets | {name: (bad, values)}
        return other

    return of_study(change)


def of_page(html: str, expected: dict[str, int] = EXPECTED) -> Planted:
    return lambda home, folder: gates.page(html, expected)


def of_notebook(fault: str) -> Planted:
    return lambda home, folder: gates.notebook(BROKEN[fault][0])


PLANTED: dict[str, Planted] = {
    # Draws
    "finite draws": of_draws("a draw is NaN"),
    "chains": of_draws("one chain"),
    "draws": of_draws("two draws"),
    "constants": of_draws("a variable never moves"),
    "no frozen chain": of_draws("a chain is frozen"),
    "no stuck chain": of_draws("a chain sits still for 60 draws"),
    "no copied chain": of_draws("the chains are copies"),
    "R-hat": of_draws("chains disagree in the mean"),
    "bulk ESS": of_draws("draws creep"),
    "tail ESS": of_draws("draws creep"),
    "MCSE / SD": of_draws("draws creep"),
    "divergences": of_draws("three divergences"),
    "tree depth": of_draws("trees hit their limit"),
    "E-BFMI": of_draws("the energy creeps"),
    "finite log-likelihood": impossible_row,
    "posterior": lambda home, folder: gates.from_table(
        diagnose(tree_of(draws_of()[0][[]], draws_of()[1]), LIMITS).table
    ),
    "headline: R-hat": of_headline(lambda: np.add(normal(), [[1.0], [0], [0], [0]])),
    "headline: ESS": of_headline(lambda: random_walk(normal())),
    "headline: MCSE / SD": of_headline(lambda: random_walk(normal())),
    "headline: Pareto k": of_headline(lambda: np.random.default_rng(5).standard_cauchy((4, 1000))),
    "headline: varies": of_headline(lambda: np.full((4, 1000), False)),
    "headline: finite": of_headline(lambda: np.full((4, 1000), math.inf)),
    "headline: draws": of_headline(lambda: np.zeros((4, 999))),
    # Ledger
    "ledger": lambda home, folder: gates.ledger_lint([]),
    **{f"ledger: seeds/{t.file}": of_table(t.file) for t in TABLES.values()},
    "ledger: no row from the future": row_from_the_future,
    "ledger: no evidence row edited or deleted": row_edited_since_the_last_commit,
    "ledger: no evidence row of an earlier commit lost": row_lost_since_an_earlier_commit,
    "ledger: sealed rows unchanged": broken_chain,
    "ledger: some evidence is scored": nothing_scored,
    f"ledger: seeds/{RECORD}": of_record(lambda text: text.replace(",0.3,", ",3,")),
    "ledger: forecasts: none changed": of_record(lambda text: text.replace(",0.3,", ",0.03,")),
    "ledger: forecasts: none of git's lost": of_record(
        lambda text: "".join(text.splitlines(keepends=True)[:-1])
    ),
    "evidence age": of_study(stale),
    "overdue questions": of_study(waiting),
    # Priors and weights
    "prior range": of_study(narrow),
    "effective draws": of_study(few, FOUNDER_GOES),
    "MCSE / SD given the conditions": of_study(few, FOUNDER_GOES),
    "Pareto k of weights": weights_of(0.9, 2000.0),
    # Pages and notebooks
    "page: whole": of_page(PAGE[:-20]),
    "page: numbers": of_page(PAGE.replace("17 in 100", "nan")),
    "page: a section": of_page(PAGE.replace(FIGURE, "")),
    "page: sections": of_page(PAGE, {}),
    "notebook: cells run": of_notebook("a cell was not run"),
    "notebook: no error": of_notebook("a cell failed"),
    "notebook: results shown": of_notebook("no results"),
}

# What makes checks in the gate's module, and the kinds that each makes.
MAKERS = {
    "from_table": {"R-hat"},
    "ledger_lint": {"ledger", "ledger: sealed rows unchanged"},
    "evidence_age": {"evidence age"},
    "overdue": {"overdue questions"},
    "prior_range": {"prior range"},
    "scenario_draws": {"effective draws"},
    "reweighting": {"Pareto k of weights", "effective draws"},
    "power_scaling": {"power scaling"},
    "page": {"page: whole", "page: numbers", "page: a section", "page: sections"},
    "notebook": {"notebook: cells run", "notebook: no error", "notebook: results shown"},
}


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Studies take stand-ins for posteriors."""
    with stand_ins():
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder around the small world; tests do not write to it."""
    return world.project(tmp_path_factory.mktemp("gate") / "project")


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_defect_refuses_the_report_by_its_own_check(
    kind: str, home: Path, tmp_path: Path
) -> None:
    checks = PLANTED[kind](home, tmp_path)
    failed = [c for c in checks if kind_of(c.name) == kind and not c.passed]
    assert failed, [c.name for c in checks if not c.passed]
    verdict = gates.gate(checks)
    assert not verdict.publish
    with pytest.raises(GateError) as refusal:
        verdict.raise_if_refused()
    assert failed[0].sentence in refusal.value.problems


def test_every_check_that_a_report_makes_has_a_planted_defect(home: Path, tmp_path: Path) -> None:
    checks = [
        *opened(home).gate().checks,
        *opened(home, FOUNDER_GOES).gate().checks,
        *opened(home, "sceptic_priors").gate().checks,
        *gates.ledger_lint(check_record(home / "seeds")),
        *gates.page(PAGE, EXPECTED),
        *gates.notebook(NOTEBOOK),
    ]
    for build, _ in BAD.values():
        checks += gates.from_table(diagnose(build(), LIMITS).table)
    kinds = {kind_of(check.name) for check in checks}
    assert kinds - SAID_ONLY <= set(PLANTED), "plant a defect for each new kind of check"
    assert kinds >= SAID_ONLY


def test_every_function_that_makes_checks_is_known_by_the_kinds_it_makes() -> None:
    made = {
        name
        for name, function in inspect.getmembers(gates, inspect.isfunction)
        if function.__module__ == gates.__name__
        and not name.startswith("_")
        and str(inspect.signature(function).return_annotation) in ("Check", "tuple[Check, ...]")
    }
    assert made == set(MAKERS)
    assert set().union(*MAKERS.values()) <= set(PLANTED) | SAID_ONLY


def test_a_gate_that_is_whole_refuses_nothing(home: Path) -> None:
    assert opened(home).gate().failures == ()


def test_weights_that_leave_few_draws_are_refused_whatever_their_k(home: Path) -> None:
    checks = weights_of(0.2, 50.0)(home, home)
    assert [kind_of(c.name) for c in checks if not c.passed] == ["effective draws"]
    assert all(not c.passed for c in gates.reweighting(0.9, 4000, 50, WEIGHT_LIMITS, name="a set"))


def test_what_power_scaling_flags_is_said_and_not_refused() -> None:
    flagged = {"a": "prior and data disagree", "b": "", "c": "rests on the prior"}
    check = gates.power_scaling(flagged, 0.05)
    assert check.passed
    assert check.value == 2
    assert "prior and data disagree: 1 of 3 (a)" in check.sentence
    assert "rests on the prior: 1 of 3 (c)" in check.sentence
    assert "said, not refused" in check.sentence
    assert gates.gate([check]).publish
    assert "no parameter is flagged" in gates.power_scaling({"b": ""}, 0.05).sentence
