"""Every script answers what its user can mend with one message and exit code 2."""

import dataclasses

import pytest

from tfr_listbert.config import Config
from tfr_listbert.distillation import students
from tfr_listbert.evaluation import pretraining_gain
from tfr_listbert.evaluation.comparison import plan
from tfr_listbert.schema import InputError
from tfr_listbert.script import run_script


def run(monkeypatch, call, *arguments, decided=None):
    monkeypatch.setattr("sys.argv", ["pipelines/train.py", *map(str, arguments)])
    run_script(call, "Trains a ranker.", decided)


@pytest.mark.parametrize(
    ("text", "override", "message"),
    [
        ("", "train.run=[", "The value of the override 'train.run=[' is not valid YAML; quote it."),
        ("", "train.run=2024-13-01", "The value of the override 'train.run=2024-13-01' is not valid YAML"),
        ("", "train.seed=-1", "`train.seed` must be >= 0 and < 2^31, got -1."),
        ("", "train.seed=2147483648", "`train.seed` must be >= 0 and < 2^31, got 2147483648."),
        ("", "evaluate.checkpoint=newest", "`evaluate.checkpoint` must be best, last or the step of a checkpoint"),
        ("train: {run: 2024-13-01}", "train.seed=2", "config.yaml is not valid YAML"),
        ("base: 3", "train.seed=2", "`base` of "),
    ],
)
def test_a_config_that_cannot_be_read_ends_in_one_message(monkeypatch, capsys, tmp_path, text, override, message):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, pytest.fail, tmp_path / "config.yaml", override)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error


def test_a_folder_is_no_config(monkeypatch, capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, pytest.fail, tmp_path)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: The config file {tmp_path} cannot be read: Is a directory.\n"


def test_an_error_in_the_library_call_ends_in_its_message(monkeypatch, capsys, tmp_path):
    def call(config):
        raise InputError(f"no lists in {config.data.lists}")

    (tmp_path / "config.yaml").write_text("data:\n")
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, call, tmp_path / "config.yaml", "data.lists=x")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: no lists in x\n"


def test_an_interrupted_call_says_that_it_can_be_made_again(monkeypatch, capsys, tmp_path):
    def call(config):
        raise KeyboardInterrupt

    (tmp_path / "config.yaml").write_text("data:\n")
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, call, tmp_path / "config.yaml")
    assert ended.value.code == 130
    assert capsys.readouterr().err == "\nInterrupted. Start the same command again: what is finished is kept.\n"


def test_a_call_without_config_is_answered_with_the_usage(monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, pytest.fail)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "Usage: python pipelines/train.py CONFIG.yaml [section.key=value ...]\n"


def test_a_setting_that_the_script_decides_itself_is_refused(monkeypatch, capsys, tmp_path):
    (tmp_path / "config.yaml").write_text("train: {learning_rate: 0.1}")
    decided = {"train.learning_rate": "compare.learning_rates", "loss.options": "compare.losses"}
    for override, control in {
        "train.learning_rate=0.2": "learning_rates",
        "loss.options.temperature=2": "losses",
    }.items():
        with pytest.raises(SystemExit) as ended:
            run(monkeypatch, pytest.fail, tmp_path / "config.yaml", override, decided=decided)
        assert ended.value.code == 2
        assert capsys.readouterr().err == (
            f"error: `{override.split('=')[0]}` would change nothing here: `compare.{control}` says what each run "
            "gets; set that.\n"
        )
    run(monkeypatch, lambda config: None, tmp_path / "config.yaml", "train.epochs=2", decided=decided)


@pytest.mark.parametrize("decided", [plan.DECIDED, students.DECIDED, pretraining_gain.DECIDED])
def test_what_a_script_decides_are_settings(decided):
    for name in (name for pair in decided.items() for name in pair):
        section, key = name.split(".")
        assert key in {field.name for field in dataclasses.fields(getattr(Config(), section))}
