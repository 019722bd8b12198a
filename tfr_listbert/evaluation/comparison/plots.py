"""The plots of a comparison's report, as PNG."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfr_listbert.evaluation.comparison.document import Image
from tfr_listbert.evaluation.comparison.leaderboard import Leaderboard
from tfr_listbert.evaluation.comparison.results import System

_DIFFERENCES_SHOWN = 8
_DOTS_PER_INCH = 100


def plot_all(board: Leaderboard, systems: Sequence[System]) -> list[Image]:
    """Returns the plots: the losses with their intervals, metric against step, differences of queries."""
    images = [
        Image("losses.png", plot_losses(board), f"{board.metric} with its 95 % interval over queries; a dot per seed"),
        Image("queries.png", plot_differences(board), _describe_differences(board)),
    ]
    curves = {system.name: mean_curve(system, board.metric) for system in systems if system.row}
    curves = {name: curve for name, curve in curves.items() if curve}
    if curves:
        caption = f"validation {board.metric} against optimizer step, mean over seeds; it ends with the shortest run"
        images.insert(1, Image("curves.png", plot_curves(curves, board.metric), caption))
    return images


def _describe_differences(board: Leaderboard) -> str:
    followers = len(board.standings) - 1
    shown = f"; the first {_DIFFERENCES_SHOWN} of the {followers} that follow it"
    return f"{board.metric} of each query less that of the best system{shown if followers > _DIFFERENCES_SHOWN else ''}"


def mean_curve(system: System, metric: str) -> dict[int, float]:
    """Returns the validation metric by step, mean over the finished runs, up to the last evaluation that all have.

    The n-th evaluation of one run is held with the n-th of others; in folds of other sizes they are at other steps, of
    which the mean is taken.
    """
    histories = [outcome.history for run in system.finished for outcome in run.outcomes]
    return {
        round(np.mean([entry["step"] for entry in entries])): float(np.mean([entry[metric] for entry in entries]))
        for entries in zip(*histories, strict=False)
    }


def plot_losses(board: Leaderboard) -> bytes:
    """Returns the dot-and-interval plot, the best system on top."""
    figure, axes = _start(8, 1.2 + 0.32 * len(board.standings))
    for place, standing in enumerate(reversed(board.standings)):
        low, high = (end if math.isfinite(end) else standing.mean for end in standing.interval)
        axes.plot([low, high], [place, place], color="tab:blue", linewidth=1.5)
        axes.plot(standing.mean, place, "o", color="tab:blue")
        for run in standing.system.finished if standing.system.row else ():
            axes.plot(run.per_list[board.metric].mean(), place - 0.25, ".", color="tab:orange", markersize=4)
    names = [f"{one.system.name}  {one.letters}" for one in reversed(board.standings)]
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel(board.metric)
    axes.grid(axis="x", alpha=0.3)
    return _to_png(figure)


def plot_curves(curves: Mapping[str, Mapping[int, float]], metric: str) -> bytes:
    """Returns metric against step, a line per loss."""
    figure, axes = _start(9, 5)
    styles = ["-", "--", ":"]
    for number, (name, curve) in enumerate(curves.items()):
        axes.plot(list(curve), list(curve.values()), styles[number // 10 % len(styles)], label=name)
    axes.set_xlabel("step")
    axes.set_ylabel(f"validation {metric}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return _to_png(figure)


def plot_differences(board: Leaderboard) -> bytes:
    """Returns for the systems that follow the best their differences to it, query by query, sorted."""
    figure, axes = _start(9, 5)
    best = board.standings[0].system.mean_per_list(board.metric)
    for standing in board.standings[1 : 1 + _DIFFERENCES_SHOWN]:
        differences = np.sort(standing.system.mean_per_list(board.metric) - best)
        axes.plot(np.linspace(0, 100, len(differences)), differences, label=standing.system.name)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xlabel("queries in %, from the best system's gains to its losses")
    axes.set_ylabel(f"{board.metric} less that of {board.standings[0].system.name}")
    axes.legend(fontsize=7)
    return _to_png(figure)


def _start(width: float, height: float) -> tuple[Figure, object]:
    figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _to_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})  # the same plot has the same bytes
    return buffer.getvalue()
