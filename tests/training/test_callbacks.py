"""What happens between steps."""

import math
import types

import pytest

from tfr_listbert.schema import DivergedError
from tfr_listbert.training.callbacks import Checkpointing, Evaluation
from tfr_listbert.training.checkpoints import Progress


class Checkpoints:
    """Notes the steps whose weights are kept."""

    def __init__(self):
        self.progress, self.kept = Progress(), []

    def save_best(self, step):
        self.kept.append(step)


@pytest.mark.parametrize("is_lower_better", [True, False])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_validation_metric_that_is_no_number_stops_the_run_and_is_never_the_best(is_lower_better, value):
    values, checkpoints = iter([2.0, 1.0, value]), Checkpoints()
    evaluation = Evaluation(lambda: {"metric": next(values)}, 1, 9, "metric", is_lower_better, None, checkpoints)
    evaluation.set_model(types.SimpleNamespace())
    for step in (1, 2):
        evaluation.on_step(step, {"rows": 1})
    with pytest.raises(DivergedError, match=f"its metric on held-out data is {value} at step 3. Lower `train.learn"):
        evaluation.on_step(3, {"rows": 1})
    assert checkpoints.kept == ([1, 2] if is_lower_better else [1])
    assert checkpoints.progress.best_value == (1.0 if is_lower_better else 2.0)
    assert len(checkpoints.progress.history) == 2


def test_the_best_so_far_is_also_a_checkpoint_to_go_on_from():
    saved = []
    checkpoints = types.SimpleNamespace(progress=Progress(best_step=7), save=saved.append)
    checkpointing = Checkpointing(checkpoints, 5)
    for step in range(1, 12):
        checkpointing.on_step(step, {})
    assert saved == [5, 7, 10]


def test_a_run_stops_after_so_many_evaluations_without_a_better_one_also_when_it_is_gone_on_with():
    values = iter([1.0, 2.0, 2.0, 1.0])
    checkpoints = types.SimpleNamespace(progress=Progress(), save_best=lambda step: None)

    def build():
        return Evaluation(lambda: {"metric": next(values)}, 10, 99, "metric", False, 2, checkpoints)

    evaluation, model = build(), types.SimpleNamespace(stop_training=False)
    evaluation.set_model(model)
    stops = []
    for step in range(1, 41):
        evaluation.on_step(step, {"rows": 1})
        stops.append(model.stop_training)
    assert stops.index(True) == 39 and checkpoints.progress.best_step == 20
    assert [entry["step"] for entry in checkpoints.progress.history] == [10, 20, 30, 40]
    assert build().is_over
