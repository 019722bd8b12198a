"""Texts to a student's vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfr_listbert.schema import Document, InputError
from tfr_listbert.training.rankers import Ranker, read_ranker
from tfr_listbert.training.run_folder import compute_version


def read_student(run: str | Path, checkpoint: str = "best") -> Ranker:
    """Returns the trained student of a run folder.

    Raises:
        InputError: if there is no such run or checkpoint, or it is not a student's.
    """
    student = read_ranker(run, checkpoint)
    if not student.config.model.is_student:
        raise InputError(f"{run} holds a ranker, which has no vectors; name the run folder of a student.")
    return student


class StudentEncoder:
    """Encodes queries and documents with a trained student.

    Attributes:
        version: name of its weights and of how it cuts text.
        fields: text fields of a document that it reads.
        vector_size: V.
    """

    def __init__(self, run: str | Path, checkpoint: str = "best"):
        """Reads the student of a run folder.

        Raises:
            InputError: as `read_student`.
        """
        student = read_student(run, checkpoint)
        self.version = compute_version(run, checkpoint)
        self.fields = student.batcher.fields
        self.vector_size = student.config.model.vector_size
        packer, towers = student.batcher.packer, student.row_scorer
        strings = tf.TensorSpec([None], tf.string)
        self._encode_queries = tf.function(
            lambda queries: towers.query_tower(packer.pack_queries(queries)), input_signature=[strings], autograph=False
        )

        def encode_documents(*columns: tf.Tensor) -> tf.Tensor:
            fields = {name: column[tf.newaxis] for name, column in zip(self.fields, columns, strict=True)}
            mask = tf.ones([1, tf.size(columns[0])], tf.bool)
            return towers.document_tower(packer.pack_documents(fields, mask))

        columns = [strings] * len(self.fields)
        self._encode_documents = tf.function(encode_documents, input_signature=columns, autograph=False)

    def encode_queries(self, queries: Sequence[str]) -> np.ndarray:
        """Returns the vector of each query, float32 [B, V]."""
        return self._encode_queries(tf.constant(list(queries), tf.string, [len(queries)])).numpy()

    def encode_documents(self, documents: Sequence[Document]) -> np.ndarray:
        """Returns the vector of each document's text, float32 [N, V].

        Raises:
            InputError: if a number of it is not finite.
        """
        columns = [[document.fields.get(name, "") for document in documents] for name in self.fields]
        vectors = self._encode_documents(*(tf.constant(c, tf.string, [len(c)]) for c in columns)).numpy()
        is_broken = ~np.isfinite(vectors).all(axis=1)
        if is_broken.any():
            name = documents[int(np.argmax(is_broken))].document_id
            raise InputError(f"The vector of document {name!r} is not of finite numbers: the student has diverged.")
        return vectors
