"""A small invented deal for tests of models, forecasts and studies: seeds with every kind of evidence.

``write_seeds`` makes the files, ``ledger`` reads them, ``bound`` joins them to the models under the project's own
house priors. Credibility is a parameter everywhere, since most closed forms hold for certain rows only.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import builders
import numpy as np

from valuation.currency import spelled
from valuation.ledger import Ledger, load_ledger
from valuation.models import KINDS, joint, kinds_in
from valuation.models.base import Context
from valuation.models.joint import Evidence
from valuation.ops import numpy_ops
from valuation.params import Deal, PriorBook, load_priors

PROJECT = Path(__file__).resolve().parents[1]

CERTAIN = {"A": 1.0, "B": 1.0, "C": 1.0, "D": 1.0}
DOUBTED = {"A": 0.97, "B": 0.85, "C": 0.55, "D": 0.15}
IGNORED = {"A": 0.0, "B": 0.0, "C": 0.0, "D": 0.0}

FOUNDER, MOVER, STAR, LEGACY = "Ada Founder", "Ben Mover", "Cat Star", "Dan Legacy"
RIVAL, LAB, MINISTRY = "Rival Lab", "Second Lab", "Ministry"

_TOLD: dict[str, Any] = {
    "title": "Told",
    "source": "judgement",
    "dated": dt.date(2026, 2, 28),
    "reason": "Of a test",
}
# Two options about as good as each other, and news of every sort.
CHOICE: dict[str, Any] = {
    "decision_date": dt.date(2026, 3, 31),
    "options": {
        "hold": _TOLD,
        "sell": {
            **_TOLD,
            "stake_after": 0.1,
            "price": {"basis": "holding", "times": 1.0, "premium": -0.25},
        },
    },
    "disclosures": {
        name: {
            **_TOLD,
            "earliest": dt.date(2026, 6, 1),
            "latest": dt.date(2026, 12, 31),
            "credibility": grade,
            "data": data,
        }
        for name, grade, data in (
            ("price", "A", [{"about": "whole_value", "day": dt.date(2026, 12, 31), "sd": 0.25}]),
            (
                "founder",
                "A",
                [{"about": "in_post", "subject": "Ada Founder", "day": dt.date(2026, 6, 12)}],
            ),
            (
                "accounts",
                "B",
                [
                    {"about": "impairment", "day": dt.date(2026, 12, 31)},
                    {"about": "purchases", "day": dt.date(2026, 12, 31), "sd": 0.2},
                ],
            ),
        )
    },
}

SEEDS: dict[str, str] = {
    "people": """
        subject,cohort,entry,size,weight,talent,note
        Ada Founder,founder,2025-06-12,1,0.5,1,
        Ben Mover,movers,2025-06-12,1,0.2,1,
        Movers,movers,2025-06-12,10,0.3,1,
        Cat Star,stars,2025-07-12,1,,0,
        Stars,stars,2025-07-12,20,,0,
        Dan Legacy,legacy,2025-06-12,1,,0,
        Eve Legacy,legacy,2025-06-12,1,,0,
        Legacy staff,legacy,2025-06-12,200,,0,
    """,
    "customers": """
        subject,segment,rival,revenue_share,start,new,pooled,note
        Rival Lab,rival_lab,1,0.2,2025-06-12,0,0,
        Second Lab,rival_lab,1,0.1,2025-06-12,0,0,
        Third Lab,rival_lab,1,0.05,2025-06-12,0,0,
        Big Tech,technology,0,0.35,2025-06-12,0,1,
        Ministry,government,0,0.3,2025-06-12,0,0,
        Shop,enterprise,0,0,2025-12-01,1,0,
    """,
    "vendors": """
        subject,role,note
        Maker,target,
        Other Vendor,rival,
    """,
    "entities": """
        entity,role,note
        Buyer,acquirer,
        Maker,target,
        Authority,regulator,
    """,
    "sources": """
        source,publisher,title,address,kind
        paper,The Paper,A story,,press
    """,
    "evidence": """
        id,event_date,published,claim,source,root,credibility,kind,subject,value,sd,unit,supersedes,note
        E01,2025-06-12,2025-06-12,The deal closes.,paper,close,A,,,,,,,
        E02,2025-08-01,2025-08-02,Ada is at work.,paper,ada1,A,sighting,Ada Founder,,,,,
        E03,2025-12-01,2025-12-02,Ada is at work still.,paper,ada2,B,sighting,Ada Founder,,,,,
        E04,2025-09-01,2025-09-02,Ben is at work.,paper,ben1,B,sighting,Ben Mover,,,,,
        E05,2025-11-15,2025-11-20,Ben left in the last two months.,paper,ben2,B,departure,Ben Mover,2,,months,,
        E06,2025-10-20,2025-10-21,Cat left.,paper,cat,A,departure,Cat Star,,,,,
        E07,2026-01-10,2026-01-11,Dan left in the last month.,paper,dan,C,departure,Dan Legacy,1,,months,,
        E08,2025-09-30,2025-10-01,One of the movers left.,paper,group1,B,group_exits,Movers,1,,count,,
        E09,2026-01-31,2026-02-01,Three of the movers left by now.,paper,group2,B,group_exits,Movers,3,,count,,
        E10,2025-11-30,2025-12-01,Four of the stars left.,paper,group3,C,group_exits,Stars,4,,count,,
        E11,2025-10-15,2025-10-16,Thirty jobs are cut.,paper,cut1,A,layoff,Legacy staff,30,,count,,
        E12,2026-02-15,2026-02-16,In all fifty jobs are cut.,paper,cut2,A,layoff,Legacy staff,50,,count,,
        E20,2025-10-01,2025-10-02,The data are poor.,paper,quality1,C,quality_report,Maker,-1,,grade,,
        E21,2025-11-01,2025-11-02,The data are fair.,paper,quality2,B,quality_report,Maker,0,,grade,,
        E22,2025-12-01,2025-12-02,The data are good.,paper,quality3,C,quality_report,Maker,1,,grade,,
        E23,2025-10-01,2025-10-02,Another vendor sells.,paper,vendor1,B,vendor_in_use,Other Vendor,1,,indicator,,
        E24,2026-01-15,2026-01-16,That vendor was dropped.,paper,vendor2,C,vendor_in_use,Other Vendor,0,,indicator,,
        E25,2025-12-15,2025-12-16,Two fifths of spending.,paper,share,B,vendor_share,Maker,0.4,0.5,fraction,,
        E30,2025-09-12,2025-09-13,The rival stopped.,paper,rival1,B,customer_ended,Rival Lab,2,,months,,
        E31,2026-02-01,2026-02-02,The rival is back.,paper,rival2,C,customer_active,Rival Lab,,,,,
        E32,2025-10-12,2025-10-13,The second lab stopped.,paper,lab,A,customer_ended,Second Lab,,,,,
        E33,2025-12-12,2025-12-13,The ministry buys.,paper,ministry,A,customer_active,Ministry,,,,,
        E34,2025-11-12,2025-11-13,Two new customers.,paper,new1,B,new_customers,Maker,2,,count,,
        E35,2026-02-12,2026-02-13,Five new customers by now.,paper,new2,B,new_customers,Maker,5,,count,,
        E40,2024-12-31,2025-06-12,Revenue of the year.,paper,revenue,B,revenue,Maker,0.9,0.1,USD bn,,
        E41,2025-12-31,2026-01-15,The rate at the end of the year.,paper,rate,C,run_rate,Maker,1.1,0.2,USD bn per year,,
        E42,2025-12-31,2026-01-16,At least so much in the year.,paper,bound,B,revenue_bound,Maker,0.5,0.2,USD bn,,
        E43,2025-12-31,2026-01-29,Not written down.,paper,accounts,A,impairment,Maker,0,,indicator,,
        E50,2025-06-13,2025-06-13,Seventh among labs.,paper,rank,D,lab_rank,Buyer,7,0.4,rank,,
        E51,2025-12-10,2025-12-11,Fifteen points behind.,paper,gap,C,index_gap,Buyer,15,5,index points,,
        E52,2025-12-31,2026-01-02,The model was late.,paper,late,B,milestone,Buyer,0,,indicator,,
        E53,2026-02-20,2026-02-21,The next one was in time.,paper,intime,B,milestone,Buyer,1,,indicator,,
        E60,2026-02-10,2026-02-11,Nothing opened.,paper,quiet,B,regulatory_action,Authority,0,,indicator,,
        E61,2025-11-18,2025-11-19,A case is lost.,paper,court,A,regulatory_signal,Authority,-1,,grade,,
        E62,2026-02-04,2026-02-05,Senators write.,paper,letter,B,regulatory_signal,Authority,1,,grade,,
        E70,2025-09-15,2025-09-16,Tempers flare.,paper,mood1,C,integration_report,Buyer,-1,,grade,,
        E71,2026-01-15,2026-01-16,Teams work well.,paper,mood2,B,integration_report,Buyer,1,,grade,,
    """,
    "financials": "entity,period_start,period_end,item,value,unit,sd,source,published,credibility,note",
    "base_rates": "id,reference_class,name,measure,value,unit,source,published,credibility,use",
    "reference_deals": (
        "id,acquirer,target,year,price_usd_bn,stake_pct,structure,outcome,writedown_usd_bn,"
        "outcome_date,recovered_fraction,value_multiple_rough,note,source,credibility"
    ),
    "questions": (
        "id,question,opens,closes,resolution_source,fine_print,outcome,resolved,resolution_row,"
        "event,subject,threshold,base_rate,base_rate_source,note"
    ),
}

# What each row looks like unless a test says otherwise; for rows that tests add.
ROW: dict[str, Any] = {
    "event_date": "2026-01-15",
    "published": "2026-01-16",
    "claim": "A claim.",
    "source": "paper",
    "credibility": "B",
}


def write_seeds(folder: Path, **tables: str) -> Path:
    """Write the files of ``seeds/``; a keyword replaces a table."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (SEEDS | tables).items():
        lines = [line.strip() for line in text.strip().splitlines()]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@cache
def ledger() -> Ledger:
    """The whole small ledger."""
    return ledger_with()


def ledger_with(**tables: str) -> Ledger:
    """The small ledger with some tables replaced."""
    with tempfile.TemporaryDirectory() as folder:
        return load_ledger(write_seeds(Path(folder), **tables), kinds=KINDS)


def ledger_of(rows: Iterable[Mapping[str, Any]]) -> Ledger:
    """The small rosters with these evidence rows alone; each row states what differs from :data:`ROW`."""
    header = SEEDS["evidence"].split()[0].split(",")
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    for number, row in enumerate(rows, start=1):
        given = ROW | {"id": f"R{number:02d}", "root": f"root{number:02d}"} | dict(row)
        if "published" not in row:  # what happened is not reported before
            given["published"] = max(given["published"], given["event_date"])
        if given.get("kind") and given.get("value") is not None:
            given.setdefault("unit", kinds_in("USD")[given["kind"]].unit)
        writer.writerow(given)
    return ledger_with(evidence=text.getvalue())


@cache
def book() -> PriorBook:
    """The project's own priors."""
    return load_priors(PROJECT / "params" / "priors.yaml")


def deal(**changes: Any) -> Deal:
    """The test deal over eight years: long enough for the exit, short enough to be quick."""
    return builders.deal(**({"horizon_years": 8} | changes))


def context(
    *,
    credibility: Mapping[str, float] = CERTAIN,
    prior_set: str = "house",
    known: Ledger | None = None,
    **changes: Any,
) -> Context:
    """The fixed inputs of the small world; keywords change terms of the deal."""
    return joint.context_of(
        ledger() if known is None else known, deal(**changes), book().get(prior_set), credibility
    )


def bound(
    known: Ledger | None = None,
    *,
    credibility: Mapping[str, float] = CERTAIN,
    models: tuple[str, ...] | None = None,
    draws: int = 400,
    reach: int | None = None,
    **changes: Any,
) -> Evidence:
    """The scored rows joined to the models, ``p0`` from few prior draws."""
    known = ledger() if known is None else known
    fixed = replace(context(credibility=credibility, known=known, **changes), reach=reach)
    return joint.bind(fixed, known.scored(), models=models, draws=draws)


def loglik(evidence: Evidence, parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Log-likelihood of every row by id, shape ``(draw,)``."""
    ops = numpy_ops()
    rows = joint.log_likelihood(evidence, parameters, joint.curves(evidence, parameters, ops), ops)
    return dict(zip(evidence.ids, rows.T, strict=True))


def prior_draws(evidence: Evidence, *, draws: int = 50, random_seed: int = 7) -> dict[str, Any]:
    """Prior draws of every parameter that the evidence's models use."""
    return joint.prior_draws(
        evidence.context, evidence.models, random_seed=random_seed, draws=draws
    )


def project(home: Path, *, currency: str = "USD", **tables: str) -> Path:
    """A project folder around the small world: its seeds and deal, the project's own other settings.

    ``currency`` renames every amount of the deal, its priors and its rows; no number changes.
    """
    import shutil

    import yaml

    given = SEEDS | tables
    renamed = {
        name: given[name].replace("USD bn", f"{currency} bn") for name in ("evidence", "questions")
    }
    write_seeds(home / "seeds", **(tables | renamed))
    shutil.copytree(PROJECT / "params", home / "params")
    priors = home / "params" / "priors.yaml"
    text = priors.read_text(encoding="utf-8").replace("USD bn", f"{currency} bn")
    priors.write_text(text.replace("_usd_bn", f"_{currency.lower()}_bn"), encoding="utf-8")
    for path in (home / "params" / "deals").glob("*.yaml"):
        path.unlink()
    title = f"Buyer's {currency} 10 bn for 40% of Maker"
    terms = deal(**CHOICE, currency=currency, title=title).model_dump(mode="json")
    (home / "params" / "deals" / "test_deal.yaml").write_text(
        spelled(yaml.safe_dump(terms, sort_keys=False), currency), encoding="utf-8"
    )
    return home


POOL = 2500  # prior draws that a stand-in chooses from


def stand_in(evidence: Evidence, *, random_seed: int, draws: int = 250, power: float = 0.25) -> Any:
    """Draws in the place of a posterior, in a second instead of minutes.

    Prior draws resampled by the likelihood to a power below one: every visible row moves them in its direction,
    and they stay distinct. Variables and lengths are those that the sampler would return.
    """
    import xarray as xr

    from valuation import posterior
    from valuation.schema import CHAINS

    short = replace(evidence.context, reach=joint.reach_of(evidence.context, evidence.rows))
    lengths = {k: len(v[1]) for k, v in joint.innovations(short, evidence.models).items()}
    pool = prior_draws(evidence, draws=POOL, random_seed=random_seed)
    rows = loglik(evidence, pool).values()
    log_weight = power * np.sum(list(rows), axis=0) if rows else np.zeros(POOL)
    weight = np.exp(log_weight - log_weight.max())
    rng = np.random.default_rng(random_seed)
    chosen = rng.choice(POOL, CHAINS * draws, replace=False, p=weight / weight.sum())
    seen = joint.touched(evidence)
    data = {}
    for name, values in pool.items():
        if name not in seen or (values.ndim == 1 and np.ptp(values) == 0.0):
            continue
        picked = values[chosen][..., : lengths[name]] if name in lengths else values[chosen]
        own = [f"{name}_dim"] if picked.ndim > 1 else []
        data[name] = (("chain", "draw", *own), picked.reshape(CHAINS, draws, *picked.shape[1:]))
    stats = {
        "diverging": np.zeros((CHAINS, draws), dtype=bool),
        "energy": rng.normal(size=(CHAINS, draws)),
        "tree_depth": np.full((CHAINS, draws), 3),
        "reached_max_treedepth": np.zeros((CHAINS, draws), dtype=bool),
    }
    return posterior.tree_of(
        xr.Dataset(data, coords={"chain": np.arange(CHAINS), "draw": np.arange(draws)}),
        xr.Dataset({name: (("chain", "draw"), v) for name, v in stats.items()}),
        attrs={"sampler": "stand-in", "seed": random_seed},
    )
