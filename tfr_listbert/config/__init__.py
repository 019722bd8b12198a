"""Configuration: frozen dataclasses, one per section, read from YAML with `base:` files and dotted overrides.

Everything is checked when it is built, so that a bad setting is answered before any work starts. Options of readers,
losses and the like are dataclasses too, built by the same `build_dataclass`: every misspelt key gets the same answer.
"""

from tfr_listbert.config.building import build_dataclass
from tfr_listbert.config.checks import require
from tfr_listbert.config.data import BM25Config, DataConfig, ShopConfig, SplitConfig
from tfr_listbert.config.distillation import DistillConfig, DistilledLossConfig, TeacherConfig
from tfr_listbert.config.evaluation import (
    BASELINES,
    COMPARISON_NAMES,
    RANDOM,
    CompareConfig,
    ComparedLossConfig,
    EvaluateConfig,
)
from tfr_listbert.config.export import ExportConfig, VectorsConfig
from tfr_listbert.config.models import EncoderConfig, ModelConfig
from tfr_listbert.config.reading import Config, read_config, write_config
from tfr_listbert.config.text import FieldConfig, TextConfig
from tfr_listbert.config.training import HuggingFaceConfig, LossConfig, LossTermConfig, PretrainConfig, TrainConfig

__all__ = [
    "BASELINES",
    "BM25Config",
    "COMPARISON_NAMES",
    "CompareConfig",
    "ComparedLossConfig",
    "Config",
    "DataConfig",
    "DistillConfig",
    "DistilledLossConfig",
    "EncoderConfig",
    "EvaluateConfig",
    "ExportConfig",
    "FieldConfig",
    "HuggingFaceConfig",
    "LossConfig",
    "LossTermConfig",
    "ModelConfig",
    "PretrainConfig",
    "RANDOM",
    "ShopConfig",
    "SplitConfig",
    "TeacherConfig",
    "TextConfig",
    "TrainConfig",
    "VectorsConfig",
    "build_dataclass",
    "read_config",
    "require",
    "write_config",
]
