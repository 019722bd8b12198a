"""Pre-trains an encoder as RoBERTa is: a corpus of the shop's own texts, a masked language model, a run folder."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfr_listbert.config import Config
from tfr_listbert.encoders.roberta import resolve_shape
from tfr_listbert.models.masked_lm import MaskedLM, MLMHead
from tfr_listbert.rows.corpus_batches import StepPlan, build_held_out_dataset, build_step_dataset
from tfr_listbert.rows.corpus_store import read_rows, write_rows
from tfr_listbert.rows.corpus_texts import TextCounts, read_corpus
from tfr_listbert.schema import InputError
from tfr_listbert.text.masking import MaskRates, TokenMasker
from tfr_listbert.text.tokenizer import read_tokenizer
from tfr_listbert.training.checkpoints import Progress, holds_object, restore_objects
from tfr_listbert.training.devices import build_strategy, set_precision
from tfr_listbert.training.randomness import make_repeatable
from tfr_listbert.training.runs import adopt_initial, build_encoder, open_folder, write_metrics
from tfr_listbert.training.trainer import Objective, Task, train

PERPLEXITY = "perplexity"
"""Validation metric of pre-training, by which `best/` is chosen; lower is better."""

FIXED_SECTIONS = ("text", "encoder", "pretrain", "train")
"""Sections that decide the weights; `data` only says where texts and the queries to leave out are."""

_EVALUATION_SEED = 0  # the same masks in every evaluation, so that perplexities can be compared


def pretrain_encoder(config: Config) -> None:
    """Pre-trains the encoder of `config` in its run folder, going on from where an earlier call was killed.

    A ranker's `encoder.initial` takes the folder: `best/` holds `encoder` and `mlm_head` as they were when the held-out
    texts had their lowest perplexity. `corpus/` holds the texts as token rows; `corpus.json` says what they are.

    Raises:
        InputError: if tokenizer, sources or lists are missing or do not fit, the corpus has too few texts, or the run
            folder is of another run.
    """
    make_repeatable(config.train.seed)
    set_precision(config.train.precision)
    config = adopt_initial(config)
    tokenizer = read_tokenizer(config.text.folder)
    strategy = build_strategy(config.train.strategy)
    with strategy.scope():
        network = build_masked_lm(config, tokenizer)
    run = open_folder(config, FIXED_SECTIONS, lambda run: _prepare_corpus(config, tokenizer, run))
    task = _build_task(config, network, _build_masker(config, tokenizer), strategy)
    progress = train(task, config.train, run, strategy)
    _report(config, progress)


def _prepare_corpus(config: Config, tokenizer: tf.Module, run: Path) -> None:
    """Writes `corpus/` and `corpus.json`, and prints what is in them."""
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
    taken = counts.products + counts.queries - counts.excluded
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


def _summarize(counts: TextCounts, parts: dict[str, Any]) -> str:
    trained, held_out = parts["train"], parts["held_out"]
    return (
        f"Corpus: {counts.products:,} products and {counts.queries:,} queries, each text once; left out "
        f"{counts.short_queries:,} short and {counts.rare_queries:,} rare queries and {counts.excluded:,} of a test.\n"
        f"{trained['tokens']:,} tokens in {trained['rows']:,} rows to train on, {held_out['tokens']:,} in "
        f"{held_out['rows']:,} rows held out; {trained['real_token_rate']:.1%} of the tokens computed are real."
    )


def build_masked_lm(config: Config, tokenizer: tf.Module) -> MaskedLM:
    """Returns the encoder of `config` with a masked-LM head, both from `encoder.initial` as far as that has them.

    Raises:
        InputError: as `build_encoder`.
    """
    encoder = build_encoder(config.encoder, tokenizer, config.pretrain.row_tokens)
    mlm_head = MLMHead(tokenizer.vocabulary_size, resolve_shape(config.encoder).width)
    initial = config.encoder.initial
    if initial is not None and holds_object(initial, "best", "mlm_head"):
        restore_objects(initial, "best", mlm_head=mlm_head)
    return MaskedLM(encoder, mlm_head)


def _build_masker(config: Config, tokenizer: tf.Module) -> TokenMasker:
    settings = config.pretrain
    rates = MaskRates(settings.mask_rate, settings.random_rate, settings.kept_rate)
    return TokenMasker(tokenizer, rates, settings.whole_word)


def build_objective(masker: TokenMasker, pad_id: int) -> Objective:
    """Returns the trainer's objective: cross entropy summed over the masked tokens, to be divided by their number."""

    def compute(network: tf.keras.Model, batch: dict[str, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        tokens = batch["tokens"]
        shown, is_masked = masker.mask(tokens, tf.random.fold_in(seed, tf.int32.max))  # apart from dropout's seeds
        logits = network(shown, is_masked, seed=seed, training=True)  # [M, V]
        losses = _compute_losses(tf.boolean_mask(tokens, is_masked), logits)
        return tf.reduce_sum(losses), tf.size(losses), tf.math.count_nonzero(tokens != pad_id)

    return compute


def _compute_losses(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def measure_perplexity(network: MaskedLM, masker: TokenMasker, dataset: tf.data.Dataset) -> dict[str, float]:
    """Returns how well masked tokens are predicted: `perplexity`, e to the mean cross entropy, and `masked_accuracy`.

    Args:
        network: the model.
        masker: draws the masks, always the same ones.
        dataset: batches of `build_held_out_dataset`.
    """

    @tf.function(input_signature=[dataset.element_spec])
    def measure(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        seed = tf.stack([_EVALUATION_SEED, tf.cast(batch["step"], tf.int32)])
        shown, is_masked = masker.mask(batch["tokens"], seed)
        logits = network(shown, is_masked, training=False)
        labels = tf.boolean_mask(batch["tokens"], is_masked)
        hits = tf.argmax(logits, axis=1, output_type=tf.int32) == labels
        losses = tf.cast(_compute_losses(labels, logits), tf.float64)
        return tf.stack(
            [tf.reduce_sum(losses), tf.math.count_nonzero(hits, dtype=tf.float64), tf.cast(tf.size(labels), tf.float64)]
        )

    loss, hits, masked = np.sum([measure(batch).numpy() for batch in dataset], axis=0)
    return {PERPLEXITY: math.exp(loss / max(masked, 1)), "masked_accuracy": hits / max(masked, 1)}


def _build_task(config: Config, network: MaskedLM, masker: TokenMasker, strategy: tf.distribute.Strategy) -> Task:
    settings, folder = config.train, Path(config.train.run) / "corpus"
    plan = StepPlan(read_rows(folder, "train"), config.pretrain.batch_tokens, settings.seed)
    held_out = build_held_out_dataset(StepPlan(read_rows(folder, "held_out"), config.pretrain.batch_tokens))
    steps = plan.epoch_steps * settings.epochs
    return Task(
        network=network,
        objective=build_objective(masker, network.encoder.pad_id),
        model_objects={"encoder": network.encoder, "mlm_head": network.mlm_head},
        evaluate=lambda: measure_perplexity(network, masker, held_out),
        build_dataset=_build_step_source(plan, steps, strategy),
        steps=steps,
        evaluate_steps=settings.evaluate_steps or plan.epoch_steps,
        metric=PERPLEXITY,
        is_lower_better=True,
        shown=("masked_accuracy",),
        unit="tokens",
    )


def _build_step_source(
    plan: StepPlan, steps: int, strategy: tf.distribute.Strategy
) -> Callable[[int], tf.data.Dataset | tf.distribute.DistributedDataset]:
    replicas = strategy.num_replicas_in_sync

    def build(first_step: int) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        dataset = build_step_dataset(plan, steps, first_step, replicas)
        return dataset if replicas == 1 else strategy.distribute_datasets_from_function(lambda context: dataset)

    return build


def _report(config: Config, progress: Progress) -> None:
    best = next(entry for entry in progress.history if entry["step"] == progress.best_step)
    last = progress.history[-1]
    write_metrics(config.train.run, {"best": best, "last": last, "history": progress.history, "tokens": progress.pairs})
    curve = ", ".join(f"{entry[PERPLEXITY]:.1f}" for entry in progress.history)
    print(f"{config.train.run}: perplexity on held-out texts {curve}; best {best[PERPLEXITY]:.2f}.")
