#!/usr/bin/env bash
# The golden tests against the lowest transformers that pyproject.toml allows, in a folder of its own
# put before the environment's. The environment itself holds the highest, as pip chooses it.
# Usage: tests/golden/lowest.sh [PYTHON]
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${1:-python}
lowest=$(sed -n 's/.*"transformers>=\([0-9.]*\),.*/\1/p' pyproject.toml)
[ -n "$lowest" ] || { echo "pyproject.toml names no lowest transformers"; exit 1; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --target "$folder" "transformers==$lowest"
export PYTHONPATH="$folder${PYTHONPATH:+:$PYTHONPATH}"
"$python" -c "import transformers as t; assert t.__version__ == '$lowest', t.__version__"
echo "+ tests/golden against transformers $lowest"
"$python" -m pytest -p no:cacheprovider tests/golden
