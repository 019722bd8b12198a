"""What the tables of all benchmarks share."""

from __future__ import annotations

import dataclasses
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf


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


def format_claims(claims: Sequence[Claim]) -> str:
    """Returns a Markdown table of claims, their goals and whether these are met."""
    head = ["| claim | measured, median (range) | goal | verdict |", "|---|---|---|---|"]
    return "\n".join([*head, *(claim.format_row() for claim in claims)])


def describe_machine(versions: Mapping[str, str] | None = None) -> str:
    """Returns processor, cores, memory and versions: TensorFlow's, and those of peers by name."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{os.cpu_count()} cores of {names[0] if names else platform.machine()}, {memory:.0f} GiB"
    packages = {"TensorFlow": tf.__version__, **(versions or {})}
    return ", ".join([machine, *(f"{name} {version}" for name, version in packages.items())])
