"""The page that links all reports of a folder and sets the scenarios side by side."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from valuation import archive, publish
from valuation.errors import ArtifactError
from valuation.report import runs
from valuation.report import standing as standing_of
from valuation.report.standing import Standing

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


def failures(base: Path) -> dict[tuple[str, str], str]:
    """Runs whose last attempt was refused, with the address of the page that says why."""
    pages = sorted(base.glob(f"*/*/{publish.FAILURE}"))
    return {
        (page.parent.parent.name, page.parent.name): page.relative_to(base).as_posix()
        for page in pages
    }


def comparison(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the scenario sections need of several results."""
    rows = [{key: r[key] for key in _COMPARED if key in r} for r in results]
    return {"deal": results[0]["deal"], "scenarios": rows}


@dataclass(frozen=True)
class Shelf:
    """The reports of a folder and where they stand.

    Attributes
    ----------
    scenarios
        Results by name, ``base`` first; those whose scenario file is gone are not among them.
    labels
        By name of an older one: what is older about it.
    hidden
        ``(group, name)`` of what is left over.
    older_models
        Names of other reports made from something that has changed since.
    renew
        The command that makes the older scenarios again.
    damaged
        ``(group, name)`` of what cannot be shown, since its files are not those that were written.
    again
        The command that makes all reports that are not as they should be.
    newer
        By name of an older scenario: what the newest run of it says, as :func:`standing.newest` tells it.
    """

    scenarios: Mapping[str, dict[str, Any]]
    labels: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[tuple[str, str]] = frozenset()
    older_models: frozenset[str] = frozenset()
    renew: str = ""
    damaged: tuple[tuple[str, str], ...] = ()
    again: str = "valuation report"
    newer: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def notice(self) -> str:
        """How many rows are older and what renews them; empty if none is."""
        if not self.labels:
            return ""
        n, total = len(self.labels), len(self.scenarios)
        rows = "scenario is" if total == 1 else "scenarios is" if n == 1 else "scenarios are"
        what = "older evidence, settings or code"
        return f"{n} of {total} {rows} from {what}; renew with `{self.renew}`."


def shelf(
    base: Path,
    found: Sequence[Standing] = (),
    *,
    deal: str = "",
    as_of: str = "",
    root: Path | None = None,
) -> Shelf:
    """What ``base`` holds; without ``found``, all of it counts as current.

    ``root`` is the project, whose runs say what is newer than an older report; nothing is newer as of a date.
    """
    hidden = frozenset((s.group, s.name) for s in found if s.state == standing_of.LEFT_OVER)
    shown = {
        n: r for n, r in published(base, "scenarios").items() if ("scenarios", n) not in hidden
    }
    labels = standing_of.labels(found, shown)
    newer = {}
    for name in labels:
        if root is None or as_of:
            break
        made = (publish.read_manifest(base / "scenarios" / name) or {}).get("created", "")
        said = standing_of.newest(root, shown[name], deal=deal or runs.DEFAULT_DEAL, made=made)
        if said is not None:
            newer[name] = said
    return Shelf(
        scenarios=shown,
        labels=labels,
        newer=newer,
        hidden=hidden,
        older_models=frozenset(s.name for s in standing_of.older(found, "models")),
        renew=standing_of.renewal(found, deal=deal or runs.DEFAULT_DEAL, as_of=as_of),
        damaged=_damaged(base, hidden),
        again=standing_of.renewal((), deal=deal or runs.DEFAULT_DEAL, as_of=as_of),
    )


def _damaged(base: Path, hidden: Collection[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Reports whose files are not those that their manifest names; what was never published is no report."""
    groups = ("scenarios", "models")
    found = sorted(
        path.parent for group in groups for path in base.glob(f"{group}/*/{publish.PAGE}")
    )
    names = (
        (folder.parent.name, folder.name) for folder in found if not publish.read_manifest(folder)
    )
    return tuple(name for name in names if name not in hidden)


def _history(first: Mapping[str, Any], replay: Mapping[str, Any] | None) -> list[Any]:
    """The section that charts the history, if there is one."""
    from valuation import sections
    from valuation.sections.past import older

    if replay is None:
        return []
    return [sections.history(replay, drivers=False, stale=older(replay, first))]


def _row(
    results: Mapping[str, Any], label: str, newer: Mapping[str, Any] | None, *, apart: bool
) -> dict[str, Any]:
    """A row of the table: its date, what terms it changes, whether it is older and ``apart`` from the figures."""
    from valuation.sections.answer import newer_sentence

    scenario = dict(results["scenario"])
    told = [str(scenario.get("story") or "").strip()]
    told += [f"Terms: {sentence}" for sentence in scenario.get("terms") or []]
    told.append(f"As of {results['as_of']}.")
    if label:
        scenario["title"] = f"{scenario['title']} ({label})"
    if apart:
        told.append("Not compared above.")
    if newer:
        told.append(newer_sentence(newer))
    return {**results, "scenario": {**scenario, "story": " ".join(filter(None, told))}}


def build(base: Path, held: Shelf | None = None) -> str:
    """The index of ``base`` as HTML; :class:`ArtifactError` if no scenario has been published."""
    from valuation import page, sections
    from valuation.sections.parts import paragraph, section
    from valuation.study.replay import read_history_in

    held = held or shelf(base)
    scenarios = held.scenarios
    if not scenarios:
        raise ArtifactError(f"{base}: no scenario has been published; run `valuation report`")
    first = next(iter(scenarios.values()))
    # Figures compare current reports only; where there is none, the notice above them says so.
    current = [r for name, r in scenarios.items() if name not in held.labels]
    together = comparison(current or list(scenarios.values()))
    told = comparison(
        [
            _row(
                r,
                held.labels.get(name, ""),
                held.newer.get(name),
                apart=bool(current) and name in held.labels,
            )
            for name, r in scenarios.items()
        ]
    )
    addresses = {name: f"scenarios/{name}/{publish.PAGE}" for name in scenarios}
    titles = {
        f"{r['scenario']['title']}{_mark(held.labels.get(n, ''))}": addresses[n]
        for n, r in scenarios.items()
    }
    replay = read_history_in(base / archive.HISTORY, first["deal"]["name"])
    if replay is not None:  # which may have been made after the report
        first = {**first, "history": replay}
    name = next(iter(scenarios))
    if label := held.labels.get(name):
        # The largest number of the page must not look newer than it is.
        said = f"This answer is from {label}; renew with `{held.renew}`."
        notes = [said, *first.get("notes", [])]
        first = {**first, "notes": notes, "older": label, "newer": held.newer.get(name)}
    blocks = [sections.headline(first)]
    if held.damaged:
        names = ", ".join(name for _, name in held.damaged)
        lost = (
            f"Not shown, since files were changed or cut short: {names}; renew with `{held.again}`."
        )
        blocks.append(section("damaged", "Damaged reports", paragraph(lost)))
    if held.labels:
        blocks.append(section("older", "Older reports", paragraph(held.notice)))
    blocks += _history(first, replay)
    blocks += [
        sections.scenario_figure(together),
        sections.scenario_table(told, addresses=addresses),
        sections.definitions_table(together),
        section("reports", "All reports", _links(titles)),
    ]
    moved = sorted(path.parent.name for path in base.glob(f"news/*/{publish.PAGE}"))
    if moved:
        titles = {f"What moved the answer: {name}": f"news/{name}/{publish.PAGE}" for name in moved}
        blocks.append(section("moved", "The last update", _links(titles)))
    others = sorted(path.parent.name for path in base.glob(f"models/*/{publish.PAGE}"))
    others = [name for name in others if ("models", name) not in {*held.hidden, *held.damaged}]
    if others:
        older = {name: "older inputs" if name in held.older_models else "" for name in others}
        titles = {
            f"{name.replace('_', ' ').capitalize()}{_mark(older[name])}": (
                f"models/{name}/{publish.PAGE}"
            )
            for name in others
        }
        blocks.append(section("models", "Evidence and models", _links(titles)))
    refused = {key[1]: page for key, page in failures(base).items() if key not in held.hidden}
    if refused:
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


def _mark(label: str) -> str:
    return f" ({label})" if label else ""


def _links(addresses: Mapping[str, str]) -> Any:
    """A list of links to pages below this one; names come from this package, never from text."""
    from valuation.sections.parts import bullets, tag

    return bullets(tag("a", title, href=address) for title, address in addresses.items())


def write(base: Path, held: Shelf | None = None) -> Path:
    """Build the index and put it in place with what it shows as data; its path.

    In ``scenarios.json`` a row that is older says so in ``older``, and in ``newer`` what the newest run says.
    """
    held = held or shelf(base)
    text = build(base, held)
    shown = comparison(list(held.scenarios.values()))
    for name, row in zip(held.scenarios, shown["scenarios"], strict=True):
        row["older"], row["newer"] = held.labels.get(name, ""), held.newer.get(name)
    publish.write_file(
        base / "scenarios.json", json.dumps(shown, indent=1, sort_keys=True).encode()
    )
    publish.write_file(base / publish.PAGE, text.encode())
    return base / publish.PAGE
