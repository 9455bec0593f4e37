"""Gateways that say, or of which the broker says, that they are offline."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from collectors.memory import MemorySink
from config.errors import ConfigError
from tests.collectors.mqtt_site import VERSIONS, collector_of, is_up, sending
from tests.collectors.waiting import running, until
from tests.mosquitto import Broker


def gateway(port: int, name: str) -> Client:
    """A gateway whose last will is retained, as most do it; it says first that it is there."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=name)
    client.will_set(f"{name}/status", "offline", qos=1, retain=True)
    client.connect("127.0.0.1", port)
    client.loop_start()
    while not client.is_connected():
        time.sleep(0.01)
    client.publish(f"{name}/status", "online", qos=1, retain=True).wait_for_publish(20)
    return client


def vanish(client: Client) -> None:
    """Without a word: the broker sends its will."""
    link = client.socket()
    assert link is not None
    link.close()
    client.loop_stop()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_last_will(
    tmp_path: Path, broker: Broker, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        collector = collector_of(
            tmp_path,
            broker.port,
            MemorySink(),
            {"m": {"topic": "gw1/energy"}},
            version=version,
            status=[{"topic": "+/status"}],
        )
        async with running(collector):
            await until(is_up(collector))
            first, second = gateway(broker.port, "gw1"), gateway(broker.port, "gw2")
            vanish(first)
            await until(lambda: collector.health.detail == "offline: gw1/status")
            vanish(second)
            await until(lambda: collector.health.detail == "offline: gw1/status, gw2/status")
            await sending(broker.port, ("gw1/status", "offline"))  # again: nothing new
            again = gateway(broker.port, "gw1")
            await until(lambda: collector.health.detail == "offline: gw2/status")
            assert collector.health.state == "up"
            assert collector.stats.requests["offline"] == 2
            assert collector.health.good == 0
            again.disconnect()
            again.loop_stop()

    caplog.set_level(logging.INFO, "kgce.collectors.mqtt")
    asyncio.run(scenario())
    assert [r.message for r in caplog.records if "status" in r.message] == [
        "broker: gw1/status: offline",
        "broker: gw2/status: offline",
        "broker: gw1/status: good again, after offline",
    ]


def test_a_retained_will_is_seen_on_connecting(tmp_path: Path, broker: Broker) -> None:
    async def scenario() -> None:
        await sending(broker.port, ("gw1/status", "offline"), ("gw2/status", "on"), retain=True)
        collector = collector_of(
            tmp_path,
            broker.port,
            MemorySink(),
            {"m": {"topic": "gw1/energy"}},
            status=[{"topic": "gw1/status"}, {"topic": "gw2/status"}],
        )
        async with running(collector):
            await until(lambda: collector.health.detail == "offline: gw1/status")
            await sending(broker.port, ("gw2/status", "offline"), retain=True)
            await until(lambda: collector.health.detail == "offline: gw1/status, gw2/status")

    asyncio.run(scenario())


def test_states_in_json(tmp_path: Path, broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        collector = collector_of(
            tmp_path,
            broker.port,
            MemorySink(),
            {"m": {"topic": "gw1"}},
            status=[{"topic": "gw1/state", "offline": "False", "value_path": "is.online"}],
        )
        async with running(collector):
            await until(is_up(collector))
            for _ in range(3):
                await sending(broker.port, ("gw1/state", {"is": {"online": False}}))
            await until(lambda: collector.health.detail == "offline: gw1/state")
            for _ in range(3):
                await sending(broker.port, ("gw1/state", "what"))
            await until(lambda: "unreadable" in caplog.text)
            assert collector.health.detail == "offline: gw1/state"
            await sending(broker.port, ("gw1/state", {"is": {"online": True}}))
            await until(lambda: collector.health.detail == "")
        assert collector.stats.requests["offline"] == 1
        assert caplog.text.count("unreadable") == 2  # when it began and when it ended

    caplog.set_level(logging.INFO, "kgce.collectors.mqtt")
    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"topic": "a/#/b"}, "has # before its end"),
        ({"topic": ""}, "is empty"),
        ({"topic": "a", "value_path": "x["}, "status a: path 'x\\['"),
    ],
)
def test_wrong_status_topics(tmp_path: Path, status: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        collector_of(tmp_path, 1883, MemorySink(), {"m": {"topic": "t"}}, status=[status])
