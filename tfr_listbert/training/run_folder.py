"""Run folders: everything that a model needs, in one place, readable by every later script.

A run folder holds `config.yaml`, `contents.json` (hashes of the data), `tokenizer/`, `rows.json` (profile of the
training rows), `checkpoints/` (to go on from), `best/` (to use), `metrics.json` and `tensorboard/`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfr_listbert.config import Config, read_config, write_config
from tfr_listbert.folders import lock_folder, replace_file, write_whole
from tfr_listbert.rows.profile import RowProfile
from tfr_listbert.rows.tested_queries import find_tested_splits
from tfr_listbert.schema import InputError
from tfr_listbert.training.checkpoints import find_checkpoint
from tfr_listbert.training.contents import describe_contents, digest_lists, list_files

CONTENTS_FILE = "contents.json"
"""File of a run folder: hashes of the lists, tokenizer, initial weights and teacher's scores it was begun with."""

_BESIDE = ("log.txt", "settings.json")  # a comparison writes them before its run begins

FIXED_SECTIONS = ("data", "text", "encoder", "model", "loss", "train")
"""Sections that decide a run's weights; a run goes on only under the same."""


def list_fixed_sections(config: Config) -> tuple[str, ...]:
    """Returns the sections that decide the weights of the run of `config`."""
    return (*FIXED_SECTIONS, "teacher") if config.loss.terms else FIXED_SECTIONS


def open_run(config: Config, measure: Callable[[], RowProfile]) -> RowProfile:
    """Makes the run folder `config.train.run`, or checks that the one that is there is of the same run.

    Args:
        config: the run's config.
        measure: measures the training rows; called for a new run only.

    Returns:
        The profile of the training rows.

    Raises:
        InputError: if the folder holds a run with other settings; the message names them.
    """

    def write_profile(run: Path) -> None:
        write_whole(run / "rows.json", json.dumps(dataclasses.asdict(measure())) + "\n")

    contents = describe_contents(config)
    return read_profile(open_folder(config, list_fixed_sections(config), contents, write_profile))


def open_folder(
    config: Config, sections: Sequence[str], contents: Mapping[str, str], prepare: Callable[[Path], None]
) -> Path:
    """Returns the run folder `config.train.run`, made now or found to be of the same run.

    Args:
        config: the run's config.
        sections: those that decide the run's weights.
        contents: hashes of what else decides them, by the setting that names it; see `describe_contents`.
        prepare: writes what else belongs into a new folder; called again if it did not come to its end.

    Raises:
        InputError: if the folder holds a run with other settings or of other data, which the message names, or another
            process is making it.
    """
    run = Path(config.train.run)
    if not (run / "config.yaml").exists():
        has_tokenizer = Path(config.text.folder).resolve() == (run / "tokenizer").resolve()
        _begin_folder(run, ("tokenizer",) if has_tokenizer else ())
        with lock_folder(run, f"Another process is preparing `train.run` {run}; wait for its end, or name another."):
            if not (run / "config.yaml").exists():
                _prepare_folder(run, config, contents, has_tokenizer, prepare)
    _require_same_kind(run, sections)
    _require_same(config, read_config(run / "config.yaml"), sections)
    _require_same_contents(run, contents)
    return run


def _prepare_folder(
    run: Path, config: Config, contents: Mapping[str, str], has_tokenizer: bool, prepare: Callable[[Path], None]
) -> None:
    write_whole(run / CONTENTS_FILE, json.dumps(contents, indent=1) + "\n")
    if not has_tokenizer:
        shutil.rmtree(run / "tokenizer", ignore_errors=True)  # of a start that was killed, maybe with another one
        shutil.copytree(config.text.folder, run / "tokenizer")
    prepare(run)
    with replace_file(run / "config.yaml") as partial:  # last: a folder without it is begun anew
        write_config(config, partial)


def _begin_folder(run: Path, known: Sequence[str]) -> None:
    """Makes the folder of a run; one that is there may hold a run that was begun, a comparison's files, or `known`."""
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"`train.run` names {run}, which cannot be made: {error}.") from None
    names = {path.name for path in run.iterdir() if not path.name.startswith(".partial-")}
    others = names.difference(_BESIDE, known)
    if others and not (run / CONTENTS_FILE).exists():
        raise InputError(
            f"`train.run` names {run}, which holds no run, and other files ({min(others)}); name a new folder."
        )


def _require_same(config: Config, found: Config, sections: Sequence[str]) -> None:
    changes = {
        name: values
        for section in sections
        for name, values in find_changes(section, getattr(found, section), getattr(config, section)).items()
    }
    changes.pop("train.run", None)  # however its path is written
    changed = [f"{name} (was {before!r}, is {now!r})" for name, (before, now) in changes.items()]
    before, now = found.evaluate.relevant_from, config.evaluate.relevant_from
    if before != now and "loss" in sections and not config.train.metric.startswith("ndcg"):  # it decides what is best
        changed.append(f"evaluate.relevant_from (was {before!r}, is {now!r})")
    # Pre-training leaves out the queries of the tested splits
    if "pretrain" in sections and find_tested_splits(found) != find_tested_splits(config):
        before, now = ((one.compare.folds, one.data.reader) for one in (found, config))
        changed.append(f"compare.folds and data.reader (were {before}, are {now})")
    if changed:
        raise InputError(
            f"`train.run` {config.train.run} holds a run with other settings: {'; '.join(changed)}. Choose another "
            "`train.run`, take the settings back, or remove the folder."
        )


def find_changes(name: str, before: Any, now: Any) -> dict[str, tuple[Any, Any]]:
    """Returns what two settings have differently, by dotted name; None for a key that one of two mappings lacks."""
    if dataclasses.is_dataclass(now) and type(before) is type(now):
        before, now = (
            {field.name: getattr(one, field.name) for field in dataclasses.fields(one)} for one in (before, now)
        )
    if not (isinstance(before, Mapping) and isinstance(now, Mapping)):
        return {} if before == now else {name: (before, now)}
    pairs = {key: (before.get(key), now.get(key)) for key in (*now, *before)}
    return {path: both for key, pair in pairs.items() for path, both in find_changes(f"{name}.{key}", *pair).items()}


def _require_same_kind(run: Path, sections: Sequence[str]) -> None:
    is_ranker = (run / "rows.json").exists()
    if is_ranker != ("model" in sections):
        kind = "a ranker or student" if is_ranker else "pre-training or of an import"
        raise InputError(
            f"`train.run` {run} holds a run of another kind, of {kind}. Choose another `train.run`; to start from a "
            "pre-trained one, name that in `encoder.initial`."
        )


def _require_same_contents(run: Path, contents: Mapping[str, str]) -> None:
    path = run / CONTENTS_FILE
    found = _read_json(path) if path.exists() else {}
    changed = [setting for setting, digest in contents.items() if found.get(setting) != digest]
    if changed:
        raise InputError(
            f"`train.run` {run} holds a run of other data: what `{'` and `'.join(changed)}` names has changed since it "
            "began. Choose another `train.run`, or remove the folder to train anew."
        )


def describe_other_lists(run: str | Path, lists: str | Path) -> str:
    """Returns what must be said of results on lists that are not those which the run was trained on; "" if they are."""
    path = Path(run) / CONTENTS_FILE
    found = _read_json(path).get("data.lists") if path.exists() else None
    if found in (None, digest_lists(lists)):
        return ""
    return (
        f"Beware: the lists in {lists} are not those that {run} was trained on, or have been prepared anew since; "
        "queries of their test split may have been among its training queries."
    )


def read_profile(run: str | Path) -> RowProfile:
    """Returns the profile of a run's training rows."""
    return RowProfile(**{name: tuple(values) for name, values in _read_json(Path(run) / "rows.json").items()})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); remove the run's folder, and train anew.") from None


def write_metrics(run: str | Path, metrics: dict[str, Any]) -> None:
    """Writes `metrics.json`, whole or not at all."""
    write_whole(Path(run) / "metrics.json", json.dumps(metrics, indent=2) + "\n")


def compute_version(run: str | Path, checkpoint: str | int = "best", setting: str = "train.run") -> str:
    """Returns a name of a trained model: a hash of its weights, its tokenizer and how it cuts text.

    Args:
        run: run folder.
        checkpoint: as of `find_checkpoint`.
        setting: likewise.

    Raises:
        InputError: if the run has no such checkpoint.
    """
    run = Path(run)
    digest = hashlib.sha256(find_checkpoint(run, checkpoint, setting).with_suffix(".data-00000-of-00001").read_bytes())
    config = read_config(run / "config.yaml")
    fields = [dataclasses.asdict(field) for field in config.text.fields]
    digest.update(json.dumps([fields, config.text.query_tokens, config.model.pooling]).encode())
    for path in sorted(list_files(run / "tokenizer")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
