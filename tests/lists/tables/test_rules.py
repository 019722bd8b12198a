"""The first rule that a row breaks is its reason, and numbers and texts are taken as rules say."""

import math

import duckdb
import pytest

from tfr_listbert.lists.tables.rules import (
    Rule,
    build_number,
    check_rows,
    clean_numbers,
    clean_rows,
    forbid_thousands,
    limit_texts,
    require_features,
    require_numbers,
    require_text,
)


def check(rules, values, late_rules=()) -> list[tuple]:
    rows = "SELECT * FROM (VALUES " + ", ".join(f"({value})" for value in values) + ") AS t(x)"
    checked = check_rows(rows, rules, late_rules)
    return duckdb.sql(f"SELECT _reason, _value FROM ({checked})").fetchall()


def test_the_first_broken_rule_is_the_reason():
    rules = [Rule("negative", "x < 0", "x"), Rule("odd", "x % 2 <> 0", "'odd ' || x")]
    assert check(rules, ["2", "-1", "3"]) == [(None, None), ("negative", "-1"), ("odd", "odd 3")]


def test_late_rules_count_only_sound_rows():
    repeats = Rule("again", "row_number() OVER (PARTITION BY _reason IS NULL, x) > 1", "x")
    rules = [Rule("negative", "x < 0", "x")]
    expected = [("again", "1"), ("negative", "-1"), ("negative", "-1"), (None, None)]
    assert sorted(check(rules, ["1", "-1", "-1", "1"], [repeats]), key=str) == sorted(expected, key=str)


def test_what_came_is_cut_to_200_characters():
    assert check([Rule("long", "true", "x")], [f"'{'é' * 500}'"]) == [("long", "é" * 200)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("'2.5'", None),
        ("''", None),
        ("NULL", None),
        ("'x'", "x is not a number"),
        ("'y'", "x is not a number"),
        ("'-0.1'", "x is negative"),
        ("'nan'", "x is not a number"),
        ("'inf'", "x is not a number"),
        ("'1e39'", "x is not a number"),
    ],
)
def test_numbers_are_finite_and_not_negative(value, reason):
    assert check(require_numbers(["x"]), [value])[0][0] == reason


@pytest.mark.parametrize(("value", "is_sound"), [("'-2.5'", True), ("NULL", True), ("'x'", False), ("'-inf'", False)])
def test_features_may_be_negative_and_missing(value, is_sound):
    assert (check(require_features(["x"]), [value])[0][0] is None) is is_sound


def read_number(value: str, decimal: str = ".") -> tuple[float | None, str | None]:
    rows = clean_numbers(f"SELECT {value} AS x", ["x"], decimal)
    return duckdb.sql(
        f"SELECT {build_number('x')}, _reason FROM ({check_rows(rows, require_features(['x']))})"
    ).fetchall()[0]


@pytest.mark.parametrize("value", ["'nan'", "'NULL'", "'None'", "' N/A '", "'-'", r"'\N'", "'nan'::FLOAT"])
def test_what_programs_write_for_a_missing_number_is_missing(value):
    assert read_number(value) == (None, None)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("19,99", 19.99),
        ("1.299,00", 1299.0),
        ("1.299", 1299.0),
        ("-3", -3.0),
        ("1234,5", 1234.5),
        ("1.234.567", 1234567.0),
    ],
)
def test_a_comma_stands_before_decimals_where_the_config_says_so(text, number):
    assert read_number(f"'{text}'", ",") == (number, None)


@pytest.mark.parametrize("text", ["1.5", "19.99", "1,2,3", "1.2345", "?"])
def test_no_point_is_dropped_that_does_not_stand_between_thousands(text):
    assert read_number(f"'{text}'", ",") == (None, "x is not a number")


def test_a_number_with_a_comma_breaks_a_rule_of_its_own():
    assert check(require_numbers(["x"]), ["'19,99'"]) == [("x has a comma", "19,99")]


@pytest.mark.parametrize(
    ("value", "is_sound"),
    [
        ("'1.250'", False),
        ("'1.000'", True),
        ("'1.25'", True),
        ("'1250'", True),
        ("NULL", True),
    ],
)
def test_a_count_with_a_point_between_thousands_is_no_fraction(value, is_sound):
    assert (check(forbid_thousands(["x"]), [value])[0][0] is None) is is_sound


def test_typed_columns_of_parquet_are_numbers_as_they_are():
    for value, number in (("true", 1.0), ("false", 0.0), ("7::SMALLINT", 7.0), ("1.5::DECIMAL(9, 2)", 1.5)):
        assert duckdb.sql(f"SELECT {build_number('x')} FROM (SELECT {value} AS x)").fetchall() == [(number,)]
        assert check(require_numbers(["x"]), [value]) == [(None, None)]
    assert math.isnan(duckdb.sql(f"SELECT {build_number('x')} FROM (SELECT 'nan'::FLOAT AS x)").fetchall()[0][0])


def test_cleaned_texts_have_no_white_space_around_them():
    rows = "SELECT chr(160) || ' a b' || chr(10) AS x, '  ' AS y, 3 AS z"
    assert duckdb.sql(clean_rows(rows, ["x", "y", "z"])).fetchall() == [("a b", None, "3")]


def test_white_space_of_every_script_goes_and_whole_numbers_have_no_decimals():
    rows = clean_rows(
        "SELECT chr(12288) || 'a' || chr(8195) || chr(160) AS query, chr(8203) AS empty, 1001.0::DOUBLE AS id, "
        "1.50::DECIMAL(9, 2) AS price, 7.00::DECIMAL(9, 2) AS whole, '3.0' AS text",
        ["query", "empty", "id", "price", "whole", "text"],
    )
    assert duckdb.sql(rows).fetchall() == [("a", None, "1001", "1.50", "7", "3.0")]


def test_an_empty_text_and_an_overlong_one_break_their_rules():
    rules = [require_text("x", "no x"), *limit_texts(["x"])]
    reasons = [reason for reason, _ in check(rules, ["''", "repeat('é', 500000)", "repeat('é', 500001)"])]
    assert reasons == ["no x", None, "x is longer than 1,000,000 bytes"]
