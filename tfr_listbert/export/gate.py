"""Which version is `stable`: a new one only if it refuses no client of the current one, nor is significantly worse."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfr_listbert.config import Config
from tfr_listbert.evaluation.intervals import bootstrap_interval
from tfr_listbert.evaluation.judgements import judge_as_configured
from tfr_listbert.evaluation.significance import LEVEL, paired_randomization_test
from tfr_listbert.export.clients import describe_refusals, read_input_names
from tfr_listbert.export.reload import ReloadedModel
from tfr_listbert.export.signatures import PROTO_SIGNATURE
from tfr_listbert.lists.elwc import build_elwc, list_splits, read_lists
from tfr_listbert.metrics import ScoredList, compute_metrics
from tfr_listbert.schema import QUERY, InputError, RankedList

GATE_METRIC = "ndcg_10"

_BATCH_LISTS = 16


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A version's metric on the gate's lists.

    Attributes:
        lists: number of lists.
        mean: of the metric.
        interval: 95 % bootstrap interval of the mean.
    """

    lists: int
    mean: float
    interval: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Decision:
    """Whether a version becomes stable, and why.

    Attributes:
        is_stable: whether it does.
        reason: sentences with the figures, and with what clients would be refused.
        is_forced: whether it does only because `export.force` says so.
        measured: the version's metric, None where there are no lists.
    """

    is_stable: bool
    reason: str
    is_forced: bool = False
    measured: Measurement | None = None


def decide_stable(
    config: Config, folder: Path, lists: Sequence[RankedList], scored: Sequence[ScoredList], stable: Path | None
) -> Decision:
    """Compares an exported version with the current stable one, by its scores and by what it must be asked with.

    Args:
        config: reads `evaluate` and `export.force`; `data.lists` to name it.
        folder: the new version.
        lists: those of the gate, as `read_gate_lists` gives them.
        scored: the same with the scores of the new version.
        stable: the current stable version, None if there is none.
    """
    values = _measure(scored, config)
    measured = _summarize(values, config) if lists else None
    if stable is None:
        return Decision(True, "It is the first version.", measured=measured)
    decision = _compare_scores(config, lists, values, measured, stable)
    if refusal := _find_refusal(folder, stable):
        return _refuse(config, f"{decision.reason} {refusal}", measured)
    return decision


def _find_refusal(folder: Path, stable: Path) -> str:
    """Returns a sentence on what clients of the stable version would be refused, "" if nothing is."""
    try:
        told = describe_refusals(read_input_names(stable), read_input_names(folder))
    except InputError as error:
        return str(error)
    return f"Clients of version {stable.name} would be refused: {told}." if told else ""


def _compare_scores(
    config: Config, lists: Sequence[RankedList], values: np.ndarray, measured: Measurement | None, stable: Path
) -> Decision:
    if not lists:
        missing = f"`data.lists` {config.data.lists} holds no {config.evaluate.split} lists"
        return _refuse(config, f"It cannot be compared with version {stable.name}: {missing}.", measured)
    try:
        current = _measure(score_with_version(stable, lists), config)
    except (OSError, tf.errors.OpError, InputError) as error:
        told = f"{str(error).rstrip('.')}."
        return _refuse(config, f"It cannot be compared with version {stable.name} on the same lists: {told}", measured)
    p_value = paired_randomization_test(values, current, config.evaluate.resamples, config.evaluate.seed)
    difference = float(np.mean(values - current))
    reason = (
        f"Its {GATE_METRIC} on {len(lists)} {config.evaluate.split} lists is {values.mean():.4f}, {difference:+.4f} "
        f"against {current.mean():.4f} of version {stable.name} (p = {p_value:.4f}, two-sided paired randomization)."
    )
    if difference < 0 and p_value < LEVEL:
        return _refuse(config, f"{reason} It is significantly worse.", measured)
    return Decision(True, reason, measured=measured)


def read_gate_lists(config: Config) -> Sequence[RankedList]:
    """Returns the lists of `evaluate.split` with the grades of `evaluate.judgements`; none where there is no split."""
    settings = config.evaluate
    if settings.split not in list_splits(config.data.lists):
        return []
    return judge_as_configured(config, list(read_lists(config.data.lists, settings.split)))


def score_with_version(folder: Path, lists: Sequence[RankedList]) -> list[ScoredList]:
    """Returns lists with the scores of an exported version, as its signature for serialized lists gives them.

    Raises:
        InputError: if no list has a field or feature that the version reads; it would be scored as if all were missing.
    """
    scored = []
    known = {name for one in lists for document in one.documents for name in (*document.fields, *document.features)}
    with ReloadedModel(folder) as model:
        if lacking := sorted(set(model.list_inputs("rank")) - known - {QUERY}):
            raise InputError(f"Version {folder.name} reads {', '.join(lacking)}, which the lists do not hold.")
        for start in range(0, len(lists), _BATCH_LISTS):
            batch = lists[start : start + _BATCH_LISTS]
            protos = [build_elwc(one).SerializeToString() for one in batch]
            rows = model.ask(PROTO_SIGNATURE, {"inputs": protos})["scores"]
            scored += [ScoredList.build(one, row) for one, row in zip(batch, rows, strict=True)]
    return scored


def _measure(scored: Sequence[ScoredList], config: Config) -> np.ndarray:
    return compute_metrics(scored, config.evaluate.relevant_from)[GATE_METRIC]


def _summarize(values: np.ndarray, config: Config) -> Measurement:
    interval = bootstrap_interval(values, config.evaluate.resamples, config.evaluate.seed)
    return Measurement(len(values), float(values.mean()), interval)


def _refuse(config: Config, reason: str, measured: Measurement | None) -> Decision:
    return Decision(config.export.force, reason, config.export.force, measured)
