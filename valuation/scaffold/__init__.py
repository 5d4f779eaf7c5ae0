"""A new deal from a few answers: its files, checked before any of them is in place.

Nothing here knows a deal. The templates beside this file hold the terms and the priors of any
acquisition, scaled to its price and its revenue.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template

from valuation import clock
from valuation.currency import CODES, scale
from valuation.errors import ParameterError, ValuationError
from valuation.ledger import load_ledger
from valuation.ledger.sealing import seal
from valuation.ledger.tables import TABLES
from valuation.models import closure, joint, kinds_in
from valuation.params import HOUSE, load_credibility, load_deal, load_priors
from valuation.params.deals import years_after

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
STAFF = "Others who came along"
MOVERS = """\
  exit_hazard_movers:
    label: Monthly exit hazard of those who came along
    unit: per month
    family: lognormal
    quantiles: {{0.05: 0.015, 0.5: 0.032, 0.95: 0.068}}
    source: C01
    rationale: 33% of acquired staff gone in the first year is 0.033 a month.
    date: {today}
"""  # read where somebody besides the first is named
POOLED = "Other customers"
EXIT_YEARS, TESTS = 7, 3  # as in the template: years until the stake is looked at; annual tests
MOST_BN, WHOLE_MOST_BN = 1000.0, 10_000.0  # as in a deal file, of a currency like the dollar
FIRST_YEAR = 1900  # of a close: an earlier year is a slip of the pen
MULTIPLE_GUESSED = 8.0  # value over revenue where no revenue is given
CLASSES = ("base_rates", "reference_deals")  # facts about other deals, shared by all deals


@dataclass(frozen=True)
class Answers:
    """What a new deal is made from.

    Attributes
    ----------
    name
        Of its files: ``[a-z0-9][a-z0-9._-]{0,63}``.
    price_bn, stake
        What was paid, in bn of ``currency``, and for what fraction of the target.
    closed
        Day of the close, not after today.
    people
        Names; the deal hinges on the first.
    staff
        How many others came along, at least two.
    customers
        Share of the target's revenue by name; what is left belongs to customers without a name.
    revenue_bn
        The target's in the calendar year before the close; None: guessed from the price.
    currency
        Of every amount: a code of ISO 4217.
    """

    name: str
    acquirer: str
    target: str
    price_bn: float
    closed: dt.date
    stake: float = 1.0
    people: tuple[str, ...] = ("Ann Example",)
    staff: int = 50
    customers: Mapping[str, float] = field(default_factory=dict)
    revenue_bn: float | None = None
    currency: str = "USD"

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise ParameterError(problems)

    def _problems(self) -> Iterator[str]:
        if not NAME.fullmatch(self.name):
            yield (
                f"name {self.name[:80]!r}: use up to 64 of a-z, 0-9, '.', '_' and '-', starting with a "
                "letter or digit"
            )
        for what, text in (
            ("acquirer", self.acquirer),
            ("target", self.target),
            *(("people", person) for person in self.people),
            *(("customer", customer) for customer in self.customers),
        ):
            if not text.strip() or text[:1] in "=+@-" or not text.isprintable():
                yield f"{what} {text[:80]!r}: give a name that begins with a word"
        if self.acquirer == self.target:
            yield f"acquirer and target are both {self.target!r}; give two names"
        if not self.people:
            yield "people: name at least the one person that the deal hinges on"
        if len({*self.people, STAFF}) < len(self.people) + 1:
            yield "people: somebody is named twice; name each once"
        if self.currency not in CODES:
            yield f"currency {self.currency[:40]!r}: is none of ISO 4217; write its three capitals, as USD, EUR or JPY"
        size = scale(self.currency)
        most, whole_most = MOST_BN * size, WHOLE_MOST_BN * size
        if not 0.001 <= self.price_bn <= most:
            yield f"price {self.price_bn:.10g}: is in {self.currency} bn, from 0.001 to {most:.10g}; check the unit"
        if not 0 < self.stake <= 1:
            yield f"stake {self.stake:g}: is a fraction above 0 and at most 1; 0.49 is 49 per cent"
        elif self.price_bn / self.stake > whole_most:
            yield (
                f"stake {self.stake:g}: at a price of {self.currency} {self.price_bn:g} bn the whole would be worth "
                f"{self.price_bn / self.stake:.10g} bn, above {whole_most:.10g}; check both"
            )
        if not 2 <= self.staff <= 1_000_000:
            yield f"staff {self.staff}: how many came along besides those named, at least 2"
        if self.closed > clock.today():
            yield f"date {self.closed}: lies ahead; a deal is followed from the day it closed"
        if self.closed.year < FIRST_YEAR:
            yield f"date {self.closed}: is before {FIRST_YEAR}; write the day of the close, YYYY-MM-DD"
        if POOLED in self.customers or any(not 0 < s <= 1 for s in self.customers.values()):
            yield f"customers: each has a share above 0 and at most 1, and none is called {POOLED!r}"
        elif sum(self.customers.values()) > 1 + 1e-9:
            yield f"customers: their shares add up to {sum(self.customers.values()):g}, above 1"
        if self.revenue_bn is not None and not 0.0001 <= self.revenue_bn <= most:
            yield (
                f"revenue {self.revenue_bn:.10g}: is in {self.currency} bn a year, from 0.0001 to {most:.10g}; "
                "check the unit"
            )

    @property
    def revenue(self) -> float:
        """Revenue before the close, bn, guessed where it was not given."""
        if self.revenue_bn is not None:
            return self.revenue_bn
        return self.price_bn / self.stake / MULTIPLE_GUESSED


@dataclass(frozen=True)
class Made:
    """Where the files of a new deal are."""

    deal: Path
    priors: Path
    seeds: Path


def create(answers: Answers, root: Path) -> Made:
    """Write a deal's files, all of them or none.

    Raises
    ------
    ParameterError
        If a deal, priors or seeds of this name are there already, or the answers make no deal.
    """
    made = Made(
        root / "params" / "deals" / f"{answers.name}.yaml",
        root / "params" / "priors" / f"{answers.name}.yaml",
        root / "seeds" / answers.name,
    )
    places = [path.relative_to(root).as_posix() for path in (made.deal, made.priors, made.seeds)]
    there = [place for place in places if (root / place).exists()]
    if there:
        are, them = ("is", "it") if len(there) == 1 else ("are", "them")
        raise ParameterError(
            f"{', '.join(there)}: {are} there already; choose another name or remove {them}"
        )
    with _staged(root) as stage:
        for name, text in contents(answers, root).items():
            path = stage / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        seal(stage / "seeds" / answers.name, kinds=kinds_in(answers.currency))
        _check(answers.name, stage, root)
        _move(
            [  # the deal's own file last: without it there is no deal
                (stage / path.relative_to(root), path)
                for path in (made.seeds, made.priors, made.deal)
            ]
        )
    return made


@contextmanager
def _staged(root: Path) -> Iterator[Path]:
    """A folder on the same disk that is gone afterwards, whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix=".init-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move(steps: Sequence[tuple[Path, Path]]) -> None:
    done: list[tuple[Path, Path]] = []
    try:
        for source, place in steps:
            place.parent.mkdir(parents=True, exist_ok=True)
            os.rename(source, place)
            done.append((source, place))
    except BaseException:
        for source, place in reversed(done):
            os.rename(place, source)
        raise


def _check(name: str, stage: Path, root: Path) -> None:
    """What was written can be read, and has a prior for all that the models ask for."""
    try:
        deal = load_deal(name, stage)
        book = load_priors(stage / deal.priors, deal.currency)
        ledger = load_ledger(stage / deal.seeds, kinds=kinds_in(deal.currency))
        grades = load_credibility(root / "params" / "credibility.yaml")
        context = joint.context_of(ledger, deal, book.get(HOUSE), grades)
        for prior in joint.scalars(context, closure(None)):
            context.prior(prior)
    except ValuationError as error:
        # Where it would have stood: the folder that it was tried in is gone by now.
        said = str(error).replace(f"{stage}{os.sep}", "")
        lines = [f"nothing was written: {line}" for line in said.splitlines()]
        raise ParameterError(lines) from None


def contents(answers: Answers, root: Path) -> dict[str, str]:
    """Text of every file by its place in the project."""
    words = _words(answers)
    found = {
        f"params/deals/{answers.name}.yaml": _filled("deal.yaml", words),
        f"params/priors/{answers.name}.yaml": _filled("priors.yaml", words),
    }
    return found | {
        f"seeds/{answers.name}/{name}.csv": _table(name, rows)
        for name, rows in _tables(answers, root).items()
    }


def _filled(template: str, words: Mapping[str, str]) -> str:
    return Template((files(__package__) / template).read_text(encoding="utf-8")).substitute(words)


def _words(answers: Answers) -> dict[str, str]:
    price, revenue = answers.price_bn, answers.revenue
    multiple = price / answers.stake / revenue
    told = answers.revenue_bn is not None
    title = f"{_possessive(answers.acquirer)} {answers.currency} {price:g} bn for {_part(answers)}"
    return {
        "name": answers.name,
        "title": title,
        "title_quoted": json.dumps(title, ensure_ascii=False),
        "acquirer": json.dumps(answers.acquirer, ensure_ascii=False),
        "target": json.dumps(answers.target, ensure_ascii=False),
        "founder": json.dumps(answers.people[0], ensure_ascii=False),
        "closed": answers.closed.isoformat(),
        "today": clock.today().isoformat(),
        "seeds": f"seeds/{answers.name}",
        "priors": f"params/priors/{answers.name}.yaml",
        "currency": answers.currency,
        "code": answers.currency.lower(),
        "price": f"{price:g}",
        "stake": f"{answers.stake:g}",
        "entry_value": f"{price / answers.stake:.6g}",
        "impairment_by": f"{answers.closed.year + TESTS}-12-31",
        "moic_by": years_after(answers.closed, EXIT_YEARS).isoformat(),
        "movers": MOVERS.format(today=clock.today()) if answers.people[1:] else "",
        "revenue_before": _around(revenue, 0.8 if told else 0.4, 1.25 if told else 2.5),
        "revenue_why": json.dumps(
            "As answered when the deal was set up, give or take a quarter."
            if told
            else f"Guessed: the price over a multiple of {MULTIPLE_GUESSED:g}. Put the reported figure in its place."
        ),
        "revenue_low": f"{revenue / 100:.4g}",
        "revenue_high": f"{revenue * 100:.4g}",
        "customer_size": _around(0.006 * revenue, 1 / 3, 3),
        "multiple": _around(0.6 * multiple, 0.33, 3),
        "multiple_low": _around(0.35 * multiple, 0.3, 3),
        "multiple_high": _around(multiple, 0.4, 2.5),
        "talent": _around(0.1 * price, 0.3, 3),
        "talent_low": _around(0.04 * price, 0.3, 3),
        "talent_high": _around(0.2 * price, 0.4, 2.5),
        "regulation": _around(0.02 * price, 0.25, 4),
        "integration": _around(0.03 * price, 0.33, 3),
        "retention": _around(0.03 * price, 0.33, 3),
    }


def _possessive(name: str) -> str:
    return f"{name}'" if name.endswith("s") else f"{name}'s"


def _part(answers: Answers) -> str:
    return answers.target if answers.stake == 1 else f"{100 * answers.stake:g}% of {answers.target}"


def _around(middle: float, low: float, high: float) -> str:
    """Quantiles about a middle, low and high as multiples of it."""
    return f"{{0.05: {low * middle:.4g}, 0.5: {middle:.4g}, 0.95: {high * middle:.4g}}}"


def _table(name: str, rows: Sequence[Mapping[str, object]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, TABLES[name].header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _tables(answers: Answers, root: Path) -> dict[str, list[Mapping[str, object]]]:
    closed = answers.closed.isoformat()
    classes: dict[str, list[dict[str, str]]] = {
        name: _rows(root / "seeds" / f"{name}.csv") for name in CLASSES
    }
    mine = {answers.acquirer.casefold(), answers.target.casefold()}
    classes["reference_deals"] = [
        row
        for row in classes["reference_deals"]
        if {row["acquirer"].casefold(), row["target"].casefold()} != mine
    ]
    cited = {row["source"] for rows in classes.values() for row in rows}
    sources = [row for row in _rows(root / "seeds" / "sources.csv") if row["source"] in cited]
    announcement = {
        "source": "announcement",
        "publisher": answers.acquirer,
        "title": "The deal as it was announced",
        "kind": "company",
    }
    closing = {
        "id": "A001",
        "event_date": closed,
        "published": closed,
        "claim": f"{answers.acquirer} buys {_part(answers)} for {answers.currency} {answers.price_bn:g} bn.",
        "source": "announcement",
        "root": "closing",
        "credibility": "A",
        "note": "Entered by `valuation init`; supersede it by a sourced row",
    }
    # A ledger needs a row that counts. Whoever comes along is there on the first day: that tells nothing.
    there = closing | {
        "id": "A002",
        "claim": f"{answers.people[0]} is in post on the day of the close.",
        "kind": "sighting",
        "subject": answers.people[0],
        "note": "Entered by `valuation init`; nobody has left on the first day, so it moves nothing",
    }
    return {
        "evidence": [closing, there],
        "sources": [announcement, *sources],
        "people": _people(answers),
        "customers": _customers(answers),
        "vendors": [{"subject": answers.target, "role": "target", "note": "The firm bought"}],
        "entities": [
            {"entity": answers.acquirer, "role": "acquirer", "note": "Paid the price"},
            {"entity": answers.target, "role": "target", "note": "The firm bought"},
        ],
        "financials": [],
        "questions": _questions(answers),
        **{name: list[Mapping[str, object]](rows) for name, rows in classes.items()},
    }


def _rows(path: Path) -> list[dict[str, str]]:
    """Rows of a file of the project; none where it is missing."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _people(answers: Answers) -> list[Mapping[str, object]]:
    """The first named weighs as much as all others together; the others share by the head, at most half."""
    first, *others = answers.people
    each = round(min(0.1, 0.3 / len(others)), 6) if others else 0.0
    told = [(first, "founder", 1, 0.5), *((name, "movers", 1, each) for name in others)]
    told.append((STAFF, "staff", answers.staff, round(0.5 - each * len(others), 6)))
    return [
        {
            "subject": subject,
            "cohort": cohort,
            "entry": answers.closed.isoformat(),
            "size": size,
            "weight": weight,
            "talent": 1,
            "note": "Weight judged: share of the worth of all people who came with the deal",
        }
        for subject, cohort, size, weight in told
    ]


def _customers(answers: Answers) -> list[Mapping[str, object]]:
    start = {"segment": "enterprise", "rival": 0, "start": answers.closed.isoformat(), "new": 0}
    rows: list[Mapping[str, object]] = [
        {"subject": name, "revenue_share": share, "pooled": 0, "note": "Share as answered", **start}
        for name, share in answers.customers.items()
    ]
    left = round(1 - sum(answers.customers.values()), 9)
    if left > 0:
        note = "All customers without a name; segment judged"
        rows.append({"subject": POOLED, "revenue_share": left, "pooled": 1, "note": note, **start})
    return rows


def _questions(answers: Answers) -> list[Mapping[str, object]]:
    opens, later = answers.closed, years_after(answers.closed, 2)
    return [
        {
            "id": "Q01",
            "question": f"Is {answers.people[0]} with {answers.acquirer} two years after the close?",
            "opens": opens,
            "closes": later,
            "resolution_source": "Announcements of either firm, large newspapers",
            "fine_print": "Counts as there until an exit is announced or reported by two named outlets.",
            "event": "in_post",
            "subject": answers.people[0],
            "base_rate": 0.48,
            "base_rate_source": "C08",
        },
        {
            "id": "Q02",
            "question": f"Does {answers.acquirer} write {answers.target} down by the end of {opens.year + TESTS}?",
            "opens": opens,
            "closes": f"{opens.year + TESTS}-12-31",
            "resolution_source": f"Accounts of {answers.acquirer}",
            "fine_print": "Any charge on what was paid for it.",
            "event": "impairment",
            "subject": answers.target,
        },
    ]
