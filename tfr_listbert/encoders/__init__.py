"""Encoders: token rows to vectors."""

from tfr_listbert.encoders import roberta  # noqa: F401 - registers
