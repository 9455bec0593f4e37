"""What people entered for spans of time: production and statements."""

from __future__ import annotations

import polars as pl


def entries_in_force(rows: pl.LazyFrame, subject: str, amount: str) -> pl.LazyFrame:
    """Rows that count: of each span of a ``subject`` the one entered last, if not withdrawn.

    ``rows``: of ``outputs`` or ``statements``; ``amount`` decides between two of one moment.
    """
    return (
        rows.sort("entered_utc", amount)
        .unique((subject, "start_utc", "end_utc"), keep="last", maintain_order=True)
        .filter(pl.col("withdrawn").is_null())
    )
