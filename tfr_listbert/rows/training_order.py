"""Which lists make which step of training: a function of (run seed, step) alone."""

from __future__ import annotations

import functools

import numpy as np

from tfr_listbert.config import TrainConfig
from tfr_listbert.rows.list_index import ListIndex


class StepDeal:
    """The steps of all epochs: how many there are is known at once, which lists each has when it is asked for."""

    def __init__(self, index: ListIndex, settings: TrainConfig):
        """Deals out the lists of `index`."""
        self._index, self._settings = index, settings
        self._costs = None if settings.batch_tokens is None else index.count_tokens()
        self._shuffle = functools.lru_cache(maxsize=2)(self._shuffle_epoch)
        counts = [len(self._shuffle(epoch)[1]) - 1 for epoch in range(settings.epochs)]
        self._ends = np.cumsum(counts)

    @property
    def steps(self) -> int:
        """Steps of all epochs."""
        return int(self._ends[-1])

    @property
    def epoch_steps(self) -> int:
        """Steps of the first epoch; with `batch_tokens` those of others may be a few more or less."""
        return int(self._ends[0])

    def choose(self, step: int) -> np.ndarray:
        """Returns the numbers [B] of the lists of a step, counted from 0 through all epochs."""
        epoch = int(np.searchsorted(self._ends, step, side="right"))
        lists, starts = self._shuffle(epoch)
        place = step - (self._ends[epoch - 1] if epoch else 0)
        return lists[starts[place] : starts[place + 1]]

    def _shuffle_epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the lists in their order and where each step begins among them, the end included."""
        lists = np.random.default_rng([self._settings.seed, epoch]).permutation(len(self._index))
        if self._settings.batch_tokens is None:
            return lists, np.append(np.arange(0, len(lists), self._settings.batch_lists), len(lists))
        ends = np.cumsum(self._costs[lists])
        starts = [0]
        while starts[-1] < len(lists):
            before = ends[starts[-1] - 1] if starts[-1] else 0
            fitting = int(np.searchsorted(ends, before + self._settings.batch_tokens, side="right"))
            starts.append(max(fitting, starts[-1] + 1))
        return lists, np.array(starts)
