"""A teacher's scores of the training lists: computed once, streamed to disk, gone on with after a kill."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tqdm

from tfr_listbert.config import Config
from tfr_listbert.distillation.widening import Widener
from tfr_listbert.lists.elwc import build_elwc, list_shards, read_lists
from tfr_listbert.lists.scored import MANIFEST_FILE, SPLIT, digest_lists, name_shard, read_manifest, write_manifest
from tfr_listbert.models.scoring import ListScorer
from tfr_listbert.rows.dataset import count_lists
from tfr_listbert.schema import TEACHER_SCORE, Document, InputError, RankedList
from tfr_listbert.training.runs import Ranker, compute_version, read_ranker


def score_training_lists(config: Config) -> None:
    """Writes the training lists of `data.lists` with the scores of `teacher.run` to `teacher.scores`.

    Lists are widened first where `teacher` asks for it. Every document gets the features `teacher_score` and
    `is_judged`. Memory holds one shard. Shards that are there are
    not written again.

    Raises:
        InputError: if the teacher, the lists or what they need of each other are missing, the folder holds other
            scores, or a score is not a finite number.
    """
    settings, folder = config.teacher, Path(config.teacher.scores)
    manifest = _plan(config)
    _require_same(folder, manifest)
    write_manifest(folder, manifest)
    paths = [folder / name_shard(number, manifest["shards"]) for number in range(manifest["shards"])]
    if not all(path.exists() for path in paths):
        ranker = read_ranker(settings.run, settings.checkpoint)
        list_shards(config.data.lists, SPLIT, ranker.batcher.fields, ranker.batcher.features)
        teacher = TeacherScorer(ranker, settings.batch_lists)
        widener = Widener(config)
        lists = read_lists(config.data.lists, SPLIT)
        for path in tqdm.tqdm(paths, desc="teacher", unit="shard"):
            part = list(itertools.islice(lists, settings.shard_lists))
            if not path.exists():
                _write_shard(path, teacher.score(list(widener.widen(part))))
    print(f"{folder}: training lists with the scores of {settings.run}, in {len(paths)} shards.")


def _plan(config: Config) -> dict[str, Any]:
    settings = config.teacher
    return {
        "lists": digest_lists(config.data.lists),
        "teacher": compute_version(settings.run, settings.checkpoint),
        "shards": math.ceil(count_lists(config.data.lists, SPLIT) / settings.shard_lists),
        "shard_lists": settings.shard_lists,
        "bm25_neighbours": settings.bm25_neighbours,
        "student_neighbours": settings.student_neighbours,
        "student": compute_version(settings.student) if settings.student_neighbours else None,
    }


def _require_same(folder: Path, manifest: Mapping[str, Any]) -> None:
    found = read_manifest(folder)
    if found is None:
        return
    changed = [
        f"{name} (was {found.get(name)}, is {value})" for name, value in manifest.items() if found.get(name) != value
    ]
    if changed:
        raise InputError(
            f"`teacher.scores` {folder} holds scores that were made otherwise: {', '.join(changed)}. Name another "
            f"folder, or remove that one ({MANIFEST_FILE} in it says what it holds)."
        )


class TeacherScorer:
    """Puts a ranker's scores into lists."""

    def __init__(self, ranker: Ranker, batch_lists: int):
        """Scores with `ranker`, so many lists at a time."""
        self._batcher, self._batch_lists = ranker.batcher, batch_lists
        self._scorer = ListScorer(ranker.network)

    def score(self, lists: Sequence[RankedList]) -> list[RankedList]:
        """Returns the lists, the teacher's scores among the features of their documents.

        Raises:
            InputError: if a score is not a finite number.
        """
        serialized = [build_elwc(one).SerializeToString() for one in lists]
        dataset = tf.data.Dataset.from_tensor_slices(serialized).batch(self._batch_lists).map(self._batcher)
        return [_attach(one, scored.scores) for one, scored in zip(lists, self._scorer.score(dataset), strict=True)]


def _attach(ranked_list: RankedList, scores: np.ndarray) -> RankedList:
    if not np.isfinite(scores).all():
        wrong = scores[~np.isfinite(scores)][0]
        raise InputError(
            f"A teacher's scores must be finite numbers, got {wrong} for the query {ranked_list.query!r}: the run in "
            "`teacher.run` has diverged, or its weights are damaged."
        )
    documents = tuple(
        _add_features(document, float(score)) for document, score in zip(ranked_list.documents, scores, strict=True)
    )
    return dataclasses.replace(ranked_list, documents=documents)


def _add_features(document: Document, score: float) -> Document:
    return dataclasses.replace(document, features={**document.features, TEACHER_SCORE: score})


def _write_shard(path: Path, lists: Sequence[RankedList]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with tf.io.TFRecordWriter(str(partial)) as writer:
        for one in lists:
            writer.write(build_elwc(one).SerializeToString(deterministic=True))
    os.rename(partial, path)
