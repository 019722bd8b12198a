"""Which scores of a teacher a config asks for: what `teacher.json` beside them has to say."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from tfr_listbert.config import Config
from tfr_listbert.lists.elwc import list_shards
from tfr_listbert.lists.scored import SPLIT
from tfr_listbert.rows.dataset import count_lists
from tfr_listbert.training.contents import digest_files
from tfr_listbert.training.runs import compute_version


def build_manifest(config: Config) -> dict[str, Any]:
    """Returns what decides the scores in `teacher.scores`: the lists, the teacher, how they are widened and sharded.

    Raises:
        InputError: if lists or teacher are missing, or the student whose nearest are added.
    """
    settings = config.teacher
    is_widened = settings.bm25_neighbours or settings.student_neighbours
    return {
        "lists": digest_files(list_shards(config.data.lists, SPLIT)),
        "teacher": compute_version(settings.run, settings.checkpoint),
        "shards": math.ceil(count_lists(config.data.lists, SPLIT) / settings.shard_lists),
        "shard_lists": settings.shard_lists,
        "bm25_neighbours": settings.bm25_neighbours,
        "student_neighbours": settings.student_neighbours,
        "student": compute_version(settings.student) if settings.student_neighbours else None,
        **({"bm25": dataclasses.asdict(config.data.bm25)} if is_widened else {}),
    }
