"""Writes the encoder of a run, with its masked-LM head if it has one, in the files of Hugging Face's library.

Usage: python pipelines/export_hugging_face.py CONFIG.yaml [section.key=value ...]
Reads the run folder `train.run`; writes the folder `hugging_face.folder`: config.json, model.safetensors and the
tokenizer's files.
"""

from tfr_listbert.script import run_script
from tfr_listbert.training.hugging_face_runs import export_hugging_face

if __name__ == "__main__":
    run_script(export_hugging_face, __doc__)
