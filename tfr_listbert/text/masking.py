"""RoBERTa's dynamic masking: which tokens a masked language model is to predict, and what it sees in their place."""

from __future__ import annotations

import tensorflow as tf

from tfr_listbert.config import PretrainConfig


class TokenMasker(tf.Module):
    """Chooses tokens to predict (Devlin et al. 2019, section 3.1), anew in each step (Liu et al. 2019, section 4.1).

    Of each row's n tokens `mask_rate` * n are chosen, rounded up or down at random so that the rate is kept on average,
    as in RoBERTa's own code. Special tokens and padding are never chosen, and never shown in place of another token.
    With whole words (BERT's later "whole word masking") so many words are chosen, each with all of its tokens, which
    are then replaced each on its own; a token is still chosen as often. A word begins at a space: a row in a script
    without spaces is one word, masked as a whole or not at all.
    """

    def __init__(self, tokenizer: tf.Module, settings: PretrainConfig = PretrainConfig()):  # noqa: B008
        """Builds the masker for the ids of `tokenizer`, as `read_tokenizer` gives it, with the rates of `settings`."""
        super().__init__(name="token_masker")
        self._settings = settings
        self._mask_id = tokenizer.mask_id
        special = {tokenizer.bos_id, tokenizer.pad_id, tokenizer.eos_id, tokenizer.unk_id, tokenizer.mask_id}
        self._is_special = tf.constant([index in special for index in range(tokenizer.vocabulary_size)])
        self._ordinary = tf.where(~self._is_special)[:, 0]
        self._starts_word = None
        if settings.whole_word:
            self._starts_word = tf.constant([piece.startswith(" ") for piece in tokenizer.list_pieces()])

    def mask(self, tokens: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what the model sees, and which tokens it is to predict.

        Args:
            tokens: [N, T] int32, rows of token ids with their special ones, padded.
            seed: [2] int32; decides, with the shape, all choices.

        Returns:
            [N, T] int32 and [N, T] bool.
        """
        is_chosen = self._choose(tokens, seed)
        kind = self._draw(tokens, seed, 1)
        shown = tf.fill(tf.shape(tokens), self._mask_id)
        shown = tf.where(kind < self._settings.random_rate + self._settings.kept_rate, tokens, shown)
        shown = tf.where(kind < self._settings.random_rate, self._draw_tokens(tokens, seed), shown)
        return tf.where(is_chosen, shown, tokens), is_chosen

    def _choose(self, tokens: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns which tokens are chosen, bool [N, T]: those of the words (or tokens) with the lowest draws."""
        draws = self._draw(tokens, seed, 0)  # [N, T], one for each word by its number in the row
        is_ordinary = ~tf.gather(self._is_special, tokens)
        leads = is_ordinary  # the first token of each word
        if self._starts_word is not None:
            word = tf.cumsum(tf.cast(tf.gather(self._starts_word, tokens), tf.int32), axis=1)
            draws = tf.gather(draws, word, batch_dims=1)
            before = tf.pad(tf.where(is_ordinary, word, -1)[:, :-1], [[0, 0], [1, 0]], constant_values=-1)
            leads = is_ordinary & (word != before)
        words = tf.math.count_nonzero(leads, axis=1, dtype=tf.float32)  # [N]
        rounding = tf.random.stateless_uniform(tf.shape(words), tf.random.fold_in(seed, 3), alg="philox")
        count = tf.cast(self._settings.mask_rate * words + rounding, tf.int32)
        ordered = tf.sort(tf.where(leads, draws, 2.0), axis=1)
        ordered = tf.pad(ordered, [[0, 0], [1, 0]], constant_values=-1.0)
        return is_ordinary & (draws <= tf.gather(ordered, count, batch_dims=1)[:, tf.newaxis])

    def _draw(self, tokens: tf.Tensor, seed: tf.Tensor, index: int) -> tf.Tensor:
        return tf.random.stateless_uniform(tf.shape(tokens), tf.random.fold_in(seed, index), alg="philox")

    def _draw_tokens(self, tokens: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        count = tf.size(self._ordinary)
        drawn = tf.random.stateless_uniform(
            tf.shape(tokens), tf.random.fold_in(seed, 2), 0, count, tf.int32, alg="philox"
        )
        return tf.cast(tf.gather(self._ordinary, drawn), tokens.dtype)
