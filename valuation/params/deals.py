"""A deal as data: what was paid, for what, on which terms, and when it counts as paying off."""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from valuation.currency import CODES, neutral, spelled
from valuation.errors import ParameterError
from valuation.params.places import find_root, named_file
from valuation.params.reading import (
    Amount,
    Bn,
    Date,
    Document,
    Fraction,
    KeyPath,
    LargeBn,
    Listed,
    Months,
    Multiple,
    Name,
    Points,
    Rate,
    Record,
    Text,
    WholeYears,
    Within,
    Years,
    dotted,
    problem,
    problems_error,
    read_yaml,
    suggestion,
    validate,
)
from valuation.params.settings import Range

Headline = Literal["npv", "npv_financial", "stake_alone", "moic", "irr", "no_impairment"]

AMOUNT = "amount"  # the basis that is a fixed sum; a file may name it by its unit, as usd_bn
Basis = Literal["amount", "revenue", "market", "holding", "book"]

# Kept inside the project: a deal file from elsewhere must not make a run read any file it likes.
InnerPath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"),
]
Address = Annotated[str, StringConstraints(pattern=r'^https?://[^\s<>"]+$')]


def _iso_4217(code: str) -> str:
    """A currency of ISO 4217, three capitals."""
    if code not in CODES:
        near = difflib.get_close_matches(code.upper(), CODES, n=3)
        guess = f"did you mean {' or '.join(sorted(near))}? " if near else ""
        raise problem(
            f"{code[:40]!r} is not a currency of ISO 4217; {guess}write its three capitals, as USD, EUR or JPY"
        )
    return code


class Outlay(Record):
    """What the acquirer paid at close, bn of the deal's currency."""

    equity_bn: Bn
    other_bn: Bn

    @property
    def total_bn(self) -> float:
        """Equity and other consideration together."""
        return self.equity_bn + self.other_bn


class Stake(Record):
    """The share of the target bought, its whole value at entry, and years until it can be sold."""

    fraction: Fraction
    entry_value_bn: LargeBn
    exit_years: Years


class Services(Record):
    """What the acquirer promised to buy from the target, and what it paid for in advance."""

    floor_bn_per_year: Bn
    floor_share_of_spend: Fraction
    contract_years: Years
    prepaid_bn: Bn


class AcquirerRevenue(Record):
    """The revenue that a better model would lift: a base, its growth, and what is kept of it."""

    base_bn_per_year: LargeBn
    base_date: Date
    growth_per_year: Rate
    growth_after_5_years: Rate
    operating_margin: Rate
    tax_rate: Fraction


class Talent(Record):
    """Months over which a retained person's value is counted."""

    value_months: Months


class Denial(Record):
    """Years over which harm to rivals is worth something."""

    years: Years


class Integration(Record):
    """Years over which the cost of integrating is spread."""

    years: Years


class Frontier(Record):
    """Points of the index within which a model counts as at the frontier."""

    near_points: Points


class Impairment(Record):
    """The stake's book value, the date to look at, and the fraction of it below which it is cut."""

    carrying_bn: LargeBn
    by: Date
    threshold: Fraction


class Discount(Record):
    """Annual effective rates, as fractions; flows fall at the end of quarters."""

    strategic_per_year: Rate
    stake_per_year: Rate


class Hurdle(Record):
    """What a return must reach: an annual rate, or a multiple of the outlay by a date."""

    irr_per_year: Rate
    moic: Multiple
    moic_by: Date


class Price(Record):
    """What the whole target is taken to be worth in a trade of the stake: ``times`` of a basis.

    ``amount``: a fixed sum, in a file by its unit (``usd_bn``). ``revenue``: the target's revenue on that day,
    in each future.
    ``market``: revenue x the multiple of that day, in each future. ``holding``: the same less the
    discount for a stake without votes or market. ``book``: the stake's book value, grossed up.
    """

    basis: Basis
    times: Annotated[
        float,
        Amount(0, 10_000, "bn of the deal's currency, or how many times the basis", money=False),
    ]
    premium: Annotated[
        float, Within(-1, 5, "a fraction on top: 0.3 is a premium of 30%, -0.2 a discount of 20%")
    ] = 0.0


class Option(Record):
    """Something that could be done with the deal from the decision date on.

    Attributes
    ----------
    source, dated, reason
        Ids of rows in ``seeds/`` or ``judgement``; when it was written down; why these terms.
    stake_after
        Fraction of the target owned afterwards; left out, the stake stays as it is.
    price
        At what worth of the whole target the difference changes hands; needed if there is one.
    control
        Whether what is owned afterwards can later be sold without the discount for a stake without
        votes or market.
    cost_bn
        Fees and other costs of doing it, paid on the decision date.
    keep
        Part of what is still to come that is kept, by component: 0.5 is half, 1 (as for each one
        that is not listed) all of it, 1.2 a fifth more. The stake is scaled by what is owned.
    """

    title: Text
    source: Text
    dated: Date
    reason: Text
    stake_after: Fraction | None = None
    price: Price | None = None
    control: bool = False
    cost_bn: Bn = 0.0
    keep: dict[str, Annotated[float, Within(0, 10, "part that is kept: 1 is all of it")]] = Field(
        default_factory=dict
    )


class Datum(Record):
    """One thing that a disclosure will say.

    Attributes
    ----------
    about
        An event that questions ask about, reported as yes or no, or a figure that has an error.
    day
        The day that it speaks of: by when an event has happened, or of when a figure is.
    subject, threshold
        As in ``seeds/questions.csv``.
    sd
        Of a figure: its error, on the scale that its kind of evidence uses (see
        :mod:`valuation.disclosures`).
    """

    about: Name
    day: Date
    subject: Annotated[str, StringConstraints(max_length=400)] = ""
    threshold: (
        Annotated[float, Amount(-1000, 10_000, "as in questions.csv", money=False)] | None
    ) = None
    sd: Annotated[float, Within(0, 50, "an error", open_low=True)] | None = None


class Disclosure(Record):
    """News that is expected on a known date: what it will report, and how far to be believed.

    Attributes
    ----------
    earliest, latest
        The window in which it is expected; who waits for it waits until ``latest``.
    credibility
        Grade of the source, as in ``params/credibility.yaml``. A report that is not true says what
        one could have said in any other future.
    chance
        That it comes at all; if it does not, nothing is learned by ``latest``.
    cost_bn
        What it costs to get; 0 for what is published anyway.
    """

    title: Text
    source: Text
    dated: Date
    reason: Text
    earliest: Date
    latest: Date
    credibility: Literal["A", "B", "C", "D"]
    chance: Fraction = 1.0
    cost_bn: Bn = 0.0
    data: Annotated[tuple[Datum, ...], Listed]


class Ending(Record):
    """How a deal went that is seen as it looked before: told on its page, read by no model.

    Attributes
    ----------
    as_of
        The last day of the replay: nothing that was published later may be in its ledger.
    date
        When the ending was known.
    paid_off
        Whether it did, by what is told.
    told
        What happened, as a clause that can follow a colon.
    publisher, address
        Who says so.
    """

    as_of: Date
    date: Date
    paid_off: bool
    told: Text
    publisher: Text
    address: Address


class Deal(Record):
    """One acquisition or investment. Nothing about it lives in code.

    Money is bn of ``currency``, rates are annual fractions, ``closed`` is month 0 of every path. ``options``
    and ``disclosures`` move no probability: they say what could be done from ``decision_date`` on
    (left out: from the as-of date on), and which news is awaited.
    """

    name: Name
    title: Text
    acquirer: Text
    target: Text
    founder: Text
    closed: Date
    horizon_years: WholeYears
    seeds: InnerPath
    priors: InnerPath
    prior_set: Name
    currency: Annotated[str, AfterValidator(_iso_4217)]
    author: Text | None = None  # who answers for the settings; heads every page
    outlay: Outlay
    stake: Stake
    services: Services
    acquirer_revenue: AcquirerRevenue
    talent: Talent
    denial: Denial
    integration: Integration
    frontier: Frontier
    impairment: Impairment
    discount: Discount
    hurdle: Hurdle
    components: dict[str, bool]
    strategic: Annotated[tuple[str, ...], Listed]
    headline: Headline
    decision_date: Date | None = None
    options: dict[Name, Option] = Field(default_factory=dict)
    disclosures: dict[Name, Disclosure] = Field(default_factory=dict)
    scenarios: Annotated[tuple[Name, ...], Listed] = ()  # those that make sense for it; none: all
    # Limits of params/gate.yaml that are other ones for a target of another size.
    prior_range: dict[str, Range] = Field(default_factory=dict)
    ending: Ending | None = None

    @property
    def months(self) -> int:
        """Months from close to the end of the horizon."""
        return 12 * self.horizon_years

    @property
    def ends(self) -> dt.date:
        """Last day of the horizon."""
        return years_after(self.closed, self.horizon_years)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Deal:
        if problems := list(self._contradictions()):
            raise problems_error(problems)
        return self

    def _contradictions(self) -> Iterator[tuple[KeyPath, str]]:
        if self.outlay.total_bn <= 0:
            yield (
                ("outlay",),
                "equity and other add up to 0; say what was paid, in bn of the deal's currency",
            )
        if self.stake.fraction == 0 and self.components.get("stake", False):
            yield ("stake", "fraction"), "is 0 while components.stake is true; switch it off"
        if self.services.prepaid_bn > self.outlay.total_bn:
            yield (
                ("services", "prepaid_bn"),
                f"{self.services.prepaid_bn:g} is more than the whole outlay of "
                f"{self.outlay.total_bn:g}; it is a part of it",
            )
        for where, years in (
            (("services", "contract_years"), self.services.contract_years),
            (("stake", "exit_years"), self.stake.exit_years),
            (("denial", "years"), self.denial.years),
            (("integration", "years"), self.integration.years),
        ):
            if years > self.horizon_years:
                yield (
                    where,
                    f"{years:g} is beyond the horizon of {self.horizon_years} years; "
                    "shorten it or raise horizon_years",
                )
        for where, day in (
            (("hurdle", "moic_by"), self.hurdle.moic_by),
            (("impairment", "by"), self.impairment.by),
        ):
            if not self.closed < day <= self.ends:
                yield (
                    where,
                    f"{day} is not between closing on {self.closed} and the end of the horizon on "
                    f"{self.ends}; move it or raise horizon_years",
                )
        for index, name in enumerate(self.strategic):
            if name not in self.components:
                known = suggestion(name, self.components, "components of this deal")
                yield ("strategic", index), f"{name!r} is not a component; {known}"
        if len(set(self.scenarios)) < len(self.scenarios):
            yield ("scenarios",), "names one twice; name each once"
        if self.ending is not None and not (
            self.closed < self.ending.as_of < self.ending.date <= self.ends
        ):
            yield (
                ("ending",),
                f"{self.closed} (closed), {self.ending.as_of} (as_of) and {self.ending.date} (date) must "
                f"follow each other and lie before {self.ends}, the end of the horizon",
            )
        if not any(self.components.values()):
            yield ("components",), "all are false; switch at least one on"
        yield from self._undecided()
        for name, option in self.options.items():
            yield from self._unclear(option, ("options", name))
        for name, news in self.disclosures.items():
            yield from self._unreadable(news, ("disclosures", name))

    def _undecided(self) -> Iterator[tuple[KeyPath, str]]:
        if len(self.options) == 1:
            yield (
                ("options",),
                f"{next(iter(self.options))!r} is the only one, which leaves nothing to choose; add "
                "another, for instance to hold, or write {}",
            )
        if self.disclosures and not self.options:
            yield (
                ("disclosures",),
                "news is worth something only where it can change a choice; add options",
            )
        day = self.decision_date
        if day is not None and not self.closed <= day < self.ends:
            yield (
                ("decision_date",),
                f"{day} is not between closing on {self.closed} and the end of the horizon on "
                f"{self.ends}; move it",
            )

    def _unclear(self, option: Option, where: KeyPath) -> Iterator[tuple[KeyPath, str]]:
        for name in option.keep:
            if name == "outlay":
                yield (
                    (*where, "keep", name),
                    "was paid at closing, which no option can undo; leave it out",
                )
            elif name not in self.components:
                known = suggestion(name, self.components, "components of this deal")
                yield (*where, "keep", name), f"is not a component; {known}"
        after = self.stake.fraction if option.stake_after is None else option.stake_after
        if after != self.stake.fraction and option.price is None:
            yield (
                where,
                f"moves the stake from {self.stake.fraction:g} to {after:g} without a price; add "
                "price: {basis: ..., times: ...}",
            )
        if after == self.stake.fraction and option.price is not None:
            yield (*where, "price"), "has nothing to price: the stake stays; add stake_after"
        if after != self.stake.fraction and self.stake.fraction == 0:
            yield (
                (*where, "stake_after"),
                "scales what is owned, and stake.fraction is 0; leave it out",
            )

    def _unreadable(self, news: Disclosure, where: KeyPath) -> Iterator[tuple[KeyPath, str]]:
        if news.latest < news.earliest:
            yield (*where, "latest"), f"{news.latest} is before {news.earliest}; swap them"
        if not news.data:
            yield (*where, "data"), "is empty; say what the disclosure will report"
        for index, datum in enumerate(news.data):
            if not self.closed <= datum.day <= self.ends:
                yield (
                    (*where, "data", index, "day"),
                    f"{datum.day} is not between closing on {self.closed} and the end of the "
                    f"horizon on {self.ends}; move it",
                )
            elif datum.day > news.latest:
                yield (
                    (*where, "data", index, "day"),
                    f"{datum.day} is after {news.latest}, when it will be known; move one of them",
                )


def years_after(day: dt.date, years: int) -> dt.date:
    """The same day ``years`` later; 29 February becomes 28 February."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


# Keys whose amount is money; in a file each carries the deal's currency: equity_eur_bn.
MONEY = frozenset(
    name
    for record in (Outlay, Stake, Services, AcquirerRevenue, Impairment, Option, Disclosure)
    for name in record.model_fields
    if name.endswith(("_bn", "_bn_per_year"))
)


def deal_of(document: Document) -> Deal:
    """The deal that a document states; raise :class:`ParameterError` naming every problem."""
    stated = document.data.get("currency") if isinstance(document.data, Mapping) else None
    currency = stated if isinstance(stated, str) and stated in CODES else None
    return validate(Deal, without_currency(document, currency))


def without_currency(document: Document, currency: str | None) -> Document:
    """The document with ``equity_eur_bn`` as ``equity_bn``; a key in another currency is refused.

    ``currency`` is the deal's; None accepts any, where it is not known yet or is no currency itself.
    """
    names: dict[KeyPath, KeyPath] = {(): ()}
    problems: list[str] = []
    seen: list[str] = []

    def read(data: Any, path: KeyPath) -> Any:
        if isinstance(data, list | tuple):
            for index in range(len(data)):
                names[*path, index] = (*names[path], index)
            return [read(item, (*path, index)) for index, item in enumerate(data)]
        if not isinstance(data, Mapping):
            return data
        found: dict[Any, Any] = {}
        for key, value in data.items():
            name, code = neutral(key) if isinstance(key, str) else (key, None)
            here = (*path, key)
            if name not in MONEY:
                name, code = key, None
            elif code is not None:
                seen.append(code)
            if name in MONEY and currency is not None and code != currency:
                wrong(here, name, code)
            names[here] = (*names[path], name)
            found[name] = _amount(value, here) if name == "basis" else read(value, here)
        return found

    def wrong(here: KeyPath, name: str, code: str | None) -> None:
        what = "carries no currency" if code is None else f"is in {code}"
        remedy = f"write {spelled(name, str(currency))}"
        if code is not None:
            remedy += f", in {currency}: no exchange rate is made up"
        problems.append(document.at(here, f"{what}, and the deal is in {currency}; {remedy}"))

    def _amount(value: Any, here: KeyPath) -> Any:
        code = value[:-3].upper() if isinstance(value, str) and value[3:] == "_bn" else None
        if code not in CODES:
            return value
        if currency is not None and code != currency:
            problems.append(
                document.at(
                    here,
                    f"is in {code}, and the deal is in {currency}; write {currency.lower()}_bn",
                )
            )
        return AMOUNT

    data = read(document.data, ())
    if problems:
        raise ParameterError(problems)
    return dataclasses.replace(
        document,
        data=data,
        keys={names.get(path, path): place for path, place in document.keys.items()},
        values={names.get(path, path): place for path, place in document.values.items()},
        currency=currency or next(iter(seen), "USD"),
    )


def load_deal(name: str | Path, root: str | Path | None = None) -> Deal:
    """Read a deal by name (a file of ``params/deals``) or path.

    Raises :class:`ParameterError` with file, line and remedy. ``root`` is :func:`find_root`'s
    unless given.
    """
    base = find_root() if root is None else Path(root)
    path = named_file(name, base / "params" / "deals", "deal")
    document = read_yaml(path)
    deal = deal_of(document)
    if deal.name != path.stem:
        raise ParameterError(
            document.at(
                ("name",), f"is {deal.name!r} in a file named {path.name}; make them the same"
            )
        )
    return deal


def notes_of(name: str, root: str | Path | None = None) -> dict[str, str]:
    """What a deal's file says of its numbers, by dotted key: the comment at the end of a value's line.

    Words for readers: they move nothing. Empty for a file that is not there.
    """
    base = find_root() if root is None else Path(root)
    path = base / "params" / "deals" / f"{name}.yaml"
    if not path.is_file():
        return {}
    document, lines = read_yaml(path), path.read_text(encoding="utf-8-sig").splitlines()
    found = {}
    nested = {key[:-1] for key in document.values if key}
    for key, (line, column) in document.values.items():
        told = key not in nested and _NOTED.fullmatch(lines[line - 1][column - 1 :])
        if told:
            found[dotted(key)] = told[1].strip()
    return found


# A scalar, quoted or plain, and what follows it after a space and a hash.
_NOTED = re.compile(r"""(?:"[^"]*"|'[^']*'|[^\s"'#{\[|>][^#]*?)\s+#\s*(\S.*)""")


def load_deals(root: str | Path | None = None) -> dict[str, Deal]:
    """Every deal of ``params/deals``, by name; all problems of all files in one error."""
    base = find_root() if root is None else Path(root)
    deals: dict[str, Deal] = {}
    problems: list[str] = []
    for path in sorted((base / "params" / "deals").glob("*.yaml")):
        try:
            deals[path.stem] = load_deal(path, base)
        except ParameterError as error:
            problems.extend(error.problems)
    if problems:
        raise ParameterError(problems)
    return deals
