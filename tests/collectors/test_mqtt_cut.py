"""What is lost when the broker is killed, and when the network is cut: nothing, and it is counted.

Each message has a time and a value of its own. What was published must be in the spool, each once.
The figures are printed: pytest -s. A cut lasts KGCE_CUT_S seconds (15; the full test is 60).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

from storage.spool import Spool
from storage.writer import SpoolWriter
from tests.collectors.mqtt_site import MOMENT_S, VERSIONS, collector_of, is_up
from tests.collectors.servers import free_port
from tests.collectors.waiting import running
from tests.mosquitto import mosquitto_program, running_broker

CUT_S = float(os.environ.get("KGCE_CUT_S", "15"))
CUT_VERSIONS = VERSIONS if "KGCE_CUT_S" in os.environ else VERSIONS[:1]
PER_S = 100
SAVED_WITHIN_S = 2.0  # mosquitto acknowledges first, and saves its state after it
PATIENCE_S = 120.0
METERS = {"m": {"topic": "t", "value_path": "v", "time_path": "t", "time_unit": "s"}}


def body(number: int) -> str:
    return json.dumps({"v": number, "t": MOMENT_S + number})


class Publisher(threading.Thread):
    """Publishes numbers with QoS 1, and goes on through broken connections.

    ``acknowledged`` holds when the broker acknowledged each. What it acknowledged less than
    ``SAVED_WITHIN_S`` before it was killed may be lost in the broker: `doubtful` says which.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.published = 0
        self.acknowledged: dict[int, float] = {}
        self._numbers: dict[int, int] = {}
        self._stopping = threading.Event()
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id="publisher", clean_session=False
        )
        self._client.on_publish = self._on_publish
        self._client.reconnect_delay_set(1, 1)
        self._client.max_queued_messages_set(0)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_publish(self, _client: object, _data: object, mid: int, *_: object) -> None:
        number = self._numbers.get(mid)
        if number is not None:
            self.acknowledged[number] = time.monotonic()

    def run(self) -> None:
        while not self._stopping.wait(1 / PER_S):
            self._publish(self.published)
            self.published += 1

    def _publish(self, number: int) -> MQTTMessageInfo:
        self._numbers[self._client._last_mid % 65_535 + 1] = number
        info = self._client.publish("t", body(number), qos=1)
        assert self._numbers[info.mid] == number
        return info

    def doubtful(self, killed_s: float) -> list[int]:
        acknowledged = list(self.acknowledged.items())
        return [n for n, at_s in acknowledged if killed_s - SAVED_WITHIN_S < at_s]

    def finish(self, again: list[int]) -> None:
        """Publish some once more; return when the broker has acknowledged everything."""
        self._stopping.set()
        self.join()
        deadline_s = time.monotonic() + PATIENCE_S
        while len(self.acknowledged) < self.published:
            assert time.monotonic() < deadline_s, "the broker has not acknowledged everything"
            time.sleep(0.05)
        for number in again:
            self._publish(number).wait_for_publish(PATIENCE_S)
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def spool_of(folder: Path) -> Iterator[tuple[Spool, SpoolWriter]]:
    spool = Spool(folder / "spool.db", max_bytes=1 << 30, dedupe_s=172_800)
    with SpoolWriter(spool) as writer:
        yield spool, writer
    spool.close()


async def all_there(spool: Spool, published: int, what: str) -> None:
    """Wait until the spool has as many as were published; then each must be there once."""
    deadline_s = time.monotonic() + PATIENCE_S
    while await asyncio.to_thread(spool.waiting) < published and time.monotonic() < deadline_s:
        await asyncio.sleep(0.1)
    rows = spool.rows_between(0, spool.last_number())
    numbers = sorted(int(row[3] or 0) for row in rows)
    (account,) = spool.account()
    assert numbers == list(range(published)), f"{len(numbers)} of {published} are in the spool"
    sys.stdout.write(
        f"\n{what}: published {published}, in the spool {len(numbers)} each once, "
        f"lost {published - len(numbers)}; {account.duplicates} came again and were refused\n"
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_the_broker_is_killed_twice_under_load(tmp_path: Path, version: str) -> None:
    port = free_port()
    extra = "max_queued_messages 0"

    async def scenario(spool: Spool, writer: SpoolWriter) -> None:
        collector = collector_of(tmp_path, port, writer, METERS, version=version)
        again: list[int] = []
        async with running(collector):
            publisher: Publisher | None = None
            for _ in range(2):
                with running_broker(tmp_path, port, extra) as broker:
                    await until_up(collector)
                    if publisher is None:
                        publisher = Publisher(port)
                        publisher.start()
                    await asyncio.sleep(4)
                    again += publisher.doubtful(time.monotonic())
                    broker.kill()
                    again += publisher.doubtful(time.monotonic())
                    await asyncio.sleep(2)
            assert publisher is not None
            with running_broker(tmp_path, port, extra):
                await until_up(collector)
                await asyncio.to_thread(publisher.finish, sorted(set(again)))
                await all_there(
                    spool,
                    publisher.published,
                    f"MQTT {version}, broker killed twice, {len(set(again))} published again "
                    f"since the broker acknowledged them within {SAVED_WITHIN_S:g} s of its end",
                )

    with spool_of(tmp_path) as (spool, writer):
        asyncio.run(scenario(spool, writer))


async def until_up(collector: object) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_up(collector)():  # type: ignore[arg-type]
        assert time.monotonic() < deadline_s, "the collector is not up"
        await asyncio.sleep(0.05)


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr} (needs root, iproute2)"


class Network:
    """A network namespace with a broker in it, behind a pair of virtual interfaces."""

    def __init__(self) -> None:
        self._tag = f"k{os.getpid() % 100_000}"
        self.here, self.there = f"10.213.{os.getpid() % 250}.1", f"10.213.{os.getpid() % 250}.2"

    @property
    def inside(self) -> list[str]:
        return ["ip", "netns", "exec", self._tag]

    def __enter__(self) -> Network:
        here, there = f"{self._tag}a", f"{self._tag}b"
        ip("netns", "add", self._tag)
        try:
            ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self._tag)
            ip("address", "add", f"{self.here}/30", "dev", here)
            ip("link", "set", here, "up")
            ip("-n", self._tag, "address", "add", f"{self.there}/30", "dev", there)
            ip("-n", self._tag, "link", "set", there, "up")
            ip("-n", self._tag, "link", "set", "lo", "up")
        except AssertionError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        ip("netns", "delete", self._tag)  # and both interfaces with it

    # The far end: without its near end the machine would look for the broker elsewhere.

    def cut(self) -> None:
        ip("-n", self._tag, "link", "set", f"{self._tag}b", "down")

    def mend(self) -> None:
        ip("-n", self._tag, "link", "set", f"{self._tag}b", "up")


@contextmanager
def broker_inside(network: Network, folder: Path) -> Iterator[int]:
    """mosquitto in the namespace, as docs/operation.md says to set it up."""
    config = folder / "mosquitto.conf"
    lines = ["listener 1883", "allow_anonymous true", "persistence true", "user root"]
    lines += [f"persistence_location {folder}/", "autosave_interval 1"]
    lines += ["autosave_on_changes true", "max_queued_messages 0"]
    config.write_text("\n".join(lines) + "\n")
    command = [*network.inside, mosquitto_program(), "-c", str(config)]
    with (folder / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield 1883
        finally:
            process.terminate()
            process.wait()


PUBLISH = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.collectors.test_mqtt_cut import Publisher
time.sleep(0.5)
publisher = Publisher(int(sys.argv[2]))
publisher.start()
sys.stdin.read()
publisher.finish([])
print(publisher.published)
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", CUT_VERSIONS)
def test_the_network_is_cut(tmp_path: Path, version: str) -> None:
    """The publisher stays with the broker, which keeps what it sends; kgce is cut off."""

    async def scenario(network: Network, port: int, spool: Spool, writer: SpoolWriter) -> None:
        collector = collector_of(
            tmp_path, port, writer, METERS, version=version, host=network.there, keepalive_s=5
        )
        async with running(collector):
            await until_up(collector)
            here = str(Path(__file__).parents[2])
            publisher = subprocess.Popen(
                [*network.inside, sys.executable, "-c", PUBLISH, here, str(port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            await asyncio.sleep(4)
            before = await asyncio.to_thread(spool.waiting)
            network.cut()
            await asyncio.sleep(CUT_S)
            said = f"{collector.health.state} ({collector.health.detail})"
            during = await asyncio.to_thread(spool.waiting)
            network.mend()
            await until_up(collector)
            await asyncio.sleep(3)
            published, _ = await asyncio.to_thread(publisher.communicate, "", PATIENCE_S)
            assert publisher.returncode == 0
            assert before < during + PER_S < int(published)
            await all_there(
                spool, int(published), f"MQTT {version}, cut for {CUT_S:g} s, then {said}"
            )

    with (
        Network() as network,
        broker_inside(network, tmp_path) as port,
        spool_of(tmp_path) as (spool, writer),
    ):
        asyncio.run(scenario(network, port, spool, writer))
