"""A real mosquitto on loopback, for tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_S = 20.0


@dataclass
class Broker:
    """A mosquitto that runs. ``kill`` ends it as a power cut would."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(START_S)
            except subprocess.TimeoutExpired:
                self.kill()


def mosquitto_program() -> str:
    """Fails where mosquitto is missing: a test that is skipped proves nothing."""
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    assert program, "mosquitto 2 is missing: apt install mosquitto"
    return program


@contextmanager
def running_broker(tmp_path: Path, port: int | None = None, extra: str = "") -> Iterator[Broker]:
    """mosquitto on 127.0.0.1, with its persistent store in ``tmp_path``.

    A second one on the same ``port`` and ``tmp_path`` goes on where the first stopped. ``extra``
    is configuration for its listener, such as ``password_file``; it allows anonymous clients
    unless ``extra`` says otherwise.
    """
    program = mosquitto_program()
    port = port or _free_port()
    store = tmp_path / "mosquitto"
    store.mkdir(parents=True, exist_ok=True)
    lines = [
        "user root",  # only heeded for root: else it could not write into tmp_path
        f"listener {port} 127.0.0.1",
        "" if "allow_anonymous" in extra else "allow_anonymous true",
        "persistence true",
        f"persistence_location {store}/",
        "autosave_interval 1",
        "autosave_on_changes true",
        "log_type all",
        extra,
    ]
    config = store / "mosquitto.conf"
    config.write_text("\n".join(lines) + "\n")
    log = store / "mosquitto.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [program, "-c", str(config)], stdout=output, stderr=subprocess.STDOUT
        )
    broker = Broker(port, process, log)
    try:
        _wait_until_it_listens(broker)
        yield broker
    finally:
        broker.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_listens(broker: Broker) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and broker.process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", broker.port), timeout=1):
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"mosquitto did not start:\n{broker.log.read_text(errors='replace')}")
