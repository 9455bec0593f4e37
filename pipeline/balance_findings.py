"""Nodes whose main meters and branches do not agree, as rows of ``findings``: one a month."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import polars as pl

from config.months import statistical_month
from config.site import Site
from config.tables import FINDINGS
from pipeline.balance import LINE, OFF, balance_parts

# code -> (severity, message)
MESSAGES: dict[str, tuple[str, str]] = {
    "balance.unbalanced": (
        "warning",
        "more comes in than the meters below and accuracy and losses explain: a meter reads too "
        "little, or something takes energy without a meter; no figure was changed",
    ),
    "balance.main_below_branches": (
        "warning",
        "the meters below say more than what comes in, beyond what accuracy explains: a meter is "
        "wrong or counts at the wrong node; no figure was changed",
    ),
    "balance.suspect_ratio": (
        "warning",
        "this meter times a constant factor would close the balance, and no other would: look at "
        "its CT and PT ratio and its phases; no figure was changed",
    ),
    "balance.suspect_dead": (
        "warning",
        "this meter stood still while the balance went off by about what it usually says: look "
        "whether it is dead; no figure was changed",
    ),
}
_FIGURES = ("main", "inside", "branches", "aside", "residual", "tolerance", "losses")


def balance_findings(balances: pl.DataFrame, site: Site) -> pl.DataFrame:
    """Rows of FINDINGS from the rows of `balances` of the grain `day`.

    One for a node, energy, statistical month and code (subject ``node/energy``), and one for the
    meter that is suspected, from the first to the last day that is off. ``evidence``: the figures
    of each such day, and the meters with their side and permitted error.
    """
    last_day = site.plant.plant.month_end_day
    parts = balance_parts(site)
    groups: dict[tuple[str, str, tuple[int, int], str], list[dict[str, Any]]] = {}
    off = balances.filter(pl.col("grain") == "day", pl.col("status").is_in(OFF))
    for row in off.sort(*LINE, "start_utc").iter_rows(named=True):
        month = statistical_month(date.fromisoformat(row["period"]), last_day)
        key = (row["node_id"], row["energy_code"], month)
        groups.setdefault((*key, f"balance.{row['status']}"), []).append(row)
        if row["suspect"] is not None:
            code = f"balance.suspect_{row['suspect_cause']}"
            groups.setdefault((*key, code), []).append(row)
    rows = [_row(site, code, days, parts) for (*_, code), days in groups.items()]
    key_names = list(FINDINGS.key)
    return (
        pl.DataFrame(rows, schema=FINDINGS.polars_schema(), orient="row")
        .unique(key_names, keep="first", maintain_order=True)
        .sort(key_names)
    )


def _row(site: Site, code: str, days: list[dict[str, Any]], parts: pl.DataFrame) -> tuple[Any, ...]:
    first = days[0]
    severity, message = MESSAGES[code]
    by_suspect = code.startswith("balance.suspect")
    subject = first["suspect"] if by_suspect else f"{first['node_id']}/{first['energy_code']}"
    evidence = {
        "node": first["node_id"],
        "energy": first["energy_code"],
        "unit": first["unit"],
        "suspect": first["suspect"],
        "suspect_factor": first["suspect_factor"],
        "days": [{"day": d["period"], **{name: d[name] for name in _FIGURES}} for d in days],
        "meters": list(_meters(parts, first["node_id"], first["energy_code"])),
    }
    text = json.dumps(evidence, ensure_ascii=False)
    return (
        site.id, code, severity, subject, first["start_utc"], days[-1]["end_utc"], message, text
    )  # fmt: skip


def _meters(parts: pl.DataFrame, node_id: str, energy: str) -> Iterator[dict[str, Any]]:
    here = parts.filter(pl.col("node_id") == node_id, pl.col("energy_code") == energy)
    return here.select("meter_id", "side", "accuracy_pct").sort("meter_id").iter_rows(named=True)
