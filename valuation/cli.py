"""The ``valuation`` command: data on stdout, talk on stderr, one line for an error.

Importing this module loads click and nothing heavier; each command imports what it needs.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from valuation import __version__
from valuation.errors import GateError, LedgerError, ParameterError, RunError, ValuationError

if TYPE_CHECKING:
    from valuation.report import Outcome, Progress

OK, FAILED, USAGE, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130
DEAL = "meta_scale"

EXIT_CODES = """\b
Exit codes:
  0    done
  1    something failed that was not foreseen here
  2    usage, or a setting in params/ that cannot be used
  3    a check refused the result; the last good report is untouched
  130  interrupted
"""


def exit_code(error: BaseException) -> int:
    """Exit code for an error; the help text documents them."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return INTERRUPTED
    if isinstance(error, ParameterError | click.UsageError):
        return USAGE
    if isinstance(error, GateError | LedgerError | RunError):
        return REFUSED
    return FAILED


def _talk(text: str = "", *, bold: bool = False, fg: str | None = None) -> None:
    colour = False if os.environ.get("NO_COLOR") else None
    click.echo(click.style(text, bold=bold or None, fg=fg), err=True, color=colour)


def _explain(error: BaseException) -> None:
    if isinstance(error, ValuationError):
        for line in str(error).splitlines():
            _talk(f"error: {line}")
    elif isinstance(error, click.ClickException):
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        hint = f" (see `{where} --help`)" if where else ""
        _talk(f"error: {error.format_message()}{hint}")
    elif isinstance(error, KeyboardInterrupt | click.Abort):
        _talk("interrupted; nothing was half-written")
    else:
        _talk(f"error: {type(error).__name__}: {error}; run it with --debug to see where")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    code = OK
    try:
        result = cli.main(args=words, prog_name="valuation", standalone_mode=False)
        code = result if isinstance(result, int) else OK
    except BrokenPipeError:  # `valuation evidence | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            import traceback

            traceback.print_exception(error)
        _explain(error)
        code = exit_code(error)
    sys.exit(code)


# Options that several commands share.

Command = Callable[..., Any]


def _day(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    if not value:
        return ""
    try:
        day = dt.datetime.strptime(value, "%Y-%m-%d").date()
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date; write YYYY-MM-DD") from None
    if day > dt.date.today():
        raise click.BadParameter(f"{value} is in the future; nothing is known as of then")
    return day.isoformat()


def _reason(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    if value is not None and not value.strip():
        raise click.BadParameter("needs a reason in words; it is printed in the report")
    return (value or "").strip()


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


deal_option = click.option(
    "--deal", default=DEAL, show_default=True, metavar="NAME", help="A file of params/deals/."
)
as_of_option = click.option(
    "--as-of",
    callback=_day,
    metavar="DATE",
    help="See only what was published by then (YYYY-MM-DD).",
)
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), help="Random seed; the notebooks' own by default."
)
override_option = click.option(
    "--override",
    callback=_reason,
    metavar="REASON",
    help="Publish although a check failed; the report prints the reason.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="No progress, no summary.")
debug_option = click.option("--debug", is_flag=True, help="Show where an error came from.")
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Notebooks that run at once.",
)
force_option = click.option("--force", is_flag=True, help="Run even if nothing has changed.")


def _root() -> Path:
    from valuation.params import find_root

    return find_root()


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Does a big, uncertain deal pay off, and what does that answer rest on?

    \b
    Examples:
      valuation report                      every scenario and model
      valuation report base founder_leaves  two scenarios
      valuation report base --as-of 2025-09-01 --json
      valuation check                       ledger, settings, notebooks, reports
      valuation lab                         the notebooks in JupyterLab
    """


# report, model, fit


@cli.command(epilog=EXIT_CODES)
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]...")
@click.option("--all", "everything", is_flag=True, help="Every scenario and model; the default.")
@_options(deal_option, as_of_option, seed_option, jobs_option, override_option)
@_options(force_option, json_option, quiet_option, debug_option)
def report(
    scenarios: tuple[str, ...],
    everything: bool,
    deal: str,
    as_of: str,
    seed: int | None,
    jobs: int,
    override: str,
    force: bool,
    as_json: bool,
    quiet: bool,
    debug: bool,
) -> int:
    """Run scenarios and write their reports.

    Without a SCENARIO, every one runs, and every other notebook too. A SCENARIO is a name (see
    `valuation scenarios`) or a YAML file. Reports whose inputs have not changed are kept.
    With --as-of they go to a folder of their own, so that the current ones stay.

    --json prints the results of a scenario as one object, of several as a list.

    \b
    Examples:
      valuation report
      valuation report base --as-of 2025-09-01 --json
      valuation report my_scenario.yaml --seed 7
    """
    if scenarios and everything:
        raise click.UsageError("give scenarios or --all, not both")
    from valuation import params
    from valuation.report import index, model_task, notebooks, report_base, run_tasks, scenario_task
    from valuation.report.standing import standings

    root = _root()
    settings: dict[str, Any] = {
        "deal": deal, "as_of": as_of, "seed": seed, "override": override,
    }  # fmt: skip
    names = list(dict.fromkeys(scenarios)) or list(params.load_scenarios(root))
    tasks = [scenario_task(root, name, **settings) for name in names]
    if not scenarios:
        others = [name for name in notebooks(root) if name != "scenario_report"]
        tasks += [model_task(root, name, **settings) for name in others]
    progress = _progress(quiet)
    outcomes = run_tasks(tasks, jobs=jobs, force=force, progress=progress)
    base = report_base(root, deal=deal, as_of=as_of)
    # Also after a refusal: what is still in place is then older than its inputs, and must say so.
    held = index.shelf(base, standings(root, deal=deal, as_of=as_of), deal=deal, as_of=as_of)
    if held.scenarios:
        index.write(base, held)
    shown = _results([o for o in outcomes if o.task.group == "scenarios"])
    if as_json and (shown or len(tasks) > 1):
        _print_json(shown[0] if len(tasks) == 1 else shown)
    elif not quiet and shown:
        from valuation.report.summary import summary

        click.echo(summary(shown, held.notice))
    return _conclude(outcomes, None if quiet else base / "index.html")


@cli.command(epilog=EXIT_CODES)
@click.argument("name")
@_options(deal_option, as_of_option, seed_option, override_option, force_option)
@_options(json_option, quiet_option, debug_option)
def model(
    name: str,
    deal: str,
    as_of: str,
    seed: int | None,
    override: str,
    force: bool,
    as_json: bool,
    quiet: bool,
    debug: bool,
) -> int:
    """Run the notebook NAME: a model, the evidence, the comparison.

    \b
    Examples:
      valuation model retention
      valuation model evidence --as-of 2025-09-01
    """
    from valuation.report import model_task, run_tasks

    task = model_task(_root(), name, deal=deal, as_of=as_of, seed=seed, override=override)
    outcomes = run_tasks([task], force=force, progress=_progress(quiet))
    if as_json and (shown := _results(outcomes)):
        _print_json(shown[0])
    return _conclude(outcomes, None if quiet else task.page)


@cli.command(epilog=EXIT_CODES)
@_options(deal_option, as_of_option, seed_option, override_option)
@_options(json_option, quiet_option, debug_option)
def fit(
    deal: str,
    as_of: str,
    seed: int | None,
    override: str,
    as_json: bool,
    quiet: bool,
    debug: bool,
) -> int:
    """Sample the joint model and show its diagnostics.

    The fit is kept, and every notebook reads it. Nothing is sampled twice for the same evidence,
    priors, deal, code and seed.
    """
    from valuation.study import open_study

    if not quiet:
        _talk("Sampling the joint model (nothing to do if it is stored) ...")
    seeded: dict[str, Any] = {} if seed is None else {"random_seed": seed}
    study = open_study(deal, as_of=as_of, override=override, root=_root(), **seeded)
    verdict = study.gate()
    if as_json:
        _print_json(
            {
                "posterior": study.posterior_key(),
                "as_of": str(study.as_of),
                "passed": verdict.passed,
                "diagnostics": [vars(check) for check in verdict.checks],
            }
        )
    else:
        _print_checks([(c.name, c.passed, c.sentence) for c in verdict.checks])
    return OK if verdict.publish else REFUSED


# check


@cli.command(epilog=EXIT_CODES)
@_options(deal_option, json_option, debug_option)
def check(deal: str, as_json: bool, debug: bool) -> int:
    """Check ledger, settings, notebooks and published reports.

    Each check is named with its result. Exit code 2 if a setting cannot be used, 3 if another check
    fails.
    """
    from valuation.report.checks import check_project

    results = check_project(_root(), deal=deal, today=dt.date.today())
    if as_json:
        _print_json([vars(result) for result in results])
    else:
        _print_checks([(r.name, r.passed, r.detail) for r in results])
    failed = [r for r in results if not r.passed]
    if failed:
        _talk(f"{len(failed)} of {len(results)} checks failed", fg="red")
        return USAGE if any(r.settings for r in failed) else REFUSED
    if not as_json:
        _talk(f"All {len(results)} checks pass.", fg="green")
    return OK


# lists


@cli.command()
@_options(json_option, debug_option)
def scenarios(as_json: bool, debug: bool) -> None:
    """List the scenarios of params/scenarios/."""
    from valuation.params import load_scenarios

    found = load_scenarios(_root())
    if as_json:
        _print_json([s.model_dump(mode="json", exclude_none=True) for s in found.values()])
        return
    for name, scenario in found.items():
        click.echo(f"{name:<20} {scenario.title}")


@cli.command()
@_options(json_option, debug_option)
def deals(as_json: bool, debug: bool) -> None:
    """List the deals of params/deals/."""
    from valuation.params import load_deals

    found = load_deals(_root())
    if as_json:
        _print_json([d.model_dump(mode="json") for d in found.values()])
        return
    for name, deal in found.items():
        click.echo(f"{name:<20} {deal.title}, closed {deal.closed}")


@cli.command()
@click.option("--kind", metavar="KIND", help="Only rows of this kind; 'context' for unscored ones.")
@click.option("--kinds", is_flag=True, help="List the kinds: roster, unit, meaning of value.")
@_options(deal_option, as_of_option, json_option, debug_option)
def evidence(
    kind: str | None, kinds: bool, deal: str, as_of: str, as_json: bool, debug: bool
) -> None:
    """List the evidence: date, id, credibility, kind and claim.

    \b
    Examples:
      valuation evidence --as-of 2025-09-01
      valuation evidence --kind departure --json
      valuation evidence --kinds
    """
    from valuation.ledger import load_ledger
    from valuation.models import KINDS
    from valuation.params import load_deal

    if kinds:
        _list_kinds(as_json)
        return
    root = _root()
    known = [*KINDS, "context"]
    if kind is not None and kind not in known:
        raise click.BadParameter(f"no kind {kind!r}; there are {', '.join(known)}")
    folder = root / load_deal(deal, root).seeds
    ledger = load_ledger(folder, kinds=KINDS, as_of=as_of or None)
    rows = ledger.evidence.astype(object).where(ledger.evidence.notna(), None)
    found = [
        {name: _plain(value) for name, value in row.items()}
        for row in rows.sort_values(["published", "id"]).to_dict("records")
        if kind is None or (row["kind"] or "context") == kind
    ]
    if as_json:
        _print_json(found)
        return
    for row in found:
        what = row["kind"] or "context"
        click.echo(
            f"{row['published']}  {row['id']:<7} {row['credibility']}  {what:<18} {row['claim']}"
        )


def _list_kinds(as_json: bool) -> None:
    from valuation.models import KINDS

    columns = ("name", "roster", "unit", "meaning")
    rows = [{column: getattr(kind, column) for column in columns} for kind in KINDS.values()]
    if as_json:
        _print_json([{"kind": row.pop("name"), **row} for row in rows])
        return
    for row in [dict(zip(columns, ("kind", *columns[1:]), strict=True)), *rows]:
        line = f"{row['name']:<19} {row['roster']:<10} {row['unit'] or '-':<16} {row['meaning']}"
        click.echo(line)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date) else value


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[JUPYTERLAB OPTIONS]...")
def lab(arguments: tuple[str, ...]) -> int:
    """Open the notebooks in JupyterLab, on this interpreter.

    No kernel has to be installed: `Python 3` is the one that runs this command. Options after the
    command go to JupyterLab, as in `valuation lab --no-browser --port 8890`.
    """
    import subprocess

    root = _root()
    environment = os.environ | {"VALUATION_HOME": str(root)}
    # A kernelspec of the same name in a home folder must not win over this interpreter's own.
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"
    command = [sys.executable, "-m", "jupyterlab", str(root / "notebooks"), *arguments]
    return subprocess.call(command, env=environment)


# Words and progress.


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False))


def _print_checks(rows: Sequence[tuple[str, bool, str]]) -> None:
    colour = False if os.environ.get("NO_COLOR") else None
    for name, passed, detail in rows:
        mark = click.style("pass", fg="green") if passed else click.style("FAIL", fg="red")
        first, *rest = detail.splitlines() or [""]
        first = first.removeprefix(f"{name}: ")
        click.echo(f"{mark}  {name}{': ' if first else ''}{first}", color=colour)
        for line in rest:
            click.echo(f"      {line}", color=colour)


def _results(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    from valuation.report import read_results

    return [read_results(o.task.folder) for o in outcomes if o.status != "failed"]


def _conclude(outcomes: Sequence[Outcome], page: Path | None) -> int:
    """Say what became of the runs; the exit code."""
    codes = set()
    for outcome in outcomes:
        if outcome.error is None:
            continue
        codes.add(exit_code(outcome.error))
        for line in str(outcome.error).splitlines():
            _talk(f"error: {outcome.task.name}: {line.removeprefix(f'{outcome.task.name}: ')}")
        _talk(f"       why, in full: {_shown(outcome.task.folder / 'FAILED.html')}")
    if page is not None and page.is_file():
        made = sum(o.status == "made" for o in outcomes)
        kept = sum(o.status == "kept" for o in outcomes)
        counts = f"{made} made, {kept} unchanged, {len(outcomes) - made - kept} refused"
        _talk(f"Open {_shown(page)}  ({counts})", bold=True)
    return next((code for code in (REFUSED, USAGE, FAILED) if code in codes), OK)


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _progress(quiet: bool) -> Progress:
    from valuation.report.progress import Bars, Lines
    from valuation.report.runs import Silent

    if quiet:
        return Silent()
    return Bars() if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else Lines()
