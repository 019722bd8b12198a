"""The warm-up file holds each signature's requests in the form that TensorFlow Serving replays."""

import collections

import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfr_listbert.export.warmup import WARMUP_FILE


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
