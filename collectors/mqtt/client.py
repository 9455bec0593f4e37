"""A session as an MQTT connection of the configuration asks for."""

from __future__ import annotations

from pathlib import Path

from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collectors.mqtt.session import Session
from collectors.tls import tls_context
from config.connections import Mqtt
from config.errors import ConfigError
from config.site import Site

_FOREVER = 0xFFFFFFFF  # MQTT 5.0, 3.1.2.11.2


def make_client(
    site: Site, connection_id: str, settings: Mqtt, most_unacknowledged: int
) -> Session:
    """A client with a persistent session and manual acknowledgement; it is not connected yet.

    ``most_unacknowledged`` is what a version 5 broker is told to keep in flight. Raises ConfigError
    for a password, certificate or key file that cannot be used.
    """
    client_id = settings.client_id or f"kgce-{site.id}-{connection_id}"
    version5 = settings.version == "5"
    client = Session(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if version5 else False,
        protocol=MQTTProtocolVersion.MQTTv5 if version5 else MQTTProtocolVersion.MQTTv311,
        # It would otherwise fall back to MQTT 3.1 by itself.
        reconnect_on_failure=False,
        manual_ack=True,
        server_name=settings.tls.server_name if settings.tls else None,
    )
    place = f"connection {connection_id}"
    if settings.username is not None:
        client.username_pw_set(settings.username, _password(site.folder, settings, place))
    elif settings.password_file is not None:
        raise ConfigError(f"{place}: password_file without username", allowed="both or neither")
    if settings.tls is not None:
        client.tls_set_context(tls_context(site.folder, settings.tls, place))
    properties = None
    if version5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = min(settings.session_expiry_s, _FOREVER)
        properties.ReceiveMaximum = most_unacknowledged
    client.connect_async(
        settings.host,
        settings.port,
        settings.keepalive_s,
        clean_start=False,
        properties=properties,
    )
    return client


def _password(folder: Path, settings: Mqtt, place: str) -> str | None:
    if settings.password_file is None:
        return None
    file = folder / settings.password_file
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{place}: password_file {file}: {error}",
            allowed="a readable file that holds the password, in UTF-8",
        ) from error
