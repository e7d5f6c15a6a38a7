# shellcheck shell=bash
# A small Debian on a PC that Bochs emulates, with the instruction sets of another processor. To be sourced after tools/kit.sh.
#
# Debian's package of Bochs has its debugger in it, which makes it many times slower: Bochs is built from its sources. The
# PC has no disc: kernel and files are read from a CD into memory, a script is run, and what it prints comes by the serial port.
#
# Environment: AVX512_BOCHS (a folder with Bochs's sources; default: they are fetched), AVX512_CPU (a model of Bochs's that has
# what avx512 asks for in kernels/common/cpu.c).
bochs_repository=https://github.com/bochs-emu/Bochs
bochs_commit=783b58fd6d9bae598a07c59719122322fa0edce6 # 3.0 has faults in masked moves
pc_cpu=${AVX512_CPU:-tigerlake}
pc_memory=2048 # MiB

# Bochs for this machine, in $cache/bochs.
make_bochs() {
    local folder=$cache/bochs options
    options=(--enable-cpu-level=6 --enable-x86-64 --enable-avx --enable-evex --enable-all-optimizations
        --with-nogui --disable-plugins --disable-docbook --disable-xpm)
    ! is_made "$folder" "$bochs_commit ${options[*]}" || return 0
    need g++=g++,libc6-dev make=make git=git,ca-certificates
    echo "== building Bochs"
    rm -rf "$folder"
    if [ -n "${AVX512_BOCHS-}" ]; then
        cp -r "$AVX512_BOCHS" "$folder"
    else
        git init -q "$folder"
        git -C "$folder" fetch -q --depth 1 "$bochs_repository" "$bochs_commit"
        git -C "$folder" checkout -q FETCH_HEAD
    fi
    # Elements of vectors are emulated in loops, which a compiler can make vectors of again.
    (cd "$folder/bochs" && CXXFLAGS="-O3 -march=native" ./configure "${options[@]}" && make -j"$(nproc)") \
        >"$work/bochs" 2>&1 || { tail "$work/bochs" && return 1; }
    made "$folder" "$bochs_commit ${options[*]}"
}

# What every run of the PC starts with, $cache/system.cpio: Debian's Python, and in /site what bnntrain and its tests need.
make_system() {
    local root=$cache/$suite-amd64 site=$cache/site-amd64 system=$cache/system stamp
    # libgomp1 is for older versions of the package.
    make_root amd64 "python$version" libstdc++6 libgcc-s1 libgomp1 busybox-static linux-image-cloud-amd64 isolinux \
        syslinux-common
    stamp=$(cat pyproject.toml tools/bochs_kit.sh | cksum)
    ! is_made "$system" "$stamp" || return 0
    make_host
    need cpio=cpio xorriso=xorriso
    rm -rf "$site" "$system"
    # shellcheck disable=SC2046
    "$host" -m pip install -qq --target "$site" --only-binary=:all: \
        $(requirements project dependencies) pytest pytest-xdist hypothesis
    mkdir -p "$system"/{proc,sys,dev,tmp,root,usr/share}
    cp -a "$root"/{bin,lib,lib64} "$system"
    cp -a "$root"/usr/{bin,lib} "$system/usr"
    rm -rf "$system/lib/modules" "$system/usr/lib"/{syslinux,ISOLINUX,"python$version/test"}
    cp -a "$site" "$system/site"
    find "$system/site" -name tests -prune -exec rm -rf {} +
    # Compiled here once: there it takes a minute every time.
    "$host" -m compileall -q -j2 --invalidation-mode unchecked-hash -s "$system" -p / \
        "$system/usr/lib/python$version" "$system/site" >"$work/compileall" || true # files that are wrong on purpose
    cp tools/bochs_init.sh "$system/init"
    archive "$system" >"$cache/system.cpio"
    made "$system" "$stamp"
}

# A folder as the kernel unpacks it at its start.
archive() {
    (cd "$1" && find . | cpio --quiet -o -H newc)
}

# Starts the PC with a folder's files in its root, where it runs the script /job/run, and shows what this prints. Fails where
# the script does: emulate FOLDER
emulate() {
    local root=$cache/$suite-amd64 disc=$work/disc reader
    make_bochs
    make_system
    mkdir -p "$disc"
    archive "$1" | cat "$cache/system.cpio" - >"$disc/system.cpio"
    cp "$root"/boot/vmlinuz-* "$disc/vmlinuz"
    cp "$root/usr/lib/ISOLINUX/isolinux.bin" "$root/usr/lib/syslinux/modules/bios/ldlinux.c32" "$disc"
    # 580 is fsrm: a kernel that does not find erms beside it, which Bochs cannot switch on, moves memory wrongly.
    cat >"$disc/isolinux.cfg" <<CONFIG
default pc
label pc
kernel vmlinuz
append initrd=system.cpio console=ttyS0 loglevel=1 panic=-1 tsc=reliable mitigations=off nokaslr clearcpuid=580
CONFIG
    xorriso -as mkisofs -quiet -o "$work/pc.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table \
        "$disc" 2>"$work/xorriso"
    # A second of the PC is so many instructions, which is what its time stamp counter counts.
    cat >"$work/bochsrc" <<CONFIG
config_interface: textconfig
display_library: nogui
cpu: model=$pc_cpu, ips=50000000, reset_on_triple_fault=0
clock: sync=none
memory: guest=$pc_memory, host=$pc_memory
romimage: file=$cache/bochs/bochs/bios/BIOS-bochs-latest, options=fastboot
vgaromimage: file=$cache/bochs/bochs/bios/VGABIOS-lgpl/VGABIOS-lgpl-latest.bin
ata0: enabled=1
ata0-master: type=cdrom, path=$work/pc.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial
log: $work/pc.log
panic: action=fatal
error: action=ignore
CONFIG
    : >"$work/serial"
    tail -n +1 -f "$work/serial" &
    reader=$!
    nice "$cache/bochs/bochs/bochs" -q -f "$work/bochsrc" </dev/null >"$work/pc.out" 2>&1 || true # it ends as if it had failed
    sleep 1
    { kill "$reader" && wait "$reader"; } 2>/dev/null || true
    grep -qx "ended with 0" "$work/serial"
}
