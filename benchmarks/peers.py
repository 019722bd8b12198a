"""Peers that work in processes of their own and answer each line of their input by a JSON object."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Peer:
    """A process that is asked by lines."""

    def __init__(self, command: Sequence[Any], variables: Mapping[str, str]):
        """Starts `command` with `variables` in its environment."""
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        self._name = command[1]
        self._process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | quiet | dict(variables),
        )

    def __call__(self, line: str) -> dict[str, Any]:
        """Sends a line and returns the answer."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._name} has ended with code {self._process.wait()}.")
        return json.loads(answer)

    def close(self) -> None:
        """Ends the process, which ends where its input does."""
        self._process.stdin.close()
        self._process.wait()


def start_peer(command: Sequence[Any], stack: contextlib.ExitStack, variables: Mapping[str, str] | None = None) -> Peer:
    """Starts a peer that ends with `stack`, or before, by its `close`."""
    peer = Peer(command, variables or {})
    stack.callback(peer.close)
    return peer


@dataclasses.dataclass(frozen=True)
class Choice:
    """A setting that a peer may be measured at.

    Attributes:
        label: the setting in words.
        ask: the peer.
        line: what it is asked, `{}` for seconds.
    """

    label: str
    ask: Callable[[str], dict[str, Any]]
    line: str

    def measure(self, seconds: float) -> dict[str, Any]:
        """Returns the peer's answer for so many seconds."""
        return self.ask(self.line.format(seconds))


def choose_best(choices: Sequence[Choice], seconds: float, speed: Callable[[dict[str, Any]], float]) -> Choice:
    """Returns the fastest choice by one turn of `seconds` each, after a short turn of all that is not counted."""
    for choice in choices:
        choice.measure(0.01)
    speeds = [speed(choice.measure(seconds)) for choice in choices]
    for choice, value in zip(choices, speeds, strict=True):
        print(f"tried: {choice.label}: {value:.4g} per second", file=sys.stderr)
    return max(zip(speeds, choices, strict=True), key=lambda pair: pair[0])[1]
