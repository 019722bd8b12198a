"""How many cores there are to compute on."""

from __future__ import annotations

import os


def count_cores() -> int:
    """Returns how many cores this process may use: under `taskset` or in a cpuset fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
