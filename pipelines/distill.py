"""Distils a ranker into students, one per loss, and prints what each keeps of its teacher.

Usage: python pipelines/distill.py CONFIG.yaml [section.key=value ...]

Reads `teacher.run` and `data.lists`; writes the students' run folders, results.json and table.md to `distill.output`.
What has run is not run again: call it again after a kill, or with more losses.
"""

from tfr_listbert.distillation.distill import distill_ranker
from tfr_listbert.distillation.students import DECIDED
from tfr_listbert.script import run_script

if __name__ == "__main__":
    run_script(distill_ranker, __doc__, DECIDED)
