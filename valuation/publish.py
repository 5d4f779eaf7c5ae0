"""Files of a finished report: written whole, then moved into place; read only if intact."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from valuation import clock
from valuation.errors import ArtifactError, ParameterError

SCHEMA = 1
MANIFEST = "manifest.json"
RESULTS = "results.json"
PAGE = "index.html"
NOTEBOOK = "notebook.ipynb"
FAILURE = "FAILED.html"
RECORD = "forecasts.csv"  # beside the ledger: what runs said, which no forecast reads
_SCRATCH = ".tmp-"
_RUN_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")


def files_below(path: Path) -> Iterator[Path]:
    """The file ``path``, or every file of that folder in order; hidden ones are left out."""
    if path.is_file():
        yield path
    elif path.is_dir():
        for file in sorted(path.rglob("*")):
            hidden = any(part.startswith((".", "__")) for part in file.relative_to(path).parts[:-1])
            if file.is_file() and not hidden and not file.name.startswith("."):
                yield file


def inputs_below(path: Path) -> Iterator[Path]:
    """As :func:`files_below`, without the record: publishing a run must not make its report older.

    Folders in a folder are left out: ``seeds/`` holds one deal's files, ``seeds/NAME/`` another's.
    """
    return (
        file
        for file in files_below(path)
        if file.name != RECORD and file.parent in (path, path.parent)
    )


def run_folder(base: Path, *names: str) -> Path:
    """``base/names...``; :class:`ParameterError` for a name that could lead elsewhere."""
    for name in names:
        if not _RUN_NAME.match(name):
            raise ParameterError(
                f"{name!r} cannot name a run; use up to 64 of a-z, 0-9, '.', '_' and '-', "
                "starting with a letter or digit"
            )
    folder = base.joinpath(*names)
    if not folder.resolve().is_relative_to(base.resolve()):
        raise ParameterError(f"{folder} lies outside {base}; remove the link that leads there")
    return folder


def sha256(content: bytes) -> str:
    """Hex digest of ``content``."""
    return hashlib.sha256(content).hexdigest()


def flush_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where the system can (Windows cannot open a folder)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def staged(
    target: Path, content: bytes, *, prefix: str = _SCRATCH, suffix: str = ""
) -> Iterator[Path]:
    """A file beside ``target`` with ``content`` safely on disk; gone afterwards unless moved."""
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=target.parent)
    scratch = Path(name)
    try:
        os.close(handle)
        _write_synced(scratch, content)
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)


def write_file(path: Path, content: bytes) -> None:
    """Replace ``path`` in one step: a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with staged(path, content) as scratch:
        scratch.chmod(0o644)
        scratch.replace(path)
    flush_folder(path.parent)


def _write_or_link(path: Path, content: bytes, twin: Path | None) -> None:
    """Write ``content``; if the file ``twin`` holds it already, give that a second name instead."""
    if twin is not None:
        try:
            if twin.read_bytes() == content:
                os.link(twin, path)
                return
        except OSError:
            pass  # no such file, or a disk without links
    _write_synced(path, content)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Make ``folder`` with these files in one step: it is there whole, or not at all.

    Names may lead into folders of their own (``params/gate.yaml``). False, and nothing is touched,
    if ``folder`` exists.
    """
    if folder.exists():
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=folder.parent))
    try:
        scratch.chmod(0o755)
        for name, content in files.items():
            path = scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_synced(path, content)
        for inner in (scratch, *(path for path in scratch.rglob("*") if path.is_dir())):
            flush_folder(inner)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    flush_folder(folder.parent)
    return True


def publish(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    inputs: str,
    about: Mapping[str, Any],
    twins: Path | None = None,
) -> None:
    """Put a finished report in place, then its manifest; forget an earlier failure.

    All files are on disk before the first is moved. The manifest comes last: a machine that
    stops in between leaves complete files whose manifest does not fit, and the next run makes them
    again. A file that the folder ``twins`` holds with the same content takes no space of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "schema": SCHEMA,
        "inputs": inputs,
        **about,
        "created": clock.moment(),
        "files": {name: {"sha256": sha256(c), "bytes": len(c)} for name, c in files.items()},
    }
    text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False)
    scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=folder))
    try:
        for name, content in {**files, MANIFEST: text.encode()}.items():
            _write_or_link(scratch / name, content, twins and twins / name)
        for name in (*files, MANIFEST):
            (scratch / name).replace(folder / name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    (folder / FAILURE).unlink(missing_ok=True)
    flush_folder(folder)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of ``folder`` if every file that it names is there and intact, else None."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["schema"] != SCHEMA:
            return None
        for name, said in manifest["files"].items():
            if sha256((folder / name).read_bytes()) != said["sha256"]:
                return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest if isinstance(manifest, dict) else None


def read_results(folder: Path) -> dict[str, Any]:
    """``results.json`` of ``folder``; :class:`ArtifactError` if it is missing or damaged."""
    if read_manifest(folder) is None:
        raise ArtifactError(f"{folder}: the report is missing or damaged; run it again")
    results = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    assert isinstance(results, dict)
    return results


def sweep(base: Path, *, below: bool = True) -> None:
    """Remove what killed runs left half-written in ``base`` and, if ``below``, in its folders."""
    found = base.rglob(f"{_SCRATCH}*") if below else base.glob(f"{_SCRATCH}*")
    for leftover in sorted(found) if base.is_dir() else ():
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


_FAILURE_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>No report: {title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto;
  padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; }}
li {{ margin: .4rem 0; overflow-wrap: anywhere; }}
p.when {{ opacity: .75; }}
</style>
</head>
<body>
<main>
<h1>{title}: no report was published</h1>
<p>A number that fails its checks is not shown. What refused it:</p>
<ul>
{items}
</ul>
<p>{last}</p>
<p class="when">{when}</p>
</main>
</body>
</html>
"""


def write_failure(folder: Path, title: str, problems: Sequence[str]) -> Path:
    """A page beside the last good report that says what refused the new one; its path."""
    last = (
        'The <a href="index.html">last good report</a> is unchanged.'
        if (folder / PAGE).is_file()
        else "There is no earlier report."
    )
    when = clock.now().strftime("%Y-%m-%d %H:%M UTC")
    page = _FAILURE_PAGE.format(
        title=html.escape(title),
        items="\n".join(f"<li>{html.escape(problem)}</li>" for problem in problems),
        last=last,
        when=when,
    )
    write_file(folder / FAILURE, page.encode())
    return folder / FAILURE
