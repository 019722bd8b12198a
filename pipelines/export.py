"""Exports a trained ranker for TensorFlow Serving.

Usage: python pipelines/export.py CONFIG.yaml [section.key=value ...]

Reads the run folder `train.run`; writes the SavedModel `<export.output>/<export.name>/<version>/`,
and files for servers to `<export.output>/<export.name>.serving/`.
"""

from tfr_listbert.export.bundle import export_ranker
from tfr_listbert.script import run_script

if __name__ == "__main__":
    run_script(export_ranker, __doc__)
