"""Commands that list, show and change priors."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from valuation import clock
from valuation.archive import for_deal
from valuation.cli.options import (
    EXIT_CODES,
    day,
    deal_option,
    debug_option,
    json_option,
    print_json,
    project_root,
    short_path,
    talk,
    with_options,
)
from valuation.schema import finite

if TYPE_CHECKING:
    from valuation.params import Prior, PriorBook
    from valuation.params.editing import Edited

HOUSE = "house"  # as in the priors file; what reads those is too heavy for --help
LEVELS = (0.05, 0.5, 0.95)
NEXT = "Now run: valuation update"

set_option = click.option(
    "--set",
    "prior_set",
    default=HOUSE,
    show_default=True,
    metavar="SET",
    help="A prior set of the file.",
)


@click.group()
def prior() -> None:
    """List priors, show one with its history, change one.

    \b
    Examples:
      valuation prior list
      valuation prior show exit_multiple
      valuation prior set exit_multiple --quantiles 0.05=2,0.5=6,0.95=20 \\
          --reason "Peers fell by a sixth" --by "Ann Example"
    """


@prior.command("list")
@with_options(set_option, deal_option, json_option, debug_option)
def list_priors(prior_set: str, deal: str, as_json: bool, debug: bool) -> None:
    """List the priors: 5%, median and 95%, unit, date.

    With --set, a star marks what the set has of its own.
    """
    book, _ = _book(deal)
    found = book.get(prior_set)
    own = _own(book, prior_set)
    if as_json:
        print_json(
            [
                {**_facts(one), "set": prior_set if name in own else HOUSE}
                for name, one in found.items()
            ]
        )
        return
    wide = max(map(len, found))
    click.echo(f"{'':{wide}}   {'5%':>8} {'50%':>8} {'95%':>8}")
    for name, one in found.items():
        numbers = " ".join(f"{_number(x):>8}" for x in _quantiles(one))
        star = "*" if name in own else " "
        click.echo(f"{name:{wide}} {star} {numbers}  {one.unit}, {one.date}")


@prior.command("show")
@click.argument("name")
@with_options(set_option, deal_option, json_option, debug_option)
def show(name: str, prior_set: str, deal: str, as_json: bool, debug: bool) -> None:
    """Show the prior NAME, with its history.

    \b
    Examples:
      valuation prior show exit_multiple
      valuation prior show exit_multiple --set sceptic --json
    """
    from valuation.params.editing import find_prior

    book, _ = _book(deal)
    one = find_prior(book, name, prior_set)
    stated_by = prior_set if name in _own(book, prior_set) else HOUSE
    past = [(old.prior(one), old.until) for old in one.history]
    if as_json:
        history = [{**_belief(old), "until": until.isoformat()} for old, until in past]
        print_json({**_facts(one), "set": stated_by, "history": history})
        return
    where = prior_set if stated_by == prior_set else f"{prior_set}, which follows {stated_by}"
    click.echo(f"{name}: {one.label}")
    rows = [
        ("unit", one.unit),
        ("set", where),
        ("distribution", _distribution(one)),
        ("mean", _number(_mean(one))),
        ("source", one.source),
        ("since", _since(one)),
        ("why", one.rationale),
    ]
    for key, text in rows:
        click.echo(f"  {key:<13} {text}")
    click.echo()
    for line in _table(one):
        click.echo(f"  {line}")
    click.echo()
    if not past:
        click.echo("No earlier value is on record.")
        return
    click.echo("Earlier values, the latest first:")
    for old, until in reversed(past):
        by = f", by {old.by}" if old.by else ""
        click.echo(f"  {old.date} to {until}{by}, source {old.source}")
        click.echo(f"      {_distribution(old)}")
        spread = zip(LEVELS, _quantiles(old), strict=True)
        click.echo(f"      {', '.join(f'{_percent(q)} {_number(x)}' for q, x in spread)}")
        click.echo(f"      {old.rationale}")


def _levels(text: str) -> dict[Any, float]:
    return _assignments(text, _probability, "0.05=0.1,0.5=0.3,0.95=0.9")


def _parameters(text: str) -> dict[Any, float]:
    return _assignments(text, str, "alpha=2,beta=8")


def _probability(text: str) -> float:
    # Rounded, so that the file says 0.29 and not 0.28999999999999998.
    return round(float(text[:-1]) / 100, 12) if text.endswith("%") else float(text)


def _assignments(text: str, key: Callable[[str], Any], example: str) -> dict[Any, float]:
    found: dict[Any, float] = {}
    for part in text.split(","):
        left, equals, right = (piece.strip() for piece in part.partition("="))
        try:
            name, value = key(left), float(right)
        except ValueError:
            name = ""
        if not (equals and name):
            raise click.BadParameter(f"{part.strip()!r} is not of the form; write {example}")
        if name in found:
            raise click.BadParameter(f"{left} is given twice; keep one of them")
        found[name] = value
    return found


def _given(
    parse: Callable[[str], dict[Any, float]],
) -> Callable[[click.Context, click.Parameter, str | None], dict[Any, float] | None]:
    return lambda context, parameter, text: None if text is None else parse(text)


@prior.command("set", epilog=EXIT_CODES)
@click.argument("name")
@click.option(
    "--quantiles",
    callback=_given(_levels),
    metavar="P=X,...",
    help="Quantiles, as in 0.05=0.1,0.5=0.3,0.95=0.9.",
)
@click.option(
    "--parameters",
    callback=_given(_parameters),
    metavar="NAME=X,...",
    help="Or parameters, as in alpha=2,beta=8.",
)
@click.option("--family", default="", metavar="FAMILY", help="Distribution; by default as it is.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the file.")
@click.option("--by", required=True, metavar="WHO", help="Who says so; kept in the file.")
@click.option(
    "--source",
    default="judgement",
    show_default=True,
    metavar="ID",
    help="A base rate, a past deal or a row of the ledger.",
)
@click.option(
    "--date", "since", callback=day, metavar="DATE", help="Since when (YYYY-MM-DD); today."
)
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@with_options(set_option, deal_option, json_option, debug_option)
def set_(
    name: str,
    quantiles: Mapping[float, float] | None,
    parameters: Mapping[str, float] | None,
    family: str,
    reason: str,
    by: str,
    source: str,
    since: str,
    dry_run: bool,
    prior_set: str,
    deal: str,
    as_json: bool,
    debug: bool,
) -> None:
    """Change the prior NAME; its old value stays on file.

    Only the lines of its entry change, and only once the new file is known to be good. With --set,
    the set's own value changes, or is added.

    \b
    Examples:
      valuation prior set exit_multiple --quantiles 0.05=2,0.5=6,0.95=20 \\
          --reason "Peers fell by a sixth" --by "Ann Example"
      valuation prior set conflict_share --parameters alpha=2,beta=2 \\
          --set sceptic --reason "Few left" --by "Ann Example" --dry-run
    """
    if (quantiles is None) == (parameters is None):
        raise click.UsageError("give --quantiles or --parameters, one of them")
    from valuation.params import cache_folder
    from valuation.params.editing import Edit, preview, set_prior
    from valuation.report.checks import CITED, UNSOURCED, prior_sources

    _, path = _book(deal)
    if source not in UNSOURCED and source not in prior_sources(project_root(), deal):
        raise click.BadParameter(
            f"{source!r} is no row of {', '.join(CITED)}; name one, or {' or '.join(UNSOURCED)}",
            param_hint="--source",
        )
    edit = Edit(
        name=name,
        reason=reason,
        by=by,
        date=dt.date.fromisoformat(since) if since else clock.today(),
        parameters=parameters,
        quantiles=quantiles,
        family=family,
        prior_set=prior_set,
        source=source,
    )
    locks = cache_folder(project_root()) / "locks"
    done = preview(path, edit) if dry_run else set_prior(path, edit, locks=locks)
    if as_json:
        print_json(
            {
                "name": name,
                "set": prior_set,
                "written": not dry_run,
                "was": _facts(done.before),
                "is": _facts(done.after),
            }
        )
    else:
        _tell(done, prior_set, dry_run)
    if dry_run:
        talk("Nothing was written.")
    else:
        talk(f"Wrote {short_path(path)}. {NEXT}{for_deal(deal)}")


def _tell(done: Edited, prior_set: str, dry_run: bool) -> None:
    one = done.after
    click.echo(f"{one.name}: {one.label}, {one.unit}, {prior_set}")
    heads = ("5%", "50%", "95%", "mean")
    click.echo(f"  {'':<4} {' '.join(f'{head:>9}' for head in heads)}")
    for word, value in (("was", done.before), ("is", one)):
        numbers = (*_quantiles(value), _mean(value))
        row = " ".join(f"{_number(x):>9}" for x in numbers)
        click.echo(f"  {word:<4} {row}  {value.family}, {_since(value)}")
    if one.misfit > 0.01:
        met = ", ".join(f"{_percent(row.probability)} {_number(row.fitted)}" for row in one.fit)
        click.echo(f"  No {one.family} has exactly these quantiles; the nearest: {met}.")
    if done.added:
        click.echo(f"  {prior_set} had followed the house; it has a value of its own from now on.")
    if done.apart:
        keeps = "keeps its" if len(done.apart) == 1 else "keep their"
        click.echo(f"  {' and '.join(done.apart)} {keeps} own value.")
    if dry_run:
        for line in done.lines():
            click.echo(line)


# -- parts -----------------------------------------------------------------------------------------


def _book(deal: str) -> tuple[PriorBook, Path]:
    from valuation.params import load_deal, load_priors

    root = project_root()
    terms = load_deal(deal, root)
    path = root / terms.priors
    return load_priors(path, terms.currency), path


def _facts(one: Prior) -> dict[str, Any]:
    return {"name": one.name, "label": one.label, "unit": one.unit, **_belief(one)}


def _belief(one: Prior) -> dict[str, Any]:
    """A distribution as data; `lower` and `upper` bound the central 90%, as in the results."""
    lower, median, upper = (finite(x) for x in _quantiles(one))
    stated = [
        {"probability": row.probability, "stated": row.stated, "fitted": row.fitted}
        for row in one.fit
    ]
    return {
        "family": one.family,
        "parameters": dict(one.parameters),
        "quantiles": stated,
        "mean": finite(_mean(one)),
        "lower": lower,
        "median": median,
        "upper": upper,
        "source": one.source,
        "rationale": one.rationale,
        "date": one.date.isoformat(),
        "by": one.by,
    }


def _own(book: PriorBook, prior_set: str) -> set[str]:
    """Priors of which the set has a value of its own, be it the house's number."""
    house = book.get(HOUSE)
    return {name for name, one in book.get(prior_set).items() if one is not house[name]}


def _quantiles(one: Prior) -> list[float]:
    return [float(x) for x in one.ppf(LEVELS)]


def _mean(one: Prior) -> float:
    try:
        return one.mean
    except OverflowError:
        return math.inf


def _number(value: float) -> str:
    return f"{value:.4g}"


def _percent(probability: float) -> str:
    return f"{100 * probability:.4g}%"


def _distribution(one: Prior) -> str:
    inside = ", ".join(f"{key} {_number(value)}" for key, value in one.parameters.items())
    return f"{one.family}({inside}), {'fitted to quantiles' if one.fit else 'as stated'}"


def _since(one: Prior) -> str:
    return f"{one.date}, by {one.by}" if one.by else f"{one.date}"


def _table(one: Prior) -> Sequence[str]:
    """5%, 50% and 95%, and whatever else was stated, against the fit."""
    levels = sorted({*LEVELS, *(row.probability for row in one.fit)})
    lines = [" " * 8 + " ".join(f"{_percent(level):>9}" for level in levels)]
    if one.fit:
        said = {row.probability: _number(row.stated) for row in one.fit}
        lines.append(f"{'stated':<8}" + " ".join(f"{said.get(level, ''):>9}" for level in levels))
    word = "fitted" if one.fit else "is"
    values = (_number(float(x)) for x in one.ppf(levels))
    return [*lines, f"{word:<8}" + " ".join(f"{value:>9}" for value in values)]
