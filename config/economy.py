"""What the plant made in money: typed, from its annual or monthly statistics."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from config.base import Model

PERIOD = r"^\d{4}(-(0[1-9]|1[0-2]))?$"


class EconomyRow(Model):
    """Output value and value added of one month or year."""

    period: str = Field(pattern=PERIOD, description="Month, `2026-10`, or year, `2026`.")
    output_value_cny: float | None = Field(
        None, ge=0, description="Gross industrial output value (工业总产值), CNY."
    )
    added_value_cny: float | None = Field(
        None, description="Industrial value added (工业增加值), CNY; it can be below zero."
    )
    source: str = Field(description="Where the numbers are from, such as the form B204-1.")


def money_of(rows: Iterable[EconomyRow], field: str, period: str) -> float | None:
    """A field of the row of a period [CNY]; a year without one is the sum of its twelve months.

    None where nothing is stated: a value that is not known is never zero.

    >>> rows = [EconomyRow(period="2026-10", output_value_cny=5.0, source="B204-1")]
    >>> money_of(rows, "output_value_cny", "2026-10"), money_of(rows, "output_value_cny", "2026")
    (5.0, None)
    """
    stated = {row.period: getattr(row, field) for row in rows}
    if (own := stated.get(period)) is not None or len(period) > 4:
        return None if own is None else float(own)
    months = [stated.get(f"{period}-{month:02}") for month in range(1, 13)]
    known = [month for month in months if month is not None]
    return sum(known) if len(known) == len(months) else None
