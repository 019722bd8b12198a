"""TensorFlow Serving's REST API as one function: method, target and body in, status and body out.

Follows `http_rest_api_handler.cc` and `http_rest_api_util.cc` of TensorFlow Serving 2.13 to 2.20. Known differences:
a tensor whose rank the signature excludes is refused before the graph runs (400; the real server leaves it to the
graph); a status URL with a query string is malformed (400; the real server takes the query for part of the name and
answers 404); `Inf` in a request must be spelt `Infinity`; `:classify` and `:regress` never run (501 for a signature
made for them; for any other 400 as from the real server).
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import urllib.parse
from typing import Any

import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse
from tensorflow_serving.apis.model_pb2 import ModelSpec

from .codec import format_outputs, parse_inputs, parse_json, parse_signature_name
from .manager import ModelManager
from .values import invalid
from .versions import LoadedVersion

LOGGER = logging.getLogger("serving.local")

_CHOICE = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICTION = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_CHOICE}:(?P<api>classify|regress|predict)", re.IGNORECASE | re.ASCII
)
_STATUS = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_CHOICE}(?:/(?P<api>metadata))?", re.IGNORECASE | re.ASCII)

_MOST_DIGITS = 1000  # of a version; Python converts no more than 4,300

_HTTP_STATUS = {
    tf.errors.CANCELLED: 499,
    tf.errors.INVALID_ARGUMENT: 400,
    tf.errors.DEADLINE_EXCEEDED: 504,
    tf.errors.NOT_FOUND: 404,
    tf.errors.ALREADY_EXISTS: 409,
    tf.errors.PERMISSION_DENIED: 403,
    tf.errors.RESOURCE_EXHAUSTED: 429,
    tf.errors.FAILED_PRECONDITION: 400,
    tf.errors.ABORTED: 409,
    tf.errors.OUT_OF_RANGE: 400,
    tf.errors.UNIMPLEMENTED: 501,
    tf.errors.UNAVAILABLE: 503,
    tf.errors.UNAUTHENTICATED: 401,
}


@dataclasses.dataclass(frozen=True)
class Answer:
    """What goes back to the client, and what the metrics count.

    Attributes:
        status: HTTP status.
        body: JSON.
        code: name of the canonical status code, "OK" or "INVALID_ARGUMENT" and so on.
        model: name in the URL, "" where it has none.
        api: "predict", "classify", "regress", or "" for status and metadata.
    """

    status: int
    body: bytes
    code: str = "OK"
    model: str = ""
    api: str = ""


@dataclasses.dataclass(frozen=True)
class _Target:
    name: str
    version: int | None
    label: str | None
    api: str


class RestAPI:
    """The REST API over a manager's models. Thread-safe; blocks while the model runs."""

    def __init__(self, manager: ModelManager, timeout_seconds: float = 30.0):
        """Makes the API; a model that takes longer than `timeout_seconds` is stopped and answered with 504."""
        self._manager = manager
        self._timeout_seconds = timeout_seconds

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        """Returns the answer to a request below /v1/.

        Args:
            method: HTTP method.
            target: raw path, still percent-encoded, with the query string if there is one.
            body: request body, inflated.
        """
        parsed = None
        try:
            parsed = _parse_target(method, target)
            return Answer(200, self._dispatch(method, parsed, body), "OK", parsed.name, parsed.api)
        except tf.errors.OpError as error:
            return _error_answer(error.error_code, error.message, parsed)
        except Exception as error:  # a fault of this server; the client gets an answer and the log the trace
            LOGGER.exception("%s %s failed", method, target)
            return _error_answer(tf.errors.INTERNAL, f"{type(error).__name__}: {error}", parsed)

    def _dispatch(self, method: str, target: _Target, body: bytes) -> bytes:
        if method == "POST" and target.api == "predict":
            return self._predict(target, body)
        if method == "POST":
            return self._classify_or_regress(target, body)
        if not target.name:
            raise invalid("Missing model name in request.")
        return self._metadata(target) if target.api == "metadata" else self._status(target)

    def _predict(self, target: _Target, body: bytes) -> bytes:
        document = parse_json(body)
        signature_name = parse_signature_name(document)
        with self._manager.use(target.name, target.version, target.label) as version:
            signature = version.get_signature(signature_name)
            dtypes = {name: tf.dtypes.as_dtype(info.dtype) for name, info in signature.inputs.items()}
            if not dtypes:
                raise invalid(f"Failed to get input map for signature: {signature_name}")
            inputs, is_row = parse_inputs(document, dtypes)
            outputs = version.predict(signature_name, inputs, self._timeout_seconds)
        return format_outputs(outputs, is_row)

    def _classify_or_regress(self, target: _Target, body: bytes) -> bytes:
        document = parse_json(body)
        signature_name = parse_signature_name(document)
        examples = document.get("examples")
        if not isinstance(examples, list) or not examples:
            raise invalid("key 'examples' is expected and must be a list with at least one element")
        if not all(isinstance(example, dict) for example in examples):
            raise invalid("Example must be JSON object")
        with self._manager.use(target.name, target.version, target.label) as version:
            if signature_name not in version.signatures:
                raise invalid(f"No signature was found with the name: {signature_name}")
            _check_method(version, signature_name, f"tensorflow/serving/{target.api}")
        raise tf.errors.UnimplementedError(None, None, f"The local server does not run :{target.api}.")

    def _status(self, target: _Target) -> bytes:
        statuses = self._manager.statuses(target.name, target.version)
        response = GetModelStatusResponse(model_version_status=statuses)
        return json_format.MessageToJson(response, including_default_value_fields=True).encode()

    def _metadata(self, target: _Target) -> bytes:
        with self._manager.use(target.name, target.version, target.label) as version:
            spec = ModelSpec(name=target.name)
            spec.version.value = version.number
            signatures = SignatureDefMap()
            for name, signature in version.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
        answer = {"model_spec": _as_dict(spec), "metadata": {"signature_def": _as_dict(signatures)}}
        return json.dumps(answer, indent=1).encode()


def _parse_target(method: str, target: str) -> _Target:
    pattern = {"POST": _PREDICTION, "GET": _STATUS}.get(method)
    match = pattern.fullmatch(target) if pattern else None
    api = match["api"] or "" if match else ""
    if match is None or "?" in target or (method == "POST" and api not in ("predict", "classify", "regress")):
        raise invalid(f"Malformed request: {method} {target}")
    digits = match["version"]
    if digits and (len(digits) > _MOST_DIGITS or int(digits) >= 2**63):
        raise invalid(f"Failed to convert version: {digits} to numeric.")
    version = int(digits) if digits else None
    label = match["label"]
    name = urllib.parse.unquote(match["name"] or "", errors="replace")
    return _Target(name, version, label and urllib.parse.unquote(label, errors="replace"), api)


def _check_method(version: LoadedVersion, signature_name: str, expected: str) -> None:
    method = version.signatures[signature_name].method_name
    if method != expected:
        kind = "classification" if expected.endswith("classify") else "regression"
        raise invalid(f"Expected {kind} signature method_name to be {expected}. Was: {method}")


def _error_answer(code: int, message: str, target: _Target | None) -> Answer:
    body = json.dumps({"error": message}).encode()
    status = _HTTP_STATUS.get(code, 500)
    name = next(name for name, value in vars(tf.errors).items() if name.isupper() and value == code)
    return Answer(status, body, name, target.name if target else "", target.api if target else "")


def _as_dict(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(message, including_default_value_fields=True, preserving_proto_field_name=True)
