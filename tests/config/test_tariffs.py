"""Prices, tariffs and lines under tiered prices that do not fit the plant are named, with place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.load import load
from config.tariffs import Tariff, tariffs_in_order
from tests.plants import SECTIONS, write_plant

HOURS = {"peak": ["08:00-22:00"], "valley": ["22:00-08:00"]}
TARIFF: dict[str, Any] = {
    "from": "2025-01-01", "prices": {"peak": 1.0, "valley": 0.5}, "seasons": [{"hours": HOURS}],
    "source": "notice",
}  # fmt: skip
PRICE: dict[str, Any] = {
    "energy": "raw_coal", "from": "2025-01-01", "unit": "t", "cny_per_unit": 800, "source": "A",
}  # fmt: skip
LINE = {"product": "clinker", "sector": "cement"}


def test_a_good_one_loads(tmp_path: Path) -> None:
    later = {**TARIFF, "from": "2025-07-01", "meters": ["e-works"]}
    del later["seasons"]
    sections = {"prices": [PRICE], "tariffs": [later, TARIFF], "tiered_price": [LINE]}
    site = load(write_plant(tmp_path, assessment=sections))
    first, second = tariffs_in_order(site.plant.assessment.tariffs)
    assert first.from_.isoformat() == "2025-01-01"
    assert second.season(3).by_half_hour == first.season(3).by_half_hour
    assert second.season(3).by_half_hour.count("peak") == 28


def test_times_are_taken_over_but_not_a_season_s_prices() -> None:
    own = {"hours": HOURS, "prices": {"peak": 2.0}}
    first = Tariff.model_validate({**TARIFF, "seasons": [own]})
    second = Tariff.model_validate({**TARIFF, "from": "2026-01-01", "seasons": []})
    before, after = tariffs_in_order([second, first])
    assert (before.price(7, "peak"), after.price(7, "peak")) == (2.0, 1.0)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"prices": [{**PRICE, "energy": "raw_cole"}]}, "did you mean 'raw_coal'"),
        ({"prices": [{**PRICE, "unit": "m3"}]}, "does not convert"),
        ({"prices": [PRICE, PRICE]}, "raw_coal has another price from 2025-01-01"),
        ({"prices": [{**PRICE, "cny_per_unit": -1}]}, "greater than or equal to 0"),
        ({"tariffs": [TARIFF, TARIFF]}, "there is another tariff from 2025-01-01"),
        ({"tariffs": [{**TARIFF, "seasons": []}]}, "no tariff before it has any"),
        ({"tariffs": [{**TARIFF, "prices": {"peak": 1}}]}, "no price of valley in month 1, 2"),
        ({"tariffs": [{**TARIFF, "meters": ["e-mill"]}]}, "unknown meter 'e-mill'"),
        (
            {"tariffs": [{**TARIFF, "seasons": [{"hours": {"peak": ["08:00-22:00"]}}]}]},
            "00:00-00:30 belongs to no period",
        ),
        (
            {"tariffs": [{**TARIFF, "seasons": [{"hours": {"peak": ["08:15-22:00"]}}]}]},
            "08:15-22:00",
        ),
        ({"tiered_price": [{**LINE, "product": "clinkers"}]}, "did you mean 'clinker'"),
        ({"tiered_price": [{**LINE, "norm": "GB 1"}]}, "unknown norm 'GB 1'"),
        ({"tiered_price": [{**LINE, "renewable_percent": 20}]}, "without renewable_source"),
        (
            {
                "tiered_price": [
                    {**LINE, "figures": [{"year": 2024, "value": 1, "source": "a"}] * 2}
                ]
            },
            "year 2024 stands twice",
        ),
    ],
)
def test_what_is_wrong(tmp_path: Path, section: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write_plant(tmp_path, assessment=section))
    text = "\n".join(str(problem) for problem in caught.value.problems)
    assert says in text
    assert "assessment" in text


def test_a_line_needs_a_province(tmp_path: Path) -> None:
    info = {key: value for key, value in SECTIONS["plant"].items() if key != "region"}
    with pytest.raises(ConfigError, match="no `province`, and the plant has no `region`"):
        load(write_plant(tmp_path, plant=info, assessment={"tiered_price": [LINE]}))
