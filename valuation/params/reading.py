"""Strict YAML: one document of plain data with the position of every key, checked into records.

The rules are YAML 1.2's core schema (``NO`` is a string, ``14.3e9`` a number), without what a
settings file has no use for: tags, anchors, aliases, directives, several documents, duplicate keys.
An error reads ``file:line:col: key: what; remedy``; all errors of a file are reported at once.
"""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Strict,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from valuation.currency import WIDEST, scale, spelled
from valuation.errors import ParameterError

MAX_BYTES = 1_000_000
MAX_DEPTH = 40

Key = str | int | float
KeyPath = tuple[Key, ...]
Position = tuple[int, int]

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


# -- reading ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Document:
    """Plain data and where each piece of it was written.

    Attributes
    ----------
    name
        What errors call it: the path of a file, or a phrase for a mapping that came from no file.
    data
        dict, list, str, int, float, bool or None, nested.
    keys, values
        1-based ``(line, column)`` of each key and each value; empty for a mapping from no file.
    currency
        Of a document whose keys were read without their currency (``equity_bn``): how errors spell them.
    """

    name: str
    data: Any
    keys: Mapping[KeyPath, Position] = field(default_factory=dict, repr=False)
    values: Mapping[KeyPath, Position] = field(default_factory=dict, repr=False)
    currency: str = ""

    def at(self, path: KeyPath, what: str) -> str:
        """``file:line:col: key: what``, placed at the nearest key that the text has."""
        known = path
        while known and known not in self.keys and known not in self.values:
            known = known[:-1]
        position = self.keys.get(known) or self.values.get(known)
        place = f"{self.name}:{position[0]}:{position[1]}" if position else self.name
        said = ": ".join([*([dotted(path)] if path else []), what])
        return f"{place}: {spelled(said, self.currency) if self.currency else said}"


def dotted(path: Iterable[Key]) -> str:
    """``('sets', 0, 'value')`` as ``sets[0].value``."""
    text = ""
    for key in path:
        name = f"{key:g}" if isinstance(key, float) else str(key)
        text += f"[{key}]" if isinstance(key, int) else f".{name}" if text else name
    return text


def shown(path: Path) -> str:
    """A path as an error shows it: relative to the current folder where it lies inside."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return path.as_posix()


def read_yaml(path: Path) -> Document:
    """Read one file; raise :class:`ParameterError` if it is not strict YAML in UTF-8."""
    name = shown(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ParameterError(
            f"{name}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from None
    return parse_yaml(content, name)


def parse_yaml(content: bytes, name: str) -> Document:
    """As :func:`read_yaml`, of bytes."""
    if len(content) > MAX_BYTES:
        raise ParameterError(
            f"{name}: {len(content):,} bytes, more than the {MAX_BYTES:,} allowed; "
            "settings are short, so this is probably another file"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        raise ParameterError(
            f"{name}:{line}:{column}: byte 0x{content[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8"
        ) from None
    try:
        return _Composer(name).compose(text, FAST_LOADER)
    except yaml.YAMLError:
        pass
    try:  # again, for words that do not depend on which parser this machine has
        return _Composer(name).compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ParameterError(_syntax(error, name)) from None


def _syntax(error: yaml.YAMLError, name: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    what = " ".join(str(reason).split())
    return f"{place}: not valid YAML: {what}; check indentation, colons and quotes near here"


# Parsing in C where PyYAML was built with it, which is nearly everywhere: ten times as fast.
FAST_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Composer:
    """Builds data from PyYAML's event stream, which, unlike nodes, still shows tags and aliases."""

    def __init__(self, name: str):
        self.name = name
        self.keys: dict[KeyPath, Position] = {}
        self.values: dict[KeyPath, Position] = {}

    def compose(self, text: str, loader: Any) -> Document:
        events = yaml.parse(text, Loader=loader)
        data: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if event.version or event.tags:
                    self._refuse(event, "a % directive", "remove the line")
                if documents > 1:
                    self._refuse(event, "a second document", "keep one document a file")
                data = self._value(next(events), events, (), 0)
        return Document(self.name, data, self.keys, self.values)

    def _refuse(self, event: Any, what: str, remedy: str) -> None:
        mark = event.start_mark
        raise ParameterError(
            f"{self.name}:{mark.line + 1}:{mark.column + 1}: {what} is not allowed; {remedy}"
        )

    def _value(self, event: Any, events: Any, path: KeyPath, depth: int) -> Any:
        self._plain(event, depth)
        self.values[path] = (event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                items.append(self._value(event, events, (*path, len(items)), depth + 1))
            return items
        mapping: dict[Key, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._key(event, depth)
            position = (event.start_mark.line + 1, event.start_mark.column + 1)
            here = (*path, key)
            if key in mapping:
                first = self.keys[here]
                raise ParameterError(
                    f"{self.name}:{position[0]}:{position[1]}: {dotted(here)}: given twice, first "
                    f"on line {first[0]}; keep one of them"
                )
            self.keys[here] = position
            mapping[key] = self._value(next(events), events, here, depth + 1)
        return mapping

    def _plain(self, event: Any, depth: int) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._refuse(event, "an anchor or alias (& or *)", "write the value out in full")
        if getattr(event, "tag", None):
            self._refuse(
                event, f"the tag {event.tag!r}", "remove it; quote a value to make it text"
            )
        if depth > MAX_DEPTH:
            self._refuse(event, f"nesting deeper than {MAX_DEPTH}", "flatten the file")

    def _key(self, event: Any, depth: int) -> Key:
        self._plain(event, depth)
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(event, "a list or mapping as a key", "use a plain word")
        value = self._scalar(event)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return value if is_number else event.value

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if event.style or not event.implicit[0]:  # plain is None or "", by parser
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            if len(text) > 30:
                self._refuse(event, "a number of more than 30 digits", "quote it if it is text")
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        if match := _INFINITY.fullmatch(text):
            return float(match[1] + "inf")
        return text


# -- records ---------------------------------------------------------------------------------------


class Record(BaseModel):
    """Base of every record read from a file: frozen, strict, and clear about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        # Before the fields, so that a misspelt key is not also reported as a missing one.
        keys = data if isinstance(data, Mapping) else ()
        if problems := list(unknown_keys(keys, cls.model_fields)):
            raise problems_error(problems)
        return data

    def digest(self) -> str:
        """SHA-256 of the content; layout, comments and the order of keys do not enter."""
        return digest_of(self.model_dump(mode="json"))


def digest_of(content: Any) -> str:
    """SHA-256 of plain data, independent of the order of keys."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def unknown_keys(data: Iterable[Any], known: Iterable[str]) -> Iterable[tuple[KeyPath, str]]:
    """A ``(path, sentence)`` for each key of ``data`` that is not in ``known``."""
    names = list(known)
    for key in data:
        if key not in names:
            yield (key,), f"not a known key; {suggestion(str(key), names, 'known keys')}"


def suggestion(given: str, known: Iterable[str], what: str = "available") -> str:
    """``did you mean 'x'? known keys: a, x``: the remedy of every choice by name."""
    names = sorted(known)
    near = difflib.get_close_matches(given, names, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return f"{guess}{what}: {', '.join(names) or '(none)'}"


def problems_error(problems: Sequence[tuple[KeyPath, str]]) -> PydanticCustomError:
    """An error that a validator raises; each problem is placed at its own key below the record."""
    return PydanticCustomError("problems", "see problems", {"problems": list(problems)})


def validate[RecordType: BaseModel](record: type[RecordType], document: Document) -> RecordType:
    """Check a document into a record; raise :class:`ParameterError` naming every problem."""
    if not isinstance(document.data, Mapping):
        found = "the file is empty" if document.data is None else f"found {_kind(document.data)}"
        raise ParameterError(
            document.at((), f"needs keys and values, but {found}; start with a 'key: value' line")
        )
    try:
        # Bounds on money are those of the deal's currency.
        return record.model_validate(document.data, context={"currency": document.currency})
    except ValidationError as error:
        raise ParameterError(explain(error, document)) from None


def explain(error: ValidationError, document: Document) -> list[str]:
    """The sentences of a pydantic error, each at its place in the document."""
    return [document.at(path, what) for path, what in error_faults(error, document.data)]


def error_faults(error: ValidationError, data: Any) -> list[tuple[KeyPath, str]]:
    """``(path, sentence)`` of each fault that pydantic found in ``data``, without repeats."""
    found: list[tuple[KeyPath, str]] = []
    for item in error.errors(include_url=False):
        path = _path_in(data, item["loc"])
        if item["type"] == "problems":
            found.extend(((*path, *key), what) for key, what in item["ctx"]["problems"])
        elif item["type"] == "missing":
            found.append(((*path, item["loc"][-1]), "is missing; add it"))
        else:
            found.append((path, _sentence(item)))
    return sorted(set(found), key=found.index)


def _path_in(data: Any, loc: Sequence[Any]) -> KeyPath:
    """Pydantic's location without what it adds to it: names of union members, ``[key]`` marks."""
    path: list[Key] = []
    for step in loc:
        if isinstance(data, Mapping):
            match = next((key for key in data if key == step or str(key) == str(step)), None)
            if match is None:
                continue
            path.append(match)
            data = data[match]
        elif isinstance(data, list | tuple) and isinstance(step, int) and step < len(data):
            path.append(step)
            data = data[step]
    return tuple(path)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, str):
        return f"the text {value[:60]!r}"
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a list" if isinstance(value, list | tuple) else "a mapping"


_WANTED = {
    "float_type": ("needs a number", "write it without quotes, as 0.10 or 14.3"),
    "float_parsing": ("needs a number", "write it without quotes, as 0.10 or 14.3"),
    "int_type": ("needs a whole number", "write it without quotes or decimals"),
    "int_from_float": ("needs a whole number", "write it without decimals"),
    "bool_type": ("needs true or false", "write true or false, without quotes"),
    "string_type": ("needs text", "write it in quotes"),
    "list_type": ("needs a list", "write [a, b], or [] for none"),
    "tuple_type": ("needs a list", "write [a, b], or [] for none"),
    "dict_type": ("needs keys and values", "write {key: value}, or {} for none"),
    "model_type": ("needs keys and values", "write {key: value}"),
    "model_attributes_type": ("needs keys and values", "write {key: value}"),
    "finite_number": ("needs a finite number", "write a number; .nan and .inf are refused"),
}


def _sentence(item: Any) -> str:
    kind, given, context = item["type"], item.get("input"), item.get("ctx") or {}
    if kind in _WANTED:
        wanted, remedy = _WANTED[kind]
        return f"{wanted}, found {_kind(given)}; {remedy}"
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return f"{_kind(given)} is not a choice; {suggestion(str(given), names)}"
    if kind == "string_too_short":
        return "is empty; write at least one character"
    if kind == "string_too_long":
        return f"is longer than {context['max_length']} characters; shorten it"
    if kind == "string_pattern_mismatch":
        return f"{_kind(given)} is not a valid name; use a-z, 0-9, '_', '-' and '.', at most 64"
    return item["msg"] if kind == "problem" else f"{item['msg']}; found {_kind(given)}"


# -- types with units ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Within:
    """A finite number between two bounds, with a hint that says what the number means.

    ``open_low`` and ``open_high`` exclude the bound itself. Text, truth values, NaN and infinity
    are refused.
    """

    low: float
    high: float
    hint: str
    open_low: bool = False
    open_high: bool = False
    whole: bool = False

    def check(self, value: float) -> float:
        """Return ``value``, or raise the error that names the bounds and the hint."""
        below = value <= self.low if self.open_low else value < self.low
        above = value >= self.high if self.open_high else value > self.high
        if below or above:
            raise problem(f"{value:g} is not between {self.low:g} and {self.high:g}; {self.hint}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        number = (
            core_schema.int_schema(strict=True)
            if self.whole
            else core_schema.float_schema(strict=True, allow_inf_nan=False)
        )
        return core_schema.no_info_after_validator_function(self.check, number)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        low = "exclusiveMinimum" if self.open_low else "minimum"
        high = "exclusiveMaximum" if self.open_high else "maximum"
        return {**handler(schema), low: self.low, high: self.high, "description": self.hint}


@dataclass(frozen=True)
class Amount(Within):
    """Bounds for a currency whose unit is about a dollar, wider where the deal's is smaller.

    ``money`` is whether it always is an amount of money. The exported schema, which knows no deal, has the widest.
    """

    money: bool = True

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        number = core_schema.float_schema(strict=True, allow_inf_nan=False)
        return core_schema.with_info_after_validator_function(self._check_in, number)

    def _check_in(self, value: float, info: core_schema.ValidationInfo) -> float:
        currency = (info.context or {}).get("currency", "")
        low, high = (bound * scale(currency) for bound in (self.low, self.high))
        if low <= value <= high:
            return value
        said = f"{value:.15g} is not between {low:.10g} and {high:.10g}"
        if not self.money:
            raise problem(f"{said}; {self.hint}")
        if value < low:
            remedy = "check the sign"
        elif value >= 1e6 * scale(currency) and low <= value / 1e9 <= high:
            remedy = f"write {value / 1e9:.10g} for {value / 1e9:.10g} billion"
        else:
            remedy = "check the unit, and the deal's currency"
        raise problem(f"{said} ({f'{currency} bn'.strip()}); {remedy}")

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        found = super().__get_pydantic_json_schema__(schema, handler)
        return {**found, "minimum": self.low * WIDEST, "maximum": self.high * WIDEST}


def problem(message: str) -> PydanticCustomError:
    """An error that a field's validator raises; ``message`` reads ``what; remedy``."""
    return PydanticCustomError("problem", "{message}", {"message": message})


def iso_date(value: Any) -> Any:
    """A date, from a date or from text that is exactly ``YYYY-MM-DD``."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            raise problem(f"{value!r} is not a day of the calendar; correct it") from None
    raise problem(f"needs a date, found {_kind(value)}; write it as YYYY-MM-DD")


def finite(value: Any) -> Any:
    """Plain data as given; refused if a NaN or an infinity is anywhere inside."""
    if isinstance(value, float) and not math.isfinite(value):
        raise problem("has a number that is not finite inside; .nan and .inf are refused")
    inner = value.values() if isinstance(value, Mapping) else value
    if isinstance(inner, Iterable) and not isinstance(inner, str):
        for item in inner:
            finite(item)
    return value


Date = Annotated[dt.date, BeforeValidator(iso_date)]
Free = Annotated[dict[str, Any], AfterValidator(finite)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
# A list of the file is a tuple in a record, which strict mode would otherwise refuse.
Listed = Strict(False)

_BILLIONS = "billions of the deal's currency: 14.3 is 14.3 billion"
Bn = Annotated[float, Amount(0, 1000, _BILLIONS)]
LargeBn = Annotated[float, Amount(0, 10_000, _BILLIONS)]
Rate = Annotated[
    float, Within(-0.5, 1, "a fraction: 0.10 is ten per cent", open_low=True, open_high=True)
]
Fraction = Annotated[float, Within(0, 1, "a fraction: 0.49 is 49 per cent")]
Multiple = Annotated[float, Within(0, 100, "a multiple of the outlay: 1.0 is money back")]
Points = Annotated[float, Within(0, 100, "points of an index")]
Months = Annotated[float, Within(0, 600, "months: 48 is four years")]
Years = Annotated[float, Within(0, 30, "years, more than none", open_low=True)]
WholeYears = Annotated[int, Within(1, 30, "whole years", whole=True)]
