"""Baselines, targets and quotas that do not fit: where, what, and what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.load import load
from tests.plants import write_plant

ALL: dict[str, Any] = {
    "id": "all", "node": "works", "from": "2024-01-01", "to": "2024-12-31", "drivers": ["clinker"],
}  # fmt: skip
POWER = {**ALL, "id": "power", "node": "kiln", "energy": "electricity", "drivers": ["e-mill"]}
EVENT = {"from": "2025-01-01", "reason": "r", "entered_on": "2025-01-05", "entered_by": "Lin"}
TARGET = {"id": "t", "year": 2026, "kind": "energy", "limit": 1, "source": "budget"}
QUOTA = {"year": 2026, "allowance_tce": 1, "basis": "calorific", "source": "notice"}


def plant(folder: Path, **sections: Any) -> Path:
    return write_plant(folder, assessment=sections)


def test_what_fits(tmp_path: Path) -> None:
    event = {**EVENT, "factor": 1.1}
    file = plant(
        tmp_path,
        baselines=[{**ALL, "adjustments": [event]}, POWER],
        targets=[
            {**TARGET, "baseline": "all", "planned": {"clinker": 5}},
            {**TARGET, "year": 2027},
        ],
        quotas=[{**QUOTA, "baseline": "all"}],
    )
    given = load(file).plant.assessment
    assert [one.id for one in given.baselines] == ["all", "power"]
    assert given.baselines[0].adjustments[0].factor == 1.1


def test_a_file_of_drivers(tmp_path: Path) -> None:
    cold = {**ALL, "drivers": ["clinker", "degree-days"], "file": "weather.csv"}
    with pytest.raises(ConfigError, match=r"baselines\.0\.file.*weather\.csv: No such file"):
        load(plant(tmp_path, baselines=[cold]))
    weather = tmp_path / "weather.csv"
    weather.write_text("month,degree-days\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no column `period`"):
        load(plant(tmp_path, baselines=[cold]))
    weather.write_text("period,degree-day\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="did you mean 'degree-day'"):
        load(plant(tmp_path, baselines=[cold]))
    weather.write_text("period,degree-days\n", encoding="utf-8-sig")
    assert load(plant(tmp_path, baselines=[cold])).plant.assessment.baselines[0].file is not None


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"baselines": [{**ALL, "node": "kilm"}]}, "baselines.0.node", "did you mean 'kiln'"),
    ({"baselines": [{**POWER, "energy": "electricty"}]}, "energy", "did you mean 'electricity'"),
    ({"baselines": [{**ALL, "drivers": ["clinkr"]}]}, "drivers", "unknown product or meter"),
    ({"baselines": [{**ALL, "drivers": ["clinker", "clinker"]}]}, "drivers", "stands twice"),
    ({"baselines": [ALL, ALL]}, "baselines.1", "all stands twice"),
    ({"baselines": [{**ALL, "to": "2023-12-31"}]}, "baselines.0", "`to` is before `from`"),
    (
        {"baselines": [{**ALL, "adjustments": [{**EVENT, "from": "2024-12-31", "factor": 2}]}]},
        "adjustments.0",
        "inside the base period",
    ),
    (
        {"baselines": [{**ALL, "adjustments": [EVENT]}]},
        "adjustments.0",
        "either `factor` or `amount_per_day`",
    ),
    ({"targets": [TARGET, TARGET]}, "targets.1", "t of 2026 stands twice"),
    ({"targets": [{**TARGET, "product": "brick"}]}, "product", "unknown product 'brick'"),
    ({"targets": [{**TARGET, "kind": "unit_product"}]}, "targets.0", "needs `product`"),
    ({"targets": [{**TARGET, "planned": {"clinker": 1}}]}, "planned", "without a baseline"),
    ({"targets": [{**TARGET, "baseline": "al"}]}, "baseline", "unknown baseline 'al'"),
    (
        {"baselines": [POWER], "targets": [{**TARGET, "baseline": "power"}]},
        "targets.0.baseline",
        "a baseline of all energies of 'works', calorific",
    ),
    (
        {"baselines": [ALL], "quotas": [{**QUOTA, "basis": "equivalent", "baseline": "all"}]},
        "quotas.0.baseline",
        "a baseline of all energies of 'works', equivalent",
    ),
    (
        {
            "baselines": [ALL],
            "targets": [{**TARGET, "baseline": "all", "planned": {"cement": 1}}],
        },
        "planned.cement",
        "unknown driver 'cement'",
    ),
    ({"quotas": [QUOTA, QUOTA]}, "quotas.1", "2026 stands twice"),
    ({"quotas": [{**QUOTA, "basis": "both"}]}, "quotas.0.basis", "equivalent"),
]


@pytest.mark.parametrize(("sections", "path", "says"), WRONG)
def test_what_does_not(tmp_path: Path, sections: dict[str, Any], path: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(plant(tmp_path, **sections))
    assert path in str(refused.value)
    assert says in str(refused.value)
