"""Any order of appends, flushes, crashes and salvages: each reading is in the lake once."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from config.tables import READINGS
from storage.flush import flush
from storage.lake import Lake
from storage.spool import Spool
from tests.storage.dying_lake import Crash, DyingLake
from tests.storage.readings import PLANT, reading


class SpoolAndLake(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.lake = Lake(self.folder / "lake")
        self.sent = 0
        self.spool = self.opened()

    def opened(self) -> Spool:
        return Spool(self.folder / "spool.db", max_bytes=1 << 30, dedupe_s=1e9)

    def teardown(self) -> None:
        flush(self.spool, self.lake, PLANT, 1_000)
        self.nothing_is_doubled()
        rows = self.lake.scan(READINGS, PLANT).collect()
        assert sorted(rows["value"]) == [float(n) for n in range(self.sent)]
        assert self.spool.waiting() == 0
        self.spool.close()
        shutil.rmtree(self.folder)

    @rule(count=st.integers(1, 20))
    def append(self, count: int) -> None:
        new = [reading(n, float(n)) for n in range(self.sent, self.sent + count)]
        assert self.spool.append(new).stored == count
        self.sent += count

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def append_again(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(0, self.sent - 1))
        again = [reading(n, float(n)) for n in range(first, self.sent)]
        assert self.spool.append(again).duplicates == len(again)

    @rule(limit=st.integers(1, 30))
    def flush(self, limit: int) -> None:
        flush(self.spool, self.lake, PLANT, limit)

    @rule(limit=st.integers(1, 30))
    def crash_between_lake_and_spool(self, limit: int) -> None:
        with suppress(Crash):
            flush(self.spool, DyingLake(self.lake.path), PLANT, limit)
        self.restart()

    @rule(limit=st.integers(1, 30))
    def crash_before_the_lake(self, limit: int) -> None:
        self.spool.take_batch(limit)
        self.restart()

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.spool = self.opened()

    @rule()
    def damage_that_costs_no_reading(self) -> None:
        # Garbage in place of an index page: SQLite refuses the file, the rows can be read.
        root = self.spool._file._connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'remembered_span'"
        ).fetchone()[0]
        self.spool.close()
        with (self.folder / "spool.db").open("r+b") as file:
            file.seek((root - 1) * 4096)
            file.write(b"\xff" * 4096)
        self.spool = self.opened()
        assert self.spool.damage is not None
        assert self.spool.damage.rows_lost == 0

    @rule()
    def compact(self) -> None:
        self.lake.compact(READINGS)

    @invariant()
    def nothing_is_doubled(self) -> None:
        values = self.lake.scan(READINGS, PLANT).collect()["value"]
        assert values.n_unique() == len(values)

    @invariant()
    def the_account_is_balanced(self) -> None:
        assert all(account.balanced for account in self.spool.account())


TestSpoolAndLake = SpoolAndLake.TestCase
TestSpoolAndLake.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
