"""The page that links all reports of a folder and sets the scenarios side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from valuation.errors import ArtifactError
from valuation.report import publish

# What a comparison shows of each scenario's results.
_COMPARED = ("deal", "scenario", "as_of", "headline", "definitions", "npv_quantiles", "components")


def published(base: Path, group: str) -> dict[str, dict[str, Any]]:
    """Results of the intact reports in ``base/group`` by name, ``base`` first."""
    folders = (base / group).glob("*/") if (base / group).is_dir() else ()
    found = {}
    for folder in sorted(folders, key=lambda path: (path.name != "base", path.name)):
        try:
            found[folder.name] = publish.read_results(folder)
        except ArtifactError:
            continue
    return found


def failures(base: Path) -> dict[str, str]:
    """Runs whose last attempt was refused, with the address of the page that says why."""
    pages = sorted(base.glob(f"*/*/{publish.FAILURE}"))
    return {page.parent.name: page.relative_to(base).as_posix() for page in pages}


def comparison(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the scenario sections need of several results."""
    return {"scenarios": [{key: r[key] for key in _COMPARED if key in r} for r in results]}


def build(base: Path) -> str:
    """The index of ``base`` as HTML; :class:`ArtifactError` if no scenario has been published."""
    from valuation import page, sections
    from valuation.sections.parts import paragraph, section

    scenarios = published(base, "scenarios")
    if not scenarios:
        raise ArtifactError(f"{base}: no scenario has been published; run `valuation report`")
    first = next(iter(scenarios.values()))
    together = comparison(list(scenarios.values()))
    addresses = {name: f"scenarios/{name}/{publish.PAGE}" for name in scenarios}
    blocks = [
        sections.headline(first),
        sections.scenario_figure(together),
        sections.scenario_table(together, addresses=addresses),
        sections.definitions_table(together),
        section(
            "reports",
            "All reports",
            _links({r["scenario"]["title"]: addresses[n] for n, r in scenarios.items()}),
        ),
    ]
    others = sorted(path.parent.name for path in base.glob(f"models/*/{publish.PAGE}"))
    if others:
        titles = {
            name.replace("_", " ").capitalize(): f"models/{name}/{publish.PAGE}" for name in others
        }
        blocks.append(section("models", "Evidence and models", _links(titles)))
    if refused := failures(base):
        text = "The last attempt at these was refused; what is linked above is from before."
        blocks.append(section("refused", "Not published", paragraph(text), _links(refused)))
    deal = first["deal"]
    return page.document(
        title=f"{deal['title']}: reports",
        heading=f"{deal['title']}: does it pay off?",
        kicker=page.kicker({"as_of": first["as_of"]}),
        description=sections.headline(first).summary,
        blocks=blocks,
    )


def _links(addresses: Mapping[str, str]) -> Any:
    """A list of links to pages below this one; names come from this package, never from text."""
    from valuation.sections.parts import Html, esc, join, tag

    items = [
        tag("li", Html(f'<a href="{esc(address)}">{esc(title)}</a>'))
        for title, address in addresses.items()
    ]
    return tag("ul", join(items))


def write(base: Path) -> Path:
    """Build the index and put it in place with what it shows as data; its path."""
    text = build(base)
    shown = comparison(list(published(base, "scenarios").values()))
    publish.write_file(
        base / "scenarios.json", json.dumps(shown, indent=1, sort_keys=True).encode()
    )
    publish.write_file(base / publish.PAGE, text.encode())
    return base / publish.PAGE
