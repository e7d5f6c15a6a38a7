"""The INA219: current by the voltage over a shunt, and the voltage behind it, over I2C.

    amps = shunt voltage / shunt_ohm,    watts = bus voltage * amps

computed here from the two voltage registers, whose steps (10 uV and 4 mV) are the same in every
range. The chip's own current and power registers hang on a calibration register that a reset
clears; they are not used, so a reset cannot falsify a value. What it can do is to empty the voltage
registers until the next conversion and to undo the configuration. So the configuration is read
after every pair of voltages: where it is not ours, the sample is dropped, the chip is set up again,
and nothing is taken until it says that a conversion is complete.

Averaging codes are used even for a single conversion, so our configuration is never that after a
reset (0x399F).

Source: Texas Instruments, INA219 data sheet SBOS448: registers, conversion times.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from bnntrain.meters.i2c import Busy, Device
from bnntrain.meters.power import MeterError, MeterLost, OverRange, Power, SampleLost, often

CONFIGURATION, SHUNT_VOLTAGE, BUS_VOLTAGE, CALIBRATION = 0x00, 0x01, 0x02, 0x05
SHUNT_LSB_V, BUS_LSB_V = 10e-6, 4e-3
ADDRESSES = range(0x40, 0x50)

_CONVERSION_READY, _OVERFLOW = 0b10, 0b01
_BUS_SHIFT = 3
_RANGE_32V = 1 << 13
_GAIN_SHIFT, _BUS_ADC_SHIFT, _SHUNT_ADC_SHIFT = 11, 7, 3
_AVERAGING = 0b1000  # of 12 bits; the low three bits are the logarithm of the number
# The two are converted in turn. The bus hardly moves; its time is the shunt's loss.
_BUS_AVERAGING = 4
_CONTINUOUS = 0b111  # shunt and bus in turn
_SHUNT_LIMIT = 4000  # steps, at gain 1
_BUS_LIMIT = {16: 4000, 32: 8000}
_CONVERSION_S = 532e-6
_UNUSED = 0xC000  # of the configuration: the reset bit and one that is always 0


class Words(Protocol):
    """What the chip is reached by; see `bnntrain.meters.i2c.Device`."""

    path: str
    address: int

    def read(self, register: int) -> int:
        """Return a register."""

    def write(self, register: int, value: int) -> None:
        """Set a register."""

    def close(self) -> None:
        """Close the bus."""


def configuration(bus_range: int, gain: int, averaging: int) -> int:
    """Return the configuration register.

    Parameters
    ----------
    bus_range : int
        16 or 32 (volts).
    gain : int
        1, 2, 4, 8: up to 40, 80, 160, 320 mV over the shunt.
    averaging : int
        1, 2, 4 ... 128 conversions of the shunt; of the bus 4 at most.
    """
    shunt, bus = (
        _AVERAGING | count.bit_length() - 1 for count in (averaging, min(averaging, _BUS_AVERAGING))
    )
    return (
        (_RANGE_32V if bus_range == 32 else 0)
        | gain.bit_length() - 1 << _GAIN_SHIFT
        | bus << _BUS_ADC_SHIFT
        | shunt << _SHUNT_ADC_SHIFT
        | _CONTINUOUS
    )


def looks_like_one(device: Words) -> bool:
    """Whether what answers may be an INA219; writes nothing."""
    try:
        return not device.read(CONFIGURATION) & _UNUSED and not device.read(CALIBRATION) & 1
    except (SampleLost, MeterLost):
        return False


class Ina219:
    """A power source.

    Parameters
    ----------
    device : Words
        The chip; `close` closes it, and so does a failure here.
    shunt_ohm : float
        Resistance of the shunt.
    bus_range, gain, averaging : int
        As for `configuration`.
    clock, sleep : callable
        Those of `time`; tests give their own.

    Attributes
    ----------
    resets : int
        How often the chip had lost its configuration.
    period_s : float
        Time between two new values.

    Raises
    ------
    MeterError
        Nothing answers, or something that is no INA219.
    """

    kind = "ina219"

    def __init__(
        self,
        device: Words,
        shunt_ohm: float = 0.1,
        bus_range: int = 32,
        gain: int = 8,
        averaging: int = 64,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._device, self._clock, self._shunt_ohm = device, clock, shunt_ohm
        self._configuration = configuration(bus_range, gain, averaging)
        self._shunt_limit = _SHUNT_LIMIT * gain
        self._bus_limit = _BUS_LIMIT[bus_range]
        shunt_s = _CONVERSION_S * averaging
        self.period_s = shunt_s + _CONVERSION_S * min(averaging, _BUS_AVERAGING)
        # The shunt's last conversion ended half a period ago on average.
        self._age_s = self.period_s / 2 + shunt_s / 2
        self.resets = 0
        self._is_converted = False
        place = f"{device.address:#04x} on {device.path}"
        self.label = f"INA219 at {place}, shunt {shunt_ohm:g} ohm"
        try:
            self._set_up(place)
        except BaseException:
            device.close()
            raise
        sleep(1.1 * self.period_s)

    def _set_up(self, place: str) -> None:
        try:
            alien = not looks_like_one(self._device) and self._device.read(CONFIGURATION) >= 0
            if not alien:
                self._device.write(CONFIGURATION, self._configuration)
                alien = self._device.read(CONFIGURATION) != self._configuration
        except Busy:
            message = "is held by a driver of the kernel. Set meters.energy: hwmon, or unload it"
            raise MeterError(place, message) from None
        except (SampleLost, MeterLost) as lost:
            message = f"{lost.reason}. Check the wiring and meters.address"
            raise MeterError(place, message) from None
        if alien:
            raise MeterError(place, "what answers is no INA219. Check meters.address")

    def read(self) -> Power:
        """Return the mean over the last conversions."""
        shunt = _signed(self._device.read(SHUNT_VOLTAGE))
        bus = self._device.read(BUS_VOLTAGE)
        now = self._clock()
        if self._device.read(CONFIGURATION) != self._configuration:
            self.resets += 1
            self._is_converted = False
            self._device.write(CONFIGURATION, self._configuration)
            raise SampleLost("the chip was reset")
        self._is_converted = self._is_converted or bool(bus & _CONVERSION_READY)
        if not self._is_converted:
            raise SampleLost("no conversion is complete yet")
        level = bus >> _BUS_SHIFT
        if abs(shunt) >= self._shunt_limit or level >= self._bus_limit or bus & _OVERFLOW:
            raise OverRange("beyond the range of the INA219")
        volts, amps = level * BUS_LSB_V, shunt * SHUNT_LSB_V / self._shunt_ohm
        return Power(volts * amps, volts, amps, at=now - self._age_s)

    @property
    def warnings(self) -> list[str]:
        """In what the figures are weaker than they look."""
        if not self.resets:
            return []
        return [f"the chip began anew {often(self.resets)} (supply or wiring); it was set up again"]

    def close(self) -> None:
        """Close the bus; the chip goes on converting."""
        self._device.close()


def open_ina219(
    bus: int, address: int, shunt_ohm: float, bus_range: int, gain: int, averaging: int
) -> Ina219:
    """Open the chip at an address of ``/dev/i2c-<bus>``.

    Raises
    ------
    MeterError
        One line with the remedy; where nothing answers, it names addresses at which something does.
    """
    device = Device(bus, address)
    try:
        device.read(CONFIGURATION)
    except Busy:
        pass  # told by the driver
    except SampleLost:
        others = _neighbours(device)
        device.close()
        hint = f"An INA219 seems to be at {others}: set meters.address" if others else (
            "Check power, SDA, SCL and ground of the board"
        )
        message = f"nothing answers at {address:#04x}. {hint} ('i2cdetect -y {bus}' shows all)"
        raise MeterError(device.path, message) from None
    except MeterLost as lost:
        device.close()
        raise MeterError(device.path, lost.reason) from None
    return Ina219(device, shunt_ohm, bus_range, gain, averaging)


def _neighbours(device: Device) -> str:
    wanted, found = device.address, []
    for address in ADDRESSES:
        device.address = address
        if address != wanted and looks_like_one(device):
            found.append(f"{address:#04x}")
    device.address = wanted
    return ", ".join(found)


def _signed(word: int) -> int:
    return word - (1 << 16) if word & 1 << 15 else word
