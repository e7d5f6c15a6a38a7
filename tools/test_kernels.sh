#!/bin/sh
# Builds and runs the kernel tests, plainly (with inaccessible pages behind every operand) and with the address and
# undefined-behaviour sanitizers.  Usage: tools/test_kernels.sh [text in the operation's name]
#
# Environment: CC, CFLAGS (more flags), VARIANTS ("plain sanitized"), RUN (what runs the program).  On an emulated ARM:
#   CC=aarch64-linux-gnu-gcc CFLAGS=-static VARIANTS=plain RUN=qemu-aarch64-static tools/test_kernels.sh
set -eu
cd "$(dirname "$0")/.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

sources="kernels/common/cpu.c tests/c/check.c tests/c/cases_product.c tests/c/cases_lookup.c tests/c/cases_pool.c
tests/c/cases_norm.c tests/c/cases_stream.c tests/c/cases_real.c tests/c/cases_update.c tests/c/trials.c tests/c/test_kernels.c"
python3 kernels/common/generate.py "$build"
for folder in pack xnor grad lookup pool norm stream update real; do
    for source in "kernels/$folder/portable.c" "kernels/$folder"/avx*.c "kernels/$folder"/neon*.c; do
        if [ -f "$source" ]; then sources="$sources $source"; fi
    done
done

for variant in ${VARIANTS:-plain sanitized}; do
    flags="-std=gnu11 -Wall -Wextra -ffp-contract=off -fno-math-errno -fno-trapping-math ${CFLAGS-}"
    # As in the product. Sanitizers see every access that the source makes at -O1 too, in a third of the time to build.
    kernels=-O3
    if [ "$variant" = sanitized ]; then
        kernels=-O1
        flags="$flags -g1 -fsanitize=address,undefined -fno-sanitize-recover"
    fi
    objects=
    for source in $sources; do
        object=$build/$(echo "$source" | tr / _).$variant.o
        # The naive loops need less.
        case $source in kernels/*) level=$kernels ;; *) level=-O1 ;; esac
        ${CC:-gcc} $level $flags -I kernels -I "$build" -c "$source" -o "$object"
        objects="$objects $object"
    done
    ${CC:-gcc} $flags $objects -o "$build/test_$variant" -lm
    echo "== $variant"
    ${RUN-} "$build/test_$variant" "${1-}"
done
