"""From a source to shards: read, split, select, add what is computed, write and count."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

import tfr_listbert.lists.readers  # noqa: F401  (registers the readers)
from tfr_listbert.config import Config, DataConfig, build_dataclass
from tfr_listbert.folders import replace_folder
from tfr_listbert.lists.bm25 import BM25
from tfr_listbert.lists.elwc import ShardWriter, read_lists
from tfr_listbert.lists.request import Reader, ReadRequest, Step
from tfr_listbert.lists.selection import Selection
from tfr_listbert.lists.splits import QuerySet, choose_split, mark_seen
from tfr_listbert.lists.statistics import COMPUTES_BM25, STATISTICS_FILE, SplitStatistics, format_summary
from tfr_listbert.lists.tables.rejections import Rejections
from tfr_listbert.registry import READERS
from tfr_listbert.schema import BM25_FEATURE, SPLITS, InputError, RankedList, set_feature

REJECTED_FILE = "rejected.csv"
_NAMES = (STATISTICS_FILE, REJECTED_FILE, *(f"{split}-*.tfrecord" for split in SPLITS), "tokens-*", ".tokens-*")


def prepare_data(config: Config) -> None:
    """Writes the shards, `stats.json` and `rejected.csv` of `config.data` and prints a summary.

    The folder `data.lists` is made beside and takes its place when it is complete. Lists are passed through twice: what
    the first pass reads is kept on disk, since only then the training queries and the documents are known. Memory holds
    the reader's database (its limit is the reader's option), a hash of each query, the ids of the documents and, if
    `bm25` is to be computed, their texts; never the log.

    Raises:
        InputError: if settings, files or too many rows cannot be used, or no list is left.
    """
    data = config.data
    reader = build_dataclass(READERS.get(data.reader, "data.reader"), data.options, "data.options")
    with replace_folder(data.lists, _NAMES, "data.lists") as folder:
        statistics = _write_lists(data, reader, folder, folder / "scratch")
        shutil.rmtree(folder / "scratch")
        (folder / STATISTICS_FILE).write_text(json.dumps(statistics, indent=1, ensure_ascii=False), encoding="utf-8")
    print(format_summary(statistics))
    print(f"Written to {data.lists}.")


def _write_lists(data: DataConfig, reader: Reader, folder: Path, scratch: Path) -> dict[str, Any]:
    """Writes shards and rejected rows to `folder` and returns what `stats.json` holds."""
    with Rejections.as_configured(folder / REJECTED_FILE, data, _name_refused(data)) as rejections:
        request = ReadRequest(
            fields=data.fields,
            features=data.features,
            optional_features=frozenset({BM25_FEATURE}),
            split_by=data.split.by,
            list_size=data.list_size,
            folder=scratch / "database",
            rejections=rejections,
        )
        passage = _FirstPass(data)
        passage.run(reader.read(request), scratch)
    steps = [*request.steps, *passage.selection.build_steps()]
    for split in ("train", "test") if data.split.by == "time" else ("train",):
        if not passage.counts[split]:
            raise InputError(_describe_lack(split, steps, request))
    return {
        "reader": data.reader,
        "inputs": rejections.inputs,
        "passed_over": request.passed_over,
        "notes": request.notes,
        "steps": [dataclasses.asdict(step) for step in steps],
        COMPUTES_BM25: bool(passage.texts),
        "splits": _write_splits(data, passage, folder, scratch),
    }


def _name_refused(data: DataConfig) -> Path:
    """Returns the file that lists the rejected rows of an input that is refused, beside the lists."""
    return Path(data.lists).with_name(f"{Path(data.lists).name}.{REJECTED_FILE}")


def _describe_lack(split: str, steps: Sequence[Step], request: ReadRequest) -> str:
    counts = [f"{step.name}: {step.lists:,} lists, {step.documents:,} documents" for step in steps]
    counts += [f"{what}: {count:,}" for what, count in request.passed_over.items()]
    counts += request.notes
    return (
        f"No {split} list is left. All splits together, step by step: {'; '.join(counts)}. See the windows and "
        "thresholds in `data.options`, `data.split` and `data.min_list`; a log must also hold what nobody clicked."
    )


class _FirstPass:
    """Reads every list once, keeps those selected on disk, and what can only be known at the end."""

    def __init__(self, data: DataConfig):
        self.selection = Selection(data.list_size, data.min_list, data.min_test_list, data.keep_equal_labels)
        self.trained = QuerySet()
        self.counts = collections.Counter()
        self.texts: dict[str, str] = {}
        self._split = data.split
        self._needs_bm25 = BM25_FEATURE in data.features

    def run(self, lists: Iterator[RankedList], scratch: Path) -> None:
        """Writes the selected lists to shards in `scratch`."""
        with contextlib.ExitStack() as stack:
            writers = {split: stack.enter_context(ShardWriter(scratch, split)) for split in SPLITS}
            for ranked_list in tqdm(lists, desc="reading", unit=" lists"):
                split = choose_split(ranked_list, self._split)
                chosen = self.selection.choose_list(ranked_list, split)
                if chosen is not None:
                    self.counts[split] += 1
                    writers[split].write(chosen)
                    self._note(chosen, split)

    def _note(self, ranked_list: RankedList, split: str) -> None:
        if split == "train":
            self.trained.add(ranked_list.query)
        if not self._needs_bm25:
            return
        if any(not math.isnan(document.features[BM25_FEATURE]) for document in ranked_list.documents):
            self._needs_bm25 = False  # the source has scores of its own
            self.texts.clear()
            return
        for document in ranked_list.documents:
            self.texts.setdefault(document.document_id, document.text)


def _write_splits(data: DataConfig, passage: _FirstPass, folder: Path, scratch: Path) -> dict[str, Any]:
    bm25 = BM25(passage.texts, data.bm25.language, data.bm25.k1, data.bm25.b) if passage.texts else None
    described = {}
    for split in SPLITS:
        statistics = SplitStatistics(data.features)
        with ShardWriter(folder, split, data.shard_lists) as writer:
            for ranked_list in tqdm(_read_scratch(scratch, split), desc=f"writing {split}", unit=" lists"):
                complete = mark_seen(add_bm25(ranked_list, bm25) if bm25 else ranked_list, passage.trained)
                writer.write(complete)
                statistics.add(complete)
        described[split] = statistics.describe()
    return described


def _read_scratch(scratch: Path, split: str) -> Iterator[RankedList]:
    return read_lists(scratch, split) if any(scratch.glob(f"{split}-*")) else iter(())


def add_bm25(ranked_list: RankedList, bm25: BM25) -> RankedList:
    """Returns the list with its documents' feature `bm25` set to their score for the query."""
    scores = bm25.score(ranked_list.query, [document.document_id for document in ranked_list.documents])
    return set_feature(ranked_list, BM25_FEATURE, scores)
