"""A deal as data: what was paid, for what, on which terms, and when it counts as paying off."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from valuation.errors import ParameterError
from valuation.params.places import find_root, named_file
from valuation.params.reading import (
    Date,
    Fraction,
    Free,
    KeyPath,
    LargeUsdBn,
    Listed,
    Months,
    Multiple,
    Name,
    Points,
    Rate,
    Record,
    Text,
    UsdBn,
    WholeYears,
    Years,
    problems_error,
    read_yaml,
    suggestion,
    validate,
)

Headline = Literal["npv", "npv_financial", "stake_alone", "moic", "irr", "no_impairment"]

# Kept inside the project: a deal file from elsewhere must not make a run read any file it likes.
InnerPath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"),
]


class Outlay(Record):
    """What the acquirer paid at close, USD bn."""

    equity_usd_bn: UsdBn
    other_usd_bn: UsdBn

    @property
    def total_usd_bn(self) -> float:
        """Equity and other consideration together."""
        return self.equity_usd_bn + self.other_usd_bn


class Stake(Record):
    """The share of the target bought, its whole value at entry, and years until it can be sold."""

    fraction: Fraction
    entry_value_usd_bn: LargeUsdBn
    exit_years: Years


class Services(Record):
    """What the acquirer promised to buy from the target, and what it paid for in advance."""

    floor_usd_bn_per_year: UsdBn
    floor_share_of_spend: Fraction
    contract_years: Years
    prepaid_usd_bn: UsdBn


class AcquirerRevenue(Record):
    """The revenue that a better model would lift: a base, its growth, and what is kept of it."""

    base_usd_bn_per_year: LargeUsdBn
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

    carrying_usd_bn: LargeUsdBn
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


class Deal(Record):
    """One acquisition or investment. Nothing about it lives in code.

    Money is USD bn, rates are annual fractions, ``closed`` is month 0 of every path.
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
    currency: Literal["USD"]
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
    options: Free = Field(default_factory=dict)

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
        if self.outlay.total_usd_bn <= 0:
            yield ("outlay",), "equity and other add up to 0; say what was paid, in USD bn"
        if self.stake.fraction == 0 and self.components.get("stake", False):
            yield ("stake", "fraction"), "is 0 while components.stake is true; switch it off"
        if self.services.prepaid_usd_bn > self.outlay.total_usd_bn:
            yield (
                ("services", "prepaid_usd_bn"),
                f"{self.services.prepaid_usd_bn:g} is more than the whole outlay of "
                f"{self.outlay.total_usd_bn:g}; it is a part of it",
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
        if not any(self.components.values()):
            yield ("components",), "all are false; switch at least one on"


def years_after(day: dt.date, years: int) -> dt.date:
    """The same day ``years`` later; 29 February becomes 28 February."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


def load_deal(name: str | Path, root: str | Path | None = None) -> Deal:
    """Read a deal by name (a file of ``params/deals``) or path.

    Raises :class:`ParameterError` with file, line and remedy. ``root`` is :func:`find_root`'s
    unless given.
    """
    base = find_root() if root is None else Path(root)
    path = named_file(name, base / "params" / "deals", "deal")
    document = read_yaml(path)
    deal = validate(Deal, document)
    if deal.name != path.stem:
        raise ParameterError(
            document.at(
                ("name",), f"is {deal.name!r} in a file named {path.name}; make them the same"
            )
        )
    return deal


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
