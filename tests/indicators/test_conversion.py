"""A boiler, a compressor and a generator worked by hand, and what a product makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from config.load import load
from config.site import Site
from config.tables import CONVERSIONS
from indicators.conversion import conversions
from indicators.products import product_indicators
from tests.indicators.kiln import Row, energy_of, made, output_of, row_of, used
from tests.plants import METERS, SECTIONS, write_plant

BOILER = {"to": "steam_low_pressure", "sole_source": True, "content_mj_per_unit": 2.7}


def row(meter_id: str, node: str, energy: str, unit: str, role: str = "input") -> dict[str, str]:
    return {
        "meter_id": meter_id, "name": meter_id, "node": node, "energy": energy, "role": role,
        "kind": "counter", "unit": unit, "connection": "historian",
    }  # fmt: skip


STEAM = [
    row("c-boiler", "boiler", "raw_coal", "t"),
    row("e-boiler", "boiler", "electricity", "kWh"),
    row("s-made", "boiler", "steam_low_pressure", "t", "output"),
    row("s-kiln", "kiln", "steam_low_pressure", "t"),
]


def plant(
    folder: Path, meters: list[dict[str, str]], converts: dict[str, Any] | None, **sections: Any
) -> Site:
    boiler = {"name": "Boiler", "level": "process", "parent": "works"}
    nodes = {**SECTIONS["nodes"], "boiler": boiler | ({"converts": converts} if converts else {})}
    return load(write_plant(folder, nodes=nodes, meters=[*METERS, *meters], **sections))


def boiler(coal: float | None = 10_000.0, steam: float | None = 60_000.0) -> list[Row]:
    """10 t of coal and 500 kWh make 60 t of steam, of which the kiln gets 55 t."""
    given = None if steam is None else -steam
    return [
        used("boiler", "raw_coal", coal, "kg"),
        used("boiler", "electricity", 500.0, "kWh"),
        used("boiler", "steam_low_pressure", given, "kg"),
        used("kiln", "steam_low_pressure", 55_000.0, "kg"),
    ]


def one(rows: list[Row], site: Site) -> Row:
    found = conversions(energy_of(rows, site), site)
    assert found.schema == CONVERSIONS.polars_schema()
    assert found.height == 1
    return found.row(0, named=True)


def test_a_boiler_by_the_enthalpy_of_its_steam(tmp_path: Path) -> None:
    found = one(boiler(), plant(tmp_path, STEAM, BOILER))
    put_in = 10_000 * 0.7143 + 500 * 0.1229
    put_out = 60_000 * 2.7 / 29.3076
    assert (found["energy_code"], found["output"], found["unit"]) == (
        "steam_low_pressure", 60_000, "kg",
    )  # fmt: skip
    assert found["input_kgce"] == pytest.approx(put_in)
    assert found["output_kgce"] == pytest.approx(put_out)
    assert found["loss_kgce"] == pytest.approx(put_in - put_out)
    assert found["efficiency_ratio"] == pytest.approx(put_out / put_in)  # 0.767
    assert found["specific_kgce"] == pytest.approx(put_in / 60_000)
    assert (found["coverage_ratio"], found["status"]) == (1, "complete")


def test_a_boiler_by_its_fuel_alone_and_the_factor_of_its_steam(tmp_path: Path) -> None:
    converts = {"to": "steam_low_pressure", "sole_source": True, "from": ["raw_coal"]}
    found = one(boiler(), plant(tmp_path, STEAM, converts))
    assert found["efficiency_ratio"] == pytest.approx(60_000 * 0.1286 / (10_000 * 0.7143))
    assert found["confidence"] == "seen"


def test_bounds_of_the_efficiency(tmp_path: Path) -> None:
    converts = {"to": "steam_low_pressure", "sole_source": True, "from": ["raw_coal"]}
    rows = boiler()
    rows[0] |= {"low": 9_000.0, "high": 11_000.0, "coverage_ratio": 0.95}
    rows[2] |= {"low": -66_000.0, "high": -54_000.0}
    found = one(rows, plant(tmp_path, STEAM, converts))
    assert found["low"] == pytest.approx(54_000 * 0.1286 / (11_000 * 0.7143))
    assert found["high"] == pytest.approx(66_000 * 0.1286 / (9_000 * 0.7143))
    assert found["coverage_ratio"] == 0.95
    rows[2]["low"] = None
    assert one(rows, plant(tmp_path, STEAM, converts))["high"] is None


@pytest.mark.parametrize(
    "rows", [boiler(coal=None), boiler(steam=None), boiler(steam=-1.0), boiler()[1:]]
)
def test_what_is_unknown_is_refused(rows: list[Row], tmp_path: Path) -> None:
    found = one(rows, plant(tmp_path, STEAM, BOILER))
    assert (found["status"], found["efficiency_ratio"]) == ("refused", None)
    assert found["loss_kgce"] is found["specific_kgce"] is None


def test_a_compressor_has_no_efficiency_by_the_coal_factor_of_its_air(tmp_path: Path) -> None:
    meters = [
        row("e-boiler", "boiler", "electricity", "kWh"),
        row("air", "boiler", "air_compressed", "m3", "output"),
    ]
    # not declared: it takes electricity and gives out air
    site = plant(tmp_path, meters, None)
    found = one(
        [
            used("boiler", "electricity", 1200.0, "kWh"),
            used("boiler", "air_compressed", -10_000.0, "m3"),
        ],
        site,
    )
    assert (found["status"], found["output_kgce"], found["efficiency_ratio"]) == (
        "complete", None, None,
    )  # fmt: skip
    assert found["specific_kgce"] == pytest.approx(1200 * 0.1229 / 10_000)


def test_self_generation(tmp_path: Path) -> None:
    meters = [
        row("diesel", "boiler", "diesel", "kg"),
        row("e-made", "boiler", "electricity", "kWh", "output"),
    ]
    site = plant(tmp_path, meters, {"to": "electricity"})
    found = one(
        [used("boiler", "diesel", 250.0, "kg"), used("boiler", "electricity", -1000.0, "kWh")], site
    )
    assert found["efficiency_ratio"] == pytest.approx(1000 * 0.1229 / (250 * 1.4571))


# The product's numerator


def products(*boundary: str) -> dict[str, Any]:
    clinker = {"name": "Clinker", "unit": "t", "boundary": list(boundary)}
    return {"clinker": clinker, "cement": {"name": "C", "unit": "t", "boundary": ["mill"]}}


KILN = [used("kiln", "raw_coal", 140_000.0, "kg"), used("kiln", "electricity", 56_000.0, "kWh")]
MILL = [used("mill", "electricity", 30_000.0, "kWh")]
KILN_KGCE = 140_000 * 0.7143 + 56_000 * 0.1229
STEAM_KGCE = 55_000 * 0.1286
FUEL_KGCE = 10_000 * 0.7143 + 500 * 0.1229


def numerator(
    site: Site, subject: str = "clinker", allocations: pl.DataFrame | None = None, **cells: Any
) -> Row:
    consumption = energy_of([*KILN, *MILL, *boiler()], site)
    outputs = output_of([made("clinker", 1000.0), made("cement", 500.0)])
    figures = product_indicators(
        consumption, outputs, site, provenance="{}", allocations=allocations
    )
    return row_of(figures, "", subject)


def test_the_kiln_counts_the_steam_that_it_gets(tmp_path: Path) -> None:
    site = plant(tmp_path, STEAM, BOILER, products=products("kiln"))
    assert numerator(site)["numerator"] == pytest.approx(KILN_KGCE + STEAM_KGCE)


def test_kiln_and_boiler_together_count_the_fuel_and_no_steam(tmp_path: Path) -> None:
    """What is lost in the pipes between them is consumption of the product."""
    site = plant(tmp_path, STEAM, BOILER, products=products("kiln", "boiler"))
    assert numerator(site)["numerator"] == pytest.approx(KILN_KGCE + FUEL_KGCE)


def test_with_another_user_outside_what_it_gets_is_deducted(tmp_path: Path) -> None:
    meters = [*STEAM, row("s-mill", "mill", "steam_low_pressure", "t")]
    site = plant(tmp_path, meters, BOILER, products=products("kiln", "boiler"))
    given = KILN_KGCE + FUEL_KGCE + STEAM_KGCE - 60_000 * 0.1286
    assert numerator(site)["numerator"] == pytest.approx(given)


SHARES = {"node": "boiler", "from": "2026-01-01", "shares": {"clinker": 0.7, "cement": 0.3}}


def allocated(clinker: float | None = 0.7, status: str = "complete") -> pl.DataFrame:
    """The boiler's rows times a share, as the pipeline hands them over."""
    rows = []
    for product, share in (("clinker", clinker), ("cement", 0.3)):
        for of_node in boiler()[:3]:
            amount = None if share is None else of_node["amount"] * share
            cells = {"amount": amount, "low": amount, "high": amount, "status": status}
            rows.append(of_node | cells | {"product_id": product})
    bare = energy_of([{k: v for k, v in r.items() if k != "product_id"} for r in rows], SITE[0])
    return bare.with_columns(product_id=pl.Series([r["product_id"] for r in rows]))


SITE: list[Site] = []


@pytest.fixture
def sharing(tmp_path: Path) -> Site:
    site = plant(tmp_path, STEAM, BOILER, products=products("kiln"), allocations=[SHARES])
    SITE[:] = [site]
    return site


def test_a_share_of_the_boiler_house_adds_its_losses(sharing: Site) -> None:
    """Its fuel less the steam that it gave out, which the kiln counts as its own."""
    loss = FUEL_KGCE - 60_000 * 0.1286
    clinker = numerator(sharing, allocations=allocated())
    assert clinker["numerator"] == pytest.approx(KILN_KGCE + STEAM_KGCE + 0.7 * loss)
    cement = numerator(sharing, "cement", allocated())
    assert cement["numerator"] == pytest.approx(30_000 * 0.1229 + 0.3 * loss)


def test_a_share_that_is_missing_or_refused_refuses_the_product(sharing: Site) -> None:
    assert numerator(sharing)["status"] == "refused"
    refused = numerator(sharing, allocations=allocated(None, "refused"))
    assert (refused["status"], refused["numerator"]) == ("refused", None)


def test_before_the_first_rule_the_product_takes_none(tmp_path: Path) -> None:
    later = {**SHARES, "from": "2026-11-01"}
    site = plant(tmp_path, STEAM, BOILER, products=products("kiln"), allocations=[later])
    SITE[:] = [site]
    figure = numerator(site, allocations=allocated().clear())
    assert (figure["status"], figure["numerator"]) == (
        "complete", pytest.approx(KILN_KGCE + STEAM_KGCE),
    )  # fmt: skip
