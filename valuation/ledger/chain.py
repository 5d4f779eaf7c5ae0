"""Seals beside the ledger: a row that was sealed cannot be changed, removed or moved unseen.

``evidence.chain.csv`` holds a line ``id,prev,hash`` for each sealed row. ``hash`` is the SHA-256 of
``prev``, the hash of the sealed row above it, and of the row's cells, so a seal vouches for the row and,
through ``prev``, for all before it. Seals need not form one line: people who add rows at the same
time seal theirs after the same row, and both files merge by keeping the lines of both. The id is not
hashed, nor a root that only repeats it, so that a row whose id was taken meanwhile can be given another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from valuation.errors import LedgerError
from valuation.ledger.reading import Row, at
from valuation.ledger.tables import TABLES

CHAIN_FILE = "evidence.chain.csv"
CHAIN_HEADER = "id,prev,hash"
# An id that was given, and that another branch may have given too.
AUTOMATIC = re.compile(r"N\d{4,9}")
NOTE = ".evidence.pending.json"  # says what a writer is appending where, until it is done
START = "start"  # stands for the hash of the row above where no row above is sealed

_SEAL = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*),(start|[0-9a-f]{64}),([0-9a-f]{64})")
_RESTORE = f"restore {CHAIN_FILE}, as by `git checkout -- {CHAIN_FILE}` in its folder"


@dataclass(frozen=True)
class Seal:
    """One line of the chain."""

    id: str
    prev: str
    hash: str
    line: int

    @property
    def text(self) -> str:
        return f"{self.id},{self.prev},{self.hash}"

    def vouches(self, content: str) -> bool:
        """Whether this is the seal of a row with these contents."""
        return _hash(self.prev, content) == self.hash


@dataclass(frozen=True)
class Chained:
    """What the chain says of the ledger.

    Attributes
    ----------
    problems
        Rows that are not as they were sealed, and seals that lead nowhere.
    sealed
        Number of rows of the ledger that a seal vouches for.
    unsealed
        Ids of the other rows, in the order of the file.
    """

    problems: tuple[str, ...]
    sealed: int
    unsealed: tuple[str, ...]


def contents(header: Sequence[str], rows: Iterable[Row]) -> list[str]:
    """What of each row is hashed: every cell but the id, blank for a root that repeats the id."""
    index = [header.index(name) for name in TABLES["evidence"].header]
    own, root = index[0], header.index("root")
    blank = index.index(root)
    found = []
    for _, cells in rows:
        ordered = [cells[i] for i in index]
        if cells[root] == cells[own]:
            ordered[blank] = ""
        found.append("\x1f".join(ordered[1:]))
    return found


def _hash(prev: str, content: str) -> str:
    return hashlib.sha256(f"{prev}\n{content}".encode()).hexdigest()


def parse_chain(text: str) -> tuple[list[Seal], list[str]]:
    """The seals of the file's text, and what is wrong with its lines; no text is no seal."""
    if not text:
        return [], []
    lines = text.removeprefix("\ufeff").split("\n")
    problems = []
    if lines.pop() != "":
        problems.append(at(CHAIN_FILE, len(lines) + 1, f"the last line is cut short; {_RESTORE}"))
    if not lines or lines[0].rstrip("\r") != CHAIN_HEADER:
        return [], [at(CHAIN_FILE, 1, f"does not begin with {CHAIN_HEADER!r}; {_RESTORE}")]
    seals = []
    for number, line in enumerate(lines[1:], start=2):
        found = _SEAL.fullmatch(line.rstrip("\r"))
        if found is None:
            problems.append(at(CHAIN_FILE, number, f"is not a seal (id,prev,hash); {_RESTORE}"))
        else:
            seals.append(Seal(found[1], found[2], found[3], number))
    return seals, problems


def read_chain(folder: Path) -> tuple[list[Seal], list[str]]:
    """The seals of a folder, and what is wrong with their file; none if there is no file."""
    try:
        return parse_chain((folder / CHAIN_FILE).read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return [], []
    except (OSError, UnicodeDecodeError) as error:
        return [], [at(CHAIN_FILE, 1, f"cannot be read ({error}); {_RESTORE}")]


def last_sealed(folder: Path, ids: Sequence[str]) -> Seal | None:
    """The seal of the last of the rows ``ids`` that has one.

    Raises
    ------
    LedgerError
        If the chain cannot be read.
    """
    path = folder / CHAIN_FILE
    if ids and path.is_file():
        # As a rule the last line seals the last row, and a long chain need not be read for it.
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - 400, 0))
            tail = file.read().split(b"\n")
        found = _SEAL.fullmatch(tail[-2].decode("utf-8", "replace")) if len(tail) > 2 else None
        if found and tail[-1] == b"" and found[1] == ids[-1]:
            return Seal(found[1], found[2], found[3], 0)
    seals, problems = read_chain(folder)
    if problems:
        raise LedgerError(problems)
    latest = {seal.id: seal for seal in seals}
    return next((latest[row_id] for row_id in reversed(ids) if row_id in latest), None)


def new_seals(header: Sequence[str], rows: Sequence[Row], seals: Sequence[Seal]) -> list[Seal]:
    """A seal for each row that has none, after the nearest sealed row above it."""
    latest = {seal.id: seal.hash for seal in seals}
    own = header.index("id")
    bare = [n for n, (_, cells) in enumerate(rows) if cells[own] not in latest]
    content = dict(zip(bare, contents(header, [rows[n] for n in bare]), strict=True))
    made: list[Seal] = []
    line = max((seal.line for seal in seals), default=1)
    for n in bare:
        row_id = rows[n][1][own]
        if row_id in latest:
            continue  # an id that stands twice: the ledger's own checks refuse it
        above = next(
            (rows[k][1][own] for k in range(n - 1, -1, -1) if rows[k][1][own] in latest), ""
        )
        prev = latest.get(above, START)
        line += 1
        made.append(Seal(row_id, prev, _hash(prev, content[n]), line))
        latest[row_id] = made[-1].hash
    return made


def check_chain(header: Sequence[str], rows: Sequence[Row], seals: Sequence[Seal]) -> Chained:
    """Every sealed row must be there, unchanged and below the row after which it was sealed."""
    own = header.index("id")
    places: dict[str, list[int]] = {}
    for n, (_, cells) in enumerate(rows):
        places.setdefault(cells[own], []).append(n)
    content = contents(header, rows)
    place_of: dict[str, int] = {}
    problems = []
    for seal in seals:
        if seal.id not in places:
            problems.append(
                at(
                    "evidence.csv",
                    1,
                    f"row {seal.id!r} was sealed ({CHAIN_FILE}:{seal.line}) and is gone; "
                    "restore it, then supersede it",
                )
            )
            continue
        here = [n for n in places[seal.id] if seal.vouches(content[n])]
        if here:
            place_of.setdefault(seal.hash, here[0])
        else:
            problems.append(
                at(
                    "evidence.csv",
                    rows[places[seal.id][0]][0],
                    f"row {seal.id!r} is not as it was sealed ({CHAIN_FILE}:{seal.line}); "
                    "restore it and add a row that supersedes it",
                )
            )
    problems += _links(seals, place_of, header, rows)
    sealed = {seal.id for seal in seals}
    unsealed = tuple(cells[own] for _, cells in rows if cells[own] not in sealed)
    return Chained(tuple(problems), len(rows) - len(unsealed), unsealed)


def _links(
    seals: Sequence[Seal], place_of: Mapping[str, int], header: Sequence[str], rows: Sequence[Row]
) -> list[str]:
    """Seals whose ``prev`` is no seal, and rows that stand above the one they were sealed after."""
    known = {seal.hash for seal in seals}
    own = header.index("id")
    problems = []
    for seal in seals:
        if seal.prev == START:
            continue
        if seal.prev not in known:
            problems.append(
                at(CHAIN_FILE, seal.line, f"{seal.id!r} follows a seal that is gone; {_RESTORE}")
            )
            continue
        here, above = place_of.get(seal.hash), place_of.get(seal.prev)
        if here is not None and above is not None and above > here:
            problems.append(
                at(
                    "evidence.csv",
                    rows[here][0],
                    f"row {seal.id!r} was sealed after {rows[above][1][own]!r} and now stands above "
                    "it; restore the order of rows",
                )
            )
    return problems
