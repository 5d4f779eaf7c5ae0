"""What a reader moves in the page is what the model's own arithmetic gives at those terms."""

from __future__ import annotations

import re
import shutil
from typing import Any

import builders
import numpy as np
import pytest
from example_results import example_results
from test_page import CHROMIUM, notebook, opened

from valuation import decision, page, sections
from valuation.sections import words
from valuation.study import live
from valuation.value import cash_flows, npv, npv_financial, value

DEAL = builders.deal()
DRIVERS = builders.drivers(DEAL, draws=400)
COLUMNS, ABOUT = live.columns_of(DRIVERS, DEAL)


def priced(strategic: float, stake: float) -> Any:
    return builders.deal(discount={"strategic_per_year": strategic, "stake_per_year": stake})


@pytest.mark.parametrize(
    "rates", [(0.0, 0.0), (0.05, 0.2), (0.088, 0.12), (0.2, 0.05), (0.25, 0.25)]
)
def test_columns_give_the_value_of_every_draw_at_any_rates(rates):
    terms = priced(*rates)
    exact = npv(cash_flows(DRIVERS, terms), terms).to_numpy()
    scale = np.abs(exact).max()
    assert live.worth_of(COLUMNS, terms) == pytest.approx(exact, abs=1e-3 * scale)


def test_one_rate_for_all_is_the_hurdle_test():
    exact = npv(cash_flows(DRIVERS, DEAL), DEAL, rate=0.1).to_numpy()
    assert live.worth_of(COLUMNS, DEAL, rate=0.1) == pytest.approx(exact, abs=0.01)


def test_the_polynomial_is_exact_at_its_nodes_and_sums_to_one_between():
    for node, rate in enumerate(live.rate_nodes()):
        assert live.lagrange(float(rate)) == pytest.approx(np.eye(live.NODES)[node], abs=1e-12)
    assert live.lagrange(0.117).sum() == pytest.approx(1.0)
    quarters = np.arange(41) / 4
    table = (1.0 + live.rate_nodes()[:, None]) ** -quarters
    for rate in np.linspace(0.0, live.RATE_MAX, 51):
        assert live.lagrange(rate) @ table == pytest.approx((1.0 + rate) ** -quarters, abs=2e-4)


def test_packing_keeps_a_value_to_a_part_in_65_535_of_its_range():
    values = np.random.default_rng(1).normal(size=300)
    column = live._coded(values)
    half_step = np.ptp(values) / live.STEPS / 2
    assert live.decoded(column, 300) == pytest.approx(values, abs=1.01 * half_step)
    assert live.decoded(live._coded(np.full(5, 2.5)), 5).tolist() == [2.5] * 5


def test_the_shipped_chance_is_that_of_all_draws():
    told = live.packed({"house": DRIVERS}, DEAL, own="house", multiple=None)
    exact = value(DRIVERS, DEAL)
    for key, name in (("chance", "npv"), ("reached", "irr")):
        wanted = decision.probability(exact["pays_off"].sel(definition=name), exact["weight"]).value
        assert told["sets"]["house"][key] == pytest.approx(wanted, abs=1.0 / 400 + 1e-9)
    means = exact["present_value"].mean("draw")
    shares = live.lagrange(DEAL.discount.strategic_per_year)
    for name, at_nodes in told["sets"]["house"]["components"].items():
        assert shares @ at_nodes == pytest.approx(float(means.sel(component=name)), abs=2e-3)


def test_a_set_that_is_not_in_use_is_thinned_in_proportion_to_its_weights():
    weight = np.random.default_rng(2).gamma(0.5, size=5000)
    drivers = builders.drivers(DEAL, draws=5000)
    drivers["weight"] = ("draw", weight)
    told = live.packed({"house": DRIVERS, "other": drivers}, DEAL, own="house", multiple=None)
    other = told["sets"]["other"]
    assert other["draws"] == live.DRAWS_OTHER
    stake = live.decoded(other["columns"]["stake"], other["draws"]).mean()
    exact = decision.mean(live.columns_of(drivers, DEAL)[0]["stake"], weight)
    assert abs(stake - exact.value) < 4.0 * exact.mcse * np.sqrt(5000 / live.DRAWS_OTHER)


def test_draws_without_weight_are_left_out_and_unequal_ones_carry_theirs():
    drivers = DRIVERS.copy()
    weight = np.where(np.arange(400) < 100, 0.0, np.linspace(1.0, 2.0, 400))
    drivers["weight"] = ("draw", weight)
    house = live.packed({"house": drivers}, DEAL, own="house", multiple=None)["sets"]["house"]
    assert house["draws"] == 300
    kept = live.decoded(house["columns"]["weight"], 300)
    assert kept == pytest.approx(weight[100:] / 2.0, abs=1e-4)


def test_a_deal_without_a_stake_has_no_multiple_to_move():
    terms = builders.only("outlay", "talent", "integration_cost")
    told = live.packed({"house": DRIVERS}, terms, own="house", multiple=None)
    assert told["exit_years"] == 0.0
    html = sections.live(page_results(terms, told)).html
    assert 'id="live-multiple"' not in html
    assert 'id="live-rate"' in html


def page_results(terms: Any, told: dict[str, Any]) -> dict[str, Any]:
    """Results that agree with the draws that the page holds."""
    exact = value(DRIVERS, terms)
    parts = exact["present_value"].mean("draw")
    npvs = exact["npv"].to_numpy()
    chance = float((npvs > 0.0).mean())
    results = example_results()
    head = results["headline"] | {
        "probability": chance, "npv_mean": float(npvs.mean()),
        **{f"npv_{name}": float(decision.quantiles(npvs, q)) for name, q in
           (("median", 0.5), ("lower", 0.05), ("upper", 0.95))},
    }  # fmt: skip
    components = [
        {"component": str(name), "label": str(name), "mean": float(parts.sel(component=name)),
         "lower": 0.0, "upper": 0.0, "strategic": str(name) in terms.strategic}
        for name in parts["component"].to_numpy()
    ]  # fmt: skip
    definitions = [{"definition": "npv", "label": "NPV", "probability": chance, "mcse": 0.01}]
    return results | {
        "live": told, "headline": head, "components": components, "definitions": definitions,
    }  # fmt: skip


# In a browser.


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    assert (shutil.which("chromium") or shutil.which("chromium-browser")) == CHROMIUM
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


OTHER = builders.drivers(DEAL, draws=300, random_seed=5)


@pytest.fixture
def view(browser, tmp_path):
    told = live.packed({"house": DRIVERS, "sceptic": OTHER}, DEAL, own="house", multiple=8.0)
    results = page_results(DEAL, told)
    html = page.to_html(notebook(sections.live(results)), results)
    found, outside, said = opened(browser, tmp_path, html, viewport={"width": 1200, "height": 900})
    assert outside == []
    assert said == []
    yield found
    found.context.close()


def shown(view: Any) -> dict[str, float]:
    """Numbers of the sentence: chances in per cent, money in USD bn."""
    text = view.locator("#live-answer").inner_text().replace(words.MINUS, "-")
    numbers = {
        "chance": r"above 0 in (-?[\d.]+)%", "median": r"median is (-?USD [\d.]+)",
        "mean": r"mean (-?USD [\d.]+)", "reached": r"a year in (-?[\d.]+)%",
    }  # fmt: skip
    return {
        name: float(re.search(pattern, text)[1].replace("USD ", ""))
        for name, pattern in numbers.items()
    }


def expected(
    terms: Any, drivers: Any = DRIVERS, *, strategic: bool = True, scale: float = 1.0
) -> dict[str, float]:
    moved = drivers.copy()
    moved["stake_value"] = drivers["stake_value"] * scale
    flows = cash_flows(moved, terms)
    worth = (npv(flows, terms) if strategic else npv_financial(flows, terms)).to_numpy()
    return {
        "chance": 100 * float((worth > 0).mean()), "mean": float(worth.mean()),
        "median": float(decision.quantiles(worth, 0.5)),
    }  # fmt: skip


def agree(found: dict[str, float], wanted: dict[str, float]) -> None:
    for name, number in wanted.items():
        # A draw at the very edge may fall to either side once values are packed.
        room = 0.31 if name in ("chance", "reached") else 0.06
        assert abs(found[name] - number) <= room, (name, found, wanted)


def move(view: Any, name: str, number: float) -> None:
    view.locator(f"#live-{name}").fill(f"{number:g}")


@pytest.mark.browser
def test_at_the_shipped_terms_the_page_shows_what_the_results_say(view):
    agree(shown(view), expected(DEAL))
    assert "At the shipped terms" in view.locator("#live-answer").inner_text()
    rows = view.locator("#live-parts tbody tr").all()
    means = value(DRIVERS, DEAL)["present_value"].mean("draw")
    for row in rows[:-1]:
        part = row.get_attribute("data-part")
        told = float(row.locator("td").first.inner_text().replace(words.MINUS, "-"))
        assert abs(told - float(means.sel(component=part))) <= 0.051, part


@pytest.mark.browser
def test_moved_terms_give_what_the_models_own_arithmetic_gives(view):
    move(view, "rate", 15)
    move(view, "stake", 20)
    agree(shown(view), expected(priced(0.15, 0.20)))
    move(view, "multiple", 12)
    agree(shown(view), expected(priced(0.15, 0.20), scale=1.5))
    view.locator("#live-strategic").uncheck()
    agree(shown(view), expected(priced(0.15, 0.20), scale=1.5, strategic=False))
    view.locator("#live-reset").click()
    agree(shown(view), expected(DEAL))
    assert "At the shipped terms" in view.locator("#live-answer").inner_text()


@pytest.mark.browser
def test_prior_sets_are_mixed_as_draws_of_both(view):
    move(view, "set-house", 25)
    move(view, "set-sceptic", 75)
    one, two = expected(DEAL), expected(DEAL, OTHER)
    agree(shown(view), {n: 0.25 * one[n] + 0.75 * two[n] for n in ("chance", "mean")})
    assert view.locator("#live-set-sceptic-said").inner_text() == "75.0%"


@pytest.mark.browser
def test_the_hurdle_asks_for_the_return(view):
    move(view, "hurdle", 4)
    worth = npv(cash_flows(DRIVERS, DEAL), DEAL, rate=0.04).to_numpy()
    agree(shown(view), {"reached": 100 * float((worth >= 0).mean())})


@pytest.mark.browser
def test_terms_move_by_keyboard_and_the_answer_is_announced(view):
    before = shown(view)
    view.locator("#live-stake").focus()
    for _ in range(30):
        view.keyboard.press("ArrowLeft")
    assert shown(view)["mean"] > before["mean"]
    assert view.locator("#live-stake-said").inner_text() == "9.0 % a year"
    live_region = view.locator("#live-answer")
    assert live_region.get_attribute("aria-live") == "polite"
    unnamed = view.evaluate(
        "[...document.querySelectorAll('#live-controls input')].filter(i => !i.labels.length).length"
    )
    assert unnamed == 0


@pytest.mark.browser
def test_without_scripts_the_shipped_answer_stands_and_no_dead_control(browser, tmp_path):
    told = live.packed({"house": DRIVERS}, DEAL, own="house", multiple=8.0)
    html = page.to_html(notebook(sections.live(page_results(DEAL, told))), page_results(DEAL, told))
    found, _, _ = opened(browser, tmp_path, html, java_script_enabled=False)
    assert not found.locator("#live-controls").is_visible()
    assert found.locator("noscript").count() == 1
    assert "above 0 in" in found.locator("#live-answer").inner_text()
    assert len(found.locator("#live-parts tbody tr").all()) == len(DEAL.components) + 1
    found.context.close()


@pytest.mark.parametrize("rate", [-0.1, 0.4])
def test_rates_beyond_the_nodes_are_not_extrapolated(rate):
    from types import SimpleNamespace

    study = SimpleNamespace(deal=priced(rate, 0.1), prior_set="house")
    assert live.live_of(study) is None
    html = sections.live(example_results() | {"live": None}).html
    assert "live-controls" not in html
    assert "change its file" in html
