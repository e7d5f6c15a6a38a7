"""An INA219 (or a relative of it) that the kernel's own driver ina2xx reads: ``/sys/class/hwmon``.

The driver computes currents with a shunt of its own. Without a word in the device tree that is 10
milliohm, while the usual breakout board has 100: currents and powers then are ten times too high.
So its ``shunt_resistor`` is compared with ``meters.shunt_ohm``: where they differ by a calibration,
the current is corrected; where they differ by more, one of them is wrong and nothing is measured.

A chip that was without supply for a moment has lost the calibration register that the driver set
when it was loaded: its currents are 0 from then on, whatever flows. Its voltages tell.

Source: the kernel's documentation of the driver ina2xx (micro-ohms) and of hwmon's files
(millivolts, milliamperes).
"""

from __future__ import annotations

from pathlib import Path

from bnntrain.meters.files import number_of, sample_of, text_of
from bnntrain.meters.power import MeterError, OverRange, Power, SampleLost

_CHIPS = ("ina219", "ina220", "ina226", "ina230", "ina231", "ina2xx")
_MILLI, _MICRO = 1e-3, 1e-6
_CALIBRATION = 0.2
# Millivolts over the shunt at which these two are at their limit.
_LIMITS = {"ina219": 320, "ina220": 320}
# Millivolts and milliamperes from which on a current of 0 is no rounding.
_NOTABLE = 2
_FOLDER = "sys/class/hwmon"


class Hwmon:
    """A power source.

    Parameters
    ----------
    shunt_ohm : float
        True resistance of the shunt.
    bus, address : int
        Which chip, where there are several.
    root : Path
        Folder that stands for ``/``.

    Raises
    ------
    MeterError
        There is none, or the kernel's shunt is another.
    """

    kind = "hwmon"

    def __init__(
        self, shunt_ohm: float, bus: int = 1, address: int = 0x40, root: Path = Path("/")
    ) -> None:
        self._folder = _find(root, bus, address)
        chip = text_of(self._folder / "name")
        self._limit = _LIMITS.get(chip)
        kernel_ohm = _shunt(self._folder)
        self._factor = 1.0
        self._ohm = kernel_ohm or shunt_ohm
        if kernel_ohm is not None:
            _check_shunt(self._folder, kernel_ohm, shunt_ohm)
            self._factor = kernel_ohm / shunt_ohm
        told = f"shunt {shunt_ohm:g} ohm" if kernel_ohm else "shunt not told by the kernel"
        self.label = f"{chip} by the kernel's driver ({self._folder.name}), {told}"

    def read(self) -> Power:
        """Return the power now."""
        shunt = self._folder / "in0_input"
        over_shunt = abs(sample_of(shunt)) if shunt.exists() else 0
        if self._limit is not None and over_shunt >= self._limit:
            raise OverRange("beyond the range of the chip")
        volts = sample_of(self._folder / "in1_input") * _MILLI
        milliamps = sample_of(self._folder / "curr1_input")
        if not milliamps and over_shunt >= _NOTABLE * max(1.0, self._ohm):
            raise SampleLost(
                f"{over_shunt} mV over the shunt and a current of 0: the chip has lost its "
                "calibration. Unload its driver and load it again"
            )
        amps = milliamps * _MILLI * self._factor
        return Power(volts * amps, volts, amps)

    def close(self) -> None:
        """Nothing is open."""


def _find(root: Path, bus: int, address: int) -> Path:
    place = f"{bus}-{address:04x}"
    folders = sorted((root / _FOLDER).glob("hwmon*"))
    found = [each for each in folders if text_of(each / "name") in _CHIPS]
    if not found:
        message = (
            "the kernel drives no INA219. Set meters.energy: ina219, or run "
            f"'echo ina219 {address:#04x} | sudo tee /sys/bus/i2c/devices/i2c-{bus}/new_device'"
        )
        raise MeterError(f"/{_FOLDER}", message)
    there = [each for each in found if (each / "device").resolve().name == place]
    if not there and len(found) > 1:
        places = ", ".join((each / "device").resolve().name for each in found)
        message = f"several chips ({places}), none at {place}. Set meters.bus and meters.address"
        raise MeterError(f"/{_FOLDER}", message)
    return (there or found)[0]


def _shunt(folder: Path) -> float | None:
    """Return the kernel's shunt in ohm."""
    for path in (folder / "shunt_resistor", folder / "device" / "shunt_resistor"):
        microohms = number_of(path)
        if microohms is not None and microohms > 0:
            return microohms * _MICRO
    return None


def _check_shunt(folder: Path, kernel_ohm: float, shunt_ohm: float) -> None:
    ratio = kernel_ohm / shunt_ohm
    if abs(ratio - 1) <= _CALIBRATION:
        return
    wrong = f"{1 / ratio:.3g} times too high" if ratio < 1 else f"{ratio:.3g} times too low"
    micro = round(shunt_ohm / _MICRO)
    message = (
        f"the kernel takes the shunt for {kernel_ohm:g} ohm and meters.shunt_ohm is {shunt_ohm:g}: "
        f"its currents would be {wrong}. Run 'echo {micro} | sudo tee {folder}/shunt_resistor', "
        "or correct meters.shunt_ohm"
    )
    raise MeterError(folder / "shunt_resistor", message)
