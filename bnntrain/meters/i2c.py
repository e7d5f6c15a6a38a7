"""Words of a device on an I2C bus of Linux, through smbus2, with remedies for what goes wrong.

Source: the kernel's documentation of i2c-dev and of its fault codes.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from bnntrain.meters.power import MeterError, MeterLost, SampleLost

Value = TypeVar("Value")
_TRIES = 3
# The adapter itself has gone: a USB bridge that was pulled out, a driver that was unloaded.
_GONE = (errno.ENODEV, errno.EBADF, errno.ENOENT, errno.ESHUTDOWN)


class Device:
    """A device with 16-bit registers, most significant byte first.

    Parameters
    ----------
    bus : int
        Number of the bus: 1 for ``/dev/i2c-1``.
    address : int
        7 bits.

    Raises
    ------
    MeterError
        smbus2 is not installed, there is no such bus, or no permission for it.
    """

    def __init__(self, bus: int, address: int) -> None:
        self.bus, self.address = bus, address
        self.path = f"/dev/i2c-{bus}"
        try:
            from smbus2 import SMBus
        except ImportError:
            message = "needs smbus2, which is not installed: pip install 'bnntrain[energy]'"
            raise MeterError(self.path, message) from None
        try:
            self._bus = SMBus(bus)
        except OSError as error:
            raise MeterError(self.path, _why_closed(error)) from None

    def read(self, register: int) -> int:
        """Return a register.

        Raises
        ------
        SampleLost
            No acknowledgement, several times.
        MeterLost
            The bus is gone.
        """
        return _swap(self._try(lambda: self._bus.read_word_data(self.address, register)))

    def write(self, register: int, value: int) -> None:
        """Set a register; raises as `read`."""
        self._try(lambda: self._bus.write_word_data(self.address, register, _swap(value)))

    def _try(self, transaction: Callable[[], Value]) -> Value:
        """Repeat what a disturbance on the wires spoils."""
        for _ in range(_TRIES):
            try:
                return transaction()
            except OSError as error:
                if error.errno in _GONE:
                    raise MeterLost(f"{self.path} is gone ({error.strerror})") from None
                if error.errno == errno.EBUSY:
                    raise Busy(f"{self.address:#04x} is held by a kernel driver") from None
                reason = error.strerror or str(error)
        raise SampleLost(f"no answer from {self.address:#04x} ({reason})")

    def close(self) -> None:
        """Close the bus."""
        self._bus.close()


class Busy(SampleLost):
    """The address belongs to a driver of the kernel."""


def _swap(word: int) -> int:
    """SMBus sends the low byte first, the chip the high one."""
    return (word & 0xFF) << 8 | word >> 8 & 0xFF


def _why_closed(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return "no permission. Run 'sudo usermod -aG i2c $USER' and log in again"
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return (
            "no such I2C bus. Switch it on ('sudo raspi-config nonint do_i2c 0', then restart), "
            "or set meters.bus ('i2cdetect -l' lists the buses)"
        )
    return f"cannot be opened ({error.strerror or error})"
