"""Metrics, baselines, significance and reports."""
