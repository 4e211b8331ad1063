#!/bin/sh
# Install the locked requirements into the Python on the PATH.
#
#   install_requirements.sh LOCK cuda          everything as locked: torch from the default index is the CUDA build
#   install_requirements.sh LOCK cpu INDEX     torch in the same version from INDEX, PyTorch's own index of CPU wheels,
#                                              and without the CUDA libraries (4 GB less)
#
# The lock names versions and hashes, not addresses. A CPU wheel is another file than the locked one, so its hash is not in
# the lock: it alone is taken on the word of INDEX.
set -eu
lock=$1 torch=$2 index=${3:-}

case $torch in
cuda)
    pip install --no-cache-dir --no-deps --require-hashes -r "$lock"
    ;;
cpu)
    if [ -z "$index" ]; then
        echo "TORCH=cpu needs TORCH_CPU_INDEX, the address of PyTorch's index of CPU wheels: its install page gives it." >&2
        exit 2
    fi
    version=$(sed -n 's/^torch==\([^ ]*\).*/\1/p' "$lock")
    rest=$(mktemp)
    awk '/^[^ ]/ { kept = !/^(torch|triton|nvidia-[a-z0-9-]*|cuda-[a-z0-9-]*)==/ } kept' "$lock" > "$rest"
    pip install --no-cache-dir --no-deps --require-hashes -r "$rest"
    pip install --no-cache-dir --no-deps --index-url "$index" "torch==$version+cpu"
    rm "$rest"
    ;;
*)
    echo "TORCH is '$torch': it must be cuda or cpu" >&2
    exit 2
    ;;
esac
