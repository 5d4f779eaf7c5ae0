"""A study: the inputs of one answer, and its draws on demand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation import clock
from valuation import gate as gates
from valuation.archive import DEFAULT_DEAL, for_deal
from valuation.currency import BN, unit_in
from valuation.errors import LedgerError, ModelError
from valuation.ledger import Ledger, load_ledger
from valuation.models import MODELS, closure, joint, kinds_in
from valuation.params import (
    HOUSE,
    cache_folder,
    find_root,
    load_credibility,
    load_deal,
    load_gate,
    load_priors,
    load_scenario,
)
from valuation.params.reading import digest_of
from valuation.params.scenarios import over
from valuation.schema import CHAINS, DRAWS, TAIL

if TYPE_CHECKING:
    import xarray as xr

    from valuation.models.joint import Evidence
    from valuation.params import Deal, Gate, PriorBook, Scenario
    from valuation.posterior import Diagnosis

RANDOM_SEED = 20250612
# Columns of a scored row that a likelihood reads.
READ = ("id", "event_date", "credibility", "kind", "subject", "value", "sd")

# Forecasts of this process by digest of their inputs: a memory of pure results, oldest out first.
FORECASTS_KEPT = 6
_FORECASTS: dict[str, Any] = {}


@dataclass(frozen=True)
class Believed:
    """The draws of one prior set: parameters, their weights, and how they were had.

    Attributes
    ----------
    parameters
        ``{name: (draw, …)}``.
    weight
        ``(draw,)``, summing to 1.
    khat, effective_draws
        Of the weights; ``khat`` None where nothing was reweighted.
    method
        ``sampled``, ``reweighted`` or ``refitted``.
    """

    parameters: dict[str, np.ndarray]
    weight: np.ndarray
    khat: float | None
    effective_draws: float
    method: str


def _unweighted(parameters: dict[str, np.ndarray], method: str) -> Believed:
    n = len(next(iter(parameters.values())))
    return Believed(parameters, np.full(n, 1.0 / n), None, float(n), method)


@dataclass(frozen=True)
class Study:
    """One answer's inputs; draws, values and results follow on demand and are computed once.

    Attributes
    ----------
    root
        Folder that holds ``seeds/`` and ``params/``.
    deal
        As the scenario has it.
    base_deal
        As its file has it: what the posterior is fitted to.
    ledger
        Cut at the as-of date.
    models
        Sub-models in dependency order.
    as_of_given
        Whether the as-of date was asked for; else it is that of the newest row.
    cache
        Where fits and results are kept.
    made
        When the run was made whose inputs these are; None of the present files.
    """

    root: Path
    deal: Deal
    base_deal: Deal
    scenario: Scenario
    ledger: Ledger
    book: PriorBook
    credibility: Mapping[str, float]
    limits: Gate
    random_seed: int
    models: tuple[str, ...]
    override: str
    as_of_given: bool = False
    cache: Path = field(default_factory=lambda: cache_folder(find_root()), repr=False)
    made: dt.datetime | None = None

    # --- inputs by digest -------------------------------------------------------------------------

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of what the answer depends on, by name."""
        from valuation.study.stored import package_digest

        return {
            "ledger": self.ledger.digest,
            "priors": self.book.digest(self.prior_set),
            "deal": self.deal.digest(),
            "scenario": self.scenario.digest(),
            "credibility": digest_of(dict(self.credibility)),
            "code": package_digest(),
        }

    @property
    def prior_set(self) -> str:
        """Name of the prior set in use."""
        return self.deal.prior_set

    @property
    def as_of(self) -> dt.date:
        return self.ledger.as_of

    # --- posterior --------------------------------------------------------------------------------

    @cached_property
    def evidence(self) -> Evidence:
        """The scored rows bound to the models under the house priors."""
        context = joint.context_of(
            self.ledger, self.base_deal, self.book.get(HOUSE), self.credibility
        )
        return joint.bind(context, self.ledger.scored(), models=self.models)

    def posterior_key(self, prior_set: str = HOUSE) -> str:
        """Name of the stored posterior: a digest of all that its draws depend on."""
        from valuation import posterior

        deal = self.base_deal.model_dump(mode="json")
        return posterior.key_of(
            {
                "ledger": self._scored_digest,
                "priors": self.book.digest(prior_set),
                "reference": self.book.digest(HOUSE),
                # Only the terms that enter a likelihood: a new discount rate needs no new posterior.
                "deal": digest_of(
                    {k: deal[k] for k in ("closed", "horizon_years", "services", "impairment")}
                    | {"stake": {k: deal["stake"][k] for k in ("fraction", "entry_value_bn")}}
                ),
                "credibility": digest_of(dict(self.credibility)),
                "models": ",".join(self.models),
                "seed": str(self.random_seed),
                "draws": f"{CHAINS}x{DRAWS}",
                "code": _sampling_code(),
                "versions": str(sorted(posterior.versions().items())),
            }
        )

    @cached_property
    def _scored_digest(self) -> str:
        """Digest of what a likelihood reads of the ledger; context, wording and sources ask for no new fit."""
        rows = self.ledger.scored()
        context = joint.context_of(self.ledger, self.base_deal, {}, self.credibility)
        rosters = {n: getattr(context, n) for n in ("people", "customers", "vendors", "entities")}
        told = {n: frame.drop(columns="note", errors="ignore") for n, frame in rosters.items()}
        return digest_of(
            {
                n: sorted(map(repr, frame.to_numpy(dtype=object).tolist()))
                for n, frame in (*told.items(), ("rows", rows[list(READ)]))
            }
        )

    def fitted(self, prior_set: str) -> xr.DataTree:
        """The stored posterior under a prior set; fitted if there is none."""
        from valuation import posterior

        evidence = self.under(prior_set)
        if not evidence.ids:
            raise ModelError(
                f"nothing that {', '.join(self.models)} can learn from was published by {self.as_of}; "
                "choose a later as-of date or more models"
            )

        def make() -> xr.DataTree:
            tree = posterior.fit(
                joint.build(evidence),
                random_seed=self.random_seed,
                attrs={
                    "as_of": str(self.as_of),
                    "digest_ledger": self.ledger.digest,
                    "digest_priors": self.book.digest(prior_set),
                    "digest_deal": self.base_deal.digest(),
                },
            )
            # Kept with the draws: under what density they were drawn, whatever the code becomes.
            return posterior.with_density(
                tree, log_target(evidence, stacked(tree), seed=self.random_seed)
            )

        return posterior.load_or_fit(self.posteriors, self.posterior_key(prior_set), make)

    @property
    def posteriors(self) -> Path:
        """The folder of stored fits."""
        return self.cache / "posteriors"

    @cached_property
    def posterior(self) -> xr.DataTree:
        """The stored posterior under the house priors; fitted if there is none."""
        return self.fitted(HOUSE)

    def under(self, prior_set: str, deal: Deal | None = None) -> Evidence:
        """The evidence with another prior set (its ``p0`` stays the house's) or other terms."""
        terms = self.base_deal if deal is None else deal
        longer = terms.horizon_years != self.base_deal.horizon_years
        evidence = self._evidence_of_scenario if longer else self.evidence
        context = replace(evidence.context, priors=self.book.get(prior_set), deal=terms)
        return replace(evidence, context=context)

    @cached_property
    def _evidence_of_scenario(self) -> Evidence:
        """The evidence over the scenario's own horizon: curves and year ends are as long as it is."""
        context = replace(self.evidence.context, deal=self.deal)
        return joint.bind(context, self.evidence.rows, models=self.models)

    def believed(self, prior_set: str) -> Believed:
        """Draws of all parameters under a prior set.

        Priors that no evidence touches are drawn anew from the set with the same random numbers; for the
        others the stored draws are reweighted, and fitted again if the weights are not to be trusted.
        """
        from valuation.posterior import diagnose
        from valuation.update import importance_weights

        evidence = self.under(prior_set, self.deal)
        sampled = stacked(self.posterior)
        changed = [n for n in self.book.changed(prior_set) if n in sampled]
        if not changed:
            parameters = joint.extend(evidence, sampled, random_seed=self.random_seed)
            return _unweighted(parameters, "sampled")
        house, other = self.book.get(HOUSE), self.book.get(prior_set)
        ratio = sum(other[n].logpdf(sampled[n]) - house[n].logpdf(sampled[n]) for n in changed)
        weights = importance_weights(np.asarray(ratio))
        checks = gates.reweighting(
            weights.khat, len(weights.weight), weights.effective_draws, self.limits, name=prior_set
        )
        if all(c.passed for c in checks) and weights.effective_draws >= self.limits.ess_min:
            parameters = joint.extend(evidence, sampled, random_seed=self.random_seed)
            return Believed(
                parameters, weights.weight, weights.khat, weights.effective_draws, "reweighted"
            )
        tree = self.fitted(prior_set)
        diagnose(tree, self.limits).raise_if_failed(self.override)
        parameters = joint.extend(evidence, stacked(tree), random_seed=self.random_seed)
        return _unweighted(parameters, "refitted")

    # --- draws to dollars -------------------------------------------------------------------------

    def simulated(self, believed: Believed, prior_set: str) -> xr.Dataset:
        """Drivers under the scenario's sets, weighted by the prior set, before its conditions."""
        from valuation.forecast import forecast

        key = digest_of(
            {
                "posterior": self.posterior_key(),
                "set": prior_set,
                "deal": self.deal.model_dump(mode="json"),
                "sets": [s.model_dump(mode="json") for s in self.scenario.sets],
            }
        )
        if key not in _FORECASTS:  # scenarios that only condition share their forecasts
            while len(_FORECASTS) >= FORECASTS_KEPT:
                _FORECASTS.pop(next(iter(_FORECASTS)))
            _FORECASTS[key] = forecast(
                self.under(prior_set, self.deal),
                believed.parameters,
                random_seed=self.random_seed,
                sets=self.scenario.sets,
            )
        drivers = _FORECASTS[key].copy()
        drivers["weight"] = ("draw", believed.weight, drivers["weight"].attrs)
        return drivers

    @cached_property
    def beliefs(self) -> Believed:
        """Draws under the prior set in use."""
        return self.believed(self.prior_set)

    @cached_property
    def curves(self) -> dict[str, np.ndarray]:
        """Expected monthly curves of the draws in use, given what is known of each subject."""
        from valuation.ops import numpy_ops

        return joint.curves(
            self.under(self.prior_set, self.deal), self.beliefs.parameters, numpy_ops()
        )

    @cached_property
    def unconditioned(self) -> xr.Dataset:
        """Drivers before the scenario's conditions."""
        return self.simulated(self.beliefs, self.prior_set)

    @cached_property
    def drivers(self) -> xr.Dataset:
        """Drivers; draws that miss a condition of the scenario weigh nothing."""
        from valuation.forecast import conditioned

        least = self.limits.scenario_draws_min
        drivers, _ = conditioned(self.unconditioned, self.scenario, least=least)
        return drivers

    @cached_property
    def asked(self) -> xr.Dataset:
        """The drivers, with what only questions and disclosures ask of them."""
        from valuation.forecast import asked

        return asked(
            self.drivers,
            self.under(self.prior_set, self.deal),
            self.beliefs.parameters,
            random_seed=self.random_seed,
        )

    @cached_property
    def flows(self) -> xr.DataArray:
        """Cash flows ``(draw, quarter, component)``, bn of the deal's currency."""
        from valuation.value import cash_flows

        return cash_flows(self.drivers, self.deal)

    @cached_property
    def values(self) -> xr.Dataset:
        """NPV, MOIC, IRR, payback and the definitions of paying off, by draw."""
        from valuation.value import value

        return value(self.drivers, self.deal)

    @cached_property
    def other_sets(self) -> dict[str, tuple[Believed, xr.Dataset]]:
        """Every prior set: its draws, and its values under this scenario."""
        from valuation.forecast import conditioned
        from valuation.value import value

        out: dict[str, tuple[Believed, xr.Dataset]] = {}
        for name in self.book.sets():
            if name == self.prior_set:
                out[name] = (self.beliefs, self.values)
                continue
            believed = self.believed(name)
            drivers, _ = conditioned(
                self.simulated(believed, name),
                self.scenario,
                least=self.limits.scenario_draws_min,
            )
            out[name] = (believed, value(drivers, self.deal))
        return out

    @cached_property
    def scaling(self) -> dict[str, Any] | None:
        """How far the answer hangs on each sub-model's priors and rows; None where the base case tells it."""
        from valuation import decision
        from valuation.study.opinion import plain_case, scaling

        if not plain_case(self):
            return None
        return scaling(self, decision.inflation_of(self.values["npv"], self.drivers["weight"]))

    # --- checks -----------------------------------------------------------------------------------

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """Convergence of every scalar, and of the headline numbers unless only some models run.

        What is said of the draws alone is kept by their content: every scenario asks it of the same ones.
        """
        from valuation.posterior import Diagnosis, diagnose, judged
        from valuation.study.stored import draws_digest, load_or_make, package_digest

        tree = self.posterior
        key = digest_of(
            {"draws": draws_digest(tree), "limits": self.limits.digest(), "code": package_digest()}
        )

        def make() -> dict[str, Any]:
            found = diagnose(tree, self.limits)
            return {"table": found.table, "scalars": found.scalars}

        told = load_or_make(self.cache / "results" / f"diagnosis-{key[:16]}.json", make)
        table, scalars = list(told["table"]), list(told["scalars"])
        if self.models != tuple(MODELS):
            return Diagnosis(table, scalars)
        from valuation.value import value

        values = (
            self.values if not self.scenario.conditions else value(self.unconditioned, self.deal)
        )
        headline: dict[str, Any] = {
            f"NPV, {unit_in(BN, self.deal.currency)}": values["npv"].to_numpy()
        }
        rare = []
        for name in values["definition"].to_numpy():
            label = f"P({name})"
            headline[label] = values["pays_off"].sel(definition=name).to_numpy()
            if self.scenario.sets or name != self.deal.headline:
                rare.append(label)  # out of reach is a finding there, not a fault
        sizes = tree["posterior"].sizes
        rows = judged(headline, self.limits, (sizes["chain"], sizes["draw"]), degenerate_ok=rare)
        return Diagnosis([*table, *rows], scalars)

    def gate(self) -> gates.Verdict:
        """Every check of this study, joined to a verdict."""
        return self._verdict

    @cached_property
    def _verdict(self) -> gates.Verdict:
        checks = [*gates.from_table(self.diagnosis.table), *self.ledger_checks()]
        if self.models == tuple(MODELS):
            limits = {**self.limits.prior_range, **self.base_deal.prior_range}
            checks += gates.prior_range(self._prior_intervals(), limits)
            if self.scenario.conditions:
                checks.append(
                    gates.scenario_draws(
                        self.drivers["weight"].to_numpy().tolist(),
                        self.limits,
                        scenario=self.scenario.scenario,
                    )
                )
                checks.append(self._conditional_error())
            for name, (believed, _) in self.other_sets.items():
                if believed.khat is not None:
                    checks += gates.reweighting(
                        believed.khat,
                        len(believed.weight),
                        believed.effective_draws,
                        self.limits,
                        name=name,
                    )
            if self.scaling is not None:
                checks.append(
                    gates.power_scaling(
                        {p["label"]: p["diagnosis"] for p in self.scaling["parameters"]},
                        self.limits.psense_flag,
                    )
                )
        return gates.gate(checks, self.override)

    def ledger_checks(self) -> list[gates.Check]:
        """What can be said of the ledger alone: its lint, its age, questions that wait too long.

        The age of the evidence refuses an as-of date that was given. Without one the answer speaks for the day of its
        newest row, and :meth:`freshness` tells how long ago that was.
        """
        age = (self.as_of - self.ledger.newest).days
        limit = self.limits.evidence_age_days_max
        return [
            *self.lint,
            *(
                [gates.evidence_age(age, limit, option=for_deal(self.base_deal.name))]
                if self.as_of_given
                else []
            ),
            *self.overdue(),
        ]

    @cached_property
    def lint(self) -> tuple[gates.Check, ...]:
        """The checks of the ledger's files; that no row is dated ahead is asked of the present day."""
        from valuation.ledger import check_ledger

        folder, kinds = self.root / self.base_deal.seeds, kinds_in(self.base_deal.currency)
        return gates.ledger_lint(check_ledger(folder, kinds=kinds, today=clock.today()))

    def freshness(self) -> dict[str, Any] | None:
        """How old the evidence is today, as :func:`valuation.questions.freshness` tells it; None of a date given."""
        from valuation.questions import freshness

        if self.as_of_given:
            return None
        return freshness(
            self.ledger, self.base_deal, self.limits, day=clock.today(),
            option=for_deal(self.base_deal.name),
        )  # fmt: skip

    @cached_property
    def reaches_back(self) -> tuple[str, ...]:
        """What of the scenario reaches into what has been observed, as sentences."""
        return tuple(over(self.scenario, self.as_of, self.root))

    def overdue(self) -> list[gates.Check]:
        """That no question waits too long for its outcome; not asked of the past, which cannot be resolved now."""
        if self.as_of_given:
            return []
        from valuation.questions import waiting

        days = waiting(self.ledger.questions, self.as_of)
        return [gates.overdue(days, self.limits.overdue_days_max)]

    def _conditional_error(self) -> gates.Check:
        """Monte Carlo error of the conditional NPV over its spread: few draws mean few digits."""
        from valuation import decision

        weight, npv = self.drivers["weight"].to_numpy(), self.values["npv"].to_numpy()
        told = decision.mean(npv, weight)
        spread = float(np.sqrt(weight @ (npv - told.value) ** 2 / weight.sum()))
        value, limit = told.mcse / spread, float(self.limits.scenario_draws_min) ** -0.5
        passed = bool(value <= limit)
        sentence = (
            f"Monte Carlo error given the scenario's conditions: {value:.3f} of the NPV's spread, at most "
            f"{limit:.3f}{'' if passed else '; loosen the conditions'}."
        )
        return gates.Check("MCSE / SD given the conditions", value, limit, passed, sentence)

    def _prior_intervals(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest end of the prior predictive's central interval over the months."""
        from valuation.ops import numpy_ops

        nothing = replace(self.evidence, bound={}, rows=self.evidence.rows.iloc[:0])
        context = replace(nothing.context, priors=self.book.get(self.prior_set))
        nothing = replace(nothing, context=context)
        draws = joint.prior_draws(context, self.models, random_seed=self.random_seed)
        curves = joint.curves(nothing, draws, numpy_ops())
        out = {}
        for name in self.limits.prior_range:
            if name in curves:
                low, high = np.quantile(curves[name], [TAIL, 1.0 - TAIL], axis=0)
                out[name] = (float(low.min()), float(high.max()))
        return out

    @cached_property
    def results(self) -> dict[str, Any]:
        """Every number a page shows, as plain values that JSON can hold; stored by content."""
        from valuation.study.answers import results_of
        from valuation.study.assumptions import assumptions
        from valuation.study.since import since_of
        from valuation.study.stored import load_or_make

        key = digest_of(
            {
                "inputs": self.digests,
                # Two dates may see the same rows; they still answer for different days.
                "as_of": str(self.as_of),
                "posterior": self.posterior_key(),
                "priors": {name: self.book.digest(name) for name in self.book.sets()},
                "limits": self.limits.digest(),
                "override": self.override,
                "replay": str(self.as_of_given),
                "lint": [check.sentence for check in self.lint if not check.passed],
            }
        )
        found = load_or_make(self.cache / "results" / f"{key[:16]}.json", lambda: results_of(self))
        # Not functions of what moves a number, but of the day, of words, and of what has been published and replayed.
        return found | {
            "run": found["run"] | {"created": clock.moment()},
            "freshness": self.freshness(),
            "assumptions": assumptions(self),
            "since": since_of(self, found),
            "history": self._history(),
        }

    def _history(self) -> dict[str, Any] | None:
        """The answer on past dates as it was last replayed; None of an as-of date, or if there is none."""
        from valuation.study.replay import read_history

        if self.as_of_given:
            return None
        return read_history(self.root, self.base_deal.name, self.scenario.scenario)


@cache
def _sampling_code() -> str:
    """Digest of the code that draws depend on: of what runs here, whatever is edited meanwhile."""
    from valuation import posterior

    return posterior.code_digest()


def log_target(evidence: Evidence, sampled: Mapping[str, np.ndarray], *, seed: int) -> np.ndarray:
    """Unnormalized log posterior density of draws, ``(draw,)``: the priors of what was sampled and every row.

    Standard-normal innovations have one density under every state, so they are left out.
    """
    parameters = joint.extend(evidence, sampled, random_seed=seed)
    priors = [
        evidence.context.prior(name).logpdf(values)
        for name, values in sampled.items()
        if values.ndim == 1
    ]
    rows = joint.row_log_likelihood(evidence, parameters)
    return np.asarray(rows.sum(axis=-1) + np.sum(priors, axis=0))


def stacked(tree: xr.DataTree) -> dict[str, np.ndarray]:
    """Posterior draws with chains one after another, ``{name: (draw, …)}``."""
    data = tree["posterior"].to_dataset()
    return {
        str(name): values.to_numpy().reshape((-1, *values.shape[2:]))
        for name, values in data.data_vars.items()
    }


def open_study(
    deal: str = DEFAULT_DEAL,
    scenario: str | Mapping[str, Any] = "base",
    *,
    as_of: str | dt.date = "",
    random_seed: int = RANDOM_SEED,
    models: tuple[str, ...] | list[str] | None = None,
    override: str = "",
    root: str | Path | None = None,
    cache: str | Path | None = None,
) -> Study:
    """Read everything that one answer depends on; nothing is computed yet.

    Parameters
    ----------
    deal
        Name of a file in ``params/deals``.
    scenario
        Name of a file in ``params/scenarios``, or its content.
    as_of
        Use only what was published by then (an ISO date); empty: all of the ledger.
    models
        Only these sub-models and what they require; default: all.
    override
        Reason for publishing although a check fails.
    root
        Folder that holds ``seeds/`` and ``params/``; default: :func:`valuation.params.find_root`.
    cache
        Where fits and results are kept; default: :func:`valuation.params.cache_folder` of the root.

    Raises
    ------
    ParameterError, LedgerError
        With file, line and remedy.
    """
    base = find_root() if root is None else Path(root)
    terms = load_deal(deal, base)
    what_if = load_scenario(scenario, base)
    resolved = what_if.resolve(terms, base)
    book = load_priors(base / terms.priors, terms.currency)
    book.get(resolved.prior_set)  # an unknown set is an error now, not after a fit
    # What is seen blind is seen from the day of its replay, whatever else the files hold.
    cut = as_of or (terms.ending.as_of if terms.ending else None)
    ledger = load_ledger(base / terms.seeds, kinds=kinds_in(terms.currency), as_of=cut)
    if (
        ledger.as_of < resolved.closed
    ):  # months are counted from the close, and nobody is in post before
        remedy = "choose that day or a later one" if cut else "add what was published since"
        raise LedgerError(
            f"as of {ledger.as_of} nothing can be said of a deal that closed on {resolved.closed}; {remedy}"
        )
    return Study(
        root=base,
        deal=resolved,
        base_deal=terms,
        scenario=what_if,
        ledger=ledger,
        book=book,
        credibility=load_credibility(base / "params" / "credibility.yaml"),
        limits=load_gate(base / "params" / "gate.yaml"),
        random_seed=int(random_seed),
        models=closure(None if models is None else tuple(models)),
        override=override.strip(),
        as_of_given=bool(as_of),
        cache=cache_folder(base) if cache is None else Path(cache),
    )
