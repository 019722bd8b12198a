"""The command that distils: what its table says, and what it does not do twice."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import DistillConfig, DistilledLossConfig, LossTermConfig
from tfr_listbert.distillation import students
from tfr_listbert.distillation.distill import compare_with_teacher, distill_ranker, format_table
from tfr_listbert.distillation.students import choose_rate, plan_students
from tfr_listbert.schema import InputError
from tfr_listbert.training.rankers import read_ranker

START = np.array([0.2, 0.4, 0.3, 0.1, 0.5, 0.3])


def compare(**values):
    return compare_with_teacher({name: np.array(own) for name, own in values.items()}, "labels", 1000, 1)


def test_shares_are_those_of_the_means():
    results = compare(teacher=START + 0.2, labels=START, halfway=START + 0.1, worse=START - 0.1)
    assert results["teacher"]["p"] == 2 / 2**6  # all flips of six equal differences but two are less extreme
    assert "p" not in results["labels"] and "closed" not in results["labels"] and "kept" not in results["teacher"]
    assert results["labels"]["kept"] == pytest.approx(0.3 / 0.5)
    half, worse = results["halfway"], results["worse"]
    assert half["kept"] == pytest.approx(0.4 / 0.5) and half["closed"] == pytest.approx(0.5)
    np.testing.assert_allclose(half["closed_interval"], [0.5, 0.5])
    assert worse["closed"] == pytest.approx(-0.5)
    assert half["p"] == worse["p"] == 2 * 2 / 2**6  # of two students, after Holm


def test_of_one_list_there_are_no_intervals():
    results = compare(teacher=[0.5], labels=[0.3], distilled=[0.4])
    assert json.loads(json.dumps(results, allow_nan=False))["distilled"]["kept_interval"] == [None, None]


@pytest.mark.parametrize(
    "teacher", [[0.5, 0.6, 0.7, 0.4], [0.6, 0.7, 0.7, 0.5], [0.7, 0.8, 0.7, 0.6]], ids=["below", "equal", "unsure"]
)
def test_without_a_sure_lead_of_the_teacher_there_is_no_gap_to_close(student_config, teacher):
    results = compare(teacher=teacher, labels=[0.6, 0.7, 0.7, 0.5], worst=[0.5, 0.5, 0.5, 0.5])
    assert "closed" not in results["worst"] and results["worst"]["kept"] == pytest.approx(2.0 / sum(teacher))
    row = next(line for line in format_table(results, student_config).splitlines() if "| worst |" in line)
    assert [cell.strip() for cell in row.split("|")][7:9] == ["", ""]


def test_an_undistilled_student_that_diverged_leaves_what_needs_none():
    results = compare(teacher=START + 0.2, halfway=START + 0.1)
    assert set(results["halfway"]) == {"mean", "interval", "kept", "kept_interval"}


@pytest.fixture(scope="module")
def config(student_config, tmp_path_factory):
    """Two students that learn and one whose rate is far too high, of a teacher of their own."""
    folder = tmp_path_factory.mktemp("students")
    shutil.copytree(student_config.teacher.run, folder / "teacher")
    labels = DistilledLossConfig("labels", (LossTermConfig("softmax_loss", "labels"),))
    distilled = DistilledLossConfig("distilled", (LossTermConfig("margin_mse_loss"),))
    hot = dataclasses.replace(distilled, name="hot", learning_rates=(1e30,))
    paths = {"run": str(folder / "teacher"), "scores": str(folder / "scores")}
    return dataclasses.replace(
        student_config,
        model=dataclasses.replace(student_config.model, buckets=1),
        teacher=dataclasses.replace(student_config.teacher, **paths),
        train=dataclasses.replace(student_config.train, epochs=1, batch_lists=24),
        distill=DistillConfig(str(folder / "out"), (labels, distilled, hot), learning_rates=(1e-3,)),
    )


@pytest.fixture(scope="module")
def trained(build_runner):
    """The runs that were trained, each in this process."""
    ran = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(students, "run_all", build_runner(ran))
        yield ran


@pytest.fixture(scope="module")
def distilled(config, trained):
    distill_ranker(config)
    return Path(config.distill.output)


def test_the_table_has_the_teacher_every_student_and_where_it_is(distilled, trained, config):
    assert [run.loss for run in trained] == ["labels", "distilled", "hot"]
    results = json.loads((distilled / "results.json").read_text())
    assert list(results) == ["teacher", "labels", "distilled", "hot"]
    assert results["distilled"]["run"] == str(distilled / "distilled" / "rate=0.001")
    assert 0 < results["distilled"]["mean"] <= 1 and results["hot"] == {}
    table = (distilled / "table.md").read_text()
    assert "| hot |  | diverged at every rate |" in table
    assert choose_rate(plan_students(config)["hot"]) is None
    widths = {line.count("|") for line in table.splitlines() if line.startswith("|")}
    assert widths == {11}


def test_a_teacher_that_is_not_there_is_named_by_its_setting(config, tmp_path):
    teacher = dataclasses.replace(config.teacher, run=str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"no checkpoint in .*none/best: .*, or `teacher.run` names another folder\."):
        distill_ranker(dataclasses.replace(config, teacher=teacher))


def test_a_second_call_trains_nothing_and_says_the_same(distilled, trained, config, capsys):
    before, table = list(trained), (distilled / "table.md").read_text()
    distill_ranker(config)
    assert trained == before
    assert capsys.readouterr().out.endswith(table)


def test_students_of_a_teacher_that_was_trained_anew_in_its_place_are_refused(distilled, config):
    ranker = read_ranker(config.teacher.run)
    ranker.row_scorer.head.kernel.assign(-ranker.row_scorer.head.kernel)
    checkpoint = tf.train.Checkpoint(**ranker.row_scorer.list_objects())
    tf.train.CheckpointManager(checkpoint, f"{config.teacher.run}/best", 1).save()
    with pytest.raises(InputError, match=r"were made otherwise: teacher \(was"):
        distill_ranker(config)
    shutil.rmtree(config.teacher.scores)
    with pytest.raises(InputError, match=r"holds a run with other settings: .*teacher\.scores"):
        distill_ranker(config)


def test_a_rate_that_is_no_rate_is_answered_by_its_setting(config):
    change = dataclasses.replace(config.distill, learning_rates=(0,))
    with pytest.raises(InputError, match=r"`distill.learning_rates` must be > 0, got \[0\]"):
        plan_students(dataclasses.replace(config, distill=change))
    labels = dataclasses.replace(config.distill.losses[0], learning_rates=(-1,))
    change = dataclasses.replace(config.distill, losses=(labels,))
    with pytest.raises(InputError, match=r"`distill.losses \(labels\).learning_rates` must be > 0, got \[-1\]"):
        plan_students(dataclasses.replace(config, distill=change))


def test_unequal_numbers_of_rates_and_a_missing_undistilled_student_are_refused(config):
    change = dataclasses.replace(config.distill, learning_rates=(1e-3, 2e-3))
    with pytest.raises(InputError, match="must try as many rates each"):
        plan_students(dataclasses.replace(config, distill=change))
    change = dataclasses.replace(config.distill, learning_rates=(1e-3, 1e-3))
    with pytest.raises(InputError, match=r"`distill.learning_rates` must not try a rate twice"):
        plan_students(dataclasses.replace(config, distill=change))
    change = dataclasses.replace(config.distill, undistilled="distilled")
    with pytest.raises(InputError, match="`distill.undistilled` must name a student of labels alone, not of"):
        plan_students(dataclasses.replace(config, distill=change))
    change = dataclasses.replace(config.distill, undistilled="nobody")
    with pytest.raises(InputError, match=r"`distill.undistilled` must be one of \['labels', 'distilled', 'hot'\]"):
        plan_students(dataclasses.replace(config, distill=change))
