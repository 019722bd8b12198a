"""Computes a teacher's scores of the training lists, once for every student.

Usage: python pipelines/score_lists.py CONFIG.yaml [section.key=value ...]

Reads the run folder `teacher.run` and `data.lists`; writes shards to `teacher.scores`. Call it again after a kill: it
goes on with the shard it was in.
"""

from tfr_listbert.distillation.teacher_scores import score_training_lists
from tfr_listbert.script import run_script

if __name__ == "__main__":
    run_script(score_training_lists, __doc__)
