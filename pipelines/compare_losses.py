"""Compares losses under one budget: trials on validation lists, seeds, metrics, tests.

Usage: python pipelines/compare_losses.py CONFIG.yaml [section.key=value ...]

`compare.dry_run=true` says how many runs there are and about how long they take; `compare.jobs=2` runs two at once.
Writes runs to `<compare.output>/<loss>/<seed>` and report.md, report.html, results.csv and runs.csv beside them. What
has run is not run again: call it again after a kill, or with more losses or seeds.
"""

from tfr_listbert.evaluation.comparison.compare import compare_losses
from tfr_listbert.script import run_script

if __name__ == "__main__":
    run_script(compare_losses, __doc__)
