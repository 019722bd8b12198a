"""The report: complete, honest about what diverged, and one file."""

import csv
import dataclasses
import re

import numpy as np
import pytest

from tests.chromium import Chromium, find_chromium
from tfr_listbert.config import ComparedLossConfig
from tfr_listbert.evaluation.comparison.conclusion import describe_leader, describe_population
from tfr_listbert.evaluation.comparison.leaderboard import rank_systems
from tfr_listbert.evaluation.comparison.plan import Row
from tfr_listbert.evaluation.comparison.plots import mean_curve, plot_all
from tfr_listbert.evaluation.comparison.query_page import choose_pair, format_query_page
from tfr_listbert.evaluation.comparison.report import Findings, describe_paper, write_report
from tfr_listbert.evaluation.comparison.results import Results, System, SystemRun, is_rising
from tfr_listbert.evaluation.comparison.tables import mark_system, tabulate_paper, tabulate_standings
from tfr_listbert.evaluation.slices import slice_lists
from tfr_listbert.metrics import ScoredList

from .conftest import build_outcome, build_run


@pytest.fixture
def findings(comparison):
    config, results = comparison
    board = rank_systems(results.systems, "ndcg_10", 5000, 1)
    others = [rank_systems(results.systems, "mrr", 5000, 1)]
    return Findings(config, results, board, others, [], plot_all(board, results.systems))


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
    table = tabulate_standings(findings.board, findings.results.systems, "ndcg_10")
    marks = {row[0]: row[-1] for row in table.rows}
    assert marks["softmax"] == "not converged: 1 of 2 runs"
    assert marks["list_mle"] == "diverged: 1 of 2 runs"
    assert marks["wild"] == "diverged: 2 of 2 runs"
    assert all(len(row) == len(table.header) for row in table.rows)


def test_a_curve_that_gains_only_noise_has_converged():
    assert not is_rising(build_outcome([0.5, 0.6, 0.6, 0.601]), "ndcg_10")
    assert is_rising(build_outcome([0.5, 0.6, 0.6, 0.61]), "ndcg_10")
    assert is_rising(build_outcome([0.5]), "ndcg_10")


def test_convergence_is_by_the_metric_of_training():
    outcome = build_outcome([0.5, 0.6, 0.6, 0.6])
    history = tuple(entry | {"mrr": entry["step"] / 100} for entry in outcome.history)
    outcome = dataclasses.replace(outcome, history=history)
    assert is_rising(outcome, "mrr") and not is_rising(outcome, "ndcg_10")


def test_the_files_agree_and_need_nothing_else(findings, tmp_path):
    write_report(findings, tmp_path)
    markdown, page = ((tmp_path / name).read_text() for name in ("report.md", "report.html"))
    with open(tmp_path / "results.csv") as file:
        lines = list(csv.DictReader(file))
    rows = {(row["system"], row["metric"]): row for row in lines}
    names, metrics = ("softmax", "list_mle", "wild", "random"), ("ndcg_10", "mrr")
    assert len(lines) == 8 and rows.keys() == {(name, metric) for name in names for metric in metrics}
    for board in (findings.board, *findings.others):
        for one in board.standings:
            row = rows[one.system.name, board.metric]
            numbers = [one.mean, *one.interval, one.difference, one.p]
            found = [float(row[name]) for name in ("mean", "low", "high", "difference", "p_holm")]
            assert found == pytest.approx(numbers, abs=1e-6)
    assert rows["wild", "mrr"]["diverged_runs"] == "2" and rows["wild", "mrr"]["mean"] == ""
    assert rows["softmax", "ndcg_10"]["difference_low"] == ""  # the best has no difference
    best_mrr = findings.others[0].standings[0]
    for text in (f"{best_mrr.interval[0]:.4f} – {best_mrr.interval[1]:.4f}", "its loss is nan at step 3", "0.662"):
        assert text in markdown and text in page
    assert not re.findall(r"(?:src|href)=.(?!data:)", page) and "http" not in page
    for name in re.findall(r"\]\((plots/[^)]+)\)", markdown):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    with open(tmp_path / "runs.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert (rows[0]["temperature"], rows[0]["fold"], rows[0]["pairs"], rows[0]["is_rising"]) == (
        "0.5",
        "",
        "1234",
        "True",
    )
    run = findings.results.systems[0].runs[0]
    assert float(rows[0]["test_ndcg_10"]) == pytest.approx(run.per_list["ndcg_10"].mean(), abs=1e-6)
    assert float(rows[0]["score_spread"]) == pytest.approx(run.score_spread, rel=1e-5)


def test_the_spread_of_scores_is_that_within_lists():
    lists = [
        ScoredList("a", ["1", "2"], np.zeros(2), np.array([10.0, 12.0])),
        ScoredList("b", ["1"], np.zeros(1), np.ones(1)),
    ]
    assert SystemRun(1, (), (), lists, {}).score_spread == (1.0 + 0.0) / 2
    assert np.isnan(SystemRun(1, (), (), (), {}).score_spread)


def test_each_run_leaves_its_metrics_by_query_and_its_rankings(findings, tmp_path):
    write_report(findings, tmp_path)
    softmax, _, _, random = findings.results.systems
    for run, folder in ((softmax.runs[1], tmp_path / "softmax/2"), (random.runs[0], tmp_path / "random")):
        with open(folder / "per_query.csv") as file:
            rows = list(csv.DictReader(file))
        assert [row["query_id"] for row in rows] == [one.query_id for one in findings.results.lists]
        for metric, values in run.per_list.items():
            assert [float(row[metric]) for row in rows] == pytest.approx(list(values), abs=1e-6)
        lines = [line.split() for line in (folder / "run.trec").read_text().splitlines()]
        best = {line[0]: line[2] for line in lines if line[3] == "1"}
        assert best == {one.query_id: one.document_ids[np.argmax(one.scores)] for one in run.scored}
    assert not (tmp_path / "wild").exists()


def test_the_difference_to_the_best_has_an_interval_and_p_says_when_it_is_a_bound(findings):
    best, second, third = findings.board.standings
    for one in (second, third):
        low, high = one.difference_interval
        assert low < one.difference < high < 0
    table = tabulate_standings(findings.board, findings.results.systems, "ndcg_10")
    cells = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    low, high = third.difference_interval
    assert cells["random"]["95 % of the difference"] == f"{low:+.4f} – {high:+.4f}"
    assert not third.is_p_bound and cells["random"]["p (Holm)"] == f"{third.p:.4f}"
    assert cells["softmax"]["p (Holm)"] == ""
    # One run of each, so that flips alone decide: none of 500 is as extreme.
    single = [dataclasses.replace(one.system, runs=one.system.runs[:1]) for one in (best, third)]
    board = rank_systems(single, "ndcg_10", 500, 1)
    assert board.standings[1].is_p_bound and board.standings[1].p == 1 / 501
    table = tabulate_standings(board, single, "ndcg_10")
    assert table.rows[1][table.header.index("p (Holm)")] == "<= 0.0020"


def test_what_does_not_beat_random_order_is_marked(comparison):
    _, results = comparison
    softmax, _, _, random = results.systems
    blind = dataclasses.replace(softmax, name="blind", runs=(build_run(results.lists, 1, 80.0, build_outcome([0.5])),))
    board = rank_systems([softmax, blind, random], "ndcg_10", 500, 1)
    table = tabulate_standings(board, [softmax, blind, random], "ndcg_10")
    marks = {row[0]: row[-1] for row in table.rows}
    assert marks == {
        "softmax": "not converged: 1 of 2 runs",
        "blind": "not converged: 1 of 1 runs; not shown to beat random order",
        "random": "",
    }


def test_a_browser_gives_marks_the_place_that_they_need(findings, tmp_path):
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is installed here; CI installs one")
    write_report(findings, tmp_path)
    with Chromium(path, tmp_path / "profile") as browser:
        browser.open((tmp_path / "report.html").as_uri())
        assert "Leaderboard" in browser.wait_for_text("Leaderboard", 30)
        widths = browser.evaluate("[...document.querySelectorAll('td.marks')].map(cell => cell.offsetWidth)")
        assert min(widths) >= 200
        page, *tables = browser.evaluate("[...document.querySelectorAll('body, table')].map(one => one.offsetWidth)")
        assert max(tables) <= page


def test_a_leader_whose_runs_did_not_all_end_is_said_to(comparison):
    _, results = comparison
    softmax, list_mle, *others = results.systems
    lead = dataclasses.replace(softmax, runs=(softmax.runs[0], list_mle.runs[1]))
    board = rank_systems([lead, *others], "ndcg_10", 200, 1)
    text = describe_leader(board)
    assert text.startswith("Of the runs that came to their end those of softmax have the highest ndcg_10")
    assert "but 1 of its 2 runs did not" in text


def test_rows_that_start_otherwise_are_marked(comparison):
    _, results = comparison
    softmax = results.systems[0]
    entry = dataclasses.replace(softmax.row.entry, is_frozen=True, initial="runs/other")
    marked = dataclasses.replace(softmax, row=dataclasses.replace(softmax.row, entry=entry))
    assert mark_system(marked, "ndcg_10").startswith("frozen encoder; starts from runs/other; not converged")


def test_the_papers_gaps_stand_beside_those_found(comparison):
    config, results = comparison
    lists = results.lists
    entries = [
        ComparedLossConfig("approx_ndcg_loss", "fixed", {"temperature": 0.1}),
        ComparedLossConfig("approx_ndcg_loss", "approx"),
        ComparedLossConfig("list_mle_loss", "list_mle"),
        ComparedLossConfig("rank_net_loss", "rank_net"),
    ]
    systems = [
        System(entry.name, Row(entry.name, entry, ()), (build_run(lists, 1, noise, build_outcome([0.5, 0.5])),))
        for entry, noise in zip(entries, (0.1, 0.5, 2.0, 4.0), strict=True)
    ]
    board = rank_systems(systems, "ndcg_10", 200, 1)
    table = tabulate_paper(board)
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    means = {one.system.name: one.mean for one in board.standings}
    for name, paper in (("list_mle", "+13.9%"), ("rank_net", "+20.6%")):
        assert rows[name]["in the paper"] == paper
        assert rows[name]["approx leads it by"] == f"{means['approx'] / means[name] - 1:+.1%}"
    zeros = dict.fromkeys(systems[2].runs[0].per_list, np.zeros(len(lists)))
    worst = dataclasses.replace(
        systems[2], runs=tuple(dataclasses.replace(run, per_list=zeros) for run in systems[2].runs)
    )
    found = tabulate_paper(rank_systems([systems[1], worst], "ndcg_10", 200, 1))
    assert {row[5] for row in found.rows} == {"", "–"}  # nothing can be so many per cent above 0
    assert rows["approx"]["in the paper"] == rows["fixed"]["in the paper"] == ""
    options = {"grading": "clicks_over_expected"}
    config = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, options=options),
        evaluate=dataclasses.replace(config.evaluate, judgements="true.csv"),
    )
    note = describe_paper(Findings(config, Results(lists, systems), board, [], []))
    assert "Training grades here are of clicks over expected clicks" in note
    assert "Test grades here are the true ones of true.csv" in note


def test_a_mean_curve_has_the_steps_that_all_finished_runs_have(comparison):
    _, results = comparison
    softmax, list_mle, wild, _ = results.systems
    short = dataclasses.replace(softmax.runs[1], outcomes=(build_outcome([0.1, 0.2]),))
    curve = mean_curve(dataclasses.replace(softmax, runs=(softmax.runs[0], short)), "ndcg_10")
    assert curve == pytest.approx({10: 0.3, 20: 0.4})
    assert list(mean_curve(list_mle, "ndcg_10")) == [10, 20, 30, 40] and mean_curve(wild, "ndcg_10") == {}


def test_the_mean_curve_of_folds_has_the_mean_of_their_steps(comparison):
    softmax = comparison[1].systems[0]
    first = build_outcome([0.1, 0.3])
    longer = dataclasses.replace(first, history=tuple({**entry, "step": entry["step"] + 4} for entry in first.history))
    run = dataclasses.replace(softmax.runs[0], outcomes=(first, longer))
    assert mean_curve(dataclasses.replace(softmax, runs=(run,)), "ndcg_10") == pytest.approx({12: 0.1, 22: 0.3})


def test_the_conclusion_names_leader_losers_and_what_is_sampled(findings):
    leader = describe_leader(findings.board)
    assert (
        leader.startswith("softmax has the highest ndcg_10") and "softmax is better than list_mle and random." in leader
    )
    population = describe_population(findings.board, findings.results.systems)
    assert "the 30 test queries" in population and "2 seeds of one loss are too few" in population


def test_of_two_losses_the_one_whose_runs_differ_is_named(comparison):
    _, results = comparison
    softmax, _, _, random = results.systems

    def build(name, noises):
        runs = [build_run(results.lists, 1, noise, build_outcome([0.5, 0.5])) for noise in noises]
        return dataclasses.replace(softmax, name=name, runs=tuple(runs))

    systems = [build("wild", (0.1, 1.0, 3.0, 9.0)), build("calm", (1.0, 1.05, 1.1, 1.15)), random]
    board = rank_systems(systems, "ndcg_10", 200, 1)
    assert {one.system.name: one.has_own_spread for one in board.standings} == {
        "wild": True,
        "calm": False,
        "random": False,
    }
    assert "hardly any difference can be proven: wild." in describe_population(board, systems)


def test_runs_that_came_out_alike_are_said_to(comparison):
    _, results = comparison
    run = build_run(results.lists, 1, 1.0, build_outcome([0.5, 0.5]))
    system = dataclasses.replace(results.systems[0], runs=(run, run, run))
    board = rank_systems([system], "ndcg_10", 200, 1)
    assert "these very runs alone: the runs of a loss came out all alike." in describe_population(board, [system])


def test_what_only_the_correction_leaves_undecided_is_said_to_be_behind(findings):
    board = findings.board
    first, second, *others = board.standings
    unproven = dataclasses.replace(second, p=0.2, difference_interval=(-0.3, -0.1))
    text = describe_leader(dataclasses.replace(board, standings=(first, unproven, *others)))
    assert "cannot be told apart" not in text and f"{second.system.name} came out behind by more" in text
    assert text.rpartition("this is no proof. ")[2].startswith("softmax is better than random.")


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


def show(config, queries):
    return dataclasses.replace(config, compare=dataclasses.replace(config.compare, queries_shown=queries))


def test_the_page_shows_both_rankings_where_they_differ_most(findings):
    *pair, note = choose_pair(findings.config.compare, findings.board)
    assert [system.name for system in pair] == ["softmax", "list_mle"] and note == ""
    page = format_query_page(findings.results, *pair, show(findings.config, 4))
    runs = [system.finished[0].per_list["ndcg_10"] for system in pair]
    furthest = int(np.argmax(runs[0] - runs[1]))
    assert page.index("Where softmax (seed 1) is ahead") < page.index(f"<h3>query {furthest}</h3>")
    assert f"ndcg_10 {runs[0][furthest]:.3f}" in page and f"ndcg_10 {runs[1][furthest]:.3f}" in page
    assert "title &lt;0&gt;" in page and "title <" not in page and "some brand" not in page


def test_where_a_system_to_show_diverged_the_best_are_shown_and_the_page_says_so(findings):
    compare = dataclasses.replace(findings.config.compare, shown=("softmax", "random"))
    assert [system.name for system in choose_pair(compare, findings.board)[:2]] == ["softmax", "random"]
    compare = dataclasses.replace(compare, shown=("random", "wild"))
    *pair, note = choose_pair(compare, findings.board)
    assert [system.name for system in pair] == ["softmax", "list_mle"]
    page = format_query_page(findings.results, *pair, show(findings.config, 4), note)
    assert "wild, to be shown, came to no end: these are the best instead." in page
