"""A comparison whose numbers are made up: three losses, one of which diverged, and a baseline."""

import numpy as np
import pytest

from tfr_listbert.config import CompareConfig, ComparedLossConfig, Config
from tfr_listbert.evaluation.comparison.plan import Row
from tfr_listbert.evaluation.comparison.results import Results, System, SystemRun
from tfr_listbert.metrics import ScoredList, compute_metrics
from tfr_listbert.schema import Document, RankedList
from tfr_listbert.training.experiments.outcome import Outcome
from tfr_listbert.training.experiments.run import Trial

QUERIES = 30


def build_outcome(values, is_diverged=False):
    """Returns the end of a run whose validation metric was `values` at steps 10, 20 and so on."""
    history = tuple({"step": 10 * (number + 1), "ndcg_10": value} for number, value in enumerate(values))
    message = "its loss is nan at step 3" if is_diverged else ""
    return Outcome(is_diverged, message, max(values, default=None), 10, history, 1234, 1.0)


def build_lists():
    """Returns lists of 3 to 8 documents of grades 0 to 2."""
    lists = []
    for number in range(QUERIES):
        generator = np.random.default_rng(number)
        documents = tuple(
            Document(
                f"d{slot}",
                {"brand": "some brand", "title": f"title <{slot}>"},
                float(generator.integers(0, 3)),
                position=slot + 1,
            )
            for slot in range(generator.integers(3, 9))
        )
        lists.append(RankedList(f"q{number}", f"query {number}", documents, number + 1, number % 2))
    return lists


def build_run(lists, seed, noise, outcome=None):
    """Returns a run that scores by grade and noise; a diverged outcome has no scores."""
    trials = (Trial(0.001, 0.5),) if outcome else ()
    if outcome and outcome.is_diverged:
        return SystemRun(seed, trials, (outcome,), (), {})
    generator = np.random.default_rng(seed)
    scored = []
    for one in lists:
        labels = np.array([document.label for document in one.documents])
        scores = labels + generator.normal(0, noise, len(labels))
        scored.append(ScoredList(one.query_id, [document.document_id for document in one.documents], labels, scores))
    return SystemRun(seed, trials, (outcome,) if outcome else (), scored, compute_metrics(scored))


@pytest.fixture
def comparison(tmp_path):
    """Config and results: `softmax` good and rising, `list_mle` bad, one run of it diverged, `wild` diverged."""
    entries = [
        ComparedLossConfig("softmax_loss", "softmax"),
        ComparedLossConfig("list_mle_loss", "list_mle"),
        ComparedLossConfig("mean_squared_loss", "wild"),
    ]
    config = Config(compare=CompareConfig(output=str(tmp_path / "out"), losses=tuple(entries), seeds=(1, 2)))
    lists = build_lists()
    flat, rising = [0.5, 0.6, 0.6, 0.6], [0.5, 0.6, 0.6, 0.7]
    diverged = build_outcome([], is_diverged=True)
    ends = [(rising, flat), (flat, None), (None, None)]
    systems = []
    for entry, noise, own in zip(entries, (0.6, 3.0, 1.0), ends, strict=True):
        outcomes = [build_outcome(values) if values else diverged for values in own]
        runs = tuple(build_run(lists, seed, noise, outcome) for seed, outcome in enumerate(outcomes, start=1))
        systems.append(System(entry.name, Row(entry.name, entry, (Trial(0.001, 0.5),)), runs))
    systems.append(System("random", None, (build_run(lists, 0, 50.0),)))
    return config, Results(lists, systems)
