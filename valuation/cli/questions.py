"""Commands of the forecaster: ``questions``, ``resolve``, ``score``."""

from __future__ import annotations

import datetime as dt
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import click

from valuation import clock
from valuation.cli.options import (
    EXIT_CODES,
    OK,
    WIDTH,
    day,
    deal_option,
    debug_option,
    json_option,
    kinds_of,
    ledger_of,
    print_json,
    project_root,
    quiet_option,
    seed_option,
    seeded,
    seeds_of,
    talk,
    talk_unless,
    with_options,
)

OUTCOMES = ("yes", "no", "annulled", "ambiguous")
MEASURED = "measured"
DASH = "–"
SAID = ("probability", "mcse", "lower", "median", "upper", "by", "why")

# questions


@click.command(epilog=EXIT_CODES)
@click.option("--open", "only_open", is_flag=True, help="Those without an outcome; the default.")
@click.option("--all", "everything", is_flag=True, help="Resolved ones too.")
@with_options(deal_option, json_option, debug_option)
def questions(only_open: bool, everything: bool, deal: str, as_json: bool, debug: bool) -> int:
    """List the dated questions, with what the last published run said.

    Probability now and base rate are in per cent, of a quantity the median in its unit; a blank says that
    nobody answers, a dash that only a base rate stands for an answer. What closed and has no outcome is
    marked: `valuation resolve` gives it one.

    \b
    Examples:
      valuation questions --open
      valuation questions --all --json
    """
    if only_open and everything:
        raise click.UsageError("give --open or --all, not both")
    rows, run = _register(deal)
    shown = [row for row in rows if everything or row["outcome"] is None]
    if as_json:
        print_json(shown)
        return OK
    for row in shown:
        click.echo("\n".join(_told(row)))
    columns = f"the chance as of run {run}, the base rate" if run else "the base rate"
    talk(f"{len(shown)} questions. Columns: id, day of the close, {columns}, the question.")
    if any(_rests_on_base_rate(row) for row in shown):
        talk(f"{DASH}: no model answers it; its base rate is on record.")
    if not run:
        talk("Chances: no run yet; `valuation report base` makes one.")
    return OK


def _register(deal: str) -> tuple[list[dict[str, Any]], str]:
    """Every question with the probability of the last published run of the base; the run's id."""
    from valuation import archive
    from valuation.questions import questions_of

    _, ledger = ledger_of(deal)
    run = archive.latest_run(project_root(), deal)
    said = {} if run is None else {q["id"]: q for q in run.results.get("questions") or ()}
    today = clock.today()
    rows = []
    for question in sorted(questions_of(ledger.questions), key=lambda q: (q.closes, q.id)):
        told = said.get(question.id, {}) if question.is_open else {}
        row = {
            name: value.isoformat() if isinstance(value, dt.date) else value
            for name, value in vars(question).items()
        }
        row |= {
            "driver": question.driver,
            "closed": question.is_open and question.closes < today,
            **{name: told.get(name) for name in SAID},
        }
        rows.append(row)
    return rows, "" if run is None else run.id


def _told(row: Mapping[str, Any]) -> list[str]:
    now, base = (_percent(row[name]) for name in ("probability", "base_rate"))
    if row["unit"]:
        base = "" if row["base_value"] is None else f"{row['base_value']:.3g}"
        now = "" if row["median"] is None else f"{row['median']:.3g}"
    if _rests_on_base_rate(row):
        now = DASH
    if row["outcome"] is not None:
        now = str(row["outcome"]) if row["value"] is None else f"{row['value']:.3g}"
    head = f"{row['id']:<5} {row['closes']}  {now:>9}  {base:>4}  "
    text = str(row["question"])
    if row["closed"]:
        text += " [closed, not resolved]"
    return textwrap.wrap(
        text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
    )


def _rests_on_base_rate(row: Mapping[str, Any]) -> bool:
    """Whether the run had no more to say than the base rate, which is no chance of its own."""
    from valuation.questions import BASE_RATE

    return bool(row["by"] == BASE_RATE)


def _percent(value: float | None) -> str:
    """Whole per cent; what is not certain is not called so."""
    if value is None:
        return ""
    if 0.0 < value < 0.005 or 0.995 <= value < 1.0:
        return "<1%" if value < 0.5 else ">99%"
    return f"{100 * value:.0f}%"


# resolve


@click.command(epilog=EXIT_CODES)
@click.argument("question", metavar="QUESTION")
@click.option(
    "--outcome",
    type=click.Choice(OUTCOMES),
    metavar="WORD",
    help=f"What came of it: {', '.join(OUTCOMES)}.",
)
@click.option("--value", type=float, metavar="NUMBER", help="What a quantity came to, in its unit.")
@click.option(
    "--source", required=True, metavar="TEXT", help="Who reported it, or the id of an evidence row."
)
@click.option(
    "--date",
    "on",
    callback=day,
    metavar="DATE",
    help="When it was public; by default when the row named was published, else today.",
)
@click.option("--note", default="", metavar="TEXT", help="What else to know.")
@click.option("--correct", default="", metavar="REASON", help="Replace an outcome, and say why.")
@with_options(deal_option, json_option, debug_option)
def resolve(
    question: str,
    outcome: str | None,
    value: float | None,
    source: str,
    on: str,
    note: str,
    correct: str,
    deal: str,
    as_json: bool,
    debug: bool,
) -> int:
    """Write the outcome of QUESTION into the register.

    Forecasts made on the day it was public, or later, are late and are not scored. An annulled or ambiguous
    question is not scored at all. A question about a quantity takes --value in place of yes or no.

    \b
    Examples:
      valuation resolve Q02 --outcome yes --source "Meta, press release"
      valuation resolve Q02 --outcome no --source B130 --correct "Misread"
      valuation resolve Q39 --value 0.91 --source "Bloomberg"
    """
    if (outcome is None) == (value is None):
        raise click.UsageError("give --outcome, or --value of a quantity, and not both")
    from valuation.register import resolve as written

    told = written(
        seeds_of(deal),
        question,
        outcome=outcome or MEASURED,
        value=value,
        source=source,
        kinds=kinds_of(deal),
        today=clock.today(),
        date=dt.date.fromisoformat(on) if on else None,
        note=note,
        correct=correct,
    )
    if as_json:
        print_json(
            {
                "id": told.id,
                "question": told.question,
                "outcome": told.outcome,
                "value": value,
                "resolved": str(told.date),
                "was": told.was or None,
            }
        )
        return OK
    click.echo(f"{told.id}  {told.question}")
    before = f", no longer {told.was}" if told.was and told.was != told.outcome else ""
    came = told.outcome if value is None else f"{value:g}"
    click.echo(f"{came}, public on {told.date}{before}")
    if not on:
        when = (
            f"today, {told.date}" if told.date == clock.today() else f"on {told.date}, by {source}"
        )
        talk(
            f"Taken as public {when}, since no --date was given; where it was known earlier, "
            "give --date, with --correct."
        )
    talk("`valuation score` holds the forecasts against it.")
    return OK


# score


@click.command(epilog=EXIT_CODES)
@click.option("--backtest", is_flag=True, help="Of what would have been said at each month's end.")
@with_options(deal_option, seed_option, json_option, quiet_option, debug_option)
def score(
    backtest: bool, deal: str, seed: int | None, as_json: bool, quiet: bool, debug: bool
) -> int:
    """Hold what was forecast against what happened.

    Brier and log scores (0 is perfect, smaller is better) of each resolved question's last forecast, and the
    Brier score over the time that its forecasts stood; skill against the base rate, 1 perfect and 0 no
    better. A quantity has a continuous score (CRPS) in its unit, which for a single value is its error.
    Late forecasts are listed and not scored.

    With --backtest, the ledger is replayed to each month's end and asked every question that was open
    then. Fits are kept, so that a second backtest is quick.

    \b
    Examples:
      valuation score
      valuation score --backtest --json
    """
    if backtest:
        from valuation.study import open_study
        from valuation.study.backtest import backtest as replayed

        study = open_study(deal, root=project_root(), **seeded(seed))
        card = replayed(study, told=talk_unless(quiet))
    else:
        card = _recorded(deal)
    if as_json:
        print_json(card)
        return OK
    for line in table(card):
        click.echo(line)
    if backtest and not quiet:
        talk(
            f"Replayed to {len(card['dates'])} dates up to {card['as_of']}, under the present priors: "
            "not free of hindsight."
        )
    return OK


def _recorded(deal: str) -> dict[str, Any]:
    from valuation import gate, record
    from valuation.questions import questions_of
    from valuation.scorecard import card

    folder, ledger = ledger_of(deal)
    gate.gate(gate.ledger_lint(record.check_record(folder))).raise_if_refused()
    forecasts = [f for f in record.read(folder) if f.deal == deal]
    return card(questions_of(ledger.questions), forecasts)


_COLUMNS = "{:<6} {:<12} {:>3} {:>4} {:>6} {:>7} {:>7} {:>8} {:>6} {:>7}"
_HEADS = (
    "id", "driver", "out", "fore", "last", "Brier", "log", "standing", "base", "base Br",
)  # fmt: skip


def table(card: Mapping[str, Any]) -> list[str]:
    """A scorecard in 80 columns."""
    lines = []
    if card["questions"]:
        lines.append(_COLUMNS.format(*_HEADS).rstrip())
    for row in card["questions"]:
        lines.append(
            _COLUMNS.format(
                row["id"],
                row["driver"],
                "yes" if row["outcome"] else "no",
                row["forecasts"],
                _percent(row["probability"]),
                _digits(row["brier"]),
                _digits(row["log"]),
                _digits(row["standing"]),
                _percent(row["base_rate"]),
                "" if row["base_brier"] is None else _digits(row["base_brier"]),
            ).rstrip()
        )
    if card["questions"]:
        lines.append("")
    for name, label in (
        ("brier", "Brier score"),
        ("log", "Log score, nats"),
        ("standing", "Brier score over time"),
    ):
        if card[name] is not None:
            lines.append(f"{label:<22} {_with_error(card[name])}")
    lines += _skills(card["base"])
    lines += ["By driver:"] if card["by_driver"] else []
    for row in card["by_driver"]:
        lines.append(
            f"  {row['driver']:<20} Brier {_digits(row['brier'])}, log {_digits(row['log'])}, "
            f"n {row['n']}"
        )
    if card["by_driver"]:
        lines.append("")
    for row in card["quantities"]:
        lines += _quantity(row)
    if card["n"]:
        lines.append(f"{'Independent outcomes':<22} {card['independent']:.1f} of {card['n']}")
    lines += textwrap.wrap(str(card["statement"]), WIDTH)
    if card["late"]:
        named = sorted({item["question"] for item in card["late"]})
        lines += textwrap.wrap(
            f"Late and not scored: {len(card['late'])} of {', '.join(named)}.", WIDTH
        )
    if card["left_out"]:
        why: dict[str, list[str]] = {}
        for item in card["left_out"]:
            why.setdefault(item["why"], []).append(item["id"])
        told = "; ".join(f"{reason} {', '.join(names)}" for reason, names in why.items())
        lines += textwrap.wrap(f"Resolved and not scored: {told}.", WIDTH)
    return lines


def _quantity(row: Mapping[str, Any]) -> list[str]:
    """A quantity that was measured, with its forecast and its score."""
    unit = "" if row["unit"] == "count" else f" {row['unit']}"
    told = (
        f"{row['id']}: {row['value']:.3g}{unit}, forecast {row['median']:.3g} "
        f"({row['lower']:.3g} to {row['upper']:.3g}); CRPS {row['crps']:.3g}, over time "
        f"{row['standing']:.3g}"
    )
    if row["base_crps"] is not None:
        told += f"; the base value {row['base_value']:.3g} was {row['base_crps']:.3g} off"
    return textwrap.wrap(f"{told}.", WIDTH, subsequent_indent="  ")


def _digits(value: float | None) -> str:
    """Three digits; what is infinite is told as such."""
    return "inf" if value is None else f"{value:.3f}"


def _with_error(told: Mapping[str, Any]) -> str:
    error = told["standard_error"]
    if told["infinite"]:
        return f"inf ({told['infinite']} called impossible what happened)"
    if error is None:
        return f"{_digits(told['mean'])}, error not known from one driver"
    return f"{_digits(told['mean'])} ± {error:.3f}"


def _skills(base: Mapping[str, Any] | None) -> Sequence[str]:
    if base is None:
        return []
    lines = [
        f"Against the base rate, where there is one (n {base['n']}, {base['clusters']} drivers):"
    ]
    for name, label in (("brier", "Brier"), ("log", "log"), ("standing", "over time")):
        told = base["skill"][name]
        if told is None or told["skill"] is None:
            lines.append(f"  skill, {label:<13} not defined: a score is infinite")
            continue
        text = f"  skill, {label:<13} {told['skill']:+.3f}"
        if told["standard_error"] is not None and math.isfinite(told["standard_error"]):
            text += f" ± {told['standard_error']:.3f}"
            low = "-inf" if told["lower"] is None else f"{told['lower']:.2f}"
            text += f", {100 * base['ci_prob']:.0f}% of resamples {low} to {told['upper']:.2f}"
        else:
            text += ", which one driver cannot tell from chance"
        lines.append(text)
    return lines
