#!/bin/sh
# requirements/install.sh EXTRA (demo, dev): installs what is locked, torch, and the package into
# .venv. With uv: from the PATH, else from the lock file; with pip where neither works.
#   TORCH_BACKEND  build of torch: cpu, cu130, .. (uv's --torch-backend), or pypi. Default: cpu on
#                  a machine without an NVIDIA GPU, if those builds can be reached; else pypi.
set -eu
cd "$(dirname "$0")/.."
pins=requirements/$1.txt
# torch differs by machine (CPU, CUDA), so that only its version is pinned.
torch=$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)
pip() { .venv/bin/python -m pip "$@" --quiet --disable-pip-version-check; }

find_uv() {
    command -v uv && return
    [ -x .venv/bin/uv ] || {
        # Its lines of the lock file: the version and its hashes.
        awk '/^[a-z]/ { keep = /^uv==/ } keep' "$pins" >.venv/uv.txt
        pip install --require-hashes -r .venv/uv.txt >&2
    } && .venv/bin/uv --version >/dev/null && echo .venv/bin/uv
}

# Packages of a dry run, one a line. Fails quickly if the index can't be reached.
plan() {
    UV_HTTP_RETRIES=0 UV_HTTP_TIMEOUT=10 "$uv" pip install --dry-run "$@" "$torch" 2>&1
}

torch_options() {
    case "${TORCH_BACKEND:-}" in
    pypi) return ;;
    ?*) echo "--torch-backend $TORCH_BACKEND" && return ;;
    esac
    [ "$(uname)" = Linux ] || return 0
    [ -e /proc/driver/nvidia ] || [ -e /dev/nvidiactl ] || [ -e /dev/dxg ] && return 0
    # pip may be set up with a CPU build already.
    plan | grep -q '^ + nvidia' || return 0
    plan --torch-backend cpu >/dev/null && echo "--torch-backend cpu"
    return 0
}

if uv=$(find_uv); then
    export VIRTUAL_ENV="$PWD/.venv"
    eval "$(.venv/bin/python -m pip config list | .venv/bin/python requirements/uv_settings.py)"
    export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}" # as pip; hashes are checked
    # All but torch is pinned, and uv takes no other constraints beside hashes.
    echo "downloading some 350 MB, unless they are cached" >&2
    env -u UV_CONSTRAINT "$uv" pip install --quiet --compile-bytecode --require-hashes -r "$pins"
    options=$(torch_options)
    if plan $options | grep -q '^ + nvidia'; then
        echo "downloading torch with CUDA: 2 to 3 GB (TORCH_BACKEND=cpu takes the CPU build)" >&2
    else
        echo "downloading torch for the CPU: some 200 MB" >&2
    fi
    # shellcheck disable=SC2086 # two words or none
    "$uv" pip install --quiet --compile-bytecode $options "$torch"
    "$uv" pip install --quiet --no-deps --no-build-isolation -e .
else
    echo "uv can't be installed, so pip is used: some minutes" >&2
    echo "downloading some 600 MB; on Linux torch comes with CUDA, 2 to 3 GB, unless pip is set up otherwise" >&2
    pip install --require-hashes -r "$pins"
    pip install "$torch"
    pip install --no-deps --no-build-isolation -e .
fi
# Each process would compile them again where .pyc files are not written.
.venv/bin/python -m compileall -q -j 0 codecsight actors cluster || true
