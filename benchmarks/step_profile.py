"""The ops of a training step by the share of its time that they take.

Usage: python -m benchmarks.step_profile benchmarks/training.yaml [section.key=value ...]

Trains some steps under TensorFlow's profiler and prints a Markdown table of kinds of ops: time in the op itself, over
all threads, as a share of that of all ops.
"""

from __future__ import annotations

import collections
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks.tables import describe_machine
from benchmarks.training import build_steps, share_lists
from tfr_listbert.config import Config
from tfr_listbert.script import run_script
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.randomness import make_repeatable
from tfr_listbert.training.rankers import build_batcher

STEPS = 5
SHOWN = 20
_HOST = "/host:CPU"


def measure(config: Config) -> None:
    """Measures and prints."""
    make_repeatable(config.train.seed)
    with tempfile.TemporaryDirectory() as folder:
        batcher = build_batcher(config, read_tokenizer(config.text.folder))
        _, config = share_lists(config, batcher, Path(folder))
        step, batches = build_steps(config, batcher, config.train.batch_lists)
        step(next(batches))
        # By default the profiler leaves out the ops that are cheap one by one
        tf.profiler.experimental.start(folder, tf.profiler.experimental.ProfilerOptions(host_tracer_level=3))
        for _ in range(STEPS):
            step(next(batches))["loss"].numpy()
        tf.profiler.experimental.stop()
        (path,) = Path(folder).glob("plugins/profile/*/*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    print(f"{STEPS} training steps, {config.encoder.size}; {describe_machine()}\n")
    print(format_times(sum_op_times(space)))


def sum_op_times(space: xplane_pb2.XSpace) -> dict[str, tuple[float, int]]:
    """Returns for each kind of op the milliseconds in its ops alone, those inside them not counted, and their number.

    An op of a graph is an event whose name is `name:Kind`.
    """
    times: dict[str, list[float]] = collections.defaultdict(lambda: [0.0, 0])
    for plane in space.planes:
        if plane.name != _HOST:
            continue
        names = {number: metadata.name for number, metadata in plane.event_metadata.items()}
        for line in plane.lines:
            for name, picoseconds in _walk_self_times(line.events, names):
                op, _, kind = name.rpartition(":")
                if op and not op.endswith(":") and kind.isidentifier():  # `Class::method` is one of the runtime
                    times[kind][0] += picoseconds / 1e9
                    times[kind][1] += 1
    return {kind: (total, int(count)) for kind, (total, count) in times.items()}


def _walk_self_times(events: Iterable[xplane_pb2.XEvent], names: Mapping[int, str]) -> Iterator[tuple[str, int]]:
    """Yields each event's name and its time without that of the events inside it."""
    open_events: list[list] = []  # [end, name, own time], each inside the one before
    for event in sorted(events, key=lambda event: (event.offset_ps, -event.duration_ps)):
        while open_events and open_events[-1][0] <= event.offset_ps:
            _, name, own = open_events.pop()
            yield name, own
        if open_events:
            open_events[-1][2] -= event.duration_ps
        open_events.append([event.offset_ps + event.duration_ps, names[event.metadata_id], event.duration_ps])
    for _, name, own in open_events:
        yield name, own


def format_times(times: Mapping[str, tuple[float, int]]) -> str:
    """Returns a Markdown table, the largest first."""
    whole = sum(total for total, _ in times.values())
    lines = ["| op | share | ms | times |", "|---|---|---|---|"]
    for kind, (total, count) in sorted(times.items(), key=lambda item: -item[1][0])[:SHOWN]:
        lines.append(f"| {kind} | {total / whole:.1%} | {total:.1f} | {count} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(measure, __doc__)
