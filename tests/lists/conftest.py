"""Runs a reader on small files and gives back everything it has to say."""

import csv
import dataclasses

import pytest

from tfr_listbert.lists.request import ReadRequest, Step
from tfr_listbert.lists.tables.rejections import Rejections
from tfr_listbert.schema import RankedList


@dataclasses.dataclass
class Reading:
    lists: list[RankedList]
    rejected: list[tuple[str, int, str, str]]
    inputs: dict
    steps: list[Step]
    passed_over: dict[str, int]
    notes: list[str]

    @property
    def labels(self) -> dict[str, dict[str, float]]:
        return {
            read.query_id: {document.document_id: document.label for document in read.documents} for read in self.lists
        }


@pytest.fixture
def read(tmp_path):
    def read_all(reader, fields=("title",), features=(), split_by="query", list_size=None, max_rate=1.0) -> Reading:
        rejected = tmp_path / "rejected.csv"
        scratch = tmp_path / f"scratch{len(list(tmp_path.glob('scratch*')))}"
        with Rejections(rejected, max_rate) as rejections:
            request = ReadRequest(
                fields=tuple(fields),
                features=tuple(features),
                optional_features=frozenset({"bm25"}),
                split_by=split_by,
                list_size=list_size,
                folder=scratch,
                rejections=rejections,
            )
            lists = list(reader.read(request))
        with rejected.open(encoding="utf-8", newline="") as file:
            rows = [
                (row["source"].rsplit("/", 1)[1], int(row["line"]), row["reason"], row["value"])
                for row in csv.DictReader(file)
            ]
        return Reading(lists, rows, rejections.inputs, request.steps, request.passed_over, request.notes)

    return read_all
