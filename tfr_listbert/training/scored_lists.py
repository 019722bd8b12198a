"""Training lists with a teacher's scores: what their folder says of itself, and whether that is what is asked for."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfr_listbert.config import Config
from tfr_listbert.folders import write_whole
from tfr_listbert.lists.elwc import list_shards
from tfr_listbert.rows.list_index import index_lists
from tfr_listbert.schema import InputError
from tfr_listbert.training.contents import digest_files
from tfr_listbert.training.run_folder import compute_version

MANIFEST_FILE = "teacher.json"
"""File beside the shards: the hash of the lists, the teacher, how lists were widened, the number of shards."""

SPLIT = "train"


def build_manifest(config: Config) -> dict[str, Any]:
    """Returns what decides the scores in `teacher.scores`: the lists, the teacher, how they are widened and sharded.

    Raises:
        InputError: if lists or teacher are missing or damaged, or the student whose nearest are added.
    """
    settings, shards = config.teacher, list_shards(config.data.lists, SPLIT)
    is_widened = settings.bm25_neighbours or settings.student_neighbours
    return {
        "lists": digest_files(shards),
        "teacher": compute_version(settings.run, settings.checkpoint, "teacher.run"),
        "shards": math.ceil(len(index_lists(shards)) / settings.shard_lists),
        "shard_lists": settings.shard_lists,
        "bm25_neighbours": settings.bm25_neighbours,
        "student_neighbours": settings.student_neighbours,
        "student": settings.student and compute_version(settings.student, setting="teacher.student"),
        **({"bm25": dataclasses.asdict(config.data.bm25)} if is_widened else {}),
    }


def read_manifest(folder: str | Path) -> dict[str, Any] | None:
    """Returns what a folder of scored lists says of itself; None where there is no such folder."""
    path = Path(folder) / MANIFEST_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write_manifest(folder: str | Path, manifest: Mapping[str, Any]) -> None:
    """Writes the manifest, whole or not at all."""
    write_whole(Path(folder) / MANIFEST_FILE, json.dumps(manifest, indent=1) + "\n")


def name_shard(number: int, shards: int) -> str:
    """Returns the file name of a shard of scored lists."""
    return f"{SPLIT}-{number:05d}-of-{shards:05d}.tfrecord"


def require_same_manifest(scores: str | Path, manifest: Mapping[str, Any]) -> None:
    """Checks that a folder of scored lists, if there is one, holds what `manifest` describes.

    Raises:
        InputError: if it does not; the message says what differs.
    """
    found = read_manifest(scores)
    if found is None:
        if any(Path(scores).glob("*.tfrecord")):
            raise InputError(
                f"`teacher.scores` {scores} holds shards, and no {MANIFEST_FILE} that says whose scores they have. "
                "Name another folder, or remove that one."
            )
        return
    changed = [
        f"{name} (was {found.get(name)}, is {value})" for name, value in manifest.items() if found.get(name) != value
    ]
    if changed:
        raise InputError(
            f"`teacher.scores` {scores} holds scores that were made otherwise: {', '.join(changed)}. Name another "
            f"folder, or remove that whole one. {MANIFEST_FILE} in it says what it holds."
        )


def require_scored_lists(scores: str | Path, manifest: Mapping[str, Any]) -> None:
    """Checks that a folder holds all the training lists with a teacher's scores, as `manifest` describes them.

    Raises:
        InputError: if it does not.
    """
    if read_manifest(scores) is None:
        raise InputError(f"`teacher.scores` names {scores}, which holds no teacher's scores; run score_lists first.")
    require_same_manifest(scores, manifest)
    shards = manifest["shards"]
    missing = [number for number in range(shards) if not (Path(scores) / name_shard(number, shards)).exists()]
    if missing:
        raise InputError(
            f"`teacher.scores` {scores} lacks {len(missing)} of its {shards} shards; run score_lists again, it goes on "
            "where it was."
        )
