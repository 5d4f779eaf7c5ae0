"""A change in plain words: numbers with their errors, and the sentences that quote them.

Reads the results of a change (``kind`` is ``update``). Nothing here is markup, so that a terminal
and a page say the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from valuation import plots
from valuation.currency import currency_of
from valuation.sections import words
from valuation.sections.parts import get

Results = Mapping[str, Any]


ROUNDING = 1e-9  # what two equal sums may differ by

# Numbers with their units: a level, and a change of it.

PERCENT = ("probability", "fraction", "0 or 1")


def digits_for(error: float, unit: str) -> int:
    """Decimals of a change and of its levels: those of the first figure of its error."""
    scaled = _scale(unit) * error
    return 1 if scaled <= 0 else min(3, max(1, -math.floor(math.log10(scaled))))


def _scale(unit: str) -> float:
    return 100.0 if unit in PERCENT else 1.0


def level(value: float, unit: str, error: float, *, named: bool = True) -> str:
    """A quantity as it stands, with the decimals that a change with this error is given in."""
    digits = digits_for(error, unit)
    if unit in PERCENT:
        return f"{words.fixed(100 * value, digits)}%"
    if not named:
        return words.fixed(value, digits)
    if currency_of(unit):
        return words.money(unit, value, digits)
    return f"{words.fixed(value, digits)} {unit}".strip()


def shift(change: float, unit: str, error: float, *, named: bool = True) -> str:
    """A change with its sign; ``named`` adds the unit, percentage points where it is a chance."""
    text = words.signed(_scale(unit) * change, digits_for(error, unit))
    return f"{text} {_unit(unit)}".strip() if named else text


def size(error: float, unit: str, *, named: bool = False, like: float = 0.0) -> str:
    """An error, in points where the quantity is a chance; ``like`` sets the decimals of a column."""
    digits = digits_for(like or error, unit)
    text = "0" if error <= 0 else words.fixed(_scale(unit) * error, digits)
    if error > 0 and float(text.replace(",", "")) == 0:
        text = f"<{10**-digits:g}"
    return f"{text} {_unit(unit)}".strip() if named else text


def _unit(unit: str) -> str:
    return "points" if unit in PERCENT else unit


def error_of(item: Results, quantity: str) -> float:
    """Error of an item's share: of the simulation, and of the orders that were sampled."""
    return math.hypot(float(item["mcse"][quantity]), float(item["sampling_se"][quantity]))


def finest(results: Results) -> float:
    """The error that sets the decimals of all shares, so that a column of them can be compared."""
    row = headline_quantity(results)
    errors = [error_of(item, row["name"]) for item in get(results, "items")]
    least = min((error for error in errors if error > 0), default=0.0)
    return max(least, 0.01 / _scale(row["unit"]))


def odds(probability: float | None) -> str:
    """A chance from certain to tiny: per cent, or one in so many."""
    if probability is None:
        return "–"
    if probability >= 0.1:
        return f"{words.fixed(100 * probability, 0)}%"
    if probability >= 0.01:
        return f"{words.fixed(100 * probability, 1)}%"
    if probability <= 0:
        return "never"
    times = 1 / probability
    if times >= 1e6:
        return "under 1 in a million"
    step = 10 ** (math.floor(math.log10(times)) - 1)
    return f"1 in {words.fixed(round(times / step) * step, 0)}"


def bits(value: float | None) -> str:
    """Surprise as a table shows it."""
    return "–" if value is None else words.fixed(value, 1)


def as_share(unit: str) -> str:
    """The unit by which a level is written out: a chance is a fraction."""
    return "fraction" if unit in PERCENT else unit


# The sentence.


def headline_quantity(results: Results) -> Results:
    """The quantity that a change is told by."""
    name = get(results, "headline")
    return next(row for row in get(results, "quantities") if row["name"] == name)


def expected_value(results: Results) -> Results | None:
    """The mean net present value among the quantities, if it is there."""
    return next((row for row in get(results, "quantities") if row["group"] == "value"), None)


def ranked(results: Results) -> list[Results]:
    """The items, the one that moved the headline most first."""
    name = get(results, "headline")
    return sorted(
        get(results, "items"), key=lambda item: (-abs(item["shapley"][name]), item["item"])
    )


def within_error(change: float, error: float) -> bool:
    """Whether a change lies within two of its simulation errors, or of rounding."""
    return abs(change) <= max(2 * error, ROUNDING)


def nothing_changed(results: Results) -> bool:
    """Whether the two states are the same in all that was asked."""
    name = get(results, "headline")
    moved = any(abs(bucket["change"][name]) > ROUNDING for bucket in get(results, "buckets"))
    return not get(results, "items") and not moved


def quoted(title: object, room: int = 64) -> str:
    """A claim or a label inside a sentence: cut to ``room``, without a stop of its own, as one follows."""
    return f"“{plots.short(title, room).removesuffix('.')}”"


# What a cause without items is called inside a sentence.
_CAUSES = {
    "revisions": "changed rosters",
    "scenario": "a changed scenario",
    "code": "changed code",
    "time": "the passage of time",
    "noise": "simulation noise",
}


def _causes(results: Results) -> list[tuple[str, float]]:
    """What moved the headline, in words, and by how much; largest first."""
    name = get(results, "headline")
    found = [(quoted(item["title"]), float(item["shapley"][name])) for item in ranked(results)]
    found += [
        (_CAUSES.get(bucket["bucket"], str(bucket["label"])), float(bucket["change"][name]))
        for bucket in get(results, "buckets")
        if not bucket["items"]
    ]
    return sorted(found, key=lambda cause: -abs(cause[1]))


def _because(results: Results) -> str:
    """The clause that names the one or two causes that make most of the change."""
    row = headline_quantity(results)
    change, error, unit = float(row["change"]), float(row["mcse"]), row["unit"]
    causes = _causes(results)
    along = [(text, part) for text, part in causes if part * change > 0]
    against = [(text, part) for text, part in causes if part * change < 0]

    def told(cause: tuple[str, float]) -> str:
        return f"{cause[0]} ({shift(cause[1], unit, error, named=False)})"

    if not along:
        return ""
    said = ""
    if abs(along[0][1]) >= 0.5 * abs(change):
        said = f", mostly because of {told(along[0])}"
    elif len(along) > 1 and abs(along[0][1] + along[1][1]) >= 0.5 * abs(change):
        said = f", mostly because of {told(along[0])} and {told(along[1])}"
    else:
        said = f", through many causes, the largest being {told(along[0])}"
    if against and abs(against[0][1]) >= 0.5 * abs(change):
        said += f", against {told(against[0])}"
    return said


def change_sentence(results: Results) -> str:
    """Was and is in one sentence of plain text, with what made most of the difference."""
    row = headline_quantity(results)
    was, now = float(row["was"]), float(row["is"])
    change, error, unit = float(row["change"]), float(row["mcse"]), row["unit"]
    before, after = words.in_hundred(was), words.in_hundred(now)
    what = f"the chance that {get(results, 'deal')['title']} pays off"
    first, second, same = "before", "now", "as before"
    if results.get("is", {}).get(
        "run"
    ):  # two runs: neither need be of now, nor the first the older
        first, second, same = "in the first run", "in the second", "in both runs"
    if nothing_changed(results):
        return f"Nothing has changed: {what} is {words.about(after)}, {same}."
    counts = f"{words.upper_first(words.about(before))} {first}, {words.about(after)} {second}"
    if before == after:
        counts = f"{words.upper_first(words.about(after))}, {same}"
    if error <= 0 and within_error(change, error):
        return f"{counts}: {what} did not move{_cancelling(results)}."
    if within_error(change, error):
        moved = shift(change, unit, error)
        return (
            f"{counts}: {what} moved by {moved}, which is within two simulation errors "
            f"({size(error, unit)} each) and cannot be told from no change{_cancelling(results)}."
        )
    verb = "rose" if change > 0 else "fell"
    amount = shift(change, unit, error).lstrip(f"+{words.MINUS}")
    return f"{counts}: {what} {verb} by {amount} (error {size(error, unit)}){_because(results)}."


def ends_sentence(results: Results) -> str:
    """What is compared with what."""
    was, now = get(results, "was"), get(results, "is")
    if not now.get("run"):
        return f"Compared with {was['label']}."
    return f"The first is {was['label']}, the second {now['label']}."


def _cancelling(results: Results) -> str:
    """The two largest items, where each is beyond its error and they pull apart."""
    row, name = headline_quantity(results), get(results, "headline")
    sure = [
        item
        for item in ranked(results)
        if not within_error(item["shapley"][name], error_of(item, name))
    ]
    up = next((item for item in sure if item["shapley"][name] > 0), None)
    down = next((item for item in sure if item["shapley"][name] < 0), None)
    if up is None or down is None:
        return ""
    sizes = sorted(abs(float(item["shapley"][name])) for item in (up, down))
    if sizes[0] < 0.5 * sizes[1]:
        return ""  # one of them is too small to explain why so little is left
    told = [
        f"{quoted(item['title'], 48)} "
        f"({shift(item['shapley'][name], row['unit'], error_of(item, name), named=False)})"
        for item in (up, down)
    ]
    return f", since {words.listed(told)} pull against each other"


def big_words(results: Results) -> str:
    """The largest words of the page."""
    row = headline_quantity(results)
    before, after = words.in_hundred(float(row["was"])), words.in_hundred(float(row["is"]))
    if nothing_changed(results) or (
        before == after and within_error(float(row["change"]), float(row["mcse"]))
    ):
        return f"Still {words.about(after)}"
    if before == after:
        unit, change = row["unit"], float(row["change"])
        amount = shift(change, unit, float(row["mcse"])).lstrip(f"+{words.MINUS}")
        way = "up" if change > 0 else "down"
        return f"{words.upper_first(words.about(after))}, {way} {amount}"
    if before.endswith(" in 100") and before[0].isdigit() and after[0].isdigit():
        return f"From about {before.removesuffix(' in 100')} to {after}"
    return f"From {words.about(before)} to {words.about(after)}"


METHODS: Mapping[str, str] = {
    "unchanged": "Same draws",
    "revalued": "Same draws",
    "reweighted": "Reweighted",
    "refitted": "Refitted",
}


def method_sentence(results: Results) -> str:
    """How the present answer was made from the former one, for someone who never met k-hat."""
    made = get(results, "is")
    draws, effective = int(made["draws"]), float(made["effective_draws"])
    why = f" {words.sentence(words.upper_first(str(made['why'])))}" if made.get("why") else ""
    if made["method"] == "refitted":
        said = (
            f"The model was fitted again; the {draws:,} draws used are worth {whole(effective)} "
            "equal ones for the present state."
        )
        return f"{said}{why}"
    if made["method"] in ("unchanged", "revalued"):
        again = "; only what follows from them was computed again"
        return (
            f"The {draws:,} stored draws stand as they were, since nothing changed that they "
            f"depend on{again if made['method'] == 'revalued' else ''}.{why}"
        )
    khat = "" if made.get("khat") is None else f", k-hat {words.fixed(made['khat'], 2)}"
    former = float(get(results, "was")["effective_draws"])
    before = f", and {whole(former)} for the state before" if whole(former) != whole(draws) else ""
    return (
        f"The {draws:,} stored draws got new weights instead of a new fit; so weighted they are "
        f"worth {whole(effective)} equal ones{khat}{before}.{why}"
    )


def whole(effective: float) -> str:
    """Effective draws, rounded down."""
    return words.fixed(math.floor(effective), 0)


def attribution_sentence(results: Results) -> str:
    """Exact or sampled, over how many orders, at what cost."""
    made, count = get(results, "attribution"), len(get(results, "items"))
    if not count:
        return "There was nothing to share out."
    combinations, different = int(made["combinations"]), int(made["evaluations"])
    evaluations = f"{combinations:,} combinations valued on the same draws"
    if different < combinations:
        evaluations += f", {different:,} of them different"
    if made["method"] == "exact":
        items = "one item" if count == 1 else f"{count} items"
        return f"Shares are exact, over every order of the {items}: {evaluations}."
    return (
        f"Shares are averages over {int(made['orders']):,} random orders of the {count} items, "
        f"{evaluations}; the error printed beside each includes that of the sampling."
    )


def _worst(made: Mapping[str, Any]) -> str:
    """The k-hat of the combination that is served worst, where it could be had."""
    khat = made["worst_khat"]
    return "" if khat is None else f"k-hat {words.fixed(khat, 2)}, "


def notes_of(results: Results) -> list[str]:
    """What a reader should know beside the numbers: what is silent, and where shares are rough."""
    told = []
    if rosters := results.get("rosters"):
        told.append(f"The rosters differ ({rosters}); what that moved is among the revisions.")
    if silent := int(results.get("context_rows") or 0):
        told.append(
            f"{words.counted(silent, 'new row is', 'new rows are')} background: shown, never counted."
        )
    if any(item["what"] == "added" for item in results["items"]):
        told.append(words.EXPECTED)
    made = get(results, "attribution")
    if made["partial"]:
        told.append(
            f"{int(made['partial']):,} of the {int(made['combinations']):,} combinations contradict themselves, as "
            "one alone of two counts restated would; such a combination is worth what stands of it."
        )
    if made.get("rough"):
        told.append(
            f"Some combinations of items rest on few draws ({_worst(made)}"
            f"{whole(made['least_draws'])} effective): the change as a whole stands, how it is "
            "shared out is rough."
        )
    return [*told, *words.ages(results.get("freshness"))]
