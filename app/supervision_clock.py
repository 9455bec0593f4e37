"""Supervision of clocks (T04): steps of the machine's clock, and times that have several values."""

from __future__ import annotations

import polars as pl

from app.clock_steps import STEP
from app.published import exactly
from app.supervision_rows import Inspection, Rows, told
from indicators.intensity import Bounded
from indicators.supervision import at_most

SET_BACK_S = 900.0
"""A clock that is set back by more writes a whole interval twice."""


def _step_rows(one: Inspection) -> Rows:
    """T04: steps of the machine's clock; one that was set far back accuses, others are shown."""
    rows: Rows = []
    for step in told(one.found(STEP)):
        back_s = -step["evidence"]["step_s"]
        figure = exactly(max(back_s, 0.0))
        rows.append(
            one.row(
                "T04",
                one.site.id,
                step["start_utc"].isoformat(),
                "exceeds" if back_s > SET_BACK_S else "insufficient data",
                figure,
                limit=SET_BACK_S,
                unit="s",
                reason="" if back_s > SET_BACK_S else "a small step, or one ahead",
                evidence=step,
            )
        )
    return rows


def clock_rows(one: Inspection) -> Rows:
    """T04: the clock was set back, or a meter has several values for one time."""
    found = one.found("reading.conflict")
    rows = _step_rows(one)
    for meter_id in found["subject"].unique(maintain_order=True):
        mine = found.filter(pl.col("subject") == meter_id)
        figure = Bounded(None, 0.0, float(len(mine)))
        rows.append(
            one.row(
                "T04",
                meter_id,
                "",
                at_most(figure, 0.0),
                figure,
                limit=0.0,
                unit="1",
                reason="a clock set back, or a file imported again with other values: the data do "
                "not tell which",
                evidence={"findings": told(mine)},
            )
        )
    if not rows:
        nothing = exactly(0.0)
        rows.append(one.row("T04", one.site.id, "", "complies", nothing, limit=0.0, unit="1"))
    return rows
