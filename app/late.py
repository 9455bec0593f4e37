"""Readings that arrive long after their time, counted on their way to the spool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from collectors.base import Sink
from config.site import Site
from config.tables import Reading


def gap_us(site: Site, connection_id: str) -> dict[str, int]:
    """How old a reading of each meter of the connection may arrive, in microseconds.

    One that comes later was a gap when the figures were first computed.
    """
    plant = site.plant
    return {
        meter_id: round(plant.quality.gap_factor * plant.interval_s(meter) * 1e6)
        for meter_id, meter in plant.meters.items()
        if meter.connection == connection_id
    }


class LateSink:
    """Hands readings on, and counts the late ones that were taken into ``late``, by meter."""

    def __init__(self, sink: Sink, most_us: Mapping[str, int], late: Counter[str]) -> None:
        self._sink = sink
        self._most_us = most_us
        self._late = late

    def offer(
        self, readings: Sequence[Reading], on_durable: Callable[[], None] | None = None
    ) -> bool:
        if not self._sink.offer(readings, on_durable):
            return False
        for reading in readings:
            age_us = reading.received_us - reading.time_us
            if age_us > self._most_us.get(reading.meter_id, age_us):
                self._late[reading.meter_id] += 1
        return True
