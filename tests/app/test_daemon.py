"""`kgce run` as a service manager runs it: ends in order, and outlives everything around it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.spool import Spool
from tests.app.commands import Daemon, collecting, done, inside, kgce, until
from tests.app.lab import (
    ONE,
    TWO,
    UNLIMITED,
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
from tests.mosquitto import Broker, running_broker


@pytest.fixture
def units() -> Iterator[Units]:
    with Units() as running:
        yield running


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running_broker(tmp_path, extra=UNLIMITED) as running:
        yield running


@pytest.fixture
def publisher(broker: Broker) -> Iterator[Publisher]:
    with Publisher(broker.port) as running:
        yield running


def lab(folder: Path, units: Units, broker: Broker, **settings: Any) -> Path:
    return write_lab(folder / "lab", modbus_port=units.port, mqtt_port=broker.port, **settings)


def wait_for_good(plant: Path, meter_id: str, more: int = 3) -> None:
    """Until the meter has so many more good readings than now."""
    wanted = good(plant, meter_id) + more
    until(lambda: good(plant, meter_id) >= wanted, f"readings of {meter_id}")


def wait_for_status(plant: Path, text: str) -> str:
    """Until `kgce status` says so, and that something is wrong; what it says."""

    def said() -> bool:
        ended = status(plant)
        return ended.code == 1 and text in ended.err

    until(said, f"status saying {text!r}")
    return status(plant).err


def all_is_well(plant: Path) -> bool:
    ended = status(plant)
    return ended.code == 0 and "! " not in ended.err and "starting" not in ended.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order(
    tmp_path: Path, units: Units, broker: Broker, publisher: Publisher, number: signal.Signals
) -> None:
    plant = lab(tmp_path, units, broker, intervals={"poll_s": 0.2, "flush_s": 3600})
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: all_is_well(plant), "all connections")
        publisher.publish(50)
        until(lambda: good(plant, "m-number") == 50, "messages")
        wait_for_good(plant, "e-one")
        assert in_lake(plant, "e-one").is_empty()  # the next flush is an hour away
        assert daemon.stop(number) == 0
    assert daemon.said.endswith("stopped; everything read is in the lake\n")
    ended = status(plant)
    assert ended.code == 0
    assert "daemon: stopped " in ended.err
    assert "spool: 0 readings wait for the lake" in ended.err
    assert numbers_in_lake(plant) == list(range(1, 51))
    for meter_id in ("e-one", "e-two"):
        assert_every_tick_has_one_outcome(plant, meter_id)


def test_it_flushes_and_refreshes_by_itself(
    tmp_path: Path, units: Units, broker: Broker, publisher: Publisher
) -> None:
    plant = lab(tmp_path, units, broker)
    with collecting(plant, tmp_path / "log"):
        publisher.publish(10)
        until(lambda: len(in_lake(plant, "e-two")) > 5, "a flush")
        until(lambda: (plant.parent / "data" / "progress.parquet").is_file(), "a refresh")
        until(lambda: all_is_well(plant), "all connections")
        ended = status(plant)
        assert "daemon: running (pid " in ended.err
        assert "connection gateway: up; this run: " in ended.err
        assert "connection broker: up; this run: " in ended.err
        for row in ended.records():
            assert row["balanced"], row
            assert row["expected"] == row["good"] + row["missing"] + row["dropped"]
        # Commands work beside it.
        done("refresh", "-p", plant)
        assert inside("show", "consumption", "-p", plant).code == 0


def test_a_second_one_is_refused(tmp_path: Path, units: Units, broker: Broker) -> None:
    plant = lab(tmp_path, units, broker)
    with collecting(plant, tmp_path / "log"):
        second = kgce("run", "-p", plant)
        assert (second.code, second.out) == (2, "")
        assert f"a daemon collects into {plant.parent / 'data'} already" in second.err
        wait_for_good(plant, "e-one")


def test_dead_from_the_start(tmp_path: Path, units: Units) -> None:
    """A unit, a gateway and a broker that are not there: the others are read all the same."""
    units.silent.add(9)
    mqtt_port = free_port()
    plant = write_lab(
        tmp_path / "lab",
        modbus_port=units.port,
        mqtt_port=mqtt_port,
        connections={
            "nobody": {"type": "modbus_tcp", "host": "127.0.0.1", "port": free_port()},
        },
        meters=[
            ONE,
            {**ONE, "meter_id": "e-silent", "unit_id": "9"},
            {**ONE, "meter_id": "e-nobody", "connection": "nobody"},
            {**ONE, "meter_id": "m-nobody", "connection": "broker", "topic": "x"},
        ],
    )
    with collecting(plant, tmp_path / "log") as daemon:
        wait_for_good(plant, "e-one", 10)
        said = wait_for_status(plant, "! meter e-silent: no good reading since the daemon started")
        for line in (
            "connection gateway: up - no reply from unit 9",
            "! connection nobody is down: ",
            "! connection broker is down: ",
            "! meter e-nobody: no good reading since the daemon started, due every 0.2 s",
        ):
            assert line in said
        assert "! meter e-one" not in said
        for meter_id in ("e-silent", "e-nobody"):
            row = account(plant, meter_id)
            assert (row["good"], row["missing"]) == (0, row["expected"])
            assert row["missing"] > 0
        with running_broker(tmp_path, mqtt_port):
            until(lambda: "connection broker: up" in status(plant).err, "the broker")
            units.silent.clear()
            wait_for_good(plant, "e-silent")
        assert daemon.stop() == 0
    for meter_id in ("e-one", "e-silent", "e-nobody"):
        assert_every_tick_has_one_outcome(plant, meter_id)
    assert account(plant, "e-one")["missing"] <= 0.2 * account(plant, "e-one")["expected"]


def test_a_gateway_that_goes_and_comes(tmp_path: Path, units: Units, broker: Broker) -> None:
    plant = lab(tmp_path, units, broker, meters=[ONE, TWO])
    with collecting(plant, tmp_path / "log") as daemon:
        wait_for_good(plant, "e-one")
        units.stop()
        wait_for_status(plant, "! connection gateway is down: ")
        units.start()
        wait_for_good(plant, "e-one")
        until(lambda: all_is_well(plant), "all connections")
        assert daemon.stop() == 0
    for meter_id in ("e-one", "e-two"):
        assert_every_tick_has_one_outcome(plant, meter_id)
        assert account(plant, meter_id)["reasons"]["not_connected"] > 0


def test_a_broker_that_is_killed_and_comes_back(tmp_path: Path, units: Units) -> None:
    port = free_port()
    plant = write_lab(tmp_path / "lab", modbus_port=units.port, mqtt_port=port)
    with (
        running_broker(tmp_path, port, UNLIMITED) as broker,
        Publisher(port) as publisher,
        collecting(plant, tmp_path / "log") as daemon,
    ):
        until(lambda: all_is_well(plant), "all connections")
        publisher.publish(200)
        until(lambda: good(plant, "m-number") == 200, "the first messages")
        broker.kill()
        wait_for_status(plant, "! connection broker is down: ")
        publisher.publish(200)
        wait_for_good(plant, "e-one")
        with running_broker(tmp_path, port, UNLIMITED):
            publisher.wait_until_acknowledged()
            until(lambda: good(plant, "m-number") == 400, "the messages after it")
            until(lambda: all_is_well(plant), "all connections")
            assert daemon.stop() == 0
    assert numbers_in_lake(plant) == list(range(1, 401))
    assert_every_tick_has_one_outcome(plant, "e-one")


def test_messages_while_the_daemon_is_away(
    tmp_path: Path, units: Units, broker: Broker, publisher: Publisher
) -> None:
    """The broker keeps them for its session."""
    plant = lab(tmp_path, units, broker)
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: all_is_well(plant), "all connections")
        wait_for_good(plant, "e-one")
        assert daemon.stop() == 0
    publisher.publish(2500)
    publisher.wait_until_acknowledged()
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: good(plant, "m-number") == 2500, "the kept messages")
        until(lambda: "not_running" in account(plant, "e-one")["reasons"], "the first poll again")
        assert daemon.stop() == 0
    assert numbers_in_lake(plant) == list(range(1, 2501))
    assert account(plant, "e-one")["reasons"]["not_running"] > 0
    assert_every_tick_has_one_outcome(plant, "e-one")


FULL = 12_000  # messages: more than a spool of 1 MB has room for, of which 0.8 are taken


def test_a_full_spool_makes_everybody_wait(
    tmp_path: Path, units: Units, broker: Broker, publisher: Publisher
) -> None:
    """No flush can be done, as a file stands where the lake should be. Then it is taken away."""
    plant = lab(tmp_path, units, broker, storage={"spool_max_mb": 1})
    obstacle = plant.parent / "data" / "lake"
    obstacle.parent.mkdir()
    obstacle.write_text("")
    spool = Spool(obstacle.with_name("spool.db"), max_bytes=1 << 30, dedupe_s=1)
    spool.put_state("filler", "x" * 800_000)
    spool.close()
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: "connection broker: up" in status(plant).err, "the broker")
        publisher.publish(FULL)
        said = wait_for_status(plant, "its cap (storage.spool_max_mb)")
        assert "! flush: " in said
        wait_for_status(plant, "! connection broker is waiting: the spool is full")
        wait_for_status(plant, "! connection gateway is waiting: the spool is full")
        taken = good(plant, "m-number")
        assert 0 < taken < FULL
        publisher.wait_until_acknowledged()
        obstacle.unlink()
        until(lambda: good(plant, "m-number") == FULL, "the messages that waited")
        wait_for_good(plant, "e-one")
        until(lambda: all_is_well(plant), "all connections")
        assert daemon.stop() == 0
    assert numbers_in_lake(plant) == list(range(1, FULL + 1))
    for meter_id in ("e-one", "e-two"):
        assert_every_tick_has_one_outcome(plant, meter_id)


def test_a_stop_without_a_lake_says_so(
    tmp_path: Path, units: Units, broker: Broker, publisher: Publisher
) -> None:
    plant = lab(tmp_path, units, broker)
    obstacle = plant.parent / "data" / "lake"
    obstacle.parent.mkdir()
    obstacle.write_text("")
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: "connection broker: up" in status(plant).err, "the broker")
        publisher.publish(100)
        until(lambda: good(plant, "m-number") == 100, "messages")
        assert daemon.stop() == 1
    assert "everything read is in the lake" not in daemon.said
    assert "readings wait in the spool, 0 are lost" in daemon.said
    assert f"! {obstacle}" in daemon.said
    said = status(plant)
    assert said.code == 1
    assert "! flush: " in said.err
    obstacle.unlink()
    done("refresh", "-p", plant)  # flushes what waits, without a daemon
    assert numbers_in_lake(plant) == list(range(1, 101))
    assert_every_tick_has_one_outcome(plant, "e-one")


def test_after_a_kill_the_status_says_so(tmp_path: Path, units: Units, broker: Broker) -> None:
    plant = lab(tmp_path, units, broker)
    with collecting(plant, tmp_path / "log") as daemon:
        wait_for_good(plant, "e-one")
        daemon.kill()
    ended = status(plant)
    assert ended.code == 1
    assert "daemon: ended without a shutdown" in ended.err
    assert "! the daemon was killed or crashed; start it with `kgce run`" in ended.err
    with collecting(plant, tmp_path / "log") as daemon:
        wait_for_good(plant, "e-one")
        until(lambda: all_is_well(plant), "all connections")
        assert daemon.stop() == 0
    assert_every_tick_has_one_outcome(plant, "e-one")


def test_a_wrong_plant_starts_nothing(tmp_path: Path) -> None:
    plant = write_lab(tmp_path, modbus_port=1, mqtt_port=1, nodes={})
    daemon = Daemon(plant, tmp_path / "log")
    try:
        assert daemon.process.wait(60) == 2
    finally:
        daemon.close()
    assert not (tmp_path / "data").exists()
