"""Whether a version answers the requests of clients of another one: what each asks for, read from its SavedModel."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tfr_listbert.schema import InputError

InputNames = Mapping[str, Collection[str]]
"""Names of the inputs of each signature."""

_INTERNAL = "__saved_model_init_op"  # what TensorFlow puts beside the signatures


def read_input_names(folder: Path) -> InputNames:
    """Returns the names of the inputs of each signature of a SavedModel.

    Raises:
        InputError: if it cannot be read.
    """
    path = folder / "saved_model.pb"
    try:
        saved = SavedModel.FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise InputError(f"The inputs of version {folder.name} cannot be read from {path}: {error}.") from None
    signatures = {name: own for graph in saved.meta_graphs for name, own in graph.signature_def.items()}
    return {name: set(own.inputs) for name, own in signatures.items() if name != _INTERNAL}


def describe_refusals(stable: InputNames, new: InputNames) -> str:
    """Returns what of the requests to `stable` is refused by `new`, "" if nothing is.

    >>> describe_refusals({"rank": ["query", "brand"]}, {"rank": ["query", "price"]})
    '`brand` is no input of `rank` any more; `price` is needed by `rank`'
    >>> describe_refusals({"rank": ["query"], "search": ["query"]}, {"rank": ["query"], "rank_n": ["query"]})
    'there is no `search` any more'
    """
    both = [name for name in stable if name in new]
    told = [f"there is no `{name}` any more" for name in stable if name not in new]
    for change, before, after in (("is no input of", stable, new), ("is needed by", new, stable)):
        for one in sorted({one for name in both for one in before[name] if one not in after[name]}):
            signatures = [f"`{name}`" for name in both if one in before[name] and one not in after[name]]
            told.append(f"`{one}` {change} {', '.join(signatures)}{' any more' if before is stable else ''}")
    return "; ".join(told)
