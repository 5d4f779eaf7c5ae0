"""Invented results of a change and of a replay, with every key a page reads."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
from example_results import example_questions

CHANCE, VALUE = "npv", "npv_mean"

# name, label, unit, group, value before, error of the change, error of the level
QUANTITIES: list[tuple[str, str, str, str, float, float, float]] = [
    ("npv", "NPV above 0 with strategic value", "probability", "definition", 0.082, 0.0031, 0.0043),
    ("npv_financial", "NPV above 0 without strategic value", "probability", "definition", 0.06, 0.0026, 0.0037),
    ("stake_alone", "The stake alone recovers the outlay", "probability", "definition", 0.067, 0.0028, 0.004),
    ("moic", "The outlay comes back in time, undiscounted", "probability", "definition", 0.28, 0.0042, 0.0071),
    ("irr", "The return reaches the hurdle rate", "probability", "definition", 0.102, 0.0033, 0.0048),
    ("no_impairment", "The stake is not written down", "probability", "definition", 0.592, 0.0051, 0.0078),
    ("npv_mean", "Expected net present value", "USD bn", "value", -7.95, 0.052, 0.124),
    ("talent_retained", "Acquired talent still there, mean over its time", "fraction", "driver", 0.41, 0.004, 0.006),
    ("founder_in_post", "Founder in post, part of the counted time", "0 or 1", "driver", 0.55, 0.006, 0.009),
    ("revenue", "Revenue of the target, at exit", "USD bn per year", "driver", 3.1, 0.03, 0.06),
    ("exit_multiple", "Value over revenue, at exit", "x revenue", "driver", 8.2, 0.05, 0.11),
    ("capability_gap", "Gap to the frontier, mean over the horizon", "index points", "driver", 12.4, 0.09, 0.12),
    ("rivals_active", "Rivals' business kept, mean over the years of denial", "fraction", "driver", 0.19, 0.003, 0.005),
]  # fmt: skip

BUCKETS = {
    "news": "News",
    "revisions": "Revisions",
    "prior_edits": "Prior edits",
    "deal_terms": "Deal terms",
    "scenario": "Scenario",
    "code": "Code",
    "time": "Passage of time",
    "noise": "Simulation noise",
}

# How far a move of the chance by one point moves each other quantity.
SLOPES = {
    "npv": 1.0,
    "npv_financial": 0.7,
    "stake_alone": 0.75,
    "moic": 1.6,
    "irr": 1.1,
    "no_impairment": 2.1,
    "npv_mean": 22.0,
    "talent_retained": 0.0,
    "founder_in_post": 14.0,
    "revenue": 9.0,
    "exit_multiple": 0.0,
    "capability_gap": -24.0,
    "rivals_active": 0.0,
}


def _item(
    item: str, bucket: str, what: str, title: str, share: float, error: float, **more: Any
) -> dict[str, Any]:
    row = {
        "item": item,
        "bucket": bucket,
        "what": what,
        "title": title,
        "published": None,
        "source": None,
        "publisher": None,
        "address": None,
        "credibility": "",
        "kind": "",
        "subject": "",
        "model": None,
        "root": "",
        "shapley": {name: share * slope for name, slope in SLOPES.items()},
        "mcse": {name: error * abs(slope) for name, slope in SLOPES.items()},
        "sampling_se": dict.fromkeys(SLOPES, 0.0),
        "arrival": {name: 0.8 * share * slope for name, slope in SLOPES.items()},
        "probability": None,
        "bits": None,
        "khat": 0.05,
        "effective_draws": 3988.0,
        "moved": [],
    }
    row |= more
    if row["probability"] is not None:
        row["bits"] = -math.log2(row["probability"])
    return row


def _items() -> list[dict[str, Any]]:
    news = {"source": "S3", "publisher": "Example Wire", "address": "https://example.org/news/1"}
    return [
        _item(
            "N001",
            "news",
            "added",
            "Alexandr Wang leaves Meta to found a company of his own, taking several researchers",
            -0.0187,
            0.0021,
            **news,
            published="2026-02-21",
            credibility="B",
            kind="departure",
            subject="Alexandr Wang",
            model="retention",
            root="wang-leaves-2026-02-21",
            probability=0.0121,
            khat=0.52,
            effective_draws=1420.0,
            moved=["founder_in_post", "capability_gap"],
        ),
        _item(
            "N002",
            "news",
            "added",
            "Google ends its last contract with Scale AI",
            -0.0042,
            0.0009,
            **news | {"address": "https://example.org/news/2"},
            published="2026-02-24",
            credibility="A",
            kind="customer_ended",
            subject="Google",
            model="churn",
            root="google-ends-2026-02-24",
            probability=0.31,
            khat=0.11,
            moved=["revenue"],
        ),
        _item(
            "N003",
            "news",
            "added",
            "A second paper repeats that Google ended its contract",
            0.0,
            0.0,
            **news | {"address": "https://example.org/news/3", "publisher": "Example Times"},
            published="2026-02-25",
            credibility="C",
            kind="customer_ended",
            subject="Google",
            model="churn",
            root="google-ends-2026-02-24",
            probability=1.0,
            khat=0.0,
        ),
        _item(
            "B031-2",
            "revisions",
            "revised",
            "Scale AI's revenue of 2025 restated from USD 0.87 bn to USD 0.95 bn",
            0.0031,
            0.0008,
            **news | {"address": "https://example.org/news/4", "publisher": "Example Filings"},
            published="2025-11-04",
            credibility="A",
            kind="revenue",
            subject="Scale AI",
            model="revenue",
            root="scale-revenue-2025",
            probability=0.00012,
            khat=0.33,
            moved=["revenue"],
        ),
        _item(
            "B044",
            "revisions",
            "regraded",
            "Survey finds the target's labels worse than those of two rivals (grade A, now D)",
            0.0012,
            0.0007,
            **news | {"address": "", "publisher": "Example Review"},
            published="2025-09-18",
            credibility="D",
            kind="quality_report",
            subject="Scale AI",
            model="capability",
            root="label-survey-2025",
            probability=0.44,
            khat=0.21,
        ),
        _item(
            "prior:revenue_growth_after",
            "prior_edits",
            "prior",
            "Growth of kept revenue: middle 12% a year instead of 8%",
            0.0046,
            0.0011,
            model="revenue",
            khat=0.41,
            effective_draws=2605.0,
            moved=["revenue"],
        ),
        _item(
            "term:stake.exit_years",
            "deal_terms",
            "term",
            "Sale of the stake after 6 years instead of 7",
            -0.0063,
            0.0016,
            khat=0.0,
            effective_draws=4000.0,
            moved=["exit_multiple", "revenue"],
        ),
    ]


def _quantities(totals: dict[str, float], scale: float = 1.0) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "label": label,
            "unit": unit,
            "group": group,
            "was": was,
            "is": was + totals[name],
            "change": totals[name],
            "mcse": error * scale if SLOPES[name] else 0.0,
            "mcse_was": 0.8 * level,
            "mcse_is": level,
        }
        for name, label, unit, group, was, error, level in QUANTITIES
    ]


def _buckets(items: list[dict[str, Any]], loose: dict[str, float]) -> list[dict[str, Any]]:
    made = []
    for name, label in BUCKETS.items():
        held = [item for item in items if item["bucket"] == name]
        made.append(
            {
                "bucket": name,
                "label": label,
                "change": {
                    q: sum(item["shapley"][q] for item in held) + loose.get(name, 0.0) * slope
                    for q, slope in SLOPES.items()
                },
                "mcse": {q: math.sqrt(sum(item["mcse"][q] ** 2 for item in held)) for q in SLOPES},
                "items": [item["item"] for item in held],
            }
        )
    return made


def _quarters(count: int = 41) -> list[str]:
    months = [5 + 3 * index for index in range(count)]
    return [dt.date(2025 + m // 12, m % 12 + 1, 12).isoformat() for m in months]


def _path(start: float, end: float, spread: float, top: float | None) -> dict[str, list[float]]:
    time = np.linspace(0, 1, 41)
    mean = start + (end - start) * (1 - np.exp(-2.5 * time)) / (1 - np.exp(-2.5))
    low, high = mean - spread * np.sqrt(time), mean + 1.3 * spread * np.sqrt(time)
    if top is not None:
        low, high = np.clip(low, 0, top), np.clip(high, 0, top)
    return {
        "mean": mean.round(4).tolist(),
        "lower": np.maximum(low, 0).round(4).tolist(),
        "upper": high.round(4).tolist(),
    }


def _drivers() -> list[dict[str, Any]]:
    shapes = [
        ("founder_in_post", "Founder in post", "0 or 1", (1.0, 0.42, 0.3), (1.0, 0.06, 0.2), 1.0),
        ("revenue", "Revenue of the target", "USD bn per year", (1.5, 3.1, 2.0), (1.5, 3.0, 1.9), None),
        ("capability_gap", "Gap to the frontier", "index points", (18, 11, 9), (18, 11.7, 9), None),
        ("talent_retained", "Acquired talent still there", "fraction", (1, 0.34, 0.2), (1, 0.34, 0.2), 1.0),
        ("rivals_active", "Rivals' business kept", "fraction", (1, 0.19, 0.1), (1, 0.19, 0.1), 1.0),
        ("exit_multiple", "Value over revenue", "x revenue", (9, 8, 5), (9, 8, 5), None),
    ]  # fmt: skip
    return [
        {
            "driver": name,
            "label": label,
            "unit": unit,
            "dates": _quarters(),
            "was": _path(*was, top),
            "is": _path(*now, top),
        }
        for name, label, unit, was, now, top in shapes
    ]


def _check(check: str, value: float, limit: float, sentence: str) -> dict[str, Any]:
    return {"check": check, "value": value, "limit": limit, "passed": True, "sentence": sentence}


def example_update() -> dict[str, Any]:
    """A change with an item in every bucket that has items: from 8 to 6 in 100, reweighted."""
    items = _items()
    buckets = _buckets(items, {"time": -0.0004})
    totals = {q: sum(bucket["change"][q] for bucket in buckets) for q in SLOPES}
    return {
        "schema": 1,
        "kind": "update",
        "freshness": {"day": "2026-11-22", "newest": "2026-02-28", "days": 267, "warnings": []},
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
            "horizon_years": 10,
        },
        "scenario": {"scenario": "base", "title": "What we expect"},
        "as_of": "2026-02-28",
        "headline": CHANCE,
        "was": {
            "run": "20261121T190200-base",
            "label": "the report of 21 November 2026, 19:02 UTC",
            "as_of": "2026-02-14",
            "effective_draws": 4000.0,
        },
        "is": {
            "as_of": "2026-02-28",
            "method": "reweighted",
            "khat": 0.58,
            "effective_draws": 1312.4,
            "draws": 4000,
            "why": "",
        },
        "quantities": _quantities(totals),
        "buckets": buckets,
        "items": items,
        "attribution": {
            "method": "exact",
            "orders": 5040,
            "evaluations": 128,
            "combinations": 128,
            "partial": 0,
        },
        "drivers": _drivers(),
        "questions": example_questions(),
        "history": example_replay(),
        "diagnostics": [
            _check("k-hat: change", 0.58, 0.7, "k-hat of the change: 0.58, at most 0.7 allowed."),
            _check(
                "effective draws: change",
                1312.4,
                400,
                "Effective draws: 1,312, at least 400 needed.",
            ),
            _check("rhat", 1.004, 1.01, "Largest R-hat is 1.004; the limit is 1.01."),
        ],
        "run": {
            "seed": 20250612,
            "created": "2026-11-22T09:30:00+00:00",
            "digests": {"ledger": "a" * 64, "priors": "b" * 64, "deal": "c" * 64, "code": "d" * 64},
            "versions": {"python": "3.13.1", "pymc": "6.4.0", "arviz": "1.3.0"},
            "sampler": "nutpie 0.16.11",
            "posterior": "c4d1bacb8256059a",
            "override": "",
        },
    }


def refitted_update() -> dict[str, Any]:
    """The same, but too large for new weights, and with sampled orders."""
    results = example_update()
    results["is"] |= {
        "method": "refitted",
        "khat": None,
        "effective_draws": 3902.0,
        "why": "k-hat was 1.12, above 0.7, with 31 effective draws",
    }
    results["attribution"] = {
        "method": "sampled", "orders": 200, "evaluations": 1311, "combinations": 1460, "partial": 0,
    }  # fmt: skip
    for item in results["items"]:
        item["sampling_se"] = {q: 0.0004 * abs(slope) for q, slope in SLOPES.items()}
    return results


def tiny_update() -> dict[str, Any]:
    """Two items that pull against each other and leave a change within its error."""
    results = example_update()
    items = [item for item in _items() if item["item"] in ("N002", "prior:revenue_growth_after")]
    buckets = _buckets(items, {"noise": 0.0002})
    totals = {q: sum(bucket["change"][q] for bucket in buckets) for q in SLOPES}
    results |= {"items": items, "buckets": buckets, "quantities": _quantities(totals)}
    return results


def empty_update() -> dict[str, Any]:
    """The two states are the same."""
    results = example_update()
    zero = dict.fromkeys(SLOPES, 0.0)
    results |= {
        "items": [],
        "buckets": _buckets([], {}),
        "quantities": _quantities(zero, scale=0.0),
        "history": None,
        "attribution": {
            "method": "exact",
            "orders": 1,
            "evaluations": 1,
            "combinations": 1,
            "partial": 0,
        },
        "drivers": [driver | {"is": driver["was"]} for driver in _drivers()],
    }
    results["is"] |= {"method": "unchanged", "khat": None, "effective_draws": 4000.0}
    return results


def many_items_update(count: int = 40) -> dict[str, Any]:
    """More items than a picture has room for, with long titles."""
    results = refitted_update()
    draws = np.random.default_rng(11)
    items = []
    for index in range(count):
        base = _items()[index % 2]
        share = float(draws.normal(-0.0006, 0.0011))
        title = f"Claim number {index}, told at some length so that it must be cut: {base['title']}"
        shares = {q: share * slope for q, slope in SLOPES.items()}
        items.append(base | {"item": f"N{index:03d}", "title": title, "shapley": shares})
    buckets = _buckets(items, {})
    totals = {q: sum(bucket["change"][q] for bucket in buckets) for q in SLOPES}
    results |= {"items": items, "buckets": buckets, "quantities": _quantities(totals)}
    return results


# dates, ids and titles of what moved the invented history most
_STEPS = [
    ("2025-06-30", "A012", "Google plans to cut ties with Scale AI, its largest customer", -0.062),
    ("2025-07-16", "A020", "Scale AI lays off 14 per cent of its staff", -0.011),
    ("2025-08-29", "A041", "Ruben Mayer, one of those who moved, leaves after two months", -0.024),
    ("2025-09-11", "A044", "Researchers at the new laboratory prefer labels of rivals", -0.019),
    ("2025-10-22", "A058", "Six hundred posts go at the laboratory, the new group is spared", 0.008),
    ("2025-11-11", "A066", "Yann LeCun tells colleagues that he will found a company", -0.004),
    ("2025-12-18", "A079", "A model named Avocado is planned for the first half of the year", 0.013),
    ("2026-02-20", "A091", "Revenue of the year is reported below what was expected", -0.009),
]  # fmt: skip


def example_replay(every: str = "month") -> dict[str, Any]:
    """A history from June 2025 to February 2026, by month or by date of news."""
    if every == "month":
        first = [dt.date(2025 + m // 12, m % 12 + 1, 1) for m in range(6, 15)]
        ends = [(day - dt.timedelta(days=1)).isoformat() for day in first]
        dates = ["2025-06-12", *ends]
    else:
        start = dt.date(2025, 6, 12)
        spread = {(start + dt.timedelta(days=5 * k)).isoformat() for k in range(52)}
        dates = sorted(spread | {day for day, *_ in _STEPS} | {"2026-02-28"})
    points, chance, previous = [], 0.19, ""
    for index, day in enumerate(dates):
        new = [step for step in _STEPS if previous < step[0] <= day]
        chance += sum(step[3] for step in new)
        values = {
            name: was + (chance - 0.082) * (3.0 if name == "founder_in_post" else SLOPES[name])
            for name, *_, was, _, _ in QUANTITIES
        }
        moved = [
            {"item": item, "title": title, "change": change}
            for _, item, title, change in sorted(new, key=lambda step: -abs(step[3]))
        ]
        points.append(
            {
                "as_of": day,
                "rows": 3 + 6 * index,
                "values": values,
                "mcse": {name: level for name, *_, level in QUANTITIES},
                "method": "fitted" if index % 4 == 0 else "reweighted",
                "khat": None if index % 4 == 0 else 0.2 + 0.1 * (index % 4),
                "effective_draws": 4000.0 if index % 4 == 0 else 3000.0 - 600 * (index % 4),
                "moved": moved[:3],
            }
        )
        previous = day
    return {
        "schema": 1,
        "kind": "replay",
        "deal": "meta_scale",
        "scenario": "base",
        "every": every,
        "made": "2026-11-22T09:40:00+00:00",
        "headline": CHANCE,
        "quantities": [
            {"name": name, "label": label, "unit": unit, "group": group}
            for name, label, unit, group, *_ in QUANTITIES
        ],
        "points": points,
    }
