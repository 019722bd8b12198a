"""Pre-trains an encoder as RoBERTa is: a corpus of the shop's own texts, a masked language model, a run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfr_listbert.config import Config, require
from tfr_listbert.encoders.shapes import resolve_shape
from tfr_listbert.models.chunks import sum_chunks
from tfr_listbert.models.masked_lm import MaskedLM, MLMHead
from tfr_listbert.rows.corpus import build_held_out, prepare_corpus
from tfr_listbert.rows.corpus_batches import Mask, StepPlan, build_step_dataset
from tfr_listbert.rows.corpus_store import read_rows
from tfr_listbert.text.masking import TokenMasker
from tfr_listbert.training.checkpoints import Progress, holds_object, restore_objects
from tfr_listbert.training.contents import describe_start, digest_lists
from tfr_listbert.training.devices import build_strategy, is_chief, set_precision, share_steps, wait_for_chief
from tfr_listbert.training.randomness import build_step_seed, make_repeatable
from tfr_listbert.training.rankers import adopt_initial, build_encoder, read_configured_tokenizer
from tfr_listbert.training.run_folder import open_folder, write_metrics
from tfr_listbert.training.trainer import Objective, Task, train

PERPLEXITY = "perplexity"
"""Validation metric of pre-training, by which `best/` is chosen; lower is better."""

_FIXED_SECTIONS = ("text", "encoder", "pretrain", "train")
"""Sections that decide the weights; of `data` it is the lists that count, whose texts are read or left out."""


def pretrain_encoder(config: Config) -> None:
    """Pre-trains the encoder of `config` in its run folder, going on from where an earlier call was killed.

    A ranker's `encoder.initial` takes the folder: `best/` holds `encoder` and `mlm_head` as they were when the held-out
    texts had their lowest perplexity. `corpus/` holds the texts as token rows; `corpus.json` says what they are.

    Raises:
        InputError: if tokenizer, sources or lists are missing or do not fit, the corpus has too few texts, or the run
            folder is of another run.
    """
    _require_settings(config)
    make_repeatable(config.train.seed)
    strategy = build_strategy(config.train.strategy)
    set_precision(config.train.precision)
    config = adopt_initial(config)
    tokenizer = read_configured_tokenizer(config)
    with strategy.scope():
        network = build_masked_lm(config, tokenizer)
    masker = TokenMasker(tokenizer, config.pretrain)
    wait_for_chief(config.train.run, strategy)
    contents = {"data.lists": digest_lists(config.data.lists), **describe_start(config)}
    run = open_folder(config, _FIXED_SECTIONS, contents, lambda run: prepare_corpus(config, tokenizer, masker, run))
    progress = train(_build_task(config, network, masker, strategy), config.train, run, strategy)
    if is_chief(strategy):
        _report(config, progress)


def _require_settings(config: Config) -> None:
    train, longest = config.train, config.pretrain.row_tokens
    rule = "must be null in pre-training, whose steps have no lists; `train.max_tokens_in_memory` bounds its memory"
    require(train.micro_batch_lists is None, "train.micro_batch_lists", rule, train.micro_batch_lists)
    rule = "must be null in pre-training (and `train.batch_lists` any number): `pretrain.batch_tokens` sets its steps"
    require(train.batch_tokens is None, "train.batch_tokens", rule, train.batch_tokens)
    require(not train.cache_tokens, "train.cache_tokens", "must be false in pre-training, whose rows are kept", True)
    rule, limit = f"must be at least `pretrain.row_tokens`, {longest}", train.max_tokens_in_memory
    require(limit is None or limit >= longest, "train.max_tokens_in_memory", rule, limit)


def build_masked_lm(config: Config, tokenizer: tf.Module) -> MaskedLM:
    """Returns the encoder of `config` with a masked-LM head, both from `encoder.initial` as far as that has them.

    Raises:
        InputError: as `build_encoder`.
    """
    encoder = build_encoder(config.encoder, tokenizer, config.pretrain.row_tokens)
    mlm_head = MLMHead(tokenizer.vocabulary_size, resolve_shape(config.encoder).width)
    initial = config.encoder.initial
    if initial is not None and holds_object(initial, "mlm_head"):
        restore_objects(initial, "best", "encoder.initial", mlm_head=mlm_head)
    return MaskedLM(encoder, mlm_head)


def build_step_masks(masker: TokenMasker, run_seed: int) -> Mask:
    """Returns the masks of a run's steps: of each step others, on however many devices it is made."""

    def mask(tokens: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        seed = build_step_seed(run_seed, step)
        return masker.mask(tokens, tf.random.fold_in(seed, tf.int32.max))  # apart from dropout's seeds

    return mask


def build_objective(pad_id: int, max_tokens: int | None = None) -> Objective:
    """Returns the trainer's objective: cross entropy summed over the masked tokens, to be divided by their number.

    Args:
        pad_id: id of padding, which is not counted.
        max_tokens: most tokens, padding included, of which activations are in memory at a time. Rows are then computed
            chunk after chunk and, for the gradient, once more: the same result. When None, all rows at once.
    """

    def compute(network: tf.keras.Model, batch: dict[str, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        tokens, is_masked = batch["tokens"], batch["is_masked"]
        if max_tokens is None:
            total = _sum_losses(network, batch, seed)
        else:
            total = _sum_losses_by_chunk(network, batch, seed, max_tokens)
        return total, tf.math.count_nonzero(is_masked), tf.math.count_nonzero(tokens != pad_id)

    return compute


def _sum_losses(network: tf.keras.Model, batch: dict[str, tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
    logits = network(batch["shown"], batch["is_masked"], seed=seed, training=True)  # [M, V]
    return tf.reduce_sum(_compute_losses(tf.boolean_mask(batch["tokens"], batch["is_masked"]), logits))


def _sum_losses_by_chunk(
    network: tf.keras.Model, batch: dict[str, tf.Tensor], seed: tf.Tensor, max_tokens: int
) -> tf.Tensor:
    rows, width = tf.unstack(tf.shape(batch["tokens"]))
    size = tf.maximum(max_tokens // width, 1)  # rows of a chunk

    def compute_chunk(chunk: tf.Tensor) -> tf.Tensor:
        own = {name: values[chunk * size : (chunk + 1) * size] for name, values in batch.items()}
        return _sum_losses(network, own, tf.random.fold_in(seed, chunk))

    return sum_chunks(compute_chunk, -(-rows // size))


def _compute_losses(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def build_evaluation(network: MaskedLM, dataset: tf.data.Dataset) -> Callable[[], dict[str, float]]:
    """Returns what measures how well masked tokens are predicted, traced once for all calls.

    It gives `perplexity`, e to the mean cross entropy, and `masked_accuracy`.

    Args:
        network: the model.
        dataset: batches of `build_held_out_dataset`, at least one of their tokens masked.
    """

    @tf.function(input_signature=[dataset.element_spec], autograph=False)
    def measure(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        logits = network(batch["shown"], batch["is_masked"], training=False)
        labels = tf.boolean_mask(batch["tokens"], batch["is_masked"])
        hits = tf.argmax(logits, axis=1, output_type=tf.int32) == labels
        losses = tf.cast(_compute_losses(labels, logits), tf.float64)
        return tf.stack(
            [tf.reduce_sum(losses), tf.math.count_nonzero(hits, dtype=tf.float64), tf.cast(tf.size(labels), tf.float64)]
        )

    def evaluate() -> dict[str, float]:
        loss, hits, masked = np.sum([measure(batch).numpy() for batch in dataset], axis=0)
        with np.errstate(over="ignore"):  # a mean loss above 709 has no perplexity that is a number
            return {PERPLEXITY: float(np.exp(loss / masked)), "masked_accuracy": hits / masked}

    return evaluate


def _build_task(config: Config, network: MaskedLM, masker: TokenMasker, strategy: tf.distribute.Strategy) -> Task:
    settings = config.train
    run, batch_tokens = Path(settings.run), config.pretrain.batch_tokens
    plan = StepPlan(read_rows(run / "corpus", "train"), batch_tokens, settings.seed)
    steps, replicas = plan.epoch_steps * settings.epochs, strategy.num_replicas_in_sync
    mask = build_step_masks(masker, settings.seed)

    def build_steps(first_step: int, own: range | None) -> tf.data.Dataset:
        return build_step_dataset(plan, mask, steps, first_step, replicas, own)

    return Task(
        network=network,
        objective=build_objective(network.encoder.pad_id, settings.max_tokens_in_memory),
        model_objects={"encoder": network.encoder, "mlm_head": network.mlm_head},
        evaluate=build_evaluation(network, build_held_out(run, batch_tokens, masker)),
        build_dataset=share_steps(strategy, build_steps),
        steps=steps,
        evaluate_steps=settings.evaluate_steps or plan.epoch_steps,
        metric=PERPLEXITY,
        is_lower_better=True,
        shown=("masked_accuracy",),
        unit="tokens",
    )


def _report(config: Config, progress: Progress) -> None:
    best = next(entry for entry in progress.history if entry["step"] == progress.best_step)
    last = progress.history[-1]
    write_metrics(config.train.run, {"best": best, "last": last, "history": progress.history, "tokens": progress.pairs})
    curve = ", ".join(f"{entry[PERPLEXITY]:.1f}" for entry in progress.history)
    print(f"{config.train.run}: perplexity on held-out texts {curve}; best {best[PERPLEXITY]:.2f}.")
