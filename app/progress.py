"""How far the figures are: what a refresh left for the next one to go on from.

It only saves work. Where the file is missing, damaged, or of another configuration, everything is
computed from the beginning, with the same result.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from pathlib import Path

import polars as pl

from pipeline.checkpoints import Checkpoint
from pipeline.measure import Known
from storage.durable import sync_folder

_KEY = "kgce"
_SCHEMA = {
    "meter_id": pl.String,
    "at_us": pl.Int64,
    "from_us": pl.Int64,
    "lay_us": pl.Int64,
    "state": pl.String,
}
_columns = attrgetter(*_SCHEMA)


@dataclass
class Progress:
    """``origin``: configuration, standards data and program that it holds for. ``versions``: of
    the tables that figures are made from. ``span``: first and last time with data.

    ``longest_gap_us``: no gap reaches further back from its end.
    """

    origin: str
    versions: dict[str, int] = field(default_factory=dict)
    span: tuple[datetime, datetime] | None = None
    longest_gap_us: int = 0
    known: Known = field(default_factory=Known)
    checkpoints: dict[str, list[Checkpoint]] = field(default_factory=dict)

    def save(self, file: Path) -> None:
        """Write it whole or not at all; where the disk is full, not at all."""
        rows = [_columns(point) for points in self.checkpoints.values() for point in points]
        head = {
            "origin": self.origin,
            "versions": self.versions,
            "span": self.span and [time.isoformat() for time in self.span],
            "longest_gap_us": self.longest_gap_us,
            "backwards": sorted(self.known.backwards),
            "quanta": dict(sorted(self.known.quanta.items())),
        }
        part = file.with_suffix(".part")
        with suppress(OSError, pl.exceptions.PolarsError):
            pl.DataFrame(rows, schema=_SCHEMA, orient="row").write_parquet(
                part, metadata={_KEY: json.dumps(head)}
            )
            part.replace(file)
            _under_way(file).unlink(missing_ok=True)


def begin(file: Path) -> None:
    """Note on disk, before tables are written, that a refresh is under way; `save` ends it.

    Which figures are to be computed is told by the rows that differ, and rows that a refresh had
    written before it was killed would not differ any more. Raises OSError.
    """
    _under_way(file).touch()
    sync_folder(file.parent)


def was_cut_short(file: Path) -> bool:
    """Whether a refresh wrote tables and did not come to its end: the next one does all anew."""
    return _under_way(file).exists()


def _under_way(file: Path) -> Path:
    return file.with_suffix(".unfinished")


def read_progress(file: Path, origin: str) -> Progress | None:
    """What the last refresh left; None where it is missing, damaged or of another origin."""
    with suppress(OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        head = json.loads(pl.read_parquet_metadata(file)[_KEY])
        if head["origin"] != origin:
            return None
        checkpoints: dict[str, list[Checkpoint]] = {}
        for row in pl.read_parquet(file).iter_rows():
            point = Checkpoint(*row)
            checkpoints.setdefault(point.meter_id, []).append(point)
        span = head["span"] and [datetime.fromisoformat(text) for text in head["span"]]
        return Progress(
            origin=origin,
            versions=head["versions"],
            span=(span[0], span[1]) if span else None,
            longest_gap_us=head["longest_gap_us"],
            known=Known(frozenset(head["backwards"]), head["quanta"]),
            checkpoints=checkpoints,
        )
    return None
