#!/usr/bin/env bash
# Runs what is written with AVX-512 on an emulated processor, for machines that have none; on an x86-64 Debian 12.
#
#   tools/test_avx512.sh [kernels] [fit] [convnet] [python] [steps]       default: kernels fit
#
# kernels   the C kernel tests: every AVX-512 kernel against the portable one
# fit       doctor selects avx512; the digits, trained with one thread and with two: the weights must be the same bytes as here
# convnet   trains CNV for 20 steps on images of CIFAR-10: the same bytes
# python    the Python tests that are about arithmetic, with this instruction set
# steps     prints how many instructions training steps and an image through a trained network take, avx512 and avx2
#
# Root installs what is missing with apt-get. The PC is Bochs's, see tools/bochs_kit.sh: a processor that counts its instructions
# and takes no time, here 20 to 60 million a second.
#
# Environment: AVX512_CACHE (a folder for what is downloaded and built, to be kept; default: a temporary one), AVX512_BOCHS (a
# folder with Bochs's sources; default: they are fetched from GitHub), AVX512_CPU (a model of Bochs's; default: tigerlake),
# AVX512_EPOCHS (of fit; default: 60, all of them), AVX512_TESTS (arguments of pytest instead of our selection),
# AVX512_SHARE (8: of every Python test one case in eight; default: 1, all), AVX512_STEPS (what to count, see
# tools/count_steps.py; images.npz are 2000 images of CIFAR-10, cnv.bnn is a CNV trained on them), AVX512_OTHER (the folder of
# another package `bnntrain`, whose training steps are counted too).
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${AVX512_CACHE-}
# shellcheck source=tools/kit.sh
. tools/kit.sh
# shellcheck source=tools/bochs_kit.sh
. tools/bochs_kit.sh
epochs=${AVX512_EPOCHS:-60}
steps=${AVX512_STEPS:-digits:100 cnv_cifar10_quick:100:images.npz cnv.bnn}
tests=(tests/kernels tests/training/test_golden.py tests/training/test_determinism.py -k avx512)
# shellcheck disable=SC2206
[ -z "${AVX512_TESTS-}" ] || tests=($AVX512_TESTS)
pc=$work/pc # what the PC finds in its root

main() {
    local part
    [ "${1-}" != run_kernels ] || { run_kernels "${@:2}" && return; }
    [ $# -gt 0 ] || set -- kernels fit
    for part in "$@"; do
        case $part in
        kernels | fit | convnet | python | steps) ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' tools/test_avx512.sh >&2 && exit 2 ;;
        esac
    done
    for part in "$@"; do
        SECONDS=0
        rm -rf "$pc"
        mkdir -p "$pc/job"
        "test_$part"
        echo "== $part: passed in $SECONDS s"
    done
}

test_kernels() {
    # The program is there only while the script runs that builds it; it calls us back.
    CFLAGS=-static VARIANTS=plain RUN="tools/test_avx512.sh run_kernels" AVX512_CACHE=$cache tools/test_kernels.sh
}

# Runs the program of the kernel tests on the PC: run_kernels PROGRAM [TEXT]
run_kernels() {
    mkdir -p "$pc/job"
    cp "$1" "$pc/job/test_kernels"
    run_there "./test_kernels '${2-}' avx512"
}

# Runs a script on the PC, with what was put into its root: run_there TEXT
run_there() {
    echo "set -e
$1" >"$pc/job/run"
    emulate "$pc"
}

# The package as it is installed on this machine, for the PC.
take_package() {
    make_reference
    cp -r "$("$host" -P -c 'import bnntrain; print(bnntrain.__path__[0])')" "$pc/job"
    find "$pc/job" -name __pycache__ -prune -exec rm -rf {} +
}

test_fit() {
    take_package
    same_weights "1 2" digits --epochs "$epochs"
}

test_convnet() {
    take_package
    make_images "$pc/job/cnv.npz"
    same_weights 1 cnv_cifar10_quick -s data.dataset=cnv.npz -s data.validation_fraction=0 --epochs 1
}

# Trains on this machine and on the PC, and compares: same_weights "THREADS..." ARGUMENT...
same_weights() {
    local expected
    expected=$(cd "$pc/job" && weights_of "$reference" "$work/run" "${@:2}")
    run_there "export BNNTRAIN_CACHE=/tmp/converted
python$version -P -m bnntrain doctor | grep '^instructions  avx512 selected'
echo '$expected  here'
for threads in $1; do
    python$version -P -m bnntrain fit ${*:2} --threads \$threads --run-dir /tmp/run-\$threads --quiet >/dev/null
    sed -n 's/.*\"weights_sha256\": \"\(.*\)\".*/\1/p' /tmp/run-\$threads/run.json >found
    echo \"\$(cat found)  threads: \$threads\"
    [ \"\$(cat found)\" = $expected ]
done"
}

test_python() {
    take_package
    cp -r pyproject.toml tests "$pc/job"
    mkdir "$pc/job/kernels" && cp -r kernels/common "$pc/job/kernels" # the tests read signatures with what is there
    mkdir "$pc/plugins" && cp tools/arm_share.py "$pc/plugins"
    run_there "export ARM_SHARE=0/${AVX512_SHARE:-1} PYTHONPATH=\$PYTHONPATH:/plugins
python$version -P -m pytest -q -p no:cacheprovider -p arm_share $(printf '%q ' "${tests[@]}")"
}

test_steps() {
    take_package
    make_images "$pc/job/images.npz"
    (
        cd "$pc/job"
        weights_of "$reference" "$work/run" cnv_cifar10_quick -s data.dataset=images.npz -s data.validation_fraction=0 \
            --epochs 1 >/dev/null
        "$reference" export "$work/run" -o cnv.bnn >/dev/null
    )
    mkdir "$pc/tools" && cp tools/{steps,count_steps}.py "$pc/tools"
    echo "unsigned long long counter(void) { return __builtin_ia32_rdtsc(); }" |
        gcc -O1 -shared -fPIC -xc - -o "$pc/job/counter.so"
    [ -z "${AVX512_OTHER-}" ] || { mkdir "$pc/other" && cp -r "$AVX512_OTHER" "$pc/other/bnntrain"; }
    run_there "export BNNTRAIN_CACHE=/tmp/converted
for path in /job /other; do
    [ ! -e \$path/bnntrain ] || PYTHONPATH=\$path:/site:/tools python$version -P /tools/count_steps.py ./counter.so $steps
done"
}

main "$@"
exit # the file may have changed since
