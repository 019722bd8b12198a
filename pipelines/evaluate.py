"""Evaluates a trained ranker beside random order, BM25, a linear ranker and the order that the shop showed.

Usage: python pipelines/evaluate.py CONFIG.yaml [section.key=value ...]

Reads `train.run` and the `evaluate.split` lists of `data.lists`; writes `metrics.json`, `per_query.csv` and `run.trec`
to `evaluate.output`.
"""

from tfr_listbert.evaluation.evaluate import evaluate_ranker
from tfr_listbert.script import run_script

if __name__ == "__main__":
    run_script(evaluate_ranker, __doc__)
