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
from pipeline import balance_findings, standstill
from pipeline.balance import balances
from pipeline.rules import MeterRule
from pipeline.standstill import standstills
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
    by_grain = {one.grain: one.periods for one in todo}
    months, years = by_grain["month"], by_grain["year"]
    days = days_inside(site, span, months)
    made = [BALANCES.polars_schema().to_frame()]
    found = [FINDINGS.polars_schema().to_frame()]
    if len(months):
        amounts = amounts_of(site, lake, pl.concat([days, months]), rules)
        made.append(balances(amounts, site))
        found.append(standstills(amounts, site))
    if len(years):
        made.append(balances(amounts_of(site, lake, years, rules), site))
    rows = pl.concat(made)
    found.append(balance_findings.balance_findings(rows, site))
    labels = pl.concat([days, months, years])
    scope = pl.lit(True) if every else _among(labels)
    first = None if every or labels.is_empty() else reach(labels)[0]
    done, _ = replace_rows(lake, BALANCES, site.id, rows, scope, from_utc=first)
    mine = pl.col("code").is_in([*balance_findings.MESSAGES, *standstill.MESSAGES])
    if not every:
        mine &= pl.any_horizontal(
            pl.lit(False),
            *(
                (pl.col("start_utc") >= start) & (pl.col("start_utc") < end)
                for start, end in months.select("start_utc", "end_utc").iter_rows()
            ),
        )
    replace_rows(lake, FINDINGS, site.id, pl.concat(found), mine, from_utc=first)
    return done.changed


def _among(periods: pl.DataFrame) -> pl.Expr:
    return pl.any_horizontal(
        pl.lit(False),
        *(
            (pl.col("grain") == grain) & pl.col("period").is_in(part["period"].to_list())
            for (grain,), part in periods.group_by("grain")
        ),
    )
