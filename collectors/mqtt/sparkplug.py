"""Metrics of Sparkplug B edge nodes and devices, as readings.

The session knows aliases and data types from birth certificates alone. Sparkplug publishes with
QoS 0, so a birth may pass unseen; a gap in the sequence numbers therefore ends the trust in
aliases until the next birth. A host application would ask for a rebirth; this reader sends nothing.
Statuses besides ``good``:

    no_value      the metric is null
    stale         the edge node says so (quality 500)
    bad_quality   the edge node says so (any other quality that is not good)
    bad_payload   what is there is no number, or has no usable time
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import NamedTuple

from collectors.base import GOOD
from collectors.changes import Changes
from collectors.mqtt.offline import Offline
from collectors.mqtt.payload import BAD_PAYLOAD, number, time_us
from collectors.mqtt.sparkplug_payload import (
    GOOD_QUALITY,
    STALE_QUALITY,
    Metric,
    SparkplugPayload,
    decode,
    number_of,
)
from collectors.stats import Stats
from config.errors import InputError

NAMESPACE = "spBv1.0"
SEQUENCES = 256
BIRTHS, DEATHS, DATA = ("NBIRTH", "DBIRTH"), ("NDEATH", "DDEATH"), ("NDATA", "DDATA")
NO_BIRTH, SEQUENCE_GAP = "no_birth", "sequence_gap"


class SparkplugMeter(NamedTuple):
    """A meter that takes one metric of an edge node, or of a ``device`` below it."""

    meter_id: str
    quantity: str
    group: str
    node: str
    device: str  # "" for the edge node itself
    metric: str

    @property
    def topic(self) -> str:
        """All of the edge node: sequence numbers run through all its devices."""
        return f"{NAMESPACE}/{self.group}/+/{self.node}/#"


class Outcome(NamedTuple):
    """One reading to be; ``value`` is None unless ``status`` is good."""

    meter: SparkplugMeter
    time_us: int | None  # None: the time of arrival
    value: float | None
    status: str
    detail: str = ""


class _Known(NamedTuple):
    """What a birth certificate says of a metric."""

    name: str
    datatype: int | None


@dataclass
class _Unit:
    """An edge node itself (device ""), or a device below it, since its birth."""

    aliases: dict[int, _Known] = field(default_factory=dict)
    datatypes: dict[str, int | None] = field(default_factory=dict)


@dataclass
class _Node:
    units: dict[str, _Unit] = field(default_factory=dict)
    sequence: int | None = None
    birth_sequence: float | str | None = None  # bdSeq: ties a death certificate to its birth


class Sparkplug:
    """The edge nodes of one connection that have meters here. For one thread."""

    def __init__(
        self, meters: Sequence[SparkplugMeter], offline: Offline, changes: Changes, stats: Stats
    ) -> None:
        self._offline = offline
        self._changes = changes
        self._stats = stats
        self._nodes: dict[tuple[str, str], _Node] = {
            (meter.group, meter.node): _Node() for meter in meters
        }
        self._meters: dict[tuple[str, str, str], list[SparkplugMeter]] = {}
        for meter in meters:
            key = meter.group, meter.node, meter.device
            self._meters.setdefault(key, []).append(meter)

    def outcomes(self, topic: str, raw: bytes, *, dup: bool) -> list[Outcome] | None:
        """What a message says of the meters; None where it is of no edge node known here."""
        levels = topic.split("/")
        if len(levels) not in (4, 5) or levels[0] != NAMESPACE:
            return None
        group, kind, name = levels[1:4]
        device = levels[4] if len(levels) == 5 else ""
        node = self._nodes.get((group, name))
        if node is None:
            return None
        if kind not in BIRTHS + DEATHS + DATA:
            return []  # a command to the node, by somebody else
        meters = self._meters.get((group, name, device), [])
        try:
            payload = decode(raw)
        except InputError as error:
            return [Outcome(meter, None, None, BAD_PAYLOAD, str(error)) for meter in meters]
        place = f"{group}/{name}" + (f"/{device}" if device else "")
        if kind in DEATHS:
            self._die(node, place, kind, payload)
            return []
        self._follow(node, f"{group}/{name}", kind, payload, dup=dup)
        if kind in BIRTHS:
            self._be_born(node, device, kind, payload)
            self._changes.note(f"Sparkplug {place}", GOOD)
        self._offline.mark(place, offline=False)
        if device:
            self._offline.mark(f"{group}/{name}", offline=False)
        return list(self._readings(node, device, place, meters, payload))

    def _die(self, node: _Node, place: str, kind: str, payload: SparkplugPayload) -> None:
        if kind == "NDEATH":
            told = _birth_sequence(payload)
            # The broker may send the will of the connection before the one that is alive.
            if None not in (told, node.birth_sequence) and told != node.birth_sequence:
                return
            node.units.clear()
            node.sequence = None
        self._offline.mark(place, offline=True)

    def _follow(
        self, node: _Node, place: str, kind: str, payload: SparkplugPayload, *, dup: bool
    ) -> None:
        """Watch the sequence numbers: 0 to 255 over all messages of the node, then again 0."""
        given, last = payload.sequence, node.sequence
        if given is None:
            return
        node.sequence = given
        if kind == "NBIRTH" or last is None or dup or given == (last + 1) % SEQUENCES:
            return
        self._stats.requests[SEQUENCE_GAP] += 1
        for unit in node.units.values():
            unit.aliases.clear()
        self._changes.note(
            f"Sparkplug {place}",
            "messages are missing",
            f"sequence number {given} after {last}; aliases are not trusted until the next birth",
        )

    def _be_born(self, node: _Node, device: str, kind: str, payload: SparkplugPayload) -> None:
        if kind == "NBIRTH":
            node.units.clear()  # the devices follow with births of their own
            node.birth_sequence = _birth_sequence(payload)
        unit = node.units[device] = _Unit()
        for metric in payload.metrics:
            if metric.name is None:
                continue
            unit.datatypes[metric.name] = metric.datatype
            if metric.alias is not None:
                unit.aliases[metric.alias] = _Known(metric.name, metric.datatype)

    def _readings(
        self,
        node: _Node,
        device: str,
        place: str,
        meters: Sequence[SparkplugMeter],
        payload: SparkplugPayload,
    ) -> Iterator[Outcome]:
        unit = node.units.get(device) or _Unit()
        unknown = False
        for metric in payload.metrics:
            name, datatype = metric.name, metric.datatype
            if name is None:
                known = unit.aliases.get(metric.alias if metric.alias is not None else -1)
                if known is None:
                    unknown = True
                    continue
                name, datatype = known.name, datatype or known.datatype
            elif datatype is None:
                datatype = unit.datatypes.get(name)
            for meter in meters:
                if meter.metric == name:
                    yield _outcome(meter, metric, datatype, payload.time_ms)
        if unknown and meters:
            self._stats.requests[NO_BIRTH] += 1
            self._changes.note(
                f"Sparkplug {place}",
                "unknown aliases",
                "no birth certificate since kgce connected, or since messages went missing; let "
                "the edge node send one (restart it, or have its host application ask for it)",
            )


def _birth_sequence(payload: SparkplugPayload) -> float | str | None:
    return next((metric.raw for metric in payload.metrics if metric.name == "bdSeq"), None)


def _outcome(
    meter: SparkplugMeter, metric: Metric, datatype: int | None, payload_ms: int | None
) -> Outcome:
    given_ms = payload_ms if metric.time_ms is None else metric.time_ms
    try:
        at_us = None if given_ms is None else time_us(given_ms, "ms", UTC)
    except InputError as error:
        return Outcome(meter, None, None, BAD_PAYLOAD, str(error))
    if metric.is_null:
        return Outcome(meter, at_us, None, "no_value", "the metric is null")
    if metric.quality is not None and metric.quality != GOOD_QUALITY:
        status = "stale" if metric.quality == STALE_QUALITY else "bad_quality"
        return Outcome(meter, at_us, None, status, f"quality {metric.quality}")
    try:
        return Outcome(meter, at_us, number(number_of(metric, datatype)), GOOD)
    except InputError as error:
        return Outcome(meter, at_us, None, BAD_PAYLOAD, str(error))
