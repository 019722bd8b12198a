"""Rankings of products for a query, from a ranker behind TensorFlow Serving's REST or gRPC API."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from .errors import HTTP_STATUSES, RankingError, RefusedError
from .rest_model import RESTModel

LOGGER = logging.getLogger("serving.remote")

GRPC_SCHEME = "grpc://"

_LARGEST = 3.4028235e38  # of float32


class RemoteModel(Protocol):
    """A model behind a server, over REST or gRPC.

    Attributes:
        place: where it is, for messages.
    """

    place: str

    def read_signatures(self) -> dict[str, dict[str, str]]:
        """Returns the type of each input by its name, by signature."""
        ...

    def predict(self, signature_name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the outputs of a signature by name, as nested lists; a single output may be called ""."""
        ...

    def close(self) -> None:
        """Closes the connections."""
        ...


@dataclasses.dataclass(frozen=True)
class RankedDocument:
    """A document with its place.

    Attributes:
        rank: place in the ranking, from 1.
        score: the model's score; -1e9 for a document without any text.
        index: place among the documents that were given, from 0.
        document: the document as it was given.
    """

    rank: int
    score: float
    index: int
    document: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class _Inputs:
    fields: tuple[str, ...]
    features: tuple[str, ...]


def open_model(
    url: str,
    model: str,
    version: int | None = None,
    label: str | None = None,
    timeout_seconds: float = 10.0,
    retries: int = 3,
) -> RemoteModel:
    """Returns the model at `url`, asked over gRPC where it begins with grpc://; nothing is sent yet.

    Args:
        url: `http://127.0.0.1:8501` or `grpc://127.0.0.1:8500`.
        model: the model's name.
        version: its version; the newest one when None.
        label: or the version's label.
        timeout_seconds: longest wait for each attempt.
        retries: further attempts when the server cannot be reached or is overloaded, after waits that double.

    Raises:
        RankingError: if both version and label are given, or the URL does not begin with a scheme.
    """
    if "://" not in url:
        raise RankingError(f"a server's URL must begin with http://, https:// or grpc://, got {url!r}.")
    if version is not None and label is not None:
        raise RankingError("give a version or a label, not both.")
    if url.startswith(GRPC_SCHEME):
        from .grpc_model import GRPCModel  # needs TensorFlow, which takes seconds to import

        return GRPCModel(url, model, version, label, timeout_seconds, retries)
    return RESTModel(url, model, version, label, timeout_seconds, retries)


class RankingClient:
    """Asks one model; keeps its connections open between requests. Thread-safe."""

    def __init__(
        self,
        url: str,
        model: str,
        version: int | None = None,
        label: str | None = None,
        timeout_seconds: float = 10.0,
        retries: int = 3,
        is_strict: bool = True,
    ):
        """Makes the client; nothing is sent before the first ranking.

        Args:
            url: as of `open_model`, and so are the following.
            model: likewise.
            version: likewise.
            label: likewise.
            timeout_seconds: likewise.
            retries: likewise.
            is_strict: whether a text or number of another type in one document is an error; otherwise it is read as
                well as it can be, which is logged once for each input, so that one odd product stops no ranking.

        Raises:
            RankingError: as `open_model`.
        """
        self._model = open_model(url, model, version, label, timeout_seconds, retries)
        self._is_strict = is_strict
        self._inputs: _Inputs | None = None
        self._told: set[tuple[str, str]] = set()

    def rank(self, query: str, documents: Sequence[Mapping[str, Any]]) -> list[RankedDocument]:
        """Returns the documents from the best to the worst; equal scores keep the order that was given.

        Raises:
            RankingError: as `score`.
        """
        scores = self.score(query, documents)
        order = sorted(range(len(scores)), key=lambda index: -scores[index])
        return [RankedDocument(rank, scores[i], i, documents[i]) for rank, i in enumerate(order, start=1)]

    def score(self, query: str, documents: Sequence[Mapping[str, Any]]) -> list[float]:
        """Returns the score of each document, in the order that was given.

        Raises:
            RankingError: if a document does not fit the model, or the server cannot be reached or answers an error.
        """
        inputs = self._read_inputs()
        self._warn_of_absent(inputs, documents)
        try:
            outputs = self._model.predict("serving_default", self._build_body(inputs, query, documents))
        except RefusedError as error:
            if error.status != HTTP_STATUSES["INVALID_ARGUMENT"]:
                raise
            self._inputs = None  # a label, or the newest version, may have moved to a model with other inputs
            before, inputs = inputs, self._read_inputs()
            if inputs == before:
                raise
            outputs = self._model.predict("serving_default", self._build_body(inputs, query, documents))
        scores = (outputs["scores"] if "scores" in outputs else outputs[""])[0]
        if len(scores) < len(documents):
            raise RankingError(f"the server answered {len(scores)} scores for {len(documents)} documents.")
        return scores[: len(documents)]  # a server that batches pads a list to the longest one

    def _warn_of_absent(self, inputs: _Inputs, documents: Sequence[Mapping[str, Any]]) -> None:
        """Logs, once for each, which inputs of the model no document has."""
        for name in (*inputs.fields, *inputs.features):
            if documents and ("absent", name) not in self._told and not any(name in one for one in documents):
                self._told.add(("absent", name))
                LOGGER.warning("%s reads %r, which no document has: it ranks without.", self._model.place, name)

    def _build_body(self, inputs: _Inputs, query: str, documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        if not self._is_strict:
            documents = [self._convert(inputs, document) for document in documents]
        return _build_body(inputs, query, documents)

    def _convert(self, inputs: _Inputs, document: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a document with texts and numbers of the types that the model takes; logs, once, what is not so."""
        converted = dict(document)
        for names, convert in ((inputs.fields, _convert_to_text), (inputs.features, _convert_to_number)):
            for name in names:
                value = document.get(name)
                converted[name] = convert(value)
                # `in` also finds a NaN, which is what it was
                if value not in (None, converted[name]) and ("type", name) not in self._told:
                    self._told.add(("type", name))
                    message = "%s reads %r, which is %.100r in a document: it is taken for %.100r."
                    LOGGER.warning(message, self._model.place, name, value, converted[name])
        return converted

    def close(self) -> None:
        """Closes the connections."""
        self._model.close()

    def __enter__(self) -> RankingClient:
        """Returns itself; the connections close at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connections."""
        self.close()

    def _read_inputs(self) -> _Inputs:
        inputs = self._inputs
        if inputs is None:
            dtypes = dict(self._model.read_signatures().get("serving_default", {}))
            if dtypes.pop("query", None) != "DT_STRING":
                raise RankingError(f"{self._model.place} is no text ranker: its serving_default takes no `query`.")
            fields = tuple(name for name, dtype in dtypes.items() if dtype == "DT_STRING")
            self._inputs = inputs = _Inputs(fields, tuple(name for name in dtypes if name not in fields))
        return inputs


def _build_body(inputs: _Inputs, query: str, documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {"query": [query]}
    for name in inputs.fields:
        body[name] = [[_get_text(document, name, i) for i, document in enumerate(documents)]]
    for name in inputs.features:
        body[name] = [[_get_number(document, name, i) for i, document in enumerate(documents)]]
    if documents and not any(value for name in inputs.fields for value in body[name][0]):
        raise RankingError(
            f"no document has text in any field of the model ({', '.join(inputs.fields)}); "
            f"the first one has {', '.join(map(str, documents[0])) or 'nothing'}."
        )
    return body


def _get_text(document: Mapping[str, Any], name: str, index: int) -> str:
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RankingError(f"`{name}` of document {index + 1} must be text, got {value!r}.")
    return value


def _get_number(document: Mapping[str, Any], name: str, index: int) -> float:
    value = document.get(name)
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RankingError(f"`{name}` of document {index + 1} must be a number, got {value!r}.")
    if _LARGEST < abs(value) < math.inf:
        raise RankingError(f"`{name}` of document {index + 1} must be a number of float32, got one beyond its bounds.")
    return float(value)


def _convert_to_text(value: Any) -> str:
    """Returns a text as it is, several joined, and whatever else is written out."""
    if isinstance(value, list):
        return " ".join(map(_convert_to_text, value))
    return "" if value is None else str(value)


def _convert_to_number(value: Any) -> float:
    """Returns a number as it is, or what a text says; NaN, which is "missing", where that is none of float32."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return math.nan if abs(number) > _LARGEST else number


def read_documents(lines: Iterable[str], source: str) -> list[dict[str, Any]]:
    """Returns the documents in JSON lines; empty lines are left out.

    Raises:
        RankingError: if a line is not a JSON object; the message names `source` and line.
    """
    documents = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except ValueError as error:
            raise RankingError(f"{source} line {number} is not JSON: {error}") from None
        if not isinstance(document, dict):
            raise RankingError(f"{source} line {number} must be a JSON object, got {line.strip()[:80]}")
        documents.append(document)
    return documents


def format_ranking(ranking: Sequence[RankedDocument]) -> str:
    """Returns a table of rank, score and title (or, without one, the first text that the document has)."""
    lines = [f"{'rank':>4}  {'score':>10}  title"]
    for item in ranking:
        texts = [value for value in item.document.values() if isinstance(value, str)]
        title = item.document.get("title") or next(iter(texts), "")
        lines.append(f"{item.rank:>4}  {item.score:>10.4f}  {' '.join(str(title).split())[:100]}")
    return "\n".join(lines)
