"""How the best setting of a peer is found."""

import contextlib
import sys

import pytest

from benchmarks.peers import Choice, choose_best, start_peer

ECHO = "import sys, os\nfor line in sys.stdin: print('[' + os.environ['NUMBER'] + ',' + line.strip() + ']', flush=True)"


def test_the_fastest_choice_is_taken_after_a_warm_up_of_all():
    asked = []

    def ask(line):
        asked.append(line)
        name, seconds = line.split()
        return {"speed": {"slow": 1.0, "fast": 2.0}[name], "seconds": float(seconds)}

    choices = [Choice(name, ask, f"{name} {{}}") for name in ("slow", "fast")]
    assert choose_best(choices, 3.0, lambda answer: answer["speed"]).label == "fast"
    assert asked == ["slow 0.01", "fast 0.01", "slow 3.0", "fast 3.0"]


def test_a_peer_answers_line_by_line_with_its_own_environment_and_ends_when_told():
    with contextlib.ExitStack() as stack:
        ask = start_peer([sys.executable, "-c", ECHO], stack, {"NUMBER": "3"})
        assert ask("4") == [3, 4] and ask("5") == [3, 5]
        ask.close()
        with pytest.raises(ValueError, match="closed"):
            ask("6")


def test_a_peer_that_has_ended_is_named():
    with contextlib.ExitStack() as stack:
        ask = start_peer([sys.executable, "-c", "input(); raise SystemExit(7)"], stack)
        with pytest.raises(RuntimeError, match="ended with code 7"):
            ask("1")
