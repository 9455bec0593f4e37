"""What is wrong under `assessment.carbon` is found by `kgce check`, and says where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.load import load
from tests.app.carbon_works import CARBON, write_carbon_works

CERTIFICATE = {"id": "GEC-1", "kwh": 1000, "period": "2025-09", "source": "platform"}
FUEL = CARBON["fuels"][0]
HEAT = {"supplier": "A", "tco2_per_gj": 0.1, "effective_from": "2025-01-01", "source": "contract"}

WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a certificate twice": (
        {"certificates": [CERTIFICATE, {**CERTIFICATE, "kind": "traded"}]},
        ("assessment.carbon.certificates.1", "'GEC-1' stands twice", "a certificate counts once"),
    ),
    "an unknown set": ({"fuel_set": "ndrcc"}, ("unknown fuel set 'ndrcc'", "mean 'ndrc'")),
    "an unknown region": ({"grid_region": "east"}, ("unknown grid region 'east'", "'East'")),
    "an unknown fuel": (
        {"fuels": [{**FUEL, "fuel": "bituminous"}]},
        ("assessment.carbon.fuels.0.fuel", "did you mean 'bituminous_coal'"),
    ),
    "an unknown energy": ({"fuels": [{**FUEL, "energy": "coal"}]}, ("unknown energy 'coal'",)),
    "fuel twice from one day": ({"fuels": [FUEL, FUEL]}, ("raw_coal, from 2025-01-01 stands",)),
    "a calorific value without unit": (
        {"fuels": [{**FUEL, "ncv_gj_per_unit": 23.0}]}, ("unit and ncv_gj_per_unit go together",),
    ),
    "a unit of another dimension": (
        {"fuels": [{**FUEL, "ncv_gj_per_unit": 23.0, "unit": "m3"}]},
        ("assessment.carbon.fuels.0.unit", "'kg' (mass) does not convert to 'm3'"),
    ),
    "heat of two suppliers": (
        {"heat": [HEAT, {**HEAT, "supplier": "B"}]}, ("heat, from 2025-01-01", "the mean weighted"),
    ),
    "heat that is none": ({"heat": [{**HEAT, "energy": "coke"}]}, ("unknown heat 'coke'",)),
    "two grid factors of a year": (
        {"grid": [{"year": 2025, "tco2_per_mwh": 0.4, "source": "x"}] * 2}, ("2025 stands twice",),
    ),
    "a meter that is not there": (
        {"renewable_meters": [{"meter": "pvv"}]}, ("unknown meter 'pvv'", "did you mean 'pv'"),
    ),
    "a meter that is not added": (
        {"renewable_meters": [{"meter": "pv-sold"}]},
        ("renewable_meters.0.meter", "'pv-sold' is not added to what 'works' consumes"),
    ),
    "sold by a meter that is not deducted": (
        {"renewable_meters": [{"meter": "pv", "sold": ["grid"]}]},
        ("'grid' is not deducted from what 'works' consumes",),
    ),
    "an unknown biomass": ({"biomass": ["straw"]}, ("unknown energy 'straw'",)),
    "no kilowatt-hours": ({"certificates": [{**CERTIFICATE, "kwh": 0}]}, ("greater than 0",)),
    "a day for a period": (
        {"certificates": [{**CERTIFICATE, "period": "2025-09-01"}]}, ("certificates.0.period",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_its_place(case: str, tmp_path: Path) -> None:
    carbon, says = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        load(write_carbon_works(tmp_path, carbon))
    message = str(caught.value)
    assert "plant.yaml:" in message
    for text in says:
        assert text in message


def test_what_is_right_is_read(tmp_path: Path) -> None:
    carbon = {"certificates": [CERTIFICATE, {**CERTIFICATE, "id": "GEC-2"}], "heat": [HEAT]}
    site = load(write_carbon_works(tmp_path, carbon))
    assert [one.id for one in site.plant.assessment.carbon.certificates] == ["GEC-1", "GEC-2"]
    assert [one.meter for one in site.plant.renewables("electricity")] == ["pv"]
    assert site.plant.renewables("coke") == []


def test_a_row_of_the_plants_own_goes_before_ours(tmp_path: Path) -> None:
    from config.standards_emission import EmissionRow
    from config.standards_rows import STANDARDS_FOLDER

    file = write_carbon_works(tmp_path, {})
    lines = (STANDARDS_FOLDER / "emission_factors.csv").read_text(encoding="utf-8").splitlines()
    own = next(line for line in lines if line.startswith("grid|福建|2023,"))
    changed = own.replace("0.4211", "0.4321")
    (tmp_path / "own.csv").write_text("\n".join([lines[0], changed, ""]), encoding="utf-8")
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("assessment:\n", "assessment:\n  standards: {emission_factors: own.csv}\n"),
        encoding="utf-8",
    )
    rows = load(file).rows(EmissionRow)
    assert (rows["grid|福建|2023"].tco2_per_unit, len(rows)) == (0.4321, 139)
