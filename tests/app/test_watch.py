"""`kgce watch` beside a real daemon, without one, and in a real terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app import jobs
from app.latest import Beside, Latest
from app.sites import load_site
from app.watch_rows import age_text, rows_of, table_of, watched
from config.errors import InputError
from config.tables import Reading
from tests.app.commands import PATIENCE_S, PROGRAM, collecting, environment, inside, kgce, until
from tests.app.lab import NUMBERED, ONE, TWO, Publisher, Units, free_port, good, write_lab
from tests.mosquitto import running_broker

SILENT = {**ONE, "meter_id": "e-silent", "unit_id": "9"}
NOBODY = {**ONE, "meter_id": "e-nobody", "connection": "nobody"}


@pytest.fixture
def units() -> Iterator[Units]:
    with Units() as running:
        running.silent.add(9)
        yield running


def polled(folder: Path, units: Units, meters: Sequence[Any] = (ONE, TWO), **more: Any) -> Path:
    """A plant whose meters are all polled."""
    return write_lab(
        folder, modbus_port=units.port, mqtt_port=1, meters=meters,
        connections={
            "broker": {"type": "files"},
            "nobody": {"type": "modbus_tcp", "host": "127.0.0.1", "port": free_port()},
        },
        **more,
    )  # fmt: skip


def seen(plant: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    """`kgce watch --format json` by meter."""
    ended = kgce("watch", "-p", plant, "--format", "json", *arguments)
    return {row["meter_id"]: row for row in json.loads(ended.out)}


def test_beside_a_daemon(tmp_path: Path, units: Units) -> None:
    with running_broker(tmp_path) as broker, Publisher(broker.port) as publisher:
        plant = write_lab(
            tmp_path / "lab", modbus_port=units.port, mqtt_port=broker.port,
            meters=[ONE, TWO, SILENT, NOBODY, NUMBERED],
            connections={
                "nobody": {"type": "modbus_tcp", "host": "127.0.0.1", "port": free_port()}
            },
        )  # fmt: skip
        with collecting(plant, tmp_path / "log") as daemon:
            until(lambda: "connection broker: up" in inside("status", "-p", plant).err, "it")
            publisher.publish(7)
            until(lambda: good(plant, "m-number") == 7, "the messages")
            until(lambda: good(plant, "e-one") > 3, "polls")

            def all_seen() -> bool:
                now = seen(plant)
                return (
                    now["e-one"]["status"] == "good"
                    and now["m-number"]["value"] == 7
                    and now["e-nobody"]["connection_state"] == "down"
                    and now["e-silent"]["status"] in ("timeout", "not_asked")
                )

            until(all_seen, "the values of every meter")
            now = seen(plant)
            assert list(now) == ["e-one", "e-two", "e-silent", "e-nobody", "m-number"]
            one = now["e-one"]
            assert (one["name"], one["unit"], one["connection"]) == ("Unit 1", "kWh", "gateway")
            tenths = time.time() * 10
            assert tenths - 6000 < one["value"] <= tenths
            assert one["age_s"] < 600
            assert one["connection_state"] == "up"
            assert now["e-silent"]["value"] is None
            assert now["e-silent"]["age_s"] is None
            assert now["e-nobody"]["status"] == "not_connected"
            # Values move, and the poll's owner is not disturbed.
            until(lambda: seen(plant)["e-one"]["value"] > one["value"], "a newer value")
            ended = kgce("watch", "-p", plant, "--once", "e-*", "--lang", "zh")
            assert ended.code == 0
            assert "计量器具" in ended.out
            assert "连接状态" in ended.out
            assert "无连接" in ended.out
            assert "m-number" not in ended.out
            refused = kgce("watch", "-p", plant, "--read", "--once")
            assert refused.code == 2
            assert "a daemon runs here" in refused.err
            assert daemon.stop() == 0


def test_every_value_is_met_though_flushes_come_between(tmp_path: Path, units: Units) -> None:
    """What went to the lake between two looks is looked up there."""
    plant = polled(tmp_path / "lab", units)
    site = load_site(plant)
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: good(plant, "e-one") > 3, "readings")
        beside = Beside(site, jobs.open_lake(site), ["e-one", "e-two"])
        beside.look()
        assert set(beside.latest.good) == {"e-one", "e-two"}
        before = dict(beside.latest.good)
        counted = good(plant, "e-one")
        until(lambda: good(plant, "e-one") > counted + 3, "more readings")
        assert daemon.stop() == 0  # flushes all
    beside.look()
    last = beside.latest.good["e-one"]
    assert last.time_us > before["e-one"].time_us
    assert not beside.daemon_runs
    fresh = Beside(site, jobs.open_lake(site), ["e-one", "e-two"])
    fresh.look()
    assert fresh.latest == beside.latest


def test_without_a_daemon_it_says_so(tmp_path: Path, units: Units) -> None:
    plant = polled(tmp_path / "lab", units)
    never = kgce("watch", "-p", plant)
    assert never.code == 1
    assert "nothing yet" in never.out
    assert "NO DAEMON RUNS" in never.out
    assert "no daemon runs here" in never.err
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: good(plant, "e-one") > 3, "readings")
        daemon.kill()
    ended = kgce("watch", "-p", plant, "e-one")
    assert ended.code == 1
    assert "`kgce run` starts one" in ended.err
    (line,) = (line for line in ended.out.splitlines() if "e-one" in line)
    assert "kWh" in line
    assert "gateway" in line


def test_it_polls_by_itself(tmp_path: Path, units: Units) -> None:
    plant = polled(tmp_path / "lab", units, [ONE, SILENT, NOBODY, {**NUMBERED, "topic": ""}])
    now = seen(plant, "--read", "--every", "0.5")
    assert set(now) == {"e-one", "e-silent", "e-nobody"}
    assert now["e-one"]["status"] == "good"
    assert now["e-one"]["value"] > 1e9
    assert now["e-silent"]["status"] in ("timeout", "not_asked")
    assert now["e-nobody"]["status"] == "not_connected"
    assert not (plant.parent / "data").exists(), "nothing is stored"
    none = kgce("watch", "-p", plant, "--read", "m-number")
    assert none.code == 2
    assert "on a line that is polled" in none.err


def test_unknown_meters_are_refused(tmp_path: Path, units: Units) -> None:
    plant = polled(tmp_path / "lab", units)
    ended = kgce("watch", "-p", plant, "e-on")
    assert (ended.code, ended.out) == (2, "")
    assert "no meter 'e-on'" in ended.err
    assert "did you mean 'e-one'?" in ended.err


@contextmanager
def terminal(*arguments: str | Path, lines: int = 24, columns: int = 120) -> Iterator[Any]:
    """The command in a terminal of its own: the process, and a function that reads the screen."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        [PROGRAM, *map(str, arguments)],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=environment({"TERM": "xterm-256color"}),
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)
    drawn = bytearray()

    def read() -> str:
        while select.select([ours], [], [], 0)[0]:
            try:
                drawn.extend(os.read(ours, 65536))
            except OSError:  # the other side has ended
                break
        return drawn.decode("utf-8", "replace")

    try:
        yield process, read, lambda: os.write(ours, b"\x03")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)


ALTERNATE, BACK, CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"


def test_it_draws_on_a_terminal_and_ends_on_ctrl_c(tmp_path: Path, units: Units) -> None:
    plant = polled(tmp_path / "lab", units, [ONE, TWO, SILENT])
    with collecting(plant, tmp_path / "log") as daemon:
        until(lambda: good(plant, "e-one") > 3, "readings")
        with terminal("watch", "-p", plant) as (process, read, press_ctrl_c):
            until(lambda: read().count("e-silent") >= 3, "three refreshes")
            assert read().startswith(ALTERNATE) or ALTERNATE in read()
            assert "\x1b[31m" in read(), "trouble is red"
            assert BACK not in read()
            press_ctrl_c()
            process.wait(PATIENCE_S)
            assert process.returncode == 130
            assert BACK in read()
            assert CURSOR in read().split(BACK)[0] + read().split(BACK)[1]
            assert "Traceback" not in read()
        assert daemon.stop() == 0


def test_it_draws_what_it_polls_itself(tmp_path: Path, units: Units) -> None:
    plant = polled(tmp_path / "lab", units)
    command = ("watch", "-p", plant, "--read", "--every", "0.5", "--lang", "zh")
    with terminal(*command) as (process, read, press_ctrl_c):
        until(lambda: read().count("正常") >= 4, "values")
        assert "自行读取" in read()
        press_ctrl_c()
        process.wait(PATIENCE_S)
        assert process.returncode == 130
        assert BACK in read()
        assert "Traceback" not in read()


def test_more_meters_than_lines_show_the_trouble_first(tmp_path: Path, units: Units) -> None:
    many = [{**ONE, "meter_id": f"e-{n}", "role": "check"} for n in range(40)]
    plant = polled(tmp_path / "lab", units, [*many, SILENT])
    with collecting(plant, tmp_path / "log"):
        until(lambda: good(plant, "e-39") > 3, "readings")
        until(lambda: seen(plant)["e-39"]["status"] == "good", "values")
        with terminal("watch", "-p", plant, lines=20) as (process, read, press_ctrl_c):
            until(lambda: "e-silent" in read() and "and 27 more" in read(), "a full screen")
            press_ctrl_c()
            process.wait(PATIENCE_S)


def reading(meter_id: str, time_us: int, value: float | None, status: str = "good") -> Reading:
    return Reading(meter_id, "value", time_us, value, status, "gateway", time_us + 5)


def test_what_a_row_says(tmp_path: Path) -> None:
    site = load_site(write_lab(tmp_path, modbus_port=1, mqtt_port=1, intervals={"poll_s": 10}))
    meters = watched(site, ["e-*"])
    latest = Latest()
    second = 1_000_000
    latest.take(
        [
            reading("e-one", 100 * second, 5.0),
            reading("e-two", 90 * second, 7.0),
            reading("e-two", 100 * second, None, "exception_2"),
            reading("e-two", 80 * second, 6.0),  # came before: not the newest
        ]
    )

    def said(now_s: int) -> list[tuple[str, float | None, str, float | None]]:
        rows = rows_of(site, meters, latest, {"gateway": "up"}, now_s * second)
        return [(row.meter_id, row.value, row.status, row.age_s) for row in rows]

    assert said(101) == [("e-one", 5.0, "good", 1.0), ("e-two", 7.0, "exception_2", 11.0)]
    assert said(131)[0][2] == "good"  # three intervals and a look
    assert said(132)[0][2] == "stale"
    empty = rows_of(site, meters, Latest(), {}, 0)
    assert [row.status for row in empty] == ["never", "never"]
    table = table_of(empty, "title", "en", most=1)
    assert table.row_count == 1
    assert table.caption == "and 1 more: name meters, or give --once"


def test_which_meters_are_watched(tmp_path: Path) -> None:
    meters = [ONE, TWO, {**ONE, "meter_id": "f-file", "connection": "historian"}, NUMBERED]
    plant = write_lab(
        tmp_path, modbus_port=1, mqtt_port=1, meters=meters,
        connections={"historian": {"type": "files"}},
    )  # fmt: skip
    site = load_site(plant)

    def ids(*wanted: str) -> list[str]:
        return [meter.meter_id for meter in watched(site, wanted)]

    assert ids() == ["e-one", "e-two", "m-number"]
    assert ids("m-*", "e-two") == ["e-two", "m-number"]
    assert ids("f-file") == ["f-file"]
    with pytest.raises(InputError, match="no meter 'x-'"):
        ids("e-one", "x-")


def test_ages() -> None:
    ages = (0.4, 59, 60, 3599, 3600, 172_799, 172_800, -120)
    assert [age_text(age) for age in ages] == [
        "0 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 d", "-2 min",
    ]  # fmt: skip
