#!/usr/bin/env bash
# Serves the labelled versions of an exported model: with TensorFlow Serving's binary if it is there, else with its
# Docker image, else with the local development server. Says which.
# Usage: bash serving/serve.sh [runs/export/ranker [REST_PORT [GRPC_PORT]]]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
folder=${1:-runs/export/ranker}
folder=${folder%/}
rest_port=${2:-8501}
grpc_port=${3:-8500}
config=$folder.serving/models.config
if [ ! -f "$config" ]; then
    echo "error: $config is missing; run pipelines/export.py first, or name the folder of versions." >&2
    exit 2
fi
base=$(cd "$folder" && pwd)
name=$(basename "$base")
files=$(cd "$folder.serving" && pwd)
flags=(--allow_version_labels_for_unavailable_models=true --model_config_file_poll_wait_seconds=10
    --file_system_poll_wait_seconds=10 --num_load_threads=2 --num_unload_threads=1)

if command -v tensorflow_model_server > /dev/null; then
    echo "TensorFlow Serving: $(command -v tensorflow_model_server), http://127.0.0.1:$rest_port and grpc://127.0.0.1:$grpc_port"
    echo "It listens on all addresses of this machine, without authentication."
    # The config names paths of a container; the binary needs those of this machine.
    copy=$(mktemp -d)
    escaped=$(printf %s "$base" | sed 's/[&|\\]/\\&/g')
    copy_config() {
        sed "s|\"/models/$name\"|\"$escaped\"|" "$files/models.config" > "$copy/next" && mv "$copy/next" "$copy/models.config"
    }
    copy_config
    # This shell becomes the server; as long as it lives, its copy follows the labels.
    (while sleep 1 && kill -0 $$; do copy_config || true; done; rm -r "$copy") > /dev/null 2>&1 &
    exec tensorflow_model_server --rest_api_port="$rest_port" --port="$grpc_port" \
        --model_config_file="$copy/models.config" \
        --monitoring_config_file="$files/monitoring.config" "${flags[@]}"
elif command -v docker > /dev/null && docker info > /dev/null 2>&1; then
    image=$(sed -n 's/^ *image: //p' "$files/docker-compose.yml")
    echo "TensorFlow Serving in Docker: $image, http://127.0.0.1:$rest_port and grpc://127.0.0.1:$grpc_port"
    # The image's own script would not pass Ctrl-C on to the server
    exec docker run --rm --init --entrypoint tensorflow_model_server -p "127.0.0.1:$rest_port:8501" \
        -p "127.0.0.1:$grpc_port:8500" -v "$base:/models/$name:ro" -v "$files:/config:ro" "$image" --port=8500 \
        --rest_api_port=8501 --model_config_file=/config/models.config \
        --monitoring_config_file=/config/monitoring.config "${flags[@]}"
fi
if command -v docker > /dev/null; then
    echo "Docker is here, but does not answer (docker info), and tensorflow_model_server is not here." >&2
fi
echo "Neither tensorflow_model_server nor Docker can be used: the local development server, not for production."
python=$here/../.venv/bin/python
[ -x "$python" ] || python=python3
exec "$python" "$here/local_server.py" --models-config "$files/models.config" --mount "$(dirname "$base")=/models" \
    --port "$rest_port" --grpc-port "$grpc_port"
