"""Runs in processes of their own, several at once; one that has ended is not repeated, one that was killed goes on."""

from __future__ import annotations

import collections
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfr_listbert.cores import count_cores
from tfr_listbert.training.experiments.outcome import run_to_end
from tfr_listbert.training.experiments.run import Run


def run_all(runs: Sequence[Run], jobs: int, on_end: Callable[[Run], None]) -> list[Run]:
    """Runs all of `runs`, `jobs` at once, each in a process of its own whose output goes to its `log.txt`.

    Args:
        runs: those that have not ended.
        jobs: processes at once; each takes its share of the cores.
        on_end: is told each run that has ended.

    Returns:
        The runs whose process failed.
    """
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    threads = max(1, count_cores() // jobs)
    waiting, active, failed = collections.deque(runs), {}, []
    while waiting or active:
        while waiting and len(active) < jobs:
            run = waiting.popleft()
            process = context.Process(target=_work, args=(run, threads), daemon=True)
            process.start()
            active[process.sentinel] = (process, run)
        for sentinel in multiprocessing.connection.wait(list(active)):
            process, run = active.pop(sentinel)
            process.join()
            failed += [run] if process.exitcode else []
            on_end(run)
    return failed


def _work(run: Run, threads: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    run.folder.mkdir(parents=True, exist_ok=True)
    log = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    run_to_end(run.config, run.is_trial)


def _end_with_parent() -> None:
    """Ends this process when its parent is killed, lest two processes write to one run folder after a restart."""
    multiprocessing.parent_process().join()
    os._exit(1)
