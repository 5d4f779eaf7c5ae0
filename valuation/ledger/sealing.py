"""Sealing rows that have no seal, and telling apart rows that a merge brought together under one id."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from valuation.errors import LedgerError
from valuation.ledger.chain import (
    AUTOMATIC,
    CHAIN_FILE,
    CHAIN_HEADER,
    contents,
    new_seals,
    read_chain,
)
from valuation.ledger.keeping import next_id, sound
from valuation.ledger.reading import at, read_rows, read_text
from valuation.ledger.tables import TABLES
from valuation.ledger.writing import commit, put, seal_lines, style_of, writing
from valuation.schema import Kinds


@dataclass(frozen=True)
class Sealing:
    """What sealing did: the ids that were sealed, and new ids by old one."""

    sealed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...] = ()


def seal(folder: str | Path, *, kinds: Kinds) -> Sealing:
    """Seal every row that has no seal: those typed by hand.

    Rows that two people added at the same time under one automatic id, and that a merge brought together, are told
    apart first: the later one gets the next free id, in the ledger and in the chain.

    Raises
    ------
    LedgerError
        If the ledger has problems of its own, or a row whose id is to change is referred to by another.
    """
    folder = Path(folder)
    with writing(folder):
        renamed = _tell_apart(folder)
        sound(folder, kinds)
        seals, problems = read_chain(folder)
        if problems:
            raise LedgerError(problems)
        text, _ = read_text(folder / "evidence.csv")
        header, rows, _ = read_rows(TABLES["evidence"], text)
        made = new_seals(header, rows, seals)
        if made:
            commit(folder, {CHAIN_FILE: seal_lines(folder, made)})
        return Sealing(tuple(s.id for s in made), renamed)


def _tell_apart(folder: Path) -> tuple[tuple[str, str], ...]:
    """Give new ids to rows whose automatic id stands twice, drop lines that stand twice; old and new ids."""
    text, unread = read_text(folder / "evidence.csv")
    if unread:
        return ()  # the ledger's own checks say why
    header, rows, _ = read_rows(TABLES["evidence"], text)
    own, older = header.index("id"), header.index("supersedes")
    twice = {i for i, n in Counter(cells[own] for _, cells in rows).items() if n > 1}
    whole = _without_repeats(folder / "sources.csv")
    if not any(AUTOMATIC.fullmatch(row_id) for row_id in twice) and not whole:
        return ()
    # A row refers to the nearest row of that id above it: a merge keeps the lines of each side together.
    referred = set()
    nearest: dict[str, int] = {}
    for n, (_, cells) in enumerate(rows):
        if cells[older] in twice and cells[older] in nearest:
            referred.add(nearest[cells[older]])
        nearest[cells[own]] = n
    content = contents(header, rows)
    lines = (folder / "evidence.csv").read_bytes().decode("utf-8").split("\n")
    seals, _ = read_chain(folder)
    chain = {seal.line: seal.text for seal in seals}
    taken = {cells[own] for _, cells in rows}
    renamed: list[tuple[str, str]] = []
    for row_id in sorted(i for i in twice if AUTOMATIC.fullmatch(i)):
        places = [n for n, (_, cells) in enumerate(rows) if cells[own] == row_id]
        if sum(n in referred for n in places) > 1:
            raise LedgerError(
                at(
                    "evidence.csv",
                    rows[places[-1]][0],
                    f"id {row_id!r} stands {len(places)} times, and other rows supersede more than one "
                    "of them; undo one side of the merge and add its rows again",
                )
            )
        keeper = next((n for n in places if n in referred), places[0])
        for n in places:
            if n == keeper:
                continue
            line, cells = rows[n]
            if content[n] == content[keeper]:
                lines[line - 1] = ""
                continue
            new = next_id(taken)
            taken.add(new)
            fresh = {
                name: new if name == "id" or (name == "root" and cell == row_id) else cell
                for name, cell in zip(header, cells, strict=True)
            }
            lines[line - 1] = style_of(folder, "evidence").lines([fresh]).rstrip("\n")
            for seal in seals:
                if seal.id == row_id and seal.vouches(content[n]):
                    chain[seal.line] = replace(seal, id=new).text
            renamed.append((row_id, new))
    put(
        folder,
        whole
        | {"evidence.csv": "\n".join(line for line in lines[:-1] if line) + "\n"}
        | ({CHAIN_FILE: "\n".join([CHAIN_HEADER, *chain.values(), ""])} if seals else {}),
    )
    return tuple(renamed)


def _without_repeats(path: Path) -> dict[str, str]:
    """The file's new text by its name, if a line of it stands twice."""
    if not path.is_file():
        return {}
    lines = path.read_bytes().decode("utf-8").split("\n")
    kept = [*dict.fromkeys(lines[:-1]), lines[-1]]
    return {path.name: "\n".join(kept)} if len(kept) < len(lines) else {}
