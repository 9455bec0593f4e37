"""What `kgce check` says of an OPC UA connection."""

from __future__ import annotations

from collections import Counter

from collectors.opcua.keys import certified, password_of
from collectors.opcua.meters import opcua_connection, watched_meters
from config.site import Site


def describe_opcua(site: Site, connection_id: str) -> str:
    """A line; reads the files that the connection names, opens nothing. Raises ConfigError."""
    settings = opcua_connection(site, connection_id)
    place = f"connection {connection_id}"
    password_of(site.folder, settings, place)
    keys = certified(site.folder, settings, place)
    nodes = Counter(meter.interval_s for meter in watched_meters(site, connection_id))
    every = ", ".join(f"{count} nodes every {s:g} s" for s, count in sorted(nodes.items()))
    secure = f"security {settings.security}"
    if keys is not None:
        secure += f", our certificate is valid until {keys.valid_until:%Y-%m-%d}"
    return f"{connection_id}: OPC UA {settings.peer}, {secure}, {every or 'no meters'}"
