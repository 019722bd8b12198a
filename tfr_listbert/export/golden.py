"""Golden requests: what a bundle was asked when it was made, with its answers, for any server to be held against."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfr_listbert.export.requests import ServedRequest

GOLDEN_FILE = "golden_requests.jsonl"


def write_golden_requests(
    path: str | Path, requests: Sequence[ServedRequest], answers: Sequence[Mapping[str, Any]]
) -> None:
    """Writes one JSON object per request: `name`, `signature_name`, `inputs`, and `outputs` or `error`.

    NaN stands bare, as TensorFlow Serving reads and writes it.

    Args:
        path: the file.
        requests: the requests.
        answers: of each request `{"outputs": ...}` or `{"error": canonical code}`.
    """
    with open(path, "w", encoding="utf-8") as file:
        for request, answer in zip(requests, answers, strict=True):
            kept = {key: answer[key] for key in ("outputs", "error") if key in answer}
            line = {
                "name": request.name,
                "signature_name": request.signature_name,
                "inputs": dict(request.inputs),
                **kept,
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
