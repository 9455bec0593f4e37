"""How fast MQTT messages get onto the disk, against `mosquitto_sub` reading the same stream.

    python benchmarks/mqtt.py [--messages 100000] [--rounds 3] [--meters 1000] [--version 5]

One machine runs it all: a publisher (QoS 1, prepared packets, a window of its own), mosquitto, and
the reader: `mosquitto_sub` (QoS 1, prints to /dev/null), or kgce's collector into a spool, where
every message is JSON with a value and a time, and is acknowledged once its reading is on disk. Each
round has each reader alone, then both beside each other. Prints messages a second from the first
published to the last acknowledged, the ratio of the medians, CPU seconds per 1,000 messages, and
checks that the spool holds every message once. Rates are of one run on one machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Run as a script, this file's folder comes first.
sys.path[0] = str(Path(__file__).parents[1])

START_MS = 1_790_812_800_000
WINDOW = 2000  # published and not yet acknowledged by the broker
LIMIT_S = 300.0


def publish(port: int, messages: int, meters: int) -> None:
    """Publish ``messages`` with QoS 1; returns once the broker has acknowledged them all."""
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.sendall(bytes.fromhex("100d00044d515454040200000001") + b"p")  # clean session
        assert link.recv(4) == bytes.fromhex("20020000")
        acknowledged = 0
        sent = 0
        while acknowledged < messages:
            chunk = bytearray()
            while sent < messages and sent - acknowledged < WINDOW and len(chunk) < 16_384:
                topic = b"bench/%d" % (sent % meters)
                body = b'{"v": %d.5, "t": %d}' % (sent, START_MS + sent)
                packet = len(topic).to_bytes(2, "big") + topic
                packet += (sent % 65_535 + 1).to_bytes(2, "big") + body
                chunk += b"\x32" + bytes([len(packet)]) + packet
                sent += 1
            link.sendall(chunk)
            if sent == messages or sent - acknowledged >= WINDOW:
                acknowledged += _acknowledgements(link)


def _acknowledgements(link: socket.socket) -> int:
    data = link.recv(65_536)
    while len(data) % 4:
        data += link.recv(4 - len(data) % 4)
    assert data, "the broker hung up"
    return len(data) // 4


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """mosquitto with no limit of what it holds for a client."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
        "max_queued_messages 0\nmax_inflight_messages 0\nlog_type none\n"
    )
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    process = subprocess.Popen(["mosquitto", "-c", str(config)], env={**os.environ, "PATH": path})
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Publisher:
    """A publisher in a process of its own."""

    def __init__(self, port: int, messages: int, meters: int) -> None:
        command = [sys.executable, __file__, "--publish", str(port)]
        command += ["--messages", str(messages), "--meters", str(meters)]
        self.began_s = time.monotonic()
        self._process = subprocess.Popen(command)

    def wait(self) -> None:
        assert self._process.wait(LIMIT_S) == 0, "the publisher failed"


class MosquittoSub:
    """`mosquitto_sub` until it has got every message; ``ended_s`` is when."""

    def __init__(self, port: int, messages: int) -> None:
        command = ["mosquitto_sub", "-p", str(port), "-q", "1", "-t", "bench/#", "-c", "-i", "sub"]
        subprocess.run([*command, "-E"], check=True)  # from here on the broker keeps its messages
        self._process = subprocess.Popen([*command, "-C", str(messages)], stdout=subprocess.DEVNULL)
        self.ended_s = 0.0
        self.cpu_s = 0.0
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        _, _, usage = os.wait4(self._process.pid, 0)
        self.ended_s, self.cpu_s = time.monotonic(), usage.ru_utime + usage.ru_stime

    def join(self) -> None:
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive(), "mosquitto_sub has not got every message"


class Kgce:
    """The collector and a spool; ``ended_s`` is when every message was acknowledged."""

    def __init__(self, port: int, folder: Path, meters: int, version: str) -> None:
        from collectors.mqtt.collector import MqttCollector
        from config.load import load
        from storage.spool import Spool
        from storage.writer import SpoolWriter

        folder.mkdir(parents=True)
        file = folder / "plant.yaml"
        file.write_text(json.dumps(plant(port, meters, version)), encoding="utf-8")
        self.spool = Spool(folder / "spool.db", max_bytes=1 << 34, dedupe_s=172_800)
        self._writer = SpoolWriter(self.spool)
        self._collector = MqttCollector(load(file), "broker", self._writer)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        while self._collector.health.state != "up":
            time.sleep(0.01)
        self.cpu_s = time.process_time()
        self.ended_s = 0.0

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._collector.run())
        self._loop.run_until_complete(asyncio.wait([self._task]))

    def join(self, messages: int) -> None:
        """Wait until ``messages`` are on disk and acknowledged, and check that they are."""
        deadline_s = time.monotonic() + LIMIT_S
        while self._collector.acknowledged < messages:
            assert time.monotonic() < deadline_s, "kgce has not acknowledged every message"
            time.sleep(0.005)
        self.ended_s = time.monotonic()
        self.cpu_s = time.process_time() - self.cpu_s
        stored = self.spool.waiting()
        assert stored == messages, f"{stored} readings in the spool, {messages} published"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        self._loop.close()
        self._writer.close()
        self.spool.close()


def plant(port: int, meters: int, version: str) -> dict[str, object]:
    """plant.yaml with ``meters`` meters, each on a topic of its own."""
    common = {"name": "a meter", "node": "plant", "energy": "electricity", "kind": "counter"}
    common |= {"unit": "kWh", "connection": "broker"}
    common |= {"value_path": "v", "time_path": "t", "time_unit": "ms"}
    return {
        "plant": {"id": "bench", "name": "a plant"},
        "nodes": {"plant": {"name": "the plant", "level": "plant"}},
        "connections": {
            "broker": {"type": "mqtt", "host": "127.0.0.1", "port": port, "version": version}
        },
        "meters": {f"m{n}": common | {"topic": f"bench/{n}"} for n in range(meters)},
    }


def alone_sub(port: int, messages: int, meters: int) -> tuple[float, float]:
    """Messages a second and CPU seconds of `mosquitto_sub`."""
    reader = MosquittoSub(port, messages)
    publisher = Publisher(port, messages, meters)
    publisher.wait()
    reader.join()
    return messages / (reader.ended_s - publisher.began_s), reader.cpu_s


def alone_kgce(
    port: int, messages: int, meters: int, folder: Path, version: str
) -> tuple[float, float]:
    """Messages a second and CPU seconds of kgce."""
    reader = Kgce(port, folder, meters, version)
    publisher = Publisher(port, messages, meters)
    publisher.wait()
    reader.join(messages)
    reader.close()
    return messages / (reader.ended_s - publisher.began_s), reader.cpu_s


def together(
    port: int, messages: int, meters: int, folder: Path, version: str
) -> tuple[float, float]:
    """Messages a second of `mosquitto_sub` and of kgce, beside each other on one stream."""
    kgce = Kgce(port, folder, meters, version)
    sub = MosquittoSub(port, messages)
    publisher = Publisher(port, messages, meters)
    publisher.wait()
    kgce.join(messages)
    sub.join()
    kgce.close()
    return tuple(  # type: ignore[return-value]
        messages / (ended_s - publisher.began_s) for ended_s in (sub.ended_s, kgce.ended_s)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--meters", type=int, default=1000)
    parser.add_argument("--version", choices=["3.1.1", "5"], default="5")
    parser.add_argument("--folder", type=Path, help="where the spool is; default: temporary")
    parser.add_argument("--publish", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.publish:
        publish(given.publish, given.messages, given.meters)
        return
    sizes = given.messages, given.meters
    rows = []
    for number in range(given.rounds):
        with tempfile.TemporaryDirectory(dir=given.folder) as name, broker(Path(name)) as port:
            folder = Path(name)
            sub, sub_cpu_s = alone_sub(port, *sizes)
            kgce, kgce_cpu_s = alone_kgce(port, *sizes, folder / "alone", given.version)
        # A broker of its own: the sessions of the readers before would get these messages too.
        with tempfile.TemporaryDirectory(dir=given.folder) as name, broker(Path(name)) as port:
            both = together(port, *sizes, Path(name) / "both", given.version)
        rows.append((sub, kgce, *both, sub_cpu_s, kgce_cpu_s))
        print(
            f"round {number + 1}: alone: mosquitto_sub {sub:,.0f}/s, kgce {kgce:,.0f}/s; "
            f"together: mosquitto_sub {both[0]:,.0f}/s, kgce {both[1]:,.0f}/s"
        )
    sub, kgce, both_sub, both_kgce, sub_cpu_s, kgce_cpu_s = map(
        statistics.median, zip(*rows, strict=True)
    )
    thousands = given.messages / 1000
    print(f"MQTT {given.version}, {given.messages} messages of {given.meters} meters, QoS 1")
    print(f"alone      mosquitto_sub {sub:8,.0f}/s   kgce {kgce:8,.0f}/s   ratio {kgce / sub:.2f}")
    print(
        f"together   mosquitto_sub {both_sub:8,.0f}/s   kgce {both_kgce:8,.0f}/s   "
        f"ratio {both_kgce / both_sub:.2f}"
    )
    print(
        f"CPU s per 1,000 messages: mosquitto_sub {sub_cpu_s / thousands:.4f}, "
        f"kgce with its spool {kgce_cpu_s / thousands:.4f}"
    )


if __name__ == "__main__":
    main()
