"""Which texts are pre-trained on: each once, filtered, and none of a test."""

import dataclasses
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import pytest

from tfr_listbert.config import Config, build_dataclass, write_config
from tfr_listbert.lists.elwc import write_shards
from tfr_listbert.rows.corpus_texts import TextCounts, read_corpus
from tfr_listbert.schema import Document, InputError, RankedList, fold_query
from tfr_listbert.text.tokenizer import train_tokenizer


def build_list(query, titles, count=20):
    documents = [
        Document(f"{query}{number}", {"title": title, "brand": "acme" if number else ""}, 1.0)
        for number, title in enumerate(titles)
    ]
    return RankedList(query, query, tuple(documents), query_count=count)


@pytest.fixture
def config(tmp_path):
    """Lists in which a test query was also searched in training, as logs have it."""
    lists = {
        "train": [
            build_list("red dress", ["summer dress", "blue hat"]),
            build_list("Seen  in test", ["summer dress"]),
            build_list("rare words", ["blue hat"], count=9),
            build_list("never counted", ["blue hat", "blue hat"], count=0),
            build_list("dress", ["blue hat"]),
        ],
        "validation": [build_list("valid query", ["valid product"])],
        "test": [build_list("seen in TEST", ["test product"]), build_list("test query", ["test product"])],
    }
    for split, members in lists.items():
        write_shards(members, tmp_path / "lists", split)
    values = {
        "data": {"lists": str(tmp_path / "lists"), "fields": ["title", "brand"], "max_rejected_rate": 0.0},
        "text": {"fields": [{"name": "title"}, {"name": "brand", "template": "by {}"}]},
        "pretrain": {"held_out_rate": 0.5},
    }
    return build_dataclass(Config, values, "")


def change(config, **settings):
    return dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain, **settings))


def read(config, folder):
    """Returns the texts, those held out, and the counts."""
    counts = TextCounts()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        texts = list(read_corpus(config, Path(scratch), counts))
    return [text for text, _ in texts], [text for text, is_held_out in texts if is_held_out], counts


def test_training_lists_give_their_documents_and_the_queries_worth_it(config, tmp_path):
    texts, _, counts = read(config, tmp_path)
    assert sorted(texts) == ["blue hat", "blue hat by acme", "never counted", "red dress", "summer dress"]
    assert (counts.products, counts.pairs, counts.queries) == (3, 0, 2)
    assert (counts.short_queries, counts.rare_queries, counts.excluded) == (1, 1, 1)
    assert counts.inputs["data.lists (documents)"]["rows"] == 7


def test_documents_with_the_label_come_once_more_behind_their_query_unless_it_is_tested(config, tmp_path):
    alone = set(read(config, tmp_path)[0])
    texts, _, counts = read(change(config, pair_label=1.0), tmp_path)
    with_pairs = set(texts)
    pairs = {"red dress blue hat by acme", "red dress summer dress", "rare words blue hat"}
    assert pairs <= with_pairs - alone
    assert (counts.products, counts.pairs, counts.queries) == (3, len(with_pairs - alone), 2)
    assert not any("seen in test" in fold_query(text) for text in with_pairs)
    assert set(read(change(config, pair_label=1.5), tmp_path)[0]) == alone


def test_thresholds_of_queries_are_settings(config, tmp_path):
    texts, _, _ = read(change(config, min_query_words=1, min_query_count=9), tmp_path)
    assert {"rare words", "dress"} <= set(texts)


def test_queries_of_validation_and_test_lists_are_left_out_of_every_source(config, tmp_path):
    queries = ["TEST  query", "valid query", "seen in test", "another query"]
    (tmp_path / "log.csv").write_text("q\n" + "\n".join(query for query in queries for _ in range(10)) + "\n")
    (tmp_path / "texts.txt").write_text("Test query\nsome product\n")
    sources = ({"path": str(tmp_path / "log.csv"), "query": "q"}, {"path": str(tmp_path / "texts.txt")})
    texts, _, counts = read(change(config, lists=False, sources=sources), tmp_path)
    assert sorted(map(fold_query, texts)) == ["another query", "some product"]
    assert (counts.products, counts.queries, counts.excluded) == (1, 1, 3)


def test_a_query_whose_number_one_source_does_not_know_is_taken(config, tmp_path):
    (tmp_path / "log.csv").write_text("q,n\nnever counted,3\nrare hats,3\n")
    source = {"path": str(tmp_path / "log.csv"), "query": "q", "count": "n"}
    texts, _, _ = read(change(config, sources=(source,)), tmp_path)
    assert ("never counted" in texts, "rare hats" in texts) == (True, False)


@pytest.mark.parametrize("section", [{"data": {"reader": "esci"}}, {"compare": {"folds": 5}}])
def test_of_a_set_that_is_tested_query_by_query_no_query_is_taken(config, tmp_path, section):
    (tmp_path / "log.csv").write_text("q\n" + "\n".join(["RED dress", "rare words", "new words"] * 10) + "\n")
    source = {"path": str(tmp_path / "log.csv"), "query": "q"}
    ((name, values),) = section.items()
    in_turn = dataclasses.replace(config, **{name: dataclasses.replace(getattr(config, name), **values)})
    texts, _, counts = read(change(in_turn, sources=(source,), pair_label=1.0), tmp_path)
    assert sorted(texts) == ["blue hat", "blue hat by acme", "new words", "summer dress"]
    assert counts.excluded == 4


def test_it_is_said_where_no_query_of_a_test_is_known(config, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("some product\n")
    source = {"path": str(tmp_path / "texts.txt")}
    alone = change(config, lists=False, sources=(source,))
    read(alone, tmp_path)
    assert capsys.readouterr().out == ""
    elsewhere = dataclasses.replace(alone, data=dataclasses.replace(config.data, lists=str(tmp_path / "none")))
    assert read(elsewhere, tmp_path)[0] == ["some product"]
    assert "No query of a test is known, and none left out: `data.lists`" in capsys.readouterr().out


def test_queries_of_files_are_left_out_where_asked(config, tmp_path):
    (tmp_path / "esci.csv").write_text("query\nRED  dress\nblue hat\n")
    excluded = ({"path": str(tmp_path / "esci.csv"), "query": "query"},)
    texts, _, _ = read(change(config, excluded=excluded), tmp_path)
    assert sorted(texts) == ["blue hat by acme", "never counted", "summer dress"]


def test_a_text_of_several_sources_comes_once(config, tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("Summer  Dress\nmore of it\n" * 50)
    texts, _, _ = read(
        change(config, sources=tuple({"path": str(tmp_path / f"{name}.txt")} for name in "ab")), tmp_path
    )
    folded = [fold_query(text) for text in texts]
    assert len(folded) == len(set(folded)) == 6 and "more of it" in folded


def test_texts_are_held_out_by_hash(config, tmp_path):
    (tmp_path / "a.txt").write_text("".join(f"text {number}\n" for number in range(4000)))
    source = {"path": str(tmp_path / "a.txt")}
    few = change(config, lists=False, sources=(source,), held_out_rate=0.1)
    texts, held_out, counts = read(few, tmp_path)
    assert len(texts) == 4000 and 300 < len(held_out) == counts.held_out < 500
    assert texts != sorted(texts)
    (tmp_path / "a.txt").write_text("".join(f"TEXT {number}\n" for number in range(3999, -1, -2)))
    again, held_out_again, _ = read(few, tmp_path)
    assert [fold_query(text) for text in again] == [text for text in texts if int(text[5:]) % 2]
    assert {fold_query(text) for text in held_out_again} <= set(held_out)


def write_lines(path, number):
    with path.open("w") as file:
        file.writelines(f"text {index} of a corpus{' and words' * 12}\n" for index in range(number))
    return {"path": str(path)}


@pytest.mark.soak
def test_texts_are_not_held_in_python(config, tmp_path):
    def measure(number):
        source = write_lines(tmp_path / "a.txt", number)
        (tmp_path / f"{number}").mkdir()
        tracemalloc.start()
        texts = read_corpus(change(config, lists=False, sources=(source,)), tmp_path / f"{number}", TextCounts())
        assert sum(1 for _ in texts) == number
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    measure(10)
    assert measure(120_000) < 1.2 * measure(30_000)


DATABASE_GIGABYTES = 0.25
MEASURED = """
import functools, re, sys, threading
from pathlib import Path
from tfr_listbert.config import read_config
from tfr_listbert.rows import corpus_texts
from tfr_listbert.rows.corpus_store import write_rows
from tfr_listbert.text.tokenizer import read_tokenizer

peak, ended = 0, threading.Event()

def watch():
    global peak
    while not ended.wait(0.02):
        kilobytes = re.search("RssAnon: *\\t *([0-9]+)", Path("/proc/self/status").read_text())[1]
        peak = max(peak, int(kilobytes))

corpus_texts.Database = functools.partial(corpus_texts.Database, memory_gigabytes=float(sys.argv[3]))
config, folder = read_config(sys.argv[1]), Path(sys.argv[2])
threading.Thread(target=watch, daemon=True).start()
texts = corpus_texts.read_corpus(config, folder, corpus_texts.TextCounts())
tokens = write_rows(texts, read_tokenizer(config.text.folder), folder, 32, 8)
ended.set()
print(tokens["train"], peak)
"""


@pytest.mark.soak
def test_memory_of_the_process_grows_by_no_more_than_its_database_may_take(config, tmp_path):
    """Pages of mapped files are not counted: the kernel keeps them only while it has room."""
    text = dataclasses.replace(config.text, folder=str(tmp_path / "tokenizer"))
    train_tokenizer([f"text {index} of a corpus and words" for index in range(99)], text.folder, 300)
    tokens, peaks = [], []
    for number in (200_000, 2_000_000):
        folder = tmp_path / str(number)
        folder.mkdir()
        sources = (write_lines(folder / "a.txt", number),)
        write_config(dataclasses.replace(change(config, lists=False, sources=sources), text=text), folder / "c.yaml")
        command = [sys.executable, "-c", MEASURED, folder / "c.yaml", folder, str(DATABASE_GIGABYTES)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=True)
        seen, kilobytes = map(int, ended.stdout.split())
        tokens.append(seen)
        peaks.append(kilobytes / 1024**2)
        shutil.rmtree(folder)
    print(f"peaks of {peaks} GiB for {tokens} tokens")
    assert tokens[1] > 9 * tokens[0]
    assert peaks[1] - peaks[0] < DATABASE_GIGABYTES


def test_no_source_is_refused(config, tmp_path):
    with pytest.raises(InputError, match="`pretrain.sources` must name files"):
        read(change(config, lists=False), tmp_path)


def test_queries_without_lists_that_say_which_are_tested_are_refused(config, tmp_path):
    (tmp_path / "log.csv").write_text("q\nred dress\n")
    data = dataclasses.replace(config.data, lists=str(tmp_path / "none"))
    source = {"path": str(tmp_path / "log.csv"), "query": "q"}
    alone = dataclasses.replace(change(config, lists=False, sources=(source,)), data=data)
    with pytest.raises(InputError, match="`data.lists` must be a folder of prepared lists"):
        read(alone, tmp_path)
    products = change(alone, sources=({"path": str(tmp_path / "log.csv"), "fields": [{"name": "q"}]},))
    assert read(products, tmp_path)[0] == ["red dress"]
