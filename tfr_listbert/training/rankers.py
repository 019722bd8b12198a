"""From a config, or a run folder, to a ranker or student that can be trained or used."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from tfr_listbert.config import Config, EncoderConfig, read_config, require
from tfr_listbert.encoders.shapes import resolve_shape
from tfr_listbert.metrics import ScoredList
from tfr_listbert.models.ranker import RowScorer, build_ranker
from tfr_listbert.models.scoring import ListScorer
from tfr_listbert.models.student import StudentModel, Tower, TwoTowers
from tfr_listbert.registry import ENCODERS
from tfr_listbert.rows.dataset import RowBatcher, build_dataset
from tfr_listbert.rows.profile import RowProfile
from tfr_listbert.schema import InputError
from tfr_listbert.text.packing import RowPacker
from tfr_listbert.text.tokenizer import read_description, read_tokenizer
from tfr_listbert.training.checkpoints import restore_objects
from tfr_listbert.training.contents import list_files
from tfr_listbert.training.run_folder import read_profile


def read_configured_tokenizer(config: Config) -> tf.Module:
    """Returns the tokenizer in `text.folder`.

    Raises:
        InputError: if there is none, or it is not what `text` and `encoder.match_marks` ask for.
    """
    folder = config.text.folder
    tokenizer, description = read_tokenizer(folder), read_description(folder)
    # A byte-level BPE keeps case, and does not say so
    for name, found in (("tokenizer", description["kind"]), ("lowercase", description.get("lowercase", False))):
        own = getattr(config.text, name)
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
        restore_objects(config.initial, "best", "encoder.initial", encoder=encoder)
    if config.letter_marks:
        encoder.mark_letters(tokenizer.list_pieces())
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
    model, train = config.model, config.train
    if model.is_student:
        towers = _build_towers(config, batcher.packer.tokenizer, profile)
        return Ranker(config, batcher, towers, StudentModel(towers))
    encoder = build_encoder(config.encoder, batcher.packer.tokenizer, config.text.row_tokens)
    row_scorer = RowScorer(encoder, profile.widths, len(model.features), model.dropout_rate, train.max_tokens_in_memory)
    row_scorer.feature_statistics.set_statistics(profile.feature_means, profile.feature_deviations)
    return Ranker(config, batcher, row_scorer, build_ranker(row_scorer))


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


def score_split(config: Config, ranker: Ranker, split: str) -> Iterator[ScoredList]:
    """Yields each list of a split of `config.data.lists` with the scores that `ranker` gives it.

    Raises:
        InputError: if the split is missing, or lacks a field or feature that the ranker reads.
    """
    dataset = build_dataset(config.data.lists, split, ranker.batcher, config.evaluate.batch_lists)
    return ListScorer(ranker.network).score(dataset)


def read_ranker(run: str | Path, checkpoint: str | int = "best", setting: str = "train.run") -> Ranker:
    """Returns the trained ranker, or student, of a run folder.

    Args:
        run: run folder.
        checkpoint: `best`, `last` for the newest checkpoint, or the step of one that is kept.
        setting: the setting that names the run folder, for messages.

    Raises:
        InputError: if the folder holds no such run or checkpoint.
    """
    run = Path(run)
    if not (run / "config.yaml").exists():
        raise InputError(f"There is no run in {run}; run pipelines/train.py first, or set `{setting}`.")
    if not (run / "rows.json").exists():
        raise InputError(
            f"{run} holds an encoder, of pre-training or of an import, and no ranker; train one that starts from it "
            "(`encoder.initial`)."
        )
    config = read_config(run / "config.yaml")
    bare = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, initial=None))
    ranker = build_run_ranker(bare, build_batcher(config, read_tokenizer(run / "tokenizer")), read_profile(run))
    restore_objects(run, checkpoint, setting, **ranker.row_scorer.list_objects())
    return dataclasses.replace(ranker, config=config)
