"""Meters: what a run costs in memory (and, later, energy)."""

from bnntrain.meters.memory import PeakMeter, available_bytes, rss_bytes

__all__ = ["PeakMeter", "available_bytes", "rss_bytes"]
