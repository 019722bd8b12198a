"""Run folders: a run goes on under the settings and the data that it was begun with, or not at all."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest

from tfr_listbert.rows.profile import RowProfile
from tfr_listbert.schema import InputError
from tfr_listbert.training import rankers
from tfr_listbert.training.contents import describe_start
from tfr_listbert.training.rankers import read_configured_tokenizer, read_ranker
from tfr_listbert.training.run_folder import describe_other_lists, open_folder, open_run

PROFILE = RowProfile((10, 25), (25.0,), (12.0,))
PRETRAINING = ("text", "encoder", "pretrain", "train")  # its sections


@pytest.fixture
def config(tiny_config, tmp_path):
    """A config whose lists and tokenizer may be changed."""
    places = {"lists": tmp_path / "lists", "folder": tmp_path / "tokenizer"}
    shutil.copytree(tiny_config.data.lists, places["lists"])
    shutil.copytree(tiny_config.text.folder, places["folder"])
    return dataclasses.replace(
        tiny_config,
        data=dataclasses.replace(tiny_config.data, lists=str(places["lists"])),
        text=dataclasses.replace(tiny_config.text, folder=str(places["folder"])),
        train=dataclasses.replace(tiny_config.train, run=str(tmp_path / "run")),
    )


def append_byte(path):
    with open(path, "ab") as file:
        file.write(b"x")


@pytest.mark.parametrize("setting", ["data.lists", "text.folder"])
def test_a_run_of_data_that_have_changed_is_refused(config, setting):
    assert open_run(config, lambda: PROFILE) == open_run(config, lambda: PROFILE) == PROFILE
    folder = Path(config.data.lists if setting == "data.lists" else config.text.folder)
    append_byte(sorted(folder.glob("train-*" if setting == "data.lists" else "*"))[0])
    with pytest.raises(InputError, match=f"holds a run of other data: what `{setting}` names has changed since"):
        open_run(config, lambda: PROFILE)


@pytest.mark.parametrize("content", ["folder", "file"])
def test_somebody_elses_folder_is_no_place_for_a_run(config, content):
    run = Path(config.train.run)
    if content == "folder":
        (run / "tokenizer").mkdir(parents=True)
        (run / "tokenizer" / "mine.txt").touch()
    else:
        run.touch()
    with pytest.raises(
        InputError, match=r"`train.run` names .*run, which (holds no run, and other files \(tok|cannot be)"
    ):
        open_run(config, lambda: PROFILE)
    assert content == "file" or (run / "tokenizer" / "mine.txt").exists()


@pytest.mark.parametrize("name", ["rows.json", "contents.json"])
def test_a_damaged_file_of_a_run_is_named(config, name):
    open_run(config, lambda: PROFILE)
    (Path(config.train.run) / name).write_text("{")
    with pytest.raises(InputError, match=f"run/{name} is damaged"):
        open_run(config, lambda: PROFILE)


def test_a_folder_beside_the_tokenizers_files_changes_nothing(config):
    open_run(config, lambda: PROFILE)
    (Path(config.text.folder) / ".ipynb_checkpoints").mkdir()
    assert open_run(config, lambda: PROFILE) == PROFILE


def test_lists_that_are_not_those_of_the_training_are_told(config):
    open_run(config, lambda: PROFILE)
    assert describe_other_lists(config.train.run, config.data.lists) == ""
    append_byte(next(Path(config.data.lists).glob("test-*")))
    warning = describe_other_lists(config.train.run, config.data.lists)
    assert "queries of their test split may have been among its training queries" in warning


def test_a_run_that_another_process_prepares_is_refused(config):
    def prepare(_):
        with pytest.raises(InputError, match="Another process is preparing `train.run`"):
            open_folder(config, PRETRAINING, {}, lambda _: None)

    open_folder(config, PRETRAINING, describe_start(config), prepare)


def test_a_run_of_pretraining_is_no_place_for_a_ranker(config):
    open_folder(config, PRETRAINING, describe_start(config), lambda _: None)
    with pytest.raises(InputError, match="holds a run of another kind, of pre-training or of an import"):
        open_run(config, lambda: PROFILE)
    with pytest.raises(InputError, match="holds an encoder, of pre-training or of an import, and no ranker"):
        read_ranker(config.train.run)


def test_a_rankers_run_is_no_place_for_pretraining(config):
    open_run(config, lambda: PROFILE)
    with pytest.raises(InputError, match="holds a run of another kind, of a ranker or student"):
        open_folder(config, PRETRAINING, describe_start(config), lambda _: None)


@pytest.mark.parametrize(("metric", "is_same"), [("ndcg_10", True), ("mrr", False)])
def test_the_lowest_relevant_label_stays_where_it_decides_what_is_best(config, metric, is_same):
    own = dataclasses.replace(config, train=dataclasses.replace(config.train, metric=metric))
    open_run(own, lambda: PROFILE)
    other = dataclasses.replace(own, evaluate=dataclasses.replace(own.evaluate, relevant_from=2.0))
    if is_same:
        assert open_run(other, lambda: PROFILE) == PROFILE
        return
    with pytest.raises(InputError, match=r"other settings: evaluate.relevant_from \(was 1.0, is 2.0\)"):
        open_run(other, lambda: PROFILE)


@pytest.mark.parametrize(
    ("section", "settings", "now"),
    [("compare", {"folds": 5}, "(5, 'clicks')"), ("data", {"reader": "esci"}, "(None, 'esci')")],
)
def test_a_pretraining_that_would_leave_out_other_queries_is_another_run(config, section, settings, now):
    start = describe_start(config)
    open_folder(config, PRETRAINING, start, lambda _: None)
    other = dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **settings)})
    message = f"other settings: compare.folds and data.reader (were (None, 'clicks'), are {now}). Choose"
    with pytest.raises(InputError, match=re.escape(message)):
        open_folder(other, PRETRAINING, start, lambda _: None)


def test_a_pretraining_that_leaves_out_the_same_queries_goes_on(config):
    start, prepared = describe_start(config), []
    for folds in (5, 3):  # with either the queries of all splits
        folded = dataclasses.replace(config, compare=dataclasses.replace(config.compare, folds=folds))
        open_folder(folded, PRETRAINING, start, prepared.append)
    assert len(prepared) == 1


def test_a_byte_level_bpe_keeps_case_and_a_config_that_says_otherwise_is_refused(config, monkeypatch):
    monkeypatch.setattr(rankers, "read_description", lambda folder: {"kind": "sentencepiece"})  # as that of a BPE
    with pytest.raises(InputError, match="`text.lowercase` must be False, as the tokenizer"):
        read_configured_tokenizer(config)


@pytest.mark.parametrize(
    ("setting", "value", "found"), [("tokenizer", "byte_bpe", "sentencepiece"), ("lowercase", False, "True")]
)
def test_a_tokenizer_that_is_not_the_one_asked_for_is_refused(config, setting, value, found):
    read_configured_tokenizer(config)
    other = dataclasses.replace(config, text=dataclasses.replace(config.text, **{setting: value}))
    with pytest.raises(InputError, match=f"`text.{setting}` must be {found}, as the tokenizer in `text.folder`"):
        read_configured_tokenizer(other)


def test_another_way_to_write_the_folder_is_the_same_run(config):
    open_run(config, lambda: PROFILE)
    written = dataclasses.replace(config, train=dataclasses.replace(config.train, run=f"{config.train.run}/"))
    assert open_run(written, lambda: PROFILE) == PROFILE


def test_a_start_that_was_killed_leaves_nothing_of_its_tokenizer(config):
    stale = Path(config.train.run, "tokenizer", "vocab.json")
    stale.parent.mkdir(parents=True)
    stale.touch()
    Path(config.train.run, "contents.json").write_text("{}")
    open_run(config, lambda: PROFILE)
    assert {path.name for path in stale.parent.iterdir()} == {path.name for path in Path(config.text.folder).iterdir()}


def test_the_tokenizer_may_be_in_the_run_folder_already(config):
    inside = Path(config.train.run, "tokenizer")
    shutil.copytree(config.text.folder, inside)
    own = dataclasses.replace(config, text=dataclasses.replace(config.text, folder=str(inside)))
    assert open_run(own, lambda: PROFILE) == PROFILE and any(inside.iterdir())
