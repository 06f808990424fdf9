"""Verdicts about claims: paired tests, Holm's correction, and the rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zoo.claims import paired_test, results, verdicts
from zoo.claims.claims import GROUPS, RUNS, Claim, Measure
from zoo.claims.paired_test import BETTER, EQUAL, UNDECIDED, WORSE
from zoo.claims.tasks import TASKS


def test_signed_rank_is_that_of_scipy_without_differences_of_zero():
    differences = np.random.default_rng(1).normal(0.3, 1, 30)
    p, is_less = paired_test.signed_rank(np.append(differences, [0.0, 0.0]))
    assert p == stats.wilcoxon(differences).pvalue
    assert not is_less
    assert paired_test.signed_rank(-differences) == (p, True)


def test_signed_rank_needs_six_pairs():
    assert np.isnan(paired_test.signed_rank(np.ones(5))[0])
    assert paired_test.signed_rank(np.ones(6))[0] == 2 / 2**6
    assert paired_test.signed_rank(np.zeros(9)) == (1.0, False)
    assert paired_test.signed_rank(np.array([1.0] * 5 + [0.0] * 9)) == (1.0, False)


def compared(p, is_less=True):
    measure = Measure("device.flash", "flash")
    return paired_test.Comparison(measure, "all", "liquid", "gru", 1, 2, 9, 9, p, is_less)


def test_holm_is_step_down_and_keeps_the_order():
    found = paired_test.holm([compared(0.04), compared(0.01, False), compared(0.03)])
    np.testing.assert_allclose([c.adjusted_p for c in found], [0.06, 0.03, 0.06])
    assert [c.outcome for c in found] == [EQUAL, WORSE, EQUAL]


def test_holm_does_not_count_tests_without_pairs():
    found = paired_test.holm([compared(float("nan")), compared(0.04)])
    assert [c.outcome for c in found] == [UNDECIDED, BETTER]
    assert found[1].adjusted_p == 0.04


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusted_p_is_never_less_than_p_and_follows_its_order(ps):
    found = paired_test.holm([compared(p) for p in ps])
    adjusted = np.array([c.adjusted_p for c in found])
    assert (adjusted >= np.array(ps)).all() and (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(ps, kind="stable")]) >= 0).all()


def test_a_liquid_layer_is_compared_with_the_best_stock_layer_of_each_task():
    random = np.random.default_rng(0)
    base = random.normal(size=(1, 20))
    table = {
        "a": {"liquid": base - 1.0, "lstm": base, "gru": base + 1.0},
        "b": {"liquid": base, "lstm": base + 1.0, "gru": base - 1.0},
    }
    claim = Claim("c", "", "", (Measure("streams.x", "x", GROUPS),))
    found = paired_test.comparisons(claim, {"streams.x": table}, "liquid", ("lstm", "gru"))
    assert [(c.task, c.reference, c.outcome) for c in found] == [
        ("a", "lstm", BETTER),
        ("b", "gru", WORSE),
    ]


def test_runs_of_all_tasks_are_paired_in_one_test_and_seeds_of_groups_averaged():
    values = {
        task: {
            layer: {"m": [{"runs": offset + seed, "groups": [offset] * 7} for seed in range(3)]}
            for layer, offset in (("liquid", 1.0), ("gru", 2.0))
        }
        for task in TASKS
    }
    measures = (Measure("m.runs", "runs", RUNS), Measure("m.groups", "groups", GROUPS))
    choice = results.Choice(("c",), tuple(TASKS), ("liquid", "gru"))
    result = results.tested(Claim("c", "", "", measures), values, choice)
    assert [(c.task, c.pairs) for c in result.comparisons["liquid"]] == [
        ("all tasks", 9),
        *((task, 7) for task in TASKS),
    ]
    assert result.verdict == verdicts.HOLDS


# Verdicts


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([BETTER, BETTER, EQUAL], verdicts.HOLDS),
        ([BETTER, EQUAL, EQUAL], verdicts.MIXED),
        ([BETTER, BETTER, WORSE], verdicts.MIXED),
        ([EQUAL, EQUAL], verdicts.FAILS),
        ([EQUAL, WORSE], verdicts.FAILS),
        ([BETTER, UNDECIDED, UNDECIDED], verdicts.HOLDS),
        ([UNDECIDED], verdicts.UNKNOWN),
        ([], verdicts.UNKNOWN),
    ],
)
def test_verdict_follows_the_rule(outcomes, expected):
    assert verdicts.verdict(outcomes) == expected


@given(st.lists(st.sampled_from([BETTER, WORSE, EQUAL, UNDECIDED]), min_size=1))
def test_a_better_outcome_never_makes_a_verdict_worse(outcomes):
    order = [verdicts.FAILS, verdicts.MIXED, verdicts.HOLDS]
    before = verdicts.verdict(outcomes)
    for index, outcome in enumerate(outcomes):
        if outcome in (WORSE, EQUAL):
            improved = [*outcomes[:index], BETTER, *outcomes[index + 1 :]]
            assert order.index(verdicts.verdict(improved)) >= order.index(before)


def test_the_verdict_about_a_claim_is_that_of_all_layers_or_mixed():
    assert verdicts.overall([verdicts.HOLDS, verdicts.HOLDS]) == verdicts.HOLDS
    assert verdicts.overall([verdicts.HOLDS, verdicts.FAILS]) == verdicts.MIXED
