"""The corpus in a run folder of pre-training: its rows, what it says of itself, and whether one can learn from it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfr_listbert.config import Config
from tfr_listbert.rows.corpus_batches import StepPlan, build_held_out_dataset
from tfr_listbert.rows.corpus_store import read_rows, write_rows
from tfr_listbert.rows.corpus_texts import TextCounts, read_corpus
from tfr_listbert.schema import InputError
from tfr_listbert.text.masking import TokenMasker

_EVALUATION_SEED = 0  # the same masks in every evaluation, so that perplexities can be compared


def prepare_corpus(config: Config, tokenizer: tf.Module, masker: TokenMasker, run: Path) -> None:
    """Writes `corpus/`, `corpus.json` and `rejected.csv` into the folder `run`, and prints what is in the corpus.

    Args:
        config: `pretrain` says what is taken and how it is cut.
        tokenizer: as `read_tokenizer` gives it.
        masker: hides tokens of the held-out texts, of which one at least must be to predict.
        run: the run folder.

    Raises:
        InputError: as `read_corpus`, and if there are too few texts on either side.
    """
    folder, scratch, settings = run / "corpus", run / "corpus" / "scratch", config.pretrain
    shutil.rmtree(folder, ignore_errors=True)
    scratch.mkdir(parents=True)
    counts = TextCounts()
    texts = read_corpus(config, scratch, counts)
    tokens = write_rows(texts, tokenizer, folder, settings.row_tokens, settings.buckets)
    shutil.move(scratch / "rejected.csv", run / "rejected.csv")
    shutil.rmtree(scratch)
    parts = {part: _describe_part(read_rows(folder, part), number) for part, number in tokens.items()}
    _require_texts(counts, parts, settings.held_out_rate)
    _require_masks(build_held_out(run, settings.batch_tokens, masker), parts["held_out"])
    description = {"texts": dataclasses.asdict(counts), "rows": parts}
    (run / "corpus.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    print(_summarize(counts, parts))


def _describe_part(rows: Sequence[np.ndarray], tokens: int) -> dict[str, Any]:
    computed = sum(array.size for array in rows)
    return {
        "rows": sum(len(array) for array in rows),
        "tokens": tokens,
        "widths": [array.shape[1] for array in rows],
        "real_token_rate": tokens / computed if computed else 0.0,
    }


def _require_texts(counts: TextCounts, parts: dict[str, Any], held_out_rate: float) -> None:
    taken = counts.products + counts.pairs + counts.queries
    if taken < 2:
        read = sum(source["rows"] for source in counts.inputs.values())
        raise InputError(
            f"A corpus must hold at least 2 different texts, one to train on and one held out, got {taken} in {read:,} "
            f"rows ({counts.short_queries:,} queries are too short, {counts.rare_queries:,} too rare, "
            f"{counts.excluded:,} texts are queries of a test)."
        )
    for part, setting in (("train", "smaller"), ("held_out", "larger")):
        if parts[part]["rows"] == 0:
            raise InputError(
                f"`pretrain.held_out_rate` must leave a text on either side, got {held_out_rate} for {taken} texts, "
                f"which leaves none in the part {part}; give more texts or a {setting} rate."
            )


def _require_masks(held_out: tf.data.Dataset, part: dict[str, Any]) -> None:
    if not any(bool(tf.reduce_any(batch["is_masked"])) for batch in held_out):
        raise InputError(
            f"`pretrain.held_out_rate` must hold out texts with a token to predict, got {part['rows']} rows of "
            f"{part['tokens']} tokens, none of which is masked; give more texts or a larger rate."
        )


def _summarize(counts: TextCounts, parts: dict[str, Any]) -> str:
    trained, held_out = parts["train"], parts["held_out"]
    return (
        f"Corpus: texts of {counts.products:,} products, {counts.pairs:,} pairs of a query and a product and "
        f"{counts.queries:,} queries, each once; left out "
        f"{counts.short_queries:,} short and {counts.rare_queries:,} rare queries and {counts.excluded:,} of a test.\n"
        f"{trained['tokens']:,} tokens in {trained['rows']:,} rows to train on, {held_out['tokens']:,} in "
        f"{held_out['rows']:,} rows held out; {trained['real_token_rate']:.1%} of the tokens computed are real."
    )


def build_held_out(run: Path, batch_tokens: int, masker: TokenMasker) -> tf.data.Dataset:
    """Returns one pass over the held-out rows of a run folder, `tokens`, `shown` and `is_masked`, always masked alike.

    Args:
        run: the run folder, with the corpus that `prepare_corpus` wrote.
        batch_tokens: most tokens of a batch, padding included.
        masker: chooses the tokens to predict.
    """
    rows = read_rows(run / "corpus", "held_out")

    def mask(tokens: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return masker.mask(tokens, tf.stack([_EVALUATION_SEED, tf.cast(step, tf.int32)]))

    return build_held_out_dataset(StepPlan(rows, batch_tokens), mask)
