"""A deal is in one currency: it is stated once, reaches every word and number, and nothing is converted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import small_world as world
from test_page import notebook, shown_by
from test_sections import REPORT
from test_study import stand_ins

from valuation import currency, page, sections
from valuation.cli.replay import table
from valuation.errors import LedgerError, ParameterError
from valuation.ledger import load_ledger
from valuation.models import KINDS, kinds_in
from valuation.params import load_deal, load_priors, load_scenario
from valuation.params.deals import MONEY, Deal
from valuation.params.reading import Document, validate
from valuation.report.summary import summary
from valuation.study import open_study, stored
from valuation.study.moves import explored, levers

DOLLARS = re.compile(r"usd|\$|dollar", re.IGNORECASE)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Studies of this file take stand-ins for posteriors, and keep no results."""
    with stand_ins() as patch:
        patch.setattr(stored, "load_or_make", lambda path, make: make())
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small world, its amounts in euro; tests do not write to it."""
    return world.project(tmp_path_factory.mktemp("euro") / "project", currency="EUR")


@pytest.fixture(scope="module")
def results(home: Path) -> dict[str, Any]:
    conditions = [{"driver": "revenue", "at": "2027-12-31", "above": 0.3}]
    scenario = {
        "scenario": "test",
        "title": "Test",
        "story": "Of a test.",
        "conditions": conditions,
        "terms": {"outlay": {"equity_eur_bn": 9.0}},
    }
    return open_study("test_deal", scenario, root=home).results


def told(found: Any) -> Iterator[str]:
    """Every key and every text of plain data, but packed draws, whose letters say nothing."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield str(key)
            if key != "data" or not isinstance(value, str):
                yield from told(value)
    elif isinstance(found, list | tuple):
        for item in found:
            yield from told(item)
    elif isinstance(found, str):
        yield found


def test_no_dollar_is_in_the_results_of_a_deal_in_euro(results: dict[str, Any]) -> None:
    assert not [text for text in told(results) if DOLLARS.search(text)]
    texts = set(told(results))
    assert {"EUR bn", "EUR bn per year", "talent_pool_eur_bn", "outlay_eur_bn"} <= texts
    assert "outlay equity eur bn: 9.0 instead of 9.5" in texts


def test_no_dollar_is_on_the_page_or_in_the_summary_of_a_deal_in_euro(
    results: dict[str, Any],
) -> None:
    html = page.to_html(notebook(*shown_by(REPORT, results)), results)
    # The page's own script and its style are the same for all deals.
    shown = re.sub(r"<style.*?</style>|<script>.*?</script>", "", html, flags=re.DOTALL)
    shown = re.sub(r'"data":"[^"]*"', "", shown)  # packed draws
    assert not DOLLARS.findall(shown)
    assert "EUR 9.5 bn" in shown
    assert "Net present value, EUR bn" in shown
    assert '"currency":"EUR"' in shown
    said = summary([results])
    assert not DOLLARS.search(said)
    assert "EUR" in said


def test_no_dollar_is_in_what_moves_and_replays_say_of_a_deal_in_euro(home: Path) -> None:
    study = open_study("test_deal", root=home)
    answer = {"deal": {"currency": "EUR"}, "explored": explored(study), "levers": levers(study)}
    html = sections.exploration(answer).html
    assert "mean, EUR bn" in html
    assert not DOLLARS.search(html)
    quantities = [
        {"name": "npv", "label": "NPV", "unit": "EUR bn", "group": "value"},
        {"name": "p", "label": "Pays off", "unit": "probability", "group": "definition"},
    ]
    lines = table({"quantities": quantities, "headline": "p", "points": []})
    assert "NPV, EUR bn" in lines[0]


@pytest.mark.parametrize("code", ["USD", "EUR", "JPY", "GBP"])
def test_every_name_of_money_is_spelled_and_read_back(code: str) -> None:
    for name in MONEY:
        assert currency.neutral(currency.spelled(name, code)) == (name, code)
    for kind in kinds_in(code).values():
        assert currency.currency_of(kind.unit) in (None, code)
        assert currency.without(kind.unit) == KINDS[kind.name].unit


@pytest.mark.parametrize(
    ("code", "size"), [("USD", 1), ("EUR", 1), ("JPY", 100), ("KRW", 1000), ("IDR", 10_000)]
)
def test_what_money_may_be_at_most_goes_with_the_size_of_its_unit(
    home: Path, code: str, size: float
) -> None:
    assert currency.scale(code) == size
    figure = kinds_in(code)["revenue"].check
    assert figure(1000.0 * size, 0.05) is None
    assert f"at most {1000 * size}; check the unit" in str(figure(1001.0 * size, 0.05))
    # An index or a rank has no currency.
    assert kinds_in(code)["lab_rank"].check == KINDS["lab_rank"].check
    given = load_deal("test_deal", home).model_dump()
    given |= {"currency": code, "outlay": {"equity_bn": 1000.0 * size, "other_bn": 0.0}}
    deal = validate(Deal, Document("deal", given, currency=code))
    assert deal.outlay.total_bn == 1000 * size
    given["outlay"]["equity_bn"] = 6800.0 * size
    said = rf"outlay.equity_{code.lower()}_bn: .* is not between 0 and {1000 * size} \({code} bn\); check"
    with pytest.raises(ParameterError, match=said):
        validate(Deal, Document("deal", given, currency=code))


def test_a_scenario_may_change_a_term_to_what_its_deal_may_have() -> None:
    terms = {"scenario": "s", "title": "S", "story": "S."}
    read = load_scenario(terms | {"terms": {"outlay": {"equity_jpy_bn": 6800.0}}})
    assert read.terms["outlay"] == {"equity_jpy_bn": 6800.0}
    with pytest.raises(ParameterError, match=r"between 0 and 1000 \(USD bn\)"):
        load_scenario(terms | {"terms": {"outlay": {"equity_usd_bn": 6800.0}}})


def test_every_size_of_a_unit_is_of_a_currency() -> None:
    assert set(currency.MAGNITUDES) < currency.CODES


@pytest.mark.parametrize("text", ["index points", "x revenue", "per month", "0 or 1", ""])
def test_what_is_no_money_has_no_currency(text: str) -> None:
    assert currency.unit_in(text, "EUR") == currency.without(text) == text
    assert currency.currency_of(text) is None


def changed(home: Path, folder: Path, file: str, old: str, new: str) -> Path:
    import shutil

    place = shutil.copytree(home, folder / "project")
    path = place / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return place


def test_an_amount_of_a_deal_in_another_currency_is_refused_with_its_line(
    home: Path, tmp_path: Path
) -> None:
    place = changed(home, tmp_path, "params/deals/test_deal.yaml", "equity_eur_bn", "equity_usd_bn")
    with pytest.raises(ParameterError) as refused:
        load_deal("test_deal", place)
    assert re.search(
        r"test_deal\.yaml:\d+:\d+: outlay\.equity_usd_bn: is in USD, and the deal is in EUR; "
        r"write equity_eur_bn, in EUR: no exchange rate is made up$",
        str(refused.value),
    )


def test_an_amount_without_its_currency_is_refused(home: Path, tmp_path: Path) -> None:
    place = changed(home, tmp_path, "params/deals/test_deal.yaml", "equity_eur_bn", "equity_bn")
    with pytest.raises(
        ParameterError, match=r"equity_bn: carries no currency.*write equity_eur_bn"
    ):
        load_deal("test_deal", place)


def test_an_unknown_currency_is_refused_with_its_line_and_the_nearest(
    home: Path, tmp_path: Path
) -> None:
    place = changed(home, tmp_path, "params/deals/test_deal.yaml", "currency: EUR", "currency: eur")
    with pytest.raises(ParameterError) as refused:
        load_deal("test_deal", place)
    assert re.search(
        r"test_deal\.yaml:\d+:\d+: currency: 'eur' is not a currency of ISO 4217; did you mean .*EUR",
        str(refused.value),
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "talent_pool_eur_bn:\n    label",
            "talent_pool_usd_bn:\n    label",
            r"talent_pool_usd_bn: is in USD, and the deal is in EUR; write talent_pool_eur_bn",
        ),
        (
            "unit: EUR bn",
            "unit: USD bn",
            r"unit: 'USD bn.*' is not the deal's currency; write 'EUR bn",
        ),
        (
            "unit: EUR bn per year",
            "unit: USD billion per year",
            r"unit: 'USD billion per year' is not the deal's currency; write 'EUR bn' or 'EUR bn per",
        ),
        (
            "unit: EUR bn",
            "unit: m EUR",
            r"unit: 'm EUR.*' is no unit of a model; write 'EUR bn' or",
        ),
    ],
)
def test_priors_in_another_currency_are_refused_with_their_line(
    home: Path, tmp_path: Path, old: str, new: str, words: str
) -> None:
    place = changed(home, tmp_path, "params/priors.yaml", old, new)
    with pytest.raises(ParameterError, match=rf"priors\.yaml:\d+:\d+: .*{words}"):
        load_priors(place / "params" / "priors.yaml", "EUR")


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (
            "evidence.csv", "0.9,0.1,EUR bn", "0.9,0.1,GBP bn",
            r"the deal is in EUR and no exchange rate is made up: give the amount in 'EUR bn'",
        ),
        (
            "financials.csv", "credibility,note\n",
            "credibility,note\nMaker,2024-01-01,2024-12-31,revenue,1,GBP bn,,paper,2025-01-31,B,\n",
            r"unit 'GBP bn' in a deal in EUR: no exchange rate is made up; give the amount in the deal's",
        ),
        (
            "financials.csv", "credibility,note\n",
            "credibility,note\nMaker,2024-01-01,2024-12-31,revenue,1,USD million,,paper,2025-01-31,B,\n",
            r"unit 'USD million' in a deal in EUR: no exchange rate is made up",
        ),
    ],
)  # fmt: skip
def test_rows_in_another_currency_are_refused_with_their_line(
    home: Path, tmp_path: Path, file: str, old: str, new: str, words: str
) -> None:
    place = changed(home, tmp_path, f"seeds/{file}", old, new)
    with pytest.raises(LedgerError, match=rf"{file.removesuffix('.csv')}\.csv:\d+: .*{words}"):
        load_ledger(place / "seeds", kinds=kinds_in("EUR"))


def test_terms_of_a_scenario_are_in_the_currency_of_the_deal_that_they_meet(home: Path) -> None:
    blank = {"scenario": "test", "title": "Test", "story": "Of a test."}
    deal = load_deal("test_deal", home)
    cheap = load_scenario({**blank, "terms": {"outlay": {"equity_eur_bn": 1.0}}})
    assert cheap.resolve(deal).outlay.equity_bn == 1.0
    other = load_scenario({**blank, "terms": {"outlay": {"equity_usd_bn": 1.0}}})
    with pytest.raises(
        ParameterError, match=r"terms\.outlay\.equity_usd_bn: is in USD, and the deal is in EUR"
    ):
        other.resolve(deal)


def test_results_say_each_amount_in_the_currency_of_their_deal(results: dict[str, Any]) -> None:
    assert results["deal"]["outlay_eur_bn"] == pytest.approx(9.5)
    assert any(row["price_eur_bn"] == pytest.approx(9.5) for row in results["price"])
    assert {"price_eur_bn", "cost_eur_bn"} <= set(results["options"]["choices"][0])
    assert {"waiting_eur_bn", "cost_eur_bn"} <= set(results["information"]["disclosures"][0])
    assert {row["unit"] for row in results["tornado"]} <= {
        "EUR bn",
        "EUR bn per year",
        "fraction",
        "x revenue",
        "index points",
        "months",
        "0 or 1",
        "probability",
        "",
    }
