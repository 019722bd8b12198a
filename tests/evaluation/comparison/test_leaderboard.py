"""Who is told apart: noise of queries and of runs is rarely called a difference, and differences are found."""

import numpy as np
import pytest
import scipy.stats

from tfr_listbert.evaluation.comparison.leaderboard import rank_systems
from tfr_listbert.evaluation.comparison.plan import Row
from tfr_listbert.evaluation.comparison.results import System, SystemRun
from tfr_listbert.evaluation.significance import paired_randomization_test
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
