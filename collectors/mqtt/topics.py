"""MQTT topics: which meters a message feeds, and what it says of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from paho.mqtt.client import topic_matches_sub

from collectors.mqtt.offline import StatusTopic
from collectors.mqtt.payload import PayloadFormat, parse_path, payload_format
from collectors.mqtt.sparkplug import NAMESPACE, SparkplugMeter
from collectors.mqtt.sparkplug_payload import require_protobuf
from config.connections import GatewayStatus, Mqtt
from config.errors import ConfigError, InputError
from config.models import Meter
from config.site import Site
from config.topic_filter import plain_filter, sparkplug_problem

_REMEMBERED_TOPICS = 65536


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

    @property
    def plain_filter(self) -> str:
        return plain_filter(self.topic)

    @property
    def has_wildcards(self) -> bool:
        return "+" in self.plain_filter or "#" in self.plain_filter

    def matches(self, topic: str) -> bool:
        return topic_matches_sub(self.plain_filter, topic)


class Feed(NamedTuple):
    """What is to be done with the messages of a topic."""

    topic: str
    meters: tuple[MeterTopic, ...]
    is_status: bool
    is_sparkplug: bool


class Topics:
    """The topics of one connection."""

    def __init__(
        self,
        meters: Sequence[MeterTopic],
        sparkplug: Sequence[SparkplugMeter] = (),
        statuses: Sequence[StatusTopic] = (),
    ) -> None:
        self.meters = tuple(meters)
        self.sparkplug = tuple(sparkplug)
        self.statuses = tuple(statuses)
        self._exact: dict[str, list[int]] = {}
        self._patterns: list[int] = []  # places of the meters whose filter has wildcards
        for place, meter in enumerate(self.meters):
            if meter.has_wildcards:
                self._patterns.append(place)
            else:
                self._exact.setdefault(meter.plain_filter, []).append(place)
        # Topics repeat; a look at every wildcard is dear.
        self.feed = lru_cache(_REMEMBERED_TOPICS)(self._feed)

    @property
    def filters(self) -> tuple[str, ...]:
        """The filters to subscribe to, each once, in the ledger's order."""
        parts = [
            *(meter.topic for meter in self.meters),
            *(meter.topic for meter in self.sparkplug),
            *(status.topic for status in self.statuses),
        ]
        return tuple(dict.fromkeys(parts))

    @property
    def meter_count(self) -> int:
        return len(self.meters) + len(self.sparkplug)

    def _feed(self, topic: bytes) -> Feed:
        """What a message on ``topic`` feeds; meters in the ledger's order."""
        try:
            text = topic.decode("utf-8")
        except UnicodeDecodeError:
            return Feed("", (), False, False)  # no meter has such a topic
        places = set(self._exact.get(text, ()))
        places.update(place for place in self._patterns if self.meters[place].matches(text))
        return Feed(
            text,
            tuple(self.meters[place] for place in sorted(places)),
            any(status.matches(text) for status in self.statuses),
            bool(self.sparkplug) and text.startswith(f"{NAMESPACE}/"),
        )


def mqtt_connection(site: Site, connection_id: str) -> Mqtt:
    """The settings of an MQTT connection. Raises ConfigError where it is none."""
    return site.connection(connection_id, "MQTT", Mqtt)


def topics(site: Site, connection_id: str) -> Topics:
    """The topics of the meters of an MQTT connection.

    Raises ConfigError for a meter without a topic, with paths that cannot be used, or with a
    Sparkplug metric where the extra is missing.
    """
    settings = mqtt_connection(site, connection_id)
    meters = [meter for meter in site.plant.meters.values() if meter.connection == connection_id]
    return Topics(
        [_meter_topic(site, meter) for meter in meters if meter.metric is None],
        [_sparkplug_meter(meter, meter.metric) for meter in meters if meter.metric is not None],
        [_status_topic(connection_id, status) for status in settings.status],
    )


def _status_topic(connection_id: str, status: GatewayStatus) -> StatusTopic:
    try:
        path = parse_path(status.value_path) if status.value_path else None
    except InputError as error:
        raise ConfigError(
            f"connection {connection_id}: status {status.topic}: {error.given}",
            allowed=error.allowed,
        ) from error
    return StatusTopic(status.topic, status.offline, path)


def _sparkplug_meter(meter: Meter, metric: str) -> SparkplugMeter:
    place = f"meter {meter.meter_id}"
    topic = meter.topic or ""
    if (problem := sparkplug_problem(topic)) is not None:
        raise ConfigError(f"{place}: topic {topic!r} {problem[0]}", allowed=problem[1])
    require_protobuf(place)
    _, group, _, node, *device = topic.split("/")
    return SparkplugMeter(
        meter.meter_id, meter.quantity_name, group, node, device[0] if device else "", metric
    )


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
