"""Topic filters, shared subscriptions, and what one message says of several meters."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from collectors.memory import MemorySink
from collectors.mqtt.topics import topics
from config.errors import ConfigError
from tests.collectors.mqtt_site import MOMENT_S, VERSIONS, collector_of, is_up, sending
from tests.collectors.sites import meter, site_of
from tests.collectors.waiting import running, until
from tests.mosquitto import Broker

BROKER = {"type": "mqtt", "host": "127.0.0.1"}


@pytest.mark.parametrize("version", VERSIONS)
def test_two_collectors_share_a_load(tmp_path: Path, broker: Broker, version: str) -> None:
    """Each message goes to one of them; both get some; none is lost."""

    async def scenario() -> None:
        sinks = [MemorySink(), MemorySink()]
        rows = {"m": {"topic": "$share/kgce/pool/+", "value_path": "v"}}
        one, two = (
            collector_of(
                tmp_path / name, broker.port, sink, rows, version=version, client_id=f"kgce-{name}"
            )
            for name, sink in zip(("one", "two"), sinks, strict=True)
        )
        async with running(one), running(two):
            await until(lambda: is_up(one)() and is_up(two)())
            await sending(broker.port, *((f"pool/{n % 7}", {"v": n}) for n in range(200)))
            await until(lambda: sum(len(sink.readings) for sink in sinks) >= 200)
        got = [[reading.value for reading in sink.readings] for sink in sinks]
        assert all(len(some) > 20 for some in got)
        assert sorted(got[0] + got[1]) == list(map(float, range(200)))

    asyncio.run(scenario())


WRONG = {
    "empty": ("", "needs a topic"),
    "share alone": ("$share", "names no group"),
    "share without a group": ("$share//a/b", "names no group"),
    "share without a filter": ("$share/kgce", "has nothing after its group 'kgce'"),
    "share with an empty filter": ("$share/kgce/", "has nothing after its group 'kgce'"),
    "share with a wildcard group": ("$share/+/a", "has a wildcard in its group '+'"),
    "# before the end": ("a/#/b", "has # before its end"),
    "# before the end, shared": ("$share/kgce/a/#/b", "has # before its end"),
    "# beside text": ("a/b#", "has a wildcard inside the level 'b#'"),
    "+ beside text": ("a+/b", "has a wildcard inside the level 'a+'"),
    "NUL": ("a/\0/b", "has a character that MQTT forbids"),
    "too long": ("a" * 65_536, "is 65536 bytes long"),
    "too long in UTF-8": ("电" * 21_846, "is 65538 bytes long"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_filters_are_refused(tmp_path: Path, case: str) -> None:
    topic, said = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        site_of(tmp_path, {"broker": BROKER}, {"m": meter("broker", topic=topic)})
    assert said in str(caught.value)
    assert "allowed:" in str(caught.value) or case == "empty"
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "topic", ["a", "/", "a//b", "#", "+", "+/+", "a/+/#", "$share/g/#", "$SYS/x", "电" * 21_845]
)
def test_right_filters(tmp_path: Path, topic: str) -> None:
    site = site_of(tmp_path, {"broker": BROKER}, {"m": meter("broker", topic=topic)})
    assert topics(site, "broker").filters == (topic,)


def test_the_meters_of_a_topic(tmp_path: Path) -> None:
    filters = ["a/b", "a/+", "a/#", "a/b", "$share/g/a/b", "$share/g/+/b", "c"]
    rows = {f"m{n}": meter("broker", topic=one, role="check") for n, one in enumerate(filters)}
    known = topics(site_of(tmp_path, {"broker": BROKER}, rows), "broker")

    def fed(topic: bytes) -> list[str]:
        return [one.meter_id for one in known.feed(topic).meters]

    assert fed(b"a/b") == ["m0", "m1", "m2", "m3", "m4", "m5"]
    assert fed(b"a") == ["m2"]
    assert fed(b"a/x") == ["m1", "m2"]
    assert fed(b"c") == ["m6"]
    assert fed(b"\xff") == []
    assert len(known.filters) == 6


FIELDS: dict[str, dict[str, Any]] = {
    "seconds": {"value_path": "e.v", "time_path": "e.at", "time_unit": "s"},
    "millis": {"value_path": "p.v", "time_path": "p.at", "time_unit": "ms"},
    "micros": {"value_path": "q[0]", "time_path": "q[1]", "time_unit": "us"},
    "iso": {"value_path": "w.v", "time_path": "w.at", "time_unit": "iso"},
    "arrival": {"value_path": "n"},
    "missing": {"value_path": "e.v", "time_path": "no.time", "time_unit": "s"},
}
MESSAGE = {
    "e": {"v": 1.5, "at": MOMENT_S},
    "p": {"v": 2.5, "at": str(MOMENT_S * 1000 + 250)},
    "q": [3.5, MOMENT_S * 1_000_000 + 7],
    "w": {"v": 4.5, "at": "2026-10-01T08:00:00.5"},  # of the plant: Asia/Shanghai
    "n": "5.5",
}


@pytest.mark.parametrize("version", VERSIONS)
def test_each_field_has_its_own_time_and_unit(tmp_path: Path, broker: Broker, version: str) -> None:
    async def scenario() -> None:
        sink = MemorySink()
        rows = {n: {"topic": "gw/1", "role": "check", **fields} for n, fields in FIELDS.items()}
        collector = collector_of(tmp_path, broker.port, sink, rows, version=version)
        async with running(collector):
            await until(is_up(collector))
            await sending(broker.port, ("gw/1", MESSAGE))
            await until(lambda: len(sink.readings) == 6)
        found = {one.meter_id: (one.value, one.time_us - MOMENT_S * 10**6) for one in sink.readings}
        assert found["seconds"] == (1.5, 0)
        assert found["millis"] == (2.5, 250_000)
        assert found["micros"] == (3.5, 7)
        assert found["iso"] == (4.5, 500_000)
        arrival = sink.readings[4]
        assert (arrival.value, arrival.time_us - arrival.received_us < 1_000_000) == (5.5, True)
        assert sink.readings[5].status == "bad_payload"
        assert collector.stats.requests == {"bad_payload": 1}
        assert set(collector.stats.last_good_us) == {
            "seconds", "millis", "micros", "iso", "arrival"
        }  # fmt: skip
        assert collector.stats.connects == 1

    asyncio.run(scenario())
