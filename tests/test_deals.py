"""Every shipped deal is valued by the same code, and a deal that is seen blind is seen blind."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from valuation import archive
from valuation.errors import ParameterError
from valuation.forecast import forecast
from valuation.ledger import load_ledger
from valuation.models import KINDS, joint
from valuation.params import load_deal, load_deals, scenarios_of
from valuation.report import told_notebooks
from valuation.sections.answer import ending_sentence, headline
from valuation.study import open_study
from valuation.study.answers import notes_of, told_deal
from valuation.value import value

ROOT = Path(__file__).resolve().parents[1]
DEALS = load_deals(ROOT)
BLIND = {name: deal for name, deal in DEALS.items() if deal.ending is not None}
SEED = 7
# What no module may know: the parties of each deal.
PACKAGE = ROOT / "valuation"


def prior_predictive(study: Any) -> Any:
    """Values under the priors alone: every part of the model and of the value, without a sampler."""
    context = joint.context_of(
        study.ledger, study.base_deal, study.book.get("house"), study.credibility
    )
    evidence = joint.bind(context, study.ledger.scored().iloc[:0], models=study.models)
    draws = joint.prior_draws(context, study.models, random_seed=SEED, draws=1000)
    drivers = forecast(evidence, draws, random_seed=SEED)
    return value(drivers, study.deal)


def test_at_least_one_deal_that_failed_and_one_that_paid_are_shipped() -> None:
    assert {deal.ending.paid_off for deal in BLIND.values() if deal.ending} == {True, False}
    assert any(deal.ending is None for deal in DEALS.values())


@pytest.mark.parametrize("name", DEALS)
def test_each_deal_is_valued_by_the_same_code(name: str) -> None:
    study = open_study(name, root=ROOT)
    values = prior_predictive(study)
    npv = values["npv"].to_numpy()
    assert np.isfinite(npv).all()
    assert np.ptp(npv) > 0
    chance = float(values["pays_off"].sel(definition=study.deal.headline).mean())
    assert 0.01 < chance < 0.99
    # No future loses much more than was paid, and the middle one is of the price's size.
    paid = study.deal.outlay.total_bn
    assert -2 * paid < float(np.median(npv)) < 5 * paid


@pytest.mark.parametrize("name", DEALS)
def test_each_row_of_each_deal_can_be_scored(name: str) -> None:
    study = open_study(name, root=ROOT)
    context = joint.context_of(
        study.ledger, study.base_deal, study.book.get("house"), study.credibility
    )
    evidence = joint.bind(context, study.ledger.scored(), models=study.models, draws=200)
    draws = joint.prior_draws(context, study.models, random_seed=SEED, draws=200)
    rows = joint.row_log_likelihood(evidence, draws)
    assert rows.shape == (200, len(study.ledger.scored()))
    assert np.isfinite(rows).all()


@pytest.mark.parametrize("name", DEALS)
def test_no_module_names_a_party_of_a_deal(name: str) -> None:
    deal = DEALS[name]
    parties = {deal.acquirer, deal.target, deal.founder}
    words = re.compile("|".join(rf"\b{re.escape(p)}\b" for p in sorted(parties)))
    for path in sorted(PACKAGE.rglob("*.py")):
        # The help of a command may show the shipped deal as its example.
        if path.parent.name == "cli":
            continue
        found = words.findall(path.read_text(encoding="utf-8"))
        assert not found, f"{path.relative_to(ROOT)} names {found}"


@pytest.mark.parametrize("name", BLIND)
def test_no_row_of_a_blind_replay_is_later_than_its_cut(name: str) -> None:
    ending = BLIND[name].ending
    assert ending is not None
    ledger = load_ledger(ROOT / BLIND[name].seeds, kinds=KINDS)
    late = [
        f"{table}: {day}"
        for table, column in (
            ("evidence", "published"),
            ("evidence", "event_date"),
            ("financials", "published"),
            ("base_rates", "published"),
            ("reference_deals", "outcome_date"),
            ("questions", "resolved"),
            ("people", "entry"),
            ("customers", "start"),
        )
        for day in getattr(ledger, table)[column]
        if isinstance(day, dt.date) and day > ending.as_of
    ]
    assert not late
    assert BLIND[name].closed < ending.as_of < ending.date
    # The deal itself is not among those that it is compared with.
    compared = zip(
        ledger.reference_deals["acquirer"], ledger.reference_deals["target"], strict=True
    )
    assert (BLIND[name].acquirer, BLIND[name].target) not in set(compared)


@pytest.mark.parametrize("name", BLIND)
def test_a_blind_replay_has_as_much_evidence_as_a_deal_deserves(name: str) -> None:
    study = open_study(name, root=ROOT)
    rows = study.ledger.evidence
    assert 15 <= len(rows) <= 40
    assert len(study.ledger.scored()) >= 10
    assert set(rows["source"]) <= set(study.ledger.sources["source"])
    with_address = study.ledger.sources.set_index("source")["address"].notna()
    assert with_address[sorted(set(rows["source"]))].mean() > 0.7


def otherwise(study: Any) -> Any:
    """The same study of a deal that went the other way."""
    ending = study.base_deal.ending
    other = ending.model_copy(
        update={
            "paid_off": not ending.paid_off,
            "told": "It went the other way",
            "date": ending.date,
        }
    )
    change = {"ending": other}
    return replace(
        study,
        base_deal=study.base_deal.model_copy(update=change),
        deal=study.deal.model_copy(update=change),
    )


@pytest.mark.parametrize("name", BLIND)
def test_the_ending_changes_no_draw_and_no_value(name: str) -> None:
    study = open_study(name, root=ROOT)
    other = otherwise(study)
    assert told_deal(study.deal)["ending"] != told_deal(other.deal)["ending"]
    assert study.posterior_key() == other.posterior_key()
    first, second = prior_predictive(study), prior_predictive(other)
    for key in ("npv", "pays_off", "moic", "irr"):
        np.testing.assert_array_equal(first[key].to_numpy(), second[key].to_numpy())


def test_no_layer_below_the_study_mentions_an_ending() -> None:
    below = (
        "models",
        "posterior",
        "ledger",
        "forecast",
        "value",
        "decision",
        "information",
        "update",
    )
    for name in below:
        paths = [PACKAGE / f"{name}.py", *sorted((PACKAGE / name).rglob("*.py"))]
        for path in (p for p in paths if p.is_file()):
            assert ".ending" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("name", BLIND)
def test_a_replay_is_dated_to_its_cut_and_says_that_it_is_one(name: str) -> None:
    study = open_study(name, root=ROOT)
    ending = study.base_deal.ending
    assert study.as_of == ending.as_of
    assert any(
        note.startswith("A blind replay: nothing published after") for note in notes_of(study)
    )
    assert not study.as_of_given


def test_the_page_says_what_happened_in_one_sentence_made_from_the_results() -> None:
    from example_results import example_results

    results = example_results()
    assert ending_sentence(results) == ""
    assert "What happened" not in headline(results).html
    results["deal"]["ending"] = {
        "as_of": "2012-11-19",
        "date": "2012-11-20",
        "paid_off": False,
        "told": "Big Co wrote <b>all</b> of it off.",
        "publisher": "Example Press",
        "address": "https://example.org/end",
    }
    said = ending_sentence(results)
    assert results["headline"]["natural"] in said
    assert "the deal did not pay off: Big Co wrote" in said
    assert said.endswith("off (Example Press, 20 November 2012).")
    page = headline(results).html
    assert "What happened." in page
    assert "&lt;b&gt;all&lt;/b&gt;" in page
    assert 'href="https://example.org/end"' in page


def test_one_deals_files_are_no_inputs_of_another() -> None:
    inputs = archive._present_inputs(ROOT, "meta_scale", "base")
    others = {deal.seeds for name, deal in DEALS.items() if name != "meta_scale"}
    assert others
    assert not [file for file in inputs if any(file.startswith(f"{o}/") for o in others)]
    for name, deal in BLIND.items():
        own = archive._present_inputs(ROOT, name, "base")
        assert f"{deal.seeds}/evidence.csv" in own
        assert "seeds/evidence.csv" not in own


def test_a_deal_runs_its_own_scenarios_and_notebooks() -> None:
    every = set(scenarios_of(DEALS["meta_scale"], ROOT))
    assert "founder_leaves" in every
    for name, deal in BLIND.items():
        assert set(scenarios_of(deal, ROOT)) == set(deal.scenarios) < every
        told = told_notebooks(ROOT, deal=name)
        assert "retention" in told
        assert "capability" not in told  # no row of these deals speaks of it
    assert "capability" in told_notebooks(ROOT)


def test_an_unknown_scenario_of_a_deal_is_named(project: Path) -> None:
    path = project / "params" / "deals" / "hp_autonomy.yaml"
    text = path.read_text(encoding="utf-8").replace("[base, sceptic_priors", "[base, sceptic_prior")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match=r"did you mean 'sceptic_priors'"):
        scenarios_of(load_deal("hp_autonomy", project), project)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"as_of": "2012-11-21"}, "must follow each other"),
        ({"date": "2031-01-01"}, "must follow each other"),
        ({"address": "javascript:alert(1)"}, "address"),
    ],
)
def test_an_ending_that_cannot_be_is_refused(
    project: Path, change: dict[str, str], words: str
) -> None:
    path = project / "params" / "deals" / "hp_autonomy.yaml"
    text = path.read_text(encoding="utf-8")
    head, tail = text.split("ending:")
    for key, new in change.items():
        tail = re.sub(rf"(?m)^  {key}: .*$", f'  {key}: "{new}"', tail, count=1)
    path.write_text(f"{head}ending:{tail}", encoding="utf-8")
    with pytest.raises(ParameterError, match=words):
        load_deal("hp_autonomy", project)


@pytest.mark.slow
def test_every_deal_is_fitted_reported_and_passes_its_checks_with_no_change_of_code() -> None:
    """And of those whose end is known, the one that paid had the better chance beforehand."""
    chances = {}
    for name in DEALS:
        study = open_study(name, root=ROOT)
        results = study.results
        assert all(row["passed"] for row in results["diagnostics"]), name
        chances[name] = results["headline"]["probability"]
        if study.base_deal.ending is None:
            continue
        told = json.dumps(results, ensure_ascii=False)
        for other in {*DEALS} - {name}:
            for party in (DEALS[other].target, DEALS[other].founder):
                assert party not in told, f"{name} speaks of {party}"
        again = otherwise(study).results
        for key in set(results) - {"run", "deal"}:
            assert again[key] == results[key], key
        assert again["deal"]["ending"] != results["deal"]["ending"]
    paid = [chances[name] for name, deal in BLIND.items() if deal.ending and deal.ending.paid_off]
    failed = [
        chances[name] for name, deal in BLIND.items() if deal.ending and not deal.ending.paid_off
    ]
    assert min(paid) > max(failed)
