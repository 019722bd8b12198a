"""Makes a run folder of a Hugging Face RoBERTa, for a ranker to start from.

Usage: python pipelines/import_hugging_face.py CONFIG.yaml [section.key=value ...]
Reads the folder `hugging_face.folder`: config.json, model.safetensors (or the file that `hugging_face.weights` names),
and tokenizer.json or vocab.json and merges.txt. Writes the run folder `train.run`: config.yaml, tokenizer/, best/.
"""

from tfr_listbert.script import run_script
from tfr_listbert.training.hugging_face_runs import import_hugging_face

if __name__ == "__main__":
    run_script(import_hugging_face, __doc__)
