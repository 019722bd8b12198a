"""Rejected rows are written with line and reason, and too many of them are refused with the first ones named."""

import pytest

from tfr_listbert.lists.tables.rejections import Rejections
from tfr_listbert.schema import InputError, RejectedRow

ROWS = [RejectedRow("log.csv", line, "clicks is negative", f"-{line}") for line in (3, 9)]
REASONS = {"no query": 1, "clicks is negative": 2}


def test_rows_are_written_and_counted_by_reason(tmp_path):
    with Rejections(tmp_path / "rejected.csv", 0.5) as rejections:
        row = RejectedRow("other.csv", 2, "no query", 'a "quoted", text')
        rejections.add_input("data.options.log", 10, REASONS, [*ROWS, row])
    assert (tmp_path / "rejected.csv").read_text() == (
        "source,line,reason,value\nlog.csv,3,clicks is negative,-3\nlog.csv,9,clicks is negative,-9\n"
        'other.csv,2,no query,"a ""quoted"", text"\n'
    ).replace("\n", "\r\n").replace("\r\n", "\n")
    expected = {"rows": 10, "rejected": 3, "reasons": {"clicks is negative": 2, "no query": 1}}
    assert rejections.inputs == {"data.options.log": expected}
    assert list(rejections.inputs["data.options.log"]["reasons"]) == ["clicks is negative", "no query"]


def test_too_many_are_refused_and_the_first_named(tmp_path):
    with Rejections(tmp_path / "rejected.csv", 0.2) as rejections, pytest.raises(InputError) as caught:
        rejections.add_input("data.options.log", 10, REASONS, ROWS, hint="Ids look like 'a'.")
    message = str(caught.value)
    for part in (
        "3 of 10 rows of `data.options.log` (30.0%)",
        "`data.max_rejected_rate` = 0.2",
        "clicks is negative (2); no query (1)",
        "Ids look like 'a'.",
        "log.csv line 3: clicks is negative: '-3'",
        "log.csv line 9",
    ):
        assert part in message


def test_exactly_the_rate_is_allowed(tmp_path):
    with Rejections(tmp_path / "rejected.csv", 0.3) as rejections:
        rejections.add_input("data.options.log", 10, REASONS, ROWS)


def test_one_reason_may_have_a_rate_of_its_own(tmp_path):
    with Rejections(tmp_path / "rejected.csv", 0.1, {"clicks is negative": 0.2, "never": 0.5}) as rejections:
        rejections.add_input("data.options.log", 10, REASONS, ROWS)
        with pytest.raises(InputError, match=r"above: 'data.max_rejected_rates=\{\"clicks is negative\": RATE\}'"):
            rejections.add_input("too many of it", 9, REASONS, ROWS)
        with pytest.raises(InputError, match="cannot be used, more than `data.max_rejected_rate` = 0.1 allows with"):
            rejections.add_input("too many others", 10, {**REASONS, "no query": 2}, ROWS)


def test_only_the_rows_that_are_named_are_looked_for(tmp_path):
    def find_rows():
        yield from ROWS * 2 + ROWS[:1]
        raise AssertionError("looked further than five rows")

    message = r"\(100.0%\) cannot be used, and every row must be sound: (.|\n)*Mend them.$"
    with Rejections(tmp_path / "rejected.csv") as rejections, pytest.raises(InputError, match=message):
        rejections.add_input("data.options.log", 10**6, {"no query": 10**6}, find_rows())


def test_no_rows_are_refused(tmp_path):
    with Rejections(tmp_path / "rejected.csv", 0.2) as rejections, pytest.raises(InputError, match="`x` has no rows"):
        rejections.add_input("x", 0, {}, [])
