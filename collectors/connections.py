"""The collector of each connection, and what it would ask for."""

from __future__ import annotations

from importlib.util import find_spec

from collectors.base import Clock, Collector, Sink
from collectors.dlt645.collector import Dlt645Collector
from collectors.dlt645.load import describe_dlt645
from collectors.modbus.collector import ModbusCollector
from collectors.modbus.connection import ReadOnlyConnection
from collectors.modbus.plan import describe_modbus
from collectors.mqtt.client import make_client
from collectors.mqtt.collector import MOST_HELD, MqttCollector
from collectors.mqtt.topics import topics
from config.connections import Dlt645, Files, Folder, Modbus, Mqtt, OpcUa, SqlDatabase
from config.errors import ConfigError
from config.site import Site


def make_collector(
    site: Site,
    connection_id: str,
    sink: Sink,
    clock: Clock | None = None,
    interval_s: float | None = None,
    stagger_ratio: float = 0.0,
) -> Collector:
    """The collector of a connection. For a polled one ``interval_s`` goes before the
    configuration's intervals, and ``stagger_ratio`` (0 to 1) shifts its polls inside a second.

    Raises ConfigError for a connection that is unknown or that nothing collects from.
    """
    connection = site.plant.connections.get(connection_id)
    if isinstance(connection, Modbus):
        return ModbusCollector(site, connection_id, sink, clock, interval_s, stagger_ratio)
    if isinstance(connection, Dlt645):
        return Dlt645Collector(site, connection_id, sink, clock, interval_s, stagger_ratio)
    if isinstance(connection, Mqtt):
        return MqttCollector(site, connection_id, sink, clock)
    if isinstance(connection, OpcUa):
        _refuse_without_asyncua(connection_id)
        from collectors.opcua.collector import OpcUaCollector

        return OpcUaCollector(site, connection_id, sink, clock)
    raise ConfigError(
        f"connection {connection_id!r} " + ("takes imports only" if connection else "is unknown"),
        allowed=", ".join(
            name
            for name, one in site.plant.connections.items()
            if not isinstance(one, Files | Folder | SqlDatabase)
        )
        or "none is configured",
    )


def describe(site: Site, connection_id: str) -> str:
    """What the collector of a connection would ask for, a line each: for ``kgce check``.

    Raises ConfigError where the collector could not be made.
    """
    connection = site.plant.connections.get(connection_id)
    if isinstance(connection, Modbus):
        ReadOnlyConnection(connection, site.folder)  # reads its files, opens nothing
        return describe_modbus(site, connection_id)
    if isinstance(connection, Dlt645):
        return describe_dlt645(site, connection_id)
    if isinstance(connection, Mqtt):
        known = topics(site, connection_id)
        make_client(site, connection_id, connection, MOST_HELD)  # reads its files, opens nothing
        meters, filters = known.meter_count, known.filters
        peer = f"{connection_id}: MQTT {connection.version} {connection.host}:{connection.port}"
        return f"{peer}, {len(filters)} topics for {meters} meters: {', '.join(filters) or 'none'}"
    if isinstance(connection, OpcUa):
        _refuse_without_asyncua(connection_id)
        from collectors.opcua.describe import describe_opcua

        return describe_opcua(site, connection_id)
    if isinstance(connection, Folder):
        return _describe_folder(site, connection_id, connection)
    if isinstance(connection, SqlDatabase):
        from collectors.sql.client import describe_sql

        return describe_sql(site, connection_id)
    if connection is not None:
        return f"{connection_id}: files, read by `kgce import`"
    raise ConfigError(
        f"unknown connection {connection_id!r}",
        allowed=", ".join(site.plant.connections) or "none is configured",
    )


def _refuse_without_asyncua(connection_id: str) -> None:
    if find_spec("asyncua") is None:
        raise ConfigError(
            f"connection {connection_id}: OPC UA needs the extra `opcua`, which is not installed",
            todo="install it: `uv tool install 'kgce[opcua]'`, or `pip install 'kgce[opcua]'`",
        )


def _describe_folder(site: Site, connection_id: str, settings: Folder) -> str:
    """Only here is a folder that is not there refused: a share that is away for a while must not
    keep the daemon from the meters."""
    folder = site.folder / settings.path
    if not folder.is_dir():
        raise ConfigError(
            f"connection {connection_id}: no folder {folder}",
            allowed="a folder; a relative path starts at plant.yaml",
            todo="make it, or mount the share",
        )
    mapping = f"mapping {settings.mapping!r}" if settings.mapping else "the mapping that fits"
    every = f"every {settings.look_s:g} s"
    return f"{connection_id}: folder {folder}, {settings.files} {every}, read by {mapping}"
