"""The encoder: RoBERTa's conventions, padding, dropout that can be repeated."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from tfr_listbert.config import EncoderConfig
from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import SIZES, RobertaShape, resolve_shape
from tfr_listbert.schema import InputError

SHAPE = RobertaShape(layers=2, heads=2, width=8, inner_width=16, positions=10)
ROW = [0, 5, 6, 7, 2]


@pytest.fixture(scope="module")
def encoder():
    encoder = RobertaEncoder(20, SHAPE, dropout_rate=0.2, attention_dropout_rate=0.3)
    for weight in encoder.trainable_variables:  # biases start at 0: give every weight a say
        weight.assign_add(tf.random.stateless_normal(weight.shape, [1, len(weight.name)], stddev=0.3))
    return encoder


def gelu(x):
    from scipy.special import erf

    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


def normalize(x, gamma, beta):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def encode_in_numpy(encoder, row):
    """RoBERTa of one row without padding, written out from the paper, in float64."""
    weights = {v.name.split(":")[0]: v.numpy().astype(np.float64) for v in encoder.trainable_variables}
    count = len(row)
    x = weights["token_embedding"][row] + weights["position_embedding"][2 : 2 + count] + weights["type_embedding"][0]
    x = normalize(x, weights["gamma"], weights["beta"])
    for layer in range(SHAPE.layers):
        at = {k.removeprefix(f"layer_{layer}/"): v for k, v in weights.items() if k.startswith(f"layer_{layer}/")}
        q, k, v = (
            np.einsum("th,hnd->tnd", x, at[f"self_attention/{name}/kernel"]) + at[f"self_attention/{name}/bias"]
            for name in ("query", "key", "value")
        )
        logits = np.einsum("fnd,tnd->nft", q, k) / np.sqrt(SHAPE.width // SHAPE.heads)
        weight = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        mixed = np.einsum("nft,tnd->fnd", weight, v)
        out = np.einsum("fnd,ndh->fh", mixed, at["self_attention/attention_output/kernel"])
        out += at["self_attention/attention_output/bias"]
        x = normalize(x + out, at["self_attention_layer_norm/gamma"], at["self_attention_layer_norm/beta"])
        inner = gelu(x @ at["intermediate/kernel"] + at["intermediate/bias"])
        out = inner @ at["output/kernel"] + at["output/bias"]
        x = normalize(x + out, at["output_layer_norm/gamma"], at["output_layer_norm/beta"])
    return x


def test_vectors_equal_roberta_written_out_in_numpy(encoder):
    got = encoder(tf.constant([ROW]))[0]
    np.testing.assert_allclose(got, encode_in_numpy(encoder, ROW), atol=2e-5)


def test_padding_changes_nothing(encoder):
    alone = encoder(tf.constant([ROW]))
    padded = encoder(tf.constant([[*ROW, 1, 1, 1], [0, 2, 1, 1, 1, 1, 1, 1]]))
    np.testing.assert_allclose(padded[0, : len(ROW)], alone[0], atol=1e-5)


def test_the_first_token_alone_equals_the_first_of_all(encoder):
    tokens = tf.constant([[*ROW, 1], [0, 9, 2, 1, 1, 1]])
    np.testing.assert_allclose(encoder.encode_first_tokens([tokens]), encoder(tokens)[:, 0], atol=1e-5)


def test_chosen_places_alone_equal_those_of_all(encoder):
    tokens, places = tf.constant([[*ROW, 1], [0, 9, 2, 1, 1, 1]]), tf.constant([[3, 1], [0, 2]])
    chosen = tf.gather(encoder(tokens), places, batch_dims=1)
    np.testing.assert_allclose(encoder(tokens, places=places), chosen, atol=1e-5)
    assert encoder(tokens, places=tf.zeros([2, 0], tf.int32)).shape == (2, 0, SHAPE.width)


def test_an_encoder_with_marks_begins_as_one_without_and_marks_pairs_alone(encoder, tmp_path):
    marked = RobertaEncoder(20, SHAPE, match_marks=True)
    pair, single = tf.constant([[0, 5, 6, 2, 2, 6, 2]]), tf.constant([[0, 5, 6, 2]])
    before = marked(pair), marked(single)
    plain = RobertaEncoder(20, SHAPE)
    tf.train.Checkpoint(encoder=plain).restore(tf.train.Checkpoint(encoder=marked).write(str(tmp_path / "weights")))
    np.testing.assert_array_equal(plain(pair), before[0])
    marked.match_embedding.assign(tf.ones([2, SHAPE.width]) * tf.range(1.0, SHAPE.width + 1))
    assert np.abs(marked(pair) - before[0]).max() > 0.1
    np.testing.assert_array_equal(marked(single), before[1])
    assert "match_embedding:0" not in [weight.name for weight in encoder.trainable_variables]


@pytest.mark.parametrize("options", [{}, {"places": tf.constant([[3, 1], [0, 2]])}])
def test_few_rows_have_the_vectors_of_many(encoder, options):
    tokens = tf.constant([[*ROW, 1], [0, 9, 2, 1, 1, 1]])
    np.testing.assert_allclose(encoder(tokens, few_rows=True, **options), encoder(tokens, **options), atol=1e-6)
    few, many = (encoder.encode_first_tokens([tokens], few_rows=few_rows) for few_rows in (True, False))
    np.testing.assert_allclose(few, many, atol=1e-6)


def test_few_rows_are_computed_without_the_slow_kernels_for_small_attention(encoder):
    traced = tf.function(lambda tokens: encoder(tokens, few_rows=True)).get_concrete_function(tf.constant([ROW]))
    graphs = [traced.graph, *(one.graph for one in traced.graph._functions.values() if hasattr(one, "graph"))]
    ops = [op for graph in graphs for op in graph.get_operations()]
    found = {(op.type, op.inputs[0].dtype) for op in ops if op.type in ("Transpose", "BatchMatMulV2", "Softmax")}
    assert found == {("Transpose", tf.int32), ("BatchMatMulV2", tf.float64), ("Softmax", tf.float64)}


@pytest.mark.parametrize("few_rows", [False, True])
def test_no_rows_give_no_vectors(encoder, few_rows):
    nothing = tf.zeros([0, 4], tf.int32)
    assert encoder.encode_first_tokens([nothing], few_rows=few_rows).shape == (0, SHAPE.width)


def test_dropout_follows_the_seed_and_nothing_else(encoder):
    tokens = tf.constant([ROW, ROW])
    seed, other = tf.constant([3, 4]), tf.constant([3, 5])
    once = encoder(tokens, seed=seed, training=True)
    np.testing.assert_array_equal(encoder(tokens, seed=seed, training=True), once)
    assert np.abs(encoder(tokens, seed=other, training=True) - once).max() > 0.01
    assert np.abs(once[0] - once[1]).max() > 0.01  # rows of a batch have masks of their own


def test_every_dropout_draws_masks_of_its_own(encoder, monkeypatch):
    drawn = []

    def record(inputs, rate, seed, rng_alg):
        drawn.append((rate, tuple(seed.numpy())))
        return inputs

    monkeypatch.setattr(tf.nn.experimental, "stateless_dropout", record)
    tf.config.run_functions_eagerly(True)
    try:
        encoder.encode_first_tokens([tf.constant([ROW]), tf.constant([[0, 9, 2]])], tf.constant([3, 4]), training=True)
    finally:
        tf.config.run_functions_eagerly(False)
    assert len({seed for _, seed in drawn}) == len(drawn)
    # of the embeddings, then of each block the attention of two widths, what it gives, and the feed-forward
    assert [rate for rate, _ in drawn] == [0.2, *[0.3, 0.3, 0.2, 0.2] * SHAPE.layers]


def test_training_without_a_seed_is_refused(encoder):
    with pytest.raises(ValueError, match="seed"):
        encoder(tf.constant([ROW]), training=True)


def test_sizes_by_name_and_number():
    assert (SIZES["tiny"].layers, SIZES["tiny"].width) == (2, 128)
    assert (SIZES["mini"].layers, SIZES["mini"].width) == (4, 256)
    assert (SIZES["listbert"].layers, SIZES["listbert"].heads, SIZES["listbert"].width) == (6, 12, 768)
    assert resolve_shape(EncoderConfig(size="mini", layers=2)).layers == 2
    with pytest.raises(InputError, match="Did you mean 'listbert'"):
        resolve_shape(EncoderConfig(size="listbret"))
    with pytest.raises(InputError, match="`encoder.heads` must divide `encoder.width`, got 3 and 256."):
        resolve_shape(EncoderConfig(size="mini", heads=3))


def list_optimized(function, *arguments):
    """Returns the nodes of the graphs that TensorFlow makes of those of `function` before it computes them."""
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})  # a test before may have set it
    context.enable_run_metadata()
    try:
        function(*arguments)
        graphs = [one.post_optimization_graph for one in context.export_run_metadata().function_graphs]
    finally:
        context.disable_run_metadata()
        tf.config.optimizer.set_experimental_options(before)
    return [node for graph in graphs for node in graph.node]


def test_gelu_is_computed_with_its_product_where_onednn_is_on():
    def count(nodes):
        return sum(list(node.attr["fused_ops"].list.s) == [b"BiasAdd", b"GeluExact"] for node in nodes)

    matrix, bias = tf.ones([16, 16]), tf.ones([16])
    plain = tf.function(lambda rows: tf.nn.gelu(tf.nn.bias_add(rows @ matrix, bias)), autograph=False)
    if not count(list_optimized(plain, matrix)):
        pytest.skip("TensorFlow fuses no GELU here: oneDNN is off, or not for this processor.")
    encoder = RobertaEncoder(20, SHAPE)
    tokens = tf.constant([ROW])
    assert count(list_optimized(lambda: encoder.encode_first_tokens([tokens]))) == SHAPE.layers
    # Inside another function its own is called as it is: merged into that one, it would lose the fusion
    outer = tf.function(lambda: encoder.encode_first_tokens([tokens]) * 2, autograph=False)
    assert sum(node.op == "StatefulPartitionedCall" for node in list_optimized(outer)) == 1
