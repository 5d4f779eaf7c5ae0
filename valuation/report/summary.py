"""What a terminal shows after a run: the answer first, then the scenarios, in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 80
Results = Mapping[str, Any]


def summary(results: Sequence[Results], notice: str = "") -> str:
    """The answer of the first result, a line for each where there are several, and a notice."""
    first = results[0]
    lines = [*_answer(first)]
    if len(results) > 1:
        lines += ["", *_table(results)]
        lines += _terms(results)
    if notice:
        lines += ["", *_wrapped(notice)]
    return "\n".join(lines)


def _answer(results: Results) -> list[str]:
    from valuation import sections
    from valuation.sections import words

    head, scenario = results["headline"], results["scenario"]
    said = sections.headline(results).summary
    mass = f"{head['ci_prob']:.0%}"
    low, high = head.get("opinion_low"), head.get("opinion_high")
    lines = [
        f"Does {results['deal']['title']} pay off?",
        "",
        *_wrapped(said),
        *_wrapped(f"That is: {words.lower_first(head['label'])}."),
        *_wrapped(
            f"Net present value: {words.npv_money(head, 'npv_median')} in the middle, "
            f"{mass} between {words.npv_money(head, 'npv_lower')} and "
            f"{words.npv_money(head, 'npv_upper')}; "
            f"mean {words.npv_money(head, 'npv_mean')}."
        ),
    ]
    if low is not None and high is not None:
        lines += _wrapped(f"By other people's priors the chance runs from {low:.0%} to {high:.0%}.")
    if scenario["scenario"] != "base":
        lines += _wrapped(f"Under the scenario: {scenario['title']}.")
    for sentence in scenario.get("terms") or []:
        lines += _wrapped(f"Terms changed: {sentence}")
    if override := results.get("run", {}).get("override"):
        lines += _wrapped(f"Published in spite of a failed check, because: {override}")
    return lines


def _terms(results: Sequence[Results]) -> list[str]:
    """The terms that scenarios after the first change; the answer tells those of the first."""
    lines = []
    for each in results[1:]:
        scenario = each["scenario"]
        for sentence in scenario.get("terms") or []:
            lines += _wrapped(f"{scenario['scenario']}, terms changed: {sentence}")
    return ["", *lines] if lines else []


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _table(results: Sequence[Results]) -> list[str]:
    from valuation.sections import words

    def number(head: Results, key: str) -> str:
        return words.fixed(head[key], words.npv_digits(head, key))

    heads = ("scenario", "likely", "pays off", "median NPV", "5% to 95%, USD bn")
    rows = [heads]
    for each in results:
        scenario, head = each["scenario"], each["headline"]
        likely = (
            words.percent(scenario["probability"], scenario["probability_mcse"])
            if scenario.get("conditions")
            else ""
        )
        if scenario.get("sets"):
            likely = likely or "set"
        if scenario.get("terms"):
            likely = likely or "terms"
        rows.append(
            (
                scenario["scenario"][:26],
                likely,
                words.percent(head["probability"], head["mcse"]),
                number(head, "npv_median"),
                f"{number(head, 'npv_lower')} to {number(head, 'npv_upper')}",
            )
        )
    first = max(len(row[0]) for row in rows)
    return [
        f"  {row[0]:<{first}}  {row[1]:>6}  {row[2]:>8}  {row[3]:>10}  {row[4]:>19}".rstrip()
        for row in rows
    ]
