"""Trains a ranker on prepared lists.

Usage: python pipelines/train.py CONFIG.yaml [section.key=value ...]

Reads `data.lists` and `text.folder`; writes the run folder `train.run`. Killed and started again with the same command,
it goes on where it was.
"""

from tfr_listbert.script import run_script
from tfr_listbert.training.ranking import train_ranker

if __name__ == "__main__":
    run_script(train_ranker, __doc__)
