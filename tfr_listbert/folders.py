"""Atomic output: files and folders that are complete or not there; and folders that one process at a time fills."""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfr_listbert.schema import InputError

_PARTIAL = ".partial-"


@contextlib.contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Gives a path beside `path`; the file written there takes its place when the `with` block ends well."""
    path = Path(path)
    partial = path.with_name(f"{_PARTIAL}{path.name}")  # with the same ending, which some writers look at
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: str | Path, text: str) -> None:
    """Writes a file of text in UTF-8, whole or not at all."""
    with replace_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def recover_folder(path: str | Path) -> None:
    """Puts a folder back that a process was replacing when it was killed; call it before reading one to be replaced."""
    path = Path(path).resolve()
    previous = _name_beside(path, "previous")
    if previous.exists() and not path.exists():
        previous.rename(path)


def _name_beside(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}")


@contextlib.contextmanager
def lock_folder(folder: str | Path, message: str = "") -> Iterator[None]:
    """Keeps a folder that is there for this process; the lock goes with the process.

    Args:
        folder: the folder.
        message: of the error if another process holds it; without one this process waits.

    Raises:
        InputError: with the message.
    """
    place = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | (fcntl.LOCK_NB if message else 0))
        except BlockingIOError:
            raise InputError(message) from None
        yield
    finally:
        os.close(place)


@contextlib.contextmanager
def fill_folder(path: str | Path, setting: str) -> Iterator[None]:
    """Makes a folder that a process fills bit by bit, if it is not there, and keeps it for this one.

    Raises:
        InputError: if another process is filling the folder, which `setting` names.
    """
    Path(path).mkdir(parents=True, exist_ok=True)
    with lock_folder(path, f"Another process is filling `{setting}` {path}; wait for its end."):
        yield


@contextlib.contextmanager
def replace_folder(path: str | Path, names: Sequence[str], setting: str) -> Iterator[Path]:
    """Gives an empty folder beside `path` which takes its place when the `with` block ends well.

    After an exception the new folder is removed and the old one, if any, stays as it was. What a killed process left
    behind is removed by the next one.

    Args:
        path: the folder to make or replace.
        names: what a folder made here may hold, as patterns of `fnmatch`, first the file that each of them has; a
            folder with anything else in it is never replaced.
        setting: the setting that names the folder, for messages.

    Raises:
        InputError: if `path` is a file, or a folder that is not empty and not made here, or it cannot be written, or
            another process is writing it.
    """
    recover_folder(path)  # a process may have been killed between the two renames below
    path = Path(path).resolve()  # a link stays, and the folder it names is replaced
    partial, previous = _name_beside(path, "partial"), _name_beside(path, "previous")
    _require_ours(path, names, setting)
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"`{setting}` names {path}, which cannot be written: {error}.") from None
    with lock_folder(partial, f"Another process is writing `{setting}` {path}; wait for its end."):
        for leftover in (previous, *partial.iterdir()):
            _remove(leftover)
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        if path.exists():
            path.rename(previous)
        partial.rename(path)
        shutil.rmtree(previous, ignore_errors=True)


def _require_ours(path: Path, names: Sequence[str], setting: str) -> None:
    if not path.exists():
        return
    found = sorted(child.name for child in path.iterdir()) if path.is_dir() else [path.name]
    found = [name for name in found if not name.startswith(_PARTIAL)]  # of a process that was killed
    others = [name for name in found if not path.is_dir() or not any(fnmatch.fnmatch(name, own) for own in names)]
    if others or (found and names[0] not in found):
        raise InputError(
            f"`{setting}` names {path}, which has other files in it ({(others or found)[0]}); name a new folder, or "
            "empty that one."
        )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
