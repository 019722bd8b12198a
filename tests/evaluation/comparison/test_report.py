"""The report: complete, honest about what diverged, and one file."""

import csv
import re

import numpy as np
import pytest

from tfr_listbert.evaluation.comparison.conclusion import describe_leader, describe_population
from tfr_listbert.evaluation.comparison.leaderboard import rank_systems
from tfr_listbert.evaluation.comparison.plots import plot_all
from tfr_listbert.evaluation.comparison.query_page import choose_pair, format_query_page
from tfr_listbert.evaluation.comparison.report import Findings, write_report
from tfr_listbert.evaluation.comparison.results import System, is_rising
from tfr_listbert.evaluation.comparison.tables import tabulate_standings
from tfr_listbert.evaluation.slices import slice_lists
from tfr_listbert.schema import InputError

from .conftest import build_outcome, build_run


@pytest.fixture
def findings(comparison):
    config, results = comparison
    board = rank_systems(results.systems, "ndcg_10", 500, 1)
    return Findings(config, results, board, [], plot_all(board, results.systems))


def test_the_leaderboard_has_means_spreads_differences_and_counts(findings):
    best, second, _ = findings.board.standings
    assert [one.system.name for one in findings.board.standings] == ["softmax", "list_mle", "random"]
    values = [run.per_list["ndcg_10"] for run in best.system.runs]
    assert best.mean == pytest.approx(np.mean(values))
    assert best.deviation == pytest.approx(np.std([own.mean() for own in values], ddof=1))
    assert best.interval[0] < best.mean < best.interval[1]
    assert second.difference == pytest.approx(second.mean - best.mean)
    assert second.wins + second.ties + second.losses == findings.board.queries == 30
    assert second.p <= 0.05 and "a" in best.letters and "a" not in second.letters


def test_what_diverged_or_did_not_converge_is_marked(findings):
    table = tabulate_standings(findings.board, findings.results.systems)
    marks = {row[0]: row[-1] for row in table.rows}
    assert marks["softmax"] == "not converged: 1 of 2 runs"
    assert marks["list_mle"] == "diverged: 1 of 2 runs"
    assert marks["wild"] == "diverged: 2 of 2 runs"
    assert all(len(row) == len(table.header) for row in table.rows)


def test_a_curve_that_gains_only_noise_has_converged():
    assert not is_rising(build_outcome([0.5, 0.6, 0.6, 0.601]))
    assert is_rising(build_outcome([0.5, 0.6, 0.6, 0.61]))
    assert is_rising(build_outcome([0.5]))


def test_the_files_agree_and_need_nothing_else(findings, tmp_path):
    write_report(findings, tmp_path)
    markdown, page = ((tmp_path / name).read_text() for name in ("report.md", "report.html"))
    with open(tmp_path / "results.csv") as file:
        rows = {row["system"]: row for row in csv.DictReader(file)}
    assert rows.keys() == {"softmax", "list_mle", "wild", "random"}
    assert float(rows["softmax"]["ndcg_10"]) == pytest.approx(findings.board.standings[0].mean, abs=1e-6)
    assert rows["wild"]["diverged_runs"] == "2" and rows["wild"]["ndcg_10"] == ""
    for text in (f"{findings.board.standings[0].mean:.4f}", "its loss is nan at step 3", "0.662"):
        assert text in markdown and text in page
    assert not re.findall(r"(?:src|href)=.(?!data:)", page) and "http" not in page
    for name in re.findall(r"\]\((plots/[^)]+)\)", markdown):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    with open(tmp_path / "runs.csv") as file:
        assert len(list(csv.DictReader(file))) == 6


def test_the_conclusion_names_leader_losers_and_what_is_sampled(findings):
    leader = describe_leader(findings.board)
    assert leader.startswith("softmax has the highest ndcg_10") and "It is better than list_mle and random." in leader
    population = describe_population(findings.board, findings.results.systems)
    assert "the 30 test queries" in population and "2 seeds of one loss are too few" in population


def test_one_seed_and_one_query_claim_nothing(comparison):
    _, results = comparison
    lists = results.lists[:1]
    systems = [
        System(system.name, system.row, (build_run(lists, 1, noise, build_outcome([0.5, 0.5])),))
        for system, noise in zip(results.systems[:2], (0.1, 5.0), strict=True)
    ]
    board = rank_systems(systems, "ndcg_10", 500, 1)
    assert [one.letters for one in board.standings] == ["a", "a"]
    text = describe_population(board, systems)
    assert "There is one test query" in text and "these very runs alone" in text
    assert plot_all(board, systems)[0].png.startswith(b"\x89PNG")


def test_slices_are_halves_or_what_is_known_of_queries(comparison):
    _, results = comparison
    slices = slice_lists(results.lists)
    assert slices["all"].sum() == 30 and slices["seen in training"].sum() == 15
    assert slices["tail queries"].sum() == slices["head queries"].sum() == 15
    assert (slices["short lists"] ^ slices["long lists"]).all()
    assert "short queries" not in slices  # all have two words


def test_the_page_shows_both_rankings_where_they_differ_most(findings):
    pair = choose_pair(findings.config.compare, findings.board)
    assert [system.name for system in pair] == ["softmax", "list_mle"]
    page = format_query_page(findings.results, *pair, "ndcg_10", 4)
    runs = [system.finished[0].per_list["ndcg_10"] for system in pair]
    furthest = int(np.argmax(runs[0] - runs[1]))
    assert page.index("Where softmax (seed 1) is ahead") < page.index(f"<h3>query {furthest}</h3>")
    assert f"ndcg_10 {runs[0][furthest]:.3f}" in page and f"ndcg_10 {runs[1][furthest]:.3f}" in page
    assert "title &lt;0&gt;" in page and "title <" not in page


def test_a_system_to_show_must_be_there(findings):
    compare = type(findings.config.compare)(shown=("softmax", "wild"))
    with pytest.raises(InputError, match="must name two of the systems with a finished run"):
        choose_pair(compare, findings.board)
