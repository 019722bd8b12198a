"""Teacher and student, measured in one run: percentiles and requests per second, with stored vectors and without.

Usage: python -m benchmarks.latency [--size mini] [--before COMMIT] [--documents 30 100 1000] [--clients 1 8]
       python -m benchmarks.latency --teacher runs/shop/served/shop_ranker/1 --student runs/shop/served/shop_student/1

Without bundles of your own it exports models of a size with random weights over a small simulated shop; speed does not
depend on weights. `--before` names a commit whose code exports the teacher once more, for the ratio to what it was.
All are SavedModels in one process, without network and server; each request is one query and its candidates.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tfr_listbert.config import read_config
from tfr_listbert.evaluation.shop_report import simulate_shop
from tfr_listbert.export.reload import ReloadedModel
from tfr_listbert.lists.elwc import read_lists
from tfr_listbert.lists.preparation import prepare_data
from tfr_listbert.rows.tokenizer_corpus import train_configured_tokenizer
from tfr_listbert.schema import Document

FOLDER = Path("runs/benchmarks")
SECONDS = 6.0
"""For which each is asked, at least; a slow one at least MINIMUM times."""
MINIMUM = 8
MOST = 400


@dataclasses.dataclass(frozen=True)
class System:
    """Something that ranks.

    Attributes:
        name: in the table.
        model: its SavedModel.
        signature: that is asked.
        build: makes the inputs of a query and its candidates.
    """

    name: str
    model: ReloadedModel
    signature: str
    build: Callable[[str, Sequence[Document]], Mapping[str, Any]]

    def ask(self, inputs: Mapping[str, Any]) -> None:
        """Asks once."""
        self.model.ask(self.signature, inputs)


def build_shop(size: str) -> Path:
    """Returns the folder of a small simulated shop with its lists and tokenizer and the configs of both models."""
    folder = FOLDER / f"latency-{size}"
    configs = Path(__file__).parent.parent / "pipelines" / "configs"
    shop = yaml.safe_load((configs / "shop.yaml").read_text())
    options = shop["data"]["options"] | {
        "log": str(folder / "export/search_log.csv.gz"),
        "catalogue": str(folder / "export/catalogue.csv.gz"),
        "min_impressions": 1,
    }
    teacher = {
        "data": shop["data"] | {"options": options, "lists": str(folder / "lists")},
        "text": shop["text"] | {"folder": str(folder / "tokenizer")},
        "encoder": {"size": size},
        "model": shop["model"],
    }
    student = teacher | {
        "model": {"type": "student"},
        "train": {"run": str(folder / "student_run")},
        "vectors": {"output": str(folder / "vectors")},
        "export": {"vectors": str(folder / "vectors")},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in {"teacher": teacher, "student": student}.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(values))
    if not (folder / "tokenizer").exists():
        sizes = [f"shop.output={folder / 'export'}", "shop.sessions=60000"]
        config = read_config(folder / "teacher.yaml", sizes)
        simulate_shop(config)
        prepare_data(config)
        train_configured_tokenizer(config)
    return folder


def export_untrained(folder: Path, kind: str, code: Path, output: Path) -> Path:
    """Exports a model with random weights in a process of its own, by the code in a folder."""
    script = Path(__file__).with_name("untrained.py").absolute()
    command = [sys.executable, script, kind, folder / f"{kind}.yaml", output]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(code)}, stdout=sys.stderr)
    return output


def check_out(commit: str) -> Path:
    """Returns the folder of the code of a commit."""
    folder = FOLDER / f"code-{commit}"
    if not folder.exists():
        archive = subprocess.run(["git", "archive", commit], check=True, capture_output=True).stdout
        folder.mkdir(parents=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder.absolute()


def build_text_inputs(query: str, documents: Sequence[Document], model: ReloadedModel) -> dict[str, Any]:
    """Returns the inputs of `serving_default`: query, text fields and numeric features."""
    inputs: dict[str, Any] = {"query": [query]}
    for name in set(model.list_inputs("serving_default")) - {"query"}:
        is_text = name in documents[0].fields
        inputs[name] = [[doc.fields[name] if is_text else doc.features[name] for doc in documents]]
    return inputs


def build_systems(teachers: Mapping[str, ReloadedModel], student: ReloadedModel) -> list[System]:
    """Returns what is measured, the teachers first."""
    texts = {**teachers, "student, texts encoded afresh": student}
    systems = [
        System(name, model, "serving_default", lambda q, d, model=model: build_text_inputs(q, d, model))
        for name, model in texts.items()
    ]

    def build_ids(query: str, documents: Sequence[Document]) -> dict[str, Any]:
        return {"query": [query], "document_ids": [[document.document_id for document in documents]]}

    return [*systems, System("student, stored vectors", student, "rank_ids", build_ids)]


def measure(system: System, requests: Sequence[Mapping[str, Any]], clients: int) -> tuple[np.ndarray, float]:
    """Returns the milliseconds of each request and requests per second of so many clients, each asking in turn."""
    system.ask(requests[0])
    system.ask(requests[-1])
    start = time.perf_counter()
    end = start + SECONDS

    def ask(client: int) -> list[float]:
        times: list[float] = []
        own = MINIMUM if clients == 1 else 2
        while (time.perf_counter() < end and len(times) < MOST) or len(times) < own:
            inputs = requests[(client + len(times)) % len(requests)]
            since = time.perf_counter()
            system.ask(inputs)
            times.append((time.perf_counter() - since) * 1000)
        return times

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        times = [value for part in pool.map(ask, range(clients)) for value in part]
    return np.array(times), len(times) / (time.perf_counter() - start)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="mini")
    parser.add_argument("--before", help="commit whose code exports the teacher, too")
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--student", type=Path)
    parser.add_argument("--lists", help="prepared lists of bundles of your own")
    parser.add_argument("--documents", type=int, nargs="+", default=[30, 100, 1000])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    settings = parser.parse_args()
    code = Path(__file__).parent.parent.absolute()
    if settings.teacher is None:
        folder = build_shop(settings.size)
        bundles = {"teacher": export_untrained(folder, "teacher", code, folder / "teacher")}
        if settings.before:
            old = check_out(settings.before)
            bundles["teacher before"] = export_untrained(folder, "teacher", old, folder / f"teacher-{settings.before}")
        student, lists = export_untrained(folder, "student", code, folder / "student"), folder / "lists"
    else:
        bundles, student, lists = {"teacher": settings.teacher}, settings.student, settings.lists
    with contextlib.ExitStack() as stack:
        teachers = {name: stack.enter_context(ReloadedModel(path)) for name, path in bundles.items()}
        systems = build_systems(teachers, stack.enter_context(ReloadedModel(student)))
        report(systems, list(read_lists(lists, "test")), settings.documents, settings.clients)


def report(systems: Sequence[System], lists: Sequence[Any], lengths: Sequence[int], clients: Sequence[int]) -> None:
    """Measures and prints every system at every length and number of clients, and ratios of medians."""
    documents = list({document.document_id: document for one in lists for document in one.documents}.values())
    queries = [one.query for one in lists[:20]]
    print(f"{os.cpu_count()} processors; milliseconds")
    columns = "".join(f" {name:>8}" for name in ("p50", "p95", "p99", "per s", "requests"))
    print(f"{'candidates':>10} {'clients':>7}  {'system':31}{columns}", flush=True)
    for length in lengths:
        for count in clients:
            medians = {}
            for system in systems:
                requests = [system.build(query, documents[:length]) for query in queries]
                times, rate = measure(system, requests, count)
                p50, p95, p99 = np.percentile(times, [50, 95, 99])
                medians[system.name] = p50
                numbers = f"{p50:8.1f} {p95:8.1f} {p99:8.1f} {rate:8.1f} {len(times):8}"
                print(f"{min(length, len(documents)):>10} {count:>7}  {system.name:31} {numbers}", flush=True)
            own = medians["student, stored vectors"]
            ratios = (f"{name} / stored {value / own:.0f}" for name, value in medians.items() if value is not own)
            print(f"{'':20} medians: {'; '.join(ratios)}", flush=True)


if __name__ == "__main__":
    main()
