#!/bin/sh
# Builds and runs the test of the threads that share jobs (tests/c/test_pool.c): plainly, with the address and
# undefined-behaviour sanitizers, and with the thread sanitizer.
#
# Environment: CC, CFLAGS (more flags), VARIANTS ("plain address thread"), RUN (what runs the program).
set -eu
cd "$(dirname "$0")/.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

for variant in ${VARIANTS:-plain address thread}; do
    flags="-std=gnu11 -O2 -Wall -Wextra -pthread ${CFLAGS-}"
    run=${RUN-}
    case $variant in
    address) flags="$flags -g1 -fsanitize=address,undefined -fno-sanitize-recover" ;;
    # The addresses of a new kernel are more random than an old thread sanitizer expects.
    thread) flags="$flags -g1 -Wno-tsan -fsanitize=thread" run="setarch -R" ;;
    esac
    # shellcheck disable=SC2086
    ${CC:-gcc} $flags kernels/common/pool.c kernels/common/parallel.c tests/c/test_pool.c -o "$build/$variant"
    echo "== $variant"
    # shellcheck disable=SC2086
    $run "$build/$variant"
done
