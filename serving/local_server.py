"""A local server with TensorFlow Serving's REST and gRPC contract, for development and tests. Not for production.

Usage: python serving/local_server.py --model NAME=PATH [--port 8501] [--grpc-port 8500]

PATH is the folder above the version folders, `runs/export/ranker` for `runs/export/ranker/1/`. The newest version is
served; a newer one that appears is loaded beside it and takes over without a lost request. A models.config of
TensorFlow Serving works too: --models-config FILE, with --mount FOLDER=/models where it names paths of a container. It
is read again as often as versions are looked for, so that labels move when it changes.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from listening import AnnouncingServer, listen, spell_address, spell_host, until_stopped
from local.sources import ModelSource, find_versions, read_sources


class SettingError(ValueError):
    """A setting that its owner can mend."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is interrupted; returns the exit code, 2 for a setting that can be mended."""
    settings = _build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if settings.poll_seconds <= 0:
            raise SettingError(f"--poll-seconds must be > 0, got {settings.poll_seconds:g}.")
        sources = _read_sources(settings)
        _require_versions(sources)
        listener = _listen(settings)
        with until_stopped():
            _serve(sources, listener, settings)
    except SettingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _serve(sources: Sequence[ModelSource], listener: socket.socket, settings: argparse.Namespace) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow takes seconds to import; what is wrong with the settings has been told by now.
    import tensorflow as tf
    from local.server import open_server

    tf.get_logger().setLevel("ERROR")  # it warns of the one loader that runs a model as TensorFlow Serving does
    host = spell_host(listener.getsockname()[0])
    names = ", ".join(source.name for source in sources)
    try:
        with open_server(
            sources,
            settings.poll_seconds,
            lambda: _read_sources(settings),
            None if settings.grpc_port is None else f"{host}:{settings.grpc_port}",
            settings.timeout_seconds,
            settings.max_body_bytes,
        ) as (config, grpc_port):
            also = "" if grpc_port is None else f" and grpc://{host}:{grpc_port}"
            # Blanks around the addresses, so that a script can read them.
            places = f"http://{spell_address(listener)}/v1/models/{also}"
            message = f"Local development server ready at {places} for {names}. Stop it with Ctrl-C."
            AnnouncingServer(config, message).run(sockets=[listener])
    except tf.errors.FailedPreconditionError as error:
        raise SettingError(error.message) from None
    except OSError as error:
        raise SettingError(str(error)) from None


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=PATH", help="may be given several times")
    parser.add_argument("--models-config", metavar="FILE", help="TensorFlow Serving's models.config")
    parser.add_argument("--mount", metavar="FOLDER=PATH", help="read FOLDER where the models.config says PATH")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; only this machine by default")
    parser.add_argument("--port", type=int, default=8501, help="0 chooses a free one")
    parser.add_argument("--grpc-port", type=int, help="serve gRPC too, there; 0 chooses a free one")
    parser.add_argument("--poll-seconds", type=float, default=1.0, help="time between two looks for new versions")
    parser.add_argument("--timeout-seconds", type=float, default=30.0, help="longer requests are answered with 504")
    parser.add_argument("--max-body-bytes", type=int, help="larger request bodies are answered with 413 at once")
    return parser


def _read_sources(settings: argparse.Namespace) -> list[ModelSource]:
    sources = []
    for argument in settings.model:
        name, separator, path = argument.partition("=")
        if not separator or not name or not path:
            raise SettingError(f"--model must read NAME=PATH, got {argument!r}.")
        sources.append(ModelSource(name, Path(path).absolute()))
    if settings.models_config:
        try:
            sources += [_mount(source, settings.mount) for source in read_sources(settings.models_config)]
        except (OSError, ValueError) as error:
            raise SettingError(f"--models-config {settings.models_config} cannot be used: {error}") from None
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise SettingError(f"each model needs a name of its own, got {', '.join(names)}.")
    if not sources:
        raise SettingError("nothing to serve: give --model NAME=PATH or --models-config FILE.")
    return sources


def _require_versions(sources: Sequence[ModelSource]) -> None:
    for source in sources:
        if not find_versions(source.base_path):
            raise SettingError(
                f"model {source.name!r} has no version under {source.base_path}: it must hold a folder named by a "
                f"whole number, with the SavedModel inside."
            )


def _mount(source: ModelSource, mount: str | None) -> ModelSource:
    if mount is None:
        return source
    folder, separator, path = mount.rpartition("=")  # a folder may hold the sign
    if not separator or not source.base_path.is_relative_to(path):
        raise SettingError(f"--mount must read FOLDER=PATH, PATH being above {source.base_path}; got {mount!r}.")
    return dataclasses.replace(source, base_path=Path(folder).absolute() / source.base_path.relative_to(path))


def _listen(settings: argparse.Namespace) -> socket.socket:
    try:
        return listen(settings.host, settings.port)
    except OSError as error:
        raise SettingError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
