"""``python -m benchmarks``: measure, print a table of seconds and ratios, say which limits hold.

Commands that are compared run in turns within one run, since a machine that others use is fast at one time and slow
at another: ratios hold where seconds do not. Nothing of the project is written to; everything happens in a copy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.processes import (
    PROJECT,
    CommandFailed,
    Spent,
    Times,
    context_rows,
    copied,
    latest,
    news,
    published,
    shared_fits,
    ten_rows,
)

CONTEXT_ROWS = 100_000


@dataclass(frozen=True)
class Limit:
    """A measured number and what it may be at most.

    Attributes
    ----------
    name
        What was measured, in words.
    value, most
        In seconds, or a ratio of seconds.
    """

    name: str
    value: float
    most: float

    @property
    def holds(self) -> bool:
        return self.value <= self.most


@dataclass(frozen=True)
class Outcome:
    """What one part of the suite found."""

    times: tuple[Times, ...]
    limits: tuple[Limit, ...]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def update_against_refit(folder: Path, repeats: int) -> Outcome:
    """The update command for one added row, and sampling the same ledger again, in turns."""
    fits = shared_fits(folder)
    say("  the report before the row (its fit is made once, kept if it is stored) ...")
    project = published(folder, "project", fits)
    project.timed(*news(latest(project), 1))
    # The refit has a cache of its own: an update must not find the fit that it is compared with.
    other = type(project)(project.root, folder / "refits")
    update, refit, start = Times("valuation update"), Times("valuation fit --refit"), Times("start")
    words = ("update", "--no-page", "--json")
    told = project.told(*words[:-1])
    if told["is"]["method"] != "reweighted" or len(told["items"]) != 1:
        raise CommandFailed(f"the update was not one reweighted row: {told['is']}")
    for number in range(1, repeats + 1):
        say(f"  update and refit, {number} of {repeats} ...")
        start.runs.append(project.timed("--version"))
        update.runs.append(project.timed(*words))
        refit.runs.append(other.timed("fit", "--refit", "--quiet"))
    return Outcome(
        (start, update, refit),
        (
            Limit("update / refit, by the clock", update.wall / refit.wall, 1 / 20),
            Limit("update / refit, processor time", update.cpu / refit.cpu, 1 / 20),
        ),
    )


def update_in_a_session(folder: Path, repeats: int) -> Outcome:
    """The answer after an added row in a process that has answered before."""
    fits = shared_fits(folder)
    times: list[Times] = []
    for number in range(1, repeats + 1):
        say(f"  a report, then session {number} of {repeats} ...")
        project = published(folder, f"session{number}", fits)
        last = latest(project)
        _, said = project.timed_python(
            "-m", "benchmarks.session", str(last.day), last.source, last.founder
        )
        for row, seconds in enumerate(json.loads(said)):
            if row == len(times):
                times.append(Times(f"session, row {row + 1} added"))
            times[row].runs.append(Spent(*seconds))
    return Outcome(tuple(times), (Limit("session, one row added, s", times[0].wall, 0.3),))


def ten_items(folder: Path, repeats: int) -> Outcome:
    """The update command for ten added rows, each of whose 1,024 combinations is valued."""
    say("  the report before the rows ...")
    project = published(folder, "ten", shared_fits(folder))
    for words in ten_rows(latest(project)):
        project.timed(*words)
    update = Times("valuation update, ten rows")
    told = project.told("update", "--no-page")
    if told["attribution"]["method"] != "exact" or len(told["items"]) != 10:
        raise CommandFailed(f"not ten items in every order: {told['attribution']}")
    if told["is"]["method"] != "reweighted":
        raise CommandFailed(f"the stored draws do not reach the ten rows: {told['is']}")
    for number in range(1, repeats + 1):
        say(f"  ten rows, {number} of {repeats} ...")
        update.runs.append(project.timed("update", "--no-page", "--json"))
    return Outcome((update,), (Limit("update, ten rows, s", update.wall, 15.0),))


def a_long_ledger(folder: Path, repeats: int) -> Outcome:
    """Checking a ledger of many context rows, and adding one to it."""
    project = copied(folder, "long", folder / "none")
    last = latest(project)
    say(f"  {CONTEXT_ROWS:,} context rows ...")
    context_rows(project, CONTEXT_ROWS)
    check, add = Times("valuation news check"), Times("valuation news add")
    for number in range(1, repeats + 1):
        say(f"  check and add, {number} of {repeats} ...")
        check.runs.append(project.timed("news", "check"))
        add.runs.append(project.timed(*news(last, number)))
    return Outcome(
        (check, add),
        (
            Limit(f"check of {CONTEXT_ROWS:,} context rows, s", check.wall, 5.0),
            Limit(f"news add to {CONTEXT_ROWS:,} rows, s", add.wall, 2.0),
        ),
    )


def a_page_opened(folder: Path, repeats: int) -> Outcome:
    """The shipped report in headless Chromium, from its file; processor time is that of scripts, then of all."""
    from playwright.sync_api import sync_playwright

    file = folder / "index.html"
    shutil.copy(PROJECT / "reports" / "example" / "index.html", file)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    paint, load = Times("report, first paint (CPU: scripts)"), Times("report, loaded (CPU: all)")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for number in range(1, repeats + 1):
            say(f"  a page, {number} of {repeats} ...")
            view = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            session = view.context.new_cdp_session(view)
            session.send("Performance.enable")
            view.goto(file.as_uri())
            view.wait_for_function("performance.getEntriesByType('paint').length > 1")
            spent = {
                m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]
            }
            first, loaded = view.evaluate(
                """() => [performance.getEntriesByName('first-contentful-paint')[0].startTime,
                    performance.getEntriesByType('navigation')[0].loadEventEnd]"""
            )
            paint.runs.append(Spent(first / 1000, spent["ScriptDuration"]))
            load.runs.append(Spent(loaded / 1000, spent["TaskDuration"]))
            view.context.close()
        browser.close()
    return Outcome((paint, load), (Limit("report opened from its file, s", load.wall, 0.5),))


PARTS: dict[str, Callable[[Path, int], Outcome]] = {
    "update": update_against_refit,
    "session": update_in_a_session,
    "ten": ten_items,
    "ledger": a_long_ledger,
    "page": a_page_opened,
}


def table(outcomes: Sequence[Outcome]) -> str:
    """Seconds, then what they were measured for."""
    lines = [f"{'median of runs':<40}{'clock, s':>10}{'CPU, s':>10}{'runs':>6}"]
    for times in (t for outcome in outcomes for t in outcome.times):
        lines.append(f"{times.name:<40}{times.wall:>10.3f}{times.cpu:>10.3f}{len(times.runs):>6}")
    lines += ["", f"{'limit':<40}{'measured':>10}{'at most':>10}"]
    for limit in (x for outcome in outcomes for x in outcome.limits):
        verdict = "holds" if limit.holds else "MISSED"
        lines.append(f"{limit.name:<40}{limit.value:>10.4f}{limit.most:>10.4f}  {verdict}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 if a limit is missed, 2 if a command fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each command (default 3)")
    parser.add_argument("--json", action="store_true", help="JSON on stdout, table on stderr")
    given = parser.parse_args(arguments)
    unknown = [part for part in given.parts if part not in PARTS]
    if unknown or given.repeats < 1:
        parser.error(f"parts are {', '.join(PARTS)}; repeats at least 1")
    outcomes: dict[str, Outcome] = {}
    for name in given.parts or PARTS:
        say(f"{name} ...")
        with tempfile.TemporaryDirectory(prefix="valuation-benchmark-") as folder:
            try:
                outcomes[name] = PARTS[name](Path(folder), given.repeats)
            except CommandFailed as error:
                say(f"error: {error}")
                return 2
    shown = table(list(outcomes.values()))
    if given.json:
        say(shown)
        print(json.dumps(_plain(outcomes), indent=1))
    else:
        print(shown)
    return 0 if all(x.holds for outcome in outcomes.values() for x in outcome.limits) else 1


def _plain(outcomes: dict[str, Outcome]) -> dict[str, object]:
    return {
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "processors": os.cpu_count(),
        },
        "parts": {
            name: {
                "seconds": [asdict(t) | {"wall": t.wall, "cpu": t.cpu} for t in outcome.times],
                "limits": [asdict(x) | {"holds": x.holds} for x in outcome.limits],
            }
            for name, outcome in outcomes.items()
        },
    }


if __name__ == "__main__":
    raise SystemExit(main())
