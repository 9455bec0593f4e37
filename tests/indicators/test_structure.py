"""Shares of what is known, with what is not known said: the kiln burns 140 t and takes 56 MWh."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from config.economy import EconomyRow
from config.example import used, works
from indicators.coal import add_coal
from indicators.structure import by_energy, by_process, per_value

LIBRARY = works().library
COAL_TCE, POWER_TCE = 140 * 0.7143, 56_000 * 0.1229 / 1000


def rows(node: str = "kiln", **changes: Any) -> pl.DataFrame:
    """The kiln's rows as those of ``node``; ``changes`` are of its electricity."""
    kiln = used().filter(pl.col("node_id") == "kiln")
    power = pl.col("energy_code") == "electricity"
    changed = kiln.with_columns(
        pl.when(power).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in changes.items()
    )
    return add_coal(changed.with_columns(node_id=pl.lit(node)), LIBRARY)


def parts(frame: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["part"]: row for row in frame.iter_rows(named=True)}


def test_an_unknown_energy_is_said_and_shares_are_of_the_rest() -> None:
    refused = rows(amount=None, low=50_000.0, high=None, status="refused", coverage_ratio=0.5)
    found = parts(by_energy(refused, LIBRARY, "2026-10", "calorific"))
    power = found["electricity"]
    assert (power["value"], power["share_pct"], power["high"]) == (None, None, None)
    assert power["low"] == pytest.approx(50 * 0.1229)
    assert power["reason"] == "electricity is refused, with a coverage of 50.0%"
    assert found["raw_coal"]["share_pct"] == 100
    total = found["total"]
    assert (total["value"], total["status"], total["coverage_ratio"]) == (None, "refused", 0.5)
    assert total["known_total_tce"] == pytest.approx(COAL_TCE)
    assert "what is known sums to 100.002 tce" in total["reason"]
    assert total["low"] == pytest.approx(COAL_TCE + 50 * 0.1229)


def test_an_energy_without_a_coefficient_of_the_basis_is_unknown() -> None:
    bare = rows().with_columns(
        kgce_equivalent=pl.when(pl.col("energy_code") != "electricity").then("kgce_equivalent")
    )
    assert by_energy(bare, LIBRARY, "2026-10", "calorific")["value"].null_count() == 0
    found = parts(by_energy(bare, LIBRARY, "2026-10", "equivalent"))
    assert found["electricity"]["reason"] == (
        "electricity has no coefficient on the equivalent basis"
    )
    assert found["total"]["value"] is None


def test_what_is_sent_out_counts_below_zero() -> None:
    sold = rows(amount=-56_000.0, low=-56_000.0, high=-56_000.0)
    found = parts(by_energy(sold, LIBRARY, "2026-10", "calorific"))
    assert found["total"]["value"] == pytest.approx(COAL_TCE - POWER_TCE)
    assert found["electricity"]["share_pct"] == pytest.approx(
        -100 * POWER_TCE / (COAL_TCE - POWER_TCE)
    )


def test_what_no_node_is_known_to_use() -> None:
    whole = rows("works", low=55_000.0, high=58_000.0)
    both = pl.concat([whole, rows("kiln", amount=50_000.0, low=49_000.0, high=52_000.0)])
    found = parts(by_process(both, "works", ["kiln", "mill"], LIBRARY, "2026-10", "calorific"))
    rest = found["unallocated"]
    assert rest["value"] == pytest.approx(6 * 0.1229)
    # The least of the whole less the most of the kiln, and the other way round.
    assert (rest["low"], rest["high"]) == pytest.approx((3 * 0.1229, 9 * 0.1229))
    assert found["mill"]["value"] is None
    assert "a part of what is unallocated" in found["mill"]["reason"]
    more = pl.concat([rows("works"), rows("kiln", amount=60_000.0)])
    rest = parts(by_process(more, "works", ["kiln"], LIBRARY, "2026-10", "calorific"))[
        "unallocated"
    ]
    assert rest["value"] == pytest.approx(-4 * 0.1229)
    assert "use more than comes in" in rest["reason"]
    unknown = pl.concat([rows("works"), rows("kiln", amount=None)])
    found = parts(by_process(unknown, "works", ["kiln"], LIBRARY, "2026-10", "calorific"))
    assert found["kiln"]["value"] is found["unallocated"]["value"] is None


def test_value_added_below_zero_has_no_intensity() -> None:
    economy = [
        EconomyRow(period="2026-10", output_value_cny=2e6, added_value_cny=-5.0, source="B204-1")
    ]
    output, added = per_value(rows(), economy, LIBRARY, "2026-10", "calorific").rows(named=True)
    assert output["value"] == pytest.approx((COAL_TCE + POWER_TCE) / 200)
    assert (added["value"], added["reason"]) == (None, "added_value_cny of 2026-10 is -5 CNY")
