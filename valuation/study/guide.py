"""What the pages about the tool itself show: what can be added where, what can be called, what cannot be known."""

from __future__ import annotations

import inspect
import re
from dataclasses import is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from valuation import PUBLIC
from valuation import gate as gates
from valuation.models import MODELS, kinds_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valuation.study.case import Study

# What a notebook, a script or another project calls, beside `valuation.PUBLIC`.
PROJECT = (
    "study",
    "ledger",
    "params",
    "forecast",
    "value",
    "update",
    "gate",
    "report",
    "sections",
    "errors",
)


def guide_results(study: Study) -> dict[str, Any]:
    """Every kind of evidence and every model that there is, with its place in the code."""
    from valuation.study.answers import about

    return about(study) | {
        "kinds": [
            {
                "kind": kind.name,
                "model": kind.model,
                "roster": kind.roster,
                "unit": kind.unit,
                "meaning": kind.meaning,
                "rows": int((study.ledger.evidence["kind"] == kind.name).sum()),
            }
            for kind in kinds_in(study.deal.currency).values()
        ],
        "models": [
            {
                "model": model.name,
                "title": model.title,
                "requires": list(model.requires),
                "kinds": [kind.name for kind in model.kinds],
                "priors": model.scalars(study.evidence.context),
                "file": f"valuation/models/{model.name}.py",
            }
            for model in MODELS.values()
        ],
    }


def reference_results(study: Study) -> dict[str, Any]:
    """Every public name with its signature and docstring; a name without one fails a check."""
    modules = [_module(name) for name in (*PUBLIC, *PROJECT)]
    bare = [
        f"{m['module']}.{entry['name']}"
        for m in modules
        for entry in m["entries"]
        if not entry["doc"]
    ]
    check = gates.Check(
        "public names without a docstring",
        float(len(bare)),
        0.0,
        not bare,
        f"Without a docstring: {', '.join(bare)}." if bare else "Every public name is documented.",
    )
    from valuation.study.answers import about, told_checks

    known = about(study)
    return known | {
        "modules": modules,
        "diagnostics": [*known["diagnostics"], *told_checks([check])],
    }


def limits_results(study: Study) -> dict[str, Any]:
    """What bounds the answer, in the sentences and numbers of the results themselves."""
    from valuation.study.answers import about

    results = study.results
    opinion, head = results["opinion"], results["headline"]
    return about(study) | {
        "headline": head,
        "notes": results["notes"],
        "freshness": results["freshness"],
        "evidence_counts": results["evidence_counts"],
        "opinion": {
            "share": opinion["share"],
            "low": head["opinion_low"],
            "high": head["opinion_high"],
            "sentences": [
                opinion[key]["sentence"]
                for key in ("prior_only", "pooled", "scaling", "break_even_priors", "influence")
                if opinion[key]
            ],
        },
        "outside_view": results["outside_view"],
        "sets": [row["label"] for row in results["prior_sets"]],
    }


def _module(name: str) -> dict[str, Any]:
    module = import_module(f"valuation.{name}")
    return {
        "module": f"valuation.{name}",
        "doc": inspect.cleandoc(module.__doc__ or ""),
        "entries": list(_entries(module)),
    }


def _entries(module: Any) -> Iterator[dict[str, str]]:
    """Functions and classes that a module offers, in the order of its list, or of its text where it has none."""
    own = (
        n
        for n, x in vars(module).items()
        if not n.startswith("_") and getattr(x, "__module__", "") == module.__name__
    )
    for name in getattr(module, "__all__", own):
        found = getattr(module, name)
        if not (inspect.isfunction(found) or inspect.isclass(found)):
            continue
        yield {"name": name, "call": _call(name, found), "doc": _doc(found)}


def _doc(found: Any) -> str:
    """Its own docstring: not what a data class makes of its fields, nor that of a class above it."""
    text = vars(found).get("__doc__") if inspect.isclass(found) else found.__doc__
    if not text or text.startswith(f"{found.__name__}("):
        return ""
    return inspect.cleandoc(text)


def _call(name: str, found: Any) -> str:
    """How it is called; of a record that is read from a file, and of an error, the name alone."""
    if inspect.isclass(found) and not is_dataclass(found):
        return name
    plain = str(inspect.signature(found)).replace("'", "")
    plain = re.sub(r"<function [\w.]*<lambda> at \w+>", "…", plain)
    return name + re.sub(r"<(?:function|class) ([\w.]+)[^>]*>", r"\1", plain)


__all__ = ["guide_results", "limits_results", "reference_results"]
