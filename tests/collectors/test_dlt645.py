"""The DL/T 645 collector: each tick has a reading of each meter; the meters' clocks are seen."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from collectors.dlt645.collector import Dlt645Collector
from collectors.memory import MemorySink
from config.tables import Reading
from tests.collectors.dlt645_meters import (
    READ,
    SILENCE,
    Answer,
    Asked,
    MeterBus,
    Meters,
)
from tests.collectors.sites import meter, site_of
from tests.collectors.waiting import ManualClock, running, until

ONE, TWO, DEAD = "000000000001", "000000000002", "000000000099"
SECOND = 1_000_000
NOON = datetime(2026, 11, 22, 4, tzinfo=UTC)  # 12:00 in Shanghai
START_US = round(NOON.timestamp()) * SECOND
TICK = START_US // (60 * SECOND)


def row(quantity: str, address: str = ONE, **fields: Any) -> dict[str, Any]:
    return meter("bus", device="dlt645-2007", quantity=quantity, meter_address=address, **fields)


def power(quantity: str, address: str = ONE, **fields: Any) -> dict[str, Any]:
    return row(quantity, address, kind="gauge", unit="kW", **fields)


class Bench:
    """A bus, a clock that is told what time it is, and the collector between them."""

    def __init__(
        self,
        folder: Path,
        answer: Callable[[Asked], Answer],
        meters: dict[str, dict[str, Any]],
        **settings: Any,
    ) -> None:
        self.bus = MeterBus(answer)
        self.clock = ManualClock(START_US)
        self.sink = MemorySink()
        connection = {
            "type": "dlt645", "host": "127.0.0.1", "port": self.bus.port,
            "interval_s": 60, "timeout_s": 5, **settings,
        }  # fmt: skip
        site = site_of(folder / "site", {"bus": connection}, meters)
        self.collector = Dlt645Collector(site, "bus", self.sink, self.clock)

    @property
    def readings(self) -> list[Reading]:
        return self.sink.readings

    @property
    def asked(self) -> list[str]:
        """Identifiers asked for, but for the clocks."""
        return [asked.data_id for asked in self.bus.asked if not asked.data_id.startswith("04")]

    def has_asked_clocks(self, times: int) -> bool:
        return len(self.bus.asked) - len(self.asked) == times

    async def tick(self, number: int, count: int) -> dict[str, tuple[float | None, str]]:
        """Let it be ``number`` minutes after the start; the ``count`` readings that follow."""
        had = len(self.readings)
        self.clock.set(START_US + number * 60 * SECOND)
        await until(lambda: len(self.readings) >= had + count, f"{count} readings")
        return {r.meter_id: (r.value, r.status) for r in self.readings[had:]}


def shows(text: str, day: str = "00 22 11 26") -> dict[str, str]:
    """A meter's clock: hh:mm:ss."""
    return {"04000101": day, "04000102": " ".join(reversed(text.split(":")))}


WHOLE: dict[str, dict[str, str]] = {
    ONE: {
        "00010000": "01 92 34 12",
        "0001FF00": "01 92 34 12 11 00 00 00 22 00 00 00 33 00 00 00 FF FF FF FF",
        "0203FF00": "00 00 92 50 00 80 FF FF FF 21 43 05",
        **shows("12:00:20"),
    },
    TWO: {"00010000": "26 00 00 00", "02030000": "21 43 05", **shows("11:55:00")},
}


def test_every_meter_gets_the_datum_it_asks_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        rows = {
            "total": row("energy_import"), "peak": row("energy_import_tariff_2"),
            "absent": row("energy_import_tariff_4"), "kw": power("total_power"),
            "a": power("power_l1"), "b": power("power_l2"), "other": row("energy_import", TWO),
        }  # fmt: skip
        bench = Bench(tmp_path, Meters(WHOLE), rows)
        async with bench.bus, running(bench.collector):
            first = await bench.tick(0, len(rows))
        assert first == {
            "total": (123492.01, "good"), "peak": (0.22, "good"), "absent": (None, "not_available"),
            "kw": (-12.0, "good"), "a": (-0.005, "good"), "b": (None, "not_available"),
            "other": (0.26, "good"),
        }  # fmt: skip
        assert sorted(bench.asked) == ["00010000", "0001FF00", "0203FF00"]
        assert {(r.time_us, r.sequence, r.source) for r in bench.readings} == {
            (START_US, TICK, "bus")
        }
        health = bench.collector.health
        assert (health.good, health.missing) == (5, 2)

    asyncio.run(scenario())


def test_a_meter_without_blocks_is_asked_one_by_one_and_that_is_remembered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        single = {"00010000": "10 00 00 00", "00010100": "11 00 00 00", "00010200": "12 00 00 00"}
        rows = {
            "t": row("energy_import"), "t1": row("energy_import_tariff_1"),
            "t2": row("energy_import_tariff_2"),
        }  # fmt: skip
        bench = Bench(tmp_path, Meters({ONE: single}), rows)
        async with bench.bus, running(bench.collector):
            expected = {"t": (0.1, "good"), "t1": (0.11, "good"), "t2": (0.12, "good")}
            assert await bench.tick(0, 3) == expected
            once = len(bench.asked)
            for number in (1, 2):
                assert await bench.tick(number, 3) == expected
        assert bench.asked[once:] == ["00010000", "00010100", "00010200"] * 2
        assert caplog.text.count("refused as a whole") == 1

    asyncio.run(scenario())


def test_a_block_that_lacks_what_is_wanted_is_asked_one_by_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        data = {
            "0001FF00": "10 00 00 00 11 00 00 00", "00010000": "10 00 00 00",
            "0203FF00": "77 77 77", "02030000": "21 43 05", "02030100": "50 00 00",
        }  # fmt: skip
        rows = {
            "t": row("energy_import"), "t2": row("energy_import_tariff_2"),
            "kw": power("total_power"), "l1": power("power_l1"),
        }  # fmt: skip
        bench = Bench(tmp_path, Meters({ONE: data}), rows)
        async with bench.bus, running(bench.collector):
            found = await bench.tick(0, 4)
        assert found == {
            "t": (0.1, "good"), "t2": (None, "exception_2"),
            "kw": (5.4321, "good"), "l1": (0.005, "good"),
        }  # fmt: skip

    asyncio.run(scenario())


def test_a_dead_meter_leaves_the_others_their_readings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        rows = {"dead": row("energy_import", DEAD), "alive": row("energy_import")}
        bench = Bench(tmp_path, Meters(WHOLE), rows, timeout_s=0.3)
        async with bench.bus, running(bench.collector):
            for number in range(5):
                found = await bench.tick(number, 2)
                assert found["alive"] == (123492.01, "good")
                assert found["dead"][1] in ("timeout", "not_asked")
        assert bench.collector.stats.requests["good"] >= 5
        assert caplog.text.count(f"unit {DEAD}: timeout") == 1

    asyncio.run(scenario())


async def seen_clocks(
    folder: Path,
    data: dict[str, dict[str, str]],
    answer: Callable[[Asked], Answer] | None = None,
) -> Bench:
    """The collector has read the clocks of ONE and TWO once."""
    rows = {"a": row("energy_import"), "b": row("energy_import", TWO)}
    bench = Bench(folder, answer or Meters(data), rows)
    async with bench.bus, running(bench.collector):
        await until(lambda: len(bench.collector.stats.clock_offset_s) == 2)
    return bench


def test_the_meters_clocks_are_compared_with_this_machine_s(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = asyncio.run(seen_clocks(tmp_path, WHOLE))
    assert bench.collector.stats.clock_offset_s == {"a": 20.0, "b": -300.0}
    assert f"bus: clock of meter {TWO}: clock_off: -300 s from this machine's" in caplog.text
    assert ONE not in caplog.text


def test_a_clock_is_looked_at_once_an_hour_and_told_when_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def scenario() -> None:
        meters = Meters({ONE: {"00010000": "01 00 00 00", **shows("11:58:00")}})
        bench = Bench(tmp_path, meters, {"a": row("energy_import")})
        offsets = bench.collector.stats.clock_offset_s
        async with bench.bus, running(bench.collector):
            for hour, shown, offset_s in (
                (0, "11:58:00", -120.0), (1, "12:58:00", -120.0), (2, "14:00:10", 10.0),
            ):  # fmt: skip
                meters.data[ONE].update(shows(shown))
                bench.clock.set(START_US + hour * 3600 * SECOND)
                await until(partial(bench.has_asked_clocks, 2 * (hour + 1)))
                await until(partial(offsets.__eq__, {"a": offset_s}))
            bench.clock.set(START_US + 7260 * SECOND)  # a minute later nobody asks
            await until(lambda: bench.collector.stats.ticks == 7)
        assert bench.has_asked_clocks(6)
        assert caplog.text.count("clock_off: -120 s") == 1
        assert caplog.text.count("good again, after clock_off") == 1

    asyncio.run(scenario())


def test_a_day_that_turns_between_date_and_time(tmp_path: Path) -> None:
    """The date was asked for at 23:59:59 and the time at 00:00:00."""
    midnight = datetime(2026, 11, 22, 16, tzinfo=UTC)
    dates: Counter[str] = Counter()

    def answer(asked: Asked) -> Answer:
        if asked.data_id == "04000101":
            dates[asked.address] += 1
            return asked.reply("00 22 11 26" if dates[asked.address] == 1 else "01 23 11 26")
        if asked.data_id == "04000102":
            return asked.reply("01 00 00")
        return asked.reply("01 00 00 00")

    async def scenario() -> None:
        rows = {"a": row("energy_import")}
        bench = Bench(tmp_path, answer, rows)
        bench.clock.set(round(midnight.timestamp()) * SECOND)
        async with bench.bus, running(bench.collector):
            await until(lambda: bench.collector.stats.clock_offset_s == {"a": 1.0})
        assert dates[ONE] == 2

    asyncio.run(scenario())


def test_a_clock_that_shows_no_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        data = {"00010000": "01 00 00 00", "04000101": "FF FF FF FF", "04000102": "FF FF FF"}
        bench = Bench(tmp_path, Meters({ONE: data}), {"a": row("energy_import")})
        async with bench.bus, running(bench.collector):
            await until(lambda: "it shows no time" in caplog.text)
        assert bench.collector.stats.clock_offset_s == {}
        assert {r.status for r in bench.readings} <= {"good"}

    asyncio.run(scenario())


def test_expected_is_good_and_missing_under_random_trouble(tmp_path: Path) -> None:
    """Each tick of each meter has exactly one reading, and no value is ever a wrong one."""

    def value(asked: Asked) -> str:
        return f"{asked.address[-2:]} {asked.data_id[2:4]} 00 00"

    def spoiled(asked: Asked) -> Answer:
        whole = asked.reply(value(asked))
        kinds: list[Answer] = [
            whole, SILENCE, whole[:-3], asked.error(1), asked.error(2), whole + whole,
            asked.frame(asked.data + b"\x99\x99\0\0", 0x80, address=DEAD),
            asked.frame(b"\0\0\x77\0\x99\x99\0\0", 0x80), None, [whole[:5], 0.01, whole[5:]],
            whole[:11] + bytes([whole[11] ^ 4]) + whole[12:], asked.reply("99 99 99"),
        ]  # fmt: skip
        return kinds[(len(bench.bus.asked) * 7 + int(asked.address)) % len(kinds)]

    meters = {
        f"m{address}-{kind}": row(quantity, f"{address:012}")
        for address in (1, 2, 3)
        for kind, quantity in ((1, "energy_import"), (2, "energy_export"))
    }
    bench = Bench(tmp_path, spoiled, meters, timeout_s=0.1)

    async def scenario() -> None:
        async with bench.bus, running(bench.collector):
            for number in range(5):
                await bench.tick(number, 6)
                assert {reading.sequence for reading in bench.readings[-6:]} == {TICK + number}
        ticks = Counter((r.meter_id, r.sequence) for r in bench.readings)
        assert set(ticks) == {(m, TICK + n) for m in meters for n in range(5)}
        assert set(ticks.values()) == {1}
        good = 0
        for reading in bench.readings:
            assert (reading.value is None) == (reading.status != "good")
            if reading.value is not None:
                good += 1
                address, kind = reading.meter_id[1:].split("-")
                assert reading.value == int(address) / 100 + int(kind)
        assert good
        health = bench.collector.health
        assert health.good + health.missing == len(bench.readings) == 30

    asyncio.run(scenario())


def test_the_wire_carries_reads_of_data_only(tmp_path: Path) -> None:
    """Every frame, through good and bad: reading data, or the data that follow."""

    def answer(asked: Asked) -> Answer:
        number = len(bench.bus.asked)
        if number % 5 == 0:
            return SILENCE
        if number % 7 == 0:
            return asked.error(4)
        return Meters(WHOLE)(asked)

    rows = {"a": row("energy_import"), "b": row("energy_import", TWO), "c": power("total_power")}
    bench = Bench(tmp_path, answer, rows, timeout_s=0.1)

    async def scenario() -> None:
        async with bench.bus, running(bench.collector):
            for number in range(5):
                await bench.tick(number, 3)

    asyncio.run(scenario())
    assert len(bench.bus.asked) > 10
    assert {asked.control for asked in bench.bus.asked} == {READ}
    assert {len(asked.data) for asked in bench.bus.asked} == {4}
    assert bench.bus.wire == b"".join(b"\xfe" * 4 + asked.wire for asked in bench.bus.asked)
