"""A plant for the daemon's tests: a Modbus server, a real mosquitto, and a publisher that counts.

Two Modbus units count tenths of seconds; the messages of the publisher are numbered. Everything is
on loopback, and ends with its block.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as mqtt
import polars as pl
from paho.mqtt.enums import CallbackAPIVersion

from app import jobs
from app.sites import load_site
from config.tables import READINGS
from tests.app.commands import PATIENCE_S, Ended, inside, until
from tests.collectors.servers import SILENCE, Answer, Asked, ScriptedServer, free_port
from tests.plants import write_plant

INTERVAL_S = 0.2
TOPIC = "lab/number"
PACKET_IDS = 65_535
UNLIMITED = "max_queued_messages 0"  # mosquitto would drop from 1000 on

ONE: Mapping[str, str] = {
    "meter_id": "e-one", "name": "Unit 1", "node": "kiln", "energy": "electricity",
    "kind": "counter", "unit": "kWh", "connection": "gateway", "unit_id": "1", "register": "0",
    "type": "u64",
}  # fmt: skip
TWO: Mapping[str, str] = {**ONE, "meter_id": "e-two", "unit_id": "2", "node": "mill"}
NUMBERED: Mapping[str, str] = {
    "meter_id": "m-number", "name": "Numbered messages", "node": "works", "energy": "electricity",
    "kind": "counter", "unit": "kWh", "connection": "broker", "topic": TOPIC, "value_path": "n",
    "time_path": "t", "time_unit": "us", "interval_s": "600",
}  # fmt: skip


def write_lab(
    folder: Path,
    *,
    modbus_port: int,
    mqtt_port: int,
    meters: Sequence[Mapping[str, str]] = (ONE, TWO, NUMBERED),
    connections: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Path:
    """plant.yaml of the lab; ``connections`` are added to the gateway and the broker."""
    host = {"host": "127.0.0.1"}
    gateway = {"type": "modbus_tcp", **host, "port": modbus_port, "timeout_s": 0.3}
    broker = {"type": "mqtt", **host, "port": mqtt_port, "version": "5"}
    settings: dict[str, Any] = {
        "connections": {"gateway": gateway, "broker": broker, **(connections or {})},
        "products": None,
        "imports": None,
        "intervals": {"poll_s": INTERVAL_S, "flush_s": 0.3, "refresh_s": 1},
    }
    return write_plant(folder, meters=meters, **{**settings, **sections})


def _packet_id(number: int) -> int:
    return (number - 1) % PACKET_IDS + 1


class Units:
    """A Modbus server on a thread of its own. Units in ``silent`` do not answer."""

    def __init__(self) -> None:
        self.silent: set[int] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="modbus-units")
        self._server = ScriptedServer(self._answer)
        self.port = self._server.port

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def start(self) -> None:
        self._do(self._server.listen())

    def stop(self) -> None:
        """Hang up, and refuse connections."""
        self._do(self._server.stop())

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE_S)

    def _answer(self, asked: Asked) -> Answer:
        if asked.unit_id in self.silent:
            return SILENCE
        tenths = time.time_ns() // 100_000_000
        return asked.reply([tenths >> shift & 0xFFFF for shift in (48, 32, 16, 0)])


class Publisher:
    """Publishes 1, 2, 3 ... with QoS 1, each with a time of its own, on paho's thread.

    ``acknowledged`` holds the numbers for which the broker's PUBACK came. While there is no
    broker, messages wait here. The packet's id counts with the number, from 1 again after 65,535:
    no more may be under way.
    """

    def __init__(self, port: int) -> None:
        self.published = 0
        self.acknowledged: set[int] = set()
        self._last_us = 0
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="lab-publisher", clean_session=False
        )
        self._client.on_publish = self._on_publish
        self._client.reconnect_delay_set(1, 1)
        self._client.max_queued_messages_set(0)
        self._client.connect("127.0.0.1", port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, count: int) -> None:
        """The next ``count`` messages."""
        for _ in range(count):
            self.published += 1
            self._last_us = max(self._last_us + 1, time.time_ns() // 1000)
            message = json.dumps({"n": self.published, "t": self._last_us})
            assert self._client.publish(TOPIC, message, qos=1).mid == _packet_id(self.published)

    def publish_all_the_time(self, pause_s: float) -> None:
        def run() -> None:
            while not self._ending.wait(pause_s):
                self.publish(1)

        self._thread = threading.Thread(target=run, name="lab-publisher")
        self._thread.start()

    def stop(self) -> None:
        """Publish nothing more."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)

    def wait_until_acknowledged(self) -> None:
        until(
            lambda: len(self.acknowledged) == self.published,
            "the broker's acknowledgements",
            3 * PATIENCE_S,
        )

    def _on_publish(self, _client: mqtt.Client, _data: Any, mid: int, *_more: Any) -> None:
        last = self.published
        self.acknowledged.add(last - (_packet_id(last) - mid) % PACKET_IDS)


def status(plant: Path) -> Ended:
    """`kgce status` as JSON; whether all is well is its exit code."""
    return inside("status", "-p", plant, "--format", "json")


def account(plant: Path, meter_id: str) -> dict[str, Any]:
    """The loss account of a meter, with the reasons as a mapping."""
    (row,) = (row for row in status(plant).records() if row["meter_id"] == meter_id)
    return {**row, "reasons": json.loads(row["reasons"] or "{}")}


def good(plant: Path, meter_id: str) -> int:
    return int(account(plant, meter_id)["good"])


def in_lake(plant: Path, meter_id: str) -> pl.DataFrame:
    """The lake's readings of a meter, in order of time."""
    site = load_site(plant)
    rows = jobs.open_lake(site).scan(READINGS, site.id).filter(pl.col("meter_id") == meter_id)
    return rows.sort("time_utc").collect()


def numbers_in_lake(plant: Path) -> list[int]:
    """The numbers of the messages in the lake, each as often as it is there."""
    return sorted(int(value) for value in in_lake(plant, "m-number")["value"])


def assert_every_tick_has_one_outcome(plant: Path, meter_id: str) -> None:
    """Of a meter that was polled: the account balances, and the lake holds it."""
    said, ticks = account(plant, meter_id), in_lake(plant, meter_id)["sequence"]
    assert said["balanced"], said
    assert said["expected"] == said["good"] + said["missing"] + said["dropped"]
    assert ticks.n_unique() == len(ticks)
    first, last = ticks.min(), ticks.max()
    assert isinstance(first, int)
    assert isinstance(last, int)
    not_running = said["reasons"].get("not_running", 0)
    assert len(ticks) + not_running == said["expected"] == last - first + 1, said


__all__ = [
    "INTERVAL_S", "NUMBERED", "ONE", "TWO", "UNLIMITED", "Publisher", "Units", "account",
    "assert_every_tick_has_one_outcome", "free_port", "good", "in_lake", "numbers_in_lake",
    "status", "write_lab",
]  # fmt: skip
