"""Sums that are the same to the last bit whatever the order in which an engine takes the rows."""

from __future__ import annotations

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
