"""Invented results with every key a page reads; the numbers mean nothing outside the tests."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Any

import numpy as np

DEFINITIONS = {
    "npv": "Net present value above zero, strategic value included",
    "npv_financial": "Net present value above zero without strategic value",
    "stake_alone": "The stake alone recovers the outlay",
    "moic": "Money back by June 2032",
    "irr": "A return of at least 10% a year",
    "no_impairment": "No write-down below 70% by the end of 2027",
}

COMPONENTS = [
    ("outlay", "Outlay", False, -14.3, -14.3, -14.3),
    ("stake", "Stake at exit", False, 2.6, 0.2, 8.4),
    ("data_services", "Data services", False, 0.7, 0.1, 1.6),
    ("retention_pay", "Retention pay", False, -1.1, -2.0, -0.4),
    ("integration_cost", "Integration cost", False, -0.4, -0.9, -0.1),
    ("regulation_cost", "Regulation cost", False, -0.1, -0.6, 0.0),
    ("talent", "Talent", True, 3.2, 1.1, 6.3),
    ("capability", "Capability", True, 5.1013, 0.0, 21.5),
    ("denial", "Denial of rivals", True, 0.4, 0.0, 1.3),
]


def _dates(count: int, step_months: int = 3) -> list[str]:
    start = dt.date(2025, 6, 12)
    out = []
    for index in range(count):
        months = start.month - 1 + index * step_months
        out.append(dt.date(start.year + months // 12, months % 12 + 1, 12).isoformat())
    return out


def _fan(label: str, units: str, start: float, end: float, spread: float) -> dict[str, Any]:
    dates = _dates(41)
    time = np.linspace(0, 1, len(dates))
    middle = start + (end - start) * (1 - np.exp(-2.4 * time)) / (1 - np.exp(-2.4))
    width = spread * np.sqrt(time)
    low, high = middle - width, middle + 1.3 * width
    inner_low, inner_high = middle - 0.4 * width, middle + 0.5 * width
    if units == "fraction":
        low, inner_low, inner_high, high = (
            np.clip(c, 0, 1) for c in (low, inner_low, inner_high, high)
        )
    return {
        "label": label,
        "units": units,
        "dates": dates,
        "lower": low.round(4).tolist(),
        "lower50": inner_low.round(4).tolist(),
        "median": middle.round(4).tolist(),
        "upper50": inner_high.round(4).tolist(),
        "upper": high.round(4).tolist(),
        "mean": (middle + 0.1 * width).round(4).tolist(),
    }


def _evidence() -> list[dict[str, Any]]:
    kinds = [
        ("departure", "Ruben Example", "blank"),
        ("customer_ended", "Google", "blank"),
        ("quality_report", "Scale AI", "-1"),
        ("revenue", "Scale AI", "0.87"),
        ("", "", ""),
    ]
    rows = []
    for index in range(40):
        kind, subject, value = kinds[index % len(kinds)]
        scored = bool(kind) and index % 7 != 3
        day = dt.date(2025, 6, 13) + dt.timedelta(days=6 * index)
        rows.append(
            {
                "id": f"B{index:03d}",
                "published": day.isoformat(),
                "event_date": (day - dt.timedelta(days=1)).isoformat(),
                "claim": f"Claim number {index}: what a paper wrote about the two companies that day.",
                "source": "S3",
                "publisher": "Example News",
                "address": f"https://example.org/news/{index}",
                "root": f"example-{index // 2}",
                "credibility": "ABCD"[index % 4],
                "c": [0.97, 0.85, 0.6, 0.3][index % 4],
                "kind": kind,
                "subject": subject,
                "value": value,
                "scored": scored,
                "note": "repeats B001" if kind and not scored else "",
            }
        )
    return rows


def example_questions() -> list[dict[str, Any]]:
    """Open questions: the model answers one and says how much of another, a person answers one, a base rate one."""
    said: list[tuple[str, float | None, float | None, str]] = [
        ("Q02", 0.71, 0.008, "model"),
        ("Q24", 0.3, None, "Ann Example"),
        ("Q27", 0.69, None, "base rate"),
        ("Q39", None, None, "model"),
    ]
    values = [0.5 + 0.05 * i for i in range(20)]
    return [
        {
            "id": number,
            "question": f"Does {number} come true?",
            "opens": "2025-06-12",
            "closes": "2026-06-12" if number == "Q02" else "2026-12-31",
            "resolution_source": "Large newspapers",
            "fine_print": "A report by two outlets.",
            "driver": "people" if by == "model" else "no model",
            "base_rate": None if number == "Q39" else 0.69,
            "base_rate_source": "C08",
            "base_value": 0.87 if number == "Q39" else None,
            "unit": "USD bn" if number == "Q39" else "",
            "lower": values[0] if number == "Q39" else None,
            "median": values[9] if number == "Q39" else None,
            "upper": values[18] if number == "Q39" else None,
            "quantiles": values if number == "Q39" else [],
            "probability": probability,
            "mcse": mcse,
            "by": by,
            "why": "" if by else "no model answers it",
        }
        for number, probability, mcse, by in said
    ]


def example_assumptions() -> dict[str, Any]:
    """Two terms, one of them the scenario's own, and two priors, one of them revised by somebody."""
    return {
        "terms": [
            {
                "key": "stake.exit_years", "label": "Stake is sold after", "unit": "years", "value": 7.0,
                "note": "judgement: no exit right is known", "changed": False,
            },
            {
                "key": "impairment.by", "label": "Written down or not by", "unit": "", "value": "2028-12-31",
                "note": "B003: the day of the accounts", "changed": True,
            },
        ],
        "priors": [
            {
                "name": "exit_multiple", "label": "Value over revenue at the exit", "unit": "x revenue",
                "lower": 1.9, "median": 6.8, "upper": 23.0, "source": "C62", "rationale": "Listed peers.",
                "date": "2026-02-28", "by": "",
            },
            {
                "name": "uplift", "label": "Uplift", "unit": "fraction", "lower": 0.005, "median": 0.019,
                "upper": 0.07, "source": "judgement", "rationale": "Rankings gain, text does not.",
                "date": "2026-03-01", "by": "Ann Example",
            },
        ],
    }  # fmt: skip


@cache
def example_live() -> dict[str, Any]:
    """Draws for a reader to move terms with; invented, and not those of the other numbers."""
    from builders import deal, drivers

    from valuation.study.live import packed

    drawn = {
        name: drivers(draws=draws, random_seed=seed)
        for seed, (name, draws) in enumerate({"house": 400, "sceptic": 300}.items())
    }
    return packed(drawn, deal(), own="house", multiple=7.5)


def _judged() -> dict[str, Any]:
    """Pooled sets, powers, prior alone, shifts and rows left out, as a base case has them."""

    def powers(change: float, npv: float, why: str = "") -> dict[str, Any]:
        return {
            "weaker": change, "weaker_mcse": 0.002, "stronger": -0.7 * change, "stronger_mcse": 0.002,
            "change": change, "change_mcse": 0.002, "npv_weaker": 20 * change, "npv_weaker_mcse": 0.1,
            "npv_stronger": -14 * change, "npv_stronger_mcse": 0.1, "npv": npv, "drivers": {"revenue": 0.2},
            "khat": 0.31, "effective_draws": 2400.0, "why": why,
        }  # fmt: skip

    def told(chance: float, mean: float) -> dict[str, float]:
        return {
            "probability": chance, "mcse": 0.005, "npv_mean": mean, "npv_mcse": 0.11, "npv_median": mean - 2,
            "npv_lower": -13.8, "npv_upper": 5.9,
        }  # fmt: skip

    def shift(name: str, label: str, at: float | None, reach: float, method: str) -> dict[str, Any]:
        return {
            "prior": name, "label": label, "unit": "fraction", "model": "worth", "shift": at, "reach": reach,
            "unreachable": at is None and abs(reach) == 3.0, "probability": 0.5 if at else 0.31,
            "khat": None if method == "moved" else 0.2, "method": method, "median": 0.02, "median_there": 0.09,
        }  # fmt: skip

    def row(id: str, claim: str, change: float | None, why: str = "") -> dict[str, Any]:
        error = None if change is None else 0.004
        return {
            "id": id, "claim": claim, "kind": "revenue", "subject": "Maker", "change": change, "mcse": error,
            "npv_change": None if change is None else 20 * change, "npv_mcse": None if change is None else 0.1,
            "khat": 0.9 if why else 0.2, "effective_draws": 1900.0, "returns": [], "why": why,
        }  # fmt: skip

    far = "the stored draws do not reach far enough (Pareto k 0.90)"
    return {
        "target": 0.5,
        "pooled": {
            "weights": {"house": 1 / 3, "sceptic": 1 / 3, "enthusiast": 1 / 3},
            **{k: v for k, v in told(0.21, -4.1).items() if k != "npv_median"},
            "low": 0.06, "high": 0.41, "between": 0.09, "npv_between": 0.17,
            "shares_after": {"house": 0.4, "sceptic": 0.2, "enthusiast": 0.4},
            "probability_after": 0.25, "probability_after_mcse": 0.005,
            "sentence": "Futures of all 3 prior sets in proportion to their weights give 21%.",
        },
        "scaling": {
            "alphas": [0.8, 1.25],
            "limit": 0.05,
            "models": [
                {"model": "revenue", "title": "What does it earn?", "parameters": 9, "rows": 5,
                 "prior": powers(0.051, 0.21), "likelihood": powers(-0.003, 0.02),
                 "diagnosis": "rests on the prior"},
                {"model": "worth", "title": "What is it worth?", "parameters": 8, "rows": 0,
                 "prior": powers(0.008, 0.06), "likelihood": None, "diagnosis": "rests on the prior"},
                {"model": "all", "title": "Every sub-model at once", "parameters": 17, "rows": 5,
                 "prior": powers(0.06, 0.4, far), "likelihood": powers(0.005, 0.03), "diagnosis": ""},
            ],
            "parameters": [
                {"parameter": "exit_multiple", "label": "Value over revenue", "model": "revenue",
                 "prior": 0.4, "likelihood": 0.12, "diagnosis": "prior and data disagree"},
                {"parameter": "uplift", "label": "Uplift", "model": "worth", "prior": 0.3,
                 "likelihood": None, "diagnosis": "rests on the prior"},
            ],
            "drivers": {"revenue": "Revenue of the target"},
            "sentence": "The priors of revenue move the chance by up to 5.1 points.",
        },
        "prior_only": {
            "prior": told(0.10, -7.2), "posterior": told(0.16, -3.3), "change": 0.06, "change_mcse": 0.007,
            "sentence": "The priors alone, valued by the same code, give 10.4%.",
        },
        "break_even_priors": {
            "furthest": 3.0,
            "rows": [
                shift("exit_multiple", "Value over revenue", 2.1, 3.0, "moved and reweighted"),
                shift("uplift", "Uplift", None, 3.0, "moved"),
                shift("liquidity", "Discount", None, -1.75, "reweighted"),
            ],
            "sentence": "Of 3 priors 1 could bring the answer to even odds alone.",
        },
        "influence": {
            "rows": [
                row("B077", "New customers are named.", 0.017), row("B003", "Not written down.", -0.012),
                *(row(f"B1{n}", "Little news.", 0.0001 * n) for n in range(6)),
                row("B061", "Revenue of the year.", None, far),
            ],
            "sentence": "Without B077 the probability would be 1.7 points higher.",
        },
        "elsewhere": "",
    }  # fmt: skip


def example_results() -> dict[str, Any]:
    """A complete ``results`` dict: 17 in 100, median NPV -5.2."""
    draws = np.random.default_rng(7)
    npv = np.sort(-14.3 + 6.0 + draws.lognormal(1.1, 1.15, 8000) - 1.2 * draws.normal(1, 1, 8000))
    dots = np.quantile(npv, (np.arange(100) + 0.5) / 100)
    paying = int((dots > 0).sum())
    chance = float((npv > 0).mean())
    quantiles = {str(q): float(np.quantile(npv, q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
    prices = np.linspace(0, 20, 21)
    rates = np.linspace(0, 0.25, 26)
    x = np.linspace(0, 1, 15)
    y = np.linspace(0, 40, 14)
    grid = 1 / (1 + np.exp(-(6 * x[None, :] + 0.14 * y[:, None] - 6.4)))
    chances = {
        "npv": chance,
        "npv_financial": 0.04,
        "stake_alone": 0.012,
        "moic": 0.24,
        "irr": 0.13,
        "no_impairment": 0.71,
    }
    drivers = {
        "talent_retained": _fan("Talent retained", "fraction", 1.0, 0.34, 0.22),
        "adoption_share": _fan("Share of the acquirer's data spending", "fraction", 0.3, 0.22, 0.2),
        "revenue": _fan("Revenue of the target", "USD bn per year", 1.5, 1.1, 0.9),
        "rivals_active": _fan("Rival customers still buying", "fraction", 1.0, 0.18, 0.14),
        "founder_in_post": _fan("Founder in post", "0 or 1", 1.0, 0.4, 0.3),
        "capability_gap": _fan("Gap to the frontier", "index points", 18.0, 11.0, 9.0),
    }
    dates = ["2026-06-12", "2027-06-12", "2029-06-12"]
    people = [
        ("Alexandr Wang", "founder", [0.88, 0.71, 0.48]),
        ("Star Example", "stars", [0.80, 0.62, 0.41]),
        ("Mover Example", "movers", [0.77, 0.58, 0.37]),
        ("Ruben Example", "movers", [0.0, 0.0, 0.0]),
        ("Legacy researchers", "legacy", [0.69, 0.55, 0.36]),
    ]
    customers = [
        ("Google", "rival_lab", 1, [0.02, 0.02, 0.04]),
        ("OpenAI", "rival_lab", 1, [0.01, 0.01, 0.02]),
        ("Microsoft", "technology", 1, [0.44, 0.33, 0.22]),
        ("US government", "government", 0, [0.91, 0.82, 0.66]),
        ("Other enterprise", "enterprise", 0, [0.81, 0.68, 0.49]),
    ]
    return {
        "schema": 1,
        "deal": {
            "name": "meta_scale",
            "title": "Meta's USD 14.3 bn for 49% of Scale AI",
            "acquirer": "Meta",
            "target": "Scale AI",
            "currency": "USD",
            "outlay_usd_bn": 14.3,
            "stake": 0.49,
            "closed": "2025-06-12",
            "discount_per_year": 0.088,
            "hurdle_per_year": 0.10,
        },
        "scenario": {
            "scenario": "base",
            "title": "Base",
            "story": "What the evidence says, with nothing assumed on top.",
            "probability": 1.0,
            "probability_mcse": 0.0,
            "conditions": [],
            "sets": [],
            "prior_set": "house",
        },
        "as_of": "2026-02-28",
        "run": {
            "seed": 20250612,
            "created": "2026-03-01T09:30:00+00:00",
            "digests": {"ledger": "a" * 64, "priors": "b" * 64, "deal": "c" * 64, "code": "d" * 64},
            "versions": {"python": "3.13.1", "pymc": "6.4.0", "arviz": "1.3.0"},
            "sampler": "nutpie",
            "override": "",
        },
        "freshness": {"day": "2026-03-01", "newest": "2026-02-28", "days": 1, "warnings": []},
        "live": example_live(),
        "headline": {
            "definition": "npv",
            "label": DEFINITIONS["npv"],
            "probability": chance,
            "mcse": 0.0061,
            "natural": f"{paying} in 100",
            "npv_mean": float(npv.mean()),
            "npv_median": quantiles["0.5"],
            "npv_lower": quantiles["0.05"],
            "npv_upper": quantiles["0.95"],
            "ci_prob": 0.90,
            "opinion_low": 0.06,
            "opinion_high": 0.41,
        },
        "definitions": [
            {"definition": k, "label": DEFINITIONS[k], "probability": p, "mcse": 0.006}
            for k, p in chances.items()
        ],
        "npv_quantiles": quantiles,
        "npv_dots": dots.round(3).tolist(),
        "components": [
            dict(
                zip(("component", "label", "strategic", "mean", "lower", "upper"), row, strict=True)
            )
            for row in COMPONENTS
        ],
        "cash": _fan("Cumulative cash", "USD bn", -14.3, -4.0, 9.0),
        "price": [
            {"price_usd_bn": float(p), "probability": float(1 / (1 + np.exp(0.42 * (p - 10.5))))}
            for p in prices
        ],
        "hurdle": [
            {
                "rate": float(r),
                "probability": float(0.42 / (1 + np.exp(22 * (r - 0.08)))),
                "npv_mean": float(6 - 80 * r),
            }
            for r in rates
        ],
        "tornado": [
            _tornado(
                "uplift_at_frontier", "Uplift at the frontier", "fraction", 0.002, 0.03, -8.1, 4.3
            ),
            _tornado(
                "share_due_to_deal", "Share due to this deal", "fraction", 0.02, 0.3, -7.4, 1.9
            ),
            _tornado("talent_retained", "Talent retained", "fraction", 0.18, 0.62, -6.5, -0.9),
            _tornado("capability_gap", "Gap to the frontier", "index points", 2, 24, -0.8, -6.2),
            _tornado("exit_multiple", "Exit multiple", "x revenue", 1.1, 7.9, -5.4, -1.7),
            _tornado("revenue", "Revenue of the target", "USD bn per year", 0.4, 2.7, -5.0, -2.2),
            _tornado("adoption_share", "Share of data spending", "fraction", 0.05, 0.5, -4.2, -3.0),
            _tornado("denial_usd_bn", "Denial of rivals", "USD bn", 0.0, 1.2, -3.9, -3.2),
        ],
        "break_even": {
            "x_label": "Share of the uplift due to this deal, %",
            "y_label": "Uplift of revenue at the frontier, USD bn per year",
            "x": (100 * x).tolist(),
            "y": y.tolist(),
            "probability": grid.tolist(),
        },
        "break_even_values": [
            {
                "driver": "uplift_at_frontier",
                "label": "Uplift at the frontier",
                "unit": "fraction",
                "value": 0.021,
                "at_least": True,
                "probability": 0.17,
            },
            {
                "driver": "exit_multiple",
                "label": "Exit multiple",
                "unit": "x revenue",
                "value": None,
                "at_least": True,
                "probability": None,
            },
        ],
        "payback": {
            "median_years": None,
            "never": 0.71,
            "irr_median": -0.04,
            "irr_undefined": 0.02,
            "moic_median": 0.6,
        },
        "prior_sets": [
            _prior_set("house", "House view", chance, float(npv.mean()), "sampled"),
            _prior_set("sceptic", "Sceptic", 0.06, -7.7, "reweighted"),
            _prior_set("enthusiast", "Enthusiast", 0.41, 2.4, "refitted"),
        ],
        "opinion": {
            "range": 0.35,
            "share": 0.58,
            "sentence": "Changing only the priors moves the chance from 6 to 41 in 100.",
            **_judged(),
        },
        "drivers": drivers,
        "people": [
            {"subject": s, "cohort": c, "probability_in_post": dict(zip(dates, p, strict=True))}
            for s, c, p in people
        ],
        "survival": [
            {
                "cohort": cohort,
                "months": [0, 12, 24, 36],
                "lower": [1.0, 0.7, 0.5, 0.3],
                "median": [1.0, 0.8, 0.6, 0.5],
                "upper": [1.0, 0.9, 0.8, 0.7],
                "marks": marks,
            }
            for cohort, marks in (
                (
                    "star_hire",
                    [
                        {"month": 8.2, "label": "A. Person", "status": "exit"},
                        {"month": 6.0, "label": "B. Person", "status": "seen"},
                    ],
                ),
                ("legacy", []),
            )
        ],
        "customers": [
            {
                "subject": s,
                "segment": g,
                "rival": r,
                "revenue_share": 0.2 if r else 0.0,
                "probability_active": dict(zip(dates, p, strict=True)),
            }
            for s, g, r, p in customers
        ],
        "evidence": _evidence(),
        "evidence_counts": {"total": 40, "typed": 32, "scored": 27, "context": 8},
        "shrinkage": [
            {
                "parameter": f"parameter_{index}",
                "label": label,
                "prior_mean": 0.0,
                "prior_sd": 1.0,
                "mean": mean,
                "sd": sd,
                "contraction": 1 - sd**2,
            }
            for index, (label, mean, sd) in enumerate(
                [
                    ("How well the two mesh", -0.62, 0.71),
                    ("Log hazard, movers", 0.21, 0.55),
                    ("Conflict effect on rivals", 1.9, 0.38),
                    ("Quality of the target's data", -0.4, 0.83),
                    ("Share due to this deal", 0.0, 1.0),
                ]
            )
        ],
        "questions": example_questions(),
        "assumptions": example_assumptions(),
        **example_worth(),
        "outside_view": {
            "successes": 17,
            "n": 56,
            "rate": 0.304,
            "lower": 0.20,
            "upper": 0.43,
            "mixed": 9,
            "left_out": 4,
        },
        "diagnostics": [
            _check("rhat", 1.004, 1.01, "Largest R-hat is 1.004; the limit is 1.01."),
            _check(
                "ess_bulk", 812.0, 400.0, "Smallest bulk effective sample is 812; at least 400."
            ),
            _check("divergences", 0.0, 0.0, "No divergent transitions."),
        ],
    }


def _tornado(
    driver: str, label: str, unit: str, low: float, high: float, npv_low: float, npv_high: float
) -> dict[str, Any]:
    return {
        "driver": driver,
        "label": label,
        "unit": unit,
        "low_value": low,
        "high_value": high,
        "npv_low": npv_low,
        "npv_high": npv_high,
    }


def _prior_set(name: str, label: str, chance: float, mean: float, method: str) -> dict[str, Any]:
    return {
        "prior_set": name,
        "label": label,
        "probability": chance,
        "mcse": 0.008,
        "npv_mean": mean,
        "khat": 0.31 if method == "reweighted" else None,
        "effective_draws": 1480.0,
        "method": method,
    }


def _check(check: str, value: float, limit: float, sentence: str) -> dict[str, Any]:
    return {"check": check, "value": value, "limit": limit, "passed": True, "sentence": sentence}


def conditional_results() -> dict[str, Any]:
    """The same with a condition and a thing set by assumption."""
    results = example_results()
    results["opinion"] |= dict.fromkeys(("scaling", "prior_only", "break_even_priors", "influence"))
    results["opinion"]["elsewhere"] = "How far it hangs on each prior is told in the base case."
    results["scenario"] = {
        "scenario": "bear",
        "title": "Founder leaves before vesting",
        "story": "The founder goes and rivals stay away.",
        "probability": 0.231,
        "probability_mcse": 0.007,
        "conditions": ["The founder leaves before 12 June 2027."],
        "sets": [
            "From 12 June 2026 the acquirer's expert-data spending is multiplied by 0.5 "
            "(set, not predicted)."
        ],
        "prior_set": "house",
    }
    return results


def example_model_results() -> dict[str, Any]:
    """What a model notebook shows, invented."""
    grid = np.linspace(-3, 3, 61)

    def normal(mean: float, sd: float) -> list[float]:
        return (np.exp(-0.5 * ((grid - mean) / sd) ** 2) / sd / np.sqrt(2 * np.pi)).tolist()

    densities = [
        {
            "name": f"parameter_{index}",
            "label": label,
            "unit": "log hazard per month",
            "grid": grid.tolist(),
            "prior": normal(0.0, 1.0),
            "posterior": normal(mean, sd),
            "prior_mean": 0.0,
            "prior_sd": 1.0,
            "mean": mean,
            "sd": sd,
            "describe": "normal(mu=0, sigma=1)",
            "source": "C10",
            "rationale": "What such deals have shown.",
        }
        for index, (label, mean, sd) in enumerate(
            [
                ("Hazard, movers", 0.6, 0.4),
                ("Hazard, stars", -0.4, 0.6),
                ("Mesh loading", 0.0, 0.95),
            ]
        )
    ]
    months = np.arange(0, 61, 2)

    def band(rate: float, spread: float) -> dict[str, list[float]]:
        return {
            "lower": np.exp(-(rate + spread) * months).tolist(),
            "median": np.exp(-rate * months).tolist(),
            "upper": np.exp(-max(rate - spread, 0.001) * months).tolist(),
        }

    checks = [
        {
            "id": f"B{index:03d}",
            "kind": kind,
            "subject": subject,
            "label": f"{subject}, {what}",
            "observed": seen,
            "unit": unit,
            "prior_lower": seen * 0.2,
            "prior_median": seen * 0.8 + 0.2,
            "prior_upper": seen * 2.0 + 1,
            "posterior_lower": seen * 0.6,
            "posterior_median": seen * 0.9 + 0.1,
            "posterior_upper": seen * 1.4 + 0.5,
        }
        for index, (kind, subject, what, seen, unit) in enumerate(
            [
                ("group_exits", "Legacy researchers", "exits by 2025-09-01", 9.0, "count"),
                ("group_exits", "Movers", "exits by 2025-12-31", 4.0, "count"),
                ("departure", "Ruben Example", "left in month", 2.5, "months"),
                ("departure", "Star Example", "left in month", 5.2, "months"),
            ]
        )
    ]
    base = example_results()
    for check in checks:
        if check["kind"] == "departure":
            check |= {"observed": 1.0, "unit": "probability of what was reported"}
            for end, share in (("lower", 0.2), ("median", 0.4), ("upper", 0.6)):
                check |= {f"prior_{end}": share / 2, f"posterior_{end}": share}
    return {
        "schema": 1,
        "deal": base["deal"],
        "as_of": base["as_of"],
        "run": base["run"],
        "model": "retention",
        "title": "Retention",
        "equation": [
            "log h[g,k] = log h0[k] + α[g] − λ_R z",
            "k ~ Binomial(n, ρ_g F_g(t))",
        ],
        "reads": [
            {"kind": "departure", "meaning": "left of their own will", "unit": "months"},
            {"kind": "sighting", "meaning": "in post on event_date", "unit": ""},
            {"kind": "group_exits", "meaning": "exits by event_date", "unit": "count"},
        ],
        "densities": densities,
        "checks": checks,
        "curves": [
            {
                "name": "movers",
                "label": "Movers still in post",
                "units": "fraction",
                "months": months.tolist(),
                "dates": _dates(len(months), 2),
                "prior": band(0.02, 0.012),
                "posterior": band(0.03, 0.007),
                "marks": [
                    {"month": 2.5, "label": "Ruben Example", "status": "exit"},
                    {"month": 7.0, "label": "Mover Example", "status": "seen"},
                    {"month": 6.0, "label": "Movers", "status": "reported"},
                ],
            }
        ],
        "rows": [row for row in _evidence() if row["kind"] == "departure"],
        "diagnostics": example_results()["diagnostics"],
        "summary": [
            {
                "name": d["name"],
                "label": d["label"],
                "mean": d["mean"],
                "sd": d["sd"],
                "lower": d["mean"] - 1.64 * d["sd"],
                "upper": d["mean"] + 1.64 * d["sd"],
                "rhat": 1.002,
                "ess_bulk": 1450.0,
                "ess_tail": 1320.0,
            }
            for d in densities
        ],
    }


def example_comparison() -> dict[str, Any]:
    """Nine scenarios as ``compare`` returns them, invented."""
    names = [
        ("base", "Base", 0.0, 1.0, False),
        ("founder_leaves", "Founder leaves before vesting", -2.0, 0.23, False),
        ("exodus", "Talent exodus", -3.1, 0.18, False),
        ("renaissance", "Data renaissance", 2.2, 1.0, True),
        ("rivals_return", "Rivals return as customers", 0.9, 0.04, False),
        ("collapse", "Rivals all gone and revenue collapses", -2.6, 0.31, False),
        ("frontier", "Frontier reached", 8.4, 0.12, False),
        ("denial", "Acqui-kill", -1.2, 1.0, True),
        ("regulation", "Regulatory action", -1.6, 0.05, False),
    ]
    base = example_results()
    scenarios = []
    for name, title, shift, probability, is_set in names:
        head = dict(base["headline"])
        chance = min(0.95, max(0.01, head["probability"] + 0.03 * shift))
        head |= {
            "probability": chance,
            "natural": f"{round(100 * chance)} in 100",
            "npv_mean": head["npv_mean"] + shift,
            "npv_median": head["npv_median"] + shift,
            "npv_lower": head["npv_lower"] + shift,
            "npv_upper": head["npv_upper"] + shift,
        }
        scenarios.append(
            {
                "scenario": {
                    "scenario": name,
                    "title": title,
                    "story": f"What if: {title.lower()}.",
                    "probability": probability,
                    "probability_mcse": 0.006,
                    "conditions": [] if is_set or name == "base" else [title.lower()],
                    "sets": [f"{title.lower()}, by assumption"] if is_set else [],
                    "prior_set": "house",
                },
                "headline": head,
                "definitions": base["definitions"],
                "npv_quantiles": base["npv_quantiles"],
                "components": base["components"],
            }
        )
    return {
        "schema": 1,
        "deal": base["deal"],
        "as_of": base["as_of"],
        "run": base["run"],
        "scenarios": scenarios,
        "diagnostics": base["diagnostics"],
    }


def example_scores() -> dict[str, Any]:
    """A scorecard: a record of one run, and a backtest of four questions and a quantity."""
    import datetime as dt

    from valuation.questions import Question
    from valuation.record import Forecast
    from valuation.scorecard import card

    results = example_results()
    opens, closes, known = dt.date(2025, 6, 12), dt.date(2025, 12, 31), dt.date(2025, 11, 1)
    chances = {"Q1": (0.9, "yes"), "Q2": (0.2, "yes"), "Q3": (0.4, "no"), "Q4": (0.85, "yes")}
    events = {"Q1": "in_post", "Q2": "in_post", "Q3": "milestone", "Q4": "customer_end"}
    asked = [
        Question(
            name, f"Was {name} so?", opens, closes, events[name], base_rate=0.5, outcome=told,
            resolved=known,
        )
        for name, (_, told) in chances.items()
    ]  # fmt: skip
    asked.append(
        Question(
            "Q5", "How much was Q5?", opens, closes, "revenue", outcome="measured", resolved=known,
            unit="USD bn", value=0.9, base_value=0.87,
        )
    )  # fmt: skip
    made = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
    said = [
        Forecast(made, "then", "meta_scale", "base", made.date(), name, chance, 0.004)
        for name, (chance, _) in chances.items()
    ]
    values = tuple(0.5 + 0.05 * i for i in range(20))
    said.append(Forecast(made, "then", "meta_scale", "base", made.date(), "Q5", None, None, values))
    late = made.replace(month=12)
    said.append(Forecast(late, "after", "meta_scale", "base", late.date(), "Q2", 0.99, 0.001))
    word = {"made": "2026-03-01", "probability": 0.71, "mcse": 0.008, "median": None}
    keys = ("deal", "as_of", "run", "freshness", "diagnostics", "questions")
    return {
        "schema": 1,
        **{key: results[key] for key in keys},
        "record": {
            **card(asked, []),
            "runs": 1,
            "forecasts": 9,
            "first": "2026-03-01T12:00:00+00:00",
            "last": "2026-03-01T12:00:00+00:00",
            "frozen": [
                {"question": "Q02", "label": "Does Q02 come true?", "forecasts": 1,
                 "first": word, "last": word, "late": True},
            ],
        },
        "backtest": {
            **card(asked, said), "as_of": results["as_of"], "dates": ["2025-06-12", "2025-07-01"],
            "paths": {"Q1": [["2025-07-01", 0.9]]},
        },
    }  # fmt: skip


def _choice(
    name: str, title: str, mean: float, behind: float, best: float, price: float | None
) -> dict[str, Any]:
    return {
        "option": name,
        "title": title,
        "source": "judgement",
        "dated": "2026-02-28",
        "reason": "As one would",
        "stake_after": 0.49 if price is None else 0.2,
        "sells": price is not None,
        "price_usd_bn": price,
        "indifferent_usd_bn": None if price is None else price - 1.5,
        "cost_usd_bn": 0.0,
        "mean": mean,
        "mcse": 0.05,
        "lower": mean - 3,
        "upper": mean + 4,
        "behind": behind,
        "behind_mcse": 0.04 if behind else 0.0,
        "chance_best": best,
        "chance_best_mcse": 0.005,
        "chance_loss": 0.1,
        "expected_loss": 0.2,
    }


def _worth(value: float, mcse: float, changes: float) -> dict[str, float]:
    return {"value": value, "mcse": mcse, "changes": changes}


def _news(
    name: str, title: str, value: float, mcse: float, waiting: float, readings: list[Any]
) -> dict[str, Any]:
    return {
        "disclosure": name,
        "title": title,
        "source": "Q20",
        "dated": "2026-02-28",
        "reason": "It comes every spring",
        "earliest": "2026-11-01",
        "latest": "2027-01-31",
        "credibility": "B",
        "chance": 0.8,
        "chance_true": 0.85,
        "cost_usd_bn": 0.0,
        "waiting_usd_bn": waiting,
        "waiting_mcse": 0.01,
        "balance": value - waiting,
        "balance_mcse": mcse + 0.01,
        "without": "hold",
        "evppi": value + 0.1,
        "evppi_mcse": mcse,
        "evpi": 1.5,
        "evpi_mcse": 0.05,
        "data": [
            {
                "about": "revenue",
                "day": "2026-12-31",
                "subject": "",
                "threshold": None,
                "sd": 0.1,
                "label": "Revenue of the year",
                "unit": "USD bn",
                "readings": readings,
            }
        ],
    } | _worth(value, mcse, 0.4)


def _reading(reading: str, best: str, lead: float) -> dict[str, Any]:
    return {
        "reading": reading,
        "level": 1.2,
        "chance": 0.2,
        "best": best,
        "lead": lead,
        "lead_mcse": 0.02,
    }


def example_worth() -> dict[str, Any]:
    """Two options, three pieces of news (one worth the wait, one not, one worth nothing)."""
    drivers = [
        {"driver": "revenue", "label": "Revenue", "unit": "USD bn per year", "group": "revenue"}
        | _worth(0.9, 0.05, 0.4),
        {"driver": "talent_retained", "label": "Talent", "unit": "fraction", "group": "retention"}
        | _worth(0.0, 0.01, 0.0),
    ]
    return {
        "options": {
            "why": "",
            "decided_on": "2026-03-31",
            "choices": [
                _choice("hold", "Hold the stake", 5.0, 0.0, 0.4, None),
                _choice("sell", "Sell down to a fifth", 4.6, 0.4, 0.6, 12.5),
            ],
            "best": "hold",
            "runner_up": "sell",
            "margin": 0.4,
            "margin_mcse": 0.04,
        },
        "information": {
            "why": "",
            "evpi": 1.5,
            "evpi_mcse": 0.05,
            "drivers": drivers,
            "groups": [
                {"group": "revenue", "label": "Worth of the target", "drivers": ["revenue", "x"]}
                | _worth(1.2, 0.05, 0.4)
            ],
            "disclosures": [
                _news(
                    "revenue",
                    "Revenue in 2026",
                    0.5,
                    0.03,
                    0.2,
                    [_reading("at most", "sell", 0.3), _reading("at least", "hold", 0.0)],
                ),
                _news("report", "The annual report", 0.1, 0.01, 0.2, []),
                _news("model", "The next model", 0.0, 0.01, 0.2, []),
            ],
            "left_out": [
                {"disclosure": "old", "title": "Old news", "why": "It was due by 2026-01-31."}
            ],
        },
    }


def example_method_results() -> dict[str, Any]:
    """Results of the notebook on methods, small and invented."""
    points = [0.25, 0.5, 0.75]
    band = {"level": 0.95, "lower": [-0.1, -0.12, -0.1], "upper": [0.1, 0.12, 0.1]}
    names = (
        ("NPV", "answer"),
        ("pays off", "answer"),
        ("exit_hazard", "retention"),
        ("steps[6]", "retention"),
    )
    return {
        "models": [
            {
                "model": "retention",
                "title": "Will the talent stay?",
                "equation": ["h = m e^(−λ z)", "S(t) if last seen at t"],
                "reads": [{"kind": "departure", "meaning": "left on event_date", "unit": "months"}],
                "rows": 3,
                "priors": [
                    {
                        "name": "exit_hazard",
                        "label": "Hazard",
                        "describe": "lognormal",
                        "source": "C01",
                    }
                ],
            },
            {
                "model": "worth",
                "title": "What is it worth?",
                "equation": ["prior"],
                "reads": [],
                "rows": 0,
                "priors": [],
            },
        ],
        "credibility": {"A": 0.97, "D": 0.15},
        "calibration": {
            "simulations": 100,
            "pool_draws": 2000,
            "effective_median": 15.2,
            "points": points,
            "one": band,
            "every": {"level": 0.99, "lower": [-0.2, -0.22, -0.2], "upper": [0.2, 0.22, 0.2]},
            "family_error": 0.001,
            "quantities": [
                {
                    "name": n,
                    "label": n,
                    "group": g,
                    "strays": [0.02, -0.01 * j, 0.0],
                    "p": 0.1 + 0.2 * j,
                }
                for j, (n, g) in enumerate(names)
            ],
            "worst": {"name": "NPV", "label": "NPV", "p_family": 0.4},
            "passed": True,
            "detectable": {"bias_sd": 0.62, "narrow": 0.55, "wide": 2.1, "power": 0.8},
            "pays_off": {"said": 0.12, "happened": 0.13, "off_sd": 0.4},
        },
        "coverage": [
            {
                "model": "retention",
                "quantity": "Hazard of leaving",
                "observations": n,
                "level": 0.9,
                "share": 0.88,
                "lower": 0.79,
                "upper": 0.98,
                "kept": n < 8,
                "simulations": 100,
                "band_level": 0.999,
                "width": 0.7,
            }
            for n in (3, 8)
        ],
        "uncovered": [],
    }
