"""The contract's table, asked of a server over the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import httpx

from .errors import LostError


class ContractRow(Protocol):
    """A row of the table: a request, and how an answer is held against it."""

    name: str
    method: str
    path: str
    body: bytes
    headers: Mapping[str, str]

    def find_fault(self, status: int, body: bytes) -> str:
        """Returns in what an answer differs from the contract, "" where it agrees."""
        ...


def replay_contract(url: str, rows: Iterable[ContractRow]) -> list[str]:
    """Returns one line per row of the contract that the server at `url` does not keep.

    Raises:
        LostError: if the server cannot be reached.
    """
    faults = []
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        for row in rows:
            try:
                response = client.request(row.method, row.path, content=row.body, headers=row.headers)
            except httpx.TransportError as error:
                raise LostError(f"{url} cannot be reached: {error}. Is the server running?") from None
            fault = row.find_fault(response.status_code, response.content)
            if fault:
                faults.append(f"{row.name}: {fault}")
    return faults
