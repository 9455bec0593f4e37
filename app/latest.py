"""The newest readings of meters, looked up beside a running daemon without disturbing it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from app.status import is_alive
from collectors.base import GOOD
from config.site import Site
from config.tables import READINGS, Reading
from storage.lake import Lake
from storage.spool import Spool, SpoolView

_MOST_ROWS = 50_000
"""Waiting readings looked at in one go; with more than that the lake is far behind."""
_REACHES = (timedelta(days=1), timedelta(days=40))
"""How far back the lake is searched at first, and for meters that were not found then."""
_AGAIN = timedelta(minutes=15)


@dataclass
class Latest:
    """The last reading of each meter, and the last good one. The last is what came last."""

    any: dict[str, Reading] = field(default_factory=dict)
    good: dict[str, Reading] = field(default_factory=dict)

    def take(self, readings: Iterable[Reading]) -> None:
        for reading in readings:
            _put(self.any, reading)
            if reading.status == GOOD:
                _put(self.good, reading)


def _put(into: dict[str, Reading], reading: Reading) -> None:
    known = into.get(reading.meter_id)
    if known is None or _order(known) <= _order(reading):
        into[reading.meter_id] = reading


def _order(reading: Reading) -> tuple[int, int]:
    return reading.received_us, reading.time_us


class Beside:
    """Looks into the spool and the lake, read only."""

    def __init__(self, site: Site, lake: Lake, meters: Iterable[str]) -> None:
        self._site = site
        self._lake = lake
        self._meters = tuple(meters)
        self._seen = -1
        self.latest = Latest()
        self.state: dict[str, Any] = {}

    @property
    def daemon_runs(self) -> bool:
        return is_alive(self.state)

    def look_at_daemon(self) -> None:
        """See what the daemon says of itself, and nothing else. Raises StorageError."""
        with self._spool() as view:
            self.state = _state(view)

    @contextmanager
    def _spool(self) -> Iterator[SpoolView | None]:
        file = self._site.storage_path / "spool.db"
        if not file.is_file():
            yield None
            return
        view = Spool.read_only(file)
        try:
            yield view
        finally:
            view.close()

    def look(self) -> None:
        """See what is new. Raises StorageError."""
        accepted, last = 0, 0
        rows: list[Any] = []
        with self._spool() as view:
            self.state = _state(view)
            if view is not None:
                accepted, last, rows = view.waiting_rows(max(0, self._seen), _MOST_ROWS)
        if self._seen < 0:
            for reach in _REACHES:
                self._look_into_lake(reach, [m for m in self._meters if m not in self.latest.good])
        elif accepted > self._seen:
            self._look_into_lake(_AGAIN, self._meters)  # some went there between two looks
        self._seen = last
        wanted = set(self._meters)
        self.latest.take(Reading(*row) for row in rows if row[0] in wanted)

    def _look_into_lake(self, reach: timedelta, meters: Iterable[str]) -> None:
        columns = ("quantity", "value", "status", "source", "sequence")
        for among in (pl.lit(True), pl.col("status") == GOOD):
            newest = pl.col("received_utc").rank("ordinal", descending=True).over("meter_id") == 1
            found = (
                self._lake.scan(READINGS, self._site.id, from_utc=datetime.now(UTC) - reach)
                .filter(pl.col("meter_id").is_in(list(meters)) & among)
                .sort("time_utc", descending=True)
                .filter(newest)
                .collect()
            )
            self.latest.take(
                Reading(
                    meter_id=row["meter_id"],
                    time_us=_us(row["time_utc"]),
                    received_us=_us(row["received_utc"]),
                    **{name: row[name] for name in columns},
                )
                for row in found.iter_rows(named=True)
            )


def _state(view: SpoolView | None) -> dict[str, Any]:
    state = json.loads(view.state().get("daemon", "{}")) if view is not None else {}
    assert isinstance(state, dict)
    return state


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)
