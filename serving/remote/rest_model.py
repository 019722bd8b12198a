"""One model behind TensorFlow Serving's REST API."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

import httpx

from .errors import LostError, RankingError, RefusedError, call_with_retries

LOST_CONNECTION = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)

GZIP_FROM_BYTES = 1400
"""Smaller bodies fit into one packet anyway."""


class RESTModel:
    """Asks one model; keeps its connections open between requests. Thread-safe."""

    def __init__(
        self, url: str, model: str, version: int | None, label: str | None, timeout_seconds: float, retries: int
    ):
        """Makes the connection pool; nothing is sent yet. Arguments as of `open_model`."""
        choice = f"/versions/{version}" if version is not None else f"/labels/{label}" if label is not None else ""
        self.place = f"{url.rstrip('/')}/v1/models/{model}{choice}"
        self._retries = retries
        # No proxy of the environment: a ranker is asked within the shop's own network, as over gRPC.
        self._http = httpx.Client(timeout=timeout_seconds, trust_env=False)

    def read_signatures(self) -> dict[str, dict[str, str]]:
        """Returns the dtype of each input (`DT_STRING`, ...) by signature and input name.

        Raises:
            RankingError: as `predict`.
        """
        url = f"{self.place}/metadata"
        metadata = self._send("GET", url)
        try:
            signatures = metadata["metadata"]["signature_def"]["signature_def"]
            return {
                name: {key: info["dtype"] for key, info in signature.get("inputs", {}).items()}
                for name, signature in signatures.items()
            }
        except (KeyError, TypeError, AttributeError):
            raise _build_stranger_error(url, metadata) from None

    def predict(self, signature_name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the outputs of a signature by name, as nested lists; a single output is called "".

        Args:
            signature_name: the signature.
            inputs: nested lists by input name; bytes are `{"b64": ...}`.

        Raises:
            LostError: if the server cannot be reached.
            RefusedError: if it answers an error.
            RankingError: if it does not answer in time, or not as TensorFlow Serving does.
        """
        body = {"signature_name": signature_name, "inputs": inputs}
        url = f"{self.place}:predict"
        answer = self._send("POST", url, body)
        if "outputs" not in answer:
            raise _build_stranger_error(url, answer)
        outputs = answer["outputs"]
        return outputs if isinstance(outputs, dict) else {"": outputs}

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _send(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        headers = {}
        if len(content) >= GZIP_FROM_BYTES:
            content, headers = gzip.compress(content, 1), {"content-encoding": "gzip"}
        return call_with_retries(lambda: self._send_once(method, url, content, headers), self._retries)

    def _send_once(self, method: str, url: str, content: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        try:
            response = self._http.request(method, url, content=content, headers=headers)
        except LOST_CONNECTION as error:
            raise LostError(f"{url} cannot be reached: {error}. Is the server running?") from None
        except httpx.TimeoutException:
            raise RankingError(f"{url} did not answer within {self._http.timeout.read} seconds.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RankingError(f"{url} cannot be asked: {error}") from None
        try:
            answer = response.json()
        except ValueError:
            answer = {}
        if response.status_code != 200:
            reason = answer.get("error") if isinstance(answer, dict) else None
            message = f"{url} answered {response.status_code}: {reason or response.text[:200]}"
            raise RefusedError(message, response.status_code)
        if not isinstance(answer, dict):
            raise _build_stranger_error(url, answer)
        return answer


def _build_stranger_error(url: str, answer: Any) -> RankingError:
    return RankingError(f"{url} is not answered as by TensorFlow Serving, but with {json.dumps(answer)[:200]}")
