"""The Modbus collector against servers that answer rightly, wrongly, late and never."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from collectors.base import Clock, Sink
from collectors.lines import poll
from collectors.memory import MemorySink
from collectors.modbus.collector import ModbusCollector
from config.tables import Reading
from tests.collectors.servers import (
    CLOSE,
    SILENCE,
    Answer,
    Asked,
    ScriptedServer,
    free_port,
    own_addresses,
)
from tests.collectors.sites import meter, site_of
from tests.collectors.waiting import ManualClock, running, until

SECOND = 1_000_000
START_US = 1_790_812_800 * SECOND
TICK = START_US // (10 * SECOND)  # of the interval of 10 s


def collector_of(
    folder: Path,
    port: int,
    sink: Sink,
    meters: dict[str, dict[str, Any]],
    clock: Clock | None = None,
    interval_s: float | None = None,
    **settings: Any,
) -> ModbusCollector:
    connection = {"type": "modbus_tcp", "host": "127.0.0.1", "port": port, **settings}
    rows = {
        meter_id: meter("gw", **(fields if "device" in fields else {"type": "u16", **fields}))
        for meter_id, fields in meters.items()
    }
    site = site_of(folder / "site", {"gw": {"interval_s": 10, "timeout_s": 5, **connection}}, rows)
    return ModbusCollector(site, "gw", sink, clock, interval_s)


class Bench:
    """A scripted server, a clock that is told what time it is, and the collector between them."""

    def __init__(
        self,
        folder: Path,
        answer: Callable[[Asked], Answer | Awaitable[Answer]],
        meters: dict[str, dict[str, Any]],
        **settings: Any,
    ) -> None:
        self.server = ScriptedServer(answer)
        self.clock = ManualClock(START_US)
        self.sink = MemorySink()
        self.collector = collector_of(
            folder, self.server.port, self.sink, meters, self.clock, **settings
        )

    @property
    def readings(self) -> list[Reading]:
        return self.sink.readings

    async def tick(self, number: int, count: int) -> list[Reading]:
        """Let it be ``number`` intervals after the start; the ``count`` readings that follow."""
        had = len(self.readings)
        self.clock.set(START_US + number * 10 * SECOND)
        await until(lambda: len(self.readings) >= had + count, f"{count} readings")
        return self.readings[had:]


def statuses(readings: list[Reading]) -> dict[str, str]:
    return {reading.meter_id: reading.status for reading in readings}


def test_each_meter_gets_the_register_it_asks_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        meters = {
            "a": {"register": 100},
            "b": {"register": 102, "type": "u32"},
            "c": {"register": 110, "scale": 0.1, "quantity": "flow"},
            "d": {"register": 100, "function": 4},
            "e": {"register": 65535, "unit_id": 7},
        }
        bench = Bench(tmp_path, own_addresses, meters)
        async with bench.server, running(bench.collector):
            first = await bench.tick(0, 5)
            bench.clock.set(START_US + 12 * SECOND)  # late for the second tick
            await until(lambda: len(bench.readings) == 10)
        found = {r.meter_id: r.value for r in first}
        assert found == {"a": 100, "b": 102 * 65536 + 103, "c": 11.0, "d": 100, "e": 65535}
        assert {r.quantity for r in first} == {"value", "flow"}
        assert {(r.status, r.source, r.time_us, r.sequence) for r in first} == {
            ("good", "gw", START_US, TICK)
        }
        second = bench.readings[5:]
        assert {(r.time_us, r.sequence) for r in second} == {(START_US + 12 * SECOND, TICK + 1)}
        asked = [(a.unit_id, a.function, a.address, a.count) for a in bench.server.asked]
        assert asked == 2 * [(1, 3, 100, 11), (1, 4, 100, 1), (7, 3, 65535, 1)]
        assert bench.server.connections == 1
        health = bench.collector.health
        assert (health.good, health.missing, health.state) == (10, 0, "stopped")
        assert health.last_good_us == START_US + 12 * SECOND

    asyncio.run(scenario())


def test_each_interval_has_its_own_ticks(tmp_path: Path) -> None:
    async def scenario() -> None:
        meters = {"slow": {"register": 1}, "fast": {"register": 2, "interval_s": 5}}
        bench = Bench(tmp_path, own_addresses, meters)
        async with bench.server, running(bench.collector):
            await bench.tick(0, 2)
            for second, count in ((5, 3), (10, 5), (15, 6)):
                bench.clock.set(START_US + second * SECOND)
                await until(lambda count=count: len(bench.readings) == count)
        ticks = Counter((r.meter_id, r.sequence) for r in bench.readings)
        fast = START_US // (5 * SECOND)
        assert ticks == Counter(
            [("slow", TICK), ("slow", TICK + 1), *(("fast", fast + n) for n in range(4))]
        )

    asyncio.run(scenario())


def test_the_given_interval_goes_before_the_configured_ones(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = MemorySink()
        async with ScriptedServer(own_addresses) as server:
            collector = collector_of(
                tmp_path, server.port, sink, {"a": {"register": 5}}, interval_s=0.1
            )
            async with running(collector):
                await until(lambda: len(sink.readings) >= 5)
        sequences = [reading.sequence for reading in sink.readings]
        assert sequences == sorted(set(sequences))
        assert collector.health.good + collector.health.missing == len(sink.readings)

    asyncio.run(scenario())


def test_requests_of_a_connection_are_never_in_flight_together(tmp_path: Path) -> None:
    flying: list[int] = []
    most: list[int] = []

    async def slowly(asked: Asked) -> Answer:
        flying.append(1)
        most.append(len(flying))
        await asyncio.sleep(0.01)
        flying.pop()
        return own_addresses(asked)

    async def scenario() -> None:
        meters = {
            f"m{n}": {"register": 1, "unit_id": n + 1, "interval_s": 10 + n} for n in range(8)
        }
        bench = Bench(tmp_path, slowly, meters)
        async with bench.server, running(bench.collector):
            await bench.tick(0, 1)
            bench.clock.set(START_US + 100 * SECOND)
            await until(lambda: len({r.meter_id for r in bench.readings}) == 8)

    asyncio.run(scenario())
    assert max(most) == 1


def test_a_tick_that_passed_during_a_long_one_is_recorded_as_skipped(tmp_path: Path) -> None:
    async def scenario() -> None:
        release = asyncio.Event()

        async def slowly(asked: Asked) -> Answer:
            await release.wait()
            return own_addresses(asked)

        bench = Bench(tmp_path, slowly, {"a": {"register": 1}, "b": {"register": 2}})
        async with bench.server, running(bench.collector):
            bench.clock.set(START_US)
            await until(lambda: len(bench.server.asked) == 1)
            bench.clock.set(START_US + 35 * SECOND)  # ticks 1 and 2 are over, 3 is under way
            release.set()
            await until(lambda: len(bench.readings) == 8)
            await bench.tick(4, 2)
        found = [(r.meter_id, r.sequence, r.status, r.time_us) for r in bench.readings]
        assert found == [
            (meter_id, TICK + n, status, START_US + at * SECOND)
            for n, status, at in [
                (0, "good", 35), (1, "skipped", 10), (2, "skipped", 20), (3, "good", 35),
                (4, "good", 40),
            ]
            for meter_id in "ab"
        ]  # fmt: skip
        health = bench.collector.health
        assert (health.good, health.missing) == (6, 4)

    asyncio.run(scenario())


def test_a_clock_that_leaps_is_no_flood_of_skipped_ticks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        bench = Bench(tmp_path, own_addresses, {"a": {"register": 1}})
        async with bench.server, running(bench.collector):
            await bench.tick(0, 1)
            await bench.tick(poll.MOST_SKIPPED_TICKS + 3, 1)
        assert [r.status for r in bench.readings] == ["good", "good"]
        assert "ahead by 10002 ticks" in caplog.text

    asyncio.run(scenario())


def test_a_clock_that_is_set_back_does_not_stop_the_polls(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:

    async def scenario() -> None:
        bench = Bench(tmp_path, own_addresses, {"a": {"register": 1}})
        async with bench.server, running(bench.collector):
            await bench.tick(0, 1)
            bench.clock.set(START_US - 3600 * SECOND)
            await until(lambda: "set back" in caplog.text)
            await bench.tick(-359, 1)
        assert [r.sequence for r in bench.readings] == [TICK, TICK - 359]

    asyncio.run(scenario())


FAULTS: dict[str, Callable[[Asked], Answer]] = {
    "timeout": lambda _: SILENCE,
    "not_connected": lambda _: CLOSE,
    "exception_4": lambda asked: asked.exception(4),
    "exception_6": lambda asked: asked.exception(6),
    "exception_11": lambda asked: asked.exception(11),
    "bad_reply": lambda asked: asked.reply([1]),
}


@pytest.mark.parametrize("status", FAULTS)
def test_one_unit_s_trouble_is_its_own(
    tmp_path: Path, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Two requests of unit 2 go wrong; units 1 and 3 are read in every tick all the same."""
    faulty = True

    def answer(asked: Asked) -> Answer:
        if asked.unit_id == 2 and faulty:
            return FAULTS[status](asked)
        return own_addresses(asked)

    async def scenario() -> None:
        nonlocal faulty
        meters = {
            "before": {"register": 1, "unit_id": 1, "type": "u32"},
            "one": {"register": 10, "unit_id": 2, "type": "u32"},
            "two": {"register": 100, "unit_id": 2, "type": "u32"},
            "after": {"register": 1, "unit_id": 3, "type": "u32"},
        }
        bench = Bench(tmp_path, answer, meters, timeout_s=0.1)
        async with bench.server, running(bench.collector):
            for number in range(2):
                found = await bench.tick(number, 4)
                wanted = {"before": "good", "one": status, "two": status, "after": "good"}
                assert statuses(found) == wanted
                bad = [r for r in found if r.status != "good"]
                assert {(r.value, r.time_us, r.sequence) for r in bad} == {
                    (None, START_US + number * 10 * SECOND, TICK + number)
                }
            assert bench.collector.health.state == "up"
            faulty = False
            assert set(statuses(await bench.tick(2, 4)).values()) == {"good"}
        health = bench.collector.health
        assert (health.good, health.missing) == (8, 4)
        # A unit that is silent is left alone for the rest of its tick; others are asked on.
        silent = status in ("timeout", "not_connected", "exception_11")
        asked = [a.address for a in bench.server.asked if a.unit_id == 2]
        once = len(asked) - 2
        assert once == {"not_connected": 4}.get(status, 2 if silent else 4)

    caplog.set_level(logging.INFO, "kgce.collectors.lines")
    asyncio.run(scenario())
    lines = [r.message for r in caplog.records if r.name == "kgce.collectors.lines"]
    begun = [line for line in lines if f": {status}" in line]
    ended = [line for line in lines if "good again" in line]
    per_unit = status in ("timeout", "not_connected", "exception_11")
    assert len(begun) == len(ended) == (1 if per_unit else 2), lines


def test_a_unit_that_stays_silent_rests_and_comes_back(tmp_path: Path) -> None:
    dead = True

    def answer(asked: Asked) -> Answer:
        return SILENCE if asked.unit_id == 2 and dead else own_addresses(asked)

    async def scenario() -> None:
        nonlocal dead
        meters = {"live": {"register": 1}, "dead": {"register": 2, "unit_id": 2}}
        # It rests for 9 x 0.1 s by the clock, which stands still within a tick.
        bench = Bench(tmp_path, answer, meters, timeout_s=0.1)
        bench.collector = collector_of(
            tmp_path, bench.server.port, bench.sink, meters, bench.clock, 0.5, timeout_s=0.1
        )
        half = SECOND // 2
        async with bench.server, running(bench.collector):
            seen = []
            for number in range(9):
                bench.clock.set(START_US + number * half)
                await until(lambda number=number: len(bench.readings) == 2 * number + 2)
                seen.append(statuses(bench.readings[-2:]))
                assert seen[-1]["live"] == "good"
                dead = number < 6
            assert "no reply from unit 2" not in bench.collector.health.detail
        # The rest of 0.9 s, shortened by chance, ends before the fifth tick; that of 1.8 s before
        # the eighth or the ninth.
        assert [one["dead"] for one in seen[:7]] == [
            "timeout", "timeout", "timeout", "not_asked", "timeout", "not_asked", "not_asked",
        ]  # fmt: skip
        assert seen[8]["dead"] == "good"
        assert bench.collector.stats.breakers == {"1": "closed", "2": "closed"}

    asyncio.run(scenario())


def test_no_connection_is_said_quickly_and_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        meters = {f"m{n}": {"register": 1, "unit_id": n} for n in range(1, 100)}
        bench = Bench(tmp_path, own_addresses, meters, timeout_s=60)
        async with running(bench.collector):
            for number in range(2):
                assert set(statuses(await bench.tick(number, 99)).values()) == {"not_connected"}
            assert bench.collector.health.state == "down"
            assert "Connect call failed" in bench.collector.health.detail
            assert len(caplog.records) == 1
            async with bench.server:
                assert set(statuses(await bench.tick(2, 99)).values()) == {"good"}
                assert (bench.collector.health.state, bench.collector.health.detail) == ("up", "")
        assert "good again" in caplog.records[-1].message

    caplog.set_level(logging.INFO, "kgce.collectors.lines")
    asyncio.run(scenario())


def test_a_server_that_closes_an_idle_connection_costs_no_reading(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench = Bench(tmp_path, own_addresses, {"a": {"register": 1}})
        async with bench.server, running(bench.collector):
            for number in range(4):
                (found,) = await bench.tick(number, 1)
                assert found.status == "good"
                await bench.server.hang_up()
            assert bench.server.connections == 4

    asyncio.run(scenario())


def test_a_server_that_says_only_when_asked_that_it_has_gone(tmp_path: Path) -> None:
    """It closes at the first request of each tick but the first: it is asked again at once."""
    last = 0

    def answer(asked: Asked) -> Answer:
        nonlocal last
        last += 1
        return CLOSE if last == 2 else own_addresses(asked)

    async def scenario() -> None:
        bench = Bench(tmp_path, answer, {"a": {"register": 1}})
        async with bench.server, running(bench.collector):
            for number in range(3):
                (found,) = await bench.tick(number, 1)
                assert found.status == "good"
            assert bench.server.connections == 2

    asyncio.run(scenario())


def test_a_connection_without_any_reply_is_made_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench = Bench(tmp_path, lambda _: SILENCE, {"a": {"register": 1}}, timeout_s=0.05)
        async with bench.server, running(bench.collector):
            for number in range(2):
                (found,) = await bench.tick(number, 1)
                assert found.status == "timeout"
            await until(lambda: bench.collector.health.state == "down")
            assert bench.collector.health.detail == "no reply from unit 1"
            assert bench.server.connections == 2

    asyncio.run(scenario())


def refusing(missing: set[int]) -> Callable[[Asked], Answer]:
    """A device without the registers ``missing``: exception 2 where a read touches one."""

    def answer(asked: Asked) -> Answer:
        return asked.exception(2) if missing & {*asked.addresses} else own_addresses(asked)

    return answer


def test_a_hole_that_a_device_refuses_is_read_around(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        meters = {f"m{address}": {"register": address} for address in (1, 2, 5, 6, 7)}
        bench = Bench(tmp_path, refusing({3}), meters)
        async with bench.server, running(bench.collector):
            for number in range(3):
                assert set(statuses(await bench.tick(number, 5)).values()) == {"good"}
        asked = [(a.address, a.count) for a in bench.server.asked]
        assert asked == [(1, 7)] + 3 * [(1, 2), (5, 3)]
        assert {r.meter_id: r.value for r in bench.readings} == {
            f"m{address}": address for address in (1, 2, 5, 6, 7)
        }

    asyncio.run(scenario())
    assert caplog.text.count("from now on read as") == 1
    assert "unit 1, registers 1 to 2 (function 3); unit 1, registers 5 to 7" in caplog.text


def test_a_register_that_does_not_exist_costs_only_its_own_value(tmp_path: Path) -> None:
    async def scenario() -> None:
        meters = {f"m{address}": {"register": address} for address in range(8)}
        bench = Bench(tmp_path, refusing({5}), meters)
        async with bench.server, running(bench.collector):
            for number in range(3):
                found = statuses(await bench.tick(number, 8))
                assert found.pop("m5") == "exception_2"
                assert set(found.values()) == {"good"}
            settled = [(a.address, a.count) for a in bench.server.asked][-4:]
        assert settled == [(0, 4), (4, 1), (5, 1), (6, 2)]

    asyncio.run(scenario())


def test_a_device_that_answers_short_is_read_around(tmp_path: Path) -> None:
    """It should say that the address is wrong, and gives the registers that it has instead."""

    def answer(asked: Asked) -> Answer:
        return asked.reply([address for address in asked.addresses if address < 5])

    async def scenario() -> None:
        meters = {f"m{address}": {"register": address} for address in range(8)}
        bench = Bench(tmp_path, answer, meters)
        async with bench.server, running(bench.collector):
            for number in range(3):
                found = await bench.tick(number, 8)
                good = {r.meter_id: r.value for r in found if r.status == "good"}
                assert good == {f"m{address}": address for address in range(5)}
                assert {r.status for r in found if r.meter_id not in good} == {"bad_reply"}

    asyncio.run(scenario())


def test_a_map_that_is_wrong_throughout_is_not_asked_in_pieces_for_ever(tmp_path: Path) -> None:
    async def scenario() -> None:
        meters = {f"m{address}": {"register": address} for address in range(4)}
        bench = Bench(tmp_path, lambda asked: asked.exception(2), meters)
        async with bench.server, running(bench.collector):
            for number in range(3):
                found = statuses(await bench.tick(number, 4))
                assert set(found.values()) == {"exception_2"}
        asked = [a.count for a in bench.server.asked]
        assert asked == [4, 2, 1, 1, 2, 1, 1, 4, 4]

    asyncio.run(scenario())


def test_trouble_while_the_hole_is_sought_decides_nothing(tmp_path: Path) -> None:
    """Half the answer is lost: the plan stays, and the next tick seeks again."""
    busy = True

    def answer(asked: Asked) -> Answer:
        if asked.address == 5 and busy:
            return asked.exception(6)
        return refusing({3})(asked)

    async def scenario() -> None:
        nonlocal busy
        bench = Bench(tmp_path, answer, {"a": {"register": 1}, "b": {"register": 5}})
        async with bench.server, running(bench.collector):
            assert statuses(await bench.tick(0, 2)) == {"a": "good", "b": "exception_6"}
            busy = False
            assert statuses(await bench.tick(1, 2)) == {"a": "good", "b": "good"}
            await bench.tick(2, 2)
        asked = [(a.address, a.count) for a in bench.server.asked]
        assert asked == [(1, 5), (1, 1), (5, 1), (1, 5), (1, 1), (5, 1), (1, 1), (5, 1)]

    asyncio.run(scenario())


def test_not_a_number_is_no_value(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = {0: "7FC00000", 2: "7F800000", 4: "FF800000", 6: "449A5000"}

    def answer(asked: Asked) -> Answer:
        wire = bytes.fromhex("".join(words.values()))
        return asked.reply(list(struct.unpack(">8H", wire)))

    async def scenario() -> None:
        meters = {f"m{n}": {"register": n, "type": "f32"} for n in words}
        bench = Bench(tmp_path, answer, meters)
        async with bench.server, running(bench.collector):
            for number in range(2):
                found = await bench.tick(number, 4)
        assert [(r.status, r.value) for r in found] == 3 * [("not_a_number", None)] + [
            ("good", 1234.5)
        ]
        assert caplog.text.count("meter m0: not_a_number") == 1

    asyncio.run(scenario())


def test_a_full_sink_makes_the_collector_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        bench = Bench(tmp_path, own_addresses, {"a": {"register": 1}})
        bench.sink.capacity = 0
        async with bench.server, running(bench.collector):
            bench.clock.set(START_US)
            await until(lambda: bench.collector.health.state == "waiting")
            bench.clock.set(START_US + 30 * SECOND)
            bench.sink.capacity = None
            await until(lambda: len(bench.readings) == 4)
            await until(lambda: bench.collector.health.state == "up")
        assert [r.status for r in bench.readings] == ["good", "skipped", "skipped", "good"]

    asyncio.run(scenario())


def test_expected_is_good_and_missing_under_random_trouble(tmp_path: Path) -> None:
    """Each tick of each meter has exactly one reading, whatever the server does."""
    faults = [*FAULTS.values(), refusing({2}), own_addresses]

    def answer(asked: Asked) -> Answer:
        return faults[(asked.transaction * 7 + asked.unit_id * 3) % len(faults)](asked)

    async def scenario() -> None:
        meters = {
            f"m{unit}-{address}": {"register": address, "unit_id": unit}
            for unit in (1, 2, 3)
            for address in (1, 3, 40)
        }
        bench = Bench(tmp_path, answer, meters, timeout_s=0.02)
        async with bench.server, running(bench.collector):
            for number in (0, 1, 2, 3, 7, 8, 9, 12, 13):
                await bench.tick(number, 9)
                now = {TICK + number}
                await until(lambda now=now: {r.sequence for r in bench.readings[-9:]} == now)
        ticks = Counter((r.meter_id, r.sequence) for r in bench.readings)
        assert set(ticks) == {(m, TICK + n) for m in meters for n in range(14)}
        assert set(ticks.values()) == {1}
        for reading in bench.readings:
            assert (reading.value is None) == (reading.status != "good")
            if reading.value is not None:
                assert reading.value == int(reading.meter_id.split("-")[1])
        health = bench.collector.health
        assert health.good + health.missing == len(bench.readings)

    asyncio.run(scenario())


def test_the_wire_carries_reads_only(tmp_path: Path) -> None:
    """Every byte of every request, through good and bad: function 3 or 4, and nothing else."""

    async def scenario() -> bytes:
        meters = {
            f"m{unit}-{function}-{address}": {
                "register": address, "unit_id": unit, "function": function, "type": "u32",
            }
            for unit in range(1, 8)
            for function in (3, 4)
            for address in (0, 40, 65534)
        }  # fmt: skip
        faults = [*FAULTS.values(), refusing({40})]
        bench = Bench(
            tmp_path,
            lambda asked: faults[asked.unit_id % len(faults)](asked),
            meters,
            timeout_s=0.02,
        )
        async with bench.server, running(bench.collector):
            for number in range(5):
                await bench.tick(number, len(meters))
        return bench.server.wire

    wire = asyncio.run(scenario())
    frames = [wire[start : start + 12] for start in range(0, len(wire), 12)]
    assert len(frames) > 50
    for frame in frames:
        _transaction, protocol, length, unit_id, function, _address, count = struct.unpack(
            ">HHHBBHH", frame
        )
        assert (protocol, length) == (0, 6)
        assert function in (3, 4)
        assert 1 <= count <= 125
        assert 1 <= unit_id <= 7


def test_a_connection_without_meters_waits(tmp_path: Path) -> None:
    async def scenario() -> None:
        site = site_of(
            tmp_path,
            {"gw": {"type": "modbus_tcp", "host": "127.0.0.1"}, "f": {"type": "files"}},
            {"a": meter("f")},
        )
        collector = ModbusCollector(site, "gw", MemorySink())
        async with running(collector):
            await asyncio.sleep(0.05)
        assert collector.health.state == "stopped"

    asyncio.run(scenario())


def test_a_collector_runs_again_after_it_was_stopped(tmp_path: Path) -> None:
    bench = Bench(tmp_path, own_addresses, {"a": {"register": 1}})

    async def scenario(number: int) -> None:
        async with bench.server:
            bench.clock = ManualClock(START_US)
            bench.collector._clock = bench.clock
            async with running(bench.collector):
                await bench.tick(number, 1)

    for number in range(2):
        asyncio.run(scenario(number))
    assert [r.status for r in bench.readings] == ["good", "good"]


def test_nobody_listens_on_the_port(tmp_path: Path) -> None:
    async def scenario() -> None:
        sink = MemorySink()
        collector = collector_of(
            tmp_path, free_port(), sink, {"a": {"register": 1}}, interval_s=0.1
        )
        async with running(collector):
            await until(lambda: len(sink.readings) >= 3)
        assert {r.status for r in sink.readings} == {"not_connected"}

    asyncio.run(scenario())


def test_a_device_s_clock_is_compared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ahead_s = 90

    async def scenario() -> None:
        nonlocal ahead_s
        devices = tmp_path / "site" / "devices"
        devices.mkdir(parents=True)
        (devices / "with-clock.yaml").write_text(
            "maker: A\nmodel: B\nsource: a test\nct_pt: none\nfields:\n"
            "  total: {address: 1, type: u16, unit: kWh, kind: counter}\n"
            "  time: {address: 100, type: u32, kind: clock, group: slow}\n"
            "groups:\n  slow: {interval_s: 20}\n"
        )

        def answer(asked: Asked) -> Answer:
            if asked.address != 100:
                return own_addresses(asked)
            now_s = bench.clock.now_us() // SECOND + ahead_s
            return asked.reply(list(struct.unpack(">HH", struct.pack(">I", now_s))))

        bench = Bench(tmp_path, answer, {"a": {"device": "with-clock", "quantity": "total"}})
        async with bench.server, running(bench.collector):
            await bench.tick(0, 1)
            await until(lambda: bench.collector.stats.clock_offset_s == {"a": 90.0})
            ahead_s = -5
            await bench.tick(2, 1)
            await until(lambda: bench.collector.stats.clock_offset_s == {"a": -5.0})
        assert {r.value for r in bench.readings if r.status == "good"} == {1.0}
        assert {r.meter_id for r in bench.readings} == {"a"}

    caplog.set_level(logging.INFO, "kgce.collectors.lines")
    asyncio.run(scenario())
    lines = [line for line in caplog.messages if "clock in registers 100 to 101" in line]
    assert len(lines) == 2, caplog.messages
    assert "clock_off: +90 s" in lines[0]
    assert "good again" in lines[1]
