"""RoBERTa's own byte-level BPE, in the graph from TensorFlow's core operations alone."""

from __future__ import annotations

import json
from pathlib import Path

import tensorflow as tf

from tfr_listbert.registry import TOKENIZERS
from tfr_listbert.schema import InputError
from tfr_listbert.text.byte_bpe_files import (
    SPECIAL_MARKS,
    ByteBPEFiles,
    build_byte_names,
    read_vocabulary_and_merges,
)
from tfr_listbert.text.merges import MergeTable
from tfr_listbert.text.tokenizer import DESCRIPTION_FILE, read_description, write_tokenizer
from tfr_listbert.text.words import split_words


@TOKENIZERS.register("byte_bpe")
class ByteBPE(tf.Module):
    """Byte-level BPE as of GPT-2 (Radford et al. 2019) and RoBERTa (Liu et al. 2019, arXiv 1907.11692).

    It gives the ids of the Hugging Face tokenizer whose files it is built from, special tokens split: what a visitor
    types never becomes a special id, `<mask>` is six characters like any other. Bytes that are not UTF-8 count as
    U+FFFD.

    Words carry the space before them, and fields are tokenized apart: give a field that follows another a template
    that begins with a space, unless the tokenizer adds one itself.

    Attributes:
        vocabulary_size: number of rows of the embedding that it is used with; all ids are below.
        bos_id, pad_id, eos_id, unk_id, mask_id: ids of `<s>`, `<pad>`, `</s>`, `<unk>` and `<mask>`.
        token_bytes: bytes of text per token of a budget that are enough for any text but long runs of one sign.
    """

    token_bytes = 32

    def __init__(self, files: ByteBPEFiles, vocabulary_size: int):
        """Builds the tokenizer from its vocabulary and merges.

        Raises:
            InputError: if the vocabulary has ids that the embedding lacks.
        """
        super().__init__(name="byte_bpe")
        symbol, index = max(files.vocabulary.items(), key=lambda item: item[1])
        if index >= vocabulary_size:
            raise InputError(
                f"The vocabulary must fit an embedding of {vocabulary_size} rows, got id {index} for {symbol!r}. "
                "Take tokenizer and weights from the same model."
            )
        self.vocabulary_size = vocabulary_size
        ids = [files.vocabulary[mark] for mark in SPECIAL_MARKS]
        self.bos_id, self.pad_id, self.eos_id, self.unk_id, self.mask_id = ids
        self.adds_space = files.add_prefix_space
        self._byte_ids = tf.constant([files.vocabulary[name] for name in build_byte_names()], tf.int32)
        letters = {name: chr(byte) for byte, name in enumerate(build_byte_names())}
        self._pieces = [""] * vocabulary_size
        for name, index in files.vocabulary.items():
            if index not in ids:
                self._pieces[index] = "".join(letters.get(letter, letter) for letter in name)
        self._merges = MergeTable(files.vocabulary, files.merges)
        # Not a decorated method: that holds its object weakly, and `read_tokenizer(folder).tokenize(...)` would fail.
        signature = [tf.TensorSpec([None], tf.string)]
        self._graph = tf.function(self._tokenize, input_signature=signature, autograph=False)

    @classmethod
    def read(cls, folder: str | Path) -> ByteBPE:
        """Returns the tokenizer in `folder`, as `write_byte_bpe` wrote it.

        Raises:
            InputError: if a file is missing or broken.
        """
        description = read_description(folder)
        for name in ("vocabulary_size", "add_prefix_space"):
            if name not in description:
                raise InputError(f"{Path(folder) / DESCRIPTION_FILE} must have `{name}`; import the tokenizer again.")
        files = read_vocabulary_and_merges(folder, description["add_prefix_space"])
        return cls(files, description["vocabulary_size"])

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of `texts` [N] string as [N, (T)] int32, without special ids."""
        return self._graph(texts)

    def list_pieces(self) -> list[str]:
        """Returns the letters of each id, as `read_tokenizer` says."""
        return list(self._pieces)

    def _tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        if self.adds_space:
            has_space = tf.equal(tf.strings.substr(texts, 0, 1), " ")
            texts = tf.where(has_space | tf.equal(texts, ""), texts, " " + texts)
        words = split_words(texts)  # [N, (W)]
        unique, index = tf.unique(words.flat_values)  # [U], [W]
        return words.with_values(tf.gather(self._tokenize_words(unique), index)).merge_dims(1, 2)

    def _tokenize_words(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids of `words` [U] string, none of them empty, as [U, (T)] int32."""
        count = tf.size(words)
        data = tf.io.decode_raw(tf.strings.reduce_join(words), tf.uint8)  # [bytes of all words]
        symbols = tf.gather(self._byte_ids, tf.cast(data, tf.int32))
        symbols, rows = self._merges.merge(symbols, tf.repeat(tf.range(count), tf.strings.length(words)))
        return tf.RaggedTensor.from_value_rowids(symbols, tf.cast(rows, tf.int64), tf.cast(count, tf.int64))


def write_byte_bpe(files: ByteBPEFiles, folder: str | Path, vocabulary_size: int) -> None:
    """Writes a byte-level BPE as a tokenizer folder of ours: `tokenizer.json`, `vocab.json` and `merges.txt`.

    Args:
        files: vocabulary and merges.
        folder: its place; a tokenizer that is there is replaced.
        vocabulary_size: rows of the embedding; may be more than there are ids.
    """
    merges = "".join(f"{left} {right}\n" for left, right in files.merges)
    content = {
        "vocab.json": json.dumps(files.vocabulary, ensure_ascii=False).encode(),
        "merges.txt": f"#version: 0.2\n{merges}".encode(),
    }
    description = {"vocabulary_size": vocabulary_size, "add_prefix_space": files.add_prefix_space}
    write_tokenizer(folder, "byte_bpe", description, content)
