"""Sparkplug B: payloads of an encoder that nobody here wrote, and bytes by the specification."""

from __future__ import annotations

import asyncio
import logging
import struct
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from collectors.changes import Changes
from collectors.connections import describe
from collectors.memory import MemorySink
from collectors.mqtt.collector import MqttCollector
from collectors.mqtt.offline import Offline
from collectors.mqtt.sparkplug import Outcome, Sparkplug, SparkplugMeter
from collectors.mqtt.sparkplug_payload import decode, number_of
from collectors.stats import Stats
from config.errors import ConfigError, InputError
from tests.collectors.sites import meter, site_of
from tests.collectors.waiting import running, until
from tests.mosquitto import Broker

MOMENT_MS = 1_790_812_800_000
MOMENT_US = MOMENT_MS * 1000

# Encoded by pysparkplug 0.6.1: bdSeq 7; Energy (UInt64, alias 11), Power (Int16, 12), Voltage
# (Float, 13), Flow (Double, 14), Name (String, 15), Count (Int64, 16), Small (Int8, 17), Big
# (UInt32, 18); then data a minute later by alias alone: Energy, Power (historical, 59 s), Voltage
# (null); then the death certificate of bdSeq 7.
NBIRTH = bytes.fromhex(
    "0880888ba68f3412120a0562645365711880888ba68f342004580712210a144e6f646520436f6e74726f6c2f52"
    "6562697274681880888ba68f34200b70001800"
)
DBIRTH = bytes.fromhex(
    "0880888ba68f34121a0a06456e65726779100b1880888ba68f34200858cb89ec8ff72312160a05506f77657210"
    "0c1880888ba68f3420025086fe0312190a07566f6c74616765100d1880888ba68f3420096500806643121a0a04"
    "466c6f77100e1880888ba68f34200a69000000000000f4bf12190a044e616d65100f1880888ba68f34200c7a06"
    "626f696c6572121d0a05436f756e7410101880888ba68f34200458fbffffffffffffffff0112150a05536d616c"
    "6c10111880888ba68f34200150fd0112160a0342696710121880888ba68f34200750ffffffff0f1801"
)
DDATA = bytes.fromhex(
    "08e0dc8ea68f341210100b18e0dc8ea68f3458d589ec8ff723120f100c18f8d48ea68f3428015085fe03120b10"
    "0d18e0dc8ea68f3438011802"
)
NDEATH = bytes.fromhex("12120a0562645365711880888ba68f3420045807")


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number: int, value: int | bytes | float | str) -> bytes:
    """A protobuf field: varint, double, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def payload(*metrics: bytes, seq: int | None = None, at_ms: int | None = MOMENT_MS) -> bytes:
    return (
        (b"" if at_ms is None else field(1, at_ms))
        + b"".join(field(2, metric) for metric in metrics)
        + (b"" if seq is None else field(3, seq))
    )


def quality(code: int) -> bytes:
    """The field `properties` of a metric with the property Quality."""
    value = field(1, 3) + field(3, code)
    return field(9, field(1, "Quality") + field(2, value))


class Bench:
    """One edge node with a device, and meters on its metrics."""

    def __init__(self, *metrics: str, device: str = "dev1") -> None:
        changes = Changes(logging.getLogger("kgce.collectors.mqtt"))
        self.stats = Stats()
        self.offline = Offline("broker", changes, self.stats, lambda: None)
        self.meters = [
            SparkplugMeter(name.lower(), "value", "plant", "edge1", device, name)
            for name in metrics
        ]
        self._sparkplug = Sparkplug(self.meters, self.offline, changes, self.stats)

    def take(self, kind: str, raw: bytes, device: str = "dev1", *, dup: bool = False) -> Any:
        below = f"/{device}" if kind.startswith("D") else ""
        return self._sparkplug.outcomes(f"spBv1.0/plant/{kind}/edge1{below}", raw, dup=dup)

    def values(self, kind: str, raw: bytes, **how: Any) -> list[tuple[str, object, str]]:
        return [(o.meter.meter_id, o.value, o.status) for o in self.take(kind, raw, **how)]


EVERY = ("Energy", "Power", "Voltage", "Flow", "Count", "Small", "Big")


def test_values_of_every_type_with_their_signs() -> None:
    bench = Bench(*EVERY)
    bench.take("NBIRTH", NBIRTH)
    assert bench.values("DBIRTH", DBIRTH) == [
        ("energy", 1234567890123.0, "good"),
        ("power", -250.0, "good"),
        ("voltage", 230.5, "good"),
        ("flow", -1.25, "good"),
        ("count", -5.0, "good"),
        ("small", -3.0, "good"),
        ("big", 4294967295.0, "good"),
    ]


def test_aliases_times_and_nulls() -> None:
    bench = Bench("Energy", "Power", "Voltage")
    bench.take("NBIRTH", NBIRTH)
    assert {o.time_us for o in bench.take("DBIRTH", DBIRTH)} == {MOMENT_US}
    energy, power, voltage = bench.take("DDATA", DDATA)
    assert energy == Outcome(bench.meters[0], MOMENT_US + 60_000_000, 1234567890133.0, "good")
    assert power == Outcome(bench.meters[1], MOMENT_US + 59_000_000, -251.0, "good")
    assert voltage[1:4] == (MOMENT_US + 60_000_000, None, "no_value")
    assert not bench.stats.requests


def test_a_metric_that_is_no_number() -> None:
    bench = Bench("Name")
    bench.take("NBIRTH", NBIRTH)
    assert bench.values("DBIRTH", DBIRTH) == [("name", None, "bad_payload")]


def test_aliases_without_a_birth(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench("Energy")
    assert bench.take("DDATA", DDATA) == []
    assert bench.take("DDATA", payload(field(2, 11), seq=3)) == []
    assert bench.stats.requests == {"no_birth": 2}
    assert len(caplog.records) == 1
    assert "no birth certificate" in caplog.text


def test_names_need_no_birth() -> None:
    bench = Bench("Energy")
    named = field(1, "Energy") + field(4, 4) + field(11, -7)
    assert bench.values("DDATA", payload(named, seq=9)) == [("energy", -7.0, "good")]


def test_a_gap_in_the_sequence_ends_the_trust_in_aliases(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench("Energy")
    bench.take("NBIRTH", NBIRTH)  # 0
    bench.take("DBIRTH", DBIRTH)  # 1
    assert bench.values("DDATA", DDATA) == [("energy", 1234567890133.0, "good")]  # 2
    by_alias = field(2, 11) + field(11, 5)
    assert bench.values("DDATA", payload(by_alias, seq=4)) == []
    assert bench.stats.requests == {"sequence_gap": 1, "no_birth": 1}
    assert "sequence number 4 after 2" in caplog.text
    bench.take("NBIRTH", NBIRTH)
    bench.take("DBIRTH", DBIRTH)
    assert bench.values("DDATA", payload(by_alias, seq=2)) == [("energy", 5.0, "good")]


def test_the_sequence_runs_through_all_devices_and_wraps() -> None:
    bench = Bench("Energy")
    bench.take("NBIRTH", NBIRTH)
    for number in range(1, 600):
        bench.take("DDATA", payload(seq=number % 256), device=f"dev{number % 3}")
    bench.take("DDATA", payload(seq=599 % 256), dup=True)  # sent again by the broker
    assert bench.stats.requests == {}


@pytest.mark.parametrize(
    ("code", "status"), [(192, "good"), (0, "bad_quality"), (500, "stale"), (7, "bad_quality")]
)
def test_quality(code: int, status: str) -> None:
    bench = Bench("Energy")
    metric = field(1, "Energy") + field(4, 10) + quality(code) + field(13, 2.5)
    value = 2.5 if status == "good" else None
    assert bench.values("DDATA", payload(metric, seq=1)) == [("energy", value, status)]


def test_times() -> None:
    bench = Bench("Energy")
    metric = field(1, "Energy") + field(4, 10) + field(13, 2.5)
    assert bench.take("DDATA", payload(metric))[0].time_us == MOMENT_US  # the payload's
    assert bench.take("DDATA", payload(metric, at_ms=None))[0].time_us is None  # of arrival
    own = metric + field(3, MOMENT_MS + 5)
    assert bench.take("DDATA", payload(own))[0].time_us == MOMENT_US + 5000
    unset = bench.take("DDATA", payload(metric + field(3, 0)))[0]
    assert (unset.status, unset.time_us) == ("bad_payload", None)


def test_deaths() -> None:
    bench = Bench("Energy")
    bench.take("NBIRTH", NBIRTH)
    bench.take("DBIRTH", DBIRTH)
    bench.take("DDEATH", payload(seq=2))
    assert str(bench.offline) == "plant/edge1/dev1"
    bench.take("NDEATH", payload(field(1, "bdSeq") + field(4, 4) + field(11, 6)))
    assert str(bench.offline) == "plant/edge1/dev1"  # the will of a connection before this one
    bench.take("NDEATH", NDEATH)
    assert str(bench.offline) == "plant/edge1, plant/edge1/dev1"
    assert bench.stats.requests == {"offline": 2}
    bench.take("NBIRTH", NBIRTH)
    assert str(bench.offline) == "plant/edge1/dev1"
    bench.take("DBIRTH", DBIRTH)
    assert not str(bench.offline)


def test_metrics_of_the_edge_node_itself() -> None:
    bench = Bench("Energy", device="")
    metric = field(1, "Energy") + field(4, 10) + field(13, 2.5)
    assert bench.values("NDATA", payload(metric, seq=1)) == [("energy", 2.5, "good")]
    assert bench.values("DDATA", payload(metric, seq=2)) == []


def test_messages_of_others() -> None:
    bench = Bench("Energy")
    assert bench.take("DCMD", DDATA) == []
    sparkplug = bench._sparkplug
    assert sparkplug.outcomes("spBv1.0/plant/DDATA/edge2/dev1", DDATA, dup=False) is None
    assert sparkplug.outcomes("spBv1.0/STATE/host", b"{}", dup=False) is None


def test_bytes_that_are_no_payload() -> None:
    bench = Bench("Energy", "Power")
    found = bench.take("DDATA", b"\x12\xff")
    assert [(o.meter.meter_id, o.status) for o in found] == [
        ("energy", "bad_payload"), ("power", "bad_payload"),
    ]  # fmt: skip
    assert "no Sparkplug B" in found[0].detail


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    bench = Bench("Energy")
    for kind in ("NBIRTH", "DBIRTH", "DDATA", "NDATA", "NDEATH", "DDEATH"):
        for outcome in bench.take(kind, raw):
            assert (outcome.value is None) == (outcome.status != "good")


def test_an_integer_of_unknown_type() -> None:
    (small,) = decode(payload(field(10, 5))).metrics
    (big,) = decode(payload(field(10, 1 << 31))).metrics
    assert number_of(small, None) == 5
    with pytest.raises(InputError, match="data type None"):
        number_of(big, None)
    assert number_of(big, 3) == -(1 << 31)
    assert number_of(big, 7) == 1 << 31


def collector_of(folder: Path, port: int, sink: MemorySink) -> MqttCollector:
    connection = {"type": "mqtt", "host": "127.0.0.1", "port": port}
    topic = "spBv1.0/plant/+/edge1/dev1"
    rows = {
        "energy": meter("broker", topic=topic, metric="Energy"),
        "power": meter("broker", topic=topic, metric="Power"),
    }
    return MqttCollector(site_of(folder / "site", {"broker": connection}, rows), "broker", sink)


def test_an_edge_node_on_a_broker(
    tmp_path: Path, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """Its death certificate is its last will: the broker publishes it when the node vanishes."""

    def edge_node() -> Client:
        client = Client(CallbackAPIVersion.VERSION2, client_id="edge1")
        client.will_set("spBv1.0/plant/NDEATH/edge1", NDEATH, qos=1)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        while not client.is_connected():
            time.sleep(0.01)
        return client

    async def scenario() -> None:
        sink = MemorySink()
        collector = collector_of(tmp_path, broker.port, sink)
        async with running(collector):
            await until(lambda: collector.health.state == "up")
            node = edge_node()
            for kind, raw in (("NBIRTH/edge1", NBIRTH), ("DBIRTH/edge1/dev1", DBIRTH),
                              ("DDATA/edge1/dev1", DDATA)):  # fmt: skip
                node.publish(f"spBv1.0/plant/{kind}", raw, qos=0)
            await until(lambda: len(sink.readings) == 4)
            assert [(r.meter_id, r.value, r.time_us) for r in sink.readings] == [
                ("energy", 1234567890123.0, MOMENT_US),
                ("power", -250.0, MOMENT_US),
                ("energy", 1234567890133.0, MOMENT_US + 60_000_000),
                ("power", -251.0, MOMENT_US + 59_000_000),
            ]
            link = node.socket()
            assert link is not None
            link.close()  # without a word
            await until(lambda: collector.health.detail == "offline: plant/edge1")
            node.loop_stop()
            assert collector.health.state == "up"
            again = edge_node()
            again.publish("spBv1.0/plant/NBIRTH/edge1", NBIRTH)
            await until(lambda: collector.health.detail == "")
            again.disconnect()
            again.loop_stop()
        assert collector.stats.requests == {"good": 5, "offline": 1}
        assert collector.stats.last_good_us["energy"] == MOMENT_US + 60_000_000

    caplog.set_level(logging.INFO, "kgce.collectors.mqtt")
    asyncio.run(scenario())
    said = [r.message for r in caplog.records if "plant/edge1" in r.message]
    assert said == [
        "broker: plant/edge1: offline",
        "broker: plant/edge1: good again, after offline",
    ]


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.protobuf", None)  # as where it is not installed
    rows = {"m": meter("broker", topic="spBv1.0/plant/+/edge1", metric="Energy")}
    connection = {"type": "mqtt", "host": "127.0.0.1"}
    site = site_of(tmp_path / "site", {"broker": connection}, rows)
    with pytest.raises(ConfigError) as caught:
        describe(site, "broker")
    assert "pip install 'kgce[sparkplug]'" in str(caught.value)


@pytest.mark.parametrize(
    "topic",
    ["spBv1.0/plant/DDATA/edge1/dev1", "spBv1.0/plant/+/+/dev1", "spBv1.0/plant/+/edge1/#",
     "spBv1.0/plant/+", "plant/energy", "$share/g/spBv1.0/plant/+/edge1", "spBv1.0//+/edge1"],
)  # fmt: skip
def test_topics_that_are_not_of_one_device(tmp_path: Path, topic: str) -> None:
    rows = {"m": meter("broker", topic=topic, metric="Energy")}
    with pytest.raises(ConfigError) as caught:
        site_of(tmp_path / "site", {"broker": {"type": "mqtt", "host": "127.0.0.1"}}, rows)
    assert "no Sparkplug topic of one edge node or device" in str(caught.value)
    assert "allowed: spBv1.0/<group>/+/<edge node>" in str(caught.value)


def test_paths_beside_a_metric(tmp_path: Path) -> None:
    topic = "spBv1.0/plant/+/edge1"
    rows = {"m": meter("broker", topic=topic, metric="Energy", value_path="v")}
    with pytest.raises(ConfigError, match="value_path of the Sparkplug metric"):
        site_of(tmp_path / "site", {"broker": {"type": "mqtt", "host": "127.0.0.1"}}, rows)
