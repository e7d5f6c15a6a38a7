"""``bnntrain energy list|record|calibrate``: power meters without a training run."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bnntrain.cli.options import SECONDS, NamedPath, NumberRange, json_option
from bnntrain.cli.output import echo_json
from bnntrain.config import Meters, load_meters, parse_override
from bnntrain.errors import Interrupted, UsageError, WriteError
from bnntrain.signals import caught
from bnntrain.text import columns

if TYPE_CHECKING:
    from bnntrain.meters.calibration import Calibration
    from bnntrain.meters.energy import EnergyMeter
    from bnntrain.meters.energy_record import EnergyRecord
    from bnntrain.meters.power import Power, PowerSource

_KINDS = ("auto", "ina219", "hwmon", "pmic", "rapl", "replay")
_WITH_SHUNT = ("ina219", "hwmon")
_LOOK_S = 0.2
_SIGNALLED = 128  # what shells add to the number of a signal
_PLAUSIBLE = 2.0


@click.group()
def energy() -> None:
    """Record power, calibrate a meter, list what this board has.

    A meter is set up by the section 'meters' of a configuration, given by --config, by
    -s meters.KEY=VALUE, or both. docs/measuring.md tells how to connect one.
    """


def _meter_options(command: Callable) -> Callable:
    for option in (
        click.option(
            "-s", "--set", "assignments", multiple=True, metavar="KEY=VALUE",
            help="Set a value, e.g. meters.shunt_ohm=0.0986; may be given again.",
        ),
        click.option("--config", metavar="CONFIG", help="Take the meter of a configuration."),
        click.option(
            "--energy", "kind", type=click.Choice(_KINDS), help="The meter. [meters.energy]"
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def _meters(config: str | None, assignments: tuple[str, ...], kind: str | None) -> Meters:
    """Return the section, with ``auto`` where nothing chooses a meter."""
    overrides = dict(map(parse_override, assignments))
    if kind is not None:
        overrides["meters.energy"] = kind
    meters = load_meters(config, overrides)
    if meters.energy == "none":
        meters = load_meters(config, {**overrides, "meters.energy": "auto"})
    return meters


@energy.command("list")
@_meter_options
@json_option
def list_(
    config: str | None, assignments: tuple[str, ...], kind: str | None, as_json: bool
) -> None:
    """List the meters of this board, and why some do not work."""
    from bnntrain.meters.sources import survey

    found = survey(_meters(config, assignments, kind), kind)
    if as_json:
        echo_json([asdict(each) for each in found])
        return
    rows = [
        (each.kind, f"{each.watts:.3f} W" if each.usable else "not usable", each.what)
        for each in found
    ]
    for line in columns(rows):
        click.echo(line)


@energy.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "-o", "--output", required=True, type=NamedPath(dir_okay=False, path_type=Path),
    help="A new file, e.g. power.csv.",
)  # fmt: skip
@click.option(
    "--for", "seconds", type=SECONDS, metavar="SECONDS",
    help="How long; without it and without COMMAND until Ctrl-C.",
)  # fmt: skip
@_meter_options
@json_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@click.pass_context
def record(
    context: click.Context,
    output: Path,
    seconds: float | None,
    config: str | None,
    assignments: tuple[str, ...],
    kind: str | None,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Record power into a file: for a time, or while a command runs.

    The exit code is that of COMMAND.
    """
    from bnntrain.meters.energy import EnergyMeter
    from bnntrain.meters.sources import open_source

    if command and seconds is not None:
        raise UsageError("--for and COMMAND are given. Give one of them")
    if command and shutil.which(command[0]) is None:
        raise UsageError(f"{command[0]}: no such command")
    meters = _meters(config, assignments, kind)
    source = open_source(meters)
    try:
        _make(output)
    except BaseException:
        source.close()
        raise
    meter = EnergyMeter(source, meters.interval, output)
    with _signals() as asked:
        meter.start()
        try:
            code = _run(command, asked) if command else _wait(meter, seconds, asked)
        finally:
            result = meter.stop()
    _report(result, output, as_json)
    if not command and asked.is_set() and seconds is not None:
        raise Interrupted(f"stopped before {seconds:g} s were over. {output} is valid")
    context.exit(code if command or result.available else 1)


def _make(path: Path) -> None:
    """Make a new file, so that nothing is written over."""
    try:
        path.open("x").close()
    except FileExistsError:
        raise UsageError(f"{path}: exists already. Give another name, or delete it") from None
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{path.parent} is no folder. Make it, or give another name") from None
    except OSError as error:
        message = f"cannot be written ({error.strerror or error}). Give another name"
        raise WriteError(path, message) from None


@contextlib.contextmanager
def _signals() -> Iterator[threading.Event]:
    """Turn Ctrl-C, SIGTERM and a hang-up into an event: the file is finished first."""
    asked = threading.Event()
    with caught(lambda *_: asked.set()):
        yield asked


def _wait(meter: EnergyMeter, seconds: float | None, asked: threading.Event) -> int:
    end = None if seconds is None else time.monotonic() + seconds
    while not asked.is_set() and meter.failure is None:
        left = _LOOK_S if end is None else end - time.monotonic()
        if left <= 0:
            break
        asked.wait(min(left, _LOOK_S))
    return 0


def _run(command: tuple[str, ...], asked: threading.Event) -> int:
    """Run a command to its end; a terminal sends it Ctrl-C itself, other signals are passed on."""
    with subprocess.Popen(command) as child:

        def pass_on(number: int, _frame: object) -> None:
            asked.set()
            if number != signal.SIGINT:
                child.send_signal(number)

        with caught(pass_on):
            code = child.wait()
    return code if code >= 0 else _SIGNALLED - code


def _report(result: EnergyRecord, output: Path, as_json: bool) -> None:
    if as_json:
        echo_json(result.to_json())
        return
    for line in _lines(result, output):
        click.echo(line, err=True)


def _lines(result: EnergyRecord, output: Path) -> Iterator[str]:
    """The result in words; on standard error, because COMMAND may print on the other."""
    if not result.available:
        yield f"energy: not available, {result.reason}"
    if result.watts is not None:
        part = "" if result.available else " until then"
        yield (
            f"energy: {result.joules:.3f} J in {result.seconds:.2f} s{part}, "
            f"mean {result.watts:.3f} W"
        )
    yield f"samples: {result.samples}, {result.lost_samples} lost"
    yield from (f"warning: {text}" for text in result.warnings)
    yield f"meter: {result.meter}"
    yield f"recorded: {click.format_filename(output)}"


@energy.command()
@click.option(
    "--load", "load_ohm", type=NumberRange(1e-3, 1e6), metavar="OHM",
    help="Resistor that is the only load behind the meter.",
)  # fmt: skip
@click.option(
    "--amps", type=NumberRange(1e-6, 1e3), metavar="A",
    help="What a multimeter in line shows instead.",
)  # fmt: skip
@click.option(
    "--volts", type=NumberRange(1e-3, 1e3), metavar="V",
    help="What a multimeter shows behind the meter, to check its voltage.",
)  # fmt: skip
@click.option(
    "--error", "error_percent", type=NumberRange(0, 100), default=1.0, show_default=True,
    metavar="PERCENT", help="Uncertainty of resistor or multimeter.",
)  # fmt: skip
@click.option(
    "--for", "seconds", type=SECONDS, default=10.0, show_default=True,
    metavar="SECONDS", help="How long to measure.",
)  # fmt: skip
@_meter_options
@json_option
def calibrate(
    load_ohm: float | None,
    amps: float | None,
    volts: float | None,
    error_percent: float,
    seconds: float,
    config: str | None,
    assignments: tuple[str, ...],
    kind: str | None,
    as_json: bool,
) -> None:
    """Find the true resistance of the shunt by a known current.

    Give --load, or --amps (with --volts, if you like) of a multimeter. The result is a line for the
    configuration.
    """
    from bnntrain.meters.calibration import calibrate as compute
    from bnntrain.meters.sources import open_source

    if (load_ohm is None) == (amps is None):
        raise UsageError("give either --load or --amps")
    meters = _meters(config, assignments, kind)
    with contextlib.closing(open_source(meters)) as source:
        if source.kind not in _WITH_SHUNT:
            raise UsageError(f"{source.label} has no shunt. Give --energy ina219 or hwmon")
        label = source.label
        samples = _samples(source, meters.interval, seconds)
    found = compute(samples, meters.shunt_ohm, error_percent / 100, load_ohm, amps)
    far = not 1 / _PLAUSIBLE < found.shunt_ohm / meters.shunt_ohm < _PLAUSIBLE
    if as_json:
        echo_json({**asdict(found), "plausible": not far})
        return
    click.echo(f"meter: {label}")
    for line in _calibration_lines(found, meters.shunt_ohm, volts, far):
        click.echo(line)


def _calibration_lines(
    found: Calibration, shunt_ohm: float, volts: float | None, far: bool
) -> Iterator[str]:
    yield (
        f"measured: {found.volts:.3f} V and {found.amps:.4f} A with a shunt of {shunt_ohm:g} ohm, "
        f"{found.samples} samples"
    )
    if volts is not None:
        off = 100 * (found.volts / volts - 1)
        yield f"voltage: {off:+.2f} % from the multimeter's {volts:g} V"
    if far:
        yield (
            f"warning: far from {shunt_ohm:g} ohm. Is the shunt another one, or does something "
            "else draw current?"
        )
    share = 100 * found.error_ohm / found.shunt_ohm
    yield f"shunt: {found.shunt_ohm:.5f} ohm, +- {found.error_ohm:.5f} ({share:.1f} %)"
    yield "for the configuration:"
    yield f"meters: {{shunt_ohm: {found.shunt_ohm:.5f}}}"


def _samples(source: PowerSource, interval_s: float, seconds: float) -> list[Power]:
    from bnntrain.meters.power import MeterError, MeterLost, OverRange, SampleLost

    found: list[Power] = []
    end = time.monotonic() + seconds
    reason = ""
    while time.monotonic() < end:
        try:
            found.append(source.read())
        except OverRange:
            message = "the current is beyond its range. Raise meters.gain, or take a smaller load"
            raise MeterError(source.label, message) from None
        except SampleLost as lost:
            reason = lost.reason
        except MeterLost as lost:
            raise MeterError(source.label, lost.reason) from None
        time.sleep(interval_s)
    if not found:
        raise MeterError(source.label, f"no sample could be taken ({reason})")
    return found
