"""Configs: what is read, what is refused and in which words."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import tfr_listbert.lists.readers  # noqa: F401  (registers the readers)
from tfr_listbert import config as sections_module
from tfr_listbert.config import Config, read_config, write_config
from tfr_listbert.lists.tables.formats import CSVFormat
from tfr_listbert.registry import READERS
from tfr_listbert.rows.corpus_sources import CorpusSource, TextColumn
from tfr_listbert.schema import InputError


def read_text(tmp_path, text, *overrides):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return read_config(path, overrides)


def test_a_written_config_reads_back_equal(tmp_path):
    config = read_text(
        tmp_path,
        """
        data: {reader: table, options: {path: a.csv}, fields: [title, brand], features: [price]}
        text: {fields: [{name: brand, tokens: 4, template: "by {}"}]}
        model: {features: [price]}
        loss: {loss: approx_ndcg_loss, options: {temperature: 1e-1}}
        """,
    )
    write_config(config, tmp_path / "copy.yaml")
    assert read_config(tmp_path / "copy.yaml") == config
    assert config.text.fields[0].template == "by {}"


def test_defaults_are_a_valid_config(tmp_path):
    assert read_text(tmp_path, "") == Config()


def test_overrides_win_over_the_file_and_the_file_over_its_base(tmp_path):
    (tmp_path / "base.yaml").write_text("train: {epochs: 7, seed: 3, run: a}")
    config = read_text(tmp_path, "base: base.yaml\ntrain: {seed: 4, run: b}", "train.run=c", "encoder.layers=3")
    assert (config.train.epochs, config.train.seed, config.train.run, config.encoder.layers) == (7, 4, "c", 3)


def test_a_section_without_settings_leaves_those_of_the_base(tmp_path):
    (tmp_path / "base.yaml").write_text("train: {epochs: 7}")
    assert read_text(tmp_path, "base: base.yaml\ntrain:\n  # epochs: 9\n").train.epochs == 7


def test_null_takes_an_option_of_the_base_away(tmp_path):
    (tmp_path / "base.yaml").write_text("data: {options: {columns: {query: q, time: day}, train_window: [1, 2]}}")
    text = "base: base.yaml\ndata: {options: {columns: {time: null}}}"
    config = read_text(tmp_path, text, "data.options.train_window=null")
    assert config.data.options == {"columns": {"query": "q"}}


def test_signs_of_csv_may_be_empty_and_stand_alone(tmp_path):
    config = read_text(tmp_path, "data: {options: {csv: {quote: }}}", "data.options.csv.delimiter=|")
    assert config.data.options == {"csv": {"quote": "", "delimiter": "|"}}


def test_a_number_in_scientific_notation_is_a_number(tmp_path):
    assert read_text(tmp_path, "train: {learning_rate: 1e-4}").train.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {seed: 1}\ntrain: {seed: 1}\ndata: {}", "`data` stands twice"),
        ("train: {run: ''}", "`train.run` must name a folder"),
        ("train: {seed: 1, seed: 2}", "`seed` stands twice"),
        ("train: {epoch: 3}", r"`train.epoch` is not a setting. Did you mean 'epochs'\?"),
        ("trian: {}", r"`trian` is not a setting. Did you mean 'train'\?"),
        ("train: {epochs: many}", "`train.epochs` must be a whole number, got 'many'."),
        ("train: {epochs: true}", "`train.epochs` must be a whole number, got True."),
        ("train: {epochs: 0}", "`train.epochs` must be >= 1, got 0."),
        ("train: {learning_rate: .inf}", "`train.learning_rate` must be a finite number, got inf."),
        ("train: {learning_rate: -1}", "`train.learning_rate` must be > 0, got -1.0."),
        ("train: {precision: float8}", "`train.precision` must be one of float32, mixed_bfloat16, mixed_float16"),
        ("train: 3", "`train` must be a mapping of settings, got 3."),
        (
            "vectors: {index: My Products}",
            "`vectors.index` must be lower-case letters, digits and _.-, as engines want",
        ),
        ("data: {list_size: 1}", "`data.list_size` must be >= 2 to rank, got 1."),
        ("data: {fields: title}", "`data.fields` must be a list, got 'title'."),
        ("data: {fields: [label]}", "`data.fields and data.features` may not use a reserved name"),
        ("data: {fields: [results]}", "`data.fields and data.features` may not use a reserved name"),
        ("data: {fields: [Größe]}", "must be a name of the letters a to z, digits and _"),
        ("data: {fields: [class]}", "must be a name of the letters a to z, digits and _"),
        ("data: {features: [Weight]}", "`data.fields and data.features` may not use a reserved name .*, got 'Weight'"),
        ("data: {features: [price, Price]}", "must not repeat a name, upper or lower case"),
        ("data: {bm25: {language: englisch}}", "`data.bm25.language` names no .*'englisch'. Did you mean 'english'"),
        ("data: {bm25: {b: 3}}", "`data.bm25.b` must be from 0 to 1"),
        ("text: {fields: [{tokens: 3}]}", r"`text.fields\[0\].name` is required and missing."),
        ("text: {fields: [{name: colour}]}", r"`text.fields` must be among `data.fields` \['title'\], got 'colour'."),
        ("text: {fields: [{name: title, template: by}]}", r"template` must hold {} once, got 'by'."),
        *(
            (f"model: {{type: student}}\nencoder: {{{name}: true}}", f"`encoder.{name}` must be false for a student")
            for name in ("match_marks", "letter_marks")
        ),
        ("model: {features: [price]}", r"`model.features` must be among `data.features` \[\], got 'price'."),
        *(
            (f"distill: {{losses: [{{name: {name}, terms: [{{loss: margin_mse_loss}}]}}]}}", "losses.name` " + rule)
            for name, rule in (("teacher", "is taken"), ("table.md", "is taken"), ("..", "must be a name for a folder"))
        ),
        ("- 1", "must hold sections"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_a_bad_setting_is_named_with_its_rule(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_text(tmp_path, text)


def test_a_missing_file_and_a_circle_of_bases_are_named(tmp_path):
    with pytest.raises(InputError, match="There is no config file"):
        read_config(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_text("base: config.yaml")
    with pytest.raises(InputError, match="leads back to itself"):
        read_text(tmp_path, "base: b.yaml")


@pytest.mark.parametrize("override", ["train.epochs", "epochs=3", "train.epochs.x=3"])
def test_a_bad_override_is_refused(tmp_path, override):
    with pytest.raises(InputError, match="override"):
        read_text(tmp_path, "train: {epochs: 1}", override)


def list_settings(kind):
    """Yields the class and name of each setting of a section, and of the sections in it, with the line behind it."""
    (tree,) = ast.parse(inspect.getsource(kind)).body
    for line, behind in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(line, ast.AnnAssign):
            yield f"{kind.__name__}.{line.target.id}", behind


def test_every_setting_says_what_it_means():
    sections = [
        value for _, value in inspect.getmembers(sections_module) if dataclasses.is_dataclass(value) and value != Config
    ]
    readers = [READERS.get(name, "data.reader") for name in READERS]
    silent = [
        name
        for kind in (*sections, *readers, CSVFormat, CorpusSource, TextColumn)
        for name, behind in list_settings(kind)
        if not (isinstance(behind, ast.Expr) and isinstance(behind.value.value, str))
    ]
    assert not silent


@pytest.mark.parametrize("name", READERS)
def test_the_options_of_each_reader_stand_in_the_data_readme(name):
    text = Path("data/README.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"\n### `{name}`.*?(?=\n##)", text, re.DOTALL)
    options = [field.name for field in dataclasses.fields(READERS.get(name, "data.reader"))]
    assert not [option for option in options if f"`{option}`" not in section]


def test_sections_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().train.epochs = 3
