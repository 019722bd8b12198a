"""Files and folders of output that are there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tfr_listbert.schema import InputError


@contextlib.contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Gives a path beside `path`; the file written there takes its place when the `with` block ends well."""
    path = Path(path)
    partial = path.with_name(f".partial-{path.name}")  # with the same ending, which some writers look at
    yield partial
    os.replace(partial, path)


def recover_folder(path: str | Path) -> None:
    """Puts a folder back that a process was replacing when it was killed; call it before reading one to be replaced."""
    path = Path(path).resolve()
    previous = _name_beside(path, "previous")
    if previous.exists() and not path.exists():
        previous.rename(path)


def _name_beside(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}")


@contextlib.contextmanager
def replace_folder(path: str | Path, marker: str, setting: str) -> Iterator[Path]:
    """Gives an empty folder beside `path` which takes its place when the `with` block ends well.

    After an exception the new folder is removed and the old one, if any, stays as it was. What a killed process left
    behind is removed by the next one.

    Args:
        path: the folder to make or replace.
        marker: a file that a folder made here has; a folder without it is somebody else's and never replaced.
        setting: the setting that names the folder, for messages.

    Raises:
        InputError: if `path` is a file, or a folder that is not empty and has no `marker`, or it cannot be written.
    """
    recover_folder(path)  # a process may have been killed between the two renames below
    path = Path(path).resolve()  # a link stays, and the folder it names is replaced
    partial, previous = _name_beside(path, "partial"), _name_beside(path, "previous")
    if path.exists() and not (path.is_dir() and ((path / marker).exists() or not any(path.iterdir()))):
        raise InputError(
            f"`{setting}` names {path}, which has other files in it; name a new folder, or empty that one."
        )
    for leftover in (partial, previous):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"`{setting}` names {path}, which cannot be written: {error}.") from None
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if path.exists():
        path.rename(previous)
    partial.rename(path)
    shutil.rmtree(previous, ignore_errors=True)
