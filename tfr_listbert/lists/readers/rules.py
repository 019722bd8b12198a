"""Rules that a row must keep, in SQL: the first one that it breaks is the reason for which it is rejected."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from tfr_listbert.lists.readers.database import quote_name, quote_text
from tfr_listbert.lists.readers.formats import MAX_ROW_BYTES

MAX_FLOAT = 3.4e38
"""Largest number that is taken; beyond it float32 knows only infinity."""


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

    >>> clean_rows("FROM log", ["query"])[:60]
    'SELECT * REPLACE (nullif(trim(CAST("query" AS VARCHAR), chr('
    """
    blanks = " || ".join(f"chr({code})" for code in (9, 10, 13, 32, 160))
    cleaned = [f"nullif(trim({build_text(name)}, {blanks}), '') AS {quote_name(name)}" for name in names]
    return f"SELECT * REPLACE ({', '.join(cleaned)}) FROM ({rows})"


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
    return [
        Rule(
            f"{name} is longer than {MAX_ROW_BYTES:,} bytes",
            f"strlen({build_text(name)}) > {MAX_ROW_BYTES}",
            build_text(name),
        )
        for name in names
    ]


def require_numbers(names: Iterable[str]) -> list[Rule]:
    """Returns rules that columns, where not empty, are finite numbers >= 0 that float32 can hold."""
    return [rule for name in names for rule in (require_finite(name), _forbid_negative(name))]


def require_features(names: Iterable[str]) -> list[Rule]:
    """Returns rules that columns, where not empty, are finite numbers that float32 can hold; NaN says "missing"."""
    return [_require_number(name, f"isnan({build_number(name)})") for name in names]


def require_finite(name: str) -> Rule:
    """Returns the rule that a column, where not empty, is a finite number that float32 can hold."""
    return _require_number(name, "false")


def _require_number(name: str, exception: str) -> Rule:
    text, number = build_text(name), build_number(name)
    is_number = f"coalesce(abs({number}) <= {MAX_FLOAT} OR {exception}, false)"
    return Rule(f"{name} is not a number", f"coalesce({text}, '') <> '' AND NOT {is_number}", text)


def _forbid_negative(name: str) -> Rule:
    return Rule(f"{name} is negative", f"{build_number(name)} < 0", build_text(name))
