"""GPT-2's cutting of text into words, which byte-level BPE never merges across, from RE2 alone.

The original is one expression, GPT-2's and that of every tokenizer made after it:

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+

RE2 has no lookahead, knows ASCII white space only, and its tables end with Unicode 15.0. So each run of white space
before a word is first cut before its last character, which leaves nothing to look ahead for; white space is spelt out;
and the letters and numbers of Unicode 15.1 and 16 are added. Code points assigned later count as neither.
"""

from __future__ import annotations

import tensorflow as tf

WHITE_SPACE = r"\t\n\v\f\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}"
"""Unicode's White_Space, as the inside of a class."""

NEWER_LETTERS = (
    r"\x{1C89}-\x{1C8A}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3}\x{10D4A}-\x{10D65}\x{10D6F}-\x{10D85}"
    r"\x{10EC2}-\x{10EC4}\x{11380}-\x{11389}\x{1138B}\x{1138E}\x{11390}-\x{113B5}\x{113B7}\x{113D1}\x{113D3}"
    r"\x{11BC0}-\x{11BE0}\x{13460}-\x{143FA}\x{16100}-\x{1611D}\x{16D40}-\x{16D6C}\x{18CFF}\x{1E5D0}-\x{1E5ED}"
    r"\x{1E5F0}\x{2EBF0}-\x{2EE5D}"
)
"""Letters that RE2's tables lack, as the inside of a class."""

NEWER_NUMBERS = (
    r"\x{10D40}-\x{10D49}\x{116D0}-\x{116E3}\x{11BF0}-\x{11BF9}\x{16130}-\x{16139}\x{16D70}-\x{16D79}"
    r"\x{1CCF0}-\x{1CCF9}\x{1E5F1}-\x{1E5FA}"
)
"""Numbers that RE2's tables lack, as the inside of a class."""

_LETTER = rf"\p{{L}}{NEWER_LETTERS}"
_NUMBER = rf"\p{{N}}{NEWER_NUMBERS}"
_WORD = rf"'s|'t|'re|'ve|'m|'ll|'d| ?[{_LETTER}]+| ?[{_NUMBER}]+| ?[^{WHITE_SPACE}{_LETTER}{_NUMBER}]+|[{WHITE_SPACE}]+"
_LONG_SPACE = rf"([{WHITE_SPACE}]+)([{WHITE_SPACE}][^{WHITE_SPACE}])"
_CUT = b"\xff"  # a byte that no UTF-8 text holds


def split_words(texts: tf.Tensor) -> tf.RaggedTensor:
    """Returns the words of `texts` [N] string as [N, (W)]; joined, they are the text again.

    Bytes that are not UTF-8 become U+FFFD first, as Python's `decode(errors="replace")` does it.
    """
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
    texts = tf.strings.regex_replace(texts, _LONG_SPACE, rb"\1" + _CUT + rb"\2")
    words = tf.strings.split(tf.strings.regex_replace(texts, _WORD, rb"\0" + _CUT), _CUT)
    return tf.ragged.boolean_mask(words, words != "")
