"""What pre-training is worth: two starts under one budget, and a table that says how sure the difference is."""

import dataclasses
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import CompareConfig, LossConfig, LossTermConfig, PretrainConfig, write_config
from tfr_listbert.evaluation.comparison import compare
from tfr_listbert.evaluation.comparison.results import Results, System, SystemRun
from tfr_listbert.evaluation.pretraining_gain import format_gain, measure_pretraining_gain
from tfr_listbert.schema import Document, InputError, RankedList
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.pretraining import build_masked_lm

QUERIES = 40


def build_system(name, *runs):
    return System(
        name, None, tuple(SystemRun(seed, (), (), (), {"ndcg_10": values}) for seed, values in enumerate(runs))
    )


def test_the_table_tells_a_sure_gain_on_unseen_queries_from_none_on_all():
    lists = [
        RankedList(f"q{number}", "a b", (Document("d", {}, 1.0),), is_seen=int(number < QUERIES // 2))
        for number in range(QUERIES)
    ]
    start = np.full(QUERIES, 0.5)
    gain = np.where(np.arange(QUERIES) < QUERIES // 2, -0.1, 0.1)
    systems = [
        build_system("from_random", start, start),
        build_system("from_pretrained", start + gain, start + gain),
        build_system("bm25", start - 0.05),
    ]
    text = format_gain(Results(lists, systems), "ndcg_10", resamples=999, seed=1)
    whole, unseen = text.split("test, unseen queries: 20 lists; intervals are over queries\n")
    assert whole.startswith("test, all queries: 40 lists; intervals")
    assert "pre-trained better by +0.0000" in whole and "better by +0.1000" in unseen
    p = {
        name: float(re.search(r"3 pairs \(Holm\), p = ([\d.]+)", part)[1])
        for name, part in (("all", whole), ("new", unseen))
    }
    assert p["all"] > 0.9 and p["new"] == 0.003
    assert re.search(r"from_pretrained +0.6000 +0.6000 – 0.6000 +0.6000 0.6000", unseen)
    gains = re.findall(r"  (.*) better by (\S+) \((\S+) – (\S+)\) than (.*); .* p = ([\d.]+), .* p = ([\d.]+)", unseen)
    assert gains == [
        ("pre-trained", "+0.1000", "+0.1000", "+0.1000", "random weights", "0.0030", "0.0030"),
        ("pre-trained", "+0.1500", "+0.1500", "+0.1500", "stemmed BM25", "0.0030", "0.0030"),
        ("random weights", "+0.0500", "+0.0500", "+0.0500", "stemmed BM25", "0.0030", "0.0030"),
    ]


def test_runs_that_came_to_no_end_are_counted():
    values = np.full(QUERIES, 0.5)
    lists = [RankedList(f"q{number}", "a b", (Document("d", {}, 1.0),)) for number in range(QUERIES)]
    lost = dataclasses.replace(build_system("from_random", values).runs[0], per_list={})
    whole = build_system("from_random", values, values)
    results = Results(lists, [dataclasses.replace(whole, runs=(*whole.runs, lost)), build_system("bm25", values)])
    text = format_gain(results, "ndcg_10", resamples=99, seed=1)
    assert "from_random: 1 of 3 runs diverged or failed, and are not counted" in text and "bm25: " not in text


def test_a_gain_over_bm25_that_is_no_more_than_the_luck_of_runs_is_not_sure():
    draw = np.random.default_rng(1)
    own = draw.uniform(0.4, 0.6, QUERIES)
    lists = [RankedList(f"q{number}", "a b", (Document("d", {}, 1.0),)) for number in range(QUERIES)]
    systems = [
        build_system("from_pretrained", own + 0.1, own - 0.06),
        build_system("from_random", own + 0.06, own - 0.1),
        build_system("bm25", own),
    ]
    text = format_gain(Results(lists, systems), "ndcg_10", resamples=999, seed=1)
    (gain,) = re.findall(r"pre-trained better by (\S+) .* than stemmed BM25; .* p = ([\d.]+), .* p = ([\d.]+)", text)
    assert gain[0] == "+0.0200" and float(gain[1]) == 0.003 and float(gain[2]) > 0.5


@pytest.fixture
def pretrained(tiny_config, tmp_path):
    """A run folder as pre-training leaves it, with random weights."""
    run = tmp_path / "pretrained"
    config = dataclasses.replace(tiny_config, pretrain=PretrainConfig(row_tokens=32))
    network = build_masked_lm(config, read_tokenizer(tiny_config.text.folder))
    objects = {"encoder": network.encoder, "mlm_head": network.mlm_head}
    tf.train.CheckpointManager(tf.train.Checkpoint(**objects), str(run / "best"), max_to_keep=1).save(1)
    shutil.copytree(tiny_config.text.folder, run / "tokenizer")
    write_config(tiny_config, run / "config.yaml")
    return run


@pytest.mark.soak
def test_both_starts_get_the_same_budget_and_are_printed(
    tiny_config, pretrained, tmp_path, monkeypatch, capsys, build_runner
):
    ran = []
    monkeypatch.setattr(compare, "run_all", build_runner(ran))
    config = dataclasses.replace(
        tiny_config,
        encoder=dataclasses.replace(tiny_config.encoder, initial=str(pretrained)),
        train=dataclasses.replace(tiny_config.train, epochs=1, batch_lists=48, learning_rate=1e-9),
        compare=CompareConfig(output=str(tmp_path / "gain"), seeds=(4,), learning_rates=(1e-9,)),
    )
    measure_pretraining_gain(config)
    assert [(run.loss, run.config.encoder.initial) for run in ran] == [
        ("from_random", None),
        ("from_pretrained", str(pretrained)),
    ]
    assert dataclasses.replace(ran[0].config.train, run="any") == dataclasses.replace(ran[1].config.train, run="any")
    first, second = (tf.train.load_checkpoint(str(run.folder / "best")) for run in ran)
    start = tf.train.load_checkpoint(str(pretrained / "best"))
    name = "encoder/token_embedding/.ATTRIBUTES/VARIABLE_VALUE"
    np.testing.assert_allclose(second.get_tensor(name), start.get_tensor(name), atol=1e-6)
    assert np.abs(first.get_tensor(name) - start.get_tensor(name)).max() > 0.01
    out = capsys.readouterr().out
    assert "test, unseen queries: 12 lists" in out and "pre-trained better by" in out
    assert out.count("than stemmed BM25; paired randomization test") == 4  # two starts, all and unseen queries


def test_a_sum_of_losses_is_refused(tiny_config):
    encoder = dataclasses.replace(tiny_config.encoder, initial="run")
    loss = LossConfig(terms=(LossTermConfig("list_mle_loss", "labels"),))
    with pytest.raises(InputError, match=r"`loss.terms` must be empty: .* one loss, got \['list_mle_loss'\]"):
        measure_pretraining_gain(dataclasses.replace(tiny_config, encoder=encoder, loss=loss))


def test_a_run_without_a_pretrained_encoder_is_refused(tiny_config):
    with pytest.raises(InputError, match="`encoder.initial` must name the pre-trained run"):
        measure_pretraining_gain(tiny_config)
