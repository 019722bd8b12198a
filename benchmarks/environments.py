"""Environments of their own for the peers that benchmarks measure against."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path("runs/benchmarks")


def build_environment(requirements: Path) -> Path:
    """Returns the Python of an environment with exactly the packages of `requirements`, made at the first call."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    environment = FOLDER / f"{requirements.stem}-{digest}"
    python, done = environment / "bin" / "python", environment / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        free = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}  # that pins our packages
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True, env=free)
        done.touch()
    return python
