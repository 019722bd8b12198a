"""A teacher's scores of the training lists: computed once, streamed to disk, gone on with after a kill."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tqdm

from tfr_listbert.config import Config
from tfr_listbert.distillation.widening import build_widening
from tfr_listbert.folders import fill_folder, replace_file
from tfr_listbert.lists.elwc import build_elwc, list_shards, read_lists
from tfr_listbert.models.scoring import ListScorer
from tfr_listbert.schema import TEACHER_SCORE, InputError, RankedList, set_feature
from tfr_listbert.training.rankers import Ranker, read_ranker
from tfr_listbert.training.scored_lists import (
    SPLIT,
    build_manifest,
    name_shard,
    require_same_manifest,
    write_manifest,
)


def score_training_lists(config: Config) -> None:
    """Writes the training lists of `data.lists` with the scores of `teacher.run` to `teacher.scores`.

    Lists are widened first where `teacher` asks for it. Every document gets the features `teacher_score` and
    `is_judged`. Memory holds one shard, and where lists are widened the products to choose from. Shards that are there
    are not written again.

    Raises:
        InputError: if the teacher, the lists or what they need of each other are missing, the folder holds other
            scores, or a score is not a finite number.
    """
    settings, folder = config.teacher, Path(config.teacher.scores)
    manifest = build_manifest(config)
    paths = [folder / name_shard(number, manifest["shards"]) for number in range(manifest["shards"])]
    with fill_folder(folder, "teacher.scores"):
        require_same_manifest(folder, manifest)
        if not all(path.exists() for path in paths):
            ranker = read_ranker(settings.run, settings.checkpoint)
            list_shards(config.data.lists, SPLIT, ranker.batcher.fields, ranker.batcher.features)
            teacher = TeacherScorer(ranker, settings.batch_lists)
            widen = build_widening(config)
            write_manifest(folder, manifest)
            lists = read_lists(config.data.lists, SPLIT)
            for path in tqdm.tqdm(paths, desc="teacher", unit="shard"):
                part = list(itertools.islice(lists, settings.shard_lists))
                if not path.exists():
                    _write_shard(path, teacher.score([widen(one) for one in part]))
    print(f"{folder}: training lists with the scores of {settings.run}, in {len(paths)} shards.")


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
    return set_feature(ranked_list, TEACHER_SCORE, scores)


def _write_shard(path: Path, lists: Sequence[RankedList]) -> None:
    with replace_file(path) as partial, tf.io.TFRecordWriter(str(partial)) as writer:
        for one in lists:
            writer.write(build_elwc(one).SerializeToString(deterministic=True))
