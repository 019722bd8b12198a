"""Baselines, judgements, significance, comparisons and reports; `tfr_listbert.metrics` has the metrics."""
