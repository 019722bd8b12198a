"""Pre-training: perplexity by hand, a run that learns, what it leaves, and corpora that cannot be used."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import PretrainConfig, read_config, write_config
from tfr_listbert.encoders.roberta import RobertaShape, resolve_shape
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.rows.corpus_store import read_rows
from tfr_listbert.schema import InputError
from tfr_listbert.text.tokenizer import read_tokenizer, train_tokenizer
from tfr_listbert.training.pretraining import build_masked_lm, build_objective, measure_perplexity, pretrain_encoder
from tfr_listbert.training.runs import adopt_initial, build_encoder

PRETRAIN = [sys.executable, "pipelines/pretrain.py"]


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


class EveryOther:
    """Masks every second token."""

    def mask(self, tokens, seed):
        is_masked = tf.cast(tf.range(tf.size(tokens)) % 2, tf.bool)
        return tokens, tf.reshape(is_masked, tf.shape(tokens))


class Certain:
    """Gives token 1 three times the probability of tokens 0 and 2."""

    def __call__(self, tokens, is_masked, seed=None, training=None):
        return tf.tile([[0.0, math.log(3.0), 0.0]], [tf.math.count_nonzero(is_masked), 1])


def test_perplexity_and_accuracy_by_hand():
    batches = [[[0, 1, 0, 2]], [[0, 1], [0, 1]]]  # masked: 1, 2, 1, 1
    dataset = tf.data.Dataset.from_generator(
        lambda: ({"tokens": batch, "step": step} for step, batch in enumerate(batches)),
        output_signature={"tokens": tf.TensorSpec([None, None], tf.int32), "step": tf.TensorSpec([], tf.int64)},
    )
    got = measure_perplexity(Certain(), EveryOther(), dataset)
    assert got["masked_accuracy"] == pytest.approx(3 / 4)
    assert got["perplexity"] == pytest.approx((5 / 3 * 5 / 3 * 5 / 3 * 5) ** (1 / 4), rel=1e-6)


def test_the_loss_is_summed_over_masked_tokens_and_counts_real_ones():
    tokens = tf.constant(
        [[0, 1, 0, 2], [2, 1, 9, 9]]
    )  # masked: 1, 2, 1 and, since this masker knows no better, padding
    total, count, real = build_objective(EveryOther(), pad_id=9)(Certain(), {"tokens": tokens[:1]}, tf.constant([1, 2]))
    assert float(total) == pytest.approx(math.log(5 / 3) + math.log(5), rel=1e-6)
    assert (int(count), int(real)) == (2, 4)
    assert int(tf.math.count_nonzero(tokens != 9)) == 6


def test_perplexity_on_held_out_texts_falls_epoch_by_epoch(finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    curve = [entry["perplexity"] for entry in metrics["history"]]
    assert len(curve) == 8 and curve[-1] < 0.5 * curve[0]
    assert curve[:4] == sorted(curve[:4], reverse=True)
    assert metrics["best"]["perplexity"] == min(curve)
    assert metrics["last"]["masked_accuracy"] > 0.2
    corpus = json.loads((finished / "corpus.json").read_text())
    assert metrics["tokens"] == 8 * corpus["rows"]["train"]["tokens"]
    assert corpus["rows"]["train"]["real_token_rate"] >= 0.9


def test_tensorboard_shows_loss_speed_and_held_out_metrics(finished):
    (path,) = (finished / "tensorboard").iterdir()
    events = tf.compat.v1.train.summary_iterator(str(path))
    tags = {value.tag for event in events for value in event.summary.value}
    assert {"loss", "tokens_per_second", "metric/perplexity", "metric/masked_accuracy"} <= tags


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


def test_rows_longer_than_the_encoder_takes_are_refused(tiny_config, tmp_path):
    train = dataclasses.replace(tiny_config.train, run=str(tmp_path / "run"))
    pretrain = PretrainConfig(row_tokens=65)
    with pytest.raises(InputError, match="`encoder.positions` must be at least the longest row, got 64"):
        pretrain_encoder(dataclasses.replace(tiny_config, pretrain=pretrain, train=train))
    assert not (tmp_path / "run").exists()
