#!/usr/bin/env bash
# Builds the wheel for 64-bit ARM on an x86-64 Debian 12 with a cross compiler, as root, into dist/.
#
# It is for Python 3.11 of Debian 12 and 64-bit Raspberry Pi OS (bookworm), and whatever else has that Python and glibc 2.34.
# For other versions of Python there is cibuildwheel, see pyproject.toml. tools/test_arm.sh wheel  installs and tries it.
#
# Environment: ARM_CACHE (a folder for what is downloaded, to be kept; default: a temporary one).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/arm_kit.sh
. tools/arm_kit.sh

build_wheel
mkdir -p dist
cp "$wheel" dist/
echo "dist/${wheel##*/}: $(stat -c %s "$wheel") bytes"
