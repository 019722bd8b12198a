"""Search: candidates from the engine, ordered by the ranker if it answers in time, else left in the engine's order."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import logging
import math
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from .engine import Engine, Product

LOGGER = logging.getLogger(__name__)
_QUIET_SECONDS = 60.0
"""Time in which a message is not logged a second time."""
_MESSAGES = 100
"""Most messages that are remembered for it."""
_WORKERS = 16
"""Rankings at once, for each ranker; when all are busy, further searches wait within their deadline."""

RANKED, LATE, DOWN, ENGINE_ONLY = "ranked", "late", "down", "engine_only"
"""How the order of an answer came about; the service counts each."""


class Scorer(Protocol):
    """A ranker behind a server, such as `RankingClient`."""

    def score(self, query: str, documents: Sequence[Product]) -> list[float]:
        """Returns the score of each document."""
        ...


@dataclasses.dataclass(frozen=True)
class SearchAnswer:
    """Products in their order.

    Attributes:
        products: the best first.
        outcome: one of RANKED, LATE, DOWN, ENGINE_ONLY.
        milliseconds: of the whole search.
    """

    products: list[Product]
    outcome: str
    milliseconds: float


class SearchService:
    """Answers every query for which the engine finds products, whatever the ranker does. Thread-safe."""

    def __init__(
        self,
        engine: Engine,
        rankers: Mapping[str, Scorer],
        deadline_seconds: float = 0.1,
        candidates: int = 100,
    ):
        """Makes the service.

        Args:
            engine: finds candidates.
            rankers: by name, as a search may ask for.
            deadline_seconds: longest wait for a ranker.
            candidates: products that are ranked.
        """
        self._engine = engine
        self._rankers = dict(rankers)
        self._deadline_seconds = deadline_seconds
        self._candidates = candidates
        # To each its own threads: one that hangs must not keep the others waiting
        self._pools = {name: concurrent.futures.ThreadPoolExecutor(_WORKERS, f"ranking {name}") for name in rankers}
        self._counts: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()
        self._warned: dict[str, tuple[float, int]] = {}  # when a message was logged, and how often not since

    @property
    def rankers(self) -> list[str]:
        """Names of the rankers."""
        return list(self._rankers)

    @property
    def counts(self) -> dict[str, int]:
        """Number of searches by outcome."""
        with self._lock:
            return {name: self._counts[name] for name in (RANKED, LATE, DOWN, ENGINE_ONLY)}

    def search(self, query: str, ranker: str, count: int = 30) -> SearchAnswer:
        """Returns at most `count` products, ordered by the ranker of that name; "" leaves the engine's order.

        Raises:
            EngineError: if the engine fails; without candidates there is nothing to fall back to.
        """
        start = time.perf_counter()
        found = self._engine.retrieve(query, self._candidates)
        outcome = ENGINE_ONLY
        if ranker in self._rankers and found:
            found, outcome = self._rank(query, found, ranker)
        with self._lock:
            self._counts[outcome] += 1
        return SearchAnswer(found[:count], outcome, (time.perf_counter() - start) * 1000)

    def close(self) -> None:
        """Ends the threads; rankings that nobody waits for are left to their own timeout."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _warn(self, message: str) -> None:
        """Logs what went wrong, each message once a minute."""
        now = time.monotonic()
        with self._lock:
            last, hidden = self._warned.pop(message, (-math.inf, 0))
            is_due = now - last >= _QUIET_SECONDS
            self._warned[message] = (now, 0) if is_due else (last, hidden + 1)
            if len(self._warned) > _MESSAGES:
                del self._warned[next(iter(self._warned))]  # the one that has not come for the longest time
        if is_due:
            LOGGER.warning("%s%s", message, f" ({hidden} times more since it was last said)" if hidden else "")

    def _rank(self, query: str, found: list[Product], name: str) -> tuple[list[Product], str]:
        ranking = self._pools[name].submit(self._rankers[name].score, query, found)
        try:
            scored = list(zip(ranking.result(self._deadline_seconds), found, strict=True))
            if not all(math.isfinite(score) for score, _ in scored):
                raise ValueError("a score is not finite")
        except concurrent.futures.TimeoutError:
            ranking.cancel()
            self._warn(f"The ranker {name} did not answer within {self._deadline_seconds * 1000:g} ms.")
            return found, LATE
        except Exception as error:  # whatever is wrong with the ranker, visitors get their products
            self._warn(f"The ranker {name} is down: {type(error).__name__}: {error}")
            return found, DOWN
        return [product for _, product in sorted(scored, key=lambda pair: -pair[0])], RANKED
