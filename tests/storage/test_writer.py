from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence

from collectors.base import Sink
from config.tables import Reading
from storage.spool import Appended, Spool
from storage.writer import SpoolWriter
from tests.storage.conftest import OpenSpool
from tests.storage.readings import PLANT, reading
from tests.storage.waiting import wait_until


class SlowSpool(Spool):
    """A spool whose appends wait until the test lets them go."""

    def __init__(self, *args, **settings) -> None:
        super().__init__(*args, **settings)
        self.go = threading.Event()
        self.groups: list[int] = []

    def append(self, readings: Sequence[Reading]) -> Appended:
        assert self.go.wait(60)
        self.groups.append(len(readings))
        return super().append(readings)


def slow_spool(tmp_path) -> SlowSpool:
    return SlowSpool(tmp_path / "slow.db", max_bytes=1 << 30, dedupe_s=1e6)


def as_sink(writer: SpoolWriter) -> Sink:
    return writer  # satisfied by its shape


def test_readings_are_on_disk_before_the_callback(spool: Spool) -> None:
    seen: list[int] = []
    other = sqlite3.connect(spool.path, check_same_thread=False)

    def look() -> None:
        seen.append(other.execute("SELECT sum(last - first + 1) FROM groups").fetchone()[0])

    with SpoolWriter(spool) as writer:
        assert as_sink(writer).offer([reading(0), reading(1)], look)
        wait_until(lambda: bool(seen))
    other.close()
    assert seen == [2]


def test_many_offers_share_a_commit(tmp_path) -> None:
    spool = slow_spool(tmp_path)
    with SpoolWriter(spool) as writer:
        assert writer.offer([reading(0)])
        wait_until(lambda: not writer._offers)  # the first is being written
        for n in range(1, 101):
            assert writer.offer([reading(n)])
        spool.go.set()
    assert spool.groups == [1, 100]
    spool.close()


def test_a_full_queue_refuses_all_or_nothing(tmp_path) -> None:
    spool = slow_spool(tmp_path)
    with SpoolWriter(spool, queue_limit=10) as writer:
        assert writer.offer([reading(n) for n in range(6)])
        assert not writer.offer([reading(n) for n in range(6, 11)])
        assert writer.offer([reading(n) for n in range(6, 10)])
        assert not writer.offer([reading(10)])
        assert writer.queued == 10
        spool.go.set()
        wait_until(lambda: writer.queued == 0)
        assert writer.offer([reading(n) for n in range(100, 200)])  # larger than the queue
    assert spool.waiting() == 110
    spool.close()


def test_closing_writes_what_is_queued(tmp_path) -> None:
    spool = slow_spool(tmp_path)
    durable: list[int] = []
    writer = SpoolWriter(spool)
    for n in range(50):
        assert writer.offer([reading(n)], lambda n=n: durable.append(n))
    spool.go.set()
    assert writer.close() == 0
    assert durable == list(range(50))
    assert not writer.offer([reading(99)])
    assert writer.close() == 0
    assert spool.waiting() == 50
    spool.close()


def test_what_is_changed_after_the_offer_does_not_matter(spool: Spool) -> None:
    given = [reading(0)]
    with SpoolWriter(spool) as writer:
        assert writer.offer(given)
        given.append(reading(1))
    assert spool.waiting() == 1


def test_an_offer_of_nothing_is_durable_at_once(spool: Spool) -> None:
    called = threading.Event()
    with SpoolWriter(spool) as writer:
        assert writer.offer([], called.set)
        assert called.wait(60)


def test_a_callback_that_fails_does_not_stop_the_writer(spool: Spool, caplog) -> None:
    def fail() -> None:
        raise RuntimeError("the broker is gone")

    durable: list[int] = []
    with SpoolWriter(spool) as writer:
        assert writer.offer([reading(0)], fail)
        assert writer.offer([reading(1)], lambda: durable.append(1))
    assert durable == [1]
    assert spool.waiting() == 2
    assert "the broker is gone" in caplog.text


def test_threads_offer_at_once_and_nothing_is_lost(spool: Spool) -> None:
    durable: list[tuple[int, int]] = []

    def collect(writer: SpoolWriter, meter: int) -> None:
        for n in range(200):
            taken: Callable[[], None] = lambda n=n: durable.append((meter, n))  # noqa: E731
            while not writer.offer([reading(n, meter=f"m{meter}")], taken):
                pass

    with SpoolWriter(spool, queue_limit=50) as writer:
        threads = [threading.Thread(target=collect, args=(writer, m)) for m in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(durable) == [(m, n) for m in range(8) for n in range(200)]
    frame = spool.take_batch(10_000).frame(PLANT)
    assert frame.select("meter_id", "time_utc").n_unique() == frame.height == 1_600


def test_at_its_cap_the_spool_refuses_until_the_lake_takes_readings(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=300_000)
    with SpoolWriter(spool) as writer:
        start = 0
        while writer.trouble is None:
            if writer.offer([reading(start + n) for n in range(100)]):
                start += 100
                wait_until(lambda: writer.queued == 0)
        assert "spool_max_mb" in writer.trouble
        assert not writer.offer([reading(-1)])
        assert spool.waiting() == start
        spool.take_batch(100_000).accept()
        wait_until(lambda: writer.trouble is None)
        assert writer.offer([reading(-1)])
    assert spool.waiting() == 1
