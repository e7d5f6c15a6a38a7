#!/bin/sh
# Builds and runs the kernel tests twice: with the address and undefined-behaviour sanitizers, and without them (then with
# inaccessible pages behind every operand).  Usage: tools/test_kernels.sh [text in the operation's name]
# CC and CFLAGS choose the compiler and add flags (for instance -static for an emulator, which RUN then names).
set -eu
cd "$(dirname "$0")/.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
flags="-O3 -std=gnu11 -Wall -Wextra -ffp-contract=off -fno-math-errno -fno-trapping-math -fopenmp ${CFLAGS-}"
rooms="pack xnor grad norm update real"

sources="kernels/common/cpu.c tests/c/check.c tests/c/cases_product.c tests/c/cases_norm.c tests/c/cases_real.c
tests/c/cases_update.c tests/c/test_kernels.c"
for room in $rooms; do
    sources="$sources kernels/$room/portable.c"
    for isa in avx2 avx512; do
        [ -f "kernels/$room/$isa.c" ] && sources="$sources kernels/$room/$isa.c"
    done
done

# variant name, flags
run() {
    objects=
    for source in $sources; do
        object=$build/$(echo "$source" | tr / _).$1.o
        # The kernels are built as in the product, the tests quickly.
        case $source in kernels/*) optimise=-O3 ;; *) optimise=-O1 ;; esac
        ${CC:-gcc} $flags $optimise $2 -c "$source" -o "$object"
        objects="$objects $object"
    done
    ${CC:-gcc} $flags $2 $objects -o "$build/test_$1" -lm
    echo "== $1"
    ${RUN-} "$build/test_$1" "$only"
}

only=${1-}
run plain ""
run sanitized "-g1 -fsanitize=address,undefined -fno-sanitize-recover"
