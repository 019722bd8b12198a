"""CSV, TSV, JSONL, Parquet and plain lines made alike; a module for each."""

from tfr_listbert.lists.tables.formats.base import MAX_ROW_BYTES, Source
from tfr_listbert.lists.tables.formats.csv_files import PLAIN_CSV, CSVFormat, CSVSource
from tfr_listbert.lists.tables.formats.jsonl import JSONLSource
from tfr_listbert.lists.tables.formats.lines import LinesSource
from tfr_listbert.lists.tables.formats.parquet import ParquetSource

__all__ = [
    "MAX_ROW_BYTES",
    "PLAIN_CSV",
    "CSVFormat",
    "CSVSource",
    "JSONLSource",
    "LinesSource",
    "ParquetSource",
    "Source",
]
