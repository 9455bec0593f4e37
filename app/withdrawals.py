"""Entries taken back: a new row says that the span no longer counts; the old ones stay."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import polars as pl

from app import jobs
from app.entries import Row, entry_periods, entry_what, said, span_text
from app.imports import TABLE_OF, Entered, user
from app.options import Kind
from collectors.files.spans import WAYS, Refusal, span_of
from config.errors import InputError
from config.site import Site
from config.tables import Table
from pipeline.entries import entries_in_force
from storage.lake import Lake

NOTHING = "nothing was withdrawn"
WITHDRAWN = "yes"
_SHOWN = 5


def withdraw(
    site: Site,
    kind: Kind,
    subject: str,
    times: Mapping[str, str | None],
    *,
    reason: str,
    entered_by: str | None = None,
    now: datetime | None = None,
) -> Entered:
    """Take back what is entered of ``subject`` (a product or meter) for a span.

    ``times``: start and end, date, month, date and shift, as they are typed for an entry. Raises
    InputError where nothing is entered for just that span, or no ``reason`` is given.
    """
    now = now or datetime.now(UTC)
    if not reason.strip():
        raise InputError("no reason is given", data=NOTHING, todo="state why it is withdrawn")
    try:
        start, end, _ = span_of({n: t for n, t in times.items() if t}, site, now)
    except Refusal as refusal:
        raise InputError(str(refusal), allowed=WAYS, data=NOTHING) from refusal
    table, lake = TABLE_OF[kind], jobs.open_lake(site)
    with lake.lock(jobs.LOCK_TIMEOUT_S):
        row = _last_of(site, lake, table, subject, (start, end))
        if row["withdrawn"]:
            return Entered((f"known already: {said(site, row)}; it changes nothing",), False)
        new = row | {
            "source": "typed",
            "entered_by": entered_by or user(),
            # Also where this machine's clock was set back, what is entered last counts.
            "entered_utc": max(now, row["entered_utc"] + timedelta(microseconds=1)),
            "reason": reason,
            "withdrawn": WITHDRAWN,
        }
        lake.append(table, pl.DataFrame([new], schema=dict(table.polars_schema()), orient="row"))
    return Entered(
        (
            f"withdrawn: {entry_what(site, table, row)}; {said(site, row)}",
            f"by {new['entered_by']}, because: {reason}",
            f"it no longer enters the figures of {entry_periods(site, row)}",
        ),
        True,
    )


def _last_of(
    site: Site, lake: Lake, table: Table, subject: str, span: tuple[datetime, datetime]
) -> Row:
    """The row entered last for the span. Raises InputError where there is none."""
    key = table.key[1]
    rows = lake.scan(table, site.id).filter(pl.col(key) == subject).collect()
    same = (pl.col("start_utc") == span[0]) & (pl.col("end_utc") == span[1])
    entered = rows.filter(same).sort("entered_utc")
    if len(entered):
        return entered.row(-1, named=True)
    amount = "qualified_quantity" if key == "product_id" else "consumed"
    there = entries_in_force(rows.lazy(), key, amount).collect().sort("start_utc")
    near = (there["start_utc"] - span[0]).abs().arg_sort()[:_SHOWN].sort()
    raise InputError(
        f"nothing is entered of {subject} for {span_text(site, *span)}",
        allowed="just the span of an entry; there are: "
        + (
            ", ".join(
                span_text(site, *one)
                for one in there[near].select("start_utc", "end_utc").iter_rows()
            )
            or f"none of {subject}"
        )
        + (f", and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""),
        data=NOTHING,
    )
