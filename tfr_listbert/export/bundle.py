"""A SavedModel that is whole, tried in a fresh process, and in its place only then."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.function_pb2 import FunctionDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tfr_listbert.config import Config, write_config
from tfr_listbert.evaluation.evaluate import list_warnings, read_results
from tfr_listbert.export.allowed_ops import CORE_OPS, TEXT_OPS
from tfr_listbert.export.deployment import Labels, read_labels, write_deployment
from tfr_listbert.export.difference import describe_difference, score_in_memory, score_request
from tfr_listbert.export.gate import Decision, decide_stable, read_gate_lists, score_with_version
from tfr_listbert.export.golden import GOLDEN_FILE, write_golden_requests
from tfr_listbert.export.model_card import CARD_FILE, STUDENT_ALONE, build_card
from tfr_listbert.export.models import build_text_model
from tfr_listbert.export.onnx_model import ONNX_FILE, score_with_onnx, write_onnx
from tfr_listbert.export.requests import SAMPLE_LISTS, RequestBuilder, ServedRequest
from tfr_listbert.export.signatures import TEXT_SIGNATURES
from tfr_listbert.export.stored_order import check_stored_order
from tfr_listbert.export.text_model import TextModel
from tfr_listbert.export.trial import TrialAnswers, require_answers, run_trial
from tfr_listbert.export.warmup import WARMUP_FILE, build_warmup_requests, write_warmup_file
from tfr_listbert.folders import lock_folder
from tfr_listbert.lists.elwc import list_splits, read_lists
from tfr_listbert.metrics import ScoredList
from tfr_listbert.schema import InputError, RankedList
from tfr_listbert.training.checkpoints import describe_unfinished
from tfr_listbert.training.rankers import read_ranker
from tfr_listbert.training.run_folder import describe_other_lists

SCORE_TOLERANCE = 1e-4
"""Largest difference between a score of the reloaded SavedModel and of the model in memory."""

EXTRA_FOLDER = "assets.extra"
"""Folder of a version for what is not part of its graphs; TensorFlow Serving reads its warm-up requests there."""

TIMED_LISTS = (1, 10, 30, 100, 300, 1000)
"""Lengths of the lists whose latency is measured."""


@dataclasses.dataclass(frozen=True)
class Bundle:
    """What was exported.

    Attributes:
        ops: kinds of ops in its graphs.
        signatures: names of its signatures.
        score_difference: largest difference between its scores and those of the model in memory.
        seconds: median seconds of one request by length of its list, up to the first slow one.
        mebibytes: memory that the version took, loaded and asked.
    """

    ops: frozenset[str]
    signatures: tuple[str, ...]
    score_difference: float
    seconds: dict[int, float]
    mebibytes: int


def export_ranker(config: Config) -> None:
    """Exports the ranker, or student, of a run folder as `<export.output>/<export.name>/<version>/`.

    Raises:
        InputError: if there is no such run, the version exists, another export of that name is running, or the export
            does not score as the checkpoint does.
    """
    base = Path(config.export.output) / config.export.name
    base.mkdir(parents=True, exist_ok=True)
    with lock_folder(base, f"Another export to {base} is running; wait for its end, or set `export.name`."):
        _export(config, base)


def _export(config: Config, base: Path) -> None:
    version = choose_version(base, config.export.version)
    ranker = read_ranker(config.train.run, config.evaluate.checkpoint)
    text_ranker = build_text_model(config, ranker)
    sample = read_sample(config.data.lists)
    builder = RequestBuilder(text_ranker.fields, text_ranker.features, text_ranker.inputs, sample)
    lists = read_gate_lists(config)
    deployment = base.with_name(f"{config.export.name}.serving")
    labels = read_labels(deployment, config.export.name)
    print(f"Writing version {version} to {base}, and trying it in a fresh process.", flush=True)
    with write_beside(base, version) as folder:
        bundle, scored, notes = _write_with_options(config, text_ranker, folder, builder, lists)
        if warning := describe_other_lists(config.train.run, config.data.lists):
            notes.append(warning)
        runs = filter(None, (config.train.run, config.export.cascade))
        notes += filter(None, map(describe_unfinished, runs))
        if config.model.type != ranker.config.model.type:
            kind = ranker.config.model.type
            notes.append(f"Beware: {config.train.run} is a {kind}, the config says {config.model.type}.")
        results = read_results(config)
        notes += list_warnings(results or {}, STUDENT_ALONE if config.export.cascade else "the ranker")
        decision = decide_stable(config, folder, lists, scored, base / str(labels.stable) if labels else None)
        write_config(ranker.config, folder / EXTRA_FOLDER / "config.yaml")
        card = build_card(config, ranker.config, version, builder, bundle.seconds, decision, results, notes)
        (folder / EXTRA_FOLDER / CARD_FILE).write_text(card, encoding="utf-8")
    found = read_labels(deployment, config.export.name)
    labels, remarks = move_labels(labels, found, version, decision.is_stable)
    write_deployment(deployment, config.export.name, labels, bundle.seconds, bundle.mebibytes)
    told = _describe(base / str(version), bundle, decision, config.export.float16)
    print("\n".join([told, *notes, *remarks]))


def move_labels(before: Labels | None, found: Labels | None, version: int, is_stable: bool) -> tuple[Labels, list[str]]:
    """Returns the labels once a version is exported, and a line on each thing that its owner must know of them.

    Args:
        before: the labels when the export began; None for the first version.
        found: the labels when it ended, which a command may have moved meanwhile.
        version: the new version.
        is_stable: whether it may be stable.
    """
    if before is None:
        return Labels(version, version), []
    notes = []
    if version != before.next:
        notes.append(
            f"Running servers wait for version {before.next} and refuse labels on {version} until they have loaded it: "
            f"restart them, or first add {version} to `versions` in the models.config that they had."
        )
    if found and found.stable != before.stable:
        notes.append(
            f"While this export ran, `stable` was moved from {before.stable} to {found.stable}; there it stays, and "
            f"version {version} is canary alone, whatever its card says."
        )
        return found.add(version, is_stable=False), notes
    return before.add(version, is_stable), notes


def _write_with_options(
    config: Config, ranker: TextModel, folder: Path, builder: RequestBuilder, lists: Sequence[RankedList]
) -> tuple[Bundle, list[ScoredList], list[str]]:
    """Writes the bundle as `export.float16` and `export.onnx` say.

    Returns:
        The bundle, its scores of the gate's lists, and a line on what each of the two options changes.
    """
    settings = config.export
    exact = score_in_memory(ranker, builder, lists) if settings.float16 or settings.onnx else []
    if settings.float16:
        ranker.halve_weights()
    notes = check_stored_order(config, ranker, lists)
    bundle = write_bundle(ranker, folder, builder, settings.name, settings.warmup_lists)
    print(f"Scoring the {config.evaluate.split} lists with it, to decide about its labels.", flush=True)
    scored = score_with_version(folder, lists) if lists else []
    if settings.float16:
        notes.append(describe_difference("float16 weights", config, exact, scored))
    if settings.onnx:
        path = folder / EXTRA_FOLDER / ONNX_FILE
        write_onnx(ranker, path)
        notes.append(describe_difference(ONNX_FILE, config, exact, score_with_onnx(path, ranker, builder, lists)))
    return bundle, scored, notes


def _describe(folder: Path, bundle: Bundle, decision: Decision, is_halved: bool) -> str:
    label = "stable and canary" if decision.is_stable else "canary"
    notice = " Forced." if decision.is_forced else ""
    if not decision.is_stable:
        notice = " Clients that name no label get it all the same; export.force=true makes it stable."
    return (
        f"{folder}: {', '.join(bundle.signatures)}; {len(bundle.ops)} kinds of ops. Reloaded in a fresh "
        f"process it scores as the {'halved weights do' if is_halved else 'checkpoint does'}, to within "
        f"{bundle.score_difference:.1e}.\n"
        f"Label: {label}. {decision.reason}{notice}\n"
        f"Card: {folder / EXTRA_FOLDER / CARD_FILE}. Files for servers: {folder.parent}.serving.\n"
        f"Serve it: bash serving/serve.sh {folder.parent}\n"
        f"Verify what is served: python serving/verify.py http://127.0.0.1:8501 --bundle {folder.parent}"
    )


def read_sample(folder: str | Path) -> tuple[RankedList, ...]:
    """Returns the first lists of the shop's validation split, or else of its training split; none if it has neither."""
    for split in ("validation", "train"):
        if split in list_splits(folder):
            return tuple(itertools.islice(read_lists(folder, split), SAMPLE_LISTS))
    return ()


def choose_version(base: Path, version: int | None) -> int:
    """Returns the version to write: `version`, or one above the newest under `base`.

    Raises:
        InputError: if that version exists.
    """
    names = [child.name for child in base.iterdir()] if base.is_dir() else []
    taken = {int(name) for name in names if name.isascii() and name.isdigit()}
    free = max(taken, default=0) + 1
    if version in taken:
        raise InputError(
            f"`export.version` must be one that does not exist, got {version}: {base / str(version)} is there, and a "
            f"served version is never changed. Leave it empty for {free}."
        )
    return free if version is None else version


@contextlib.contextmanager
def write_beside(base: Path, version: int) -> Iterator[Path]:
    """Gives a folder beside a version's place and renames it when the block ends well; on failure nothing is left."""
    beside = base / f".{version}.writing"  # hidden, so no server takes it for a version
    shutil.rmtree(beside, ignore_errors=True)
    try:
        yield beside
        os.rename(beside, base / str(version))
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def write_bundle(
    ranker: TextModel, folder: Path, builder: RequestBuilder, name: str, warmup_lists: Sequence[int]
) -> Bundle:
    """Writes a SavedModel with its warm-up and golden requests, and tries it on them in a fresh process.

    Args:
        ranker: what is exported.
        folder: where to.
        builder: makes the requests.
        name: the model's name.
        warmup_lists: lengths of the lists of the warm-up requests; without any no such file is written.

    Raises:
        InputError: if the graphs hold an op that a server lacks, a request fails, or the scores differ.
    """
    warmups = build_warmup_requests(builder, warmup_lists)
    signatures = ranker.build_signatures()
    tf.saved_model.save(ranker.build_saved_module(), str(folder), signatures=signatures)
    ops = read_ops(folder)
    extra = folder / EXTRA_FOLDER
    extra.mkdir()
    if warmups:
        write_warmup_file(extra / WARMUP_FILE, name, warmups, ranker.inputs)
    good = builder.build_good()
    bad = builder.build_bad(good[0])
    timed = [builder.ask(f"{n}", builder.timed_signature, [builder.build_list(n)]) for n in TIMED_LISTS]
    golden = [*bad, *good]
    trial = run_trial(folder, [*golden, *warmups], timed)
    require_answers([*good, *warmups], trial)
    difference = measure_score_difference(ranker, golden, trial)
    write_golden_requests(extra / GOLDEN_FILE, golden, trial.answers[: len(golden)])
    seconds = dict(zip(TIMED_LISTS, trial.seconds, strict=False))
    return Bundle(ops, tuple(signatures), difference, seconds, trial.mebibytes)


def read_ops(folder: Path) -> frozenset[str]:
    """Returns the kinds of ops in a SavedModel's graphs, functions not counted.

    Raises:
        InputError: if one of them is not known to be linked into the stock TensorFlow Serving, or a function must be
            compiled by XLA, which that server cannot do on a CPU.
    """
    saved = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graphs = [meta_graph.graph_def for meta_graph in saved.meta_graphs]
    functions = [function for graph in graphs for function in graph.library.function]
    nodes = [node for graph in graphs for node in graph.node] + [node for f in functions for node in f.node_def]
    ops = frozenset(node.op for node in nodes) - {function.signature.name for function in functions}
    _require_served(ops, functions)
    return ops


def _require_served(ops: frozenset[str], functions: list[FunctionDef]) -> None:
    foreign = sorted(ops - CORE_OPS - TEXT_OPS)
    if foreign:
        raise InputError(
            f"This model needs ops that the stock TensorFlow Serving 2.15 is not known to have: {', '.join(foreign)}. "
            "Build it of others; or where that server is seen to run them, add them to "
            "tfr_listbert/export/allowed_ops.py. Nothing was exported."
        )
    compiled = sorted(function.signature.name for function in functions if function.attr["_XlaMustCompile"].b)
    if compiled:
        raise InputError(f"TensorFlow Serving does not compile with XLA on a CPU, as these do: {', '.join(compiled)}.")


def measure_score_difference(ranker: TextModel, requests: Sequence[ServedRequest], trial: TrialAnswers) -> float:
    """Returns the largest difference between the scores of a trial's first answers and of `ranker` in memory.

    Raises:
        InputError: if they differ by more than SCORE_TOLERANCE.
    """
    differences = [0.0]
    for request, answer in zip(requests, trial.answers, strict=False):
        if request.signature_name not in TEXT_SIGNATURES or "error" in answer:
            continue
        expected = score_request(ranker, request)
        scores = np.array(answer["outputs"]["scores"], np.float32).reshape(expected.shape)
        # Equal infinities or NaN would hide behind a difference of 0.
        differences.extend(np.where(np.isfinite(scores), np.abs(scores - expected), np.inf).ravel().tolist())
    difference = max(differences)
    if not difference <= SCORE_TOLERANCE:
        raise InputError(
            f"The exported model's scores differ from the checkpoint's by {difference:.2g}, more than "
            f"{SCORE_TOLERANCE:g}. Nothing was exported."
        )
    return difference
