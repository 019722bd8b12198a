"""The whole configuration, read from YAML with `base:` files and dotted overrides."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tfr_listbert.config.building import build_dataclass
from tfr_listbert.config.checks import require
from tfr_listbert.config.data import DataConfig, ShopConfig
from tfr_listbert.config.distillation import DistillConfig, TeacherConfig
from tfr_listbert.config.evaluation import CompareConfig, EvaluateConfig
from tfr_listbert.config.export import ExportConfig, VectorsConfig
from tfr_listbert.config.models import EncoderConfig, ModelConfig
from tfr_listbert.config.text import TextConfig
from tfr_listbert.config.training import HuggingFaceConfig, LossConfig, PretrainConfig, TrainConfig
from tfr_listbert.schema import InputError


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error; PyYAML drops the first without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Returns the mapping of a node."""
        keys = [key.value for key, _ in node.value]
        for place, (key, _) in enumerate(node.value):
            if key.value in keys[:place]:
                raise yaml.constructor.ConstructorError(None, None, f"`{key.value}` stands twice", key.start_mark)
        return super().construct_mapping(node, deep)


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole configuration; each script reads the sections that it needs."""

    shop: ShopConfig = ShopConfig()
    data: DataConfig = DataConfig()
    text: TextConfig = TextConfig()
    encoder: EncoderConfig = EncoderConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    export: ExportConfig = ExportConfig()
    pretrain: PretrainConfig = PretrainConfig()
    hugging_face: HuggingFaceConfig = HuggingFaceConfig()
    compare: CompareConfig = CompareConfig()
    teacher: TeacherConfig = TeacherConfig()
    distill: DistillConfig = DistillConfig()
    vectors: VectorsConfig = VectorsConfig()

    def __post_init__(self) -> None:
        """Checks what holds between sections."""
        for field in self.text.fields:
            require(
                field.name in self.data.fields,
                "text.fields",
                f"must be among `data.fields` {list(self.data.fields)}",
                field.name,
            )
        for name in self.model.features:
            require(
                name in self.data.features,
                "model.features",
                f"must be among `data.features` {list(self.data.features)}",
                name,
            )
        for name in self.encoder.marks:
            rule = "must be false for a student, who sees query and document apart"
            require(not self.model.is_student, f"encoder.{name}", rule, True)
        limit, longest = self.train.max_tokens_in_memory, self.text.row_tokens
        rule = f"must be at least the longest row, {longest} tokens by the budgets of `text`"
        require(limit is None or limit >= longest, "train.max_tokens_in_memory", rule, limit)


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Returns the config in a YAML file.

    A `null` within `data.options` is as if the option had not been given, so that it takes one of the base away; but in
    `csv`, whose characters may be empty, it is the empty text.

    Args:
        path: the file; its `base:` names a file, relative to it, whose settings it starts from.
        overrides: `section.key=value`, the value in YAML; they win over the file.

    Raises:
        InputError: if a file is missing or not YAML, or a setting is unknown or breaks its rule.
    """
    values = _read_yaml(Path(path), seen=())
    for override in overrides:
        _apply_override(values, override)
    data = values.get("data")
    if isinstance(data, Mapping) and isinstance(data.get("options"), Mapping):
        values["data"] = {**data, "options": _drop_nulls(data["options"])}
    return build_dataclass(Config, values, "")


def _drop_nulls(options: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    return {
        key: _drop_nulls(value, key) if isinstance(value, Mapping) else "" if value is None else value
        for key, value in options.items()
        if value is not None or name == "csv"
    }


def write_config(config: Config, path: str | Path) -> None:
    """Writes `config` as YAML; `read_config` gives back an equal one."""
    text = yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False, allow_unicode=True)
    Path(path).write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _read_yaml(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise InputError(f"`base` of {path} leads back to itself: {' -> '.join(map(str, (*seen, path)))}.")
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}
    except FileNotFoundError:
        raise InputError(f"There is no config file {path}.") from None
    except OSError as error:
        raise InputError(f"The config file {path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError) as error:  # a ValueError: text that is not UTF-8, or a date such as 2024-13-01
        raise InputError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold sections (data:, train:, ...), got {type(values).__name__}.")
    values = {name: value for name, value in values.items() if value is not None}  # a section without settings
    base = values.pop("base", None)
    if base is None:
        return values
    require(isinstance(base, str), "base", f"of {path} must name a file", base)
    return _merge(_read_yaml(path.parent / base, (*seen, path.resolve())), values)


def _merge(base: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        is_nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if is_nested else value
    return merged


def _apply_override(values: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    if not separator or "." not in path:
        raise InputError(f"An override must read section.key=value, got {override!r}.")
    *parents, key = path.split(".")
    place = values
    for parent in parents:
        if place.get(parent) is None:  # a section that is missing, or there without settings
            place[parent] = {}
        place = place[parent]
        if not isinstance(place, dict):
            raise InputError(f"The override {override!r} goes below `{parent}`, which is not a section.")
    try:
        place[key] = text if text in ("|", ">") else yaml.load(text, _Loader)  # a lone sign begins a block of nothing
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"The value of the override {override!r} is not valid YAML; quote it. {error}") from None
