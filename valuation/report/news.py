"""The report of an update: run the news notebook, keep it as a run, put it where the last one was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from valuation import archive, publish
from valuation.errors import ParameterError, RunError
from valuation.report import index, parameters, runs
from valuation.report.standing import standings
from valuation.study import Change

GROUP = "news"


def publish_update(
    change: Change, *, root: Path, inputs: str, progress: runs.Progress | None = None
) -> tuple[Path, str]:
    """Render ``change`` and keep it; the page and the id of the run.

    Parameters
    ----------
    inputs
        What :func:`valuation.archive.keep_inputs` returned before ``change`` was opened.
    progress
        Told how far the page is, and whether it waits for another command.

    Raises
    ------
    RunError
        If seeds or settings changed while it ran, or the notebook came to another result.
    GateError
        If a check refuses it; the last report of an update stays.
    """
    results = change.results  # stored, so that the notebook only reads it
    study = change.new
    deal, scenario = study.base_deal.name, study.scenario.scenario
    if "/" in scenario or not (root / "params" / "scenarios" / f"{scenario}.yaml").is_file():
        raise ParameterError(
            f"{scenario!r} is no file of params/scenarios; save the scenario there first"
        )
    notebook = root / "notebooks" / f"{runs.NEWS_NOTEBOOK}.ipynb"
    values: dict[str, Any] = {
        "deal": deal,
        "scenario": scenario,
        "against": "" if change.run is None else change.run.id,
        "since": str(change.old.as_of) if change.run is None else "",
        "random_seed": study.random_seed,
        "override": study.override,
    }
    folder = publish.run_folder(runs.report_base(root, deal=deal), GROUP, scenario)

    def accept(shown: Mapping[str, Any]) -> None:
        """Before anything is published: the inputs are what was read, the page tells what was answered."""
        if changed := archive.changed_inputs(root, deal, scenario, inputs):
            raise RunError(
                f"{', '.join(changed)} changed while the update ran; run `valuation update` again"
            )
        if archive.without_the_hour(shown) != archive.without_the_hour(results):
            raise RunError(
                "the notebook came to another result than the command; run `valuation update` again"
            )

    task = runs.Task(
        group=GROUP,
        name=scenario,
        title=f"What moved the answer: {study.scenario.title}",
        notebook=notebook,
        values=parameters.checked(notebook, values),
        folder=folder,
        root=root,
        accept=accept,
    )
    (outcome,) = runs.run_tasks([task], force=True, fit=None, progress=progress)
    if outcome.error is not None:
        raise outcome.error
    shown = publish.read_results(folder)
    names = (publish.RESULTS, publish.NOTEBOOK, publish.PAGE)
    kept = archive.keep_run(
        root,
        deal=deal,
        scenario=scenario,
        kind="update",
        files={name: (folder / name).read_bytes() for name in names},
        results=shown,
        inputs=inputs,
        parent=None if change.run is None else change.run.id,
    )
    runs.freeze(root, kept)
    held = index.shelf(
        runs.report_base(root, deal=deal), standings(root, deal=deal), deal=deal, root=root
    )
    if held.scenarios:  # it dates its rows and links this update
        index.write(runs.report_base(root, deal=deal), held)
    return kept.page, kept.id
