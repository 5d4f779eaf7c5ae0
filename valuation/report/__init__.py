"""Run notebooks as checked functions and publish what they show, whole or not at all."""

from valuation.publish import read_manifest, read_results, run_folder
from valuation.report.parameters import Declared, checked, declared
from valuation.report.runs import (
    APART,
    DEFAULT_DEAL,
    JOBS,
    Outcome,
    Progress,
    Silent,
    Task,
    inputs_digest,
    is_current,
    model_task,
    notebooks,
    report_base,
    run_notebook,
    run_tasks,
    scenario_task,
    told_notebooks,
)

__all__ = [
    "APART",
    "DEFAULT_DEAL",
    "JOBS",
    "Declared",
    "Outcome",
    "Progress",
    "Silent",
    "Task",
    "checked",
    "declared",
    "inputs_digest",
    "is_current",
    "model_task",
    "notebooks",
    "read_manifest",
    "read_results",
    "report_base",
    "run_folder",
    "run_notebook",
    "run_tasks",
    "scenario_task",
    "told_notebooks",
]
