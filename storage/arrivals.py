"""Which readings of meters that push come late: their place in time had been passed.

Late is a reading that is older than one of its meter that was there already, or that took longer to
arrive than a gap is long: figures of its time may have been computed without it. A poll is never
late, for it is made at its time; where the clock went back it is ``repeated``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

CLOCK_AHEAD_US = 3_600_000_000
"""A reading from further in the future than this comes from a wrong clock, and makes none late."""
_NEVER = 2**63


class Arrivals:
    """The newest time of each meter that pushes, and how old its readings may arrive."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._newest: dict[str, int] = dict(
            cursor.execute(
                "SELECT meter_id, newest_us FROM arrivals WHERE newest_us IS NOT NULL"
            ).fetchall()
        )
        self._late_after: dict[str, int] = dict(
            cursor.execute(
                "SELECT meter_id, late_after_us FROM arrivals WHERE late_after_us IS NOT NULL"
            ).fetchall()
        )
        self._changed: set[str] = set()

    def is_late(self, meter_id: str, time_us: int, received_us: int) -> bool:
        """Whether a reading that is stored now is late; it is remembered."""
        newest_us = self._newest.get(meter_id)
        if newest_us is not None and time_us < newest_us:
            return True
        if time_us != newest_us and time_us - received_us <= CLOCK_AHEAD_US:
            self._newest[meter_id] = time_us
            self._changed.add(meter_id)
        return received_us - time_us > self._late_after.get(meter_id, _NEVER)

    def write(self, cursor: sqlite3.Cursor) -> None:
        """Put the newest times into the table."""
        cursor.executemany(
            "INSERT INTO arrivals(meter_id, newest_us) VALUES(?, ?) "
            "ON CONFLICT DO UPDATE SET newest_us = excluded.newest_us",
            [(meter_id, self._newest[meter_id]) for meter_id in self._changed],
        )
        self._changed.clear()


def set_late_after(cursor: sqlite3.Cursor, late_after_s: Mapping[str, float]) -> None:
    """Set after how many seconds a reading of a meter is late, for the meters named only."""
    cursor.execute("UPDATE arrivals SET late_after_us = NULL")
    cursor.executemany(
        "INSERT INTO arrivals(meter_id, late_after_us) VALUES(?, ?) "
        "ON CONFLICT DO UPDATE SET late_after_us = excluded.late_after_us",
        [(meter_id, round(seconds * 1e6)) for meter_id, seconds in late_after_s.items()],
    )
