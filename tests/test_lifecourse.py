"""Sightings and exits of one subject telescope, whatever their order and however much each is believed."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from valuation.errors import LedgerError
from valuation.models.base import LifeCourse, LifeProcess, Observation
from valuation.ops import numpy_ops

OPS = numpy_ops()
HAZARD = {"hazard": np.array([0.01, 0.05, 0.2]), "back": np.array([0.02, 0.1, 0.3])}
PRIOR = {"hazard": np.geomspace(0.005, 0.3, 40), "back": np.geomspace(0.01, 0.5, 40)}


def _process(returns: bool = False) -> LifeProcess:
    """A constant hazard; subject 1 runs at twice the rate."""
    pace = np.array([1.0, 2.0])
    return LifeProcess(
        lambda p, curves, who, t, ops: -p["hazard"][..., None] * pace[who] * t,
        lambda p, curves, who, t, ops: ops.log(p["hazard"][..., None] * pace[who]) + 0.0 * t,
        (lambda p, elapsed, ops: -p["back"][..., None] * elapsed) if returns else None,
    )


def seen(name: str, at: float, truth: float = 1.0, subject: int = 0) -> Observation:
    return Observation(name, subject, False, at, None, truth)


def left(
    name: str, at: float, truth: float = 1.0, *, since: float | None = None, subject: int = 0
) -> Observation:
    return Observation(name, subject, True, at, since, truth)


def bound(*rows: Observation, returns: bool = False):
    return LifeCourse(rows, _process(returns)).bind(PRIOR, {})


def rows_of(*rows: Observation, returns: bool = False) -> dict[str, np.ndarray]:
    term = bound(*rows, returns=returns)
    return dict(zip(term.ids, term.log_likelihood(HAZARD, {}, OPS).T, strict=True))


def total(*rows: Observation, returns: bool = False) -> np.ndarray:
    return sum(rows_of(*rows, returns=returns).values())


LIFE = stats.expon(scale=1.0 / HAZARD["hazard"])


# --- certain rows: closed forms -------------------------------------------------------------------


def test_a_sighting_is_the_survival_function():
    assert rows_of(seen("a", 7.0))["a"] == pytest.approx(LIFE.logsf(7.0), rel=1e-8)


def test_an_exit_on_a_day_is_the_density():
    assert rows_of(left("a", 7.0))["a"] == pytest.approx(LIFE.logpdf(7.0), rel=1e-8)


def test_an_exit_in_a_window_is_a_difference_of_survival_functions():
    expected = np.log(LIFE.sf(5.0) - LIFE.sf(7.0))
    assert rows_of(left("a", 7.0, since=5.0))["a"] == pytest.approx(expected, rel=1e-8)


def test_a_later_sighting_adds_only_what_it_adds():
    rows = rows_of(seen("a", 3.0), seen("b", 8.0))
    assert rows["b"] == pytest.approx(LIFE.logsf(8.0) - LIFE.logsf(3.0), rel=1e-8)
    assert sum(rows.values()) == pytest.approx(LIFE.logsf(8.0), rel=1e-8)


def test_an_earlier_sighting_that_arrives_later_adds_nothing_to_the_whole():
    assert total(seen("b", 8.0), seen("a", 3.0)) == pytest.approx(total(seen("b", 8.0)), rel=1e-8)


def test_an_exit_after_a_sighting_is_the_density_over_the_survival_so_far():
    rows = rows_of(seen("a", 3.0), left("b", 8.0))
    assert rows["b"] == pytest.approx(LIFE.logpdf(8.0) - LIFE.logsf(3.0), rel=1e-8)
    assert sum(rows.values()) == pytest.approx(LIFE.logpdf(8.0), rel=1e-8)


def test_a_window_starts_no_earlier_than_the_last_sighting():
    both = total(seen("a", 6.0), left("b", 8.0, since=2.0))
    assert both == pytest.approx(np.log(LIFE.sf(6.0) - LIFE.sf(8.0)), rel=1e-8)


def test_a_second_report_of_an_exit_claims_nothing_new():
    once = total(left("a", 8.0, since=6.0))
    assert total(left("a", 8.0, since=6.0), left("b", 8.0, since=6.0)) == pytest.approx(once)


def test_subjects_do_not_speak_about_each_other():
    alone = rows_of(seen("a", 3.0)) | rows_of(left("b", 8.0, subject=1))
    together = rows_of(seen("a", 3.0), left("b", 8.0, subject=1))
    for name, values in together.items():
        assert values == pytest.approx(alone[name], rel=1e-12)


def test_a_customer_seen_again_after_leaving_has_come_back():
    rows = rows_of(left("a", 4.0, since=3.0), seen("b", 9.0), returns=True)
    assert rows["b"] == pytest.approx(np.log(-np.expm1(-HAZARD["back"] * 5.0)), rel=1e-8)


# --- doubt ----------------------------------------------------------------------------------------


def _together(rows: tuple[Observation, ...], hazard: np.ndarray) -> np.ndarray:
    """Probability that rows of one subject all hold, spelled out case by case."""
    life = stats.expon(scale=1.0 / hazard)
    exits = [r for r in rows if r.exit]
    times = [r.upper for r in rows if not r.exit]
    if not exits:
        return life.sf(max(times, default=0.0))
    gone = exits[0]
    if any(t > gone.upper or (t == gone.upper and gone.lower is not None) for t in times):
        return np.zeros_like(hazard)
    if gone.lower is None:
        return life.pdf(gone.upper)
    start = max([gone.lower, *times])
    return np.zeros_like(hazard) if start >= gone.upper else life.sf(start) - life.sf(gone.upper)


def _mixture(rows: tuple[Observation, ...]) -> np.ndarray:
    """The sum over which rows are true; a false one has its prior-predictive probability."""
    rows = tuple(sorted(rows, key=lambda r: (r.upper, r.id)))
    alone = {r.id: float(np.mean(_together((r,), PRIOR["hazard"]))) for r in rows}
    result = np.zeros_like(HAZARD["hazard"])
    for believed in product((True, False), repeat=len(rows)):
        weight, held = 1.0, []
        for row, true in zip(rows, believed, strict=True):
            weight *= row.truth if true else (1.0 - row.truth) * alone[row.id]
            if true:
                held.append(row)
        result += weight * _together(tuple(held), HAZARD["hazard"])
    return result


truths = st.sampled_from([0.0, 0.3, 0.85, 1.0])
spans = st.sampled_from([None, 1.0, 4.0])


@st.composite
def courses(draw: st.DrawFn) -> tuple[Observation, ...]:
    """A few rows about one subject, at distinct times, any of which may be doubted."""
    times = draw(st.lists(st.integers(1, 24), min_size=1, max_size=4, unique=True))
    rows = []
    for i, t in enumerate(times):
        truth = draw(truths)
        if draw(st.booleans()):
            span = draw(spans)
            rows.append(
                left(f"r{i}", float(t), truth, since=None if span is None else max(t - span, 0.0))
            )
        else:
            rows.append(seen(f"r{i}", float(t), truth))
    return tuple(rows)


@given(courses())
def test_the_rows_multiply_to_the_sum_over_which_of_them_are_true(rows):
    expected = _mixture(rows)
    if not expected.max() > 0.0:
        with pytest.raises(LedgerError, match="cannot all be true"):
            bound(*rows)
        return
    assert total(*rows) == pytest.approx(np.log(expected), rel=1e-8, abs=1e-9)


@given(courses())
def test_the_order_of_rows_changes_no_row(rows):
    try:
        expected = rows_of(*rows)
    except LedgerError:
        return
    for order in list(permutations(rows))[:6]:
        for name, values in rows_of(*order).items():
            assert values == pytest.approx(expected[name], rel=1e-12, abs=1e-12)


def test_a_row_that_nobody_believes_is_a_constant_and_moves_no_other():
    doubted = rows_of(seen("a", 3.0), left("b", 5.0, 0.0), seen("c", 9.0))
    without = rows_of(seen("a", 3.0), seen("c", 9.0))
    assert np.ptp(doubted["b"]) == pytest.approx(0.0, abs=1e-12)
    for name in ("a", "c"):
        assert doubted[name] == pytest.approx(without[name], rel=1e-12)


def test_two_certain_rows_that_cannot_both_hold_are_refused_by_their_ids():
    with pytest.raises(
        LedgerError, match=r"rows a, b cannot all be true.*supersede one of them or lower"
    ):
        bound(left("a", 3.0), seen("b", 5.0))


def test_a_contradiction_is_settled_by_doubt():
    rows = rows_of(left("a", 3.0, 0.85, since=2.0), seen("b", 5.0, 0.97))
    assert all(np.isfinite(values).all() for values in rows.values())
    term = bound(left("a", 3.0, 0.85, since=2.0), seen("b", 5.0, 0.97))
    states, mass = term.weights(HAZARD, {})[0]
    here = mass[:, [s[1] is None for s in states]].sum(axis=1)
    assert (here > 0.5).all()  # the more credible row prevails
    assert (here < 1.0).all()  # and does not silence the other


def test_more_belief_in_a_sighting_makes_staying_likelier():
    def here(truth: float) -> np.ndarray:
        term = bound(left("a", 3.0, 0.85, since=2.0), seen("b", 5.0, truth))
        states, mass = term.weights(HAZARD, {})[0]
        return mass[:, [s[1] is None for s in states]].sum(axis=1)

    assert (here(0.9) > here(0.5)).all()
    assert (here(0.5) > here(0.1)).all()


# --- what is known of a subject -------------------------------------------------------------------


def test_a_subject_is_in_place_until_last_seen_and_decays_from_there():
    times = np.array([0.0, 3.0, 6.0, 12.0])
    place = bound(seen("a", 6.0)).occupancy(HAZARD, {}, 0, times, OPS)
    assert place[:, :3] == pytest.approx(np.ones((3, 3)))
    assert place[:, 3] == pytest.approx(LIFE.sf(12.0) / LIFE.sf(6.0), rel=1e-8)


def test_one_who_left_is_out_from_that_day_on():
    times = np.array([4.0, 4.99, 5.0, 30.0])
    place = bound(left("a", 5.0)).occupancy(HAZARD, {}, 0, times, OPS)
    assert place == pytest.approx(np.tile([1.0, 1.0, 0.0, 0.0], (3, 1)))


def test_within_a_window_the_day_of_leaving_follows_the_hazard():
    times = np.array([2.0, 3.0, 5.0, 6.0, 9.0])
    place = bound(left("a", 6.0, since=2.0)).occupancy(HAZARD, {}, 0, times, OPS)
    inside = (LIFE.sf(times[:, None]) - LIFE.sf(6.0)) / (LIFE.sf(2.0) - LIFE.sf(6.0))
    assert place == pytest.approx(np.clip(inside.T, 0.0, 1.0), rel=1e-8, abs=1e-12)


def test_the_weights_of_what_may_have_happened_sum_to_one():
    rows = (seen("a", 2.0, 0.8), left("b", 5.0, 0.6, since=4.0), seen("c", 9.0, 0.5))
    for states, mass in bound(*rows).weights(HAZARD, {}).values():
        assert mass.shape == (3, len(states))
        assert mass.sum(axis=1) == pytest.approx(np.ones(3), rel=1e-12)


def test_a_customer_that_came_back_buys_on_the_day_it_was_seen_again():
    term = bound(left("a", 4.0), seen("b", 9.0), returns=True)
    place = term.occupancy(HAZARD, {}, 0, np.array([3.0, 6.0, 9.0, 40.0]), OPS)
    assert place[:, [0, 2, 3]] == pytest.approx(np.ones((3, 3)))
    assert (place[:, 1] < 1.0).all()


def test_one_who_is_gone_may_come_back_at_the_rate_of_return():
    term = bound(left("a", 4.0), returns=True)
    place = term.occupancy(HAZARD, {}, 0, np.array([14.0]), OPS)
    assert place[:, 0] == pytest.approx(-np.expm1(-HAZARD["back"] * 10.0), rel=1e-8)


def test_predictive_checks_show_each_rows_own_chance():
    shown = bound(seen("a", 3.0), left("b", 8.0)).replicate(HAZARD, {}, np.random.default_rng(1))
    assert shown == pytest.approx(np.column_stack([LIFE.sf(3.0), LIFE.cdf(8.0)]), rel=1e-12)
