"""Settings of the tokenizer and of token rows."""

from __future__ import annotations

import dataclasses

from tfr_listbert.config.checks import require, require_names


@dataclasses.dataclass(frozen=True)
class FieldConfig:
    """How one text field enters the document's tokens."""

    name: str
    """The field, one of `data.fields`."""
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

    def fill(self, text: str) -> str:
        """Returns `text` in the template; nothing of nothing."""
        return self.template.replace("{}", text) if text else ""


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
    """Whether text is put into lower case before it is tokenized; visitors are careless about case."""
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
        require_names([field.name for field in self.fields], "text.fields")

    @property
    def row_tokens(self) -> int:
        """Most tokens that a row can have: `<s> query </s></s> document </s>`."""
        return self.query_tokens + self.document_tokens + 2

    @property
    def document_tokens(self) -> int:
        """Most tokens of a document on its own: `<s> document </s>`."""
        return sum(field.tokens for field in self.fields) + 2
