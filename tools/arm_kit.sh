# shellcheck shell=bash
# What tools/test_arm.sh and tools/build_wheel.sh share: Debian's Python of an ARM architecture, unpacked, and this machine's
# Python and cross compilers, which build for it. To be sourced, by root, in the top folder of the tree.
#
# Root installs what is missing with apt-get. Nothing is configured on this machine: the interpreter of ARM is unpacked, not
# installed, and a script of that name starts it in the emulator, also where programs start it.
#
# Environment: ARM_CACHE (a folder for what is downloaded, to be kept; default: a temporary one), ARM_REFERENCE (bnntrain of
# this tree, installed for this machine; default: it is built).
cache=${ARM_CACHE-} reference=${ARM_REFERENCE-}
# shellcheck source=tools/kit.sh
. tools/kit.sh

# Architectures by Debian's name: the GNU name, the machine, what compiles and what emulates.
gnu_of() {
    case $1 in arm64) echo aarch64-linux-gnu ;; armhf) echo arm-linux-gnueabihf ;; esac
}

machine_of() {
    case $1 in arm64) echo aarch64 ;; armhf) echo armv7l ;; esac
}

need_compiler() {
    case $1 in
    arm64) need aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu,libc6-dev-arm64-cross ;;
    armhf) need arm-linux-gnueabihf-gcc=gcc-arm-linux-gnueabihf,libc6-dev-armhf-cross ;;
    esac
}

need_emulator() {
    need qemu-aarch64-static=qemu-user-static
}

# Debian's interpreter of an architecture with its headers, unpacked: make_python_root ARCHITECTURE [PACKAGE]...
make_python_root() {
    make_root "$1" "python$version" "libpython$version-dev" "python$version-venv" libstdc++6 libgcc-s1 "${@:2}"
    # Debian's pyconfig.h only names the real one, from a folder that a cross compiler does not search.
    ln -sfn "../$(gnu_of "$1")" "$cache/$suite-$1/usr/include/python$version/$(gnu_of "$1")"
}

# Builds a wheel as pip does, with this machine's Python but for an ARM: cross_wheel ARCHITECTURE SOURCE FOLDER
cross_wheel() {
    local root=$cache/$suite-$1 gnu
    gnu=$(gnu_of "$1")
    # All that Python knows of its compilers, names and headers is in one module.
    mkdir -p "$work/sysconfig"
    sed "s#'/usr/include/python$version'#'$root/usr/include/python$version'#" \
        "$root/usr/lib/python$version/_sysconfigdata__$gnu.py" >"$work/sysconfig/_sysconfigdata_$1.py"
    PYTHONPATH="$work/sysconfig" _PYTHON_SYSCONFIGDATA_NAME=_sysconfigdata_$1 \
        _PYTHON_HOST_PLATFORM="linux-$(machine_of "$1")" \
        "$host" -m pip wheel -qq --no-build-isolation --no-deps --no-binary :all: --wheel-dir "$3" "$2"
}

# Builds the wheel for 64-bit ARM: $wheel, in $work/dist. Its objects, with symbols, stay in $work/source/build.
build_wheel() {
    [ -z "${wheel-}" ] || return 0
    need_compiler arm64
    make_host
    make_python_root arm64
    copy_source source
    cross_wheel arm64 "$work/source" "$work/raw"
    # The functions of threads, as Debian 12 links them, set the oldest glibc: 2.34. auditwheel calls `strip`, and this
    # machine's knows no ARM.
    mkdir "$work/cross"
    ln -s "$(command -v aarch64-linux-gnu-strip)" "$work/cross/strip"
    PATH="$work/cross:$cache/host/bin:$PATH" AUDITWHEEL_LD_LIBRARY_PATH=/usr/aarch64-linux-gnu/lib \
        "$host" -m auditwheel repair --strip -z 9 --wheel-dir "$work/dist" "$work"/raw/bnntrain-*.whl \
        >"$work/auditwheel" 2>&1 || { cat "$work/auditwheel" && return 1; }
    wheel=$(echo "$work"/dist/bnntrain-*.whl)
}

# A script that is Python on an emulated CPU: make_python FOLDER/bin/python ARCHITECTURE CPU PYTHONPATH
# A CPU that is empty is that of QEMU_CPU. The emulated Python takes the script for itself, and starts it again.
make_python() {
    local root=$cache/$suite-$2 emulator=qemu-aarch64-static
    [ "$2" = arm64 ] || emulator=qemu-arm-static
    mkdir -p "$(dirname "$1")"
    ln -s "$root/usr/lib" "$(dirname "$1")/../lib"
    cat >"$1" <<RUN
#!/bin/sh
unset PYTHONDONTWRITEBYTECODE PYTHONHOME
export PYTHONPATH="$4" PYTHONPYCACHEPREFIX="$cache/bytecode" OPENBLAS_NUM_THREADS=1
exec $emulator ${3:+-cpu $3} -L "$root" -0 "\$0" "$root/usr/bin/python$version" "\$@"
RUN
    chmod +x "$1"
}
