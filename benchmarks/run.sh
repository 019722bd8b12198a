#!/usr/bin/env bash
# Runs the benchmarks named, or all, one after the other: bash benchmarks/run.sh [training scoring ...]
# Each table goes into runs/benchmarks/tables/, and those that are there into benchmarks/RESULTS.md; a benchmark that
# fails leaves the table of its last good run and makes this script fail in the end.
set -uo pipefail
cd "$(dirname "$0")/.."
declare -A arguments=(
    [training]="benchmarks/training.yaml"
    [reading]="benchmarks/training.yaml"
    [start]="benchmarks/training.yaml"
    [scoring]="benchmarks/training.yaml"
    [threads]="benchmarks/training.yaml"
    [memory]=""
    [pretraining]="benchmarks/pretraining.yaml"
    [latency]="--catalogue 10000 100000 1000000"
    [serving]="runs/benchmarks/export/ranker"  # which scoring exports
)
order=(training reading start threads scoring memory pretraining latency serving)
tables=runs/benchmarks/tables
mkdir -p "$tables"
failed=()
for name in "${@:-${order[@]}}"; do
    command="python -m benchmarks.$name ${arguments[$name]}"
    echo "== $command" >&2
    head="## \`${command% }\`"$'\n\n'"Commit $(git rev-parse --short HEAD), $(date +%F)."$'\n'
    if { printf '%s\n' "$head" && .venv/bin/$command; } > "$tables/$name.partial"; then
        mv "$tables/$name.partial" "$tables/$name.md"
        tail -n +5 "$tables/$name.md"
    else
        failed+=("$name")
    fi
done
{
    echo '# Results of `make bench`'
    for name in "${order[@]}"; do
        [ -e "$tables/$name.md" ] && printf '\n' && cat "$tables/$name.md"
    done
} > "$tables/all.partial"
mv "$tables/all.partial" benchmarks/RESULTS.md
[ ${#failed[@]} -eq 0 ] || { echo "Failed: ${failed[*]}; their output is in $tables/*.partial." >&2; exit 1; }
