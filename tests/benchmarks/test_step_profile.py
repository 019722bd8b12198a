"""Times of ops, from a trace made by hand."""

from types import SimpleNamespace

from benchmarks.step_profile import format_times, sum_op_times

MILLISECOND = 10**9  # picoseconds


def build_event(name, start, length):
    return SimpleNamespace(metadata_id=name, offset_ps=start * MILLISECOND, duration_ps=length * MILLISECOND)


def test_an_op_takes_its_time_without_that_of_the_ops_inside():
    names = {1: "step/while:While", 2: "step/dense/MatMul:MatMul", 3: "ExecutorState::Process", 4: "other:Python call"}
    threads = [
        [build_event(1, 0, 10), build_event(2, 1, 3), build_event(2, 4, 4), build_event(4, 20, 5)],
        [build_event(3, 0, 9), build_event(2, 2, 1)],
    ]
    metadata = {number: SimpleNamespace(name=name) for number, name in names.items()}
    host, other = (
        SimpleNamespace(
            name=name, event_metadata=metadata, lines=[SimpleNamespace(events=events) for events in threads]
        )
        for name in ("/host:CPU", "/host:metadata")
    )
    times = sum_op_times(SimpleNamespace(planes=[host, other]))
    assert times == {"While": (3.0, 1), "MatMul": (8.0, 3)}
    assert format_times(times).splitlines()[2:] == ["| MatMul | 72.7% | 8.0 | 3 |", "| While | 27.3% | 3.0 | 1 |"]
