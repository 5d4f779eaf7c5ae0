"""Sections: numbers as given, words that fit them, text that stays text."""

from __future__ import annotations

import copy
import itertools
import json
import re
from functools import cache
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from example_results import (
    conditional_results,
    example_comparison,
    example_method_results,
    example_model_results,
    example_results,
    example_scores,
)
from example_update import (
    empty_update,
    example_update,
    many_items_update,
    refitted_update,
    tiny_update,
)

from valuation import page, plots, sections
from valuation.errors import RunError
from valuation.sections import words
from valuation.sections.parts import Html, esc, link, table

REPORT = [
    "headline",
    "scenario_banner",
    "definitions",
    "npv",
    "waterfall",
    "cash",
    "price",
    "hurdle",
    "live",
    "tornado",
    "break_even",
    "options",
    "waiting",
    "knowing",
    "opinion",
    "outside_view",
    "questions",
    "drivers",
    "people",
    "customers",
    "shrinkage",
    "evidence",
    "evidence_overview",
    "assumptions",
    "diagnostics",
    "provenance",
]
MODEL = ["model_header", "prior_posterior", "curves", "predictive", "model_rows", "model_summary"]
COMPARISON = ["scenario_figure", "scenario_table", "definitions_table", "components_table"]
SCORES = ["score_record", "score_backtest", "score_calibration", "questions"]
GENERAL = ["method_money", "method_update", "method_worth", "method_sources"]
METHOD = ["method_models", "method_evidence", "method_calibration", "method_coverage"]
NEWS = [
    "news_headline",
    "news_items",
    "news_quantities",
    "news_drivers",
    "history",
    "news_rows",
    "news_method",
]
UPDATES = [example_update, refitted_update, tiny_update, empty_update, many_items_update]

EVERY = (
    [(name, example_results) for name in REPORT]
    + [(name, conditional_results) for name in REPORT]
    + [(name, example_model_results) for name in MODEL]
    + [(name, example_comparison) for name in COMPARISON]
    + [(name, example_method_results) for name in METHOD]
    + [(name, example_scores) for name in SCORES]
    + list(itertools.product(NEWS, UPDATES))
)


def over(pairs):
    names = [f"{name}-{builder.__name__}" for name, builder in pairs]
    return pytest.mark.parametrize(("name", "builder"), pairs, ids=names)


each_section = over(EVERY)

PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)</script>',
    "'><svg onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "</svg><script>alert(1)</script>",
    "<!--<img src='--><img src=x onerror=alert(1)//'>",
    "]]><script>alert(1)</script>",
    "<iframe src=javascript:alert(1)>",
    "[click](javascript:alert(1))",
    "| forged | row |\n|---|---|\n| 1 | 2 |",
    "<style>*{display:none}</style>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<a href='javascript:alert(1)'>x</a>",
    "\x00<scr\x00ipt>alert(1)</scr\x00ipt>",
    "$\\href{javascript:alert(1)}{x}$ ${{7*7}} {{7*7}}",
)
ADDRESSES = (
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "//evil.example/x",
    "https://",
    "http://[broken",
    'https://example.org/" onmouseover="alert(1)',
    "https://example.org/\njavascript:alert(1)",
)
ALLOWED_TAGS = {
    "section", "h2", "h3", "p", "strong", "ul", "li", "span", "dl", "dt", "dd", "div", "figure",
    "figcaption", "details", "summary", "table", "caption", "thead", "tbody", "tr", "th", "td", "time", "a",
    "pre", "code", "svg", "title", "desc", "defs", "g", "path", "text", "use", "clippath", "rect",
}  # fmt: skip
# What only the terms that a reader may move are made of; its script is data.
CONTROLS = {"button", "fieldset", "input", "label", "legend", "noscript", "output", "script"}


class Reader(HTMLParser):
    """Tags, attributes and text as a browser sees them."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend((tag, key, value or "") for key, value in attrs)

    def handle_data(self, data):
        self.words.append(data)


def parse(html):
    reader = Reader()
    reader.feed(html)
    return reader


def text_of(html):
    return " ".join(" ".join(parse(html).words).split())


def show(name, results):
    return getattr(sections, name)(results["history"] if name == "history" else results)


@cache
def shown(name, builder):
    """Drawn once for the tests that only look."""
    results = builder()
    return past(json.dumps(results["history"])) if name == "history" else show(name, results)


@cache
def past(told):
    """The history, which all updates share."""
    return sections.history(json.loads(told))


def poisoned(value, payload, keep=()):
    """The same structure with ``payload`` joined to every string that a person may have written."""
    if isinstance(value, dict):
        return {
            key: item if key in keep else poisoned(item, payload, keep)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [poisoned(item, payload, keep) for item in value]
    return f"{value}{payload}" if isinstance(value, str) else value


# What the code reads as a date, a unit or a name to look up; the rest a person may have written.
READ = (
    "as_of",
    "created",
    "day",
    "newest",
    "dates",
    "units",
    "unit",
    "definition",
    "status",
    "published",
    "probability_in_post",
    "probability_active",
    "component",
)
READ_OF_NEWS = (
    "as_of", "bucket", "created", "dates", "day", "driver", "every", "group", "headline", "made", "method",
    "name", "newest", "published", "scenario", "unit", "what",
)  # fmt: skip


# Drawing twice takes its time: tests/test_page.py draws whole pages of the others again.
DRAWN_AGAIN = (example_method_results, example_scores, example_update)


@each_section
def test_the_same_results_give_the_same_section(name, builder, monkeypatch):
    if builder in DRAWN_AGAIN:
        assert show(name, builder()).html == shown(name, builder).html
    monkeypatch.setattr(plots, "draw_svg", bare_drawing)
    assert show(name, builder()).html == show(name, builder()).html


@each_section
def test_a_section_leaves_its_results_as_they_were(name, builder, monkeypatch):
    monkeypatch.setattr(plots, "draw_svg", bare_drawing)
    results = builder()
    before = copy.deepcopy(results)
    show(name, results)
    assert results == before


@each_section
def test_a_section_has_one_heading_and_says_what_it_shows(name, builder):
    section = shown(name, builder)
    reader = parse(section.html)
    assert reader.tags[:2] == ["section", "h2"]
    assert reader.tags.count("h2") == 1
    assert re.fullmatch(r"[a-z0-9-]+", section.id)
    assert section.title
    assert section.summary
    assert section.figures == reader.tags.count("figure")
    assert set(reader.tags) <= ALLOWED_TAGS | (CONTROLS if name == "live" else set())


@each_section
def test_every_figure_has_a_reading_an_alternative_and_its_data(name, builder):
    for figure in re.findall(r"<figure.*?</figure>", shown(name, builder).html, re.DOTALL):
        assert re.search(r"<title[^>]*>[^<]+</title>", figure)
        assert re.search(r"<desc[^>]*>[^<]{20,}</desc>", figure)
        assert re.search(r"<figcaption>[^<]{20,}</figcaption>", figure)
        assert "<summary>Data behind this figure</summary>" in figure
        assert re.search(r"<details>.*<tbody><tr>", figure)


@each_section
def test_no_text_runs_into_the_next(name, builder):
    """Spaces at the ends of escaped parts are dropped, so that words could touch a tag."""
    assert not re.search(
        r"[a-z0-9,;:)]<(?:strong|code|span class=.vl-id)", shown(name, builder).html
    )
    assert not re.search(r"</(?:strong|code)>[A-Za-z0-9(]", shown(name, builder).html)


@each_section
def test_every_table_has_a_caption_and_scoped_heads(name, builder):
    html = shown(name, builder).html
    assert html.count("<table") == html.count("<caption")
    for head in re.findall(r"<th\b[^>]*>", html):
        assert "scope=" in head


@each_section
def test_ids_are_unique_and_every_label_is_met(name, builder):
    reader = parse(shown(name, builder).html)
    ids = [value for _, key, value in reader.attributes if key == "id"]
    assert len(set(ids)) == len(ids)
    for _, key, value in reader.attributes:
        if key == "aria-labelledby":
            assert set(value.split()) <= set(ids)


def bare_drawing(draw, id, title, desc, *, width, height):
    """A figure without its drawing, which takes most of the time and has tests of its own."""
    root = ElementTree.Element("svg")
    for name, text in (("title", title), ("desc", desc)):
        ElementTree.SubElement(root, name, id=f"{id}-{name}").text = plots.plain(text)
    return ElementTree.tostring(root, encoding="unicode")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_text_in_any_field_is_shown_and_never_obeyed(payload, monkeypatch):
    monkeypatch.setattr(plots, "draw_svg", bare_drawing)
    never_obeyed(payload)


def test_hostile_text_in_any_drawing_is_shown_and_never_obeyed():
    never_obeyed("".join(PAYLOADS[:7]))


def never_obeyed(payload):
    for builder, names, read in (
        (conditional_results, REPORT, READ),
        (example_model_results, MODEL, READ),
        (example_comparison, COMPARISON, READ),
        (example_update, NEWS, READ_OF_NEWS),
    ):
        results = poisoned(builder(), payload, read)
        for name in names:
            html = show(name, results).html
            reader = parse(html)
            allowed = ALLOWED_TAGS | (CONTROLS if name == "live" else set())
            assert set(reader.tags) <= allowed, (name, set(reader.tags) - allowed)
            scripts = [value for tag, key, value in reader.attributes if tag == "script"]
            assert scripts == (["application/json", "live-data"] if name == "live" else [])
            for tag, key, value in reader.attributes:
                assert not key.startswith("on"), (name, tag, key)
                if key in ("href", "src"):
                    assert value.startswith(("#", "https://example.org/")), (name, value)
            assert "\x00" not in html


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_hostile_claim_adds_no_row(payload):
    results = example_results()
    rows = sections.evidence(results).html.count("<tr>")
    results["evidence"][0]["claim"] = payload
    assert sections.evidence(results).html.count("<tr>") == rows


def test_a_hostile_claim_is_readable_as_written():
    results = example_results()
    results["evidence"][0]["claim"] = "Paid <b>$14.3 bn</b> & more | less"
    assert "Paid <b>$14.3 bn</b> & more | less" in text_of(sections.evidence(results).html)


@pytest.mark.parametrize("address", ADDRESSES)
def test_only_plain_web_addresses_become_links(address):
    reader = parse(link(address, "Example News"))
    assert reader.tags == []
    assert reader.words == ["Example News"]


def test_a_link_shows_its_text_and_tells_nobody_where_the_reader_came_from():
    html = link("https://example.org/a?b=1&c=2", "Example <News>")
    assert html == (
        '<a href="https://example.org/a?b=1&amp;c=2" rel="noopener noreferrer">'
        "Example &lt;News&gt;</a>"
    )


def test_markup_of_our_own_passes_and_text_does_not():
    assert esc(Html("<b>x</b>")) == "<b>x</b>"
    assert esc("<b>x</b>") == "&lt;b&gt;x&lt;/b&gt;"


def test_a_row_of_the_wrong_length_is_refused():
    from valuation.sections.parts import columns

    with pytest.raises(ValueError, match="zip"):
        table("t", columns("a", "b"), [("only one",)])


# The answer.


def test_the_headline_says_the_numbers_of_its_results():
    results = example_results()
    head = results["headline"]
    said = text_of(sections.headline(results).html)
    assert f"About {head['natural']}" in said
    assert f"about {head['natural'].replace(' in ', ' of ')} simulated futures" in said
    assert words.percent(head["probability"], head["mcse"]) in said
    assert "6% to 41%" in said
    assert words.npv_money(head, "npv_median", "USD bn") in said
    assert "28 February 2026" in said
    assert "net present value above zero, strategic value included" in said
    assert "Uplift at the frontier" in said
    assert "27 of 40 dated claims" in said


@pytest.mark.parametrize(
    ("chance", "natural", "word"),
    [
        (0.004, "fewer than 1 in 100", "exceptionally unlikely"),
        (0.05, "5 in 100", "very unlikely"),
        (0.17, "17 in 100", "unlikely"),
        (0.5, "50 in 100", "about as likely as not"),
        (0.8, "80 in 100", "likely"),
        (0.95, "95 in 100", "very likely"),
    ],
)
def test_the_word_fits_the_chance(chance, natural, word):
    results = example_results()
    results["headline"] |= {"probability": chance, "natural": natural}
    section = sections.headline(results)
    assert f" is {word} to pay off" in section.summary
    assert natural.replace(" in ", " of ") in section.summary
    assert words.in_hundred(chance) == natural


def test_a_condition_opens_the_sentence_and_its_chance_is_reported():
    results = conditional_results()
    results["scenario"]["sets"] = []
    assert sections.headline(results).summary.startswith(
        "If the founder leaves before 12 June 2027, on what was public by 28 February 2026, "
    )
    assert "23 in 100" in text_of(sections.scenario_banner(results).html)


def test_evidence_is_said_to_repeat_only_where_some_does():
    results = example_results()
    said = text_of(sections.headline(results).html)
    assert (
        "27 of 40 dated claims bear on the answer; 8 are shown as background and the rest" in said
    )
    results["evidence_counts"] = {"total": 2, "typed": 1, "scored": 1, "context": 1}
    said = text_of(sections.headline(results).html)
    assert "1 of 2 dated claims bears on the answer; 1 is shown as background." in said


def test_what_is_set_is_called_an_assumption_and_not_a_prediction():
    results = conditional_results()
    assert "set by assumption and not predicted" in sections.headline(results).summary
    banner = text_of(sections.scenario_banner(results).html)
    assert "Set by assumption, not predicted:" in banner
    assert "multiplied by 0.5" in banner


def test_an_override_is_printed_with_its_reason_and_what_failed():
    results = example_results()
    results["run"]["override"] = "the board meets tonight"
    results["diagnostics"][0] |= {"passed": False, "sentence": "Largest R-hat is 1.04"}
    said = text_of(sections.headline(results).html)
    assert "Published although checks failed. Reason given: the board meets tonight." in said
    assert "Largest R-hat is 1.04." in said
    assert "1 of 3 checks fail" in text_of(sections.diagnostics(results).html)


def test_components_that_do_not_add_up_to_the_mean_are_refused():
    results = example_results()
    results["components"][1]["mean"] += 1.0
    with pytest.raises(RunError, match="must come from the same draws"):
        sections.waterfall(results)


def test_a_section_without_its_results_says_what_is_missing():
    results = example_results()
    del results["cash"]
    with pytest.raises(RunError, match="results have no 'cash'"):
        sections.cash(results)


def test_the_price_that_makes_it_even_is_read_off_the_curve():
    results = example_results()
    results["price"] = [
        {"price_usd_bn": float(p), "probability": 1 - p / 20} for p in range(0, 21, 5)
    ]
    summary = sections.price(results).summary
    assert "At the price paid, USD 14.3 bn, the chance is 28%" in summary or "29%" in summary
    assert "even at about USD 10.0 bn" in summary or "even at about USD 10 bn" in summary


def test_a_price_that_never_is_even_is_said_to_be_so():
    results = example_results()
    for row in results["price"]:
        row["probability"] = 0.1
    assert "No price shown here makes it even." in sections.price(results).summary


def test_every_claim_is_shown_once_and_says_whether_it_counts():
    results = example_results()
    html = sections.evidence(results).html
    for row in results["evidence"]:
        assert html.count(f">{row['id']}<") == 1
    assert html.count(">Counted<") == 27
    assert html.count("Background: shown, not counted") == 8
    assert html.count("Not counted: repeats or is replaced") == 5


def test_a_claim_that_counts_says_what_it_does_to_the_chance_if_that_was_asked():
    results = example_results()
    first, second, *_ = (row["id"] for row in results["evidence"] if row["scored"])
    rows = results["opinion"]["influence"]["rows"]
    rows[0] |= {"id": first, "change": 0.017, "mcse": 0.0008}
    rows[-1] |= {"id": second}  # whose weights cannot be trusted
    html = sections.evidence(results).html
    told = {
        row: text_of(html[html.index(f">{row}<") :].split("</tr>")[0]) for row in (first, second)
    }
    assert told[first].endswith("−1.7 points")  # without it the chance would be higher
    assert told[second].endswith("not known")
    results["opinion"]["influence"] = None
    assert "Effect on the chance" not in sections.evidence(results).html


def test_what_is_taken_as_given_is_listed_with_its_origin_and_judgement_is_counted():
    told = sections.assumptions(example_results())
    assert told.summary == (
        "The answer takes 2 terms from the deal's file and 2 priors (house); "
        "1 of the terms and 1 of the priors are called judgement."
    )
    text = text_of(told.html)
    assert "Stake is sold after 7 years judgement: no exit right is known" in text
    assert "This scenario has other terms than the file: Written down or not by." in text
    assert "31 December 2028 changed by the scenario" in text
    assert "6.8 x revenue 1.9 to 23 Listed peers. Source: C62, 28 February 2026." in text
    assert "Source: judgement, 1 March 2026, Ann Example." in text


# Words.


@pytest.mark.parametrize(
    ("chance", "error", "text"),
    [
        (0.1734, 0.006, "17%"),
        (0.1734, 0.0008, "17.3%"),
        (0.1734, None, "17%"),
        (0.0, 0.0, "under 1%"),
        (1.0, 0.0, "over 99%"),
        (0.0, None, "0%"),
        (0.002, 0.001, "under 1%"),
        (0.998, 0.001, "over 99%"),
        (1.0, None, "100%"),
        (float("nan"), None, "–"),
    ],
)
def test_a_chance_shows_no_digit_that_its_error_does_not_support(chance, error, text):
    assert words.percent(chance, error) == text


@pytest.mark.parametrize(
    ("error", "digits"), [(0.6, 0), (2.0, 0), (0.06, 1), (0.2, 1), (0.02, 2), (1e-9, 2), (None, 1)]
)
def test_the_last_digit_is_worth_at_least_half_the_error(error, digits):
    assert words.decimals(error) == digits


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (14.3, 1, "USD 14.3 bn"),
        (-5.16, 1, "−USD 5.2 bn"),
        (-0.04, 1, "USD 0.0 bn"),
        (1234.5, 0, "USD 1,234 bn"),
    ],
)
def test_money_is_written_one_way(value, digits, text):
    assert words.money("USD bn", value, digits) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.34, "fraction", "34%"),
        (0.0123, "fraction", "1.2%"),
        (1.5, "USD bn per year", "USD 1.5 bn per year"),
        (-13.2, "USD bn", "−USD 13 bn"),
        (18.0, "index points", "18 index points"),
        (3.2, "0 or 1", "3.2"),
        (None, "months", "–"),
        (float("inf"), "months", "–"),
    ],
)
def test_a_quantity_carries_its_unit(value, unit, text):
    assert words.quantity(value, unit) == text


def test_dates_are_spelled_out_in_prose_and_impossible_ones_left_alone():
    assert words.long_date("2025-06-12") == "12 June 2025"
    assert words.spell_dates("by 2026-02-28 or 2026-02-31") == "by 28 February 2026 or 2026-02-31"


def test_a_name_keeps_its_capital_inside_a_sentence():
    assert words.clause("Alexandr Wang leaves.") == "Alexandr Wang leaves"
    assert words.clause("The founder leaves.") == "the founder leaves"
    assert words.clause("NPV falls.") == "NPV falls"


# The last cell.


def test_the_last_cell_carries_the_results_and_their_digest():
    results = example_results()
    bundle = sections.finish(results)._repr_mimebundle_()
    held = bundle[sections.RESULTS_MIME]
    assert held["results"] == results
    assert held["digest"] == sections.digest_of(json.loads(json.dumps(held["results"])))
    assert held["digest"][:12] in bundle["text/plain"]


def test_the_order_of_keys_does_not_move_the_digest_and_a_number_does():
    results = example_results()
    turned = dict(reversed(results.items()))
    assert sections.digest_of(turned) == sections.digest_of(results)
    turned["as_of"] = "2026-03-01"
    assert sections.digest_of(turned) != sections.digest_of(results)


@pytest.mark.parametrize("hole", [float("nan"), float("inf"), float("-inf")])
def test_results_with_a_hole_are_refused_by_name(hole):
    results = example_results()
    results["price"][3]["probability"] = hole
    with pytest.raises(RunError, match=r"results\.price\.3\.probability is not a finite number"):
        sections.finish(results)


def test_a_second_model_joins_the_results_under_its_name():
    model = example_model_results()
    held = sections.finish(model, integration={"model": "integration"})
    assert held.results["integration"] == {"model": "integration"}
    assert held.results["model"] == "retention"


def test_two_models_fit_on_one_page(monkeypatch):
    monkeypatch.setattr(plots, "draw_svg", bare_drawing)
    first = example_model_results()
    second = first | {"model": "integration"}
    ids = [
        value
        for model in (first, second)
        for name in MODEL
        for _, key, value in parse(show(name, model).html).attributes
        if key == "id"
    ]
    assert len(set(ids)) == len(ids)


def test_changed_terms_are_said_in_the_lead_the_banner_the_kicker_and_the_table():
    results = example_results()
    told = "stake discount rate: 20% instead of 12%"
    results["scenario"] |= {"scenario": "dear", "title": "Dear money", "terms": [told]}
    assert told in sections.headline(results).summary
    assert told in sections.scenario_banner(results).html
    assert "Nothing is supposed" not in sections.scenario_banner(results).html
    assert told in page.kicker(results)
    comparison = {"deal": results["deal"], "scenarios": [example_results(), results]}
    table = sections.scenario_table(comparison).html
    assert "changed terms" in table
    assert told in table
    assert table.count("as the evidence stands") == 1


def test_notes_stand_between_the_cards_and_the_dots():
    results = example_results() | {"notes": ["The newest evidence is from 2026-02-01"]}
    html = sections.headline(results).html
    place = html.index("The newest evidence is from 1 February 2026.")
    assert html.index("vl-cards") < place < html.index("figure-dots")


def test_the_age_of_the_evidence_is_told_for_the_day_on_which_a_page_was_made():
    said = "The newest evidence is of 28 February 2026"
    results = example_results()
    assert (
        f"{said}, 1 day before this was made on 1 March 2026: what happened since has not been read."
        in text_of(sections.headline(results).html)
    )
    fresh = results["freshness"] | {"day": "2026-02-28", "days": 0}
    same_day = text_of(sections.headline(results | {"freshness": fresh}).html)
    assert f"{said}." in same_day
    warned = fresh | {"warnings": ["evidence age: <old>."]}
    html = sections.headline(results | {"freshness": warned}).html
    assert "Careful: evidence age: &lt;old&gt;." in html
    past = text_of(sections.headline(results | {"freshness": None}).html)
    assert "The newest evidence" not in past


def test_chances_shown_alike_are_called_by_one_word_and_the_glossary_holds_every_word():
    by_count = {}
    for step in range(2001):
        chance = step / 2000
        by_count.setdefault(words.in_hundred(chance), set()).add(words.likely(chance))
    assert all(len(said) == 1 for said in by_count.values())
    told = sections.glossary().html
    assert all(word in told for _, word in words.LIKELY)
    assert "very unlikely is 1 to 9" in told
    assert "virtually certain is 99 or more" in told


def test_scenarios_say_how_many_in_100_pay_off_in_one_wording():
    html = sections.scenario_figure(example_comparison()).html
    assert "pays off" not in html
    assert html.count("in 100 pay off") >= 2 * 9


def test_scenarios_within_two_simulation_errors_of_the_base_are_marked():
    comparison = copy.deepcopy(example_comparison())
    base, near, far = comparison["scenarios"][:3]
    base["headline"] |= {"probability": 0.20, "mcse": 0.005}
    near["headline"] |= {"probability": 0.23, "mcse": 0.015}
    far["headline"] |= {"probability": 0.30, "mcse": 0.015}
    html = sections.scenario_table(comparison | {"scenarios": [base, near, far]}).html
    assert html.count('vl-small">not distinguishable from base') == 1
    assert html.index(far["scenario"]["title"]) > html.index('vl-small">not distinguishable')
    assert "1.5 points" in html


def test_a_parameter_that_moved_is_not_called_mostly_prior_and_widening_is_explained():
    row = {"parameter": "p", "label": "Churn", "prior_mean": 0.0, "prior_sd": 1.0, "mean": 1.9}
    results = example_results() | {"shrinkage": [row | {"sd": 1.4, "contraction": -0.96}]}
    said = sections.shrinkage(results)
    assert "mostly prior" not in said.summary
    assert "wider than its prior" in said.summary
    assert "40% wider" in said.html
    assert "+1.9" in said.html
    densities = [row | {"sd": 1.4}]
    assert words.taught(densities) == said.summary


def test_a_path_that_dips_below_both_ends_says_so():
    results = example_results()
    fan = results["drivers"]["talent_retained"]
    fan["median"][20] = 0.01
    assert "In between the median falls to 1% (12 June 2030)" in sections.drivers(results).html


def test_the_map_of_two_drivers_gives_no_share_of_its_area():
    assert "etter than even in" not in sections.break_even(example_results()).html


def test_only_curves_of_fitted_rates_are_called_expected():
    model = example_model_results()
    assert "Expected, by the fitted rates" in sections.curves(model).html
    assert "xpected" not in sections.curves(model | {"model": "capability"}).html


# Questions and scores.


def test_the_page_of_methods_has_the_equation_of_every_component_and_definition():
    from valuation import value
    from valuation.sections import methods

    assert list(methods.FLOWS) == list(value.TERMS)
    assert list(methods.PAYING) == list(value.PAYS_OFF)
    told = text_of(sections.method_money().html)
    for name, equation in {**methods.FLOWS, **methods.PAYING}.items():
        assert name.replace("_", " ") in told
        assert " ".join(equation.split()) in told
    judged = text_of(sections.method_worth().html)
    for word in (
        "EVPI",
        "EVPPI",
        "EVSI",
        "power α",
        "pool of prior sets",
        "Brier",
        "CRPS",
        "skill",
    ):
        assert word in judged, word
    origins = text_of(sections.method_sources().html)
    for who in ("Strong, Oakley and Brennan 2014", "Kallioinen", "Gneiting and Raftery 2007"):
        assert who in origins, who


@pytest.mark.parametrize("name", GENERAL)
def test_a_section_of_methods_needs_no_results_and_says_what_it_shows(name):
    told = getattr(sections, name)()
    assert set(parse(told.html).tags) <= ALLOWED_TAGS
    assert told.summary


def test_open_questions_stand_by_closing_day_and_say_who_answers():
    told = sections.questions(example_results())
    text = text_of(told.html)
    assert told.summary == (
        "4 questions are open: the model answers 2, named people answer 1 and base rates stand in for 1 "
        "that no model answers. The next to close is Q02, on 12 June 2026."
    )
    later = example_results()
    later["run"]["created"] = "2026-07-01T00:00:00+00:00"
    assert sections.questions(later).summary.endswith(
        "The next to close is Q24, on 31 December 2026. 1 had closed when this page was made, without "
        "an outcome that it knows."
    )
    assert text.index("Q02 ") < text.index("Q24 ") < text.index("Q27 ")
    assert "Where no model answers, people do: Ann Example on Q24 (30%)." in text
    assert "Settled by: Large newspapers." in text
    assert "USD 0.95 bn (0.5 to 1.4)" in text
    assert "69% 69% C08 base rate" in " ".join(text.split())
    nobody = example_results()
    nobody["questions"][2] |= {"probability": None, "by": "", "why": "no model answers it"}
    assert "named people answer 1 and nobody answers 1." in sections.questions(nobody).summary


def test_the_question_that_is_furthest_from_its_base_rate_is_named_with_the_origin_of_that_rate():
    results = example_results()
    text = text_of(sections.questions(results).html)
    # 0.71 against 0.69 with an error of 0.008 is beyond two errors.
    assert "The model is furthest from the base rate in Q02" in text
    assert "2 points above the base rate of 69% (C08)" in text
    results["questions"][0]["mcse"] = 0.02
    text = text_of(sections.questions(results).html)
    assert "No answer of the model differs from its base rate beyond the error" in text


def test_without_open_questions_the_section_says_so():
    results = example_results() | {"questions": []}
    assert "No question is open." in text_of(sections.questions(results).html)


def test_a_backtest_says_its_verdict_its_hindsight_and_how_few_outcomes_there_are():
    results = example_scores()
    text = text_of(sections.score_backtest(results).html)
    card = results["backtest"]
    assert card["base"]["skill"]["brier"]["skill"] < 0.4
    assert "4 questions on 3 drivers: at most 3 independent outcomes." in text
    assert "this is not free of hindsight" in text
    assert "scored better than base rates, by no more than chance may do" in text
    assert (
        "1 forecast of Q2 came when the outcome was public, or after the close: late, and not"
        in text
    )
    # The worst stands first, and a quantity has its own unit.
    assert text.index("Was Q2 so?") < text.index("Was Q1 so?")
    assert "USD 0.9 bn" in text


def test_questions_that_skill_is_not_about_are_said_to_count_in_the_means_alone():
    results = example_scores()
    card = results["backtest"]
    assert "Skill is about" not in text_of(sections.score_backtest(results).html)
    card["base"]["n"] = card["n"] - 1
    told = text_of(sections.score_backtest(results).html)
    assert "Skill is about 3 of the 4 questions; the others have no base rate, or were" in told


def test_a_model_that_did_worse_than_base_rates_is_said_to_have():
    results = example_scores()
    card = results["backtest"]
    card["base"]["skill"]["brier"]["skill"] = -0.3
    card["brier"]["mean"] = 0.4
    text = text_of(sections.score_backtest(results).html)
    assert "scored worse than base rates, by no more than chance may do: its skill is −0.30" in text
    assert "0.25, the score of even odds on everything, is better than the model's" in text
    card["base"]["skill"]["brier"] |= {"lower": -0.5, "upper": -0.1}
    text = text_of(sections.score_backtest(results).html)
    assert "by more than chance would do: its skill is −0.30, 90% interval −0.50 to −0.10" in text


def test_an_empty_record_says_what_it_waits_for():
    results = example_scores()
    text = text_of(sections.score_record(results).html)
    assert "9 forecasts of 1 published run are frozen, made on 1 March 2026." in text
    assert "nothing to score" in text
    late = {
        "question": "Q02",
        "run": "r",
        "made": "2026-07-01",
        "probability": 0.5,
        "why": "closed",
    }
    results["record"] |= {"late": [late], "statement": "Every forecast was late."}
    text = text_of(sections.score_record(results).html)
    assert "Every forecast was late." in text
    assert "nothing to score" not in text
    assert "late: the question had closed" in text
    results["record"]["forecasts"] = 0
    assert "Nothing is on record yet." in text_of(sections.score_record(results).html)


def test_calibration_tells_whether_right_chances_would_have_led_there():
    results = example_scores()
    told = sections.score_calibration(results)
    assert told.figures == 1
    assert "Of 4 questions 3 came true; the chances add up to 2.4." in told.summary
    assert "too few outcomes to find fault" in told.summary
    results["backtest"]["all"] |= {"least_alone": 0, "most_alone": 2}
    told = sections.score_calibration(results)
    assert "off, unless questions on one driver go together" in told.summary
    results["backtest"]["all"] |= {"least": 0, "most": 2}
    told = sections.score_calibration(results)
    assert "the chances were off, even for so few outcomes" in told.summary
    results["backtest"]["questions"] = []
    assert "nothing can be said" in sections.score_calibration(results).summary


# --- options and news -----------------------------------------------------------------------------


def _worth(**changes):
    results = copy.deepcopy(example_results())
    for path, found in changes.items():
        place, *keys = path.split("__")
        target = results[place]
        for key in keys[:-1]:
            target = target[int(key) if key.isdigit() else key]
        target[keys[-1]] = found
    return results


def test_an_option_that_leads_is_said_to_lead_and_one_that_does_not_is_not():
    led = sections.options(_worth()).summary
    assert "“Hold the stake” brings most on average: USD 5.0 bn of what is still to come" in led
    assert "USD 0.4 bn more than “Sell down to a fifth”" in led
    assert "With hindsight “Hold the stake” would be the best choice in 40 of 100 futures" in led
    assert "in 40 of 100 futures, “Sell down to a fifth” in 60 of 100." in led
    tied = sections.options(_worth(options__margin=0.05)).summary
    assert "“Hold the stake” and “Sell down to a fifth” bring as much on average" in tied
    assert "With hindsight “Hold the stake” would be the best choice in 40 of 100" in tied
    assert "more than" not in tied.replace("no more than", "")
    sold = _worth(options__best="sell", options__runner_up="hold")
    assert sections.options(sold).summary.endswith(
        "What “Sell down to a fifth” brings rests on a price of USD 12.5 bn for the whole target: "
        "at less than USD 11.0 bn it would be worse than doing nothing."
    )


def test_a_trade_says_from_which_price_on_it_is_better():
    assert "above USD 11.0 bn" in sections.options(_worth()).html
    bought = _worth(options__choices__1__sells=False)
    assert "below USD 11.0 bn" in sections.options(bought).html
    never = _worth(options__choices__1__sells=False, options__choices__1__indifferent_usd_bn=None)
    assert "at no price" in sections.options(never).html
    given = _worth(
        options__choices__1__price_usd_bn=None, options__choices__1__indifferent_usd_bn=None
    )
    assert "At which price" not in sections.options(given).html


def test_the_news_worth_most_is_named_with_its_date_its_chance_and_its_cost():
    said = sections.waiting(_worth()).summary
    assert said.startswith("Worth waiting for: “Revenue in 2026”. Worth most is “Revenue in 2026”,")
    assert "“Revenue in 2026”, expected November 2026 to January 2027 if it comes" in said
    assert "if it comes at all (80%): USD 500 ± 30 m" in said
    assert "until 31 January 2027 instead of choosing at once costs USD 200 ± 10 m" in said
    assert "waiting for it brings USD 300 ± 40 m on balance" in said
    assert "Nothing that these draws can show is gained from “The next model”" in said
    assert "The annual report" not in said


@pytest.mark.parametrize(
    ("balance", "cost", "words"),
    [
        (-0.5, 1.0, "more than the news is worth: choose without it."),
        (0.01, 0.49, "on balance it makes no difference that these draws can show."),
        (0.5, 0.0, "Waiting for it costs nothing that these draws can show."),
        (0.9, -0.4, "gains USD 400 ± 10 m by itself"),
    ],
)
def test_whether_to_wait_follows_from_worth_and_cost(balance, cost, words):
    row = "information__disclosures__0__"
    results = _worth(**{f"{row}balance": balance, f"{row}waiting_usd_bn": cost})
    said = sections.waiting(results).summary
    assert words in said
    none = said.startswith("No news on the list is shown to be worth the wait. ")
    assert none == (balance < 0.1)


def test_each_piece_of_news_has_its_verdict():
    text = sections.waiting(_worth()).html
    for verdict in ("Wait for it", "Choose without it", "Changes nothing"):
        assert text.count(f">{verdict}<") == 1


def test_where_no_news_matters_the_page_says_so():
    rows = {f"information__disclosures__{i}__value": 0.0 for i in range(3)}
    said = sections.waiting(_worth(**rows)).summary
    assert said.startswith("None of the 3 pieces of news on the list is worth waiting for")
    assert "“Hold the stake” stays the choice" in said
    alike = sections.knowing(_worth(information__drivers__0__value=0.0)).summary
    assert "any one driver for certain would change nothing that these draws can show" in alike


def test_no_worth_is_ever_shown_below_nothing():
    shown = sections.waiting(_worth()), sections.knowing(_worth())
    for found in shown:
        assert not re.search(r"[−-]\d+ ± ", found.html)
    assert "0 ± 10" in shown[0].html


def test_what_each_reading_advises_names_the_option():
    text = sections.waiting(_worth()).html
    assert "Revenue of the year: at most USD 1.2 bn" in text
    assert ">Sell down to a fifth<" in text
    assert ">Hold the stake, as without it<" in text


def test_a_machine_that_is_miscalibrated_is_told_so_first():
    results = example_method_results()
    fine = sections.method_calibration(results)
    assert "None of 4 quantities strays further than chance allows" in fine.summary
    assert "vl-fail" not in fine.html
    found = results["calibration"]
    results["calibration"] = found | {"passed": False, "worst": found["worst"] | {"p_family": 1e-6}}
    wrong = sections.method_calibration(results)
    assert "At least one of 4 quantities is miscalibrated: “NPV”" in wrong.summary
    assert "vl-fail" in wrong.html


def test_coverage_counts_the_intervals_that_hold_and_marks_those_that_do_not():
    table_of = sections.method_coverage(example_method_results())
    assert table_of.summary.startswith("1 of 2 intervals hold their truth as often as they say")
    assert table_of.html.count("vl-fail") == 1
    assert "left out" not in table_of.html


def test_coverage_names_the_models_that_it_leaves_out_and_stands_without_any():
    results = example_method_results()
    results["uncovered"] = [{"model": "adoption", "why": "no vendor is the target"}]
    said = "Adoption is left out: no vendor is the target."
    shown = sections.method_coverage(results)
    assert said in text_of(shown.html)
    assert "<table" in shown.html
    alone = sections.method_coverage(results | {"coverage": []})
    assert "<table" not in alone.html
    assert text_of(alone.html).endswith(f"No interval could be held against its truth. {said}")


def test_survival_curves_carry_who_left_and_who_was_still_there_when_last_seen():
    results = example_results()
    shown = sections.people(results)
    assert shown.figures == 2  # a cohort of which nobody was followed has no curve
    text = text_of(shown.html)
    assert "Star hire: after 24 months in post 60% are expected to be still there" in text
    assert "90% interval 50% to 80%" in text
    assert (
        "Of 2 people followed by name 1 left (diamonds) and 1 was still there when last seen (rings)"
        in text
    )
    results["survival"][0]["marks"].append({"month": 1.0, "label": "B. Person", "status": "seen"})
    assert "Of 2 people followed by name 1 left" in text_of(sections.people(results).html)


def test_customers_are_weighted_by_the_revenue_they_stood_for():
    results = example_results()
    results["customers"] = [
        {"subject": name, "segment": "technology", "rival": 0, "revenue_share": share,
         "probability_active": {"2026-06-12": chance}}
        for name, share, chance in (("One", 0.6, 0.5), ("Two", 0.2, 0.9), ("Three", 0.0, 0.1))
    ]  # fmt: skip
    text = text_of(sections.customers(results).html)
    assert "stood for 80% of revenue at close" in text
    assert "the share expected to be buying is 60% by 12 June 2026" in text
    assert "One (60%)" in text
    for row in results["customers"]:
        row["revenue_share"] = 0.0
    assert "Weighted" not in text_of(sections.customers(results).html)
