#!/usr/bin/env bash
# Builds for ARM on an x86-64 Debian 12 with cross compilers, and runs the tests on emulated CPUs.
#
#   tools/test_arm.sh [kernels] [python] [wheel] [fit] [convnet] [32bit] [python32]       default: all
#
# kernels   the C kernel tests, on every CPU model, and that dot products run where there are any and nowhere else
# python    the Python tests that are about arithmetic and the command line, with the wheel unpacked
# wheel     installs the wheel as a user does, with an emulated pip, runs doctor and trains the digits: the weights must be
#           the same bytes as on this machine
# fit       trains the digits for two epochs with the wheel unpacked: the same bytes
# convnet   trains CNV for 20 steps on images of CIFAR-10: the same bytes
# 32bit     compiles all C for 32-bit ARM and runs the C kernel tests there
# python32  builds the whole package for 32-bit ARM and runs the Python tests with Debian's NumPy of that architecture
#
# Root installs what is missing with apt-get, see tools/arm_kit.sh.
#
# Environment: ARM_CPUS ("cortex-a53 cortex-a72 cortex-a76", of Raspberry Pi 3, 4 and 5; fit and convnet leave out the second,
# which has the first one's instructions), ARM_CACHE (a folder for what is downloaded, to be kept; default: a temporary one),
# ARM_TESTS (arguments of pytest instead of our selection), ARM_SHARE (3: of every Python test each processor runs one case in
# three, and each others; default: 1, all), ARM_EPOCHS (of part wheel; default: 60, all of them), ARM_REFERENCE (bnntrain of
# this tree, installed for this machine; default: it is built).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/arm_kit.sh
. tools/arm_kit.sh
read -r -a cpus <<<"${ARM_CPUS:-cortex-a53 cortex-a72 cortex-a76}"
read -r -a one_of_each <<<"${ARM_CPUS:-cortex-a53 cortex-a76}" # without and with SDOT
epochs=${ARM_EPOCHS:-60}
# Emulated floats are slow: of the convolutional networks, `efficient` alone.
tests=(tests/kernels tests/native tests/training/test_golden.py tests/training/test_step.py tests/training/test_determinism.py
    tests/packed/test_equality.py tests/cli/test_doctor_verb.py tests/cli/test_doctor_board.py tests/cli/test_trained_verbs.py
    -k "not (conv and (standard or wang2021))"
    # Of the sources, which are not beside these tests, and the same on every machine.
    --ignore=tests/kernels/test_signatures.py --ignore=tests/kernels/test_includes.py)
# shellcheck disable=SC2206
[ -z "${ARM_TESTS-}" ] || tests=($ARM_TESTS)

main() {
    local part
    [ "${1-}" != run_kernels ] || { run_kernels "${@:2}" && return; }
    [ $# -gt 0 ] || set -- kernels python wheel fit convnet 32bit python32
    for part in "$@"; do
        case $part in
        kernels | python | wheel | fit | convnet | 32bit | python32) ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' tools/test_arm.sh >&2 && exit 2 ;;
        esac
    done
    for part in "$@"; do
        SECONDS=0
        "test_$part"
        echo "== $part: passed in $SECONDS s"
    done
}

# Kernels in C ------------------------------------------------------------------------------------------------------------

test_kernels() {
    need_compiler arm64
    need_emulator
    need python3=python3
    local cpu
    for cpu in "${cpus[@]}"; do
        check_traps "$cpu"
    done
    # The program and its objects are there only while the script runs that builds them; it calls us back.
    CC=aarch64-linux-gnu-gcc CFLAGS=-static VARIANTS=plain RUN="tools/test_arm.sh run_kernels" tools/test_kernels.sh
    CC=aarch64-linux-gnu-gcc CFLAGS=-static VARIANTS=plain RUN="qemu-aarch64-static -cpu ${cpus[0]}" tools/test_pool.sh
}

# Runs the program of the kernel tests on every CPU: run_kernels PROGRAM [TEXT]
run_kernels() {
    local objects
    objects=("$(dirname "$1")"/kernels_*.o)
    program=("$@")
    check_code=(python3 tools/arm_code.py "${objects[@]}" --linked "$1")
    "${check_code[@]}"
    on_each kernels_on "${cpus[@]}"
}

kernels_on() {
    local reached
    qemu-aarch64-static -cpu "$1" -d in_asm -D "$work/$1.asm" "${program[@]}"
    reached=$("${check_code[@]}" --reached "$work/$1.asm")
    echo "dot products executed: $reached"
    if has_dot "$1"; then [ "$reached" -gt 0 ]; else [ "$reached" -eq 0 ]; fi
}

has_dot() {
    case $1 in cortex-a53 | cortex-a72) return 1 ;; esac
}

# Calls a function for every CPU, all at once, and shows what each has printed: on_each FUNCTION CPU...
on_each() {
    local cpu failed=0
    local -A jobs
    for cpu in "${@:2}"; do
        "$1" "$cpu" >"$work/$1.$cpu" 2>&1 &
        jobs[$cpu]=$!
    done
    for cpu in "${@:2}"; do
        wait "${jobs[$cpu]}" || failed=1
        echo "== $cpu"
        cat "$work/$1.$cpu"
    done
    return $failed
}

# An emulated CPU must end a program for an instruction that the real one lacks; else passing tests would say nothing.
check_traps() {
    local instruction code expected=0
    has_dot "$1" || expected=132 # SIGILL
    for instruction in "sdot v0.4s, v0.16b, v0.16b" "fadd v0.8h, v0.8h, v0.8h"; do
        echo "int main(void) { __asm__(\".arch armv8.2-a+dotprod+fp16; $instruction\" ::: \"v0\"); }" |
            aarch64-linux-gnu-gcc -static -xc - -o "$work/trap"
        code=0
        (qemu-aarch64-static -cpu "$1" "$work/trap") >/dev/null 2>&1 || code=$?
        [ "$code" -eq "$expected" ] || { echo "$1: ${instruction%% *} ended with $code, expected $expected" && return 1; }
    done
}

test_32bit() {
    need_compiler armhf
    need_emulator
    local source
    # The runner has the kernels alone; what composes them, or stands beside them, is compiled, as the sizes of pointers differ.
    python3 kernels/common/generate.py "$work/generated"
    for source in kernels/*/*.c bnntrain/native/*/*.c; do
        case ${source##*/} in avx* | neon*) continue ;; esac
        arm-linux-gnueabihf-gcc -fsyntax-only -std=gnu11 -Wall -Wextra -Werror -I kernels -I "$work/generated" "$source"
    done
    CC=arm-linux-gnueabihf-gcc CFLAGS=-static VARIANTS=plain RUN="qemu-arm-static -cpu cortex-a7" tools/test_kernels.sh
}

# The package -------------------------------------------------------------------------------------------------------------

test_python() {
    unpack_wheel
    on_each python_on "${cpus[@]}"
}

python_on() {
    local first=0 workers=0 # the CPUs run side by side
    [ "${#cpus[@]}" -gt 1 ] || workers=2
    while [ "${cpus[first]}" != "$1" ]; do
        first=$((first + 1))
    done
    ARM_SHARE="$first/${ARM_SHARE:-1}" run_pytest "$work/$1" -n "$workers" "${tests[@]}"
}

test_python32() {
    local root=$cache/$suite-armhf site=$cache/site32 each stamp
    need_compiler armhf
    need_emulator
    make_host
    make_python_root armhf python3-numpy python3-click python3-yaml python3-tqdm python3-pooch python3-psutil \
        python3-memory-profiler python3-pil
    # Debian links one of several libraries to these names when it configures them.
    for each in blas lapack; do
        ln -sfn "$each/lib$each.so.3" "$root/usr/lib/arm-linux-gnueabihf/lib$each.so.3"
    done
    stamp=$(cksum <pyproject.toml)
    if ! is_made "$site" "$stamp"; then
        rm -rf "$site"
        # All but msgspec is Debian's or has no architecture.
        "$host" -m pip download -qq --no-deps --no-binary :all: --no-build-isolation --dest "$work/sdist" msgspec
        cross_wheel armhf "$work"/sdist/msgspec-* "$work/wheel32"
        "$host" -m pip install -qq --target "$site" --only-binary=:all: --python-version "$version" \
            --platform linux_armv7l pytest pytest-xdist hypothesis
        "$host" -m zipfile -e "$work"/wheel32/msgspec-*.whl "$site"
        made "$site" "$stamp"
    fi
    copy_source source32
    cross_wheel armhf "$work/source32" "$work/wheel32"
    "$host" -m zipfile -e "$work"/wheel32/bnntrain-*.whl "$work/package32"
    mkdir -p "$work/plugins" && cp tools/arm_share.py "$work/plugins"
    make_python "$work/cortex-a7/bin/python" armhf cortex-a7 "$work/package32:$site:$work/plugins"
    make_program "$work/cortex-a7"
    "$work/cortex-a7/bin/bnntrain" doctor
    same_weights cortex-a7 digits --epochs 2 --threads 1
    # The emulator tells a 32-bit program of less memory than this machine has.
    ARM_SHARE=0/${ARM_SHARE:-1} run_pytest "$work/cortex-a7" -n 2 "${tests[@]}" \
        --deselect tests/cli/test_doctor_verb.py::test_facts
}

# Runs pytest in a folder of its own, so that what is imported is the package: run_pytest FOLDER ARGUMENT...
run_pytest() {
    cp -r pyproject.toml tests "$1"
    (cd "$1" && "$1/bin/python" -P -m pytest -q -p no:cacheprovider -p arm_share "${@:2}")
}

# Unpacks the wheel with what it and the tests depend on, and makes $work/CPU/bin/{python,bnntrain}.
unpack_wheel() {
    [ ! -e "$work/package" ] || return 0
    build_wheel
    need_emulator
    local cpu site=$cache/site stamp
    stamp=$(cksum <pyproject.toml)
    if ! is_made "$site" "$stamp"; then
        rm -rf "$site"
        # shellcheck disable=SC2046
        "$host" -m pip install -qq --target "$site" --only-binary=:all: --implementation cp --python-version "$version" \
            --platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64 \
            $(requirements project dependencies) pytest pytest-xdist hypothesis Pillow
        made "$site" "$stamp"
    fi
    "$host" -m zipfile -e "$wheel" "$work/package"
    mkdir -p "$work/plugins" && cp tools/arm_share.py "$work/plugins"
    for cpu in "${cpus[@]}"; do
        make_python "$work/$cpu/bin/python" arm64 "$cpu" "$work/package:$site:$work/plugins"
        make_program "$work/$cpu"
    done
}

# The command line of a Python as pip would install it: FOLDER/bin/bnntrain
make_program() {
    cat >"$1/bin/bnntrain" <<RUN
#!$1/bin/python -P
import sys
from bnntrain.cli.main import main
sys.exit(main())
RUN
    chmod +x "$1/bin/bnntrain"
}

test_wheel() {
    local module objects
    build_wheel
    need_emulator
    mapfile -t objects < <(find "$work/source/build" -name '*.o')
    for module in "$work"/source/build/lib*/bnntrain/{kernels,native}/_native*.so; do
        "$host" tools/arm_code.py "${objects[@]}" --linked "$module"
    done
    make_reference
    expected=$(weights_of "$reference" "$work/run" digits --epochs "$epochs")
    echo "$expected  x86-64"
    make_python "$work/python/bin/python3" arm64 "" ""
    (
        be_user "${cpus[0]}"
        show "$work/python/bin/python3" -m venv .venv
        show .venv/bin/pip install -q "$wheel"
    )
    on_each wheel_on "${cpus[@]}"
}

wheel_on() {
    be_user "$1"
    show .venv/bin/bnntrain doctor
    show .venv/bin/bnntrain fit digits --epochs "$epochs" --run-dir "runs/$1" 2>&1 | sed "2,$((epochs - 1))d"
    echo "$(recorded "runs/$1")  $1"
    [ "$(recorded "runs/$1")" = "$expected" ]
}

# Goes to the folder of a user, on a CPU: to be called in a shell of its own.
be_user() {
    export QEMU_CPU=$1 PIP_CACHE_DIR=$cache/pip BNNTRAIN_CACHE=$work/converted
    mkdir -p "$work/user"
    cd "$work/user"
}

# Runs a command after showing it.
show() {
    echo "\$ ${*//$work\//}"
    "$@"
}

test_fit() {
    unpack_wheel
    same_weights "${one_of_each[*]}" digits --epochs 2 --threads 1
}

test_convnet() {
    unpack_wheel
    make_reference
    make_images "$work/cnv.npz"
    same_weights "${one_of_each[*]}" \
        cnv_cifar10_quick -s "data.dataset=$work/cnv.npz" -s data.validation_fraction=0 --epochs 1 --threads 2
}

# Trains on this machine and on emulated ones, and compares: same_weights "CPU..." ARGUMENT...
same_weights() {
    local chosen
    make_reference
    read -r -a chosen <<<"$1"
    training=("${@:2}")
    expected=$(weights_of "$reference" "$work/run" "${training[@]}")
    echo "$expected  x86-64"
    on_each same_weights_on "${chosen[@]}"
}

same_weights_on() {
    local sum
    sum=$(weights_of "$work/$1/bin/bnntrain" "$work/$1/run" "${training[@]}")
    echo "$sum  $1"
    [ "$sum" = "$expected" ]
}

main "$@"
exit # the file may have changed since
