"""The warm-up file holds each signature's requests in the form that TensorFlow Serving replays."""

import collections
import re

import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfr_listbert.export.requests import RequestBuilder
from tfr_listbert.export.signatures import specify_ranker, specify_student
from tfr_listbert.export.warmup import WARMUP_FILE, build_warmup_requests
from tfr_listbert.schema import InputError

INPUTS = ("title",), ("price",)


def read_requests(version):
    records = tf.data.TFRecordDataset(str(version / "assets.extra" / WARMUP_FILE)).as_numpy_iterator()
    return [PredictionLog.FromString(record).predict_log.request for record in records]


def test_each_signature_is_warmed_with_each_length(exported):
    requests = read_requests(exported)
    counts = collections.Counter(request.model_spec.signature_name for request in requests)
    assert counts == dict.fromkeys(["serving_default", "rank", "rank_n", "score_tokens", "predict"], 2)
    shapes = [tf.make_ndarray(request.inputs["title"]).shape for request in requests if "title" in request.inputs]
    assert collections.Counter(shapes) == {(1, 1): 3, (1, 5): 3}


def test_requests_have_the_types_of_the_signature(exported):
    inputs = {name: tensor for request in read_requests(exported) for name, tensor in request.inputs.items()}
    kinds = {name: tf.as_dtype(tensor.dtype) for name, tensor in inputs.items()}
    assert kinds == {
        **dict.fromkeys(["query", "title", "brand", "inputs"], tf.string),
        **dict.fromkeys(["price", "rating"], tf.float32),
        **dict.fromkeys(["num_documents", "tokens"], tf.int32),
    }


def test_more_requests_than_servers_take_are_refused():
    with pytest.raises(InputError, match="`export.warmup_lists` must make at most 1000 warm-up requests, .*, got "):
        build_warmup_requests(RequestBuilder(*INPUTS, specify_ranker(*INPUTS)), tuple(range(1, 300)))


def test_no_request_is_larger_than_what_a_server_with_batching_takes(export_folder):
    config = (export_folder / "ranker.serving" / "batching.config").read_text()
    most = int(re.search(r"max_batch_size { value: (\d+) }", config)[1])
    for inputs in (specify_ranker(*INPUTS), specify_student(*INPUTS, has_vectors=True)):
        requests = build_warmup_requests(RequestBuilder(*INPUTS, inputs), (10, 1, 1000, 30))
        sizes = collections.defaultdict(list)
        for request in requests:
            sizes[request.signature_name].append({len(value) for value in request.inputs.values()})
        rows = sizes.pop("score_tokens" if "score_tokens" in sizes else "encode_document")
        assert rows == [{1}, {most}]
        assert len(sizes) >= 4 and all(values == [{1}] * 4 for values in sizes.values())
