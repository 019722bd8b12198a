"""Peers that work in processes of their own and answer each line of their input by a JSON object."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Any


def start_peer(command: Sequence[Any], stack: contextlib.ExitStack) -> Callable[[str], dict[str, Any]]:
    """Starts a peer that ends with `stack`; returns a function that sends it a line and returns its answer."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    peer = subprocess.Popen(
        list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | quiet
    )
    stack.callback(peer.wait)
    stack.callback(peer.stdin.close)  # comes first: the peer ends where its input does

    def ask(line: str) -> dict[str, Any]:
        peer.stdin.write(line + "\n")
        peer.stdin.flush()
        answer = peer.stdout.readline()
        if not answer:
            raise RuntimeError(f"{command[1]} has ended with code {peer.wait()}.")
        return json.loads(answer)

    return ask
