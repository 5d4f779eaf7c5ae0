"""Small bugs planted one at a time, to see that the tests catch them: ``python tests/mutants.py``.

Each mutant replaces one expression of the package by a plausible mistake: a sign, a censoring, an origin of time, a
period off by one, evidence counted twice, a credibility ignored. A mutant is caught if a test fails. First the tests
named with it run, then, if they pass and ``--named`` is not given, the whole quick suite without browsers. Nothing in
the project is changed: a copy is. Survivors are listed; the exit code is 1 if fewer than 95% were caught.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
WANTED = 0.95
PARTS = ("valuation", "tests", "params", "seeds", "notebooks", "benchmarks", "reports", ".ci")
FILES = ("pyproject.toml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile")
SECONDS = 1800  # a mutant that hangs the tests is caught


@dataclass(frozen=True)
class Mutant:
    """One mistake: in ``file`` of the package, ``old`` (there exactly once) becomes ``new``."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _bug(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, file, old, new, tests)


MUTANTS: tuple[Mutant, ...] = (
    # --- credibility and evidence counted twice
    _bug(
        "credibility ignored: every claim is certain", "models/base.py",
        "return float(self.credibility[row[\"credibility\"]])", "return 1.0", "joint", "models",
    ),
    _bug(
        "a false claim says the opposite instead of nothing", "models/base.py",
        "np.maximum(log_false, LEAST_LOG) + self.log_p0",
        "np.maximum(log_false, LEAST_LOG) - plain", "joint",
    ),
    _bug(
        "p0 is the mean of logs, not of probabilities", "models/base.py",
        "return top + np.log(np.mean(np.exp(x - top), axis=0))", "return x.mean(axis=0)", "joint",
    ),
    _bug(
        "rows of one root count each", "ledger/book.py",
        "            if key in counted:\n", "            if key in counted and False:\n", "ledger",
    ),
    _bug(
        "the least credible of one root counts", "ledger/book.py",
        "for _, name, i in sorted(candidates):", "for _, name, i in sorted(candidates, reverse=True):",
        "ledger",
    ),
    _bug(
        "superseded rows still count", "ledger/book.py",
        "            if row_id[i] in newer:\n", "            if row_id[i] in newer and False:\n", "ledger",
    ),
    _bug(
        "the as-of cut leaks a day", "ledger/book.py",
        "evidence = self.evidence[published <= day].reset_index(drop=True)",
        "evidence = self.evidence[published <= day + dt.timedelta(days=1)].reset_index(drop=True)",
        "ledger",
    ),
    # --- censoring and clocks
    _bug(
        "a sighting counts as an exit's complement twice", "models/base.py",
        "return [State(seen=max(state.seen, row.upper))]",
        "return [State(seen=state.seen + row.upper)]", "lifecourse",
    ),
    _bug(
        "an exact exit forgets survival up to it", "models/base.py",
        "exact * hazard * s_last", "exact * hazard", "lifecourse",
    ),
    _bug(
        "a window's exit is taken for its upper end's density", "models/base.py",
        "window * (s_first - s_last)", "window * hazard * s_last", "lifecourse",
    ),
    _bug(
        "an exit within a window ignores the sighting before it", "models/base.py",
        "lower = max(row.lower, seen)", "lower = row.lower", "lifecourse",
    ),
    _bug(
        "a person's clock starts at the close though they came later", "models/base.py",
        "subject: max(self.month(entry), 0.0)", "subject: 0.0", "models",
    ),
    _bug(
        "group counts do not telescope", "models/retention.py",
        "spans.append((t0, t, k - k0, size - k0))", "spans.append((t0, t, k, size))", "models",
    ),
    _bug(
        "those who left are still at risk", "models/retention.py",
        "spans.append((t0, t, k - k0, size - k0))", "spans.append((t0, t, k - k0, size))", "models",
    ),
    _bug(
        "under-reporting ignored", "models/retention.py",
        "ops.maximum(reported * left, 1e-12)", "ops.maximum(left, 1e-12)", "models",
    ),
    _bug(
        "better integration makes people leave", "models/retention.py",
        'parameters["loading_retention"] * parameters["integration"]\n    )\n    steps',
        '-parameters["loading_retention"] * parameters["integration"]\n    )\n    steps', "models",
    ),
    _bug(
        "the hazard of the piece before", "models/retention.py",
        'np.searchsorted(BREAKS, t, side="right") - 1', 'np.searchsorted(BREAKS, t, side="right") - 2',
        "models", "lifecourse",
    ),
    _bug(
        "lay-offs lose their spread", "models/retention.py",
        "return p * weight, (1.0 - p) * weight", "return p * weight, (1.0 - p) * weight * 100.0",
        "models",
    ),
    # --- customers
    _bug(
        "integration drives customers away", "models/churn.py",
        '- (parameters["loading_churn"] * parameters["integration"])[..., None]',
        '+ (parameters["loading_churn"] * parameters["integration"])[..., None]', "models",
    ),
    _bug(
        "the surge never fades", "models/churn.py",
        "return ops.log(base) + ops.log1p(rate * ops.exp(-end / tau) * still)",
        "return ops.log(base) + ops.log1p(rate * still)", "models",
    ),
    _bug(
        "every rival minds the deal", "models/churn.py",
        "return -base * (end - begin) + ops.log1p(-minds * gone)",
        "return -base * (end - begin) + ops.log1p(-gone)", "models",
    ),
    _bug(
        "new customers are counted anew in each row", "models/churn.py",
        "new = total - earlier", "new = total", "models",
    ),
    _bug(
        "a customer seen again never counts as back", "models/base.py",
        "value = value * ops.where(returned, back, 1.0)", "value = value * 1.0", "lifecourse",
    ),
    # --- adoption, revenue, capability, regulation
    _bug(
        "a rival vendor in use speaks for the target", "models/adoption.py",
        "ops.where(used > 0.5, ops.log_sigmoid(-logit), ops.log_sigmoid(logit))",
        "ops.where(used > 0.5, ops.log_sigmoid(logit), ops.log_sigmoid(-logit))", "models",
    ),
    _bug(
        "good reports are read as bad", "models/base.py",
        "ops.where(grade < 0, low, ops.where(grade > 0, high, middle))",
        "ops.where(grade > 0, low, ops.where(grade < 0, high, middle))", "models",
    ),
    _bug(
        "an interval's density lacks its error", "models/adoption.py",
        "return -0.5 * ((seen - share_logit(curves, ops)) / sd) ** 2 - np.log(",
        "return -0.5 * ((seen - share_logit(curves, ops)) / sd**2) ** 2 - np.log(", "models",
    ),
    _bug(
        "at least becomes at most", "models/revenue.py",
        "return ops.log_norm_cdf(-gap)", "return ops.log_norm_cdf(gap)", "models",
    ),
    _bug(
        "a year's revenue is read as the rate at its end", "models/revenue.py",
        "points = np.array([end]) if kind is RUN_RATE else year", "points = np.array([end])", "models",
    ),
    _bug(
        "accounts of the last day miss that year's test", "models/revenue.py",
        "passed = (ends[:, None] <= t + _SAME_DAY).astype(float)",
        "passed = (ends[:, None] < t - _SAME_DAY).astype(float)",
        "models",
    ),
    _bug(
        "a high value is written down", "models/revenue.py",
        "short = (np.log(terms.threshold * terms.carrying_bn) - ops.log(value)) / parameters[",
        "short = (ops.log(value) - np.log(terms.threshold * terms.carrying_bn)) / parameters[",
        "models",
    ),
    _bug(
        "the first in the ranking is taken for the second", "models/capability.py",
        'return ops.log1p(ops.maximum(gap, 0.0) / parameters["rank_spacing"][..., None])',
        'return ops.log1p(1.0 + ops.maximum(gap, 0.0) / parameters["rank_spacing"][..., None])',
        "models",
    ),
    _bug(
        "talent widens the gap", "models/capability.py",
        "- push[..., j] + shock[..., j - 1]", "+ push[..., j] + shock[..., j - 1]", "models", "forecast",
    ),
    _bug(
        "quiet months speak for an action", "models/regulation.py",
        'return -parameters["action_hazard"][..., None] * t',
        'return -parameters["action_hazard"][..., None] * 12.0 * t', "models", "change",
    ),
    # --- forecasts
    _bug(
        "an intervention starts a month late", "forecast.py",
        "late = np.array([d >= item.start for d in dates])",
        "late = np.array([d > item.start for d in dates])", "forecast",
    ),
    _bug(
        "who leaves in a month counts as there at its end", "forecast.py",
        "return np.asarray((months < times[:, None]).astype(float))",
        "return np.asarray((months < times[:, None] + 1.0).astype(float))", "forecast",
    ),
    _bug(
        "a person's clock is taken for the deal's", "forecast.py",
        "        times += start\n", "        times += 0.0 * start\n", "forecast",
    ),
    _bug(
        "exits are drawn from the wrong tail", "forecast.py",
        "target = -np.log1p(-uniform)", "target = -np.log1p(-uniform) * 2.0", "forecast",
    ),
    _bug(
        "revenue kept forgets the acquirer's own share", "forecast.py",
        "np.asarray((close * (1.0 - before))[:, None] * part * growth)",
        "np.asarray(close[:, None] * part * growth)", "forecast",
    ),
    # --- money
    _bug(
        "everything is paid a quarter late", "value.py",
        "flows[QUARTER].to_numpy()[:, None] / PER_YEAR", "(flows[QUARTER].to_numpy()[:, None] + 1) / PER_YEAR",
        "value",
    ),
    _bug(
        "at rates that differ between draws a quarter is a year", "value.py",
        "(1 + annual) ** (-flows[QUARTER] / PER_YEAR)", "(1 + annual) ** (-flows[QUARTER])", "value",
    ),
    _bug(
        "the stake is discounted at the strategic rate", "value.py",
        "np.where(stake, rates.stake_per_year, rates.strategic_per_year)",
        "np.where(stake, rates.strategic_per_year, rates.strategic_per_year)", "value",
    ),
    _bug(
        "what a year brings comes every quarter", "value.py",
        "yearly = by_quarter(saved - wasted, deal) / PER_YEAR", "yearly = by_quarter(saved - wasted, deal)",
        "value",
    ),
    _bug(
        "the outlay is income", "value.py",
        "np.full(drivers.sizes[DRAW], -total)", "np.full(drivers.sizes[DRAW], total)", "value",
    ),
    _bug(
        "retention pay is paid to those who left", "value.py",
        'spelled("retention_pay_bn", deal.currency))\n        * staying',
        'spelled("retention_pay_bn", deal.currency))\n        * (1 - staying)', "value",
    ),
    _bug(
        "denial counts rivals that would have left anyway", "value.py",
        'left = _driver(drivers, "rivals_anyway") - _driver(drivers, "rivals_active")',
        'left = 1.0 - _driver(drivers, "rivals_active")', "value",
    ),
    _bug(
        "profit before tax", "value.py",
        "deal.acquirer_revenue.operating_margin * (1 - deal.acquirer_revenue.tax_rate)",
        "deal.acquirer_revenue.operating_margin", "value",
    ),
    _bug(
        "a year has 360 days", "money.py", "DAYS_PER_YEAR = 365.0", "DAYS_PER_YEAR = 360.0", "money",
    ),
    _bug(
        "one of several rates of return is given", "money.py",
        "    if len(found) > 1:\n        listed", "    if len(found) > 2:\n        listed", "money",
    ),
    _bug(
        "the return is counted a quarter beyond its date", "value.py",
        "due = sum(date_after(deal.closed, 3 * int(q)) <= by for q",
        "due = 1 + sum(date_after(deal.closed, 3 * int(q)) <= by for q", "value",
    ),
    # --- beliefs that move
    _bug(
        "the error of a weighted mean forgets the weights", "decision.py",
        "math.sqrt(float(w**2 @ (x - middle) ** 2) * _inflation(inflation))",
        "math.sqrt(float(w @ (x - middle) ** 2) / x.size * _inflation(inflation))", "decision",
    ),
    _bug(
        "an update weighs the wrong way round", "study/pool.py",
        "weights = importance_weights(target - self._log_density)",
        "weights = importance_weights(self._log_density - target)", "change",
    ),
    _bug(
        "an update forgets the priors that changed", "study/pool.py",
        "np.asarray(self.memory.priors[key] + self._log_likelihood(study, source))",
        "np.asarray(self._log_likelihood(study, source))", "change",
    ),
    _bug(
        "Shapley shares weigh every coalition alike", "update.py",
        "share = factorial(size) * factorial(players - size - 1) / factorial(players)",
        "share = 1.0 / 2 ** (players - 1)", "update", "change",
    ),
    _bug(
        "the tail of the weights is not judged", "pareto.py",
        "k = (n * k + PRIOR_WEIGHT * PRIOR_SHAPE) / (n + PRIOR_WEIGHT)", "k = k / 2.0", "pareto",
    ),
    _bug(
        "draws of several fits are pooled as if of one", "update.py",
        "free[fit] = _balance(density, free + np.log(number), fit, own == fit) - np.log(",
        "free[fit] = 0.0 * _balance(density, free + np.log(number), fit, own == fit) - 0.0 * np.log(",
        "update",
    ),
    # --- record and gate
    _bug(
        "the Brier score is of absolute errors", "scoring.py",
        "return (p - o) ** 2", "return np.abs(p - o)", "scoring",
    ),
    _bug(
        "the logarithmic score looks at the other outcome", "scoring.py",
        "np.where(o == 1.0, np.log(p), np.log1p(-p))", "np.where(o == 0.0, np.log(p), np.log1p(-p))", "scoring",
    ),
    _bug(
        "CRPS without its second term", "scoring.py",
        "score = ((below - reached) ** 2 * gap).sum(axis=-1)",
        "score = (np.abs(below - reached) * gap).sum(axis=-1)", "scoring",
    ),
    _bug(
        "a check whose value is missing passes", "gate.py",
        'row.get("passed") is True,', 'row.get("passed") is not False,', "gate",
    ),
    _bug(
        "an empty gate is open", "gate.py",
        '        if not self.checks:\n            return ("nothing',
        '        if self.checks is None:\n            return ("nothing', "gate",
    ),
    _bug(
        "a month has thirty days", "schema.py",
        "DAYS_PER_MONTH = 365.25 / 12", "DAYS_PER_MONTH = 30.0", "models", "value", "package",
    ),
    # --- lives of any table, closed forms
    _bug(
        "who enters late is at risk at once", "survival/product_limit.py",
        "np.searchsorted(time, lives.entry, side=\"right\")", "np.searchsorted(time, lives.entry)",
        "survival",
    ),
    _bug(
        "who is last seen at a time is not at risk then", "survival/product_limit.py",
        "risk = entered - gone + events + censored", "risk = entered - gone + events", "survival",
    ),
    _bug(
        "a hazard per month is read per unit of the table", "survival/hazards.py",
        "base = base + math.log(made.scale)", "base = base + 0.0 * math.log(made.scale)", "survival",
    ),
    _bug(
        "a covariate that speeds leaving lengthens survival", "survival/hazards.py",
        "base * ops.exp(effect(parameters, who, ops))", "base * ops.exp(-effect(parameters, who, ops))",
        "survival",
    ),
    _bug(
        "a late entry counts the time before it", "survival/likelihood.py",
        "count.append(0.0)", "count.append(float(lives.count[i]))", "survival",
    ),
    _bug(
        "who has not left yet adds no time at risk", "conjugate.py",
        "exposure=float(t.sum())", "exposure=float(t @ e.astype(float))", "conjugate",
    ),
    _bug(
        "an error is taken for a variance", "conjugate.py",
        "precision = np.broadcast_to(e**-2.0, y.shape)", "precision = np.broadcast_to(1.0 / e, y.shape)",
        "conjugate",
    ),
    _bug(
        "a payment that grows has grown before the first", "money.py",
        "factor *= 1.0 / (1.0 + growth)", "factor *= 1.0", "money",
    ),
    _bug(
        "what comes in is reinvested a period too long", "money.py",
        "** (last - period)", "** (last + 1 - period)", "money",
    ),
    _bug(
        "the money is back a part of a period late", "money.py",
        "first - max(total[first], 0.0) / present[first]", "first + max(total[first], 0.0) / present[first]",
        "money",
    ),
    _bug(
        "the time by which a share are gone is that at which it remains", "survival/product_limit.py",
        '["survival"] <= 1.0 - q + 1e-12', '["survival"] <= q + 1e-12', "survival",
    ),
    # --- options, news and what it is worth
    _bug(
        "what is paid on the day of the choice still hangs on it", "options.py",
        'flows["date"].to_numpy() > np.datetime64', 'flows["date"].to_numpy() >= np.datetime64', "options",
    ),
    _bug(
        "a trade of the stake is discounted as all else is", "options.py",
        "nothing + now * _factor(deal.discount.stake_per_year",
        "nothing + now * _factor(deal.discount.strategic_per_year",
        "options",
    ),
    _bug(
        "who gains control pays the discount of a minority twice", "options.py",
        'scale / (1 - drivers["liquidity_discount"].to_numpy())',
        'scale * (1 - drivers["liquidity_discount"].to_numpy())',
        "options",
    ),
    _bug(
        "an option's cost is a gain", "options.py",
        "ahead, drivers, deal, day) - cost", "ahead, drivers, deal, day) + cost", "options",
    ),
    _bug(
        "a grade's reports are untrue as often as they are true", "disclosures.py",
        "rng.random(n) < truth", "rng.random(n) > truth", "options",
    ),
    _bug(
        "a relative error is added in dollars", "disclosures.py",
        "scale.back(scale.there(exact) + error)", "exact + error", "options",
    ),
    _bug(
        "a year of purchases has thirteen months", "disclosures.py",
        "slice(max(0, last - 11), last + 1)", "slice(max(0, last - 12), last + 1)", "options",
    ),
    _bug(
        "a choice is judged on the draws that it was fitted to", "information.py",
        "train = ~test", "train = np.ones_like(test)", "information",
    ),
    _bug(
        "two measurements have as much error as one", "information.py",
        "walk[:, np.searchsorted(finite, size)] / size", "walk[:, np.searchsorted(finite, size)] / np.sqrt(size)",
        "information",
    ),
    _bug(
        "a sample is worth what its measurements' errors add up to", "information.py",
        "error * error / size", "error * error * size", "information",
    ),
    _bug(
        "waiting brings what it costs", "study/waiting.py",
        'told["value"] - loss.value', 'told["value"] + loss.value', "waiting",
    ),
    _bug(
        "news that may not come is worth as if it came", "study/waiting.py",
        "news.chance * number for", "number for", "waiting",
    ),
    _bug(
        "who waits loses what is paid until the news comes", "study/waiting.py",
        "day=news.latest, since=day)", "day=news.latest)", "waiting",
    ),
    _bug(
        "one chooses before what is known now", "study/waiting.py",
        "max(stated, study.as_of)", "stated", "waiting",
    ),
    _bug(
        "a day between two months is nearer to the other", "options.py",
        "values[:, left] * (1 - part) + values[:, left + 1] * part",
        "values[:, left] * part + values[:, left + 1] * (1 - part)", "options",
    ),
    _bug(
        "a reading advises what is best without it", "study/waiting.py",
        "best = information.best_option(payoff, part).option",
        "best = information.best_option(payoff, weight).option", "waiting",
    ),
    _bug(
        "a reading is as likely as it is frequent among draws", "study/waiting.py",
        '"chance": float(part.sum() / weight.sum())', '"chance": float(there.mean())', "waiting",
    ),
    _bug(
        "the upper end of a figure begins at its lower end", "study/waiting.py",
        '("at least", shown.told >= high, high)', '("at least", shown.told >= low, high)', "waiting",
    ),
    _bug(
        "what waiting costs is taken for sure", "study/waiting.py",
        'math.hypot(told["mcse"], loss.mcse)', 'told["mcse"]', "waiting",
    ),
    # --- what is opinion
    _bug(
        "a sensitivity is per unit of alpha, not per doubling", "sensitivity.py",
        "upper) / math.log2(high)", "upper) / (high - 1.0)", "sensitivity",
    ),
    _bug(
        "a tilted prior goes the other way", "sensitivity.py",
        "importance_weights(shift * np.asarray", "importance_weights(-shift * np.asarray", "sensitivity",
    ),
    _bug(
        "belief in a prior set follows its mean log ratio", "sensitivity.py",
        "float(np.exp(ratio - top).mean())", "math.exp(float((ratio - top).mean()))", "sensitivity",
    ),
    _bug(
        "prior sets that hardly anybody believes disagree as much as others", "sensitivity.py",
        "between = sum(share[n] * (means[n] - middle) ** 2 for n in share)",
        "between = sum((means[n] - middle) ** 2 for n in share)", "sensitivity",
    ),
    _bug(
        "leaving a row out says what putting it in would", "study/opinion.py",
        "there.values - here.values", "here.values - there.values", "opinion",
    ),
    _bug(
        "the error of a row's effect forgets what both states share", "study/opinion.py",
        "error_of(there.scatter - here.scatter)", "error_of(there.scatter + here.scatter)", "opinion",
    ),
    _bug(
        "draws that were moved weigh the wrong way round", "study/opinion.py",
        "likelihood(there) - likelihood(parameters)", "likelihood(parameters) - likelihood(there)", "opinion",
    ),
    _bug(
        "the priors alone have seen the rows", "study/opinion.py",
        "blank = replace(evidence, bound={}, rows=evidence.rows.iloc[:0])", "blank = evidence", "opinion",
    ),
    _bug(
        "evidence moves belief to the set that it speaks against", "study/opinion.py",
        "other[n].logpdf(drawn[n]) - house[n].logpdf(drawn[n])",
        "house[n].logpdf(drawn[n]) - other[n].logpdf(drawn[n])", "opinion",
    ),
    _bug(
        "draws moved by hand weigh the wrong way round", "study/moves.py",
        "np.asarray(rows[0] - rows[1])", "np.asarray(rows[1] - rows[0])", "moves",
    ),
    _bug(
        "a shift by hand forgets what draws weighed before", "study/moves.py",
        "importance_weights(before + np.sum(scores, axis=0))", "importance_weights(np.sum(scores, axis=0))",
        "moves",
    ),
    _bug(
        "the interval of the pool gives each set the same share", "study/opinion.py",
        "shares[n] * weight[n] / weight[n].sum()", "weight[n] / weight[n].sum()", "opinion",
    ),
    # --- questions, the page's draws, what was said and kept
    _bug(
        "what happens on the closing day comes too late", "questions.py",
        "months_between(closed, day) + MOMENT", "months_between(closed, day) - MOMENT", "questions",
    ),
    _bug(
        "revenue is asked of the year that is not over", "questions.py",
        "return question.closes.year - 1", "return question.closes.year", "questions",
    ),
    _bug(
        "a year's revenue is that of its months' first days", "questions.py",
        "np.arange(12) + 0.5", "np.arange(12) + 0.0", "questions",
    ),
    _bug(
        "a rank is not rounded", "questions.py",
        "rank < question.number + 0.5", "rank <= question.number", "questions",
    ),
    _bug(
        "accounts of the closing day are not looked at", "forecast.py",
        "times <= month + MOMENT", "times <= month - MOMENT", "questions",
    ),
    _bug(
        "the page discounts the stake as all else", "study/live.py",
        "(1.0 + of_stake) ** -years", "(1.0 + others) ** -years", "live",
    ),
    _bug(
        "what is announced for later is known before", "forecast.py",
        "min(days) for days in believed", "max(days) for days in believed", "forecast",
    ),
    _bug(
        "a row may tell of what has not happened yet", "ledger/rules.py",
        "happened > published and not kind.ahead", "happened.year > published.year and not kind.ahead", "ledger",
    ),
    _bug(
        "the newest run is told by its clock", "archive.py",
        "return run.sequence or max(earlier, default=0), run.created, run.id", "return 0, run.created, run.id",
        "archive",
    ),
    _bug(
        "the run before a day may be of that day", "archive.py",
        "run.created < moment", "run.created.date() <= moment.date()", "archive",
    ),
    _bug(
        "a run shares the place of the one before it", "archive.py",
        'about["sequence"] = 1 + max(', 'about["sequence"] = max(', "archive",
    ),
    _bug(
        "what changed since the last report has the wrong sign", "study/since.py",
        '"change": value - before', '"change": before - value', "since",
    ),
    _bug(
        "what is published today has to wait", "ledger/keeping.py",
        'record["published"] > self.today', 'record["published"] >= self.today', "news",
    ),
    _bug(
        "runs from before the record began are missed", "record.py",
        "if kept > begun and run not in known", "if run not in known", "record",
    ),
    _bug(
        "a forecast's seal does not cover those above", "record.py",
        'hashlib.sha256(f"{above}\\n{content}".encode())', 'hashlib.sha256(f"{content}".encode())', "record",
    ),
    _bug(
        "a forecast of the last day stands for no time", "scorecard.py",
        "toordinal() + 1,  # the end", "toordinal(),  # the end", "scorecard",
    ),
    _bug(
        "what has closed is asked again in a backtest", "study/backtest.py",
        'dt.date.fromisoformat(row["closes"]) < day', "False", "scorecard",
    ),
    _bug(
        "a central interval has one tail", "calibration/ranks.py",
        "tail, count = (1.0 - level) / 2.0, len(found)", "tail, count = 1.0 - level, len(found)", "calibration",
    ),
    _bug(
        "an interval leaves out twice its tails", "calibration/ranks.py",
        "np.searchsorted(mass, [tail, 1.0 - tail])", "np.searchsorted(mass, [2 * tail, 1.0 - 2 * tail])",
        "calibration",
    ),
    _bug(
        "a tie is always won", "calibration/ranks.py",
        "below + rng.random() * tied", "below + tied", "calibration",
    ),
)  # fmt: skip


def planted(mutant: Mutant, text: str) -> str:
    """The text of its file with the mistake in it; ValueError unless the place is there exactly once."""
    if (times := text.count(mutant.old)) != 1:
        raise ValueError(f"{mutant.name}: {times} places in {mutant.file} read {mutant.old!r}")
    return text.replace(mutant.old, mutant.new)


def copy_of(project: Path, place: Path) -> Path:
    """A copy of what the tests read, with the environment's own interpreter."""
    for name in PARTS:
        if (project / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "runs", ".cache")
            shutil.copytree(project / name, place / name, ignore=ignored)
    for name in (*FILES, ".gitignore", ".gitattributes", ".python-version", "requirements.lock"):
        if (project / name).is_file():
            shutil.copy2(project / name, place / name)
    subprocess.run(["git", "init", "-q"], cwd=place, check=True)
    subprocess.run(["git", "add", "-A"], cwd=place, check=True)
    return place


def fails(place: Path, tests: Sequence[str]) -> str:
    """The first test that fails; empty if all pass."""
    command = [
        sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider",
        "-m", "not slow and not browser", *tests,
    ]  # fmt: skip
    env = os.environ | {
        "PYTHONPATH": str(place),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # no test needs one, and they take a second to load
    }
    try:
        done = subprocess.run(
            command, cwd=place, env=env, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"no end after {SECONDS} s"
    if done.returncode == 0:
        return ""
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if done.returncode not in (1, 2) or not failed:
        raise RuntimeError(f"pytest could not run: {(done.stdout + done.stderr)[-2000:]}")
    return failed[0].split(" - ")[0]


def caught_by(mutant: Mutant, place: Path, *, named_only: bool = False) -> str:
    """The test that fails with the mistake planted in a copy; empty if none does. The copy is put right again."""
    path = place / "valuation" / mutant.file
    sound = path.read_text(encoding="utf-8")
    path.write_text(planted(mutant, sound), encoding="utf-8")
    try:
        named = [f"tests/test_{name}.py" for name in mutant.tests]
        return fails(place, named) or ("" if named_only else fails(place, ["tests"]))
    finally:
        path.write_text(sound, encoding="utf-8")


def run(mutants: Iterable[Mutant], project: Path = PROJECT, *, named_only: bool = False) -> int:
    """Plant each, print what caught it, list survivors; 0 if enough were caught.

    ``named_only`` leaves the whole suite out: minutes instead of hours, and a survivor is one of its named tests only.
    """
    chosen = list(mutants)
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory() as folder:
        place = copy_of(project, Path(folder) / "project")
        for number, mutant in enumerate(chosen, 1):
            start = time.monotonic()
            test = caught_by(mutant, place, named_only=named_only)
            if not test:
                survivors.append(mutant)
            told = test or "SURVIVED"
            print(
                f"{number:3d}/{len(chosen)}  {mutant.name} ({mutant.file}): {told}  "
                f"[{time.monotonic() - start:.0f} s]",
                flush=True,
            )
    share = 1.0 - len(survivors) / len(chosen)
    print(
        f"{len(chosen) - len(survivors)} of {len(chosen)} caught ({share:.0%}, at least {WANTED:.0%} wanted)."
    )
    for mutant in survivors:
        print(f"survivor: {mutant.name} ({mutant.file}): {mutant.old!r} -> {mutant.new!r}")
    return 0 if share >= WANTED else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", help="only mutants whose name or file contains one of these words"
    )
    parser.add_argument(
        "--named",
        action="store_true",
        help="run only the tests named with each, not the whole suite",
    )
    given = parser.parse_args()
    words = given.names
    chosen = [m for m in MUTANTS if not words or any(w in f"{m.name} {m.file}" for w in words)]
    if not chosen:
        parser.error("no mutant is named so")
    return run(chosen, named_only=given.named)


if __name__ == "__main__":
    sys.exit(main())
