"""Ranks products for a query by asking a ranker behind TensorFlow Serving's REST or gRPC API.

Usage: python serving/client.py --url http://127.0.0.1:8501 --model ranker --query "red dress" --documents FILE.jsonl

FILE holds one JSON object per product with the model's text fields and numeric features; - reads standard input.
A missing field is empty, a missing feature is told to the model as missing. Prints rank, score and title; exits 2 with
one message when something is wrong. As a library: `remote.ranking.RankingClient(url, model).rank(query, documents)`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remote.errors import RankingError
from remote.ranking import RankingClient, format_ranking, read_documents


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the ranking of the documents in a file; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--url", default="http://127.0.0.1:8501", help="where the REST API is, or the gRPC API: grpc://127.0.0.1:8500"
    )
    parser.add_argument("--model", default="ranker", help="the model's name")
    parser.add_argument("--version", type=int, help="the model's version; the newest one by default, a canary included")
    parser.add_argument("--label", help="the version's label instead: `stable` for the one that passed the gate")
    parser.add_argument("--query", required=True)
    parser.add_argument("--documents", required=True, metavar="FILE", help="JSON lines; - for standard input")
    parser.add_argument("--timeout-seconds", type=float, default=10.0, help="longest wait for each attempt")
    settings = parser.parse_args(arguments)
    try:
        documents = _read_documents_file(settings.documents)
        with RankingClient(
            settings.url, settings.model, settings.version, settings.label, settings.timeout_seconds
        ) as client:
            print(format_ranking(client.rank(settings.query, documents)))
    except RankingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _read_documents_file(path: str) -> list[dict[str, Any]]:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RankingError(f"--documents {path} cannot be read: {error}") from None
    # Not splitlines: JSON strings may hold line breaks of Unicode that end no line of a file.
    return read_documents(text.split("\n"), "standard input" if path == "-" else path)


if __name__ == "__main__":
    sys.exit(main())
