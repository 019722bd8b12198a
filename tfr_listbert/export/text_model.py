"""What is exported: raw text in, scores out, by signature."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf
import tensorflow_ranking as tfr

from tfr_listbert.export.signatures import DEFAULT_SIGNATURE, PROTO_SIGNATURE, Inputs
from tfr_listbert.schema import NUM_DOCUMENTS, PADDING_SCORE, QUERY


def require_as_many(counted: str, name: str, shape: tf.Tensor, other: str, other_shape: tf.Tensor) -> tf.Operation:
    """Returns the assertion that the inputs `name` and `other` hold as many of what is counted, such as "documents"."""
    is_so = tf.reduce_all(tf.equal(shape, other_shape))
    return tf.debugging.Assert(is_so, [f"{name} and {other} must hold as many {counted}:", shape, other_shape])


def order_scores(scores: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns `scores` [B, L], `order` [B, L] int32, best first, and `sorted_scores` [B, L]."""
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    return {"scores": scores, "order": order, "sorted_scores": tf.gather(scores, order, batch_dims=1)}


class TextModel(abc.ABC):
    """A model with its tokenizer and packing, fed with raw text.

    A slot whose text fields are all empty is padding, unless the number of documents is given. Padding scores
    PADDING_SCORE, below any real document. A feature that is NaN or infinite is missing.

    Attributes:
        fields: names of the text fields.
        features: names of the numeric features.
    """

    def __init__(self, fields: Sequence[str], features: Sequence[str]):
        """Takes the names of its inputs."""
        self.fields = tuple(fields)
        self.features = tuple(features)

    @property
    @abc.abstractmethod
    def inputs(self) -> Mapping[str, Inputs]:
        """The inputs of each signature, by signature."""

    @abc.abstractmethod
    def score_documents(
        self,
        queries: tf.Tensor,
        fields: Mapping[str, tf.Tensor],
        features: Mapping[str, tf.Tensor],
        mask: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the score of each true entry of `mask` [B, L], list by list; the rest as of `rank_scores`."""

    @abc.abstractmethod
    def halve_weights(self) -> None:
        """Rounds the weights to float16, and has them saved so.

        Raises:
            InputError: if a weight is beyond float16's range.
        """

    @abc.abstractmethod
    def build_saved_module(self) -> tf.Module:
        """Returns the object to save beside the signatures: their variables and the tokenizer's resource.

        Saving the Keras layers themselves would add traces of every one of their calls.
        """

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

    def build_signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Returns the signatures by name, as `tf.saved_model.save` takes them.

        Those on text and `predict`, TF-Ranking's own parser and signature, give `scores` [B, L]; `rank` and `rank_n`
        also `order` [B, L] int32 (best first, padding last) and `sorted_scores` [B, L].
        """
        inputs = self.inputs
        signatures = {
            name: tf.function(call, autograph=False).get_concrete_function(
                **{key: tf.TensorSpec(spec.shape, spec.dtype, key) for key, spec in inputs[name].items()}
            )
            for name, call in self.list_answers().items()
        }
        signatures[PROTO_SIGNATURE] = self._build_proto_signature()
        return signatures

    def list_answers(self) -> dict[str, Callable[..., dict[str, tf.Tensor]]]:
        """Returns what answers each signature but `predict`."""
        return {DEFAULT_SIGNATURE: self._answer_scores, "rank": self._answer_order, "rank_n": self._answer_order}

    def _build_proto_signature(self) -> tf.types.experimental.ConcreteFunction:
        text = tf.io.FixedLenFeature([], tf.string, "")
        number = tf.io.FixedLenFeature([], tf.float32, float("nan"))
        columns = {**dict.fromkeys(self.fields, text), **dict.fromkeys(self.features, number)}
        signatures = tfr.keras.saved_model.Signatures(self._answer_lists, {QUERY: text}, columns, "mask")
        predict = signatures.predict_tf_function()
        # Anew, because converting TF-Ranking's parser for AutoGraph takes 3 s and changes nothing
        same = tf.function(predict.python_function, input_signature=predict.input_signature, autograph=False)
        return same.get_concrete_function()

    def _answer_scores(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": self.rank_scores(inputs[QUERY], *self._split(inputs), inputs.get(NUM_DOCUMENTS))}

    def _answer_lists(self, inputs: Mapping[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
        counts = tf.math.count_nonzero(inputs["mask"], axis=1, dtype=tf.int32)
        return {"scores": self.rank_scores(inputs[QUERY], *self._split(inputs), counts)}

    def _answer_order(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return order_scores(self._answer_scores(**inputs)["scores"])

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
