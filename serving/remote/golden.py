"""Golden requests of a bundle, replayed against a server: scores, errors and order must be those of the export."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from .errors import HTTP_STATUSES, RankingError, RefusedError
from .ranking import RemoteModel, open_model

GOLDEN_PATH = Path("assets.extra") / "golden_requests.jsonl"

TOLERANCE = 1e-4
"""Largest difference of a score, absolute and as a fraction: what another processor's arithmetic may change."""


@dataclasses.dataclass(frozen=True)
class GoldenRequest:
    """A request and what the export answered.

    Attributes:
        name: what it tries.
        signature_name: signature that is asked.
        inputs: nested lists by name.
        outputs: nested lists by name; empty for a request that is refused.
        error: canonical code with which it is refused; "" for one that is answered.
    """

    name: str
    signature_name: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    error: str = ""

    def find_fault(self, outputs: Mapping[str, Any]) -> str:
        """Returns in what a server's outputs differ, "" where they agree."""
        if self.error:
            return f"was answered instead of refused with {self.error}"
        if list(outputs) == [""] and len(self.outputs) == 1:  # REST does not name a single output
            outputs = {next(iter(self.outputs)): outputs[""]}
        if outputs.keys() != self.outputs.keys():
            return f"has outputs {sorted(outputs)} instead of {sorted(self.outputs)}"
        for name, expected in self.outputs.items():
            compare = {"order": self._find_order_fault, "document_ids": self._find_id_fault}.get(name)
            try:
                fault = compare(outputs[name]) if compare else _compare(expected, outputs[name])
            except (TypeError, ValueError):  # ragged, of fewer dimensions, or no numbers
                fault = f"is no array like that of the export: {str(outputs[name])[:100]}"
            if fault:
                return f"`{name}` {fault}"
        return ""

    def find_refusal_fault(self, refusal: RefusedError) -> str:
        """Returns in what a server's refusal differs, "" where it agrees."""
        expected = HTTP_STATUSES.get(self.error, 500) if self.error else 200
        return "" if refusal.status == expected else f"gave status {refusal.status} instead of {expected}: {refusal}"

    def _find_order_fault(self, order: Any) -> str:
        """Compares by the golden scores: documents that score alike may change places."""
        for scores, places in zip(self.outputs["scores"], order, strict=True):
            if sorted(places) != list(range(len(scores))):
                return f"is no order of {len(scores)} documents: {places[:20]}"
            ranked = np.array(scores, np.float64)[places]
            if np.any(np.diff(ranked) > 2 * TOLERANCE * np.maximum(1, np.abs(ranked[1:]))):
                return f"puts a worse document before a better one: {places[:20]}"
        return ""

    def _find_id_fault(self, ids: Any) -> str:
        """Compares found documents: those that score alike may change places, at the end with others."""
        if np.shape(ids) != np.shape(self.outputs["document_ids"]):
            return f"has shape {np.shape(ids)} instead of {np.shape(self.outputs['document_ids'])}"
        for expected, found, scores in zip(self.outputs["document_ids"], ids, self.outputs["scores"], strict=True):
            if len(set(found)) < len(set(expected)):
                return f"has a document more than once: {found[:20]}"
            by_id = dict(zip(expected, scores, strict=True))
            for document_id, score in zip(found, scores, strict=True):
                if abs(by_id.get(document_id, scores[-1]) - score) > 2 * TOLERANCE * max(1, abs(score)):
                    return f"has {document_id!r} where {expected[scores.index(score)]!r} should be"
        return ""


def _compare(expected: Any, actual: Any) -> str:
    expected, actual = np.array(expected, np.float64), np.array(actual, np.float64)
    if expected.shape != actual.shape:
        return f"has shape {actual.shape} instead of {expected.shape}"
    if np.allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
        return ""
    differences = np.nan_to_num(np.abs(actual - expected), nan=np.inf)
    worst = np.unravel_index(int(np.argmax(differences)), differences.shape)
    return f"at {[int(index) for index in worst]} is {actual[worst]:g} instead of {expected[worst]:g}"


def find_bundle(folder: str | Path, label: str | None = None) -> Path:
    """Returns the version folder: `folder` itself if its name is a number, or else one inside it.

    That is the version which has the label in the models.config that the export wrote beside; without a label, or such
    a file, the newest.

    Raises:
        RankingError: if there is none with golden requests, or that models.config is damaged or has no such label.
    """
    folder = Path(folder).absolute()
    children = folder.iterdir() if folder.is_dir() else []
    versions = [child for child in children if child.name.isascii() and child.name.isdigit()]
    labelled = _find_labelled(folder, label) if label else None
    newest = max(versions, key=lambda path: int(path.name), default=folder)
    chosen = newest if labelled is None else folder / str(labelled)
    found = folder if folder.name.isdigit() else chosen
    if not (found / GOLDEN_PATH).is_file():
        which = "version" if labelled is None else f"version {labelled}, which has the label {label},"
        raise RankingError(f"{folder} holds no {which} with {GOLDEN_PATH}: give a folder that the export wrote.")
    return found


def _find_labelled(folder: Path, label: str) -> int | None:
    path = folder.with_name(f"{folder.name}.serving") / "models.config"
    if not path.exists():
        return None
    try:
        models = text_format.Parse(path.read_text(encoding="utf-8"), ModelServerConfig()).model_config_list.config
    except text_format.ParseError as error:
        raise RankingError(f"{path} is damaged: {error}") from None
    found = [model.version_labels[label] for model in models if label in model.version_labels]
    if not found:
        raise RankingError(f"{path} has no label {label!r}.")
    return found[0]


def read_golden_requests(bundle: Path) -> list[GoldenRequest]:
    """Returns the golden requests of a version folder.

    Raises:
        RankingError: if their file is damaged.
    """
    try:
        with open(bundle / GOLDEN_PATH, encoding="utf-8") as file:
            return [GoldenRequest(**json.loads(line)) for line in file]
    except (ValueError, TypeError) as error:
        raise RankingError(f"{bundle / GOLDEN_PATH} is damaged ({error}): export anew, or copy it whole.") from None


@dataclasses.dataclass(frozen=True)
class Replay:
    """What a replay found.

    Attributes:
        faults: one line per request that was answered in another way.
        seconds: of each answered request, all rounds.
    """

    faults: list[str]
    seconds: list[float]

    def format_percentiles(self) -> str:
        """Returns the latency of one request after the other: median, 90th, 99th percentile and longest."""
        values = np.percentile(np.array(self.seconds or [float("nan")]) * 1000, [50, 90, 99, 100])
        return "p50 {:.1f} ms, p90 {:.1f} ms, p99 {:.1f} ms, longest {:.1f} ms".format(*values)


def replay_golden_requests(
    url: str, model: str, version: int | None, requests: Sequence[GoldenRequest], rounds: int, label: str | None = None
) -> Replay:
    """Asks a server all requests, compares the answers of every round and times them.

    Args:
        url: `http://...` for REST, `grpc://...` for gRPC.
        model: name of the model there.
        version: its version, or None to ask by label or for the newest.
        requests: the golden requests.
        rounds: how often they are asked, >= 1.
        label: the version's label.

    Raises:
        RankingError: if the server cannot be reached, does not answer in time or has no such version.
    """
    # No second attempt: it would hide a refusal, and its wait would count as the server's.
    remote = open_model(url, model, version, label, timeout_seconds=60.0, retries=0)
    try:
        faults: dict[str, None] = {}  # each once, however many rounds show it
        seconds: list[float] = []
        _require_model(remote)
        for _ in range(rounds):
            for request in requests:
                fault = _ask(remote, request, seconds)
                if fault:
                    faults[f"{request.name}: {fault}"] = None
        return Replay(list(faults), seconds)
    finally:
        remote.close()


def _require_model(remote: RemoteModel) -> None:
    """Raises RefusedError, once instead of for each request, where the model or its version is not served."""
    try:
        remote.read_signatures()
    except RefusedError as refusal:
        if refusal.status == HTTP_STATUSES["NOT_FOUND"]:
            raise


def _ask(remote: RemoteModel, request: GoldenRequest, seconds: list[float]) -> str:
    start = time.perf_counter()
    try:
        outputs = remote.predict(request.signature_name, request.inputs)
    except RefusedError as refusal:
        return request.find_refusal_fault(refusal)
    seconds.append(time.perf_counter() - start)
    return request.find_fault(outputs)
