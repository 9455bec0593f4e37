"""Configuration that changes under a running daemon: taken whole or not at all, and only what
changed is touched. Real daemons, real Modbus servers on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.daemon import Daemon
from app.reload import ConfigFiles, Swap, fingerprints, swap_between
from app.sites import load_site
from tests.app.commands import PATIENCE_S, collecting, inside, until
from tests.app.lab import (
    NUMBERED,
    ONE,
    TWO,
    Publisher,
    Units,
    account,
    assert_every_tick_has_one_outcome,
    free_port,
    good,
    in_lake,
    numbers_in_lake,
    status,
    write_lab,
)
from tests.collectors.servers import ScriptedServer, own_addresses
from tests.mosquitto import running_broker

INTERVAL_S = 1.0  # long enough for a slow machine not to miss a tick
THREE: Mapping[str, str] = {**TWO, "meter_id": "e-three", "connection": "second", "unit_id": "3"}
LEDGER_HEAD = "meter_id,name,node,energy,kind,unit,connection,unit_id,register,type"


def write_two(
    folder: Path,
    first: int,
    second: int | None,
    *,
    meters: Sequence[Mapping[str, str]] = (ONE, THREE),
    interval_s: float = INTERVAL_S,
    **sections: Any,
) -> Path:
    """A plant with the Modbus connections `gateway` and `second`, or the first alone."""
    more = {"second": modbus(second)} if second is not None else {}
    return write_lab(
        folder,
        modbus_port=first,
        mqtt_port=1,
        meters=meters,
        connections={"broker": {"type": "files"}, **more},
        intervals={"poll_s": interval_s, "flush_s": 0.3, "refresh_s": 3600},
        **sections,
    )


def modbus(port: int, **settings: Any) -> dict[str, Any]:
    return {"type": "modbus_tcp", "host": "127.0.0.1", "port": port, "timeout_s": 2, **settings}


@asynccontextmanager
async def running(plant: Path) -> AsyncIterator[Daemon]:
    """A daemon of this process, that ends in order with the block."""
    daemon, stop, started = Daemon(load_site(plant)), asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(daemon.run(stop, started.set))
    await asyncio.wait({task, asyncio.create_task(started.wait())}, return_when="FIRST_COMPLETED")
    try:
        yield daemon
    finally:
        stop.set()
        stopped = await task
    assert (stopped.waiting, stopped.lost) == (0, 0), stopped


async def sooner_or_later(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up, f"did not come about: {what}"
        await asyncio.sleep(0.05)


def by_connection(daemon: Daemon) -> dict[str, Any]:
    return {collector.health.connection: collector for collector in daemon.collectors}


def test_only_what_changed_is_touched(tmp_path: Path) -> None:
    async def main() -> Path:
        async with ScriptedServer(own_addresses) as first, ScriptedServer(own_addresses) as second:
            plant = write_two(tmp_path, first.port, second.port)
            async with running(plant) as daemon:
                before = by_connection(daemon)
                await sooner_or_later(lambda: second.asked and first.asked, "polls of both")
                # A meter more on the second line; the first is none of its business.
                more = {**THREE, "meter_id": "e-more", "register": "100"}
                write_two(tmp_path, first.port, second.port, meters=[ONE, THREE, more])
                await sooner_or_later(lambda: daemon.reloads.taken == 1, "the new ledger")
                after = by_connection(daemon)
                assert after["gateway"] is before["gateway"]
                assert after["second"] is not before["second"]
                asked = len(second.asked)
                await sooner_or_later(lambda: len(second.asked) > asked + 2, "the new line")
                assert any(100 in asked.addresses for asked in second.asked)
                assert first.connections == 1
                assert second.connections == 2
                assert list(daemon.site.plant.meters) == ["e-one", "e-three", "e-more"]
            return plant

    plant = asyncio.run(main())
    for meter_id in ("e-one", "e-three", "e-more"):
        assert_every_tick_has_one_outcome(plant, meter_id)
    untouched = account(plant, "e-one")
    assert untouched["good"] == untouched["expected"], untouched


def test_names_and_rated_power_touch_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        async with ScriptedServer(own_addresses) as first, ScriptedServer(own_addresses) as second:
            write_two(tmp_path, first.port, second.port)
            async with running(tmp_path / "plant.yaml") as daemon:
                before = by_connection(daemon)
                await sooner_or_later(lambda: first.asked and second.asked, "polls")
                renamed = {**ONE, "name": "Kiln feeder", "rated_per_h": "500"}
                write_two(tmp_path, first.port, second.port, meters=[renamed, THREE])
                await sooner_or_later(lambda: daemon.reloads.taken == 1, "the new ledger")
                assert by_connection(daemon) == before
                assert daemon.site.plant.meters["e-one"].name == "Kiln feeder"
            assert (first.connections, second.connections) == (1, 1)

    asyncio.run(main())


def test_connections_come_and_go(tmp_path: Path) -> None:
    async def main() -> None:
        async with ScriptedServer(own_addresses) as first, ScriptedServer(own_addresses) as second:
            plant = write_two(tmp_path, first.port, None, meters=[ONE])
            async with running(plant) as daemon:
                (before,) = daemon.collectors
                write_two(tmp_path, first.port, second.port)
                await sooner_or_later(lambda: len(second.asked) > 2, "the new connection")
                assert by_connection(daemon)["gateway"] is before
                write_two(tmp_path, first.port, None, meters=[ONE])
                await sooner_or_later(lambda: daemon.reloads.taken == 2, "the removal")
                assert daemon.collectors == [before]
                asked = len(second.asked)
                polled = len(first.asked)
                await sooner_or_later(lambda: len(first.asked) > polled + 2, "the first goes on")
                assert len(second.asked) == asked
                assert first.connections == 1

    asyncio.run(main())
    rows = {row["meter_id"]: row for row in status(tmp_path / "plant.yaml").records()}
    assert rows["e-three"]["balanced"], "what it had said stays in the account"
    assert rows["e-three"]["good"] > 0


def test_another_interval_goes_on_at_the_new_one(tmp_path: Path) -> None:
    async def main() -> int:
        async with ScriptedServer(own_addresses) as first, ScriptedServer(own_addresses) as second:
            write_two(tmp_path, first.port, second.port)
            async with running(tmp_path / "plant.yaml") as daemon:
                kept = by_connection(daemon)["gateway"]
                await sooner_or_later(lambda: len(second.asked) > 3, "polls")
                faster = {**THREE, "interval_s": "0.5"}
                write_two(tmp_path, first.port, second.port, meters=[ONE, faster])
                await sooner_or_later(lambda: daemon.reloads.taken == 1, "the new interval")
                assert by_connection(daemon)["gateway"] is kept
                asked = len(second.asked)
                await sooner_or_later(lambda: len(second.asked) > asked + 6, "polls")
            return len(second.asked)

    polls = asyncio.run(main())
    plant = tmp_path / "plant.yaml"
    said = account(plant, "e-three")
    assert said["balanced"], said
    assert said["good"] + said["reasons"].get("skipped", 0) >= polls
    # Every tick of the old and of the new interval is accounted for, none twice.
    ticks = in_lake(plant, "e-three")
    assert len(ticks) + said["reasons"].get("not_running", 0) == said["expected"]
    assert ticks["time_utc"].is_sorted()
    assert account(plant, "e-one")["good"] == account(plant, "e-one")["expected"]


@pytest.fixture
def units() -> Iterator[Units]:
    with Units() as running_:
        yield running_


def test_what_is_wrong_changes_nothing_and_is_said_once(tmp_path: Path, units: Units) -> None:
    """A ledger that is written by halves, then wrongly, then rightly; and SIGHUP."""
    plant = write_two(tmp_path / "lab", units.port, None, meters=[ONE], interval_s=0.2)
    ledger = plant.parent / "meters.csv"
    rows = ledger.read_text()
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: good(plant, "e-one") > 2, "readings")
        ledger.write_text(rows + 'e-two,"Unit')
        until(lambda: "the changed configuration is refused" in daemon.said, "the refusal")
        assert inside("status", "-p", plant).code == 2  # it reads the same files
        daemon.process.send_signal(signal.SIGHUP)
        second_row = ",".join(TWO[name] for name in rows.splitlines()[0].split(","))
        ledger.write_text(f"{rows}{second_row.replace('u64', 'u65')}\r\n")
        until(lambda: "'u65'" in daemon.said, "the second refusal")
        assert daemon.said.count("the changed configuration is refused") == 2
        ledger.write_text(f"{rows}{second_row}\r\n")
        until(lambda: "the configuration was changed from " in daemon.said, "the right one")
        assert "restarted gateway; 0 connections go on untouched" in daemon.said
        until(lambda: good(plant, "e-two") > 2, "readings of the new meter")
        until(lambda: status(plant).code == 0, "a status without trouble")
        said = daemon.said
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: "was read again: it is the one in use" in daemon.said, "an answer")
        assert said.count("the configuration was changed") == 1
        assert daemon.stop() == 0
    for meter_id in ("e-one", "e-two"):
        assert_every_tick_has_one_outcome(plant, meter_id)


@pytest.mark.parametrize("key", ["plant.id", "storage.path"])
def test_what_needs_a_restart_is_refused(tmp_path: Path, units: Units, key: str) -> None:
    plant = write_two(tmp_path / "lab", units.port, None, meters=[ONE], interval_s=0.2)
    text = plant.read_text(encoding="utf-8")
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: good(plant, "e-one") > 2, "readings")
        if key == "plant.id":
            plant.write_text(text.replace("id: works", "id: other", 1), encoding="utf-8")
        else:
            plant.write_text(text + "storage:\n  path: elsewhere\n", encoding="utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: f"{key} changed from " in daemon.said, "the refusal")
        assert "to do: restart `kgce run`, or set it back" in daemon.said
        if key == "plant.id":

            def shown() -> bool:
                ended = inside("status", "-p", plant)
                return ended.code == 1 and "! the changed configuration is refused" in ended.err

            until(shown, "the trouble in the status")
        plant.write_text(text, encoding="utf-8")
        until(lambda: "it is the one in use" in daemon.said, "the old one")
        until(lambda: status(plant).code == 0, "a status without trouble")
        assert daemon.said.count("is refused") == 1
        assert daemon.stop() == 0
    assert not (plant.parent / "elsewhere").exists()


def test_a_line_whose_certificate_cannot_be_used_is_refused_before_anything_stops(
    tmp_path: Path, units: Units
) -> None:
    """`kgce check` sees the file; only the collector's making finds that it is no certificate."""
    plant = write_two(tmp_path / "lab", units.port, None, meters=[ONE], interval_s=0.2)
    (plant.parent / "ca.pem").write_text("no certificate")
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: good(plant, "e-one") > 2, "readings")
        broker = {"type": "mqtt", "host": "127.0.0.1", "tls": {"ca_file": "ca.pem"}}
        write_lab(
            plant.parent, modbus_port=units.port, mqtt_port=1,
            meters=[{**ONE, "interval_s": "0.3"}, NUMBERED], connections={"broker": broker},
        )  # fmt: skip
        until(lambda: "the changed configuration is refused" in daemon.said, "the refusal")
        assert "ca.pem" in daemon.said
        before = good(plant, "e-one")
        until(lambda: good(plant, "e-one") > before + 2, "the old configuration going on")
        until(lambda: "! the changed configuration is" in status(plant).err, "the status")
        assert daemon.stop() == 0
    assert_every_tick_has_one_outcome(plant, "e-one")


def test_messages_during_a_restart_of_the_broker_s_collector(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker, Publisher(broker.port) as publisher:

        def write(name: str) -> Path:
            return write_lab(
                tmp_path / "lab", modbus_port=free_port(), mqtt_port=broker.port,
                meters=[NUMBERED, {**NUMBERED, "meter_id": "m-second", "topic": name}],
                connections={"gateway": {"type": "files"}},
            )  # fmt: skip

        plant = write("lab/a")
        with collecting(plant, tmp_path / "log") as daemon:
            until(lambda: "connection broker: up" in status(plant).err, "the broker")
            publisher.publish_all_the_time(0.01)
            until(lambda: good(plant, "m-number") > 20, "messages")
            write("lab/b")
            until(lambda: "restarted broker" in daemon.said, "the new topic")
            before = good(plant, "m-number")
            until(lambda: good(plant, "m-number") > before + 20, "messages after it")
            publisher.stop()
            publisher.wait_until_acknowledged()
            until(lambda: good(plant, "m-number") >= publisher.published, "all of them")
            assert daemon.stop() == 0
    assert numbers_in_lake(plant) == list(range(1, publisher.published + 1))


def test_jobs_and_metrics_follow(tmp_path: Path) -> None:
    async def main() -> None:
        async with ScriptedServer(own_addresses) as first:
            port = free_port()
            metrics = f"metrics:\n  port: {port}\n"
            plant = write_two(tmp_path, first.port, None, meters=[ONE])
            text = plant.read_text(encoding="utf-8").replace("refresh_s: 3600", "refresh_s: 1")
            async with running(plant) as daemon:
                await sooner_or_later(lambda: daemon.job_states["flush"].last_ok_us, "a flush")
                assert daemon.job_states["refresh"].last_ok_us is None
                plant.write_text(text + metrics + "storage:\n  spool_max_mb: 7\n")
                await sooner_or_later(lambda: daemon.reloads.taken == 1, "the change")
                await sooner_or_later(lambda: daemon.job_states["refresh"].last_ok_us, "a refresh")
                url = f"http://127.0.0.1:{port}/metrics"

                def scraped() -> str:
                    return str(urllib.request.urlopen(url, timeout=30).read(), "utf-8")

                shown = await asyncio.to_thread(scraped)
                assert 'kgce_config_changes_total{outcome="taken"} 1.0' in shown
                assert "\nkgce_spool_max_bytes 7340032.0\n" in shown
                plant.write_text(text)
                await sooner_or_later(lambda: daemon.reloads.taken == 2, "the change back")
                with pytest.raises(OSError):  # noqa: PT011 - refused, in whatever words
                    await asyncio.to_thread(scraped)
            assert first.connections == 1

    asyncio.run(main())


def test_a_step_of_the_clock_is_seen_by_the_daemon(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        ahead_s = 0.0
        async with ScriptedServer(own_addresses) as first:
            plant = write_two(tmp_path, first.port, None, meters=[ONE])
            async with running(plant) as daemon:
                daemon.clock_steps.wall_ns = lambda: time.time_ns() + round(ahead_s * 1e9)
                await sooner_or_later(lambda: daemon.collectors[0].health.good, "a poll")
                ahead_s = 7200.0
                await sooner_or_later(lambda: daemon.clock_steps.steps == 1, "the step")
                assert round(daemon.clock_steps.last_step_s) == 7200

    asyncio.run(main())
    said = [r.message for r in caplog.records if r.name == "kgce.clock"]
    assert said == ["the machine's clock was set ahead by 7200.0 s; polls go on by the new time"]


def looked(files: ConfigFiles) -> list[bool]:
    return [files.have_changed() for _ in range(3)]


def test_files_are_taken_once_they_stand_still(tmp_path: Path) -> None:
    plant = write_two(tmp_path, 1, 2)
    files = ConfigFiles(plant)
    assert looked(files) == [False, False, False]
    ledger = tmp_path / "meters.csv"
    ledger.write_text(LEDGER_HEAD)
    assert files.have_changed() is False  # it may still be written
    ledger.write_text(LEDGER_HEAD + "\n")
    assert files.have_changed() is False
    assert files.have_changed() is True
    files.take()
    assert looked(files) == [False, False, False]


def test_every_file_of_the_configuration_is_looked_at(tmp_path: Path) -> None:
    tls = {"ca_file": "ca.pem"}
    plant = write_lab(
        tmp_path, modbus_port=1, mqtt_port=2,
        connections={"more": {"type": "mqtt", "host": "h", "tls": tls}},
    )  # fmt: skip
    files = ConfigFiles(plant)

    def noticed() -> bool:
        seen = any(looked(files))
        files.take()
        return seen

    devices = tmp_path / "devices"
    devices.mkdir()
    for file in (tmp_path / "ca.pem", devices / "own.yaml", tmp_path / "meters.csv", plant):
        content = file.read_text(encoding="utf-8") if file.exists() else ""
        file.write_text(content + "\n", encoding="utf-8")
        assert noticed(), file
        replacement = file.with_name("replacement")
        replacement.write_text(content + "#", encoding="utf-8")
        os.utime(replacement, ns=(file.stat().st_mtime_ns, file.stat().st_mtime_ns))
        replacement.replace(file)  # same time, same size, another file
        assert noticed(), file
        if file != plant:
            file.unlink()
            assert noticed(), file
    assert not noticed()
    # The ledger is found by its new name, also where plant.yaml was wrong in between.
    plant.write_text("meters: [", encoding="utf-8")
    assert noticed()
    plant.write_text("meters: other.csv", encoding="utf-8")
    assert noticed()
    (tmp_path / "other.csv").write_text(LEDGER_HEAD)
    assert noticed()


def test_what_a_change_does(tmp_path: Path) -> None:
    def made_from(**changes: Any) -> dict[str, str]:
        return fingerprints(load_site(write_two(tmp_path, 1, 2, **changes)))

    before = made_from()
    assert not swap_between(before, made_from())
    slower = swap_between(before, made_from(interval_s=5.0))
    assert slower == Swap(restarted=("gateway", "second"))
    one_less = swap_between(before, made_from(meters=[ONE]))
    assert one_less == Swap(restarted=("second",), kept=("gateway",))
    assert swap_between({"a": "1", "b": "1"}, {"b": "1", "c": "1"}) == Swap(
        started=("c",), stopped=("a",), kept=("b",)
    )
    assert str(one_less) == "restarted second; 1 connections go on untouched"


def test_a_changed_password_is_a_change(tmp_path: Path) -> None:
    settings = {"username": "kgce", "password_file": "password"}
    broker = {"type": "mqtt", "host": "127.0.0.1", **settings}
    (tmp_path / "password").write_text("one")
    plant = write_lab(tmp_path, modbus_port=1, mqtt_port=1, connections={"broker": broker})
    before = fingerprints(load_site(plant))
    (tmp_path / "password").write_text("two")
    assert swap_between(before, fingerprints(load_site(plant))).restarted == ("broker",)


def test_columns_that_no_collector_reads_are_read_by_none() -> None:
    """Where one comes to be read, its change has to restart the collector."""
    import collectors
    from app.reload import NOT_COLLECTED_BY

    folder = Path(collectors.__file__).parent
    sources = [
        file
        for file in folder.rglob("*.py")
        if not {"simulator", "files"} & set(file.relative_to(folder).parts)
    ]
    assert len(sources) > 10
    for file in sources:
        for column in {*NOT_COLLECTED_BY} - {"node"}:  # Sparkplug has nodes of its own
            assert f"meter.{column}" not in file.read_text(encoding="utf-8"), (file, column)
