"""The Raspberry Pi 5's own power chip, asked by ``vcgencmd pmic_read_adc``.

It tells current and voltage of its output rails. Their sum leaves out what does not pass through
them: its own losses, the 5 V of USB ports and header, fan and HATs. It is below the power at the
plug and good for comparing, not for the plug.

Source: Raspberry Pi's documentation of ``vcgencmd``: lines such as ``VDD_CORE_A current(7)=0.7A``.
"""

from __future__ import annotations

import re
import shutil
import subprocess

from bnntrain.meters.power import MeterError, Power, SampleLost

_LINE = re.compile(
    r"^\s*(?P<rail>\w+)_(?P<unit>[AV])\s+(?:current|volt)\(\d+\)=(?P<value>[-+.\deE]+)(?P=unit)\s*$"
)
_TIMEOUT_S = 2
_COMMAND = ("vcgencmd", "pmic_read_adc")


def rails(text: str) -> dict[str, tuple[float, float]]:
    """Return volts and amperes of the rails of which both are told."""
    values: dict[str, dict[str, float]] = {"A": {}, "V": {}}
    for line in text.splitlines():
        found = _LINE.match(line)
        if found:
            try:
                values[found["unit"]][found["rail"]] = float(found["value"])
            except ValueError:
                continue
    amps, volts = values["A"], values["V"]
    return {name: (volts[name], amps[name]) for name in amps if name in volts}


class Pmic:
    """A power source.

    Raises
    ------
    MeterError
        This is no Raspberry Pi 5, or its firmware may not be asked.
    """

    kind = "pmic"
    period_s = 0.02  # a program is started for every sample

    def __init__(self) -> None:
        self._program = shutil.which(_COMMAND[0])
        if self._program is None:
            message = "is not installed: this is no Raspberry Pi OS. Choose another meters.energy"
            raise MeterError(_COMMAND[0], message)
        try:
            answer = self._ask()
        except SampleLost as lost:
            raise MeterError(" ".join(_COMMAND), lost.reason) from None
        self._count = len(rails(answer))
        if not self._count:
            raise MeterError(" ".join(_COMMAND), _why_nothing(answer))
        self.label = f"Raspberry Pi 5 PMIC, sum of {self._count} rails, without USB, fan and losses"

    def _ask(self) -> str:
        command = [self._program, *_COMMAND[1:]]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace", timeout=_TIMEOUT_S,
                check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SampleLost(f"vcgencmd did not answer ({type(error).__name__})") from None
        return done.stdout

    def read(self) -> Power:
        """Return the sum over the rails now."""
        found = rails(self._ask())
        if len(found) < self._count:
            raise SampleLost(f"{len(found)} of {self._count} rails were told")
        return Power(sum(volts * amps for volts, amps in found.values()))

    def close(self) -> None:
        """Nothing is open."""


def _why_nothing(answer: str) -> str:
    said = " ".join(answer.split())[:80]
    if re.search("permission|can't open|vchi|vcio", said, re.IGNORECASE):
        return "no permission. Run 'sudo usermod -aG video $USER' and log in again"
    return f"tells of no rails ('{said}'): only a Raspberry Pi 5 does. Choose another meters.energy"
