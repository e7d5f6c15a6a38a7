"""The Raspberry Pi boards that `pi_model` knows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Board:
    """A board of four cores.

    Attributes
    ----------
    name, system_name, core : str
        Its name, the one that its system gives (`bnntrain.board`), and that of its cores.
    hertz : float
        Clock.
    bandwidth : float
        Bytes a second from memory, on all cores together.
    cache : int
        Bytes of the last cache level: an array that is smaller is taken to stay in it.
    """

    name: str
    system_name: str
    core: str
    hertz: float
    bandwidth: float
    cache: int

    @property
    def isa(self) -> str:
        """Instruction set of the kernels that it runs."""
        return "neondot" if self.core == "A76" else "neon"


# Clocks and caches: the boards' data sheets (BCM2710A1, BCM2837B0, BCM2711, BCM2712).  Bandwidth:
# twice the memcpy of the results in github.com/ThomasKaiser/sbc-bench, as a copy reads and writes,
# rounded down: 1.0 ... 1.3 GB/s on Pi 3B+ and Zero 2, 2.2 ... 2.8 on Pi 4.  The Pi 5 is not in that
# list: 10 GB/s is assumed, of the 17 that its LPDDR4X-4267 of 32 bits could give.
BOARDS = (
    Board("Pi Zero 2 W", "Raspberry Pi Zero 2 W", "A53", 1.0e9, 2e9, 512 << 10),
    Board("Pi 3B+", "Raspberry Pi 3 Model B Plus", "A53", 1.4e9, 2e9, 512 << 10),
    Board("Pi 4", "Raspberry Pi 4 Model B", "A72", 1.5e9, 4e9, 1 << 20),
    Board("Pi 5", "Raspberry Pi 5 Model B", "A76", 2.4e9, 10e9, 2 << 20),
)
