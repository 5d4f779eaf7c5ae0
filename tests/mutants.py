"""Small bugs planted one at a time, to see that the tests catch them: ``python tests/mutants.py``.

Each mutant replaces one expression of the package by a plausible mistake: a sign, a censoring, an origin of time, a
period off by one, evidence counted twice, a credibility ignored. A mutant is caught if a test fails. First the tests
named with it run, then, if they pass, the whole quick suite without browsers. Nothing in the project is changed: a
copy is. Survivors are listed; the exit code is 1 if fewer than 95% were caught.
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
        "np.maximum(log_false, -745.0) + self.log_p0",
        "np.maximum(log_false, -745.0) + np.log1p(-np.exp(self.log_p0))", "models",
    ),
    _bug(
        "p0 is the mean of logs, not of probabilities", "models/base.py",
        "return top + np.log(np.mean(np.exp(x - top), axis=0))", "return x.mean(axis=0)", "models",
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
        "return [(None, None, max(seen, row.upper), None)]",
        "return [(None, None, seen + row.upper, None)]", "lifecourse",
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
        "short = (np.log(terms.threshold * terms.carrying_usd_bn) - ops.log(value)) / parameters[",
        "short = (ops.log(value) - np.log(terms.threshold * terms.carrying_usd_bn)) / parameters[",
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
        'base = plain["revenue_at_close"] * (1.0 - parameters["acquirer_share_before"])',
        'base = plain["revenue_at_close"]', "forecast",
    ),
    # --- money
    _bug(
        "everything is paid a quarter late", "value.py",
        "(1 + annual) ** (-flows[QUARTER] / PER_YEAR)", "(1 + annual) ** (-(flows[QUARTER] + 1) / PER_YEAR)",
        "value",
    ),
    _bug(
        "the stake is discounted at the strategic rate", "value.py",
        "xr.where(names == \"stake\", rates.stake_per_year, rates.strategic_per_year)",
        "xr.where(names == \"stake\", rates.strategic_per_year, rates.strategic_per_year)", "value",
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
        'return -(\n        _driver(drivers, "retention_pay_usd_bn")\n        * staying',
        'return -(\n        _driver(drivers, "retention_pay_usd_bn")\n        * (1 - staying)', "value",
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
        "a year has 360 days", "value.py", "days / 365)", "days / 360)", "value",
    ),
    _bug(
        "one of several rates of return is given", "value.py",
        "    if len(roots) > 1:\n        listed", "    if len(roots) > 2:\n        listed", "value",
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
        "return np.asarray(np.sum(priors, axis=0) + rows)", "return np.asarray(rows)", "change",
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
    env = os.environ | {"PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
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


def caught_by(mutant: Mutant, place: Path) -> str:
    """The test that fails with the mistake planted in a copy; empty if none does. The copy is put right again."""
    path = place / "valuation" / mutant.file
    sound = path.read_text(encoding="utf-8")
    path.write_text(planted(mutant, sound), encoding="utf-8")
    try:
        named = [f"tests/test_{name}.py" for name in mutant.tests]
        return fails(place, named) or fails(place, ["tests"])
    finally:
        path.write_text(sound, encoding="utf-8")


def run(mutants: Iterable[Mutant], project: Path = PROJECT) -> int:
    """Plant each, print what caught it, list survivors; 0 if enough were caught."""
    chosen = list(mutants)
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory() as folder:
        place = copy_of(project, Path(folder) / "project")
        for number, mutant in enumerate(chosen, 1):
            start = time.monotonic()
            test = caught_by(mutant, place)
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
    words = parser.parse_args().names
    chosen = [m for m in MUTANTS if not words or any(w in f"{m.name} {m.file}" for w in words)]
    if not chosen:
        parser.error("no mutant is named so")
    return run(chosen)


if __name__ == "__main__":
    sys.exit(main())
