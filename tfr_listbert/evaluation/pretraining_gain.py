"""What pre-training is worth: one ranker from random weights and from a pre-trained encoder, under one budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfr_listbert.config import ComparedLossConfig, Config, require
from tfr_listbert.evaluation.comparison.compare import compare_losses
from tfr_listbert.evaluation.comparison.plan import DECIDED_OF_RUNS
from tfr_listbert.evaluation.comparison.results import Results, System
from tfr_listbert.evaluation.intervals import bootstrap_interval, format_interval
from tfr_listbert.evaluation.luck import Luck, combine_luck, estimate_luck, paired_run_tests
from tfr_listbert.evaluation.significance import holm, paired_randomization_test
from tfr_listbert.evaluation.slices import slice_lists
from tfr_listbert.training.rankers import adopt_initial

DECIDED = {**DECIDED_OF_RUNS, "compare.losses": "loss.loss"}
"""Settings that the measurement gives its runs itself, and the settings that say what."""

FROM_RANDOM, FROM_PRETRAINED = "from_random", "from_pretrained"
"""Names of the two systems, and of their folders in `compare.output`."""

_BM25 = "bm25"
_WORDS = {FROM_PRETRAINED: "pre-trained", FROM_RANDOM: "random weights", _BM25: "stemmed BM25"}
_COMPARED = ((FROM_PRETRAINED, FROM_RANDOM), (FROM_PRETRAINED, _BM25), (FROM_RANDOM, _BM25))
_SHOWN_SLICES = ("all", "unseen")


def measure_pretraining_gain(config: Config) -> None:
    """Trains and tests the ranker of `config` from random weights and from `encoder.initial`, and prints both.

    Both get what `compare` says: the same rates to choose from, epochs and seeds. Its report is written, too.

    Raises:
        InputError: if `encoder.initial` names no fitting run, `loss.terms` is set, or as `compare_losses`.
    """
    initial = config.encoder.initial
    require(initial is not None, "encoder.initial", "must name the pre-trained run whose worth is measured", initial)
    terms = [term.loss for term in config.loss.terms]
    require(not terms, "loss.terms", "must be empty: the gain is measured with one loss", terms)
    own = adopt_initial(config)
    start = ComparedLossConfig(loss=config.loss.loss, name=FROM_RANDOM, options=config.loss.options)
    losses = (start, dataclasses.replace(start, name=FROM_PRETRAINED, initial=initial))
    results = compare_losses(
        dataclasses.replace(
            own,
            encoder=dataclasses.replace(own.encoder, initial=None),
            compare=dataclasses.replace(config.compare, losses=losses),
        )
    )
    if results is not None:
        print(format_gain(results, config.train.metric, config.evaluate.resamples, config.evaluate.seed))


def format_gain(results: Results, metric: str, resamples: int, seed: int) -> str:
    """Returns a table of all systems on all and on unseen queries, and how sure gains are.

    Those of the pre-trained start over random weights, and of either over stemmed BM25, with 95 % bootstrap intervals.

    Args:
        results: of a comparison of `FROM_RANDOM` and `FROM_PRETRAINED`.
        metric: key of the metric.
        resamples: of each interval and test.
        seed: decides them.
    """
    lines = []
    for name, chosen in slice_lists(results.lists).items():
        if name in _SHOWN_SLICES:
            lines += _format_slice(name, results.systems, chosen, metric, resamples, seed)
    return "\n".join(lines)


def _format_slice(
    name: str, systems: Sequence[System], chosen: np.ndarray, metric: str, resamples: int, seed: int
) -> list[str]:
    lines = [
        f"test, {name} queries: {int(chosen.sum())} lists; intervals are over queries",
        f"  {'system':16} {metric:>8} {'95 % interval':>16}   each run",
    ]
    values = {system.name: system.mean_per_list(metric)[chosen] for system in systems if system.finished}
    runs = {system.name: [float(run.per_list[metric][chosen].mean()) for run in system.finished] for system in systems}
    for system, own in values.items():
        ends = format_interval(bootstrap_interval(own, resamples, seed))
        each = " ".join(f"{value:.4f}" for value in runs[system])
        lines.append(f"  {system:16} {own.mean():>8.4f} {ends:>16}   {each}")
    for system in systems:
        if lost := len(system.runs) - len(system.finished):
            lines.append(f"  {system.name}: {lost} of {len(system.runs)} runs diverged or failed, and are not counted")
    pairs = [pair for pair in _COMPARED if set(pair) <= set(values)]
    return [*lines, *_describe_gains(pairs, values, runs, resamples, seed)]


def _describe_gains(
    pairs: Sequence[tuple[str, str]],
    values: dict[str, np.ndarray],
    runs: dict[str, list[float]],
    resamples: int,
    seed: int,
) -> list[str]:
    trained = {name: runs[name] for name in (FROM_PRETRAINED, FROM_RANDOM) if name in runs}
    luck = dict(zip(trained, estimate_luck(list(trained.values()))[0], strict=True))
    p_values = []
    for pair in pairs:
        first, second = (values[name] for name in pair)
        counts = tuple(len(trained.get(name, ())) for name in pair)
        of_runs = combine_luck(*(luck.get(name, Luck()) for name in pair), counts)
        p = paired_randomization_test(first, second, resamples, seed)
        p_values.append((p, *paired_run_tests([(first, second)], [of_runs], resamples, seed)))
    corrected = zip(*map(holm, zip(*p_values, strict=True)), strict=True)
    lines = []
    for pair, (p, p_of_runs) in zip(pairs, corrected, strict=True):
        difference = values[pair[0]] - values[pair[1]]
        ends = format_interval(bootstrap_interval(difference, resamples, seed), "+.4f")
        lines.append(
            f"  {_WORDS[pair[0]]} better by {np.mean(difference):+.4f} ({ends}) than "
            f"{_WORDS[pair[1]]}; paired randomization test over queries, corrected for {len(pairs)} pairs (Holm), "
            f"p = {p:.4f}, for other runs as well p = {p_of_runs:.4f}"
        )
    return lines
