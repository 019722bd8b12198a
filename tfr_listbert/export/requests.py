"""Requests to a served model, of every signature: those on which an export is tried, warmed up and timed."""

from __future__ import annotations

import base64
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from tfr_listbert.export.signatures import DEFAULT_SIGNATURE, PROTO_SIGNATURE, Inputs
from tfr_listbert.lists.elwc import build_elwc
from tfr_listbert.schema import DOCUMENT_IDS, NUM_DOCUMENTS, QUERY, RESULTS, TOKENS, Document, RankedList

SAMPLE_LISTS = 40
"""Lists of the shop from which requests are made."""

_TEXTS = (
    "red dress",
    "Größe 42, schwarz",
    "",
    "靴 スニーカー 👟",
    "a " * 2000,
    "x",
    "\u202eesrever\x00",
    "<s></s><pad>",
)
_NUMBERS = (1.0, 0.5, float("nan"), -3.0, float("nan"), 1e6, 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class ServedRequest:
    """One request.

    Attributes:
        name: what it tries.
        signature_name: signature that answers.
        inputs: by input name, as nested lists; bytes as `{"b64": ...}`.
    """

    name: str
    signature_name: str
    inputs: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class RequestBuilder:
    """Builds requests for a model with these inputs.

    Attributes:
        fields: names of the text fields.
        features: names of the numeric features.
        inputs: the inputs of each signature, as `TextModel` has them.
        lists: lists of the shop; scripts and lengths of its own where there are none.
    """

    fields: tuple[str, ...]
    features: tuple[str, ...]
    inputs: Mapping[str, Inputs]
    lists: tuple[RankedList, ...] = ()

    def build_good(self) -> list[ServedRequest]:
        """Returns requests that a server must answer with the scores of the export."""
        strange = self._build_strange_lists()
        return [
            *self._ask_all("scripts, padding, an empty query, missing features", strange),
            *self._ask_all("one list", strange[:1]),
            *self._ask_all("no documents", [RankedList("none", "red dress", ())]),
            *self._ask_all("a list of the shop", self.lists[:1]),
            *self._ask_all("lists of the shop together", self.lists[1:6]),
            *self._ask_all("1000 documents", [self.build_list(1000)]),
            self.ask(f"{DEFAULT_SIGNATURE}: 1 MB of text", DEFAULT_SIGNATURE, [self._build_long_list()]),
        ]

    def build_list(self, documents: int) -> RankedList:
        """Returns a list of so many documents: those of the shop's lists one after the other, and again."""
        lists = self.lists or self._build_strange_lists()
        found = [document for one in lists for document in one.documents if any(document.fields.values())]
        return RankedList("built", lists[0].query, tuple(itertools.islice(itertools.cycle(found), documents)))

    def ask(self, name: str, signature_name: str, lists: Sequence[RankedList]) -> ServedRequest:
        """Returns a request of a signature for some lists.

        `score_tokens` and `encode_document` get as many rows as there are documents.
        """
        documents = [document for one in lists for document in one.documents]
        if signature_name == PROTO_SIGNATURE:
            protos = [base64.b64encode(build_elwc(one).SerializeToString(deterministic=True)) for one in lists]
            inputs = {"inputs": [{"b64": proto.decode()} for proto in protos]}
        elif signature_name == "score_tokens":
            inputs = self._build_rows(len(documents))
        elif signature_name == "encode_document":
            inputs = {field: [document.fields.get(field, "") for document in documents] for field in self.fields}
        else:
            ids = [[document.document_id for document in one.documents] for one in lists]
            slots = max(len(row) for row in ids)
            inputs = self.build_columns(lists) | {
                NUM_DOCUMENTS: [len(row) for row in ids],
                DOCUMENT_IDS: [[*row, *[""] * (slots - len(row))] for row in ids],
                RESULTS: [0] * len(lists),
            }
        return ServedRequest(name, signature_name, {key: inputs[key] for key in self.inputs[signature_name]})

    def ask_each(self, name: str, lists: Sequence[RankedList]) -> list[ServedRequest]:
        """Returns a request of every signature for some lists."""
        return [self.ask(f"{signature}: {name}", signature, lists) for signature in self.signatures]

    @property
    def signatures(self) -> tuple[str, ...]:
        """Names of the signatures."""
        return tuple(self.inputs)

    @property
    def timed_signature(self) -> str:
        """The signature whose latency is measured: the one on stored vectors, if there are any."""
        return next(name for name in ("cascade_ids", "rank_ids", DEFAULT_SIGNATURE) if name in self.inputs)

    def _ask_all(self, name: str, lists: Sequence[RankedList]) -> list[ServedRequest]:
        has_documents = any(one.documents for one in lists)
        requests = self.ask_each(name, lists) if lists else []
        # A batch without rows is no batch.
        return [one for one in requests if has_documents or one.signature_name != "score_tokens"]

    def _build_strange_lists(self) -> list[RankedList]:
        def build(query: str, start: int, count: int) -> RankedList:
            documents = tuple(self._build_document(start + slot) for slot in range(count))
            return RankedList(query, query, documents)

        return [build("red dress", 0, 4), build("", 4, 4), build("none", 2, 1)]

    def _build_long_list(self) -> RankedList:
        texts = ("red dress " * 100_000, "red dress")  # for one signature alone, since a bundle carries it
        documents = (Document(f"d{place}", {self.fields[0]: text}, 0.0) for place, text in enumerate(texts))
        return RankedList("long", "red dress", tuple(documents))

    def _build_document(self, index: int) -> Document:
        text = _TEXTS[index % len(_TEXTS)]
        fields = {name: text if place % 2 == 0 else text[::-1] for place, name in enumerate(self.fields)}
        features = {name: _NUMBERS[(index + place) % len(_NUMBERS)] for place, name in enumerate(self.features)}
        return Document(f"d{index}", fields, 0.0, features)

    def build_columns(self, lists: Sequence[RankedList]) -> dict[str, Any]:
        """Returns query, fields and features of lists as nested lists, padded."""
        slots = max(len(one.documents) for one in lists)
        padding = Document("", {}, 0.0, dict.fromkeys(self.features, 0.0))
        padded = [[*one.documents, *[padding] * (slots - len(one.documents))] for one in lists]
        columns: dict[str, Any] = {QUERY: [one.query for one in lists]}
        for name in self.fields:
            columns[name] = [[document.fields.get(name, "") for document in row] for row in padded]
        for name in self.features:
            columns[name] = [[document.features.get(name, float("nan")) for document in row] for row in padded]
        return columns

    def _build_rows(self, rows: int) -> dict[str, Any]:
        tokens = [[0, 5 + row % 7, 6, 2] if row % 2 == 0 else [0, 7, 2, 1] for row in range(rows)]
        features = {name: [_NUMBERS[row % len(_NUMBERS)] for row in range(rows)] for name in self.features}
        return {TOKENS: tokens, **features}

    def build_bad(self, good: ServedRequest) -> list[ServedRequest]:
        """Returns requests that must be refused, made of a good one of `serving_default`."""
        inputs, queries = dict(good.inputs), good.inputs[QUERY]
        counts = [len(row) for row in inputs[self.fields[0]]]
        without = {name: value for name, value in inputs.items() if name != self.fields[0]}
        too_many = {**inputs, NUM_DOCUMENTS: [count + 1 for count in counts]}
        no_tokens = {**self._build_rows(1), TOKENS: [[1, 1]]}
        ids = [["a"]] * len(queries)
        bad = [
            ServedRequest("an unknown signature", "nothing", inputs),
            ServedRequest("an input is missing", DEFAULT_SIGNATURE, without),
            ServedRequest("fewer queries than lists", "rank", {**inputs, QUERY: queries[:1]}),
            ServedRequest("more documents than slots", "rank_n", too_many),
            ServedRequest("fewer numbers than lists", "rank_n", {**inputs, NUM_DOCUMENTS: counts[1:]}),
            ServedRequest("a row without tokens", "score_tokens", no_tokens),
            ServedRequest("fewer queries than lists of ids", "rank_ids", {QUERY: queries[:1], DOCUMENT_IDS: ids}),
            ServedRequest("less than no results", "search", {QUERY: queries[:1], RESULTS: [-1]}),
        ]
        return [one for one in bad if one.signature_name in ("nothing", *self.signatures)]
