"""Meters: what a run costs in memory and energy.

``phases.py`` has the names of the phases, ``alarm.py`` what a thread that samples waits for.
Memory: ``resident.py`` for this moment and the peak, ``memory.py`` over time, ``memory_readers.py``
for what it samples, ``mprof_file.py`` for its file. Both meters together: ``recording.py``.

Power, each file importing only from those above it::

    power.py          what a power source is, and how it may fail
    i2c.py, files.py  words of an I2C device, numbers in the kernel's files
    ina219.py, hwmon.py, pmic.py, rapl.py, replay.py   the sources
    sources.py        the one that a configuration names
    integral.py       samples -> joules by phase
    power_csv.py      samples -> power.csv, and back
    energy_record.py  what is said at the end
    energy.py         the thread that samples
"""

from bnntrain.meters.resident import PeakMeter, rss_bytes

__all__ = ["PeakMeter", "rss_bytes"]
