"""The collector against a real server: values, trouble, and what is asked for on the wire."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua

from collectors.memory import MemorySink
from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.reasons import MODES
from collectors.opcua.transport import ReadingClient
from config.errors import CollectError
from config.site import Site
from config.tables import Reading
from tests.collectors.opcua_server import (
    NAMESPACE,
    Plant,
    Wire,
    plant_server,
)
from tests.collectors.sites import meter, site_of
from tests.collectors.waiting import running, until

Type = ua.VariantType
ONE = {"a": ua.Variant(1.0, Type.Double)}
INTERVAL_S = 0.2


def site(folder: Path, url: str, nodes: dict[str, str], **settings: Any) -> Site:
    connection = {"type": "opcua", "url": url, "interval_s": INTERVAL_S, "timeout_s": 1.0}
    meters = {
        meter_id: meter("dcs", meter_id=meter_id, opc_node=node) for meter_id, node in nodes.items()
    }
    return site_of(folder, {"dcs": {**connection, **settings}}, meters)


def nodes(*names: str) -> dict[str, str]:
    return {name: f"ns=2;s={name}" for name in names}


def of(sink: MemorySink, meter_id: str) -> list[Reading]:
    return [reading for reading in sink.readings if reading.meter_id == meter_id]


def values(sink: MemorySink, meter_id: str) -> list[float | None]:
    """The values in the order of their times, each run of equals once."""
    readings = sorted(of(sink, meter_id), key=lambda reading: reading.time_us)
    shown = [reading.value for reading in readings if reading.status == "good"]
    return [value for n, value in enumerate(shown) if n == 0 or shown[n - 1] != value]


def statuses(sink: MemorySink, meter_id: str) -> set[str]:
    return {reading.status for reading in of(sink, meter_id)}


def balanced(collector: OpcUaCollector, sink: MemorySink) -> bool:
    health = collector.health
    return len(sink.readings) == health.good + health.missing + health.dropped


@asynccontextmanager
async def collecting(
    folder: Path, url: str, meters: dict[str, str], **settings: Any
) -> AsyncIterator[tuple[OpcUaCollector, MemorySink]]:
    sink = MemorySink()
    collector = OpcUaCollector(site(folder, url, meters, **settings), "dcs", sink)
    async with running(collector):
        yield collector, sink
    assert balanced(collector, sink)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_every_numeric_type_is_read_right(tmp_path: Path) -> None:
    numbers = {
        "sbyte": (Type.SByte, -128), "byte": (Type.Byte, 255), "int16": (Type.Int16, -32768),
        "uint16": (Type.UInt16, 65535), "int32": (Type.Int32, -(2**31)),
        "uint32": (Type.UInt32, 2**32 - 1), "int64": (Type.Int64, -(2**53)),
        "uint64": (Type.UInt64, 2**53), "float": (Type.Float, 1234.5),
        "double": (Type.Double, 0.1),
    }  # fmt: skip

    async def test() -> None:
        variables = {name: ua.Variant(value, kind) for name, (kind, value) in numbers.items()}
        async with (
            plant_server(variables) as plant,
            collecting(tmp_path, plant.url, nodes(*numbers)) as (_, sink),
        ):
            await until(lambda: {r.meter_id for r in sink.readings} == set(numbers), "all types")
            for name, (_, value) in numbers.items():
                assert values(sink, name) == [value], name

    run(test())


def test_more_nodes_than_one_request_takes_are_all_read(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(250)]

    async def test() -> None:
        variables = {name: ua.Variant(float(name[1:]), Type.Double) for name in names}
        async with (
            plant_server(variables) as plant,
            Wire(plant.port) as wire,
            collecting(tmp_path, wire.url, nodes(*names), interval_s=1.0) as (_, sink),
        ):
            await until(lambda: len(sink.readings) >= 3 * len(names), "values and reads")
            assert wire.services["CreateMonitoredItemsRequest"] == 3
            assert wire.services["ReadRequest"] >= 6
            for name in names:
                assert values(sink, name) == [float(name[1:])]

    run(test())


def test_every_change_is_kept_with_the_sources_time(tmp_path: Path) -> None:
    """Twenty changes, several in each publishing interval; the stamps are those of the source."""
    begin = datetime.now(UTC).replace(microsecond=0)
    changes = [(2.0 + n, begin + timedelta(milliseconds=20 * n + 7)) for n in range(20)]

    async def test() -> None:
        async with (
            plant_server(ONE) as plant,
            collecting(tmp_path, plant.url, nodes("a")) as (collector, sink),
        ):
            await until(lambda: collector.health.good, "the first value")
            for value, moment in changes:
                await plant.put("a", value, source=moment, server=moment)
                await asyncio.sleep(0.05)
            await until(lambda: 21.0 in values(sink, "a"), "the last change")
            first = {r.value: r for r in reversed(of(sink, "a"))}
            for value, moment in changes:
                assert first[value].time_us == moment.timestamp() * 1e6, value
            assert statuses(sink, "a") == {"good"}

    run(test())


def test_a_counter_that_stands_still_is_no_gap(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            plant_server(ONE) as plant,
            collecting(tmp_path, plant.url, nodes("a")) as (collector, sink),
        ):
            await until(lambda: len(of(sink, "a")) >= 8, "readings of a value that stands still")
            times = [reading.time_us for reading in of(sink, "a")]
            assert times == sorted(set(times))
            assert statuses(sink, "a") == {"good"}
            assert set(values(sink, "a")) == {1.0}
            assert collector.stats.latency.sum_s > 0

    run(test())


def test_a_value_of_no_use_is_a_reason_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "bad_quality": {"status": 0x808C0000},
        "not_a_number": {"value": math.nan},
    }
    variables = {name: ua.Variant(1.0, Type.Double) for name in wrong}
    variables["bad_payload"] = ua.Variant("12", Type.String)

    async def test() -> None:
        async with (
            plant_server(variables) as plant,
            collecting(tmp_path, plant.url, nodes(*variables)) as (collector, sink),
        ):
            await until(lambda: len({r.meter_id for r in sink.readings}) == 3, "first values")
            for name, what in wrong.items():
                await plant.put(name, **{"value": 5.0, **what})
            await until(
                lambda: all(
                    sum(r.status == name for r in of(sink, name)) > 3 for name in variables
                ),
                "reasons",
            )
            assert "BadSensorFailure" in collector.health.detail
            assert all(values(sink, name) == [1.0] for name in wrong)
            for name in wrong:
                await plant.put(name, 2.0)
            await until(lambda: all(values(sink, n) == [1.0, 2.0] for n in wrong), "good again")
            assert collector.health.detail.startswith("bad_payload: bad_payload (String, not a")
            assert statuses(sink, "bad_payload") == {"bad_payload"}

    with caplog.at_level(logging.INFO):
        run(test())
    for name in wrong:
        lines = [r.message for r in caplog.records if r.message.startswith(f"meter {name}: ")]
        assert len(lines) == 2, lines
        assert name in lines[0]
        assert "good again" in lines[1]
    assert not [r for r in caplog.records if r.name.startswith("asyncua")]


def test_a_node_that_is_not_there_is_told_once_and_taken_up_when_it_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with (
            plant_server(ONE) as plant,
            Wire(plant.port) as wire,
            collecting(tmp_path, wire.url, nodes("a", "late")) as (collector, sink),
        ):
            await until(lambda: len(of(sink, "late")) > 3, "reasons")
            assert statuses(sink, "late") == {"unknown_node"}
            assert statuses(sink, "a") == {"good"}
            assert "late: unknown_node (BadNodeIdUnknown" in collector.health.detail
            await plant.add("late", ua.Variant(7, Type.Int32))
            await until(lambda: values(sink, "late") == [7.0], "the node's value")
            monitored = wire.services["CreateMonitoredItemsRequest"]
            await until(lambda: wire.services["PublishRequest"] > 3, "reports")
            await asyncio.sleep(3 * INTERVAL_S)
            assert wire.services["CreateMonitoredItemsRequest"] <= monitored + 1

    with caplog.at_level(logging.INFO):
        run(test())
    said = [r.message for r in caplog.records if r.message.startswith("meter late: ")]
    assert len(said) == 2, said


def test_a_namespace_by_its_uri_is_found_wherever_it_stands(tmp_path: Path) -> None:
    meters = {"a": f"nsu={NAMESPACE};s=a", "none": "nsu=urn:nobody;s=a"}

    async def test() -> None:
        async with (
            plant_server(ONE, namespaces_before=3) as plant,
            collecting(tmp_path, plant.url, meters) as (_, sink),
        ):
            await until(lambda: of(sink, "a") and of(sink, "none"), "both")
            assert values(sink, "a") == [1.0]
            assert statuses(sink, "none") == {"unknown_node"}

    run(test())


def test_a_server_that_restarts_is_taken_up_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        plant = Plant()
        await plant.start(ONE)
        try:
            async with collecting(tmp_path, plant.url, nodes("a")) as (collector, sink):
                await until(lambda: collector.health.good > 1, "the first value")
                await plant.stop()
                await until(
                    lambda: sum(r.status == "not_connected" for r in of(sink, "a")) > 5, "the end"
                )
                assert collector.health.state == "down"
                await plant.start({"a": ua.Variant(2.0, Type.Double)})
                await until(lambda: values(sink, "a") == [1.0, 2.0], "the value after the restart")
                assert collector.health.state == "up"
                assert collector.stats.connects == 2
        finally:
            await plant.stop()

    with caplog.at_level(logging.INFO):
        run(test())
    said = [r for r in caplog.records if r.message.startswith("dcs: ")]
    assert len(said) <= 4, [r.message for r in said]  # lost, refused, good again
    assert "good again" in said[-1].message


def test_a_server_that_says_nothing_any_more_is_noticed(tmp_path: Path) -> None:
    """The connection stands, and nothing comes: as when a cable is pulled."""

    async def test() -> None:
        async with (
            plant_server(ONE) as plant,
            Wire(plant.port) as wire,
            collecting(tmp_path, wire.url, nodes("a"), timeout_s=0.5) as (collector, sink),
        ):
            await until(lambda: collector.health.good > 1, "the first value")
            wire.holds_back = True
            await until(lambda: "timeout" in statuses(sink, "a"), "the time-out")
            await until(lambda: "not_connected" in statuses(sink, "a"), "the end")
            assert "no answer in 0.5 s" in collector.health.detail
            wire.holds_back = False
            wire.cut()
            await plant.put("a", 2.0)
            await until(lambda: values(sink, "a")[-1] == 2.0, "the value afterwards")
            assert wire.connections > 1

    run(test())


def test_a_connection_that_is_cut_again_and_again_doubles_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            plant_server(ONE) as plant,
            Wire(plant.port) as wire,
            collecting(tmp_path, wire.url, nodes("a")) as (collector, sink),
        ):
            for round_number in range(4):
                await until(lambda: collector.health.state == "up", "a session")
                value, moment = 2.0 + round_number, datetime.now(UTC)
                await plant.put("a", value, source=moment, server=moment)
                await until(lambda v=value: v in values(sink, "a"), "the change")  # type: ignore[misc]
                wire.cut()
                await until(lambda: collector.health.state == "down", "the cut")
            good = [(r.time_us, r.value) for r in of(sink, "a") if r.status == "good"]
            assert len(set(good)) == len(good)
            assert values(sink, "a") == [1.0, 2.0, 3.0, 4.0, 5.0]

    run(test())


def test_a_full_sink_makes_the_server_wait_and_nothing_is_lost(tmp_path: Path) -> None:
    async def test() -> None:
        sink = MemorySink(capacity=1)
        async with plant_server(ONE) as plant:
            collector = OpcUaCollector(site(tmp_path, plant.url, nodes("a")), "dcs", sink)
            async with running(collector):
                await until(lambda: collector.health.state == "waiting", "a full sink")
                for value in (2.0, 3.0, 4.0):
                    await plant.put("a", value, source=datetime.now(UTC))
                    await asyncio.sleep(INTERVAL_S)
                sink.capacity = None
                await until(lambda: 4.0 in values(sink, "a"), "the last change")
                await until(lambda: collector.health.state == "up", "room")
            assert [v for v in values(sink, "a") if v is not None] == [1.0, 2.0, 3.0, 4.0]
            assert balanced(collector, sink)

    run(test())


def test_nothing_but_reading_is_asked_for(tmp_path: Path) -> None:
    """By what came over the wire, from the greeting to the good-bye."""

    async def test() -> None:
        async with plant_server(ONE) as plant, Wire(plant.port) as wire:
            meters = {**nodes("a", "none"), "b": f"nsu={NAMESPACE};s=a"}
            async with collecting(tmp_path, wire.url, meters) as (collector, _):
                await until(lambda: collector.stats.ticks > 3, "ticks")
                await plant.put("a", 2.0)
                wire.cut()
                await until(lambda: collector.stats.connects == 2, "another session")
            await until(lambda: wire.services["CLO"], "the good-bye")
            assert set(wire.services) == {
                "HEL", "OPN", "CreateSessionRequest", "ActivateSessionRequest", "ReadRequest",
                "CreateSubscriptionRequest", "CreateMonitoredItemsRequest", "PublishRequest",
                "CloseSessionRequest", "CLO",
            }  # fmt: skip

    run(test())


def test_a_write_or_a_call_cannot_be_sent() -> None:
    async def test() -> None:
        async with plant_server(ONE) as plant, Wire(plant.port) as wire:
            client = ReadingClient(wire.url, 5.0)
            await client.connect()
            try:
                node = client.get_node("ns=2;s=a")
                with pytest.raises(CollectError, match="WriteRequest is not sent"):
                    await node.write_value(9.0)
                with pytest.raises(CollectError, match="CallRequest is not sent"):
                    await client.get_objects_node().call_method(
                        ua.NodeId(ua.String("start"), ua.Int16(2))
                    )
                with pytest.raises(CollectError, match="HistoryUpdateRequest is not sent"):
                    await client.uaclient.session.history_update(ua.HistoryUpdateParameters())
                assert await node.read_value() == 1.0
            finally:
                await client.disconnect()
            assert not {"WriteRequest", "CallRequest", "HistoryUpdateRequest"} & set(wire.services)

    run(test())


def test_the_modes_are_those_of_the_configuration() -> None:
    assert set(MODES) == {"none", "sign", "sign_and_encrypt"}
