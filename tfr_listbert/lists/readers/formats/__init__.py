"""CSV, TSV, JSONL, Parquet and plain lines made alike; a module for each."""

from tfr_listbert.lists.readers.formats.base import MAX_ROW_BYTES, Source
from tfr_listbert.lists.readers.formats.csv_files import PLAIN_CSV, CSVFormat, CSVSource
from tfr_listbert.lists.readers.formats.jsonl import JSONLSource
from tfr_listbert.lists.readers.formats.lines import LinesSource
from tfr_listbert.lists.readers.formats.parquet import ParquetSource

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
