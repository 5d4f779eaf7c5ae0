"""The ``valuation`` command: data on stdout, talk on stderr, one line for an error.

Importing this package loads click and nothing heavier; each command imports what it needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

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
)

__all__ = ["FAILED", "INTERRUPTED", "OK", "REFUSED", "USAGE", "cli", "exit_code", "main"]


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
        explain(error)
        code = exit_code(error)
    sys.exit(code)


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
