"""Which runs a comparison has, what they share, and what is refused before anything runs."""

import dataclasses
import runpy
import sys

import pytest

from tfr_listbert import script
from tfr_listbert.config import CompareConfig, Config, build_dataclass, read_config
from tfr_listbert.evaluation.comparison.compare import compare_losses
from tfr_listbert.evaluation.comparison.labels import check_labels
from tfr_listbert.evaluation.comparison.plan import count_runs, plan_rows, plan_seeds, plan_trials
from tfr_listbert.schema import InputError
from tfr_listbert.training.experiments.run import Trial


def build_compare(losses, **settings):
    return build_dataclass(CompareConfig, {"losses": losses, "output": "out", **settings}, "compare")


def test_each_loss_tries_rates_times_temperatures():
    compare = build_compare(
        [{"loss": "softmax_loss"}, {"loss": "mean_squared_loss", "learning_rates": [0.1, 0.2, 0.3, 0.4]}],
        learning_rates=[0.1, 0.2],
        temperatures=[1, 2],
    )
    tuned, pointwise = plan_rows(compare)
    assert tuned.trials == (Trial(0.1, 1.0), Trial(0.1, 2.0), Trial(0.2, 1.0), Trial(0.2, 2.0))
    assert pointwise.trials == (Trial(0.1), Trial(0.2), Trial(0.3), Trial(0.4))
    assert count_runs([tuned, pointwise], compare) == (8, 6)


def test_runs_differ_in_loss_rate_seed_and_folder_alone():
    losses = [{"loss": "softmax_loss"}, {"name": "b", "loss": "approx_ndcg_loss"}]
    config = Config(compare=build_compare(losses, learning_rates=[0.1, 0.2], seeds=[4, 5], trial_epochs=1))
    rows = plan_rows(config.compare)
    runs = [run for row in rows for run in plan_seeds(config, row, row.trials[0], "lists", 0)]
    assert [str(run.folder) for run in runs] == ["out/softmax_loss/4", "out/softmax_loss/5", "out/b/4", "out/b/5"]
    assert {run.config.train.epochs for run in runs} == {config.train.epochs}
    same = [
        dataclasses.replace(
            run.config, loss=config.loss, train=dataclasses.replace(run.config.train, run="any", seed=0)
        )
        for run in runs
    ]
    assert all(one == same[0] for one in same)
    trials = plan_trials(config, rows[1], "lists", 2)
    assert [str(run.folder) for run in trials] == ["out/b/trials/rate=0.1/fold-2", "out/b/trials/rate=0.2/fold-2"]
    assert {(run.seed, run.config.train.epochs) for run in trials} == {(4, 1)}


def test_one_setting_needs_no_trial():
    config = Config(compare=build_compare([{"loss": "softmax_loss"}], learning_rates=[0.1]))
    assert plan_trials(config, plan_rows(config.compare)[0], "lists", 0) == []


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ([], "`compare.losses` must name at least one loss"),
        ([{"loss": "approx_ndgc_loss"}], "Did you mean 'approx_ndcg_loss'?"),
        ([{"loss": "softmax_loss", "options": {"temprature": 1}}], "Did you mean 'temperature'?"),
        ([{"loss": "ordinal_loss"}], "`compare.losses[0]` cannot be ordinal_loss"),
        ([{"loss": "mean_squared_loss", "temperatures": [1, 2]}], "mean_squared_loss has no temperature"),
        ([{"loss": "softmax_loss"}, {"loss": "list_mle_loss", "learning_rates": [0.1]}], "as many settings"),
        ([{"loss": "softmax_loss"}, {"loss": "softmax_loss"}], "must have different names"),
        *(
            ([{"loss": "softmax_loss", "name": name}], "must be names for folders")
            for name in ("a/b", "..", "report.md", "results.csv", "bm25")
        ),
        ([{"loss": "softmax_loss", "terms": [{"loss": "softmax_loss"}]}], "`compare.losses[0].terms` must be empty"),
        ([{"loss": "softmax_loss", "learning_rates": [0.1, 0.1]}], "must not try a setting twice"),
        ([{"loss": "softmax_loss", "learning_rates": [0.1, -1]}], "`compare.losses[0].learning_rates` must be > 0"),
        ([{"loss": "softmax_loss", "learing_rates": [0.1]}], "`compare.losses[0].learing_rates` is not a setting"),
    ],
)
def test_a_wrong_loss_is_answered_before_anything_runs(losses, message):
    with pytest.raises(InputError) as error:
        plan_rows(build_compare(losses))
    assert message in str(error.value)


def test_a_rate_for_all_losses_that_is_no_rate_is_answered_by_its_setting():
    with pytest.raises(InputError, match=r"`compare.learning_rates` must be > 0, got \[0.0, 0.1\]"):
        plan_rows(build_compare([{"loss": "softmax_loss"}], learning_rates=[0, 0.1]))


@pytest.mark.parametrize(
    ("loss", "options", "labels", "message"),
    [
        ("sigmoid_cross_entropy_loss", {}, {0.0, 4.0}, "must be >= 4, the highest label"),
        ("sigmoid_cross_entropy_loss", {"max_label": 4}, {0.0, 1.0}, "must be 1: the labels are 0 and 1 alone"),
    ],
)
def test_labels_that_a_loss_would_misread_are_refused(loss, options, labels, message):
    row = plan_rows(build_compare([{"loss": loss, "options": options}]))[0]
    with pytest.raises(InputError) as error:
        check_labels(row, frozenset(labels))
    assert message in str(error.value)


def test_a_loss_for_grades_is_marked_on_binary_labels():
    row = plan_rows(build_compare([{"loss": "rank_net_loss"}]))[0]
    assert check_labels(row, frozenset({0.0, 1.0})) == (
        "needs grades: on labels of 0 and 1 it equals pairwise_logistic_loss"
    )
    assert check_labels(row, frozenset({0.0, 1.0, 2.0})) == ""


@pytest.mark.parametrize("shown", [["a"], ["a", "a"], ["a", "softmax"], ["a", "bm25", "random"]])
def test_systems_to_show_are_two_that_there_will_be(shown):
    losses = [{"name": "a", "loss": "softmax_loss"}]
    with pytest.raises(InputError, match="`compare.shown` must be empty or name two different systems among a, random"):
        build_compare(losses, shown=shown)
    assert build_compare(losses, shown=["a", "bm25"]).shown == ("a", "bm25")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["CONFIG", "--jobs", "2", "--dry-run"], ["CONFIG", "compare.jobs=2", "compare.dry_run=true"]),
        (["--jobs=3", "CONFIG", "train.epochs=1"], ["CONFIG", "train.epochs=1", "compare.jobs=3"]),
        (["--dry-run"], []),
        (["CONFIG"], ["CONFIG"]),
    ],
)
def test_flags_of_the_script_are_settings(monkeypatch, arguments, expected):
    asked = []
    monkeypatch.setattr(sys, "argv", ["compare_losses.py", *arguments])
    monkeypatch.setattr(script, "run_script", lambda call, doc, decided: asked.append((call, sys.argv[1:])))
    runpy.run_path("pipelines/compare_losses.py", run_name="__main__")
    assert asked == [(compare_losses, expected)]


@pytest.mark.parametrize("name", ["shop", "homedepot", "esci150"])
def test_the_shipped_comparisons_can_be_planned(name):
    config = read_config(f"pipelines/configs/compare_{name}.yaml")
    rows = plan_rows(config.compare)
    keys = {row.entry.loss for row in rows}
    assert keys >= {"rank_net_loss", "list_net_loss", "list_mle_loss", "approx_ndcg_loss"}
    assert {row.name for row in rows} >= set(config.compare.shown)
