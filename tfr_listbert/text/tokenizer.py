"""Tokenizers: their special ids, how one is read, and SentencePiece BPE trained on the shop's own text.

Special ids never come out of text. SentencePiece holds them as control pieces, which no text matches (a user-defined
`<mask>` would be matched in what visitors type); a character without a piece becomes its UTF-8 bytes, so that every
text has its tokens.
"""

from __future__ import annotations

import collections
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import sentencepiece
import tensorflow as tf
import tensorflow_text
from sentencepiece import sentencepiece_model_pb2

from tfr_listbert.folders import replace_folder
from tfr_listbert.registry import TOKENIZERS
from tfr_listbert.schema import InputError

BOS_ID = 0
PAD_ID = 1
EOS_ID = 2
UNK_ID = 3
MASK = "<mask>"
DESCRIPTION_FILE = "tokenizer.json"
"""File in a tokenizer's folder that says of which kind it is."""

_MODEL_FILE = "sentencepiece.model"
TOKENIZER_FILES = (_MODEL_FILE, "vocab.json", "merges.txt")
"""What may lie beside it, by kind."""

_VERSION = 1
_PIECE_CHARACTERS = 16
_WORD_CHARACTERS = 256
_WORD_START = "\u2581"  # how SentencePiece writes the space before a word
_UNKNOWN_MARK = "\u2585"  # SentencePiece's own sign in training: a line that holds it is skipped


def read_tokenizer(folder: str | Path) -> tf.Module:
    """Returns the tokenizer in `folder`, of the kind that the `tokenizer.json` there names.

    Every tokenizer is a `tf.Module` with `tokenize(strings [N]) -> RaggedTensor [N, (T)] int32`, without special ids;
    `vocabulary_size`; `bos_id`, `pad_id`, `eos_id`, `unk_id` and `mask_id`; `token_bytes`, to how
    many bytes for each token of a budget a text may be cut beforehand; and `list_pieces() -> list[str]`, the letters of
    each id: with the space before a word that it begins; of a byte alone the letter of its number; of special ids none.

    Raises:
        InputError: if there is no tokenizer, its kind is unknown, or its files do not fit each other.
    """
    description = read_description(folder)
    return TOKENIZERS.get(description.get("kind", ""), f"kind in {Path(folder) / DESCRIPTION_FILE}").read(folder)


def read_description(folder: str | Path) -> dict[str, Any]:
    """Returns what the `tokenizer.json` in `folder` says.

    Raises:
        InputError: if the file is missing, broken or of a version that this package does not read.
    """
    path = Path(folder) / DESCRIPTION_FILE
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"There is no tokenizer in {folder}: {path} is missing. Run train_tokenizer first.") from None
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}. Train the tokenizer again.") from None
    version = description.get("version") if isinstance(description, dict) else None
    if version != _VERSION:
        raise InputError(f"{path} must have `version` {_VERSION}, got {version!r}. Train the tokenizer again.")
    return description


def write_tokenizer(folder: str | Path, kind: str, description: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Writes a tokenizer's folder beside its place and renames it, so that no half-written one is ever read.

    Args:
        folder: its place; a tokenizer that is there is replaced.
        kind: its key in TOKENIZERS.
        description: what `tokenizer.json` says beside kind and version.
        files: content by file name.

    Raises:
        InputError: if the folder holds something else than a tokenizer.
    """
    content = {"kind": kind, "version": _VERSION, **description}
    _require_ours(Path(folder) / DESCRIPTION_FILE)
    with replace_folder(folder, (DESCRIPTION_FILE, *TOKENIZER_FILES), "text.folder") as beside:
        (beside / DESCRIPTION_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        for name, value in files.items():
            (beside / name).write_bytes(value)


def _require_ours(path: Path) -> None:
    """Raises InputError for Hugging Face's file of the same name."""
    try:
        is_ours = "kind" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if not is_ours:
        raise InputError(f"`text.folder` has another program's {path}; name a new folder.")


@TOKENIZERS.register("sentencepiece")
class SentencePieceBPE(tf.Module):
    """SentencePiece BPE with byte fallback, in the graph through TensorFlow Text.

    Kudo and Richardson, "SentencePiece", EMNLP 2018. Its ops are `SentencepieceOp` and `SentencepieceTokenizeOp`, which
    every TensorFlow Serving has.

    Attributes:
        vocabulary_size: number of ids.
        token_bytes: most bytes of text, white space before it not counted, that one token stands for.
    """

    bos_id = BOS_ID
    pad_id = PAD_ID
    eos_id = EOS_ID
    unk_id = UNK_ID
    token_bytes = 4 * _PIECE_CHARACTERS

    def __init__(self, model: bytes):
        """Builds the tokenizer from a serialized SentencePiece model as `train_tokenizer` makes it."""
        super().__init__(name="sentencepiece_bpe")
        self.vocabulary_size = sentencepiece.SentencePieceProcessor(model_proto=model).vocab_size()
        self._tokenizer = tensorflow_text.SentencepieceTokenizer(model, out_type=tf.int32)

    @property
    def mask_id(self) -> int:
        """The id of `<mask>`: the last."""
        return self.vocabulary_size - 1

    @classmethod
    def read(cls, folder: str | Path) -> SentencePieceBPE:
        """Returns the tokenizer in `folder`.

        Raises:
            InputError: if the model is missing or broken, or is not the one that `tokenizer.json` describes.
        """
        path = Path(folder) / _MODEL_FILE
        try:
            tokenizer = cls(path.read_bytes())
        except FileNotFoundError:
            raise InputError(f"{path} is missing. Train the tokenizer again.") from None
        except RuntimeError as error:
            raise InputError(f"{path} is not a SentencePiece model: {error}. Train the tokenizer again.") from None
        expected = read_description(folder).get("vocabulary_size")
        if tokenizer.vocabulary_size != expected:
            raise InputError(
                f"{path} must hold {expected} pieces as {DESCRIPTION_FILE} beside it says, got "
                f"{tokenizer.vocabulary_size}. Train the tokenizer again."
            )
        return tokenizer

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of `texts` [N] string as [N, (T)] int32, without special ids.

        Bytes that are not UTF-8 count as U+FFFD.
        """
        return self._tokenizer.tokenize(texts)

    def list_pieces(self) -> list[str]:
        """Returns the letters of each id, as `read_tokenizer` says."""
        pieces = [piece.decode() for piece in self._tokenizer.id_to_string(tf.range(self.vocabulary_size)).numpy()]
        for index in (self.bos_id, self.pad_id, self.eos_id, self.unk_id, self.mask_id):
            pieces[index] = ""
        pieces = [re.sub(r"^<0x(..)>$", lambda byte: chr(int(byte[1], 16)), piece) for piece in pieces]
        return [piece.replace(_WORD_START, " ") for piece in pieces]


def train_tokenizer(
    texts: Iterable[str], folder: str | Path, vocabulary_size: int, lowercase: bool = True
) -> SentencePieceBPE:
    """Trains a SentencePiece BPE on `texts`, writes it to `folder` and returns it.

    What is learnt depends only on how often each word comes, not on the order of the texts: words are counted in a
    stream, so memory grows with the different words alone and no line is too long. Text is normalized by NFKC.

    Args:
        texts: any number of texts of any length.
        folder: where the tokenizer is written; one that is there is replaced.
        vocabulary_size: number of ids, the 5 special ones and the 256 bytes included.
        lowercase: whether case is folded, in training and in every text tokenized later.

    Raises:
        InputError: if there is no text, it cannot fill or does not fit a vocabulary of that size, or the folder holds
            something else than a tokenizer.
    """
    counts = _count_words(texts)
    if not counts:
        raise InputError("There is no text to train the tokenizer on: every query and field is empty.")
    model = _put_mask_last(_train_model(counts, vocabulary_size, lowercase))
    description = {"vocabulary_size": vocabulary_size, "lowercase": lowercase}
    write_tokenizer(folder, "sentencepiece", description, {_MODEL_FILE: model})
    return SentencePieceBPE.read(folder)


def _count_words(texts: Iterable[str]) -> collections.Counter[str]:
    counts: collections.Counter[str] = collections.Counter()
    for text in texts:
        counts.update(_split_words(text))
    return counts


def _split_words(text: str) -> Iterator[str]:
    for word in text.replace(_UNKNOWN_MARK, " ").replace("\0", " ").split():
        for start in range(0, len(word), _WORD_CHARACTERS):
            yield word[start : start + _WORD_CHARACTERS]


def _train_model(counts: Mapping[str, int], vocabulary_size: int, lowercase: bool) -> bytes:
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(f"{word}\t{counts[word]}".encode("utf-8", "replace") for word in sorted(counts)),
            input_format="tsv",
            model_writer=model,
            model_type="bpe",
            vocab_size=vocabulary_size,
            byte_fallback=True,
            bos_id=BOS_ID,
            pad_id=PAD_ID,
            eos_id=EOS_ID,
            unk_id=UNK_ID,
            control_symbols=[MASK],
            normalization_rule_name="nmt_nfkc_cf" if lowercase else "nmt_nfkc",
            max_sentencepiece_length=_PIECE_CHARACTERS,
            max_sentence_length=8 * _WORD_CHARACTERS,
            shuffle_input_sentence=False,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise InputError(_explain(str(error), vocabulary_size)) from None
    return model.getvalue()


def _explain(error: str, vocabulary_size: int) -> str:
    rule = "`text.vocabulary_size` must be"
    if limit := re.search(r"too high .* value <= (\d+)", error):
        return f"{rule} <= {limit[1]}, which is all that this text can fill, got {vocabulary_size}."
    if limit := re.search(r"smaller than required_chars\. \d+ vs (\d+)", error):
        return f"{rule} >= {limit[1]} to hold special ids, bytes and the text's characters, got {vocabulary_size}."
    return f"SentencePiece cannot be trained on this text: {error}."


def _put_mask_last(model: bytes) -> bytes:
    """Moves `<mask>` to the end, where RoBERTa has it; pieces carry their own merge rank, so their ids may shift."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    (mask,) = (piece for piece in proto.pieces if piece.piece == MASK)
    others = [piece for piece in proto.pieces if piece.piece != MASK]
    del proto.pieces[:]
    proto.pieces.extend([*others, mask])
    return proto.SerializeToString(deterministic=True)
