"""Files that put a model's versions behind TensorFlow Serving: models.config with its labels, batching, monitoring."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tfr_listbert.cores import count_cores
from tfr_listbert.export.manifests import MODELS_FOLDER, build_compose, build_kubernetes
from tfr_listbert.export.warmup import MAX_BATCH_SIZE
from tfr_listbert.folders import write_whole
from tfr_listbert.schema import InputError

MODELS_CONFIG = "models.config"

_MODELS_HEAD = """\
# Written by pipelines/export.py. `canary` is the newest version, `stable` the newest that takes the requests of the
# stable one before it and was not significantly worse, or was forced. A server starts with labels whose versions are
# not loaded yet only with the flag
# --allow_version_labels_for_unavailable_models=true; while it runs, it moves a label to a loaded version alone, and
# until then refuses the whole file. So the number after the newest is among `versions`: the server loads that version
# when its folder appears, and then takes the file with its labels. Until then its log says that it was not found.
"""

_MONITORING = """\
# For --monitoring_config_file: metrics at http://HOST:8501/monitoring/prometheus/metrics.
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""

_BATCHING = """\
# For --enable_batching=true --batching_parameters_file=... Not enabled on a CPU: a request with 10 to 50 products is a
# batch already, and waiting for another only makes both late. Try it on a GPU.

# Lists, not products, since lists are what the server joins. Where it joins rows (`score_tokens`, `encode_document`), a
# request with more than so many is refused; `serving/verify.py` sends such ones, so run it while batching is off.
max_batch_size {{ value: {size} }}

# How long the first list waits for others: a twentieth of what 30 products take alone ({seconds:.1f} ms at the export).
batch_timeout_micros {{ value: {timeout} }}

# Batches that wait: about what is done within 100 ms. More would be answered too late to be of use; they get 503.
max_enqueued_batches {{ value: {enqueued} }}

# One per core of the machine that exported; the model itself spreads over cores.
num_batch_threads {{ value: {threads} }}

# Lists of different length can only meet when padded. The server pads with each tensor's own first element, so a padded
# slot looks like a copy of the first product: with batching on, ask `rank_n` only, which is told how many are real.
pad_variable_length_inputs: true
"""


@dataclasses.dataclass(frozen=True)
class Labels:
    """Versions by label.

    Attributes:
        stable: the version for all visitors.
        canary: the newest one.
        previous: the stable version before, kept loaded so that a way back takes no time; None if there is none.
    """

    stable: int
    canary: int
    previous: int | None = None

    @property
    def versions(self) -> list[int]:
        """The versions that are served: two, or one where there is no other."""
        second = self.previous if self.stable == self.canary else self.canary
        return sorted({self.stable, *([] if second is None else [second])})

    @property
    def next(self) -> int:
        """The version that running servers take up by themselves."""
        return self.canary + 1

    def add(self, version: int, is_stable: bool) -> Labels:
        """Returns the labels once `version` is exported."""
        return Labels(version, version, self.stable) if is_stable else Labels(self.stable, version)


def read_labels(folder: Path, name: str) -> Labels | None:
    """Returns the labels in a folder's models.config, None where there is no such file.

    Raises:
        InputError: if the file is none of ours.
    """
    path = folder / MODELS_CONFIG
    if not path.exists():
        return None
    config = ModelServerConfig()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), config)
        (model,) = [one for one in config.model_config_list.config if one.name == name]
        labels = dict(model.version_labels)
        return Labels(labels["stable"], labels["canary"])
    except (text_format.ParseError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} must be a models.config with a model {name!r} to say which version is stable, got: {error}. "
            "Mend it, or remove it to begin with this version."
        ) from None


def build_models_config(name: str, labels: Labels) -> str:
    """Returns the text of models.config, in the official schema."""
    config = ModelServerConfig()
    model = config.model_config_list.config.add()
    model.name, model.base_path, model.model_platform = name, f"{MODELS_FOLDER}/{name}", "tensorflow"
    model.model_version_policy.specific.versions.extend([*labels.versions, labels.next])
    model.version_labels["stable"] = labels.stable
    model.version_labels["canary"] = labels.canary
    return _MODELS_HEAD + text_format.MessageToString(config)


def build_batching_config(seconds: Mapping[int, float]) -> str:
    """Returns the text of batching.config for measured median seconds by length of the list."""
    near = min(seconds, key=lambda length: abs(length - 30))
    own = seconds[near] * 30 / near
    enqueued = max(1, round(0.1 / (MAX_BATCH_SIZE * own)))
    return _BATCHING.format(
        size=MAX_BATCH_SIZE,
        seconds=own * 1000,
        timeout=max(100, round(own * 1e6 / 20)),
        enqueued=enqueued,
        threads=count_cores(),
    )


def write_deployment(folder: Path, name: str, labels: Labels, seconds: Mapping[int, float], mebibytes: int) -> None:
    """Writes models.config, batching.config, monitoring.config, docker-compose.yml and kubernetes.yaml.

    Args:
        folder: where to; beside the folder of versions.
        name: the model's name.
        labels: its labels.
        seconds: median seconds by length of the list.
        mebibytes: memory that one version takes.
    """
    configs = {
        "batching.config": build_batching_config(seconds),
        "monitoring.config": _MONITORING,
        MODELS_CONFIG: build_models_config(name, labels),
    }
    texts = {
        "docker-compose.yml": build_compose(name),
        "kubernetes.yaml": build_kubernetes(name, configs, mebibytes),
        **configs,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        write_whole(folder / file, text)  # since a server may be polling it
