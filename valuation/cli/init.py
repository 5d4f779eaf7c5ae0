"""The command that sets up a new deal."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import click

from valuation import clock
from valuation.cli.options import EXIT_CODES, debug_option, project_root, read_day, short_path, talk

# What must be known; the others have answers that can be changed later.
NEEDED = ("acquirer", "target", "price", "closed")
EXAMPLE_PRICE_BN = 1.0


def _customer(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, float]:
    shares: dict[str, float] = {}
    for text in given:
        name, equals, share = (part.strip() for part in text.rpartition("="))
        try:
            number = float(share)
        except ValueError:
            number = -1.0
        if not equals or not name or not 0 < number <= 1:
            raise click.BadParameter(
                f"{text!r}: write NAME=SHARE, a share above 0 and at most 1, as in 'Big Bank=0.2'"
            )
        if name in shares:
            raise click.BadParameter(f"{name!r} is given twice")
        shares[name] = number
    return shares


class _Number(click.ParamType):
    """A number, refused in words that say how it is written."""

    name = "number"

    def __init__(self, example: str) -> None:
        self.example = example

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number; write it as {self.example}", param, ctx)


class _Day(click.ParamType):
    """A day, refused in the words of every other command."""

    name = "day"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dt.date:
        return read_day(str(value))


BILLIONS = _Number("2.5 for 2.5 bn")
FRACTION = _Number("0.49 for 49 per cent")


@click.command(epilog=EXIT_CODES)
@click.argument("name")
@click.option("--acquirer", metavar="NAME", help="Who bought.")
@click.option("--target", metavar="NAME", help="What was bought.")
@click.option("--price", type=BILLIONS, metavar="BN", help="What was paid, in bn of the currency.")
@click.option("--currency", metavar="CODE", help="Of every amount, as EUR; default: USD.")
@click.option("--stake", type=FRACTION, metavar="FRACTION", help="For what part of it; 1 is all.")
@click.option(
    "--date", "closed", type=_Day(), metavar="DATE", help="Day of the close (YYYY-MM-DD)."
)
@click.option("--revenue", type=BILLIONS, metavar="BN", help="Its revenue in the year before.")
@click.option(
    "--person",
    "people",
    multiple=True,
    metavar="NAME",
    help="Who came along; the first matters most.",
)
@click.option("--staff", type=int, metavar="COUNT", help="How many others came along.")
@click.option(
    "--customer",
    "customers",
    multiple=True,
    callback=_customer,
    metavar="NAME=SHARE",
    help="A customer and its share of revenue.",
)
@debug_option
def init(name: str, debug: bool, **given: Any) -> None:
    """Set up the deal NAME: its terms, priors, rosters and ledger.

    On a terminal, what is not given is asked for. Elsewhere acquirer, target, price and date must
    be given; with none of the options at all, NAME becomes an example to edit. The files are
    commented, and the report of the new deal says what the priors alone say.

    \b
    Examples:
      valuation init demo
      valuation init rocket --acquirer "Big Co" --target Rocket --price 2.5 \\
          --date 2025-03-31 --person "Ann Example" --customer "Bank=0.2"
    """
    from valuation.scaffold import NAME, Answers, create

    if not NAME.fullmatch(name):
        raise click.BadParameter(
            f"{name[:80]!r}: use up to 64 of a-z, 0-9, '.', '_' and '-', starting with a letter or "
            "digit",
            param_hint="NAME",
        )
    root = project_root()
    told = {key: value for key, value in given.items() if value not in (None, (), {})}
    missing = [key for key in NEEDED if key not in told]
    example = _example(name)
    if sys.stdin.isatty():
        told |= _asked(told, example)
    elif not told:
        told = {key: example[key] for key in NEEDED}
        talk("No answers given: an example is set up. Put the facts in the place of its names.")
    elif missing:
        options = ", ".join("--date" if key == "closed" else f"--{key}" for key in missing)
        raise click.UsageError(f"not a terminal, so nothing can be asked: give {options}")
    closed = told.pop("closed")
    made = create(
        Answers(
            name=name,
            price_bn=told.pop("price"),
            closed=closed,
            **({"revenue_bn": told.pop("revenue")} if "revenue" in told else {}),
            **told,
        ),
        root,
    )
    for path, what in (
        (made.deal, "terms, and when it pays off"),
        (made.priors, "what was believed before any evidence"),
        (made.seeds, "people, customers, evidence, questions"),
    ):
        click.echo(f"{short_path(path):<36} {what}")
    talk(
        f"Next: `valuation report --deal {name}`; then `valuation news add --deal {name}`",
        bold=True,
    )


def _example(name: str) -> dict[str, Any]:
    target = name.replace("-", " ").replace("_", " ").replace(".", " ").title().strip() or name
    return {
        "acquirer": "Example Acquirer",
        "target": target,
        "currency": "USD",
        "price": EXAMPLE_PRICE_BN,
        "stake": 1.0,
        "closed": clock.today(),
        "people": "Ann Example",
        "staff": 50,
    }


def _asked(told: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """Answers to what was not given, with the example's as defaults."""
    asked: dict[str, Any] = {}

    def ask(key: str, text: str, kind: Any = str) -> None:
        if key not in told:
            default = example[key]
            shown = default.isoformat() if isinstance(default, dt.date) else default
            asked[key] = click.prompt(text, default=shown, type=kind, err=True)

    ask("acquirer", "Who bought")
    ask("target", "What was bought")
    ask("currency", "Currency of every amount, a code as USD or EUR")
    money = f"{asked.get('currency', told.get('currency'))} bn"
    ask("price", f"Price, {money}", BILLIONS)
    ask("stake", "For what fraction of it", FRACTION)
    ask("closed", "Day of the close", _Day())
    ask("people", "Who came along, the one who matters most first; names between semicolons")
    ask("staff", "How many others came along", int)
    if "people" in asked:
        asked["people"] = [part.strip() for part in asked["people"].split(";") if part.strip()]
    if "revenue" not in told:
        guess = click.prompt(
            f"Revenue in the year before, {money} (0: not known)",
            default=0.0,
            type=BILLIONS,
            err=True,
        )
        asked |= {"revenue": guess} if guess else {}
    if "customers" not in told:
        said = click.prompt(
            "Customers as NAME=SHARE of revenue, between semicolons (blank: none named)",
            default="",
            show_default=False,
            err=True,
        )
        parts = tuple(part for part in said.split(";") if part.strip())
        shares = _customer(click.get_current_context(), click.Option(["--customer"]), parts)
        asked |= {"customers": shares} if shares else {}
    return {key: tuple(v) if key == "people" else v for key, v in asked.items()}
