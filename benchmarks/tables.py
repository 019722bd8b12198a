"""What the tables of all benchmarks share, and how a load is measured."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

_FEWEST = 100  # requests without which nothing is said of the slowest in a hundred


def format_spread(values: Sequence[float], style: str) -> str:
    """Returns the median and the range.

    >>> format_spread([3.0, 1.0, 2.0], ".1f")
    '2.0 (1.0–3.0)'
    """
    return f"{statistics.median(values):{style}} ({min(values):{style}}–{max(values):{style}})"


@dataclasses.dataclass(frozen=True)
class Claim:
    """A measured quantity beside its goal.

    Attributes:
        name: what was measured.
        values: of all rounds; their median is judged.
        style: format of the numbers.
        goal: what to reach; none when None.
        is_ceiling: whether lower is better.
        unit: of values and goal, ` times` or ` GiB`.
    """

    name: str
    values: Sequence[float]
    style: str
    goal: float | None = None
    is_ceiling: bool = False
    unit: str = ""

    @property
    def verdict(self) -> str:
        """`met` or `not met`; nothing without a goal."""
        if self.goal is None:
            return ""
        median = statistics.median(self.values)
        return "met" if (median <= self.goal if self.is_ceiling else median >= self.goal) else "**not met**"

    def format_row(self) -> str:
        """Returns the claim's row of a Markdown table.

        >>> Claim("waiting", [0.012, 0.01, 0.03], ".1%", 0.02, is_ceiling=True).format_row()
        '| waiting | 1.2% (1.0%–3.0%) | at most 2.0% | met |'
        """
        goal = ""
        if self.goal is not None:
            goal = f"at {'most' if self.is_ceiling else 'least'} {self.goal:{self.style}}{self.unit}"
        return f"| {self.name} | {format_spread(self.values, self.style)}{self.unit} | {goal} | {self.verdict} |"


def format_claims(claims: Sequence[Claim], reason: str = "") -> str:
    """Returns a Markdown table of claims, their goals and whether these are met; below it `reason` if one is not."""
    head = ["| claim | measured, median (range) | goal | verdict |", "|---|---|---|---|"]
    is_missed = any("not" in claim.verdict for claim in claims)
    return "\n".join(
        [*head, *(claim.format_row() for claim in claims), *(["", reason] if reason and is_missed else [])]
    )


def format_peers(
    what: str,
    values: Mapping[str, Sequence[float]],
    style: str,
    tokens: Mapping[str, float],
    labels: Mapping[str, str],
) -> str:
    """Returns a Markdown table of a measure of this package and its peers.

    Args:
        what: the measure and its unit.
        values: of each by rounds.
        style: format of the values.
        tokens: mean of a row's tokens, padding not counted.
        labels: settings at which peers are at their best.
    """
    lines = [f"| | {what}, median (range) | tokens of a row | at its best |", "|---|---|---|---|"]
    for name, own in values.items():
        lines.append(f"| {name} | {format_spread(own, style)} | {tokens[name]:.1f} | {labels.get(name, '')} |")
    return "\n".join(lines)


def time_call(call: Callable[[], Any]) -> float:
    """Returns the milliseconds of a call."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def measure_load(
    calls: Sequence[Callable[[], Any]], seconds: float, fewest: int = 1, most: float = math.inf
) -> tuple[np.ndarray, float]:
    """Returns the milliseconds of each call, and calls per second, of clients that each call again and again.

    Args:
        calls: one for each client.
        seconds: for how long.
        fewest: calls of each client, even if they take longer.
        most: calls of each client, even if they take less.
    """
    start = time.perf_counter()
    end = start + seconds

    def repeat(call: Callable[[], Any]) -> list[float]:
        times: list[float] = []
        while (time.perf_counter() < end and len(times) < most) or len(times) < fewest:
            times.append(time_call(call))
        return times

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        times = [value for part in pool.map(repeat, calls) for value in part]
    return np.array(times), len(times) / (time.perf_counter() - start)


def print_header(what: str) -> None:
    """Prints the head of a Markdown table of rows by `print_row`."""
    print(f"| {what} | clients | | p50, ms | p95 | p99 | requests/s | measured |\n|---|---|---|---|---|---|---|---|")


def print_row(size: int, clients: int, name: str, times: np.ndarray, rate: float) -> float:
    """Prints a row and returns its median."""
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    slowest = f"{p99:.1f}" if len(times) >= _FEWEST else ""
    print(
        f"| {size} | {clients} | {name} | {p50:.1f} | {p95:.1f} | {slowest} | {rate:.1f} | {len(times)} |", flush=True
    )
    return float(p50)


def describe_machine(versions: Mapping[str, str] | None = None) -> str:
    """Returns processor, cores, memory and versions: TensorFlow's, and those of peers by name."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{os.cpu_count()} cores of {names[0] if names else platform.machine()}, {memory:.0f} GiB"
    packages = {"TensorFlow": tf.__version__, **(versions or {})}
    return ", ".join([machine, *(f"{name} {version}" for name, version in packages.items())])
