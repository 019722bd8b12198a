"""Widths chosen from a histogram of lengths."""

import itertools

import numpy as np
import pytest

from tfr_listbert.rows.buckets import choose_widths


def count_tokens(lengths, widths):
    return sum(rows * min(width for width in widths if width >= length) for length, rows in lengths.items())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("buckets", [1, 2, 3])
def test_no_other_widths_leave_fewer_tokens(seed, buckets):
    draw = np.random.default_rng(seed)
    lengths = {
        int(length): int(rows) for length, rows in zip(draw.integers(3, 30, 9), draw.integers(1, 99, 9), strict=True)
    }
    widths = choose_widths(lengths, buckets, 30)
    tried = [(*chosen, 30) for chosen in itertools.combinations(range(1, 30), buckets - 1)]
    assert count_tokens(lengths, widths) == min(count_tokens(lengths, other) for other in tried)
    assert len(widths) <= buckets and widths[-1] == 30 and list(widths) == sorted(set(widths))


def test_no_more_widths_than_lengths():
    assert choose_widths({5: 10, 8: 1}, 5, 8) == (5, 8)


def test_without_rows_the_longest_row_decides():
    assert choose_widths({}, 3, 17) == (17,)
