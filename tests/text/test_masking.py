"""Masks: what may be chosen, how often, and what decides."""

import types

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import PretrainConfig
from tfr_listbert.text.byte_bpe import ByteBPE
from tfr_listbert.text.masking import TokenMasker
from tfr_listbert.text.tokenizer import train_tokenizer

BOS, PAD, EOS, UNK, MASK = 0, 1, 2, 3, 49
SEED = (7, 11)


def build_masker(starts=(), **settings):
    """A masker for 50 ids, of which `starts` begin a word."""
    tokenizer = types.SimpleNamespace(
        bos_id=BOS,
        pad_id=PAD,
        eos_id=EOS,
        unk_id=UNK,
        mask_id=MASK,
        vocabulary_size=50,
        list_pieces=lambda: [" a" if index in starts else "a" for index in range(50)],
    )
    return TokenMasker(tokenizer, PretrainConfig(**settings))


def mask(masker, tokens, seed=SEED):
    shown, is_chosen = masker.mask(tf.constant(tokens, tf.int32), tf.constant(seed, tf.int32))
    return shown.numpy(), is_chosen.numpy()


@pytest.fixture(scope="module")
def tokens():
    """20,000 rows `<s> 2 to 8 tokens </s>`, padded."""
    draw = np.random.default_rng(1)
    rows = np.full((20_000, 10), PAD)
    for row, length in zip(rows, draw.integers(2, 9, len(rows)), strict=True):
        row[: length + 2] = [BOS, *draw.integers(4, 49, length), EOS]
    return rows


def test_special_tokens_are_never_chosen_and_never_shown_in_place_of_others(tokens):
    for whole_word in (False, True):
        rates = {"mask_rate": 0.9, "random_rate": 1.0, "kept_rate": 0.0}
        shown, is_chosen = mask(build_masker(range(4, 49, 3), whole_word=whole_word, **rates), tokens)
        assert not is_chosen[tokens < 4].any()
        np.testing.assert_array_equal(shown[~is_chosen], tokens[~is_chosen])
        assert shown[is_chosen].min() == 4 and shown[is_chosen].max() == 48


@pytest.mark.parametrize("whole_word", [False, True])
def test_tokens_are_chosen_and_replaced_at_the_rates(tokens, whole_word):
    rates = {"mask_rate": 0.15, "random_rate": 0.1, "kept_rate": 0.1}
    shown, is_chosen = mask(build_masker(range(4, 49, 3), whole_word=whole_word, **rates), tokens)
    chosen = is_chosen.sum()  # about 15,000 of 100,000
    # beyond four standard deviations, wider where words of three tokens on average are chosen together
    assert abs(chosen / (tokens > 3).sum() - 0.15) < (0.012 if whole_word else 0.0045)
    assert abs((shown[is_chosen] == MASK).sum() / chosen - 0.8) < 0.013
    kept = (shown == tokens)[is_chosen].sum() / chosen
    assert abs(kept - (0.1 + 0.1 / 45)) < 0.01  # a random token is the same one now and then


def test_each_row_has_its_share_of_masks_rounded_up_or_down(tokens):
    _, is_chosen = mask(build_masker(), tokens)
    share = 0.15 * (tokens > 3).sum(axis=1)
    assert set(np.unique(is_chosen.sum(axis=1) - np.floor(share))) == {0, 1}
    assert is_chosen[share >= 1].any(axis=1).all()
    places = np.flatnonzero(is_chosen[(tokens > 3).sum(axis=1) == 8]) % 10
    assert np.bincount(places, minlength=10)[1:9].std() < 0.1 * np.bincount(places)[1:9].mean()  # all places alike


def test_one_seed_gives_one_mask_and_another_another(tokens):
    masker = build_masker()
    first = mask(masker, tokens)
    np.testing.assert_array_equal(first, mask(masker, tokens))
    for other in ((7, 12), (8, 11)):
        assert (mask(masker, tokens, other)[1] != first[1])[tokens > 3].mean() > 0.2  # 2 * 0.15 * 0.85 = 0.255


def test_whole_words_are_chosen_whole():
    # words: 10 20 20 | 10 | 10 20, behind a first word that begins without a sign
    rows = np.tile([BOS, 20, 10, 20, 20, 10, 10, 20, EOS], (4000, 1))
    _, is_chosen = mask(build_masker(starts=[10], whole_word=True), rows)
    words = [is_chosen[:, 1:2], is_chosen[:, 2:5], is_chosen[:, 5:6], is_chosen[:, 6:8]]
    for word in words:
        assert (word.all(axis=1) == word.any(axis=1)).all()
        assert 0.12 < word[:, 0].mean() < 0.18
    assert (is_chosen[:, 2] & ~is_chosen[:, 5]).any() and (~is_chosen[:, 2] & is_chosen[:, 5]).any()


def test_sentencepiece_says_the_letters_of_its_pieces(tmp_path):
    tokenizer = train_tokenizer(["red dress dresses redder"] * 5, tmp_path / "tokenizer", 290)
    tokens = tokenizer.tokenize(tf.constant(["Red dresses é"])).numpy()[0]
    pieces = tokenizer.list_pieces()
    assert "".join(pieces[token] for token in tokens) == " red dresses Ã©"  # é as its two bytes
    assert [pieces[index] for index in (0, 1, 2, 3, tokenizer.mask_id)] == [""] * 5


def test_byte_bpe_says_the_letters_of_its_symbols(reference, reference_files):
    tokenizer = ByteBPE(reference_files, len(reference["vocabulary"]))
    pieces = tokenizer.list_pieces()
    assert len(pieces) == tokenizer.vocabulary_size
    tokens = tokenizer.tokenize(tf.constant([" red dress é"])).numpy()[0]
    assert "".join(pieces[token] for token in tokens) == " red dress Ã©"
    special = (tokenizer.bos_id, tokenizer.pad_id, tokenizer.eos_id, tokenizer.unk_id, tokenizer.mask_id)
    assert [pieces[index] for index in special] == [""] * 5
