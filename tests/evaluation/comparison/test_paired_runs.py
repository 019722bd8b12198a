"""Tests over queries and runs: equal to SciPy's where it has the same, and right about noise and about differences."""

import numpy as np
import pytest
import scipy.stats

from tfr_listbert.evaluation.comparison.leaderboard import rank_systems
from tfr_listbert.evaluation.comparison.plan import Row
from tfr_listbert.evaluation.comparison.results import System, SystemRun
from tfr_listbert.evaluation.significance import (
    Luck,
    Share,
    bootstrap_interval,
    combine_luck,
    compact_letters,
    estimate_luck,
    paired_randomization_test,
    paired_run_interval,
    paired_run_test,
)
from tfr_listbert.training.experiments.outcome import Outcome

OUTCOME = Outcome(False, "", 0.5, 1, (), 10, 1.0)
QUERIES = 40
SAMPLE, SOAK = 150, 1000


def simulate(generator, planted=0.0, run_deviation=0.02, worst_deviation=None, losses=4, seeds=3, shared=0.0):
    """Metrics of losses that differ by nothing but luck, of queries and of runs; the last is planted to be lower.

    `shared` is the fraction of a run's luck, as variance, that its seed gives to all losses alike.
    """
    difficulty = generator.normal(0.6, 0.2, QUERIES)
    of_seeds = generator.normal(0, 1, seeds) * np.sqrt(shared)
    systems = []
    for number in range(losses):
        taste = generator.normal(0, 0.05, QUERIES)  # what a loss makes of a query, in every run
        deviation = worst_deviation if worst_deviation and number == 0 else run_deviation
        runs = []
        for seed in range(seeds):
            luck = deviation * (of_seeds[seed] + generator.normal(0, 1) * np.sqrt(1 - shared))
            values = difficulty + taste + luck + generator.normal(0, 0.05, QUERIES)
            values = values - (planted if number == losses - 1 else 0.0)
            runs.append(SystemRun(seed, (), (OUTCOME,), (), {"ndcg_10": values}))
        systems.append(System(f"loss_{number}", Row(f"loss_{number}", None, ()), tuple(runs)))
    return systems


def count_rejections(experiments, losses=4, **options):
    """Returns in how many experiments any pair is told apart, and in how many the planted one from the best."""
    any_pair = planted_pair = 0
    for number in range(experiments):
        systems = simulate(np.random.default_rng(number), losses=losses, **options)
        board = rank_systems(systems, "ndcg_10", 400, number)
        any_pair += bool((board.p_values <= 0.05).any())
        p_values = {standing.system.name: standing.p for standing in board.standings}
        planted_pair += p_values[f"loss_{losses - 1}"] <= 0.05
    return any_pair, planted_pair


def binomial_limit(experiments):
    return scipy.stats.binom.ppf(0.99, experiments, 0.05)


@pytest.mark.parametrize("options", [{}, {"run_deviation": 0.1, "worst_deviation": 0.4}])
def test_noise_of_runs_and_queries_is_rarely_called_a_difference_in_a_sample(options):
    assert count_rejections(SAMPLE, **options)[0] <= binomial_limit(SAMPLE)


@pytest.mark.soak
@pytest.mark.parametrize("run_deviation", [0.0, 0.005, 0.02, 0.1])
def test_noise_of_runs_and_queries_is_rarely_called_a_difference(run_deviation):
    assert count_rejections(SOAK, run_deviation=run_deviation)[0] <= binomial_limit(SOAK)


@pytest.mark.soak
@pytest.mark.parametrize(
    "options",
    [
        {"worst_deviation": 0.2},
        {"run_deviation": 0.1, "worst_deviation": 0.4},
        {"run_deviation": 0.2, "worst_deviation": 0.8},
        {"run_deviation": 0.1, "worst_deviation": 0.4, "shared": 0.5},
        {"losses": 6, "seeds": 2, "run_deviation": 0.1, "worst_deviation": 0.5},
        {"losses": 6, "seeds": 2, "run_deviation": 0.1, "worst_deviation": 1.0},
        {"losses": 2, "run_deviation": 0.1, "worst_deviation": 0.6},
    ],
)
def test_a_loss_of_wild_runs_makes_no_differences_of_noise(options):
    assert count_rejections(SOAK, **options)[0] <= binomial_limit(SOAK)


@pytest.mark.soak
@pytest.mark.parametrize("shared", [0.5, 0.9])
def test_luck_that_a_seed_gives_to_all_losses_makes_no_differences(shared):
    assert count_rejections(SOAK, run_deviation=0.1, shared=shared)[0] <= binomial_limit(SOAK)


def test_a_planted_difference_is_found():
    assert count_rejections(30, planted=0.2)[1] >= 28
    assert count_rejections(30, planted=0.12)[1] >= 22


def test_a_loss_of_wild_runs_does_not_hide_the_differences_of_others():
    found = 0
    for number in range(20):
        systems = simulate(np.random.default_rng(number), planted=0.15, run_deviation=0.01, worst_deviation=0.4)
        board = rank_systems(systems, "ndcg_10", 400, number)
        places = {standing.system.name: place for place, standing in enumerate(board.standings)}
        found += board.p_values[places["loss_1"], places["loss_3"]] <= 0.05
    assert found >= 15


def test_a_test_over_queries_alone_takes_the_luck_of_runs_for_a_difference():
    rejected = 0
    for number in range(100):
        first, second = simulate(np.random.default_rng(number))[:2]
        values = [system.mean_per_list("ndcg_10") for system in (first, second)]
        rejected += paired_randomization_test(*values, 400, number) <= 0.05
    assert rejected > 15  # why runs must have a part in the test


def test_without_a_part_of_queries_it_is_welchs_t_test():
    runs = [[0.50, 0.53, 0.52], [0.58, 0.56, 0.57]]
    luck = combine_luck(*estimate_luck(runs), (3, 3))
    queries = 20_000  # so many that flips of a constant add nothing
    p = paired_run_test(np.full(queries, np.mean(runs[0])), np.full(queries, np.mean(runs[1])), luck, 4000, 1)
    expected = scipy.stats.ttest_ind(*runs, equal_var=False).pvalue
    assert abs(p - expected) < 5 * np.sqrt(expected / 4000)


def test_the_interval_of_a_difference_has_both_parts():
    a, b = np.random.default_rng(1).random([2, 400])
    luck = Luck((Share(0, 0.03**2, 5), Share(1, 0.04**2, 5)))
    low, high = paired_run_interval(a, b, luck, 20_000, 3)
    difference = np.mean(a - b)
    # Where queries add little, difference ± t of 0.0025² / (0.0009² + 0.0016²) * 5 = 9.27 degrees times 0.05.
    drawn = np.random.default_rng(9).standard_t(0.0025**2 * 5 / (0.0009**2 + 0.0016**2), 200_000) * 0.05
    drawn += np.random.default_rng(8).normal(0, np.std(a - b) / 20, 200_000)
    np.testing.assert_allclose([low, high], difference + np.quantile(drawn, [0.025, 0.975]), atol=0.004)
    assert paired_run_interval(a, b, Luck(), 500, 3) == bootstrap_interval(a - b, 500, 3)
    assert np.isnan(paired_run_interval([0.5], [0.25], luck, 500, 3)).all()


def test_without_luck_it_is_the_randomization_test():
    a, b = np.random.default_rng(1).random([2, 50])
    assert paired_run_test(a, b, Luck(), 500, 3) == paired_randomization_test(a, b, 500, 3)


@pytest.mark.parametrize("queries", [5, 7])
def test_other_runs_make_nothing_surer(queries):
    luck = Luck((Share(0, 1e-8, 4),))
    a, b = np.full(queries, 0.6), np.full(queries, 0.5)
    assert paired_run_test(a, b, luck, 4000, 1) == paired_randomization_test(a, b, 4000, 1) == 2 / 2**queries


def test_the_pooled_luck_is_the_error_of_an_analysis_of_variance():
    runs = np.random.default_rng(0).normal(0.5, 0.1, [5, 4])
    means = runs.mean(axis=1)
    f_value = scipy.stats.f_oneway(*runs).statistic
    expected = np.sqrt(4 * means.var(ddof=1) / f_value)
    assert {round(luck.deviation, 12) for luck in estimate_luck(runs)} == {round(expected, 12)}


def test_degrees_of_a_pool_by_hand():
    # Squares 0.02, 0.02, 0.045 of 1 degree each: 0.085² / (0.02² + 0.02² + 0.045²) degrees.
    first, second, third = estimate_luck([[0.1, 0.3], [0.5, 0.7], [0.1, 0.4]])
    degrees = pytest.approx(0.007225 / 0.002825)
    assert first == second == third and first.deviation**2 == pytest.approx(0.085 / 3) and first.degrees == degrees
    # The difference of two of them over 2 runs each: the same estimate, so no degrees more.
    luck = combine_luck(first, second, (2, 2))
    assert luck.deviation**2 == pytest.approx(0.085 / 3) and luck.degrees == degrees


def test_a_loss_that_seems_to_vary_more_has_its_own_luck_and_a_part_in_that_of_others():
    # Squares 0.02, 0.02, 0.18 of 1 degree each: pooled variance 0.22/3, that of the third more than twice that.
    first, second, third = estimate_luck([[0.1, 0.3], [0.5, 0.7], [0.1, 0.7]])
    assert first == second and first.deviation**2 == pytest.approx(0.22 / 3)
    assert third.deviation**2 == pytest.approx(0.18) and third.degrees == pytest.approx(1)
    # With the third: 0.01/3 + 0.01/3 + (0.09 + 0.18/6), over 1 degree each.
    luck = combine_luck(first, third, (2, 2))
    variance = 0.02 / 3 + 0.12
    assert luck.deviation**2 == pytest.approx(variance)
    assert luck.degrees == pytest.approx(variance**2 / (2 * (0.01 / 3) ** 2 + 0.12**2))


def test_a_clear_outlier_has_no_part_in_the_luck_of_others():
    calm = [[0.5, 0.5001, 0.5002], [0.6, 0.6001, 0.6002], [0.7, 0.7001, 0.7002]]
    lucks = estimate_luck([*calm, [0.1, 0.9, 0.5]])
    assert {share.loss for luck in lucks[:3] for share in luck.shares} == {0, 1, 2}
    assert [share.loss for share in lucks[3].shares] == [3]


def test_luck_of_its_own_is_combined_as_welch_does():
    first, second = [0.1, 0.5, 0.3, 0.9], [0.60, 0.61, 0.59]
    own = [Share(loss, float(np.var(runs, ddof=1)), len(runs) - 1) for loss, runs in enumerate((first, second))]
    lucks = [Luck((share,)) for share in own]
    luck = combine_luck(*lucks, (4, 3))
    result = scipy.stats.ttest_ind(first, second, equal_var=False)
    t_value = (np.mean(first) - np.mean(second)) / luck.deviation
    assert 2 * scipy.stats.t.sf(abs(t_value), luck.degrees) == pytest.approx(result.pvalue)


def test_what_is_not_trained_and_what_ran_once_have_no_luck_of_their_own():
    assert estimate_luck([[0.4], [0.6], []]) == [Luck(), Luck(), Luck()]
    luck = combine_luck(Luck((Share(0, 0.01, 4),)), Luck(), (4, 0))
    assert (luck.deviation, luck.degrees) == (pytest.approx(0.05), pytest.approx(4))
    assert combine_luck(Luck(), Luck(), (0, 0)) == Luck()


def test_letters_by_hand():
    differs = np.zeros([4, 4], bool)
    assert compact_letters(differs) == ["a"] * 4
    differs[0, 3] = differs[3, 0] = differs[1, 3] = differs[3, 1] = differs[0, 2] = differs[2, 0] = True
    assert compact_letters(differs) == ["a", "ab", "bc", "c"]
    assert compact_letters(~np.eye(3, dtype=bool)) == ["a", "b", "c"]


@pytest.mark.parametrize("seed", range(5))
def test_two_share_a_letter_exactly_if_they_do_not_differ(seed):
    differs = np.triu(np.random.default_rng(seed).random([9, 9]) < 0.5, 1)
    differs |= differs.T
    letters = [set(own) for own in compact_letters(differs)]
    shares = np.array([[bool(one & other) for other in letters] for one in letters])
    np.testing.assert_array_equal(shares, ~differs)
