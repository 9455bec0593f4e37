"""Shared energy by output, drivers and fixed shares: by hand, conserved, dated, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.load import load
from config.site import Site
from config.tables import ALLOCATIONS, CONSUMPTION
from pipeline.allocation import allocate, portions
from tests.pipeline.by_meter import Figures, exact, rows, span
from tests.plants import METERS, SECTIONS, write_plant

NODES = {
    **SECTIONS["nodes"],
    "boiler": {"name": "Boiler house", "level": "process", "parent": "works"},
}
DRIVERS = [
    {"meter_id": f"s-{node}", "name": "Steam", "node": node, "energy": "steam_low_pressure",
     "kind": "counter", "unit": "t", "connection": "historian"}
    for node in ("kiln", "mill")
]  # fmt: skip
COAL = {"meter_id": "c-boiler", "name": "Coal", "node": "boiler", "energy": "raw_coal",
        "kind": "amount", "unit": "t"}  # fmt: skip
POWER = {**DRIVERS[0], "meter_id": "e-boiler", "node": "boiler", "energy": "electricity",
         "unit": "kWh"}  # fmt: skip
BY_OUTPUT = {"node": "boiler", "from": "2026-01-01", "output": ["clinker", "cement"]}
BY_DRIVER = {"node": "boiler", "from": "2026-01-01",
             "drivers": {"clinker": ["s-kiln"], "cement": ["s-mill"]}}  # fmt: skip
BY_SHARES = {"node": "boiler", "from": "2026-01-01", "shares": {"clinker": 0.7, "cement": 0.3}}


def plant(folder: Path, *allocations: dict[str, Any], **factors: float) -> Site:
    products: dict[str, Any] = {
        name: {"name": name, "unit": "t", "boundary": [node], "standard_factor": factors[name]}
        if name in factors
        else {"name": name, "unit": "t", "boundary": [node]}
        for name, node in (("clinker", "kiln"), ("cement", "mill"))
    }
    meters = [*METERS, *DRIVERS, COAL, POWER]
    return load(
        write_plant(
            folder, nodes=NODES, meters=meters, products=products, allocations=list(allocations)
        )
    )


def used(
    amount: Figures, grain: str = "month", period: str = "2026-10", status: str = "complete",
    energy: str = "raw_coal",
) -> pl.DataFrame:  # fmt: skip
    start, end = span(grain, period)
    value, low, high, coverage = amount
    row = dict.fromkeys(CONSUMPTION.names) | {
        "plant_id": "works", "node_id": "boiler", "energy_code": energy, "grain": grain,
        "period": period, "start_utc": start, "end_utc": end, "amount": value, "unit": "kg",
        "low": low, "high": high, "coverage_ratio": coverage, "status": status,
        "factors": "f;", "confidence": "seen",
    }  # fmt: skip
    return pl.DataFrame([row], schema=CONSUMPTION.polars_schema())


def made(
    by_product: Mapping[str, Figures], grain: str = "month", period: str = "2026-10",
    status: str = "complete",
) -> pl.DataFrame:  # fmt: skip
    start, end = span(grain, period)
    data = [
        {"plant_id": "works", "product_id": product, "grain": grain, "period": period,
         "start_utc": start, "end_utc": end, "quantity": quantity, "unit": "t", "low": low,
         "high": high, "coverage_ratio": coverage, "status": status}
        for product, (quantity, low, high, coverage) in by_product.items()
    ]  # fmt: skip
    texts = ("plant_id", "product_id", "grain", "period", "unit", "status")
    numbers = ("quantity", "low", "high", "coverage_ratio")
    times = dict.fromkeys(("start_utc", "end_utc"), pl.Datetime("us", "UTC"))
    schema = dict.fromkeys(texts, pl.String()) | times | dict.fromkeys(numbers, pl.Float64())
    return pl.DataFrame(data, schema=schema)


NO_OUTPUT = made({})
NO_METERS = rows("month", "2026-10", {})


def parts(found: pl.DataFrame, *names: str) -> dict[str, tuple[Any, ...]]:
    assert found.schema == ALLOCATIONS.polars_schema()
    return {row["product_id"]: tuple(row[n] for n in names) for row in found.iter_rows(named=True)}


def test_by_standard_output(tmp_path: Path) -> None:
    """1,000 t of clinker at 1.5, 500 t of cement: 1500 to 500."""
    site = plant(tmp_path, BY_OUTPUT, clinker=1.5)
    outputs = made({"clinker": exact(1000.0), "cement": exact(500.0)})
    found = allocate(used(exact(10_000.0)), NO_METERS, outputs, site)
    assert parts(found, "share_ratio", "amount", "unit", "rule", "status", "reason") == {
        "clinker": (0.75, 7500, "kg", "output", "complete", ""),
        "cement": (0.25, 2500, "kg", "output", "complete", ""),
    }
    assert set(found["factors"]) == {"f;"}


def test_by_metered_drivers(tmp_path: Path) -> None:
    site = plant(tmp_path, BY_DRIVER)
    steam = rows("month", "2026-10", {"s-kiln": exact(40e3), "s-mill": exact(10e3)}, "kg")
    found = allocate(used(exact(10_000.0)), steam, NO_OUTPUT, site)
    assert parts(found, "share_ratio", "amount", "rule") == {
        "clinker": (0.8, 8000, "drivers"), "cement": (pytest.approx(0.2), 2000, "drivers"),
    }  # fmt: skip


def test_by_fixed_shares_of_some_energies(tmp_path: Path) -> None:
    site = plant(tmp_path, {**BY_SHARES, "energies": ["raw_coal"]})
    both = pl.concat([used(exact(-10_000.0)), used(exact(5.0), energy="electricity")])
    found = allocate(both, NO_METERS, NO_OUTPUT, site)
    # energy that the node sends out is shared out with its sign
    assert parts(found, "energy_code", "amount", "low", "high") == {
        "clinker": ("raw_coal", -7000, -7000, -7000),
        "cement": ("raw_coal", pytest.approx(-3000), -3000, -3000),
    }


def test_bounds_come_from_the_amount_and_from_the_drivers(tmp_path: Path) -> None:
    site = plant(tmp_path, BY_DRIVER)
    steam = rows(
        "month", "2026-10",
        {"s-kiln": (40.0, 30.0, 45.0, 0.95), "s-mill": (10.0, 10.0, 15.0, 1.0)},
        "kg",
    )  # fmt: skip
    found = allocate(used((100.0, 90.0, 120.0, 0.92)), steam, NO_OUTPUT, site)
    by_product = parts(found, "amount", "low", "high", "coverage_ratio")
    low, high = 90 * 30 / 45, 120 * 45 / 55  # 30 of 30 + 15; 45 of 45 + 10
    assert by_product["clinker"] == (80, pytest.approx(low), pytest.approx(high), 0.92)
    open_ended = rows(
        "month", "2026-10", {"s-kiln": (40.0, 40.0, None, 1.0), "s-mill": exact(10.0)}, "kg"
    )
    found = allocate(used(exact(100.0)), open_ended, NO_OUTPUT, site)
    # whatever the kiln took, the mill's share is not above 10 of 50, and the kiln's not above 1
    assert parts(found, "low", "high") == {"clinker": (80, 100), "cement": (0, pytest.approx(20))}


REFUSED: dict[str, tuple[Mapping[str, Figures], str]] = {
    "unknown": ({"s-kiln": exact(4.0), "s-mill": exact(None)}, "driver of cement is unknown"),
    "absent": ({"s-kiln": exact(4.0)}, "driver of cement is unknown"),
    "all zero": ({"s-kiln": exact(0.0), "s-mill": exact(0.0)}, "all zero"),
    "negative": ({"s-kiln": exact(4.0), "s-mill": exact(-1.0)}, "cement is negative"),
    "seen too little": (
        {"s-kiln": exact(4.0), "s-mill": (1.0, 1.0, 9.0, 0.5)}, "coverage 0.500 is below",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("drivers", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_shared_out_is_refused(
    drivers: Mapping[str, Figures], reason: str, tmp_path: Path
) -> None:
    metered = rows("month", "2026-10", drivers, "kg")
    found = allocate(used(exact(100.0)), metered, NO_OUTPUT, plant(tmp_path, BY_DRIVER))
    assert found.height == 2
    assert set(found["status"]) == {"refused"}
    assert found["amount"].null_count() == found["share_ratio"].null_count() == 2
    assert all(reason in text for text in found["reason"])


def test_refused_inputs_refuse_and_partial_ones_are_partial(tmp_path: Path) -> None:
    site = plant(tmp_path, BY_OUTPUT)
    outputs = made({"clinker": exact(1000.0), "cement": exact(500.0)})
    unknown = allocate(used((None, 0.0, 50.0, 0.2), status="refused"), NO_METERS, outputs, site)
    assert set(unknown["status"]) == {"refused"}
    assert parts(unknown, "amount", "low", "reason")["clinker"] == (
        None, 0, "consumption of the node is unknown",
    )  # fmt: skip
    partial = allocate(used(exact(9.0), status="partial"), NO_METERS, outputs, site)
    assert set(partial["status"]) == {"partial"}
    refused = made({"clinker": exact(1.0), "cement": exact(1.0)}, status="refused")
    assert set(allocate(used(exact(9.0)), NO_METERS, refused, site)["status"]) == {"refused"}


LATER = {"node": "boiler", "from": "2026-10-11", "shares": {"cement": 1.0}}


def test_the_rule_of_the_first_day_holds(tmp_path: Path) -> None:
    site = plant(tmp_path, LATER, BY_SHARES)
    for period, rule in (
        ("2025-12", {}),
        ("2026-09", {"clinker", "cement"}),
        ("2026-11", {"cement"}),
    ):
        found = allocate(used(exact(100.0), period=period), NO_METERS, NO_OUTPUT, site)
        assert set(found["product_id"]) == set(rule)


def test_a_month_in_which_the_rule_changes_is_shared_out_by_days(tmp_path: Path) -> None:
    """10 days of 100 at 0.7 and 0.3, then 21 days of 200 to cement alone."""
    site = plant(tmp_path, BY_SHARES, LATER)
    month = used(exact(10 * 100.0 + 21 * 200.0))
    every = [
        used(exact(100.0 if day <= 10 else 200.0), "day", f"2026-10-{day:02}")
        for day in range(1, 32)
    ]
    found = allocate(pl.concat([month, *every]), NO_METERS, NO_OUTPUT, site)
    of_month = found.filter(pl.col("grain") == "month")
    by_product = parts(of_month, "amount", "share_ratio", "status", "rule")
    assert by_product["clinker"] == (
        pytest.approx(700), pytest.approx(700 / 5200), "complete", "shares",
    )  # fmt: skip
    assert by_product["cement"][0] == pytest.approx(300 + 4200)
    assert of_month["amount"].sum() == pytest.approx(5200, rel=1e-15)
    # without one of its days nobody can say
    found = allocate(pl.concat([month, *every[:-1]]), NO_METERS, NO_OUTPUT, site)
    refused = found.filter(pl.col("grain") == "month")
    assert set(refused["status"]) == {"refused"}
    assert all("rule changes inside the period" in reason for reason in refused["reason"])
    # a day that is unknown
    every[20] = used((None, 0.0, None, 0.0), "day", "2026-10-21", "refused")
    found = allocate(pl.concat([month, *every]), NO_METERS, NO_OUTPUT, site)
    assert parts(found.filter(pl.col("grain") == "month"), "status")["cement"] == ("refused",)


AMOUNTS = st.floats(-1e9, 1e9).filter(lambda x: x == 0 or abs(x) > 1e-9)


@given(AMOUNTS, st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e9)), min_size=1, max_size=12))
def test_the_parts_are_the_whole_to_the_last_bit(whole: float, drivers: list[float]) -> None:
    if not any(drivers):
        drivers[0] = 1.0
    by_name = {f"p{n}": driver for n, driver in enumerate(drivers)}
    found = portions(whole, by_name)
    assert fsum(found.values()) == whole
    shares = portions(1.0, by_name)
    assert fsum(shares.values()) == 1.0
    for name, driver in by_name.items():
        assert found[name] == pytest.approx(whole * driver / fsum(drivers), abs=1e-13 * abs(whole))
        assert (found[name] == 0) == (driver == 0) or whole == 0 or driver < 1e-15 * fsum(drivers)
