"""Which readings came before: the same meter, quantity, time and value once more is refused.

Nearly every reading is later than all before it of its meter and quantity, and so is no repeat:
the last time of each is all that must be known. Only a reading that is not later is looked up,
among the fingerprints of what was stored: 64 bits a reading, kept by ten seconds of their time.

That two different readings of the same ten seconds have the same fingerprint, and one is taken for
a repeat, is to be expected once in 10^13 readings that come late into a million others.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from config.tables import Reading
from storage.codec import Columns, Row

Prints = npt.NDArray[np.uint64]

SPAN_US = 10_000_000
_CACHED_PRINTS = 4_000_000
_RECENT = 20_000
_OF_SPANS = "FROM remembered WHERE span IN (SELECT value FROM json_each(?))"


class _Span:
    """The fingerprints of ten seconds, to look up in."""

    def __init__(self) -> None:
        self.sorted: Prints = np.empty(0, np.uint64)
        self._new: list[Prints] = []
        self._recent: set[int] = set()

    def add(self, prints: Prints) -> None:
        self._new.append(prints)

    def has(self, print_: int) -> bool:
        if self._new:
            self._take()
        if print_ in self._recent:
            return True
        at = int(np.searchsorted(self.sorted, np.uint64(print_)))
        return at < len(self.sorted) and int(self.sorted[at]) == print_

    def _take(self) -> None:
        """Into a set while they are few; sorting all again for every few would take long."""
        count = sum(map(len, self._new))
        if len(self._recent) + count < _RECENT:
            for prints in self._new:
                self._recent.update(prints.tolist())
        else:
            recent = np.fromiter(self._recent, np.uint64, len(self._recent))
            self.sorted = np.sort(np.concatenate([self.sorted, recent, *self._new]))
            self._recent = set()
        self._new = []


class Repeats:
    """What the table ``remembered`` holds and what will be written to it with the next fold.

    ``floor_us`` is the end of the newest span of the table that is not in the future, ``ahead``
    the spans after it (of a device whose clock is wrong): a meter that was not heard of since the
    opening can have come before in these two only.
    """

    def __init__(self, cursor: sqlite3.Cursor, now_us: int) -> None:
        self._last: dict[tuple[str, str], list[int]] = {}
        self._open: dict[int, list[Prints]] = defaultdict(list)
        self._newest_us: dict[int, int] = {}
        self._cache: dict[int, _Span] = {}
        (newest,) = cursor.execute(
            "SELECT max(span) FROM remembered WHERE span <= ?", (now_us // SPAN_US,)
        ).fetchone()
        self._floor_us = (newest + 1) * SPAN_US - 1 if newest is not None else -(2**63)
        rows = cursor.execute(
            "SELECT DISTINCT span FROM remembered WHERE span > ?", (now_us // SPAN_US,)
        )
        self._ahead = {span for (span,) in rows.fetchall()}

    def places(
        self, cursor: sqlite3.Cursor, readings: Sequence[Reading | Row]
    ) -> tuple[list[int], list[int]]:
        """The places of readings that came before, and for every reading the hash of its series.

        Remembers the times of the others. They must be given to `add`.
        """
        late: list[int] = []
        hashes: list[int] = []
        last, ahead = self._last, self._ahead
        for place, reading in enumerate(readings):
            meter_id, quantity, time_us, value, _, _, _, _ = reading
            series = last.get((meter_id, quantity))
            if series is None:
                series = [self._floor_us, _series_hash(meter_id, quantity)]
                last[meter_id, quantity] = series
            hashes.append(series[1])
            if value is None or value != value:
                continue
            if time_us <= series[0] or (ahead and time_us // SPAN_US in ahead):
                late.append(place)
            if time_us > series[0]:
                series[0] = time_us
        return (self._before(cursor, readings, hashes, late) if late else []), hashes

    def add(self, columns: Columns, hashes: Sequence[int]) -> None:
        """Remember the readings of a group that is stored."""
        there = ~np.isnan(columns.value)
        if not there.any():
            return
        prints = fingerprints(np.array(hashes, np.uint64), columns.time_us, columns.value)
        spans = columns.time_us // SPAN_US
        if there.all() and int(spans.min()) == int(spans.max()):
            self._add(int(spans[0]), prints, int(columns.received_us.max()))
            return
        prints, spans, received = prints[there], spans[there], columns.received_us[there]
        order = np.argsort(spans, kind="stable")
        starts = np.flatnonzero(np.diff(spans[order], prepend=spans[order[0]] - 1))
        for part in np.split(order, starts[1:]):
            self._add(int(spans[part[0]]), prints[part], int(received[part].max()))

    def write(self, cursor: sqlite3.Cursor) -> None:
        """Put what was added into the table."""
        cursor.executemany(
            "INSERT INTO remembered(span, newest_us, prints) VALUES(?, ?, ?)",
            [
                (span, self._newest_us[span], np.concatenate(prints).astype("<u8").tobytes())
                for span, prints in self._open.items()
            ],
        )
        self._open.clear()
        self._newest_us.clear()

    def forget(self, cursor: sqlite3.Cursor, columns: Columns) -> None:
        """Take readings out of the table again: the lake refused them, they may come again."""
        hashes = [_series_hash(row[0], row[1]) for row in columns.rows()]
        prints = fingerprints(np.array(hashes, np.uint64), columns.time_us, columns.value)
        spans = json.dumps(np.unique(columns.time_us // SPAN_US).tolist())
        rows = cursor.execute(f"SELECT id, prints {_OF_SPANS}", (spans,))
        for number, body in rows.fetchall():
            there = np.frombuffer(body, "<u8")
            left = there[~np.isin(there, prints)]
            cursor.execute(
                "UPDATE remembered SET prints = ? WHERE id = ?", (left.tobytes(), number)
            )
        self.table_changed()

    def table_changed(self) -> None:
        """Look the table's rows up anew."""
        self._cache.clear()

    def _add(self, span: int, prints: Prints, newest_us: int) -> None:
        self._open[span].append(prints)
        self._newest_us[span] = max(newest_us, self._newest_us.get(span, newest_us))
        if (cached := self._cache.get(span)) is not None:
            cached.add(prints)

    def _before(
        self,
        cursor: sqlite3.Cursor,
        readings: Sequence[Reading | Row],
        hashes: Sequence[int],
        late: Sequence[int],
    ) -> list[int]:
        """Which of the readings at the places ``late`` came before, in the group or earlier."""
        places = _with_same_times(readings, late)
        times = np.array([readings[place][2] for place in places], np.int64)
        values = np.array([readings[place][3] for place in places], np.float64)
        series = np.array([hashes[place] for place in places], np.uint64)
        prints = fingerprints(series, times, values).tolist()
        self._load(cursor, {readings[place][2] // SPAN_US for place in late})
        asked, seen = set(late), set[int]()
        before = []
        for place, print_ in zip(places, prints, strict=True):
            known = place in asked and self._cache[readings[place][2] // SPAN_US].has(print_)
            if known or print_ in seen:
                before.append(place)
            seen.add(print_)
        return before

    def _load(self, cursor: sqlite3.Cursor, spans: Iterable[int]) -> None:
        if sum(len(span.sorted) for span in self._cache.values()) > _CACHED_PRINTS:
            self._cache.clear()
        absent = [span for span in spans if span not in self._cache]
        if not absent:
            return
        found: dict[int, list[Prints]] = {span: list(self._open.get(span, ())) for span in absent}
        for span, body in cursor.execute(
            f"SELECT span, prints {_OF_SPANS}", (json.dumps(absent),)
        ).fetchall():
            found[span].append(np.frombuffer(body, "<u8"))
        for span, prints in found.items():
            self._cache[span] = _Span()
            if prints:
                self._cache[span].sorted = np.sort(np.concatenate(prints))


def fingerprints(series: Prints, time_us: npt.NDArray[np.int64], value: object) -> Prints:
    """64 bits for each reading; the same on every machine and in every version."""
    bits = (np.asarray(value, np.float64) + 0.0).view(np.uint64)  # -0.0 is 0.0
    return _mixed(_mixed(series ^ _mixed(time_us.view(np.uint64))) ^ bits)


def _mixed(x: Prints) -> Prints:
    """Every bit of the result depends on every bit of ``x`` (the finalizer of splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _series_hash(meter_id: str, quantity: str) -> int:
    text = f"{len(meter_id)}:{meter_id}{quantity}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def _with_same_times(readings: Sequence[Reading | Row], late: Sequence[int]) -> list[int]:
    """The late ones and those before them in the group that have the same time, in order."""
    times = {readings[place][2] for place in late}
    return [
        place
        for place, reading in enumerate(readings)
        if reading[2] in times and reading[3] is not None
    ]
