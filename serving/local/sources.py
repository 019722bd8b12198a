"""Where models and their versions are: folders, or a models.config of TensorFlow Serving. Needs no TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig


@dataclasses.dataclass(frozen=True)
class ModelSource:
    """Where a model's versions are.

    Attributes:
        name: name in URLs.
        base_path: folder of the version folders.
        versions: the versions to serve; the newest when empty.
        newest: how many of the newest are served then; all when None.
        labels: version by label.
    """

    name: str
    base_path: Path
    versions: Sequence[int] = ()
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    newest: int | None = 1


def find_versions(base_path: Path) -> dict[int, Path]:
    """Returns the version folders under a model's base path by number: the children whose name is an integer."""
    if not base_path.is_dir():
        return {}
    children = [child for child in base_path.iterdir() if child.name.isascii() and child.name.isdigit()]
    return {int(child.name): child for child in children if child.is_dir() and int(child.name) < 2**63}


def read_sources(path: str | Path) -> list[ModelSource]:
    """Returns the models in a models.config: name, base path, versions and labels.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is no models.config, or holds no model.
    """
    config = ModelServerConfig()
    try:
        text_format.Parse(Path(path).read_text(encoding="utf-8"), config)
    except text_format.ParseError as error:
        raise ValueError(f"not in the form of ModelServerConfig: {error}") from None
    sources = [_build_source(model) for model in config.model_config_list.config]
    if not sources:
        raise ValueError("no model in `model_config_list`")
    return sources


def _build_source(model: ModelConfig) -> ModelSource:
    policy = model.model_version_policy
    newest = None if policy.HasField("all") else policy.latest.num_versions or 1
    versions = tuple(policy.specific.versions)
    return ModelSource(model.name, Path(model.base_path), versions, dict(model.version_labels), newest)
