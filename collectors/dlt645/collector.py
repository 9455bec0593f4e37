"""Reads the meters of one DL/T 645 line."""

from __future__ import annotations

from collectors.base import Clock, Sink, WallClock
from collectors.dlt645.line import MeterLine
from collectors.dlt645.plan import Request, poll_plan
from collectors.dlt645.values import dlt645_connection
from collectors.lines.poll import Poller
from config.site import Site


class Dlt645Collector(Poller[Request]):
    """Polls one DL/T 645 connection, and compares the meters' clocks with this machine's."""

    def __init__(
        self,
        site: Site,
        connection_id: str,
        sink: Sink,
        clock: Clock | None = None,
        interval_s: float | None = None,
        stagger_ratio: float = 0.0,
    ) -> None:
        """``interval_s`` goes before the configuration's intervals. Raises ConfigError."""
        clock = clock or WallClock()
        settings = dlt645_connection(site, connection_id)
        line = MeterLine(settings, clock, site.plant.plant.zone, connection_id)
        plans = poll_plan(site, connection_id, interval_s)
        super().__init__(connection_id, line, plans, sink, clock, stagger_ratio)
        self.stats.clock_offset_s = line.clocks.offset_s
