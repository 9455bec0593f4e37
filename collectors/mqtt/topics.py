"""MQTT topics: which meters a message feeds, and what it says of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from paho.mqtt.client import topic_matches_sub

from collectors.mqtt.payload import PayloadFormat, payload_format
from config.connections import Mqtt
from config.errors import ConfigError, InputError
from config.models import Meter
from config.site import Site

_REMEMBERED_TOPICS = 4096


@dataclass(frozen=True)
class MeterTopic:
    """What one meter takes from the messages of a topic filter."""

    meter_id: str
    quantity: str
    topic: str
    format: PayloadFormat

    @property
    def has_own_time(self) -> bool:
        """Whether its messages carry the time of the reading."""
        return self.format.time_path is not None

    def matches(self, topic: str) -> bool:
        topic_filter = self.topic
        if topic_filter.startswith("$share/"):  # MQTT 5.0, 4.8.2: $share/<name>/<filter>
            topic_filter = topic_filter.split("/", 2)[-1]
        return topic_matches_sub(topic_filter, topic)


class Topics:
    """The topics of one connection."""

    def __init__(self, meters: Sequence[MeterTopic]) -> None:
        self.meters = tuple(meters)
        # A trie per look-up is dear; topics repeat.
        self._remembered = lru_cache(_REMEMBERED_TOPICS)(self._find)

    @property
    def filters(self) -> tuple[str, ...]:
        """The filters to subscribe to, each once, in the ledger's order."""
        return tuple(dict.fromkeys(meter.topic for meter in self.meters))

    def meters_of(self, topic: str) -> tuple[MeterTopic, ...]:
        """The meters that a message on ``topic`` feeds."""
        return self._remembered(topic)

    def _find(self, topic: str) -> tuple[MeterTopic, ...]:
        return tuple(meter for meter in self.meters if meter.matches(topic))


def mqtt_connection(site: Site, connection_id: str) -> Mqtt:
    """The settings of an MQTT connection. Raises ConfigError where it is none."""
    connection = site.plant.connections.get(connection_id)
    if not isinstance(connection, Mqtt):
        raise ConfigError(
            f"connection {connection_id!r} is no MQTT connection",
            allowed=", ".join(
                name for name, one in site.plant.connections.items() if isinstance(one, Mqtt)
            )
            or "none is configured",
        )
    return connection


def topics(site: Site, connection_id: str) -> Topics:
    """The topics of the meters of an MQTT connection.

    Raises ConfigError for a meter without a topic, or with paths that cannot be used.
    """
    mqtt_connection(site, connection_id)
    meters = [meter for meter in site.plant.meters.values() if meter.connection == connection_id]
    return Topics([_meter_topic(site, meter) for meter in meters])


def _meter_topic(site: Site, meter: Meter) -> MeterTopic:
    if not meter.topic:
        raise ConfigError(f"meter {meter.meter_id}: a meter on MQTT needs a topic")
    try:
        how = payload_format(
            meter.value_path, meter.time_path, meter.time_unit, site.plant.plant.zone
        )
    except InputError as error:
        raise ConfigError(
            f"meter {meter.meter_id}: {error.given}", allowed=error.allowed, todo=error.todo
        ) from error
    return MeterTopic(meter.meter_id, meter.quantity_name, meter.topic, how)
