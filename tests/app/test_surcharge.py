"""`kgce surcharge` on three days of the works: its kiln uses 7,200 kWh for 500 t of clinker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from config.sheets.cost import SURCHARGE
from config.standards_rows import STANDARDS_FOLDER
from tests.app.commands import inside
from tests.app.works import filled, write_text, write_works
from tests.plants import SECTIONS

KILN_KWH, CLINKER_T = 3 * 96 * 25.0, 5000 * 3 / 30
ALUMINIUM: dict[str, Any] = {"product": "clinker", "sector": "aluminium"}
GRINDING = {**ALUMINIUM, "sector": "cement_grinding", "in_production_since": "2010-01-01"}
REPORT = {"year": 2024, "value": 13_330, "source": "report 7"}


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = write_works(
        tmp_path_factory.mktemp("works"),
        assessment="assessment.yaml",
        plant={**SECTIONS["plant"], "metering_since": "2025-09-01"},
    )
    assess(file)
    filled(file, days=3)
    return file


def assess(plant: Path, **sections: Any) -> Path:
    """Write the assessment, which may change without a new refresh."""
    text = json.dumps(sections, ensure_ascii=False)
    (plant.parent / "assessment.yaml").write_text(text, encoding="utf-8")
    return plant


def surcharged(plant: Path, year: str, line: dict[str, Any], **sections: Any) -> dict[str, Any]:
    assess(plant, tiered_price=[line], **sections)
    done = inside("surcharge", year, "-p", plant, "--format", "json")
    assert done.code == 0, done.err
    jsonschema.validate(done.records(), SURCHARGE.json_schema())
    (row,) = done.records()
    if row["value"] is None:
        assert row["reason"] in done.err
    return row


def test_by_the_stated_figure_of_the_year_before(plant: Path) -> None:
    renewable = {"renewable_percent": 15, "renewable_source": "certificates"}
    line = {**ALUMINIUM, **renewable, "figures": [{**REPORT, "low": 13_290}]}
    row = surcharged(plant, "2025", line)
    assert (row["value"], row["low"], row["high"]) == (0.02, 0.0, 0.02)
    assert row["kwh"] == pytest.approx(KILN_KWH)
    assert (row["cny"], row["cny_low"]) == (pytest.approx(0.02 * KILN_KWH), 0.0)
    assert row["threshold"] == 13_300
    assert (row["confidence"], row["status"]) == ("recalled", "partial")
    assert row["judged_by"] == "2024, as stated: report 7"


def test_by_the_published_figure(plant: Path) -> None:
    row = surcharged(plant, "2026", GRINDING)
    assert row["figure"] == pytest.approx(KILN_KWH / CLINKER_T)
    assert (row["value"], row["cny"], row["kwh"]) == (0.0, 0.0, None)
    assert row["indicator_zh"] == "可比水泥综合电耗（粉磨站）"
    row = surcharged(plant, "2025", GRINDING)
    assert (row["value"], row["low"], row["high"]) == (None, 0.0, 0.25)
    assert row["reason"] == "there is no unit_product_electricity of 2024 in kWh/t"


def test_no_known_rule_is_said_and_a_class_needs_no_figure(plant: Path) -> None:
    row = surcharged(plant, "2025", {**ALUMINIUM, "sector": "steel"})
    assert (row["value"], row["rule"], row["status"]) == (None, "", "refused")
    assert "no rule for steel in 350000 in 2025" in row["reason"]
    line = {**ALUMINIUM, "sector": "steel", "unit_class": "eliminated"}
    row = surcharged(plant, "2025", line)
    assert (row["value"], row["cny"]) == (0.5, pytest.approx(0.5 * KILN_KWH))


def test_a_rule_that_changes_inside_the_year_has_its_own_months(plant: Path) -> None:
    """Kilns of these kinds paid 0.30 up to June 2014, and 0.40 from July on."""
    line = {**ALUMINIUM, "sector": "cement", "unit_class": "eliminated"}
    assess(plant, tiered_price=[line])
    rows = inside("surcharge", "2014", "-p", plant, "--format", "json").records()
    assert [(row["value"], row["kwh"], row["cny"]) for row in rows] == [
        (0.3, None, None),
        (0.4, None, None),
    ]
    assert rows[0]["reason"] == "the electricity of 2014 is not known"


def test_an_own_row_goes_before_ours(plant: Path) -> None:
    ours = (STANDARDS_FOLDER / "tiered_price.csv").read_text(encoding="utf-8")
    head, *rows = ours.splitlines()
    (row,) = (row for row in rows if "|aluminium|2025," in row)
    own = write_text(plant.parent / "own.csv", f"{head}\n{row.replace('13300', '13000')}\n")
    renewable = {"renewable_percent": 0, "renewable_source": "none"}
    line = {**ALUMINIUM, **renewable, "figures": [REPORT]}
    found = surcharged(plant, "2025", line, standards={"tiered_price": own.name})
    assert found["value"] == pytest.approx(0.17)  # 330 over: 17 begun steps


def test_what_there_is_not(plant: Path) -> None:
    done = inside("surcharge", "2025-09", "-p", assess(plant, tiered_price=[ALUMINIUM]))
    assert (done.code, "a year, 2026" in done.err) == (2, True)
    done = inside("surcharge", "2025", "-p", assess(plant))
    assert (done.code, "assessment.tiered_price" in done.err) == (2, True)
