"""Sums and quotients that are the same to the last bit, however an engine holds the rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl


def total(column: str | pl.Expr) -> pl.Expr:
    """Sum of a group's values, smallest first.

    Engines add in parallel, in no fixed order, and Polars drops a sort before a plain sum.
    """
    values = pl.col(column) if isinstance(column, str) else column
    return values.implode().list.sort().list.sum()


def total_or_null(name: str) -> pl.Expr:
    """`total`; null where any part is null. A missing part is never zero."""
    return pl.when(pl.col(name).null_count() == 0).then(total(name))


def quotient(dividend: pl.Expr, divisor: pl.Expr) -> pl.Expr:
    """``dividend / divisor``, correctly rounded.

    Polars 2.1 multiplies by the reciprocal where a column holds one value for all rows, which it
    does or does not depending on how the rows came about: the last bit would depend on it.
    """
    return pl.map_batches(
        [dividend.cast(pl.Float64), divisor.cast(pl.Float64)],
        _divided,
        return_dtype=pl.Float64,
        is_elementwise=True,
    )


def _divided(both: Sequence[pl.Series]) -> pl.Series:
    dividend, divisor = both
    with np.errstate(divide="ignore", invalid="ignore"):
        values = dividend.to_numpy() / divisor.to_numpy()
    unknown = dividend.is_null() | divisor.is_null()
    found = pl.Series(dividend.name, values)
    return found.set(unknown, None) if unknown.any() else found
