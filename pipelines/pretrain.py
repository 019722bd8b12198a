"""Pre-trains an encoder as a masked language model on the shop's texts.

Usage: python pipelines/pretrain.py CONFIG.yaml [section.key=value ...]

Reads the sources that `pretrain` names, `data.lists` and `text.folder`; writes the run folder `train.run`, from which a
ranker starts by `encoder.initial`. Killed and started again with the same command, it goes on where it was.
"""

from tfr_listbert.script import run_script
from tfr_listbert.training.pretraining import pretrain_encoder

if __name__ == "__main__":
    run_script(pretrain_encoder, __doc__)
