"""Run folders from Hugging Face's models, and back."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfr_listbert.config import Config, EncoderConfig, read_config, write_config
from tfr_listbert.encoders.hugging_face import (
    CONFIG_FILE,
    HuggingFaceRoberta,
    assign_encoder,
    assign_head,
    build_hugging_face_config,
    has_tied_head,
    list_weights,
    read_hugging_face_config,
)
from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import resolve_shape
from tfr_listbert.encoders.weight_files import read_weights, write_weights
from tfr_listbert.folders import replace_folder
from tfr_listbert.models.masked_lm import MLMHead
from tfr_listbert.schema import InputError
from tfr_listbert.text.byte_bpe import ByteBPE, write_byte_bpe
from tfr_listbert.text.byte_bpe_files import read_byte_bpe_files
from tfr_listbert.text.tokenizer import TOKENIZER_FILES, read_description, read_tokenizer
from tfr_listbert.training.checkpoints import holds_object, restore_objects


def import_hugging_face(config: Config) -> None:
    """Makes the run folder `train.run` of the RoBERTa in `hugging_face.folder`: encoder, tokenizer, masked-LM head.

    The encoder computes what the library's does, to float32's last digits; the tokenizer gives its ids. A ranker starts
    from the folder by `encoder.initial`, as from one that was pre-trained here.

    Raises:
        InputError: if the run folder exists, a file is missing, damaged or does not fit the others, or the model is
            not one that `RobertaEncoder` can compute.
    """
    run, source = Path(config.train.run), Path(config.hugging_face.folder)
    if run.exists():
        raise InputError(f"`train.run` must be a new folder, got {run}, which exists. Choose another or remove it.")
    model = read_hugging_face_config(source)
    files = read_byte_bpe_files(source)
    _require_padding(ByteBPE(files, model.vocabulary_size), model, source)
    weights_path = source / config.hugging_face.weights
    weights = read_weights(weights_path)
    objects, taken = _build_objects(model, weights, str(weights_path))
    with replace_folder(run, ("config.yaml",), "train.run") as folder:
        write_byte_bpe(files, folder / "tokenizer", model.vocabulary_size)
        tf.train.CheckpointManager(tf.train.Checkpoint(**objects), str(folder / "best"), max_to_keep=1).save(0)
        write_config(_describe_run(config, model), folder / "config.yaml")
    print(_summarize(run, model, "mlm_head" in objects, sorted(set(weights) - taken)))


def _require_padding(tokenizer: ByteBPE, model: HuggingFaceRoberta, source: Path) -> None:
    if tokenizer.pad_id != model.pad_id:
        raise InputError(
            f"`pad_token_id` in {source / CONFIG_FILE} must be the id of <pad> in the vocabulary, {tokenizer.pad_id}, "
            f"got {model.pad_id}."
        )


def _build_objects(
    model: HuggingFaceRoberta, weights: Mapping[str, np.ndarray], source: str
) -> tuple[dict[str, tf.keras.layers.Layer], set[str]]:
    """Returns encoder and, where it is there, head under the names that checkpoints have; and the weights taken."""
    encoder = RobertaEncoder(model.vocabulary_size, model.shape, pad_id=model.pad_id)
    taken = assign_encoder(encoder, weights, source)
    if not has_tied_head(weights):
        return {"encoder": encoder}, taken
    head = MLMHead(model.vocabulary_size, model.shape.width)
    return {"encoder": encoder, "mlm_head": head}, taken | assign_head(head, weights, source)


def _describe_run(config: Config, model: HuggingFaceRoberta) -> Config:
    numbers = dataclasses.asdict(model.shape)
    rates = {"dropout_rate": model.dropout_rate, "attention_dropout_rate": model.attention_dropout_rate}
    text = {"vocabulary_size": model.vocabulary_size, "folder": str(Path(config.train.run) / "tokenizer")}
    return dataclasses.replace(
        config,
        text=dataclasses.replace(config.text, tokenizer="byte_bpe", lowercase=False, **text),
        encoder=EncoderConfig(type="roberta", **numbers, **rates),
    )


def _summarize(run: Path, model: HuggingFaceRoberta, has_head: bool, left: Sequence[str]) -> str:
    numbers = ", ".join(f"{name}: {value}" for name, value in dataclasses.asdict(model.shape).items())
    return (
        f"{run}: an encoder of {model.shape.layers} layers, width {model.shape.width} and {model.vocabulary_size} ids, "
        f"{'with' if has_head else 'without'} its masked-LM head. Weights left out: {', '.join(left) or 'none'}.\n"
        f"To start a ranker from it:\n  text: {{tokenizer: byte_bpe, lowercase: false, folder: {run}/tokenizer}}\n"
        f"  encoder: {{initial: {run}, {numbers}}}"
    )


def export_hugging_face(config: Config) -> None:
    """Writes the best encoder of the run `train.run`, and its masked-LM head if it has one, to `hugging_face.folder`.

    The library loads the folder as `RobertaForMaskedLM`, or `RobertaModel`, and computes the same. The tokenizer goes
    with it: a byte-level BPE in the library's own files, a SentencePiece model as the file that it is.

    Raises:
        InputError: if there is no such run or checkpoint, the folder to write exists, or the encoder marks matches,
            which the library's does not.
    """
    run, target = Path(config.train.run), Path(config.hugging_face.folder)
    if target.exists():
        raise InputError(f"`hugging_face.folder` must be a new folder, got {target}, which exists. Choose another.")
    if not (run / "config.yaml").exists():
        raise InputError(f"There is no run in {run}; set `train.run` to a run folder.")
    config, tokenizer = read_config(run / "config.yaml"), read_tokenizer(run / "tokenizer")
    for name in config.encoder.marks:
        raise InputError(
            f"`encoder.{name}` of the run {run} must be false, got true: the library's RoBERTa does not mark what "
            "query and document share, so it would compute something else for them."
        )
    model = _describe_model(config, tokenizer)
    objects = _restore_best(run, model)
    content = build_hugging_face_config(model, tokenizer.bos_id, tokenizer.eos_id, "mlm_head" in objects)
    with replace_folder(target, (CONFIG_FILE,), "hugging_face.folder") as folder:
        (folder / CONFIG_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        write_weights(folder / "model.safetensors", list_weights(objects["encoder"], objects.get("mlm_head")))
        _write_tokenizer_files(run / "tokenizer", model.shape.positions, folder)
    print(f"{target}: {content['architectures'][0]} of {run}.")


def _describe_model(config: Config, tokenizer: tf.Module) -> HuggingFaceRoberta:
    return HuggingFaceRoberta(
        resolve_shape(config.encoder),
        tokenizer.vocabulary_size,
        tokenizer.pad_id,
        config.encoder.dropout_rate,
        config.encoder.attention_dropout_rate,
    )


def _restore_best(run: Path, model: HuggingFaceRoberta) -> dict[str, tf.keras.layers.Layer]:
    encoder = RobertaEncoder(model.vocabulary_size, model.shape, pad_id=model.pad_id)
    restore_objects(run, "best", encoder=encoder)
    if not holds_object(run, "mlm_head"):
        return {"encoder": encoder}
    head = MLMHead(model.vocabulary_size, model.shape.width)
    restore_objects(run, "best", mlm_head=head)
    return {"encoder": encoder, "mlm_head": head}


def _write_tokenizer_files(source: Path, positions: int, target: Path) -> None:
    description = read_description(source)
    for name in TOKENIZER_FILES:
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
    if description["kind"] == "byte_bpe":
        settings = {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": description["add_prefix_space"]}
        content = json.dumps({**settings, "model_max_length": positions}, indent=2)
        (target / "tokenizer_config.json").write_text(content + "\n", encoding="utf-8")
    else:
        print(
            "The tokenizer is a SentencePiece model, for which the library's RoBERTa has no class: make token ids of "
            f"text by sentencepiece.model itself, as `{description['kind']}` here does."
        )
