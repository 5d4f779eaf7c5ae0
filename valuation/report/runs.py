"""Runs: which notebooks, with which parameters, into which folder, and whether they must run."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from valuation import __version__, archive, publish, record
from valuation.errors import GateError, LedgerError, ParameterError, RunError, ValuationError
from valuation.report import kernel, parameters
from valuation.sections.sentinel import digest_of

DEFAULT_DEAL = archive.DEFAULT_DEAL
SCENARIOS = "scenarios"
BASE = archive.BASE
SCENARIO_NOTEBOOK = "scenario_report"
NEWS_NOTEBOOK = "news_update"
# Run by other commands: they need a scenario, a run to compare with, or a hand that moves the controls.
EXPLORE_NOTEBOOK = "explore"
APART = {
    SCENARIO_NOTEBOOK: "valuation report NAME",
    NEWS_NOTEBOOK: "valuation update",
    EXPLORE_NOTEBOOK: "valuation lab",
}
# About the tool rather than about a deal or a day: told once.
GUIDES = ("guide", "reference", "tutorial")
COMPARISON_NOTEBOOK = "scenario_comparison"
SCORECARD_NOTEBOOK = "scorecard"
JOBS = 2

# What can change a number without a change in this project.
_NUMERICS = (
    "arviz-stats",
    "numba",
    "numpy",
    "nutpie",
    "pandas",
    "pymc",
    "pytensor",
    "scipy",
    "xarray",
)


@dataclass(frozen=True)
class Task:
    """One notebook to run.

    Attributes
    ----------
    group, name
        What is run: a name of the group ``scenarios`` or ``models``.
    title
        For people: what the run is about.
    notebook
        The template; never written to.
    values
        Parameters, checked against what the notebook declares.
    folder
        Where the report goes.
    reads
        Files and folders whose content decides the result.
    source
        The scenario file; None for a notebook without one.
    record
        The record that it reads, to which other tasks add: it runs after them. None for the others.
    history
        The history that it shows, made beside the other tasks: it waits for it. None for the others.
    accept
        Called with the results before anything is published; raises to refuse them.
    """

    group: str
    name: str
    title: str
    notebook: Path
    values: Mapping[str, Any]
    folder: Path
    root: Path
    reads: tuple[Path, ...] = field(default=(), repr=False)
    source: Path | None = None
    record: Path | None = None
    history: Path | None = None
    accept: Callable[[Mapping[str, Any]], None] | None = field(default=None, repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """What tells tasks of one command apart."""
        return self.group, self.name

    @property
    def page(self) -> Path:
        """The report."""
        return self.folder / publish.PAGE


Pending = tuple[Task, Mapping[str, str]]  # with what it is about to be made from: see inputs_of


@dataclass(frozen=True)
class Outcome:
    """What became of a task: ``made``, ``kept`` (nothing it reads has changed) or ``failed``.

    ``note`` is a sentence for people about a report that was made, empty as a rule.
    """

    task: Task
    status: str
    seconds: float
    error: ValuationError | None = None
    note: str = ""


class Progress(Protocol):
    """Told what happens, from one thread."""

    def waiting(self) -> None:
        """Another command writes the same reports; this one goes on when it is done."""

    def begin(self, tasks: Sequence[Task]) -> None:
        """Tasks that will run; those that are kept are not among them."""

    def fitting(self) -> None:
        """The one fit that the tasks share has begun."""

    def fitted(self, sampled: bool = True) -> None:
        """The shared fit is there, ``sampled`` now or loaded; notebooks begin."""

    def walking(self) -> None:
        """What is left waits for past dates, which are worked out beside it."""

    def walked(self) -> None:
        """It waits no more."""

    def cell(self, task: Task, done: int, total: int) -> None:
        """``done`` of ``total`` code cells have run."""

    def finished(self, outcome: Outcome) -> None:
        """A task is over."""

    def end(self) -> None:
        """No more will come."""


class Silent:
    """Progress that tells nobody."""

    def waiting(self) -> None: ...
    def begin(self, tasks: Sequence[Task]) -> None: ...
    def fitting(self) -> None: ...
    def fitted(self, sampled: bool = True) -> None: ...
    def walking(self) -> None: ...
    def walked(self) -> None: ...
    def cell(self, task: Task, done: int, total: int) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...
    def end(self) -> None: ...


# What a result depends on.


@cache
def _environment_digest() -> str:
    """Digest of this package's files and of the versions that decide its numbers."""
    digest = hashlib.sha256(f"{__version__} {sys.version_info[:3]}".encode())
    for name in _NUMERICS:
        try:
            digest.update(f"{name}={version(name)}".encode())
        except PackageNotFoundError:
            digest.update(f"{name}=none".encode())
    package = Path(__file__).resolve().parents[1]
    for file in publish.files_below(package):
        if file.suffix != ".pyc":
            digest.update(str(file.relative_to(package)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


CODE, PARAMETERS = "the code or what it computes with", "the parameters of the notebook"


def inputs_of(task: Task) -> dict[str, str]:
    """Digest of each thing that decides the report, by its name: code and versions, parameters, each file read."""
    values = json.dumps(dict(task.values), sort_keys=True)
    found = {CODE: _environment_digest(), PARAMETERS: publish.sha256(values.encode())}
    files = [file for path in (task.notebook, *task.reads) for file in publish.inputs_below(path)]
    if task.record is not None and task.record.is_file():
        files.append(task.record)
    for file in files:
        name = Path(os.path.relpath(file, task.root)).as_posix()
        found[name] = publish.sha256(file.read_bytes())
    return found


def inputs_digest(task: Task) -> str:
    """One digest of all :func:`inputs_of`."""
    return _joined(inputs_of(task))


def _joined(inputs: Mapping[str, str]) -> str:
    return publish.sha256(json.dumps(dict(inputs), sort_keys=True).encode())


NAMED = 5  # inputs that are named; more are counted


def _refuse_changed(task: Task, before: Mapping[str, str]) -> None:
    """Refuse what was made from inputs of two states, and say which of them are not as they were."""
    now = inputs_of(task)
    names = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
    if not names:
        return
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    raise RunError(
        f"{task.name}: {', '.join(names[:NAMED])}{more} changed while it ran; run it again, and let nothing write "
        "there until it is done"
    )


# Which tasks there are.


def notebooks(root: Path) -> dict[str, Path]:
    """Notebooks of the project by name."""
    return {path.stem: path for path in sorted((root / "notebooks").glob("*.ipynb"))}


def report_base(root: Path, *, deal: str = DEFAULT_DEAL, as_of: str = "") -> Path:
    """Folder of the reports of ``deal``; another as-of date never replaces the current report."""
    base = archive.deal_base(root, deal)
    return publish.run_folder(base, f"as-of-{as_of}") if as_of else base


def _reads(root: Path, deal: str) -> tuple[Path, ...]:
    """What every run for ``deal`` reads, scenarios apart."""
    from valuation.params import load_deal

    terms = load_deal(deal, root)
    params = root / "params"
    return (
        root / terms.seeds,
        root / terms.priors,
        *sorted(params.glob("*.yaml")),
        params / "deals" / f"{deal}.yaml",
    )


def _accepted(notebook: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``values`` that the notebook declares, checked."""
    known = parameters.declared(notebook)
    return parameters.checked(notebook, {k: v for k, v in values.items() if k in known})


def _given(deal: str, as_of: str, seed: int | None, override: str) -> dict[str, Any]:
    given: dict[str, Any] = {"deal": deal, "as_of": as_of, "override": override}
    return given if seed is None else given | {"random_seed": seed}


def _template(root: Path, name: str) -> Path:
    found = notebooks(root)
    if name not in found:
        raise ParameterError(f"no notebook {name!r}; notebooks/ holds {', '.join(found) or 'none'}")
    return found[name]


def scenario_task(
    root: Path,
    scenario: str | Path,
    *,
    deal: str = DEFAULT_DEAL,
    as_of: str = "",
    seed: int | None = None,
    override: str = "",
) -> Task:
    """The report of one scenario; every key of its file is a parameter of the notebook."""
    from valuation.params import load_scenario, read_yaml
    from valuation.params.places import named_file

    path = named_file(scenario, root / "params" / "scenarios", "scenario")
    spec = load_scenario(path, root)
    notebook = _template(root, SCENARIO_NOTEBOOK)
    values = dict(read_yaml(path).data) | _given(deal, as_of, seed, override)
    return Task(
        group=SCENARIOS,
        name=spec.scenario,
        title=spec.title,
        notebook=notebook,
        values=parameters.checked(notebook, values),
        folder=publish.run_folder(
            report_base(root, deal=deal, as_of=as_of), SCENARIOS, spec.scenario
        ),
        root=root,
        reads=(*_reads(root, deal), path),
        source=path,
        history=None if as_of else archive.history_path(root, deal, spec.scenario),
    )


def model_task(
    root: Path,
    name: str,
    *,
    deal: str = DEFAULT_DEAL,
    as_of: str = "",
    seed: int | None = None,
    override: str = "",
) -> Task:
    """The report of one of the other notebooks: evidence, a model, the comparison."""
    if name in APART:
        raise ParameterError(f"{name} is run by another command: `{APART[name]}`")
    from valuation.params import load_deal

    notebook = _template(root, name)
    scenarios = root / "params" / "scenarios"
    scores = name == SCORECARD_NOTEBOOK
    return Task(
        group="models",
        name=name,
        title=name.replace("_", " "),
        notebook=notebook,
        values=_accepted(notebook, _given(deal, as_of, seed, override)),
        folder=publish.run_folder(report_base(root, deal=deal, as_of=as_of), "models", name),
        root=root,
        reads=(
            *_reads(root, deal),
            scenarios if name == COMPARISON_NOTEBOOK else scenarios / "base.yaml",
        ),
        record=root / load_deal(deal, root).seeds / publish.RECORD if scores else None,
    )


def told_notebooks(root: Path, *, deal: str = DEFAULT_DEAL, as_of: str = "") -> list[str]:
    """Names for :func:`model_task` that have something to tell: a model of which no row speaks teaches nothing."""
    from valuation.ledger import load_ledger
    from valuation.models import KINDS, MODELS
    from valuation.params import load_deal

    names = [name for name in notebooks(root) if name not in APART]
    if deal != DEFAULT_DEAL or as_of:
        names = [name for name in names if name not in GUIDES]
    folder = root / load_deal(deal, root).seeds
    try:
        scored = load_ledger(folder, kinds=KINDS, as_of=as_of or None).scored()
    except LedgerError:
        return names  # each run says what is wrong with the ledger
    read = {KINDS[kind].model for kind in scored["kind"]}
    return [name for name in names if name not in MODELS or name in read]


# Running.


def _render(notebook: Any, results: Mapping[str, Any]) -> str:
    """The page; :class:`GateError` if it lacks a section or a figure that the notebook showed."""
    from valuation import gate, page

    html = page.to_html(notebook, results)
    expected = {section.id: section.figures for section in page.sections_of(notebook)}
    gate.gate(gate.page(html, expected)).raise_if_refused()
    return html


def _refuse_failed(results: Mapping[str, Any], task: Task) -> None:
    """Refuse results whose own checks failed, whatever the notebook's cells made of them."""
    from valuation import gate

    checks = gate.from_table(results.get("diagnostics") or ())
    run = results.get("run")
    override = str(run.get("override") or "") if isinstance(run, Mapping) else ""
    if not checks:
        raise GateError(f"{task.name}: the results carry no checks; the notebook must report them")
    gate.gate(checks, override).raise_if_refused()


def _keep_inputs(task: Task) -> tuple[str, str]:
    """Copy what a scenario is about to read: the digest, and a sentence if it cannot be kept.

    Other notebooks are not archived: both are empty. That an archive cannot be written is no reason
    to withhold a report that passes its checks.
    """
    if task.group != SCENARIOS or task.source is None:
        return "", ""
    try:
        return archive.keep_inputs(task.root, str(task.values["deal"]), task.source), ""
    except (OSError, ValuationError) as error:
        return "", _not_kept(task, str(error))


def _not_kept(task: Task, why: str) -> str:
    return f"{task.name}: not kept among the runs: {why}"


def _keep_run(
    task: Task, files: Mapping[str, bytes], results: Mapping[str, Any], inputs: str
) -> tuple[Path | None, str]:
    """Archive a scenario's run: its folder, or None and a sentence that says why it is not kept."""
    if not inputs or task.source is None:
        return None, ""
    deal = str(task.values["deal"])
    try:
        if changed := archive.changed_inputs(task.root, deal, task.source, inputs):
            why = f"{', '.join(changed)} changed while it ran; run it again with --force"
            return None, _not_kept(task, why)
        run = archive.keep_run(
            task.root,
            deal=deal,
            scenario=task.name,
            kind="report",
            files=files,
            results=results,
            inputs=inputs,
            as_of_given=bool(task.values.get("as_of")),
        )
        freeze(task.root, run)
    except (OSError, ValuationError) as error:
        return None, _not_kept(task, str(error))
    return run.folder, ""


def freeze(root: Path, run: archive.Run) -> int:
    """Put what a run said on record, once; the number of rows. Only the base scenario's present is forecast."""
    if run.scenario != BASE or run.as_of_given:
        return 0
    from valuation.params import load_deal

    terms = load_deal(run.deal, root)
    if terms.ending is not None:  # its future is known: nothing is forecast
        return 0
    return record.freeze(
        root / terms.seeds,
        run=run.id,
        deal=run.deal,
        scenario=run.scenario,
        as_of=run.as_of,
        said=record.said_of(run.results),
        quantities=record.quantities_of(run.results),
    )


async def _run(task: Task, inputs: Mapping[str, str], on_cell: kernel.OnCell | None) -> str:
    """Run and publish; what has to be said of it, if anything."""
    import nbformat
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    if task.folder.resolve().is_relative_to(task.notebook.parent.resolve()):
        raise RunError(f"{task.folder}: a report may not be written among the notebooks")
    notebook = load_notebook_node(str(task.notebook))
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    values = dict(task.values)
    history = _history_digest(
        task
    )  # before it is read, so that one that comes later is another one
    kept, note = _keep_inputs(task)
    if values:
        notebook = parameterize_notebook(notebook, values, kernel_name="python3", language="python")
    results = await kernel.execute(
        notebook,
        values,
        name=task.name,
        cwd=task.notebook.parent,
        root=task.root,
        on_cell=on_cell,
    )
    _refuse_failed(results, task)
    if task.accept is not None:
        task.accept(results)
    page = await asyncio.to_thread(_render, notebook, results)
    _refuse_changed(task, inputs)
    files = {
        publish.RESULTS: json.dumps(results, indent=1, sort_keys=True, allow_nan=False).encode(),
        publish.NOTEBOOK: nbformat.writes(notebook).encode(),
        publish.PAGE: page.encode(),
    }
    about = _about(task) | {"results_digest": digest_of(results), "history": history}
    # Archived first: a run that is killed in between is made again, and is then found to be kept.
    twins, late = _keep_run(task, files, results, kept)
    publish.publish(task.folder, files, inputs=_joined(inputs), about=about, twins=twins)
    return note or late


def _about(task: Task) -> dict[str, Any]:
    """What the manifest says of a task, so that it can be told later whether it is current."""
    about: dict[str, Any] = {"notebook": task.notebook.name, "parameters": dict(task.values)}
    if task.source is not None:
        about["source"] = os.path.relpath(task.source, task.root)
    return about


def _unforeseen(task: Task, problem: Exception) -> RunError:
    """A fault of ours or the machine's, as an error that lets the other tasks go on."""
    error = RunError(
        f"{task.name}: {type(problem).__name__}: {problem}; run with --debug to see where"
    )
    error.__cause__ = problem
    return error


async def _attempt(task: Task, inputs: Mapping[str, str], progress: Progress) -> Outcome:
    start = time.monotonic()
    try:
        note = await _run(task, inputs, lambda done, total: progress.cell(task, done, total))
    except Exception as problem:
        error = problem if isinstance(problem, ValuationError) else _unforeseen(task, problem)
        publish.write_failure(task.folder, task.title, str(error).splitlines())
        outcome = Outcome(task, "failed", time.monotonic() - start, error)
    else:
        outcome = Outcome(task, "made", time.monotonic() - start, note=note)
    progress.finished(outcome)
    return outcome


async def _attempt_all(stale: Sequence[Pending], jobs: int, progress: Progress) -> list[Outcome]:
    gate = asyncio.Semaphore(jobs)

    async def one(task: Task, inputs: Mapping[str, str]) -> Outcome:
        async with gate:
            return await _attempt(task, inputs, progress)

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(one(task, inputs)) for task, inputs in stale]
    return [task.result() for task in running]


def _fit(task: Task) -> bool:
    """Make the fits that the notebooks share, once, so that each only loads them.

    True if any was sampled, False if all were stored already.
    """
    from valuation.params import cache_folder
    from valuation.study import open_study

    stored = cache_folder(task.root) / "posteriors"
    before = {(path, path.stat().st_mtime_ns) for path in stored.glob("*") if _is_artifact(path)}

    values = dict(task.values)
    seed = values.get("random_seed")
    if seed is None:
        seed = parameters.declared(task.notebook)["random_seed"].default
    study = open_study(
        deal=values["deal"],
        as_of=values.get("as_of", ""),
        random_seed=seed,
        override=values.get("override", ""),
        root=task.root,
    )
    for prior_set in study.book.sets():
        study.believed(prior_set)  # fitted and stored where reweighting is not to be trusted
    after = {(path, path.stat().st_mtime_ns) for path in stored.glob("*") if _is_artifact(path)}
    return bool(after - before)


def _is_artifact(path: Path) -> bool:
    return path.is_file() and path.suffix != ".lock"


def is_current(task: Task, inputs: str | None = None) -> bool:
    """True if the report in place is whole, nothing that it depends on has changed, and it shows the last history."""
    manifest = publish.read_manifest(task.folder)
    return (
        manifest is not None
        and manifest.get("inputs") == (inputs or inputs_digest(task))
        and manifest.get("history", "") == _history_digest(task)
    )


def _history_digest(task: Task) -> str:
    """Of the history that a report shows. No input: a replay moves no number, and makes no report older."""
    there = task.history is not None and task.history.is_file()
    return publish.sha256(task.history.read_bytes()) if task.history and there else ""


@contextmanager
def _exclusive(tasks: Sequence[Task], progress: Progress) -> Iterator[None]:
    """Keep two commands from writing the same reports at once."""
    from filelock import FileLock, Timeout

    from valuation.params import cache_folder

    folder = cache_folder(tasks[0].root) / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    where = str(tasks[0].root.resolve())
    lock = FileLock(folder / f"reports-{publish.sha256(where.encode())[:12]}.lock")
    try:
        lock.acquire(timeout=0.2)
    except Timeout:
        progress.waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def run_tasks(
    tasks: Sequence[Task],
    *,
    jobs: int = JOBS,
    force: bool = False,
    fit: Callable[[Task], bool] | None = _fit,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Run those of ``tasks`` whose report is not current, ``jobs`` at a time.

    The shared fit is made first, and beside it those of the scorecard's backtest and of the history, in a process
    of its own: compiling takes one core. The base scenario, which shows that history, waits for it. What reads the
    record runs last, also if it is current but the record is about to grow. A failed task leaves its last good report
    as it was, with a page that says why beside it; the others go on. Outcomes come in the order of ``tasks``.
    """
    if not tasks:
        return []
    progress = progress or Silent()
    with _exclusive(tasks, progress):
        outcomes: dict[tuple[str, str], Outcome] = {}
        forecasting = any(
            task.group == SCENARIOS and task.name == BASE and (force or not is_current(task))
            for task in tasks
        )
        stale: list[Pending] = []
        for task in tasks:
            publish.sweep(task.folder)
            inputs = inputs_of(task)
            if (
                not force
                and is_current(task, _joined(inputs))
                and not (task.record and forecasting)
            ):
                (task.folder / publish.FAILURE).unlink(missing_ok=True)
                outcomes[task.key] = Outcome(task, "kept", 0.0)
            else:
                stale.append((task, inputs))
        progress.begin([task for task, _ in stale])
        beside = _walk(stale) if fit is not None else None
        try:
            if stale and fit is not None:
                progress.fitting()
                try:
                    sampled = fit(next((t for t, _ in stale if t.group == SCENARIOS), stale[0][0]))
                except ParameterError:
                    raise
                except ValuationError as error:
                    for task, _ in stale:
                        problems = str(error).splitlines()
                        publish.write_failure(task.folder, task.title, problems)
                        outcome = Outcome(task, "failed", 0.0, error)
                        outcomes[task.key] = outcome
                        progress.finished(outcome)
                    stale = []
                else:
                    progress.fitted(sampled)
            for turn in range(3):
                batch = [one for one in stale if _turn(one[0], beside is not None) == turn]
                if turn == 1 and beside is not None:
                    progress.walking()
                    beside.wait()
                    progress.walked()
                    kept = [o.task for o in outcomes.values() if o.status == "kept"]
                    batch += [(t, {}) for t in kept if t.history and not is_current(t)]
                if turn:  # what the others put on record belongs to its inputs
                    batch = [(task, inputs_of(task)) for task, _ in batch]
                for outcome in asyncio.run(_attempt_all(batch, jobs, progress)):
                    outcomes[outcome.task.key] = outcome
        finally:
            if beside is not None:
                with beside:  # waited for, and its input closed
                    if beside.poll() is None:
                        beside.terminate()
            progress.end()
    for outcome in outcomes.values():
        if outcome.note:
            print(outcome.note, file=sys.stderr)
    if beside is not None and beside.poll():
        deal = str(tasks[0].values.get("deal", DEFAULT_DEAL))
        other = archive.for_deal(deal)
        print(
            f"no history was made; `valuation replay{other}` makes it, or says why it cannot be",
            file=sys.stderr,
        )
    return [outcomes[task.key] for task in tasks]


def _turn(task: Task, walking: bool) -> int:
    """When a task runs: before the walk of the ledger is over, after it, or after all that is put on record."""
    if task.record is not None:
        return 2
    return int(walking and task.history is not None and task.name == BASE)


def _walk(stale: Sequence[Pending]) -> subprocess.Popen[bytes] | None:
    """The ledger walked for the scorecard and the history, begun beside the other tasks; None if no scorecard is to
    run, or it runs alone.

    The walk keeps its fits and results, which notebooks then find. If it fails it leaves nothing, which is said: the
    base shows the history that there was, by its date, and the scorecard tells a fault that it meets as well.
    """
    mine = next((task for task, _ in stale if task.record is not None), None)
    if mine is None or len(stale) == 1 or mine.values.get("as_of"):
        return None
    command = [sys.executable, "-m", "valuation.report.beside", "--deal", str(mine.values["deal"])]
    if "random_seed" in mine.values:  # else both take their own, which is the same
        command += ["--seed", str(mine.values["random_seed"])]
    quiet = subprocess.DEVNULL
    env = os.environ | {"VALUATION_HOME": str(mine.root)}
    # Its input is never written to: it ends when this process does, however that ends, and the walk with it.
    return subprocess.Popen(
        [*command, "--attended"], env=env, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet
    )


def run_notebook(
    name: str,
    values: Mapping[str, Any],
    *,
    out_dir: Path,
    root: Path,
    run_name: str | None = None,
) -> Path:
    """Run one notebook of ``root`` with ``values`` and publish it in ``out_dir/run_name``.

    Returns the page. Raises :class:`ParameterError` for a parameter that the notebook does not
    declare, and what the notebook raised (:class:`GateError`, :class:`RunError`, ...) if it failed;
    a page that says so is then beside the last good report.
    """
    notebook = _template(root, name)
    task = Task(
        group="notebooks",
        name=run_name or name,
        title=name.replace("_", " "),
        notebook=notebook,
        values=parameters.checked(notebook, values),
        folder=publish.run_folder(out_dir, run_name or name),
        root=root,
    )
    (outcome,) = run_tasks([task], force=True, fit=None)
    if outcome.error is not None:
        raise outcome.error
    return task.page
