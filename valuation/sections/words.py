"""Numbers, dates and chances in words: no digit that the simulation cannot support."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from valuation.currency import BN, currency_of, neutral, unit_in, without

MINUS = "−"
# Why an item may move the answer against its tone.
EXPECTED = "An item counts by how it differs from what was expected: good news that falls short lowers the answer."

# The calibrated words of the Intergovernmental Panel on Climate Change, upper bound first.
LIKELY: Sequence[tuple[float, str]] = (
    (0.01, "exceptionally unlikely"),
    (0.10, "very unlikely"),
    (1 / 3, "unlikely"),
    (2 / 3, "about as likely as not"),
    (0.90, "likely"),
    (0.99, "very likely"),
    (1.01, "virtually certain"),
)


def likely(probability: float) -> str:
    """The calibrated word for a probability, 0 to 1, chosen from its count of 100 as shown.

    So two chances that both read "10 in 100" are never called by two words.
    """
    return _word(_count(probability))


def _count(probability: float) -> int:
    return math.floor(100 * probability + 0.5)


def _word(count: int) -> str:
    return next(word for bound, word in LIKELY if count < 100 * bound)


def likely_words() -> str:
    """All words of :data:`LIKELY` with the counts of 100 that they stand for."""
    told = []
    for word in (word for _, word in LIKELY):
        counts = [count for count in range(101) if _word(count) == word]
        low, high = counts[0], counts[-1]
        span = f"{low} to {high}"
        if high == 0:
            span = "fewer than 1"
        elif high == 100:
            span = f"{low} or more"
        told.append(f"{word} is {span}")
    return f"Chosen from the count of 100 futures as shown: {listed(told)}."


def decimals(error: float | None, *, most: int = 2) -> int:
    """How many decimals a number with this Monte Carlo error supports.

    The last digit shown is worth at least half the error.
    """
    if error is None or not math.isfinite(error) or error <= 0:
        return min(1, most)
    return max(0, min(most, -math.ceil(math.log10(error / 2))))


def fixed(value: float, digits: int) -> str:
    """Fixed decimals, thousands apart, a true minus, no minus zero."""
    text = f"{abs(value):,.{digits}f}"
    negative = value < 0 and float(text.replace(",", "")) != 0
    return f"{MINUS}{text}" if negative else text


def compact(value: float | None, *, figures: int = 3) -> str:
    """About ``figures`` significant figures, for tables of unlike things; a dash for nothing."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    digits = max(0, figures - 1 - size)
    text = fixed(value, min(digits, 6))
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(probability: float, error: float | None = None) -> str:
    """A chance, 0 to 1, as per cent; a simulated one is never certain."""
    if not math.isfinite(probability):
        return "–"
    simulated = error is not None
    if probability < 0.005 and (simulated or probability > 0):
        return "under 1%"
    if probability >= 0.995 and (simulated or probability < 1):
        return "over 99%"
    digits = 0 if error is None else decimals(100 * error, most=1)
    return f"{fixed(100 * probability, digits)}%"


def in_hundred(probability: float) -> str:
    """A chance as a count of 100 futures."""
    count = _count(probability)
    if count < 1:
        return "fewer than 1 in 100"
    return f"{count} in 100" if count < 100 else "more than 99 in 100"


def about(natural: str) -> str:
    """``16 in 100`` with *about* before it, unless it already says how it is rounded."""
    return f"about {natural}" if natural[:1].isdigit() else natural


def points(error: float) -> str:
    """A Monte Carlo error of a probability, in percentage points."""
    if error < 0.0005:
        return "under 0.1 points"
    return f"{fixed(100 * error, 1)} points"


def moved(change: float, error: float) -> str:
    """A change of a probability in percentage points, to what its Monte Carlo error supports."""
    return f"{signed(100 * change, decimals(100 * error, most=1))} points"


def currency(results: Mapping[str, Any]) -> str:
    """The code of the currency that a page's results are in."""
    return str(results["deal"]["currency"])


def bn(results: Mapping[str, Any]) -> str:
    """The unit of the results' money, as ``EUR bn``."""
    return unit_in(BN, currency(results))


def millions(results: Mapping[str, Any]) -> str:
    """A thousandth of it, as ``EUR m``."""
    return f"{currency(results)} m"


def amount(row: Mapping[str, Any], name: str) -> Any:
    """An amount of money of the results, whatever its currency: ``price_bn`` is under ``price_eur_bn``."""
    return row[next((key for key in row if neutral(key)[0] == name), name)]


def money(unit: str, value: float, digits: int = 1) -> str:
    """An amount as prose writes it: of ``EUR bn`` the currency before it, the rest after it."""
    return _with_unit(fixed(value, digits), unit)


def _with_unit(text: str, unit: str) -> str:
    code = currency_of(unit)
    sign = MINUS if text.startswith(MINUS) else ""
    return f"{sign}{code} {text.removeprefix(MINUS)} {without(unit)}"


def signed(value: float, digits: int = 1) -> str:
    """A change with its sign."""
    text = fixed(value, digits)
    return text if text.startswith(MINUS) or not text.strip("0.,") else f"+{text}"


def quantity(value: float | None, unit: str, *, figures: int = 2) -> str:
    """A driver's value with its unit, to about ``figures`` figures; fractions as per cent."""
    if value is None or not math.isfinite(value):
        return "–"
    if unit == "fraction":
        shown = 100 * value
        return f"{compact(shown, figures=figures) if abs(shown) < 10 else fixed(shown, 0)}%"
    if currency_of(unit):
        return _with_unit(compact(value, figures=figures), unit)
    if unit in ("", "0 or 1", "indicator", "grade", "count", "rank"):
        return compact(value, figures=figures)
    return f"{compact(value, figures=figures)} {unit}"


MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def long_date(date: str | dt.date) -> str:
    """``2025-06-12`` as 12 June 2025."""
    day = date if isinstance(date, dt.date) else dt.date.fromisoformat(str(date)[:10])
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def spell_dates(text: str) -> str:
    """Every ISO date inside a sentence spelled out."""

    def spell(match: re.Match[str]) -> str:
        try:
            return long_date(match.group())
        except ValueError:
            return match.group()

    return re.sub(r"\b\d{4}-\d{2}-\d{2}\b", spell, text)


def listed(items: Sequence[str]) -> str:
    """``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def counted(count: int, one: str, many: str) -> str:
    """``1 row is`` or ``3 rows are``."""
    return f"{count} {one if count == 1 else many}"


def lower_first(text: str) -> str:
    """A label inside a sentence; abbreviations such as NPV keep their capitals."""
    return text if len(text) > 1 and text[1].isupper() else text[:1].lower() + text[1:]


_SMALL = ("a", "an", "if", "in", "no", "of", "on", "the", "from", "what", "whether", "with")


def clause(text: str) -> str:
    """A sentence as a part of a longer one: no full stop, a capital only where it begins a name."""
    cut = spell_dates(text.strip().rstrip("."))
    first = cut.partition(" ")[0]
    return lower_first(cut) if first.lower() in _SMALL else cut


def upper_first(text: str) -> str:
    """A phrase at the start of a sentence."""
    return text[:1].upper() + text[1:]


def ages(freshness: Mapping[str, Any] | None) -> list[str]:
    """How old the newest evidence was on the day when results were read, and what was then beyond its limit."""
    if freshness is None:
        return []
    days, newest = int(freshness["days"]), long_date(freshness["newest"])
    said = f"The newest evidence is of {newest}"
    if days > 0:
        said += f", {counted(days, 'day', 'days')} before this was made on {long_date(freshness['day'])}"
        said += ": what happened since has not been read"
    return [f"{said}.", *(f"Careful: {warning}" for warning in freshness["warnings"])]


def first_sentence(text: str) -> tuple[str, str]:
    """The first sentence of a text and the rest; an end inside quotation marks or brackets is none."""
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter in "“(") - (letter in "”)")
        begins = text[at + 2 : at + 3]
        ends = letter == "." and depth <= 0 and text[at + 1 : at + 2] == " "
        if ends and (begins.isupper() or begins.isdigit()):
            return text[: at + 1], text[at + 2 :]
    return text, ""


def sentence(text: str) -> str:
    """The same words with one full stop at the end."""
    stripped = text.strip()
    return stripped if not stripped or stripped[-1] in ".!?" else f"{stripped}."


# What the evidence did to a parameter: one measure for every page.

NARROWED = 0.2  # share of the prior sd that must go before a parameter counts as narrowed
SHIFTED = 0.5  # prior sds that the mean must move before it counts as shifted


def narrowed(row: Mapping[str, Any]) -> float:
    """Share of the prior sd that the evidence removed; negative where it widened."""
    prior = float(row["prior_sd"])
    return 1 - float(row["sd"]) / prior if prior > 0 else 0.0


def shift(row: Mapping[str, Any]) -> float:
    """How far the mean moved, in prior sds."""
    prior = float(row["prior_sd"])
    return (float(row["mean"]) - float(row["prior_mean"])) / prior if prior > 0 else 0.0


def width_change(row: Mapping[str, Any]) -> str:
    """``45% narrower`` or ``12% wider``."""
    share = narrowed(row)
    return f"{fixed(100 * abs(share), 0)}% {'narrower' if share >= 0 else 'wider'}"


def taught(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many parameters the evidence narrowed or shifted, and what of the rest."""
    small = [row for row in rows if narrowed(row) >= NARROWED]
    moved = [row for row in rows if abs(shift(row)) > SHIFTED]
    rest = sum(1 for row in rows if narrowed(row) < NARROWED and abs(shift(row)) <= SHIFTED)
    said = (
        f"Of {len(rows)} parameters the evidence narrows {len(small)} by a fifth of their prior sd "
        f"or more and shifts {len(moved)} by more than half a prior sd"
    )
    if rest:
        said += f"; for the other {rest} the answer is mostly prior"
    wider = sum(1 for row in rows if narrowed(row) < -0.05)
    if wider:
        said += (
            f". {wider} came out wider than {'its' if wider == 1 else 'their'} prior: "
            "evidence that surprises can leave one less sure than before"
        )
    return f"{said}."


# How exactly the simulation knows the money.


def effective_draws(headline: Mapping[str, Any]) -> float:
    """Independent draws that the stated Monte Carlo error of P is worth."""
    chance, error = float(headline["probability"]), float(headline["mcse"])
    if error > 0 and 0 < chance < 1:
        return max(10.0, chance * (1 - chance) / error**2)
    return 1000.0


def npv_digits(headline: Mapping[str, Any], which: str) -> int:
    """Decimals of ``npv_mean``, ``npv_median``, ``npv_lower`` or ``npv_upper`` worth showing.

    A stated ``<which>_mcse`` is used; else the error of a normal with the same interval.
    """
    stated = headline.get("npv_mcse" if which == "npv_mean" else f"{which}_mcse")
    if stated is None:
        spread = (float(headline["npv_upper"]) - float(headline["npv_lower"])) / 3.29
        factor = {"npv_mean": 1.0, "npv_median": 1.25}.get(which, 2.1)
        stated = factor * spread / math.sqrt(effective_draws(headline))
    return decimals(float(stated), most=1)


def bar_digits(row: Mapping[str, Any], headline: Mapping[str, Any]) -> int:
    """Decimals worth showing of a tornado's bar, a mean over a tenth of the futures.

    Its stated errors are used; else those of a normal with the headline's interval.
    """
    stated = [float(row[key]) for key in ("npv_low_mcse", "npv_high_mcse") if key in row]
    if stated:
        return decimals(max(stated), most=1)
    spread = (float(headline["npv_upper"]) - float(headline["npv_lower"])) / 3.29
    return decimals(spread / math.sqrt(effective_draws(headline) / 10), most=1)


def npv_money(headline: Mapping[str, Any], which: str, unit: str) -> str:
    """One of the headline's values of NPV in prose, in ``unit`` (``EUR bn``)."""
    return money(unit, float(headline[which]), npv_digits(headline, which))


def npv_range(headline: Mapping[str, Any], unit: str) -> str:
    """``−USD 9.9 bn to USD 9.8 bn``."""
    return f"{npv_money(headline, 'npv_lower', unit)} to {npv_money(headline, 'npv_upper', unit)}"
