#!/bin/sh
# Writes requirements/{demo,dev}.txt: every dependency of the extra, pinned, with hashes and without
# any address. Versions that are pinned already stay; `requirements/lock.sh --upgrade` takes newer ones.
# torch and its CUDA libraries are left out: their build differs from machine to machine, so ./run
# installs torch by its pinned version alone. Needs `uv` on the PATH.
set -eu
cd "$(dirname "$0")/.."
for extra in demo dev; do
    file=requirements/$extra.txt
    uv pip compile pyproject.toml requirements/build.in --extra "$extra" "$@" --quiet \
        --universal --python-version 3.11 --no-emit-package torch \
        --generate-hashes --no-header --no-annotate --output-file "$file" >/dev/null
    awk '/^[a-z]/ { keep = !/^(nvidia-|cuda-|triton)/ } keep' "$file" >"$file.new"
    mv "$file.new" "$file"
done
