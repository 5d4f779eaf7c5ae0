"""Every likelihood against SciPy, every curve against its formula spelled out draw by draw."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import small_world as world
from scipy import special, stats

from valuation.errors import LedgerError, ModelError
from valuation.models import KINDS, MODELS, churn, closure, joint, retention
from valuation.models.joint import Evidence
from valuation.ops import numpy_ops
from valuation.schema import months_between

OPS = numpy_ops()
CLOSED = world.deal().closed
DRAWS = 40

Draws = dict[str, np.ndarray]


def month(date: str) -> float:
    return months_between(CLOSED, dt.date.fromisoformat(date))


def certain(*rows: dict[str, Any]) -> tuple[Evidence, Draws, dict[str, np.ndarray]]:
    """Rows that are believed: evidence, prior draws and the rows' log-likelihoods, R01 first."""
    models = tuple({KINDS[row["kind"]].model for row in rows})
    evidence = world.bound(world.ledger_of(rows), models=models, draws=20)
    draws = world.prior_draws(evidence, draws=DRAWS)
    return evidence, draws, world.loglik(evidence, draws)


def close_to(expected: Any) -> Any:
    return pytest.approx(np.asarray(expected), rel=1e-8, abs=1e-9)


# --- retention ------------------------------------------------------------------------------------


def hazards(draws: Draws, cohort: str) -> np.ndarray:
    """Monthly hazards ``(draw, piece)`` as the module's equation has them."""
    steps = draws["exit_hazard_drift"][:, None] * draws["exit_hazard_steps"]
    walk = np.concatenate([np.zeros((DRAWS, 1)), np.cumsum(steps, axis=1)], axis=1)
    shift = draws["exit_hazard_shift"] - draws["loading_retention"] * draws["integration"]
    return np.exp(np.log(draws[f"exit_hazard_{cohort}"])[:, None] + shift[:, None] + walk)


def survival(hazard: np.ndarray, t: float) -> np.ndarray:
    """A product of exponential survival functions, one a piece."""
    result = np.ones(len(hazard))
    ends = [*retention.BREAKS[1:], np.inf]
    for k, (start, end) in enumerate(zip(retention.BREAKS, ends, strict=True)):
        spent = min(max(t - start, 0.0), end - start)
        result *= stats.expon.sf(spent, scale=1.0 / hazard[:, k])
    return result


def density(hazard: np.ndarray, t: float) -> np.ndarray:
    """The density of the piece that ``t`` lies in, times the survival up to its start."""
    k = int(np.searchsorted(retention.BREAKS, t, side="right")) - 1
    start = retention.BREAKS[k]
    return survival(hazard, start) * stats.expon.pdf(t - start, scale=1.0 / hazard[:, k])


# One date in every piece of the hazard.
DATES = ["2025-09-20", "2026-02-20", "2026-12-20", "2028-02-20", "2031-02-20"]


@pytest.mark.parametrize("date", DATES)
def test_a_sighting_is_a_product_of_exponential_survival_functions(date):
    row = {"kind": "sighting", "subject": world.FOUNDER, "event_date": date}
    _, draws, rows = certain(row)
    expected = np.log(survival(hazards(draws, "founder"), month(date)))
    assert rows["R01"] == close_to(expected)


@pytest.mark.parametrize("date", DATES)
def test_a_departure_on_a_day_is_the_piecewise_exponential_density(date):
    row = {"kind": "departure", "subject": world.LEGACY, "event_date": date}
    _, draws, rows = certain(row)
    assert rows["R01"] == close_to(np.log(density(hazards(draws, "legacy"), month(date))))


@pytest.mark.parametrize(("date", "width"), [*zip(DATES, [2, 3, 9, 20, 40], strict=True)])
def test_a_departure_in_a_window_is_interval_censored(date, width):
    row = {"kind": "departure", "subject": world.MOVER, "event_date": date, "value": width}
    _, draws, rows = certain(row)
    hazard, end = hazards(draws, "movers"), month(date)
    start = max(end - width, 0.0)
    assert rows["R01"] == close_to(np.log(survival(hazard, start) - survival(hazard, end)))


def test_a_persons_clock_starts_when_they_do():
    row = {"kind": "sighting", "subject": world.STAR, "event_date": "2026-02-20"}
    _, draws, rows = certain(row)
    own = months_between(dt.date(2025, 7, 12), dt.date(2026, 2, 20))
    assert rows["R01"] == close_to(np.log(survival(hazards(draws, "stars"), own)))


def test_rows_about_a_person_multiply_to_one_joint_expression():
    _, draws, rows = certain(
        {"kind": "sighting", "subject": world.MOVER, "event_date": "2025-09-20"},
        {"kind": "sighting", "subject": world.MOVER, "event_date": "2025-12-20"},
        {"kind": "departure", "subject": world.MOVER, "event_date": "2026-06-20"},
    )
    hazard = hazards(draws, "movers")
    first, second, end = (month(d) for d in ("2025-09-20", "2025-12-20", "2026-06-20"))
    assert rows["R02"] == close_to(np.log(survival(hazard, second) / survival(hazard, first)))
    assert rows["R03"] == close_to(np.log(density(hazard, end) / survival(hazard, second)))
    assert sum(rows.values()) == close_to(np.log(density(hazard, end)))


def test_exits_of_a_group_are_binomial_thinned_by_what_gets_reported():
    row = {"kind": "group_exits", "subject": "Stars", "event_date": "2026-03-12", "value": 3}
    _, draws, rows = certain(row)
    own = months_between(dt.date(2025, 7, 12), dt.date(2026, 3, 12))
    left = 1.0 - survival(hazards(draws, "stars"), own)
    chance = draws["reporting_rate_stars"] * left
    assert rows["R01"] == close_to(stats.binom.logpmf(3, 20, chance))


def test_a_second_count_of_a_group_speaks_of_those_who_were_left():
    rows = [
        {"kind": "group_exits", "subject": "Movers", "event_date": "2025-10-12", "value": 1},
        {"kind": "group_exits", "subject": "Movers", "event_date": "2026-05-12", "value": 4},
    ]
    _, draws, found = certain(*rows)
    hazard, rate = hazards(draws, "movers"), draws["reporting_rate_movers"]
    early, late = survival(hazard, month("2025-10-12")), survival(hazard, month("2026-05-12"))
    assert found["R01"] == close_to(stats.binom.logpmf(1, 10, rate * (1.0 - early)))
    assert found["R02"] == close_to(stats.binom.logpmf(3, 9, rate * (1.0 - late / early)))


def test_layoffs_are_beta_binomial():
    rows = [
        {"kind": "layoff", "subject": "Legacy staff", "event_date": "2025-10-12", "value": 30},
        {"kind": "layoff", "subject": "Legacy staff", "event_date": "2026-02-12", "value": 50},
    ]
    _, draws, found = certain(*rows)
    start, end = month("2025-10-12"), month("2026-02-12")
    for name, n, k, span in (("R01", 200, 30, start), ("R02", 170, 20, end - start)):
        p = stats.expon.cdf(span, scale=1.0 / draws["layoff_hazard"])
        weight = draws["layoff_concentration"]
        expected = stats.betabinom.logpmf(k, n, p * weight, (1.0 - p) * weight)
        assert found[name] == close_to(expected)


def test_everyone_is_there_at_first_and_nobody_comes_back():
    evidence = world.bound(world.ledger().without("E05", "E06", "E07"))
    draws = world.prior_draws(evidence)
    curves = joint.curves(evidence, draws, OPS)
    assert curves["cohort_survival"][..., 0] == close_to(np.ones((50, 4)))
    assert (np.diff(curves["cohort_survival"], axis=-1) <= 0.0).all()
    assert curves["talent_retained"][:, 0] == close_to(np.ones(50))
    assert (np.diff(curves["talent_retained"], axis=-1) <= 1e-12).all()


# --- churn ----------------------------------------------------------------------------------------


def staying(evidence: Evidence, draws: Draws, subject: str, t: float) -> np.ndarray:
    """The mixture cure survival function of one customer."""
    roster = evidence.context.customers.set_index("subject").loc[subject]
    place = evidence.context.subjects("customers").index(subject)
    spread = 0.0 if roster["pooled"] else draws["churn_heterogeneity"]
    base = np.exp(
        np.log(draws[f"churn_hazard_{roster['segment']}"])
        + spread * draws["customer_effect"][:, place]
        - draws["loading_churn"] * draws["integration"]
    )
    minds = draws["conflict_share"] * roster["rival"]
    tau = draws["conflict_decay_months"]
    surge = np.expm1(draws["conflict_effect"]) * tau * -np.expm1(-t / tau)
    return np.exp(-base * t) * (1.0 - minds + minds * np.exp(-base * surge))


@pytest.mark.parametrize("subject", [world.RIVAL, world.MINISTRY, "Big Tech"])
def test_an_active_customer_is_the_mixture_cure_survival_function(subject):
    row = {"kind": "customer_active", "subject": subject, "event_date": "2026-01-15"}
    evidence, draws, rows = certain(row)
    expected = np.log(staying(evidence, draws, subject, month("2026-01-15")))
    assert rows["R01"] == close_to(expected)


@pytest.mark.parametrize(("width", "span"), [(2.5, 2.5), (0.1, 1.0), (None, 1.0)])
def test_an_ending_is_known_to_a_month_at_best(width, span):
    date = "2025-10-15"
    row = {"kind": "customer_ended", "subject": world.LAB, "event_date": date, "value": width}
    evidence, draws, rows = certain(row)
    end = month(date)
    expected = np.log(
        staying(evidence, draws, world.LAB, end - span) - staying(evidence, draws, world.LAB, end)
    )
    assert rows["R01"] == close_to(expected)


def test_an_ending_within_days_of_the_deal_fills_the_first_month():
    row = {"kind": "customer_ended", "subject": world.LAB, "event_date": "2025-06-13", "value": 0.1}
    evidence, draws, rows = certain(row)
    assert rows["R01"] == close_to(np.log1p(-staying(evidence, draws, world.LAB, 1.0)))


@pytest.mark.parametrize("subject", [world.RIVAL, world.MINISTRY, "Shop"])
def test_the_hazard_is_minus_the_slope_of_log_survival(subject):
    evidence = world.bound()
    draws = world.prior_draws(evidence)
    curves = joint.curves(evidence, draws, OPS)
    process = churn.process(evidence.context)
    t = np.array([7.0, 9.0, 15.0, 40.0])
    who = np.full(len(t), evidence.context.subjects("customers").index(subject))
    step = 1e-4
    slope = (
        process.log_survival(draws, curves, who, t - step, OPS)
        - process.log_survival(draws, curves, who, t + step, OPS)
    ) / (2 * step)
    hazard = np.exp(process.log_hazard(draws, curves, who, t, OPS))
    assert hazard == pytest.approx(slope, rel=1e-6)


def test_a_customer_won_later_starts_then():
    row = {"kind": "customer_active", "subject": "Shop", "event_date": "2026-02-01"}
    evidence, draws, rows = certain(row)
    own = months_between(dt.date(2025, 12, 1), dt.date(2026, 2, 1))
    assert rows["R01"] == close_to(np.log(staying(evidence, draws, "Shop", own)))


def test_a_rival_that_minds_leaves_sooner_and_one_that_does_not_like_anyone_else():
    evidence = world.bound()
    draws = world.prior_draws(evidence)
    curves = joint.curves(evidence, draws, OPS)
    process = churn.process(evidence.context)
    who = np.array([evidence.context.subjects("customers").index("Third Lab")])
    t = np.array([12.0])

    def chance(share: float) -> np.ndarray:
        changed = draws | {"conflict_share": np.full(50, share)}
        return np.exp(process.log_survival(changed, curves, who, t, OPS))[:, 0]

    assert chance(0.0) == close_to(np.exp(-12.0 * np.exp(curves["log_churn_hazard"][:, who[0]])))
    assert (chance(1.0) < chance(0.5)).all()
    assert (chance(0.5) < chance(0.0)).all()


def test_new_customers_named_in_public_are_poisson():
    rows = [
        {"kind": "new_customers", "subject": "Maker", "event_date": "2025-11-12", "value": 2},
        {"kind": "new_customers", "subject": "Maker", "event_date": "2026-02-12", "value": 5},
    ]
    _, draws, found = certain(*rows)
    rate = draws["new_customer_rate"] * draws["new_customer_reporting"]
    first, second = month("2025-11-12"), month("2026-02-12")
    assert found["R01"] == close_to(stats.poisson.logpmf(2, rate * first))
    assert found["R02"] == close_to(stats.poisson.logpmf(3, rate * (second - first)))


def test_rivals_active_weighs_rivals_by_their_revenue():
    evidence = world.bound()
    draws = world.prior_draws(evidence)
    curves = joint.curves(evidence, draws, OPS)
    names = evidence.context.subjects("customers")
    active = curves["customer_active"]
    expected = sum(
        share * active[..., names.index(name), :]
        for name, share in ((world.RIVAL, 0.2), (world.LAB, 0.1), ("Third Lab", 0.05))
    )
    assert curves["rivals_active"] == close_to(expected / 0.35)


# --- revenue --------------------------------------------------------------------------------------


def before_close(draws: Draws, t: float) -> np.ndarray:
    """Run rate before the close by the module's equation, between its whole months."""
    middle = month("2024-07-01")
    low, part = np.floor(t), t - np.floor(t)
    rate = [
        draws["revenue_before"] * np.exp(draws["growth_to_close"] * (m - middle) / 12.0)
        for m in (low, low + 1.0)
    ]
    return (1.0 - part) * rate[0] + part * rate[1]


def test_reported_revenue_observes_the_mean_of_the_years_months():
    row = {"kind": "revenue", "subject": "Maker", "event_date": "2024-12-31"}
    _, draws, rows = certain(row | {"value": 0.9, "sd": 0.1})
    end = month("2024-12-31")
    year = np.mean([before_close(draws, end - 12.0 * (k + 0.5) / 12.0) for k in range(12)], axis=0)
    assert rows["R01"] == close_to(stats.norm.logpdf(np.log(0.9), np.log(year), 0.1))


def test_a_run_rate_observes_its_day():
    row = {"kind": "run_rate", "subject": "Maker", "event_date": "2024-12-31"}
    _, draws, rows = certain(row | {"value": 1.4, "sd": 0.25})
    latent = before_close(draws, month("2024-12-31"))
    assert rows["R01"] == close_to(stats.norm.logpdf(np.log(1.4), np.log(latent), 0.25))


def test_a_run_rate_is_the_logarithm_of_a_lognormal_figure():
    row = {"kind": "run_rate", "subject": "Maker", "event_date": "2024-12-31"}
    _, draws, rows = certain(row | {"value": 1.4, "sd": 0.25})
    latent = before_close(draws, month("2024-12-31"))
    lognormal = stats.lognorm.logpdf(1.4, 0.25, scale=latent)
    assert rows["R01"] - lognormal == close_to(np.full(DRAWS, np.log(1.4)))  # constant Jacobian


def test_a_lower_bound_is_one_sided():
    row = {"kind": "revenue_bound", "subject": "Maker", "event_date": "2024-12-31"}
    for value in (0.3, 0.9, 4.0):
        _, draws, rows = certain(row | {"value": value, "sd": 0.2})
        end = month("2024-12-31")
        year = np.mean([before_close(draws, end - (k + 0.5)) for k in range(12)], axis=0)
        # P(figure of the year, seen with its error, is at least the value)
        assert rows["R01"] == close_to(stats.norm.logsf(np.log(value), np.log(year), 0.2))
        assert rows["R01"] == close_to(stats.norm.logcdf(np.log(year / value) / 0.2))


def test_revenue_is_what_is_kept_what_is_new_and_what_the_acquirer_buys():
    evidence = world.bound()
    draws = world.prior_draws(evidence)
    curves = joint.curves(evidence, draws, OPS)
    months = evidence.context.months
    at_close = draws["revenue_before"] * np.exp(
        draws["growth_to_close"] * -month("2024-07-01") / 12.0
    )
    early = 3.0 * -np.expm1(-months / 36.0)
    growth = np.exp(
        draws["growth_retained"][:, None] * early
        + draws["growth_long_run"][:, None] * (months / 12.0 - early)
    )
    roster = evidence.context.customers.set_index("subject")
    shares = roster.loc[evidence.context.subjects("customers"), "revenue_share"].to_numpy(float)
    kept = (at_close * (1.0 - draws["acquirer_share_before"]))[:, None]
    kept = kept * (shares @ curves["customer_active"]) * growth
    leave = draws["churn_hazard_enterprise"] * np.exp(
        -draws["loading_churn"] * draws["integration"]
    )
    won = draws["new_customer_rate"] * draws["new_customer_size_usd_bn"]
    new = won[:, None] * (1.0 - np.exp(-leave[:, None] * months)) / leave[:, None] * growth
    assert curves["revenue_at_close"] == close_to(at_close)
    assert curves["revenue_retained"] == close_to(kept)
    assert curves["revenue_new"] == close_to(new)
    assert curves["revenue"] == close_to(kept + new + curves["purchases"])
    paid = 24.0 / at_close
    fade = np.exp(-months / 24.0)
    multiple = draws["exit_multiple"][:, None] ** (1 - fade) * paid[:, None] ** fade
    liquid = (1.0 - draws["liquidity_discount"])[:, None]
    assert curves["stake_value"] == close_to(0.4 * multiple * curves["revenue"] * liquid)


def spared(evidence: Evidence, draws: Draws, date: str) -> np.ndarray:
    """P(no write-down at a year's end), month of the grid nearest to it."""
    curves = joint.curves(evidence, draws, OPS)
    place = round(month(date))
    worth = curves["stake_value"][:, place] / (1.0 - draws["liquidity_discount"])
    short = np.log(0.7 * 9.5 / worth) / draws["impairment_spread"]
    return 1.0 - draws["impairment_recognition"] * stats.norm.cdf(short)


def test_accounts_without_a_write_down_have_passed_every_year_end_so_far():
    row = {"kind": "impairment", "subject": "Maker", "event_date": "2026-12-31", "value": 0}
    evidence, draws, rows = certain(row)
    product = spared(evidence, draws, "2025-12-31") * spared(evidence, draws, "2026-12-31")
    assert rows["R01"] == close_to(np.log(product))


def test_accounts_between_year_ends_say_no_more_than_the_last_ones():
    row = {"kind": "impairment", "subject": "Maker", "value": 0}
    _, _, early = certain(row | {"event_date": "2025-12-31"})
    _, _, late = certain(row | {"event_date": "2026-09-30"})
    assert late["R01"] == close_to(early["R01"])


def test_a_write_down_after_clean_accounts_happened_in_between():
    rows = [
        {"kind": "impairment", "subject": "Maker", "event_date": "2025-12-31", "value": 0},
        {"kind": "impairment", "subject": "Maker", "event_date": "2026-12-31", "value": 1},
    ]
    evidence, draws, found = certain(*rows)
    assert found["R01"] == close_to(np.log(spared(evidence, draws, "2025-12-31")))
    assert found["R02"] == close_to(np.log1p(-spared(evidence, draws, "2026-12-31")))


def test_clean_accounts_that_nobody_believes_do_not_narrow_when_it_was_written_down():
    rows = [
        {"kind": "impairment", "subject": "Maker", "event_date": "2025-12-31", "value": 0},
        {"kind": "impairment", "subject": "Maker", "event_date": "2026-12-31", "value": 1},
    ]
    rows[0]["credibility"] = "D"
    known = world.ledger_of(rows)
    evidence = world.bound(known, credibility=world.CERTAIN | {"D": 0.0}, models=("revenue",))
    draws = world.prior_draws(evidence, draws=DRAWS)
    first, second = (spared(evidence, draws, f"{year}-12-31") for year in (2025, 2026))
    assert world.loglik(evidence, draws)["R02"] == close_to(np.log1p(-first * second))


# --- graded reports -------------------------------------------------------------------------------

GRADED = [
    ("integration_report", "Buyer", "integration", "integration_informativeness"),
    ("quality_report", "Maker", "data_quality", "quality_informativeness"),
]


@pytest.mark.parametrize(("kind", "subject", "latent", "tells"), GRADED)
def test_the_three_grades_are_an_ordered_logit_and_sum_to_one(kind, subject, latent, tells):
    rows = [{"kind": kind, "subject": subject, "value": grade} for grade in (-1, 0, 1)]
    _, draws, found = certain(*rows)
    score, cut, width = draws[latent] * draws[tells], draws["report_cut"], draws["report_width"]
    low = stats.logistic.cdf(cut - score)
    high = stats.logistic.sf(cut + width - score)
    assert found["R01"] == close_to(np.log(low))
    assert found["R02"] == close_to(np.log(1.0 - low - high))
    assert found["R03"] == close_to(np.log(high))
    assert sum(np.exp(values) for values in found.values()) == close_to(np.ones(DRAWS))


@pytest.mark.parametrize(("kind", "subject", "latent", "tells"), GRADED)
def test_a_good_report_favours_a_high_latent_and_a_bad_one_a_low(kind, subject, latent, tells):
    rows = [{"kind": kind, "subject": subject, "value": grade} for grade in (-1, 1)]
    evidence, draws, _ = certain(*rows)
    up = world.loglik(evidence, draws | {latent: np.full(DRAWS, 1.0)})
    down = world.loglik(evidence, draws | {latent: np.full(DRAWS, -1.0)})
    assert (up["R02"] > down["R02"]).all()
    assert (up["R01"] < down["R01"]).all()


# --- adoption -------------------------------------------------------------------------------------


def logit_share(draws: Draws, t: float) -> np.ndarray:
    """The logit of the share on any month, linear between half-yearly knots."""
    pull = draws["loading_adoption"] * draws["integration"]
    pull = pull + draws["quality_effect"] * draws["data_quality"]

    def knot(j: int) -> np.ndarray:
        walk = draws["adoption_steps"][:, :j].sum(axis=1)
        return (
            draws["adoption_level"]
            + pull * -np.expm1(-6.0 * j / 12.0)
            + draws["adoption_drift"] * j
            + draws["adoption_volatility"] * walk
        )

    j, part = int(t // 6.0), t / 6.0 - t // 6.0
    return (1.0 - part) * knot(j) + part * knot(j + 1)


def test_a_rival_vendor_is_used_with_what_the_share_leaves():
    rows = [
        {"kind": "vendor_in_use", "subject": "Other Vendor", "event_date": "2026-01-20", "value": v}
        for v in (1, 0)
    ]
    _, draws, found = certain(*rows)
    share = special.expit(logit_share(draws, month("2026-01-20")))
    assert found["R01"] == close_to(stats.bernoulli.logpmf(1, 1.0 - share))
    assert found["R02"] == close_to(stats.bernoulli.logpmf(0, 1.0 - share))


def test_a_reported_share_is_normal_on_the_logit():
    row = {"kind": "vendor_share", "subject": "Maker", "event_date": "2026-05-20"}
    _, draws, rows = certain(row | {"value": 0.4, "sd": 0.5})
    expected = stats.norm.logpdf(special.logit(0.4), logit_share(draws, month("2026-05-20")), 0.5)
    assert rows["R01"] == close_to(expected)


def test_purchases_are_the_share_of_spending_or_the_contracts_floor():
    evidence = world.bound()
    draws = world.prior_draws(evidence, draws=DRAWS)
    curves = joint.curves(evidence, draws, OPS)
    months = evidence.context.months
    growth = draws["data_spend_growth"][:, None] * 4.0 * -np.expm1(-months / 48.0)
    spend = draws["data_spend"][:, None] * np.exp(growth)
    share = np.stack([special.expit(logit_share(draws, m)) for m in months[:-1]], axis=1)
    assert curves["acquirer_spend"] == close_to(spend)
    assert curves["adoption_share"][:, :-1] == close_to(share)
    floor = np.where(months <= 60, np.minimum(0.4, 0.5 * spend), 0.0)
    assert curves["purchases"] == close_to(np.maximum(curves["adoption_share"] * spend, floor))


# --- capability -----------------------------------------------------------------------------------


def gap_at(evidence: Evidence, draws: Draws, t: float) -> np.ndarray:
    """The gap by its recursion, knot by knot, and linear in between."""
    curves = joint.curves(evidence, draws, OPS)
    gap = [draws["gap_at_close"]]
    for j in range(1, int(t // 6.0) + 2):
        talent, share = curves["talent_retained"][:, 6 * j], curves["adoption_share"][:, 6 * j]
        gap.append(
            draws["gap_long_run"]
            + draws["gap_persistence"] * (gap[-1] - draws["gap_long_run"])
            - draws["talent_effect"] * talent
            - draws["data_effect"] * draws["data_quality"] * share
            + draws["gap_volatility"] * draws["gap_steps"][:, j - 1]
        )
    j, part = int(t // 6.0), t / 6.0 - t // 6.0
    return (1.0 - part) * gap[j] + part * gap[j + 1]


def test_an_index_gap_is_normal_about_the_path():
    row = {"kind": "index_gap", "subject": "Buyer", "event_date": "2027-03-12"}
    evidence, draws, rows = certain(row | {"value": 15.0, "sd": 5.0})
    gap = gap_at(evidence, draws, month("2027-03-12"))
    assert rows["R01"] == close_to(stats.norm.logpdf(15.0, gap, 5.0))


def test_a_rank_is_normal_on_the_log_scale_and_first_when_ahead():
    row = {"kind": "lab_rank", "subject": "Buyer", "event_date": "2026-03-12"}
    evidence, draws, rows = certain(row | {"value": 4.0, "sd": 0.4})
    gap = gap_at(evidence, draws, month("2026-03-12"))
    place = np.log(1.0 + np.maximum(gap, 0.0) / draws["rank_spacing"])
    assert rows["R01"] == close_to(stats.norm.logpdf(np.log(4.0), place, 0.4))
    ahead = world.loglik(evidence, draws | {"gap_at_close": np.full(DRAWS, -500.0)})
    assert ahead["R01"] == close_to(np.full(DRAWS, stats.norm.logpdf(np.log(4.0), 0.0, 0.4)))


def test_before_the_close_the_gap_is_the_one_at_the_close():
    row = {"kind": "index_gap", "subject": "Buyer", "event_date": "2025-04-12"}
    _, draws, rows = certain(row | {"value": 15.0, "sd": 5.0})
    assert rows["R01"] == close_to(stats.norm.logpdf(15.0, draws["gap_at_close"], 5.0))


def test_meeting_a_date_depends_on_integration():
    rows = [{"kind": "milestone", "subject": "Buyer", "value": v} for v in (1, 0)]
    _, draws, found = certain(*rows)
    logit = draws["milestone_level"] + draws["milestone_effect"] * draws["integration"]
    assert found["R01"] == close_to(stats.bernoulli.logpmf(1, special.expit(logit)))
    assert found["R02"] == close_to(stats.bernoulli.logpmf(0, special.expit(logit)))


# --- regulation -----------------------------------------------------------------------------------


def test_an_action_is_exponential_and_its_absence_a_survival():
    row = {"kind": "regulatory_action", "subject": "Authority"}
    for value, name in ((0, "logsf"), (1, "logpdf")):
        _, draws, rows = certain(row | {"value": value})
        life = stats.expon(scale=1.0 / draws["action_hazard"])
        assert rows["R01"] == close_to(getattr(life, name)(month("2026-01-15")))


def test_an_action_after_quiet_years_is_its_density_given_the_quiet():
    row = {"kind": "regulatory_action", "subject": "Authority"}
    _, draws, rows = certain(
        row | {"event_date": "2025-12-15", "value": 0},
        row | {"event_date": "2026-09-15", "value": 1},
    )
    life = stats.expon(scale=1.0 / draws["action_hazard"])
    assert sum(rows.values()) == close_to(life.logpdf(month("2026-09-15")))
    assert rows["R02"] == close_to(
        life.logpdf(month("2026-09-15")) - life.logsf(month("2025-12-15"))
    )


def test_a_sign_observes_the_hazard_against_its_prior_median():
    rows = [{"kind": "regulatory_signal", "subject": "Authority", "value": v} for v in (1, -1)]
    evidence, draws, found = certain(*rows)
    median = float(evidence.context.prior("action_hazard").ppf(0.5))
    logit = draws["regulatory_informativeness"] * np.log(draws["action_hazard"] / median)
    assert found["R01"] == close_to(special.log_expit(logit))
    assert found["R02"] == close_to(special.log_expit(-logit))


# --- what rows may say ----------------------------------------------------------------------------

# kind: values with sd that are taken, and that are not
TAKEN = {
    "integration_report": [(-1.0, None), (0.0, None), (1.0, None)],
    "departure": [(None, None), (2.0, None)],
    "sighting": [(None, None)],
    "group_exits": [(0.0, None), (3.0, None)],
    "layoff": [(600.0, None)],
    "quality_report": [(-1.0, None), (1.0, None)],
    "vendor_in_use": [(0.0, None), (1.0, None)],
    "vendor_share": [(0.4, 0.5)],
    "customer_ended": [(None, None), (0.1, None)],
    "customer_active": [(None, None)],
    "new_customers": [(0.0, None), (2.0, None)],
    "revenue": [(0.87, 0.05)],
    "run_rate": [(1.5, 0.25)],
    "revenue_bound": [(0.4, 0.2)],
    "impairment": [(0.0, None), (1.0, None)],
    "lab_rank": [(1.0, 0.4), (8.0, 0.4)],
    "index_gap": [(-3.0, 5.0), (20.0, 8.0)],
    "milestone": [(0.0, None), (1.0, None)],
    "regulatory_action": [(0.0, None), (1.0, None)],
    "regulatory_signal": [(-1.0, None), (1.0, None)],
}
REFUSED = {
    "integration_report": [(0.5, None), (None, None), (1.0, 0.1)],
    "departure": [(0.0, None), (-1.0, None), (400.0, None), (1.0, 0.1)],
    "sighting": [(1.0, None), (None, 0.1)],
    "group_exits": [(None, None), (-1.0, None), (1.5, None), (1.0, 0.1)],
    "layoff": [(None, None), (0.5, None)],
    "quality_report": [(2.0, None), (None, None)],
    "vendor_in_use": [(0.5, None), (2.0, None), (None, None)],
    "vendor_share": [(40.0, 0.5), (0.0, 0.5), (1.0, 0.5), (0.4, None), (0.4, 9.0)],
    "customer_ended": [(0.0, None), (None, 0.1)],
    "customer_active": [(1.0, None)],
    "new_customers": [(-2.0, None), (None, None)],
    "revenue": [(870000000.0, 0.05), (0.0, 0.05), (0.87, None), (0.87, 0.0)],
    "run_rate": [(-1.0, 0.25), (1.5, None)],
    "revenue_bound": [(None, 0.2), (0.4, 5.0)],
    "impairment": [(2.0, None), (0.0, 0.1)],
    "lab_rank": [(0.0, 0.4), (8.0, None)],
    "index_gap": [(500.0, 8.0), (20.0, None), (20.0, 0.0)],
    "milestone": [(0.5, None), (None, None)],
    "regulatory_action": [(2.0, None), (None, None)],
    "regulatory_signal": [(0.0, None), (None, None)],
}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_takes_what_it_means_and_refuses_the_rest_with_a_remedy(name):
    check = KINDS[name].check
    assert [v for v in TAKEN[name] if check(*v) is not None] == []
    for value in REFUSED[name]:
        problem = check(*value)
        assert problem, f"{name} took {value}"
        assert len(problem.split()) >= 4


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_says_what_it_means_in_words(name):
    kind = KINDS[name]
    assert kind.name == name
    assert kind in MODELS[kind.model].kinds
    assert kind.roster in ("people", "customers", "vendors", "entities")
    assert len(kind.meaning.split()) >= 3


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_names_its_question_its_equation_and_what_it_needs(name):
    model = MODELS[name]
    assert model.title.endswith("?")
    assert all(line.strip() for line in model.equation)
    assert set(model.requires) <= set(MODELS)
    assert list(MODELS).index(name) >= max(
        (list(MODELS).index(r) for r in model.requires), default=0
    )


def test_a_model_brings_what_it_requires():
    assert closure(("capability",)) == ("integration", "retention", "adoption", "capability")
    assert closure(None) == tuple(MODELS)


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(ModelError, match=r"no model named 'talent'; available: integration, ret"):
        closure(("talent",))


def test_a_missing_prior_is_named():
    context = world.context()
    priors = {k: v for k, v in context.priors.items() if k != "action_hazard"}
    with pytest.raises(ModelError, match="no prior named 'action_hazard'; add it"):
        joint.prior_draws(replace(context, priors=priors), ("regulation",), random_seed=1, draws=5)


IMPOSSIBLE = [
    (
        [{"kind": "departure", "subject": world.FOUNDER, "event_date": "2025-06-12"}],
        r"row R01: departure of 'Ada Founder' on 2025-06-12 is not after the start of their clock; corr",
    ),
    (
        [{"kind": "customer_ended", "subject": world.RIVAL, "event_date": "2025-06-12"}],
        r"row R01: customer_ended of 'Rival Lab' on 2025-06-12 is not after the close",
    ),
    (
        [
            {"kind": "group_exits", "subject": "Stars", "event_date": "2025-11-12", "value": 4},
            {"kind": "group_exits", "subject": "Stars", "event_date": "2025-12-12", "value": 2},
        ],
        r"row R02: 2 of 20 by 2025-12-12 does not follow 4 before it; counts of one group are cumulative",
    ),
    (
        [
            {"kind": "new_customers", "subject": "Maker", "event_date": "2025-11-12", "value": 4},
            {"kind": "new_customers", "subject": "Maker", "event_date": "2025-12-12", "value": 2},
        ],
        r"rows R01, R02: new customers are counted from the close",
    ),
    (
        [
            {
                "kind": "regulatory_action",
                "subject": "Authority",
                "event_date": "2025-01-12",
                "value": 0,
            }
        ],
        r"row R01: 2025-01-12 is before the close on 2025-06-12; leave kind empty",
    ),
    (
        [
            {
                "kind": "revenue",
                "subject": "Maker",
                "event_date": "2020-12-31",
                "value": 0.1,
                "sd": 0.1,
            }
        ],
        r"row R01: revenue at 2020-12-31 lies outside the model's months .*; leave kind empty",
    ),
]


@pytest.mark.parametrize(("rows", "words"), IMPOSSIBLE)
def test_a_row_that_no_model_can_place_is_refused_with_a_remedy(rows, words):
    with pytest.raises(LedgerError, match=words):
        world.bound(world.ledger_of(rows), draws=20)
