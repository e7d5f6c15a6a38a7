"""Cycles of the compiled kernels on the cores of Raspberry Pi boards, without a board.

The C files are cross-compiled and run under emulation, which says how often every basic block is
executed. A block's cycles are the larger of two estimates: the simulation of `llvm-mca`, and the
sum of the measured rates of its instructions (`pi_rates.bound`). All data are taken to be in the
first-level cache, and no branch to be mispredicted.

LLVM has no model of its own for the A76, whose design the Neoverse N1 shares, and takes the A57's
for the A72.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from pi_rates import bound

ROOT = Path(__file__).resolve().parents[1]
KERNELS, BUILD = ROOT / "kernels", ROOT / "build" / "pi_model"
CROSS = "aarch64-linux-gnu-"
EMULATOR = "qemu-aarch64-static"
MCA = ("llvm-mca-19", "llvm-mca")
FLAGS = ["-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
"""Those of setup.py but for OpenMP: threads are modelled, not run."""

DRIVER = [ROOT / "tools" / name for name in ("pi_model.c", "pi_blocks.c")]
"""What runs the kernels."""

CORES = {"A53": "cortex-a53", "A72": "cortex-a72", "A76": "neoverse-n1"}
"""Names of the cores for llvm-mca."""

COMPOSITION = ("block", "dense", "conv", "real_conv", "stem", "head", "loss")
"""Folders that call kernels; theirs and the per-channel arithmetic is the code between kernels."""

GATHERING = (
    "bnn_im2col", "bnn_im2col_words", "input_rows_i8", "input_rows", "bnn_features"
)  # fmt: skip
"""Functions of theirs whose own code is timed as gathering (zone ``gather``)."""

SETUP = ("bnn_window_origins", "bnn_window_neighbours", "bnn_position_place", "position_of")
"""Functions that run once, when a network is made."""

_SECTIONS = {"kernels": "bnn_kernels", "between": "bnn_between"}
_LIBRARY = re.compile(r"__(?:memcpy|memmove|memset)_\w+$")
_PAGE = 4096
_ITERATIONS = 100
# Blocks with a smaller part of a run's instructions are not worth a simulation; cycles of theirs by
# instruction, a usual figure for scalar code in the first-level cache.
_SMALL = 0.002
_USUAL = {"A53": 1.0, "A72": 0.6, "A76": 0.4}


class ToolError(Exception):
    """A tool that is missing or failed, in one line."""


@dataclass(frozen=True)
class Instruction:
    """One line of a disassembly."""

    address: int
    text: str

    @property
    def name(self) -> str:
        """Mnemonic."""
        return self.text.split(None, 1)[0]

    @property
    def is_branch(self) -> bool:
        """Whether a basic block ends here."""
        return bool(re.match(r"(b|b\.\w+|bl|blr|br|ret|cbn?z|tbn?z|svc|brk)$", self.name))

    @property
    def target(self) -> int | None:
        """Address that a direct branch leads to."""
        found = re.search(r"\b([0-9a-f]+) <", self.text)
        return int(found[1], 16) if self.is_branch and found else None


@dataclass
class Block:
    """A basic block: instructions, how often it ran, the function that it belongs to."""

    lines: list[Instruction]
    count: int
    function: str

    @property
    def executed(self) -> int:
        """Instructions executed."""
        return self.count * len(self.lines)

    @property
    def is_loop(self) -> bool:
        """Whether its last branch leads to its beginning."""
        return self.lines[-1].target == self.lines[0].address


@dataclass(frozen=True)
class Cost:
    """What a run costs.

    Attributes
    ----------
    instructions : int
        Executed.
    cycles : dict of str to float
        On one core, by its name.
    loop_function : str
        Where the loop with most executed instructions stands; empty where there is none.
    loop_length, loop_count : int
        Its instructions and iterations.
    loop_cycles : dict of str to float
        Of one iteration.
    """

    instructions: float
    cycles: dict[str, float]
    loop_function: str = ""
    loop_length: int = 0
    loop_count: float = 0
    loop_cycles: dict[str, float] = field(default_factory=dict)


def _run(command: Sequence[object], **options: object) -> subprocess.CompletedProcess:
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    except FileNotFoundError:
        raise ToolError(
            f"{words[0]} is not installed. On Debian: apt install gcc-aarch64-linux-gnu "
            "libc6-dev-arm64-cross qemu-user-static llvm-19"
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ToolError(f"{words[0]} failed: {last}")
    return done


def build() -> Path:
    """Cross-compile the kernels and their driver, what is older than its sources.

    Returns
    -------
    Path
        A static aarch64 program.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, KERNELS / "common" / "generate.py", BUILD])
    included = [*KERNELS.glob("*/*.[hi]*"), *BUILD.glob("*.inc"), *(ROOT / "tools").glob("*.h")]
    headers = max(path.stat().st_mtime for path in included)
    sources = [p for p in sorted(KERNELS.glob("*/*.c")) if not p.name.startswith("avx")]
    objects = []
    for source in [*sources, *DRIVER]:
        folder = source.parent.name
        target = BUILD / f"{folder}_{source.stem}.o"
        objects.append(target)
        newest = max(headers, source.stat().st_mtime)
        if target.exists() and target.stat().st_mtime > newest:
            continue
        level = "-O1" if folder == "tools" else "-O3"
        _run([f"{CROSS}gcc", level, *FLAGS, "-I", KERNELS, "-I", BUILD, "-c", source, "-o", target])
        if folder not in ("tools", "common", "dispatch"):  # choosing kernels is no part of a step
            is_between = folder in COMPOSITION or source.name == "channel.c"
            section = _SECTIONS["between" if is_between else "kernels"]
            _run([f"{CROSS}objcopy", "--rename-section", f".text={section}", target])
    program = BUILD / "pi_model"
    if not program.exists() or any(o.stat().st_mtime > program.stat().st_mtime for o in objects):
        _run([f"{CROSS}gcc", "-static", *objects, "-o", program, "-lm"])
    return program


class Program:
    """The driver: its disassembly, and what its runs execute."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ranges = self._find_ranges()
        self.lines: dict[int, Instruction] = {}
        self.functions: dict[int, str] = {}
        for ranges in self.ranges.values():
            for first, end in ranges:
                self._disassemble(first, end)

    def _find_ranges(self) -> dict[str, list[tuple[int, int]]]:
        bounds, library = {}, []
        for line in _run([f"{CROSS}nm", "-S", self.path]).stdout.splitlines():
            words = line.split()
            if len(words) == 4 and _LIBRARY.match(words[3]):
                start = int(words[0], 16)
                library.append((start, start + int(words[1], 16)))
            elif len(words) == 3 and words[2].startswith(("__start_bnn_", "__stop_bnn_")):
                bounds[words[2]] = int(words[0], 16)
        found = {
            part: [(bounds[f"__start_{section}"], bounds[f"__stop_{section}"])]
            for part, section in _SECTIONS.items()
            if f"__start_{section}" in bounds
        } or self._sections()
        found["between"] += sorted(set(library))
        return found

    def _sections(self) -> dict[str, list[tuple[int, int]]]:
        """The linker defines the bounds of a section only where a source names them."""
        text, found = _run([f"{CROSS}objdump", "-h", self.path]).stdout, {}
        for part, section in _SECTIONS.items():
            size, start = re.search(rf"\s{section}\s+(\w+)\s+(\w+)", text).groups()
            found[part] = [(int(start, 16), int(start, 16) + int(size, 16))]
        return found

    def _disassemble(self, first: int, end: int) -> None:
        function = ""
        command = [
            f"{CROSS}objdump", "-d", "--no-show-raw-insn", f"--start-address={first}",
            f"--stop-address={end}", self.path,
        ]  # fmt: skip
        for line in _run(command).stdout.splitlines():
            if head := re.match(r"[0-9a-f]+ <(.*)>:", line):
                function = head[1]
            elif found := re.match(r"\s*([0-9a-f]+):\s+(.*?)\s*(?://.*)?$", line):
                address = int(found[1], 16)
                self.lines[address] = Instruction(address, found[2])
                self.functions[address] = function

    def blocks(self, part: str, cpu: str, arguments: Iterable[object]) -> list[Block]:
        """Run the driver and return the basic blocks of ``kernels`` or ``between`` that ran."""
        ranges = ",".join(f"{first:#x}+{end - first:#x}" for first, end in self.ranges[part])
        command = [EMULATOR, "-cpu", cpu, "-d", "exec,nochain", "-dfilter", ranges, self.path]
        words = [str(word) for word in [*command, *arguments]]
        if not shutil.which(EMULATOR):
            raise ToolError(f"{EMULATOR} is not installed. On Debian: apt install qemu-user-static")
        with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
            # Trace 0: 0x7f... [flags/address/flags/flags] symbol
            starts = Counter(
                line.split(b"/", 2)[1] for line in process.stderr if line.startswith(b"Trace")
            )
        if process.returncode:
            raise ToolError(f"the driver failed: {' '.join(words[words.index(str(self.path)):])}")
        return self._basic_blocks({int(start, 16): n for start, n in starts.items()})

    def _basic_blocks(self, starts: dict[int, int]) -> list[Block]:
        """From pieces of code that end with a branch or a page, as the emulator runs them."""
        counts: Counter[int] = Counter()
        for start, number in starts.items():
            address = start
            while address in self.lines:
                counts[address] += number
                if self.lines[address].is_branch or (address + 4) % _PAGE == 0:
                    break
                address += 4
        addresses = sorted(counts)
        cuts = [0] + [
            place
            for place, (before, here) in enumerate(pairwise(addresses), 1)
            if here != before + 4
            or self.lines[before].is_branch
            or counts[here] != counts[before]
            or (here in starts and here % _PAGE)
        ]
        found = []
        for first, end in pairwise([*cuts, len(addresses)] if addresses else []):
            lines = [self.lines[address] for address in addresses[first:end]]
            where = addresses[first]
            found.append(Block(lines, counts[where], self.functions[where]))
        return found


class Estimator:
    """Cycles of basic blocks; each is simulated once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], dict[str, float]] = {}

    def learn(self, runs: Iterable[Sequence[Block]]) -> None:
        """Simulate what is new in some runs, all at once."""
        self._simulate(_texts(block) for blocks in runs for block in _large(blocks))

    def cost(self, blocks: Sequence[Block]) -> Cost:
        """Add up a run."""
        self.learn([blocks])
        cycles = dict.fromkeys(CORES, 0.0)
        for block in blocks:
            known = self._known.get(_texts(block))
            for core in CORES:
                one = known[core] if known else _USUAL[core] * len(block.lines)
                cycles[core] += one * block.count
        total = sum(block.executed for block in blocks)
        loops = [block for block in _large(blocks) if block.is_loop]
        if not loops:
            return Cost(total, cycles)
        loop = max(loops, key=lambda block: block.executed)
        length, of_loop = len(loop.lines), self._known[_texts(loop)]
        return Cost(total, cycles, loop.function, length, loop.count, of_loop)

    def _simulate(self, texts: Iterable[tuple[str, ...]]) -> None:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if not new:
            return
        simulated = {core: _simulate(new, name) for core, name in CORES.items()}
        for place, text in enumerate(new):
            self._known[text] = {
                core: max(simulated[core].get(place, 0.0), bound(text, core)) for core in CORES
            }


def _large(blocks: Sequence[Block]) -> list[Block]:
    total = sum(block.executed for block in blocks)
    return [block for block in blocks if block.executed >= _SMALL * total]


def _texts(block: Block) -> tuple[str, ...]:
    """Instructions without their addresses, and calls as jumps: to llvm-mca a call that it cannot
    follow takes a hundred cycles on the A53, where a jump takes two."""
    texts = [re.sub(r"\b[0-9a-f]+ <[^>]*>", ".Lthere", line.text) for line in block.lines]
    return tuple(re.sub(r"^bl(r?)\b", r"b\1", text) for text in texts)


def _simulate(texts: Sequence[tuple[str, ...]], cpu: str) -> dict[int, float]:
    """Cycles of an iteration by llvm-mca, by place."""
    parts = []
    for place, text in enumerate(texts):
        lines = "\n".join(text)
        parts.append(f"# LLVM-MCA-BEGIN {place}\n{lines}\n# LLVM-MCA-END {place}\n")
    command = [
        mca(), "-mtriple=aarch64", f"-mcpu={cpu}", "-mattr=+dotprod,+fullfp16",
        f"-iterations={_ITERATIONS}", "-resource-pressure=false", "-instruction-info=false",
        "-skip-unsupported-instructions=any",
    ]  # fmt: skip
    done = _run(command, input="".join(parts))
    found, place = {}, -1
    for line in done.stdout.splitlines():
        if head := re.match(r"\[\d+\] Code Region - (\d+)", line):
            place = int(head[1])
        elif line.startswith("Total Cycles:"):
            found[place] = int(line.split()[-1]) / _ITERATIONS
    return found


@functools.cache
def mca() -> str:
    """Name of llvm-mca, the newest that is installed."""
    for name in MCA:
        if shutil.which(name):
            return name
    raise ToolError("llvm-mca is not installed. On Debian: apt install llvm-19")
