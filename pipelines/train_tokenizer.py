"""Trains a SentencePiece tokenizer on the training lists, or on the corpus of pre-training.

Usage: python pipelines/train_tokenizer.py CONFIG.yaml [section.key=value ...]
Reads `data.lists` (written by prepare_data.py) and, with `text.train_on: corpus`, the sources that `pretrain` names;
writes the folder `text.folder`: tokenizer.json, sentencepiece.model.
"""

from tfr_listbert.rows.tokenizer_corpus import train_configured_tokenizer
from tfr_listbert.script import run_script

if __name__ == "__main__":
    run_script(train_configured_tokenizer, __doc__)
