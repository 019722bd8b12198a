"""Compares losses under one budget: trials on validation lists, seeds, metrics, tests.

Usage: python pipelines/compare_losses.py CONFIG.yaml [section.key=value ...] [--jobs N] [--dry-run]

`--dry-run` (`compare.dry_run=true`) says how many runs there are and about how long they take; `--jobs 2`
(`compare.jobs=2`) runs two at once. Writes runs to `<compare.output>/<loss>/<seed>` and report.md, report.html,
results.csv and runs.csv beside them; into each run's folder, per_query.csv and run.trec. What has run is not run again:
call it again after a kill, or with more losses or seeds.
"""

import argparse
import sys

from tfr_listbert import script
from tfr_listbert.evaluation.comparison.compare import compare_losses
from tfr_listbert.evaluation.comparison.plan import DECIDED

if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--jobs")
    parser.add_argument("--dry-run", action="store_true")
    flags, arguments = parser.parse_known_args()
    settings = [f"compare.jobs={flags.jobs}"] if flags.jobs else []
    settings += ["compare.dry_run=true"] if flags.dry_run else []
    sys.argv[1:] = [*arguments, *settings] if arguments else []
    script.run_script(compare_losses, __doc__, DECIDED)
