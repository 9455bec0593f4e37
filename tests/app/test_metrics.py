"""Metrics as Prometheus scrapes them, from a daemon that reads real devices, good and bad."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from app.daemon import Daemon as DaemonInside
from app.metrics import DaemonMetrics
from app.metrics_server import MetricsServer
from app.metrics_text import PAUSE_S, PIECE, in_pieces, text_of
from app.sites import load_site
from collectors.base import Health
from collectors.memory import MemoryCollector, MemorySink
from collectors.stats import BUCKETS_S, Stats
from config.errors import InputError
from config.models import Metrics
from storage.spool import Spool
from storage.writer import SpoolWriter
from tests.app.commands import collecting, until
from tests.app.lab import NUMBERED, ONE, TWO, Publisher, Units, account, free_port, write_lab
from tests.collectors.servers import Answer, Asked
from tests.mosquitto import running_broker

SILENT, EXCEPTION, BAD = (
    {**ONE, "meter_id": f"e-{name}", "unit_id": unit}
    for name, unit in (("silent", "7"), ("exception", "8"), ("bad", "9"))
)
Scraped = dict[str, dict[tuple[tuple[str, str], ...], float]]


class Mixed(Units):
    """Units 1 and 2 answer, 7 is silent, 8 answers exception 4, 9 answers for another unit."""

    def __init__(self) -> None:
        super().__init__()
        self.silent.add(7)

    def _answer(self, asked: Asked) -> Answer:
        if asked.unit_id == 8:
            return asked.exception(4)
        if asked.unit_id == 9:
            return asked.frame(asked.pdu([1, 2, 3, 4]), unit_id=99)
        return super()._answer(asked)


@pytest.fixture
def units() -> Iterator[Units]:
    with Mixed() as running:
        yield running


def scrape(port: int) -> Scraped:
    """Every sample by name and labels; what is scraped keeps to the naming conventions."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
        assert reply.headers["Content-Type"].startswith("text/plain; version=")
        families = list(text_string_to_metric_families(reply.read().decode()))
    for family in families:
        assert_conventional(family)
    return {
        name: {tuple(sorted(s.labels.items())): s.value for f in families for s in f.samples
               if s.name == name}
        for name in {s.name for f in families for s in f.samples}
    }  # fmt: skip


def assert_conventional(family: Metric) -> None:
    assert family.documentation
    if family.name.startswith("kgce_"):
        assert re.fullmatch(r"kgce_[a-z_]+", family.name)
        assert not re.search(r"_(us|ms|pct|mb|minutes|hours)(_|$)", family.name)
    if family.type == "counter":
        assert all(s.name.endswith("_total") for s in family.samples), family.name


def of(scraped: Scraped, name: str, **labels: str) -> float:
    return scraped[f"kgce_{name}"][tuple(sorted(labels.items()))]


def total(scraped: Scraped, name: str, meter: str) -> float:
    rows = scraped.get(f"kgce_{name}", {})
    return sum(value for labels, value in rows.items() if ("meter", meter) in labels)


def test_a_scrape_of_a_plant_in_trouble(tmp_path: Path, units: Units) -> None:
    port = free_port()
    with running_broker(tmp_path) as broker, Publisher(broker.port) as publisher:
        plant = write_lab(
            tmp_path / "lab",
            modbus_port=units.port,
            mqtt_port=broker.port,
            meters=[ONE, TWO, SILENT, EXCEPTION, BAD, NUMBERED],
            metrics={"port": port},
        )
        with collecting(plant, tmp_path / "log") as daemon:
            until(lambda: f"metrics are at http://127.0.0.1:{port}/metrics" in daemon.said, "them")
            publisher.publish(20)
            meters = ["e-one", "e-two", "e-silent", "e-exception", "e-bad", "m-number"]

            def all_heard() -> bool:
                now = scrape(port)
                return (
                    all(total(now, "readings_expected_total", m) >= 5 for m in meters)
                    and of(now, "readings_good_total", meter="m-number") == 20
                )

            until(all_heard, "outcomes of every meter")
            # The account goes on: what is scraped lies between what it was before and after.
            before = {m: account(plant, m) for m in meters}
            rested = of(scrape(port), "readings_expected_total", meter="e-one")
            until(
                lambda: of(scrape(port), "readings_expected_total", meter="e-one") > rested,
                "a scrape that reads the account anew",
            )
            now = scrape(port)
            after = {m: account(plant, m) for m in meters}
            for m in meters:
                for key in ("expected", "good", "missing", "dropped"):
                    seen = total(now, f"readings_{key}_total", m)
                    assert before[m][key] <= seen <= after[m][key], (m, key)
                assert total(now, "readings_expected_total", m) == (
                    total(now, "readings_good_total", m)
                    + total(now, "readings_missing_total", m)
                    + total(now, "readings_dropped_total", m)
                )
            assert of(now, "readings_missing_total", meter="e-exception", reason="exception_4") > 0
            assert of(now, "readings_missing_total", meter="e-bad", reason="bad_reply") > 0
            assert of(now, "readings_missing_total", meter="e-silent", reason="timeout") > 0
            assert of(now, "connection_up", connection="gateway") == 1
            assert of(now, "connection_up", connection="broker") == 1
            assert of(now, "connection_readings_total", connection="broker", outcome="good") == 20
            assert of(now, "spool_readable") == of(now, "spool_writable") == 1
            assert 0 < of(now, "spool_bytes") < of(now, "spool_max_bytes")
            assert of(now, "spool_waiting_readings") >= 0
            assert of(now, "queued_readings") >= 0
            assert of(now, "clock_steps_total") == 0
            assert of(now, "config_current") == 1
            site = load_site(plant)
            config = {"plant": "works", "hash": site.config_hash}
            assert of(now, "config_info", **config, standards=site.library.version) == 1
            until(lambda: job_time(scrape(port), "success") > time.time() - 60, "a flush")
            assert now["process_start_time_seconds"][()] > time.time() - 600
            assert daemon.stop() == 0
    with pytest.raises(OSError):  # noqa: PT011 - refused, in whatever words
        scrape(port)


def job_time(scraped: Scraped, which: str) -> float:
    name = f"kgce_job_last_{which}_timestamp_seconds"
    return scraped.get(name, {}).get((("job", "flush"),), 0.0)


def test_requests_by_outcome(tmp_path: Path, units: Units) -> None:
    port = free_port()
    plant = write_lab(
        tmp_path / "lab",
        modbus_port=units.port,
        mqtt_port=free_port(),
        meters=[ONE, TWO, SILENT, EXCEPTION, BAD],
        metrics={"port": port},
    )
    with collecting(plant, tmp_path / "log") as daemon:
        outcomes = ("good", "timeout", "exception_4", "bad_reply")

        def requests(outcome: str) -> float:
            name, labels = "kgce_requests_total", {"connection": "gateway", "outcome": outcome}
            return scrape(port).get(name, {}).get(tuple(sorted(labels.items())), 0.0)

        until(lambda: daemon.said.count("metrics are at"), "the metrics")
        until(lambda: all(requests(outcome) for outcome in outcomes), "every outcome")
        now = scrape(port)
        here = {"connection": "gateway"}
        answered = of(now, "request_latency_seconds_count", **here)
        assert answered == of(now, "request_latency_seconds_bucket", **here, le="+Inf") > 0
        assert of(now, "request_latency_seconds_sum", **here) > 0
        assert of(now, "poll_lag_seconds_count", **here) > 0
        assert of(now, "ticks_total", **here) > 0
        assert of(now, "connects_total", **here) > 0
        assert time.time() - of(now, "meter_last_good_timestamp_seconds", meter="e-one") < 600
        until(lambda: "kgce_breaker_state" in scrape(port), "a breaker that opens")
        states = {
            dict(labels)["unit"]: state
            for labels, state in scrape(port)["kgce_breaker_state"].items()
        }
        assert states["7"] in (1, 2)
        assert states["1"] == 0
        # A dead broker is a connection that is down, not a scrape that fails.
        until(lambda: of(scrape(port), "connection_up", connection="broker") == 0, "its trouble")


def test_a_port_in_use_is_said_once(tmp_path: Path, units: Units) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        plant = write_lab(
            tmp_path / "lab", modbus_port=units.port, mqtt_port=free_port(), meters=[ONE],
            connections={"broker": {"type": "files"}}, metrics={"port": port},
        )  # fmt: skip
        with collecting(plant, tmp_path / "log") as daemon:
            until(lambda: account(plant, "e-one")["good"] > 5, "collection without metrics")
            complaint = f"cannot listen at 127.0.0.1:{port}: another program does"
            assert daemon.said.count(complaint) == 1
            assert "to do: set another metrics.port" in daemon.said
            assert daemon.stop() == 0


def test_what_else_cannot_be_listened_at() -> None:
    server = MetricsServer(Metrics(host="192.0.2.1", port=free_port()))  # no address of ours
    with pytest.raises(InputError, match=r"cannot listen at 192\.0\.2\.1"):
        server.start(_Empty())


class _Empty:
    def collect(self) -> Iterator[Metric]:
        yield from ()


def test_only_the_path_is_served() -> None:
    settings = Metrics(port=free_port())
    server = MetricsServer(settings)
    server.start(_Empty())
    try:
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{settings.port}/", timeout=30)
        refused.value.close()
        # A client that connects and says nothing does not keep the others waiting.
        with socket.create_connection(("127.0.0.1", settings.port)):
            assert scrape(settings.port)
    finally:
        server.close()


def made(tmp_path: Path) -> tuple[DaemonInside, Spool, SpoolWriter]:
    plant = write_lab(tmp_path, modbus_port=1, mqtt_port=1)
    site = load_site(plant)
    spool = Spool(tmp_path / "data" / "spool.db", max_bytes=10**7, dedupe_s=3600)
    return DaemonInside(site), spool, SpoolWriter(spool)


def collected(metrics: DaemonMetrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in metrics.collect()
        for s in family.samples
    }


def test_numbers_of_a_connection_stand_as_they_were_counted(tmp_path: Path) -> None:
    daemon, spool, writer = made(tmp_path)
    collector = MemoryCollector([], MemorySink())
    collector.health = Health("gateway", state="waiting", good=4, last_good_us=5_000_000)
    stats = Stats(skipped_ticks=3, ticks=9, late_replies=2, connects=1)
    stats.requests.update(good=7, exception_11=2)
    stats.breakers.update({"1": "closed", "2": "half_open", "3": "open"})
    stats.last_good_us["e-one"] = 1_500_000
    stats.clock_offset_s["e-one"] = -90.5
    for duration_s in (0.001, 0.002, 0.3, 99.0):
        stats.latency.add(duration_s)
    collector.stats = stats  # type: ignore[attr-defined]
    daemon._collection._collectors["gateway"] = collector
    with writer:
        found = collected(DaemonMetrics(daemon, spool, writer))
    spool.close()
    here = ("connection", "gateway")
    buckets = [
        found["kgce_request_latency_seconds_bucket", (here, ("le", f"{le:g}"))] for le in BUCKETS_S
    ]
    assert buckets == [2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3]
    assert found["kgce_request_latency_seconds_bucket", (here, ("le", "+Inf"))] == 4
    assert found["kgce_request_latency_seconds_sum", (here,)] == pytest.approx(99.303)
    assert found["kgce_requests_total", (here, ("outcome", "exception_11"))] == 2
    assert [found["kgce_breaker_state", (here, ("unit", u))] for u in "123"] == [0, 1, 2]
    for name, number in (
        ("ticks_skipped_total", 3), ("ticks_total", 9), ("late_replies_total", 2),
        ("connects_total", 1), ("connection_up", 1),
        ("connection_last_good_timestamp_seconds", 5.0),
    ):  # fmt: skip
        assert found[f"kgce_{name}", (here,)] == number
    assert found["kgce_meter_last_good_timestamp_seconds", (("meter", "e-one"),)] == 1.5
    assert found["kgce_device_clock_offset_seconds", (here, ("meter", "e-one"))] == -90.5


def test_the_page_on_operation_names_every_metric(tmp_path: Path) -> None:
    daemon, spool, writer = made(tmp_path)
    with writer:
        families = list(DaemonMetrics(daemon, spool, writer).collect())
    spool.close()
    suffix = {"counter": "_total", "info": "_info"}
    names = {family.name + suffix.get(family.type, "") for family in families}
    page = (Path(__file__).parents[2] / "docs" / "operation.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(kgce_[a-z_]+)`", page))
    assert len(names) > 25
    assert told == names


def test_a_damaged_spool_fails_no_scrape(tmp_path: Path) -> None:
    daemon, spool, writer = made(tmp_path)
    metrics = DaemonMetrics(daemon, spool, writer)
    with writer:
        assert collected(metrics)["kgce_spool_readable", ()] == 1
    spool.close()
    for file in (tmp_path / "data").glob("spool.db*"):
        file.write_bytes(b"no database at all " * 1000)
    found = collected(metrics)
    assert found["kgce_spool_readable", ()] == 0
    assert ("kgce_spool_bytes", ()) not in found
    assert found["kgce_clock_steps_total", ()] == 0


def test_scrapes_while_everything_changes(tmp_path: Path) -> None:
    """Counters grow in another thread while they are read."""
    daemon, spool, writer = made(tmp_path)
    collector = MemoryCollector([], MemorySink())
    collector.health = Health("gateway")
    stats = collector.stats = Stats()  # type: ignore[attr-defined]
    daemon._collection._collectors["gateway"] = collector
    ending = threading.Event()

    def count() -> None:
        number = 0
        while not ending.is_set():
            number += 1
            stats.requests[f"exception_{number % 200}"] += 1
            stats.breakers[str(number % 200)] = "open"
            stats.last_good_us[f"e-{number % 200}"] = number
            if number % 200 == 0:
                stats.breakers.clear()

    thread = threading.Thread(target=count)
    thread.start()
    try:
        with writer:
            metrics = DaemonMetrics(daemon, spool, writer)
            assert all(collected(metrics) for _ in range(100))
    finally:
        ending.set()
        thread.join()
        spool.close()


def test_the_text_is_what_the_library_writes(tmp_path: Path) -> None:
    daemon, spool, writer = made(tmp_path)
    with writer:
        metrics = DaemonMetrics(daemon, spool, writer)
        ours = text_of(metrics.collect()).decode()
        registry = CollectorRegistry()
        registry.register(metrics)
        theirs = generate_latest(registry).decode()
    spool.close()

    def parsed(text: str) -> list[tuple[str, str, str, int]]:
        families = text_string_to_metric_families(text)
        return [(f.name, f.type, f.documentation, len(f.samples)) for f in families]

    assert len(parsed(ours)) > 25
    assert parsed(ours) == parsed(theirs)


def test_labels_and_numbers_are_escaped() -> None:
    odd = GaugeMetricFamily("odd", "a \\ and\na line", labels=["name"])
    for name, value in ((' "quoted" \\ and\nbroken', 1.5), ("中文", float("inf"))):
        odd.add_metric([name], value)
    (family,) = text_string_to_metric_families(text_of([odd]).decode())
    assert family.documentation == odd.documentation
    assert [(s.labels, s.value) for s in family.samples] == [
        (s.labels, s.value) for s in odd.samples
    ]


def test_a_large_page_is_written_with_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("app.metrics_text.time.sleep", pauses.append)
    assert list(in_pieces(range(1001))) == list(range(1001))
    assert pauses == [PAUSE_S] * (1001 // PIECE)


def test_an_error_of_the_metrics_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def collect(self) -> Iterator[Metric]:
            raise KeyError("a bug")

        def describe(self) -> Iterator[Metric]:
            yield from ()

    settings = Metrics(port=free_port())
    server = MetricsServer(settings)
    server.start(Broken())
    try:
        for _ in range(3):
            with pytest.raises(urllib.error.HTTPError, match="500") as refused:
                urllib.request.urlopen(server.url, timeout=30)
            refused.value.close()
    finally:
        server.close()
    assert [r.levelno for r in caplog.records] == [logging.ERROR]
