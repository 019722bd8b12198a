"""An export is tried in a fresh process before it takes its place."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfr_listbert.export.requests import ServedRequest
from tfr_listbert.schema import InputError

TRIAL_SECONDS = 900


@dataclasses.dataclass(frozen=True)
class TrialAnswers:
    """What a fresh process found.

    Attributes:
        answers: to each request `{"outputs": ...}` or `{"error": canonical code, "message": ...}`.
        seconds: median seconds of each timed request; shorter than these where one was slow.
        mebibytes: by how much the process grew at its peak, by loading the model and answering.
    """

    answers: list[dict[str, Any]]
    seconds: list[float]
    mebibytes: int


def run_trial(folder: Path, requests: Sequence[ServedRequest], timed: Sequence[ServedRequest]) -> TrialAnswers:
    """Loads the SavedModel in `folder` in a fresh process, asks it all `requests`, and times `timed`.

    Raises:
        InputError: if it does not load, or takes longer than TRIAL_SECONDS.
    """
    with tempfile.TemporaryDirectory() as scratch:
        asked, answered = Path(scratch) / "asked.json", Path(scratch) / "answered.json"
        work = {
            name: [dataclasses.asdict(one) for one in part] for name, part in (("requests", requests), ("timed", timed))
        }
        asked.write_text(json.dumps(work))
        command = [sys.executable, "-m", "tfr_listbert.export.reload", str(folder), str(asked), str(answered)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=TRIAL_SECONDS)
        except subprocess.CalledProcessError as error:
            message = f"The exported model does not load. Nothing was exported.\n{error.stderr[-2000:]}"
            raise InputError(message) from None
        except subprocess.TimeoutExpired:
            message = (
                f"The exported model did not load and answer within {TRIAL_SECONDS} seconds. Nothing was exported. "
                "Shorter lists in `export.warmup_lists` make the trial shorter."
            )
            raise InputError(message) from None
        return TrialAnswers(**json.loads(answered.read_text()))


def require_answers(requests: Sequence[ServedRequest], trial: TrialAnswers) -> None:
    """Checks that none of `requests`, the last ones of the trial, was refused.

    Raises:
        InputError: if one was.
    """
    for request, answer in zip(requests, trial.answers[len(trial.answers) - len(requests) :], strict=True):
        if "error" in answer:
            raise InputError(
                f"The exported model refuses {request.name}: {answer['message'][:500]} Nothing was exported."
            )
