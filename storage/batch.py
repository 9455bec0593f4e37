"""A batch on its way from the spool to the lake. It ends accepted, rejected or kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import polars as pl

from config.tables import READINGS
from storage.codec import Columns, Ints


class BatchSource(Protocol):
    """What a batch asks of the spool that it was taken from."""

    def columns_between(self, after: int, through: int) -> list[Columns]:
        """The readings with ``after`` < number <= ``through``, in the order in which they came."""

    def end_batch(self, version: int, rejected_because: str | None) -> None:
        """Move the watermark past ``version``; move the rows to the rejected ones if so told."""


class Batch:
    """Readings in the order in which they came, under a name that makes writing them idempotent.

    ``app_id`` names the spool file and ``version`` is the number of the last reading: the lake
    keeps both with what it writes, so that it knows the batch again. ``rows`` counts readings.
    ``unsure``: some of them may be in the lake under another name (the spool was salvaged).
    ``after`` is the number up to which the lake had all when it was taken, ``again`` whether it was
    taken before, by a flush that did not end.

    Ending a batch that has ended changes nothing.
    """

    def __init__(
        self,
        spool: BatchSource,
        app_id: str,
        after: int,
        version: int,
        *,
        unsure: bool,
        again: bool,
    ) -> None:
        self._spool = spool
        self.after = after
        self.app_id = app_id
        self.version = version
        self.rows = version - after
        self.unsure = unsure
        self.again = again

    def frame(self, plant_id: str) -> pl.DataFrame:
        """The readings in the schema of the table ``readings``. Raises StorageError."""
        groups = self._spool.columns_between(self.after, self.version)
        if not groups:
            return pl.DataFrame(schema=READINGS.polars_schema())
        schema = READINGS.polars_schema()
        names, places = _shared_names(groups)

        def text(column: str) -> pl.Series:
            parts = zip(places, groups, strict=True)
            return names.gather(np.concatenate([new[getattr(g, column)] for new, g in parts]))

        def joined(column: str) -> pl.Series:
            return pl.Series(np.concatenate([getattr(g, column) for g in groups]))

        return pl.DataFrame(
            {
                "plant_id": pl.repeat(plant_id, sum(g.size for g in groups), eager=True),
                "meter_id": text("meter"),
                "quantity": text("quantity"),
                "time_utc": joined("time_us").cast(schema["time_utc"]),
                "value": joined("value").fill_nan(None),
                "status": text("status"),
                "source": text("source"),
                "received_utc": joined("received_us").cast(schema["received_utc"]),
                "sequence": joined("sequence"),
                "scheduled": joined("scheduled"),
            }
        ).select(*READINGS.names[:-1], pl.when("scheduled").then("sequence").alias("sequence"))

    def accept(self) -> None:
        """The lake has the batch on disk: it will not be taken again. Raises StorageError."""
        self._spool.end_batch(self.version, None)

    def reject(self, reason: str) -> None:
        """The lake refuses the content: the rows are kept apart with ``reason``, and counted.

        Raises StorageError.
        """
        self._spool.end_batch(self.version, reason)

    def keep(self) -> None:
        """The lake could not be written: the same batch is taken again the next time."""


def _shared_names(groups: Sequence[Columns]) -> tuple[pl.Series, list[Ints]]:
    """The texts of all groups, and where in them each group's own texts are."""
    number: dict[str, int] = {}
    places = []
    for group in groups:
        place = [number.get(name) for name in group.names]
        if None in place:
            place = [number.setdefault(name, len(number)) for name in group.names]
        places.append(np.array(place, np.int64))
    return pl.Series(list(number), dtype=pl.String), places
