"""`kill -9` of the daemon at random moments: nothing acknowledged is lost, nothing comes twice.

KGCE_KILLS is the number of kills (20); `pytest -s` shows the counts.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.app.commands import Daemon, done, until
from tests.app.lab import (
    NUMBERED,
    ONE,
    TWO,
    UNLIMITED,
    Publisher,
    Units,
    account,
    assert_every_tick_has_one_outcome,
    good,
    numbers_in_lake,
    status,
    write_lab,
)
from tests.mosquitto import running_broker

KILLS = int(os.environ.get("KGCE_KILLS", "20"))
SEED = 20261122
LONGEST_LIFE_S = 3.0
SILENT = {**ONE, "meter_id": "e-silent", "unit_id": "9"}
POLLED = ("e-one", "e-two", "e-silent")


def test_killed_at_random_moments_it_loses_nothing(tmp_path: Path) -> None:
    with (
        Units() as units,
        running_broker(tmp_path, extra=UNLIMITED) as broker,
        Publisher(broker.port) as publisher,
    ):
        units.silent.add(9)
        plant = write_lab(
            tmp_path / "lab",
            modbus_port=units.port,
            mqtt_port=broker.port,
            meters=[ONE, TWO, SILENT, NUMBERED],
        )
        with started(plant, tmp_path / "log"):
            # The broker keeps messages only for a session that it knows.
            until(lambda: "connection broker: up" in status(plant).err, "the session")
        publisher.publish_all_the_time(pause_s=0.005)
        collecting = kill_again_and_again(plant, tmp_path / "log")
        with started(plant, tmp_path / "log") as daemon:
            publisher.stop()
            publisher.wait_until_acknowledged()
            until(lambda: good(plant, "m-number") >= publisher.published, "the last message")
            assert daemon.stop() == 0
    show(f"\n{KILLS} kills (seed {SEED}), {collecting} of them while it collected")
    assert_messages_came_once(plant, publisher)
    for meter_id in POLLED:
        show_account(plant, meter_id)
        assert_every_tick_has_one_outcome(plant, meter_id)
    assert account(plant, "e-one")["reasons"].keys() >= {"not_running"}
    # What was collected can be computed, and the second time changes nothing.
    done("refresh", "-p", plant)
    assert "nothing changed" in done("refresh", "-p", plant).err


@contextmanager
def started(plant: Path, log: Path) -> Iterator[Daemon]:
    """A daemon from its first moment on, which need not collect yet; killed at the end."""
    daemon = Daemon(plant, log)
    try:
        yield daemon
    finally:
        if daemon.process.poll() is None:
            daemon.kill()
        daemon.close()


def kill_again_and_again(plant: Path, log: Path) -> int:
    """KILLS lives of a daemon; how many of them were long enough for it to collect.

    Every fourth is killed while it starts, opens its spool and takes up where the last one ended.
    """
    moments = random.Random(SEED)
    collecting = 0
    for kill in range(KILLS):
        with started(plant, log) as daemon:
            if kill % 4 != 3:
                daemon.wait_until_it_collects()
            time.sleep(moments.uniform(0.0, LONGEST_LIFE_S))
            collecting += daemon.collects
    return collecting


def assert_messages_came_once(plant: Path, publisher: Publisher) -> None:
    there = Counter(numbers_in_lake(plant))
    lost = publisher.acknowledged - there.keys()
    doubled = [number for number, times in there.items() if times > 1]
    show(
        f"messages: {publisher.published} published, {len(publisher.acknowledged)} acknowledged, "
        f"{there.total()} in the lake, {len(lost)} lost, {len(doubled)} doubled"
    )
    said = show_account(plant, "m-number")
    assert not lost
    assert not doubled
    assert there.keys() == set(range(1, publisher.published + 1))
    assert publisher.published > 50 * KILLS
    assert said["expected"] == said["good"] == publisher.published


def show_account(plant: Path, meter_id: str) -> dict[str, object]:
    said = account(plant, meter_id)
    show(
        f"{meter_id}: expected {said['expected']} = good {said['good']} + missing "
        f"{said['missing']} + dropped {said['dropped']}; missing by reason {said['reasons']}; "
        f"{said['duplicates']} came again and were refused"
    )
    return said


def show(text: str) -> None:
    print(text)  # noqa: T201 - for `pytest -s`
