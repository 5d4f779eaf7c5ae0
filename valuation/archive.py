"""Runs that were published, kept with the inputs they were made from; read only if intact.

::

    reports/runs/ID/{results.json,notebook.ipynb,index.html,manifest.json}
    reports/runs/inputs/DIGEST/{seeds,params}/...    shared by the runs that read the same

Nothing here is deleted or changed once it is there. An id is when, which scenario, and eight digits
of the manifest's digest; an inputs folder is named by the digest of its files and is laid out as a
project, so that a study can be opened on it.
"""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from valuation import clock, publish
from valuation.errors import ArtifactError, ParameterError

DEFAULT_DEAL = "meta_scale"
BASE = "base"  # the scenario that forecasts are made from, and whose history stands on the index
HISTORY = "history.json"
SCHEMA = 1
KINDS = ("report", "update")
INPUTS = "inputs"
LATEST = "latest"

_ID = re.compile(r"(\d{8}t\d{6}z)-(.+)-([0-9a-f]{8})\Z")
_STAMP = "%Y%m%dt%H%M%Sz"
_NAME_LENGTH = 38  # of a scenario in an id: what a folder's 64 letters leave
_FILE = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")
_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)
_DIGESTS = ("ledger", "priors", "deal", "scenario", "credibility", "code")


@dataclass(frozen=True)
class Run:
    """One kept run; the fields are its manifest's.

    Attributes
    ----------
    id, folder
        The folder's name, and where it is.
    created
        When it was kept, UTC, by the clock of the machine.
    sequence
        One more than that of any run that was there: which is newer, whatever clocks say. Runs of two people
        that were brought together may share one; 0 for a run kept before there were sequences.
    kind
        What made it: ``report`` or ``update``.
    as_of, as_of_given
        ISO date; whether it was asked for, else it is that of the newest row.
    digests
        Of ledger, priors, deal, scenario, credibility, code.
    posterior
        Key of the stored posterior that its draws come from.
    inputs_digest
        Which folder of inputs it was made from.
    headline
        ``definition``, ``probability``, ``mcse``; empty if the results told none.
    parent
        Id of the run that an update started from.
    files
        SHA-256 and length of each file by name.
    problem
        What is wrong with it; empty for a sound run. The other fields of a run whose manifest
        cannot be read say only what its folder's name does.
    """

    id: str
    folder: Path
    created: dt.datetime = _LONG_AGO
    sequence: int = 0
    kind: str = ""
    deal: str = ""
    scenario: str = ""
    as_of: str = ""
    as_of_given: bool | None = None
    seed: int | None = None
    digests: Mapping[str, str] = field(default_factory=dict, repr=False)
    versions: Mapping[str, str] = field(default_factory=dict, repr=False)
    posterior: str | None = None
    inputs_digest: str = ""
    results_digest: str = field(default="", repr=False)
    headline: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    problem: str = ""

    @property
    def short(self) -> str:
        """The eight digits at the end of the id: enough to name it by."""
        return self.id[-8:]

    @property
    def label(self) -> str:
        """In words: ``the report of 21 November 2026, 19:02 UTC``."""
        when = f"{self.created.day} {self.created:%B %Y, %H:%M} UTC"
        return f"the {self.kind or 'run'} of {when}"

    @property
    def page(self) -> Path:
        """Its page, if it has one."""
        return self.folder / publish.PAGE

    def read(self, name: str) -> bytes:
        """A file of the run; :class:`ArtifactError` unless it is what was kept."""
        if not self.files:
            raise ArtifactError(self.problem or f"run {self.id}: holds no file")
        if name not in self.files:
            raise ArtifactError(f"run {self.id}: has no {name}; it has {', '.join(self.files)}")
        try:
            content = (self.folder / name).read_bytes()
        except OSError as error:
            raise ArtifactError(_damage(self.folder, f"{name} ({error.strerror})")) from None
        if publish.sha256(content) != self.files[name]["sha256"]:
            raise ArtifactError(_damage(self.folder, f"{name} is not what was kept"))
        return content

    @cached_property
    def results(self) -> dict[str, Any]:
        """Its ``results.json``; :class:`ArtifactError` if it is missing or damaged."""
        return dict(json.loads(self.read(publish.RESULTS)))

    @cached_property
    def inputs(self) -> Path:
        """Folder to open a study on; :class:`ArtifactError` unless every file is what was kept."""
        if not self.inputs_digest:
            raise ArtifactError(self.problem or f"run {self.id}: names no inputs")
        return _sound_inputs(self.folder.parent / INPUTS / self.inputs_digest)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        told = {key: value for key, value in vars(self).items() if key not in ("results", "inputs")}
        return told | {
            "folder": str(self.folder),
            "created": self.created.isoformat(),
            **{key: dict(told[key]) for key in ("digests", "versions", "headline", "files")},
        }


def _damage(place: Path, what: str) -> str:
    parts = place.parts
    below = parts[len(parts) - 1 - parts[::-1].index("reports") :] if "reports" in parts else parts
    return f"{'/'.join(below)}: damaged: {what}; restore it from a copy or move it away"


# Where runs are.


def for_deal(deal: str) -> str:
    """What a command that is proposed must be told, if it is about another deal than the default."""
    return "" if deal == DEFAULT_DEAL else f" --deal {deal}"


def deal_base(root: Path, deal: str = DEFAULT_DEAL) -> Path:
    """Folder of everything that was reported for a deal."""
    base = root / "reports"
    return base if deal == DEFAULT_DEAL else publish.run_folder(base, "deals", deal)


def history_path(root: Path, deal: str, scenario: str = BASE) -> Path:
    """Where a replay of a scenario is kept; that of another scenario than the base never takes its place."""
    if scenario == BASE:
        return deal_base(root, deal) / HISTORY
    return deal_base(root, deal) / f"{publish.run_folder(root, f'history-{scenario}').name}.json"


def runs_base(root: Path, deal: str = DEFAULT_DEAL) -> Path:
    """Folder of a deal's kept runs and of their inputs."""
    return publish.run_folder(deal_base(root, deal), "runs")


@contextmanager
def _writing(base: Path) -> Iterator[None]:
    """One writer at a time; what a killed one left is removed first."""
    from filelock import FileLock

    base.mkdir(parents=True, exist_ok=True)
    with FileLock(base / ".lock"):
        publish.sweep(base, below=False)
        publish.sweep(base / INPUTS, below=False)
        yield


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


# Inputs.


def _present_inputs(root: Path, deal: str, scenario: str | Path) -> dict[str, bytes]:
    """Content of all that a run of this deal and scenario reads, by its place in the project."""
    from valuation.params import load_deal
    from valuation.params.places import named_file

    terms = load_deal(deal, root)
    source = named_file(scenario, root / "params" / "scenarios", "scenario")
    settings = (
        f"params/deals/{deal}.yaml", terms.priors, "params/credibility.yaml", "params/gate.yaml",
    )  # fmt: skip
    places = {name: root / name for name in settings}
    places[f"params/scenarios/{source.stem}.yaml"] = source
    for file in publish.inputs_below(root / terms.seeds):
        places[file.relative_to(root).as_posix()] = file
    try:
        return {name: places[name].read_bytes() for name in sorted(places)}
    except OSError as error:
        raise ParameterError(
            f"{error.filename}: cannot be read ({error.strerror}); check that it is there"
        ) from None


def _name_of(files: Mapping[str, str]) -> str:
    return _digest(dict(files))[:16]


def _digests_of(content: Mapping[str, bytes]) -> dict[str, str]:
    return {name: publish.sha256(data) for name, data in content.items()}


def _inputs_manifest(folder: Path) -> dict[str, str]:
    """SHA-256 by name; :class:`ArtifactError` unless they are those that ``folder`` is named by."""
    try:
        manifest = json.loads((folder / publish.MANIFEST).read_text(encoding="utf-8"))
        files = {str(name): str(digest) for name, digest in manifest["files"].items()}
        if manifest["schema"] == SCHEMA and _name_of(files) == folder.name:
            return files
        what = "its manifest is not what was kept"
    except OSError as error:
        what = f"{publish.MANIFEST} ({error.strerror})"
    except (ValueError, KeyError, TypeError, AttributeError):
        what = "its manifest cannot be read"
    raise ArtifactError(_damage(folder, what))


def _sound_inputs(folder: Path) -> Path:
    for name, digest in _inputs_manifest(folder).items():
        try:
            if publish.sha256((folder / name).read_bytes()) == digest:
                continue
            what = f"{name} is not what was kept"
        except OSError as error:
            what = f"{name} ({error.strerror})"
        raise ArtifactError(_damage(folder, what))
    return folder


def keep_inputs(root: Path, deal: str, scenario: str | Path) -> str:
    """Copy what a run is about to read; equal inputs are stored once. Its digest, 16 hex digits.

    Call it before the run reads anything, and :func:`changed_inputs` when it is done. Content that
    was stored before and has been damaged since is put right.

    Raises
    ------
    ParameterError
        For an unknown deal or scenario, or a file that cannot be read.
    """
    content = _present_inputs(root, deal, scenario)
    digests = _digests_of(content)
    name = _name_of(digests)
    base = runs_base(root, deal)
    manifest = json.dumps({"schema": SCHEMA, "files": digests}, indent=1, sort_keys=True)
    files = {**content, publish.MANIFEST: manifest.encode()}
    with _writing(base):
        folder = base / INPUTS / name
        if not publish.write_folder(folder, files):
            try:
                _sound_inputs(folder)
            except ArtifactError:
                for file, data in files.items():
                    publish.write_file(folder / file, data)
    return name


def changed_inputs(root: Path, deal: str, scenario: str | Path, kept: str) -> list[str]:
    """Names of files that are not, or no longer, what :func:`keep_inputs` stored as ``kept``."""
    now = _digests_of(_present_inputs(root, deal, scenario))
    before = _inputs_manifest(runs_base(root, deal) / INPUTS / kept)
    return sorted(name for name in {*now, *before} if now.get(name) != before.get(name))


# Keeping a run.


def keep_run(
    root: Path,
    *,
    deal: str,
    scenario: str,
    kind: str,
    files: Mapping[str, bytes],
    results: Mapping[str, Any],
    inputs: str,
    parent: str | None = None,
    as_of_given: bool = False,
) -> Run:
    """Keep a finished run as a folder that is there whole or not at all.

    If it has the inputs and the results of the newest run of its kind, scenario and date, that one
    is returned and nothing is written: a report made again is not another one.

    Parameters
    ----------
    files
        Content by name; ``results.json`` is written from ``results`` unless it is among them.
    inputs
        What :func:`keep_inputs` returned.
    parent
        Id of the run that an update started from.

    Raises
    ------
    ParameterError
        If a name cannot be used, or the inputs are not those of this deal and scenario.
    ArtifactError
        If the inputs are not there.
    """
    if kind not in KINDS:
        raise ParameterError(f"a run is made by {' or '.join(KINDS)}, not by {kind!r}")
    if wrong := [n for n in files if not _FILE.match(n) or n == publish.MANIFEST]:
        raise ParameterError(f"{wrong[0]!r} cannot be a file of a run")
    base = runs_base(root, deal)
    held = _inputs_manifest(base / INPUTS / inputs)
    for name in (f"params/deals/{deal}.yaml", f"params/scenarios/{scenario}.yaml"):
        if name not in held:
            raise ParameterError(f"inputs {inputs} hold no {name}; keep the inputs of this run")
    content = dict(files)
    content.setdefault(
        publish.RESULTS, json.dumps(results, indent=1, sort_keys=True, allow_nan=False).encode()
    )
    told = results.get("run") or {}
    about: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": kind,
        "deal": deal,
        "scenario": scenario,
        "as_of": str(results.get("as_of") or ""),
        "as_of_given": as_of_given,
        "seed": told.get("seed"),
        "digests": {n: told["digests"][n] for n in _DIGESTS if n in (told.get("digests") or {})},
        "versions": dict(told.get("versions") or {}),
        "posterior": told.get("posterior"),
        "inputs": inputs,
        "results_digest": without_the_hour(results),
        "headline": headline_of(results),
        "parent": parent,
        "files": {n: {"sha256": publish.sha256(c), "bytes": len(c)} for n, c in content.items()},
    }
    with _writing(base):
        if (same := _same(root, about)) is not None:
            return same
        about["created"] = clock.now().isoformat(timespec="microseconds")
        about["sequence"] = 1 + max((r.sequence for r in list_runs(root, deal=deal)), default=0)
        about["id"] = _id_of(about)
        folder = publish.run_folder(base, about["id"])
        text = json.dumps(about, indent=1, sort_keys=True, allow_nan=False)
        publish.write_folder(folder, {**content, publish.MANIFEST: text.encode()})
    return _read(folder)


def _id_of(manifest: Mapping[str, Any]) -> str:
    """The id that a manifest must have: a change of any field is a change of its last digits."""
    created = dt.datetime.fromisoformat(manifest["created"])
    name = str(manifest["scenario"])[:_NAME_LENGTH]
    rest = {key: value for key, value in manifest.items() if key != "id"}
    return f"{created.strftime(_STAMP)}-{name}-{_digest(rest)[:8]}"


def without_the_hour(results: Mapping[str, Any]) -> str:
    """Digest of results but for the time at which they were computed, and what they say of that day."""
    results = {key: value for key, value in results.items() if key != "freshness"}
    told = results.get("run")
    if isinstance(told, Mapping):
        results = {**results, "run": {k: v for k, v in told.items() if k != "created"}}
    return _digest(results)


def _same(root: Path, about: Mapping[str, Any]) -> Run | None:
    """The newest run of this kind, scenario and date, if it is whole and says the same."""
    for run in reversed(list_runs(root, deal=about["deal"], scenario=about["scenario"])):
        alike = (run.kind, run.as_of_given) == (about["kind"], about["as_of_given"])
        if not alike or (run.as_of_given and run.as_of != about["as_of"]):
            continue
        said = (run.inputs_digest, run.results_digest, run.parent)
        equal = said == (about["inputs"], about["results_digest"], about["parent"])
        return run if equal and not examined(run).problem else None
    return None


def headline_of(results: Mapping[str, Any]) -> dict[str, Any]:
    """``definition``, ``probability`` and ``mcse`` that a report or an update opens with."""
    head = results.get("headline")
    if isinstance(head, Mapping):
        return {key: head.get(key) for key in ("definition", "probability", "mcse")}
    for quantity in results.get("quantities") or ():
        if quantity.get("name") == head:
            return {
                "definition": head,
                "probability": quantity.get("is"),
                "mcse": quantity.get("mcse_is"),
            }
    return {}


# Finding runs again.


def _read(folder: Path) -> Run:
    """A run by its manifest, and by the lengths of its files; nothing large is read."""
    match = _ID.match(folder.name)
    bare = Run(folder.name, folder)
    if match:
        bare = replace(bare, scenario=match[2], created=_stamped(match[1]))
    try:
        manifest = json.loads((folder / publish.MANIFEST).read_text(encoding="utf-8"))
        if manifest["schema"] != SCHEMA:
            what = f"its manifest has schema {manifest['schema']!r}, not {SCHEMA}"
            return replace(bare, problem=_damage(folder, what))
        if not manifest["id"] == folder.name == _id_of(manifest):
            return replace(bare, problem=_damage(folder, "its manifest is not what was kept"))
        run = Run(
            id=folder.name,
            folder=folder,
            created=dt.datetime.fromisoformat(manifest["created"]),
            sequence=int(manifest.get("sequence", 0)),
            inputs_digest=manifest["inputs"],
            **{
                key: manifest[key]
                for key in (
                    "kind", "deal", "scenario", "as_of", "as_of_given", "seed", "digests",
                    "versions", "posterior", "results_digest", "headline", "parent", "files",
                )
            },
        )  # fmt: skip
    except OSError as error:
        return replace(bare, problem=_damage(folder, f"{publish.MANIFEST} ({error.strerror})"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return replace(bare, problem=_damage(folder, "its manifest cannot be read"))
    for name, said in run.files.items():
        try:
            if (folder / name).stat().st_size == said["bytes"]:
                continue
            what = f"{name} is not what was kept"
        except OSError as error:
            what = f"{name} ({error.strerror})"
        return replace(run, problem=_damage(folder, what))
    if not (folder.parent / INPUTS / run.inputs_digest / publish.MANIFEST).is_file():
        return replace(run, problem=_damage(folder, f"its inputs {run.inputs_digest} are gone"))
    return run


def _stamped(stamp: str) -> dt.datetime:
    try:
        return dt.datetime.strptime(stamp, _STAMP).replace(tzinfo=dt.UTC)
    except ValueError:
        return _LONG_AGO


def examined(run: Run) -> Run:
    """The same run, every file of it and of its inputs read; ``problem`` says what is damaged."""
    if run.problem:
        return run
    try:
        for name in run.files:
            run.read(name)
        _sound_inputs(run.folder.parent / INPUTS / run.inputs_digest)
    except ArtifactError as error:
        return replace(run, problem=str(error))
    return run


def list_runs(root: Path, *, deal: str = DEFAULT_DEAL, scenario: str | None = None) -> list[Run]:
    """Kept runs in the order in which they were kept; a damaged one is among them and has a ``problem``.

    A clock that was set back does not make an older run the newest. Manifests are read and lengths
    compared; :func:`examined` reads the files. A damaged run whose scenario cannot be told is listed
    for every ``scenario``.
    """
    base = runs_base(root, deal)
    found = []
    for folder in base.iterdir() if base.is_dir() else ():
        name = folder.name
        if name == INPUTS or name.startswith(".") or not folder.is_dir():
            continue
        match = _ID.match(name)
        if scenario is not None and match and match[2] != scenario[:_NAME_LENGTH]:
            continue
        run = _read(folder)
        if scenario is None or run.problem or run.scenario == scenario:
            found.append(run)
    return _in_order(found)


def _in_order(runs: list[Run]) -> list[Run]:
    """By sequence, then by time; a run that tells no sequence stands after those that its time comes after."""
    numbered = [run for run in runs if run.sequence]

    def place(run: Run) -> tuple[int, dt.datetime, str]:
        earlier = (r.sequence for r in numbered if r.created <= run.created)
        return run.sequence or max(earlier, default=0), run.created, run.id

    return sorted(runs, key=place)


def latest_run(
    root: Path,
    deal: str = DEFAULT_DEAL,
    scenario: str = "base",
    as_of_given: bool | None = False,
    kind: str | None = None,
) -> Run | None:
    """The newest run of a scenario, None if there is none.

    Parameters
    ----------
    as_of_given
        False: only runs of the whole ledger; True: only those asked for as of a date; None: all.
    kind
        Only what was made so (see :data:`KINDS`).

    Raises
    ------
    ArtifactError
        If the newest is damaged: an older one is never silently taken for it.
    """
    return _newest(list_runs(root, deal=deal, scenario=scenario), as_of_given, kind)


def run_before(
    root: Path,
    date: dt.date | str,
    deal: str = DEFAULT_DEAL,
    scenario: str = "base",
    as_of_given: bool | None = False,
    kind: str | None = None,
) -> Run | None:
    """As :func:`latest_run`, of the runs kept before ``date`` began (UTC), or before that moment."""
    moment = dt.datetime.fromisoformat(date) if isinstance(date, str) else date
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    runs = list_runs(root, deal=deal, scenario=scenario)
    return _newest([run for run in runs if run.created < moment], as_of_given, kind)


def _newest(runs: list[Run], as_of_given: bool | None, kind: str | None) -> Run | None:
    for run in reversed(runs):
        if run.as_of_given is not None:  # else its manifest is lost, and it may be any
            if as_of_given is not None and run.as_of_given != as_of_given:
                continue
            if kind is not None and run.kind != kind:
                continue
        if run.problem:
            raise ArtifactError(run.problem)
        return run
    return None


def find_run(
    root: Path, word: str, *, deal: str = DEFAULT_DEAL, scenario: str | None = None
) -> Run:
    """A run by its id, a unique beginning of it, its last eight digits, its folder, or ``latest``.

    ``latest`` is the newest of ``scenario`` (``base`` unless given) that was not asked for as of a
    date.

    Raises
    ------
    ParameterError
        If none or several fit; the error lists the close ones.
    ArtifactError
        If the run is damaged.
    """
    given = word.strip()
    word = Path(given).name.lower()
    if word == LATEST:
        run = latest_run(root, deal, scenario or "base")
        if run is None:
            raise ParameterError(
                f"no run of {scenario or 'base'} yet; `valuation report` makes them"
            )
        return run
    base = runs_base(root, deal)
    known = [run.id for run in list_runs(root, deal=deal, scenario=scenario)]
    exact = [i for i in known if i == word]
    fitting = exact or [i for i in known if word and (i.startswith(word) or i[-8:] == word)]
    if len(fitting) == 1:
        run = _read(base / fitting[0])
        if run.problem:
            raise ArtifactError(run.problem)
        return run
    if fitting:
        raise ParameterError(
            f"{given!r} fits {len(fitting)} runs: {_some(fitting)}; give more of it"
        )
    if not known:
        raise ParameterError(f"no run {given!r}: none is kept yet; `valuation report` makes them")
    short = {i[-8:]: i for i in known}
    near = [short.get(n, n) for n in difflib.get_close_matches(word, [*known, *short], n=3)]
    shown = list(dict.fromkeys(near)) or known[:-4:-1]
    raise ParameterError(f"no run {given!r}; close: {_some(shown)}; see `valuation runs`")


def _some(ids: list[str], most: int = 3) -> str:
    rest = len(ids) - most
    return ", ".join(ids[:most]) + (f" and {rest} more" if rest > 0 else "")
