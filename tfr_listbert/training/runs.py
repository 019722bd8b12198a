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

import tensorflow as tf

from tfr_listbert.config import Config, EncoderConfig, read_config, require, write_config
from tfr_listbert.encoders.roberta import resolve_shape
from tfr_listbert.folders import replace_file
from tfr_listbert.models.ranker import RowScorer, build_ranker
from tfr_listbert.models.student import StudentModel, Tower, TwoTowers
from tfr_listbert.registry import ENCODERS
from tfr_listbert.rows.dataset import RowBatcher
from tfr_listbert.rows.profile import RowProfile
from tfr_listbert.schema import InputError
from tfr_listbert.text.packing import RowPacker
from tfr_listbert.text.tokenizer import read_description, read_tokenizer
from tfr_listbert.training.checkpoints import find_checkpoint, restore_objects
from tfr_listbert.training.contents import describe_contents, digest_lists, list_files

CONTENTS_FILE = "contents.json"
"""File of a run folder: hashes of the lists, the tokenizer and the initial weights that it was begun with."""

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
        with replace_file(run / "rows.json") as partial:
            partial.write_text(json.dumps(dataclasses.asdict(measure())) + "\n")

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
        InputError: if the folder holds a run with other settings or of other data; the message names them.
    """
    run = Path(config.train.run)
    if (run / "config.yaml").exists():
        _require_same(config, read_config(run / "config.yaml"), sections)
        _require_same_contents(run, contents)
        return run
    has_tokenizer = Path(config.text.folder).resolve() == (run / "tokenizer").resolve()
    _begin_folder(run, ("tokenizer",) if has_tokenizer else ())
    with replace_file(run / CONTENTS_FILE) as partial:
        partial.write_text(json.dumps(contents, indent=1) + "\n")
    if not has_tokenizer:
        shutil.rmtree(run / "tokenizer", ignore_errors=True)  # of a start that was killed, maybe with another one
        shutil.copytree(config.text.folder, run / "tokenizer")
    prepare(run)
    with replace_file(run / "config.yaml") as partial:  # last: a folder without it is begun anew
        write_config(config, partial)
    return run


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
    changed = [
        f"{section}.{field.name} (was {getattr(before, field.name)!r}, is {getattr(now, field.name)!r})"
        for section in sections
        for before, now in [(getattr(found, section), getattr(config, section))]
        for field in dataclasses.fields(now)
        if (section, field.name) != ("train", "run")  # however its path is written
        and getattr(before, field.name) != getattr(now, field.name)
    ]
    before, now = found.evaluate.relevant_from, config.evaluate.relevant_from
    if before != now and "loss" in sections and not config.train.metric.startswith("ndcg"):  # it decides what is best
        changed.append(f"evaluate.relevant_from (was {before!r}, is {now!r})")
    if changed:
        raise InputError(
            f"`train.run` {config.train.run} holds a run with other settings: {'; '.join(changed)}. Choose another "
            "`train.run`, take the settings back, or remove the folder."
        )


def _require_same_contents(run: Path, contents: Mapping[str, str]) -> None:
    path = run / CONTENTS_FILE
    found = _read_json(path) if path.exists() else {}
    if ("data.lists" in contents) != ("data.lists" in found):
        kind = "a ranker or student" if "data.lists" in found else "pre-training or of an import"
        raise InputError(
            f"`train.run` {run} holds a run of another kind, of {kind}. Choose another `train.run`; to start from a "
            "pre-trained one, name that in `encoder.initial`."
        )
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
    with replace_file(Path(run) / "metrics.json") as partial:
        partial.write_text(json.dumps(metrics, indent=2) + "\n")


def read_configured_tokenizer(config: Config) -> tf.Module:
    """Returns the tokenizer in `text.folder`.

    Raises:
        InputError: if there is none, or it is not what `text` and `encoder.match_marks` ask for.
    """
    folder = config.text.folder
    tokenizer, description = read_tokenizer(folder), read_description(folder)
    for name, key in (("tokenizer", "kind"), ("lowercase", "lowercase")):
        own, found = getattr(config.text, name), description.get(key, getattr(config.text, name))
        require(own == found, f"text.{name}", f"must be {found}, as the tokenizer in `text.folder` {folder} is", own)
    is_blind = config.encoder.match_marks and not getattr(tokenizer, "adds_space", True)
    rule = "must be false with a byte-level BPE without `add_prefix_space`: a query's first word equals none in a title"
    require(not is_blind, "encoder.match_marks", rule, True)
    return tokenizer


def adopt_initial(config: Config) -> Config:
    """Returns `config` with the shape of the encoder to start from, if `encoder.initial` names one.

    It may have fewer layers than that one, whose first layers it then starts from.

    Raises:
        InputError: if it names no run, the config asks for another shape, or the tokenizers differ.
    """
    if config.encoder.initial is None:
        return config
    initial = Path(config.encoder.initial)
    if not (initial / "config.yaml").exists():
        raise InputError(
            f"`encoder.initial` must name a run folder, got {initial}, which holds no run. Run pipelines/pretrain.py "
            "with a config whose `train.run` it is, or set `encoder.initial: null` to start from random weights."
        )
    found = read_config(initial / "config.yaml").encoder
    shape = resolve_shape(found)
    numbers = dataclasses.asdict(shape)
    own = {name: getattr(config.encoder, name) or number for name, number in numbers.items()}
    asked = resolve_shape(config.encoder if config.encoder.size else dataclasses.replace(config.encoder, **own))
    if asked != dataclasses.replace(shape, layers=min(asked.layers, shape.layers)):
        raise InputError(
            f"`encoder` must be of the shape of `encoder.initial` {initial}, {shape}, with as many layers or fewer, or "
            f"leave its size and numbers empty; got {asked}."
        )
    _require_same_tokenizer(Path(config.text.folder), initial / "tokenizer")
    encoder = dataclasses.replace(config.encoder, size=found.size, **numbers | {"layers": asked.layers})
    return dataclasses.replace(config, encoder=encoder)


def _require_same_tokenizer(folder: Path, initial: Path) -> None:
    read_tokenizer(folder)
    contents = [{path.name: path.read_bytes() for path in list_files(place)} for place in (folder, initial)]
    if contents[0] != contents[1]:
        kind = read_description(initial)["kind"]
        raise InputError(
            f"`text.folder` must hold the tokenizer of `encoder.initial`, whose ids its weights know; got {folder}, "
            f"which is another one. Set `text.folder: {initial}` and `text.tokenizer: {kind}`, or pre-train with yours."
        )


def build_encoder(config: EncoderConfig, tokenizer: tf.Module, row_tokens: int) -> tf.keras.layers.Layer:
    """Returns the encoder of `config` for the ids of `tokenizer`, its weights random or those of `config.initial`.

    Raises:
        InputError: if rows of `row_tokens` do not fit, or the run that `encoder.initial` names has another tokenizer,
            another shape or no checkpoint.
    """
    shape = resolve_shape(config)
    if row_tokens > shape.positions:
        raise InputError(
            f"`encoder.positions` must be at least the longest row, got {shape.positions}; by the budgets of `text` or "
            f"`pretrain.row_tokens`, rows have up to {row_tokens} tokens."
        )
    encoder = ENCODERS.get(config.type, "encoder.type")(
        tokenizer.vocabulary_size,
        shape,
        dropout_rate=config.dropout_rate,
        attention_dropout_rate=config.attention_dropout_rate,
        pad_id=tokenizer.pad_id,
        eos_id=tokenizer.eos_id,
        match_marks=config.match_marks,
    )
    if config.initial is not None:
        restore_objects(config.initial, "best", encoder=encoder)
    encoder.trainable = not config.is_frozen
    return encoder


@dataclasses.dataclass(frozen=True)
class Ranker:
    """A ranker or a student with all that it needs to score raw text.

    Attributes:
        config: the config that it was trained with.
        batcher: serialized lists to rows.
        row_scorer: rows to scores; a student's two towers.
        network: rows to scores in lists; a ranker's is a TF-Ranking scoring model.
    """

    config: Config
    batcher: RowBatcher
    row_scorer: RowScorer | TwoTowers
    network: tf.keras.Model


def build_batcher(config: Config, tokenizer: tf.Module) -> RowBatcher:
    """Returns what makes rows of lists under `config`."""
    packer = RowPacker(tokenizer, config.text.query_tokens, config.text.fields)
    fields = tuple(field.name for field in config.text.fields)
    return RowBatcher(packer, fields, config.model.features, is_apart=config.model.is_student)


def build_run_ranker(config: Config, batcher: RowBatcher, profile: RowProfile) -> Ranker:
    """Returns the ranker, or student, of `config` with initial weights.

    Raises:
        InputError: as `build_encoder`.
    """
    if config.model.is_student:
        towers = _build_towers(config, batcher.packer.tokenizer, profile)
        return Ranker(config, batcher, towers, StudentModel(towers))
    features = len(config.model.features)
    encoder = build_encoder(config.encoder, batcher.packer.tokenizer, config.text.row_tokens)
    row_scorer = RowScorer(
        encoder, profile.widths, features, config.model.dropout_rate, config.train.max_tokens_in_memory
    )
    row_scorer.feature_statistics.set_statistics(profile.feature_means, profile.feature_deviations)
    return Ranker(config, batcher, row_scorer, build_ranker(row_scorer, features))


def _build_towers(config: Config, tokenizer: tf.Module, profile: RowProfile) -> TwoTowers:
    model, text = config.model, config.text
    longest = max(text.query_tokens + 2, text.document_tokens)
    encoder = build_encoder(config.encoder, tokenizer, longest)
    query_encoder = encoder if model.is_shared else build_encoder(config.encoder, tokenizer, longest)
    settings = (model.pooling, model.dropout_rate)
    return TwoTowers(
        Tower(query_encoder, model.vector_size, (), *settings, name="query_tower"),
        Tower(
            encoder,
            model.vector_size,
            profile.widths,
            *settings,
            max_tokens=config.train.max_tokens_in_memory,
            name="document_tower",
        ),
    )


def read_ranker(run: str | Path, checkpoint: str | int = "best") -> Ranker:
    """Returns the trained ranker, or student, of a run folder.

    Args:
        run: run folder.
        checkpoint: `best`, `last` for the newest checkpoint, or the step of one that is kept.

    Raises:
        InputError: if the folder holds no such run or checkpoint.
    """
    run = Path(run)
    if not (run / "config.yaml").exists():
        raise InputError(f"There is no run in {run}; run pipelines/train.py first, or set `train.run`.")
    if not (run / "rows.json").exists():
        raise InputError(
            f"{run} holds an encoder, of pre-training or of an import, and no ranker; train one that starts from it "
            "(`encoder.initial`)."
        )
    config = read_config(run / "config.yaml")
    bare = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, initial=None))
    ranker = build_run_ranker(bare, build_batcher(config, read_tokenizer(run / "tokenizer")), read_profile(run))
    restore_objects(run, checkpoint, **ranker.row_scorer.list_objects())
    return dataclasses.replace(ranker, config=config)


def compute_version(run: str | Path, checkpoint: str | int = "best") -> str:
    """Returns a name of a trained model: a hash of its weights, its tokenizer and how it cuts text.

    Raises:
        InputError: if the run has no such checkpoint.
    """
    run = Path(run)
    digest = hashlib.sha256(find_checkpoint(run, checkpoint).with_suffix(".data-00000-of-00001").read_bytes())
    config = read_config(run / "config.yaml")
    fields = [dataclasses.asdict(field) for field in config.text.fields]
    digest.update(json.dumps([fields, config.text.query_tokens, config.model.pooling]).encode())
    for path in sorted(list_files(run / "tokenizer")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
