"""Holds a server against what an export answered when it was made, or against TensorFlow Serving's REST contract.

Usage: python serving/verify.py URL [URL ...] [--bundle runs/export/ranker]
       python serving/verify.py --contract URL
       python serving/verify.py --write-contract-models FOLDER

URL is http://HOST:8501 for REST or grpc://HOST:8500 for gRPC. The first form replays the golden requests of a bundle,
good and bad ones, and compares scores, errors and order; it prints latency percentiles. The second replays the table in
serving/contract against a server that serves the models which the third form writes, started as said there.
Exits 0 if all agrees, 1 if something differs, 2 with one message if a setting is wrong or a server is not there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence

import httpx
from contract.requests import ContractRequest
from contract.table import CONTRACT
from remote.errors import LostError, RankingError
from remote.golden import find_bundle, read_golden_requests, replay_golden_requests


def main(arguments: Sequence[str] | None = None) -> int:
    """Verifies as the command line says; returns the exit code."""
    parser = _build_parser()
    settings = parser.parse_args(arguments)
    try:
        if settings.write_contract_models:
            return _write_contract_models(settings.write_contract_models)
        if settings.contract:
            return _report(settings.contract, len(CONTRACT), _replay_contract(settings.contract, CONTRACT))
        if not settings.urls:
            parser.error("give the URL of a server, or --contract URL")
        return _verify_bundle(settings)
    except RankingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="*", metavar="URL", help="http://HOST:PORT or grpc://HOST:PORT")
    parser.add_argument(
        "--bundle", default="runs/export/ranker", help="a version's folder, or the one above it for its newest version"
    )
    parser.add_argument("--model", help="the model's name at the server; the folder's by default")
    parser.add_argument("--label", help="ask for the version with this label instead of the bundle's number")
    parser.add_argument("--rounds", type=int, default=3, help="how often all requests are asked")
    parser.add_argument("--contract", metavar="URL", help="replay the REST contract instead")
    parser.add_argument("--write-contract-models", metavar="FOLDER", help="write the models that the contract asks")
    return parser


def _verify_bundle(settings: argparse.Namespace) -> int:
    bundle = find_bundle(settings.bundle, settings.label)
    requests = read_golden_requests(bundle)
    model = settings.model or bundle.parent.name
    if not (settings.label or bundle.name.isdecimal()):
        raise RankingError(f"{bundle} is not named by the number of its version: rename it, or ask by --label.")
    version = None if settings.label else int(bundle.name)
    codes = []
    for url in settings.urls:
        replay = replay_golden_requests(url, model, version, requests, max(1, settings.rounds), settings.label)
        codes.append(_report(f"{url}, {model} {settings.label or version}", len(requests), replay.faults))
        print(f"  {replay.format_percentiles()}")
    return max(codes)


def _replay_contract(url: str, rows: Iterable[ContractRequest]) -> list[str]:
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


def _report(what: str, count: int, faults: Sequence[str]) -> int:
    for fault in faults:
        print(f"  {fault}", file=sys.stderr)
    print(f"{what}: {count - len(faults)} of {count} requests agree.")
    return 1 if faults else 0


def _write_contract_models(folder: str) -> int:
    from contract.models import write_contract_models  # imports TensorFlow, which takes seconds

    print(f"Wrote {write_contract_models(folder)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
