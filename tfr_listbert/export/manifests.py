"""docker-compose.yml and Kubernetes manifests for a model behind TensorFlow Serving's stock image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

IMAGE = "tensorflow/serving:2.15.1"
"""As new as the exporter; newer ones, to 2.19.1, serve the same file."""

MODELS_FOLDER = "/models"
CONFIG_FOLDER = "/config"
GRPC_PORT, REST_PORT = 8500, 8501

SERVER_MEBIBYTES = 512
"""The server without a model, and what requests need while they run."""
MEMORY_STEP = 512
"""MiB to which a server's memory is rounded up."""
CORES = 2
"""Cores of a server in Kubernetes."""

_FLAGS = [
    f"--model_config_file={CONFIG_FOLDER}/models.config",
    "--model_config_file_poll_wait_seconds=10",
    "--file_system_poll_wait_seconds=10",  # each poll says in the log that the next version is not there
    "--allow_version_labels_for_unavailable_models=true",
    # By default versions are loaded one after the other, and one that cannot be loaded holds up all others for minutes
    "--num_load_threads=2",
    "--num_unload_threads=1",
    f"--monitoring_config_file={CONFIG_FOLDER}/monitoring.config",
]

_COMPOSE_HEAD = """\
# Start it in this folder: docker compose up. Then, from the project's folder:
# python serving/verify.py http://127.0.0.1:8501 grpc://127.0.0.1:8500 --bundle FOLDER_OF_VERSIONS
# The server has neither TLS nor authentication: keep its ports inside your network.
"""

_KUBERNETES_HEAD = """\
# kubectl apply -f kubernetes.yaml, once the folder of versions is on the volume of the claim `{claim}`, as
# `{name}/` at its root, readable for user 1000 (chmod -R a+rX). The claim must be ReadWriteMany: two servers read it
# while versions are copied to it. Over gRPC ask dns:///{label}-grpc:8500 and balance in turn, as the client in
# serving/remote does with grpc://{label}-grpc:8500: one connection to `{label}` would stay with one server.
# New versions: copy the folder under a name that begins with a dot and rename it, for a server may load half a copy; it
# loads it beside the old one. Then apply the new ConfigMap; the server reads it within a minute or so and moves the
# labels. Where the ConfigMap of an export before was left out, it waits for that one's version: then
# kubectl rollout restart deployment/{label}. Otherwise nothing needs a restart.
"""


def build_compose(name: str) -> str:
    """Returns docker-compose.yml for the model `name`, whose versions are in `../<name>`."""
    request = f"GET {_build_probe(name)} HTTP/1.0\\r\\n\\r\\n"
    check = f"exec 3<>/dev/tcp/127.0.0.1/{REST_PORT} && printf '{request}' >&3 && head -n 1 <&3 | grep -q ' 200 '"
    service = {
        "image": IMAGE,
        # The image's own script would not pass signals on, and a first process without `init` ignores them
        "init": True,
        "entrypoint": ["tensorflow_model_server"],
        "command": [f"--port={GRPC_PORT}", f"--rest_api_port={REST_PORT}", *_FLAGS],
        "ports": [f"127.0.0.1:{port}:{port}" for port in (GRPC_PORT, REST_PORT)],
        "volumes": [f"../{name}:{MODELS_FOLDER}/{name}:ro", f".:{CONFIG_FOLDER}:ro"],
        "healthcheck": {
            "test": ["CMD", "bash", "-c", check],
            "interval": "10s",
            "timeout": "5s",
            "start_period": "60s",
        },
        "restart": "unless-stopped",
    }
    return _COMPOSE_HEAD + _dump({"services": {name: service}})


def build_kubernetes(name: str, configs: Mapping[str, str], mebibytes: int) -> str:
    """Returns a ConfigMap, a Deployment and two Services for the model `name`.

    Args:
        name: the model's name.
        configs: text by file of what goes to CONFIG_FOLDER.
        mebibytes: memory that one version takes.
    """
    label = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "ranker"
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{label}-config"},
        "data": dict(configs),
    }
    ports = [{"name": "grpc", "port": GRPC_PORT}, {"name": "rest", "port": REST_PORT}]
    spec = {"selector": {"app": label}, "ports": ports}
    services = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": label}, "spec": spec},
        # Without an address of its own its name stands for those of all servers
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"{label}-grpc"},
            "spec": {"clusterIP": "None", **spec, "ports": ports[:1]},
        },
    ]
    head = _KUBERNETES_HEAD.format(claim=f"{label}-versions", label=label, name=name)
    parts = (config_map, _build_deployment(name, label, mebibytes), *services)
    return head + "---\n".join(map(_dump, parts))


def _build_deployment(name: str, label: str, mebibytes: int) -> dict[str, Any]:
    volumes = [
        {"name": "versions", "persistentVolumeClaim": {"claimName": f"{label}-versions", "readOnly": True}},
        {"name": "config", "configMap": {"name": f"{label}-config"}},
    ]
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    template = {
        "metadata": {"labels": {"app": label}},
        "spec": {
            "shareProcessNamespace": True,  # a first process of its own would not hear that it is to end
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [_build_container(name, mebibytes)],
            "volumes": volumes,
            "terminationGracePeriodSeconds": 30,
        },
    }
    selector = {"matchLabels": {"app": label}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": label},
        "spec": {"replicas": 2, "strategy": strategy, "selector": selector, "template": template},
    }


def _build_container(name: str, mebibytes: int) -> dict[str, Any]:
    # Two versions side by side, and a third while it is loaded. In steps, so that like models are given the same: a
    # manifest that is applied with other numbers restarts all servers.
    memory = -(-(SERVER_MEBIBYTES + 3 * mebibytes) // MEMORY_STEP) * MEMORY_STEP
    probe = {"httpGet": {"path": _build_probe(name), "port": "rest"}, "periodSeconds": 5, "timeoutSeconds": 3}
    return {
        "name": "serving",
        "image": IMAGE,
        "command": ["tensorflow_model_server"],
        "args": [
            f"--port={GRPC_PORT}",
            f"--rest_api_port={REST_PORT}",
            *_FLAGS,
            # It would start as many threads as the node has cores, and be throttled to its limit of a few
            f"--tensorflow_intra_op_parallelism={CORES}",
            f"--tensorflow_inter_op_parallelism={CORES}",
            f"--rest_api_num_threads={4 * CORES}",
            f"--grpc_max_threads={4 * CORES}",
        ],
        "ports": [
            {"name": "grpc", "containerPort": GRPC_PORT},
            {"name": "rest", "containerPort": REST_PORT},
        ],
        "volumeMounts": [
            {"name": "versions", "mountPath": f"{MODELS_FOLDER}/{name}", "subPath": name, "readOnly": True},
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "resources": {
            "requests": {"cpu": "1", "memory": f"{memory}Mi"},
            "limits": {"cpu": str(CORES), "memory": f"{2 * memory}Mi"},
        },
        # Requests come until every node has heard that this pod is to go.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "10"]}}},
        # Ten minutes: where one version cannot be loaded, it answers for the others only after five minutes of attempts
        "startupProbe": {**probe, "failureThreshold": 120},
        "readinessProbe": probe,
        "livenessProbe": {"tcpSocket": {"port": "rest"}, "periodSeconds": 10, "failureThreshold": 6},
    }


def _build_probe(name: str) -> str:
    """Returns a path that answers 200 only if the stable version is loaded; the status page ignores labels."""
    return f"/v1/models/{name}/labels/stable/metadata"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and repeats a value instead of naming it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def _dump(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=120)
