"""Text to token ids, in the graph; importing this package registers every tokenizer."""

from tfr_listbert.text import byte_bpe, tokenizer  # noqa: F401 - registers
