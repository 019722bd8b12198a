"""Rules that a row must keep, in SQL: the first one that it breaks is the reason for which it is rejected."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from tfr_listbert.lists.tables.database import quote_name, quote_text
from tfr_listbert.lists.tables.formats import MAX_ROW_BYTES

MAX_FLOAT = 3.4e38
"""Largest number that is taken; beyond it float32 knows only infinity."""


HAS_COMMA = "has a comma"
"""End of the reason of a row with a comma in a number; what helps is its source's `comma_hint`."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule over the columns of a row.

    Attributes:
        reason: what is wrong with a row that breaks it; one wording for all such rows.
        broken: SQL condition that holds where it is broken.
        value: SQL text of what came.
    """

    reason: str
    broken: str
    value: str


def clean_rows(rows: str, names: Iterable[str]) -> str:
    """Returns `rows` with the named columns as text without white space around it, NULL where nothing is left.

    Numbers lose decimals that are all zero: a Parquet file holds whole numbers as DOUBLE where some are missing, and
    1001.0 is not the id of the product 1001.
    """
    cleaned = [f"nullif(trim({_build_cleaned(name)}, {_BLANKS}), '') AS {quote_name(name)}" for name in names]
    return f"SELECT * REPLACE ({', '.join(cleaned)}) FROM ({rows})"


_MISSING = ", ".join(map(quote_text, ("nan", "null", "none", "n/a", "na", "-", r"\n")))
r"""What is no number; databases write `\N` for NULL."""

_WITH_COMMA = "-?([0-9]+|[0-9]{1,3}([.][0-9]{3})+)(,[0-9]+)?"


def clean_numbers(rows: str, names: Iterable[str], decimal: str = ".") -> str:
    """Returns `rows` with NULL in the named columns for NaN and for what programs write where a number is missing.

    Args:
        rows: a query.
        names: columns of numbers, or of their texts.
        decimal: sign before the decimals of texts, `csv.decimal`: where it is a comma, 1.234,5 is written as 1234.5 and
            a point between other numbers makes them none.
    """
    names = list(names)
    if not names:
        return rows
    cleaned = []
    for name in names:
        text, number = f"trim({build_text(name)})", quote_name(name)
        if decimal == ",":
            plain = f"replace(replace({text}, '.', ''), ',', '.')"
            other = f"{text} || CASE WHEN contains({text}, '.') THEN ' (`csv.decimal` is a comma)' ELSE '' END"
            number = f"CASE WHEN regexp_full_match({text}, '{_WITH_COMMA}') THEN {plain} ELSE {other} END"
        cleaned.append(f"CASE WHEN lower({text}) NOT IN ({_MISSING}) THEN {number} END AS {quote_name(name)}")
    return f"SELECT * REPLACE ({', '.join(cleaned)}) FROM ({rows})"


_BLANK_CODES = (
    *range(9, 14),
    32,
    133,
    160,
    0x1680,
    *range(0x2000, 0x200C),
    0x2028,
    0x2029,
    0x202F,
    0x205F,
    0x3000,
    0xFEFF,
)
_BLANKS = " || ".join(f"chr({code})" for code in _BLANK_CODES)
"""Unicode's white space, and the zero-width space and byte-order mark that copied text brings along."""


def _build_cleaned(name: str) -> str:
    text, kind = build_text(name), f"typeof({quote_name(name)})"
    is_number = f"{kind} IN ('FLOAT', 'DOUBLE') OR {kind} LIKE 'DECIMAL%'"
    return f"CASE WHEN {is_number} THEN regexp_replace({text}, '[.]0+$', '') ELSE {text} END"


def build_text(name: str) -> str:
    """Returns SQL for a column as text, whatever type it has in a Parquet file.

    >>> build_text("query")
    'CAST("query" AS VARCHAR)'
    """
    return f"CAST({quote_name(name)} AS VARCHAR)"


def build_number(name: str) -> str:
    """Returns SQL for a column as a number, true being 1 and false 0; NULL where it is none."""
    truth = f"CASE lower({build_text(name)}) WHEN 'true' THEN 1.0 WHEN 'false' THEN 0.0 END"
    return f"coalesce(TRY_CAST({quote_name(name)} AS DOUBLE), {truth})"


def check_rows(rows: str, rules: Sequence[Rule], late_rules: Sequence[Rule] = ()) -> str:
    """Returns a query that adds two columns to `rows`: `_reason`, of the first rule broken or NULL, and `_value`.

    Args:
        rows: a query.
        rules: looked at in turn.
        late_rules: looked at then, for rows that keep all of `rules`; they may count other rows by a window over those
            whose `_reason` is NULL.
    """
    checked = _apply_rules(f"SELECT *, NULL::VARCHAR AS _reason, NULL::VARCHAR AS _value FROM ({rows})", rules)
    return _apply_rules(checked, late_rules) if late_rules else checked


def _apply_rules(rows: str, rules: Sequence[Rule]) -> str:
    conditions = " ".join(f"WHEN {rule.broken} THEN {index}" for index, rule in enumerate(rules))
    reasons = " ".join(f"WHEN {index} THEN {quote_text(rule.reason)}" for index, rule in enumerate(rules))
    values = " ".join(f"WHEN {index} THEN CAST({rule.value} AS VARCHAR)[:200]" for index, rule in enumerate(rules))
    return (
        f"SELECT * EXCLUDE (_rule) REPLACE (CASE _rule {reasons} ELSE _reason END AS _reason, "
        f"CASE _rule {values} ELSE _value END AS _value) "
        f"FROM (SELECT *, CASE WHEN _reason IS NOT NULL THEN NULL {conditions} END AS _rule FROM ({rows}))"
    )


def forbid_broken(reason: str) -> Rule:
    """Returns the rule for rows that a source gives as `_broken`."""
    return Rule(reason, "_broken IS NOT NULL", "_broken")


def require_text(name: str, reason: str) -> Rule:
    """Returns the rule that a column is not empty."""
    return Rule(reason, f"coalesce({build_text(name)}, '') = ''", "''")


def limit_texts(names: Iterable[str]) -> list[Rule]:
    """Returns rules that texts are not too long; they also make DuckDB look at the encoding of each."""
    reason = f"is longer than {MAX_ROW_BYTES:,} bytes"
    return _forbid_texts(names, reason, lambda text: f"strlen({text}) > {MAX_ROW_BYTES}")


def forbid_line_breaks(names: Iterable[str]) -> list[Rule]:
    """Returns rules that texts have one line: one of several is mostly of a quote that was not closed."""
    reason = "holds a line break; is a quote before it not closed, or not doubled?"
    return _forbid_texts(names, reason, lambda text: f"regexp_matches({text}, '[\\r\\n]')")


def _forbid_texts(names: Iterable[str], reason: str, is_broken: Callable[[str], str]) -> list[Rule]:
    return [Rule(f"{name} {reason}", is_broken(build_text(name)), build_text(name)) for name in names]


def require_numbers(names: Iterable[str]) -> list[Rule]:
    """Returns rules that columns, where not empty, are finite numbers >= 0 that float32 can hold."""
    return [rule for name in names for rule in (_forbid_comma(name), require_finite(name), _forbid_negative(name))]


def forbid_thousands(names: Iterable[str]) -> list[Rule]:
    """Returns rules that counts are not written with a point between thousands: 1.250 would be read as 1.25."""
    return [
        Rule(
            f"{name} has three decimals; if the point stands between thousands, leave it out",
            f"regexp_full_match({build_text(name)}, '[0-9]{{1,3}}[.][0-9]{{3}}') AND {build_number(name)} % 1 <> 0",
            build_text(name),
        )
        for name in names
    ]


def require_features(names: Iterable[str]) -> list[Rule]:
    """Returns rules that columns, where not empty, are finite numbers that float32 can hold."""
    return [rule for name in names for rule in (_forbid_comma(name), require_finite(name))]


def require_finite(name: str) -> Rule:
    """Returns the rule that a column, where not empty, is a finite number that float32 can hold."""
    text = build_text(name)
    is_number = f"coalesce(abs({build_number(name)}) <= {MAX_FLOAT}, false)"
    return Rule(f"{name} is not a number", f"coalesce({text}, '') <> '' AND NOT {is_number}", text)


def _forbid_comma(name: str) -> Rule:
    text = build_text(name)
    return Rule(f"{name} {HAS_COMMA}", f"regexp_full_match({text}, '-?[0-9.]*,[0-9]+')", text)


def _forbid_negative(name: str) -> Rule:
    return Rule(f"{name} is negative", f"{build_number(name)} < 0", build_text(name))
