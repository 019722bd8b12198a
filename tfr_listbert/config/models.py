"""Settings of encoder, ranker and student."""

from __future__ import annotations

import dataclasses

from tfr_listbert.config.checks import require


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """The RoBERTa encoder; a size by name, every number of which can be set on its own."""

    type: str = "roberta"
    """A key of ENCODERS."""
    size: str | None = None
    """`tiny`, `mini`, `listbert` or `base`; see `tfr_listbert/encoders/shapes.py`. When empty that of `initial`, or
    else `mini`."""
    layers: int | None = None
    """Transformer layers; that of `size` when empty."""
    heads: int | None = None
    """Attention heads; likewise."""
    width: int | None = None
    """Width of the hidden states, a multiple of the heads; likewise."""
    inner_width: int | None = None
    """Width inside the feed-forward part; likewise."""
    positions: int | None = None
    """Longest row in tokens."""
    dropout_rate: float = 0.1
    """Fraction of the hidden states that dropout zeroes in training."""
    attention_dropout_rate: float = 0.1
    """Fraction of the attention probabilities that dropout zeroes in training."""
    match_marks: bool = False
    """Whether tokens that query and document share are marked for the encoder, which then need not learn to compare
    words; beyond RoBERTa, and not for students, who see query and document apart."""
    letter_marks: bool = False
    """Whether each token is also marked by the share of its letters that the other part has, too, which finds words
    that are misspelt, inflected or written as one; not for students either."""
    initial: str | None = None
    """Run folder whose encoder to start from, its shape included; random weights when empty."""
    is_frozen: bool = False
    """Whether the encoder keeps the weights that it starts with, so that only the head learns."""

    @property
    def marks(self) -> tuple[str, ...]:
        """The marks that are on, by the names of their settings; RoBERTa itself has none."""
        return tuple(name for name in ("match_marks", "letter_marks") if getattr(self, name))

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
    """Widths into which rows are sorted before they are padded; chosen from the lengths of the training rows. More of
    them pad less and cost more calls: on 2 cores `mini` trained 263 pairs/s of Home Depot's lists with 5, 262 with 8,
    259 with 12 and 264 with 16."""
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
