"""What the commands share: exit codes, options, words on stderr, data on stdout."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from valuation import clock
from valuation.archive import DEFAULT_DEAL
from valuation.errors import GateError, LedgerError, ParameterError, RunError, ValuationError

if TYPE_CHECKING:
    from valuation.ledger import Ledger
    from valuation.report import Outcome, Progress
    from valuation.schema import Kinds

OK, FAILED, USAGE, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130
WIDTH = 80  # columns of a terminal that tables keep to

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


def talk(text: str = "", *, bold: bool = False, fg: str | None = None) -> None:
    colour = False if os.environ.get("NO_COLOR") else None
    click.echo(click.style(text, bold=bold or None, fg=fg), err=True, color=colour)


AT_WORK = (2.0, 10.0, 30.0, 60.0, 120.0, 300.0)  # seconds after which a command says it is at work


@contextmanager
def patience(
    what: str, *, after: Sequence[float] = AT_WORK, say: Callable[[str], None] = talk
) -> Iterator[None]:
    """While the body runs, say after some seconds, and then ever more rarely, that it still does."""
    done = threading.Event()

    def watch() -> None:
        spent = 0.0
        for seconds in after:
            if done.wait(seconds - spent):
                return
            spent = seconds
            say(f"{what}: at work for {seconds:g} s ...")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def explain(error: BaseException) -> None:
    if isinstance(error, ValuationError):
        for line in str(error).splitlines():
            talk(f"error: {line}")
    elif isinstance(error, click.ClickException):
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        hint = f" (see `{where} --help`)" if where else ""
        talk(f"error: {error.format_message()}{hint}")
    elif isinstance(error, OSError) and isinstance(error.filename, str):
        # A scratch or a lock file says nothing to a reader: its folder is what refused.
        path = Path(error.filename)
        place = path if path.exists() else path.parent
        talk(
            f"error: {place}: {path.name} cannot be read or written there ({error.strerror}); check the "
            "permissions of that folder and the space on its disk, then run it again"
        )
    elif isinstance(error, KeyboardInterrupt | click.Abort):
        talk("interrupted; nothing was half-written")
    else:
        talk(f"error: {type(error).__name__}: {error}; run it with --debug to see where")


# Options that several commands share.

Command = Callable[..., Any]


def names_in(folder: str, ending: str) -> Callable[..., list[str]]:
    """Completes what a shell asks for with the names of the files of a project's folder."""

    def complete(context: click.Context, parameter: click.Parameter, start: str) -> list[str]:
        try:
            files = (project_root() / folder).glob(f"*{ending}")
        except ValuationError:  # outside of a project there is nothing to offer
            return []
        return sorted(file.stem for file in files if file.stem.startswith(start))

    return complete


def read_day(value: str) -> dt.date:
    """A date in the one spelling that commands take, that of the ledger; refused otherwise."""
    try:
        day = dt.datetime.strptime(value, "%Y-%m-%d").date()
    except ValueError:
        day = None
    if day is None or day.isoformat() != value:  # 2026-2-3 is read, but not so written
        raise click.BadParameter(f"{value!r} is not a date; write YYYY-MM-DD")
    return day


def any_day(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else read_day(value).isoformat()


def day(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    """A day up to the present one; empty if none is given."""
    if not value:
        return ""
    if read_day(value) > clock.today():
        raise click.BadParameter(f"{value} is in the future; nothing is known as of then")
    return value


def reason(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    if value is not None and not value.strip():
        raise click.BadParameter("needs a reason in words; it is printed in the report")
    return (value or "").strip()


def with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


deal_option = click.option(
    "--deal",
    default=DEFAULT_DEAL,
    show_default=True,
    metavar="NAME",
    help="A file of params/deals/.",
    shell_complete=names_in("params/deals", ".yaml"),
)
scenario_option = click.option(
    "--scenario",
    default="base",
    show_default=True,
    metavar="NAME",
    help="A file of params/scenarios/.",
)
as_of_option = click.option(
    "--as-of",
    callback=day,
    metavar="DATE",
    help="See only what was published by then (YYYY-MM-DD).",
)
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), help="Random seed; the notebooks' own by default."
)
override_option = click.option(
    "--override",
    callback=reason,
    metavar="REASON",
    help="Publish although a check failed; the report prints the reason.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="No progress, no summary.")
debug_option = click.option("--debug", is_flag=True, help="Show where an error came from.")
# Of commands that have no summary to leave out.
silence = click.Option(["--quiet", "-q"], is_flag=True, expose_value=False, help="No progress.")
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Notebooks that run at once.",
)
force_option = click.option("--force", is_flag=True, help="Run even if nothing has changed.")


def seeded(seed: int | None) -> dict[str, Any]:
    """The seed as an argument of a study, which has one of its own where none is given."""
    return {} if seed is None else {"random_seed": seed}


def project_root() -> Path:
    from valuation.params import find_root

    return find_root()


def seeds_of(deal: str) -> Path:
    """The folder of a deal's ledger."""
    from valuation.params import load_deal

    root = project_root()
    return root / load_deal(deal, root).seeds


def ledger_of(deal: str, as_of: str = "") -> tuple[Path, Ledger]:
    """The folder of a deal's ledger, and what it holds as of a date."""
    from valuation.ledger import load_ledger

    folder = seeds_of(deal)
    return folder, load_ledger(folder, kinds=kinds_of(deal), as_of=as_of or None)


def kinds_of(deal: str) -> Kinds:
    """The kinds of evidence as a deal's rows state them: amounts in its currency."""
    from valuation.models import kinds_in
    from valuation.params import load_deal

    return kinds_in(load_deal(deal, project_root()).currency)


# Words and progress.


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False))


MARKS = {True: ("pass", "green"), False: ("FAIL", "red"), None: ("warn", "yellow")}


def print_checks(rows: Sequence[tuple[str, bool | None, str]]) -> None:
    """A line for each check: its name, whether it passed (None: it warns), what it found."""
    colour = False if os.environ.get("NO_COLOR") else None
    for name, passed, detail in rows:
        word, shade = MARKS[passed]
        mark = click.style(word, fg=shade)
        first, *rest = detail.splitlines() or [""]
        first = first.removeprefix(f"{name}: ")
        click.echo(f"{mark}  {name}{': ' if first else ''}{first}", color=colour)
        for line in rest:
            click.echo(f"      {line}", color=colour)


def results_of(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    from valuation.report import read_results

    return [read_results(o.task.folder) for o in outcomes if o.status != "failed"]


def conclude(outcomes: Sequence[Outcome], page: Path | None) -> int:
    """Say what became of the runs; the exit code."""
    codes = set()
    for outcome in outcomes:
        if outcome.error is None:
            continue
        codes.add(exit_code(outcome.error))
        for line in str(outcome.error).splitlines():
            talk(f"error: {outcome.task.name}: {line.removeprefix(f'{outcome.task.name}: ')}")
        talk(f"       why, in full: {short_path(outcome.task.folder / 'FAILED.html')}")
    if page is not None and page.is_file():
        made = sum(o.status == "made" for o in outcomes)
        kept = sum(o.status == "kept" for o in outcomes)
        counts = f"{made} made, {kept} unchanged, {len(outcomes) - made - kept} refused"
        talk(f"Open {short_path(page)}  ({counts})", bold=True)
    return next((code for code in (REFUSED, USAGE, FAILED) if code in codes), OK)


def talk_unless(quiet: bool) -> Callable[[str], None]:
    """What is called with words on how far a command is."""
    return (lambda text: None) if quiet else talk


def short_path(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def progress_of(quiet: bool) -> Progress:
    from valuation.report.progress import Bars, Lines
    from valuation.report.runs import Silent

    if quiet:
        return Silent()
    return Bars() if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else Lines()
