"""Sizes of the encoder by name, and the numbers that fix its weights."""

from __future__ import annotations

import dataclasses

from tfr_listbert.config import EncoderConfig
from tfr_listbert.registry import suggest
from tfr_listbert.schema import InputError


@dataclasses.dataclass(frozen=True)
class RobertaShape:
    """Numbers that fix the encoder's weights.

    Attributes:
        layers: transformer blocks.
        heads: attention heads per block; divides `width`.
        width: H, size of a token's vector.
        inner_width: size of the feed-forward layer.
        positions: longest row in tokens.
    """

    layers: int
    heads: int
    width: int
    inner_width: int
    positions: int


SIZES = {
    "tiny": RobertaShape(layers=2, heads=2, width=128, inner_width=512, positions=512),
    "mini": RobertaShape(layers=4, heads=4, width=256, inner_width=1024, positions=512),
    "listbert": RobertaShape(layers=6, heads=12, width=768, inner_width=3072, positions=512),
    "base": RobertaShape(layers=12, heads=12, width=768, inner_width=3072, positions=512),
}
"""Sizes by name; `listbert` is the paper's, `base` is RoBERTa's smaller published one."""

DEFAULT_SIZE = "mini"


def resolve_shape(config: EncoderConfig) -> RobertaShape:
    """Returns the shape of the size that `config` names, or `DEFAULT_SIZE`, with the numbers that it sets put in.

    Raises:
        InputError: if there is no such size, or the heads do not divide the width.
    """
    size = config.size or DEFAULT_SIZE
    if size not in SIZES:
        raise InputError(f"`encoder.size` names no size: got {size!r}. {suggest(size, list(SIZES))}")
    numbers = {field.name: getattr(config, field.name) for field in dataclasses.fields(RobertaShape)}
    shape = dataclasses.replace(SIZES[size], **{k: v for k, v in numbers.items() if v is not None})
    if shape.width % shape.heads:
        raise InputError(f"`encoder.heads` must divide `encoder.width`, got {shape.heads} and {shape.width}.")
    return shape
