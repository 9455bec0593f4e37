"""What goes wrong in a simulated plant, and when. The truth of the plant is not touched by it.

A Modbus unit that is out answers exception 11 (the gateway's target does not respond), while its
meter counts on: the total catches up. A meter that dips shows 0 for a moment. A message that is
repeated comes twice, as QoS 1 allows.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outage:
    """A Modbus unit that does not answer in ``[from_us, to_us)``."""

    unit_id: int
    from_us: int
    to_us: int


@dataclass(frozen=True)
class Dip:
    """A meter that shows 0 in ``[from_us, to_us)``."""

    meter_id: str
    from_us: int
    to_us: int


@dataclass(frozen=True)
class Faults:
    """The schedule of faults; empty, nothing goes wrong. Times are microseconds, UTC."""

    outages: tuple[Outage, ...] = ()
    dips: tuple[Dip, ...] = ()
    repeats_us: tuple[int, ...] = ()

    def unit_is_out(self, unit_id: int, time_us: int) -> bool:
        return any(
            outage.unit_id == unit_id and outage.from_us <= time_us < outage.to_us
            for outage in self.outages
        )

    def meter_dips(self, meter_id: str, time_us: int) -> bool:
        return any(
            dip.meter_id == meter_id and dip.from_us <= time_us < dip.to_us for dip in self.dips
        )

    def message_repeats(self, time_us: int) -> bool:
        return time_us in self.repeats_us
