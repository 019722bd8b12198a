"""Writes the vectors that a student gives a catalogue; later calls embed only products whose text has changed.

Usage: python pipelines/embed_documents.py CONFIG.yaml [section.key=value ...]

Reads the student's run folder `train.run` and `vectors.catalogue`; writes `vectors.output`.
"""

from tfr_listbert.distillation.embedding import embed_documents
from tfr_listbert.script import run_script

if __name__ == "__main__":
    run_script(embed_documents, __doc__)
