"""Measures what pre-training is worth: the same ranker from random weights and from the pre-trained encoder.

Usage: python pipelines/measure_pretraining_gain.py CONFIG.yaml [section.key=value ...]

Reads `data.lists`, `text.folder` and the run folder `encoder.initial`; writes runs and a report to `compare.output` and
prints both systems with a paired randomization test. Killed and started again, it goes on where it was.
"""

from tfr_listbert.evaluation.pretraining_gain import DECIDED, measure_pretraining_gain
from tfr_listbert.script import run_script

if __name__ == "__main__":
    run_script(measure_pretraining_gain, __doc__, DECIDED)
