"""What one may conclude from a comparison, and what not, in words."""

from __future__ import annotations

from collections.abc import Sequence

from tfr_listbert.evaluation.comparison.leaderboard import Leaderboard
from tfr_listbert.evaluation.comparison.results import System
from tfr_listbert.evaluation.significance import LEVEL

_MANY_SEEDS = 10


def describe_leader(board: Leaderboard) -> str:
    """Returns who leads, from whom it cannot be told apart, and whom it beats."""
    best, *others = board.standings
    if not others:
        return f"{best.system.name} is alone: there is nothing to compare it with."
    same = [other.system.name for other in others if other.p > LEVEL and not other.difference_interval[1] < 0]
    unproven = [other.system.name for other in others if other.p > LEVEL and other.difference_interval[1] < 0]
    worse = [other.system.name for other in others if other.p <= LEVEL]
    sentences = [f"{best.system.name} has the highest {board.metric}, {best.mean:.4f}."]
    lost = len(best.system.runs) - len(best.system.finished)
    if lost:
        sentences = [
            f"Of the runs that came to their end those of {best.system.name} have the highest {board.metric}, "
            f"{best.mean:.4f}; but {lost} of its {len(best.system.runs)} runs did not, and are not in that figure."
        ]
    if same:
        sentences.append(f"It cannot be told apart from {_join(same)}.")
    if unproven:
        sentences.append(
            f"{_join(unproven)} came out behind by more than the interval of that pair alone, but after correction for "
            "all pairs this is no proof."
        )
    if worse:
        sentences.append(f"{best.system.name} is better than {_join(worse)}.")
    test = "randomization tests, of signs over queries" + (
        " and of luck over runs" if board.pooled_luck.deviation else ""
    )
    sentences.append(f"({board.pairs} pairs by paired {test}, at {LEVEL:.0%} after Holm's correction.)")
    return " ".join(sentences)


def describe_population(board: Leaderboard, systems: Sequence[System]) -> str:
    """Returns what the tests sample, queries, runs or both, and what no test here can say."""
    seeds = max((len(system.runs) for system in systems), default=0)
    luck = board.pooled_luck
    if board.queries == 1:
        queries = "There is one test query: nothing can be said of other queries, and no difference can be significant."
    else:
        queries = f"The tests hold for other queries like the {board.queries} test queries, not for another shop."
    if luck.deviation < 1e-12:  # equal but for rounding
        why = (
            "the runs of a loss came out all alike"
            if luck.shares
            else "one run of each loss tells nothing of another one"
        )
        runs = f"They hold for these very runs alone: {why}."
    else:
        runs = (
            "They hold for other runs, too, as far as the losses share one spread from run to run, which is "
            f"{luck.deviation:.4f}, pooled over {len(luck.shares)} of them, with about {luck.degrees:.1f} degrees of "
            "freedom."
        )
        if own := [one.system.name for one in board.standings if one.has_own_spread]:
            runs += (
                " What varied more in these runs is tested with the spread of its own runs, so few that after the "
                f"correction hardly any difference can be proven: {_join(own)}."
            )
        if seeds < _MANY_SEEDS:
            runs += (
                f" {seeds} seeds of one loss are too few for a claim on its own spread, or on its best or worst seed."
            )
    if any(len(run.lists_by_fold) > 1 for system in systems for run in system.runs):
        runs += (
            " The folds of a loss share most of their training lists, so that their luck is not independent; a run "
            "here is one seed over all folds."
        )
    rest = (
        "The choice of settings was made once for each loss; that another choice might turn out otherwise is in no "
        "interval and no p-value. Neither is what a larger encoder or a longer training would change."
    )
    return " ".join([queries, runs, rest])


def _join(names: Sequence[str]) -> str:
    """Returns the names as a sentence has them.

    >>> _join(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
