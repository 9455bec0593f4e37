"""The connection itself: while nothing is read, with QoS 2, and among a thousand open files."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import time
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from collectors.memory import MemorySink
from collectors.mqtt import collector as mqtt
from tests.collectors.mqtt_site import VERSIONS, collector_of, is_up, sending
from tests.collectors.waiting import WithholdingSink, running, until
from tests.mosquitto import Broker


@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_sink_does_not_end_the_connection(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """Nothing is read for longer than the broker bears silence; it hears of the client still."""
    monkeypatch.setattr(mqtt, "MOST_HELD", 5)

    async def scenario() -> None:
        sink = MemorySink(capacity=0)
        collector = collector_of(
            tmp_path, broker.port, sink, {"m": {"topic": "t"}}, version=version, keepalive_s=5
        )
        async with running(collector):
            await until(is_up(collector))
            await sending(broker.port, *(("t", str(n)) for n in range(50)), qos=0)
            await asyncio.sleep(9)  # mosquitto lets go after one and a half keep-alives
            assert collector.health.state == "waiting"
            sink.capacity = None
            await until(lambda: len(sink.readings) == 50)
            await until(is_up(collector))
            assert collector.stats.connects == 1
        assert [reading.value for reading in sink.readings] == [float(n) for n in range(50)]

    asyncio.run(scenario())


def test_messages_of_qos_2_from_an_earlier_subscription(tmp_path: Path, broker: Broker) -> None:
    """kgce asks for QoS 1; a session of the same name may hold messages of QoS 2."""
    client = Client(CallbackAPIVersion.VERSION2, "kgce-p1-broker", clean_session=False)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    granted: list[object] = []
    client.on_subscribe = lambda *arguments: granted.append(arguments)
    client.subscribe("t", 2)
    deadline_s = time.monotonic() + 20
    while not granted and time.monotonic() < deadline_s:
        time.sleep(0.01)
    client.disconnect()
    client.loop_stop()

    async def scenario() -> None:
        first = WithholdingSink()
        meters = {"m": {"topic": "t"}}
        await sending(broker.port, *(("t", str(n)) for n in range(5)), qos=2)
        await sending(broker.port, *(("t", str(n)) for n in range(5, 10)), qos=1)
        collector = collector_of(tmp_path, broker.port, first, meters)
        async with running(collector):
            await until(lambda: len(first.readings) == 10)
            assert collector.acknowledged == 0
            first.become_durable()
            await until(lambda: collector.acknowledged == 10)
        second = MemorySink()
        collector = collector_of(tmp_path, broker.port, second, meters)
        async with running(collector):
            await until(is_up(collector))
            await sending(broker.port, ("t", "10"))
            await until(lambda: second.readings)
        assert {reading.value for reading in first.readings} == set(map(float, range(10)))
        assert [reading.value for reading in second.readings] == [10.0]

    asyncio.run(scenario())


def test_acknowledgements_keep_the_order(tmp_path: Path, broker: Broker) -> None:
    """As MQTT demands; the broker's log tells (PUBACK in, by packet identifier)."""

    async def scenario() -> None:
        sink = WithholdingSink()
        collector = collector_of(
            tmp_path, broker.port, sink, {"m": {"topic": "a"}, "n": {"topic": "b"}}, version="5"
        )
        async with running(collector):
            await until(is_up(collector))
            for n in range(30):
                await sending(broker.port, ("ab"[n % 2], str(n)))
            await until(lambda: len(sink.readings) == 30)
            sink.become_durable()
            await until(lambda: collector.acknowledged == 30)
            wanted = "Received PUBACK from kgce-p1-broker (Mid: "
            await until(lambda: broker.log.read_text().count(wanted) == 30)
        mids = [
            int(line.split("Mid: ")[1].split(",")[0].rstrip(")"))
            for line in broker.log.read_text().splitlines()
            if wanted in line
        ]
        assert mids == sorted(mids)

    asyncio.run(scenario())


def test_among_a_thousand_open_files(tmp_path: Path, broker: Broker) -> None:
    """select() fails from descriptor 1024 on; a plant with many meters gets there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2048 if hard == resource.RLIM_INFINITY else min(2048, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]

    async def scenario() -> None:
        sink = MemorySink()
        collector = collector_of(tmp_path, broker.port, sink, {"m": {"topic": "t"}})
        async with running(collector):
            await until(is_up(collector))
            assert collector._client._packets is not None
            assert collector._client._packets.fileno() > 1024
            command = ["mosquitto_pub", "-p", str(broker.port), "-t", "t", "-m", "1", "-q", "1"]
            subprocess.run(command, check=True)  # a publisher in this process would use select()
            await until(lambda: sink.readings)

    try:
        asyncio.run(scenario())
    finally:
        for file in files:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
