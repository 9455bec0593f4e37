"""The contract of batches: each ends accepted, rejected or kept. Runs against every spool."""

from __future__ import annotations

import sqlite3

import pytest

from config.tables import READINGS
from storage.spool import Spool
from tests.storage.conftest import OpenSpool
from tests.storage.readings import PLANT, reading


def values(batch) -> list[float | None]:
    return batch.frame(PLANT)["value"].to_list()


def fill(spool: Spool, first: int, count: int) -> None:
    spool.append([reading(n, float(n)) for n in range(first, first + count)])


def test_an_empty_spool_has_no_batch(spool: Spool) -> None:
    assert spool.take_batch(10) is None


def test_a_batch_holds_the_oldest_readings_in_order(spool: Spool) -> None:
    fill(spool, 0, 5)
    batch = spool.take_batch(3)
    assert values(batch) == [0.0, 1.0, 2.0]
    assert batch.rows == 3
    assert not batch.unsure


def test_a_frame_has_the_declared_schema_and_the_readings_own_values(spool: Spool) -> None:
    given = [reading(1.000001, 0.1 + 0.2, sequence=7), reading(2, None)]
    spool.append(given)
    frame = spool.take_batch(10).frame(PLANT)
    assert frame.schema == READINGS.polars_schema()
    assert frame["plant_id"].to_list() == [PLANT, PLANT]
    assert frame["time_utc"].dt.epoch("us").to_list() == [r.time_us for r in given]
    assert frame["received_utc"].dt.epoch("us").to_list() == [r.received_us for r in given]
    assert frame["value"].to_list() == [0.1 + 0.2, None]
    assert frame["sequence"].to_list() == [7, None]
    assert frame["status"].to_list() == ["good", "timeout"]


def test_an_accepted_batch_is_not_taken_again(spool: Spool) -> None:
    fill(spool, 0, 5)
    spool.take_batch(3).accept()
    assert values(spool.take_batch(3)) == [3.0, 4.0]
    assert spool.waiting() == 2
    spool.take_batch(3).accept()
    assert spool.take_batch(3) is None
    assert spool.waiting() == 0


def test_versions_rise_under_one_name(spool: Spool) -> None:
    fill(spool, 0, 4)
    first = spool.take_batch(2)
    first.accept()
    second = spool.take_batch(2)
    assert second.app_id == first.app_id
    assert second.app_id.startswith("spool:")
    assert second.version > first.version


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_kept_batch_is_the_same_batch_again(spool: Spool, limit: int) -> None:
    fill(spool, 0, 3)
    batch = spool.take_batch(2)
    batch.keep()
    fill(spool, 3, 3)
    again = spool.take_batch(limit)
    assert (again.app_id, again.version) == (batch.app_id, batch.version)
    assert again.frame(PLANT).equals(batch.frame(PLANT))


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_batch_that_nobody_ended_is_the_same_after_a_restart(
    open_spool: OpenSpool, limit: int
) -> None:
    spool = open_spool()
    fill(spool, 0, 3)
    batch = spool.take_batch(2)
    before = batch.frame(PLANT)
    spool.close()
    spool = open_spool()
    fill(spool, 3, 3)
    again = spool.take_batch(limit)
    assert (again.app_id, again.version) == (batch.app_id, batch.version)
    assert again.frame(PLANT).equals(before)


def test_readings_that_come_in_meanwhile_are_in_the_next_batch(spool: Spool) -> None:
    fill(spool, 0, 2)
    batch = spool.take_batch(10)
    fill(spool, 2, 2)
    assert values(batch) == [0.0, 1.0]
    batch.accept()
    assert values(spool.take_batch(10)) == [2.0, 3.0]


def test_a_rejected_batch_is_kept_apart_with_its_reason(spool: Spool) -> None:
    spool.append([reading(0, 0.1 + 0.2), reading(1, None), reading(2, 5.0)])
    spool.take_batch(2).reject("the lake refuses it")
    assert values(spool.take_batch(10)) == [5.0]
    kept = sqlite3.connect(spool.path)
    rows = kept.execute("SELECT meter_id, value, status, reason FROM rejected ORDER BY id")
    assert rows.fetchall() == [
        ("m1", 0.1 + 0.2, "good", "the lake refuses it"),
        ("m1", None, "timeout", "the lake refuses it"),
    ]
    kept.close()


def test_rejected_rows_count_as_dropped(spool: Spool) -> None:
    spool.append([reading(0), reading(1, None), reading(2)])
    spool.take_batch(2).reject("the lake refuses it")
    (account,) = spool.account()
    assert account.balanced
    assert (account.expected, account.good, account.missing) == (3, 1, {})
    assert account.dropped == {"rejected": 2}


def test_a_rejected_reading_that_comes_again_is_taken_again(spool: Spool) -> None:
    spool.append([reading(0)])
    spool.take_batch(1).reject("the lake refuses it")
    assert spool.append([reading(0)]).stored == 1


@pytest.mark.parametrize("end", ["accept", "reject"])
def test_ending_a_batch_again_changes_nothing(spool: Spool, end: str) -> None:
    fill(spool, 0, 2)
    batch = spool.take_batch(2)
    batch.accept()
    account = spool.account()
    fill(spool, 2, 1)
    if end == "accept":
        batch.accept()
    else:
        batch.reject("too late")
    assert values(spool.take_batch(10)) == [2.0]
    assert spool.account()[0].dropped == account[0].dropped == {}
