"""A batch on its way from the spool to the lake. It ends accepted, rejected or kept."""

from __future__ import annotations

from typing import Protocol

import polars as pl

from config.tables import READINGS

Row = tuple[str, str, int, float | None, str, str, int, int | None]


class BatchSource(Protocol):
    """What a batch asks of the spool that it was taken from."""

    def rows_between(self, after: int, through: int) -> list[Row]:
        """The rows with ``after`` < seq <= ``through``, in the order in which they came."""

    def end_batch(self, version: int, rejected_because: str | None) -> None:
        """Move the watermark past ``version``; move the rows to the rejected ones if so told."""


class Batch:
    """Readings in the order in which they came, under a name that makes writing them idempotent.

    ``app_id`` names the spool file and ``version`` is the number of the last reading: the lake
    keeps both with what it writes, so that it knows the batch again. ``rows`` counts readings.
    ``unsure``: some of them may be in the lake under another name (the spool was salvaged).

    Ending a batch that has ended changes nothing.
    """

    def __init__(
        self, spool: BatchSource, app_id: str, after: int, version: int, rows: int, unsure: bool
    ) -> None:
        self._spool = spool
        self._after = after
        self.app_id = app_id
        self.version = version
        self.rows = rows
        self.unsure = unsure

    def frame(self, plant_id: str) -> pl.DataFrame:
        """The readings in the schema of the table ``readings``. Raises StorageError."""
        rows = self._spool.rows_between(self._after, self.version)
        meter, quantity, time_us, value, status, source, received_us, sequence = (
            zip(*rows, strict=True) if rows else ((),) * 8
        )
        schema = READINGS.polars_schema()
        return pl.DataFrame(
            {
                "plant_id": pl.repeat(plant_id, len(rows), dtype=pl.String, eager=True),
                "meter_id": pl.Series(meter, dtype=pl.String),
                "quantity": pl.Series(quantity, dtype=pl.String),
                "time_utc": pl.Series(time_us, dtype=pl.Int64).cast(schema["time_utc"]),
                "value": pl.Series(value, dtype=pl.Float64),
                "status": pl.Series(status, dtype=pl.String),
                "source": pl.Series(source, dtype=pl.String),
                "received_utc": pl.Series(received_us, dtype=pl.Int64).cast(schema["received_utc"]),
                "sequence": pl.Series(sequence, dtype=pl.Int64),
            }
        )

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
