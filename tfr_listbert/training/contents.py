"""What the files that a run is made of hold: hashes that tell whether data have changed under the same path."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

from tfr_listbert.config import Config
from tfr_listbert.schema import SPLITS
from tfr_listbert.training.checkpoints import find_checkpoint


def digest_lists(folder: str | Path) -> str:
    """Returns a hash of the lists in a folder, of all splits."""
    return digest_files(path for split in SPLITS for path in Path(folder).glob(f"{split}-*.tfrecord"))


def digest_files(paths: Iterable[str | Path]) -> str:
    """Returns a hash of the names and contents of files, in whatever order they come."""
    found = [(Path(path).name, str(path), Path(path).stat()) for path in paths]
    return _digest(tuple(sorted((name, path, stat.st_size, stat.st_mtime_ns) for name, path, stat in found)))


@functools.lru_cache(maxsize=64)  # all runs of a comparison ask for the same
def _digest(files: tuple[tuple[str, str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for name, path, size, _ in files:
        digest.update(f"{name}\0{size}\0".encode())
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]


def list_files(folder: str | Path) -> list[Path]:
    """Returns the files in a folder, those of its folders left out."""
    return [path for path in Path(folder).glob("*") if path.is_file()]


def describe_start(config: Config) -> dict[str, str]:
    """Returns a hash of the tokenizer, and of the weights to start from if there are any, by the setting of each.

    Raises:
        InputError: if `encoder.initial` names no run with a checkpoint.
    """
    contents = {"text.folder": digest_files(list_files(config.text.folder))}
    if config.encoder.initial is not None:
        best = find_checkpoint(config.encoder.initial, "best", "encoder.initial")
        contents["encoder.initial"] = digest_files(best.parent.glob(f"{best.name}.*"))
    return contents


def describe_contents(config: Config) -> dict[str, str]:
    """Returns a hash of the contents behind each setting that names files which decide a run, by the setting.

    Raises:
        InputError: as `describe_start`.
    """
    contents = {"data.lists": digest_lists(config.data.lists), **describe_start(config)}
    if config.loss.terms:
        contents["teacher.scores"] = digest_lists(config.teacher.scores)
    return contents
