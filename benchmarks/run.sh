#!/usr/bin/env bash
# Runs the benchmarks of training, scoring and memory one after the other and puts their tables into benchmarks/RESULTS.md.
set -euo pipefail
cd "$(dirname "$0")/.."
results=$(mktemp)
trap 'rm -f "$results"' EXIT
echo "# Results of \`make bench\`" > "$results"
for command in "training benchmarks/training.yaml" "scoring benchmarks/training.yaml" memory; do
    printf '\n`python -m benchmarks.%s`\n\n' "$command" >> "$results"
    .venv/bin/python -m benchmarks.$command | tee -a "$results"
done
cp "$results" benchmarks/RESULTS.md
