"""The account by day: the plant's own days, which the lake's table is the image of."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.tables import READINGS, Reading
from storage.account import DUPLICATE, EXPECTED, GOOD, LATE, OUTSIDE, REPEATED, MeterAccount
from storage.day_book import KEPT_DAYS, DayBook
from storage.days import DAY_US, Days, label
from storage.flush import flush
from storage.lake import Lake
from storage.spool import Spool
from tests.storage.conftest import OpenSpool
from tests.storage.readings import PLANT, START, START_US, polled, reading

ZONES = (
    "UTC", "Asia/Shanghai", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo",
    "Africa/Cairo", "Pacific/Apia", "America/New_York",
)  # fmt: skip

Image = dict[tuple[str, bool, str, int], Mapping[str, int]]
"""What a lake would hold: by account, whether the day was whole, meter and day."""


def totals(account: MeterAccount) -> Counter[str]:
    """The entries that an account stands for."""
    entries = Counter({**account.missing, **account.dropped})
    entries[EXPECTED], entries[GOOD] = account.expected, account.good
    entries[DUPLICATE], entries[REPEATED] = account.duplicates, account.repeated
    entries[LATE] = account.late
    return +entries


def summed(
    image: Mapping[tuple[str, bool, str, int], Mapping[str, int]],
) -> dict[str, Counter[str]]:
    """The days of each meter added up."""
    added: dict[str, Counter[str]] = {}
    for (_, _, meter_id, _), entries in image.items():
        added.setdefault(meter_id, Counter()).update(entries)
    return {meter_id: +entries for meter_id, entries in added.items()}


def image_of(book: DayBook) -> Image:
    return {
        (book.name, day >= book.whole_from, meter_id, day): entries
        for (meter_id, day), entries in book.entries.items()
    }


def assert_identity(book: DayBook) -> None:
    for key, entries in book.entries.items():
        inside = sum(count for outcome, count in entries.items() if outcome not in OUTSIDE)
        assert entries[EXPECTED] == inside, (key, entries)
        assert min(entries.values()) >= 0, (key, entries)


def labels(spool: Spool, outcome: str, meter: str = "m1") -> dict[str, int]:
    """Counts of one outcome by date."""
    return {
        label(day): entries[outcome]
        for (meter_id, day), entries in sorted(spool.account_by_day().entries.items())
        if meter_id == meter and entries[outcome]
    }


class TestDays:
    @pytest.mark.parametrize("zone", ZONES)
    def test_a_moment_is_on_its_local_date(self, zone: str) -> None:
        days = Days(zone)
        moment = datetime(2011, 1, 1, tzinfo=UTC)
        while moment < datetime(2027, 1, 1, tzinfo=UTC):
            us = round(moment.timestamp() * 1e6)
            day = days.of(us)
            first, after = days.bounds(day)
            assert first <= us < after
            assert label(day) == moment.astimezone(ZoneInfo(zone)).date().isoformat()
            assert days.of(first) == days.of(after - 1) == day
            moment += timedelta(hours=31, minutes=17)

    def test_days_are_as_long_as_they_are(self) -> None:
        def hours(zone: str, date: str) -> float:
            days = Days(zone)
            noon = datetime.fromisoformat(f"{date}T12:00").replace(tzinfo=ZoneInfo(zone))
            first, after = days.bounds(days.of(round(noon.timestamp() * 1e6)))
            return (after - first) / 3.6e9

        assert hours("Europe/Berlin", "2026-03-29") == 23
        assert hours("Europe/Berlin", "2026-10-25") == 25
        assert hours("Australia/Lord_Howe", "2026-10-04") == 23.5
        assert hours("Asia/Shanghai", "2026-10-04") == 24

    @pytest.mark.parametrize("zone", ZONES)
    def test_the_ends_of_time_have_a_day(self, zone: str) -> None:
        days = Days(zone)
        for us in (-62_135_596_800_000_000, 253_402_300_799_999_999):
            first, after = days.bounds(days.of(us))
            assert first <= us < after


class TestThePlantsOwnDay:
    def test_polls_and_messages_count_on_it(self, spool: Spool) -> None:
        spool.schedule({"m1": 60}, zone="Asia/Shanghai")
        # 16:00 UTC is midnight in Shanghai.
        spool.append([polled(16 * 60 - 1), polled(16 * 60), reading(16 * 3600 - 1, meter="m2")])
        assert labels(spool, GOOD) == {"2026-10-01": 1, "2026-10-02": 1}
        assert labels(spool, GOOD, "m2") == {"2026-10-01": 1}
        assert_identity(spool.account_by_day())

    def test_missed_ticks_fall_on_days_of_23_and_a_half_hours(self, spool: Spool) -> None:
        spool.schedule({"m1": 60}, zone="Australia/Lord_Howe")
        first = round((datetime(2026, 10, 2, 13, 30, tzinfo=UTC) - START) / timedelta(minutes=1))
        spool.append([polled(first), polled(first + 4 * 1440)])
        assert labels(spool, EXPECTED) == {
            "2026-10-03": 1440, "2026-10-04": 1410, "2026-10-05": 1440, "2026-10-06": 1440,
            "2026-10-07": 31,
        }  # fmt: skip
        assert_identity(spool.account_by_day())

    def test_another_zone_counts_from_then_on(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        spool.schedule({"m1": 3600}, zone="UTC")
        spool.append([polled(tick, interval_s=3600) for tick in range(20)])
        spool.schedule({"m1": 3600}, zone="Asia/Shanghai")
        spool.append([polled(tick, interval_s=3600) for tick in range(20, 30)])
        assert labels(spool, GOOD) == {"2026-10-01": 20, "2026-10-02": 10}
        assert_identity(spool.account_by_day())
        spool._file.close()
        assert labels(open_spool(), GOOD) == {"2026-10-01": 20, "2026-10-02": 10}

    def test_what_waits_in_groups_keeps_its_day_through_another_zone(
        self, open_spool: OpenSpool
    ) -> None:
        spool = open_spool()
        spool.append([reading(17 * 3600)])  # the next day in Shanghai
        spool.schedule({}, zone="Asia/Shanghai")
        spool.take_batch(10).reject("refused")
        assert labels(spool, "rejected") == {"2026-10-01": 1}
        assert labels(spool, GOOD) == {}
        assert_identity(spool.account_by_day())


class TestLate:
    def test_older_than_what_was_there(self, spool: Spool) -> None:
        spool.append([reading(0), reading(900), reading(300), reading(300, meter="m2")])
        spool.append([reading(900, 2.0), reading(899)])
        late = {account.meter_id: account.late for account in spool.account()}
        assert late == {"m1": 2, "m2": 0}
        assert all(account.balanced for account in spool.account())

    def test_longer_on_its_way_than_a_gap(self, spool: Spool) -> None:
        spool.schedule({}, late_after_s={"m1": 1800.0})
        aged = [
            reading(at)._replace(received_us=START_US + round((at + age) * 1e6))
            for at, age in ((0, 1800.0), (10, 1800.000001), (20, 0.0))
        ]
        spool.append([*aged, aged[1]._replace(meter_id="m2")])
        assert [account.late for account in spool.account()] == [1, 0]
        spool.schedule({})
        spool.append([aged[1]._replace(time_us=START_US + 30_000_000)])
        assert spool.account()[0].late == 1

    def test_counted_on_the_day_of_the_reading(self, spool: Spool) -> None:
        spool.append([reading(3 * 86_400), reading(5)])
        assert labels(spool, LATE) == {"2026-10-01": 1}

    def test_one_from_a_clock_far_ahead_makes_none_late(self, spool: Spool) -> None:
        ahead = reading(10 * 86_400)._replace(received_us=START_US)
        spool.append([ahead, reading(0), reading(60)])
        assert spool.account()[0].late == 0

    def test_known_after_a_restart_and_a_crash(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        spool.append([reading(900)])
        spool.close()
        spool = open_spool()
        spool.append([reading(0), reading(1800)])
        spool._file.close()
        spool = open_spool()
        spool.append([reading(1000)])
        assert spool.account()[0].late == 2

    def test_a_repeat_that_is_refused_is_not_late(self, spool: Spool) -> None:
        spool.append([reading(0), reading(900), reading(0)])
        account = spool.account()[0]
        assert (account.duplicates, account.late) == (1, 0)

    def test_a_poll_after_the_clock_went_back_is_repeated_not_late(self, spool: Spool) -> None:
        spool.schedule({"m1": 60})
        spool.append([polled(10), polled(5, 9.0)])
        account = spool.account()[0]
        assert (account.repeated, account.late) == (1, 0)


class TestWhatTheLakeHas:
    def test_only_days_that_changed_are_unbooked(self, spool: Spool) -> None:
        spool.append([reading(0), reading(86_400)])
        book = spool.unbooked_days()
        assert [label(day) for day in sorted(book.unbooked)] == ["2026-10-01", "2026-10-02"]
        spool.days_booked(book)
        assert spool.unbooked_days().entries == {}
        spool.append([reading(60)])
        again = spool.unbooked_days()
        assert [label(day) for day in again.unbooked] == ["2026-10-01"]
        assert [entries[GOOD] for entries in again.entries.values()] == [2]

    def test_a_day_that_changed_meanwhile_stays_unbooked(self, spool: Spool) -> None:
        spool.append([reading(0)])
        book = spool.unbooked_days()
        spool.append([reading(60)])
        later = spool.unbooked_days()
        spool.days_booked(book)
        assert spool.unbooked_days() == later

    def test_a_refused_repeat_changes_its_day(self, spool: Spool) -> None:
        spool.append([reading(0)])
        spool.days_booked(spool.unbooked_days())
        spool.append([reading(0)])
        assert [entries[DUPLICATE] for entries in spool.unbooked_days().entries.values()] == [1]

    def test_nothing_is_joined_that_it_does_not_have(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        spool.append([reading(n * 86_400) for n in range(100)])
        spool.close()
        spool = open_spool(now_us=START_US + 200 * DAY_US)
        spool.take_batch(200).accept()
        assert len(spool.account_by_day().entries) == 100

    def test_what_comes_for_a_joined_day_stands_by_itself(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        spool.append([reading(n * 86_400) for n in range(100)])
        image = image_of(spool.unbooked_days())
        spool.days_booked(spool.unbooked_days())
        spool.close()
        for restart in range(3):
            spool = open_spool(now_us=START_US + (200 + restart) * DAY_US)
            spool.append([reading(86_400 * 199 + restart)])
            spool.take_batch(200).accept()  # joins what the lake has
            spool.append([reading(60 + restart)])
            book = spool.unbooked_days()
            image |= image_of(book)
            spool.days_booked(book)
            # Days that were joined before stay given up.
            assert len(book.entries) == 2
            (account,) = spool.account()
            assert summed(image) == {"m1": totals(account)}
            spool.close()
        assert account.good == 106
        assert [whole for _, whole, _, _ in image].count(False) == 1
        assert account.late == 3
        assert KEPT_DAYS < 100

    def test_a_spool_put_back_from_a_copy_begins_another_account(
        self, open_spool: OpenSpool, tmp_path: Path, lake: Lake
    ) -> None:
        spool = open_spool()
        spool.append([reading(n) for n in range(5)])
        flush(spool, lake, PLANT, 100)
        spool.close()
        copy = spool.path.read_bytes()
        spool = open_spool()
        spool.append([reading(n) for n in range(5, 20)])
        flush(spool, lake, PLANT, 100)
        image = image_of(spool.unbooked_days())
        spool.close()
        for suffix in ("-wal", "-shm"):
            spool.path.with_name(spool.path.name + suffix).unlink(missing_ok=True)
        spool.path.write_bytes(copy)
        spool = open_spool()
        spool.append([reading(n) for n in range(20, 23)])
        flush(spool, lake, PLANT, 100)
        book = spool.unbooked_days()
        assert_identity(book)
        assert {name for name, *_ in image} != {book.name}
        image |= image_of(book)
        assert summed(image)["m1"][GOOD] == lake.scan(READINGS, PLANT).collect().height == 23
        assert spool.account()[0].balanced

    def test_a_new_spool_has_an_account_of_its_own(self, tmp_path: Path) -> None:
        names = set()
        for number in range(2):
            spool = Spool(tmp_path / f"{number}.db", max_bytes=1 << 30, dedupe_s=1)
            spool.append([reading(0)])
            names.add(spool.unbooked_days().name)
            spool.close()
        assert len(names) == 2


def test_the_account_of_format_2_goes_on(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.schedule({"m1": 60})
    spool.append([polled(0), polled(2000, None), polled(2000, 3.0), polled(0)])
    spool.append([reading(0, meter="m2"), reading(86_400, None, meter="m2")])
    before, days = spool.account(), spool.account_by_day()
    spool.close()
    connection = sqlite3.connect(spool.path)
    connection.executescript(
        "DELETE FROM account WHERE outcome IN ('expected', 'late'); "
        "ALTER TABLE account RENAME COLUMN day TO day_utc; "
        "DROP TABLE book; DROP TABLE unbooked; DROP TABLE arrivals; PRAGMA user_version=2;"
    )
    connection.close()
    spool = open_spool()
    assert spool.account() == before
    assert spool.account_by_day().entries == days.entries
    assert spool.unbooked_days().unbooked.keys() == {day for _, day in days.entries}
    spool.append([polled(2001), reading(90_000, meter="m2")])
    assert all(account.balanced for account in spool.account())
    assert_identity(spool.account_by_day())


@st.composite
def traffic(draw: st.DrawFn) -> list[tuple[str, object]]:
    """Steps of a plant's life, with every way in which a reading can come and a spool can end."""
    steps: list[tuple[str, object]] = []
    now_s, interval_s = 0.0, 3600.0
    kinds = ("poll", "poll", "push", "push", "old", "again", "interval", "zone", "crash",
             "restart", "flush", "reject", "book", "book", "unsaid", "months")  # fmt: skip
    for _ in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from(kinds))
        what: object = None
        if kind == "poll":
            now_s += draw(st.sampled_from([interval_s, interval_s, 40_000.0, 9e5, -interval_s]))
            value = draw(st.sampled_from([1.0, 2.0, None]))
            what = polled(int(now_s // interval_s), value, interval_s=interval_s)
        elif kind in ("push", "old"):
            at_s = now_s + (draw(st.integers(-90, -1)) * 86_400 if kind == "old" else 7)
            value = draw(st.sampled_from([1.0, 2.0, None]))
            status = draw(st.sampled_from(["bad_payload", None])) if value is None else None
            what = reading(at_s, value, meter="m2", status=status)
        elif kind == "again":
            what = draw(st.integers(0, 50))
        elif kind == "interval":
            what = interval_s = draw(st.sampled_from([900.0, 3600.0]))
        elif kind == "zone":
            what = draw(st.sampled_from(ZONES))
        elif kind == "months":
            now_s += draw(st.sampled_from([30, 50])) * 86_400
        steps.append((kind if kind != "old" else "push", what))
    return steps


@settings(deadline=None, max_examples=60)
@given(traffic())
def test_days_add_up_to_the_account_at_every_point(steps: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        newest_us = START_US

        def opened() -> Spool:
            file = Path(folder) / "s.db"
            return Spool(file, max_bytes=1 << 30, dedupe_s=1e9, now_us=lambda: newest_us)

        spool, zone, interval_s = opened(), "UTC", 3600.0
        spool.schedule({"m1": interval_s})
        image: Image = {}
        sent: list[Reading] = []
        for kind, what in steps:
            if kind in ("poll", "push") or (kind == "again" and sent):
                sent.append(sent[what % len(sent)] if isinstance(what, int) else what)  # type: ignore[arg-type]
                newest_us = max(newest_us, sent[-1].time_us)
                spool.append([sent[-1]])
            elif kind in ("interval", "zone"):
                interval_s = what if isinstance(what, float) else interval_s
                zone = what if isinstance(what, str) else zone
                spool.schedule({"m1": interval_s}, zone=zone)
            elif kind in ("crash", "restart"):
                (spool if kind == "restart" else spool._file).close()
                spool = opened()
            elif kind in ("flush", "reject") and (batch := spool.take_batch(5)) is not None:
                batch.accept() if kind == "flush" else batch.reject("refused")
            elif kind in ("book", "unsaid"):
                book = spool.unbooked_days()
                assert_identity(book)
                image |= image_of(book)
                if kind == "book":  # else it was killed between the lake and the spool
                    spool.days_booked(book)
            now = spool.account_by_day()
            assert_identity(now)
            accounts = {one.meter_id: totals(one) for one in spool.account()}
            assert summed(image | image_of(now)) == accounts
            assert all(one.balanced for one in spool.account())
        image |= image_of(spool.unbooked_days())
        assert summed(image) == {one.meter_id: totals(one) for one in spool.account()}
        spool.close()
