"""Medians, ranges and verdicts, worked out by hand."""

import time

from benchmarks import memory, reading, scoring, serving, training
from benchmarks.flops import share_of_peak
from benchmarks.tables import Claim, describe_machine, format_claims, format_peers, format_spread, measure_load


def test_a_spread_is_median_and_range():
    assert format_spread([3.0, 1.0, 2.5], ".1f") == "2.5 (1.0–3.0)"


def test_the_median_is_judged_against_floor_or_ceiling():
    assert Claim("a", [1.0, 2.0, 9.0], ".1f", 2.0).verdict == "met"
    assert Claim("a", [1.0, 1.9, 9.0], ".1f", 2.0).verdict == "**not met**"
    assert Claim("a", [1.0, 2.0, 9.0], ".1f", 2.0, is_ceiling=True).verdict == "met"
    assert Claim("a", [1.0, 2.1, 9.0], ".1f", 2.0, is_ceiling=True).verdict == "**not met**"
    assert Claim("a", [1.0], ".1f").verdict == ""


def test_a_table_has_goal_and_verdict_of_each_claim():
    claims = [Claim("speed", [3.0], ".1f", 2.0, unit=" times"), Claim("wait", [0.05], ".0%", 0.02, is_ceiling=True)]
    assert format_claims(claims).splitlines()[2:] == [
        "| speed | 3.0 (3.0–3.0) times | at least 2.0 times | met |",
        "| wait | 5% (5%–5%) | at most 2% | **not met** |",
    ]


def test_a_reason_stands_below_a_goal_that_is_missed():
    met, missed = (Claim("speed", [3.0], ".1f", goal) for goal in (2.0, 4.0))
    assert format_claims([met], "Why.").endswith("| met |")
    assert format_claims([met, missed], "Why.").endswith("| **not met** |\n\nWhy.")


def test_the_machine_comes_with_the_versions_of_peers():
    assert describe_machine({"PyTorch": "9.9"}).endswith(", PyTorch 9.9")


def test_a_round_is_measured_by_the_higher_of_the_peaks_around_it():
    assert share_of_peak([50.0, 60.0], [80.0, 100.0, 75.0]) == [0.5, 0.6]


def test_training_is_compared_round_by_round():
    peers = {training.WIDE: 5, training.TIGHT: 25, training.CROSS_ENCODER: 50}
    rounds = [
        {
            training.OURS: {"pairs": pairs, "seconds": 2.0, "work": 120.0},
            **{name: {"pairs": count, "seconds": 1.0} for name, count in peers.items()},
        }
        for pairs in (200, 300)
    ]
    claims = training.build_claims(rounds, [100.0, 100.0, 120.0], 0.01)
    ratios = [[20.0, 30.0], [4.0, 6.0], [2.0, 3.0], [0.6, 0.5], [0.01]]
    assert [claim.values for claim in claims] == ratios
    assert [claim.verdict for claim in claims] == ["met", "**not met**", "**not met**", "met", "met"]


def test_a_peer_stands_in_the_table_with_its_best_setting():
    values = {"ours": [150.0, 100.0], "peer": [5.0, 5.0]}
    table = format_peers("pairs/s", values, ".1f", {"ours": 28.04, "peer": 30.0}, {"peer": "1 list"}).splitlines()
    assert table[0] == "| | pairs/s, median (range) | tokens of a row | at its best |"
    assert table[2:] == ["| ours | 125.0 (100.0–150.0) | 28.0 |  |", "| peer | 5.0 (5.0–5.0) | 30.0 | 1 list |"]


def test_a_load_is_of_all_clients_for_its_time_or_as_many_calls_as_are_asked_for():
    counts = [0, 0]

    def call(client):
        counts[client] += 1
        time.sleep(0.01)

    calls = [lambda: call(0), lambda: call(1)]
    times, rate = measure_load(calls, 60.0, most=3)
    assert counts == [3, 3] and len(times) == 6 and times.min() >= 10.0 and 0 < rate <= 200.0
    times, _ = measure_load(calls, 0.0, fewest=2)
    assert counts == [5, 5] and len(times) == 4


def test_what_a_server_adds_is_taken_round_by_round():
    claims = serving.build_claims({serving.BARE: [10.0, 20.0], "REST": [11.5, 21.0], "gRPC": [13.0, 22.0]})
    assert [claim.values for claim in claims] == [[10.0, 20.0], [1.5, 1.0], [3.0, 2.0]]
    assert [claim.verdict for claim in claims] == ["", "met", "**not met**"]


def test_scoring_is_compared_round_by_round():
    times = {scoring.OURS: 0.1, scoring.CROSS_ENCODER: 0.3, scoring.ONNX: 0.15}
    rounds = [{name: {"seconds": seconds} for name, seconds in times.items()}]
    claims = scoring.build_claims(rounds, [80.0, 100.0], 7.0)
    assert [round(claim.values[0], 6) for claim in claims] == [3.0, 1.5, 0.7]
    assert [claim.verdict for claim in claims] == ["met", "**not met**", "met"]


def test_reading_is_measured_by_what_training_needs():
    claims = reading.build_claims([{"read": 500.0, "train": 20.0}, {"read": 380.0, "train": 20.0}])
    assert claims[2].values == [25.0, 19.0] and claims[2].verdict == "met"


def test_memory_is_judged_at_the_longest_list_and_by_its_growth_without_pairs():
    answers = [
        {"loss": loss, "documents": documents, "whole": whole * 2**30, "step": step * 2**30, "planned": 2**30}
        for loss, documents, whole, step in [
            (memory.PAIRS, 500, 1.0, 0.5),
            (memory.PAIRS, 2000, 1.5, 0.9),
            (memory.NO_PAIRS, 500, 1.0, 0.5),
            (memory.NO_PAIRS, 2000, 1.2, 0.6),
        ]
    ]
    claims = memory.build_claims(answers)
    assert [round(claim.values[0], 6) for claim in claims[:2]] == [1.5, 1.2]
    assert claims[2].values == [1.0, 1.5, 1.0, 1.2]
    assert [claim.verdict for claim in claims] == ["met", "**not met**", "met"]
    assert memory.format_peaks(answers).splitlines()[3] == "| approx_ndcg_loss | 2,000 | 1.50 | 0.90 | 1.00 | 1.50 |"
