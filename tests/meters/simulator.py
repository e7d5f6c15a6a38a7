"""An INA219 of registers: answers the word transactions of SMBus from a register file.

Conversions take the time of the data sheet (SBOS448) on a clock that the test moves. In continuous
mode the chip converts the shunt and the bus in turn; a conversion is the mean of its input over its
time, every single one clipped to the range. Registers hold 0 until the first conversion after a
reset is complete.
"""

from __future__ import annotations

import errno
import os
from types import ModuleType

from waveforms import Waveform

RESET_CONFIGURATION = 0x399F
CONFIGURATION, SHUNT, BUS, POWER, CURRENT, CALIBRATION = range(6)
_SINGLE_S = {9: 84e-6, 10: 148e-6, 11: 276e-6, 12: 532e-6}
_SHUNT_LSB_V, _BUS_LSB_V = 10e-6, 4e-3
_CONTINUOUS = 7


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)


class Chip:
    """The chip.

    Parameters
    ----------
    clock : callable
        Seconds.
    amps, volts : Waveform
        Through the shunt and on the bus; functions of the clock's time.
    shunt_ohm : float
        The resistor on the board.
    """

    def __init__(self, clock, amps: Waveform, volts: Waveform, shunt_ohm: float = 0.1) -> None:
        self.clock, self.amps, self.volts, self.shunt_ohm = clock, amps, volts, shunt_ohm
        self.transactions = 0
        self._deaf = 0
        self._is_unplugged = False
        self.reset()

    # What may happen to it ----------------------------------------------------------------------

    def reset(self) -> None:
        """Lose the supply for a moment."""
        self.registers = [RESET_CONFIGURATION, 0, 0, 0, 0, 0]
        self._ready = False
        self._restart()

    def be_deaf(self, transactions: int) -> None:
        """Acknowledge none of the next transactions."""
        self._deaf = transactions

    def unplug(self) -> None:
        """Never answer again."""
        self._is_unplugged = True

    # Transactions -------------------------------------------------------------------------------

    def read(self, register: int) -> int:
        self._acknowledge()
        self._convert()
        if register == BUS:
            return self.registers[BUS] | self._ready << 1
        if register == POWER:
            self._ready = False
        return self.registers[register]

    def write(self, register: int, value: int) -> None:
        self._acknowledge()
        self._convert()
        if register == CONFIGURATION:
            if value & 0x8000:
                self.reset()
                return
            self.registers[CONFIGURATION] = value
            self._ready = False
            self._restart()
        elif register == CALIBRATION:
            self.registers[CALIBRATION] = value & 0xFFFE

    def _acknowledge(self) -> None:
        self.transactions += 1
        if self._is_unplugged or self._deaf:
            self._deaf = max(0, self._deaf - 1)
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))

    # Conversions --------------------------------------------------------------------------------

    def _restart(self) -> None:
        self._begun = self.clock()

    def _convert(self) -> None:
        """Complete the conversions that are due: the last cycle, and the shunt of the next."""
        if self.registers[CONFIGURATION] & 7 != _CONTINUOUS:
            return
        shunt, bus = (self._timing(shift) for shift in (3, 7))
        shunt_s, bus_s = (count * each for count, each in (shunt, bus))
        cycles = int((self.clock() - self._begun) / (shunt_s + bus_s))
        if cycles:
            start = self._begun + (cycles - 1) * (shunt_s + bus_s)
            self._convert_shunt(start, *shunt)
            self._convert_bus(start + shunt_s, *bus)
            self._ready = True
            self._begun += cycles * (shunt_s + bus_s)
        if self.clock() - self._begun >= shunt_s:
            self._convert_shunt(self._begun, *shunt)

    def _timing(self, shift: int) -> tuple[int, float]:
        """Return the number of conversions in a reading, and the time of one."""
        code = self.registers[CONFIGURATION] >> shift & 0xF
        if code & 8:
            return 1 << (code & 7), _SINGLE_S[12]
        return 1, _SINGLE_S[9 + (code & 3)]

    def _convert_shunt(self, start: float, count: int, each: float) -> None:
        gain = 1 << (self.registers[CONFIGURATION] >> 11 & 3)
        limit = 4000 * gain
        level = self._level(self.amps, self.shunt_ohm / _SHUNT_LSB_V, limit, start, count, each)
        self.registers[SHUNT] = level & 0xFFFF
        # The chip's own arithmetic, which the driver must not need.
        self.registers[CURRENT] = level * self.registers[CALIBRATION] // 4096 & 0xFFFF

    def _convert_bus(self, start: float, count: int, each: float) -> None:
        limit = 8000 if self.registers[CONFIGURATION] & 0x2000 else 4000
        level = self._level(self.volts, 1 / _BUS_LSB_V, limit, start, count, each)
        self.registers[BUS] = max(0, level) << 3
        self.registers[POWER] = self.registers[CURRENT] * max(0, level) // 5000 & 0xFFFF

    @staticmethod
    def _level(
        wave: Waveform, scale: float, limit: int, start: float, count: int, each: float
    ) -> int:
        if wave.largest() * scale <= limit:  # nothing to clip
            count, each = 1, count * each
        total = 0.0
        for number in range(count):
            begin = start + number * each
            total += min(max(wave.mean(begin, begin + each) * scale, -limit), limit)
        return round(total / count)


class Bus:
    """Looks like ``smbus2.SMBus``: words, low byte first.

    Parameters
    ----------
    chips : dict of int to Chip
        By address.
    clock : Clock or None
        Moved by the time that a transaction takes at 100 kHz.
    """

    transaction_s = 0.0005

    def __init__(self, chips: dict[int, Chip], clock: Clock | None = None) -> None:
        self.chips, self.clock = chips, clock
        self.is_closed = False

    def read_word_data(self, address: int, register: int) -> int:
        word = self._chip(address).read(register)
        return (word & 0xFF) << 8 | word >> 8

    def write_word_data(self, address: int, register: int, value: int) -> None:
        self._chip(address).write(register, (value & 0xFF) << 8 | value >> 8)

    def _chip(self, address: int) -> Chip:
        if self.clock is not None:
            self.clock.sleep(self.transaction_s)
        if address not in self.chips:
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))
        return self.chips[address]

    def close(self) -> None:
        self.is_closed = True


def smbus2_of(bus: object) -> ModuleType:
    """Return a module that can stand for ``smbus2``; `bus` may be an error that opening raises."""

    def open_bus(_number: int) -> object:
        if isinstance(bus, Exception):
            raise bus
        return bus

    module = ModuleType("smbus2")
    module.SMBus = open_bus
    return module
