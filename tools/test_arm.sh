#!/usr/bin/env bash
# Builds for ARM on an x86-64 Debian 12 with cross compilers, and runs the tests on emulated CPUs.
#
#   tools/test_arm.sh [kernels] [python] [fit] [32bit]       default: all
#
# kernels  the C kernel tests, on every CPU model
# python   a wheel for aarch64, and with it the Python tests that are about arithmetic and the command line
# fit      trains the digits with that wheel and with one for this machine: the weights must be the same bytes
# 32bit    compiles all C for 32-bit ARM and runs the C kernel tests there
#
# Root installs what is missing with apt-get. Nothing is configured on this machine: the interpreter of arm64 is unpacked,
# not installed, and a script of that name starts it in the emulator, also where tests start it.
#
# Environment: ARM_CPUS ("cortex-a53 cortex-a72 cortex-a76", of Raspberry Pi 3, 4 and 5; python and fit leave out the second,
# which has the first one's instructions), ARM_CACHE (a folder for what is downloaded, to be kept; default: a temporary one),
# ARM_TESTS (arguments of pytest instead of our selection).
set -euo pipefail
cd "$(dirname "$0")/.."
cpus=${ARM_CPUS:-cortex-a53 cortex-a72 cortex-a76}
one_of_each=${ARM_CPUS:-cortex-a53 cortex-a76} # without and with SDOT
suite=bookworm version=3.11 # a Debian and its Python
# Emulated floats are slow: of the convolutional networks, `efficient` alone.
tests=(tests/kernels tests/training/test_golden.py tests/training/test_step.py tests/training/test_determinism.py
    tests/cli/test_doctor_verb.py tests/cli/test_doctor_board.py tests/cli/test_trained_verbs.py
    -k "not (conv and (standard or wang2021))")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cache=${ARM_CACHE:-$work/cache}
mkdir -p "$cache"
cache=$(realpath "$cache")

main() {
    local part
    [ $# -gt 0 ] || set -- kernels python fit 32bit
    for part in "$@"; do
        case $part in
        kernels | python | fit | 32bit) ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' tools/test_arm.sh >&2 && exit 2 ;;
        esac
    done
    for part in "$@"; do
        SECONDS=0
        "test_$part"
        echo "== $part: passed in $SECONDS s"
    done
}

# Installs the Debian packages of each program that is missing: need PROGRAM=PACKAGE[,PACKAGE]...
need() {
    local missing=() each packages
    for each in "$@"; do
        if ! command -v "${each%%=*}" >/dev/null; then
            IFS=, read -r -a packages <<<"${each##*=}"
            missing+=("${packages[@]}")
        fi
    done
    [ "${#missing[@]}" -eq 0 ] || install "${missing[@]}"
}

install() {
    echo "== installing $*"
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
}

test_kernels() {
    need aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu,libc6-dev-arm64-cross qemu-aarch64-static=qemu-user-static
    cat >"$work/on_every_cpu" <<'RUN'
#!/bin/sh
set -eu
for cpu in $ARM_CPUS; do
    echo "== $cpu"
    qemu-aarch64-static -cpu "$cpu" "$@"
done
RUN
    chmod +x "$work/on_every_cpu"
    ARM_CPUS=$cpus CC=aarch64-linux-gnu-gcc CFLAGS=-static VARIANTS=plain RUN="$work/on_every_cpu" tools/test_kernels.sh
}

test_32bit() {
    need arm-linux-gnueabihf-gcc=gcc-arm-linux-gnueabihf,libc6-dev-armhf-cross qemu-arm-static=qemu-user-static
    local source
    # The runner has the kernels alone; what composes them is compiled, as the sizes of pointers differ.
    for source in kernels/*/*.c; do
        case ${source##*/} in avx* | neon*) continue ;; esac
        arm-linux-gnueabihf-gcc -fsyntax-only -std=gnu11 -Wall -Wextra -Werror -fopenmp "$source"
    done
    CC=arm-linux-gnueabihf-gcc CFLAGS=-static VARIANTS=plain RUN="qemu-arm-static -cpu cortex-a7" tools/test_kernels.sh
}

test_python() {
    local cpu
    build_wheel
    cp -r pyproject.toml tests "$work"
    # shellcheck disable=SC2206
    [ -z "${ARM_TESTS-}" ] || tests=($ARM_TESTS)
    for cpu in $one_of_each; do
        echo "== $cpu"
        (cd "$work" && "$work/$cpu/bin/python" -P -m pytest -q -n 2 -p no:cacheprovider "${tests[@]}")
    done
}

test_fit() {
    local cpu sum expected
    build_wheel
    "$host" -m pip install -qq --no-build-isolation --no-deps --force-reinstall "$work/source"
    expected=$(weights_of "$cache/host/bin/bnntrain")
    echo "$expected  x86-64"
    for cpu in $one_of_each; do
        sum=$(weights_of "$work/$cpu/bin/bnntrain")
        echo "$sum  $cpu"
        [ "$sum" = "$expected" ] || exit 1
    done
}

# The hash of the digits' weights that a command line trains in two epochs.
weights_of() {
    (cd "$work" && rm -rf run && BNNTRAIN_CACHE="$work/converted" BNNTRAIN_DATA="$work" \
        "$1" fit digits --epochs 2 --threads 1 --run-dir run --quiet --json) |
        sed -n 's/.*"weights_sha256": "\(.*\)".*/\1/p'
}

# A virtual environment of this machine with what wheels are built with: $host is its interpreter.
make_host() {
    host=$cache/host/bin/python
    [ ! -e "$cache/host/ready" ] || return 0
    local python
    need gcc=gcc,libc6-dev
    python=$(command -v "python$version" || command -v python3 || true)
    # Debian has the headers and what makes environments in packages of their own.
    if ! "${python:-false}" -c 'import ensurepip, os, sysconfig; assert os.path.exists(
            sysconfig.get_path("include") + "/Python.h")' 2>/dev/null; then
        install python3 python3-dev python3-venv
        python=/usr/bin/python3
    fi
    rm -rf "$cache/host"
    "$python" -m venv "$cache/host"
    # shellcheck disable=SC2046
    "$host" -m pip install -qq $(requirements build-system requires project dependencies) wheel
    touch "$cache/host/ready"
}

# Prints lists of pyproject.toml: requirements TABLE KEY ...
requirements() {
    "$host" - "$@" <<'PYTHON'
import sys
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)
tables, keys = sys.argv[1::2], sys.argv[2::2]
print(*(each.replace(" ", "") for table, key in zip(tables, keys) for each in project[table][key]))
PYTHON
}

# Debian's interpreter of arm64 with its headers, unpacked: $root.
make_root() {
    root=$cache/$suite
    [ ! -e "$root/ready" ] || return 0
    need mmdebstrap=mmdebstrap
    local mirror
    # The mirror that this machine uses itself.
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | awk '!/security/ && !found++')
    rm -rf "$root"
    mmdebstrap --quiet --variant=extract --architectures=arm64 \
        --include="python$version,libpython$version-dev,libstdc++6,libgcc-s1,libgomp1" \
        "$suite" "$root" "deb ${mirror:?no mirror of Debian among the sources of apt} $suite main"
    # Debian's pyconfig.h only names the real one, from a folder that a cross compiler does not search.
    ln -sfn ../aarch64-linux-gnu "$root/usr/include/python$version/aarch64-linux-gnu"
    touch "$root/ready"
}

# Builds and unpacks the wheel of aarch64, with what it depends on, and makes $work/CPU/bin/{python,bnntrain}.
build_wheel() {
    [ ! -e "$work/wheel" ] || return 0
    need aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu,libc6-dev-arm64-cross qemu-aarch64-static=qemu-user-static
    make_host
    make_root
    local cpu
    if [ ! -e "$cache/site/ready" ]; then
        rm -rf "$cache/site"
        # shellcheck disable=SC2046
        "$host" -m pip install -qq --target "$cache/site" --only-binary=:all: --implementation cp --python-version $version \
            --platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64 \
            $(requirements project dependencies) pytest pytest-xdist hypothesis Pillow
        touch "$cache/site/ready"
    fi

    # This machine's Python builds as that of arm64 would: its compilers, names and headers are all in one module.
    mkdir "$work/source" "$work/sysconfig"
    cp -r setup.py pyproject.toml README.md LICENSE MANIFEST.in bnntrain kernels configs "$work/source"
    sed "s#'/usr/include/python$version'#'$root/usr/include/python$version'#" \
        "$root/usr/lib/python$version/_sysconfigdata__aarch64-linux-gnu.py" >"$work/sysconfig/_sysconfigdata_arm64.py"
    PYTHONPATH="$work/sysconfig" _PYTHON_SYSCONFIGDATA_NAME=_sysconfigdata_arm64 _PYTHON_HOST_PLATFORM=linux-aarch64 \
        "$host" -m pip wheel -qq --no-build-isolation --no-deps --wheel-dir "$work/wheel" "$work/source"
    "$host" -m zipfile -e "$work"/wheel/*aarch64.whl "$work/package"

    for cpu in $cpus; do
        mkdir -p "$work/$cpu/bin"
        ln -s "$root/usr/lib" "$work/$cpu/lib"
        # The emulated Python takes this script for itself, and tests that start sys.executable start it again.
        cat >"$work/$cpu/bin/python" <<RUN
#!/bin/sh
unset PYTHONDONTWRITEBYTECODE PYTHONHOME
export PYTHONPATH="$work/package:$cache/site" PYTHONPYCACHEPREFIX="$cache/bytecode" OPENBLAS_NUM_THREADS=1
exec qemu-aarch64-static -cpu $cpu -L "$root" -0 "\$0" "$root/usr/bin/python$version" "\$@"
RUN
        cat >"$work/$cpu/bin/bnntrain" <<RUN
#!$work/$cpu/bin/python -P
import sys
from bnntrain.cli.main import main
sys.exit(main())
RUN
        chmod +x "$work/$cpu"/bin/*
    done
}

main "$@"
