#!/usr/bin/env bash
# The whole way once, on a simulated shop: click log, lists, tokenizer, pre-training, ranker, evaluation, SavedModel, server, answer.
# Usage: bash pipelines/quickstart.sh [section.key=value ...]; what it makes goes to runs/shop/ below this folder.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
configs=$root/pipelines/configs
overrides=("$@")
show() { printf '\n$ %s\n' "${*//$root\//}"; "$@"; }
step() { show python "$root/pipelines/$1.py" "$configs/${2:-shop}.yaml" "${overrides[@]}"; }

step simulate_shop
step prepare_data
step train_tokenizer
step pretrain pretrain_tiny
step train
step evaluate
step export

log=runs/shop/server.log
printf '\n$ python serving/local_server.py --model shop_ranker=runs/shop/served/shop_ranker &\n'
python "$root/serving/local_server.py" --model shop_ranker=runs/shop/served/shop_ranker --port 0 --grpc-port 0 \
    > "$log" 2>&1 &
server=$!
trap 'kill $server 2> /dev/null' EXIT
for _ in $(seq 300); do
    grep -q ready "$log" && break
    kill -0 $server 2> /dev/null || { cat "$log" >&2; exit 1; }
    sleep 0.2
done
grep -q ready "$log" || { echo "error: the server was not ready within a minute; its log:" >&2; cat "$log" >&2; exit 1; }
url=$(grep -o 'http://[0-9.]*:[0-9]*' "$log" | head -n 1)
show python "$root/serving/verify.py" "$url" "$(grep -o 'grpc://[0-9.]*:[0-9]*' "$log" | head -n 1)" \
    --bundle runs/shop/served/shop_ranker
show python "$root/serving/client.py" --url "$url" --model shop_ranker --query "navy trainers for men" \
    --documents "$root/data/sample_products.jsonl"

printf '\nLoss, speed and validation metrics of the run: .venv/bin/tensorboard --logdir runs/shop\n'
