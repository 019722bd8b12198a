"""Trains a SentencePiece tokenizer on the queries and products of the training lists.

Usage: python pipelines/train_tokenizer.py CONFIG.yaml [section.key=value ...]
Reads `data.lists` (written by prepare_data.py); writes the folder `text.folder`: tokenizer.json, sentencepiece.model.
"""

from tfr_listbert.rows.tokenizer_corpus import train_tokenizer_from_lists
from tfr_listbert.script import run_script

if __name__ == "__main__":
    run_script(train_tokenizer_from_lists, __doc__)
