"""A window starts with its first moment and ends before its last, in UTC, whatever way a log writes its times."""

import datetime

import duckdb
import pytest

from tfr_listbert.lists.readers.windows import build_time, parse_windows, require_time, split_rows
from tfr_listbert.schema import InputError

WINDOWS = parse_windows(("2022-03-01", datetime.date(2022, 3, 15)), ("2022-05-01T00:00:00+02:00", "2022-05-08"))


def find_split(value: str, windows=WINDOWS) -> tuple[str | None, str | None]:
    """Returns the split of a row that breaks `a rule`, and its reason then."""
    duckdb.sql("SET TimeZone = 'UTC'")
    rows = split_rows(f"SELECT {value} AS time, 'a rule' AS _reason", "time", windows)
    return duckdb.sql(f"SELECT _split, _reason FROM ({rows})").fetchall()[0]


def evaluate(expression: str, value: str):
    duckdb.sql("SET TimeZone = 'UTC'")
    return duckdb.sql(f"SELECT {expression} FROM (SELECT {value} AS time)").fetchall()[0][0]


@pytest.mark.parametrize(
    ("value", "split"),
    [
        ("'2022-03-01'", "train"),
        ("'2022-03-14 23:59:59.999'", "train"),
        ("'2022-03-15'", None),
        ("'2022-02-28T23:59:59Z'", None),
        ("'2022-02-28T23:59:59-02:00'", "train"),
        ("'2022-04-30T22:00:00Z'", "test"),
        ("DATE '2022-05-07'", "test"),
        ("TIMESTAMP '2022-05-08 00:00:00'", None),
        ("TIMESTAMPTZ '2022-05-08 01:00:00+02'", "test"),
        ("1646092800", "train"),  # 2022-03-01 in seconds
        ("'1646092799999'", None),  # the millisecond before
        ("1646092800000", "train"),
        ("20220314", "train"),  # a day, not a moment of 1970
        ("'20220315'", None),
        ("20220507.0", "test"),
        ("' 20220314 '", "train"),
        ("' 2022-03-14 '", "train"),
    ],
)
def test_rows_are_split_by_their_moment(value, split):
    assert find_split(value)[0] == split


@pytest.mark.parametrize(("value", "reason"), [("'2022-03-20'", None), ("'2022-03-10'", "a rule"), ("'?'", "a rule")])
def test_no_rule_is_broken_by_a_row_outside_the_windows(value, reason):
    assert find_split(value)[1] == reason


@pytest.mark.parametrize("value", ["''", "NULL", "'yesterday'", "'2022-13-01'", "20221301", "'1e300'", "'nan'"])
def test_what_is_no_moment_is_rejected(value):
    assert evaluate(build_time("time"), value) is None
    assert evaluate(require_time("time").broken, value)


@pytest.mark.parametrize("value", ["'04-03-24'", "'20240304.5'", "'infinity'", "1", "'2924-03-04'"])
def test_a_moment_that_was_misread_is_rejected(value):
    assert evaluate(require_time("time").broken, value)


def test_without_windows_no_split_is_assigned():
    assert parse_windows((), ()) == ()
    assert find_split("NULL", ()) == ("", "a rule")


def test_a_validation_window_lies_between_the_others():
    train, test = ("2022-03-01", "2022-03-15"), ("2022-05-01", "2022-05-08")
    windows = parse_windows(train, test, ("2022-04-01", "2022-04-08"))
    assert [window.split for window in windows] == ["train", "validation", "test"]
    assert find_split("'2022-04-07'", windows) == ("validation", "a rule")
    with pytest.raises(InputError, match="`data.options.validation_window` must begin when `train_window` has ended"):
        parse_windows(train, test, ("2022-03-14", "2022-03-20"))
    with pytest.raises(InputError, match="`data.options.test_window` must begin when `validation_window` has ended"):
        parse_windows(train, test, ("2022-04-01", "2022-05-02"))
    with pytest.raises(InputError, match="train_window` must be"):
        parse_windows((), (), ("2022-04-01", "2022-04-08"))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (("2022-03-01", "2022-03-15"), (), r"`data.options.test_window` must be \[start, end\], .* got \[\]"),
        (("2022-03-01",), ("2022-03-01", "2022-03-15"), "train_window` must be"),
        (("2022-03-15", "2022-03-01"), ("2022-05-01", "2022-05-02"), "The end is the first moment that no longer"),
        (("2022-03-01", "2022-03-15"), ("2022-03-14", "2022-03-20"), "must begin when"),
        (("2022-03-10", "2022-03-20"), ("2022-03-01", "2022-03-05"), "must begin when"),
        (("march", "april"), ("2022-03-14", "2022-03-20"), r"got \['march', 'april'\]"),
    ],
)
def test_windows_that_are_none_are_answered(train, test, message):
    with pytest.raises(InputError, match=message):
        parse_windows(train, test)
