"""Notebooks ask and show: parsed, never run."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from valuation import sections

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
EXPECTED = {
    "adoption",
    "capability",
    "churn",
    "evidence",
    "explore",
    "guide",
    "limits",
    "methods",
    "news_update",
    "reference",
    "retention",
    "scenario_comparison",
    "scenario_report",
    "scorecard",
    "tutorial",
}
LOGIC = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.If,
    ast.IfExp,
    ast.Try,
    ast.With,
    ast.BinOp,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.Compare,
    ast.BoolOp,
)

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def parameters_cell(path: Path) -> dict[str, Any]:
    (cell,) = [c for c in code_cells(path) if "parameters" in c["metadata"].get("tags", [])]
    return cell


def test_every_question_has_its_notebook():
    assert {path.stem for path in NOTEBOOKS} == EXPECTED


@each_notebook
def test_a_notebook_holds_no_logic(path):
    for cell in code_cells(path):
        tree = ast.parse(source(cell))
        found = [type(node).__name__ for node in ast.walk(tree) if isinstance(node, LOGIC)]
        assert not found, f"{path.name}: {found} in {source(cell)!r}"


@each_notebook
def test_a_notebook_is_stored_without_outputs_or_traces_of_a_run(path):
    notebook = read(path)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    for cell in code_cells(path):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
    assert all(set(cell["metadata"]) <= {"tags"} for cell in notebook["cells"])


@each_notebook
def test_a_notebook_names_the_kernel_that_every_environment_has(path):
    notebook = read(path)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


@each_notebook
def test_the_title_is_the_question(path):
    first = read(path)["cells"][0]
    assert first["cell_type"] == "markdown"
    assert source(first).startswith("# ")
    assert source(first).splitlines()[0].endswith("?")


@each_notebook
def test_each_parameter_is_a_typed_literal_with_a_comment(path):
    cell = parameters_cell(path)
    for node in ast.parse(source(cell)).body:
        assert isinstance(node, ast.AnnAssign)
        assert isinstance(node.annotation, ast.Name)
        value = ast.literal_eval(node.value)
        assert type(value).__name__ == node.annotation.id
    for line in source(cell).splitlines():
        assert "  # " in line, f"{path.name}: no comment in {line!r}"


@each_notebook
def test_no_later_cell_assigns_a_parameter(path):
    names = {node.target.id for node in ast.parse(source(parameters_cell(path))).body}
    for cell in code_cells(path):
        if "parameters" in cell["metadata"].get("tags", []):
            continue
        tree = ast.parse(source(cell))
        stored = {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        assert not stored & names


@each_notebook
def test_every_parameter_is_used(path):
    names = {node.target.id for node in ast.parse(source(parameters_cell(path))).body}
    used = {
        node.id
        for cell in code_cells(path)
        for node in ast.walk(ast.parse(source(cell)))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    assert names <= used


@each_notebook
def test_the_gate_stands_before_the_first_section_and_the_sentinel_is_last(path):
    cells = [source(cell) for cell in code_cells(path)]
    spelled = GATES.get(path.stem, SPELLED_GATE)
    gate = [i for i, text in enumerate(cells) if text == spelled]
    shown = [i for i, text in enumerate(cells) if text.startswith("sections.")]
    assert len(gate) == 1
    assert gate[0] < shown[0]
    assert cells[-1].startswith("sections.finish(")
    assert sum("finish(" in text for text in cells) == 1


SPELLED_GATE = "study.gate().raise_if_refused()"
# A change refuses by itself: the draws it needs are known only once it is computed.
GATES = {"news_update": "results = change.results"}


@each_notebook
def test_every_section_that_a_notebook_calls_exists(path):
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(source(cell))):
            if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
                continue
            assert node.value.id != "sections" or node.attr in sections.__all__


@each_notebook
def test_prose_holds_no_figures_and_no_mathematics(path):
    """Numbers in prose belong to a run; a dollar sign would start mathematics. Blocks of code are run by tests."""
    for cell in read(path)["cells"]:
        if cell["cell_type"] == "markdown":
            text = re.sub(r"^```\w+\n.*?^```$", "", source(cell), flags=re.DOTALL | re.MULTILINE)
            assert "```" not in text
            assert "$" not in text
            assert not any(character.isdigit() for character in text), text


def test_the_defaults_of_the_scenario_notebook_are_the_base_scenario(root):
    (path,) = [path for path in NOTEBOOKS if path.stem == "scenario_report"]
    values = {
        node.target.id: ast.literal_eval(node.value)
        for node in ast.parse(source(parameters_cell(path))).body
    }
    base = yaml.safe_load((root / "params" / "scenarios" / "base.yaml").read_text())
    assert {key: values[key] for key in base} == base


def test_every_key_of_every_scenario_file_is_a_parameter(root):
    (path,) = [path for path in NOTEBOOKS if path.stem == "scenario_report"]
    names = {node.target.id for node in ast.parse(source(parameters_cell(path))).body}
    for file in sorted((root / "params" / "scenarios").glob("*.yaml")):
        assert set(yaml.safe_load(file.read_text())) <= names
