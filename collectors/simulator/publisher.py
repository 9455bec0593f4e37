"""Publishes the plant's MQTT meters: one message per topic and tick, QoS 1, each acknowledged.

A message is JSON in the shape that the ledger's value and time paths read, such as
``{"ts": "2026-09-01T00:15:00+08:00", "meters": {"coal_burner": 88104.0}}``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from collectors.base import Clock
from collectors.simulator.metered import MeteredPlant
from config.errors import CollectError, ConnectFailed
from config.models import Meter

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ACK_TIMEOUT_S = 30.0
_UNIX_UNIT_US = {"s": 1_000_000, "ms": 1_000, "us": 1}


def topics_of(meters: Mapping[str, Meter]) -> dict[str, list[Meter]]:
    """The meters of each topic."""
    topics: dict[str, list[Meter]] = {}
    for meter in meters.values():
        if meter.topic is not None:
            topics.setdefault(meter.topic, []).append(meter)
    return topics


def payload(plant: MeteredPlant, meters: list[Meter], time_us: int) -> bytes:
    """The message with the readings of ``meters`` at ``time_us``."""
    message: dict[str, Any] = {}
    for meter in meters:
        reading = round(plant.register_reading(meter.meter_id, time_us), 6)
        if meter.value_path is None:
            return json.dumps(reading).encode()
        _put(message, meter.value_path, reading)
        if meter.time_path is not None:
            _put(message, meter.time_path, _stamp(time_us, meter.time_unit or "iso", plant.zone))
    return json.dumps(message).encode()


def is_due(meter: Meter, time_us: int) -> bool:
    """An amount is told when its span is over; any other reading at every tick."""
    return meter.kind != "amount" or time_us % round((meter.span_minutes or 0) * 60e6) == 0


def _stamp(time_us: int, unit: str, zone: ZoneInfo) -> str | int:
    if unit in _UNIX_UNIT_US:
        return time_us // _UNIX_UNIT_US[unit]
    return (EPOCH + timedelta(microseconds=time_us)).astimezone(zone).isoformat()


def _put(message: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for key in above:
        message = message.setdefault(key, {})
    message[last] = value


class Publisher:
    """Publishes at every ``interval_us`` of the clock until cancelled.

    It waits for the broker's acknowledgement before it sleeps, so that on a `FastClock` no
    message is under way when time jumps. It is one participant.
    ``sent`` and ``acknowledged`` count messages, repeats included; ``readings`` the values in
    the acknowledged ones.
    """

    def __init__(
        self,
        plant: MeteredPlant,
        clock: Clock,
        *,
        port: int,
        host: str = "127.0.0.1",
        interval_us: int = 900_000_000,
        client_id: str = "kgce-simulator",
    ) -> None:
        self._plant, self._clock = plant, clock
        self._host, self._port = host, port
        self._interval_us = interval_us
        self._topics = topics_of(plant.meters)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self.sent = 0
        self.acknowledged = 0
        self.readings = 0

    async def run(self) -> None:
        """Publish the tick of now, if it is one, and every later tick, until cancelled.

        Raises ConnectFailed where there is no broker, CollectError where it does not acknowledge.
        """
        await self._connect()
        try:
            tick = -(-self._clock.now_us() // self._interval_us)
            while True:
                await self._clock.sleep_until(tick * self._interval_us)
                await self._publish(tick * self._interval_us)
                tick += 1
        finally:
            self._client.disconnect()
            await asyncio.to_thread(self._client.loop_stop)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()

        def on_publish(_client: mqtt.Client, _data: Any, message_id: int, *_more: Any) -> None:
            loop.call_soon_threadsafe(self._on_ack, message_id)

        self._client.on_publish = on_publish
        try:
            await asyncio.to_thread(self._client.connect, self._host, self._port)
        except OSError as error:
            raise ConnectFailed(
                f"MQTT broker {self._host}:{self._port}: {error.strerror or error}",
                data="nothing was published",
                todo="start the broker before the publisher",
            ) from error
        self._client.loop_start()

    async def _publish(self, time_us: int) -> None:
        copies = 2 if self._plant.faults.message_repeats(time_us) else 1
        waiting: list[asyncio.Future[None]] = []
        readings = 0
        for topic, meters in self._topics.items():
            if not all(is_due(meter, time_us) for meter in meters):
                continue
            message = payload(self._plant, meters, time_us)
            waiting.extend(self._send(topic, message) for _ in range(copies))
            readings += copies * len(meters)
        if not waiting:
            return
        _, late = await asyncio.wait(waiting, timeout=ACK_TIMEOUT_S)
        if late:
            raise CollectError(
                f"{len(late)} messages without acknowledgement for {ACK_TIMEOUT_S:g} s",
                data=f"{self.acknowledged} of {self.sent} were acknowledged",
            )
        self.readings += readings

    def _send(self, topic: str, message: bytes) -> asyncio.Future[None]:
        acknowledged = asyncio.get_running_loop().create_future()
        sent = self._client.publish(topic, message, qos=1)
        self._waiting[sent.mid] = acknowledged
        self.sent += 1
        return acknowledged

    def _on_ack(self, message_id: int) -> None:
        # Runs in the loop, so after _send has put the future there.
        self.acknowledged += 1
        waiting = self._waiting.pop(message_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
