"""How words are chosen, and how they are misspelt: the same for vendors and visitors."""

from __future__ import annotations

import random
from collections.abc import Sequence

_FIRST_WORD_RATE = 0.45  # half of all people use the commonest word, the others share the rest


def choose_word(words: Sequence[str], rng: random.Random) -> str:
    """Returns one of the words, the first of which is the commonest."""
    if len(words) == 1 or rng.random() < _FIRST_WORD_RATE:
        return words[0]
    return words[rng.randrange(1, len(words))]


def choose_typical(values: Sequence[str], rng: random.Random) -> str:
    """Returns one of the values, the k-th with a chance proportional to 1 / k."""
    return rng.choices(values, weights=[1 / (rank + 1) for rank in range(len(values))])[0]


def misspell(text: str, rng: random.Random) -> str:
    """Returns the text with one letter of a word of five letters or more dropped, doubled, swapped or replaced.

    A text without such a word comes back as it is, and so does one in eleven others, where a letter takes the place of
    its equal. First letters stay, as they mostly do when people type.

    >>> misspell("red sneakers", random.Random(1))
    'red sneakres'
    """
    words = text.split(" ")
    long_words = [index for index, word in enumerate(words) if len(word) >= 5]
    if not long_words:
        return text
    index = rng.choice(long_words)
    words[index] = _change_letter(words[index], rng)
    return " ".join(words)


def _change_letter(word: str, rng: random.Random) -> str:
    place = rng.randrange(1, len(word) - 1)
    before, letter, following, after = word[:place], word[place], word[place + 1], word[place + 2 :]
    changed = rng.choice(["", letter * 2, following + letter, rng.choice("aeiou")])
    return before + changed + after if changed == following + letter else before + changed + following + after
