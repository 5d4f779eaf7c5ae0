"""Progress for people: bars on a terminal, plain lines elsewhere. Both write to stderr only."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from valuation.report.runs import Outcome, Task

FITTING = "posterior of the joint model"
WALKING = "history and backtest"


def _line(outcome: Outcome) -> str:
    what = {"made": "made", "failed": "REFUSED"}[outcome.status]
    return f"{outcome.task.name}: {what} in {outcome.seconds:.1f} s"


EVERY = 10.0  # seconds between two lines on how far a notebook is


def _notebooks(count: int) -> str:
    return "1 notebook" if count == 1 else f"{count} notebooks"


class Lines:
    """A line when something begins or ends, and now and then how far it is, for logs."""

    def __init__(self) -> None:
        self.left = 0
        self.start = self.fit_start = time.monotonic()
        self.fit_seconds = 0.0
        self.fit_word = "sampling"
        self.told = time.monotonic()
        self.over = threading.Event()

    def _at_work(self, what: str) -> None:
        """Say that a step begins and, ever more rarely, that it still goes on; until :meth:`_done`."""
        self._say(f"{what} ...")
        self.over = over = threading.Event()

        def watch() -> None:
            spent, pause = 0.0, EVERY
            while not over.wait(pause):
                spent += pause
                pause = spent
                self._say(f"{what}: at work for {spent:g} s ...")

        threading.Thread(target=watch, daemon=True).start()

    def _done(self) -> None:
        self.over.set()

    def _say(self, text: str) -> None:
        self.told = time.monotonic()
        print(text, file=sys.stderr, flush=True)

    def waiting(self) -> None:
        self._say("another run is writing these reports; waiting for it ...")

    def begin(self, tasks: Sequence[Task]) -> None:
        self.left = len(tasks)
        self.start = time.monotonic()

    def fitting(self) -> None:
        self.fit_start = time.monotonic()
        self._at_work(FITTING)

    def fitted(self, sampled: bool = True) -> None:
        self._done()
        self.fit_seconds = time.monotonic() - self.fit_start
        self.fit_word = "sampling" if sampled else "loading"
        what = "posterior sampled" if sampled else "posterior loaded"
        self._say(f"{what} in {self.fit_seconds:.1f} s; running {_notebooks(self.left)}")

    def walking(self) -> None:
        self._at_work(WALKING)

    def walked(self) -> None:
        self._done()

    def cell(self, task: Task, done: int, total: int) -> None:
        if time.monotonic() - self.told >= EVERY:
            self._say(f"{task.name}: {done} of {total} cells ...")

    def finished(self, outcome: Outcome) -> None:
        self._say(_line(outcome))

    def end(self) -> None:
        self._done()
        if self.left:
            total = time.monotonic() - self.start
            self._say(
                f"{total:.1f} s: {self.fit_word} {self.fit_seconds:.1f} s, "
                f"notebooks {total - self.fit_seconds:.1f} s"
            )


class OnePage(Lines):
    """Of a page that follows an answer: how far it is, and whether it waits; its end is for the command to tell."""

    def begin(self, tasks: Sequence[Task]) -> None:
        self.told = time.monotonic()

    def finished(self, outcome: Outcome) -> None: ...
    def end(self) -> None: ...


class Bars(Lines):
    """A bar over all notebooks and one for each that runs, for a terminal."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        self.console = Console(stderr=True)
        self.bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<26}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )
        self.rows: dict[tuple[str, str], Any] = {}
        self.overall: Any = None
        self.sampling: Any = None
        self.past: Any = None

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    def begin(self, tasks: Sequence[Task]) -> None:
        super().begin(tasks)
        if tasks:
            self.bars.start()

    def fitting(self) -> None:
        self.fit_start = time.monotonic()
        self.sampling = self.bars.add_task(FITTING, total=None)

    def fitted(self, sampled: bool = True) -> None:
        self.bars.remove_task(self.sampling)
        super().fitted(sampled)
        self.overall = self.bars.add_task("notebooks", total=self.left)

    def walking(self) -> None:
        self.past = self.bars.add_task(WALKING, total=None)

    def walked(self) -> None:
        self.bars.remove_task(self.past)

    def cell(self, task: Task, done: int, total: int) -> None:
        if task.key not in self.rows:
            self.rows[task.key] = self.bars.add_task(f"  {task.name}", total=total)
        self.bars.update(self.rows[task.key], completed=done)

    def finished(self, outcome: Outcome) -> None:
        row = self.rows.pop(outcome.task.key, None)
        if row is not None:
            self.bars.remove_task(row)
        if self.overall is not None:
            self.bars.advance(self.overall)
        if outcome.error is not None:
            super().finished(outcome)

    def end(self) -> None:
        self.bars.stop()
        super().end()
