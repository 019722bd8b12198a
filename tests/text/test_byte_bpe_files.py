"""Tests of reading Hugging Face's tokenizer files, whole and damaged."""

import json

import pytest

from tfr_listbert.schema import InputError
from tfr_listbert.text.byte_bpe_files import build_byte_names, read_byte_bpe_files


@pytest.fixture
def pair(reference_files, tmp_path):
    (tmp_path / "vocab.json").write_text(json.dumps(reference_files.vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(merge) for merge in reference_files.merges), ""]
    (tmp_path / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


@pytest.fixture
def content(reference_files):
    return {
        "added_tokens": [{"id": 0, "content": "<s>", "special": True}],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
        "model": {
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "vocab": reference_files.vocabulary,
            "merges": [" ".join(merge) for merge in reference_files.merges],
        },
    }


def test_byte_names_are_256_characters_that_print():
    names = build_byte_names()
    assert len(set(names)) == 256 and all(name.isprintable() and not name.isspace() for name in names)
    assert [names[byte] for byte in b"\0\n A\x7f\xad\xff"] == ["Ā", "Ċ", "Ġ", "A", "ġ", "Ń", "ÿ"]


def test_vocabulary_and_merges_are_read(pair, reference_files):
    assert read_byte_bpe_files(pair) == reference_files


def test_lines_may_end_as_on_windows(pair, reference_files):
    path = pair / "merges.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_byte_bpe_files(pair) == reference_files


@pytest.mark.parametrize("adds_space", [True, False])
def test_the_tokenizer_config_says_whether_a_space_is_added(pair, adds_space):
    (pair / "tokenizer_config.json").write_text(json.dumps({"add_prefix_space": adds_space}))
    assert read_byte_bpe_files(pair).add_prefix_space is adds_space


@pytest.mark.parametrize("as_pairs", [True, False])
def test_one_file_is_read_in_its_old_and_its_new_form(content, as_pairs, reference_files, tmp_path):
    if as_pairs:
        content["model"] |= {"type": "BPE", "merges": [list(merge) for merge in reference_files.merges]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert read_byte_bpe_files(tmp_path) == reference_files


def test_special_tokens_may_stand_beside_the_vocabulary(pair, content, reference_files):
    marks = ("<mask>", "</s>")
    added = {mark: reference_files.vocabulary[mark] for mark in marks}
    _change_vocabulary(pair, lambda names: [names.pop(mark) for mark in marks])
    (pair / "added_tokens.json").write_text(json.dumps(added))
    assert read_byte_bpe_files(pair) == reference_files
    content["model"]["vocab"] = {k: v for k, v in reference_files.vocabulary.items() if k not in marks}
    content["added_tokens"] += [{"id": index, "content": mark, "special": True} for mark, index in added.items()]
    (pair / "tokenizer.json").write_text(json.dumps(content))
    assert read_byte_bpe_files(pair) == reference_files


def _add_token(files, name, index):
    (files / "added_tokens.json").write_text(json.dumps({name: index}))


def _change_merge(files, merge):
    lines = (files / "merges.txt").read_text(encoding="utf-8").split("\n")
    (files / "merges.txt").write_text("\n".join([lines[0], merge, *lines[1:]]), encoding="utf-8")


def _change_vocabulary(files, change):
    vocabulary = json.loads((files / "vocab.json").read_text())
    change(vocabulary)
    (files / "vocab.json").write_text(json.dumps(vocabulary))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda files: (files / "merges.txt").unlink(), "merges.txt is missing"),
        (lambda files: (files / "vocab.json").unlink(), "vocab.json is missing"),
        (lambda files: (files / "vocab.json").write_text('{"a": '), "vocab.json is not valid JSON"),
        (lambda files: (files / "vocab.json").write_text("[1]"), "must hold a JSON object, got list"),
        (lambda files: (files / "merges.txt").write_bytes(b"\xff\xfe"), "merges.txt is not valid UTF-8"),
        (lambda files: (files / "merges.txt").write_text("#version: 0.2\n"), "must hold merges"),
        (lambda files: _change_merge(files, "a b c"), r"two symbols each, got \('a', 'b', 'c'\)"),
        (lambda files: _change_merge(files, "ß q"), r"lacks a symbol of a merge, got \('ß', 'q'\)"),
        (lambda files: _change_vocabulary(files, lambda names: names.pop("<mask>")), "special tokens, got 'no <mask>'"),
        (lambda files: _change_vocabulary(files, lambda names: names.pop("Ā")), "all 256 bytes"),
        (lambda files: _add_token(files, "[BRAND]", 900), r"must hold special tokens alone, got '\[BRAND\]'"),
        (lambda files: _add_token(files, "<s>", 900), "must give '<s>' the id of the vocabulary, 0, got 900"),
        (lambda files: _change_vocabulary(files, lambda names: names.update(a=-1)), "must give 'a' an id >= 0, got -1"),
        (
            lambda files: (
                _change_vocabulary(files, lambda names: names.update({"s>": 900})),
                _change_merge(files, "< s>"),
            ),
            "may not merge text into a special token",
        ),
    ],
)
def test_damaged_files_are_named(damage, message, pair):
    damage(pair)
    with pytest.raises(InputError, match=message):
        read_byte_bpe_files(pair)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("model", {"type": "Unigram"}, "`model.type` must be BPE, got 'Unigram'"),
        ("model", {"dropout": 0.1}, "`model.dropout` must be empty or false, got 0.1"),
        ("model", {"end_of_word_suffix": "</w>"}, "`model.end_of_word_suffix`"),
        ("pre_tokenizer", {"type": "Metaspace"}, "`pre_tokenizer.type` must be ByteLevel"),
        ("pre_tokenizer", {"use_regex": False}, "`pre_tokenizer.use_regex` must be true"),
        ("model", {"merges": [1, 2]}, "tokenizer.json is not of the form of RoBERTa's byte-level BPE"),
        ("model", {"vocab": [["a", 1]]}, "tokenizer.json is not of the form of RoBERTa's byte-level BPE"),
    ],
)
def test_a_tokenizer_of_another_kind_is_refused(part, change, message, content, tmp_path):
    content[part] |= change
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_byte_bpe_files(tmp_path)


def test_a_normalizer_and_tokens_matched_in_text_are_refused(content, tmp_path):
    for change, message in (
        ({"normalizer": {"type": "Lowercase"}}, "`normalizer` must be null"),
        (
            {"added_tokens": [{"content": "[BRAND]", "special": False}]},
            r"`added_tokens` must be special, got '\[BRAND\]'",
        ),
    ):
        (tmp_path / "tokenizer.json").write_text(json.dumps(content | change))
        with pytest.raises(InputError, match=message):
            read_byte_bpe_files(tmp_path)
