"""One request of the contract, and how an answer is held against it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

MODEL = "contract"
"""Name of the model that the table asks, with versions 1 (label `stable`) and 2 (label `canary`)."""


@dataclasses.dataclass(frozen=True)
class ContractRequest:
    """One request and its answer.

    Attributes:
        name: what the row promises.
        status: HTTP status that must come back.
        method: HTTP method.
        path: raw target, as it goes over the wire.
        body: request body.
        headers: request headers.
        answer: the JSON that must come back, floats compared to 1e-6, a mapping by the keys that it names; None when
            any will do.
        error: what the `error` in the answer must hold; "" when any will do.
        text: what the body, JSON or not, must hold; "" when any will do.
    """

    name: str
    status: int
    method: str = "POST"
    path: str = f"/v1/models/{MODEL}:predict"
    body: bytes = b""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    answer: Any = None
    error: str = ""
    text: str = ""

    def find_fault(self, status: int, body: bytes) -> str:
        """Returns in what a server's answer differs from the contract, "" where it agrees."""
        if status != self.status:
            return f"status {status} instead of {self.status}: {body[:300]!r}"
        if self.text not in body.decode("utf-8", "replace"):
            return f"the body does not say {self.text!r}: {body[:300]!r}"
        if self.answer is None and not self.error:
            return ""
        try:
            answer = json.loads(body)
        except ValueError:
            return f"the body is not JSON: {body[:300]!r}"
        if self.error and self.error not in str(answer.get("error")):
            return f"the error does not say {self.error!r}: {answer}"
        if self.answer is not None and not _is_like(self.answer, answer):
            return f"{answer} instead of {self.answer}"
        return ""


def _is_like(expected: Any, actual: Any) -> bool:
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and _is_like(value, actual[key]) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(actual, list)
            and len(expected) == len(actual)
            and all(_is_like(*pair) for pair in zip(expected, actual, strict=True))
        )
    if isinstance(expected, float):
        is_number = isinstance(actual, float)
        is_equal = is_number and math.isclose(expected, actual, rel_tol=1e-6, abs_tol=1e-6)
        return is_equal or (is_number and math.isnan(expected) and math.isnan(actual))
    return type(expected) is type(actual) and expected == actual
