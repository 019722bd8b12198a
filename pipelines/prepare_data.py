"""Prepares lists for training: reads the source in the config's `data` section and writes ELWC shards.

Usage: python pipelines/prepare_data.py CONFIG.yaml [section.key=value ...]

Writes to `data.lists`: {train,validation,test}-*.tfrecord, stats.json and rejected.csv. See data/README.md.
"""

from tfr_listbert.lists.preparation import prepare_data
from tfr_listbert.script import run_script

if __name__ == "__main__":
    run_script(prepare_data, __doc__)
