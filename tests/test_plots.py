"""Pictures: same marks, same bytes; text stays text; colours become roles."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from example_results import example_model_results, example_results

from valuation import plots

HOSTILE = '<script>alert(1)</script> & $x^2$ | "quoted" --> ]]> \x00 url(#p)'


def fan_arguments(name="talent_retained"):
    fan = example_results()["drivers"][name]
    return {key: fan[key] for key in ("dates", "lower", "median", "upper", "label")}


def drawings():
    """Every drawing with example arrays."""
    results, model = example_results(), example_model_results()
    grid, curve, density = results["break_even"], model["curves"][0], model["densities"][0]
    labels = ["First of all", "Second", HOSTILE]
    thirds = [0.1, 0.5, 0.95]
    return {
        "quantile_dots": lambda ax: plots.quantile_dots(ax, results["npv_dots"], unit="USD bn"),
        "waterfall": lambda ax: plots.waterfall(
            ax, labels, [-3.0, 2.0, -1.0], unit="USD bn", totals=[False, False, True]
        ),
        "fan": lambda ax: plots.fan(ax, **fan_arguments(), percent=True, today="2026-02-28"),
        "tornado": lambda ax: plots.tornado(
            ax,
            labels,
            [-4, -3, -1.5],
            [2, 0, -3],
            centre=-2,
            unit="USD bn",
            low_notes=labels,
            high_notes=labels,
        ),
        "break_even": lambda ax: plots.break_even(
            ax, grid["x"], grid["y"], grid["probability"], x_label=HOSTILE, y_label="y"
        ),
        "chance_curve": lambda ax: plots.chance_curve(
            ax, [0, 1, 2], thirds, x_label="x", marks=[(1.5, HOSTILE)]
        ),
        "chance_bars": lambda ax: plots.chance_bars(ax, labels, thirds, labels, highlight=1),
        "intervals": lambda ax: plots.intervals(
            ax, labels, [-3, -2, 1], [-1, 0, 2], [1, 3, 4], x_label="x", notes=labels
        ),
        "prior_posterior": lambda ax: plots.prior_posterior(
            ax, density["grid"], density["prior"], density["posterior"], name=HOSTILE
        ),
        "curves": lambda ax: plots.curves(
            ax,
            curve["months"],
            curve["prior"],
            curve["posterior"],
            label="Share",
            percent=True,
            marks=[(2.5, "a", "exit"), (5.0, "b", "seen"), (6.0, "c", "reported")],
        ),
        "predictive": lambda ax: plots.predictive(
            ax, labels, [1, 2, 3], [(0, 2)] * 3, [(0, 1, 2)] * 3, x_label="x"
        ),
        "movement": lambda ax: plots.movement(
            ax, labels, thirds, [0.0, 0.1, 0.9], first_name="2026", second_name="2029"
        ),
        "worth_bars": lambda ax: plots.worth_bars(
            ax, labels, [500.0, 20.0, 0.0], [50.0, 30.0, 0.0], labels, x_label="USD m"
        ),
        "rank_strays": lambda ax: plots.rank_strays(
            ax,
            [0.25, 0.5, 0.75],
            [[0.02, -0.01, 0.0], [0.0, 0.05, 0.1]],
            ([-0.1, -0.12, -0.1], [0.1, 0.12, 0.1]),
            ([-0.2, -0.22, -0.2], [0.2, 0.22, 0.2]),
            label=HOSTILE,
        ),
        "counts": lambda ax: plots.counts(ax, labels, [3, 2, 0], [1, 0, 4], x_label="rows"),
    }


def svg(draw, *, width=plots.WIDE, id="figure-x"):
    return plots.draw_svg(draw, id, "A title", "What it says", width=width, height=320)


@cache
def _drawn(name, width):
    return svg(drawings()[name], width=width)


def drawn_once(name, *, width=plots.WIDE):
    """A drawing for the tests that only look."""
    return _drawn(name, width)


def said_of(mark):
    """The declarations of a mark: its style, and what its classes stand for."""
    said = {name: declaration for declaration, name in plots.CLASSES.items()}
    told = [said.get(name, "") for name in mark.attrib.get("class", "").split()]
    return ";".join([*told, mark.attrib.get("style", "")])


def sizes_of(svg):
    """The size of every text in pixels."""
    return [
        float(size)
        for mark in ElementTree.fromstring(svg).iter()
        for size in re.findall(r"font-size:([\d.]+)px", said_of(mark))
    ]


each_drawing = pytest.mark.parametrize("name", sorted(drawings()))


@each_drawing
def test_the_same_arrays_give_the_same_bytes(name):
    assert svg(drawings()[name]) == drawn_once(name)


@each_drawing
@pytest.mark.parametrize("width", [plots.WIDE, plots.NARROW])
def test_a_drawing_is_one_labelled_image_that_scales(name, width):
    root = ElementTree.fromstring(drawn_once(name, width=width))
    assert root.attrib["role"] == "img"
    assert root.attrib["viewBox"] == f"0 0 {width} 320"
    assert "width" not in root.attrib
    named = root.attrib["aria-labelledby"].split()
    texts = {child.attrib.get("id"): child.text for child in root}
    assert [texts[id] for id in named] == ["A title", "What it says"]


@each_drawing
def test_every_colour_is_a_role_of_the_page(name):
    """A colour outside the palette would not turn over on a dark ground."""
    drawn = drawn_once(name)
    drawn = re.sub(r"<(title|desc|text)[^>]*>[^<]*</\1>", "", drawn)
    assert not re.search(r"#[0-9a-fA-F]{6}\b|rgb\(", drawn)


@each_drawing
def test_every_class_of_a_mark_has_its_rule_in_the_style_sheet(name):
    root = ElementTree.fromstring(drawn_once(name))
    used = {part for e in root.iter() for part in e.attrib.get("class", "").split()} - {"vl-svg"}
    assert used
    for part in used:
        assert plots.style().count(f".vl-svg .{part}{{") == 1
    assert len(set(plots.CLASSES.values())) == len(plots.CLASSES)


def flat(path):
    """Every place that a path of straight lines passes, absolute and relative commands alike."""
    places, x, y, start = [], 0.0, 0.0, (0.0, 0.0)
    for command, text in re.findall(r"([MLlhvz])([^MLlhvz]*)", path.replace("Z", "z")):
        values = [float(v) for v in re.findall(r"-?(?:\d+\.\d+|\.\d+|\d+)", text)]
        if command == "z":
            x, y = start
        elif command in "hv":
            for value in values:
                x, y = (x + value, y) if command == "h" else (x, y + value)
                places.append((x, y))
        else:
            for dx, dy in zip(values[::2], values[1::2], strict=True):
                x, y = (x + dx, y + dy) if command == "l" else (dx, dy)
                places.append((x, y))
                if command == "M":
                    start = (x, y)
    return places


def test_a_shortened_path_passes_the_same_places_to_a_tenth_of_a_pixel():
    rng = np.random.default_rng(5)
    places = np.cumsum(rng.normal(0, 3, (400, 2)), 0)
    places[100:140, 1] = places[100, 1]  # a stretch along the axis
    places[200:210] = places[200]  # and one that stays
    told = " \n".join(f"{'L' if i else 'M'} {x:.6f} {y:.6f}" for i, (x, y) in enumerate(places))
    short = plots.svg._path(f"{told} \nz\nM 3 4 \nL -0.04 0.05 \n")
    assert len(short) < 0.35 * len(told)
    found = flat(short)
    assert found[-2:] == [pytest.approx((3, 4)), pytest.approx((0, 0))]
    kept = iter(found[:-2])
    here = next(kept)
    for place in places:
        while np.abs(np.subtract(here, place)).max() > 0.0501:
            here = next(kept)
    assert next(kept, None) is None


def test_curves_keep_their_control_points():
    assert (
        plots.svg._path("M 1 2 \nQ 3 4 5 6 \nC 5 6 7 8 9.25 10 \nz")
        == "M1 2q2 2 4 4c0 0 2 2 4.2 4z"
    )


@each_drawing
def test_no_id_of_two_figures_on_one_page_is_the_same(name):
    both = drawn_once(name), svg(drawings()[name], id="figure-y")
    ids = [re.findall(r'id="([^"]+)"', drawn) for drawn in both]
    assert not set(ids[0]) & set(ids[1])
    assert len(set(ids[0])) == len(ids[0])


@each_drawing
def test_every_reference_inside_a_figure_is_met(name):
    drawn = drawn_once(name)
    drawn = re.sub(r"<text[^>]*>[^<]*</text>", "", drawn)
    ids = set(re.findall(r'id="([^"]+)"', drawn))
    wanted = set(re.findall(r'href="#([^"]+)"', drawn)) | set(re.findall(r"url\(#([^)]+)\)", drawn))
    assert wanted <= ids


@each_drawing
def test_a_drawing_carries_no_style_sheet_script_or_foreign_address(name):
    drawn = drawn_once(name)
    assert "<style" not in drawn
    assert "<script" not in drawn
    assert "http" not in drawn
    assert "<metadata" not in drawn


@each_drawing
def test_no_text_is_too_small_to_read_on_a_phone(name):
    sizes = sizes_of(drawn_once(name, width=plots.NARROW))
    assert sizes
    assert min(sizes) >= 11


@each_drawing
def test_text_keeps_inside_a_narrow_figure(name):
    """Anchors inside the picture; lengths are bounded by the layout, which measures wide letters."""
    root = ElementTree.fromstring(drawn_once(name, width=plots.NARROW))
    for text in root.iter("text"):
        if "x" in text.attrib:
            assert -2 <= float(text.attrib["x"]) <= 362


def test_hostile_text_stays_text():
    drawn = svg(lambda ax: plots.chance_bars(ax, [HOSTILE], [0.4], [HOSTILE]), width=plots.WIDE)
    root = ElementTree.fromstring(drawn)
    assert not list(root.iter("script"))
    assert any("<script>alert(1)" in (text.text or "") for text in root.iter("text"))
    assert "\x00" not in drawn


def test_dollar_signs_are_not_mathematics():
    drawn = svg(lambda ax: plots.chance_bars(ax, ["from $14.3 to $20"], [0.4], ["$1 to $2"]))
    assert "from $14.3 to $20" in drawn
    assert "$1 to $2" in drawn


def test_dots_count_both_sides_and_what_lies_far_out():
    values = np.concatenate([np.linspace(-9, -0.1, 80), np.linspace(0.1, 6, 19), [300.0]])
    drawn = svg(lambda ax: plots.quantile_dots(ax, values, unit="USD bn"))
    assert "80 of 100 below zero" in drawn
    assert "20 of 100 above zero" in drawn
    assert re.search(r"\d beyond, to 300", drawn)
    dots = [e for e in ElementTree.fromstring(drawn).iter("use") if float(e.attrib["y"]) < 280]
    assert len(dots) == 100


@pytest.mark.parametrize("values", [[3.0] * 100, [-3.0] * 100, list(np.linspace(1, 2, 100))])
def test_dots_are_drawn_for_certain_outcomes_too(values):
    assert "of 100 above zero" in svg(lambda ax: plots.quantile_dots(ax, values, unit="USD bn"))


def test_a_probability_axis_runs_from_0_to_100_whatever_the_data():
    _, ax = plots.new_figure(plots.WIDE, 300)
    plots.chance_curve(ax, [0, 1], [0.02, 0.03], x_label="x")
    assert ax.get_ylim()[0] == 0
    assert 100 <= ax.get_ylim()[1] <= 105
    assert [t.get_text() for t in ax.get_yticklabels()] == ["0%", "25%", "50%", "75%", "100%"]


def test_a_waterfall_ends_where_the_means_add_up():
    _, ax = plots.new_figure(plots.WIDE, 300)
    means = [-14.3, 2.6, 3.2]
    plots.waterfall(
        ax,
        ["a", "b", "c", "sum"],
        [*means, sum(means)],
        unit="USD bn",
        totals=[False, False, False, True],
    )
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
    assert bars[2][1] == pytest.approx(sum(means))
    assert bars[3] == pytest.approx((0.0, sum(means)))


def test_a_map_with_holes_is_drawn():
    grid = np.full((5, 6), np.nan)
    grid[1:, 2:] = np.linspace(0, 1, 16).reshape(4, 4)
    drawn = svg(lambda ax: plots.break_even(ax, range(6), range(5), grid, x_label="x", y_label="y"))
    assert "50 in 100" in drawn


def test_drawing_leaves_every_setting_of_matplotlib_as_it_was():
    before = dict(matplotlib.rcParams)
    for draw in drawings().values():
        svg(draw)
    assert dict(matplotlib.rcParams) == before


def test_importing_plots_loads_no_matplotlib():
    code = "import sys, valuation.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_drawing_never_loads_pyplot():
    code = (
        "import sys; from valuation import plots;"
        "plots.draw_svg(lambda ax: plots.chance_bars(ax, ['a'], [0.5], ['b']), 'i', 't', 'd',"
        " width=360, height=100); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("highest", "end"), [(0.03, 4), (0.12, 16), (0.19, 24), (0.60, 80), (0.90, 100)]
)
def test_a_history_of_a_chance_starts_at_zero_and_says_where_it_ends(highest, end):
    _, ax = plots.new_figure(820, 300)
    days = ["2025-06-12", "2026-06-12", "2027-06-12"]
    plots.history(ax, days, [0.5 * highest, highest, 0.7 * highest], [0.0] * 3, label="Chance")
    low, high = ax.get_ylim()
    assert low == 0
    assert end <= high < 1.05 * end
    assert 100 * highest <= end
    assert [tick.get_text() for tick in ax.get_yticklabels()][-1] == f"{end}%"
    assert ax.get_title(loc="left") == ("Chance" if end == 100 else f"Chance; axis to {end}%")


def test_what_a_small_chart_shows_is_told_to_its_end():
    days = ["2025-06-12", "2026-06-12"]
    label = "Gap to the frontier, mean over the horizon, index points"
    for width, lines in ((360, 2), (820, 1)):
        _, ax = plots.new_figure(width, 230)
        plots.history(ax, days, [3.0, 4.0], [0.1, 0.1], label=label, percent=False)
        title = ax.get_title(loc="left")
        assert (title.replace("\n", " "), title.count("\n") + 1) == (label, lines)
        assert width > 360 or max(map(len, title.split("\n"))) <= 46


def test_a_curve_without_a_prior_names_its_median_and_the_mass_of_its_band():
    band = {"lower": [1.0, 0.2], "median": [1.0, 0.5], "upper": [1.0, 0.8]}
    _, ax = plots.new_figure(360, 300)
    plots.curves(ax, [0, 24], None, band, label="Share", percent=True, marks=[(6, "a", "exit")])
    assert [text.get_text() for text in ax.texts] == ["median", "90%", "90%"]
    (mark,) = [line for line in ax.lines if line.get_marker() == "D"]
    assert mark.get_xydata().tolist() == [[6.0, 87.5]]  # on the curve, where it was seen
