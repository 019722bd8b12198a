"""The model card of an exported version, made from what was measured."""

from __future__ import annotations

import itertools
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfr_listbert.config import Config, read_config
from tfr_listbert.cores import count_cores
from tfr_listbert.evaluation.evaluate import RANKER
from tfr_listbert.evaluation.intervals import format_interval
from tfr_listbert.export.gate import GATE_METRIC, Decision
from tfr_listbert.export.requests import RequestBuilder
from tfr_listbert.lists.statistics import STATISTICS_FILE
from tfr_listbert.training.run_folder import describe_other_lists

CARD_FILE = "model_card.md"

STUDENT_ALONE = "the student alone"
"""What `evaluate` has measured of a cascade."""

BUDGETS_MILLISECONDS = (20, 50, 100)

_USE = """\
## Intended use

Ordering the products that a search engine found for a query, {where}: some tens to a few hundred candidates per \
request. {finding} Its scores compare products of one query only.

## Limits

{learned}
- Text beyond the budgets under "How it was made" is cut. Products without any text score as padding, except in
  `rank_n` and `predict`.
- Nothing was measured about fairness between sellers, brands or groups of visitors.
"""

_LEARNED_FROM_CLICKS = """\
- It learned from what visitors of one shop did in one window of time; another language, another assortment or a new
  season may need training anew.
- Clicks favour what was shown high. Whether that was corrected says `data.options.grading` in `config.yaml`."""

_LEARNED_FROM_GRADES = """\
- It learned from the grades of one data set; another language, another assortment or others who grade may need training
  anew.
- Grades are what those who judged held to be relevant, which need not be what visitors of a shop buy."""


def count_fitting(seconds: Mapping[int, float], budget_seconds: float) -> int:
    """Returns how many candidates fit into a budget, by lines between the measured lengths; 0 if not even one does.

    >>> count_fitting({1: 0.010, 10: 0.028, 30: 0.080}, 0.020)
    6
    >>> count_fitting({1: 0.010, 10: 0.028}, 1.0)
    10
    """
    lengths = sorted(seconds)
    if seconds[lengths[0]] > budget_seconds:
        return 0
    for shorter, longer in itertools.pairwise(lengths):
        if seconds[longer] > budget_seconds:
            slope = (seconds[longer] - seconds[shorter]) / (longer - shorter)
            return int(shorter + (budget_seconds - seconds[shorter]) / slope)
    return lengths[-1]


def build_card(
    config: Config,
    run: Config,
    version: int,
    builder: RequestBuilder,
    seconds: Mapping[int, float],
    decision: Decision,
    results: Mapping[str, Any] | None,
    notes: Sequence[str] = (),
) -> str:
    """Returns the card in Markdown.

    Args:
        config: the config of the export.
        run: the config that the ranker was trained with.
        version: its number.
        builder: knows the inputs of the export, and which signature was timed.
        seconds: median seconds of one request by length of the list.
        decision: of the gate, with the metric that it measured.
        results: of `evaluate` on the checkpoint, None where there are none.
        notes: on what optional exports change.
    """
    parts = [
        f"# {config.export.name}, version {version}\n",
        _describe_training(config, run),
        _describe_quality(config, decision),
        _describe_results(results, STUDENT_ALONE if config.export.cascade else RANKER),
        *[f"{note}\n" for note in notes],
        _describe_latency(builder.timed_signature, seconds),
        _describe_request(config.export.name, version, builder),
        _describe_use(config, run),
        _describe_licence(config, run),
    ]
    return "\n".join(parts)


def _describe_training(config: Config, run: Config) -> str:
    encoder = ", ".join(
        f"{name} {value}" for name, value in vars(run.encoder).items() if value and not name.endswith("_rate")
    )
    kind = "student" if run.model.is_student else "ranker"
    # Of the lists it was trained on; others may have taken their place
    counts = "" if describe_other_lists(config.train.run, config.data.lists) else _read_counts(Path(config.data.lists))
    return (
        "## How it was made\n\n"
        f"- Data: reader `{run.data.reader}`, split by {run.data.split.by}; lists of {run.data.lists}{counts}.\n"
        f"- Inputs: {_describe_inputs(run)}.\n"
        f"{_describe_cascade(config)}"
        f"- Encoder: {encoder}. Loss: {_describe_loss(run)}; {run.train.epochs} epochs of "
        f"{run.train.batch_text} a step, seed {run.train.seed}.\n"
        f"- Run of this {kind}: {config.train.run}, checkpoint {config.evaluate.checkpoint}. All settings: "
        "`config.yaml` beside this file.\n"
    )


def _describe_inputs(run: Config) -> str:
    fields = ", ".join(f"`{field.name}` ({field.tokens} tokens)" for field in run.text.fields)
    features = ", ".join(f"`{name}`" for name in run.model.features) or "none"
    return f"`query` ({run.text.query_tokens} tokens); text {fields}; numbers {features}"


def _describe_cascade(config: Config) -> str:
    """Returns a line on the teacher in the export, "" where there is none."""
    settings = config.export
    if settings.cascade is None:
        return ""
    inputs = _describe_inputs(read_config(Path(settings.cascade) / "config.yaml"))
    return (
        f"- The first {settings.cascade_documents} documents are ranked anew by the ranker of {settings.cascade}. Its "
        f"inputs: {inputs}.\n"
    )


def _describe_loss(run: Config) -> str:
    """Returns the loss, or the losses that are added up, each with its target and weight."""
    if not run.loss.terms:
        return _format_loss(run.loss.loss, run.loss.options)
    return " + ".join(
        f"{term.weight:g} · {_format_loss(term.loss, term.options)} on "
        + ("labels" if term.target == "labels" else f"the scores of {run.teacher.run}")
        for term in run.loss.terms
    )


def _format_loss(loss: str, options: Mapping[str, Any]) -> str:
    return f"`{loss}` with {json.dumps(options)}" if options else f"`{loss}`"


def _read_counts(lists: Path) -> str:
    try:
        splits = json.loads((lists / STATISTICS_FILE).read_text(encoding="utf-8"))["splits"]
        counts = ", ".join(f"{split} {values['lists']}" for split, values in splits.items())
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return f" ({counts})"


def _describe_quality(config: Config, decision: Decision) -> str:
    label = "`stable`" if decision.is_stable else "`canary` only, not `stable`"
    lines = ["## Quality\n", f"Label: {label}. {decision.reason}"]
    if decision.is_forced:
        lines.append("**It is stable only because `export.force` was set.**")
    if decision.measured is not None:
        lines.append(
            f"\nThis file, scored on {decision.measured.lists} {config.evaluate.split} lists: {GATE_METRIC} "
            f"{decision.measured.mean:.4f} (95 % interval {format_interval(decision.measured.interval)})."
        )
    return "\n".join([*lines, ""])


def _describe_results(results: Mapping[str, Any] | None, ranker: str) -> str:
    """Returns the results of `evaluate` as a table, in which what it evaluated is called `ranker`."""
    if results is None:
        return "This checkpoint has not been evaluated against other rankers.\n"
    head = "| queries | system | lists | NDCG@10 | 95 % interval | MRR |\n|---|---|---|---|---|---|"
    slices = results["slices"]
    lines = [
        _format_row(name, ranker if system == RANKER else system, row)
        for name, rows in slices.items()
        for system, row in rows.items()
    ]
    return "\n".join([f"Measured by `evaluate` on the checkpoint. {results['grades']}\n", head, *lines, ""])


def _format_row(name: str, system: str, row: Mapping[str, Any]) -> str:
    interval = format_interval(row["interval"])
    return f"| {name} | {system} | {row['lists']} | {row['ndcg_10']:.4f} | {interval} | {row['mrr']:.4f} |"


def _describe_latency(signature: str, seconds: Mapping[int, float]) -> str:
    rows = "\n".join(f"| {length} | {value * 1000:.1f} |" for length, value in seconds.items())
    fits = "\n".join(
        f"- {budget} ms: {_format_count(count_fitting(seconds, budget / 1000), max(seconds))}"
        for budget in BUDGETS_MILLISECONDS
    )
    machine = f"{platform.machine()}, {count_cores()} cores"
    return (
        "## Latency\n\n"
        f"Median of one request of `{signature}` at a time, measured at the export in a process of its own ({machine}; "
        f"without network and server; whatever else ran there slowed it):\n\n| candidates | ms |\n|---|---|\n{rows}\n\n"
        f"Candidates that fit into\n\n{fits}\n"
    )


def _format_count(count: int, most: int) -> str:
    return f"{count} or more" if count == most else str(count)


def _describe_request(name: str, version: int, builder: RequestBuilder) -> str:
    fields = {field: [["red summer dress", "blue denim jacket"]] for field in builder.fields}
    features = {feature: [[float("nan"), 1.0]] for feature in builder.features}
    body = json.dumps({"signature_name": "rank", "inputs": {"query": ["red dress"], **fields, **features}})
    return (
        "## How to ask it\n\n"
        "One query, two products; NaN is a number that is missing:\n\n"
        f"```bash\ncurl -s http://127.0.0.1:8501/v1/models/{name}/labels/stable:predict -d '{body}'\n```\n\n"
        "Ask for the label `stable`, as here. Without a label a server answers with the newest version that it has, "
        f"even one that was refused that label. For this version alone: `/versions/{version}`, not `/labels/stable`.\n"
    )


def _describe_use(config: Config, run: Config) -> str:
    is_log = run.data.reader == "clicks"
    return _USE.format(
        where="in the shop whose log it was trained on" if is_log else "like those whose grades it was trained on",
        finding=(
            "It finds products by `search` alone, among those whose vectors it holds."
            if config.export.vectors
            else "It does not find products."
        ),
        learned=_LEARNED_FROM_CLICKS if is_log else _LEARNED_FROM_GRADES,
    )


def _describe_licence(config: Config, run: Config) -> str:
    source = "random weights" if run.encoder.initial is None else f"the encoder of {run.encoder.initial}"
    return (
        "## Licence of the weights\n\n"
        f"Licence: {config.export.license}. Training started from {source}. The weights are a work of whoever trained "
        "them, under the terms of the data and of the encoder they started from; an imported encoder keeps the licence "
        "of its model page.\n"
    )
