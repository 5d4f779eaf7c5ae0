"""Commands that say what moved the answer: ``update``, ``compare``, ``watch``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from valuation.cli.options import (
    EXIT_CODES,
    OK,
    day,
    deal_option,
    debug_option,
    json_option,
    override_option,
    print_json,
    project_root,
    quiet_option,
    scenario_option,
    seed_option,
    seeded,
    short_path,
    talk,
    with_options,
)
from valuation.publish import RECORD

LEAST_SECONDS, MOST_SECONDS = 0.05, 3600.0  # between two looks at the files


def _seconds(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not LEAST_SECONDS <= value <= MOST_SECONDS:  # so is NaN
        raise click.BadParameter(
            f"{value:g} is no time to wait; give {LEAST_SECONDS:g} to {MOST_SECONDS:g} seconds"
        )
    return value


@click.command(epilog=EXIT_CODES)
@click.option(
    "--since", callback=day, metavar="DATE", default="", help="Against what was public on this day."
)
@click.option(
    "--against",
    metavar="RUN",
    default="",
    help="Against this run, or `latest` of base; by default the scenario's last one. Both pass over --as-of runs.",
)
@click.option("--no-page", is_flag=True, help="Print the answer, write nothing.")
@with_options(deal_option, scenario_option, seed_option, override_option)
@with_options(json_option, quiet_option, debug_option)
def update(
    since: str,
    against: str,
    no_page: bool,
    deal: str,
    scenario: str,
    seed: int | None,
    override: str,
    as_json: bool,
    quiet: bool,
    debug: bool,
) -> int:
    """Move the answer to the present ledger and priors, and say what moved it.

    The stored draws are weighed again; where they do not reach, the model is fitted again, and that is
    said. The answer comes first, then a report with the pictures, kept as a run.

    \b
    Examples:
      valuation news add --kind sighting --subject ... ; valuation update
      valuation update --since 2025-12-31
      valuation update --against latest --json --no-page
    """
    from valuation import archive
    from valuation.study import open_change

    root = project_root()
    start = time.perf_counter()
    # Before anything is read: what a run was made from must be what it keeps.
    kept = "" if no_page else archive.keep_inputs(root, deal, scenario)
    change = open_change(
        deal, scenario, against=against, since=since, override=override, root=root,
        told=(lambda why: None) if quiet else _fitting,
        step=(lambda done, of: None) if quiet else Counted(), **seeded(seed),
    )  # fmt: skip
    answer = change.answer
    if as_json:
        print_json(answer)
    elif not quiet:
        _print(answer, time.perf_counter() - start)
    if no_page or (change.run is not None and change.method == "unchanged"):
        return OK
    from valuation.report.news import publish_update
    from valuation.report.progress import OnePage

    if not quiet:
        talk("Making the page with its pictures, which takes about half a minute ...")
    page, run = publish_update(
        change, root=root, inputs=kept, progress=None if quiet else OnePage()
    )
    if not quiet:
        talk(f"Open {short_path(page)}  (kept as run {run})", bold=True)
    return OK


def _fitting(why: str) -> None:
    talk(f"Fitting again, since {why}; a fit takes a minute or two ...")


class Counted:
    """Says how far the sharing out has come and how long it may take yet, where it takes longer than some seconds."""

    def __init__(self, every: float = 3.0):
        self.every, self.start = every, time.monotonic()
        self.last = self.start

    def __call__(self, done: int, of: int) -> None:
        now = time.monotonic()
        if done == 0:
            self.start = now
        if now - self.last >= self.every:
            self.last = now
            left = self._left(now - self.start, done, of)
            talk(f"Sharing the change out: {done:,} of {of:,} combinations of items{left} ...")

    def _left(self, passed: float, done: int, of: int) -> str:
        """What is left if the rest goes as it has gone; nothing said of the first few."""
        if done < 0.05 * of or done < 2:
            return ""
        seconds = passed * (of - done) / done
        return (
            f", about {seconds / 60:.0f} min left"
            if seconds >= 90
            else f", about {seconds:.0f} s left"
        )


def _print(answer: dict[str, Any], seconds: float | None) -> None:
    from valuation.report.summary import update_summary

    click.echo(update_summary(answer))
    if seconds is not None:
        talk(f"Answered in {seconds:.1f} s.")


@click.command(epilog=EXIT_CODES)
@click.argument("first", metavar="RUN")
@click.argument("second", metavar="RUN")
@with_options(deal_option, json_option, debug_option)
def compare(first: str, second: str, deal: str, as_json: bool, debug: bool) -> int:
    """What moved the answer from one published run to another.

    A RUN is an id of `valuation runs`, the start of one, or `latest`: the newest of the base scenario
    that was not made with --as-of. A run as of a date is named by its id.
    """
    from valuation.study import compare_runs

    answer = compare_runs(
        first, second, deal=deal, root=project_root(), told=_fitting, step=Counted()
    ).answer
    if as_json:
        print_json(answer)
    else:
        from valuation.report.summary import update_summary

        click.echo(update_summary(answer))
    return OK


@click.command(epilog=EXIT_CODES)
@click.option(
    "--every",
    default=0.5,
    show_default=True,
    callback=_seconds,
    metavar="SECONDS",
    help="How often to look.",
)
@click.option("--once", is_flag=True, help="Stop after the first change.", hidden=True)
@click.option("--quiet", "-q", is_flag=True, help="Print the answers and errors alone.")
@with_options(deal_option, scenario_option, seed_option, json_option, debug_option)
def watch(
    every: float,
    once: bool,
    quiet: bool,
    deal: str,
    scenario: str,
    seed: int | None,
    as_json: bool,
    debug: bool,
) -> int:
    """Follow the ledger and the settings: each time a file is saved, print the new answer.

    Nothing is published; `valuation update` does that. Stop with Ctrl-C.
    """
    from valuation.errors import ValuationError
    from valuation.study import open_change

    root = project_root()
    previous = None
    stamp: tuple[tuple[str, int, int], ...] = ()
    while True:
        now = _stamps(root)
        if now != stamp:
            stamp, start = now, time.perf_counter()
            try:
                told = (lambda why: None) if quiet else _fitting
                change = open_change(
                    deal, scenario, root=root, told=told, like=previous, **seeded(seed)
                )
                answer = change.answer
            except ValuationError as error:
                for line in str(error).splitlines():
                    talk(f"error: {line}")
            else:
                if as_json:
                    print_json(answer | {"seconds": time.perf_counter() - start})
                else:
                    _print(answer, None if quiet else time.perf_counter() - start)
                if once and previous is not None:
                    return OK
                previous = change
        time.sleep(every)


def _stamps(root: Path) -> tuple[tuple[str, int, int], ...]:
    """What tells that a file of ``seeds/`` or ``params/`` was saved."""
    seeds = (file for file in root.glob("seeds/**/*.csv") if file.name != RECORD)
    files = [*seeds, *root.glob("params/**/*.yaml")]
    told = []
    for file in sorted(files):
        try:
            about = file.stat()
        except FileNotFoundError:
            continue  # being replaced at this moment
        told.append((str(file), about.st_mtime_ns, about.st_size))
    return tuple(told)
