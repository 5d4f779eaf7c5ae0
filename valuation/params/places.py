"""Where the files of a project are: its root, and a file of ``params/`` by name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from valuation.errors import ParameterError
from valuation.params.reading import shown, suggestion

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def _is_root(folder: Path) -> bool:
    return (folder / "params" / "deals").is_dir() and (folder / "seeds").is_dir()


def find_root(start: str | Path | None = None) -> Path:
    """The folder that holds ``params/deals`` and ``seeds``.

    ``VALUATION_HOME`` decides if it is set; else the first such folder from ``start`` (default: the
    current folder) upwards; else the folder that the package was installed from. Raises
    :class:`ParameterError` if there is none.
    """
    if home := os.environ.get("VALUATION_HOME"):
        folder = Path(home).expanduser().resolve()
        if _is_root(folder):
            return folder
        raise ParameterError(
            f"VALUATION_HOME={home}: has no params/deals and seeds folders; "
            "point it at a project folder or unset it"
        )
    begin = Path(start).resolve() if start is not None else Path.cwd()
    package = Path(__file__).resolve().parents[2]
    for folder in (begin, *begin.parents, package):
        if _is_root(folder):
            return folder
    raise ParameterError(
        f"{begin}: no project found here or above (a folder with params/deals and seeds); "
        "change into the project folder or set VALUATION_HOME to it"
    )


def cache_folder(root: Path) -> Path:
    """Where fits are kept: ``VALUATION_CACHE``, else ``.cache`` in the root. Not created here."""
    chosen = os.environ.get("VALUATION_CACHE")
    return Path(chosen).expanduser().resolve() if chosen else root / ".cache"


def named_file(given: str | Path, folder: Path, what: str) -> Path:
    """The file of ``folder`` that ``given`` names; a path (suffix or slash) is taken as it is.

    Raises :class:`ParameterError` that lists the names there are.
    """
    text = str(given)
    if isinstance(given, Path) or text.endswith((".yaml", ".yml")) or "/" in text or "\\" in text:
        path = Path(given)
        if path.suffix != ".yaml":
            raise ParameterError(f"{text}: not a {what} file; give a .yaml file or a name")
        if not path.is_file():
            raise ParameterError(f"{shown(path)}: no such file; check the path of the {what}")
        return path
    path = folder / f"{text}.yaml"
    if not _NAME.fullmatch(text) or not path.is_file():
        known = [file.stem for file in sorted(folder.glob("*.yaml"))]
        raise ParameterError(f"unknown {what} {text[:80]!r}; {suggestion(text[:80], known)}")
    return path
