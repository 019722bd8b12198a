"""Settings of losses, training, pre-training and exchange with Hugging Face."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfr_listbert.config.checks import require, require_seed


@dataclasses.dataclass(frozen=True)
class LossTermConfig:
    """One of several losses that are added up."""

    loss: str
    """A key of DISTILLATION_LOSSES where the target is the teacher; of LOSSES where it is the labels."""
    target: str = "teacher"
    """`teacher` (its scores, in `teacher.scores`) or `labels`."""
    weight: float = 1.0
    """Factor of the loss in the sum."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of that loss."""

    def __post_init__(self) -> None:
        """Checks target and weight."""
        require(self.target in ("teacher", "labels"), "terms.target", "must be teacher or labels", self.target)
        require(self.weight > 0, "terms.weight", "must be > 0", self.weight)


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """One loss: an entry of LOSSES with its options; or several."""

    loss: str = "softmax_loss"
    """A key of LOSSES: TF-Ranking's own keys, and ours."""
    name: str = ""
    """Name in folders and TensorBoard; the key when empty."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of that loss, e.g. `temperature: 1.0` or `lambda_weight: {name: dcg, gain: square, discount: rank}`."""
    terms: tuple[LossTermConfig, ...] = ()
    """Losses that are added up, on the lists of `teacher.scores`; they take the place of `loss` and `options`."""

    @property
    def is_taught(self) -> bool:
        """Whether a loss reads a teacher's scores."""
        return any(term.target == "teacher" for term in self.terms)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The training run."""

    run: str = "runs/ranker"
    """Run folder."""
    seed: int = 1
    """Decides initial weights, order of lists, dropout and noise."""
    epochs: int = 3
    """Passes over the training lists."""
    batch_lists: int | None = 16
    """Lists per optimizer step, over all replicas and micro-batches; empty where `batch_tokens` is set."""
    batch_tokens: int | None = None
    """Most tokens per optimizer step instead, over all its lists, padding not counted: steps cost alike however long
    lists and texts are. Makes the cache that `cache_tokens` names."""
    cache_tokens: bool = False
    """Whether the training lists are tokenized once, into a folder beside them, instead of in each epoch of each run;
    worth it where a GPU waits for tokens."""
    micro_batch_lists: int | None = None
    """Lists whose loss is computed at once; all of a step's when empty. A loss that compares all pairs of a list needs
    memory in the square of its length."""
    max_tokens_in_memory: int | None = None
    """Most tokens, padding included, of which the encoder keeps activations; all of a step's when empty. Where it is
    set every row is encoded twice: the same gradients, for a third more time. A student's queries come on top."""
    learning_rate: float = 3e-4
    """Start of AdamW's linear decay to 0 over all steps; with warm-up the peak is (1 - `warmup_rate`) times this."""
    warmup_rate: float = 0.1
    """Fraction of all steps over which the rate rises from 0; post-norm encoders do not learn without."""
    weight_decay: float = 0.01
    """AdamW's decay of weights, not of biases and norms."""
    gradient_clip_norm: float = 1.0
    """Largest norm of the whole gradient."""
    evaluate_steps: int | None = None
    """Steps between evaluations on the validation lists; once per epoch when empty."""
    checkpoint_steps: int = 200
    """Steps between checkpoints to resume from."""
    early_stopping_evaluations: int | None = None
    """Stop after so many evaluations without a better metric; never when empty."""
    metric: str = "ndcg_10"
    """Validation metric by which `best/` is chosen; in pre-training it is the perplexity."""
    precision: str = "float32"
    """`float32`, `mixed_bfloat16` or `mixed_float16`."""
    strategy: str = "default"
    """`default` (one device), `mirrored` (each step's lists shared among all GPUs, or else all logical CPUs) or
    `multi_worker` (shared among processes, each started with TensorFlow's `TF_CONFIG` and the same run folder)."""

    def __post_init__(self) -> None:
        """Checks numbers and choices."""
        require(bool(self.run.strip()), "train.run", "must name a folder", self.run)
        require_seed(self.seed, "train.seed")
        for name in ("epochs", "checkpoint_steps"):
            require(getattr(self, name) >= 1, f"train.{name}", "must be >= 1", getattr(self, name))
        optional = ("batch_lists", "batch_tokens", "micro_batch_lists", "max_tokens_in_memory")
        for name in ("evaluate_steps", "early_stopping_evaluations", *optional):
            value = getattr(self, name)
            require(value is None or value >= 1, f"train.{name}", "must be >= 1", value)
        both = (self.batch_lists, self.batch_tokens)
        rule = "must be one number and one null: set the other to null"
        require(None in both and both != (None, None), "train.batch_lists, train.batch_tokens", rule, both)
        require(self.learning_rate > 0, "train.learning_rate", "must be > 0", self.learning_rate)
        require(0 <= self.warmup_rate < 1, "train.warmup_rate", "must be >= 0 and < 1", self.warmup_rate)
        require(self.weight_decay >= 0, "train.weight_decay", "must be >= 0", self.weight_decay)
        require(self.gradient_clip_norm > 0, "train.gradient_clip_norm", "must be > 0", self.gradient_clip_norm)
        precisions = ("float32", "mixed_bfloat16", "mixed_float16")
        require(
            self.precision in precisions, "train.precision", f"must be one of {', '.join(precisions)}", self.precision
        )
        strategies = ("default", "mirrored", "multi_worker")
        require(self.strategy in strategies, "train.strategy", f"must be one of {', '.join(strategies)}", self.strategy)

    @property
    def batch_text(self) -> str:
        """The size of a step in words, e.g. `16 lists`."""
        return f"{self.batch_lists} lists" if self.batch_tokens is None else f"at most {self.batch_tokens} tokens"


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """The corpus of pre-training and its masks; what `train` says of a run holds for pre-training too."""

    lists: bool = True
    """Whether documents and queries of the training lists in `data.lists` are texts of the corpus."""
    pair_label: float | None = None
    """Documents of the training lists with at least this label are texts once more, behind their query: the encoder
    learns which words answer which. The held-out perplexity is then one of new pairs, not of new products."""
    sources: tuple[dict[str, Any], ...] = ()
    """More texts: files or globs with the columns that make a text; see `tfr_listbert/rows/corpus_sources.py`."""
    excluded: tuple[dict[str, Any], ...] = ()
    """Files of queries that no text may equal, beside the validation and test queries of `data.lists`."""
    min_query_words: int = 2
    """Fewest words of a query; the paper leaves out queries of one word."""
    min_query_count: int = 10
    """Fewest times that a query was searched; one whose source does not count is kept."""
    held_out_rate: float = 0.05
    """Fraction of the texts, chosen by hash, on which perplexity is measured and nothing is trained."""
    row_tokens: int = 128
    """Most tokens of a row, `<s>` and `</s>` included; a longer text becomes several rows."""
    batch_tokens: int = 4096
    """Most tokens of an optimizer step, padding included, over all replicas."""
    buckets: int = 16
    """Widths into which rows are sorted; all rows of a step have one width."""
    mask_rate: float = 0.15
    """Fraction of tokens to predict; of these `random_rate` become another token, `kept_rate` stay, others `<mask>`."""
    random_rate: float = 0.1
    """Fraction of the masked tokens that become a random token."""
    kept_rate: float = 0.1
    """Fraction of the masked tokens that stay as they are."""
    whole_word: bool = False
    """Whether words are masked as a whole: all of their tokens, or none."""

    def __post_init__(self) -> None:
        """Checks rates and counts."""
        for name in ("min_query_words", "buckets"):
            require(getattr(self, name) >= 1, f"pretrain.{name}", "must be >= 1", getattr(self, name))
        require(self.min_query_count >= 0, "pretrain.min_query_count", "must be >= 0", self.min_query_count)
        require(self.row_tokens >= 3, "pretrain.row_tokens", "must be >= 3 to hold a text", self.row_tokens)
        rule = "must be >= `pretrain.row_tokens`, so that a step can hold a row"
        require(self.batch_tokens >= self.row_tokens, "pretrain.batch_tokens", rule, self.batch_tokens)
        for name in ("held_out_rate", "mask_rate"):
            require(0 < getattr(self, name) < 1, f"pretrain.{name}", "must be > 0 and < 1", getattr(self, name))
        for name in ("random_rate", "kept_rate"):
            require(0 <= getattr(self, name) <= 1, f"pretrain.{name}", "must be from 0 to 1", getattr(self, name))
        both = self.random_rate + self.kept_rate
        require(both <= 1, "pretrain.random_rate and pretrain.kept_rate", "must be <= 1 together", both)


@dataclasses.dataclass(frozen=True)
class HuggingFaceConfig:
    """A model in the files of Hugging Face's library."""

    folder: str = "runs/hugging_face"
    """What `import_hugging_face` reads and `export_hugging_face` writes: config, weights and tokenizer files."""
    weights: str = "model.safetensors"
    """File of the weights to read. A pickled one, such as `pytorch_model.bin`, is read only if it is named here."""
