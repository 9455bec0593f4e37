"""The meters of an OPC UA connection, and what is remembered of each value.

A server reports a value only when it changes, so a meter that stands still would look like a dead
one. Once an interval a value that nothing was heard of is therefore read. If it is the one known,
with the time stamp known, it is a reading of *now*; but "now" must be told on the clock of the
value's own stamps, or an old value could be put after a newer one, and a counter seem to fall:

    server's clock 12:00:10, source's stamp of that change 12:00:07   -> the source is 3 s behind
    read at 12:01:10 by the server's clock, still the same            -> stands at 12:01:07

How far the source is behind is seen at each change that is reported as it happens. Of the first
value after a connection nobody knows when it changed; it tells no more than that a source is not
ahead of its server. A server that stamps unchanged values anew is believed: that stamp is used.
"""

from __future__ import annotations

from dataclasses import dataclass

from asyncua import ua

from collectors.opcua.values import Sample
from config.connections import OpcUa
from config.errors import ConfigError
from config.models import Meter
from config.opc_node import OpcNode, parse_opc_node
from config.site import Site


def opcua_connection(site: Site, connection_id: str) -> OpcUa:
    """The settings of an OPC UA connection. Raises ConfigError where it is none."""
    return site.connection(connection_id, "OPC UA", OpcUa)


@dataclass
class Watched:
    """One meter's node. ``heard``: since the last tick. ``monitored``: the server reports it."""

    meter_id: str
    quantity: str
    node: OpcNode
    interval_s: float
    handle: int
    node_id: ua.NodeId | None = None
    monitored: bool = False
    begun: bool = False
    heard: bool = False
    known: tuple[int | None, float] | None = None
    read: tuple[int | None, float] | None = None
    known_us: int = 0
    behind_us: int = 0

    def begin(self) -> None:
        """A new connection: the first report says nothing about when the value changed."""
        self.node_id, self.monitored, self.begun, self.heard = None, False, False, False

    def reported_us(self, sample: Sample, server_now_us: int) -> int | None:
        """Time of a value that the server reported; None where it is known already.

        ``server_now_us``: when it was published, by the server's clock.
        """
        if sample.value is None:
            return _stated(sample, server_now_us)
        seen_us = sample.server_us if sample.server_us is not None else server_now_us
        if sample.source_us is not None:
            behind_us = seen_us - sample.source_us
            self.behind_us = behind_us if self.begun else min(behind_us, 0)
        self.begun = True
        now = (sample.source_us, sample.value)
        if sample.source_us is not None and now in (self.known, self.read):
            return None  # a read was faster, or this is the first report of a new connection
        return self._learn(sample, _stated(sample, server_now_us))

    def read_us(self, sample: Sample, server_now_us: int) -> int | None:
        """Time of a value that was read; None where it lies before the one known."""
        if sample.value is None:
            return server_now_us
        self.read = (sample.source_us, sample.value)
        same_stamp = self.known is not None and self.known[0] == sample.source_us
        if sample.source_us is not None and not same_stamp:
            return self._learn(sample, sample.source_us)
        now_us = server_now_us - (self.behind_us if sample.source_us is not None else 0)
        return self._learn(sample, now_us) if now_us > self.known_us else None

    def _learn(self, sample: Sample, time_us: int) -> int:
        assert sample.value is not None
        self.known, self.known_us = (sample.source_us, sample.value), time_us
        return time_us


def _stated(sample: Sample, server_now_us: int) -> int:
    return sample.stated_us if sample.stated_us is not None else server_now_us


def watched_meters(site: Site, connection_id: str) -> list[Watched]:
    """The meters of a connection, in the ledger's order. Raises ConfigError for a wrong node id."""
    meters = [m for m in site.plant.meters.values() if m.connection == connection_id]
    return [_watched(site, meter, handle) for handle, meter in enumerate(meters, 1)]


def _watched(site: Site, meter: Meter, handle: int) -> Watched:
    try:
        node = parse_opc_node(meter.opc_node or "")
    except ConfigError as error:
        raise ConfigError(
            f"meter {meter.meter_id}: opc_node: {error.given}", allowed=error.allowed
        ) from error
    interval_s = site.plant.interval_s(meter)
    return Watched(meter.meter_id, meter.quantity_name, node, interval_s, handle)


def node_id_of(node: OpcNode, namespaces: list[str]) -> ua.NodeId | None:
    """The id by the server's own namespace table; None where it lacks the namespace."""
    index = node.namespace_index
    if node.namespace_uri is not None:
        if node.namespace_uri not in namespaces:
            return None
        index = namespaces.index(node.namespace_uri)
    return ua.NodeId.from_string(f"ns={index};{node.local_text}")
