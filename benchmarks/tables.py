"""What the tables of all benchmarks share."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf


def format_spread(values: Sequence[float], style: str) -> str:
    """Returns the median and the range.

    >>> format_spread([3.0, 1.0, 2.0], ".1f")
    '2.0 (1.0–3.0)'
    """
    return f"{statistics.median(values):{style}} ({min(values):{style}}–{max(values):{style}})"


def describe_machine() -> str:
    """Returns processor, cores and versions."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
    return f"{os.cpu_count()} cores of {names[0] if names else platform.machine()}, TensorFlow {tf.__version__}"
