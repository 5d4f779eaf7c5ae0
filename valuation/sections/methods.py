"""How the answer is computed, and whether its intervals hold: equations, sources, calibration, coverage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from valuation import plots
from valuation.sections import words
from valuation.sections.parts import (
    Html,
    Section,
    anchor,
    columns,
    details,
    esc,
    figure,
    get,
    join,
    paragraph,
    section,
    table,
    tag,
)

Results = Mapping[str, Any]

EVIDENCE_EQUATIONS = (
    "log likelihood of a row = log(c p(y | θ) + (1 − c) p₀(y)),   p₀(y) = prior mean of p(y | θ)",
    "sightings of one person at t₁ < t₂: S(t₁), then S(t₂)/S(t₁);  an exit at t after them: f(t)/S(t₂)",
)
UPDATE_EQUATIONS = (
    "log weight of a draw = log prior + log likelihood, both of the new state, − log density it was drawn under",
    "share of an item = mean over all orders of [answer once it is in − answer just before]",
)
# By component, as `value.TERMS` has them: what falls due in a year, positive towards the acquirer.
FLOWS: Mapping[str, str] = {
    "outlay": "− (equity + other), on the day of closing",
    "stake": "share × revenue × multiple × (1 − discount for no votes and no market), in the year of the sale",
    "data_services": "need × saving − (purchases − need)⁺ + prepaid × min(1, need / floor),   need = share × spending",
    "talent": "cost of hiring them elsewhere × fraction still there, over the months that count",
    "capability": "revenue × uplift × closeness(gap) × part due to the deal × margin × (1 − tax)",
    "denial": "harm to rivals × (their business without the deal − with it)⁺, over the years that count",
    "retention_pay": "− promised pay × fraction still there",
    "integration_cost": "− cost, spread evenly",
    "regulation_cost": "− cost, in the quarter in which an action opens",
}
# By definition of paying off, as `value.PAYS_OFF` has them.
PAYING: Mapping[str, str] = {
    "npv": "NPV > 0",
    "npv_financial": "NPV without the strategic components > 0",
    "stake_alone": "present value of the stake ≥ outlay",
    "moic": "returns up to the day, undiscounted ≥ multiple × outlay",
    "irr": "NPV at the hurdle rate ≥ 0",
    "no_impairment": "not written down up to the day",
}
WORTH_EQUATIONS = (
    "NPV = Σ over components and quarters q of flow(q) × (1 + r)^(−q/4),   one rate for the stake, one for all else",
    "P(pays off) = Σ wᵢ 1{future i pays off} / Σ wᵢ,   with the draws' own simulation error",
)
INFORMATION_EQUATIONS = (
    "EVPI = E maxₐ v(a) − maxₐ E v(a),   v(a) what option a still brings in a future",
    "EVPPI(φ) = E maxₐ E[v(a) | φ] − maxₐ E v(a),   E[· | φ] a regression on the draws, judged on others",
    "EVSI(y) = EVPPI of a report y, simulated in each future with the error and the truth of its kind",
    "0 ≤ EVSI(y about φ) ≤ EVPPI(φ) ≤ EVPPI(φ, ψ) ≤ EVPI",
)
OPINION_EQUATIONS = (
    "power α: p(θ | y) ∝ p(θ)^α p(y | θ), or p(θ) p(y | θ)^α;   sensitivity = distance of the answers per doubling",
    "shift of a prior by s: weight exp(s z),   z the normal score of a draw in its prior",
    "pool of prior sets: p = Σ over sets of weight × p(θ | y, set),   as a mixture of futures and not of averages",
)
SCORE_EQUATIONS = (
    "Brier = (p − o)²;   log = − log p(o);   CRPS = E|X − y| − ½ E|X − X′|",
    "over time = Σ score × days it stood / days the question lived;   skill = 1 − mean score / that of the base rate",
)
CALIBRATION_EQUATIONS = (
    "θ* ~ prior;   rows y ~ p(y | θ*), false ones from the prior;   place = P(f(θ) < f(θ*) | y)",
    "uniform places ⟺ N(x) = number of places up to x ~ Binomial(simulations, x) at every x",
)
SOURCES: Sequence[tuple[str, str]] = (
    (
        "Simulation-based calibration",
        "Talts, Betancourt, Simpson, Vehtari and Gelman 2018, arXiv:1804.06788",
    ),
    ("What else to rank", "Modrák, Moon, Kim, Bürkner and others 2023, doi:10.1214/23-BA1404"),
    (
        "Band around an empirical distribution",
        "Säilynoja, Bürkner and Vehtari 2022, doi:10.1007/s11222-022-10090-6",
    ),
    (
        "Smoothing of importance weights",
        "Vehtari, Simpson, Gelman, Yao and Gabry 2024, JMLR 25(72), arXiv:1507.02646",
    ),
    (
        "Pooling of several fits",
        "Shirts and Chodera 2008, Journal of Chemical Physics 129, 124105",
    ),
    ("Shares of a joint effect", "Shapley 1953; by orders: Castro, Gómez and Tejada 2009"),
    ("Worth of information", "Raiffa and Schlaifer 1961, Applied Statistical Decision Theory"),
    (
        "Its regression, for parameters",
        "Strong, Oakley and Brennan 2014, doi:10.1177/0272989X13505910",
    ),
    (
        "Its regression, for reports",
        "Strong, Oakley, Brennan and Breeze 2015, doi:10.1177/0272989X15575286",
    ),
    (
        "Powers of priors and likelihoods",
        "Kallioinen, Paananen, Bürkner and Vehtari 2024, doi:10.1007/s11222-023-10366-5",
    ),
    ("Scores of chances", "Brier 1950, Monthly Weather Review 78; Good 1952, JRSS B 14"),
    ("Proper scores, CRPS", "Gneiting and Raftery 2007, JASA 102, 359-378"),
    ("Convergence of chains", "Vehtari and others 2021, doi:10.1214/20-BA1221"),
    ("Walking a ledger by weights and fits", "Chopin 2002, Biometrika 89, 539-552"),
    ("Customers that never mind", "Farewell 1982, Biometrics 38, the mixture cure model"),
    ("Sampler", "Hoffman and Gelman 2014, JMLR 15, the No-U-Turn sampler"),
)
ANSWER = "answer"


def _equations(lines: Sequence[str]) -> Html:
    return tag(
        "pre", tag("code", Html("\n".join(esc(line) for line in lines))), class_="vl-equation"
    )


def _name(model: object) -> str:
    return words.upper_first(str(model).replace("_", " "))


def _label(text: object) -> str:
    """A label without brackets: ``gap steps[6]`` becomes words."""
    return words.upper_first(str(text).replace("[", ", ").replace("]", ""))


def method_models(results: Results) -> Section:
    """The equations of every sub-model, what it reads, and where its priors come from."""
    parts: list[str] = []
    models = list(get(results, "models"))
    for model in models:
        kinds = [str(kind["kind"]).replace("_", " ") for kind in model["reads"]]
        read = (
            f"Reads {words.listed(kinds)}: {words.counted(model['rows'], 'row', 'rows')}."
            if kinds
            else "No evidence observes it."
        )
        priors = table(
            f"Priors of {_name(model['model']).lower()}",
            columns("Parameter", "Prior", "Source"),
            [(str(p["label"]), str(p["describe"]), str(p["source"])) for p in model["priors"]],
            stack=True,
        )
        parts += [
            tag("h3", f"{_name(model['model'])}: {words.lower_first(str(model['title']))}"),
            _equations(model["equation"]),
            paragraph(read),
            details("Where its priors come from", priors),
        ]
    total = sum(int(model["rows"]) for model in models)
    summary = (
        f"{words.upper_first(words.counted(len(models), 'sub-model', 'sub-models'))} share one set of "
        f"draws and read {words.counted(total, 'row', 'rows')} of evidence."
    )
    return section("method-models", "The models", paragraph(summary), *parts, summary=summary)


def method_evidence(results: Results) -> Section:
    """How a row enters the likelihood."""
    grades = get(results, "credibility")
    told = [f"{grade} {words.percent(float(chance))}" for grade, chance in grades.items()]
    summary = (
        f"A claim is true with the probability c of its grade: {words.listed(told)}. A false claim says "
        "nothing, so a row that nobody believes moves nothing."
    )
    return section(
        "method-evidence",
        "How a row counts",
        _equations(EVIDENCE_EQUATIONS),
        paragraph(summary),
        summary=summary,
    )


def method_update() -> Section:
    """How news is weighed and its effect attributed."""
    summary = (
        "News weighs the draws that are stored, and each item's share is what it adds on average over "
        "every order in which the items could have come."
    )
    return section(
        "method-update",
        "How news is weighed and attributed",
        _equations(UPDATE_EQUATIONS),
        paragraph(
            "The largest weights are smoothed, and their tail says whether they can be trusted. If not, "
            "the model is fitted again and both fits are pooled, so that two runs of the sampler are "
            "never differenced. Shares add up to the whole change."
        ),
        summary=summary,
    )


def method_money() -> Section:
    """How drivers become flows, flows a value, and values a chance."""
    summary = (
        f"Each future's drivers give {len(FLOWS)} kinds of flows by quarter; their present value, or one of "
        f"{len(PAYING)} definitions of paying off, is told future by future, and averaged last."
    )
    flows = [f"{name.replace('_', ' ')} = {equation}" for name, equation in FLOWS.items()]
    paying = [f"{name.replace('_', ' ')}: {equation}" for name, equation in PAYING.items()]
    return section(
        "method-money",
        "How futures become money",
        paragraph(summary),
        _equations([*flows, "", *WORTH_EQUATIONS, "", *paying]),
        paragraph(
            "The number of index points behind the frontier counts by a logistic curve: half of the uplift is "
            "had at the distance that the deal's file calls near. A plus says that nothing below zero counts."
        ),
        summary=summary,
    )


def method_worth() -> Section:
    """How news, opinion and forecasts are judged."""
    summary = (
        "News is worth what choosing after it brings more than choosing without it; opinion is what the "
        "answer does when a prior counts for more or less; a forecast is scored by rules that reward "
        "whoever says what they believe."
    )
    return section(
        "method-worth",
        "How news, opinion and forecasts are judged",
        paragraph(summary),
        tag("h3", "Worth of information"),
        _equations(INFORMATION_EQUATIONS),
        tag("h3", "Share of opinion"),
        _equations(OPINION_EQUATIONS),
        tag("h3", "Scores"),
        _equations(SCORE_EQUATIONS),
        paragraph(
            "A choice is fitted on some draws and paid on others, so that chance is not mistaken for knowledge. "
            "Questions about one driver count as one outcome in every error of a score."
        ),
        summary=summary,
    )


def method_calibration(results: Results) -> Section:
    """Where truths lie in their posteriors, for every parameter, the drivers and the answer."""
    found = get(results, "calibration")
    groups: dict[str, list[Results]] = defaultdict(list)
    for row in found["quantities"]:
        groups[row["group"]].append(row)
    drawings = [
        _strays_figure(found, f"answer-{anchor(row['name'])}", _label(row["label"]), [row])
        for row in groups.pop(ANSWER, [])
    ]
    of_models = [
        _strays_figure(
            found,
            f"model-{anchor(name)}",
            f"{_name(name)}: {words.counted(len(rows), 'quantity', 'quantities')}",
            rows,
        )
        for name, rows in groups.items()
    ]
    summary = " ".join([_verdict(found), _paying(found)]).strip()
    return section(
        "method-calibration",
        "Does the machine know what it does not know",
        _equations(CALIBRATION_EQUATIONS),
        paragraph(
            f"{found['simulations']} truths were drawn from the prior. Each wrote a ledger with the kinds, "
            "subjects, dates and grades of the real one, false rows among them, by equations that are "
            "spelled apart from the likelihood. Each posterior is a weighted pool of "
            f"{words.fixed(found['pool_draws'], 0)} prior draws that holds the truth as one of its own, "
            "so that places are uniform exactly if all agrees; the sampler is held against such a pool "
            "in the tests."
        ),
        tag("p", summary, class_="" if found["passed"] else "vl-fail"),
        paragraph(
            "Each line is one quantity: at every probability, how many more truths than expected, in "
            "points, had less than that probability below them. Dark grey: where one quantity alone stays "
            f"{words.percent(float(found['one']['level']))} of the time; light grey: where all "
            f"{len(found['quantities'])} together stay but once in "
            f"{words.fixed(1.0 / float(found['family_error']), 0)} runs of a faultless machine."
        ),
        tag("div", join(drawings), class_="vl-grid"),
        details(
            "Every parameter, by sub-model",
            tag("div", join(of_models), class_="vl-grid"),
            finding=f"{sum(len(rows) for rows in groups.values())} quantities, a line each.",
        ),
        paragraph(_limits(found)),
        summary=summary,
    )


def _verdict(found: Results) -> str:
    worst = found["worst"]
    count = len(found["quantities"])
    if found["passed"]:
        return (
            f"None of {count} quantities strays further than chance allows. The one that strays most is "
            f"“{_label(worst['label'])}”; in {words.percent(float(worst['p_family']))} or less of runs of a "
            "faultless machine some quantity strays as far."
        )
    return (
        f"At least one of {count} quantities is miscalibrated: “{_label(worst['label'])}” strays further "
        f"than a faultless machine would once in {words.fixed(1.0 / float(found['family_error']), 0)} runs."
    )


def _paying(found: Results) -> str:
    paid = found["pays_off"]
    if paid is None:
        return ""
    off = float(paid["off_sd"])
    return (
        f"The deal paid off in {words.percent(float(paid['happened']))} of these worlds; the posteriors "
        f"said {words.percent(float(paid['said']))} on average, a difference of "
        f"{words.fixed(abs(off), 1)} standard errors."
    )


def _limits(found: Results) -> str:
    least = found["detectable"]
    return (
        f"With {found['simulations']} simulations the test finds, in "
        f"{words.percent(float(least['power']))} of cases, a posterior whose centre is off by "
        f"{words.fixed(least['bias_sd'], 2)} of its standard deviations, or that is too narrow by a factor "
        f"{words.fixed(least['narrow'], 2)} or too wide by {words.fixed(least['wide'], 1)}. Less than that "
        "goes unseen here, the more so where the pool is worth few draws "
        f"({words.fixed(found['effective_median'], 0)} in the middle case), and a quantity that no row "
        "touches would pass whatever its likelihood said. Small errors of a formula are found by holding "
        "each likelihood against a closed form instead. And all of this asks whether the machine fits "
        "its own assumptions, never whether the assumptions fit the world."
    )


def _strays_figure(found: Results, id: str, title: str, rows: Sequence[Results]) -> Html:
    ends = [(found[band]["lower"], found[band]["upper"]) for band in ("one", "every")]
    worst = min(rows, key=lambda row: float(row["p"]))
    alone = words.percent(float(worst["p"]))
    reading = (
        f"{title}. Strays as far in {alone} of runs of a faultless machine."
        if len(rows) == 1
        else f"{title}. The one that strays most is “{_label(worst['label'])}”: as far in {alone} of "
        "runs, looked at alone."
    )
    step = max(len(found["points"]) // 4, 1)
    at = range(step, len(found["points"]), step)
    return figure(
        f"figure-strays-{id}",
        partial(
            plots.rank_strays,
            points=found["points"],
            lines=[row["strays"] for row in rows],
            one=ends[0],
            every=ends[1],
            label=title,
        ),
        title=title,
        reading=reading,
        heads=columns(
            "Quantity",
            *(f"Beyond expected at {words.percent(found['points'][j])}" for j in at),
            "Strays as far alone",
            numeric=range(1, 2 + len(at)),
        ),
        rows=[
            (
                _label(row["label"]),
                *(words.signed(100 * float(row["strays"][j]), 0) for j in at),
                words.percent(float(row["p"])),
            )
            for row in rows
        ],
        height=210,
        half=True,
    )


def method_coverage(results: Results) -> Section:
    """How often intervals held their truth, by the number of observations."""
    rows = list(get(results, "coverage"))
    left_out = " ".join(
        f"{_name(m['model'])} is left out: {m['why']}." for m in results["uncovered"]
    )
    id, title = "method-coverage", "Do intervals hold what they promise"
    if not rows:
        summary = "No interval could be held against its truth."
        return section(id, title, paragraph(f"{summary} {left_out}".strip()), summary=summary)
    kept = sum(1 for row in rows if row["kept"])
    first = rows[0]
    summary = (
        f"{kept} of {len(rows)} intervals hold their truth as often as they say, within the range that "
        f"{first['simulations']} simulations allow."
    )
    body = table(
        "Coverage of central intervals by the number of observations",
        columns(
            "Quantity",
            "Observations",
            "Interval",
            "Held the truth",
            "May hold",
            "Width against the prior's",
            "As promised",
            numeric=range(1, 6),
        ),
        [
            (
                f"{_name(row['model'])}: {words.lower_first(str(row['quantity']))}",
                str(row["observations"]),
                words.percent(float(row["level"])),
                words.percent(float(row["share"])),
                f"{words.percent(float(row['lower']))} to {words.percent(float(row['upper']))}",
                words.percent(float(row["width"])),
                tag(
                    "span",
                    "yes" if row["kept"] else "NO",
                    class_="vl-yes" if row["kept"] else "vl-fail",
                ),
            )
            for row in rows
        ],
        stack=True,
    )
    return section(
        id,
        title,
        paragraph(f"{summary} {left_out}".strip()),
        body,
        paragraph(
            "“May hold” is where the count of a faultless interval lies in "
            f"{words.fixed(100 * float(first['band_level']), 1)}% of runs. The width is that of the "
            "central nine tenths, and shows how much so many observations teach."
        ),
        summary=summary,
    )


def method_sources() -> Section:
    """Where the methods come from."""
    body = table(
        "Sources of the methods", columns("Method", "Source"), list(SOURCES), hidden_caption=True
    )
    return section(
        "method-sources",
        "Where the methods come from",
        body,
        summary=f"{len(SOURCES)} sources.",
    )
