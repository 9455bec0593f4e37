"""The MQTT collector against a real mosquitto."""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from collectors.memory import MemorySink
from collectors.mqtt import collector as mqtt
from collectors.mqtt import deliveries
from config.errors import ConfigError
from tests.collectors.mqtt_site import (
    MOMENT_S,
    VERSIONS,
    collector_of,
    is_up,
    make_certificates,
    password_broker,
    sending,
    values,
)
from tests.collectors.servers import TcpServer, free_port
from tests.collectors.waiting import WithholdingSink, running, until
from tests.mosquitto import Broker, running_broker


@pytest.mark.parametrize("version", VERSIONS)
def test_plain_and_json_payloads(tmp_path: Path, broker: Broker, version: str) -> None:
    async def scenario() -> None:
        sink = MemorySink()
        collector = collector_of(
            tmp_path,
            broker.port,
            sink,
            {
                "plain": {"topic": "plant/plain"},
                "import": {
                    "topic": "plant/json",
                    "quantity": "energy_import",
                    "value_path": "data.import",
                    "time_path": "at",
                    "time_unit": "s",
                },
                "export": {"topic": "plant/json", "value_path": "data.export"},
            },
            version=version,
        )
        async with running(collector):
            await until(is_up(collector))
            document = {"at": MOMENT_S, "data": {"import": 5.5, "export": 6.5}}
            await sending(broker.port, ("plant/plain", "12.5"), ("plant/json", document))
            await until(lambda: len(sink.readings) == 3)
        plain, imported, exported = sink.readings
        assert plain[:2] == ("plain", "value")
        assert (plain.value, plain.status, plain.source) == (12.5, "good", "broker")
        assert plain.sequence is None
        assert abs(plain.received_us - plain.time_us) < 1_000_000
        assert imported[:5] == ("import", "energy_import", MOMENT_S * 1_000_000, 5.5, "good")
        assert exported[:2] == ("export", "value")
        assert exported.value == 6.5
        assert (collector.health.good, collector.health.dropped) == (3, 0)
        assert collector.health.last_good_us == exported.time_us
        assert collector.health.state == "stopped"

    asyncio.run(scenario())


@pytest.mark.parametrize("version", VERSIONS)
def test_wildcards_and_arrays(tmp_path: Path, broker: Broker, version: str) -> None:
    async def scenario() -> None:
        sink = MemorySink()
        array = {"value_path": "[*].v", "time_path": "[*].t", "time_unit": "s"}
        collector = collector_of(
            tmp_path,
            broker.port,
            sink,
            {
                "any": {"topic": "plant/+/kwh"},
                "all": {"topic": "works/#"},
                "array": {"topic": "arrays/a", **array},
                "shared": {"topic": "$share/kgce/pool/+"},
            },
            version=version,
        )
        async with running(collector):
            await until(is_up(collector))
            points = [{"v": 1, "t": MOMENT_S}, {"v": 2, "t": MOMENT_S + 60}]
            await sending(
                broker.port,
                ("plant/kiln/kwh", "1"),
                ("plant/kiln/kw", "2"),
                ("works/a/b", "3"),
                ("works", "4"),
                ("arrays/a", points),
                ("pool/x", "5"),
            )
            await until(lambda: len(sink.readings) == 6)
        assert values(sink.readings) == [
            ("any", 1.0), ("all", 3.0), ("all", 4.0), ("array", 1.0), ("array", 2.0),
            ("shared", 5.0),
        ]  # fmt: skip
        times = [reading.time_us for reading in sink.readings if reading.meter_id == "array"]
        assert times == [MOMENT_S * 1_000_000, (MOMENT_S + 60) * 1_000_000]

    asyncio.run(scenario())


def test_more_topics_than_one_subscribe_takes(tmp_path: Path, broker: Broker) -> None:
    async def scenario() -> None:
        sink = MemorySink()
        count = 3 * mqtt.TOPICS_PER_SUBSCRIBE + 1
        meters = {f"m{n}": {"topic": f"t/{n}"} for n in range(count)}
        collector = collector_of(tmp_path, broker.port, sink, meters)
        async with running(collector):
            await until(is_up(collector))
            await sending(broker.port, *((f"t/{n}", str(n)) for n in range(count)))
            await until(lambda: len(sink.readings) == count)
        assert values(sink.readings) == [(f"m{n}", float(n)) for n in range(count)]

    asyncio.run(scenario())


def test_a_payload_that_cannot_be_read(
    tmp_path: Path, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        sink = MemorySink()
        collector = collector_of(
            tmp_path,
            broker.port,
            sink,
            {
                "fine": {"topic": "t", "value_path": "a"},
                "broken": {"topic": "t", "value_path": "b"},
            },
        )
        async with running(collector):
            await until(is_up(collector))
            bodies: list[object] = [{"a": 1}, {"a": 2}, b"\xff", {"a": 3, "b": 4}, {"a": 5}]
            await sending(broker.port, *(("t", body) for body in bodies))
            await until(lambda: len(sink.readings) == 10)
        found = [(r.meter_id, r.value, r.status) for r in sink.readings]
        assert found == [
            ("fine", 1.0, "good"), ("broken", None, "bad_payload"),
            ("fine", 2.0, "good"), ("broken", None, "bad_payload"),
            ("fine", None, "bad_payload"), ("broken", None, "bad_payload"),
            ("fine", 3.0, "good"), ("broken", 4.0, "good"),
            ("fine", 5.0, "good"), ("broken", None, "bad_payload"),
        ]  # fmt: skip
        assert (collector.health.good, collector.health.dropped) == (5, 5)
        logged = [r.message for r in caplog.records if "meter broken" in r.message]
        assert len(logged) == 3  # bad, good again, bad
        assert "b: no 'b'" in logged[0]

    caplog.set_level(logging.INFO, "kgce.collectors.mqtt")
    asyncio.run(scenario())


@pytest.mark.parametrize("version", VERSIONS)
def test_acknowledged_only_when_durable(tmp_path: Path, broker: Broker, version: str) -> None:
    """What a sink took, but never had on disk, comes again; what it had does not."""

    async def scenario() -> None:
        meters = {"m": {"topic": "t", "value_path": "v", "time_path": "t", "time_unit": "s"}}
        first = WithholdingSink()
        collector = collector_of(tmp_path, broker.port, first, meters, version=version)
        async with running(collector):
            await until(is_up(collector))
            await sending(broker.port, ("t", {"v": 1, "t": MOMENT_S}))
            await until(lambda: len(first.readings) == 1)
            first.become_durable()
            await sending(broker.port, ("t", {"v": 2, "t": MOMENT_S + 1}))
            await until(lambda: len(first.readings) == 2)
        first.become_durable()  # too late: the connection is gone, and nothing may happen
        await sending(broker.port, ("t", {"v": 3, "t": MOMENT_S + 2}))  # the broker queues it
        second = WithholdingSink()
        collector = collector_of(tmp_path, broker.port, second, meters, version=version)
        async with running(collector):
            await until(lambda: len(second.readings) == 2)
            second.become_durable()
            await sending(broker.port, ("t", {"v": 4, "t": MOMENT_S + 3}))
            await until(lambda: len(second.readings) == 3)
        assert [reading.value for reading in second.readings] == [2.0, 3.0, 4.0]
        third = MemorySink()
        collector = collector_of(tmp_path, broker.port, third, meters, version=version)
        async with running(collector):
            await until(lambda: len(third.readings) == 1)
        assert [reading.value for reading in third.readings] == [4.0]

    asyncio.run(scenario())


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_lost_when_the_broker_is_killed(tmp_path: Path, version: str) -> None:
    port = free_port()

    async def scenario(brokers: ExitStack) -> None:
        first = brokers.enter_context(running_broker(tmp_path, port))
        sink = WithholdingSink()
        collector = collector_of(tmp_path, port, sink, {"m": {"topic": "t"}}, version=version)
        async with running(collector):
            await until(is_up(collector))
            await sending(port, *(("t", str(n)) for n in range(5)))
            await until(lambda: len(sink.readings) == 5)
            # mosquitto saves each change; it must have saved the messages before the cut.
            store = tmp_path / "mosquitto" / "mosquitto.db"
            await until(lambda: store.exists() and store.stat().st_size > 0)
            await asyncio.sleep(1.5)
            first.kill()
            await until(lambda: collector.health.state == "down")
            sink.become_durable()  # acknowledgements for a connection that is gone
            brokers.enter_context(running_broker(tmp_path, port))
            await until(is_up(collector))
            await sending(port, *(("t", str(n)) for n in range(5, 10)))
            await until(lambda: {r.value for r in sink.readings} >= set(map(float, range(10))))
            sink.become_durable()

    with ExitStack() as brokers:
        asyncio.run(scenario(brokers))


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_of_the_time_without_a_collector(
    tmp_path: Path, broker: Broker, version: str
) -> None:
    async def scenario() -> None:
        sink = MemorySink()
        meters = {"m": {"topic": "t"}}
        collector = collector_of(tmp_path, broker.port, sink, meters, version=version)
        async with running(collector):
            await until(is_up(collector))
        await sending(broker.port, *(("t", str(n)) for n in range(100)))
        async with running(collector):  # the same one, started again
            await until(lambda: len(sink.readings) == 100)
        assert [reading.value for reading in sink.readings] == [float(n) for n in range(100)]

    asyncio.run(scenario())


@pytest.mark.parametrize("qos", [0, 1])
def test_a_full_sink_holds_messages_and_loses_none(
    tmp_path: Path, broker: Broker, qos: int
) -> None:
    async def scenario() -> None:
        sink = MemorySink(capacity=0)
        collector = collector_of(tmp_path, broker.port, sink, {"m": {"topic": "t"}})
        async with running(collector):
            await until(is_up(collector))
            await sending(broker.port, *(("t", str(n)) for n in range(50)), qos=qos)
            await until(lambda: collector.health.state == "waiting")
            assert collector.health.good == 0
            sink.capacity = None
            await until(lambda: len(sink.readings) == 50)
            await until(is_up(collector))
        assert [reading.value for reading in sink.readings] == [float(n) for n in range(50)]

    asyncio.run(scenario())


def test_a_full_sink_costs_bounded_memory(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit the network thread itself waits, and TCP makes the broker wait."""
    monkeypatch.setattr(mqtt, "MOST_HELD", 5)

    async def scenario() -> None:
        sink = MemorySink(capacity=0)
        collector = collector_of(tmp_path, broker.port, sink, {"m": {"topic": "t"}})
        async with running(collector):
            await until(is_up(collector))
            await sending(broker.port, *(("t", str(n)) for n in range(50)), qos=0)
            await until(lambda: len(collector._deliveries) == 5)
            sink.capacity = None
            await until(lambda: len(sink.readings) == 50)

    asyncio.run(scenario())


def test_held_messages_are_not_taken_twice_when_the_broker_sends_them_again(
    tmp_path: Path,
) -> None:
    port = free_port()

    async def scenario(brokers: ExitStack) -> None:
        first = brokers.enter_context(running_broker(tmp_path, port))
        sink = MemorySink(capacity=0)
        collector = collector_of(tmp_path, port, sink, {"m": {"topic": "t"}})
        async with running(collector):
            await until(is_up(collector))
            await sending(port, *(("t", str(n)) for n in range(5)))
            await until(lambda: len(collector._deliveries) == 5)
            first.stop()
            await until(lambda: collector.health.state == "down")
            second = brokers.enter_context(running_broker(tmp_path, port))
            await until(lambda: "waiting" in collector.health.state)
            sent_again = "Sending PUBLISH to kgce-p1-broker (d1"
            await until(lambda: second.log.read_text().count(sent_again) == 5)
            await sending(port, ("t", "5"))
            sink.capacity = None
            await until(lambda: len(sink.readings) >= 6)
            await until(is_up(collector))
        assert [reading.value for reading in sink.readings] == [float(n) for n in range(6)]
        third = MemorySink()
        collector = collector_of(tmp_path, port, third, {"m": {"topic": "t"}})
        async with running(collector):
            await until(is_up(collector))
            await sending(port, ("t", "6"))
            await until(lambda: third.readings)
        assert [reading.value for reading in third.readings] == [6.0]  # all were acknowledged

    with ExitStack() as brokers:
        asyncio.run(scenario(brokers))


def test_what_the_sink_never_confirms_is_asked_for_again(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "DURABLE_WITHIN_S", 0.5)

    async def scenario() -> None:
        sink = WithholdingSink()
        collector = collector_of(tmp_path, broker.port, sink, {"m": {"topic": "t"}})
        async with running(collector):
            await until(is_up(collector))
            await sending(broker.port, ("t", "1"))
            await until(lambda: len(sink.readings) >= 2)
            assert {reading.value for reading in sink.readings} == {1.0}

    asyncio.run(scenario())


def test_a_sink_that_fails_is_a_full_sink(tmp_path: Path, broker: Broker) -> None:
    class FailingSink(MemorySink):
        fails = True

        def offer(self, readings: Any, on_durable: Any = None) -> bool:
            if self.fails:
                raise OSError("the disk is gone")
            return super().offer(readings, on_durable)

    async def scenario() -> None:
        sink = FailingSink()
        collector = collector_of(tmp_path, broker.port, sink, {"m": {"topic": "t"}})
        async with running(collector):
            await until(is_up(collector))
            await sending(broker.port, ("t", "1"))
            await until(lambda: collector.health.state == "waiting")
            sink.fails = False
            await until(lambda: len(sink.readings) == 1)

    asyncio.run(scenario())


def test_a_retained_message_without_a_time_is_no_reading(tmp_path: Path, broker: Broker) -> None:
    async def scenario() -> None:
        sink = MemorySink()
        timed = {"value_path": "v", "time_path": "t", "time_unit": "s"}
        meters = {"bare": {"topic": "bare"}, "timed": {"topic": "timed", **timed}}
        await sending(broker.port, ("bare", "1"), ("timed", {"v": 2, "t": MOMENT_S}), retain=True)
        collector = collector_of(tmp_path, broker.port, sink, meters)
        async with running(collector):
            await until(is_up(collector))
            await sending(broker.port, ("bare", "3"), retain=True)  # live: it counts
            await until(lambda: len(sink.readings) == 2)
        assert values(sink.readings) == [("timed", 2.0), ("bare", 3.0)]

    asyncio.run(scenario())


def test_messages_that_no_meter_wants_any_more_are_acknowledged(
    tmp_path: Path, broker: Broker
) -> None:
    async def scenario() -> None:
        sink = MemorySink()
        both = {"old": {"topic": "old"}, "m": {"topic": "t"}}
        collector = collector_of(tmp_path, broker.port, sink, both)
        async with running(collector):
            await until(is_up(collector))
        collector = collector_of(tmp_path, broker.port, sink, {"m": {"topic": "t"}})
        async with running(collector):
            await until(is_up(collector))
            # More than a broker keeps in flight: were they not acknowledged, "t" would not come.
            await sending(broker.port, *(("old", "1") for _ in range(40)), ("t", "2"))
            await until(lambda: sink.readings)
        assert values(sink.readings) == [("m", 2.0)]

    asyncio.run(scenario())


def test_a_broker_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()

    def lines() -> list[str]:
        return [r.message for r in caplog.records if r.name == "kgce.collectors.mqtt"]

    async def scenario(brokers: ExitStack) -> None:
        sink = MemorySink()
        collector = collector_of(tmp_path, port, sink, {"m": {"topic": "t"}})
        async with running(collector):
            await until(lambda: collector.health.state == "down")
            assert "refused" in collector.health.detail
            await asyncio.sleep(2)  # more attempts, no more lines
            assert len(lines()) == 1
            brokers.enter_context(running_broker(tmp_path, port))
            await until(is_up(collector))
            assert collector.health.detail == ""
            await sending(port, ("t", "1"))
            await until(lambda: sink.readings)
        assert len(lines()) == 2
        assert "good again" in lines()[1]

    caplog.set_level(logging.INFO, "kgce.collectors.mqtt")
    with ExitStack() as brokers:
        asyncio.run(scenario(brokers))


@pytest.mark.parametrize("version", VERSIONS)
def test_passwords(tmp_path: Path, version: str) -> None:
    async def scenario(port: int) -> None:
        site_folder = tmp_path / "site"
        site_folder.mkdir()
        (site_folder / "right").write_text("secret\n")
        (site_folder / "wrong").write_text("Secret\n")
        told = {"version": version, "username": "meter"}
        sink = MemorySink()
        meters = {"m": {"topic": "t"}}
        refused = collector_of(tmp_path, port, sink, meters, **told, password_file="wrong")
        async with running(refused):
            await until(lambda: refused.health.state == "down")
            assert "refused the connection: Not authorized" in refused.health.detail
        taken = collector_of(tmp_path, port, sink, meters, **told, password_file="right")
        async with running(taken):
            await until(is_up(taken))

    with running_broker(tmp_path, extra=password_broker(tmp_path)) as broker:
        asyncio.run(scenario(broker.port))


async def refusing_broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Lets anybody in, and refuses subscriptions to ``closed/...`` (mosquitto's ACLs do not)."""
    while header := await reader.read(2):
        body = await reader.readexactly(header[1])  # packets of this test are short
        if header[0] == 0x10:
            writer.write(bytes.fromhex("20020000"))
        elif header[0] == 0x82:
            topics = [topic for topic in (b"open/", b"closed/") if topic in body]
            codes = bytes(1 if topic == b"open/" else 0x80 for topic in topics)
            writer.write(bytes([0x90, 2 + len(codes)]) + body[:2] + codes)


def test_a_subscription_that_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = TcpServer(refusing_broker)
        meters = {"a": {"topic": "open/a"}, "b": {"topic": "closed/b"}}
        some = collector_of(tmp_path, server.port, MemorySink(), meters)
        none = collector_of(tmp_path, server.port, MemorySink(), {"b": {"topic": "closed/b"}})
        async with server, running(some), running(none):
            await until(is_up(some))
            assert some.health.detail == "subscription refused: closed/b"
            await until(lambda: none.health.state == "down")
            assert none.health.detail == "subscription refused: closed/b"

    asyncio.run(scenario())
    assert "subscription to closed/b: refused" in caplog.text


def test_another_client_with_the_same_id(tmp_path: Path, broker: Broker) -> None:
    async def scenario() -> None:
        meters = {"m": {"topic": "t"}}
        one = collector_of(tmp_path, broker.port, MemorySink(), meters, version="5")
        async with running(one):
            await until(is_up(one))
            other = collector_of(tmp_path, broker.port, MemorySink(), meters, version="5")
            async with running(other):
                await until(lambda: one.health.state == "down")
                assert one.health.detail == "the connection was lost"

    asyncio.run(scenario())


def test_a_broker_that_says_why_it_leaves(tmp_path: Path) -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(bytes.fromhex("2003000000e0028b00"))  # CONNACK; DISCONNECT 0x8B
        writer.close()

    async def scenario() -> None:
        server = TcpServer(leave)
        collector = collector_of(
            tmp_path, server.port, MemorySink(), {"m": {"topic": "t"}}, version="5"
        )
        async with server, running(collector):
            await until(lambda: collector.health.state == "down")
            wanted = "the broker ended the connection: Server shutting down"
            assert collector.health.detail == wanted

    asyncio.run(scenario())


@pytest.mark.parametrize("version", VERSIONS)
def test_tls(tmp_path: Path, version: str) -> None:
    site_folder = tmp_path / "site"
    site_folder.mkdir()
    make_certificates(site_folder)
    plain_port = free_port()
    secured = "\n".join(
        [
            f"cafile {site_folder}/ca.pem",
            f"certfile {site_folder}/broker.pem",
            f"keyfile {site_folder}/broker.key",
            "require_certificate true",
            f"listener {plain_port} 127.0.0.1",
        ]
    )

    async def scenario(port: int) -> None:
        files = {"cert_file": "client.pem", "key_file": "client.key"}
        sink = MemorySink()
        meters = {"m": {"topic": "t"}}
        verified = collector_of(
            tmp_path, port, sink, meters, version=version, tls={"ca_file": "ca.pem", **files}
        )
        async with running(verified):
            await until(is_up(verified))
            await sending(plain_port, ("t", "1"))
            await until(lambda: sink.readings)
        unknown = collector_of(tmp_path, port, sink, meters, tls=files)
        async with running(unknown):
            await until(lambda: unknown.health.state == "down")
            assert "certificate verify failed" in unknown.health.detail
        other_name = collector_of(
            tmp_path, port, sink, meters, tls={"ca_file": "ca.pem", **files}, host="localhost"
        )
        async with running(other_name):
            await until(lambda: other_name.health.state == "down")
            assert "Hostname mismatch" in other_name.health.detail

    with running_broker(tmp_path, extra=secured) as broker:
        asyncio.run(scenario(broker.port))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"username": "a", "password_file": "nowhere"}, "password_file .*nowhere"),
        ({"password_file": "nowhere"}, "password_file without username"),
        ({"tls": {"ca_file": "nowhere.pem"}}, "TLS files .*nowhere.pem"),
        ({"tls": {"cert_file": "a.pem", "key_file": "b.pem"}}, "TLS files .*a.pem"),
    ],
)
def test_files_that_are_missing(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        collector_of(tmp_path, 1883, MemorySink(), {"m": {"topic": "t"}}, **settings)


def test_paths_that_cannot_be_used(tmp_path: Path) -> None:
    meters = {"m": {"topic": "t", "value_path": "a["}}
    with pytest.raises(ConfigError, match="meter m: path 'a\\['"):
        collector_of(tmp_path, 1883, MemorySink(), meters)


def test_an_answer_that_is_no_mqtt(tmp_path: Path) -> None:
    """Whatever a peer sends, the collector stays alive and says that it is down."""

    async def scenario() -> None:
        answers = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x02\x00\x00\x90\x01\x00", b""]

        async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(answers[min(len(seen), len(answers) - 1)])
            seen.append(1)

        seen: list[int] = []
        server = TcpServer(babble)
        collector = collector_of(tmp_path, server.port, MemorySink(), {"m": {"topic": "t"}})
        async with server, running(collector):
            await until(lambda: len(seen) >= 3)
            await until(lambda: collector.health.state == "down")
            assert collector.health.detail

    asyncio.run(scenario())
