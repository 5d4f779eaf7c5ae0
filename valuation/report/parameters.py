"""What a notebook may be told: the literals of its one tagged cell, each with a type.

papermill only warns on a parameter that a notebook does not declare, runs the defaults when the tag
has a capital or stands on two cells, and pastes a parameter's *name* into code. Here each of these
is refused before a kernel starts. Nothing in this module runs code.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valuation.errors import ParameterError, RunError

TAG = "parameters"
TYPES: dict[str, type] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "list": list,
    "dict": dict,
}
NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")
MAX_DEPTH = 20


@dataclass(frozen=True)
class Declared:
    """One parameter of a notebook: its name, its type and the value it has when nothing is said."""

    name: str
    type: type
    default: Any


def read_notebook(path: Path) -> dict[str, Any]:
    """The notebook as nbformat's JSON; :class:`RunError` if it cannot be read."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path.name}: no such notebook in {path.parent}") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RunError(f"{path.name}: not a notebook ({error}); restore it from git") from None
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4:
        raise RunError(f"{path.name}: not a notebook of format 4; save it from JupyterLab")
    return notebook


def _source(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _type_of(node: ast.expr | None, default: Any) -> type | None:
    """The declared type, or that of the default where the notebook declares none."""
    if node is None:
        return type(default) if type(default) in TYPES.values() else None
    if isinstance(node, ast.Subscript):  # list[dict] is a list
        node = node.value
    return TYPES.get(node.id) if isinstance(node, ast.Name) else None


def declared(path: Path) -> dict[str, Declared]:
    """Parameters that the notebook at ``path`` declares, by name, in their order.

    Raises
    ------
    RunError
        If not exactly one cell has the tag ``parameters``, or that cell holds anything but
        ``name: type = literal`` lines.
    """
    cells = [c for c in read_notebook(path).get("cells", []) if c.get("cell_type") == "code"]
    tags = [(c, t) for c in cells for t in c.get("metadata", {}).get("tags", [])]
    wrong = sorted({t for _, t in tags if t != TAG and t.strip().lower() in (TAG, "parameter")})
    if wrong:
        raise RunError(
            f"{path.name}: tag {wrong[0]!r} would be ignored; write it {TAG!r}, in lower case"
        )
    tagged = [c for c, t in tags if t == TAG]
    if len(tagged) != 1:
        raise RunError(
            f"{path.name}: {len(tagged)} cells have the tag {TAG!r}; exactly one must have it"
        )
    try:
        body = ast.parse(_source(tagged[0])).body
    except SyntaxError as error:
        raise RunError(f"{path.name}: the {TAG} cell is not Python ({error})") from None
    found: dict[str, Declared] = {}
    for node in body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        target: ast.expr | None = None
        annotation: ast.expr | None = None
        if isinstance(node, ast.AnnAssign):
            target, annotation = node.target, node.annotation
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
        value = getattr(node, "value", None)
        if not isinstance(target, ast.Name) or value is None:
            raise RunError(
                f"{path.name}: line {node.lineno} of the {TAG} cell is not `name: type = literal`"
            )
        try:
            default = ast.literal_eval(value)
        except ValueError:
            raise RunError(
                f"{path.name}: parameter {target.id!r} is computed; a value given for another "
                "would not reach it, so write a literal"
            ) from None
        kind = _type_of(annotation, default)
        if kind is None:
            raise RunError(
                f"{path.name}: parameter {target.id!r} needs one of the types {', '.join(TYPES)}"
            )
        if target.id in found:
            raise RunError(f"{path.name}: parameter {target.id!r} is given twice")
        found[target.id] = Declared(target.id, kind, default)
    return found


def _plain(value: Any, depth: int = 0) -> str | None:
    """What keeps ``value`` from being plain JSON data; None if nothing does."""
    if depth > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH}"
    if value is None or isinstance(value, bool | int | str):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else "is not a finite number"
    if isinstance(value, list):
        return next((p for v in value if (p := _plain(v, depth + 1))), None)
    if isinstance(value, dict):
        if any(not isinstance(k, str) for k in value):
            return "has a key that is not text"
        return next((p for v in value.values() if (p := _plain(v, depth + 1))), None)
    return f"is a {type(value).__name__}, not plain data"


def checked(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` as the notebook at ``path`` may be given them.

    A whole number is accepted for a float and becomes one; nothing else is converted.

    Raises
    ------
    ParameterError
        Naming every value that the notebook does not declare or that has another type.
    """
    known = declared(path)
    problems: list[str] = []
    good: dict[str, Any] = {}
    for name, value in values.items():
        if not isinstance(name, str) or not NAME.match(name):
            problems.append(
                f"{path.name}: {name!r} is not a parameter name; use letters, digits and _"
            )
            continue
        if name not in known:
            problems.append(
                f"{path.name}: no parameter {name!r}; it declares {', '.join(sorted(known))}"
            )
            continue
        wanted = known[name].type
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            problems.append(
                f"{path.name}: parameter {name!r} is a {wanted.__name__}, "
                f"got {value!r} ({type(value).__name__})"
            )
            continue
        if problem := _plain(value):
            problems.append(f"{path.name}: parameter {name!r} {problem}")
            continue
        good[name] = value
    if problems:
        raise ParameterError(problems)
    return good
