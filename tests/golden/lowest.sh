#!/usr/bin/env bash
# Run the golden tests against the lowest transformers version that pyproject.toml allows. It is
# installed into a temporary folder in front of the environment, which has the highest version.
# Usage: tests/golden/lowest.sh [PYTHON]
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${1:-python}
lowest=$(sed -n 's/.*"transformers>=\([0-9.]*\),.*/\1/p' pyproject.toml)
[ -n "$lowest" ] || { echo "pyproject.toml has no lower bound for transformers"; exit 1; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --target "$folder" "transformers==$lowest"
export PYTHONPATH="$folder${PYTHONPATH:+:$PYTHONPATH}"
"$python" -c "import transformers as t; assert t.__version__ == '$lowest', t.__version__"
echo "+ tests/golden against transformers $lowest"
"$python" -m pytest -p no:cacheprovider tests/golden
