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
        versions: the versions to serve; the newest one when empty.
        labels: version by label.
    """

    name: str
    base_path: Path
    versions: Sequence[int] = ()
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)


def find_versions(base_path: Path) -> dict[int, Path]:
    """Returns the version folders under a model's base path by number: the children whose name is an integer."""
    if not base_path.is_dir():
        return {}
    children = [child for child in base_path.iterdir() if child.name.isascii() and child.name.isdigit()]
    return {int(child.name): child for child in children if child.is_dir()}


def read_sources(path: str | Path) -> list[ModelSource]:
    """Returns the models in a models.config: name, base path, versions (latest or specific) and labels.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is no models.config, or asks for what the local server does not do.
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
    kind = policy.WhichOneof("policy_choice") or "latest"
    if kind == "all" or (kind == "latest" and policy.latest.num_versions > 1):
        raise ValueError(f"model {model.name!r}: `model_version_policy` must be latest (one version) or specific")
    versions = tuple(policy.specific.versions) if kind == "specific" else ()
    return ModelSource(model.name, Path(model.base_path), versions, dict(model.version_labels))
