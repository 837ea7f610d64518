#!/bin/sh
# Generates actors/wire/ from proto/. The result is committed, and CI checks that it is current.
# Usage: proto/generate.sh [PYTHON]   (needs the `dev` extra)
set -eu
cd "$(dirname "$0")/.."
python=${1:-python}
PATH="$(dirname "$(command -v "$python")"):$PATH" # protoc looks up the mypy plug-ins there
mkdir -p actors/wire
rm -f actors/wire/*_pb2*.py actors/wire/*_pb2*.pyi
"$python" -m grpc_tools.protoc -I actors/wire=proto/codecsight/v1 \
    --python_out=. --grpc_python_out=. --mypy_out=. --mypy_grpc_out=. \
    proto/codecsight/v1/uplink.proto proto/codecsight/v1/control.proto
printf '"""Generated from proto/codecsight/v1 by proto/generate.sh; do not edit."""\n' \
    >actors/wire/__init__.py
