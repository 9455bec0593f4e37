"""`kgce baseline`, `savings`, `targets` and `quota` on a works of twenty-one months of days."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import polars as pl
import pytest

from app import jobs
from app.baseline_points import node_energy
from app.published import Published
from app.sites import load_site
from app.targets import targets_sheet
from app.year_figures import energy_series, year_figures
from config.sheets import SHEETS
from config.tables import CONSUMPTION
from tests.app.commands import inside
from tests.app.long_works import (
    KWH_A_DAY,
    KWH_PER_T,
    LEFT,
    clinker_t,
    coal_t,
    days,
    during,
    fill,
    kgce,
    kiln_kwh,
    write_long_works,
)

DOCS = Path(__file__).parents[2] / "docs"
SILENT = (date(2024, 3, 5), date(2025, 8, 10))
# A counter that is not read at a midnight leaves both days beside it open.
OPEN = [np.array([str(day) in pair for day in days()]) for pair in (
    ("2024-03-05", "2024-03-06"), ("2025-08-10", "2025-08-11"),
)]  # fmt: skip
POWER: dict[str, Any] = {
    "id": "kiln-power", "node": "kiln", "energy": "electricity", "grain": "day",
    "from": "2024-01-01", "to": "2024-12-31", "drivers": ["clinker"],
}  # fmt: skip
ALL: dict[str, Any] = {
    "id": "all", "node": "works", "from": "2024-01-01", "to": "2024-12-31", "drivers": ["clinker"],
}  # fmt: skip
Plant = Callable[..., Path]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plant = write_long_works(tmp_path_factory.mktemp("long"), {})
    fill(plant, SILENT)
    return plant.parent / "data"


@pytest.fixture
def plant(lake: Path, tmp_path: Path) -> Plant:
    def with_assessment(**sections: Any) -> Path:
        return write_long_works(tmp_path, sections, storage={"path": str(lake)})

    return with_assessment


def rows(plant: Path, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    done = inside(*arguments, "-p", plant, "--format", "json")
    assert done.code == code, done.err
    found = done.records()
    sheet = "performance" if "--periods" in arguments else arguments[0]
    jsonschema.validate(found, json.loads((DOCS / "schemas" / f"{sheet}.schema.json").read_text()))
    assert list(found[0]) == list(SHEETS[sheet].names)
    return found


def line(inside_of: np.ndarray, energy: np.ndarray, grain: int = 10) -> tuple[float, float]:
    """Constant and slope, by the normal equations."""
    x, y = clinker_t()[inside_of], energy[inside_of]
    if grain == 7:  # by month
        labels = [str(day)[:7] for day, one in zip(days(), inside_of, strict=True) if one]
        names = sorted(set(labels))
        x, y = (np.array([v[np.array(labels) == n].sum() for n in names]) for v in (x, y))
    slope = ((x - x.mean()) @ (y - y.mean())) / ((x - x.mean()) @ (x - x.mean()))
    return float(y.mean() - slope * x.mean()), float(slope)


def test_the_model_of_a_year_of_days(plant: Plant) -> None:
    found = {row["name"]: row for row in rows(plant(baselines=[POWER]), "baseline", "kiln-power")}
    constant, slope = line(during("2024") & ~OPEN[0], kiln_kwh())
    assert found["constant"]["value"] == pytest.approx(constant, rel=1e-9)
    assert found["clinker"]["value"] == pytest.approx(slope, rel=1e-9)
    assert found["constant"]["low"] < KWH_A_DAY < found["constant"]["high"]
    assert found["clinker"]["low"] < KWH_PER_T < found["clinker"]["high"]
    assert (found["constant"]["unit"], found["clinker"]["unit"]) == ("kWh", "kWh/t")
    row = found["r2"]
    assert (row["points"], row["left_out"], row["status"]) == (364, 2, "accepted")
    assert row["coverage_ratio"] == pytest.approx(364 / 366)
    assert "2024-03-05 (energy is refused), 2024-03-06 (energy is refused)" in row["reason"]
    assert found["mean of clinker"]["met"] is True
    assert row["confidence"] == "recalled"  # the equivalent factor of electricity


def test_the_step_of_july_is_found(plant: Plant) -> None:
    file = plant(baselines=[POWER])
    found = rows(file, "baseline", "kiln-power", "--periods")
    (change,) = [row for row in found if row["change"] is not None]
    assert abs((date.fromisoformat(change["period"]) - date(2025, 7, 1)).days) <= 4
    saved_a_day = (1 - LEFT) * (KWH_A_DAY + KWH_PER_T * clinker_t().mean())
    assert change["change"] == pytest.approx(-saved_a_day, rel=0.1)
    open_days = [row for row in found if row["actual"] is None]
    assert [row["period"] for row in open_days] == [
        "2024-03-05", "2024-03-06", "2025-08-10", "2025-08-11",
    ]  # fmt: skip
    assert {row["cusum"] for row in open_days} == {None}
    known = [row["difference"] for row in found if row["difference"] is not None]
    assert found[-1]["cusum"] == pytest.approx(sum(known))
    base = [row for row in found if row["part"] == "base"]
    assert base[-1]["period"] == "2024-12-31"
    assert base[-1]["cusum"] == pytest.approx(0, abs=1e-3)
    said = inside("baseline", "kiln-power", "--periods", "-p", file).err
    assert f"{change['period']}: a step of -" in said


def test_savings_hold_the_truth(plant: Plant) -> None:
    file = plant(baselines=[POWER])
    june, july, august, year = rows(
        file, "savings", "kiln-power", "2025-06", "2025-07", "2025-08", "2025"
    )
    constant, slope = line(during("2024") & ~OPEN[0], kiln_kwh())
    counted = during("2025-07")
    expected = constant * 31 + slope * clinker_t()[counted].sum()
    assert july["expected"] == pytest.approx(expected, rel=1e-9)
    assert july["value"] == pytest.approx(expected - kiln_kwh()[counted].sum(), rel=1e-6)
    without = (KWH_A_DAY * 31 + KWH_PER_T * clinker_t()[counted].sum()) * (1 - LEFT)
    assert july["low"] < without < july["high"]
    assert (june["sure"], july["sure"]) == (False, True)
    assert july["value_tce"] == pytest.approx(july["value"] * 0.1229 / 1000)
    assert july["short_formula_ratio"] == pytest.approx(july["uncertainty_ratio"], rel=0.3)
    assert (august["periods"], august["left_out"], august["status"]) == (29, 2, "partial")
    assert august["coverage_ratio"] == pytest.approx(29 / 31)
    assert "2025-08-10 (energy is refused)" in august["reason"]
    assert (july["status"], year["status"]) == ("complete", "partial")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("2024-12",), "begins inside the base period"),
        (("2025-13",), "a month, 2026-10, or a year, 2026"),
    ],
)
def test_savings_that_there_are_not(plant: Plant, arguments: tuple[str], says: str) -> None:
    done = inside("savings", "kiln-power", *arguments, "-p", plant(baselines=[POWER]))
    assert done.code == 2
    assert says in done.err
    (row,) = rows(plant(baselines=[POWER]), "savings", "kiln-power", "2026-01", code=1)
    assert (row["value"], row["status"], row["coverage_ratio"]) == (None, "refused", 0)


def test_too_many_days_without_data_refuse_the_saving(plant: Plant) -> None:
    strict = plant(baselines=[POWER])
    text = strict.read_text(encoding="utf-8")
    strict.write_text(text + "\nquality: {required_coverage_ratio: 0.95}\n", encoding="utf-8")
    (row,) = rows(strict, "savings", "kiln-power", "2025-08", code=1)
    assert (row["value"], row["low"], row["status"]) == (None, None, "refused")
    assert row["coverage_ratio"] == pytest.approx(29 / 31)


def test_adjustments_move_what_is_expected(plant: Plant) -> None:
    signed = {"reason": "third mill", "entered_on": "2025-07-03", "entered_by": "Lin"}
    by_factor = {**signed, "from": "2025-07-01", "to": "2025-07-10", "factor": 0.95}
    by_amount = {**signed, "from": "2025-07-22", "amount_per_day": 1000}
    (plain,) = rows(plant(baselines=[POWER]), "savings", "kiln-power", "2025-07")
    adjusted = {**POWER, "adjustments": [by_factor, by_amount]}
    (moved,) = rows(plant(baselines=[adjusted]), "savings", "kiln-power", "2025-07")
    constant, slope = line(during("2024") & ~OPEN[0], kiln_kwh())
    first = np.array([date(2025, 7, 1) <= day <= date(2025, 7, 10) for day in days()])
    added = 10 * 1000 - 0.05 * (constant * 10 + slope * clinker_t()[first].sum())
    assert moved["adjustment"] == pytest.approx(added, rel=1e-9)
    assert moved["value"] == pytest.approx(plain["value"] + added, rel=1e-9)


def test_eleven_points_are_refused(plant: Plant) -> None:
    eleven = {**ALL, "to": "2024-11-30"}
    future = {**ALL, "id": "future", "from": "2030-01-01", "to": "2030-12-31"}
    file = plant(baselines=[eleven, future])
    found = rows(file, "baseline", code=1)
    assert [(row["baseline"], row["status"], row["value"]) for row in found] == [
        ("all", "refused", None), ("future", "refused", None),
    ]  # fmt: skip
    assert found[0]["reason"] == "11 points; at least 12 are needed"
    assert found[1]["reason"] == "0 points; at least 12 are needed"
    done = inside("savings", "all", "2025", "-p", file)
    assert (done.code, "11 points; at least 12 are needed" in done.err) == (2, True)
    assert {row["expected"] for row in rows(file, "baseline", "all", "--periods")} == {None}


def test_all_energies_by_month(plant: Plant) -> None:
    found = {row["name"]: row for row in rows(plant(baselines=[ALL]), "baseline")}
    constant, slope = line(during("2024"), kgce(), grain=7)
    assert found["clinker"]["value"] == pytest.approx(slope, rel=1e-6)
    assert found["constant"]["value"] == pytest.approx(constant, rel=1e-5)
    assert (found["r2"]["points"], found["r2"]["confidence"]) == (12, "seen")


def test_a_month_that_the_base_period_cuts_is_in_neither_part(plant: Plant) -> None:
    cut = {**ALL, "to": "2025-01-15"}
    found = rows(plant(baselines=[cut]), "baseline", "all", "--periods")
    assert [row["period"] for row in found if row["part"] == "base"][-1] == "2024-12"
    assert next(row["period"] for row in found if row["part"] == "report") == "2025-02"


def test_hours_are_computed(plant: Plant) -> None:
    hours = {**POWER, "id": "hours", "grain": "hour", "from": "2025-09-01", "to": "2025-09-25"}
    hours["drivers"] = ["clinker", "c-kiln"]
    # Coal follows from clinker, but for its rounding.
    (row,) = rows(plant(baselines=[hours]), "baseline", code=1)
    assert "clinker follows from c-kiln" in row["reason"]
    hours["drivers"] = ["c-kiln"]
    found = {row["name"]: row for row in rows(plant(baselines=[hours]), "baseline")}
    assert found["r2"]["points"] == 25 * 24
    assert found["c-kiln"]["unit"] == "kWh/kg"
    assert found["c-kiln"]["value"] == pytest.approx(KWH_PER_T * LEFT / 110, rel=0.05)
    assert found["autocorrelation"]["value"] > 0.9
    assert "standard errors are too small" in found["autocorrelation"]["reason"]


def test_what_no_meter_measures_comes_from_a_file(plant: Plant, tmp_path: Path) -> None:
    """Coal, as if it were the weather: electricity follows it as it follows clinker."""
    cold = {**POWER, "drivers": ["cold"], "file": "weather.csv"}
    lines = [f"{day},{t:.3f}" for day, t in zip(days(), coal_t(), strict=True)]
    lines[10] = f"{days()[10]},"
    (tmp_path / "weather.csv").write_text("period,cold\n" + "\n".join(lines), encoding="utf-8")
    found = {row["name"]: row for row in rows(plant(baselines=[cold]), "baseline")}
    assert found["cold"]["value"] == pytest.approx(KWH_PER_T / 0.11, rel=0.02)
    assert (found["r2"]["left_out"], found["cold"]["unit"]) == (3, "kWh")
    assert "2024-01-11 (cold is absent)" in found["r2"]["reason"]
    for wrong, says in (("many", "cold is 'many'"), ("5\n2024-01-01,6", "2024-01-01 stands twice")):
        (tmp_path / "weather.csv").write_text(
            f"period,cold\n2024-01-01,{wrong}\n", encoding="utf-8"
        )
        done = inside("baseline", "-p", plant(baselines=[cold]))
        assert (done.code, says in done.err) == (2, True)


def target(name: str, limit: float, **more: Any) -> dict[str, Any]:
    return {"id": name, "year": 2025, "kind": "energy", "limit": limit, "source": "budget", **more}


def test_targets_of_a_running_year(plant: Plant) -> None:
    to_date = float(kgce()[during("2025")].sum()) / 1000
    last = float(kgce()[during("2024")].sum()) / 1000
    so_far = np.array([day.isoformat()[5:] < "10-01" for day in days()])
    then = float(kgce()[during("2024") & so_far].sum()) / 1000
    end = to_date * last / then
    file = plant(
        baselines=[ALL],
        targets=[
            target("share", end * 1.1),
            target("tight", end * 1.0001),
            target("gone", to_date * 0.99),
            target("model", end * 1.1, baseline="all", planned={"clinker": 830_000}),
            target("product", end * 1.1, product="clinker"),
            target("unit", 91.0, kind="unit_product", product="clinker"),
            target("co2", 1.0, kind="carbon"),
        ],
    )
    found = {row["target"]: row for row in rows(file, "targets", "2025", code=1)}
    share = found["share"]
    assert share["value"] == pytest.approx(to_date, rel=1e-9)
    assert (share["forecast"], share["method"]) == (pytest.approx(end, rel=1e-9), "last_year")
    assert share["forecast_low"] < end < share["forecast_high"]
    assert (share["unit"], share["until"]) == ("tce", "2025-10-01 00:00")
    assert share["deviation_ratio"] == pytest.approx(-1 / 11)
    constant, slope = line(during("2024"), kgce(), grain=7)
    rest = constant * 3 + slope * (830_000 - clinker_t()[during("2025")].sum())
    assert found["model"]["forecast"] == pytest.approx(to_date + rest / 1000, rel=1e-6)
    assert found["model"]["method"] == "baseline"
    assert found["product"]["forecast"] == pytest.approx(end, rel=1e-9)
    unit = kgce()[during("2025")].sum() / clinker_t()[during("2025")].sum()
    assert found["unit"]["value"] == pytest.approx(unit, rel=1e-9)
    assert found["unit"]["unit"] == "kgce/t"
    assert found["unit"]["forecast"] == pytest.approx(unit, rel=0.005)
    assert {name: row["status"] for name, row in found.items()} == {
        "share": "on_track", "tight": "at_risk", "gone": "missed", "model": "on_track",
        "product": "on_track", "unit": "on_track", "co2": "insufficient_data",
    }  # fmt: skip
    assert found["co2"]["reason"].startswith("raw_coal: no row")
    said = inside("targets", "2025", "-p", file).err
    assert said == "! gone: missed\n! tight: at risk\n"


def test_carbon_is_what_its_sheet_says(plant: Plant, lake: Path) -> None:
    site = load_site(plant(targets=[target("co2", 250_000.0, kind="carbon")]))
    published = Published(site, jobs.open_lake(site))

    def emitted(label: str) -> pl.DataFrame:
        """Of 2025 only, 2.6 t for a tce: without a year before, the rate goes on."""
        rows = node_energy(published.rows(CONSUMPTION), site, "works", "calorific").filter(
            pl.col("period") == label, pl.lit(label >= "2025")
        )
        co2 = [
            (pl.col(n) * 0.0026).alias(m)
            for n, m in (("energy", "value"), ("low", "low"), ("high", "high"))
        ]
        return rows.with_columns(*co2, scope=pl.lit("total"), reason=pl.lit(""))

    row = targets_sheet(published, 2025, emitted).row(0, named=True)
    to_date = kgce()[during("2025")].sum() * 0.0026
    assert row["value"] == pytest.approx(to_date, rel=1e-9)
    assert (row["forecast"], row["method"]) == (pytest.approx(to_date / 273 * 365), "rate")
    assert row["forecast_low"] < row["forecast"] < row["forecast_high"]
    assert (row["unit"], row["status"]) == ("tCO2", "on_track")


def test_a_year_without_one_before_goes_on_at_its_rate(plant: Plant) -> None:
    old = {**target("first", 1e6), "year": 2024}
    (row,) = rows(plant(targets=[old]), "targets", "2024")
    year = kgce()[during("2024")].sum() / 1000
    assert (row["forecast"], row["method"]) == (pytest.approx(year), "measured")
    done = inside("targets", "2023", "-p", plant(targets=[old]))
    assert (done.code, "no target of 2023" in done.err, "allowed: 2024" in done.err) == (
        2,
        True,
        True,
    )
    (none,) = rows(plant(targets=[{**old, "year": 2026}]), "targets", "2026")
    assert (none["status"], none["reason"]) == ("insufficient_data", "no figures of 2026")


def test_a_year_that_figures_do_not_cover_from_its_start(plant: Plant) -> None:
    site = load_site(plant())
    series = energy_series(Published(site, jobs.open_lake(site)), "works", "calorific")
    late = series.with_columns(pl.col("start_utc") + pl.duration(days=40))
    assert year_figures(site, series, 2025, "").reason == ""
    assert year_figures(site, late, 2025, "").reason == "the figures of 2025 begin on 2025-02-10"
    assert year_figures(site, late, 2025, "").to_date.value is None


def test_the_right_to_use_energy(plant: Plant) -> None:
    used = kgce()[during("2025")].sum() / 1000
    right = {
        "year": 2025, "allowance_tce": 70_000, "bought_tce": 8_000, "sold_tce": 1_000,
        "basis": "calorific", "source": "notice 7",
    }  # fmt: skip
    (row,) = rows(plant(quotas=[right]), "quota", "2025")
    assert (row["available"], row["status"]) == (77_000, "on_track")
    assert row["left"] == pytest.approx(77_000 - used)
    assert row["balance"] == pytest.approx(77_000 - row["forecast"])
    assert row["balance_low"] < row["balance"] < row["balance_high"]
    (short,) = rows(plant(quotas=[{**right, "bought_tce": 0}]), "quota", "2025", code=1)
    assert (short["status"], short["balance"] < 0) == ("at_risk", True)
    # By the equivalent value electricity weighs more, and its factor is not sure.
    (more,) = rows(
        plant(quotas=[{**right, "basis": "equivalent", "bought_tce": 20_000}]), "quota", "2025"
    )
    assert more["value"] > row["value"]
    assert (row["confidence"], more["confidence"]) == ("seen", "recalled")
    assert inside("quota", "2024", "-p", plant(quotas=[right])).code == 2


def test_the_screen_speaks_chinese(plant: Plant) -> None:
    done = inside("baseline", "-p", plant(baselines=[ALL]), "--lang", "zh")
    assert all(text in done.out for text in ("系数", "常数项", "可用", "说明"))
