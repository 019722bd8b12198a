"""What a served ranker answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from tfr_listbert.export.half_weights import SavedWeights
from tfr_listbert.export.signatures import Inputs, specify_ranker
from tfr_listbert.export.text_model import TextModel
from tfr_listbert.schema import TOKENS
from tfr_listbert.text.packing import RowPacker


class TextRanker(TextModel):
    """Tokenizer, packing and row scorer in one: the trained ranker, fed with raw text."""

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
        super().__init__(fields, features)
        self._packer = packer
        self._row_tokens = row_tokens
        self._row_scorer = row_scorer
        self._weights = SavedWeights(row_scorer)
        specs = [
            tf.RaggedTensorSpec([None, None], tf.int32, ragged_rank=1),
            tf.TensorSpec([None, len(self.features)], tf.float32),
        ]
        # Traced once and called by every signature
        self._score_rows = tf.function(
            lambda rows, columns: row_scorer(rows, columns), input_signature=specs, autograph=False
        )

    @property
    def inputs(self) -> Mapping[str, Inputs]:
        """The inputs of each signature, by signature."""
        return specify_ranker(self.fields, self.features)

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
        """Rounds the weights to float16, and has them saved so; errors as of `TextModel`."""
        self._weights.halve()

    def build_saved_module(self) -> tf.Module:
        """Returns the object to save beside the signatures."""
        module = tf.Module(name="saved_ranker")
        module.weights = self._weights.list_saved()
        module.tokenizer = self._packer.tokenizer
        return module

    def list_answers(self) -> dict[str, Callable[..., dict[str, tf.Tensor]]]:
        """Returns what answers each signature but `predict`; `score_tokens` gives `scores` [N]."""
        return {**super().list_answers(), "score_tokens": self._answer_tokens}

    def _answer_tokens(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": self.score_tokens(inputs[TOKENS], {name: inputs[name] for name in self.features})}

    def _stack(self, columns: Sequence[tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
        if not columns:
            return tf.zeros([rows, 0])
        stacked = tf.stack(columns, axis=1)  # [N, F]
        return tf.where(tf.math.is_finite(stacked), stacked, float("nan"))
