"""The files for servers name this model, in the schemas that the servers read."""

import dataclasses
import re
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf
import yaml
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from serving.contract.models import ContractModel
from serving.local.sources import read_sources
from serving.local.versions import Model
from tfr_listbert.export.deployment import (
    Labels,
    build_batching_config,
    build_models_config,
    read_labels,
    write_deployment,
)
from tfr_listbert.schema import InputError

# No package ships these two schemas. From tensorflow/serving, tensorflow_serving/servables/tensorflow/
# session_bundle_config.proto (message BatchingParameters) and tensorflow_serving/config/monitoring_config.proto.
FIELDS = {
    "batching.config": {
        "max_batch_size": "wrapped",
        "batch_timeout_micros": "wrapped",
        "max_enqueued_batches": "wrapped",
        "num_batch_threads": "wrapped",
        "thread_pool_name": "wrapped",
        "allowed_batch_sizes": "plain",
        "pad_variable_length_inputs": "plain",
    },
    "monitoring.config": {"prometheus_config": "message", "enable": "plain", "path": "plain"},
}
FORMS = {
    "wrapped": r"{{ value: \d+ }}",
    "plain": r': (\d+|true|false|"[^"]*")',
    "message": r" {",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("output") / "shop_ranker.serving"
    write_deployment(path, "shop_ranker", Labels(2, 3), {1: 0.002, 10: 0.005, 30: 0.012}, mebibytes=50)
    return path


@pytest.mark.parametrize("name", list(FIELDS))
def test_fields_are_those_of_the_servers_schema(folder, name):
    lines = [line.partition("#")[0].strip() for line in (folder / name).read_text().splitlines()]
    settings = [re.match(r"(\w+)(.*)", line) for line in lines if line and line != "}"]
    assert settings
    for setting in settings:
        pattern = FORMS[FIELDS[name][setting[1]]].replace("{{", r"\{").replace("}}", r"\}")
        assert re.fullmatch(rf"\s*{pattern.strip()}", setting[2]), setting[0]


def test_models_config_is_of_the_official_schema_and_the_local_server_reads_it(folder):
    text = (folder / "models.config").read_text()
    config = text_format.Parse(text, ModelServerConfig()).model_config_list.config[0]
    assert (config.name, config.base_path) == ("shop_ranker", "/models/shop_ranker")
    assert list(config.model_version_policy.specific.versions) == [2, 3, 4]
    (source,) = read_sources(folder / "models.config")
    assert source.labels == {"stable": 2, "canary": 3}
    assert read_labels(folder, "shop_ranker") == Labels(2, 3)


def test_labels_move_as_versions_come():
    first = Labels(1, 1)
    assert first.versions == [1]
    assert first.add(2, is_stable=True) == Labels(2, 2, 1)
    assert first.add(2, is_stable=True).versions == [1, 2]
    assert first.add(2, is_stable=False) == Labels(1, 2)
    assert first.add(2, is_stable=False).versions == [1, 2]


@pytest.mark.parametrize("is_stable", [True, False])
def test_running_server_takes_the_next_version_up_and_no_other(tmp_path, is_stable):
    def write(labels):
        write_deployment(tmp_path / "toy.serving", "toy", labels, {30: 0.012}, 1)
        (source,) = read_sources(tmp_path / "toy.serving" / "models.config")
        return dataclasses.replace(source, base_path=tmp_path / "toy")

    toy = ContractModel(1.0)
    tf.saved_model.save(toy, str(tmp_path / "toy" / "1"), signatures=toy.build_signatures())
    before = Labels(1, 1)
    model = Model(write(before))
    model.refresh()
    shutil.copytree(tmp_path / "toy" / "1", tmp_path / "toy" / "2")
    model.refresh(write(before.add(2, is_stable)))
    with model.use(label="canary") as canary, model.use(label="stable") as stable:
        assert (canary.number, stable.number) == (2, 2 if is_stable else 1)
    shutil.copytree(tmp_path / "toy" / "1", tmp_path / "toy" / "7")
    model.refresh(write(before.add(2, is_stable).add(7, True)))
    with model.use(label="canary") as canary:
        assert canary.number == 2


def test_folder_without_labels_has_none_and_a_foreign_one_is_refused(tmp_path, folder):
    assert read_labels(tmp_path, "ranker") is None
    for text in ("models {", build_models_config("another", Labels(1, 1))):
        (tmp_path / "models.config").write_text(text)
        with pytest.raises(InputError, match="with a model 'ranker'"):
            read_labels(tmp_path, "ranker")


def test_batching_waits_a_twentieth_of_what_thirty_products_take():
    text = build_batching_config({1: 0.002, 10: 0.005, 30: 0.012, 100: 0.04})
    assert "batch_timeout_micros { value: 600 }" in text
    assert "12.0 ms" in text


def test_compose_mounts_versions_and_configs_and_asks_for_the_stable_version(folder):
    (service,) = yaml.safe_load((folder / "docker-compose.yml").read_text())["services"].values()
    assert service["volumes"] == ["../shop_ranker:/models/shop_ranker:ro", ".:/config:ro"]
    assert (service["init"], service["entrypoint"]) == (True, ["tensorflow_model_server"])
    assert service["command"][:2] == ["--port=8500", "--rest_api_port=8501"]
    assert all(file.startswith("--") for file in service["command"])
    assert "/v1/models/shop_ranker/labels/stable/metadata" in service["healthcheck"]["test"][-1]


def test_kubernetes_manifests_fit_together(folder):
    parts = list(yaml.safe_load_all((folder / "kubernetes.yaml").read_text()))
    config_map, deployment, service, headless = parts
    assert [part["kind"] for part in parts] == ["ConfigMap", "Deployment", "Service", "Service"]
    names = ("models.config", "batching.config", "monitoring.config")
    assert config_map["data"] == {name: (folder / name).read_text() for name in names}
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert deployment["metadata"]["name"] == "shop-ranker"
    assert spec["volumes"][1]["configMap"]["name"] == config_map["metadata"]["name"]
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v1/models/shop_ranker/labels/stable/metadata"
    assert container["resources"]["requests"]["memory"] == "1024Mi"  # 512 and three times 50, in steps
    assert headless["metadata"]["name"] == "shop-ranker-grpc" and headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["selector"] == service["spec"]["selector"]
    assert headless["spec"]["ports"] == [{"name": "grpc", "port": 8500}]
    cores = container["resources"]["limits"]["cpu"]
    assert {f"--tensorflow_{kind}_op_parallelism={cores}" for kind in ("intra", "inter")} <= set(container["args"])
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "10"]
    assert spec["terminationGracePeriodSeconds"] > 10
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_local_server_reads_the_mounted_folder(folder, tmp_path):
    config = str(folder / "models.config")
    for mount, message in [(f"{tmp_path}=/models", f"no version under {tmp_path}/shop_ranker"), ("x=/y", "--mount")]:
        command = [sys.executable, "serving/local_server.py", "--models-config", config, "--mount", mount]
        process = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert process.returncode == 2 and message in process.stderr
