"""expected = good + missing + dropped, whatever the ticks and the clock do."""

from __future__ import annotations

import math
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.tables import Reading
from storage.account import MeterAccount
from storage.day_book import KEPT_DAYS
from storage.spool import Spool
from tests.storage.conftest import OpenSpool
from tests.storage.readings import START_US, polled, reading

DAY_TICKS = 1440  # of 60 s


def only(spool: Spool) -> MeterAccount:
    (account,) = spool.account()
    assert account.balanced
    return account


def by_day(spool: Spool, outcome: str) -> list[int]:
    spool.close()  # everything is in the tables now
    connection = sqlite3.connect(spool.path)
    rows = connection.execute(
        "SELECT count FROM account WHERE outcome = ? ORDER BY day", (outcome,)
    ).fetchall()
    connection.close()
    return [count for (count,) in rows]


@pytest.fixture
def minutely(spool: Spool) -> Spool:
    spool.schedule({"m1": 60})
    return spool


class TestPolledMeters:
    def test_ticks_in_a_row_are_all_there_is(self, minutely: Spool) -> None:
        minutely.append([polled(0), polled(1, None), polled(2)])
        account = only(minutely)
        assert (account.expected, account.good, account.missing) == (3, 2, {"timeout": 1})

    def test_ticks_that_nobody_polled_are_missing(self, minutely: Spool) -> None:
        minutely.append([polled(10), polled(11), polled(14)])
        account = only(minutely)
        assert (account.expected, account.good, account.missing) == (5, 3, {"not_running": 2})

    def test_also_across_a_restart(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        spool.schedule({"m1": 60})
        spool.append([polled(0)])
        spool.close()
        spool = open_spool()
        spool.schedule({"m1": 60})
        spool.append([polled(100)])
        account = only(spool)
        assert (account.expected, account.missing) == (101, {"not_running": 99})

    def test_missed_ticks_are_booked_on_their_own_days(self, minutely: Spool) -> None:
        minutely.append([polled(DAY_TICKS - 10), polled(2 * DAY_TICKS + 5)])
        assert by_day(minutely, "not_running") == [9, DAY_TICKS, 5]

    def test_a_reading_late_over_midnight_counts_on_the_day_it_was_due(
        self, minutely: Spool
    ) -> None:
        minutely.append([polled(DAY_TICKS - 1, late_us=70_000_000), polled(DAY_TICKS)])
        assert by_day(minutely, "good") == [1, 1]

    def test_without_a_schedule_the_sequence_still_tells(self, spool: Spool) -> None:
        spool.append([polled(10), polled(14)])
        account = only(spool)
        assert (account.expected, account.missing) == (5, {"not_running": 3})


class TestTheClockGoesBack:
    def test_a_tick_polled_again_is_repeated_and_not_expected_twice(self, minutely: Spool) -> None:
        minutely.append([polled(10), polled(11), polled(12)])
        back = [polled(11, 5.0), polled(12, None, late_us=9), polled(13)]
        assert minutely.append(back).stored == 3
        account = only(minutely)
        assert (account.expected, account.good, account.missing) == (4, 4, {})
        assert account.repeated == 2

    def test_the_same_tick_twice(self, minutely: Spool) -> None:
        minutely.append([polled(10), polled(10, 2.0)])
        account = only(minutely)
        assert (account.expected, account.good, account.repeated) == (1, 1, 1)

    def test_the_same_reading_twice_is_a_duplicate_not_a_repeat(self, minutely: Spool) -> None:
        minutely.append([polled(10), polled(10)])
        account = only(minutely)
        assert (account.expected, account.duplicates, account.repeated) == (1, 1, 0)

    def test_a_repeated_reading_that_is_rejected_stays_repeated(self, minutely: Spool) -> None:
        minutely.append([polled(10), polled(10, 2.0)])
        minutely.take_batch(10).reject("refused")
        account = only(minutely)
        assert (account.expected, account.good, account.dropped) == (1, 0, {"rejected": 1})
        assert account.repeated == 1

    def test_by_more_than_a_day_the_ticks_begin_anew(self, minutely: Spool) -> None:
        minutely.append([polled(10 * DAY_TICKS), polled(0), polled(1), polled(3)])
        account = only(minutely)
        assert (account.expected, account.good) == (5, 4)
        assert (account.missing, account.repeated) == ({"not_running": 1}, 0)

    def test_a_clock_that_starts_in_2000_is_no_outage(self, spool: Spool) -> None:
        spool.schedule({"m1": 60})
        unset_us = 946_684_800_000_000
        wrong = [polled(0)._replace(time_us=unset_us, sequence=unset_us // 60_000_000)]
        spool.append([*wrong, polled(0), polled(1)])
        account = only(spool)
        assert (account.expected, account.good, account.missing) == (3, 3, {})


class TestTheIntervalChanges:
    def test_the_old_ticks_stay_expected(self, minutely: Spool) -> None:
        minutely.append([polled(0), polled(1)])
        minutely.schedule({"m1": 10})
        minutely.append([polled(12, interval_s=10), polled(13, interval_s=10)])
        # Of the minutely ticks 0 and 60 s; then, every 10 s, the ticks of 70 to 130 s.
        account = only(minutely)
        assert (account.expected, account.good) == (2 + 7, 4)
        assert account.missing == {"not_running": 5}

    def test_at_once_nothing_is_missing(self, minutely: Spool) -> None:
        minutely.append([polled(0), polled(10)])
        minutely.schedule({"m1": 600})
        minutely.append([polled(2, interval_s=600)])
        account = only(minutely)
        assert (account.expected, account.good, account.missing) == (12, 3, {"not_running": 9})

    def test_there_and_back_without_a_reading_changes_nothing(self, minutely: Spool) -> None:
        minutely.append([polled(0)])
        minutely.schedule({"m1": 10})
        minutely.schedule({"m1": 60})
        minutely.append([polled(2)])
        assert only(minutely).missing == {"not_running": 1}

    def test_nothing_is_expected_of_a_meter_taken_out_of_the_schedule(
        self, minutely: Spool
    ) -> None:
        minutely.append([polled(0)])
        minutely.schedule({})
        minutely.schedule({"m1": 60})
        minutely.append([polled(100)])
        account = only(minutely)
        assert (account.expected, account.good, account.missing) == (2, 2, {})

    def test_a_tick_of_the_old_interval_that_comes_late_is_taken_as_received(
        self, minutely: Spool
    ) -> None:
        minutely.append([polled(0)])
        minutely.schedule({"m1": 10})
        minutely.append([polled(1), polled(6, interval_s=10, late_us=3)])
        account = only(minutely)
        assert (account.expected, account.good, account.missing) == (3 + 5, 3, {"not_running": 5})


class TestMetersThatPush:
    def test_expected_is_what_was_received_without_duplicates(self, spool: Spool) -> None:
        spool.append([reading(0), reading(900), reading(900)])
        account = only(spool)
        assert (account.expected, account.good, account.duplicates) == (2, 2, 1)

    def test_bad_payloads_are_dropped(self, spool: Spool) -> None:
        spool.append([reading(0), reading(1, None, status="bad_payload")])
        account = only(spool)
        assert (account.expected, account.good, account.missing) == (2, 1, {})
        assert account.dropped == {"bad_payload": 1}


def test_days_of_long_ago_are_joined(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.schedule({"m1": 86_400.0})
    days = [polled(n, interval_s=86_400.0) for n in range(1_000) if n % 10]
    spool.append([*days, *(reading(n * 86_400, None, meter="m2") for n in range(1_000))])
    before = spool.account()
    spool.close()
    spool = open_spool(now_us=START_US + 1_000 * 86_400_000_000)
    spool.days_booked(spool.unbooked_days())
    spool.take_batch(10).accept()
    assert spool.account() == before
    assert all(account.balanced for account in before)
    assert len(by_day(spool, "timeout")) == KEPT_DAYS + 1
    assert sum(by_day(spool, "timeout")) == 1_000
    assert len(by_day(spool, "good")) == KEPT_DAYS * 9 // 10 + 1
    assert sum(by_day(spool, "not_running")) == before[0].missing["not_running"]
    spool = open_spool(now_us=START_US + 1_001 * 86_400_000_000)
    spool.take_batch(10).accept()
    assert len(by_day(spool, "timeout")) == KEPT_DAYS
    assert sum(by_day(spool, "timeout")) == 1_000


def test_what_was_booked_before_a_crash_is_booked_after_it(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.schedule({"m1": 60, "m2": 60})
    spool.append([polled(0), polled(3), polled(3, 5.0), reading(0, meter="m3")])
    spool.append([polled(3, 5.0), polled(5, math.nan), polled(6, None), polled(0, meter="m2")])
    before = spool.account()
    spool._file.close()
    assert open_spool().account() == before
    view = Spool.read_only(spool.path)
    assert view.account() == before
    view.close()


def test_meters_are_told_apart_and_in_order(spool: Spool) -> None:
    spool.append([reading(0, meter="b"), reading(0, meter="a"), reading(1, meter="b")])
    assert [(a.meter_id, a.expected) for a in spool.account()] == [("a", 1), ("b", 2)]


STATUSES = st.sampled_from(
    ["good", "good", "good", "timeout", "skipped", "bad_payload", "repeated"]
)
INTERVALS = st.sampled_from([1.0, 10.0, 60.0, 900.0, 86_400.0])


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[str, object]]:
    """Steps of a plant's life: polls with jumps both ways, pushes, repeats, new intervals."""
    steps: list[tuple[str, object]] = []
    time_s, interval_s = 0.0, 60.0
    for _ in range(draw(st.integers(1, 30))):
        match draw(st.sampled_from(["poll", "poll", "poll", "push", "repeat", "rate", "restart"])):
            case "poll":
                time_s += draw(
                    st.one_of(
                        st.sampled_from([interval_s] * 4 + [0.0, -interval_s, -5 * interval_s]),
                        st.floats(-3 * 86_400, 10 * 86_400),
                    )
                )
                status = draw(STATUSES)
                value = float(draw(st.integers(0, 3))) if status == "good" else None
                tick = int(time_s // interval_s)
                steps.append(("append", polled(tick, value, interval_s=interval_s, status=status)))
            case "push":
                steps.append(("append", reading(time_s, float(draw(st.integers(0, 3))))))
            case "repeat":
                steps.append(("repeat", draw(st.integers(0, 50))))
            case "rate":
                interval_s = draw(INTERVALS)
                steps.append(("schedule", draw(st.sampled_from([{"m1": interval_s}, {}]))))
            case "restart":
                steps.append((draw(st.sampled_from(["restart", "crash"])), None))
    return steps


@settings(deadline=None, max_examples=150)
@given(streams(), st.integers(1, 5), st.booleans())
def test_the_identity_holds_for_every_stream(
    steps: list[tuple[str, object]], limit: int, rejecting: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spool.db"
        spool = Spool(file, max_bytes=1 << 30, dedupe_s=1e9, now_us=lambda: START_US)
        spool.schedule({"m1": 60.0})
        sent: list[Reading] = []
        stored = duplicates = rejected = 0
        for kind, what in steps:
            if kind == "schedule":
                spool.schedule(what)
                continue
            if kind in ("restart", "crash"):
                # A crash leaves the tables of the account behind the readings.
                (spool if kind == "restart" else spool._file).close()
                spool = Spool(file, max_bytes=1 << 30, dedupe_s=1e9, now_us=lambda: START_US)
                continue
            if kind == "repeat" and not sent:
                continue
            sent.append(what if kind == "append" else sent[what % len(sent)])
            done = spool.append([sent[-1]])
            stored, duplicates = stored + done.stored, duplicates + done.duplicates
            rejected += done.rejected
            assert all(account.balanced for account in spool.account())
        assert stored + duplicates + rejected == len(sent)
        batch = spool.take_batch(limit)
        if rejecting and batch is not None:
            batch.reject("refused")
        for account in spool.account():
            assert account.balanced
            polls = account.expected - account.missing.get("not_running", 0)
            assert polls + account.repeated == stored + rejected
            assert account.duplicates == duplicates
            assert min([*account.missing.values(), *account.dropped.values(), account.good]) >= 0
        spool.close()


ANY = st.integers(-(2**63), 2**63 - 1)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.one_of(ANY, st.integers(0, 10**9)), st.none() | ANY), max_size=12),
    st.none() | st.floats(0.1, 1e9),
)
def test_no_time_or_sequence_breaks_the_identity(
    ticks: list[tuple[int, int | None]], interval_s: float | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "s.db", max_bytes=1, dedupe_s=0, now_us=lambda: START_US)
        spool.schedule({} if interval_s is None else {"m1": interval_s})
        for time_us, sequence in ticks:
            spool.append([Reading("m1", "e", time_us, 1.0, "good", "s", START_US, sequence)])
            assert all(account.balanced for account in spool.account())
        spool.close()
