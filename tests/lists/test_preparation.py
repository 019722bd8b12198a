"""Preparation writes complete lists with everything counted, or answers bad input and writes nothing."""

import csv
import dataclasses
import json
import math
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tfr_listbert.config import Config, build_dataclass, read_config
from tfr_listbert.lists.bm25 import BM25
from tfr_listbert.lists.elwc import list_shards, read_lists
from tfr_listbert.lists.preparation import prepare_data
from tfr_listbert.schema import SPLITS, InputError, fold_query

SCRIPT = Path(__file__).parents[2] / "pipelines" / "prepare_data.py"


@pytest.fixture
def prepare(tmp_path):
    """Writes a table of judged pairs and gives a function that prepares it and returns the lists of each split."""
    rows = [
        (f"query {query}", f"p{query % 7 + slot}", f"Product {query % 7 + slot}", query % 5, (query + slot) % 3)
        for query in range(60)
        for slot in range(4)
    ]
    with (tmp_path / "judged.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("query", "document_id", "title", "price", "label"), *rows])

    def run(**data) -> dict[str, list]:
        values = {
            "reader": "table",
            "options": {"path": str(tmp_path / "judged.csv")},
            "lists": str(tmp_path / "lists"),
            **data,
        }
        prepare_data(build_dataclass(Config, {"data": values}, ""))
        present = [split for split in SPLITS if any((tmp_path / "lists").glob(f"{split}-*"))]
        return {split: list(read_lists(tmp_path / "lists", split)) for split in present}

    return run


def read_statistics(tmp_path) -> dict:
    return json.loads((tmp_path / "lists" / "stats.json").read_text())


def test_every_list_ends_in_one_split_and_is_counted(prepare, tmp_path, capsys):
    lists = prepare(features=["price"], shard_lists=20)
    queries = {split: {one.query for one in of_split} for split, of_split in lists.items()}
    assert set().union(*queries.values()) == {f"query {index}" for index in range(60)}
    assert sum(map(len, queries.values())) == 60
    statistics = read_statistics(tmp_path)
    assert {split: statistics["splits"][split]["lists"] for split in SPLITS} == {
        split: len(of_split) for split, of_split in lists.items()
    }
    assert statistics["inputs"] == {"data.options.path": {"rows": 240, "rejected": 0, "reasons": {}}}
    assert sum(statistics["splits"]["train"]["labels"].values()) == 4 * len(lists["train"])
    assert len(list_shards(tmp_path / "lists", "train", ["title"], ["price"])) == math.ceil(len(lists["train"]) / 20)
    assert "train: " in capsys.readouterr().out
    assert sorted(path.suffix for path in (tmp_path / "lists").iterdir() if "tfrecord" not in path.name) == [
        ".csv",
        ".json",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["judged.csv", "lists"]


def test_preparing_twice_gives_the_same_bytes(prepare, tmp_path):
    def read_all() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (tmp_path / "lists").iterdir()}

    prepare(features=["price", "bm25"])
    first = read_all()
    prepare(features=["price", "bm25"])
    assert read_all() == first


def test_seen_queries_are_marked_in_every_split(tmp_path, prepare):
    rows = [
        (query, split, slot, slot)
        for query, split in (("Red dress", "train"), ("red  DRESS", "test"), ("coat", "test"))
        for slot in range(2)
    ]
    with (tmp_path / "judged.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("query", "split", "document_id", "label"), *rows])
    options = {"path": str(tmp_path / "judged.csv"), "columns": {"title": "document_id"}}
    lists = prepare(options=options, split={"by": "given", "validation_rate": 0})
    seen = {(split, one.query): one.is_seen for split, of_split in lists.items() for one in of_split}
    assert seen == {("train", "Red dress"): 1, ("test", "red  DRESS"): 1, ("test", "coat"): 0}
    assert read_statistics(tmp_path)["splits"]["test"]["queries"] == {"seen": 1, "unseen": 1}


def test_bm25_is_computed_over_all_prepared_documents(prepare):
    lists = [one for of_split in prepare(features=["bm25"]).values() for one in of_split]
    texts = {document.document_id: document.fields["title"] for one in lists for document in one.documents}
    bm25 = BM25(texts, "english", 1.5, 0.75)
    scores = []
    for one in lists:
        expected = bm25.score(one.query, [document.document_id for document in one.documents])
        assert [document.features["bm25"] for document in one.documents] == pytest.approx(expected.tolist())
        scores += expected.tolist()
    assert max(scores) > 0  # query 3 finds Product 3


def test_a_bm25_score_of_the_source_is_kept(prepare, tmp_path):
    options = {"path": str(tmp_path / "judged.csv"), "columns": {"bm25": "price"}}
    lists = prepare(options=options, features=["bm25", "price"])
    for document in (document for one in lists["train"] for document in one.documents):
        assert document.features["bm25"] == document.features["price"]


def test_validation_is_cut_from_train_by_query(prepare):
    with_validation = prepare(split={"test_rate": 0.3, "validation_rate": 0.4})
    without = prepare(split={"test_rate": 0.3, "validation_rate": 0.0})
    assert {one.query for one in with_validation["test"]} == {one.query for one in without["test"]}
    folded = [fold_query(one.query) for split in ("train", "validation") for one in with_validation[split]]
    assert sorted(folded) == sorted(fold_query(one.query) for one in without["train"])


def test_lists_are_cut_and_dropped_as_the_config_says(prepare, tmp_path):
    lists = prepare(list_size=3, min_test_list=4, split={"test_rate": 0.3})
    assert list(lists) == ["train"]
    assert {len(one.documents) for one in lists["train"]} == {3}
    assert [step["name"] for step in read_statistics(tmp_path)["steps"]] == [
        "read",
        "the first 3 of each list",
        "2 documents or more (4 in validation and test)",
        "training labels not all 0",
        "training labels not all equal",
    ]


def test_rejected_rows_are_written_beside_the_lists(prepare, tmp_path):
    with (tmp_path / "judged.csv").open("a") as file:
        file.write("query 1,p1,again,1,0\n,p,t,1,1\n")
    prepare()
    with (tmp_path / "lists" / "rejected.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["line"], row["reason"], row["value"]) for row in rows] == [
        ("242", "the same document in the list again; the first row is kept", "query 1 / p1"),
        ("243", "no query", ""),
    ]


GOOD = "query,document_id,position,impressions,clicks\n" + "red,p1,1,60,6\nred,p2,2,60,3\n" * 100
CATALOGUE = "document_id,title\np1,Red dress\np2,Blue dress\n"
BAD_FILES = {
    "wrong column": ({"log": GOOD.replace("clicks", "klicks")}, r"no column 'clicks'\. Did you mean 'klicks'\?"),
    "bad UTF-8": ({"log": GOOD + "bl\udcff,p1,1,60,6\n" * 9}, r"9 of 209 rows .* broken encoding(.|\n)*line 202"),
    "negative counts": ({"log": GOOD + "red,p1,1,60,-6\n" * 9}, r"clicks is negative \(9\)(.|\n)*line 202: .*'-6'"),
    "a 10 MB field": (
        {"log": GOOD[:100] + f"{'x' * 10_000_000},p1,1,60,6\n"},
        r"row is longer than 1,000,000 bytes \(1\)",
    ),
    "an empty log": ({"log": ""}, r"`data.options.log`: .*log.csv is empty"),
    "a log of nothing but a header": ({"log": GOOD[:46]}, r"`data.options.log` has no rows"),
    "an empty catalogue": ({"catalogue": ""}, r"catalogue.csv is empty"),
    "a catalogue without the products": (
        {"catalogue": "document_id,title\nSKU-1,Red dress\n"},
        r"product is not in the catalogue \(200\)\. Ids in the catalogue look like 'SKU-1'(.|\n)*line 2: .*'p1'",
    ),
    "a binary file": ({"log": "PK\x03\x04\udcff\udcfe\x00" * 99}, r"header"),
    "no log": ({}, r"`data.options.log` must name a file.*nowhere.* has none"),
    "too few impressions": (
        {"log": GOOD[:100].replace("60", "6")},
        r"No train list is left\. .*impressions >= 50: 0 lists",
    ),
    "rows summed already": (
        {"log": GOOD.replace("impressions", "views")},
        r"900 clicks in 200 rows.*`data\.options\.columns\.impressions`",
    ),
    "a log of clicks alone": (
        {"log": "query,document_id,position,impressions,clicks\nred,p1,1,60,60\nred,p2,1,60,60\n"},
        r"No train list is left\. .*training labels not all equal: 0 lists",
    ),
}


@pytest.fixture
def write_bad(tmp_path):
    def write(files: dict[str, str]) -> list[str]:
        files = {"catalogue": CATALOGUE, **files}
        for name, text in files.items():
            (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8", errors="surrogateescape")
        log = "log.csv" if "log" in files else "nowhere/*.csv"
        if "catalogue" in files and files["catalogue"] != CATALOGUE:
            (tmp_path / "log.csv").write_text(GOOD)
            log = "log.csv"
        config = {
            "data": {
                "options": {"log": str(tmp_path / log), "catalogue": str(tmp_path / "catalogue.csv")},
                "lists": str(tmp_path / "out" / "lists"),
            }
        }
        (tmp_path / "config.yaml").write_text(json.dumps(config))
        return [str(SCRIPT), str(tmp_path / "config.yaml")]

    return write


@pytest.mark.parametrize("case", BAD_FILES)
def test_the_script_answers_bad_input_with_exit_code_2_and_writes_nothing(
    write_bad, tmp_path, monkeypatch, capsys, case
):
    files, message = BAD_FILES[case]
    monkeypatch.setattr("sys.argv", write_bad(files))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert ended.value.code == 2
    assert re.search(f"error: (.|\n)*{message}", capsys.readouterr().err)
    assert {path.name for path in (tmp_path / "out").glob("*")} <= {"lists.rejected.csv"}


def test_bad_input_leaves_earlier_lists_as_they_were(prepare, tmp_path):
    prepare()
    before = {path.name: path.read_bytes() for path in (tmp_path / "lists").iterdir()}
    (tmp_path / "judged.csv").write_text("query,document_id,title,label\nq,p,t,-1\n")
    with pytest.raises(InputError, match=r"label is negative(.|\n)*All are in .*lists.rejected.csv"):
        prepare()
    assert "judged.csv,2,label is negative,-1" in (tmp_path / "lists.rejected.csv").read_text()
    assert {path.name: path.read_bytes() for path in (tmp_path / "lists").iterdir()} == before


@pytest.mark.parametrize("case", ["wrong column", "negative counts"])
def test_a_process_answers_bad_input_with_one_message_and_exit_code_2(write_bad, tmp_path, case):
    files, _ = BAD_FILES[case]
    ended = subprocess.run(
        [sys.executable, *write_bad(files)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 2
    assert "error: " in ended.stderr and "Traceback" not in ended.stderr
    assert {path.name for path in (tmp_path / "out").glob("*")} <= {"lists.rejected.csv"}


def test_a_reader_that_does_not_exist_is_answered_with_those_that_do(prepare):
    with pytest.raises(InputError, match="`data.reader` names no reader: got 'click'. Did you mean 'clicks'"):
        prepare(reader="click")


def test_an_option_that_nobody_reads_is_refused(prepare, tmp_path):
    with pytest.raises(InputError, match="`data.options.pth` is not a setting. Did you mean 'path'"):
        prepare(options={"pth": str(tmp_path)})


def test_documents_carry_exactly_what_the_config_names(prepare):
    lists = prepare(fields=["title"], features=["price"])
    document = lists["train"][0].documents[0]
    assert set(document.fields) == {"title"} and set(document.features) == {"price"}
    assert dataclasses.asdict(document).keys() >= {"label", "weight", "position"}


SAMPLES = {
    "clicks": {
        "options": {
            "log": "sample_search_log.csv",
            "catalogue": "sample_catalogue.csv",
            "columns": {"time": "day"},
            "train_window": ["2024-03-04", "2024-03-18"],
            "test_window": ["2024-05-13", "2024-05-20"],
        },
        "split": {"by": "time", "validation_rate": 0},
    },
    "table": {"options": {"path": "sample_judgements.csv"}, "split": {"test_rate": 0.5, "validation_rate": 0}},
}


@pytest.mark.parametrize("reader", SAMPLES)
def test_the_samples_can_be_prepared_without_a_loss(tmp_path, monkeypatch, reader):
    monkeypatch.chdir(SCRIPT.parents[1] / "data")
    values = {"reader": reader, "fields": ["title", "brand"], "features": ["price", "bm25"], **SAMPLES[reader]}
    prepare_data(build_dataclass(Config, {"data": {**values, "lists": str(tmp_path / "lists")}}, ""))
    statistics = read_statistics(tmp_path)
    assert all(counts["rejected"] == 0 for counts in statistics["inputs"].values())
    assert all(statistics["splits"][split]["lists"] > 0 for split in ("train", "test"))


@pytest.mark.parametrize("name", ["homedepot", "esci150"])
def test_configs_of_public_sets_ask_for_their_files(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="must name a file, or files by a glob .* has none"):
        prepare_data(read_config(SCRIPT.parent / "configs" / f"{name}.yaml"))


def test_a_query_of_validation_alone_is_not_seen(tmp_path, prepare):
    rows = [(q, s, d, d) for q, s in (("a", "train"), ("b", "validation"), ("b", "test")) for d in range(2)]
    with (tmp_path / "judged.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("query", "split", "document_id", "label"), *rows])
    options = {"path": str(tmp_path / "judged.csv"), "columns": {"title": "document_id"}}
    lists = prepare(options=options, split={"by": "given", "validation_rate": 0})
    assert {split: [one.is_seen for one in of] for split, of in lists.items()} == {
        "train": [1],
        "validation": [0],
        "test": [0],
    }
