"""Lists come back from their shards as they went in, dense tensors say what is padding, and bad folders are named."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.lists.elwc import ShardWriter, build_elwc, list_shards, parse_lists, read_lists, write_shards
from tfr_listbert.rows.list_index import index_lists
from tfr_listbert.schema import PADDING_LABEL, Document, InputError, RankedList


def make_list(query_id: str, documents: int, **changes) -> RankedList:
    made = tuple(
        Document(
            document_id=f"p{index}",
            fields={"brand": "", "title": f"Kleid Größe {index} 👗"},
            label=float(index % 3),
            features={"price": 10.5 * index},
            weight=0.5,
            position=index + 1,
        )
        for index in range(documents)
    )
    return RankedList(query_id=query_id, query="grünes kleid", documents=made, query_count=7, is_seen=0, **changes)


def parse(*lists: RankedList, fields=("title",), features=("price",)) -> dict[str, np.ndarray]:
    serialized = tf.constant([build_elwc(ranked_list).SerializeToString() for ranked_list in lists])
    parsed = tf.function(lambda batch: parse_lists(batch, fields, features))(serialized)
    return {name: value.numpy() for name, value in parsed.items()}


def test_lists_of_any_length_and_script_come_back_equal(tmp_path):
    lists = [make_list(f"q{length}", length, split="train") for length in (1, 500, 0, 3)]
    assert write_shards(lists, tmp_path, "train") == 4
    assert list(read_lists(tmp_path, "train")) == lists


def test_missing_numbers_come_back_as_nan(tmp_path):
    document = Document("p", {"title": ""}, 0.0, {"price": math.nan})
    write_shards([RankedList("q", "", (document,))], tmp_path, "test")
    (back,) = read_lists(tmp_path, "test")
    assert math.isnan(back.documents[0].features["price"])
    assert back.documents[0].fields == {"title": ""}
    assert (back.query, back.is_seen, back.query_count) == ("", -1, 0)


def test_shards_are_filled_in_order_and_numbered(tmp_path):
    write_shards([make_list(f"q{index}", 1) for index in range(5)], tmp_path, "train", shard_lists=2)
    shards = list_shards(tmp_path, "train", fields=("title", "brand"), features=("price",))
    assert [path.rsplit("/", 1)[1] for path in shards] == [f"train-0000{index}-of-00003.tfrecord" for index in range(3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.rsplit("/", 1)[1] for path in shards]
    assert [ranked_list.query_id for ranked_list in read_lists(tmp_path, "train")] == ["q0", "q1", "q2", "q3", "q4"]


def test_the_same_lists_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_shards([make_list("q", 20)], tmp_path / name, "train")
    assert len({path.read_bytes() for path in tmp_path.glob("*/*.tfrecord")}) == 1


def test_dense_tensors_mark_padding():
    parsed = parse(make_list("long", 3), make_list("short", 1), make_list("empty", 0))
    assert parsed["mask"].tolist() == [[True] * 3, [True, False, False], [False] * 3]
    assert parsed["label"].tolist() == [[0, 1, 2], [0, PADDING_LABEL, PADDING_LABEL], [PADDING_LABEL] * 3]
    assert parsed["weight"].tolist() == [[0.5] * 3, [0.5, 0, 0], [0] * 3]
    assert parsed["position"].tolist() == [[1, 2, 3], [1, 0, 0], [0, 0, 0]]
    assert parsed["document_id"].tolist() == [[b"p0", b"p1", b"p2"], [b"p0", b"", b""], [b"", b"", b""]]
    np.testing.assert_array_equal(parsed["price"], [[0, 10.5, 21], [0, np.nan, np.nan], [np.nan, np.nan, np.nan]])
    assert parsed["title"][0, 1].decode() == "Kleid Größe 1 👗"
    assert parsed["query"][0].decode() == "grünes kleid"
    assert parsed["query_id"].tolist() == [b"long", b"short", b"empty"]
    assert parsed["is_seen"].tolist() == [0, 0, 0]
    assert parsed["query_count"].tolist() == [7, 7, 7]
    assert {name: value.dtype for name, value in parsed.items() if value.dtype.kind != "O"} == {
        "mask": np.bool_,
        "label": np.float32,
        "weight": np.float32,
        "price": np.float32,
        "position": np.int64,
        "is_seen": np.int64,
        "query_count": np.int64,
    }


def test_a_shard_parses_in_a_dataset_without_known_shapes(tmp_path):
    write_shards([make_list(f"q{length}", length) for length in (2, 4, 1)], tmp_path, "train")
    dataset = tf.data.TFRecordDataset(list_shards(tmp_path, "train")).batch(2)
    shapes = [batch["title"].shape for batch in dataset.map(lambda batch: parse_lists(batch, ("title",), ()))]
    assert shapes == [(2, 4), (1, 1)]


@pytest.mark.parametrize(
    ("split", "names", "message"),
    [
        ("dev", {}, "no split 'dev'"),
        ("tets", {}, "Did you mean 'test'"),
        ("test", {}, "holds no test lists; it holds train"),
        ("train", {"fields": ("tilte",)}, "no text field 'tilte'.*Did you mean 'title'"),
        ("train", {"fields": ("price",)}, "no text field 'price'"),
        ("train", {"features": ("title",)}, "no numeric feature 'title'"),
    ],
)
def test_what_a_folder_does_not_hold_is_named(tmp_path, split, names, message):
    write_shards([make_list("q", 2)], tmp_path, "train")
    with pytest.raises(InputError, match=message):
        list_shards(tmp_path, split, **names)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="no folder .*nowhere.*prepare_data"):
        list_shards(tmp_path / "nowhere", "train")


def test_a_lost_shard_is_noticed(tmp_path):
    write_shards([make_list(f"q{index}", 1) for index in range(3)], tmp_path, "train", shard_lists=1)
    (tmp_path / "train-00001-of-00003.tfrecord").unlink()
    with pytest.raises(InputError, match="numbered 0 to 2 of 3"):
        list_shards(tmp_path, "train")


def test_a_cut_shard_is_noticed(tmp_path):
    write_shards([make_list("q", 5)], tmp_path, "train")
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:-7])
    for read in (
        lambda: list(read_lists(tmp_path, "train")),
        lambda: index_lists(list_shards(tmp_path, "train")),
    ):
        with pytest.raises(InputError, match="damaged or cut short"):
            read()


def test_nothing_is_left_after_a_failure(tmp_path):
    with pytest.raises(RuntimeError), ShardWriter(tmp_path, "train", shard_lists=1) as writer:
        for index in range(3):
            writer.write(make_list(f"q{index}", 1))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_shards_of_another_run_are_never_mixed_in(tmp_path):
    write_shards([make_list("q", 1)], tmp_path, "train")
    with pytest.raises(InputError, match="holds train shards already"):
        write_shards([make_list("q", 1)], tmp_path, "train")


@pytest.mark.parametrize("label", [math.nan, math.inf, -1.0])
def test_a_label_that_is_no_grade_is_never_written(tmp_path, label):
    ranked_list = RankedList(
        "q", "red dress", (Document("p1", {"title": ""}, 1.0), Document("p2", {"title": ""}, label))
    )
    with pytest.raises(ValueError, match="finite number >= 0, got .* the query 'red dress' and the document 'p2'"):
        write_shards([ranked_list], tmp_path, "train")
    assert list(tmp_path.iterdir()) == []


def test_split_is_said_by_the_shard_not_the_proto():
    assert build_elwc(make_list("q", 1, split="test")) == build_elwc(dataclasses.replace(make_list("q", 1), split=""))
