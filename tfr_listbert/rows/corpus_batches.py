"""Steps of pre-training: rows of one width each, as many as a token budget holds, in an order that the seed decides."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

Mask = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""(tokens [N, T] int32, step [] int64) to the tokens that the model sees and which of them it is to predict."""


class StepPlan:
    """Which rows make which step: a function of (seed, step) alone, without a list of the corpus in memory.

    Rows of one width are spread evenly over as many steps as their tokens need. In each epoch they are dealt out anew,
    by a stride that has no common factor with their number (they lie in random order), and the steps of all widths are
    shuffled.
    """

    def __init__(self, rows: Sequence[np.ndarray], batch_tokens: int, seed: int = 0):
        """Plans steps of at most `batch_tokens` tokens, padding included, over `rows` as `read_rows` gives them."""
        self._rows = rows
        self._seed = seed
        self._steps = [math.ceil(len(array) / (batch_tokens // array.shape[1])) for array in rows]  # by width
        self._shuffle = functools.lru_cache(maxsize=2)(self._shuffle_steps)

    @property
    def epoch_steps(self) -> int:
        """Steps of one pass over all rows."""
        return sum(self._steps)

    def read_in_order(self, step: int) -> np.ndarray:
        """Returns the rows [N, T] of a step of a pass in the stored order."""
        width, numbers = self._locate(step)
        return self._rows[width][numbers]

    def read_shuffled(self, step: int) -> np.ndarray:
        """Returns the rows [N, T] of a step of training, counted from 0 through all epochs."""
        epoch, place = divmod(step, self.epoch_steps)
        width, numbers = self._locate(self._shuffle(epoch)[place])
        first, stride = self._draw_stride(epoch, width)
        return self._rows[width][(first + stride * numbers) % len(self._rows[width])]

    def _locate(self, step: int) -> tuple[int, np.ndarray]:
        """Returns the width of a step, as a place in `rows`, and the numbers of its rows there."""
        starts = np.cumsum([0, *self._steps])
        width = int(np.searchsorted(starts, step, side="right")) - 1
        rows, steps = len(self._rows[width]), self._steps[width]
        number = step - starts[width]
        return width, np.arange(rows * number // steps, rows * (number + 1) // steps)

    def _shuffle_steps(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self._seed, epoch]).permutation(self.epoch_steps)

    def _draw_stride(self, epoch: int, width: int) -> tuple[int, int]:
        rows = len(self._rows[width])
        draw = np.random.default_rng([self._seed, epoch, width])
        while math.gcd(stride := int(draw.integers(1, rows + 1)), rows) != 1:
            pass
        return int(draw.integers(rows)), stride


def build_step_dataset(
    plan: StepPlan,
    mask: Mask,
    steps: int,
    first_step: int = 0,
    replicas: int = 1,
    own: Sequence[int] | None = None,
) -> tf.data.Dataset:
    """Returns the steps of training from `first_step` on: `tokens`, `shown` [N, T] int32 and `is_masked` [N, T] bool.

    Masks are those of whole steps, whatever the number of replicas.

    Args:
        plan: which rows make which step.
        mask: what the model sees of them.
        steps: steps of the whole run.
        first_step: steps to leave out, because a run that goes on has made them; nothing of them is read.
        replicas: parts of each step's rows, an element for each.
        own: the replicas whose parts are returned; all when None.
    """
    dataset = _read_steps(plan.read_shuffled, mask, first_step, steps)
    if replicas > 1:
        parts = tf.data.Dataset.from_tensor_slices(list(range(replicas) if own is None else own))
        dataset = dataset.flat_map(
            lambda step: parts.map(lambda part: {name: rows[part::replicas] for name, rows in step.items()})
        )
    return dataset.prefetch(4)


def build_held_out_dataset(plan: StepPlan, mask: Mask) -> tf.data.Dataset:
    """Returns one pass over all rows in their stored order, as `build_step_dataset` gives them."""
    return _read_steps(plan.read_in_order, mask, 0, plan.epoch_steps).prefetch(4)


def _read_steps(read: Callable[[int], np.ndarray], mask: Mask, first: int, last: int) -> tf.data.Dataset:
    @tf.autograph.experimental.do_not_convert
    def read_step(step: tf.Tensor) -> dict[str, tf.Tensor]:
        tokens = tf.numpy_function(lambda number: read(int(number)).astype(np.int32), [step], tf.int32, stateful=False)
        tokens = tf.ensure_shape(tokens, [None, None])
        shown, is_masked = mask(tokens, step)
        return {"tokens": tokens, "shown": shown, "is_masked": is_masked}

    return tf.data.Dataset.range(first, last).map(read_step)
