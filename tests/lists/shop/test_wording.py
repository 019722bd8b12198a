"""Choice and misspelling of words."""

import random
from collections import Counter

from tfr_listbert.lists.shop.wording import choose_typical, choose_word, misspell


def edits(a, b):
    """Damerau-Levenshtein distance, by the textbook recursion over prefixes."""
    table = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            cost = a[i - 1] != b[j - 1]
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + cost)
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[len(a), len(b)]


def test_misspelling_is_at_most_one_edit_and_keeps_the_first_letter():
    rng = random.Random(1)
    misspelt = [misspell("sneakers", rng) for _ in range(200)]
    assert all(edits("sneakers", word) <= 1 and word[0] == "s" for word in misspelt)
    assert len(set(misspelt)) > 10


def test_short_words_are_not_misspelt():
    assert misspell("red tee", random.Random(1)) == "red tee"


def test_the_first_word_is_the_commonest_and_every_word_occurs():
    rng = random.Random(1)
    counts = Counter(choose_word(("sneakers", "trainers", "kicks"), rng) for _ in range(1000))
    assert counts.most_common(1)[0][0] == "sneakers"
    assert min(counts[word] for word in ("sneakers", "trainers", "kicks")) > 150


def test_typical_values_fall_with_their_rank():
    counts = Counter(choose_typical("abc", random.Random(seed)) for seed in range(2000))
    assert counts["a"] > counts["b"] > counts["c"] > 200
