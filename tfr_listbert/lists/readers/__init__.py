"""Readers: one file per source of lists; importing this package registers them all."""

from tfr_listbert.lists.readers import clicks, esci, homedepot, table, trec

__all__ = ["clicks", "esci", "homedepot", "table", "trec"]
