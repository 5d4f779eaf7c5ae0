"""Published figures of other people's problems, reproduced by the parts of the package that do such jobs.

Each figure names its source, what was published, how closely it must be met and which public function meets it. The
problems are small enough to be stated here, but for one table that the caller hands in.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from valuation import conjugate, decision, information, money, scoring, survival

MAXIMUM = 1e-3  # a maximum of a likelihood, and what was printed with three or four digits
POSTERIOR_SD = 0.10  # of a posterior's standard deviation


@dataclass(frozen=True)
class Figure:
    """A published number beside ours.

    Attributes
    ----------
    problem, quantity
        What it is of.
    source
        Who published it.
    by
        The public function that gives ours.
    published, ours
        In the same unit.
    tolerance
        The largest difference that is the same number.
    """

    problem: str
    quantity: str
    source: str
    by: str
    published: float
    ours: float
    tolerance: float

    @property
    def reproduced(self) -> bool:
        return abs(self.ours - self.published) <= self.tolerance


def _cohort(survivors: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"year": range(len(survivors)), "customers": survivors})


# Survivors of 1,000 customers at the end of each year (Fader and Hardie 2007, table 1).
HIGH_END = _cohort([1000, 869, 743, 653, 593, 551, 517, 491])
REGULAR = _cohort([1000, 631, 468, 382, 326, 289, 262, 241])

_TREATED = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
_RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
_PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
# Weeks of remission of children with leukaemia (Freireich et al. 1963, Blood 21, 699-716).
REMISSION = pd.DataFrame(
    {
        "weeks": _TREATED + _PLACEBO,
        "relapse": _RELAPSED + [1] * len(_PLACEBO),
        "arm": ["6-MP"] * len(_TREATED) + ["placebo"] * len(_PLACEBO),
    }
)

# Five dated flows, of a spreadsheet's documentation of XIRR and XNPV.
DATED_FLOWS = (-10000.0, 2750.0, 4250.0, 3250.0, 2750.0)
DATES = (
    dt.date(2008, 1, 1),
    dt.date(2008, 3, 1),
    dt.date(2008, 10, 30),
    dt.date(2009, 2, 15),
    dt.date(2009, 4, 1),
)


def figures(rossi: pd.DataFrame | None = None) -> list[Figure]:
    """Every figure that needs no sampler.

    Parameters
    ----------
    rossi
        Columns ``week``, ``arrest`` and the covariates of Rossi, Berk and Lenihan (1980); without it
        the figures on that table are left out.
    """
    found = [*_retention(), *_remission(), *_conjugate(), *_money(), *_scores(), *_information()]
    return found if rossi is None else [*found, *_recidivism(rossi)]


def _retention() -> Iterator[Figure]:
    source = "Fader and Hardie (2007), Journal of Interactive Marketing 21, 76-90"
    columns = survival.Columns(unit="years", duration="year", survivors="customers")
    published = {
        "High End": (HIGH_END, 0.668, 3.806, -1611.16, [0.460, 0.436, 0.414, 0.395, 0.378]),
        "Regular": (REGULAR, 0.704, 1.182, -1680.27, []),
    }
    for name, (table, alpha, beta, log_likelihood, later) in published.items():
        problem = f"Retention of {name} customers, shifted beta-geometric"
        fit = survival.maximum_likelihood(table, family="sbg", **columns)
        by = "survival.maximum_likelihood"
        for quantity, value in (("alpha", alpha), ("beta", beta)):
            ours = float(fit.parameters[quantity])
            yield Figure(problem, quantity, source, by, value, ours, MAXIMUM)
        most = 0.005  # two digits were printed
        ours = fit.log_likelihood
        yield Figure(problem, "log-likelihood", source, by, log_likelihood, ours, most)
        if later:
            years = range(8, 8 + len(later))
            left = survival.survival(fit, list(years))["survival"].to_numpy()
            for year, value, ours in zip(years, later, left.tolist(), strict=True):
                what = f"share left after {year} years"
                yield Figure(problem, what, source, "survival.survival", value, ours, MAXIMUM)
    wide = {name: survival.prior("halfnormal", sigma=10) for name in ("alpha", "beta")}
    known = survival.integrate(HIGH_END, family="sbg", priors=wide, **columns)
    s = survival.survival(known, [12])
    problem = "Retention of High End customers, half-normal(10) priors"
    source = "Reference posterior by long runs of another sampler"
    for quantity, value, sd in (("alpha", 0.7338, 0.1313), ("beta", 4.328, 1.023)):
        least = POSTERIOR_SD * sd
        ours = float(known.mean[quantity])
        yield Figure(problem, f"mean {quantity}", source, "survival.integrate", value, ours, least)
        ours = float(known.sd[quantity])
        yield Figure(problem, f"sd {quantity}", source, "survival.integrate", sd, ours, least)
    least = POSTERIOR_SD * 0.01976
    for quantity, value in (("survival", 0.37254), ("sd", 0.01976)):
        ours, what = s[quantity].item(), f"share left after 12 years, {quantity}"
        yield Figure(problem, what, source, "survival.survival", value, ours, least)


def _recidivism(rossi: pd.DataFrame) -> Iterator[Figure]:
    problem = "Weeks until arrest, 432 men released from prison"
    source = "lifelines, documentation of WeibullFitter and KaplanMeierFitter"
    columns = survival.Columns(unit="weeks", duration="week", event="arrest")
    fit = survival.maximum_likelihood(rossi, family="weibull", **columns)
    by = "survival.maximum_likelihood"
    for quantity, value in (("scale", 123.677), ("shape", 1.36514)):
        ours = float(fit.parameters[quantity])
        yield Figure(problem, f"Weibull {quantity}", source, by, value, ours, MAXIMUM)
    ours = fit.log_likelihood
    yield Figure(problem, "Weibull log-likelihood", source, by, -696.6244, ours, MAXIMUM)
    estimate = survival.kaplan_meier(rossi, **columns)
    for week, value in ((26, 0.8750), (52, 0.73611)):
        ours = survival.survival_at(estimate, week).item()
        what = f"product-limit S({week})"
        yield Figure(problem, what, source, "survival.kaplan_meier", value, ours, 5e-6)
    names = {
        "fin": 0.272,
        "age": 0.041,
        "race": -0.225,
        "wexp": 0.107,
        "mar": 0.311,
        "paro": 0.059,
        "prio": -0.066,
    }
    source = "lifelines, documentation of WeibullAFTFitter"
    columns["covariates"] = list(names)
    fit = survival.maximum_likelihood(rossi, family="weibull", **columns)
    ratio = fit.parameters["log_hazard_ratio"]
    shape = float(fit.parameters["shape"])
    for name, value in names.items():
        # Hazards in proportion as accelerated time.
        ours = -float(ratio.sel(covariate=name)) / shape
        yield Figure(problem, f"Weibull effect of {name}", source, by, value, ours, MAXIMUM)
    yield Figure(problem, "Weibull log shape", source, by, 0.339, math.log(shape), MAXIMUM)
    most = 0.005
    ours = fit.log_likelihood
    yield Figure(problem, "Weibull regression, log-likelihood", source, by, -679.92, ours, most)


def _remission() -> Iterator[Figure]:
    problem = "Weeks of remission, 42 children with leukaemia"
    source = "Freireich et al. (1963); Gehan (1965), Biometrika 52, 203-223"
    columns = survival.Columns(unit="weeks", duration="weeks", event="relapse", group="arm")
    median = survival.median_time(survival.kaplan_meier(REMISSION, **columns))
    for arm, value in (("6-MP", 23.0), ("placebo", 8.0)):
        ours = float(median.sel(group=arm))
        yield Figure(problem, f"median, {arm}", source, "survival.median_time", value, ours, 0.0)
    statistic, _ = survival.logrank(REMISSION, **columns)
    source = "Kalbfleisch and Prentice (2002), Statistical Analysis of Failure Time Data"
    what = "log-rank chi-squared"
    yield Figure(problem, what, source, "survival.logrank", 16.79, statistic, 0.005)
    fit = survival.maximum_likelihood(REMISSION, family="exponential", **columns)
    for arm, value in (("6-MP", 9 / 359), ("placebo", 21 / 182)):
        ours = float(fit.parameters["rate"].sel(group=arm))
        what = f"relapses a week, {arm}"
        yield Figure(problem, what, source, "survival.maximum_likelihood", value, ours, 1e-6)


def _conjugate() -> Iterator[Figure]:
    exact = 5e-7
    problem = "Gamma(2, 10) belief, 5 events in 91 months"
    known = conjugate.gamma_poisson(2, 10, events=5, exposure=91)
    low, high = known.interval(0.95)
    source, by = "closed form", "conjugate.gamma_poisson"
    yield Figure(problem, "mean rate a month", source, by, 0.0693069, known.mean, exact)
    yield Figure(problem, "2.5% quantile", source, by, 0.027865, low, exact)
    yield Figure(problem, "97.5% quantile", source, by, 0.129302, high, exact)
    ours = float(known.survival(12))
    yield Figure(problem, "chance of no event in 12 months", source, by, 0.455723, ours, exact)
    problem = "Dirichlet(1, 1, 1, 1) belief, counts 12, 30, 5, 3"
    shares = conjugate.dirichlet_multinomial([1, 1, 1, 1], [12, 30, 5, 3]).mean.tolist()
    by = "conjugate.dirichlet_multinomial"
    for i, (value, ours) in enumerate(
        zip([0.240741, 0.574074, 0.111111, 0.074074], shares, strict=True)
    ):
        yield Figure(problem, f"share of category {i + 1}", source, by, value, ours, exact)


def _money() -> Iterator[Figure]:
    problem, source = "Five dated flows", "a spreadsheet's documentation of XIRR and XNPV"
    ours = money.xirr(DATED_FLOWS, DATES)
    yield Figure(problem, "rate of return", source, "money.xirr", 0.373362535, ours, 5e-9)
    ours = money.xnpv(DATED_FLOWS, DATES, 0.09)
    yield Figure(problem, "net present value at 9%", source, "money.xnpv", 2086.647602, ours, 5e-7)
    problem, source = (
        "Flows -1600, 10000, -10000",
        "Lorie and Savage (1955), Journal of Business 28",
    )
    lower, upper = money.irr_roots([-1600, 10000, -10000])
    yield Figure(problem, "lower rate of return", source, "money.irr_roots", 0.25, lower, 1e-9)
    yield Figure(problem, "upper rate of return", source, "money.irr_roots", 4.0, upper, 1e-9)
    source = "a spreadsheet's documentation"
    ours = money.npv([-10000, 3000, 4200, 6800], 0.10, first=1)
    yield Figure("Four flows", "net present value at 10%", source, "money.npv", 1188.44, ours, 5e-3)
    ours = money.mirr(
        [-120000, 39000, 30000, 21000, 37000, 46000], finance_rate=0.10, reinvest_rate=0.12
    )
    yield Figure("Six flows", "modified rate of return", source, "money.mirr", 0.126094, ours, 5e-7)
    ours = money.annuity_payment(10000, 0.08 / 12, 10)
    by = "money.annuity_payment"
    yield Figure("Loan over ten months", "payment", source, by, 1037.03, ours, 5e-3)
    ours = money.annuity_present_value(500, 0.08 / 12, 240)
    by = "money.annuity_present_value"
    yield Figure("Annuity of 20 years", "present value", source, by, 59777.15, ours, 5e-3)


def _scores() -> Iterator[Figure]:
    source = "closed form"
    ours = float(scoring.crps_normal(0, 1, 0))
    by = "scoring.crps_normal"
    yield Figure("N(0, 1) forecast, outcome 0", "CRPS", source, by, 0.2336950, ours, 5e-8)
    problem = "Forecasts 1, 2, 4, 8, outcome 3"
    for what, value, fair in (("CRPS", 0.8125, False), ("fair CRPS", 1 / 3, True)):
        ours = float(scoring.crps_ensemble([1, 2, 4, 8], 3, fair=fair))
        yield Figure(problem, what, source, "scoring.crps_ensemble", value, ours, 1e-12)


def _information() -> Iterator[Figure]:
    problem, source = "Net benefit p1 - p2 or 0, p1 ~ N(1, 1), p2 ~ N(0, 2)", "closed form"
    for what, value, sd in (
        ("EVPI", 0.479811, math.sqrt(5.0)),
        ("EVPPI of p1", 0.083315, 1.0),
        ("EVPPI of p2", 0.395593, 2.0),
    ):
        ours = information.evpi_normal(1.0, sd)
        yield Figure(problem, what, source, "information.evpi_normal", value, ours, 5e-7)
    problem, source = "An oil well: drill or not", "Raiffa (1968), Decision Analysis, chapter 2"
    payoff = np.array([[-70.0, 0.0], [50.0, 0.0], [200.0, 0.0]])
    chance = [0.5, 0.3, 0.2]
    seismic = [[0.6, 0.3, 0.1], [0.3, 0.4, 0.3], [0.1, 0.4, 0.5]]
    ours = decision.evpi(payoff, chance).value
    yield Figure(problem, "EVPI", source, "decision.evpi", 35.0, ours, 1e-9)
    ours = information.evsi_table(payoff, chance, seismic)
    yield Figure(problem, "EVSI of sounding", source, "information.evsi_table", 12.5, ours, 1e-9)
