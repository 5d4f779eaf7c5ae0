"""Files of the ledger, written whole or not at all, by one writer at a time.

Old bytes stay as they are. New files are written beside the old ones and moved into their places, after a
note of what is to be appended where: if the machine stops in between, each file is readable, and the next
writer completes what the note says.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valuation.errors import LedgerError
from valuation.ledger.chain import CHAIN_FILE, CHAIN_HEADER, NOTE, Seal
from valuation.publish import write_file

LOCK = ".evidence.lock"
PATIENCE_SECONDS = 120.0


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; what an earlier writer left half done is completed first.

    Raises
    ------
    LedgerError
        If the folder cannot be written, or another process keeps the lock for two minutes.
    """
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / LOCK, timeout=PATIENCE_SECONDS):
            complete(folder)
            yield
    except Timeout:
        raise LedgerError(
            f"{folder / LOCK}: another process has been writing for {PATIENCE_SECONDS:g} seconds; "
            "wait for it or end it, then try again"
        ) from None
    except OSError as error:
        raise LedgerError(
            f"{error.filename or folder}: cannot be written ({error.strerror or error}); check the "
            "folder's permissions and the free space, then try again"
        ) from None


def complete(folder: Path) -> None:
    """Append what the note of a stopped writer says and is not there yet; the lock is the caller's."""
    for scratch in folder.glob(".tmp-*"):
        scratch.unlink(missing_ok=True)  # of a writer that was stopped: nobody else holds the lock
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        for name, text in note["append"].items():
            _append(folder / name, text)
        for name, (was, text) in note["whole"].items():
            _replace(folder / name, was, text)
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LedgerError(
            f"{folder / NOTE}: cannot be understood; compare the folder with git, then remove this file"
        ) from None
    (folder / NOTE).unlink()


def _append(path: Path, text: str) -> None:
    path = path.resolve()  # a link stays a link
    data, more = path.read_bytes() if path.exists() else b"", text.encode()
    if more in data[-2 * len(more) - 4096 :] or more in data:
        return
    if data and not data.endswith(b"\n"):
        data += b"\n"
    write_file(path, data + more)


def _replace(path: Path, was: str, text: str) -> None:
    """Write ``text`` if the file is still the one with digest ``was``."""
    path = path.resolve()
    if hashlib.sha256(path.read_bytes()).hexdigest() == was:
        write_file(path, text.encode())


def commit(folder: Path, append: Mapping[str, str]) -> None:
    """Append to several files, or to none."""
    _carry_out(folder, append={name: text for name, text in append.items() if text}, whole={})


def put(folder: Path, texts: Mapping[str, str]) -> None:
    """Replace several files, or none."""
    was = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in texts}
    _carry_out(folder, append={}, whole={name: (was[name], text) for name, text in texts.items()})


def _carry_out(folder: Path, **note: Mapping[str, Any]) -> None:
    write_file(folder / NOTE, json.dumps(note).encode())
    complete(folder)


# --- the style of a file --------------------------------------------------------------------------


@dataclass(frozen=True)
class Style:
    """How a CSV file is written: its columns in order, its line end, and whether all is quoted."""

    header: tuple[str, ...]
    newline: str
    quoting: Any

    def lines(self, rows: Sequence[Mapping[str, str]]) -> str:
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator=self.newline, quoting=self.quoting)
        writer.writerows([[row[name] for name in self.header] for row in rows])
        return out.getvalue()


def style_of(folder: Path, name: str) -> Style:
    with (folder / f"{name}.csv").open("rb") as file:
        first = file.readline().decode("utf-8-sig")
    return Style(
        tuple(next(csv.reader([first]))),
        "\r\n" if first.endswith("\r\n") else "\n",
        csv.QUOTE_ALL if first.startswith('"') else csv.QUOTE_MINIMAL,
    )


def seal_lines(folder: Path, seals: Sequence[Seal]) -> str:
    path = folder / CHAIN_FILE
    return ("" if path.exists() else f"{CHAIN_HEADER}\n") + "".join(f"{s.text}\n" for s in seals)
