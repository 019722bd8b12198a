"""Configuration: frozen dataclasses, one per section, read from YAML with `base:` files and dotted overrides.

Everything is checked when it is built, so that a bad setting is answered before any work starts. Options of readers,
losses and the like are dataclasses too, built by the same `build_dataclass`: every misspelt key gets the same answer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tfr_listbert.registry import suggest
from tfr_listbert.schema import IS_JUDGED, RESERVED_NAMES, TEACHER_SCORE, InputError

RANDOM = "random"
BASELINES = (RANDOM, "bm25", "shown")
"""Systems that a comparison measures without training; the last where lists have the shop's positions."""
COMPARISON_NAMES = (
    *BASELINES,
    *("folds", "plots", "tensorboard", "report"),
    *("report.md", "report.html", "results.csv", "runs.csv", "queries.html"),
)
"""Names in a comparison's folder that are not a loss."""


def require(is_valid: bool, setting: str, rule: str, value: Any) -> None:
    """Raises the standard error for a setting that breaks its rule.

    >>> require(1 >= 2, "data.list_size", "must be >= 2 to rank", 1)
    Traceback (most recent call last):
    ...
    tfr_listbert.schema.InputError: `data.list_size` must be >= 2 to rank, got 1.
    """
    if not is_valid:
        raise InputError(f"`{setting}` {rule}, got {value!r}.")


def build_dataclass(cls: type, values: Mapping[str, Any], path: str) -> Any:
    """Returns `cls` built from plain values, nested dataclasses and tuples included.

    Args:
        cls: a dataclass; what `__post_init__` raises as InputError should name settings without `path`.
        values: as YAML gives them.
        path: dotted place of `values` in the config, for messages.

    Raises:
        InputError: for an unknown key (with the nearest known one), a missing key or a value of another type.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"`{path}` must be a mapping of settings, got {values!r}.")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in fields:
            raise InputError(f"`{_join(path, key)}` is not a setting. {suggest(str(key), list(fields))}")
    built = {key: _build_value(hints[key], value, _join(path, key)) for key, value in values.items()}
    for name, field in fields.items():
        is_required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if is_required and name not in built:
            raise InputError(f"`{_join(path, name)}` is required and missing.")
    return cls(**built)


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _build_value(hint: Any, value: Any, path: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [option for option in typing.get_args(hint) if option is not type(None)]
        return value if value is None or type(value) in inner else _build_value(inner[0], value, path)
    if dataclasses.is_dataclass(hint):
        return build_dataclass(hint, {} if value is None else value, path)
    if origin is tuple:
        require(isinstance(value, Sequence) and not isinstance(value, str), path, "must be a list", value)
        inner = typing.get_args(hint)[0]
        return tuple(_build_value(inner, item, f"{path}[{index}]") for index, item in enumerate(value))
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        require(isinstance(value, Mapping), path, "must be a mapping", value)
        inner = (typing.get_args(hint) or (Any, Any))[1]
        return {str(key): _build_value(inner, item, _join(path, key)) for key, item in value.items()}
    if hint is Any:
        return value
    return _check_scalar(hint, value, path)


def _check_scalar(hint: type, value: Any, path: str) -> Any:
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-4 as a string
        with contextlib.suppress(ValueError):
            value = float(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    is_right = isinstance(value, hint) and not (hint is int and isinstance(value, bool))
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    require(is_right, path, f"must be {names.get(hint, hint.__name__)}", value)
    return value


def _require_seed(seed: int, setting: str) -> None:
    require(0 <= seed < 2**31, setting, "must be >= 0 and < 2^31", seed)


def _require_names(names: Sequence[str], setting: str) -> None:
    reserved = sorted({*RESERVED_NAMES, TEACHER_SCORE, IS_JUDGED})
    for name in names:
        require(name not in reserved, setting, f"may not use a reserved name ({', '.join(reserved)})", name)
    require(len(set(names)) == len(names), setting, "must not repeat a name", list(names))


@dataclasses.dataclass(frozen=True)
class ShopConfig:
    """The simulated shop (`pipelines/simulate_shop.py`)."""

    output: str = "runs/shop/export"
    """Folder for the files that a real shop would export."""
    seed: int = 1
    products: int = 3000
    queries: int = 2000
    """Different queries in the training window."""
    test_queries: int = 400
    """Different queries in the test window."""
    unseen_rate: float = 0.4
    """Fraction of the test window's queries that the training window has not."""
    sessions: int = 800_000
    """Searches in the training window."""
    results: int = 30
    """Products on a page of results."""

    def __post_init__(self) -> None:
        """Checks the sizes."""
        _require_seed(self.seed, "shop.seed")
        for name in ("products", "queries", "test_queries", "sessions"):
            require(getattr(self, name) >= 10, f"shop.{name}", "must be >= 10", getattr(self, name))
        require(0 <= self.unseen_rate <= 1, "shop.unseen_rate", "must be from 0 to 1", self.unseen_rate)
        require(2 <= self.results <= self.products, "shop.results", "must be from 2 to `shop.products`", self.results)
        require(self.test_queries <= self.queries, "shop.test_queries", "must be <= `shop.queries`", self.test_queries)


@dataclasses.dataclass(frozen=True)
class SplitConfig:
    """How lists are put into the splits train, validation and test."""

    by: str = "query"
    """`query` (hash of the folded query), `time` (the reader's own windows), or `given` (a column of the source)."""
    test_rate: float = 0.2
    """Fraction of queries in the test split; read by `query` only."""
    validation_rate: float = 0.1
    """Fraction of the training queries, chosen by hash, that become the validation split."""
    salt: str = ""
    """Changes the hash, hence which queries fall where."""

    def __post_init__(self) -> None:
        """Checks the method and the rates."""
        require(self.by in ("query", "time", "given"), "data.split.by", "must be query, time or given", self.by)
        for name in ("test_rate", "validation_rate"):
            value = getattr(self, name)
            require(0 <= value < 1, f"data.split.{name}", "must be >= 0 and < 1", value)


@dataclasses.dataclass(frozen=True)
class BM25Config:
    """BM25 over stemmed words, as a feature that `prepare_data` computes and as a baseline of `evaluate`."""

    language: str = "english"
    """Language of the Snowball stemmer; `none` compares words as they are."""
    k1: float = 1.5
    b: float = 0.75


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where lists come from, what they carry and where their shards go."""

    reader: str = "clicks"
    """A key of READERS."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of that reader."""
    lists: str = "runs/lists"
    """Folder of the shards, `stats.json` and `rejected.csv`."""
    fields: tuple[str, ...] = ("title",)
    """Names of the text fields that are stored."""
    features: tuple[str, ...] = ()
    """Names of the numeric features that are stored; `bm25` is computed where the source has none."""
    list_size: int | None = None
    """Documents kept per list, the first ones as shown; no limit when empty."""
    min_list: int = 2
    """Fewest documents of a training list; fewer have no order to learn."""
    min_test_list: int | None = None
    """Fewest documents of a validation or test list; `min_list` when empty."""
    keep_equal_labels: bool = False
    """Whether training lists stay whose labels are all equal, such as those that nobody clicked in; validation and
    test lists always do."""
    max_rejected_rate: float = 0.01
    """Above this fraction of unusable rows, preparation stops."""
    shard_lists: int = 5000
    """Lists per shard."""
    split: SplitConfig = SplitConfig()
    bm25: BM25Config = BM25Config()

    def __post_init__(self) -> None:
        """Checks sizes and names."""
        if self.list_size is not None:
            require(self.list_size >= 2, "data.list_size", "must be >= 2 to rank", self.list_size)
        require(self.min_list >= 1, "data.min_list", "must be >= 1", self.min_list)
        if self.min_test_list is not None:
            require(self.min_test_list >= 1, "data.min_test_list", "must be >= 1", self.min_test_list)
        require(len(self.fields) >= 1, "data.fields", "must name at least one text field", list(self.fields))
        require(
            0 <= self.max_rejected_rate <= 1, "data.max_rejected_rate", "must be from 0 to 1", self.max_rejected_rate
        )
        require(self.shard_lists >= 1, "data.shard_lists", "must be >= 1", self.shard_lists)
        _require_names(self.fields + self.features, "data.fields and data.features")


@dataclasses.dataclass(frozen=True)
class FieldConfig:
    """How one text field enters the document's tokens."""

    name: str
    tokens: int = 32
    """Budget: tokens of the field beyond it are cut."""
    template: str = "{}"
    """Text around the field's value, `{}`; left out whole where the field is empty."""

    def __post_init__(self) -> None:
        """Checks budget and template."""
        require(self.tokens >= 1, f"text.fields ({self.name}).tokens", "must be >= 1", self.tokens)
        require(
            self.template.count("{}") == 1, f"text.fields ({self.name}).template", "must hold {} once", self.template
        )


@dataclasses.dataclass(frozen=True)
class TextConfig:
    """The tokenizer and how text becomes token rows."""

    tokenizer: str = "sentencepiece"
    """A key of TOKENIZERS."""
    vocabulary_size: int = 8000
    """Pieces to learn, special ones and the 256 bytes included."""
    train_on: str = "lists"
    """What `train_tokenizer` learns from: the training `lists`, each product as often as it is listed, or the `corpus`
    of pre-training, each text once."""
    lowercase: bool = True
    """Whether case is folded before text is tokenized; visitors do not mind it when they type."""
    folder: str = "runs/tokenizer"
    """Where `train_tokenizer` writes and the other scripts read the tokenizer."""
    query_tokens: int = 16
    """Budget of the query."""
    fields: tuple[FieldConfig, ...] = (FieldConfig("title"),)
    """Fields in the order in which their tokens follow each other."""

    def __post_init__(self) -> None:
        """Checks budgets."""
        require(self.train_on in ("lists", "corpus"), "text.train_on", "must be lists or corpus", self.train_on)
        require(self.query_tokens >= 1, "text.query_tokens", "must be >= 1", self.query_tokens)
        require(len(self.fields) >= 1, "text.fields", "must name at least one field", list(self.fields))
        _require_names([field.name for field in self.fields], "text.fields")

    @property
    def row_tokens(self) -> int:
        """Most tokens that a row can have: `<s> query </s></s> document </s>`."""
        return self.query_tokens + self.document_tokens + 2

    @property
    def document_tokens(self) -> int:
        """Most tokens of a document on its own: `<s> document </s>`."""
        return sum(field.tokens for field in self.fields) + 2


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """The RoBERTa encoder; a size by name, every number of which can be set on its own."""

    type: str = "roberta"
    """A key of ENCODERS."""
    size: str | None = None
    """`tiny`, `mini`, `listbert` or `base`; see `tfr_listbert/encoders/roberta.py`. When empty that of `initial`, or
    else `mini`."""
    layers: int | None = None
    heads: int | None = None
    width: int | None = None
    inner_width: int | None = None
    positions: int | None = None
    """Longest row in tokens."""
    dropout_rate: float = 0.1
    attention_dropout_rate: float = 0.1
    match_marks: bool = False
    """Whether tokens that query and document share are marked for the encoder, which then need not learn to compare
    words; beyond RoBERTa, and not for students, who see query and document apart."""
    initial: str | None = None
    """Run folder whose encoder to start from, its shape included; random weights when empty."""
    is_frozen: bool = False
    """Whether the encoder keeps the weights that it starts with, so that only the head learns."""

    def __post_init__(self) -> None:
        """Checks numbers that are set."""
        for name in ("layers", "heads", "width", "inner_width", "positions"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"encoder.{name}", "must be >= 1", value)
        for name in ("dropout_rate", "attention_dropout_rate"):
            value = getattr(self, name)
            require(0 <= value < 1, f"encoder.{name}", "must be >= 0 and < 1", value)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """What scores a document for a query, and its rows."""

    type: str = "ranker"
    """`ranker` (query and document in one row) or `student` (each apart, a vector each, their dot product)."""
    dropout_rate: float = 0.1
    """Dropout of the first token's vector before the score."""
    features: tuple[str, ...] = ()
    """Numeric features that join the first token's vector; each must be in `data.features`."""
    buckets: int = 5
    """Widths into which rows are sorted before they are padded; chosen from the lengths of the training rows."""
    vector_size: int = 128
    """Numbers in the vector of a query or a document; read by a student, as are the settings below."""
    is_shared: bool = True
    """Whether queries and documents share one encoder; each has a linear layer of its own."""
    pooling: str = "first_token"
    """What becomes of a row's vectors: `first_token` or `mean`."""

    def __post_init__(self) -> None:
        """Checks choices, rates and counts."""
        for name, known in {"type": ("ranker", "student"), "pooling": ("first_token", "mean")}.items():
            require(getattr(self, name) in known, f"model.{name}", f"must be {' or '.join(known)}", getattr(self, name))
        require(0 <= self.dropout_rate < 1, "model.dropout_rate", "must be >= 0 and < 1", self.dropout_rate)
        for name in ("buckets", "vector_size"):
            require(getattr(self, name) >= 1, f"model.{name}", "must be >= 1", getattr(self, name))
        rule = "must be empty for a student, whose vectors are of text alone"
        require(self.type == "ranker" or not self.features, "model.features", rule, list(self.features))

    @property
    def is_student(self) -> bool:
        """Whether query and document are encoded apart."""
        return self.type == "student"


@dataclasses.dataclass(frozen=True)
class LossTermConfig:
    """One of several losses that are added up."""

    loss: str
    """A key of DISTILLATION_LOSSES where the target is the teacher; of LOSSES where it is the labels."""
    target: str = "teacher"
    """`teacher` (its scores, in `teacher.scores`) or `labels`."""
    weight: float = 1.0
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of that loss."""

    def __post_init__(self) -> None:
        """Checks target and weight."""
        require(self.target in ("teacher", "labels"), "loss.terms.target", "must be teacher or labels", self.target)
        require(self.weight > 0, "loss.terms.weight", "must be > 0", self.weight)


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


@dataclasses.dataclass(frozen=True)
class TeacherConfig:
    """The ranker that a student learns from, and the scores that it gives the training lists, once."""

    run: str = "runs/ranker"
    """Its run folder."""
    scores: str = "runs/teacher_scores"
    """Folder of the training lists with its scores, which `score_lists` writes and losses on the teacher read."""
    checkpoint: str = "best"
    """`best`, or `last` for the newest checkpoint."""
    bm25_neighbours: int = 0
    """Products that nobody judged for the query, added to each list: those that BM25 ranks first."""
    student: str | None = None
    """Run folder of a student whose own nearest products are added, too; none when empty."""
    student_neighbours: int = 0
    """How many of these."""
    shard_lists: int = 500
    """Lists per shard; a call that is killed goes on with the shard it was in."""
    batch_lists: int = 16

    def __post_init__(self) -> None:
        """Checks choices and counts."""
        require(self.checkpoint in ("best", "last"), "teacher.checkpoint", "must be best or last", self.checkpoint)
        for name in ("bm25_neighbours", "student_neighbours"):
            require(getattr(self, name) >= 0, f"teacher.{name}", "must be >= 0", getattr(self, name))
        for name in ("shard_lists", "batch_lists"):
            require(getattr(self, name) >= 1, f"teacher.{name}", "must be >= 1", getattr(self, name))
        is_whole = self.student_neighbours == 0 or self.student is not None
        require(
            is_whole, "teacher.student", "must name the run folder of the student whose nearest to add", self.student
        )


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The training run."""

    run: str = "runs/ranker"
    """Run folder."""
    seed: int = 1
    epochs: int = 3
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
    """Most tokens, padding included, of which the encoder keeps activations; all of a step's when empty. Beyond it a
    row is encoded twice: the same gradients, for a third more time."""
    learning_rate: float = 3e-4
    """Peak rate of AdamW."""
    warmup_rate: float = 0.1
    """Fraction of all steps over which the rate rises from 0; post-norm encoders do not learn without."""
    weight_decay: float = 0.01
    gradient_clip_norm: float = 1.0
    """Largest norm of the whole gradient."""
    evaluate_steps: int | None = None
    """Steps between evaluations on the validation lists; once per epoch when empty."""
    checkpoint_steps: int = 200
    """Steps between checkpoints to resume from."""
    early_stopping_evaluations: int | None = None
    """Stop after so many evaluations without a better metric; never when empty."""
    metric: str = "ndcg_10"
    """Validation metric by which `best/` is chosen."""
    precision: str = "float32"
    """`float32`, `mixed_bfloat16` or `mixed_float16`."""
    strategy: str = "default"
    """`default` (one device), `mirrored` (each step's lists shared among all GPUs, or else all logical CPUs) or
    `multi_worker` (shared among processes, each started with TensorFlow's `TF_CONFIG` and the same run folder)."""

    def __post_init__(self) -> None:
        """Checks numbers and choices."""
        _require_seed(self.seed, "train.seed")
        for name in ("epochs", "checkpoint_steps"):
            require(getattr(self, name) >= 1, f"train.{name}", "must be >= 1", getattr(self, name))
        optional = ("batch_lists", "batch_tokens", "micro_batch_lists", "max_tokens_in_memory")
        for name in ("evaluate_steps", "early_stopping_evaluations", *optional):
            value = getattr(self, name)
            require(value is None or value >= 1, f"train.{name}", "must be >= 1", value)
        both = (self.batch_lists, self.batch_tokens)
        require(
            None in both and both != (None, None), "train.batch_lists, train.batch_tokens", "must be one null", both
        )
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
class EvaluateConfig:
    """What is measured, and how."""

    split: str = "test"
    checkpoint: str | int = "best"
    """`best`, `last` for the newest checkpoint, or the step of one that the run keeps."""
    output: str | None = None
    """Folder for `metrics.json`, `per_query.csv` and `run.trec`; `<train.run>/evaluation/<split>` when empty."""
    relevant_from: float = 1.0
    """Labels from here on count as relevant in MRR, MAP, precision and recall."""
    judgements: str | None = None
    """CSV file of `query`, `document_id`, `grade` whose grades replace the labels; unjudged documents get 0."""
    batch_lists: int = 32
    resamples: int = 10_000
    """Resamples of each randomization test and bootstrap."""
    seed: int = 1

    def __post_init__(self) -> None:
        """Checks choices and counts."""
        require(
            self.split in ("train", "validation", "test"),
            "evaluate.split",
            "must be train, validation or test",
            self.split,
        )
        is_known = self.checkpoint in ("best", "last") or isinstance(self.checkpoint, int)
        require(is_known, "evaluate.checkpoint", "must be best, last or the step of a checkpoint", self.checkpoint)
        require(self.batch_lists >= 1, "evaluate.batch_lists", "must be >= 1", self.batch_lists)
        require(self.resamples >= 100, "evaluate.resamples", "must be >= 100", self.resamples)
        _require_seed(self.seed, "evaluate.seed")


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """The SavedModel."""

    output: str = "runs/export"
    """Folder under which `<name>/<version>/` is written."""
    name: str = "ranker"
    version: int | None = None
    """Version number; one above the newest when empty."""
    warmup_lists: tuple[int, ...] = (1, 10, 30, 100, 1000)
    """Lengths of the lists that a server ranks with every signature before it serves a version; none when
    empty. TensorFlow Serving takes at most 1,000 such requests."""
    vectors: str | None = None
    """Folder of `embed_documents` whose vectors go into a student's export, for `rank_ids` and `search`."""
    search_results: int = 10
    """Documents that `search` finds where a request does not say."""
    cascade: str | None = None
    """Run folder of a ranker that ranks a student's first documents anew, in one SavedModel; none when empty."""
    cascade_documents: int = 30
    """How many documents of a list it ranks anew."""
    float16: bool = False
    """Whether weights are kept as float16, in half the space; they are cast when a server loads them, and computed
    with in float32."""
    onnx: bool = False
    """Whether `score_tokens` becomes an ONNX model too, `assets.extra/score_tokens.onnx`; needs the extra `onnx`."""
    force: bool = False
    """Whether a version becomes `stable` although it is significantly worse than the current one; its card says so."""
    license: str = "not stated"
    """Licence of the weights, as the model card gives it."""

    def __post_init__(self) -> None:
        """Checks name, version and lengths."""
        require(bool(self.name) and "/" not in self.name, "export.name", "must be a folder name", self.name)
        require(self.version is None or self.version >= 1, "export.version", "must be >= 1", self.version)
        for key in ("search_results", "cascade_documents"):
            require(getattr(self, key) >= 1, f"export.{key}", "must be >= 1", getattr(self, key))
        lengths = list(self.warmup_lists)
        require(all(length >= 1 for length in lengths), "export.warmup_lists", "must hold numbers >= 1", lengths)
        require(len(lengths) <= 200, "export.warmup_lists", "must hold at most 200 lengths", len(lengths))


@dataclasses.dataclass(frozen=True)
class ComparedLossConfig(LossConfig):
    """A row of a comparison: a loss, and the settings to try for it."""

    learning_rates: tuple[float, ...] | None = None
    """Peak rates to try; `compare.learning_rates` when empty."""
    temperatures: tuple[float, ...] | None = None
    """Temperatures to try with each rate; `compare.temperatures` when empty and `options` fix none."""
    is_frozen: bool = False
    """Whether the encoder keeps the weights that it starts with: what the head alone can learn."""
    initial: str | None = None
    """Run folder whose encoder to start from; `encoder.initial` when empty."""


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """Many losses under one budget; all that is not set here is the same for all of them."""

    output: str = "runs/comparison"
    """Folder of the experiment: its runs, in `<loss>/<seed>`, and its report."""
    losses: tuple[ComparedLossConfig, ...] = ()
    learning_rates: tuple[float, ...] = (3e-4, 1e-3)
    """Peak rates to try for each loss."""
    temperatures: tuple[float, ...] = ()
    """Temperatures to try with each rate, for losses that have one; their default when empty."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """A run for each with the settings chosen; the first is that of the trials, too."""
    trial_epochs: int | None = None
    """Epochs of a trial; `train.epochs` when empty."""
    folds: int | None = None
    """Cross-validation: each query of all splits is tested in one of so many folds. The prepared test split alone when
    empty."""
    jobs: int = 1
    """Runs at once, each a process; they share the processor's cores."""
    dry_run: bool = False
    """Whether only to say how many runs there are and about how long they take."""
    shown: tuple[str, ...] = ()
    """The two systems whose rankings are shown side by side; the best losses when empty."""
    queries_shown: int = 10
    """Queries for which they are shown, those on which the two differ most."""

    def __post_init__(self) -> None:
        """Checks names, seeds and counts."""
        names = [entry.name or entry.loss for entry in self.losses]
        require(len(set(names)) == len(names), "compare.losses", "must have different names; set `name`", names)
        wrong = [name for name in names if not re.fullmatch(r"\w[\w.-]*", name) or name in COMPARISON_NAMES]
        rule = f"must be names for folders, of letters, digits and _-. inside, none of {', '.join(COMPARISON_NAMES)}"
        require(not wrong, "compare.losses", rule, wrong)
        known = [*names, *BASELINES]
        rule = f"must be empty or name two different systems among {', '.join(known)}"
        is_pair = len(self.shown) == len(set(self.shown)) == 2 and set(self.shown) <= set(known)
        require(not self.shown or is_pair, "compare.shown", rule, list(self.shown))
        require(len(self.seeds) >= 1, "compare.seeds", "must name at least one seed", list(self.seeds))
        for seed in self.seeds:
            _require_seed(seed, "compare.seeds")
        require(len(set(self.seeds)) == len(self.seeds), "compare.seeds", "must not repeat a seed", list(self.seeds))
        require(len(self.learning_rates) >= 1, "compare.learning_rates", "must name at least one rate", [])
        for name in ("jobs", "queries_shown"):
            require(getattr(self, name) >= 1, f"compare.{name}", "must be >= 1", getattr(self, name))
        rule = "must be >= 1"
        require(self.trial_epochs is None or self.trial_epochs >= 1, "compare.trial_epochs", rule, self.trial_epochs)
        rule = "must be >= 3: one to test, one to choose settings by, the others to train"
        require(self.folds is None or self.folds >= 3, "compare.folds", rule, self.folds)


@dataclasses.dataclass(frozen=True)
class DistilledLossConfig:
    """A student of `distill`: its losses, and the rates to try for it."""

    name: str
    """Name of folder and row."""
    terms: tuple[LossTermConfig, ...]
    learning_rates: tuple[float, ...] | None = None
    """Peak rates to try; `distill.learning_rates` when empty."""

    def __post_init__(self) -> None:
        """Checks the name and that there is a loss."""
        rule = "must be a name for a folder, of letters, digits and _-."
        require(bool(re.fullmatch(r"[\w.-]+", self.name)), "distill.losses.name", rule, self.name)
        require(len(self.terms) >= 1, f"distill.losses ({self.name}).terms", "must name at least one loss", [])


@dataclasses.dataclass(frozen=True)
class DistillConfig:
    """Students of one teacher under one budget: same start, steps and number of rates tried."""

    output: str = "runs/students"
    """Folder of the students, in `<name>/<rate>`, and of the table."""
    losses: tuple[DistilledLossConfig, ...] = ()
    undistilled: str = "labels"
    """Name of the entry of `losses` that the others are held against: the student trained on labels alone."""
    learning_rates: tuple[float, ...] = (1e-3,)
    """Peak rates to try for each; the best on the validation lists is kept."""

    def __post_init__(self) -> None:
        """Checks names and rates."""
        names = [entry.name for entry in self.losses]
        require(len(set(names)) == len(names), "distill.losses", "must have different names", names)
        require(len(self.learning_rates) >= 1, "distill.learning_rates", "must name at least one rate", [])


@dataclasses.dataclass(frozen=True)
class VectorsConfig:
    """A catalogue's vectors (`pipelines/embed_documents.py`), by the student in `train.run`."""

    output: str = "runs/vectors"
    """Folder of the vectors."""
    catalogue: str | None = None
    """Files of products, by a path or glob; the documents of all prepared lists when empty."""
    columns: dict[str, str] = dataclasses.field(default_factory=dict)
    """Column of the catalogue by name: `document_id` and each text field; of the same name where left out."""
    dtype: str = "float32"
    """`float32` or `float16`."""
    shard_documents: int = 50_000
    """Vectors per shard."""
    batch_documents: int = 256
    formats: tuple[str, ...] = ()
    """What else to write beside: `opensearch`, `elasticsearch` (bulk NDJSON and mapping) and `faiss` (an index)."""
    index: str = "products"
    """Name of the index in the bulk files."""

    def __post_init__(self) -> None:
        """Checks choices and counts."""
        require(self.dtype in ("float32", "float16"), "vectors.dtype", "must be float32 or float16", self.dtype)
        for name in ("shard_documents", "batch_documents"):
            require(getattr(self, name) >= 1, f"vectors.{name}", "must be >= 1", getattr(self, name))
        known = ("opensearch", "elasticsearch", "faiss")
        for name in self.formats:
            require(name in known, "vectors.formats", f"must be among {', '.join(known)}", name)


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
    kept_rate: float = 0.1
    whole_word: bool = False
    """Whether all tokens of a word are to predict, or none."""

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


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole configuration; each script reads the sections that it needs."""

    shop: ShopConfig = ShopConfig()
    data: DataConfig = DataConfig()
    text: TextConfig = TextConfig()
    encoder: EncoderConfig = EncoderConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    export: ExportConfig = ExportConfig()
    pretrain: PretrainConfig = PretrainConfig()
    hugging_face: HuggingFaceConfig = HuggingFaceConfig()
    compare: CompareConfig = CompareConfig()
    teacher: TeacherConfig = TeacherConfig()
    distill: DistillConfig = DistillConfig()
    vectors: VectorsConfig = VectorsConfig()

    def __post_init__(self) -> None:
        """Checks what holds between sections."""
        for field in self.text.fields:
            require(
                field.name in self.data.fields,
                "text.fields",
                f"must be among `data.fields` {list(self.data.fields)}",
                field.name,
            )
        for name in self.model.features:
            require(
                name in self.data.features,
                "model.features",
                f"must be among `data.features` {list(self.data.features)}",
                name,
            )
        is_apart = self.model.is_student and self.encoder.match_marks
        require(
            not is_apart, "encoder.match_marks", "must be false for a student, who sees query and document apart", True
        )
        limit, longest = self.train.max_tokens_in_memory, self.text.row_tokens
        rule = f"must be at least the longest row, {longest} tokens by the budgets of `text`"
        require(limit is None or limit >= longest, "train.max_tokens_in_memory", rule, limit)


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Returns the config in a YAML file.

    Args:
        path: the file; its `base:` names a file, relative to it, whose settings it starts from.
        overrides: `section.key=value`, the value in YAML; they win over the file.

    Raises:
        InputError: if a file is missing or not YAML, or a setting is unknown or breaks its rule.
    """
    values = _read_yaml(Path(path), seen=())
    for override in overrides:
        _apply_override(values, override)
    return build_dataclass(Config, values, "")


def write_config(config: Config, path: str | Path) -> None:
    """Writes `config` as YAML; `read_config` gives back an equal one."""
    Path(path).write_text(yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False, allow_unicode=True))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _read_yaml(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise InputError(f"`base` of {path} leads back to itself: {' -> '.join(map(str, (*seen, path)))}.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise InputError(f"There is no config file {path}.") from None
    except OSError as error:
        raise InputError(f"The config file {path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError) as error:  # a ValueError: text that is not UTF-8, or a date such as 2024-13-01
        raise InputError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold sections (data:, train:, ...), got {type(values).__name__}.")
    base = values.pop("base", None)
    if base is None:
        return values
    require(isinstance(base, str), "base", f"of {path} must name a file", base)
    return _merge(_read_yaml(path.parent / base, (*seen, path.resolve())), values)


def _merge(base: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        is_nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if is_nested else value
    return merged


def _apply_override(values: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    if not separator or "." not in path:
        raise InputError(f"An override must read section.key=value, got {override!r}.")
    *parents, key = path.split(".")
    place = values
    for parent in parents:
        if place.get(parent) is None:  # a section that is missing, or there without settings
            place[parent] = {}
        place = place[parent]
        if not isinstance(place, dict):
            raise InputError(f"The override {override!r} goes below `{parent}`, which is not a section.")
    try:
        place[key] = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"The value of the override {override!r} is not valid YAML; quote it. {error}") from None
