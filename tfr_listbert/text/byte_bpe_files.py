"""The files in which Hugging Face keeps a byte-level BPE."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfr_listbert.schema import InputError

SPECIAL_MARKS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""Names of RoBERTa's special tokens: first, padding, last, unknown and masked."""

_EMPTY_SETTINGS = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges")
"""Settings of a BPE that must be empty or false."""


@dataclasses.dataclass(frozen=True)
class ByteBPEFiles:
    """A byte-level BPE as data.

    Attributes:
        vocabulary: id by symbol, in which each byte is one character (see `build_byte_names`).
        merges: pairs of symbols in the order of their ranks.
        add_prefix_space: whether a text that does not begin with a space gets one.
    """

    vocabulary: Mapping[str, int]
    merges: Sequence[tuple[str, str]]
    add_prefix_space: bool = False


def build_byte_names() -> list[str]:
    """Returns the character that stands for each of the 256 bytes: itself where it prints, else one from U+0100 on.

    >>> names = build_byte_names()
    >>> names[ord("a")], names[ord(" ")]
    ('a', 'Ġ')
    """
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = (chr(code) for code in range(256, 512))
    return [chr(byte) if byte in printable else next(others) for byte in range(256)]


_ADDS_SPACE = "must have true or false for `add_prefix_space`"


def read_byte_bpe_files(folder: str | Path) -> ByteBPEFiles:
    """Returns the tokenizer of a Hugging Face folder: its `tokenizer.json`, or its `vocab.json` and `merges.txt`.

    A `tokenizer_config.json` beside them says whether a space is put before each text.

    Raises:
        InputError: if files are missing or broken, or hold a tokenizer other than RoBERTa's byte-level BPE.
    """
    folder = Path(folder)
    settings = _read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    adds_space = settings.get("add_prefix_space")
    _require(adds_space in (None, True, False), f"{folder}/tokenizer_config.json", _ADDS_SPACE, adds_space)
    path = folder / "tokenizer.json"
    if path.exists():
        content = _read_json(path)
        try:
            return _parse_tokenizer(content, adds_space, str(path))
        except InputError:
            raise
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"{path} is not of the form of RoBERTa's byte-level BPE: {error}.") from None
    return read_vocabulary_and_merges(folder, bool(adds_space))


def read_vocabulary_and_merges(folder: str | Path, add_prefix_space: bool) -> ByteBPEFiles:
    """Returns the tokenizer whose `vocab.json` and `merges.txt` are in `folder`.

    Raises:
        InputError: if a file is missing or broken, or they do not fit each other.
    """
    folder = Path(folder)
    for name in ("vocab.json", "merges.txt"):
        if not (folder / name).exists():
            raise InputError(
                f"{folder / name} is missing: a byte-level BPE needs vocab.json and merges.txt, or tokenizer.json."
            )
    added = _read_json(folder / "added_tokens.json") if (folder / "added_tokens.json").exists() else {}
    for mark in added:
        _require(mark in SPECIAL_MARKS, str(folder / "added_tokens.json"), "must hold special tokens alone", mark)
    vocabulary = _add_marks(_read_json(folder / "vocab.json"), added, str(folder / "added_tokens.json"))
    lines = _read_text(folder / "merges.txt").split("\n")
    merges = [tuple(line.rstrip("\r").split(" ")) for line in lines if line.strip() and not line.startswith("#version")]
    return _check(ByteBPEFiles(vocabulary, merges, add_prefix_space), f"{folder}/vocab.json and merges.txt")


def _parse_tokenizer(content: Mapping[str, Any], adds_space: bool | None, source: str) -> ByteBPEFiles:
    model, words = content.get("model") or {}, content.get("pre_tokenizer") or {}
    _require(model.get("type", "BPE") == "BPE", source, "`model.type` must be BPE", model.get("type"))
    for name in _EMPTY_SETTINGS:
        _require(not model.get(name), source, f"`model.{name}` must be empty or false", model.get(name))
    _require(content.get("normalizer") is None, source, "`normalizer` must be null", content.get("normalizer"))
    _require(words.get("type") == "ByteLevel", source, "`pre_tokenizer.type` must be ByteLevel", words.get("type"))
    _require(words.get("use_regex", True), source, "`pre_tokenizer.use_regex` must be true", False)
    added = content.get("added_tokens") or []
    for token in added:
        _require(token.get("special"), source, "`added_tokens` must be special", token.get("content"))
    vocabulary = _add_marks(
        model.get("vocab") or {}, {token.get("content"): token.get("id") for token in added}, source
    )
    merges = [tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in model.get("merges", [])]
    adds_space = words.get("add_prefix_space", True) if adds_space is None else adds_space
    return _check(ByteBPEFiles(vocabulary, merges, adds_space), source)


def _add_marks(vocabulary: Mapping[str, int], added: Mapping[str, int], source: str) -> dict[str, int]:
    """Returns the vocabulary with the special tokens that stand beside it."""
    for mark, index in added.items():
        own = vocabulary.get(mark, index)
        _require(own == index, source, f"must give {mark!r} the id of the vocabulary, {own}", index)
    return {**vocabulary, **added}


def _check(files: ByteBPEFiles, source: str) -> ByteBPEFiles:
    vocabulary = files.vocabulary
    for mark in SPECIAL_MARKS:
        _require(mark in vocabulary, source, "must hold RoBERTa's special tokens", f"no {mark}")
    for name in build_byte_names():
        _require(name in vocabulary, source, "must hold all 256 bytes", f"no {name!r}")
    for symbol, index in vocabulary.items():
        _require(type(index) is int and index >= 0, source, f"must give {symbol!r} an id >= 0", index)
    _require(
        len(set(vocabulary.values())) == len(vocabulary), source, "must give each symbol an id of its own", "one twice"
    )
    _require(len(files.merges) > 0, source, "must hold merges", 0)
    for merge in files.merges:
        _require(len(merge) == 2, source, "must hold merges of two symbols each", merge)
        _require(
            all(part in vocabulary for part in (*merge, "".join(merge))), source, "lacks a symbol of a merge", merge
        )
        _require("".join(merge) not in SPECIAL_MARKS, source, "may not merge text into a special token", merge)
    return files


def _require(is_valid: Any, source: str, rule: str, value: Any) -> None:
    if not is_valid:
        raise InputError(f"{source} {rule}, got {value!r}. Only RoBERTa's byte-level BPE can be read.")


def _read_json(path: Path) -> Any:
    try:
        content = json.loads(_read_text(path))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a JSON object, got {type(content).__name__}.")
    return content


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not valid UTF-8: {error}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
