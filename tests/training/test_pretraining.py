"""Pre-training: perplexity by hand, a run that learns, what it leaves, and corpora that cannot be used."""

import collections
import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import PretrainConfig, read_config, write_config
from tfr_listbert.encoders.roberta import RobertaEncoder
from tfr_listbert.encoders.shapes import RobertaShape, resolve_shape
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.models.masked_lm import MaskedLM, MLMHead
from tfr_listbert.rows.corpus_store import read_rows
from tfr_listbert.schema import InputError
from tfr_listbert.text.tokenizer import read_tokenizer, train_tokenizer
from tfr_listbert.training.pretraining import build_evaluation, build_masked_lm, build_objective, pretrain_encoder
from tfr_listbert.training.rankers import adopt_initial, build_encoder

PRETRAIN = [sys.executable, "pipelines/pretrain.py"]
NO_DROPOUT = ["encoder.dropout_rate=0", "encoder.attention_dropout_rate=0", "train.epochs=2"]
OBJECTS = ("encoder", "mlm_head")


def build_command(config, run, *overrides):
    """The command that pre-trains in `run`, with dropout on, so that a wrong seed would show."""
    path = run.parent / "config.yaml"
    if not path.exists():
        write_config(config, path)
    train = ["train.epochs=8", "train.checkpoint_steps=5", "train.learning_rate=1e-2"]
    pretrain = ["pretrain.batch_tokens=256", "pretrain.row_tokens=24", "pretrain.held_out_rate=0.2"]
    return [*PRETRAIN, str(path), f"train.run={run}", *train, *pretrain, *overrides]


def run_to_end(command):
    subprocess.run(command, check=True, capture_output=True, timeout=300)


@pytest.fixture(scope="module")
def finished(tiny_config, tmp_path_factory):
    """A run that nothing has disturbed."""
    run = tmp_path_factory.mktemp("runs") / "finished"
    run_to_end(build_command(tiny_config, run))
    return run


def mask_every_other(tokens):
    """A batch of which every second token is masked, and shown as it is."""
    is_masked = np.arange(np.size(tokens)).reshape(np.shape(tokens)) % 2 > 0
    return {"tokens": tf.constant(tokens), "shown": tf.constant(tokens), "is_masked": tf.constant(is_masked)}


class Certain:
    """Gives token 1 three times the probability of tokens 0 and 2."""

    def __call__(self, tokens, is_masked, seed=None, training=None):
        return tf.tile([[0.0, math.log(3.0), 0.0]], [tf.math.count_nonzero(is_masked), 1])


def test_perplexity_and_accuracy_by_hand():
    batches = [[[0, 1, 0, 2]], [[0, 1], [0, 1]]]  # masked: 1, 2, 1, 1
    rows = tf.TensorSpec([None, None], tf.int32)
    dataset = tf.data.Dataset.from_generator(
        lambda: map(mask_every_other, batches),
        output_signature={"tokens": rows, "shown": rows, "is_masked": tf.TensorSpec([None, None], tf.bool)},
    )
    got = build_evaluation(Certain(), dataset)()
    assert got["masked_accuracy"] == pytest.approx(3 / 4)
    assert got["perplexity"] == pytest.approx((5 / 3 * 5 / 3 * 5 / 3 * 5) ** (1 / 4), rel=1e-6)


def test_the_loss_is_summed_over_masked_tokens_and_counts_real_ones():
    batch = mask_every_other([[0, 1, 0, 2, 9]])  # masked: 1, 2
    total, count, real = build_objective(pad_id=9)(Certain(), batch, tf.constant([1, 2]))
    assert float(total) == pytest.approx(math.log(5 / 3) + math.log(5), rel=1e-6)
    assert (int(count), int(real)) == (2, 4)


@pytest.fixture(scope="module")
def network():
    """A model that drops nothing, with weights large enough to tell tokens apart."""
    encoder = RobertaEncoder(30, RobertaShape(2, 2, 8, 16, 40), dropout_rate=0.0, attention_dropout_rate=0.0)
    network = MaskedLM(encoder, MLMHead(30, 8))
    for index, weight in enumerate([*encoder.trainable_weights, *network.mlm_head.trainable_weights]):
        weight.assign_add(tf.random.stateless_normal(weight.shape, [1, index], stddev=0.3))
    return network


def compute_step(network, objective, batch):
    """Loss and gradients of a step, and what the loss is divided by."""

    @tf.function
    def compute():
        with tf.GradientTape() as tape:
            total, count, _ = objective(network, batch, tf.constant([3, 4]))
        return total, count, tape.gradient(total, network.trainable_variables)

    total, count, gradients = compute()
    return float(total), int(count), [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


@pytest.mark.parametrize("max_tokens", [30, 21, 10, 70])  # 3, 2, 1 and, of 7, all rows at once
def test_chunks_give_the_step_of_one_piece(network, max_tokens):
    tokens = np.random.default_rng(2).integers(4, 30, (7, 10))
    tokens[:, 0], tokens[::2, 7:] = 0, 1
    batch = mask_every_other(tokens.astype(np.int32))
    batch["is_masked"] &= (tokens != 1) & (np.arange(7)[:, np.newaxis] != 3)  # and a row that has nothing to predict
    whole = compute_step(network, build_objective(pad_id=1), batch)
    parts = compute_step(network, build_objective(pad_id=1, max_tokens=max_tokens), batch)
    assert whole[0] > 50 and max(np.abs(gradient).max() for gradient in whole[2]) > 1
    assert parts[0] == pytest.approx(whole[0], rel=1e-5) and parts[1] == whole[1]
    for got, expected in zip(parts[2], whole[2], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def without_dropout(tiny_config, tmp_path_factory, on_one_device):
    """A run on one device, and the command of others like it."""
    run = tmp_path_factory.mktemp("runs") / "one"
    command = build_command(tiny_config, run, *NO_DROPOUT)[1:]
    on_one_device(*command)
    return run, command


def assert_same_progress(*runs):
    one, two = (json.loads((run / "metrics.json").read_text()) for run in runs)
    assert one["tokens"] == two["tokens"]
    assert [entry["step"] for entry in one["history"]] == [entry["step"] for entry in two["history"]]
    scalars = [read_scalars(run) for run in runs]
    for name in ("loss", "gradient_norm", "metric/perplexity"):
        assert len(scalars[0][name]) > 1
        np.testing.assert_allclose(scalars[0][name], scalars[1][name], rtol=1e-3, err_msg=name)


@pytest.mark.soak
def test_two_replicas_in_bounded_memory_take_the_steps_of_one_that_is_not(
    without_dropout, tmp_path, on_two_devices, assert_same_weights
):
    run, command = without_dropout
    settings = ["train.strategy=mirrored", "train.max_tokens_in_memory=60"]
    on_two_devices(*command, f"train.run={tmp_path / 'two'}", *settings)
    assert_same_weights(run, tmp_path / "two", OBJECTS)
    assert_same_progress(run, tmp_path / "two")


@pytest.mark.soak
def test_two_workers_take_the_steps_of_one_process(without_dropout, tmp_path, on_two_workers, assert_same_weights):
    run, command = without_dropout
    on_two_workers(*command, f"train.run={tmp_path / 'two'}", "train.strategy=multi_worker")
    assert_same_weights(run, tmp_path / "two", OBJECTS)
    assert_same_progress(run, tmp_path / "two")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"micro_batch_lists": 4},
            "`train.micro_batch_lists` must be null in pre-training.*max_tokens_in_memory.*got 4",
        ),
        (
            {"batch_lists": None, "batch_tokens": 4096},
            "`train.batch_tokens` must be null in pre-training .*`pretrain.batch_tokens` .*got 4096",
        ),
        ({"cache_tokens": True}, "`train.cache_tokens` must be false in pre-training"),
        (
            {"max_tokens_in_memory": 63},
            "`train.max_tokens_in_memory` must be at least `pretrain.row_tokens`, 64, got 63",
        ),
    ],
)
def test_settings_that_pretraining_cannot_honour_are_refused(tiny_config, settings, message):
    config = dataclasses.replace(
        tiny_config, train=dataclasses.replace(tiny_config.train, **settings), pretrain=PretrainConfig(row_tokens=64)
    )
    with pytest.raises(InputError, match=message):
        pretrain_encoder(config)


def test_perplexity_on_held_out_texts_falls_epoch_by_epoch(finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    curve = [entry["perplexity"] for entry in metrics["history"]]
    assert len(curve) == 8 and curve[-1] < 0.5 * curve[0]
    assert curve == sorted(curve, reverse=True)
    assert metrics["best"]["perplexity"] == min(curve)
    assert metrics["last"]["masked_accuracy"] > 0.2
    corpus = json.loads((finished / "corpus.json").read_text())
    assert metrics["tokens"] == 8 * corpus["rows"]["train"]["tokens"]
    assert corpus["rows"]["train"]["real_token_rate"] >= 0.9


def read_scalars(run):
    """What TensorBoard shows of a run: values by tag."""
    (path,) = (run / "tensorboard").iterdir()
    scalars = collections.defaultdict(list)
    for event in tf.compat.v1.train.summary_iterator(str(path)):
        for value in event.summary.value:
            scalars[value.tag].append(float(tf.make_ndarray(value.tensor)))
    return scalars


def test_tensorboard_shows_loss_speed_and_held_out_metrics(finished):
    assert {"loss", "tokens_per_second", "metric/perplexity", "metric/masked_accuracy"} <= set(read_scalars(finished))


def test_what_is_trained_is_the_encoder_that_a_ranker_starts_from(tiny_config, finished):
    config = read_config(finished / "config.yaml")
    network = build_masked_lm(adopt_initial(start_from(config, finished)), read_tokenizer(config.text.folder))
    checkpoint = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(finished / "best")))
    name = "encoder/token_embedding/.ATTRIBUTES/VARIABLE_VALUE"
    np.testing.assert_array_equal(network.encoder.token_embedding, checkpoint.get_tensor(name))
    name = "mlm_head/bias/.ATTRIBUTES/VARIABLE_VALUE"
    np.testing.assert_array_equal(network.mlm_head.bias, checkpoint.get_tensor(name))
    assert np.abs(network.mlm_head.bias).max() > 0


def start_from(config, initial, **encoder):
    nothing = dict.fromkeys(("size", "layers", "heads", "width", "inner_width", "positions"))
    changed = dataclasses.replace(config.encoder, **{**nothing, "initial": str(initial), **encoder})
    return dataclasses.replace(config, encoder=changed)


def test_a_ranker_takes_the_shape_of_the_encoder_that_it_starts_from(tiny_config, finished):
    adopted = adopt_initial(start_from(tiny_config, finished))
    assert resolve_shape(adopted.encoder) == RobertaShape(1, 2, 16, 32, 64)
    build_encoder(adopted.encoder, read_tokenizer(adopted.text.folder), 30)
    assert adopt_initial(start_from(tiny_config, finished, layers=1)) == adopted
    with pytest.raises(InputError, match="`encoder` must be of the shape of `encoder.initial`.*width=16.*width=128"):
        adopt_initial(start_from(tiny_config, finished, size="tiny"))
    with pytest.raises(InputError, match="got RobertaShape.layers=3"):
        adopt_initial(start_from(tiny_config, finished, layers=3))
    with pytest.raises(InputError, match="`encoder.initial` must name a run folder"):
        adopt_initial(start_from(tiny_config, finished / "none"))


def test_another_tokenizer_than_that_of_the_encoder_is_refused(tiny_config, finished, tmp_path):
    train_tokenizer(["other words"] * 5, tmp_path / "tokenizer", 320 - 40)
    text = dataclasses.replace(tiny_config.text, folder=str(tmp_path / "tokenizer"))
    with pytest.raises(InputError, match="`text.folder` must hold the tokenizer of `encoder.initial`"):
        adopt_initial(start_from(dataclasses.replace(tiny_config, text=text), finished))


def test_no_text_of_a_test_is_in_the_corpus(tiny_config, finished):
    tokenizer = read_tokenizer(tiny_config.text.folder)
    trained = {tuple(row[row != 1].tolist()) for array in read_rows(finished / "corpus", "train") for row in array}
    held_out = {tuple(row[row != 1].tolist()) for array in read_rows(finished / "corpus", "held_out") for row in array}
    assert trained and held_out and not trained & held_out
    for split in ("validation", "test"):
        queries = [ranked_list.query for ranked_list in read_lists(tiny_config.data.lists, split)]
        for row in tokenizer.tokenize(tf.constant(queries)).to_list():
            assert (0, *row, 2) not in trained | held_out


def wait_for_checkpoint(process, run, after):
    """Returns once the run has written a checkpoint beyond step `after`."""
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        steps = [int(path.stem.split("-")[1]) for path in Path(run, "checkpoints").glob("ckpt-*.index")]
        if steps and max(steps) > after:
            return
        time.sleep(0.001)


def test_a_run_goes_on_with_its_own_lists_alone(finished, tmp_path):
    config = read_config(finished / "config.yaml")
    shutil.copytree(config.data.lists, tmp_path / "lists")
    with open(next((tmp_path / "lists").glob("test-*")), "ab") as file:
        file.write(b"x")
    data = dataclasses.replace(config.data, lists=str(tmp_path / "lists"))
    with pytest.raises(InputError, match="holds a run of other data: what `data.lists` names has changed"):
        pretrain_encoder(dataclasses.replace(config, data=data))


@pytest.mark.soak
def test_a_killed_run_ends_as_one_that_was_not(tiny_config, finished):
    run = finished.parent / "killed"
    command = build_command(tiny_config, run)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_checkpoint(process, run, after=9)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    assert not (run / "metrics.json").exists()
    run_to_end(command)
    readers = [
        tf.train.load_checkpoint(tf.train.latest_checkpoint(str(one / "checkpoints"))) for one in (run, finished)
    ]
    names = sorted(readers[1].get_variable_to_shape_map())
    assert sorted(readers[0].get_variable_to_shape_map()) == names
    for name in names:
        np.testing.assert_array_equal(*(reader.get_tensor(name) for reader in readers), err_msg=name)
    assert (run / "metrics.json").read_text() == (finished / "metrics.json").read_text()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["the same line"] * 50, "at least 2 different texts, one to train on and one held out, got 1 in 50 rows"),
        (["a", "b"], "`pretrain.held_out_rate` must leave a text on either side, got 1e-06 for 2 texts"),
        (["", "  "], "has no rows"),
    ],
)
def test_a_corpus_with_nothing_to_learn_is_refused(tiny_config, tmp_path, lines, message):
    (tmp_path / "corpus.txt").write_text("\n".join(lines) + "\n")
    source = {"path": str(tmp_path / "corpus.txt")}
    rate = 1e-6 if len(set(lines)) == 2 else 0.5
    pretrain = PretrainConfig(lists=False, sources=(source,), held_out_rate=rate, row_tokens=32)
    train = dataclasses.replace(tiny_config.train, run=str(tmp_path / "run"))
    with pytest.raises(InputError, match=message):
        pretrain_encoder(dataclasses.replace(tiny_config, pretrain=pretrain, train=train))
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_held_out_texts_of_which_no_token_is_masked_are_refused(tiny_config, tmp_path):
    (tmp_path / "corpus.txt").write_text("".join(f"text {number}\n" for number in range(20)))
    source = {"path": str(tmp_path / "corpus.txt")}
    pretrain = PretrainConfig(lists=False, sources=(source,), held_out_rate=0.5, row_tokens=32, mask_rate=1e-9)
    train = dataclasses.replace(tiny_config.train, run=str(tmp_path / "run"))
    with pytest.raises(InputError, match="must hold out texts with a token to predict, got [0-9]+ rows of [0-9]+ tok"):
        pretrain_encoder(dataclasses.replace(tiny_config, pretrain=pretrain, train=train))
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_perplexity_that_is_no_number_stops_the_run():
    class Wrong(Certain):
        def __call__(self, *arguments, **settings):
            return super().__call__(*arguments, **settings) * self.factor

    dataset = tf.data.Dataset.from_tensors(mask_every_other([[0, 1, 0, 2]]))
    network = Wrong()
    for network.factor, expected in ((1e6, math.inf), (math.nan, math.nan)):
        got = build_evaluation(network, dataset)()["perplexity"]
        assert got == expected or (math.isnan(got) and math.isnan(expected))


def test_rows_longer_than_the_encoder_takes_are_refused(tiny_config, tmp_path):
    train = dataclasses.replace(tiny_config.train, run=str(tmp_path / "run"))
    pretrain = PretrainConfig(row_tokens=65)
    with pytest.raises(InputError, match="`encoder.positions` must be at least the longest row, got 64"):
        pretrain_encoder(dataclasses.replace(tiny_config, pretrain=pretrain, train=train))
    assert not (tmp_path / "run").exists()
