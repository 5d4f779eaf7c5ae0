"""The command that makes the history of the answer: ``replay``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import click

from valuation.cli.options import (
    EXIT_CODES,
    WIDTH,
    deal_option,
    debug_option,
    json_option,
    print_json,
    project_root,
    quiet_option,
    scenario_option,
    seed_option,
    seeded,
    short_path,
    talk,
    talk_unless,
    with_options,
)

_HEADS = ("date", "rows", "pays off", "NPV", "how")
_LAYOUT = "{:<10}  {:>4}  {:>13}  {:>14}  {:<15}"
_INDENT = " " * 12


@click.command(epilog=EXIT_CODES)
@click.option(
    "--every",
    type=click.Choice(["news", "month"]),
    default="month",
    show_default=True,
    help="At each month's end, or each day on which news came.",
)
@click.option("--refit-at-each", is_flag=True, help="Fit at each date; weigh nothing forward.")
@with_options(scenario_option, deal_option, seed_option, json_option, quiet_option, debug_option)
def replay(
    every: str,
    scenario: str,
    refit_at_each: bool,
    deal: str,
    seed: int | None,
    as_json: bool,
    quiet: bool,
    debug: bool,
) -> None:
    """The answer as it would have been on each date, and what moved it.

    From the deal's close to the newest row, each date with what was public by then, under the
    present priors, terms and code. Draws are weighed forward and the model is fitted again where
    they do not reach; fits are kept, so that a second replay is quick. The history is written to
    reports/history.json; its chart stands in reports/index.html and in the scenario's next report.

    \b
    Examples:
      valuation replay --every month
      valuation replay --every news --json
    """
    from valuation.archive import BASE
    from valuation.study import open_study
    from valuation.study.replay import replay as walked
    from valuation.study.replay import write_history

    root = project_root()
    study = open_study(deal, scenario, root=root, **seeded(seed))
    history = walked(
        study,
        every=every,
        refit_at_each=refit_at_each,
        told=talk_unless(quiet),
    )
    path = write_history(root, history)
    shown = _refreshed(root, deal) if history["scenario"] == BASE else None
    if as_json:
        print_json(history)
    elif not quiet:
        for line in table(history):
            click.echo(line)
    if not quiet:
        where = short_path(path)
        chart = f"; the chart is in {short_path(shown)}" if shown else ""
        talk(f"History in {where}{chart}", bold=True)


def _refreshed(root: Any, deal: str) -> Any:
    """The index with the new chart; None where nothing has been published yet."""
    from valuation.report import index, report_base
    from valuation.report.standing import standings

    base = report_base(root, deal=deal)
    held = index.shelf(base, standings(root, deal=deal), deal=deal, root=root)
    return index.write(base, held) if held.scenarios else None


def table(history: Mapping[str, Any]) -> list[str]:
    """A history in 80 columns; under a date, the new item that clearly moved the headline most."""
    from valuation.sections.past import clear_items, fits_sentence
    from valuation.sections.words import fixed

    worth = next((q for q in history["quantities"] if q["group"] == "value"), None)
    money = worth["name"] if worth else ""
    heads = [f"NPV, {worth['unit']}" if worth and head == "NPV" else head for head in _HEADS]
    lines = [_LAYOUT.format(*heads).rstrip()]
    headline = next(q for q in history["quantities"] if q["name"] == history["headline"])
    for point in history["points"]:
        values, errors = point["values"], point["mcse"]
        name = headline["name"]
        npv = f"{fixed(values[money], 2)} ± {errors[money]:.2f}" if money in values else "-"
        how = point["method"]
        if how != "fitted" and point["khat"] is not None:
            how = f"weighed, k {max(point['khat'], 0.0):.2f}"
        chance = f"{values[name]:.1%} ± {100 * errors[name]:.1f}"
        lines.append(_LAYOUT.format(point["as_of"], point["rows"], chance, npv, how).rstrip())
        lines += [_moved(item) for item in clear_items(history, point)[:1]]
    told = (
        f"{headline['label']}, and the expected net present value, each ± its Monte Carlo error. "
        "Under a date: the new item that moved the chance most, in points, as it arrived, if by more than two errors. "
        + fits_sentence(history)
    )
    return [*lines, "", *textwrap.wrap(told, WIDTH)]


def _moved(item: Mapping[str, Any]) -> str:
    from valuation.sections.words import signed

    error = f" ± {100 * item['mcse']:.1f}" if "mcse" in item else ""
    words = " ".join(f"{item['item']} {item['title']}".split())
    text = f"{_INDENT}{signed(100 * item['change'])}{error}  {words}"
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1].rstrip()}…"
