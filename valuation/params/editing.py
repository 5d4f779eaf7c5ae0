"""Edit one prior in its file: only the lines of its entry change, and its old value stays there.

Nothing is written before the new file has been read back and checked, and the old file is replaced
in one step, so that a reader or a power cut sees the one or the other.
"""

from __future__ import annotations

import codecs
import contextlib
import copy
import datetime as dt
import difflib
import glob
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from valuation.errors import ParameterError
from valuation.params.families import FAMILIES
from valuation.params.priors import HOUSE, Prior, PriorBook, checked_prior, priors_of
from valuation.params.reading import MAX_BYTES, parse_yaml, shown, suggestion
from valuation.publish import flush_folder, staged

JUDGEMENT = "judgement"

# How often a file that somebody saves by hand in the same moment is read again.
_ATTEMPTS = 5


@dataclass(frozen=True)
class Edit:
    """What is to be believed of one number from a day on.

    Attributes
    ----------
    name
        Of the prior.
    reason, by, date
        Why, who says so, and since when.
    parameters, quantiles
        One of them, in the prior's unit, as in the file; the other is None.
    family
        A key of :data:`valuation.params.FAMILIES`; empty keeps the present one.
    prior_set
        ``house`` changes the prior itself, another set its override, which is added if need be.
    source
        A base-rate id, a row of the ledger, or ``judgement``.
    """

    name: str
    reason: str
    by: str
    date: dt.date
    parameters: Mapping[str, float] | None = None
    quantiles: Mapping[float, float] | None = None
    family: str = ""
    prior_set: str = HOUSE
    source: str = JUDGEMENT


@dataclass(frozen=True)
class Edited:
    """An edit and what it makes of the file.

    Attributes
    ----------
    before, after
        The prior of the set, as it was and as it is.
    added
        True if the set had followed the house so far.
    apart
        Labels of the other sets that have a value of their own and keep it.
    old, new
        The file, byte for byte.
    """

    edit: Edit
    before: Prior
    after: Prior
    added: bool
    apart: tuple[str, ...]
    old: bytes
    new: bytes

    def lines(self) -> list[str]:
        """The lines of the file that change, as a unified diff without its head."""
        old, new = (content.decode("utf-8-sig").splitlines() for content in (self.old, self.new))
        return list(difflib.unified_diff(old, new, lineterm="", n=1))[2:]


def set_prior(path: str | Path, edit: Edit, *, locks: Path) -> Edited:
    """Write an edit to a priors file and return what changed.

    ``locks`` is a folder for the lock that keeps two edits of one file apart. Raises
    :class:`ParameterError`, with the file untouched, for an edit that makes no sense.
    """
    target = Path(path).resolve()  # a link is followed, not replaced
    with _exclusive(target, locks):
        for _ in range(_ATTEMPTS):
            done = preview(target, edit)
            if _replace(target, done.old, done.new):
                return done
    raise ParameterError(
        f"{shown(target)}: changes while it is edited; save it where it is open and try again"
    )


def preview(path: str | Path, edit: Edit) -> Edited:
    """As :func:`set_prior`, without writing."""
    name = shown(Path(path))
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ParameterError(
            f"{name}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from None
    return edited(content, edit, name)


def edited(content: bytes, edit: Edit, name: str = "priors.yaml") -> Edited:
    """What an edit makes of the bytes of a priors file, which errors call ``name``."""
    document = parse_yaml(content, name)
    entries, book = priors_of(document)
    before = find_prior(book, edit.name, edit.prior_set)
    if edit.prior_set == HOUSE:
        added, where = False, ["priors", edit.name]
    else:
        added = edit.name not in entries.sets[edit.prior_set].overrides
        where = ["sets", edit.prior_set, "overrides", edit.name]
    stated = _stated(edit, before)
    after = checked_prior(edit.name, stated, before.label, before.unit)
    if after.content() == before.content():
        raise ParameterError(
            f"{edit.name}: {edit.prior_set} has exactly these numbers"
            f"{' from the house' if added else f' since {before.date}'}; there is nothing to change"
        )
    if not added and edit.date < before.date:
        raise ParameterError(
            f"{edit.name}: {edit.date} is before {before.date}, when the present value began; "
            "give a later date"
        )
    text = content.decode("utf-8-sig")
    expected = copy.deepcopy(document.data)
    tree: Any = yaml.compose(text, Loader=yaml.SafeLoader)  # the same text, now with marks
    if added:
        expected["sets"][edit.prior_set].setdefault("overrides", {})[edit.name] = stated
        changes = _additions(text, tree, edit, stated)
    else:
        entry = _at(expected, where)
        past = _past(entry, stated)
        history = [*entry.get("history", ()), past]
        for key in ("parameters", "quantiles"):
            entry.pop(key, None)
        entry.update({**stated, "history": history})
        changes = _changes(text, _node_at(tree, where), stated, past)
    new = _bytes(_applied(text, changes), content)
    result = _read_back(new, expected, edit.name, name)
    return Edited(
        edit=edit,
        before=before,
        after=result.get(edit.prior_set)[edit.name],
        added=added,
        apart=tuple(
            entry.label
            for key, entry in entries.sets.items()
            if edit.prior_set == HOUSE and edit.name in entry.overrides and key != HOUSE
        ),
        old=content,
        new=new,
    )


def find_prior(book: PriorBook, name: str, prior_set: str = HOUSE) -> Prior:
    """A prior of a set; raise :class:`ParameterError` with the nearest names if there is none."""
    priors = book.get(prior_set)
    if name not in priors:
        near = difflib.get_close_matches(name, priors, n=3)
        guess = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise ParameterError(
            f"unknown prior {name[:80]!r}; {guess}`valuation prior list` shows all {len(priors)}"
        )
    return priors[name]


# -- what is stated --------------------------------------------------------------------------------


def _stated(edit: Edit, before: Prior) -> dict[str, Any]:
    """The keys of the new entry, in the order of the file; numbers without needless decimals."""
    family = edit.family or before.family
    if family not in FAMILIES:
        raise ParameterError(
            f"{edit.name}: unknown family {family!r}; {suggestion(family, FAMILIES)}"
        )
    if (edit.parameters is None) == (edit.quantiles is None):
        raise ParameterError(f"{edit.name}: give either parameters or quantiles of {family}")
    given: dict[Any, float]
    if edit.quantiles is not None:
        key, given = "quantiles", dict(sorted(edit.quantiles.items()))
    else:
        key, given = "parameters", dict(edit.parameters or {})
        names = FAMILIES[family].parameters
        if set(given) != set(names):
            fits = [f.name for f in FAMILIES.values() if set(f.parameters) == set(given)]
            other = f", or the family {' or '.join(fits)}" if fits else ""
            raise ParameterError(
                f"{edit.name}: {family} takes {', '.join(names)}, "
                f"got {', '.join(given) or 'nothing'}; give exactly those{other}"
            )
        given = {name: given[name] for name in names}
    return {
        "family": family,
        key: {at: _short(value) for at, value in given.items()},
        "source": _words(edit.source, "source", edit.name),
        "rationale": _words(edit.reason, "reason", edit.name),
        "date": edit.date.isoformat(),
        "by": _words(edit.by, "author", edit.name),
    }


def _short(value: float) -> float | int:
    """14.0 as 14, as a person would write it."""
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def _words(text: str, what: str, name: str) -> str:
    line = " ".join(text.split())
    if not line:
        raise ParameterError(f"{name}: the {what} is empty; say it in words, the file keeps it")
    if any("\ud800" <= letter <= "\udfff" for letter in line):
        raise ParameterError(f"{name}: the {what} is not UTF-8 text; write it in plain letters")
    return line


def _past(entry: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry said, as its history keeps it."""
    kept = ("family", "parameters", "quantiles", "source", "rationale", "date", "by")
    past = {key: entry[key] for key in kept if entry.get(key) is not None}
    return {**past, "until": stated["date"]}


# -- where it is written ---------------------------------------------------------------------------

# (start, end, text) of a stretch of the file and what takes its place.
_Change = tuple[int, int, str]


class _Verbatim(str):
    """Text to be written as it stands: a number's own spelling is kept in the history."""


def _at(data: Any, path: Sequence[str]) -> Any:
    for key in path:
        data = data[key]
    return data


def _pairs(node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    return {key.value: (key, value) for key, value in node.value}


def _node_at(node: Any, path: Sequence[str]) -> Any:
    for key in path:
        node = _pairs(node)[key][1]
    return node


def _start(node: yaml.Node) -> int:
    return int(node.start_mark.index)


def _end(text: str, node: Any) -> int:
    """Where the text of a node ends; PyYAML's own mark also takes the blanks and comments after."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    end = int(node.end_mark.index)
    return _start(node) + len(text[_start(node) : end].rstrip())


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    return end - 1 if text[position:end].endswith("\r") else end


def _break(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _lines(text: str, lines: Sequence[str]) -> str:
    """Lines to be put in at the end of another."""
    return "".join(_break(text) + line for line in lines)


def _changes(
    text: str, entry: yaml.MappingNode, stated: Mapping[str, Any], past: Mapping[str, Any]
) -> list[_Change]:
    """Change the values of an entry, each in its place, and add to its history."""
    there = _pairs(entry)
    changes: list[_Change] = []
    for key, value in stated.items():
        written = _flow(value) if entry.flow_style else _value(value)
        if key in there:
            node = there[key][1]
            changes += _one_by_one(text, node, value) or [(_start(node), _end(text, node), written)]
        elif key in ("parameters", "quantiles"):
            old_key, node = there["quantiles" if key == "parameters" else "parameters"]
            changes.append((_start(old_key), _end(text, node), f"{key}: {written}"))
        else:
            changes.append(_after(text, entry, there["date"][1], key, value))
    changes.append(_with_history(text, entry, past))
    return changes


def _one_by_one(text: str, node: Any, value: Any) -> list[_Change]:
    """Change each number where it stands, if the same ones are named, to keep what is between."""
    if not (isinstance(value, Mapping) and isinstance(node, yaml.MappingNode)):
        return []
    there = {key if key in value else _float(key): at[1] for key, at in _pairs(node).items()}
    if set(there) != set(value):
        return []
    return [(_start(at), _end(text, at), _flow(value[key])) for key, at in there.items()]


def _float(text: str) -> float | None:
    with contextlib.suppress(ValueError):
        return float(text)
    return None


def _after(text: str, mapping: yaml.MappingNode, node: yaml.Node, key: str, value: Any) -> _Change:
    """Put a key into a mapping behind ``node``, one of its values."""
    end = _end(text, node)
    if mapping.flow_style:
        return end, end, f", {key}: {_flow(value)}"
    end = _line_end(text, end)
    return end, end, _lines(text, _block({key: value}, " " * mapping.start_mark.column))


def _with_history(text: str, entry: yaml.MappingNode, past: Mapping[str, Any]) -> _Change:
    there = _pairs(entry)
    if "history" not in there:
        written = past if entry.flow_style else _spelled(text, there, past)
        return _after(text, entry, entry.value[-1][1], "history", [written])
    history: Any = there["history"][1]
    if not history.value:  # []
        return _start(history), _end(text, history), f"[{_flow(past)}]"
    end = _end(text, history.value[-1])
    if history.flow_style:
        return end, end, f", {_flow(past)}"
    # The dash of the first item says how far the list is indented.
    first = _start(history.value[0])
    dash = text.rfind("-", 0, first)
    indent = " " * (dash - (text.rfind("\n", 0, dash) + 1))
    end = _line_end(text, end)
    return end, end, _lines(text, _item(_spelled(text, there, past), indent))


def _spelled(
    text: str, there: Mapping[str, tuple[yaml.Node, yaml.Node]], past: Mapping[str, Any]
) -> dict[str, Any]:
    """``past`` as the file spells it, where that is on one line."""
    spelled = dict(past)
    for key in past:
        if key in there:
            node = there[key][1]
            raw = text[_start(node) : _end(text, node)]
            if raw and "\n" not in raw and raw[0] not in "|>":
                spelled[key] = _Verbatim(raw)
    return spelled


def _additions(
    text: str, tree: yaml.MappingNode, edit: Edit, stated: Mapping[str, Any]
) -> list[_Change]:
    """Add an override to a set."""
    chosen = _node_at(tree, ("sets", edit.prior_set))
    there = _pairs(chosen)
    if "overrides" not in there:
        last = chosen.value[-1][1]
        return [_after(text, chosen, last, "overrides", {edit.name: dict(stated)})]
    key, overrides = there["overrides"]
    assert isinstance(overrides, yaml.MappingNode)
    if overrides.value:
        return [_after(text, overrides, overrides.value[-1][1], edit.name, dict(stated))]
    start, end = int(key.end_mark.index), _end(text, overrides)
    if not chosen.flow_style and not text[end : _line_end(text, end)].strip():
        indent = " " * (key.start_mark.column + 2)
        return [(start, end, ":" + _lines(text, _block({edit.name: dict(stated)}, indent)))]
    return [(_start(overrides), end, _flow({edit.name: stated}))]


def _applied(text: str, changes: Sequence[_Change]) -> str:
    parts, position = [], 0
    for start, end, written in sorted(changes, key=lambda change: change[:2]):
        parts += [text[position:start], written]
        position = end
    return "".join([*parts, text[position:]])


def _bytes(text: str, like: bytes) -> bytes:
    return (codecs.BOM_UTF8 if like.startswith(codecs.BOM_UTF8) else b"") + text.encode()


def _read_back(new: bytes, expected: Any, prior: str, name: str) -> PriorBook:
    """The priors of the new file, once it is certain that it says what was meant and no more."""
    if len(new) > MAX_BYTES:
        raise ParameterError(
            f"{name}: would be larger than the {MAX_BYTES:,} bytes allowed; shorten its histories"
        )
    document = None
    with contextlib.suppress(ParameterError):
        document = parse_yaml(new, name)
    if document is not None and document.data == expected:
        return priors_of(document)[1]
    raise ParameterError(
        f"{name}: the entry of {prior} is laid out in a way that cannot be edited safely; "
        "write it as its neighbours are, one key a line, and try again"
    )


# -- YAML text -------------------------------------------------------------------------------------


def _block(mapping: Mapping[str, Any], indent: str) -> list[str]:
    lines = []
    for key, value in mapping.items():
        if isinstance(value, list):
            lines.append(f"{indent}{key}:")
            for item in value:
                lines += _item(item, indent + "  ")
        elif isinstance(value, Mapping) and not all(map(_is_number, value.values())):
            lines += [f"{indent}{key}:", *_block(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {_value(value)}")
    return lines


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _item(mapping: Mapping[str, Any], indent: str) -> list[str]:
    first, *rest = _block(mapping, indent + "  ")
    return [f"{indent}- {first.strip()}", *rest]


def _flow(value: Any) -> str:
    if isinstance(value, _Verbatim):
        return str(value)
    if isinstance(value, str):
        return _text(value, "{{a: {}}}\n")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return repr(value)


def _value(value: Any) -> str:
    """As :func:`_flow`, after a key of a block, where text may be bare more often."""
    if isinstance(value, str) and not isinstance(value, _Verbatim):
        return _text(value, "a: {}\n")
    return _flow(value)


def _text(text: str, frame: str) -> str:
    """Text bare where every reader of YAML, old or new, takes it for the same text, else quoted."""
    bare = frame.format(text)
    with contextlib.suppress(ParameterError, yaml.YAMLError, ValueError):
        if parse_yaml(bare.encode(), "").data == {"a": text} and (
            yaml.safe_load(bare) == {"a": text} or _is_date(text)
        ):
            return text
    inside = "".join(
        f"\\{letter}" if letter in '"\\'
        else letter if letter.isprintable()
        else f"\\U{ord(letter):08X}"
        for letter in text
    )  # fmt: skip
    return f'"{inside}"'


def _is_date(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return dt.date.fromisoformat(text).isoformat() == text
    return False


# -- the file --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _exclusive(path: Path, locks: Path) -> Iterator[None]:
    """Keep two edits of one file apart; the system frees the lock of a process that dies."""
    from filelock import FileLock, Timeout  # deferred: reading settings needs no lock

    try:
        locks.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(
            f"{locks}: cannot be made ({error.strerror}); set VALUATION_CACHE to a folder you can "
            "write to"
        ) from None
    key = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    lock = FileLock(locks / f"priors-{key}.lock")
    try:
        lock.acquire(timeout=1.0)
    except Timeout:
        print(f"waiting for another process that edits {shown(path)}", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _replace(path: Path, old: bytes, new: bytes) -> bool:
    """Put ``new`` in place of ``old`` in one step; False if the file is no longer ``old``."""
    prefix = f".{path.name}."
    try:
        # Of an edit that was killed.
        for leftover in path.parent.glob(f"{glob.escape(prefix)}*.tmp"):
            leftover.unlink(missing_ok=True)
        with staged(path, new, prefix=prefix, suffix=".tmp") as scratch:
            scratch.chmod(path.stat().st_mode & 0o7777)
            # An editor takes no lock: what it saved since we read must not be lost.
            if path.read_bytes() != old:
                return False
            os.replace(scratch, path)
        flush_folder(path.parent)
    except OSError as error:
        raise ParameterError(
            f"{shown(path)}: cannot be written ({error.strerror}); check the space and the "
            "permissions of its folder"
        ) from None
    return True
