"""The ``valuation`` command: data on stdout, talk on stderr, one line for an error.

Importing this package loads click and nothing heavier; each command imports what it needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import click

from valuation import __version__
from valuation.cli import init, news, prior, questions, replay, reports, runs, update
from valuation.cli.options import (
    EXIT_CODES,
    FAILED,
    INTERRUPTED,
    OK,
    REFUSED,
    USAGE,
    exit_code,
    explain,
    patience,
    silence,
)

__all__ = ["FAILED", "INTERRUPTED", "OK", "REFUSED", "USAGE", "cli", "exit_code", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    code = OK
    try:
        with progress(words):
            result = cli.main(args=words, prog_name="valuation", standalone_mode=False)
        code = result if isinstance(result, int) else OK
    except BrokenPipeError:  # `valuation evidence | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            import traceback

            traceback.print_exception(error)
        explain(error)
        code = exit_code(error)
    sys.exit(code)


# These show how far they are, or wait for somebody.
_OWN_PROGRESS = ("report", "model", "lab", "watch", "init")


def progress(words: Sequence[str]) -> AbstractContextManager[None]:
    """On a terminal, a word from a command that takes longer than two seconds, unless it is to be quiet."""
    name = next((word for word in words if not word.startswith("-")), "")
    asks = name == "news" and sys.stdin.isatty()  # it may ask for what was not given
    quiet = bool({"--quiet", "-q", "--help", "-h"} & set(words))
    if quiet or asks or name in ("", *_OWN_PROGRESS) or not sys.stderr.isatty():
        return nullcontext()
    return patience(f"valuation {name}")


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

    \b
    Names complete on the tab key after
      eval "$(_VALUATION_COMPLETE=bash_source valuation)"
    with zsh_source or fish_source for these shells.
    """


for _command in (
    reports.report,
    news.news,
    reports.model,
    reports.fit,
    reports.check,
    reports.scenarios,
    reports.deals,
    init.init,
    reports.evidence,
    reports.lab,
    runs.runs,
    prior.prior,
    update.update,
    update.compare,
    update.watch,
    replay.replay,
    questions.questions,
    questions.resolve,
    questions.score,
):
    cli.add_command(_command)


def commands(group: click.Group = cli, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command with its words, groups resolved."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


for _name, _each in commands():
    if _name not in _OWN_PROGRESS and all(option.name != "quiet" for option in _each.params):
        _each.params.append(silence)
