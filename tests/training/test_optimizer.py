"""The schedule of the learning rate."""

import pytest

from tfr_listbert.training.optimizer import build_learning_rate


@pytest.mark.parametrize(
    ("steps", "warmup_rate", "rates"),
    [
        (10, 0.2, [0.0, 0.4, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]),  # by hand: up to the line that falls from 1 to 0
        (1, 0.1, [1.0]),
        (4, 0.0, [1.0, 0.75, 0.5, 0.25]),
        (3, 0.9, [0.0, 1 / 6, 1 / 3]),
    ],
)
def test_rates_rise_and_fall_and_are_not_all_zero(steps, warmup_rate, rates):
    schedule = build_learning_rate(1.0, steps, warmup_rate)
    assert [float(schedule(step)) for step in range(steps)] == pytest.approx(rates)
