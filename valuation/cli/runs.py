"""The command that lists the runs that were kept."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from valuation.cli.options import (
    EXIT_CODES,
    WIDTH,
    deal_option,
    debug_option,
    json_option,
    print_json,
    project_root,
    talk,
    with_options,
)

if TYPE_CHECKING:
    from valuation.archive import Run

_HEADS = ("run", "kept (UTC)", "scenario", "as of", "pays off", "by")
_LAYOUT = "{:<8}  {:<16}  {:<17}  {:<11}  {:>12}  {:<6}"


@click.command(epilog=EXIT_CODES)
@click.option("--scenario", metavar="NAME", help="Only runs of this scenario.")
@with_options(deal_option, json_option, debug_option)
def runs(scenario: str | None, deal: str, as_json: bool, debug: bool) -> None:
    """List the runs that were kept, the newest last.

    Every scenario that is published is kept with what it was made from, in reports/runs/. Other
    commands take a run by its id, a unique beginning of it, the eight digits that stand first here,
    or as `latest`, the newest of the base scenario that was not made with --as-of. Nothing is ever
    removed by a command.

    \b
    Examples:
      valuation runs --scenario base
      valuation runs --json
    """
    from valuation.archive import list_runs
    from valuation.params import load_deal, load_scenario

    root = project_root()
    load_deal(deal, root)  # an unknown deal has no empty list of runs
    found = list_runs(root, deal=deal, scenario=scenario)
    if scenario and not found:
        load_scenario(scenario, root)  # nor has an unknown scenario
    if as_json:
        print_json([run.as_dict() for run in found])
        return
    if not found:
        which = f" of {scenario!r}" if scenario else ""
        talk(f"No run{which} is kept yet; `valuation report` keeps every scenario that it makes.")
        return
    for line in table(found):
        click.echo(line)


def table(found: list[Run]) -> list[str]:
    """The runs in 80 columns; under a damaged one, what is wrong with it."""
    lines = [_LAYOUT.format(*_HEADS).rstrip()]
    for run in found:
        cells = (
            run.short,
            f"{run.created:%Y-%m-%d %H:%M}" if run.created.year > 1 else "?",
            run.scenario[:17],
            f"{run.as_of}{'*' if run.as_of_given else ''}",
            _chance(run),
            run.kind or "?",
        )
        lines.append(_LAYOUT.format(*cells).rstrip())
        lines += textwrap.wrap(
            run.problem, WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
        )
    if any(run.as_of_given for run in found):
        lines += ["", "* asked for with --as-of; the others are as of their newest row"]
    return lines


def _chance(run: Run) -> str:
    chance, error = (run.headline.get(key) for key in ("probability", "mcse"))
    if chance is None:
        return "-"
    return f"{chance:.1%}" if error is None else f"{chance:.1%} ± {100 * error:.1f}"
