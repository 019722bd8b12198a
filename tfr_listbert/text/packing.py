"""From text to token rows: budgets, templates and RoBERTa's special ids, in the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfr_listbert.config import FieldConfig


class RowPacker(tf.Module):
    """Makes token rows `<s> query </s></s> document </s>` of raw text; one module for training and for the export.

    A document's tokens are those of its fields one after the other. Each field is put into its template and tokenized
    on its own, then cut to its budget; a field that is empty or white space leaves nothing, its template included.

    A text is cut before it is tokenized, so that one of megabytes costs no more than its budget: to `token_bytes` bytes
    for each token of the budget and one more. No token within the budget is lost, unless the text's tokens are longer
    than that on average, white space and what normalization drops included, or one word fills it all.
    """

    def __init__(self, tokenizer: tf.Module, query_tokens: int, fields: Sequence[FieldConfig]):
        """Builds the packer.

        Args:
            tokenizer: as `read_tokenizer` gives it.
            query_tokens: budget of the query.
            fields: the document's fields in the order of their tokens.
        """
        super().__init__(name="row_packer")
        self.tokenizer = tokenizer
        self._query_tokens = query_tokens
        self._fields = tuple((field.name, field.tokens, tuple(field.template.split("{}"))) for field in fields)

    def pack(self, queries: tf.Tensor, fields: Mapping[str, tf.Tensor], mask: tf.Tensor) -> tf.RaggedTensor:
        """Returns `<s> query </s></s> document </s>` for each real query-document pair.

        Args:
            queries: [B] string; each is tokenized once.
            fields: by name, [B, L] string, "" where missing; fields of other names are left alone.
            mask: [B, L] bool, true where there is a document.

        Returns:
            [N, (T)] int32, one row for each true `mask`, list by list.
        """
        query = tf.gather(self._tokenize(queries, self._query_tokens), tf.where(mask)[:, 0])  # [N, (T)]
        separator = tf.fill([query.nrows(), 2], self.tokenizer.eos_id)
        return self._enclose([query, separator, *self._tokenize_fields(fields, mask)])

    def pack_queries(self, queries: tf.Tensor) -> tf.RaggedTensor:
        """Returns `<s> query </s>` for `queries` [B] string as [B, (T)] int32."""
        return tf.RaggedTensor.from_tensor(self.pack_query_matrix(queries), padding=self.tokenizer.pad_id)

    def pack_query_matrix(self, queries: tf.Tensor) -> tf.Tensor:
        """Returns the rows of `pack_queries` padded, [B, T] int32: 60 small ops fewer for a request's query."""
        tokenizer, most = self.tokenizer, self._query_tokens
        found = tokenizer.tokenize(self._cut(queries, most))
        padded = tf.pad(found.to_tensor(tokenizer.pad_id)[:, :most], [[0, 0], [1, 0]], constant_values=tokenizer.bos_id)
        padded = tf.pad(padded, [[0, 0], [0, 1]], constant_values=tokenizer.pad_id)
        ends = 1 + tf.minimum(tf.cast(found.row_lengths(), tf.int32), most)
        return tf.where(tf.range(tf.shape(padded)[1]) == ends[:, tf.newaxis], tokenizer.eos_id, padded)

    def pack_documents(self, fields: Mapping[str, tf.Tensor], mask: tf.Tensor) -> tf.RaggedTensor:
        """Returns `<s> document </s>` for each true `mask` as [N, (T)] int32; arguments and order as of `pack`."""
        return self._enclose(self._tokenize_fields(fields, mask))

    def _tokenize_fields(self, fields: Mapping[str, tf.Tensor], mask: tf.Tensor) -> list[tf.RaggedTensor]:
        return [
            self._tokenize(tf.boolean_mask(fields[name], mask), tokens, *template)
            for name, tokens, template in self._fields
        ]

    def _tokenize(self, texts: tf.Tensor, tokens: int, before: str = "", after: str = "") -> tf.RaggedTensor:
        cut = self._cut(texts, tokens)
        filled = tf.where(tf.equal(cut, ""), "", before + cut + after) if before or after else cut
        return self.tokenizer.tokenize(filled)[:, :tokens]

    def _cut(self, texts: tf.Tensor, tokens: int) -> tf.Tensor:
        return tf.strings.substr(tf.strings.strip(texts), 0, (tokens + 1) * self.tokenizer.token_bytes)

    def _enclose(self, parts: Sequence[tf.RaggedTensor | tf.Tensor]) -> tf.RaggedTensor:
        """Joins parts [N, (T)] row by row, between `<s>` and `</s>`."""
        ends = [parts[0].nrows(), 1]
        return tf.concat([tf.fill(ends, self.tokenizer.bos_id), *parts, tf.fill(ends, self.tokenizer.eos_id)], axis=1)
