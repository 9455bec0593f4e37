"""No space left: nothing half-written, nothing dropped, and it goes on by itself."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.errors import StorageError
from storage.spool import Spool
from storage.writer import SpoolWriter
from tests.storage.conftest import OpenSpool
from tests.storage.readings import PLANT, polled
from tests.storage.waiting import wait_until


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """The system refuses every write past ``size``, of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def group(start: int) -> list:
    return [polled(n, float(n)) for n in range(start, start + 100)]


def append_until_refused(spool: Spool) -> tuple[int, StorageError]:
    """Append groups until one is refused; the readings appended, and the refusal."""
    appended = 0
    try:
        while True:
            spool.append(group(appended))
            appended += 100
    except StorageError as error:
        return appended, error


def check_whole(spool: Spool, appended: int) -> None:
    (account,) = spool.account()
    assert account.balanced
    assert (account.expected, account.good) == (appended, appended)
    assert spool.take_batch(10**6).frame(PLANT)["value"].to_list() == list(range(appended))


def test_on_a_full_disk_an_append_is_whole_or_nothing(
    small_disk: Path, open_spool: OpenSpool
) -> None:
    spool = open_spool(small_disk / "spool.db")
    spool.schedule({"m1": 60})
    appended, error = append_until_refused(spool)
    assert appended > 0
    assert "full" in error.given
    assert error.allowed
    assert error.data == "none of these readings was stored"
    assert "free space" in error.todo
    assert len(spool.account()) == 1
    spool.close()  # and what was stored outlives it
    view = Spool.read_only(small_disk / "spool.db")
    (account,) = view.account()
    assert account.balanced
    assert account.good == view.waiting() == appended
    view.close()


def test_a_file_that_cannot_grow_is_the_same(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.schedule({"m1": 60})
    with no_file_larger_than(300_000):
        appended, _ = append_until_refused(spool)
    spool.close()
    spool = open_spool()
    assert spool.damage is None
    check_whole(spool, appended)


def test_the_writer_keeps_readings_until_there_is_space_again(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.schedule({"m1": 60})
    spool.append(group(0))
    durable: list[int] = []
    offered = 100
    with SpoolWriter(spool, queue_limit=2_000) as writer:
        with no_file_larger_than(300_000):
            while writer.trouble is None:
                if writer.offer(group(offered), lambda n=offered: durable.append(n)):
                    offered += 100
            refused_at = offered
            while writer.offer(group(offered), lambda n=offered: durable.append(n)):
                offered += 100  # the queue fills up to its limit
            assert writer.queued > 2_000 - 100
            assert offered >= refused_at
        wait_until(lambda: writer.trouble is None and writer.queued == 0)
        assert writer.offer(group(offered), lambda n=offered: durable.append(n))
        offered += 100
    assert durable == list(range(100, offered, 100))
    check_whole(spool, offered)


def test_closing_with_a_full_disk_tells_what_could_not_be_written(open_spool: OpenSpool) -> None:
    spool = open_spool()
    durable: list[int] = []
    writer = SpoolWriter(spool)
    with no_file_larger_than(1_000):
        assert writer.offer(group(0), lambda: durable.append(1))
        assert writer.close(timeout_s=0.3) == 100
    assert durable == []
    assert not writer.offer(group(0))
    assert spool.waiting() == 0
