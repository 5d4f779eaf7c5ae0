"""What-ifs as data: conditions re-weight draws, sets intervene on them; neither refits."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from valuation.currency import BN, BN_PER_YEAR, neutral, spelled, unit_in
from valuation.errors import ParameterError
from valuation.params.deals import MONEY, Deal, without_currency
from valuation.params.places import find_root, named_file
from valuation.params.reading import (
    Date,
    Document,
    Free,
    KeyPath,
    Listed,
    Name,
    Record,
    Text,
    Within,
    error_faults,
    parse_yaml,
    problem,
    problems_error,
    read_yaml,
    suggestion,
    validate,
)
from valuation.schema import date_after

# Monthly drivers that a scenario may name: unit, and words that fit "... is above 0.5".
DRIVERS: dict[str, tuple[str, str]] = {
    "talent_retained": ("fraction", "the retained share of the talent bought"),
    "stars_retained": ("fraction", "the retained share of the star hires"),
    "founder_in_post": ("0 or 1", "whether the founder is in post"),
    "adoption_share": ("fraction", "the target's share of the acquirer's expert-data spending"),
    "acquirer_spend": (BN_PER_YEAR, "the acquirer's expert-data spending"),
    "purchases": (BN_PER_YEAR, "what the acquirer buys from the target"),
    "revenue_retained": (BN_PER_YEAR, "the target's revenue from customers it had at close"),
    "revenue_new": (BN_PER_YEAR, "the target's revenue from new customers"),
    "revenue": (BN_PER_YEAR, "the target's revenue"),
    "rivals_active": ("fraction", "the share of rival customers' revenue still bought"),
    "capability_gap": ("index points", "the gap of the acquirer's best model to the frontier"),
    "exit_multiple": ("x revenue", "the multiple of revenue at exit"),
    "stake_value": (BN, "the value of the stake"),
    "regulatory_action": ("0 or 1", "whether a formal regulatory action was opened"),
    "impairment": ("0 or 1", "whether the stake has been written down"),
}

# Events that a condition may name: what is said if it happens, and if it does not.
EVENTS: dict[str, tuple[str, str]] = {
    "founder_exit": ("The founder leaves", "The founder does not leave"),
    "regulatory_action": (
        "A regulator opens a formal action",
        "No regulator opens a formal action",
    ),
    "impairment": ("The stake is written down", "The stake is not written down"),
    "person_exit": ("{subject} leaves", "{subject} does not leave"),
    "customer_end": (
        "{subject} stops buying from the target",
        "{subject} does not stop buying from the target",
    ),
    "customer_return": (
        "{subject} comes back as a customer",
        "{subject} does not come back as a customer",
    ),
}

# What a scenario may not change: who the deal is between, and what its posterior was fitted to.
FIXED_TERMS = (
    "name", "title", "acquirer", "target", "founder", "closed", "seeds", "priors",
    "prior_set", "currency", "author", "scenarios", "prior_range", "ending",
)  # fmt: skip

Value = Annotated[float, Within(-1e12, 1e12, "in the driver's unit")]
EventName = Literal[
    "founder_exit",
    "regulatory_action",
    "impairment",
    "person_exit",
    "customer_end",
    "customer_return",
]
DriverName = Literal[
    "talent_retained", "stars_retained", "founder_in_post", "adoption_share", "acquirer_spend",
    "purchases", "revenue_retained", "revenue_new", "revenue", "rivals_active", "capability_gap",
    "exit_multiple", "stake_value", "regulatory_action", "impairment",
]  # fmt: skip


def _day(day: dt.date) -> str:
    return f"{day.day} {day:%B %Y}"


def _amount(driver: str, value: float, currency: str) -> str:
    unit = unit_in(DRIVERS[driver][0], currency)
    if unit == "fraction":
        return f"{100 * value:.4g}%"
    return f"{value:g}" if unit == "0 or 1" else f"{value:g} {unit}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


class EventCondition(Record):
    """An event happens before a date, or does not.

    Attributes
    ----------
    subject
        Who, for events of a person or a customer: a subject of the roster.
    before, not_before
        One of them: the event happens strictly before the date, or not (later or never).
    """

    event: EventName
    subject: Text | None = None
    before: Date | None = None
    not_before: Date | None = None

    @model_validator(mode="after")
    def _complete(self) -> EventCondition:
        if problems := list(self._faults()):
            raise problems_error(problems)
        return self

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if (self.before is None) == (self.not_before is None):
            yield (), f"event {self.event} needs exactly one of before and not_before; give a date"
        needs = "{subject}" in EVENTS[self.event][0]
        if needs and self.subject is None:
            yield (), f"event {self.event} needs a subject; add the name used in the roster"
        if not needs and self.subject is not None:
            yield ("subject",), f"event {self.event} takes no subject; remove it"

    @property
    def date(self) -> dt.date:
        """The date it speaks of."""
        day = self.before if self.before is not None else self.not_before
        assert day is not None  # one of them is given, checked at birth
        return day

    def describe(self, currency: str) -> str:
        """A sentence: ``The founder leaves before 12 June 2027.``"""
        happens, does_not = EVENTS[self.event]
        what = happens if self.before is not None else does_not
        return f"{what.format(subject=self.subject)} before {_day(self.date)}."


class DriverCondition(Record):
    """A driver lies above or below a level on a date.

    Attributes
    ----------
    above, below
        One of them, in the driver's unit; strict.
    """

    driver: DriverName
    at: Date
    above: Value | None = None
    below: Value | None = None

    @model_validator(mode="after")
    def _complete(self) -> DriverCondition:
        if problems := list(self._faults()):
            raise problems_error(problems)
        return self

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if (self.above is None) == (self.below is None):
            yield (), f"driver {self.driver} needs exactly one of above and below; give a level"
        for key in ("above", "below"):
            if (value := getattr(self, key)) is not None:
                yield from _level_faults(self.driver, value, key)

    @property
    def date(self) -> dt.date:
        """The date it speaks of."""
        return self.at

    def describe(self, currency: str) -> str:
        """A sentence: ``The target's share of ... is above 50% on 31 December 2027.``"""
        side, level = ("above", self.above) if self.above is not None else ("below", self.below)
        assert level is not None  # one of them is given, checked at birth
        label = _capital(DRIVERS[self.driver][1])
        return f"{label} is {side} {_amount(self.driver, level, currency)} on {_day(self.at)}."


def _level_faults(driver: str, value: float, key: str) -> Iterator[tuple[KeyPath, str]]:
    unit = DRIVERS[driver][0]
    if unit == "fraction" and not 0 <= value <= 1:
        yield (key,), f"{value:g} is outside 0 to 1; {driver} is a fraction: 0.5 is 50 per cent"
    if unit == "0 or 1" and not 0 <= value <= 1:
        yield (key,), f"{value:g} is outside 0 to 1; {driver} is 0 or 1"


def _one_kind(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value
    if not isinstance(value, Mapping):
        raise problem("needs keys and values; write {event: founder_exit, before: '2027-06-12'}")
    if "event" in value and "driver" in value:
        raise problem("has both event and driver; make it two conditions")
    if "event" not in value and "driver" not in value:
        known = suggestion(str(next(iter(value), "")), ("event", "driver"), "it starts with one of")
        raise problem(f"names neither an event nor a driver; {known}")
    return value


def _kind_of(value: Any) -> str:
    named = isinstance(value, DriverCondition) or (isinstance(value, Mapping) and "driver" in value)
    return "driver condition" if named else "event condition"


Condition = Annotated[
    Annotated[EventCondition, Tag("event condition")]
    | Annotated[DriverCondition, Tag("driver condition")],
    Discriminator(_kind_of),
    BeforeValidator(_one_kind),
]


class Intervention(Record):
    """A driver is overruled from a date on: a ``do``, not a forecast.

    Attributes
    ----------
    operation
        ``set`` to the value, ``multiply`` by it, or ``add`` it.
    value
        In the driver's unit; a factor for ``multiply``.
    start
        First day on which it holds.
    """

    driver: DriverName
    operation: Literal["set", "multiply", "add"]
    value: Value
    start: Date

    @model_validator(mode="after")
    def _sensible(self) -> Intervention:
        problems: list[tuple[KeyPath, str]] = []
        if self.operation == "set":
            problems.extend(_level_faults(self.driver, self.value, "value"))
        if self.operation == "multiply" and self.value < 0:
            problems.append((("value",), f"{self.value:g} is a negative factor; give 0 or more"))
        if problems:
            raise problems_error(problems)
        return self

    def describe(self, currency: str) -> str:
        """A sentence that says it is an intervention."""
        what = DRIVERS[self.driver][1]
        done = {
            "set": f"{what} is set to {_amount(self.driver, self.value, currency)}",
            "multiply": f"{what} is multiplied by {self.value:g}",
            "add": f"{what} is shifted by {self.value:+g} {unit_in(DRIVERS[self.driver][0], currency)}",
        }[self.operation]
        return f"From {_day(self.start)} {done} (set, not predicted)."


class Scenario(Record):
    """A what-if. Every key is also a parameter of the scenario notebook.

    Attributes
    ----------
    scenario
        Its name, the stem of its file.
    conditions
        All must hold. They select among forecasts, and their joint probability is reported.
    sets
        Applied in order. What a set implies for other drivers is not inferred.
    prior_set
        Empty for the deal's own.
    terms
        Keys of the deal to replace, nested as there.
    """

    scenario: Name
    title: Text
    story: Text
    conditions: Annotated[tuple[Condition, ...], Listed] = ()
    sets: Annotated[tuple[Intervention, ...], Listed] = ()
    prior_set: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9._-]{0,63})?$")] = ""
    terms: Free = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_terms(self) -> Scenario:
        if problems := list(_term_faults(self.terms, Deal, ("terms",))):
            raise problems_error(problems)
        return self

    def resolve(self, deal: Deal, root: Path | None = None) -> Deal:
        """The deal with this scenario's terms and prior set; :class:`ParameterError` on a clash.

        ``root`` is where the project lies, so that what is wrong is told with its line.
        """
        if problems := [
            placed(
                self,
                where,
                f"{day} is before the close on {deal.closed}, when every path begins; "
                "give the day of the close or a later one",
                root,
            )
            for where, day in self.dates()
            if day < deal.closed
        ]:
            raise ParameterError(problems)
        terms = without_currency(
            Document(f"scenario {self.scenario!r}", {"terms": self.terms}), deal.currency
        ).data["terms"]
        merged = _merged(deal.model_dump(), terms)
        if self.prior_set:
            merged["prior_set"] = self.prior_set
        unknown = [
            f"scenario {self.scenario!r}: terms.components.{name}: not a component of this deal; "
            + suggestion(name, deal.components, "components")
            for name in self.terms.get("components", {})
            if name not in deal.components
        ]
        if unknown:
            raise ParameterError(unknown)
        where = Document(
            f"scenario {self.scenario!r} on deal {deal.name!r}", merged, currency=deal.currency
        )
        changed: Deal = validate(Deal, where)
        end = date_after(changed.closed, 12 * changed.horizon_years)
        if late := [
            placed(
                self,
                path,
                f"{day} is after {end}, where the forecast ends; give an earlier day or a longer horizon_years",
                root,
            )
            for path, day in self.dates()
            if day > end
        ]:
            raise ParameterError(late)
        return changed

    def dates(self) -> Iterator[tuple[KeyPath, dt.date]]:
        """The day that each condition speaks of and each set begins on, with its place."""
        for index, part in enumerate(self.conditions):
            given = ("at",) if isinstance(part, DriverCondition) else ("before", "not_before")
            key = next(name for name in given if getattr(part, name) is not None)
            yield ("conditions", index, key), part.date
        for index, item in enumerate(self.sets):
            yield ("sets", index, "start"), item.start

    def describe(self, currency: str) -> list[str]:
        """One sentence for each condition and each set, amounts in the deal's currency."""
        return [part.describe(currency) for part in (*self.conditions, *self.sets)]


def _merged(base: Any, changes: Any) -> Any:
    if not (isinstance(base, Mapping) and isinstance(changes, Mapping)):
        return copy.deepcopy(changes)
    result = dict(base)
    for key, value in changes.items():
        result[key] = _merged(base[key], value) if key in base else copy.deepcopy(value)
    return result


def _term_faults(
    terms: Mapping[Any, Any], record: type[BaseModel], where: KeyPath
) -> Iterator[tuple[KeyPath, str]]:
    """Unknown keys, and values that the deal's own field would refuse, each at its line."""
    known = [key for key in record.model_fields if record is not Deal or key not in FIXED_TERMS]
    # Whose currency the terms are in is known when they meet a deal; here it only spells the remedy.
    code = next((found for key in terms if (found := neutral(str(key))[1])), "USD")
    known = [spelled(key, code) if key in MONEY else key for key in known]
    for key, value in terms.items():
        here = (*where, key)
        name = neutral(str(key))[0] if neutral(str(key))[0] in MONEY else str(key)
        if key not in known:
            if record is Deal and key in FIXED_TERMS:
                yield here, f"a scenario cannot change it; {suggestion('', known, 'known terms')}"
            else:
                yield here, f"not a known term; {suggestion(str(key), known, 'known terms')}"
            continue
        field = record.model_fields[name]
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            if isinstance(value, Mapping):
                yield from _term_faults(value, inner, here)
            else:
                names = spelled(", ".join(inner.model_fields), code)
                yield here, f"needs keys and values, not {value!r}; known terms: {names}"
            continue
        kind: Any = Annotated[inner, *field.metadata] if field.metadata else inner
        inside = without_currency(Document("", value), None)
        plain, bounds = inside.data, {"currency": code if name in MONEY else inside.currency}
        try:
            TypeAdapter(kind).validate_python(
                plain, strict=None if field.metadata else True, context=bounds
            )
        except ValidationError as error:
            for path, sentence in error_faults(error, plain):
                stated = (spelled(k, code) if isinstance(k, str) else k for k in path)
                yield (*here, *stated), spelled(sentence, code)


def load_scenario(
    given: str | Path | Mapping[str, Any], root: str | Path | None = None
) -> Scenario:
    """Read a scenario by name (a file of ``params/scenarios``), path, or mapping.

    A mapping is what a notebook's parameters are: same keys, same checks, no file. Raises
    :class:`ParameterError`.
    """
    if isinstance(given, Mapping):
        return validate(Scenario, Document("scenario parameters", _plain(given)))
    base = find_root() if root is None else Path(root)
    path = named_file(given, base / "params" / "scenarios", "scenario")
    document = read_yaml(path)
    scenario = validate(Scenario, document)
    if scenario.scenario != path.stem:
        raise ParameterError(
            document.at(
                ("scenario",),
                f"is {scenario.scenario!r} in a file named {path.name}; make them the same",
            )
        )
    return scenario


def placed(scenario: Scenario, where: KeyPath, what: str, root: Path | None) -> str:
    """A sentence at its line of the scenario's file; at its key alone where no file states this scenario."""
    base = find_root() if root is None else root
    path = base / "params" / "scenarios" / f"{scenario.scenario}.yaml"
    if path.is_file():
        # By its place in the project, since pages say it, too.
        document = parse_yaml(path.read_bytes(), path.relative_to(base).as_posix())
        if validate(Scenario, document) == scenario:
            return document.at(where, what)
    return Document(f"scenario {scenario.scenario!r}", {}).at(where, what)


def over(scenario: Scenario, as_of: dt.date, root: Path | None = None) -> list[str]:
    """A warning for each set and each condition that reaches into what has been observed by ``as_of``.

    A set is an intervention, so it may overrule the past, but then it says what would be if the evidence were not so.
    """
    told = []
    for where, day in scenario.dates():
        if where[0] == "sets" and day < as_of:
            told.append(
                placed(
                    scenario,
                    where,
                    f"{_day(day)} is before {_day(as_of)}, up to which the evidence reaches: what was observed in "
                    "between is overruled. To leave the past as it was, begin on the later day",
                    root,
                )
            )
        elif where[0] == "conditions" and day <= as_of:
            told.append(
                placed(
                    scenario, where,
                    f"{_day(day)} is not after {_day(as_of)}, up to which the evidence reaches: it asks about what is "
                    "over. To ask about the future, give a later day",
                    root,
                )
            )  # fmt: skip
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def load_scenarios(root: str | Path | None = None) -> dict[str, Scenario]:
    """Every scenario of ``params/scenarios`` by name, ``base`` first; all problems in one error."""
    base = find_root() if root is None else Path(root)
    found: dict[str, Scenario] = {}
    problems: list[str] = []
    paths = (base / "params" / "scenarios").glob("*.yaml")
    for path in sorted(paths, key=lambda file: (file.stem != "base", file.stem)):
        try:
            found[path.stem] = load_scenario(path, base)
        except ParameterError as error:
            problems.extend(error.problems)
    if problems:
        raise ParameterError(problems)
    return found


def scenarios_of(deal: Deal, root: str | Path | None = None) -> dict[str, Scenario]:
    """The scenarios that make sense for a deal, ``base`` first: those it names, or all if it names none."""
    found = load_scenarios(root)
    if unknown := [name for name in deal.scenarios if name not in found]:
        raise ParameterError(
            f"deal {deal.name}: scenarios: unknown scenario {unknown[0]!r}; "
            f"{suggestion(unknown[0], found)}"
        )
    return {name: s for name, s in found.items() if not deal.scenarios or name in deal.scenarios}
