"""What forecasts were worth: the record, the backtest, and how little either can show yet.

Reads the results of :func:`valuation.study.score_results`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from valuation import plots
from valuation.sections import words
from valuation.sections.parts import (
    Html,
    Section,
    anchor,
    columns,
    details,
    figure,
    get,
    join,
    paragraph,
    section,
    table,
    tag,
)

Results = Mapping[str, Any]

EVEN_ODDS = 0.25  # Brier score of a coin
RULES: Mapping[str, str] = {
    "brier": "Brier score",
    "log": "Log score, nats",
    "standing": "Brier score over time",
}


def score_record(results: Results) -> Section:
    """What published runs said, what has been resolved since, and how that scored."""
    record, title = get(results, "record"), "The record so far"
    if not record["forecasts"]:
        said = "Nothing is on record yet. The next published run of the base scenario freezes its answers."
        return section("record", title, paragraph(said), summary=said)
    first, last = (words.long_date(record[key]) for key in ("first", "last"))
    when = f"on {first}" if first == last else f"between {first} and {last}"
    said = (
        f"{words.counted(record['forecasts'], 'forecast', 'forecasts')} of "
        f"{words.counted(record['runs'], 'published run', 'published runs')} are frozen, made {when}. "
    )
    scored = len(record["questions"]) + len(record["quantities"])
    said += (
        f"{words.counted(scored, 'question that they speak of has', 'questions that they speak of have')} "
        "been resolved and scored."
        if scored
        else record["statement"]
        if record["late"]
        else "No question that they speak of has been resolved since, so there is nothing to score."
    )
    parts: list[str] = [paragraph(said)]
    if scored:
        parts += _scores(record)
    parts += _not_scored(record)
    parts.append(details("What is frozen", _frozen(record)))
    return section("record", title, *parts, summary=said)


def score_backtest(results: Results) -> Section:
    """What would have been said at each month's end, held against what happened."""
    card, title = get(results, "backtest"), "The backtest"
    if not card["questions"] and not card["quantities"]:
        said = f"No question that was open on a past date had an outcome by {_day(results)}."
        return section("backtest", title, paragraph(said), summary=said)
    dates = card["dates"]
    how = (
        f"The ledger is cut at the close and at {len(dates) - 1} later dates up to "
        f"{words.long_date(dates[-1])}; on each, every question then open is asked, and the last answer "
        f"before the outcome is scored by what was known on {_day(results)}. Priors, terms and code are those "
        "of today, and these questions and their base rates were chosen with the outcomes in view: this is not "
        "free of hindsight."
    )
    summary = " ".join(filter(None, (_verdict(card), card["statement"])))
    return section(
        "backtest", title, paragraph(summary), paragraph(how), *_scores(card),
        *_not_scored(card), summary=summary,
    )  # fmt: skip


def _day(results: Results) -> str:
    return words.long_date(results["as_of"])


def _verdict(card: Results) -> str:
    """Better or worse than base rates, in one sentence, empty without a score; that chance may have done it is said
    beside it."""
    base = card["base"]
    told = None if base is None else base["skill"]["brier"]
    if card["brier"] is None:
        return ""
    ours = words.fixed(card["brier"]["mean"], 2)
    if told is None or told["skill"] is None:
        return f"The mean Brier score is {ours}; there is no base rate to hold it against."
    theirs = words.fixed(base["brier"]["mean"], 2)
    better = told["skill"] > 0
    side = "better" if better else "worse"
    mine = "" if base["n"] == card["n"] else f" on the {base['n']} that have one"
    low, high = told["lower"], told["upper"]
    chance = low is None or low <= 0.0 <= high
    interval = "" if low is None else f", 90% interval {_signed(low)} to {_signed(high)}"
    coin = "worse" if card["brier"]["mean"] > EVEN_ODDS else "better"
    return (
        f"The model scored {side} than base rates{mine}, "
        f"{'by no more than chance may do' if chance else 'by more than chance would do'}: its skill is "
        f"{_signed(told['skill'])}{interval}. Its mean Brier score is {ours}, that of the base rates {theirs}; "
        f"{words.fixed(EVEN_ODDS, 2)}, the score of even odds on everything, is "
        f"{'better' if coin == 'worse' else 'worse'} than the model's."
    )


def _signed(value: float) -> str:
    return words.signed(value, 2)


def _digits(value: float | None) -> str:
    return "infinite" if value is None else words.fixed(value, 3)


def _mean(told: Results) -> str:
    if told["infinite"]:
        return "infinite"
    error = told["standard_error"]
    return _digits(told["mean"]) + ("" if error is None else f" ± {words.fixed(error, 3)}")


def _skill(card: Results, rule: str) -> tuple[str, str]:
    """Skill by a rule, and its interval."""
    told = None if card["base"] is None else card["base"]["skill"][rule]
    if told is None or told["skill"] is None:
        return "–", "–"
    if told["standard_error"] is None:
        return _signed(told["skill"]), "anything"
    low = f"{words.MINUS}∞" if told["lower"] is None else _signed(told["lower"])
    return _signed(told["skill"]), f"{low} to {_signed(told['upper'])}"


def _scores(card: Results) -> list[str]:
    """The means, then the questions one by one."""
    parts: list[str] = []
    if card["questions"]:
        rows = [
            (label, _mean(card[rule]), *_skill(card, rule), str(card["n"]), _independent(card))
            for rule, label in RULES.items()
        ]
        heads = columns(
            "Rule", "Mean ± error", "Skill", "90% of resamples", "Questions", "Independent",
            numeric=[1, 2, 3, 4, 5],
        )  # fmt: skip
        parts += [
            table("Scores; 0 is perfect, smaller is better", heads, rows, stack=True),
            paragraph(
                "Skill is the share of the base rates' error that is gone: 1 is perfect, 0 no better. Errors "
                "and intervals count drivers, since questions on one driver have one outcome between them. "
                "Over time, a forecast counts for as long as it stood.",
                "vl-meta",
            ),
            *_of_which(card),
            _questions(card),
            _by_driver(card),
        ]
    if card["quantities"]:
        parts.append(_quantities(card))
    return parts


def _of_which(card: Results) -> list[Html]:
    """Which of the questions skill is about: a base rate that stood in for an answer has none to show."""
    rated = 0 if card["base"] is None else card["base"]["n"]
    if rated in (0, card["n"]):
        return []
    told = (
        f"Skill is about {rated} of the {card['n']} questions; the others have no base rate, or were answered by it, "
        "and count in the means alone."
    )
    return [paragraph(told, "vl-meta")]


def _independent(card: Results) -> str:
    return words.fixed(card["independent"], 1)


def _questions(card: Results) -> Html:
    rows = [
        (
            join([row["question"], tag("span", row["id"], class_="vl-id")], " "),
            row["driver"],
            "yes" if row["outcome"] else "no",
            tag("time", words.long_date(row["resolved"])),
            words.percent(row["probability"], 0.0),
            "–" if row["base_rate"] is None else words.percent(row["base_rate"]),
            _digits(row["brier"]),
            _digits(row["log"]),
            _digits(row["standing"]),
            str(row["forecasts"]),
        )
        for row in sorted(card["questions"], key=lambda row: (-row["brier"], row["id"]))
    ]
    heads = columns(
        "Question", "Driver", "Outcome", "Known", "Said last", "Base rate", "Brier", "Log",
        "Over time", "Forecasts", numeric=[4, 5, 6, 7, 8, 9],
    )  # fmt: skip
    return table("Every question that was scored, the worst first", heads, rows, stack=True)


def _by_driver(card: Results) -> Html:
    rows = [
        (row["driver"], str(row["n"]), *(_digits(row[rule]) for rule in RULES))
        for row in card["by_driver"]
    ]
    heads = columns("Driver", "Questions", *RULES.values(), numeric=[1, 2, 3, 4])
    return table("By driver", heads, rows, stack=True)


def _quantities(card: Results) -> Html:
    rows = [
        (
            join([row["question"], tag("span", row["id"], class_="vl-id")], " "),
            words.quantity(row["value"], row["unit"]),
            f"{words.compact(row['median'], figures=2)} ({words.compact(row['lower'], figures=2)} to "
            f"{words.compact(row['upper'], figures=2)})",
            words.compact(row["crps"], figures=2),
            words.compact(row["standing"], figures=2),
            "–"
            if row["base_crps"] is None
            else f"{words.compact(row['base_value'])}, off by {words.compact(row['base_crps'])}",
        )
        for row in card["quantities"]
    ]
    heads = columns(
        "Quantity", "Came to", "Said last (90%)", "CRPS", "Over time", "Base value", numeric=[1, 2, 3, 4]
    )  # fmt: skip
    caption = "Quantities: the continuous score (CRPS) has the quantity's unit; of a single value it is the error"
    return table(caption, heads, rows, stack=True)


def _not_scored(card: Results) -> list[str]:
    told = []
    if card["late"]:
        names = sorted({str(item["question"]) for item in card["late"]})
        count = words.counted(len(card["late"]), "forecast", "forecasts")
        told.append(
            f"{count} of {words.listed(names)} came when the outcome was public, or after the close: late, "
            "and not scored."
        )
    if card["left_out"]:
        why: dict[str, list[str]] = {}
        for item in card["left_out"]:
            why.setdefault(str(item["why"]), []).append(str(item["id"]))
        left = [f"{reason} {words.listed(names)}" for reason, names in why.items()]
        told.append(f"Resolved and not scored: {'; '.join(left)}.")
    return [paragraph(" ".join(told), "vl-meta")] if told else []


def _frozen(record: Results) -> Html:
    rows = [
        (
            join(
                [
                    words.upper_first(str(row["label"])),
                    tag("span", row["question"], class_="vl-id"),
                ],
                " ",
            ),
            _word(row["first"]),
            _last(row),
            str(row["forecasts"]),
        )
        for row in record["frozen"]
    ]
    heads = columns("What", "Said first", "Said last", "Forecasts", numeric=[3])
    return table("Answers on record, of what is still open", heads, rows, stack=True)


def _last(row: Results) -> str:
    """The last word; what came after the question had closed is marked."""
    told = _word(row["last"])
    if not row["late"]:
        return told
    return join([told, tag("span", "late: the question had closed", class_="vl-small")], " ")


def _word(said: Results) -> str:
    value = (
        words.compact(said["median"], figures=2)
        if said["probability"] is None
        else words.percent(said["probability"], said["mcse"])
    )
    return f"{value} on {words.long_date(said['made'])}"


# --- calibration ----------------------------------------------------------------------------------


def score_calibration(results: Results) -> Section:
    """Said against happened: each question a dot, with the counts that right chances would lead to."""
    drawn = [
        (name, card)
        for name, card in (
            ("record", get(results, "record")),
            ("backtest", get(results, "backtest")),
        )
        if card["questions"]
    ]
    title = "Were the chances right"
    if not drawn:
        said = "No yes-or-no question has been scored, so nothing can be said of calibration."
        return section("calibration", title, paragraph(said), summary=said)
    parts: list[str] = []
    summary = ""
    for name, card in drawn:
        summary = _reading(card)
        parts.append(_dots(name, card, summary))
    return section("calibration", title, *parts, summary=summary)


def _reading(card: Results) -> str:
    told = card["all"]
    span = (
        f"exactly {told['least']}"
        if told["least"] == told["most"]
        else f"between {told['least']} and {told['most']}"
    )
    inside = told["least"] <= told["happened"] <= told["most"]
    alone = told["least_alone"] <= told["happened"] <= told["most_alone"]
    verdict = (
        "too few outcomes to find fault"
        if inside and alone
        else "so the chances were off, unless questions on one driver go together as they are taken to"
        if inside
        else "the chances were off, even for so few outcomes"
    )
    return (
        f"Of {words.counted(told['n'], 'question', 'questions')} {told['happened']} came true; the "
        f"chances add up to {words.fixed(told['expected'], 1)}. Were all of them right, {span} would "
        f"come true nine times in ten if questions on one driver go together, and between "
        f"{told['least_alone']} and {told['most_alone']} if each stood alone: {verdict}."
    )


def _dots(name: str, card: Results, reading: str) -> Html:
    rows = sorted(card["questions"], key=lambda row: (row["probability"], row["id"]))
    groups = card["calibration"]
    which = "the record" if name == "record" else "the backtest"
    lines: list[Sequence[str]] = [
        (
            f"{row['id']}: {row['question']}",
            words.percent(row["probability"], 0.0),
            "yes" if row["outcome"] else "no",
            row["driver"],
        )
        for row in rows
    ]
    more = table(
        "Groups of like chances",
        columns("Chances from", "Questions", "Add up to", "Came true", "If right, 90%",
                "If right and alone", "Independent", numeric=[1, 2, 3, 4, 5, 6]),
        [
            (
                f"{words.percent(group['start'])} to {words.percent(group['stop'])}",
                str(group["n"]),
                words.fixed(group["expected"], 1),
                str(group["happened"]),
                f"{group['least']} to {group['most']}",
                f"{group['least_alone']} to {group['most_alone']}",
                words.fixed(group["independent"], 1),
            )
            for group in groups
        ],
    )  # fmt: skip
    return figure(
        f"figure-calibration-{anchor(name)}",
        lambda ax: plots.calibration(
            ax,
            [row["probability"] for row in rows],
            [row["outcome"] for row in rows],
            [row["id"] for row in rows],
            forecast=[group["forecast"] for group in groups],
            frequency=[group["frequency"] for group in groups],
            lower=[group["least"] / group["n"] for group in groups],
            upper=[group["most"] / group["n"] for group in groups],
            inner=[
                (group["least_alone"] / group["n"], group["most_alone"] / group["n"])
                for group in groups
            ],
        ),
        title=f"What was said and what happened, in {which}",
        reading=f"{reading} Each dot is a question, above if it came true; a bar is where the share of its group "
        "would lie nine times in ten if the chances were right, the strong part if each question stood alone; a "
        "diamond is where it lies.",
        alt=reading,
        heads=columns("Question", "Said", "Came true", "Driver", numeric=[1]),
        rows=lines,
        height=390,
        narrow_height=340,
        width=620,
        more=more,
    )
