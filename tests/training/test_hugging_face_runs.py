"""Tests of run folders made from Hugging Face's models, and back."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfr_listbert.config import (
    Config,
    EncoderConfig,
    HuggingFaceConfig,
    PretrainConfig,
    TrainConfig,
    read_config,
    write_config,
)
from tfr_listbert.encoders.weight_files import read_weights, write_weights
from tfr_listbert.schema import InputError
from tfr_listbert.text.tokenizer import read_tokenizer, train_tokenizer
from tfr_listbert.training.hugging_face_runs import export_hugging_face, import_hugging_face
from tfr_listbert.training.pretraining import build_masked_lm, pretrain_encoder
from tfr_listbert.training.rankers import build_encoder, read_configured_tokenizer

TINY = Path(__file__).parent.with_name("encoders") / "hugging_face_tiny"
FILES = ("config.json", "model.safetensors", "vocab.json", "merges.txt")


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    for name in FILES:
        shutil.copy(TINY / name, tmp_path / "source")
    return tmp_path / "source"


@pytest.fixture
def config(source, tmp_path):
    return Config(train=TrainConfig(run=str(tmp_path / "run")), hugging_face=HuggingFaceConfig(str(source)))


def export_to(config, folder):
    settings = dataclasses.replace(config.hugging_face, folder=str(folder))
    export_hugging_face(dataclasses.replace(config, hugging_face=settings))


def test_a_ranker_can_start_from_an_imported_model(config):
    import_hugging_face(config)
    run = config.train.run
    settings = dataclasses.replace(read_config(f"{run}/config.yaml").encoder, initial=run)
    encoder = build_encoder(settings, read_tokenizer(f"{run}/tokenizer"), row_tokens=32)
    expected = np.load(TINY / "expected.npz")
    np.testing.assert_allclose(encoder(tf.constant(expected["tokens"])), expected["hidden"], rtol=0, atol=1e-5)


def test_an_imported_tokenizer_gives_ids_of_the_vocabulary(config):
    import_hugging_face(config)
    ids = read_tokenizer(f"{config.train.run}/tokenizer").tokenize(tf.constant(["the red"])).to_list()[0]
    names = {index: name for name, index in json.loads((TINY / "vocab.json").read_text(encoding="utf-8")).items()}
    assert "".join(names[index] for index in ids) == "theĠred"
    assert len(ids) < 7


def test_words_of_a_byte_level_bpe_without_a_space_before_them_cannot_be_marked(config):
    import_hugging_face(config)
    settings = read_config(f"{config.train.run}/config.yaml")
    text = dataclasses.replace(settings.text, folder=f"{config.train.run}/tokenizer")
    marked = dataclasses.replace(settings.encoder, match_marks=True)
    assert not read_configured_tokenizer(dataclasses.replace(settings, text=text)).adds_space
    with pytest.raises(InputError, match="`encoder.match_marks` must be false with a byte-level BPE without"):
        read_configured_tokenizer(dataclasses.replace(settings, text=text, encoder=marked))


def test_the_run_says_what_was_imported(config, capsys):
    import_hugging_face(config)
    written = read_config(f"{config.train.run}/config.yaml")
    assert (written.text.tokenizer, written.text.vocabulary_size) == ("byte_bpe", 301)
    assert (written.encoder.layers, written.encoder.width, written.encoder.positions) == (2, 16, 32)
    printed = capsys.readouterr().out
    assert "with its masked-LM head. Weights left out: none." in printed
    assert f"initial: {config.train.run}, layers: 2, heads: 4, width: 16, inner_width: 40, positions: 32" in printed


def test_an_exported_import_is_the_model_again(config, tmp_path):
    import_hugging_face(config)
    export_to(config, tmp_path / "again")
    weights, exported = read_weights(TINY / "model.safetensors"), read_weights(tmp_path / "again/model.safetensors")
    assert set(weights) == set(exported)
    for name, array in weights.items():
        np.testing.assert_array_equal(exported[name], array, err_msg=name)
    theirs, ours = (json.loads((folder / "config.json").read_text()) for folder in (TINY, tmp_path / "again"))
    assert {name: theirs[name] for name in ours} == ours
    for name in ("vocab.json", "merges.txt"):
        theirs, ours = ((folder / name).read_text(encoding="utf-8") for folder in (TINY, tmp_path / "again"))
        assert (json.loads(theirs) == json.loads(ours)) if name == "vocab.json" else (theirs == ours)
    assert json.loads((tmp_path / "again/tokenizer_config.json").read_text())["model_max_length"] == 32


def test_a_model_without_a_head_goes_both_ways(config, source, tmp_path):
    weights = {k: v for k, v in read_weights(source / "model.safetensors").items() if not k.startswith("lm_head")}
    write_weights(source / "model.safetensors", weights)
    import_hugging_face(config)
    export_to(config, tmp_path / "again")
    assert set(read_weights(tmp_path / "again/model.safetensors")) == set(weights)
    assert json.loads((tmp_path / "again/config.json").read_text())["architectures"] == ["RobertaModel"]


@pytest.mark.soak
def test_what_is_pretrained_on_from_an_import_is_exported_and_imported_as_it_is(config, tiny_config, tmp_path):
    import_hugging_face(config)
    start = read_config(f"{config.train.run}/config.yaml")
    text = dataclasses.replace(start.text, fields=tiny_config.text.fields)
    trained = dataclasses.replace(
        tiny_config,
        text=text,
        encoder=EncoderConfig(initial=config.train.run),
        pretrain=PretrainConfig(row_tokens=32, min_query_count=0, held_out_rate=0.3),
        train=TrainConfig(run=str(tmp_path / "trained"), epochs=1, learning_rate=1e-2),
    )
    pretrain_encoder(trained)
    export_to(dataclasses.replace(config, train=trained.train), tmp_path / "exported")
    again = dataclasses.replace(config.train, run=str(tmp_path / "again"))
    import_hugging_face(Config(train=again, hugging_face=HuggingFaceConfig(str(tmp_path / "exported"))))
    networks = []
    for run in (config.train.run, trained.train.run, again.run):
        settings = read_config(f"{run}/config.yaml")
        own = dataclasses.replace(settings, encoder=dataclasses.replace(settings.encoder, initial=run))
        own = dataclasses.replace(own, pretrain=trained.pretrain)
        networks.append(build_masked_lm(own, read_tokenizer(f"{run}/tokenizer")))
    tokens = tf.constant(np.load(TINY / "expected.npz")["tokens"])
    before, after, back = (network(tokens, tokens > 2).numpy() for network in networks)
    np.testing.assert_allclose(back, after, rtol=0, atol=1e-5)
    assert np.abs(after - before).max() > 0.1


def test_ids_of_first_and_last_token_are_those_of_the_tokenizer(config, source, tmp_path):
    vocabulary = json.loads((source / "vocab.json").read_text(encoding="utf-8"))
    turned = vocabulary | {"<s>": vocabulary["</s>"], "</s>": vocabulary["<s>"]}
    (source / "vocab.json").write_text(json.dumps(turned))
    import_hugging_face(config)
    export_to(config, tmp_path / "again")
    content = json.loads((tmp_path / "again/config.json").read_text())
    assert (content["bos_token_id"], content["pad_token_id"], content["eos_token_id"]) == (2, 1, 0)


@pytest.mark.parametrize("name", ["match_marks", "letter_marks"])
def test_an_encoder_that_marks_matches_is_not_exported(name, config, tmp_path):
    import_hugging_face(config)
    path = Path(config.train.run, "config.yaml")
    run = read_config(path)
    write_config(dataclasses.replace(run, encoder=dataclasses.replace(run.encoder, **{name: True})), path)
    with pytest.raises(InputError, match=f"`encoder.{name}` of the run .* must be false, got true: the library's"):
        export_to(config, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_run_with_a_sentencepiece_tokenizer_is_exported_with_its_model(config, tmp_path, capsys):
    import_hugging_face(config)
    shutil.rmtree(f"{config.train.run}/tokenizer")
    texts = [f"dress {chr(code)}" for code in range(0x3B1, 0x3C0)]
    train_tokenizer(texts, f"{config.train.run}/tokenizer", 301)
    export_to(config, tmp_path / "again")
    written = {path.name for path in (tmp_path / "again").iterdir()}
    assert written == {"config.json", "model.safetensors", "sentencepiece.model"}
    assert "a SentencePiece model, for which the library's RoBERTa has no class" in capsys.readouterr().out


def test_pickled_weights_are_read_only_if_they_are_named(config, source):
    (source / "model.safetensors").unlink()
    shutil.copy(TINY / "pytorch_model.bin", source)
    with pytest.raises(InputError, match="model.safetensors is missing: .*pytorch_model.bin"):
        import_hugging_face(config)
    named = dataclasses.replace(config.hugging_face, weights="pytorch_model.bin")
    import_hugging_face(dataclasses.replace(config, hugging_face=named))


def _cut(name):
    def cut(source):
        (source / name).write_bytes((source / name).read_bytes()[:1000])

    return cut


def _change_config(**change):
    def write(source):
        path = source / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))

    return write


def _add_symbol(source):
    vocabulary = json.loads((source / "vocab.json").read_text(encoding="utf-8"))
    (source / "vocab.json").write_text(json.dumps(vocabulary | {"zz": 301}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut("model.safetensors"), "model.safetensors is no whole safetensors file"),
        (_add_symbol, "vocabulary must fit an embedding of 301 rows, got id 301 for 'zz'"),
        (_change_config(vocab_size=400), r"word_embeddings.weight .* must be of shape \[400, 16\].*got \[301, 16\]"),
        (_change_config(pad_token_id=0), "`pad_token_id` .* must be the id of <pad> in the vocabulary, 1, got 0"),
        (lambda source: (source / "config.json").write_text("[1]"), "config.json must hold a JSON object, got list"),
        (_change_config(num_hidden_layers=3), "has no weight roberta.encoder.layer.2"),
        (_change_config(hidden_act="relu"), "`hidden_act`"),
        (lambda source: (source / "merges.txt").unlink(), "merges.txt is missing"),
        (lambda source: (source / "config.json").unlink(), "config.json is missing"),
    ],
)
def test_what_cannot_be_imported_is_named_and_leaves_nothing(damage, message, config, source, tmp_path):
    damage(source)
    with pytest.raises(InputError, match=message):
        import_hugging_face(config)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_nothing_that_exists_is_overwritten(config, source):
    with pytest.raises(InputError, match="There is no run in"):
        export_to(config, source.with_name("new"))
    import_hugging_face(config)
    with pytest.raises(InputError, match="`train.run` must be a new folder"):
        import_hugging_face(config)
    with pytest.raises(InputError, match="`hugging_face.folder` must be a new folder"):
        export_to(config, source)
