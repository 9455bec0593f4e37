"""From what age on a reading that a meter sends counts as late."""

from __future__ import annotations

from collections.abc import Mapping

from config.connections import POLLED
from config.site import Site


def late_after_s(site: Site) -> Mapping[str, float]:
    """Seconds by meter, of those that are connected and not polled: a poll is never late.

    A reading that comes later was a gap when the figures were first computed.
    """
    plant = site.plant
    return {
        meter_id: plant.quality.gap_factor * plant.interval_s(meter)
        for meter_id, meter in plant.meters.items()
        if meter.connection is not None
        and not isinstance(plant.connections[meter.connection], POLLED)
    }
