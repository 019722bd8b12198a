"""Bundles with random weights over a small simulated shop, kept as long as neither code nor settings change."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from benchmarks.environments import FOLDER
from tfr_listbert.config import read_config
from tfr_listbert.evaluation.shop_report import simulate_shop
from tfr_listbert.lists.preparation import prepare_data
from tfr_listbert.rows.tokenizer_corpus import train_configured_tokenizer

CODE = Path(__file__).parent.parent.absolute()
SCRIPT = Path(__file__).with_name("untrained.py").absolute()

BEFORE = "e00fe87"
"""The last commit before any work on the speed of the encoder."""
TEACHER_BEFORE = "teacher before"

KNOWN = {"data": ("reader", "fields", "features", "split"), "text": ("vocabulary_size", "query_tokens", "fields")}
"""Settings of the shop that the code before knows, too."""

COPIES = 5
"""So many times the vectors of a catalogue are in memory while they are exported."""


def export_bundles(size: str, asked: str | None) -> tuple[dict[str, Path], Path, str]:
    """Returns the bundles that are measured by name, the folder that they are in, and their lists.

    Args:
        size: of the encoders.
        asked: as of `choose_before`.
    """
    folder = build_shop(size)
    bundles = {"teacher": export_untrained(folder, "teacher", CODE, folder / "teacher")}
    if before := choose_before(asked):
        own = folder / f"teacher-{before}"
        bundles[TEACHER_BEFORE] = export_untrained(folder, "teacher", check_out(before), own)
    bundles["student"] = export_untrained(folder, "student", CODE, folder / "student")
    teacher = folder / "teacher.yaml"
    bundles["cascade"] = export_untrained(folder, "cascade", CODE, folder / "cascade", teacher)
    return bundles, folder, str(folder.parent / "lists")


def build_shop(size: str) -> Path:
    """Returns a folder with the configs of both models by the code as it is, over a small simulated shop."""
    shop_folder = FOLDER / f"latency-{size}"
    configs = CODE / "pipelines" / "configs"
    shop = yaml.safe_load((configs / "shop.yaml").read_text())
    options = shop["data"]["options"] | {
        "log": str(shop_folder / "export/search_log.csv.gz"),
        "catalogue": str(shop_folder / "export/catalogue.csv.gz"),
        "min_impressions": 1,
    }
    data, text = ({name: shop[section][name] for name in names} for section, names in KNOWN.items())
    teacher = {
        "data": data | {"options": options, "lists": str(shop_folder / "lists")},
        "text": text | {"folder": str(shop_folder / "tokenizer")},
        "encoder": {"size": size},
        "model": shop["model"],
    }
    folder = shop_folder / digest_code(teacher)
    student = teacher | {
        "model": {"type": "student"},
        "train": {"run": str(folder / "student_run")},
        "vectors": {"output": str(folder / "vectors")},
        "export": {"vectors": str(folder / "vectors")},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in {"teacher": teacher, "student": student}.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(values))
    if not (shop_folder / "tokenizer").exists():
        sizes = [f"shop.output={shop_folder / 'export'}", "shop.sessions=60000"]
        config = read_config(folder / "teacher.yaml", sizes)
        simulate_shop(config)
        prepare_data(config)
        train_configured_tokenizer(config)
    return folder


def digest_code(settings: Any) -> str:
    """Returns a hash of the package's code as it is, of what exports with it, and of settings."""
    digest = hashlib.sha256(repr(settings).encode())
    for path in [*sorted(CODE.glob("tfr_listbert/**/*.py")), SCRIPT]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def export_untrained(folder: Path, kind: str, code: Path, output: Path, *arguments: Any) -> Path:
    """Exports a model with random weights in a process of its own, by the code in a folder, unless it is there."""
    if output.exists():
        return output
    config = folder / ("teacher.yaml" if kind == "teacher" else "student.yaml")
    beside = output.with_name(f"{output.name}.writing")
    shutil.rmtree(beside, ignore_errors=True)
    command = [sys.executable, SCRIPT, kind, config, beside, *map(str, arguments)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(code)}, stdout=sys.stderr)
    os.rename(beside, output)
    return output


def choose_before(asked: str | None) -> str:
    """Returns the commit to hold the teacher against: the one asked for, or `BEFORE` if git knows it, or else ""."""
    if asked is not None:
        return asked
    command = ["git", "cat-file", "-e", f"{BEFORE}^{{commit}}"]
    return BEFORE if subprocess.run(command, capture_output=True, check=False).returncode == 0 else ""


def check_out(commit: str) -> Path:
    """Returns the folder of the code of a commit."""
    folder = FOLDER / f"code-{commit}"
    if not folder.exists():
        archive = subprocess.run(["git", "archive", commit], check=True, capture_output=True).stdout
        beside = folder.with_name(f"{folder.name}.writing")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        subprocess.run(["tar", "-x", "-C", beside], input=archive, check=True)
        os.rename(beside, folder)
    return folder.absolute()


def export_catalogue(folder: Path, size: int) -> Path | None:
    """Returns a student with random vectors of so many documents; None where memory does not hold its export."""
    vector_size = read_config(folder / "student.yaml").model.vector_size
    if COPIES * size * vector_size * 4 > read_free_memory():
        return None
    return export_untrained(folder, "catalogue", CODE, folder / f"catalogue-{size}", size)


def read_free_memory() -> int:
    """Returns the bytes of memory that are free to take."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
