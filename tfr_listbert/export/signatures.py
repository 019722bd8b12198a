"""What a served ranker answers: raw text in, scores out, by signature.

In every signature dim 0 is lists (`score_tokens`: rows), so that a server may join requests along it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf
import tensorflow_ranking as tfr

from tfr_listbert.export.half_weights import HalfWeight, round_weights
from tfr_listbert.schema import NUM_DOCUMENTS, PADDING_SCORE, QUERY, TOKENS
from tfr_listbert.text.packing import RowPacker

DEFAULT_SIGNATURE = "serving_default"
PROTO_SIGNATURE = "predict"

TEXT_SIGNATURES = (DEFAULT_SIGNATURE, "rank", "rank_n")
"""Signatures that take raw text and score every document."""

Signature = tuple[Callable[..., dict[str, tf.Tensor]], Mapping[str, tf.TensorSpec]]
"""What answers, and its inputs by name."""


def require_as_many(counted: str, name: str, shape: tf.Tensor, other: str, other_shape: tf.Tensor) -> tf.Operation:
    """Returns the assertion that the inputs `name` and `other` hold as many of what is counted, such as "documents"."""
    is_so = tf.reduce_all(tf.equal(shape, other_shape))
    return tf.debugging.Assert(is_so, [f"{name} and {other} must hold as many {counted}:", shape, other_shape])


class TextRanker(tf.Module):
    """Tokenizer, packing and row scorer in one: the trained ranker, fed with raw text.

    A slot whose text fields are all empty is padding, unless the number of documents is given. Padding scores
    PADDING_SCORE, below any real document. A feature that is NaN or infinite is missing.

    Attributes:
        fields: names of the text fields.
        features: names of the numeric features.
    """

    def __init__(
        self,
        packer: RowPacker,
        row_scorer: tf.keras.layers.Layer,
        fields: Sequence[str],
        features: Sequence[str],
        row_tokens: int,
    ):
        """Puts the parts together.

        Args:
            packer: text to token rows.
            row_scorer: `RowScorer`, rows [N, (T)] and features [N, F] to scores [N].
            fields: names of the text fields that `packer` reads.
            features: names of the numeric features of `row_scorer`, in its order.
            row_tokens: most tokens that a row may have.
        """
        super().__init__(name="text_ranker")
        self._packer = packer
        self.fields = tuple(fields)
        self.features = tuple(features)
        self._row_tokens = row_tokens
        self._row_scorer = row_scorer
        self._is_half = False
        self._trace(row_scorer)

    def _trace(self, row_scorer: tf.keras.layers.Layer) -> None:
        """Makes the functions that are traced once and called by every signature."""
        specs = [
            tf.RaggedTensorSpec([None, None], tf.int32, ragged_rank=1),
            tf.TensorSpec([None, len(self.features)], tf.float32),
        ]
        self._score_rows = tf.function(
            lambda rows, columns: row_scorer(rows, columns), input_signature=specs, autograph=False
        )

    def rank_scores(
        self,
        queries: tf.Tensor,
        fields: Mapping[str, tf.Tensor],
        features: Mapping[str, tf.Tensor],
        num_documents: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the score of each document for its list's query.

        Args:
            queries: [B] string.
            fields: each text field, [B, L] string.
            features: each numeric feature, [B, L] float32.
            num_documents: [B] int32, documents of each list; read off the text when None.

        Returns:
            [B, L] float32.

        Raises:
            InvalidArgumentError: if the inputs do not agree in their number of lists or documents.
        """
        with tf.control_dependencies(self._check_shapes(queries, fields, features)):
            # All wait for the checks, lest an op further on fails first and names no input.
            queries, fields, features = tf.nest.map_structure(tf.identity, (queries, dict(fields), dict(features)))
        mask = self._find_documents(fields) if num_documents is None else self._count_documents(fields, num_documents)
        scores = self.score_documents(queries, fields, features, mask)  # [N]
        padding = tf.fill(tf.shape(mask), PADDING_SCORE)
        return tf.tensor_scatter_nd_update(padding, tf.where(mask), scores)

    def score_documents(
        self,
        queries: tf.Tensor,
        fields: Mapping[str, tf.Tensor],
        features: Mapping[str, tf.Tensor],
        mask: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the score of each true entry of `mask` [B, L], list by list; the rest as of `rank_scores`."""
        rows = self._packer.pack(queries, fields, mask)  # [N, (T)]
        columns = [tf.boolean_mask(features[name], mask) for name in self.features]
        return self._score_rows(rows, self._stack(columns, rows.nrows(tf.int32)))

    def score_tokens(self, tokens: tf.Tensor, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the score of each row of tokens.

        Args:
            tokens: [N, T] int32, rows as `RowPacker.pack` makes them, padded with `pad_id`.
            features: each numeric feature, [N] float32.

        Returns:
            [N] float32.

        Raises:
            InvalidArgumentError: if a row is empty or longer than the model takes, or an id is out of range.
        """
        rows = tf.RaggedTensor.from_tensor(tokens, padding=self._packer.tokenizer.pad_id)
        lengths = rows.row_lengths()
        is_right = tf.reduce_all((lengths >= 1) & (lengths <= self._row_tokens))
        message = f"each row must have 1 to {self._row_tokens} tokens before its padding"
        with tf.control_dependencies([tf.debugging.Assert(is_right, [message])]):
            columns = [tf.identity(features[name]) for name in self.features]
            return self._score_rows(rows, self._stack(columns, tf.shape(tokens)[0]))

    def score_padded(self, tokens: tf.Tensor, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns what `score_tokens` does, in plain matrices that other formats have ops for; nothing is checked."""
        return self._row_scorer.score_padded(tokens, self._stack(list(features.values()), tf.shape(tokens)[0]))

    def pack(self, queries: tf.Tensor, fields: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the rows of tokens [N, T] of all documents; queries [B] and fields [B, L] string."""
        rows = self._packer.pack(queries, fields, tf.ones_like(fields[self.fields[0]], tf.bool))
        return rows.to_tensor(self._packer.tokenizer.pad_id)

    def halve_weights(self) -> None:
        """Rounds the weights to float16, and has them saved so.

        Raises:
            InputError: if a weight is beyond float16's range.
        """
        round_weights(self._list_halved())
        self._is_half = True

    def _list_halved(self) -> list[tf.Variable]:
        """Returns the weights that float16 can hold: all but the statistics of numeric features."""
        objects = self._row_scorer.list_objects()
        kept = {one.ref() for one in getattr(objects.get("feature_statistics"), "variables", ())}
        return [one for one in self._row_scorer.variables if one.ref() not in kept]

    def build_signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Returns the signatures by name, as `tf.saved_model.save` takes them.

        All take `query` [B], each field [B, L] and each feature [B, L] unless said otherwise:

        - `serving_default` gives `scores` [B, L];
        - `rank` gives `scores`, `order` [B, L] int32 (best first, padding last) and `sorted_scores` [B, L];
        - `rank_n` takes `num_documents` [B] int32 beside and gives what `rank` gives. It alone is safe where the server
          pads lists of different length, and it scores documents without text;
        - `score_tokens` takes `tokens` [N, T] int32 and each feature [N], and gives `scores` [N];
        - `predict` takes `inputs` [B], serialized ExampleListWithContext, and gives `scores` [B, L]. It too scores
          documents without text. TF-Ranking's own parser and signature.
        """
        signatures = {
            name: tf.function(call, autograph=False).get_concrete_function(
                **{key: tf.TensorSpec(spec.shape, spec.dtype, key) for key, spec in specs.items()}
            )
            for name, (call, specs) in self._list_signatures().items()
        }
        signatures[PROTO_SIGNATURE] = self._build_proto_signature()
        return signatures

    def _list_signatures(self) -> dict[str, Signature]:
        text = {
            QUERY: tf.TensorSpec([None], tf.string),
            **{name: tf.TensorSpec([None, None], tf.string) for name in self.fields},
            **{name: tf.TensorSpec([None, None], tf.float32) for name in self.features},
        }
        tokens = {
            TOKENS: tf.TensorSpec([None, None], tf.int32),
            **{name: tf.TensorSpec([None], tf.float32) for name in self.features},
        }
        return {
            DEFAULT_SIGNATURE: (self._answer_scores, text),
            "rank": (self._answer_order, text),
            "rank_n": (self._answer_order, {**text, NUM_DOCUMENTS: tf.TensorSpec([None], tf.int32)}),
            "score_tokens": (self._answer_tokens, tokens),
        }

    def _build_proto_signature(self) -> tf.types.experimental.ConcreteFunction:
        text = tf.io.FixedLenFeature([], tf.string, "")
        number = tf.io.FixedLenFeature([], tf.float32, float("nan"))
        columns = {**dict.fromkeys(self.fields, text), **dict.fromkeys(self.features, number)}
        signatures = tfr.keras.saved_model.Signatures(self._answer_lists, {QUERY: text}, columns, "mask")
        predict = signatures.predict_tf_function()
        # Anew, because converting TF-Ranking's parser for AutoGraph takes 3 s and changes nothing
        same = tf.function(predict.python_function, input_signature=predict.input_signature, autograph=False)
        return same.get_concrete_function()

    def build_saved_module(self) -> tf.Module:
        """Returns the object to save beside the signatures: their variables and the tokenizer's resource.

        Saving the Keras layers themselves would add traces of every one of their calls.
        """
        module = tf.Module(name="saved_ranker")
        is_half = self._is_half
        halved = {one.ref() for one in self._list_halved()} if is_half else set()
        module.weights = [HalfWeight(one) if one.ref() in halved else one for one in self._row_scorer.variables]
        module.tokenizer = self._packer.tokenizer
        return module

    def _answer_scores(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": self.rank_scores(inputs[QUERY], *self._split(inputs), inputs.get(NUM_DOCUMENTS))}

    def _answer_lists(self, inputs: Mapping[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        counts = tf.math.count_nonzero(inputs["mask"], axis=1, dtype=tf.int32)
        return {"scores": self.rank_scores(inputs[QUERY], *self._split(inputs), counts)}

    def _answer_order(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._order(self._answer_scores(**inputs)["scores"])

    def _order(self, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        order = tf.argsort(scores, direction="DESCENDING", stable=True)
        return {"scores": scores, "order": order, "sorted_scores": tf.gather(scores, order, batch_dims=1)}

    def _answer_tokens(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": self.score_tokens(inputs[TOKENS], {name: inputs[name] for name in self.features})}

    def _split(self, inputs: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        return {name: inputs[name] for name in self.fields}, {name: inputs[name] for name in self.features}

    def _check_shapes(
        self, queries: tf.Tensor, fields: Mapping[str, tf.Tensor], features: Mapping[str, tf.Tensor]
    ) -> list[tf.Operation]:
        first = tf.shape(fields[self.fields[0]])
        columns = {name: (fields | features)[name] for name in (*self.fields[1:], *self.features)}
        checks = [(QUERY, tf.shape(queries), first[:1])] + [(name, tf.shape(x), first) for name, x in columns.items()]
        return [
            require_as_many("lists and documents", name, shape, self.fields[0], expected)
            for name, shape, expected in checks
        ]

    def _find_documents(self, fields: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return tf.reduce_any([tf.not_equal(fields[name], "") for name in self.fields], axis=0)

    def _count_documents(self, fields: Mapping[str, tf.Tensor], num_documents: tf.Tensor) -> tf.Tensor:
        slots = tf.shape(fields[self.fields[0]])
        is_within = tf.reduce_all((num_documents >= 0) & (num_documents <= slots[1]))
        each = f"{NUM_DOCUMENTS} must hold a number for each list:"
        within = f"{NUM_DOCUMENTS} must be from 0 to the number of slots:"
        checks = [
            tf.debugging.Assert(tf.equal(tf.size(num_documents), slots[0]), [each, num_documents, slots[0]]),
            tf.debugging.Assert(is_within, [within, num_documents, slots[1]]),
        ]
        with tf.control_dependencies(checks):
            return tf.ensure_shape(tf.sequence_mask(num_documents, slots[1]), [None, None])

    def _stack(self, columns: Sequence[tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
        if not columns:
            return tf.zeros([rows, 0])
        stacked = tf.stack(columns, axis=1)  # [N, F]
        return tf.where(tf.math.is_finite(stacked), stacked, float("nan"))
