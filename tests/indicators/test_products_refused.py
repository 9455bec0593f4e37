"""Every way in which a figure of a product is refused, and what its row still shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from config.errors import ConfigError
from config.load import load
from config.site import Site
from indicators.products import product_indicators
from indicators.targets import targets_of
from tests.indicators.kiln import (
    END,
    KILN_KGCE,
    START,
    Row,
    compute,
    energy_of,
    kiln,
    one_product,
    output_of,
    row_of,
    used,
)
from tests.plants import (
    CLINKER_ELECTRICITY,
    CLINKER_ENERGY,
    METERS,
    write_plant,
)

Edit = Callable[[list[Row], list[Row]], None]


def low_coverage(consumption: list[Row], outputs: list[Row]) -> None:
    consumption[0]["coverage_ratio"] = 0.89


def low_output_coverage(consumption: list[Row], outputs: list[Row]) -> None:
    outputs[0]["coverage_ratio"] = 0.89


def no_amount(consumption: list[Row], outputs: list[Row]) -> None:
    consumption[0]["amount"] = None


def no_factor(consumption: list[Row], outputs: list[Row]) -> None:
    consumption.append(used("kiln", "natural_gas", 1.0, "m3"))


def refused_input(consumption: list[Row], outputs: list[Row]) -> None:
    consumption[0]["status"] = "refused"


def no_row(consumption: list[Row], outputs: list[Row]) -> None:
    del consumption[0]


def no_energy_at_all(consumption: list[Row], outputs: list[Row]) -> None:
    consumption.clear()


def no_output(consumption: list[Row], outputs: list[Row]) -> None:
    outputs[0]["quantity"] = None


def no_output_row(consumption: list[Row], outputs: list[Row]) -> None:
    del outputs[0]


def zero_output(consumption: list[Row], outputs: list[Row]) -> None:
    outputs[0]["quantity"] = 0.0


def another_span(consumption: list[Row], outputs: list[Row]) -> None:
    outputs[0]["end_utc"] = datetime(2026, 10, 25, 16, tzinfo=UTC)


REFUSALS = [
    low_coverage, low_output_coverage, no_amount, no_factor, refused_input, no_row,
    no_energy_at_all, no_output, no_output_row, zero_output, another_span,
]  # fmt: skip
JUDGED = [
    "value", "level_reached",
    *(f"distance_level{k}{unit}" for k in (1, 2, 3) for unit in ("", "_tce_per_year")),
]  # fmt: skip


@pytest.mark.parametrize("edit", REFUSALS)
def test_refused(edit: Edit, site: Site) -> None:
    consumption, outputs = kiln()
    edit(consumption, outputs)
    figure = row_of(compute(consumption, outputs, site), CLINKER_ENERGY)
    assert figure["status"] == "refused"
    assert [figure[name] for name in JUDGED] == [None] * len(JUDGED)
    # What the readings still allow is told; what nothing bounds is not.
    bounded = edit in (low_coverage, low_output_coverage, no_amount, refused_input, no_output)
    bounds = pytest.approx(KILN_KGCE / 1000) if bounded else None
    assert (figure["low"], figure["high"]) == (bounds, bounds)
    assert figure["level3"] == 117.0
    known_numerator = edit in (low_coverage, low_output_coverage, refused_input, no_output,
                               no_output_row, zero_output, another_span)  # fmt: skip
    assert figure["numerator"] == (pytest.approx(KILN_KGCE) if known_numerator else None)
    unknown_output = edit in (no_output, no_output_row)
    quantity = 0.0 if edit is zero_output else 1000.0
    assert figure["denominator"] == (None if unknown_output else quantity)
    assert (figure["start_utc"], figure["period"]) == (START, "2026-10")


def test_coverage_of_what_is_absent_is_zero(site: Site) -> None:
    for edit in (no_row, no_energy_at_all, no_output_row):
        consumption, outputs = kiln()
        edit(consumption, outputs)
        figures = compute(consumption, outputs, site)
        assert row_of(figures, CLINKER_ENERGY)["coverage_ratio"] == 0.0


def test_required_coverage_is_that_of_the_plant(tmp_path: Path) -> None:
    site = load(write_plant(tmp_path, quality={"required_coverage_ratio": 0.89}))
    consumption, outputs = kiln()
    low_coverage(consumption, outputs)
    assert row_of(compute(consumption, outputs, site), CLINKER_ENERGY)["status"] == "complete"


def test_a_row_that_is_absent_in_one_of_two_months(site: Site) -> None:
    end = datetime(2026, 11, 30, 16, tzinfo=UTC)
    november = {"period": "2026-11", "start_utc": END, "end_utc": end}
    consumption, outputs = kiln()
    consumption.append(used("kiln", "diesel", 10.0, "kg"))  # no meter in the ledger asks for it
    consumption += [row | november for row in kiln()[0]]
    outputs += [row | november for row in kiln()[1]]
    figures = compute(consumption, outputs, site).filter(pl.col("norm") == CLINKER_ENERGY)
    assert figures["period"].to_list() == ["2026-10", "2026-11"]
    assert figures["status"].to_list() == ["complete", "refused"]


def test_no_electricity_meter_gives_no_electricity_figure_but_a_refused_one(
    tmp_path: Path,
) -> None:
    site = load(write_plant(tmp_path, meters=[m for m in METERS if m["meter_id"] != "e-kiln"]))
    consumption, outputs = kiln()
    del consumption[1]
    figures = compute(consumption, outputs, site)
    assert row_of(figures, CLINKER_ENERGY)["value"] == pytest.approx(140 * 0.7143)
    electricity = row_of(figures, CLINKER_ELECTRICITY)
    assert (electricity["status"], electricity["numerator"]) == ("refused", None)


def test_a_norm_that_cannot_judge_the_product_is_an_error(tmp_path: Path) -> None:
    for name, norm, unit, says in (
        ("heat", "GB 21258-2024|燃煤机组 亚临界600MW|供热煤耗率", "GJ", "no plain ratio"),
        ("volume", CLINKER_ENERGY, "m3", "needs output in t"),
    ):
        site = one_product(tmp_path / name, norm, unit)
        with pytest.raises(ConfigError, match=says):
            targets_of(site.plant.products["clinker"], site.library)
        with pytest.raises(ConfigError, match=says):
            compute([], [], site)


def test_consumption_counted_by_a_factor_that_is_gone(site: Site) -> None:
    consumption, outputs = kiln()
    lost = pl.lit("plant|raw_coal|both|2020-01-01;")
    gone = energy_of(consumption, site).with_columns(factors=lost)
    with pytest.raises(ConfigError, match="compute the consumption anew"):
        product_indicators(gone, output_of(outputs), site, provenance="{}")
