from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.errors import StorageError
from config.tables import Reading
from storage.spool import Appended, Spool
from storage.spool_file import FORMAT
from tests.storage.conftest import OpenSpool
from tests.storage.readings import PLANT, START_US, polled, reading

HOUR_US = 3_600_000_000


def stored_values(spool: Spool) -> list[float | None]:
    batch = spool.take_batch(1_000_000)
    return [] if batch is None else batch.frame(PLANT)["value"].to_list()


class TestRepeats:
    def test_the_same_reading_again_is_refused_and_counted(self, spool: Spool) -> None:
        assert spool.append([reading(0), reading(1)]) == Appended(2, 0)
        assert spool.append([reading(1), reading(2)]) == Appended(1, 1)
        assert spool.account()[0].duplicates == 1

    def test_also_within_one_append(self, spool: Spool) -> None:
        assert spool.append([reading(0), reading(0)]) == Appended(1, 1)

    @pytest.mark.parametrize(
        "other",
        [
            reading(0, 2.0),
            reading(0.000001),
            reading(0, meter="m2"),
            reading(0, quantity="power"),
        ],
        ids=["value", "time", "meter", "quantity"],
    )
    def test_a_reading_that_differs_is_kept(self, spool: Spool, other: Reading) -> None:
        assert spool.append([reading(0), other]) == Appended(2, 0)

    def test_readings_without_a_value_are_never_repeats(self, spool: Spool) -> None:
        assert spool.append([reading(0, None), reading(0, None)]) == Appended(2, 0)

    def test_also_after_the_lake_took_the_first(self, spool: Spool) -> None:
        spool.append([reading(0)])
        spool.take_batch(10).accept()
        assert spool.append([reading(0)]) == Appended(0, 1)
        assert spool.take_batch(10) is None

    def test_also_after_a_restart(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        spool.append([reading(0)])
        spool.take_batch(10).accept()
        spool.close()
        assert open_spool().append([reading(0)]) == Appended(0, 1)

    def test_not_longer_than_it_is_told_to_remember(self, open_spool: OpenSpool) -> None:
        spool = open_spool(dedupe_s=3600, now_us=START_US + 2 * HOUR_US)
        spool.append([reading(0), reading(3 * 1800)])  # received 2 h and half an hour ago
        spool.take_batch(10).accept()
        assert spool.append([reading(0), reading(3 * 1800)]) == Appended(1, 1)

    def test_what_the_lake_does_not_have_is_never_forgotten(self, open_spool: OpenSpool) -> None:
        spool = open_spool(dedupe_s=0, now_us=START_US + HOUR_US)
        spool.append([reading(0), reading(1)])
        spool.take_batch(1).accept()
        assert spool.waiting() == 1
        assert stored_values(spool) == [1.0]


class TestCap:
    def test_readings_for_the_lake_fill_it(self, open_spool: OpenSpool) -> None:
        spool = open_spool(max_bytes=400_000)
        seconds = 0
        while spool.has_room():
            spool.append([reading(seconds + n) for n in range(100)])
            seconds += 100
        assert spool.waiting() == seconds
        assert spool.used_bytes() >= 400_000

    def test_remembered_readings_give_way(self, open_spool: OpenSpool) -> None:
        spool = open_spool(max_bytes=400_000)
        for start in range(0, 20_000, 100):
            assert spool.has_room()
            spool.append([reading(start + n) for n in range(100)])
            spool.take_batch(100).accept()
        assert spool.used_bytes() < 400_000

    def test_room_comes_back_when_the_lake_takes_readings(self, open_spool: OpenSpool) -> None:
        spool = open_spool(max_bytes=400_000)
        spool.append([reading(n) for n in range(40_000)])
        assert not spool.has_room()
        spool.take_batch(50_000).accept()
        assert spool.has_room()


class TestReadingsThatBreakTheContract:
    @pytest.mark.parametrize(
        "broken",
        [
            reading(0, math.nan),
            reading(0, None, status="good"),
            reading(0, 1.0, status="timeout"),
            reading(0, None, status="repeated"),
            reading(0, None, status="not_running"),
            reading(0)._replace(time_us=2**62),
            reading(0)._replace(time_us=2**70),
            reading(0)._replace(received_us=-(2**62)),
            reading(0)._replace(meter_id="\ud800"),
            reading(0)._replace(quantity=None),
            reading(0)._replace(value="12 kWh"),
            reading(0)._replace(sequence="12"),
            reading(0)._replace(sequence=2**80),
            reading(0)._replace(time_us=None),
            polled(3, math.nan),
        ],
        ids=lambda r: f"{r.meter_id!a}-{r.time_us}-{r.value}-{r.status}-{r.sequence}",
    )
    def test_one_is_kept_apart_and_does_not_hold_up_the_others(
        self, spool: Spool, broken: Reading
    ) -> None:
        spool.schedule({"m1": 60})
        assert spool.append([reading(1), broken, reading(2)]) == Appended(2, 0, 1)
        assert len(stored_values(spool)) == 2
        accounts = spool.account()
        assert all(account.balanced for account in accounts)
        assert sum(a.dropped.get("rejected", 0) for a in accounts) == 1
        kept = sqlite3.connect(spool.path)
        assert kept.execute("SELECT count(*) FROM rejected WHERE raw <> ''").fetchone() == (1,)
        kept.close()

    def test_an_infinite_value_is_a_value(self, spool: Spool) -> None:
        assert spool.append([reading(0, math.inf)]) == Appended(1, 0)
        assert stored_values(spool) == [math.inf]

    def test_the_year_9999_is_a_year(self, spool: Spool) -> None:
        last = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * 1_000_000
        assert spool.append([reading(0)._replace(time_us=last)]).stored == 1


class TestOtherProcesses:
    def test_state_account_and_waiting_can_be_read_beside_the_writer(self, spool: Spool) -> None:
        spool.append([reading(0), reading(1)])
        spool.take_batch(1).accept()
        spool.put_state("health", '{"up": 1}')
        spool.put_state("health", '{"up": 2}')
        script = (
            "import sys; from pathlib import Path; from storage.spool import Spool\n"
            "view = Spool.read_only(Path(sys.argv[1]))\n"
            "(account,) = view.account()\n"
            "sys.stdout.write(f'{view.state()} {account.good} {view.waiting()}')"
        )
        told = subprocess.run(
            [sys.executable, "-c", script, str(spool.path)],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
        )
        assert told.stdout == "{'health': '{\"up\": 2}'} 2 1"

    def test_a_view_sees_what_is_written_after_it_was_opened(self, spool: Spool) -> None:
        view = Spool.read_only(spool.path)
        spool.append([reading(0)])
        assert view.waiting() == 1
        view.close()

    def test_a_view_can_be_opened_when_nobody_writes(self, spool: Spool) -> None:
        spool.append([reading(0)])
        spool.close()
        view = Spool.read_only(spool.path)
        assert view.waiting() == 1
        view.close()

    def test_a_view_needs_no_right_to_write(self, small_disk: Path) -> None:
        spool = Spool(small_disk / "spool.db", max_bytes=1, dedupe_s=1)
        spool.append([reading(0)])
        spool.close()
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        view = Spool.read_only(small_disk / "spool.db")
        assert view.waiting() == 1
        view.close()

    def test_a_view_cannot_write(self, spool: Spool) -> None:
        view = Spool.read_only(spool.path)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            view._file._connection.execute("DELETE FROM groups")
        view.close()

    def test_without_a_spool_the_error_says_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="no spool") as caught:
            Spool.read_only(tmp_path / "none.db")
        assert "kgce run" in caught.value.todo

    def test_two_writers_share_one_account(self, open_spool: OpenSpool) -> None:
        one, other = open_spool(), open_spool()
        one.schedule({"m1": 60})
        for tick in range(0, 20, 2):
            one.append([polled(tick)])
            other.append([polled(tick + 1)])
        other.append([polled(25)])
        (account,) = one.account()
        assert account.balanced
        assert (account.expected, account.good, account.missing) == (26, 21, {"not_running": 5})


class TestTheOldestThatWaits:
    def test_there_is_none_in_an_empty_spool(self, spool: Spool) -> None:
        assert spool.oldest_waiting_us() is None

    def test_it_is_the_first_that_the_lake_does_not_have(self, spool: Spool) -> None:
        given = [reading(n) for n in range(10)]
        spool.append(given[:6])
        spool.append(given[6:])
        assert spool.oldest_waiting_us() == given[0].received_us
        spool.take_batch(4).accept()
        assert spool.oldest_waiting_us() == given[4].received_us
        view = Spool.read_only(spool.path)
        assert view.oldest_waiting_us() == given[4].received_us
        view.close()
        spool.take_batch(10).accept()
        assert spool.oldest_waiting_us() is None


class TestRowsBetween:
    @pytest.mark.parametrize(("after", "through"), [(0, 7), (2, 5), (3, 3), (6, 7)])
    def test_they_are_the_readings_in_their_order(
        self, spool: Spool, after: int, through: int
    ) -> None:
        given = [reading(n % 3, None if n == 4 else float(n), sequence=None) for n in range(7)]
        given[5] = polled(5, status="good")
        for start in (0, 3, 4):
            spool.append(given[start : {0: 3, 3: 4, 4: 7}[start]])
        assert spool.rows_between(after, through) == [tuple(r) for r in given[after:through]]


class TestOpening:
    def test_a_folder_that_is_none_is_explained(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError) as caught:
            Spool(tmp_path / "file" / "spool.db", max_bytes=1, dedupe_s=1)
        assert "storage.path" in caught.value.todo

    def test_the_file_of_a_later_kgce_is_not_touched(self, open_spool: OpenSpool) -> None:
        spool = open_spool()
        path = spool.path
        spool.close()
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA user_version={FORMAT + 1}")
        connection.close()
        before = path.read_bytes()
        with pytest.raises(StorageError, match="later kgce"):
            open_spool()
        with pytest.raises(StorageError, match="later kgce"):
            Spool.read_only(path)
        assert path.read_bytes() == before
