"""RoBERTa under Hugging Face's names: its config and weights, in and out."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfr_listbert.encoders.block import LAYER_NORM_EPSILON
from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import RobertaShape
from tfr_listbert.schema import InputError

CONFIG_FILE = "config.json"

_PREFIX = "roberta."
_WORDS = "embeddings.word_embeddings.weight"
_TYPES = "embeddings.token_type_embeddings.weight"
_DECODER = "lm_head.decoder.weight"

# What the encoder honours, and what the reference takes where a config is silent.
_HONOURED = {
    "model_type": (("roberta",), None),
    "hidden_act": (("gelu", "gelu_python"), "gelu"),
    "layer_norm_eps": ((LAYER_NORM_EPSILON,), 1e-12),
    "position_embedding_type": (("absolute",), "absolute"),
    "is_decoder": ((False,), False),
    "add_cross_attention": ((False,), False),
    "quantization_config": ((None,), None),
}

# The parts of a layer, theirs and ours.
_LAYER_PARTS = {
    "attention.self.query": "self_attention/query",
    "attention.self.key": "self_attention/key",
    "attention.self.value": "self_attention/value",
    "attention.output.dense": "self_attention/attention_output",
    "attention.output.LayerNorm": "self_attention_layer_norm",
    "intermediate.dense": "intermediate",
    "output.dense": "output",
    "output.LayerNorm": "output_layer_norm",
}


@dataclasses.dataclass(frozen=True)
class HuggingFaceRoberta:
    """What a `config.json` says of a RoBERTa.

    Attributes:
        shape: layers, heads and widths.
        vocabulary_size: rows of the token embedding.
        pad_id: id of padding.
        dropout_rate: of embeddings and of each sublayer's output.
        attention_dropout_rate: of attention probabilities.
    """

    shape: RobertaShape
    vocabulary_size: int
    pad_id: int
    dropout_rate: float
    attention_dropout_rate: float


def read_hugging_face_config(folder: str | Path) -> HuggingFaceRoberta:
    """Returns what the `config.json` in `folder` says.

    Raises:
        InputError: if it is missing or broken, or asks for what `RobertaEncoder` does not do; the message names it.
    """
    path = Path(folder) / CONFIG_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing: `hugging_face.folder` must hold a model of the library.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a JSON object, got {type(content).__name__}.")
    for name, (allowed, default) in _HONOURED.items():
        value = content.get(name, default)
        if value not in allowed:
            raise InputError(
                f"`{name}` in {path} must be {' or '.join(map(repr, allowed))}, which is all that the encoder can "
                f"compute, got {value!r}."
            )
    return _parse_numbers(content, path)


_RATES = ("hidden_dropout_prob", "attention_probs_dropout_prob")


def _parse_numbers(content: Mapping[str, Any], path: Path) -> HuggingFaceRoberta:
    def get(name: str, least: int = 1) -> int:
        value = content.get(name)
        if type(value) is not int or value < least:
            raise InputError(f"`{name}` in {path} must be a whole number >= {least}, got {value!r}.")
        return value

    pad_id = get("pad_token_id", 0)
    shape = RobertaShape(
        layers=get("num_hidden_layers"),
        heads=get("num_attention_heads"),
        width=get("hidden_size"),
        inner_width=get("intermediate_size"),
        positions=get("max_position_embeddings", pad_id + 2) - pad_id - 1,  # theirs counts rows of the table
    )
    if shape.width % shape.heads:
        raise InputError(f"`num_attention_heads` in {path} must divide `hidden_size` {shape.width}, got {shape.heads}.")
    rates = [content.get(name, 0.1) for name in _RATES]
    for name, rate in zip(_RATES, rates, strict=True):
        if type(rate) not in (int, float) or not 0 <= rate < 1:
            raise InputError(f"`{name}` in {path} must be a number >= 0 and < 1, got {rate!r}.")
    return HuggingFaceRoberta(shape, get("vocab_size"), pad_id, *rates)


def build_hugging_face_config(model: HuggingFaceRoberta, bos_id: int, eos_id: int, has_head: bool) -> dict[str, Any]:
    """Returns the `config.json` of a model.

    Args:
        model: its numbers.
        bos_id: id of `<s>`.
        eos_id: id of `</s>`.
        has_head: whether its masked-LM head comes with it.
    """
    shape = model.shape
    return {
        "architectures": ["RobertaForMaskedLM" if has_head else "RobertaModel"],
        "model_type": "roberta",
        "vocab_size": model.vocabulary_size,
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.inner_width,
        "hidden_act": "gelu",
        "layer_norm_eps": LAYER_NORM_EPSILON,
        "max_position_embeddings": shape.positions + model.pad_id + 1,
        "type_vocab_size": 1,
        "hidden_dropout_prob": model.dropout_rate,
        "attention_probs_dropout_prob": model.attention_dropout_rate,
        "pad_token_id": model.pad_id,
        "bos_token_id": bos_id,
        "eos_token_id": eos_id,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where one of their tensors lives in our model.

    Attributes:
        variable: ours.
        shape: theirs.
        is_transposed: whether theirs is [outputs, inputs] and ours [inputs, outputs].
    """

    variable: tf.Variable
    shape: tuple[int, ...]
    is_transposed: bool = False

    def assign(self, array: np.ndarray) -> None:
        self.variable.assign(np.reshape(array.T if self.is_transposed else array, self.variable.shape))

    def get(self) -> np.ndarray:
        array = self.variable.numpy()
        return array.reshape(self.shape[::-1]).T if self.is_transposed else array.reshape(self.shape)


def _place_linear(name: str, kernel: tf.Variable, bias: tf.Variable) -> Iterator[tuple[str, _Place]]:
    outputs = math.prod(bias.shape)
    inputs = math.prod(kernel.shape) // outputs
    yield f"{name}.weight", _Place(kernel, (outputs, inputs), is_transposed=True)
    yield f"{name}.bias", _Place(bias, (outputs,))


def _place_norm(name: str, gamma: tf.Variable, beta: tf.Variable) -> Iterator[tuple[str, _Place]]:
    yield f"{name}.weight", _Place(gamma, tuple(gamma.shape))
    yield f"{name}.bias", _Place(beta, tuple(beta.shape))


def _place_encoder(encoder: RobertaEncoder) -> Iterator[tuple[str, _Place]]:
    for name, table in (
        (_WORDS, encoder.token_embedding),
        ("embeddings.position_embeddings.weight", encoder.position_embedding),
        (_TYPES, encoder.type_embedding),
    ):
        yield name, _Place(table, tuple(table.shape))
    yield from _place_norm("embeddings.LayerNorm", encoder.embedding_norm.gamma, encoder.embedding_norm.beta)
    for index, block in enumerate(encoder.blocks):
        weights = {weight.name.split("/", 1)[1].removesuffix(":0"): weight for weight in block.weights}
        for theirs, ours in _LAYER_PARTS.items():
            name = f"encoder.layer.{index}.{theirs}"
            if theirs.endswith("LayerNorm"):
                yield from _place_norm(name, weights[f"{ours}/gamma"], weights[f"{ours}/beta"])
            else:
                yield from _place_linear(name, weights[f"{ours}/kernel"], weights[f"{ours}/bias"])


def _place_head(head: tf.keras.layers.Layer) -> Iterator[tuple[str, _Place]]:
    yield from _place_linear("lm_head.dense", head.dense.kernel, head.dense.bias)
    yield from _place_norm("lm_head.layer_norm", head.norm.gamma, head.norm.beta)
    yield "lm_head.bias", _Place(head.bias, tuple(head.bias.shape))


def assign_encoder(encoder: RobertaEncoder, weights: Mapping[str, np.ndarray], source: str) -> set[str]:
    """Gives the encoder the weights of a model of the library, whatever stands before their names.

    Of token types, of which RoBERTa knows one, the first is taken.

    Args:
        encoder: built by the numbers of the model's config.
        weights: by their names, as `read_weights` gives them.
        source: where they come from, for messages.

    Returns:
        The names of the weights taken.

    Raises:
        InputError: if a weight is missing or has another shape than the config says.
    """
    words = [name for name in weights if name.endswith(_WORDS)]
    if len(words) != 1:
        raise InputError(f"{source} must hold one {_WORDS} to be a RoBERTa, got {words}.")
    prefix = words[0].removesuffix(_WORDS)
    first_type = {prefix + _TYPES: weights[prefix + _TYPES][:1]} if prefix + _TYPES in weights else {}
    places = {prefix + name: place for name, place in _place_encoder(encoder)}
    return _assign(places, {**weights, **first_type}, source)


def has_tied_head(weights: Mapping[str, np.ndarray]) -> bool:
    """Says whether there is a masked-LM head among the weights, its last product tied to the token embedding."""
    words = [weights[name] for name in weights if name.endswith(_WORDS)]
    is_tied = _DECODER not in weights or np.array_equal(weights[_DECODER], words[0])
    return "lm_head.dense.weight" in weights and is_tied


def assign_head(head: tf.keras.layers.Layer, weights: Mapping[str, np.ndarray], source: str) -> set[str]:
    """Gives an `MLMHead` its weights; arguments, result and errors as of `assign_encoder`."""
    return _assign(dict(_place_head(head)), weights, source)


def _assign(places: Mapping[str, _Place], weights: Mapping[str, np.ndarray], source: str) -> set[str]:
    for name, place in places.items():
        if name not in weights:
            raise InputError(f"{source} has no weight {name}; it is not whole, or not of the model in config.json.")
        if weights[name].shape != place.shape:
            raise InputError(
                f"{name} in {source} must be of shape {list(place.shape)}, as config.json says, got "
                f"{list(weights[name].shape)}."
            )
    for name, place in places.items():
        place.assign(weights[name])
    return set(places)


def list_weights(encoder: RobertaEncoder, head: tf.keras.layers.Layer | None = None) -> dict[str, np.ndarray]:
    """Returns the weights of an encoder, and of its `MLMHead`, by the library's names and in its shapes."""
    weights = {_PREFIX + name: place.get() for name, place in _place_encoder(encoder)}
    return weights | {name: place.get() for name, place in _place_head(head)} if head else weights
