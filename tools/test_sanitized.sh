#!/bin/sh
# Builds the extensions with the address and undefined-behaviour sanitizers in a copy of this tree, and trains with it: the
# blocks that compose kernels, dense and convolutional, their bindings, and what stands beside them (bnntrain.native).  The
# kernels alone have tools/test_kernels.sh.
#
# Environment: PYTHON, an interpreter with the extra `dev`; CC.
set -eu
cd "$(dirname "$0")/.."
python=$(command -v "${PYTHON:-python3}")
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

cp -r setup.py pyproject.toml README.md LICENSE bnntrain kernels configs tests "$build"
rm -rf "$build"/kernels/_native*.so "$build"/bnntrain/native/_native*.so
cd "$build"
flags="-fsanitize=address,undefined"
CFLAGS="$flags -fno-sanitize-recover=undefined -g1" LDFLAGS="$flags" "$python" setup.py -q build_ext --inplace

# The kernels of this copy, whatever is installed: one package folder with all in it.
mkdir -p package
cp -r bnntrain package/bnntrain
cp -r kernels package/bnntrain/kernels
cp -r configs package/bnntrain/configs
libraries="$(${CC:-gcc} -print-file-name=libasan.so) $(${CC:-gcc} -print-file-name=libubsan.so)"
# Python itself never frees all it has taken.
LD_PRELOAD="$libraries" ASAN_OPTIONS=detect_leaks=0 BNNTRAIN_CACHE="$build/cache" PYTHONPATH="$build/package" \
    "$python" -P - <<'TESTS'
import sys

import bnntrain.kernels._native
import bnntrain.native._native
import pytest

# An editable or installed package must not stand in for the sanitized one.
for module in (bnntrain.kernels._native, bnntrain.native._native):
    assert module.__file__.startswith(sys.path[0]), module.__file__
tests = ["step", "golden", "gradients", "conv_step", "conv_gradients", "conv_lifetimes", "layer_representations"]
# A sanitizer writes what it found to standard error as it ends the process; captured, that would be lost.
sys.exit(pytest.main(["-q", "-s", "-n", "2", "-p", "no:cacheprovider", "tests/native", "tests/packed/test_equality.py",
                      *(f"tests/training/test_{name}.py" for name in tests)]))
TESTS
