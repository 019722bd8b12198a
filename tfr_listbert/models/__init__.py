"""Models over an encoder."""
