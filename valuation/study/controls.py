"""Controls for a notebook: priors, conditions and terms are moved, and the answer follows.

Where nobody can move anything (papermill, a page) the answer as it stands is shown instead. ipywidgets is imported
when controls are asked for, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valuation.currency import BN, unit_in
from valuation.errors import ValuationError
from valuation.params import load_scenarios
from valuation.params.scenarios import DRIVERS, EVENTS
from valuation.sections.moves import moved_answer
from valuation.sections.parts import notebook_style
from valuation.study.moves import FURTHEST, Moves, explored, levers

if TYPE_CHECKING:
    import datetime as dt

    from valuation.study.case import Study

SLIDERS = 6  # priors with a slider of their own
FREE = ""  # no condition
BEFORE, NOT_BEFORE, ABOVE, BELOW = "before", "not_before", "above", "below"
LEVELS = 101  # of a driver, between the ends of what its draws reach
WIDGET = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Controls:
    """What a notebook shows: controls where there is a front end for them, else the answer as it stands.

    Attributes
    ----------
    widget
        The ipywidgets box.
    answer
        Its part that shows the answer; ``value`` is HTML.
    by_name
        Every control: ``scenario``, ``prior_set``, ``event``, ``happens``, ``event_day``, ``driver``, ``side``,
        ``level``, ``driver_day``, ``strategic_rate``, ``stake_rate``, ``other``, ``other_shift``, ``reset``, and
        ``shift NAME`` for each prior with a slider.
    """

    widget: Any
    answer: Any
    by_name: Mapping[str, Any]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {
            WIDGET: {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id},
            "text/html": self.answer.value,
            "text/plain": "Controls; run this notebook in JupyterLab to move them.",
        }


def explore(study: Study) -> Controls:
    """Controls for a study: the priors that matter most, one condition of each kind, discount rates, prior sets.

    A move takes well under a second, on the study's own draws (:func:`valuation.study.moves.explored`).
    """
    import ipywidgets as w

    stands, names = explored(study), levers(study)
    wide = {"description_width": "15rem"}
    room = w.Layout(width="30rem")

    def shift(label: str) -> Any:
        return w.FloatSlider(
            0.0, min=-FURTHEST, max=FURTHEST, step=0.1, description=label, style=wide, layout=room,
            continuous_update=False, readout_format="+.1f",
        )  # fmt: skip

    def choice(label: str, options: Any, value: Any) -> Any:
        return w.Dropdown(options=options, value=value, description=label, style=wide, layout=room)

    def rate(label: str, value: float) -> Any:
        return w.FloatSlider(
            100 * value, min=0.0, max=25.0, step=0.1, description=label, style=wide, layout=room,
            continuous_update=False, readout_format=".1f",
        )  # fmt: skip

    scenarios, days = load_scenarios(study.root), _days(study)
    own = study.scenario.scenario
    events = {n: e for n, e in EVENTS.items() if "{subject}" not in e[0]}
    driver_labels = [
        (f"{_upper(text)}, {unit_in(unit, study.deal.currency)}", name)
        for name, (unit, text) in DRIVERS.items()
    ]
    first, *rest = list(names)[SLIDERS - 1 :] or list(names)
    held: dict[str, Any] = {
        "scenario": choice(
            "Scenario", [(s.title, name) for name, s in scenarios.items()], own if own in scenarios else None
        ),
        "prior_set": choice(
            "Whose priors",
            [("As the scenario has it", ""), *((study.book.labels[n], n) for n in study.book.sets())],
            "",
        ),
        **{f"shift {name}": shift(names[name]) for name in list(names)[: SLIDERS - 1]},
        "other": choice("Another prior", [(names[n], n) for n in (first, *rest)], first),
        "other_shift": shift("… moved by"),
        "event": choice(
            "Keep futures in which", [("anything happens", FREE), *((e[0], n) for n, e in events.items())], FREE
        ),
        "happens": choice("happens", [("before", BEFORE), ("not before", NOT_BEFORE)], BEFORE),
        "event_day": w.SelectionSlider(
            options=days, value=days[len(days) // 4][1], description="this day", style=wide, layout=room,
            continuous_update=False,
        ),
        "driver": choice("and in which", [("anything holds", FREE), *driver_labels], FREE),
        "side": choice("is", [("above", ABOVE), ("below", BELOW)], ABOVE),
        "level": w.SelectionSlider(
            options=[("–", 0.0)], description="this level", style=wide, layout=room, continuous_update=False
        ),
        "driver_day": w.SelectionSlider(
            options=days, value=days[len(days) // 4][1], description="on this day", style=wide, layout=room,
            continuous_update=False,
        ),
        "strategic_rate": rate("Discount rate, % a year", study.base_deal.discount.strategic_per_year),
        "stake_rate": rate("Discount rate of the stake, % a year", study.base_deal.discount.stake_per_year),
        "reset": w.Button(description="Back to how it stands"),
    }  # fmt: skip
    shipped = {n: c.value for n, c in held.items() if n not in ("reset", "level")}
    answer = w.HTML(
        value=_shown(study, stands, stands),
        layout=w.Layout(width="28rem", flex="1 0 auto", max_width="48rem"),
    )
    quiet = [False]  # while several controls are set at once

    def follow(change: object = None) -> None:
        if quiet[0]:
            return
        try:
            now = explored(study, _moves(held, shipped, scenarios))
        except ValuationError as error:  # such as a condition on a day before the close
            now = {"why": str(error), "moved": []}
        answer.value = _shown(study, now, stands)

    def levels(change: object = None) -> None:
        """The levels that the chosen driver reaches on the chosen day."""
        before, quiet[0] = quiet[0], True
        if held["driver"].value:
            options = _levels(study, held["driver"].value, held["driver_day"].value)
            held["level"].options = options
            held["level"].value = options[len(options) // 2][1]
        quiet[0] = before

    def reset(button: object) -> None:
        quiet[0] = True
        for name, value in shipped.items():
            held[name].value = value
        quiet[0] = False
        follow()

    held["driver"].observe(levels, "value")
    held["driver_day"].observe(levels, "value")
    for name, control in held.items():
        if name != "reset":
            control.observe(follow, "value")
    held["reset"].on_click(reset)
    heads = {
        "scenario": "Start from",
        next(n for n in held if n.startswith("shift ")): "Priors, in their standard deviations",
        "event": "Conditions",
        "strategic_rate": "Terms",
    }
    shown: list[Any] = []
    for name, control in held.items():
        shown += [w.HTML(f"<b>{heads[name]}</b>")] if name in heads else []
        shown.append(control)
    layout = w.Layout(flex_flow="row wrap", grid_gap="1rem 2rem")
    box = w.Box([answer, w.VBox(shown)], layout=layout)
    return Controls(box, answer, held)


def _moves(
    held: Mapping[str, Any], shipped: Mapping[str, Any], scenarios: Mapping[str, Any]
) -> Moves:
    """What the controls ask for, on top of the scenario that they start from."""
    at = {name: control.value for name, control in held.items() if name != "reset"}
    start = scenarios[at["scenario"]].model_dump(mode="json", exclude_none=True)
    conditions = list(start["conditions"])
    if at["event"]:
        conditions.append({"event": at["event"], at["happens"]: at["event_day"]})
    if at["driver"]:
        conditions.append(
            {"driver": at["driver"], "at": at["driver_day"], at["side"]: float(at["level"])}
        )
    rates = {
        key: at[name] / 100.0
        for key, name in (
            ("strategic_per_year", "strategic_rate"),
            ("stake_per_year", "stake_rate"),
        )
        if at[name] != shipped[name]
    }
    terms = dict(start["terms"])
    if rates:
        terms["discount"] = dict(terms.get("discount", {})) | rates
    shifts = {n.removeprefix("shift "): v for n, v in at.items() if n.startswith("shift ")}
    asked = start | {
        "conditions": conditions,
        "terms": terms,
        "prior_set": at["prior_set"] or start["prior_set"],
    }
    return Moves.of(asked, shifts | {at["other"]: at["other_shift"]})


def _shown(study: Study, now: Mapping[str, Any], stands: Mapping[str, Any]) -> str:
    told = moved_answer(now, stands, unit=unit_in(BN, study.deal.currency))
    return f'{notebook_style()}<div class="vl">{told}</div>'


def _days(study: Study) -> list[tuple[str, str]]:
    """Quarters' ends from the as-of date to the horizon, for people and as ISO dates."""
    from valuation.schema import date_after
    from valuation.study.answers import told_day

    found: list[dt.date] = [
        date_after(study.base_deal.closed, month)
        for month in range(3, study.base_deal.months + 1, 3)
    ]
    return [(told_day(day), str(day)) for day in found if day > study.as_of]


def _levels(study: Study, driver: str, day: str) -> list[tuple[str, float]]:
    """Levels of a driver between the ends of what its draws reach on a day, as shown and as numbers."""
    import datetime as dt

    import numpy as np

    from valuation.schema import MONTH, months_between
    from valuation.sections import words

    months = study.unconditioned[MONTH]
    past = months_between(study.base_deal.closed, dt.date.fromisoformat(day))
    month = min(int(past), int(months[-1]))
    draws = study.unconditioned[driver].sel({MONTH: month}).to_numpy()
    low, high = np.quantile(draws, [0.01, 0.99])
    grid = np.linspace(low, high, LEVELS)
    return [(words.compact(float(x)), float(x)) for x in grid]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


__all__ = ["Controls", "explore"]
