"""Mains against their branches, and meters that stand still: of the months concerned."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from app.calendar import Span, reach
from app.increments import replace_rows
from app.publishing import Targets, amounts_of, days_inside
from config.balance_tables import BALANCES
from config.site import Site
from config.tables import FINDINGS
from pipeline import balance_findings
from pipeline.balance import balance_parts, balances
from pipeline.rules import MeterRule
from storage.lake import Lake


def balance(
    site: Site,
    lake: Lake,
    span: Span | None,
    todo: Sequence[Targets],
    rules: Sequence[MeterRule],
    *,
    every: bool,
) -> int:
    """Bring ``balances`` and their findings up to date; the number of rows that differ.

    Whom a month's residual points at is told from all its days, so whole months are looked at; a
    year's row names nobody.
    """
    if balance_parts(site).is_empty() and lake.version(BALANCES) is None:
        return 0
    by_grain = {one.grain: one.periods for one in todo}
    months, years = by_grain["month"], by_grain["year"]
    days = days_inside(site, span, months)
    made = [BALANCES.polars_schema().to_frame()]
    for periods in (pl.concat([days, months]), years):
        if len(periods):
            made.append(balances(amounts_of(site, lake, periods, rules), site))
    rows = pl.concat(made)
    labels = pl.concat([days, months, years])
    scope = pl.lit(True) if every else _among(labels)
    first = None if every or labels.is_empty() else reach(labels)[0]
    done, _ = replace_rows(lake, BALANCES, site.id, rows, scope, from_utc=first)
    found = balance_findings.balance_findings(rows, site)
    mine = pl.col("code").is_in(list(balance_findings.MESSAGES))
    if not every:
        mine &= pl.any_horizontal(
            pl.lit(False),
            *(
                (pl.col("start_utc") >= start) & (pl.col("start_utc") < end)
                for start, end in months.select("start_utc", "end_utc").iter_rows()
            ),
        )
    replace_rows(lake, FINDINGS, site.id, found, mine, from_utc=first)
    return done.changed


def _among(periods: pl.DataFrame) -> pl.Expr:
    return pl.any_horizontal(
        pl.lit(False),
        *(
            (pl.col("grain") == grain) & pl.col("period").is_in(part["period"].to_list())
            for (grain,), part in periods.group_by("grain")
        ),
    )
