"""A cascade in one SavedModel: a student ranks all candidates, its teacher the first of them anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from tfr_listbert.export.signatures import Inputs, specify_cascade
from tfr_listbert.export.text_model import TextModel, order_scores, require_as_many
from tfr_listbert.export.text_ranker import TextRanker
from tfr_listbert.export.text_student import TextStudent
from tfr_listbert.schema import DOCUMENT_IDS, PADDING_SCORE, QUERY


class TextCascade(TextModel):
    """A student whose first documents a teacher ranks anew; it takes what both take.

    A document that the teacher has scored stands before all others. Its score is the teacher's, moved by one number per
    list so that the lowest of them is 1 above the student's highest of the others.

    Attributes:
        student: ranks all documents.
    """

    def __init__(self, student: TextStudent, teacher: TextRanker, documents: int):
        """Puts the parts together.

        Args:
            student: ranks all documents; where it has stored vectors there is `cascade_ids`, too.
            teacher: ranks the first documents anew.
            documents: how many documents of each list.
        """
        fields = (*student.fields, *(name for name in teacher.fields if name not in student.fields))
        super().__init__(fields, teacher.features)
        self.student = student
        self._teacher = teacher
        self._documents = documents

    @property
    def inputs(self) -> Mapping[str, Inputs]:
        """The inputs of each signature, by signature."""
        return specify_cascade(self.student.inputs, self.fields, self.features)

    def score_documents(
        self,
        queries: tf.Tensor,
        fields: Mapping[str, tf.Tensor],
        features: Mapping[str, tf.Tensor],
        mask: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the score of each true entry of `mask` [B, L], list by list."""
        scores = self.student.score_documents(queries, fields, features, mask)  # [N]
        dense = tf.tensor_scatter_nd_update(tf.fill(tf.shape(mask), PADDING_SCORE), tf.where(mask), scores)
        return tf.boolean_mask(self._rank_anew(queries, fields, features, dense, mask), mask)

    def _rank_anew(
        self,
        queries: tf.Tensor,
        fields: Mapping[str, tf.Tensor],
        features: Mapping[str, tf.Tensor],
        scores: tf.Tensor,
        mask: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the scores [B, L] of the cascade, from the student's; what padding has is not changed."""
        order = tf.argsort(tf.where(mask, scores, tf.float32.min), direction="DESCENDING", stable=True)
        ranks = tf.argsort(order, stable=True)  # [B, L], of each document, from 0
        is_chosen = mask & (ranks < self._documents)
        found = self._teacher.score_documents(queries, fields, features, is_chosen)  # [M]
        anew = tf.scatter_nd(tf.where(is_chosen), found, tf.shape(mask, tf.int64))
        lowest = tf.reduce_min(tf.where(is_chosen, anew, tf.float32.max), axis=1, keepdims=True)
        is_other = mask & ~is_chosen
        highest = tf.reduce_max(tf.where(is_other, scores, tf.float32.min), axis=1, keepdims=True)
        highest = tf.where(tf.reduce_any(is_other, axis=1, keepdims=True), highest + 1, lowest)
        return tf.where(is_chosen, anew - lowest + highest, scores)

    def cascade_ids(
        self,
        queries: tf.Tensor,
        document_ids: tf.Tensor,
        fields: Mapping[str, tf.Tensor],
        features: Mapping[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """Returns what `rank_ids` returns, the first documents ranked anew by the teacher.

        Args:
            queries: [B] string.
            document_ids: [B, L] string; "" is padding.
            fields: each text field, [B, L] string; read for the first documents alone.
            features: each numeric feature, [B, L] float32.
        """
        first = self.fields[0]
        check = require_as_many("documents", DOCUMENT_IDS, tf.shape(document_ids), first, tf.shape(fields[first]))
        with tf.control_dependencies([check, *self._check_shapes(queries, fields, features)]):
            found = self.student.rank_ids(tf.identity(queries), document_ids)
        scores = self._rank_anew(queries, fields, features, found["scores"], found["is_known"])
        return {**order_scores(scores), "is_known": found["is_known"]}

    def halve_weights(self) -> None:
        """Rounds the weights of student and teacher to float16, and has them saved so; errors as of `TextModel`."""
        self.student.halve_weights()
        self._teacher.halve_weights()

    def build_saved_module(self) -> tf.Module:
        """Returns the object to save beside the signatures."""
        module = self.student.build_saved_module()
        module.teacher = self._teacher.build_saved_module()
        return module

    def list_answers(self) -> dict[str, Callable[..., dict[str, tf.Tensor]]]:
        """Returns what answers each signature but `predict`: those on text and `cascade_ids` the cascade, others the
        student."""
        both = {"cascade_ids": self._answer_cascade_ids} if self.student.has_vectors else {}
        return {**self.student.list_answers(), **super().list_answers(), **both}

    def _answer_cascade_ids(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.cascade_ids(inputs[QUERY], inputs[DOCUMENT_IDS], *self._split(inputs))
