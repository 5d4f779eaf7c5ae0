"""What can be found wrong without a run: settings, ledger, notebooks, published reports."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valuation import archive, gate, publish
from valuation.errors import ArtifactError, ParameterError, ValuationError
from valuation.report import parameters, runs, standing

FINISH = "finish("


@dataclass(frozen=True)
class Result:
    """One named check.

    ``settings`` tells a setting that cannot be used from a check that fails; ``warning`` what is told though it passes.
    """

    name: str
    passed: bool
    detail: str
    settings: bool = False
    warning: bool = False


def _setting(name: str, read: Callable[[], str]) -> Result:
    try:
        return Result(name, True, read(), settings=True)
    except ValuationError as error:
        return Result(name, False, str(error), settings=True)


def check_project(root: Path, *, deal: str, today: dt.date) -> list[Result]:
    """Every check, in the order in which they are read; nothing is raised for a bad project."""
    return [
        *_settings(root, deal),
        *_ledger(root, deal, today),
        *_record(root, deal),
        *_fresh(root, deal, today),
        _priors_used(root, deal),
        _priors_sourced(root, deal),
        _rows_taken(root, deal),
        *_notebooks(root, deal),
        *_published(root, deal),
        _history(root, deal),
        *_runs(root, deal),
    ]


def _settings(root: Path, deal: str) -> Iterator[Result]:
    from valuation import params

    def deals() -> str:
        found = params.load_deals(root)
        params.load_deal(deal, root)  # names the known ones if it is not among them
        return listed(found)

    def priors() -> str:
        terms = params.load_deal(deal, root)
        book = params.load_priors(root / terms.priors, terms.currency)
        return f"{len(book.get())} priors in {len(book.sets())} sets: {listed(book.sets())}"

    def credibility() -> str:
        grades = params.load_credibility(root / "params" / "credibility.yaml")
        return listed(f"{grade} {chance:g}" for grade, chance in grades.items())

    def gate() -> str:
        limits = params.load_gate(root / "params" / "gate.yaml").model_dump()
        return f"{len(limits)} limits, R-hat at most {limits['rhat_max']:g}"

    def scenarios() -> str:
        terms = params.load_deal(deal, root)
        found = params.scenarios_of(terms, root)
        for scenario in found.values():
            scenario.resolve(terms, root)
        return f"{len(found)}: {listed(found)}"

    yield _setting("params/deals", deals)
    yield _setting("params/priors.yaml", priors)
    yield _setting("params/credibility.yaml", credibility)
    yield _setting("params/gate.yaml", gate)
    yield _setting("params/scenarios", scenarios)


def listed(names: Any) -> str:
    """Names with commas."""
    return ", ".join(str(name) for name in names)


def _ledger(root: Path, deal: str, today: dt.date) -> Iterator[Result]:
    from valuation.ledger import check_ledger
    from valuation.models import kinds_in
    from valuation.params import load_deal

    try:
        terms = load_deal(deal, root)
    except ValuationError:
        yield Result("ledger", False, f"not checked: the deal {deal!r} cannot be read")
        return
    for found in check_ledger(root / terms.seeds, kinds=kinds_in(terms.currency), today=today):
        yield Result(found.name, found.passed, found.detail)


def freshness(root: Path, *, deal: str, today: dt.date) -> dict[str, Any] | None:
    """How old the evidence of the present is, as :func:`valuation.questions.freshness` tells it."""
    from valuation import questions
    from valuation.ledger import load_ledger
    from valuation.models import kinds_in
    from valuation.params import load_deal, load_gate

    terms = load_deal(deal, root)
    ledger = load_ledger(root / terms.seeds, kinds=kinds_in(terms.currency))
    limits = load_gate(root / "params" / "gate.yaml")
    option = archive.for_deal(deal)
    return questions.freshness(ledger, terms, limits, day=today, option=option)


def _fresh(root: Path, deal: str, today: dt.date) -> Iterator[Result]:
    """Today's age of the evidence and of what waits for an outcome: a warning, as no answer depends on the day."""
    name = "freshness"
    try:
        found = freshness(root, deal=deal, today=today)
    except ValuationError:
        return  # the checks of settings and of the ledger have said so
    if found is None:
        yield Result(name, True, "not asked: the ending of this deal is known")
        return
    days = found["days"]
    said = f"the newest evidence is of {found['newest']}, {days} day{'' if days == 1 else 's'} old"
    yield Result(name, True, "\n".join([said, *found["warnings"]]), warning=bool(found["warnings"]))


def _record(root: Path, deal: str) -> Iterator[Result]:
    """The register names known events; what was forecast is as it was, and all that was published is there."""
    from valuation import record
    from valuation.ledger import load_ledger
    from valuation.models import kinds_in
    from valuation.params import load_deal, load_gate
    from valuation.questions import questions_of, waiting

    name = "questions: every event is one that can be asked"
    try:
        terms = load_deal(deal, root)
        folder = root / terms.seeds
    except ValuationError:
        return  # the ledger's check has said so
    try:
        ledger = load_ledger(folder, kinds=kinds_in(terms.currency))
        asked = questions_of(ledger.questions)
        answered = sum(q.event is not None for q in asked)
        yield Result(name, True, f"{len(asked)} questions, {answered} of them with an event")
        limits = load_gate(root / "params" / "gate.yaml")
        found = gate.overdue(waiting(ledger.questions, ledger.as_of), limits.overdue_days_max)
        yield Result("questions: none overdue", found.passed, found.sentence)
    except ParameterError:
        pass  # params/gate.yaml has said so
    except ValuationError as error:
        lines = [line for line in str(error).splitlines() if line.startswith("questions.csv")]
        yield Result(name, not lines, "\n".join(lines) or "not checked: the ledger first")
    for told in record.check_record(folder):
        yield Result(told.name, told.passed, told.detail)
    name = "forecasts: every published run is on record"
    try:
        kept = archive.list_runs(root, deal=deal, scenario=runs.BASE)
        blind = load_deal(deal, root).ending is not None  # its future is known: nothing is forecast
        kept = [] if blind else kept
        present = {r.id: r.created for r in kept if not r.problem and r.as_of_given is False}
        missing = record.unrecorded(record.read(folder), present)
    except (OSError, ValuationError):
        yield Result(name, False, "not checked: a file above cannot be read")
        return
    lines = [
        f"run {run} is not; restore {record.RECORD}, or record it with `valuation report base --force`"
        for run in missing
    ]
    yield Result(name, not lines, "\n".join(lines) or f"{len(present)} runs are kept here")


def _priors_used(root: Path, deal: str) -> Result:
    """Every prior that the models read is there, and none is there for nothing."""
    from valuation import params
    from valuation.ledger import load_ledger
    from valuation.models import closure, joint, kinds_in

    name = "every prior is read by a model"
    try:
        terms = params.load_deal(deal, root)
        book = params.load_priors(root / terms.priors, terms.currency)
        context = joint.context_of(
            load_ledger(root / terms.seeds, kinds=kinds_in(terms.currency)),
            terms,
            book.get(),
            params.load_credibility(root / "params" / "credibility.yaml"),
        )
        read = set(joint.scalars(context, closure(None)))
    except ValuationError:
        return Result(name, False, "not checked: a file above cannot be used")
    given = set(book.get())
    problems = [f"{p}: read by a model but not in {terms.priors}; add it" for p in read - given]
    problems += [f"{p}: in {terms.priors} but read by no model; remove it" for p in given - read]
    return Result(name, not problems, "\n".join(sorted(problems)) or f"{len(read)} read")


UNSOURCED = (
    "judgement",
    "convention",
)  # a prior that rests on no row says so by one of these words
CITED = ("base_rates.csv", "evidence.csv", "reference_deals.csv")


def prior_sources(root: Path, deal: str) -> set[str]:
    """What a prior of the deal may name as its source: rows of its own ledger, and of the first deal's reference
    classes, which later deals borrow; or that it is a judgement.

    Raises
    ------
    ValuationError, OSError, ValueError
        If the deal or a file cannot be read.
    """
    from valuation.params import load_deal

    folders = {root / load_deal(deal, root).seeds, root / "seeds"}
    files = [folder / name for folder in sorted(folders) for name in CITED]
    return {*UNSOURCED}.union(*(_rows_by_id(f.read_bytes()) for f in files if f.is_file()))


def _priors_sourced(root: Path, deal: str) -> Result:
    """Whoever doubts a prior can look up what it rests on."""
    from valuation import params

    name = "every prior names a source that is there"
    try:
        terms = params.load_deal(deal, root)
        book = params.load_priors(root / terms.priors, terms.currency)
        known = prior_sources(root, deal)
    except (OSError, ValueError, csv.Error, ValuationError):
        return Result(name, False, "not checked: a file above cannot be used")
    cited = {(p.name, p.source) for s in book.sets() for p in book.get(s).values()}
    lines = [
        f"{terms.priors}: {prior}: source {source!r} is no row of {', '.join(CITED)}; correct it in the file, or write "
        f"{' or '.join(UNSOURCED)}"
        for prior, source in sorted(cited)
        if source not in known
    ]
    told = sum(source not in UNSOURCED for _, source in cited)
    return Result(name, not lines, "\n".join(lines) or f"{told} rest on rows")


def _rows_taken(root: Path, deal: str) -> Result:
    """The models can be given every scored row: what an update would refuse, also of rows typed by hand."""
    from valuation import params
    from valuation.errors import LedgerError
    from valuation.ledger import load_ledger
    from valuation.models import joint, kinds_in

    name = "every scored row can be given to its model"
    try:
        terms = params.load_deal(deal, root)
        ledger = load_ledger(root / terms.seeds, kinds=kinds_in(terms.currency))
        priors = params.load_priors(root / terms.priors, terms.currency).get()
        grades = params.load_credibility(root / "params" / "credibility.yaml")
    except ValuationError:
        return Result(name, False, "not checked: a file above cannot be used")
    try:
        found = joint.bind(joint.context_of(ledger, terms, priors, grades), ledger.scored())
    except LedgerError as error:
        return Result(name, False, str(error))
    except ValuationError:
        return Result(name, False, "not checked: a prior above is missing")
    return Result(name, True, f"{len(found.ids)} rows")


def _notebooks(root: Path, deal: str) -> Iterator[Result]:
    found = runs.notebooks(root)
    if not found:
        yield Result("notebooks", False, "none in notebooks/; restore the folder from git")
    for name, path in found.items():
        yield _notebook(root, deal, name, path)


def _notebook(root: Path, deal: str, name: str, path: Path) -> Result:
    label = f"notebooks/{path.name}"
    try:
        known = parameters.declared(path)
        cells = parameters.read_notebook(path)["cells"]
        code = [c for c in cells if c["cell_type"] == "code"]
        if any(c.get("outputs") or c.get("execution_count") for c in code):
            return Result(label, False, "holds outputs; clear them with `nbstripout` before commit")
        if FINISH not in "".join(code[-1]["source"]):
            return Result(label, False, "its last cell does not finish(results)")
        if name == runs.SCENARIO_NOTEBOOK:
            for scenario in _scenarios_that_can_be_read(root):
                runs.scenario_task(root, scenario, deal=deal)
    except ValuationError as error:
        return Result(label, False, str(error))
    return Result(label, True, f"takes {listed(known)}")


def _scenarios_that_can_be_read(root: Path) -> list[str]:
    """Names of sound scenario files; params/scenarios has named the others."""
    from valuation.params import load_scenario

    names = []
    for path in sorted((root / "params" / "scenarios").glob("*.yaml")):
        try:
            load_scenario(path, root)
        except ValuationError:
            continue
        names.append(path.stem)
    return names


def _published(root: Path, deal: str) -> Iterator[Result]:
    """Reports that are in place must be whole, passed and made from the present inputs."""
    found = [
        s for s in standing.standings(root, deal=deal) if (s.folder / publish.MANIFEST).is_file()
    ]
    if not found:
        yield Result("published reports", True, "none yet; `valuation report` makes them")
        return
    yield _current(found, deal)
    yield _left_over(root, found)
    for folder in (s.folder for s in found if s.state != standing.LEFT_OVER):
        label = folder.relative_to(root).as_posix()
        try:
            results = publish.read_results(folder)
        except ArtifactError as error:
            yield Result(label, False, str(error))
            continue
        rows = results.get("diagnostics", [])
        failed = [row["sentence"] for row in rows if row.get("passed") is not True]
        reason = results.get("run", {}).get("override", "")
        if failed and not reason:
            yield Result(label, False, "\n".join(failed))
        else:
            said = f"published in spite of {len(failed)} failed checks: {reason}" if failed else (
                f"intact, {len(rows)} checks passed"
            )  # fmt: skip
            yield Result(label, True, said)


def _current(found: list[standing.Standing], deal: str) -> Result:
    """No report was made from evidence, settings, notebooks or code that have changed since."""
    name = "reports: current"
    old = [s for s in found if s.state == standing.OLDER]
    current = sum(s.state == standing.CURRENT for s in found)
    if not old:
        return Result(name, True, f"{current} made from the present inputs")
    remedy = (
        "make report" if deal == runs.DEFAULT_DEAL else f"valuation report{archive.for_deal(deal)}"
    )
    names = listed(f"{s.group}/{s.name}" for s in old)
    words = f"{len(old)} made before the last change of inputs: {names}; renew with `{remedy}`"
    return Result(name, False, words)


def _left_over(root: Path, found: list[standing.Standing]) -> Result:
    """No report outlives the scenario or notebook that it was made from."""
    name = "reports: none left over"
    gone = [s.folder for s in found if s.state == standing.LEFT_OVER]
    lines = [
        f"{folder.relative_to(root).as_posix()}: what it was made from is gone, and the index "
        f"leaves it out; remove it with `rm -r {folder.relative_to(root).as_posix()}`"
        for folder in gone
    ]
    return Result(name, not gone, "\n".join(lines))


def _history(root: Path, deal: str) -> Result:
    """The history that reports show is as it was made; a damaged one is left out of them."""
    from valuation.study.replay import examined

    name, path = "reports: history intact", archive.history_path(root, deal)
    history, problem = examined(path, deal)
    if problem:
        where = path.relative_to(root).as_posix()
        word = archive.for_deal(deal)
        return Result(
            name,
            False,
            f"{where}: {problem}; make it again with `valuation replay{word}`",
        )
    told = "none yet; `valuation report` makes it" if history is None else f"made {history['made']}"
    return Result(name, True, told)


def _runs(root: Path, deal: str) -> Iterator[Result]:
    """Kept runs must be whole, and the ledger must still say what the newest of them read."""
    name = "runs: intact"
    try:
        found = [archive.examined(run) for run in archive.list_runs(root, deal=deal)]
    except (OSError, ValuationError) as error:
        yield Result(name, False, str(error))
        return
    if not found:
        yield Result(name, True, "none yet; `valuation report` keeps each")
        return
    problems = [run.problem for run in found if run.problem]
    yield Result(name, not problems, "\n".join(problems) or f"{len(found)} kept, all whole")
    sound = [run for run in found if not run.problem]
    if sound:
        yield _rows_still_there(root, deal, sound[-1])


def _rows_still_there(root: Path, deal: str, run: archive.Run) -> Result:
    """No evidence row that the newest run read has been edited or removed since."""
    name = "evidence rows of the latest run: all there, unchanged"
    try:
        before, after = (_evidence_file(where, deal) for where in (run.inputs, root))
        if after.startswith(before) and before.endswith(b"\n"):
            return Result(name, True, f"run {run.id}; rows were only added since, if any")
        kept, present = _rows_by_id(before), _rows_by_id(after)
    except (OSError, ValueError, csv.Error) as error:
        return Result(name, False, f"evidence.csv cannot be compared with run {run.id}: {error}")
    problems = []
    for row_id, cells in kept.items():
        now = present.get(row_id)
        if now is None:
            problems.append(f"row {row_id!r} is gone; restore it and add a row that supersedes it")
        elif changed := [column for column in cells if cells[column] != now.get(column, "")]:
            problems.append(
                f"row {row_id!r} differs in {', '.join(changed)}; "
                "restore it and add a row that supersedes it"
            )
    lines = [f"evidence.csv: against run {run.id}: {problem}" for problem in problems]
    return Result(name, not lines, "\n".join(lines) or f"{len(kept)} rows of run {run.id}")


def _evidence_file(root: Path, deal: str) -> bytes:
    from valuation.params import load_deal

    return (root / load_deal(deal, root).seeds / "evidence.csv").read_bytes()


def _rows_by_id(content: bytes) -> dict[str, dict[str, str]]:
    """Rows of a CSV file by their ``id``; :class:`ValueError` if it has none."""
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    header = next(reader, [])
    place = header.index("id")
    return {row[place]: dict(zip(header, row, strict=True)) for row in reader if row}
