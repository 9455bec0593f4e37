"""How many meters one daemon keeps up with, and how near its polling is to a bare socket loop.

    python benchmarks/collectors.py rate  [--connections 20] [--seconds 5] [--rounds 3]
    python benchmarks/collectors.py scale [--devices 1000] [--values 30] [--seconds 60]
    python benchmarks/collectors.py isolation [--seconds 30]

rate: requests a second of the whole collector (plan, checks, decoding, readings into memory) with
its ticks due at once, against asyncio loops that send the same frames and only wait for as many
bytes: one on protocols, one on sockets. The contenders take turns; the ratio is of the medians.

scale: `kgce run` polls so many Modbus TCP devices, each so many float32 values in one request, each
second, through spool and lake. Prints the share of polls that began within 100 ms of their due
time, skipped ticks, readings in the lake against those that were due, CPU and memory of the daemon.

isolation: 30 units behind one gateway, then 30 connections, polled each second with the default
time-out of 3 s; after a third of the time one falls silent. Prints how far the replies of the 29
others moved from their own median of the first third, before and after.

The devices are one process on loopback that answers every read with the same registers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

# Run as a script, this file's folder comes first, and `import collectors` would find this file.
sys.path[0] = str(Path(__file__).parents[1])

ON_SCHEDULE_S = 0.1
PAYLOAD = struct.pack(">125H", *range(0x4280, 0x4280 + 125))
WARM_UP_S = 10
UNITS, DEAD_UNIT = 30, 17


class Device(asyncio.Protocol):
    """Answers each read with the same registers, and nothing else."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        while len(data) >= 12:
            count = 2 * int.from_bytes(data[10:12], "big")
            head = data[:4] + struct.pack(">HBBB", count + 3, data[6], data[7], count)
            self._transport.write(head + PAYLOAD[:count])  # type: ignore[attr-defined]
            data = data[12:]
        self._rest = data


class Gateway(Device):
    """Takes 3 ms for a reply; after SIGUSR1 `DEAD_UNIT` is silent."""

    dead = False

    def data_received(self, data: bytes) -> None:
        if Gateway.dead and data[6] == DEAD_UNIT:
            return
        asyncio.get_running_loop().call_later(0.003, super().data_received, data)


async def serve(device: type[Device] = Device) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: setattr(Gateway, "dead", True))
    server = await loop.create_server(device, "127.0.0.1", 0, backlog=2000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def devices(what: str = "serve") -> Iterator[tuple[int, int]]:
    """Port and process id of what plays every device."""
    command = [sys.executable, __file__, what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


def write_plant(folder: Path, port: int, connections: int, values: int, interval_s: float) -> Path:
    """A plant of so many connections, each with one unit of so many float32 values."""
    lines = ["meter_id,name,node,energy,kind,unit,connection,register,type"]
    for device in range(connections):
        lines += [
            f"d{device}-{value},m,plant,electricity,gauge,kW,d{device},{2 * value},f32"
            for value in range(values)
        ]
    (folder / "meters.csv").write_text("\n".join(lines) + "\n")
    connection = f"{{type: modbus_tcp, host: 127.0.0.1, port: {port}, interval_s: {interval_s:g}}}"
    text = "plant: {id: bench, name: Bench}\nnodes: {plant: {name: Plant, level: plant}}\n"
    text += "connections:\n"
    text += "".join(f"  d{device}: {connection}\n" for device in range(connections))
    text += "meters: meters.csv\nmetrics: {port: 9464}\nintervals: {refresh_s: 86400}\n"
    file = folder / "plant.yaml"
    file.write_text(text)
    return file


class Stopwatch:
    """Requests a second, and microseconds of this process's CPU for one, since it was made."""

    def __init__(self, done: int) -> None:
        self._done, self._at_s, self._cpu_s = done, time.monotonic(), time.process_time()

    def read(self, done: int) -> tuple[float, float]:
        count = done - self._done
        cpu_us = (time.process_time() - self._cpu_s) * 1e6 / count
        return count / (time.monotonic() - self._at_s), cpu_us


class Counted:
    """A sink that counts."""

    def __init__(self) -> None:
        self.readings = 0

    def offer(self, readings: object, on_durable: object = None) -> bool:  # noqa: ARG002
        self.readings += len(readings)  # type: ignore[arg-type]
        return True


async def ours(file: Path, seconds: float) -> tuple[float, float]:
    from app.sites import load_site
    from collectors.connections import make_collector
    from collectors.modbus.collector import ModbusCollector
    from collectors.simulator import FastClock

    site, sink = load_site(file), Counted()
    start_us = time.time_ns() // 1000
    made = [
        # A clock of its own: each goes on to its next tick as soon as it sleeps.
        make_collector(site, name, sink, FastClock(start_us, 1))
        for name in site.plant.connections
    ]
    tasks = [asyncio.create_task(one.run()) for one in made]
    await asyncio.sleep(0.5)
    polled = [one for one in made if isinstance(one, ModbusCollector)]
    watch = Stopwatch(sum(one.stats.requests["good"] for one in polled))
    await asyncio.sleep(seconds)
    found = watch.read(sum(one.stats.requests["good"] for one in polled))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


class Bare(asyncio.Protocol):
    def __init__(self, frame: bytes, wanted: int) -> None:
        self.done = 0
        self._frame, self._wanted, self._have = frame, wanted, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.answer: asyncio.Future[None] | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._have, self.answer = 0, loop.create_future()
            self.transport.write(self._frame)  # type: ignore[attr-defined]
            await self.answer
            self.done += 1

    def data_received(self, data: bytes) -> None:
        self._have += len(data)
        if self._have >= self._wanted and self.answer is not None and not self.answer.done():
            self.answer.set_result(None)


async def bare_protocols(
    port: int, connections: int, values: int, seconds: float
) -> tuple[float, float]:
    loop = asyncio.get_running_loop()
    frame = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, 2 * values)
    made = [
        (await loop.create_connection(lambda: Bare(frame, 9 + 4 * values), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    tasks = [asyncio.create_task(one.run()) for one in made]
    await asyncio.sleep(0.5)
    watch = Stopwatch(sum(one.done for one in made))
    await asyncio.sleep(seconds)
    found = watch.read(sum(one.done for one in made))
    for task, one in zip(tasks, made, strict=True):
        task.cancel()
        one.transport.abort()  # type: ignore[attr-defined]
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


async def bare_sockets(
    port: int, connections: int, values: int, seconds: float
) -> tuple[float, float]:
    import socket

    loop = asyncio.get_running_loop()
    frame = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, 2 * values)
    wanted, done = 9 + 4 * values, [0]

    async def run(raw: socket.socket) -> None:
        while True:
            await loop.sock_sendall(raw, frame)
            have = 0
            while have < wanted:
                have += len(await loop.sock_recv(raw, 4096))
            done[0] += 1

    raws = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    for raw in raws:
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tasks = [asyncio.create_task(run(raw)) for raw in raws]
    await asyncio.sleep(0.5)
    watch = Stopwatch(done[0])
    await asyncio.sleep(seconds)
    found = watch.read(done[0])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for raw in raws:
        raw.close()
    return found


def rate(connections: int, values: int, seconds: float, rounds: int) -> None:
    with devices() as (port, _), tempfile.TemporaryDirectory() as folder:
        file = write_plant(Path(folder), port, connections, values, 0.1)
        contenders: dict[str, Callable[[], Coroutine[Any, Any, tuple[float, float]]]] = {
            "kgce": lambda: ours(file, seconds),
            "bare protocols": lambda: bare_protocols(port, connections, values, seconds),
            "bare sockets": lambda: bare_sockets(port, connections, values, seconds),
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, run in contenders.items():
                found[name].append(asyncio.run(run()))
        print(f"{connections} connections, {values} float32 values a request, {rounds} rounds")
        middle = {
            name: [statistics.median(c) for c in zip(*f, strict=True)] for name, f in found.items()
        }
        own_rate, own_cpu_us = middle["kgce"]
        for name, (rate, cpu_us) in middle.items():
            print(
                f"  {name:15} {rate:9,.0f} requests/s, {cpu_us:5.0f} us of CPU each; kgce is "
                f"{own_rate / rate:.2f} of its rate, {cpu_us / own_cpu_us:.2f} by CPU time"
            )


def isolation(seconds: int) -> None:
    for what, units in (("units of one connection", True), ("connections", False)):
        with devices("gateway") as (port, pid), tempfile.TemporaryDirectory() as folder:
            before, after = asyncio.run(_with_and_without(port, pid, Path(folder), units, seconds))
        print(f"1 dead of {UNITS} {what}: how far the polls of the others moved")
        for name, moved in (("without the dead one", before), ("with it", after)):
            moved.sort()
            print(
                f"  {name:22} median {statistics.median(moved) * 1000:6.1f} ms, 99 % "
                f"{moved[int(len(moved) * 0.99)] * 1000:6.1f} ms, worst {moved[-1] * 1000:6.1f} ms "
                f"({len(moved)} polls)"
            )


async def _with_and_without(
    port: int, pid: int, folder: Path, units: bool, seconds: int
) -> tuple[list[float], list[float]]:
    from app.sites import load_site
    from collectors.connections import make_collector
    from collectors.memory import MemorySink

    address = f"{{type: modbus_tcp, host: 127.0.0.1, port: {port}, interval_s: 1}}"
    names = ["line"] if units else [f"line{unit}" for unit in range(1, UNITS + 1)]
    rows = [
        f"m{unit},m,plant,electricity,gauge,kW,{names[0 if units else unit - 1]},{unit},0,f32"
        for unit in range(1, UNITS + 1)
    ]
    head = "meter_id,name,node,energy,kind,unit,connection,unit_id,register,type"
    (folder / "meters.csv").write_text("\n".join([head, *rows]) + "\n")
    (folder / "plant.yaml").write_text(
        "plant: {id: bench, name: Bench}\nnodes: {plant: {name: Plant, level: plant}}\n"
        "connections:\n" + "".join(f"  {name}: {address}\n" for name in names)
        + "meters: meters.csv\n"
    )  # fmt: skip
    site, sink = load_site(folder / "plant.yaml"), MemorySink()
    made = [
        make_collector(site, name, sink, stagger_ratio=number / len(names))
        for number, name in enumerate(names)
    ]
    tasks = [asyncio.create_task(one.run()) for one in made]
    await asyncio.sleep(2 + seconds / 3)
    died_us = time.time_ns() // 1000
    os.kill(pid, signal.SIGUSR1)
    await asyncio.sleep(2 * seconds / 3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    late: dict[str, tuple[list[float], list[float]]] = {}
    first_us = sink.readings[0].time_us + 2_000_000
    for reading in sink.readings:
        if reading.meter_id != f"m{DEAD_UNIT}" and reading.time_us > first_us:
            assert reading.status == "good", reading
            lag_s = reading.time_us / 1e6 - (reading.sequence or 0)
            late.setdefault(reading.meter_id, ([], []))[reading.time_us >= died_us].append(lag_s)
    moved: tuple[list[float], list[float]] = ([], [])
    for before, after in late.values():
        usual_s = statistics.median(before)
        for lags, into in zip((before, after), moved, strict=True):
            into += [abs(lag_s - usual_s) for lag_s in lags]
    return moved


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> tuple[float, float]:
    text = Path(f"/proc/{pid}/status").read_text()
    now, peak = (int(re.search(rf"{key}:\s+(\d+)", text)[1]) for key in ("VmRSS", "VmHWM"))  # type: ignore[index]
    return now / 1024, peak / 1024


def _scrape() -> dict[str, float]:
    """Sums over all connections: polls, polls in time, skipped ticks."""
    text = urllib.request.urlopen("http://127.0.0.1:9464/metrics", timeout=30).read().decode()
    sums: dict[str, float] = {}
    for line in text.splitlines():
        match = re.match(r"(kgce_\w+)(?:\{(.*)\})? ([0-9.e+-]+)$", line)
        if match is None:
            continue
        name, labels, value = match[1], match[2] or "", float(match[3])
        if name.endswith("_bucket"):
            name += "|" + re.search(r'le="([^"]+)"', labels)[1]  # type: ignore[index]
        if name == "kgce_requests_total":
            name += "|" + re.search(r'outcome="([^"]+)"', labels)[1]  # type: ignore[index]
        sums[name] = sums.get(name, 0.0) + value
    return sums


def scale(count: int, values: int, seconds: int) -> None:
    import polars as pl

    with devices() as (port, _), tempfile.TemporaryDirectory() as folder:
        file = write_plant(Path(folder), port, count, values, 1.0)
        command = [sys.executable, "-c", "from app.cli import main; main()", "run", "-p", str(file)]
        environment = {**os.environ, "PYTHONPATH": sys.path[0]}
        log = (Path(folder) / "log").open("w")
        daemon = subprocess.Popen(command, stderr=log, stdout=log, env=environment)
        try:
            _wait_for_metrics(daemon)
            time.sleep(WARM_UP_S)
            first, cpu_s, begun_s = _scrape(), _cpu_s(daemon.pid), time.monotonic()
            time.sleep(seconds)
            last, took_s = _scrape(), time.monotonic() - begun_s
            used_s = _cpu_s(daemon.pid) - cpu_s
            now_mb, peak_mb = _rss_mb(daemon.pid)
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(120)
            log.close()
        grown = {name: last.get(name, 0.0) - first.get(name, 0.0) for name in last}
        ticks = grown["kgce_poll_lag_seconds_count"]
        skipped = grown.get("kgce_skipped_ticks_total", 0.0)
        in_time = grown[f"kgce_poll_lag_seconds_bucket|{ON_SCHEDULE_S:g}"]
        from app.jobs import open_lake
        from app.sites import load_site
        from config.tables import READINGS

        site = load_site(file)
        kept = open_lake(site).scan(READINGS, "bench")
        by_status = dict(kept.group_by("status").agg(pl.len()).collect().iter_rows())
        span = kept.select(pl.col("sequence").max() - pl.col("sequence").min() + 1).collect().item()
        print(f"{count} devices x {values} values each second, {took_s:.0f} s")
        print(
            f"  polls due {ticks + skipped:,.0f}, begun within 100 ms {in_time:,.0f}: "
            f"{in_time / (ticks + skipped):.3%} on schedule, {skipped:,.0f} skipped"
        )
        for bound in ("0.01", "0.05", "0.1", "0.25", "1.0"):
            share = grown.get(f"kgce_poll_lag_seconds_bucket|{bound}", 0.0) / ticks
            print(f"    lag up to {bound} s: {share:.3%}")
        print(
            f"  CPU of the daemon {used_s / took_s:.1%} of one core; memory {now_mb:,.0f} MB "
            f"(peak {peak_mb:,.0f} MB)"
        )
        print(f"  in the lake, whole run ({span} s of ticks): {json.dumps(by_status)}")
        print("  " + (Path(folder) / "log").read_text().strip().splitlines()[-1])


def _wait_for_metrics(daemon: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if daemon.poll() is not None:
            raise SystemExit("the daemon ended; is port 9464 free?")
        with contextlib.suppress(OSError):
            _scrape()
            return
        time.sleep(0.2)
    raise SystemExit("the daemon shows no metrics")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["rate", "scale", "isolation", "serve", "gateway"])
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--values", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.what in ("serve", "gateway"):
        asyncio.run(serve(Gateway if given.what == "gateway" else Device))
    elif given.what == "isolation":
        isolation(given.seconds or 30)
    elif given.what == "rate":
        rate(given.connections, given.values, given.seconds or 5, given.rounds)
    else:
        scale(given.devices, given.values, given.seconds or 60)


if __name__ == "__main__":
    main()
