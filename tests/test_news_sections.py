"""What moved the answer, in words and pictures: numbers as given, causes that add up, text that stays text."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import example_update
import pytest
from example_results import example_results
from example_update import (
    SLOPES,
    empty_update,
    example_replay,
    many_items_update,
    refitted_update,
    tiny_update,
)
from example_update import (
    example_update as whole_update,
)
from test_plots import said_of, sizes_of
from test_sections import ADDRESSES, NEWS, UPDATES, bare_drawing, parse, show, shown, text_of

from valuation import page, plots, sections
from valuation.errors import ArtifactError
from valuation.report import index
from valuation.report.summary import update_summary
from valuation.sections import change, words
from valuation.sections.past import fits_sentence
from valuation.study.replay import write_history

each_result = pytest.mark.parametrize("builder", UPDATES, ids=lambda b: b.__name__)


def test_all_sections_together_make_one_page_with_ids_of_their_own():
    results = whole_update()
    blocks = [shown(name, whole_update) for name in NEWS]
    blocks += [sections.diagnostics(results), sections.glossary(), sections.provenance(results)]
    text = page.document(title="x", blocks=blocks, kicker=page.kicker(results))
    ids = [value for _, key, value in parse(text).attributes if key == "id"]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("address", ADDRESSES)
def test_only_plain_web_addresses_of_a_row_become_links(address):
    results = whole_update()
    for item in results["items"]:
        item["address"] = address
    assert "a" not in parse(sections.news_rows(results).html).tags


def test_a_claim_is_readable_as_written():
    results = whole_update()
    results["items"][0]["title"] = "Paid <b>$14.3 bn</b> & more | less"
    for name in ("news_headline", "news_items", "news_rows"):
        assert "Paid <b>$14.3 bn</b> & more | less" in text_of(show(name, results).html)


# The sentence.


def test_was_and_is_stand_in_one_sentence_with_the_cause_that_made_most_of_it():
    said = change.change_sentence(whole_update())
    assert said.startswith("About 8 in 100 before, about 6 in 100 now: the chance that Meta's ")
    assert "pays off fell by 2.1 points (error 0.3), mostly because of “Alexandr Wang" in said
    assert said.endswith("(−1.9).")


def test_a_change_within_its_error_is_said_to_be_no_change():
    results = tiny_update()
    said = change.change_sentence(results)
    assert "is within two simulation errors (0.3 each) and cannot be told from no change" in said
    assert "pull against each other" in said
    assert "fell by" not in said
    assert "rose by" not in said
    assert "Still about 8 in 100" in sections.news_headline(results).html


def test_a_change_without_any_error_that_is_none_is_said_not_to_have_moved():
    results = tiny_update()
    results["quantities"][0] |= {"is": results["quantities"][0]["was"], "change": 0.0, "mcse": 0.0}
    said = change.change_sentence(results)
    assert "pays off did not move, since " in said
    assert "simulation errors" not in said


def test_two_equal_states_are_said_to_be_equal():
    section = sections.news_headline(empty_update())
    assert section.summary.startswith("Nothing has changed: ")
    assert "about 8 in 100, as before" in section.summary
    assert section.title == "Still about 8 in 100"
    assert "No row, prior, grade or term of the deal differs" in section.html


def test_of_two_runs_neither_is_called_now_and_each_is_named():
    results = whole_update()
    assert change.ends_sentence(results) == (
        "Compared with the report of 21 November 2026, 19:02 UTC."
    )
    first = "the update of 22 November 2026, 12:20 UTC as of 4 March 2026 (101b6a50)"
    second = "the report of 21 November 2026, 19:02 UTC as of 28 February 2026 (06f89205)"
    results["was"]["label"] = first
    results["is"] |= {"run": "20261121t190200z-base-06f89205", "label": second}
    said = change.change_sentence(results)
    assert said.startswith("About 8 in 100 in the first run, about 6 in 100 in the second: ")
    assert " now" not in said
    assert change.ends_sentence(results) == f"The first is {first}, the second {second}."
    row = results["quantities"][0]
    row |= {"was": 0.0810, "is": 0.0785, "change": -0.0025, "mcse": 0.0003}
    assert change.change_sentence(results).startswith("About 8 in 100, in both runs: ")
    assert "in both runs." in change.change_sentence(
        empty_update() | {"is": results["is"], "was": results["was"]}
    )


def test_what_the_draws_are_worth_is_told_of_both_states():
    results = whole_update()
    assert "for the state before" not in change.method_sentence(results)
    results["was"]["effective_draws"] = 1115.7
    assert "worth 1,312 equal ones, k-hat 0.58, and 1,115 for the state before." in (
        change.method_sentence(results)
    )


def test_combinations_that_repeat_or_contradict_themselves_are_counted():
    results = whole_update()
    exact = change.attribution_sentence(results)
    assert exact.endswith(": 128 combinations valued on the same draws.")
    results["attribution"] |= {"evaluations": 64, "partial": 1200, "combinations": 2610}
    assert "2,610 combinations valued on the same draws, 64 of them different" in (
        change.attribution_sentence(results)
    )
    (told,) = [note for note in change.notes_of(results) if "contradict" in note]
    assert told.startswith("1,200 of the 2,610 combinations contradict themselves")


def test_a_sure_change_too_small_for_the_count_is_told_in_points():
    results = whole_update()
    row = results["quantities"][0]
    row |= {"was": 0.0810, "is": 0.0785, "change": -0.0025, "mcse": 0.0003}
    assert sections.news_headline(results).title == "About 8 in 100, down 0.25 points"
    assert "About 8 in 100, as before: " in change.change_sentence(results)
    assert "fell by 0.25 points (error 0.03)" in change.change_sentence(results)


def only(results, shares):
    """The results with these shares of the headline, and a change that is their sum."""
    items = results["items"][: len(shares)]
    for item, share in zip(items, shares, strict=True):
        item["shapley"] = dict.fromkeys(SLOPES, share)
    buckets = example_update._buckets(items, {})
    total = sum(shares)
    results["quantities"][0] |= {"is": 0.082 + total, "change": total}
    return results | {"items": items, "buckets": buckets}


@pytest.mark.parametrize(
    ("shares", "words_said"),
    [
        ([0.04, 0.001], ", mostly because of “Alexandr"),
        ([0.02, 0.015, 0.015], ", mostly because of “Alexandr"),
        ([0.015, 0.012, 0.012, 0.012], ", mostly because of “Alexandr"),
        ([0.01] * 6, ", through many causes, the largest being “"),
        ([0.05, -0.03], ", against “Google"),
    ],
)
def test_causes_are_named_as_far_as_they_make_the_change(shares, words_said):
    results = only(whole_update(), shares)
    assert words_said in change.change_sentence(results)
    assert " rose by " in change.change_sentence(results)


@pytest.mark.parametrize(
    ("bucket", "cause"),
    [("time", "the passage of time"), ("code", "changed code"), ("noise", "simulation noise")],
)
def test_what_has_no_item_can_be_the_cause(bucket, cause):
    results = only(whole_update(), [])
    for row in results["buckets"]:
        if row["bucket"] == bucket:
            row["change"]["npv"] = 0.02
    results["quantities"][0] |= {"is": 0.102, "change": 0.02}
    assert f"mostly because of {cause} (+2.0)." in change.change_sentence(results)


def test_the_page_says_when_and_what_it_is_compared_with():
    said = text_of(shown("news_headline", whole_update).html)
    assert "Compared with the report of 21 November 2026, 19:02 UTC" in said
    assert "then on what was public by 14 February 2026, now by 28 February 2026" in said
    assert "“Pays off” means here: NPV above 0 with strategic value." in said


def test_an_override_is_printed_on_the_first_screen():
    results = whole_update()
    results["run"]["override"] = "the board meets tonight"
    results["diagnostics"][0] |= {"passed": False, "sentence": "k-hat is 0.81"}
    said = text_of(sections.news_headline(results).html)
    assert "Published although checks failed. Reason given: the board meets tonight." in said


def test_the_terminal_answer_needs_nothing_that_only_a_page_shows():
    results = whole_update()
    for key in ("drivers", "history", "diagnostics", "run"):
        del results[key]
    assert update_summary(results) == update_summary(whole_update())


# Numbers.


@pytest.mark.parametrize(
    ("value", "unit", "error", "level", "shift"),
    [
        (0.0821, "probability", 0.0031, "8.2%", "+8.2 points"),
        (0.0821, "fraction", 0.0003, "8.21%", "+8.21 points"),
        (-7.95, "USD bn", 0.052, "−USD 7.95 bn", "−7.95 USD bn"),
        (3.1, "USD bn per year", 0.2, "USD 3.1 bn per year", "+3.1 USD bn per year"),
        (12.4, "index points", 0.0, "12.4 index points", "+12.4 index points"),
        (0.55, "0 or 1", 2.0, "55.0%", "+55.0 points"),
    ],
)
def test_a_change_and_its_level_show_the_decimals_of_its_error(value, unit, error, level, shift):
    assert change.level(value, unit, error) == level
    assert change.shift(value, unit, error) == shift


@pytest.mark.parametrize(
    ("error", "text"),
    [(0.0031, "0.3"), (0.0009, "0.09"), (0.0, "0"), (1e-9, "<0.001"), (0.2, "20.0")],
)
def test_an_error_is_never_shown_as_zero_unless_it_is(error, text):
    assert change.size(error, "probability") == text


@pytest.mark.parametrize(
    ("chance", "text"),
    [
        (1.0, "100%"),
        (0.31, "31%"),
        (0.0121, "1.2%"),
        (0.00012, "1 in 8,300"),
        (1e-9, "under 1 in a million"),
        (0.0, "never"),
        (None, "–"),
    ],
)
def test_the_chance_of_an_item_beforehand_is_told_however_small(chance, text):
    assert change.odds(chance) == text


def test_the_error_of_a_share_holds_that_of_the_sampled_orders():
    item = refitted_update()["items"][0]
    assert change.error_of(item, "npv") == pytest.approx(math.hypot(0.0021, 0.0004))


@each_result
def test_the_example_adds_up(builder):
    """What the pages are tested with keeps the identity that the pages promise."""
    results = builder()
    for row in results["quantities"]:
        parts = [bucket["change"][row["name"]] for bucket in results["buckets"]]
        assert math.fsum(parts) == pytest.approx(row["change"], abs=1e-12)
        assert row["is"] - row["was"] == pytest.approx(row["change"], abs=1e-12)


# The parts.


def test_the_waterfall_goes_from_was_to_is_and_prints_the_noise():
    results = whole_update()
    html = shown("news_headline", whole_update).html
    said = text_of(html)
    assert "From 8.2% to 6.1%, in points: News −2.3, Revisions +0.4, Prior edits +0.5" in said
    assert "Simulation noise between the two: 0.0 points." in said
    for bucket in results["buckets"]:
        assert f">{bucket['label']}</th>" in html  # all of them stand in the data
    drawn = re.search(r"<svg.*?</svg>", html, re.DOTALL).group()
    assert ">Scenario<" not in drawn
    assert ">News<" in drawn


def test_items_stand_in_the_order_of_their_shares_with_equal_shares_for_equal_items():
    results = whole_update()
    html = shown("news_items", whole_update).html
    table = html[html.index("Items by share of the change") :]
    places = [table.index(f">{item['item']}<") for item in change.ranked(results)]
    assert places == sorted(places)
    shares = [abs(item["shapley"]["npv"]) for item in change.ranked(results)]
    assert shares == sorted(shares, reverse=True)


def test_an_item_shows_its_share_error_surprise_and_drivers():
    said = text_of(shown("news_items", whole_update).html)
    assert "−1.87 0.21 −1.50 1.2% 6.4 0.52 Founder in post, part of the counted time; Gap" in said
    assert "1 in 8,300 13.0 0.33" in said
    assert "1 bit is a coin toss" in said
    assert "none beyond its error" in said


def test_many_items_are_drawn_as_a_few_and_one_for_the_others_and_all_stand_in_tables():
    html = shown("news_items", many_items_update).html
    assert "28 other items together" in html
    assert "<summary>28 more items</summary>" in html
    for item in many_items_update()["items"]:
        assert f">{item['item']}<" in html


def test_an_update_without_items_says_so_in_every_part():
    assert "No row, prior, grade or term" in shown("news_items", empty_update).summary
    assert "0 rows of the ledger and 0 edits" in shown("news_rows", empty_update).summary
    assert "No driver moved" in shown("news_drivers", empty_update).summary
    assert "nothing to share out" in shown("news_method", empty_update).summary


def test_every_quantity_is_shown_with_each_cause_that_moved_anything():
    results = whole_update()
    html = shown("news_quantities", whole_update).html
    for row in results["quantities"]:
        assert words.upper_first(row["label"]) in text_of(html)
    assert "Causes that moved nothing are left out: Scenario, Code and Simulation noise." in html
    assert "−8.41" in html
    assert '<th scope="col" class="vl-number">Deal terms</th>' in html


def test_drivers_that_moved_are_drawn_furthest_first_and_the_others_named():
    html = shown("news_drivers", whole_update).html
    ids = re.findall(r'<figure id="([^"]+)"', html)
    assert ids == [f"figure-changed-{n}" for n in ("founder-in-post", "capability-gap", "revenue")]
    assert "acquired talent still there, rivals' business kept and value over revenue" in text_of(
        html
    )
    assert "42% before and 6% now" in html


def test_rows_are_shown_with_source_and_grade_and_edits_apart():
    html = shown("news_rows", whole_update).html
    assert '<a href="https://example.org/news/1" rel="noopener noreferrer">Example Wire</a>' in html
    assert "5 rows of the ledger and 2 edits of priors, grades or terms differ." in html
    assert "Edits of what is assumed" in html
    assert html.count("<tr>") == 2 + 5 + 2


@pytest.mark.parametrize(
    ("builder", "told"),
    [
        (whole_update, "got new weights instead of a new fit; so weighted they are worth 1,312"),
        (
            refitted_update,
            "fitted again; the 4,000 draws used are worth 3,902 equal ones for the present state. K-hat",
        ),
        (empty_update, "stand as they were, since nothing changed that they depend on"),
    ],
)
def test_how_it_was_made_is_told_in_words(builder, told):
    assert told in shown("news_method", builder).summary
    assert told.replace("'", "&#x27;") in shown("news_method", builder).html


def test_exact_and_sampled_shares_are_told_apart():
    assert "Shares are exact, over every order of the 7 items" in change.attribution_sentence(
        whole_update()
    )
    said = change.attribution_sentence(refitted_update())
    assert "averages over 200 random orders of the 7 items" in said
    assert "includes that of the sampling" in said
    assert "sampled orders" in shown("news_method", refitted_update).html


def test_silent_rows_changed_rosters_and_rough_shares_are_noted():
    results = whole_update() | {"context_rows": 2, "rosters": "people: 1 rows new or changed"}
    results["attribution"] |= {"rough": True, "worst_khat": 0.93, "least_draws": 88.7}
    for said in (text_of(sections.news_headline(results).html), update_summary(results)):
        flat = " ".join(said.split())
        assert "2 new rows are background: shown, never counted." in flat
        assert "The newest evidence is of 28 February 2026, 267 days before this was made" in flat
        assert "The rosters differ (people: 1 rows new or changed)" in flat
        assert "(k-hat 0.93, 88 effective)" in flat


def test_a_claim_inside_a_sentence_brings_no_stop_of_its_own():
    assert change.quoted("Scale AI names new customers.") == "“Scale AI names new customers”"
    assert change.quoted("Scale AI names two new customers.", 20).endswith(" …”")
    replay = example_replay()
    for point in replay["points"]:
        for item in point["moved"]:
            item["title"] = f"{item['title'].rstrip('.')}."
    results = example_results() | {"history": replay}
    told = sections.headline(results).html + sections.past(results).html
    assert "”, " in told
    assert ".”" not in told


# The history.


def test_the_history_reads_its_ends_and_its_largest_step():
    said = shown("history", whole_update).summary
    assert said.startswith("From about 19 in 100 on 12 June 2025 to about 8 in 100 on 28 February")
    assert "The largest step by one item, −6.2 points, came by 30 June 2025: “Google plans" in said


def test_the_numbers_in_the_picture_stand_in_order_of_time_with_their_items():
    said = text_of(shown("history", whole_update).html)
    places = [said.index(f"{n}, {day}:") for n, day in ((1, "30 June 2025"), (2, "31 July 2025"))]
    assert places == sorted(places)
    assert "renew with valuation replay --every month" in said


def test_without_a_replay_the_history_says_how_to_make_one():
    section = sections.history(None)
    assert "No history has been made yet." in section.summary
    assert "<code>valuation replay</code>" in section.html
    assert section.figures == 0
    assert sections.history(example_replay() | {"points": []}).figures == 0


@pytest.mark.parametrize("every", ["month", "news"])
def test_the_first_screen_has_the_history_as_a_small_line_read_in_one_sentence(every):
    replay = example_replay(every)
    shown = sections.headline(example_results() | {"history": replay}).html
    read = "About 19 in 100 on 12 June 2025, about 8 in 100 now"
    assert f"{read}; last moved clearly by “Revenue of the year is reported" in shown
    assert f'role="img" aria-label="{read}; last moved clearly' in shown
    assert "−0.9 points. <a href" in shown
    assert f'role="img" aria-label="{read}; last moved clearly' in shown
    spark = shown[shown.index("vl-spark") :].split("</svg>")[0]
    line = re.findall(r' d="([^"]+)"', spark)[1]
    heights = [float(y) for y in re.findall(r"[ V]([\d.]+)", line)]
    values = [point["values"][replay["headline"]] for point in replay["points"]]
    rising = [y for _, y in sorted(zip(values, heights, strict=True))]
    assert rising == sorted(heights, reverse=True)  # a higher chance stands higher
    alone = replay | {"points": replay["points"][:1]}
    for history in (None, alone):
        assert "vl-spark" not in sections.headline(example_results() | {"history": history}).html


def test_the_end_of_a_history_of_another_state_is_not_called_the_answer_now():
    results, replay = example_results(), example_replay()
    replay["run"] = {"digests": {**results["run"]["digests"], "limits": "e" * 64}}
    assert "about 8 in 100 now" in sections.headline(results | {"history": replay}).html
    assert "today&#x27;s priors" in sections.past(results | {"history": replay}).html
    replay["run"]["digests"]["ledger"] = "f" * 64
    told = sections.headline(results | {"history": replay}).html
    assert "about 8 in 100 on 28 February 2026 as last replayed; last moved clearly" in told
    assert "8 in 100 now" not in told
    whole = text_of(sections.past(results | {"history": replay}).html)
    assert "with the priors, terms and code of that time" in whole
    assert "before the last change of what it reads; renew with" in whole


def test_a_history_says_where_it_was_fitted_and_what_such_a_step_may_be():
    replay = example_replay()
    points = replay["points"]
    for count, point in enumerate(points):
        point["method"] = "reweighted" if count else "fitted"
    said = fits_sentence(replay)
    assert said == (
        f"The model was fitted at 1 of {len(points)} dates; in between, draws are weighed."
    )
    points[-1]["method"] = "fitted"
    assert fits_sentence(replay).endswith(
        "Draws of another fit are others: what a step to its date has beyond its items is chance."
    )
    assert "fitted at 2 of" in text_of(sections.history(replay).html)


def test_the_history_of_an_update_ends_in_its_own_point_and_says_what_the_replay_knew():
    replay = example_replay()
    last = replay["points"][-1]
    own = last | {"as_of": last["as_of"], "rows": last["rows"] + 1, "method": "reweighted"}
    own |= {"values": last["values"] | {replay["headline"]: 0.0412}, "own": True, "moved": []}
    told = {"current": False, "rows_before": last["rows"], "rows": own["rows"]}
    ended = replay | {"points": [*replay["points"], own], "own": told}
    section = sections.history(ended)
    said = text_of(section.html)
    assert "to about 4 in 100 on 28 February 2026" in section.summary
    assert "The last point, a ring, is this update's own, weighed now." in section.summary
    assert "reweighted, this update" in said
    knew = f"before this news: it knew {last['rows']} of the {own['rows']} rows that count now"
    assert f"The replay was made on 22 November 2026, {knew}; renew with" in said
    assert "with the priors, terms and code of that time" in said
    assert fits_sentence(ended) == fits_sentence(replay)
    as_known = ended | {"own": told | {"current": True, "rows_before": own["rows"]}}
    said = text_of(sections.history(as_known).html)
    assert "it knew" not in said
    assert "today's priors" in said
    dotted = [sections.history(one).html.count("stroke-dasharray") for one in (replay, ended)]
    assert dotted[0] < dotted[1]
    other = sections.history(ended | {"scenario": "acqui_kill", "deal": "other"}).html
    assert "valuation replay --every month --scenario acqui_kill --deal other" in other


def test_a_history_of_one_date_can_be_shown():
    replay = example_replay()
    replay["points"] = replay["points"][:1]
    assert "one date so far" in sections.history(replay).summary


def test_a_history_of_each_news_item_can_be_shown_without_its_drivers():
    replay = example_replay("news")
    section = sections.history(replay, drivers=False)
    assert section.figures == 1
    assert section.html.count("<tr>") == len(replay["points"]) + 1
    assert sections.history(replay).figures > 3


def boxes(svg):
    """Left, right and middle height of every text in a drawing, as wide as a wide font makes it."""
    found = []
    for text in ElementTree.fromstring(svg).iter("text"):
        style = said_of(text)
        size = float(re.search(r"font-size:([\d.]+)px", style).group(1))
        moved = re.search(r"translate\(([\d.-]+) ([\d.-]+)\)", text.attrib.get("transform", ""))
        x, y = map(float, moved.groups() if moved else (text.attrib["x"], text.attrib["y"]))
        width = 0.5 * size * len(text.text or "")
        shift = {"middle": width / 2, "end": width}.get(
            (re.search(r"text-anchor:(\w+)", style) or [None, "start"])[1], 0.0
        )
        found.append((x - shift, x - shift + width, y, size, text.text))
    return found


@pytest.mark.parametrize("width", [plots.WIDE, plots.NARROW])
@pytest.mark.parametrize("crowded", [False, True])
def test_no_two_texts_of_the_history_collide(width, crowded):
    replay = example_replay("news")
    dates = [point["as_of"] for point in replay["points"]]
    values = [point["values"]["npv"] for point in replay["points"]]
    step = 1 if crowded else 8
    noted = dates[-6:] if crowded else dates[2::step]
    notes = [(day, f"−1.{i} What a paper wrote about it") for i, day in enumerate(noted)]
    svg = plots.draw_svg(
        lambda ax: plots.history(ax, dates, values, [0.004] * len(dates), label="x", notes=notes),
        "figure-x",
        "t",
        "d",
        width=width,
        height=330,
    )
    for a, b in itertools.combinations(boxes(svg), 2):
        apart = a[1] <= b[0] or b[1] <= a[0] or abs(a[2] - b[2]) >= 0.75 * max(a[3], b[3])
        assert apart, (a, b)


# Pictures.


def drawings():
    path = {key: [0.5, 0.4, 0.3] for key in ("mean", "lower", "upper")}
    days = ["2025-06-12", "2026-06-12", "2027-06-12"]
    labels = ["News", "A much longer label of a cause that runs on", '<b> & "x" $y$']
    return {
        "change_waterfall": lambda ax: plots.change_waterfall(
            ax, labels, [-2.0, 1.0, 0.2], [0.2, 0.1, 0.0], before=8.0, now=7.2, before_text="8%",
            now_text="7.2%", texts=["−2.0", "+1.0", "+0.2"], x_label="%",
        ),
        "cut waterfall": lambda ax: plots.change_waterfall(
            ax, labels, [-0.2, 0.1, 0.2], [0.1] * 3, before=70.0, now=70.1, before_text="70%",
            now_text="70.1%", texts=["−0.2", "+0.1", "+0.2"], x_label="%",
        ),
        "share_bars": lambda ax: plots.share_bars(
            ax, labels, [-2.0, 1.0, 0.0], [0.2, 0.1, 0.0], ["a", "b", "c"], x_label="points"
        ),
        "before_after": lambda ax: plots.before_after(
            ax, days, path, path, label="x", percent=True, today="2026-01-01"
        ),
        "history": lambda ax: plots.history(
            ax, days, [0.2, 0.1, 0.3], [0.01] * 3, label="x", notes=[(days[1], labels[2])]
        ),
    }  # fmt: skip


def svg_of(name, width=plots.WIDE):
    return plots.draw_svg(drawings()[name], "figure-x", "t", "d", width=width, height=320)


each_drawing = pytest.mark.parametrize("name", sorted(drawings()))


@each_drawing
@pytest.mark.parametrize("width", [plots.WIDE, plots.NARROW])
def test_a_drawing_is_the_same_each_time_in_colours_of_the_page_and_readable(name, width):
    drawn = svg_of(name, width)
    assert drawn == svg_of(name, width)
    bare = re.sub(r"<(title|desc|text)[^>]*>[^<]*</\1>", "", drawn)
    assert not re.search(r"#[0-9a-fA-F]{6}\b|rgb\(", bare)
    assert min(sizes_of(drawn)) >= 11
    for left, _, y, _, text in boxes(drawn):
        assert left >= -2, text
        assert 0 <= y <= 320, text


def test_an_axis_that_does_not_start_at_zero_says_so_and_draws_no_bar_from_there():
    assert "does not start at zero" in svg_of("cut waterfall")
    assert "does not start at zero" not in svg_of("change_waterfall")


def test_the_axis_of_a_history_of_chances_starts_at_zero_and_says_where_it_ends():
    texts = [text for *_, text in boxes(svg_of("history"))]
    assert {"0%", "10%", "20%", "30%", "40%", "x; axis to 40%"} <= set(texts)


# The terminal.


@each_result
def test_the_terminal_answer_keeps_to_80_columns_without_escapes(builder):
    said = update_summary(builder())
    assert all(len(line) <= 80 for line in said.splitlines())
    assert "\x1b" not in said


def test_the_terminal_answer_has_the_sentence_the_tables_and_how_it_was_made():
    results = whole_update()
    said = update_summary(results)
    flat = " ".join(said.split())
    assert change.change_sentence(results) in flat
    assert "NPV above 0 with strategic value 8.2% 6.1% −2.1 0.3" in flat
    assert "Expected net present value, USD bn −7.95 −8.41 −0.46 0.05" in flat
    assert "News −2.3 0.2 3" in flat
    assert "Simulation noise 0.0 0" in flat
    assert "−1.87 0.21 6.4 0.52 N001: Alexandr Wang leaves" in flat
    assert change.method_sentence(results) in flat
    assert "Scenario" not in said


def test_the_terminal_answer_names_the_drivers_that_the_first_items_moved():
    lines = update_summary(whole_update()).splitlines()
    at = next(i for i, line in enumerate(lines) if "N001: Alexandr Wang" in line)
    said = " ".join(" ".join(lines[at + 1 : at + 3]).split())
    assert said.startswith("moves Founder in post −26.2 points, Gap to the frontier +0.4")
    assert update_summary(many_items_update()).count(" moves ") <= 5


def test_the_terminal_names_a_term_once():
    said = update_summary(whole_update())
    assert "  Sale of the stake after 6 years" in said
    assert "term:stake.exit_years" not in said


def test_the_terminal_answer_lists_no_more_items_than_a_screen_holds():
    said = update_summary(many_items_update())
    assert "and 25 more with smaller shares" in said


def test_no_title_can_command_the_terminal():
    results = whole_update()
    results["items"][0]["title"] = "\x1b[31mred\x1b[0m\u202e and \x9b2J backwards"
    said = update_summary(results)
    assert all(mark.isprintable() or mark == "\n" for mark in said)


# The index.


@pytest.fixture
def shelf():
    from example_results import example_results

    return index.Shelf(scenarios={"base": example_results()})


def test_the_index_charts_the_history_after_the_headline(tmp_path, shelf, monkeypatch):
    monkeypatch.setattr(plots, "draw_svg", bare_drawing)
    base = write_history(tmp_path, example_replay()).parent
    text = index.build(base, shelf)
    assert text.index('id="answer"') < text.index('id="history"') < text.index('id="scenarios"')
    assert (
        "The replay was made on 22 November 2026; renew with <code>valuation replay --every month</code>"
        in text
    )


@pytest.mark.parametrize("held", [None, "", "{", "[]", '{"kind": "other"}', '{"kind": "replay"}'])
def test_a_history_that_is_missing_or_unreadable_leaves_the_index_as_it_is(
    tmp_path, shelf, held, monkeypatch
):
    monkeypatch.setattr(plots, "draw_svg", bare_drawing)
    if held is not None:
        (tmp_path / "history.json").write_text(held, encoding="utf-8")
    assert 'id="history"' not in index.build(tmp_path, shelf)


def test_an_index_without_scenarios_is_refused_whatever_its_history(tmp_path):
    base = write_history(tmp_path, example_replay()).parent
    with pytest.raises(ArtifactError, match="no scenario has been published"):
        index.build(base)


def test_a_history_that_somebody_edited_is_not_charted(tmp_path, shelf, capsys, monkeypatch):
    monkeypatch.setattr(plots, "draw_svg", bare_drawing)
    path = write_history(tmp_path, example_replay())
    path.write_text(path.read_text(encoding="utf-8").replace('"rows": 3', '"rows": 4'), "utf-8")
    assert 'id="history"' not in index.build(path.parent, shelf)
    assert "damaged: not what was written" in capsys.readouterr().err


def test_an_index_whose_answer_is_older_says_so_beside_it_and_compares_what_it_shows(
    tmp_path: Path,
) -> None:
    rows = {"base": example_results(), "other": example_results()}
    said = "This answer is from older evidence; renew with <code>valuation report base</code>."
    both = index.Shelf(rows, dict.fromkeys(rows, "older evidence"), renew="valuation report base")
    page = index.build(tmp_path, both)
    assert said in page
    assert "Not compared above." not in page  # where all are older, the figures show all
    one = index.Shelf(rows, {"base": "older evidence"}, renew="valuation report base")
    page = index.build(tmp_path, one)
    assert said in page
    assert page.count("Not compared above.") == 1
    assert "This answer is from" not in index.build(tmp_path, index.Shelf(rows))


def test_the_chance_before_is_shown_with_the_error_of_the_chance_before() -> None:
    results = whole_update()
    row = change.headline_quantity(results)
    shown_as = [change.size(row[key], row["unit"]) for key in ("mcse_was", "mcse_is")]
    assert shown_as[0] != shown_as[1]
    body = text_of(shown("news_headline", whole_update).html)
    for label, error in zip(("Before", "Now"), shown_as, strict=True):
        assert re.search(rf"{label}\s+\d+(\.\d+)?%\s+{re.escape(error)}(?!\d)", body), label
