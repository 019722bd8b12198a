"""TensorFlow Serving's REST contract: requests with what a server of the models in `models.py` must answer."""

from __future__ import annotations

import gzip
import json
import math
from typing import Any

from .requests import MODEL, ContractRequest


def _ask(name: str, body: Any, answer: Any, signature: str = "", **changes: Any) -> ContractRequest:
    if signature:
        body = {"signature_name": signature, **body}
    return ContractRequest(name, 200, body=json.dumps(body).encode(), answer=answer, **changes)


def _refuse(name: str, body: Any, error: str = "", signature: str = "", **changes: Any) -> ContractRequest:
    if signature:
        body = {"signature_name": signature, **body}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ContractRequest(name, changes.pop("status", 400), body=data, error=error, **changes)


def _get(name: str, path: str, status: int = 200, **changes: Any) -> ContractRequest:
    return ContractRequest(name, status, method="GET", path=path, **changes)


_PREDICT = f"/v1/models/{MODEL}:predict"
_HALVES = {"instances": [1.0, 3.0]}
_HALVES_BODY = json.dumps(_HALVES).encode()
_NEWEST = {"predictions": [2.5, 3.5]}
_AVAILABLE = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}

_TARGETS = (
    _ask("the newest version answers", _HALVES, _NEWEST),
    _ask("a version by number", _HALVES, {"predictions": [1.5, 2.5]}, path=f"/v1/models/{MODEL}/versions/1:predict"),
    _ask("a version by label", _HALVES, {"predictions": [1.5, 2.5]}, path=f"/v1/models/{MODEL}/labels/stable:predict"),
    _ask("another label", _HALVES, _NEWEST, path=f"/v1/models/{MODEL}/labels/canary:predict"),
    _ask("the path ignores case", _HALVES, _NEWEST, path=f"/V1/Models/{MODEL}:predict"),
    _ask("a percent-encoded name", _HALVES, _NEWEST, path="/v1/models/%63ontract:predict"),
    _ask("the content type is not read", _HALVES, _NEWEST, headers={"content-type": "text/plain"}),
    _refuse("unknown model", _HALVES, "Servable not found", path="/v1/models/nobody:predict", status=404),
    _refuse(
        "unknown version", _HALVES, "Servable not found", path=f"/v1/models/{MODEL}/versions/9:predict", status=404
    ),
    _refuse("unknown label", _HALVES, "Unrecognized", path=f"/v1/models/{MODEL}/labels/nothing:predict"),
    _refuse("version and label together", _HALVES, path=f"/v1/models/{MODEL}/versions/1/labels/stable:predict"),
    _refuse("a version that is no number", _HALVES, "Malformed", path=f"/v1/models/{MODEL}/versions/one:predict"),
    _refuse("a version over 64 bits", _HALVES, path=f"/v1/models/{MODEL}/versions/99999999999999999999:predict"),
    _refuse("a query string", _HALVES, "Malformed", path=f"/v1/models/{MODEL}:predict?a=1"),
    _refuse("a trailing slash", _HALVES, "Malformed", path=f"/v1/models/{MODEL}:predict/"),
    _refuse("an unknown verb", _HALVES, "Malformed", path=f"/v1/models/{MODEL}:rank"),
    _refuse("a verb in capitals", _HALVES, "Malformed", path=f"/v1/models/{MODEL}:PREDICT"),
    _refuse("no verb", _HALVES, "Malformed", path=f"/v1/models/{MODEL}"),
    _refuse("an empty name", _HALVES, "Malformed", path="/v1/models/:predict"),
    _refuse("outside /v1/", _HALVES, path=f"/v2/models/{MODEL}:predict", status=404),
    _refuse("the root", b"", path="/", status=404),
    _get("/v1 without a slash", "/v1", 404),
    *(
        _refuse(f"{method} is malformed", _HALVES, f"Malformed request: {method} {_PREDICT}", method=method)
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "GET")
    ),
    _refuse("HEAD is malformed, which its answer without a body cannot say", _HALVES, method="HEAD"),
)

_STATUSES = (
    _get(
        "status of all versions, the newest first",
        f"/v1/models/{MODEL}",
        answer={"model_version_status": [{"version": "2", **_AVAILABLE}, {"version": "1", **_AVAILABLE}]},
    ),
    _get(
        "status of one version",
        f"/v1/models/{MODEL}/versions/1",
        answer={"model_version_status": [{"version": "1", **_AVAILABLE}]},
    ),
    _get("status does not read labels", f"/v1/models/{MODEL}/labels/nothing"),
    _get("status of an unknown model", "/v1/models/nobody", 404, error="Could not find any versions of model nobody"),
    _get("status of an unknown version", f"/v1/models/{MODEL}/versions/9", 404, error="Could not find version 9"),
    _get("status without a name", "/v1/models", 400, error="Missing model name"),
    _get("status with a trailing slash", f"/v1/models/{MODEL}/", 400, error="Malformed"),
    _get("status of a version with a query string", f"/v1/models/{MODEL}/versions/1?a=1", 400, error="Malformed"),
    _get(
        "metadata of the newest version",
        f"/v1/models/{MODEL}/metadata",
        answer={
            "model_spec": {"name": MODEL, "signature_name": "", "version": "2"},
            "metadata": {
                "signature_def": {
                    "signature_def": {
                        "serving_default": {
                            "inputs": {
                                "x": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}]}},
                            },
                            "method_name": "tensorflow/serving/predict",
                        },
                    }
                }
            },
        },
    ),
    _get(
        "metadata of a version",
        f"/v1/models/{MODEL}/versions/1/metadata",
        answer={"model_spec": {"name": MODEL, "version": "1"}},
    ),
    _get("metadata by label", f"/v1/models/{MODEL}/labels/stable/metadata", answer={"model_spec": {"version": "1"}}),
    *(
        _get(
            f"{what} by version and label", f"/v1/models/{MODEL}/versions/1/labels/stable{end}", 400, error="Malformed"
        )
        for what, end in {"status": "", "metadata": "/metadata"}.items()
    ),
    _get("metadata of an unknown model", "/v1/models/nobody/metadata", 404, error="Servable not found"),
    _get("metadata of an unknown label", f"/v1/models/{MODEL}/labels/nothing/metadata", 400, error="Unrecognized"),
    _get("metadata with a query string", f"/v1/models/{MODEL}/metadata?a=1", 400, error="Malformed"),
    _get("metadata with a trailing slash", f"/v1/models/{MODEL}/metadata/", 400, error="Malformed"),
)

_PAIR = {"a": [1.0, 2.0], "b": 3}
_ROWS = (
    _ask("rows of objects", {"instances": [{"x": 1.0}, {"x": 3.0}]}, _NEWEST),
    _ask(
        "rows with several inputs and outputs",
        {"instances": [_PAIR, {"a": [0.5, 0.5], "b": -1}]},
        {"predictions": [{"total": 6.0, "count": 3}, {"total": 0.0, "count": -1}]},
        "pair",
    ),
    _ask("rows of lists", {"instances": [[1.0, 2.0], [3.0, 4.0]]}, {"predictions": [[1.0, 2.0], [3.0, 4.0]]}, "matrix"),
    _ask("rows of empty lists", {"instances": [[], []]}, {"predictions": [[], []]}, "matrix"),
    _ask("unknown top-level keys are ignored", {**_HALVES, "more": [None]}, _NEWEST),
    _ask("an empty signature name is the default", {**_HALVES, "signature_name": ""}, _NEWEST),
    _refuse("no rows", {"instances": []}, "No values in 'instances'"),
    _refuse("rows that are no list", {"instances": {"x": 1.0}}, "to be an list/array"),
    _refuse("bare rows for several inputs", {"instances": [1.0]}, "multiple", "pair"),
    _refuse("a row without an input", {"instances": [{"a": [1.0]}]}, "keys must be equal to", "pair"),
    _refuse("a row with one input too many", {"instances": [{"x": 1.0, "z": 1.0}]}),
    _refuse("a row that is no object among objects", {"instances": [{"x": 1.0}, 2.0]}, "Expecting object but got"),
    _refuse("an object among bare rows", {"instances": [1.0, {"x": 2.0}]}, "Expecting value/list but got object"),
    _refuse("rows of different shape", {"instances": [[1.0], [1.0, 2.0]]}, signature="matrix"),
    _refuse("rows of different depth", {"instances": [[1.0], 2.0]}, signature="matrix"),
    _refuse("outputs without rows", {"instances": [1.0]}, "no shape information", "sum"),
    _refuse("outputs with different numbers of rows", {"instances": [1.0]}, "inconsistent batch size", "uneven"),
)

_COLUMNS = (
    _ask("a bare column", {"inputs": [1.0, 3.0]}, {"outputs": [2.5, 3.5]}),
    _ask("a column by name", {"inputs": {"x": [1.0, 3.0]}}, {"outputs": [2.5, 3.5]}),
    _ask("superfluous columns are dropped", {"inputs": {"x": [1.0], "z": "no"}}, {"outputs": [2.5]}),
    _ask("an empty column", {"inputs": []}, {"outputs": []}),
    _ask("a scalar", {"inputs": 3.0}, {"outputs": 3.0}, "scalar"),
    _ask("a scalar output", {"inputs": [1.0, 2.0]}, {"outputs": 3.0}, "sum"),
    _ask(
        "columns with several inputs and outputs",
        {"inputs": {"a": [[1.0, 2.0]], "b": [3]}},
        {"outputs": {"total": [6.0], "count": [3]}},
        "pair",
    ),
    _ask("outputs of different length", {"inputs": [1.0]}, {"outputs": {"one": [1.0], "two": [1.0, 1.0]}}, "uneven"),
    _refuse("a column is missing", {"inputs": {"a": [[1.0]]}}, "Missing named input: b", "pair"),
    _refuse("a bare column for several inputs", {"inputs": [[1.0]]}, "multiple", "pair"),
    _refuse("a ragged column", {"inputs": [[1.0], [1.0, 2.0]]}, "unexpected size", "matrix"),
    _refuse("a column of mixed depth", {"inputs": [[1.0], 2.0]}, "incorrect level", "matrix"),
    _refuse("a column too deep at its end", {"inputs": [1.0, [2.0]]}, "unexpected level"),
)

_TEXT = {"text": ["Größe", "靴"], "raw_bytes": [{"b64": "R3LDtsOfZQ=="}, {"b64": "6Z20"}]}
_TYPES = (
    _ask("text in any script", {"inputs": ["Größe", "靴"]}, {"outputs": _TEXT}, "text"),
    _ask(
        "base64 strings, mixed with plain ones",
        {"inputs": [{"b64": "R3LDtsOfZQ=="}, "靴"]},
        {"outputs": _TEXT},
        "text",
    ),
    _ask(
        "base64 strings in rows",
        {"instances": [{"b64": "6Z20"}]},
        {"predictions": [{"text": "靴", "raw_bytes": {"b64": "6Z20"}}]},
        "text",
    ),
    _ask("base64 without padding", {"inputs": [{"b64": "YQ"}]}, {"outputs": {"text": ["a"]}}, "text"),
    _ask("bytes that are no text", {"inputs": [{"b64": "/w=="}]}, None, "text"),
    _ask("a NUL within text", {"inputs": ["a\0b"]}, {"outputs": {"text": ["a\0b"]}}, "text"),
    _ask("a float from a whole number", {"instances": [1, 3]}, _NEWEST),
    _ask("the largest whole number for a float", {"instances": [16777215]}, {"predictions": [8388609.5]}),
    _ask("shortest decimals", {"inputs": [0.2, 1e9, 3e-05]}, {"outputs": [0.2, 1e9, 3e-05]}, "identity"),
    _ask(
        "NaN and Infinity go out bare",
        {"inputs": [0.0, 1.0, -1.0]},
        {"outputs": [math.nan, math.inf, -math.inf]},
        "by_zero",
    ),
    _ask(
        "NaN and Infinity come in bare", {"inputs": [math.nan, math.inf]}, {"outputs": [math.nan, math.inf]}, "identity"
    ),
    _ask(
        "every number type",
        {"inputs": {"double": [0.1], "int64": [-(2**63)], "uint8": [255], "bool": [True]}},
        {"outputs": {"double": [0.1], "int64": [-(2**63)], "uint8": [255], "bool": [True]}},
        "types",
    ),
    _refuse("a whole number that a float cannot hold", {"instances": [16777216]}, "without loss of precision"),
    _refuse("a number over the largest float", {"instances": [1e39]}, "without loss of precision"),
    _refuse("a string for a float", {"instances": ["1.0"]}, "not of expected type: float"),
    _refuse("a bool for a float", {"instances": [True]}, "not of expected type: float"),
    _refuse("null for a float", {"instances": [None]}, "not of expected type: float"),
    _refuse("an object for a float", {"instances": [[{"y": 1.0}]]}, "not of expected type: float"),
    _refuse("base64 for a float", {"instances": [{"b64": "YQ=="}]}, "not of expected type: float"),
    _refuse("a decimal for an integer", {"inputs": {"a": [[1.0]], "b": [1.0]}}, "expected type: int32", "pair"),
    _refuse("an integer over 32 bits", {"inputs": {"a": [[1.0]], "b": [2**31]}}, "expected type: int32", "pair"),
    _refuse("a number for a string", {"inputs": [1]}, "not of expected type: string", "text"),
    _refuse("null for a string", {"inputs": [None]}, "not of expected type: string", "text"),
    _refuse("base64 that is none", {"inputs": [{"b64": "*"}]}, "Unable to base64 decode", "text"),
    _refuse("an object that is no base64", {"inputs": [{"b64": 1}]}, "base64", "text"),
    _refuse(
        "a number for a bool",
        {"inputs": {"double": [1], "int64": [1], "uint8": [1], "bool": [1]}},
        "expected type: bool",
        "types",
    ),
    _refuse("a half output", {"inputs": [1.0]}, "Failed to write JSON value for tensor type: half", "half"),
    _refuse("a half input", {"inputs": [1.0]}, "Conversion of JSON Value: 1.0 to type: half", "half_input", status=501),
    _refuse("what the graph refuses", {"inputs": [11.0]}, "at most ten", "picky"),
)

_DOCUMENTS = (
    _refuse("no body", b"", "The document is empty"),
    _refuse("no JSON", b"instances", "JSON Parse error"),
    _refuse("JSON cut off", b'{"instances": [1.0', "JSON Parse error"),
    _refuse("a trailing comma", b'{"instances": [1.0,]}', "JSON Parse error"),
    _refuse("text after the JSON", b'{"instances": [1.0]} x', "JSON Parse error"),
    _refuse("a number over the largest double", b'{"instances": [1e400]}', "JSON Parse error"),
    _refuse("a raw line break in a string", b'{"instances": ["\n"]}', "JSON Parse error"),
    _refuse("half a surrogate pair", b'{"inputs": ["\\ud800"], "signature_name": "text"}', "JSON Parse error"),
    _refuse("a list", [1.0], "Is not object"),
    _refuse("neither instances nor inputs", {"signature_name": "serving_default"}, "Missing 'inputs' or 'instances'"),
    _refuse("both instances and inputs", {"instances": [1.0], "inputs": [1.0]}, "expecting only"),
    _refuse("an unknown signature", {**_HALVES, "signature_name": "nothing"}, '"nothing" not found'),
    _refuse("a signature name that is not UTF-8", b'{"inputs": [1.0], "signature_name": "\xff"}', "not found"),
    _refuse("a signature name that is no string", {**_HALVES, "signature_name": 1}, "must be a string value"),
    _refuse("bad JSON is told before an unknown model", b"{", "JSON Parse", path="/v1/models/nobody:predict"),
    ContractRequest(
        "bytes that are not UTF-8 pass through", 200, body=b'{"inputs": ["\xff"], "signature_name": "text"}'
    ),
    ContractRequest(
        "a gzip body", 200, body=gzip.compress(_HALVES_BODY), headers={"content-encoding": "gzip"}, answer=_NEWEST
    ),
    _ask("a body of 5 MB", {**_HALVES, "more": "x" * 5_000_000}, _NEWEST),
    _refuse("gzip that is none", _HALVES_BODY, "The document is empty", headers={"content-encoding": "gzip"}),
)

_EXAMPLES = {"examples": [{"x": 1.0}]}
_OTHER_VERBS = (
    _refuse("classify without such a signature", _EXAMPLES, "method_name", path=f"/v1/models/{MODEL}:classify"),
    _refuse("regress without such a signature", _EXAMPLES, "method_name", path=f"/v1/models/{MODEL}:regress"),
    _refuse("classify without examples", {}, "examples", path=f"/v1/models/{MODEL}:classify"),
    _refuse("regress with no example", {"examples": []}, "examples", path=f"/v1/models/{MODEL}:regress"),
    _refuse("classify an unknown model", _EXAMPLES, path="/v1/models/nobody:classify", status=404),
    _refuse("regress an unknown version", _EXAMPLES, path=f"/v1/models/{MODEL}/versions/9:regress", status=404),
)  # fmt: skip

_METRICS = (
    _get("metrics for Prometheus", "/monitoring/prometheus/metrics", text="# TYPE :tensorflow:serving:request_count"),
)

CONTRACT = (*_TARGETS, *_STATUSES, *_ROWS, *_COLUMNS, *_TYPES, *_DOCUMENTS, *_OTHER_VERBS, *_METRICS)
"""The whole table."""
