"""From checks to a decision to publish: pure functions on plain data.

Every helper returns :class:`Check` records; :func:`gate` joins them to a :class:`Verdict`. A check
that could not be made counts as failed, and so does a list without checks. Nothing is read or
written here.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any, Protocol

from valuation.errors import GateError
from valuation.schema import finite

NAMED = 5  # overdue questions that a sentence names
RESULTS_MIME = "application/vnd.valuation.results+json"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What was checked.
    value, limit
        Numbers where there are any; None where the check is a yes or no, or could not be computed.
    passed
        Whether it is good. What cannot be shown to be good has failed.
    sentence
        For the reader: which check, its value, its limit and, if it failed, what to do.
    """

    name: str
    value: float | None
    limit: float | None
    passed: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """Whether a result may be published.

    Attributes
    ----------
    checks
        All that were made.
    override
        The reason for publishing in spite of failures, to be printed in the report; else empty.
    """

    checks: tuple[Check, ...]
    override: str = ""

    @property
    def failures(self) -> tuple[str, ...]:
        """Sentences of the checks that failed."""
        if not self.checks:
            return ("nothing was checked; hand the gate the checks of the run",)
        return tuple(check.sentence for check in self.checks if not check.passed)

    @property
    def passed(self) -> bool:
        """True if nothing failed; an override does not make it true."""
        return not self.failures

    @property
    def publish(self) -> bool:
        """True if nothing failed or a reason overrides what did."""
        return self.passed or bool(self.override)

    def raise_if_refused(self) -> None:
        """Raise :class:`GateError` with every failure unless the result may be published."""
        if not self.publish:
            raise GateError(self.failures)


class Limits(Protocol):
    """What the checks of reweighted draws compare with, from ``params/gate.yaml``."""

    @property
    def khat_max(self) -> float: ...
    @property
    def scenario_draws_min(self) -> float: ...


class Finding(Protocol):
    """A check made elsewhere, such as by ``ledger.check_ledger``."""

    @property
    def name(self) -> str: ...
    @property
    def passed(self) -> bool: ...
    @property
    def detail(self) -> str: ...


def gate(checks: Iterable[Check], override: str = "") -> Verdict:
    """Join checks to a verdict; ``override`` is a reason in words, and blanks are none."""
    return Verdict(tuple(checks), override.strip())


def from_table(table: Iterable[Mapping[str, Any]]) -> tuple[Check, ...]:
    """Checks from rows ``check, value, limit, passed, sentence``, as a diagnosis has them.

    ``passed`` must be True itself: a missing or merely truthy entry has failed.
    """
    return tuple(
        Check(
            str(row["check"]),
            finite(row.get("value")),
            finite(row.get("limit")),
            row.get("passed") is True,
            str(row["sentence"]),
        )
        for row in table
    )


def ledger_lint(findings: Iterable[Finding]) -> tuple[Check, ...]:
    """The checks of the ledger; no findings at all is a failure."""
    checks = tuple(
        Check(
            f"ledger: {finding.name}",
            None,
            None,
            finding.passed is True,
            f"ledger: {finding.name}: {finding.detail}",
        )
        for finding in findings
    )
    return checks or (
        Check("ledger", None, None, False, "ledger: it was not checked; run `valuation check`"),
    )


class Ages(Protocol):
    """What :func:`freshness` compares with, from ``params/gate.yaml``."""

    @property
    def evidence_age_days_max(self) -> int: ...
    @property
    def overdue_days_max(self) -> int: ...


def freshness(
    newest: dt.date, waiting: Mapping[str, float], limits: Ages, *, day: dt.date, option: str = ""
) -> dict[str, Any]:
    """How old an answer of the present is on a day, with what warns of it; told, never refused.

    The answer follows from its evidence and is the same on any day; only who reads it late must know.

    Parameters
    ----------
    newest
        Day on which the newest evidence was published.
    waiting
        Days since each question without an outcome closed, by its id, up to ``day``.
    option
        What a command that is proposed must be told besides, as which deal is meant.

    Returns
    -------
    dict
        ``day``, ``newest`` (ISO), ``days`` between them, and ``warnings``: sentences of what is beyond its limit.
    """
    days = (day - newest).days
    found = (
        evidence_age(days, limits.evidence_age_days_max, option=option),
        overdue(waiting, limits.overdue_days_max),
    )
    return {
        "day": day.isoformat(),
        "newest": newest.isoformat(),
        "days": days,
        "warnings": [check.sentence for check in found if not check.passed],
    }


def evidence_age(days: float, limit: float, *, option: str = "") -> Check:
    """Days from the newest evidence to the day that is spoken for, 0 to ``limit``.

    Of an as-of date that was given it refuses; on the day on which a report of the present is made it warns
    (:func:`freshness`).
    """
    name = "evidence age"
    passed = 0 <= days <= limit
    sentence = f"{name}: the newest evidence is {_text(days)} days old"
    sentence += f", at most {_text(limit)} allowed"
    if not passed:
        sentence += f"; add news with `valuation news add{option}` or choose an earlier as-of date"
    return Check(name, finite(days), finite(limit), passed, f"{sentence}.")


def overdue(closed: Mapping[str, float], limit: float) -> Check:
    """Days since each unresolved question closed, by its id, up to the day that is spoken for; at most ``limit``.

    Questions that are still open have negative days. A record whose questions stay unresolved once the answer is
    unwelcome scores better than its forecaster.
    """
    name = "overdue questions"
    late = sorted((q for q, days in closed.items() if not days <= limit), key=lambda q: -closed[q])
    worst = max([0.0, *map(float, closed.values())])
    if not late:
        sentence = f"{name}: none; {_text(limit)} days are allowed after a question's close"
        return Check(name, finite(worst), finite(limit), True, f"{sentence}.")
    told = ", ".join(f"{q} ({_text(closed[q])} days)" for q in late[:NAMED])
    told += f" and {len(late) - NAMED} more" if len(late) > NAMED else ""
    sentence = f"{name}: {told}, at most {_text(limit)} allowed; "
    sentence += f"say what came of it: `valuation resolve {late[0]} --outcome ... --source ...`"
    return Check(name, finite(worst), finite(limit), False, f"{sentence}.")


def prior_range(
    intervals: Mapping[str, tuple[float, float]], bounds: Mapping[str, Any]
) -> tuple[Check, ...]:
    """Prior-predictive intervals of drivers against what is possible at all.

    Parameters
    ----------
    intervals
        By driver: the lowest lower and the highest upper end over the months of the central 90% of
        the prior predictive, in the driver's unit.
    bounds
        By driver: what it may not leave, as ``(low, high)`` or a record with ``low`` and ``high``.
        A driver that has bounds and no interval fails: the check that nobody made must not pass.
    """
    checks = []
    for driver, limits in bounds.items():
        name = f"prior range: {driver}"
        low, high = (limits.low, limits.high) if hasattr(limits, "low") else limits
        if driver not in intervals:
            sentence = f"{name}: no prior-predictive interval was given; draw it from the prior."
            checks.append(Check(name, None, None, False, sentence))
            continue
        lower, upper = map(float, intervals[driver])
        passed = low <= lower <= upper <= high
        sentence = f"{name}: 90% of the prior predictive in {lower:.3g} to {upper:.3g}"
        sentence += f", must lie in {low:g} to {high:g}"
        if not passed:
            sentence += "; correct the priors behind it in params/priors.yaml"
        beyond = lower if not lower >= low else upper
        limit = low if not lower >= low else high
        checks.append(Check(name, finite(beyond), finite(limit), passed, f"{sentence}."))
    return tuple(checks) or (
        Check(
            "prior range",
            None,
            None,
            False,
            "prior range: no driver has limits; state prior_range in params/gate.yaml.",
        ),
    )


def effective_draws(weights: Iterable[float]) -> float:
    """Equally weighted draws that these are worth, (sum w)^2 / sum w^2; NaN if unusable."""
    values = [float(weight) for weight in weights]
    if not values or not all(math.isfinite(w) and w >= 0 for w in values):
        return math.nan
    total = math.fsum(values)
    # Divided first, so that tiny weights do not vanish when squared.
    return 1 / math.fsum((w / total) ** 2 for w in values) if total > 0 else math.nan


def scenario_draws(weights: Iterable[float], limits: Limits, *, scenario: str) -> Check:
    """Whether a scenario's conditions leave enough effective draws to speak from."""
    name = f"effective draws: {scenario}"
    value = effective_draws(weights)
    passed = value >= limits.scenario_draws_min
    sentence = f"{name}: {_text(value)}, at least {_text(limits.scenario_draws_min)} needed"
    if not passed:
        sentence += "; its conditions are too rare: loosen them, or set the driver instead"
    return Check(name, finite(value), finite(limits.scenario_draws_min), passed, f"{sentence}.")


def khat_limit(draws: int, khat_max: float) -> float:
    """Largest Pareto k at which importance weights of ``draws`` draws can be trusted.

    min(1 - 1/log10(draws), khat_max), after Vehtari et al. (2024, arXiv:1507.02646).
    """
    return min(1 - 1 / math.log10(draws), khat_max) if draws > 10 else 0.0


def reweighting(
    khat: float, draws: int, effective: float, limits: Limits, *, name: str
) -> tuple[Check, ...]:
    """Importance weights from one prior set or ledger to another: Pareto k **and** effective draws.

    Both, because k is noisy by 0.1: weights with k 0.55 have been seen to leave a twentieth of the
    draws.
    """
    limit = khat_limit(draws, limits.khat_max)
    good = khat <= limit
    first = f"Pareto k of weights: {name}"
    sentence = f"{first}: {_text(khat)}, at most {_text(limit)} allowed"
    enough = effective >= limits.scenario_draws_min
    second = f"effective draws: {name}"
    words = f"{second}: {_text(effective)}, at least {_text(limits.scenario_draws_min)} needed"
    remedy = "; fit again instead of reweighting"
    return (
        Check(first, finite(khat), finite(limit), good, f"{sentence}{'' if good else remedy}."),
        Check(
            second,
            finite(effective),
            finite(limits.scenario_draws_min),
            enough,
            f"{words}{'' if enough else remedy}.",
        ),
    )


def power_scaling(diagnoses: Mapping[str, str], limit: float) -> Check:
    """What the sensitivity of each parameter to its prior and to its evidence says; never refused.

    A prior that disagrees with its evidence may be the right one: it is a reason to look, and is said beside the
    checks that were met.

    Parameters
    ----------
    diagnoses
        By parameter: what is wrong, in words; empty if nothing is.
    limit
        Sensitivity from which a prior or a likelihood counts.
    """
    name = "power scaling"
    groups: dict[str, list[str]] = {}
    for parameter, said in diagnoses.items():
        if said:
            groups.setdefault(said, []).append(parameter)
    told = "; ".join(
        f"{said}: {len(those)} of {len(diagnoses)} ({', '.join(those[:3])}"
        f"{', ...' if len(those) > 3 else ''})"
        for said, those in groups.items()
    )
    sentence = f"{name}: {told or 'no parameter is flagged'}, at a sensitivity of {_text(limit)}"
    return Check(
        name, sum(map(len, groups.values())), None, True, f"{sentence}; said, not refused."
    )


# --------------------------------------------------------------------------------------------------
# Pages


def page(html: str, expected: Mapping[str, int]) -> tuple[Check, ...]:
    """Whether a page is whole: ends as it should, has each section, with its figures drawn.

    Parameters
    ----------
    html
        The page as it will be published.
    expected
        By id of the section: how many figures it must hold at least. A figure counts if its
        ``<figure>`` holds an ``<svg>`` with a shape in it, or an ``<img>`` with embedded data. What
        stands in comments does not count.
    """
    reader = _PageReader()
    reader.feed(html)
    reader.close()
    whole = html.rstrip().endswith("</html>") and not reader.unclosed
    checks = [
        Check(
            "page: whole",
            None,
            None,
            whole,
            "page: whole."
            if whole
            else "page: it is cut off before its end; render the report again.",
        )
    ]
    numbers = len(reader.not_numbers)
    where = f" near {reader.not_numbers[0]!r}" if numbers else ""
    checks.append(
        Check(
            "page: numbers",
            numbers,
            0,
            numbers == 0,
            f"page: numbers: {numbers} places show NaN or infinity{where}"
            + ("; find the result that is not finite." if numbers else "."),
        )
    )
    for section, figures in expected.items():
        name = f"page: {section}"
        if section not in reader.sections:
            sentence = f"{name}: the section is missing; see which notebook cell shows it."
            checks.append(Check(name, None, None, False, sentence))
            continue
        found = reader.sections[section]
        passed = found.figures >= figures and bool(found.text.strip())
        sentence = f"{name}: {found.figures} of {figures} figures"
        if not found.text.strip():
            sentence = f"{name}: the section is empty"
        remedy = "" if passed else "; see the notebook cell that shows it"
        checks.append(Check(name, found.figures, figures, passed, f"{sentence}{remedy}."))
    if not expected:
        sentence = "page: no section is expected of it; name those that it must hold."
        checks.append(Check("page: sections", None, None, False, sentence))
    return tuple(checks)


@dataclass
class _Section:
    figures: int = 0
    text: str = ""


@dataclass
class _Open:
    """An element whose end has not come yet."""

    tag: str
    id: str = ""
    drawn: bool = False  # of a figure: whether it shows anything


class _PageReader(HTMLParser):
    """Collects, by id of the enclosing elements, text and drawn figures."""

    VOID = frozenset(
        {
            *("area", "base", "br", "col", "embed", "hr", "img"),
            *("input", "link", "meta", "param", "source", "track", "wbr"),
        }
    )
    SHAPES = frozenset(
        ("path", "line", "rect", "circle", "ellipse", "polygon", "polyline", "text", "use")
    )
    MUTE = frozenset(("script", "style", "title", "desc", "defs", "template"))
    # As Python prints them; "Nan" may be somebody's name.
    NOT_A_NUMBER = re.compile(r"(?<![\w-])(?:nan|NaN|-?inf)(?![\w-])")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[_Open] = []
        self.sections: dict[str, _Section] = {}
        self.not_numbers: list[str] = []

    @property
    def unclosed(self) -> bool:
        return bool(self.open)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._shape(tag, values)
        if tag in self.VOID:
            return
        if values.get("id"):
            self.sections.setdefault(values["id"], _Section())
        self.open.append(_Open(tag, values.get("id", "")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._shape(tag, {name: value or "" for name, value in attrs})

    def handle_endtag(self, tag: str) -> None:
        if not any(element.tag == tag for element in self.open):
            return
        # Elements such as <p> and <li> may end without saying so.
        while (element := self.open.pop()).tag != tag:
            pass
        if element.tag == "figure" and element.drawn:
            for outer in self.open:
                if outer.id:
                    self.sections[outer.id].figures += 1

    def handle_data(self, data: str) -> None:
        tags = {element.tag for element in self.open}
        if tags & self.MUTE:
            return
        for element in self.open:
            if element.id:
                self.sections[element.id].text += data
        if "pre" not in tags and "code" not in tags and (odd := self.NOT_A_NUMBER.search(data)):
            self.not_numbers.append(data.strip()[max(odd.start() - 30, 0) : odd.end() + 30])

    def _shape(self, tag: str, attrs: Mapping[str, str]) -> None:
        tags = [element.tag for element in self.open]
        embedded = tag == "img" and attrs.get("src", "").startswith("data:image/")
        shape = tag in self.SHAPES and "svg" in tags and not set(tags) & self.MUTE
        if embedded or shape:
            for element in self.open:
                element.drawn = element.drawn or element.tag == "figure"


# --------------------------------------------------------------------------------------------------
# Notebooks


def notebook(executed: Mapping[str, Any], *, name: str = "notebook") -> tuple[Check, ...]:
    """Whether an executed notebook ran from its first cell to its last and showed its results.

    The verdict comes from the cells alone. Metadata is not read: a run that is killed leaves cells
    marked "completed" there.

    Parameters
    ----------
    executed
        The notebook as parsed JSON, version 4.
    """
    cells = [
        cell
        for cell in executed.get("cells") or []
        if cell.get("cell_type") == "code" and _joined(cell.get("source")).strip()
    ]
    counts = [cell.get("execution_count") for cell in cells]
    errors = [
        f"{output.get('ename', 'error')} in code cell {position}"
        for position, cell in enumerate(cells, 1)
        for output in cell.get("outputs") or []
        if output.get("output_type") == "error"
    ]
    missed = [
        position
        for position, count in enumerate(counts, 1)
        if isinstance(count, bool) or not isinstance(count, int) or count < 1
    ]
    ordered = not missed and all(a < b for a, b in pairwise(counts))
    shown = [position for position, cell in enumerate(cells, 1) if _shows_results(cell)]
    again = "run it again with `valuation report`"

    ran = f"{name}: cells run"
    if not cells:
        words = f"{ran}: it has no code; {again}."
    elif missed:
        words = (
            f"{ran}: code cell {missed[0]} of {len(cells)} was not run, it was cut short; {again}."
        )
    elif not ordered:
        words = f"{ran}: its cells were run out of order; {again}."
    else:
        words = f"{ran}: {len(cells)} of {len(cells)}."
    failed = f"{name}: no error"
    last = f"{name}: results shown"
    finished = bool(cells) and shown == [len(cells)]
    return (
        Check(ran, len(cells) - len(missed), len(cells), bool(cells) and ordered, words),
        Check(
            failed,
            len(errors),
            0,
            not errors,
            f"{failed}: {errors[0]}; see its output, then {again}." if errors else f"{failed}.",
        ),
        Check(
            last,
            None,
            None,
            finished,
            f"{last}."
            if finished
            else f"{last}: its last cell, and no other, must show them; {again}.",
        ),
    )


def _shows_results(cell: Mapping[str, Any]) -> bool:
    """Whether a cell's outputs hold the sentinel: results with their digest."""
    for output in cell.get("outputs") or []:
        shown = (output.get("data") or {}).get(RESULTS_MIME)
        if isinstance(shown, Mapping) and shown.get("results") and shown.get("digest"):
            return True
    return False


def _joined(source: str | Sequence[str] | None) -> str:
    return source if isinstance(source, str) else "".join(source or ())


def _text(value: float) -> str:
    if not math.isfinite(value):
        return "not computable" if math.isnan(value) else str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
