"""Judged pairs, one row each, taken in and made into lists: what the readers of judgments share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfr_listbert.lists.readers.documents import forbid_repeats
from tfr_listbert.lists.readers.spellings import add_folding
from tfr_listbert.lists.request import ReadRequest
from tfr_listbert.lists.tables.database import Database, quote_name, quote_text
from tfr_listbert.lists.tables.formats import Source
from tfr_listbert.lists.tables.intake import load_rows
from tfr_listbert.lists.tables.rules import (
    Rule,
    build_number,
    forbid_line_breaks,
    limit_texts,
    require_features,
    require_numbers,
    require_text,
)
from tfr_listbert.schema import DOCUMENT_ID, LABEL, POSITION, QUERY, QUERY_ID, SPLITS, WEIGHT

SPLIT = "split"
_MAX_POSITION = 2**31 - 1

JUDGEMENT_COLUMNS = {
    QUERY: True,
    DOCUMENT_ID: True,
    LABEL: True,
    QUERY_ID: False,
    SPLIT: False,
    WEIGHT: False,
    POSITION: False,
}
"""Columns of a table of judged pairs, and whether they are required; fields and features may stand beside them."""

NUMBER_LABEL = (require_text(LABEL, "no label"), *require_numbers([LABEL]))
"""Rules of a label that is a number from 0 up."""


def load_judgements(
    request: ReadRequest,
    database: Database,
    source: Source,
    columns: Mapping[str, str],
    label_rules: Sequence[Rule] = NUMBER_LABEL,
    late_rules: Sequence[Rule] = (),
    folds_queries: bool = False,
) -> None:
    """Makes the table `judgements` of the sound rows of judged pairs.

    The queries of one query id may differ in what `fold_query` folds.

    Args:
        request: takes the rejected rows.
        database: gets the table, and the function `fold_query`.
        source: the files.
        columns: column of the source by name, of JUDGEMENT_COLUMNS and of fields and features.
        label_rules: what the column `label` must keep.
        late_rules: as in `load_rows`, checked before that for repeated pairs.
        folds_queries: whether pairs of queries that `fold_query` makes equal are those of one list; of no effect where
            there are query ids.
    """
    rules = [
        require_text(QUERY, "no query"),
        require_text(DOCUMENT_ID, "no document id"),
        *([require_text(QUERY_ID, "no query id")] if QUERY_ID in columns else []),
        *limit_texts(name for name in columns if name not in request.features),
        *forbid_line_breaks((QUERY, DOCUMENT_ID)),
        *label_rules,
        *require_numbers(name for name in (WEIGHT, POSITION) if name in columns),
        *require_features(name for name in request.features if name in columns),
        *([_limit_position()] if POSITION in columns else []),
        *([_require_split()] if SPLIT in columns else []),
    ]
    add_folding(database)
    query = f"fold_query({quote_name(QUERY)})" if folds_queries else quote_name(QUERY)
    keys = [*([quote_name(SPLIT)] if SPLIT in columns else []), quote_name(QUERY_ID) if QUERY_ID in columns else query]
    late = [*late_rules, forbid_repeats("document in the list", [*keys, quote_name(DOCUMENT_ID)])]
    if QUERY_ID in columns:
        late.append(_forbid_second_text(keys))
    load_rows(
        request.rejections,
        database,
        source,
        "judgements",
        columns,
        rules,
        late,
        (LABEL, WEIGHT, POSITION, *request.features),
    )


def _limit_position() -> Rule:
    number = build_number(POSITION)
    return Rule(f"position is above {_MAX_POSITION:,}", f"{number} > {_MAX_POSITION}", number)


def _require_split() -> Rule:
    text = quote_name(SPLIT)
    splits = ", ".join(map(quote_text, SPLITS))
    return Rule("split is not train, validation or test", f"coalesce({text}, '') NOT IN ({splits})", text)


def _forbid_second_text(keys: Sequence[str]) -> Rule:
    text = quote_name(QUERY)
    window = f"PARTITION BY _reason IS NULL, {', '.join(keys)} ORDER BY _file, _row"
    first = f"first_value({text}) OVER ({window})"
    broken = f"CASE WHEN {first} <> {text} THEN fold_query({first}) <> fold_query({text}) ELSE false END"
    return Rule("query differs from the first one of its query id", broken, text)


def select_judgements(columns: Mapping[str, str], **changes: str) -> str:
    """Returns SQL for the columns that `stream_lists` wants of `judgements`, without fields and features.

    Args:
        columns: as given to `load_judgements`; `weight` is 1 and `position` 0 where there is none.
        **changes: other SQL for some of them, such as `label` or `split`.
    """
    expressions = {
        SPLIT: quote_name(SPLIT) if SPLIT in columns else "''",
        QUERY_ID: quote_name(QUERY_ID if QUERY_ID in columns else QUERY),
        QUERY: quote_name(QUERY),
        "query_count": "0",
        DOCUMENT_ID: quote_name(DOCUMENT_ID),
        LABEL: build_number(LABEL),
        WEIGHT: f"coalesce({build_number(WEIGHT)}, 1.0)" if WEIGHT in columns else "1.0::DOUBLE",
        POSITION: f"coalesce(CAST({build_number(POSITION)} AS BIGINT), 0)" if POSITION in columns else "0",
        **changes,
    }
    return ", ".join(f"{expression} AS {quote_name(name)}" for name, expression in expressions.items())
