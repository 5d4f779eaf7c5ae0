"""The gate is closed: what was not checked, or cannot be shown to be good, is not published."""

from __future__ import annotations

import copy
import datetime as dt
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from valuation.errors import GateError
from valuation.gate import (
    NAMED,
    RESULTS_MIME,
    Check,
    effective_draws,
    evidence_age,
    freshness,
    from_table,
    gate,
    khat_limit,
    ledger_lint,
    notebook,
    overdue,
    page,
    prior_range,
    reweighting,
    scenario_draws,
)

LIMITS = SimpleNamespace(khat_max=0.7, scenario_draws_min=100)
GOOD = Check("R-hat", 1.002, 1.01, True, "R-hat: 1.002, at most 1.01 needed.")
BAD = Check("divergences", 3, 0, False, "divergences: 3, at most 0 allowed; reparameterize.")


def failures(checks: tuple[Check, ...]) -> list[str]:
    return [check.name for check in checks if not check.passed]


# Verdict ------------------------------------------------------------------------------------------


def test_good_checks_publish() -> None:
    verdict = gate([GOOD, GOOD])
    assert verdict.passed
    assert verdict.publish
    assert verdict.failures == ()
    verdict.raise_if_refused()


def test_one_bad_check_refuses_with_its_sentence() -> None:
    verdict = gate([GOOD, BAD])
    assert not verdict.publish
    with pytest.raises(GateError) as refusal:
        verdict.raise_if_refused()
    assert refusal.value.problems == (BAD.sentence,)


def test_no_checks_refuse() -> None:
    with pytest.raises(GateError, match="nothing was checked"):
        gate([]).raise_if_refused()


def test_a_reason_overrides_and_stays_visible() -> None:
    verdict = gate([GOOD, BAD], override=" shown to the board as a draft ")
    verdict.raise_if_refused()
    assert verdict.publish
    assert not verdict.passed
    assert verdict.override == "shown to the board as a draft"
    assert verdict.failures == (BAD.sentence,)


def test_blanks_are_no_reason() -> None:
    with pytest.raises(GateError):
        gate([BAD], override=" \n").raise_if_refused()


def test_rows_of_a_diagnosis_become_checks_and_only_true_is_true() -> None:
    rows = [
        {"check": "a", "value": 1.0, "limit": 2, "passed": True, "sentence": "a."},
        {"check": "b", "value": math.nan, "limit": None, "passed": "yes", "sentence": "b."},
        {"check": "c", "sentence": "c."},
    ]
    checks = from_table(rows)
    assert [check.passed for check in checks] == [True, False, False]
    assert checks[1].value is None


def test_a_diagnosis_and_the_gate_agree() -> None:
    from test_posterior import LIMITS as limits
    from test_posterior import good

    from valuation.posterior import diagnose

    for tree in (good(), good(chains=1)):
        diagnosis = diagnose(tree, limits)
        verdict = gate(from_table(diagnosis.table))
        assert verdict.passed == diagnosis.passed
        assert verdict.failures == diagnosis.failures


# Questions ----------------------------------------------------------------------------------------


def test_a_question_may_wait_for_its_outcome_as_long_as_the_limit_says() -> None:
    check = overdue({"Q1": 30.0, "Q2": -200.0}, 30)
    assert (check.passed, check.value, check.limit) == (True, 30.0, 30.0)
    assert overdue({}, 30).passed
    assert overdue({"Q2": -200.0}, 0).value == 0.0


def test_overdue_questions_are_named_the_oldest_first_with_the_remedy() -> None:
    check = overdue({"Q1": 31.0, "Q2": 400.0, "Q3": 5.0}, 30)
    assert not check.passed
    assert check.value == 400.0
    assert "Q2 (400 days), Q1 (31 days), at most 30 allowed" in check.sentence
    assert "valuation resolve Q2 --outcome" in check.sentence
    assert "Q3" not in check.sentence
    many = overdue({f"Q{j:02d}": 31.0 + j for j in range(20)}, 30)
    assert many.sentence.count(" days)") == NAMED
    assert "Q19 (50 days), Q18 (49 days)" in many.sentence
    assert f"and {20 - NAMED} more, at most 30 allowed" in many.sentence
    assert not gate([GOOD, check]).publish


def test_a_question_whose_days_cannot_be_counted_is_overdue() -> None:
    assert not overdue({"Q1": math.nan}, 30).passed


# Ledger and priors --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    name: str
    passed: bool
    detail: str


def test_findings_of_the_ledger_become_checks() -> None:
    checks = ledger_lint(
        [Finding("dates", True, "all ISO"), Finding("ids", False, "evidence.csv:7: A001 twice")]
    )
    assert failures(checks) == ["ledger: ids"]
    assert "evidence.csv:7: A001 twice" in checks[1].sentence


def test_a_ledger_that_was_not_checked_fails() -> None:
    assert failures(ledger_lint([])) == ["ledger"]


@pytest.mark.parametrize(("days", "passed"), [(0, True), (400, True), (401, False), (-1, False)])
def test_old_evidence_is_refused(days: float, passed: bool) -> None:
    check = evidence_age(days, 400)
    assert check.passed is passed
    assert f"the newest evidence is {days} days old, at most 400 allowed" in check.sentence
    assert not evidence_age(math.nan, 400).passed


AGES = SimpleNamespace(evidence_age_days_max=400, overdue_days_max=180)
NEWEST = dt.date(2026, 2, 28)


def test_what_is_within_its_limits_on_a_day_is_told_without_a_warning() -> None:
    told = freshness(NEWEST, {"Q1": 180.0}, AGES, day=NEWEST + dt.timedelta(days=400))
    assert told == {"day": "2027-04-04", "newest": "2026-02-28", "days": 400, "warnings": []}


def test_what_is_beyond_its_limits_on_a_day_warns() -> None:
    told = freshness(NEWEST, {"Q1": 181.0}, AGES, day=NEWEST + dt.timedelta(days=401))
    assert told["days"] == 401
    old, late = told["warnings"]
    assert "the newest evidence is 401 days old, at most 400 allowed" in old
    assert "Q1 (181 days)" in late
    assert "add news with `valuation news add` or" in old
    told = freshness(NEWEST, {}, AGES, day=NEWEST + dt.timedelta(days=401), option=" --deal demo")
    assert "add news with `valuation news add --deal demo` or" in told["warnings"][0]


@pytest.mark.parametrize(
    ("interval", "passed"),
    [
        ((0.2, 0.9), True),
        ((0.0, 1.0), True),
        ((-0.1, 0.9), False),
        ((0.2, 1.1), False),
        ((0.9, 0.2), False),
        ((math.nan, 0.9), False),
        ((0.2, math.nan), False),
        ((0.2, math.inf), False),
    ],
)
def test_a_prior_must_stay_inside_what_is_possible(
    interval: tuple[float, float], passed: bool
) -> None:
    bounds = {"adoption_share": SimpleNamespace(low=0.0, high=1.0)}
    (check,) = prior_range({"adoption_share": interval}, bounds)
    assert check.passed is passed
    assert check == prior_range({"adoption_share": interval}, {"adoption_share": (0.0, 1.0)})[0]
    assert passed or "params/priors.yaml" in check.sentence


def test_a_driver_with_limits_and_no_interval_fails() -> None:
    assert failures(prior_range({}, {"revenue": (0, 100)})) == ["prior range: revenue"]
    assert failures(prior_range({"revenue": (1, 2)}, {})) == ["prior range"]


# Reweighted draws ---------------------------------------------------------------------------------


def test_equal_weights_are_worth_all_draws() -> None:
    assert effective_draws(np.full(4000, 0.25e-3)) == pytest.approx(4000)
    assert effective_draws([3.0, 3.0, 0.0]) == pytest.approx(2)
    assert effective_draws([1e-200] * 7) == pytest.approx(7)


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0, -0.1], [1.0, math.nan], [math.inf, 1.0]])
def test_weights_that_are_none_fail(weights: list[float]) -> None:
    assert math.isnan(effective_draws(weights))
    check = scenario_draws(weights, LIMITS, scenario="bear")
    assert not check.passed
    assert check.value is None


def test_a_scenario_that_hardly_happens_is_refused() -> None:
    weights = np.zeros(4000)
    weights[:100] = 1
    assert scenario_draws(weights, LIMITS, scenario="bear").passed
    weights[0] = 0
    check = scenario_draws(weights, LIMITS, scenario="bear")
    assert not check.passed
    assert check.sentence.startswith("effective draws: bear: 99, at least 100 needed; ")


def test_the_limit_of_k_follows_the_number_of_draws() -> None:
    assert khat_limit(4000, 0.7) == 0.7
    assert khat_limit(500, 0.7) == pytest.approx(1 - 1 / math.log10(500))
    assert khat_limit(5, 0.7) == 0.0


@pytest.mark.parametrize(
    ("khat", "effective", "failed"),
    [
        (0.3, 2000, []),
        (0.71, 2000, ["Pareto k of weights: sceptic"]),
        (0.55, 60, ["effective draws: sceptic"]),
        (math.nan, math.nan, ["Pareto k of weights: sceptic", "effective draws: sceptic"]),
    ],
)
def test_weights_are_gated_on_k_and_on_effective_draws(
    khat: float, effective: float, failed: list[str]
) -> None:
    assert failures(reweighting(khat, 4000, effective, LIMITS, name="sceptic")) == failed


# Pages --------------------------------------------------------------------------------------------

FIGURE = '<figure><svg role="img"><title>t</title><path d="M0 0"/></svg></figure>'
PAGE = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>nan</title>
<style>a {{}}</style></head><body><main>
<section id="answer"><h2>Answer</h2><p>17 in 100<p>of draws{FIGURE}</section>
<section id="evidence"><h2>Evidence</h2><ul><li>one<li>two</ul><img src="x.png"><br></section>
</main></body></html>
"""
EXPECTED = {"answer": 1, "evidence": 0}


def test_a_whole_page_passes() -> None:
    assert failures(page(PAGE, EXPECTED)) == []


def test_a_missing_section_is_named() -> None:
    assert failures(page(PAGE, {**EXPECTED, "people": 0})) == ["page: people"]
    hidden = PAGE.replace("</main>", '<!-- <section id="people">text</section> --></main>')
    assert failures(page(hidden, {**EXPECTED, "people": 0})) == ["page: people"]


@pytest.mark.parametrize(
    "figure",
    [
        "",
        "<figure></figure>",
        "<figure><svg><title>t</title></svg></figure>",
        "<figure><svg><defs><path d='M0 0'/></defs></svg></figure>",
        "<figure><img src='https://example.org/a.png'></figure>",
        f"<!-- {FIGURE} -->",
    ],
)
def test_a_figure_that_is_not_drawn_is_missing(figure: str) -> None:
    checks = page(PAGE.replace(FIGURE, figure), EXPECTED)
    assert failures(checks) == ["page: answer"]
    assert "0 of 1 figures" in checks[2].sentence


def test_an_embedded_picture_is_a_figure() -> None:
    picture = '<figure><img src="data:image/png;base64,AAAA" alt="a"></figure>'
    assert failures(page(PAGE.replace(FIGURE, picture), EXPECTED)) == []


def test_an_empty_section_is_refused() -> None:
    empty = PAGE.replace("<h2>Evidence</h2><ul><li>one<li>two</ul>", "<h2> </h2>")
    assert failures(page(empty, EXPECTED)) == ["page: evidence"]


def test_a_page_cut_anywhere_is_refused() -> None:
    for length in range(0, len(PAGE) - len("</html>\n"), 7):
        assert "page: whole" in failures(page(PAGE[:length], EXPECTED))


@pytest.mark.parametrize("shown", ["nan", "USD NaN bn", "-inf", "inf%"])
def test_a_page_that_shows_no_number_is_refused(shown: str) -> None:
    checks = page(PAGE.replace("17 in 100", shown), EXPECTED)
    assert failures(checks) == ["page: numbers"]


@pytest.mark.parametrize("shown", ["Nan Xu left", "information", "finance", "inf-ra"])
def test_words_that_look_like_no_number_are_let_through(shown: str) -> None:
    assert failures(page(PAGE.replace("17 in 100", shown), EXPECTED)) == []


def test_a_page_of_which_nothing_is_expected_is_refused() -> None:
    assert failures(page(PAGE, {})) == ["page: sections"]


# Notebooks ----------------------------------------------------------------------------------------


def cell(count: int | None, source: str = "x", outputs: list[Any] | None = None) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "source": [source],
        "execution_count": count,
        "outputs": outputs or [],
        "metadata": {"papermill": {"status": "completed"}},
    }


SENTINEL = {
    "output_type": "display_data",
    "data": {RESULTS_MIME: {"results": {"schema": 1}, "digest": "ab"}},
}
NOTEBOOK: dict[str, Any] = {
    "nbformat": 4,
    "metadata": {"papermill": {"exception": None}},
    "cells": [
        {"cell_type": "markdown", "source": "# Does it pay off?"},
        cell(1),
        cell(2),
        cell(None, "  \n"),
        cell(3, outputs=[SENTINEL]),
    ],
}


def changed(position: int, **change: Any) -> dict[str, Any]:
    book = copy.deepcopy(NOTEBOOK)
    book["cells"][position].update(change)
    return book


def test_a_notebook_that_ran_to_its_end_passes() -> None:
    assert failures(notebook(NOTEBOOK)) == []
    json.dumps([vars(check) for check in notebook(NOTEBOOK)], allow_nan=False)


ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}
EMPTY = {"output_type": "display_data", "data": {RESULTS_MIME: {"results": {}, "digest": ""}}}
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "a cell was not run": (changed(2, execution_count=None), "notebook: cells run"),
    "the last cell was not run": (changed(4, execution_count=None), "notebook: cells run"),
    "cells were run out of order": (changed(2, execution_count=9), "notebook: cells run"),
    "a count is true": (changed(1, execution_count=True), "notebook: cells run"),
    "a cell failed": (changed(2, outputs=[ERROR]), "notebook: no error"),
    "the last cell failed after showing": (
        changed(4, outputs=[SENTINEL, ERROR]),
        "notebook: no error",
    ),
    "no results": (changed(4, outputs=[]), "notebook: results shown"),
    "empty results": (changed(4, outputs=[EMPTY]), "notebook: results shown"),
    "results too early": (changed(1, outputs=[SENTINEL]), "notebook: results shown"),
    "no cells": ({**NOTEBOOK, "cells": []}, "notebook: cells run"),
    "not a notebook": ({}, "notebook: results shown"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_notebook_is_refused_whatever_its_metadata_says(fault: str) -> None:
    book, check = BROKEN[fault]
    checks = notebook(book)
    assert check in failures(checks)
    sentence = next(c.sentence for c in checks if c.name == check)
    assert "run it again with `valuation report`" in sentence


def test_the_sentinel_is_the_one_that_notebooks_show() -> None:
    from valuation.sections import sentinel

    assert sentinel.RESULTS_MIME == RESULTS_MIME


def test_the_gate_imports_nothing_heavy() -> None:
    code = (
        "import sys; import valuation.gate;"
        "print(sorted({'numpy', 'pandas', 'pymc', 'xarray', 'nbformat'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"
