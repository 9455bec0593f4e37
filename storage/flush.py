"""Spool to lake, exactly once: a crash at any point loses nothing and doubles nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from config.errors import StorageError
from config.tables import READINGS
from storage.batch import Batch
from storage.frames import FrameRefused
from storage.lake import Lake
from storage.spool import Spool


@dataclass(frozen=True)
class Flushed:
    """What a flush did. ``rows`` and ``batches`` were accepted by the lake; ``rejected`` rows
    were refused for their content and are kept in the spool's table ``rejected``."""

    rows: int
    batches: int
    rejected: int = 0


def flush(spool: Spool, lake: Lake, plant_id: str, limit: int) -> Flushed:
    """Move what the spool holds now to the lake, in batches of ``limit`` rows at the most.

    Raises StorageError when the lake or the spool cannot be written; the batch is then kept.
    """
    rows = batches = rejected = 0
    end = spool.last_number()  # readings that come in meanwhile are left for the next flush
    while (batch := spool.take_batch(limit)) is not None:
        if _goes_back(batch, lake.transaction_version(READINGS, batch.app_id)):
            spool.renew()
            continue
        try:
            lake.append(READINGS, _frame(batch, lake, plant_id), app=(batch.app_id, batch.version))
        except FrameRefused as refusal:
            batch.reject(str(refusal))
            rejected += batch.rows
        except StorageError:
            batch.keep()
            raise
        else:
            batch.accept()
            rows, batches = rows + batch.rows, batches + 1
        if batch.version >= end:
            break
    return Flushed(rows, batches, rejected)


def _goes_back(batch: Batch, seen: int | None) -> bool:
    """Whether the spool is an earlier one than that of which the lake has seen batch ``seen``.

    Two cases. The lake has seen 10, the batch 1 to 10 is taken again: a flush ended between lake
    and spool. The lake has seen 10 and the batch is 1 to 15: numbers 1 to 10 were given twice.
    """
    if seen is None or seen <= batch.after:
        return False
    return not batch.again or seen != batch.version


def _frame(batch: Batch, lake: Lake, plant_id: str) -> pl.DataFrame:
    """The batch's rows; where it is unsure, without those that the lake has."""
    frame = batch.frame(plant_id)
    if not batch.unsure or frame.is_empty():
        return frame
    first, last = frame.select(
        pl.col("time_utc").min().alias("first"), pl.col("time_utc").max().alias("last")
    ).row(0)
    there = lake.scan(
        READINGS, plant_id, from_utc=first, to_utc=last + timedelta(microseconds=1)
    ).collect()
    return frame.join(there, on=READINGS.names, how="anti", nulls_equal=True)
