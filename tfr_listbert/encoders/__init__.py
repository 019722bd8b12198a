"""Encoders: token rows to vectors."""
