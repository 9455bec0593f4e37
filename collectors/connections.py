"""The collector of each connection, and what it would ask for."""

from __future__ import annotations

from collectors.base import Clock, Collector, Sink
from collectors.modbus.collector import ModbusCollector
from collectors.modbus.registers import plan_line, poll_plan
from collectors.mqtt.client import make_client
from collectors.mqtt.collector import MOST_HELD, MqttCollector
from collectors.mqtt.topics import topics
from config.connections import Files, ModbusTcp, Mqtt
from config.errors import ConfigError
from config.site import Site


def make_collector(
    site: Site,
    connection_id: str,
    sink: Sink,
    clock: Clock | None = None,
    interval_s: float | None = None,
) -> Collector:
    """The collector of a connection; ``interval_s`` goes before the intervals of a polled one.

    Raises ConfigError for a connection that is unknown or that nothing collects from.
    """
    connection = site.plant.connections.get(connection_id)
    if isinstance(connection, ModbusTcp):
        return ModbusCollector(site, connection_id, sink, clock, interval_s)
    if isinstance(connection, Mqtt):
        return MqttCollector(site, connection_id, sink, clock)
    raise ConfigError(
        f"connection {connection_id!r} " + ("takes imports only" if connection else "is unknown"),
        allowed=", ".join(
            name for name, one in site.plant.connections.items() if not isinstance(one, Files)
        )
        or "none is configured",
    )


def describe(site: Site, connection_id: str) -> str:
    """What the collector of a connection would ask for, a line each: for ``kgce check``.

    Raises ConfigError where the collector could not be made.
    """
    connection = site.plant.connections.get(connection_id)
    if isinstance(connection, ModbusTcp):
        plan = poll_plan(site, connection_id)
        peer = f"{connection_id}: Modbus TCP {connection.host}:{connection.port}"
        lines = [f"every {interval:g} s {plan_line(plan[interval])}" for interval in plan]
        return "\n".join(f"{peer}, {line}" for line in lines or ["no meters"])
    if isinstance(connection, Mqtt):
        known = topics(site, connection_id)
        make_client(site, connection_id, connection, MOST_HELD)  # reads its files, opens nothing
        meters, filters = len(known.meters), known.filters
        peer = f"{connection_id}: MQTT {connection.version} {connection.host}:{connection.port}"
        return f"{peer}, {len(filters)} topics for {meters} meters: {', '.join(filters) or 'none'}"
    if connection is not None:
        return f"{connection_id}: files, read by `kgce import`"
    raise ConfigError(
        f"unknown connection {connection_id!r}",
        allowed=", ".join(site.plant.connections) or "none is configured",
    )
