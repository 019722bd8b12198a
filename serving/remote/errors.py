"""What can go wrong when a server is asked."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

FIRST_BACKOFF_SECONDS = 0.1

HTTP_STATUSES = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}
"""HTTP status by canonical code, as TensorFlow Serving translates; 500 for any other."""

Result = TypeVar("Result")


class RankingError(Exception):
    """The ranking did not come about; the message says why and what to do."""


class RefusedError(RankingError):
    """The server answered with an error.

    Attributes:
        status: HTTP status; for gRPC, the one that TensorFlow Serving's REST API gives for the code.
    """

    def __init__(self, message: str, status: int):
        """Makes the error."""
        super().__init__(message)
        self.status = status


class LostError(RankingError):
    """The server cannot be reached, or the connection broke."""


OVERLOADED_STATUSES = frozenset({429, 503})


def call_with_retries(call: Callable[[], Result], retries: int) -> Result:
    """Returns what `call` returns, trying again where another attempt may mend it, after waits that double.

    A server that is slow is not asked again: that would only slow it more.

    Raises:
        LostError, RefusedError: what the last attempt raised.
    """
    for attempt in range(retries):
        try:
            return call()
        except LostError:
            pass
        except RefusedError as error:
            if error.status not in OVERLOADED_STATUSES:
                raise
        # Spread over half the wait, lest all clients come back at the same moment.
        time.sleep(FIRST_BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1))
    return call()
