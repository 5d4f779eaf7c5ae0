"""Commands that run notebooks, check the project and list what it holds."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from valuation import clock
from valuation.cli.options import (
    EXIT_CODES,
    OK,
    REFUSED,
    USAGE,
    as_of_option,
    conclude,
    deal_option,
    debug_option,
    force_option,
    jobs_option,
    json_option,
    kinds_of,
    ledger_of,
    names_in,
    override_option,
    print_checks,
    print_json,
    progress_of,
    project_root,
    quiet_option,
    results_of,
    seed_option,
    seeded,
    talk,
    with_options,
)

if TYPE_CHECKING:
    from valuation.schema import Kinds

# JupyterLab would ask the network for news, for newer releases of itself and for extensions.
LAB_OPTIONS = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)
# Without news it would still ask on its first page whether it may fetch them. A default: whoever set it wins.
LAB_SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
}

# report, model, fit


@click.command(epilog=EXIT_CODES)
@click.argument(
    "scenarios",
    nargs=-1,
    metavar="[SCENARIO]...",
    shell_complete=names_in("params/scenarios", ".yaml"),
)
@click.option("--all", "everything", is_flag=True, help="Every scenario and model; the default.")
@with_options(deal_option, as_of_option, seed_option, jobs_option, override_option)
@with_options(force_option, json_option, quiet_option, debug_option)
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
    from valuation.report import (
        index,
        model_task,
        report_base,
        run_tasks,
        scenario_task,
        told_notebooks,
    )
    from valuation.report.standing import standings

    root = project_root()
    settings: dict[str, Any] = {
        "deal": deal, "as_of": as_of, "seed": seed, "override": override,
    }  # fmt: skip
    terms = params.load_deal(deal, root)
    names = list(dict.fromkeys(scenarios)) or list(params.scenarios_of(terms, root))
    tasks = [scenario_task(root, name, **settings) for name in names]
    if not scenarios:
        others = told_notebooks(root, deal=deal, as_of=as_of)
        tasks += [model_task(root, name, **settings) for name in others]
    progress = progress_of(quiet)
    outcomes = run_tasks(tasks, jobs=jobs, force=force, progress=progress)
    base = report_base(root, deal=deal, as_of=as_of)
    # Also after a refusal: what is still in place is then older than its inputs, and must say so.
    held = index.shelf(
        base, standings(root, deal=deal, as_of=as_of), deal=deal, as_of=as_of, root=root
    )
    if held.scenarios:
        index.write(base, held)
    shown = results_of([o for o in outcomes if o.task.group == "scenarios"])
    if as_json and (shown or len(tasks) > 1):
        print_json(shown[0] if len(tasks) == 1 else shown)
    elif not quiet and shown:
        from valuation.report.checks import freshness
        from valuation.report.summary import summary

        fresh = None if as_of else freshness(root, deal=deal, today=clock.today())
        click.echo(summary(shown, held.notice, fresh))
    return conclude(outcomes, None if quiet else base / "index.html")


@click.command(epilog=EXIT_CODES)
@click.argument("name", shell_complete=names_in("notebooks", ".ipynb"))
@with_options(deal_option, as_of_option, seed_option, override_option, force_option)
@with_options(json_option, quiet_option, debug_option)
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

    task = model_task(project_root(), name, deal=deal, as_of=as_of, seed=seed, override=override)
    outcomes = run_tasks([task], force=force, progress=progress_of(quiet))
    if as_json and (shown := results_of(outcomes)):
        print_json(shown[0])
    return conclude(outcomes, None if quiet else task.page)


@click.command(epilog=EXIT_CODES)
@click.option("--refit", is_flag=True, help="Sample again even if the fit is stored.")
@with_options(deal_option, as_of_option, seed_option, override_option)
@with_options(json_option, quiet_option, debug_option)
def fit(
    refit: bool,
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
    priors, deal, code and seed, unless --refit asks for it; the draws are the same.
    """
    from valuation import posterior
    from valuation.study import open_study

    if not quiet:
        stored = "" if refit else " (nothing to do if it is stored)"
        talk(f"Sampling the joint model{stored} ...")
    study = open_study(deal, as_of=as_of, override=override, root=project_root(), **seeded(seed))
    if refit:
        posterior.forget(study.posteriors, study.posterior_key())
    verdict = study.gate()
    if as_json:
        print_json(
            {
                "posterior": study.posterior_key(),
                "as_of": str(study.as_of),
                "passed": verdict.passed,
                "diagnostics": [vars(check) for check in verdict.checks],
            }
        )
    else:
        print_checks([(c.name, c.passed, c.sentence) for c in verdict.checks])
    return OK if verdict.publish else REFUSED


# check


@click.command(epilog=EXIT_CODES)
@with_options(deal_option, json_option, debug_option)
def check(deal: str, as_json: bool, debug: bool) -> int:
    """Check ledger, settings, notebooks and published reports.

    Each check is named with its result. Exit code 2 if a setting cannot be used, 3 if another check
    fails. Evidence that has grown old and questions that have waited long are a warning.
    """
    from valuation.report.checks import check_project

    results = check_project(project_root(), deal=deal, today=clock.today())
    if as_json:
        print_json([vars(result) for result in results])
    else:
        print_checks([(r.name, None if r.warning else r.passed, r.detail) for r in results])
    failed = [r for r in results if not r.passed]
    if failed:
        named = "; ".join(r.name for r in failed)
        talk(f"{len(failed)} of {len(results)} checks failed: {named}", fg="red")
        return USAGE if any(r.settings for r in failed) else REFUSED
    if not as_json:
        talk(f"All {len(results)} checks pass.", fg="green")
        if any(r.warning for r in results):
            talk("What is marked `warn` is told, not refused.", fg="yellow")
    return OK


# lists


@click.command()
@with_options(json_option, debug_option)
def scenarios(as_json: bool, debug: bool) -> None:
    """List the scenarios of params/scenarios/."""
    from valuation.params import load_scenarios

    found = load_scenarios(project_root())
    if as_json:
        print_json([s.model_dump(mode="json", exclude_none=True) for s in found.values()])
        return
    for name, scenario in found.items():
        click.echo(f"{name:<20} {scenario.title}")


@click.command()
@with_options(json_option, debug_option)
def deals(as_json: bool, debug: bool) -> None:
    """List the deals of params/deals/."""
    from valuation.params import load_deals

    found = load_deals(project_root())
    if as_json:
        print_json([d.model_dump(mode="json") for d in found.values()])
        return
    for name, deal in found.items():
        click.echo(f"{name:<20} {deal.title}, closed {deal.closed}")


@click.command()
@click.option("--kind", metavar="KIND", help="Only rows of this kind; 'context' for unscored ones.")
@click.option("--kinds", is_flag=True, help="List the kinds: roster, unit, meaning of value.")
@with_options(deal_option, as_of_option, json_option, debug_option)
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
    from valuation.models import KINDS

    if kinds:
        _list_kinds(kinds_of(deal), as_json)
        return
    known = [*KINDS, "context"]
    if kind is not None and kind not in known:
        raise click.BadParameter(f"no kind {kind!r}; there are {', '.join(known)}")
    _, ledger = ledger_of(deal, as_of)
    rows = ledger.evidence.astype(object).where(ledger.evidence.notna(), None)
    found = [
        {name: _plain(value) for name, value in row.items()}
        for row in rows.sort_values(["published", "id"]).to_dict("records")
        if kind is None or (row["kind"] or "context") == kind
    ]
    if as_json:
        print_json(found)
        return
    for row in found:
        what = row["kind"] or "context"
        click.echo(
            f"{row['published']}  {row['id']:<7} {row['credibility']}  {what:<18} {row['claim']}"
        )


def _list_kinds(kinds: Kinds, as_json: bool) -> None:
    columns = ("name", "roster", "unit", "meaning")
    rows = [{column: getattr(kind, column) for column in columns} for kind in kinds.values()]
    if as_json:
        print_json([{"kind": row.pop("name"), **row} for row in rows])
        return
    for row in [dict(zip(columns, ("kind", *columns[1:]), strict=True)), *rows]:
        line = f"{row['name']:<19} {row['roster']:<10} {row['unit'] or '-':<16} {row['meaning']}"
        click.echo(line)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date) else value


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[JUPYTERLAB OPTIONS]...")
def lab(arguments: tuple[str, ...]) -> int:
    """Open the notebooks in JupyterLab, on this interpreter.

    No kernel has to be installed: `Python 3` is the one that runs this command. Options after the
    command go to JupyterLab, as in `valuation lab --no-browser --port 8890`.
    """
    import subprocess
    import tempfile

    root = project_root()
    environment = os.environ | {"VALUATION_HOME": str(root)}
    # A kernelspec of the same name in a home folder must not win over this interpreter's own.
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"
    # Kernels compute with the package that started them, not with another one installed.
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    options = list(LAB_OPTIONS)
    # In a container; it listens to this machine alone.
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    command = [sys.executable, "-m", "jupyterlab", str(root / "notebooks"), *options, *arguments]
    with tempfile.TemporaryDirectory(prefix="valuation-lab-") as folder:
        settings = Path(folder) / "labconfig" / "default_setting_overrides.json"
        settings.parent.mkdir()
        settings.write_text(json.dumps(LAB_SETTINGS), encoding="utf-8")
        paths = [folder, *filter(None, [environment.get("JUPYTER_CONFIG_PATH", "")])]
        environment["JUPYTER_CONFIG_PATH"] = os.pathsep.join(paths)
        return subprocess.call(command, env=environment)
