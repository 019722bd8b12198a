"""What a served student answers: raw text or ids of stored vectors in, scores out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from tfr_listbert.export.half_weights import SavedWeights
from tfr_listbert.export.signatures import Inputs, specify_student
from tfr_listbert.export.text_model import TextModel, order_scores, require_as_many
from tfr_listbert.export.vector_table import VectorTable
from tfr_listbert.models.student import TwoTowers
from tfr_listbert.schema import DOCUMENT_IDS, PADDING_SCORE, QUERY, RESULTS
from tfr_listbert.text.packing import RowPacker

UNKNOWN_SCORE = PADDING_SCORE / 2
"""Score of an id without a vector: below any real document, above padding."""


class TextStudent(TextModel):
    """Tokenizer, packing and two towers in one, fed with raw text or, where there are stored vectors, with ids."""

    def __init__(
        self,
        packer: RowPacker,
        towers: TwoTowers,
        fields: Sequence[str],
        table: VectorTable | None = None,
        results: int = 10,
    ):
        """Puts the parts together.

        Args:
            packer: text to token rows.
            towers: rows to vectors.
            fields: names of the text fields that `packer` reads.
            table: stored vectors of the same towers; without them there is no `rank_ids` and no `search`.
            results: documents that `search` finds where a request's `results` is 0.
        """
        super().__init__(fields, ())
        self._packer = packer
        self._towers = towers
        self._weights = SavedWeights(towers)
        self._table = table
        self._results = results
        rows = tf.RaggedTensorSpec([None, None], tf.int32, ragged_rank=1)
        self._encode_document_rows = tf.function(
            lambda tokens: towers.document_tower(tokens), input_signature=[rows], autograph=False
        )
        self._trace_query_tower()

    @property
    def inputs(self) -> Mapping[str, Inputs]:
        """The inputs of each signature, by signature."""
        return specify_student(self.fields, self.features, self.has_vectors)

    @property
    def has_vectors(self) -> bool:
        """Whether documents can be ranked by their ids."""
        return self._table is not None

    def _trace_query_tower(self) -> None:
        # Lookup tables that were made eagerly leave empty entries there, of which freezing would warn
        tf.compat.v1.get_default_graph().clear_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS)
        dense = tf.TensorSpec([None, None], tf.int32)
        encode_query = tf.function(
            lambda tokens: [self._towers.query_tower.encode_few(tokens)], input_signature=[dense], autograph=False
        )
        # A query is a dozen tokens: to put the weights into the form that products want costs more than the products.
        # As constants they are put so once, when the model is loaded; but as constants they are float32.
        concrete = encode_query.get_concrete_function()
        self._encode_query_rows = concrete if self._weights.is_half else convert_variables_to_constants_v2(concrete)

    def halve_weights(self) -> None:
        """Rounds the weights to float16, and has them saved so; a query then takes longer than by float32 constants.

        Raises:
            InputError: if a weight is beyond float16's range.
        """
        self._weights.halve()
        self._trace_query_tower()

    def encode_queries(self, queries: tf.Tensor) -> tf.Tensor:
        """Returns the vectors [B, V] float32 of `queries` [B] string."""
        rows = self._packer.pack_query_matrix(queries)
        return tf.ensure_shape(self._encode_query_rows(rows)[0], [None, None])

    def encode_documents(self, fields: Mapping[str, tf.Tensor], mask: tf.Tensor) -> tf.Tensor:
        """Returns the vector of each true entry of `mask` [B, L], list by list; fields [B, L] string."""
        return self._encode_document_rows(self._packer.pack_documents(fields, mask))

    def score_documents(
        self,
        queries: tf.Tensor,
        fields: Mapping[str, tf.Tensor],
        features: Mapping[str, tf.Tensor],
        mask: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the score of each true entry of `mask` [B, L], list by list; both sides are encoded afresh."""
        vectors = tf.gather(self.encode_queries(queries), tf.where(mask)[:, 0])
        return tf.reduce_sum(vectors * self.encode_documents(fields, mask), axis=1)

    def rank_ids(self, queries: tf.Tensor, document_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns scores and order of stored documents.

        Args:
            queries: [B] string.
            document_ids: [B, L] string; "" is padding.

        Returns:
            `scores`, `sorted_scores` [B, L] float32, `order` [B, L] int32, best first, unknown ids after all that are
            known and padding last; `is_known` [B, L] bool, false for padding, too.
        """
        check = require_as_many("lists", QUERY, tf.size(queries), DOCUMENT_IDS, tf.shape(document_ids)[0])
        with tf.control_dependencies([check]):
            rows = self._table.find(document_ids)
        is_known = rows < self._table.size
        scores = self._table.score(self.encode_queries(queries), rows)
        others = tf.where(tf.equal(document_ids, ""), PADDING_SCORE, UNKNOWN_SCORE)
        return {**order_scores(tf.where(is_known, scores, others)), "is_known": is_known}

    def search(self, queries: tf.Tensor, results: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns `document_ids` [B, K] string and `scores` [B, K] of the best of all stored documents.

        Args:
            queries: [B] string.
            results: [B] int32; the largest counts. 0 asks for the number that the export sets.
        """
        most = tf.reduce_max(tf.concat([[0], results], axis=0))
        message = f"{RESULTS} must be >= 0:"
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(results >= 0), [message, results])]):
            most = tf.where(most > 0, most, self._results)
        scores, rows = self._table.search(self.encode_queries(queries), most)
        return {DOCUMENT_IDS: tf.gather(self._table.ids, rows), "scores": scores}

    def list_answers(self) -> dict[str, Callable[..., dict[str, tf.Tensor]]]:
        """Returns what answers each signature but `predict`; beside those on text:

        - `encode_query` gives `vectors` [B, V] and, with the 0 that indexes by distance want, `search_vectors`
          [B, V + 1];
        - `encode_document` gives `vectors` [N, V];
        - `rank_ids` and `search`: see there.
        """
        own = {"encode_query": self._answer_query, "encode_document": self._answer_document}
        if self.has_vectors:
            own |= {"rank_ids": self._answer_ids, "search": self._answer_search}
        return {**super().list_answers(), **own}

    def build_saved_module(self) -> tf.Module:
        """Returns the object to save beside the signatures."""
        module = tf.Module(name="saved_student")
        module.weights = self._weights.list_saved()
        module.tokenizer = self._packer.tokenizer
        if self._table is not None:
            module.table = self._table.build_saved_module()
        return module

    def _answer_query(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        vectors = self.encode_queries(inputs[QUERY])
        return {"vectors": vectors, "search_vectors": tf.pad(vectors, [[0, 0], [0, 1]])}

    def _answer_document(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        first, *others = self.fields
        checks = [
            require_as_many("documents", name, tf.size(inputs[name]), first, tf.size(inputs[first])) for name in others
        ]
        with tf.control_dependencies(checks):
            fields = {name: tf.identity(inputs[name])[tf.newaxis] for name in self.fields}
        return {"vectors": self.encode_documents(fields, tf.ones_like(fields[first], tf.bool))}

    def _answer_ids(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.rank_ids(inputs[QUERY], inputs[DOCUMENT_IDS])

    def _answer_search(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.search(inputs[QUERY], inputs[RESULTS])
