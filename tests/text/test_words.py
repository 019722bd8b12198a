"""Tests of GPT-2's word boundaries, emulated without lookahead."""

import pytest
import tensorflow as tf

from tfr_listbert.text.words import split_words


def split(text):
    return [word.decode() for word in split_words(tf.constant([text])).to_list()[0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("red dress", ["red", " dress"]),
        ("  red   dress  ", [" ", " red", "  ", " dress", "  "]),
        ("red\n\ndress\t", ["red", "\n", "\n", "dress", "\t"]),
        ("a\u00a0\u3000b \u2003", ["a", "\u00a0", "\u3000", "b", " \u2003"]),
        ("men's isn't O'S", ["men", "'s", " isn", "'t", " O", "'", "S"]),
        ("size 42,5!", ["size", " 42", ",", "5", "!"]),
        ("größe²赤い", ["größe", "²", "赤い"]),
        ("a\0b", ["a", "\0", "b"]),
    ],
)
def test_words_are_those_of_the_original_expression(text, words):
    assert split(text) == words


def test_every_code_point_is_of_the_reference_class(reference):
    text = {"L": "", "N": "", "O": "", "S": ""}
    for first, last, kind in reference["classes"]:
        text[kind] += "".join(map(chr, range(first, last + 1)))
    assert sum(map(len, text.values())) == 0x110000 - 0x800
    for kind in text:
        assert split(text[kind]) == [text[kind]], kind
    assert split("a" + text["S"][0] + "1") == ["a", text["S"][0], "1"]


def test_bytes_that_are_no_text_become_replacement_characters():
    for data in (b"a\xffb", b"\xff\xff", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80 x", b"a\xffb\0c"):
        joined = b"".join(split_words(tf.constant([data])).to_list()[0])
        assert joined.decode() == data.decode(errors="replace")
