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
_WARNINGS = 100
"""Most different messages that are logged."""

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
        workers: int = 16,
    ):
        """Makes the service.

        Args:
            engine: finds candidates.
            rankers: by name, as a search may ask for.
            deadline_seconds: longest wait for a ranker.
            candidates: products that are ranked.
            workers: rankings at once; when all are busy, further searches wait within their deadline.
        """
        self._engine = engine
        self._rankers = dict(rankers)
        self._deadline_seconds = deadline_seconds
        self._candidates = candidates
        self._pool = concurrent.futures.ThreadPoolExecutor(workers, "ranking")
        self._counts: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()
        self._warned: set[str] = set()

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
            found, outcome = self._rank(query, found, self._rankers[ranker])
        with self._lock:
            self._counts[outcome] += 1
        return SearchAnswer(found[:count], outcome, (time.perf_counter() - start) * 1000)

    def close(self) -> None:
        """Ends the threads; rankings that nobody waits for are left to their own timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _warn(self, message: str) -> None:
        """Logs what went wrong, each message once."""
        with self._lock:
            is_new = message not in self._warned and len(self._warned) < _WARNINGS
            if is_new:
                self._warned.add(message)
        if is_new:
            LOGGER.warning(message)

    def _rank(self, query: str, found: list[Product], ranker: Scorer) -> tuple[list[Product], str]:
        ranking = self._pool.submit(ranker.score, query, found)
        try:
            scored = list(zip(ranking.result(self._deadline_seconds), found, strict=True))
            if not all(math.isfinite(score) for score, _ in scored):
                raise ValueError("a score is not finite")
        except concurrent.futures.TimeoutError:
            ranking.cancel()
            return found, LATE
        except Exception as error:  # whatever is wrong with the ranker, visitors get their products
            self._warn(f"A ranker is down: {type(error).__name__}: {error}")
            return found, DOWN
        return [product for _, product in sorted(scored, key=lambda pair: -pair[0])], RANKED
