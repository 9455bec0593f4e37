"""Baselines: a certified regression, coverage of the truth over seeds, refusals and acceptance."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from config.errors import InputError
from indicators.baseline import (
    Model,
    accepted,
    expected_each,
    expected_total,
    fitted,
    means_inside,
    sample_inflation,
    student,
    why_no_model,
)

# NIST StRD, data set Norris (public domain): y and x, with certified results.
NORRIS = """
0.1 0.2 338.8 337.4 118.1 118.2 888.0 884.6 9.2 10.1 228.1 226.5 668.5 666.3 998.5 996.3
449.1 448.6 778.9 777.0 559.2 558.2 0.3 0.4 0.1 0.6 778.1 775.5 668.8 666.9 339.3 338.0
448.9 447.5 10.8 11.6 557.7 556.0 228.3 228.1 998.0 995.8 888.8 887.6 119.6 120.2 0.3 0.3
0.6 0.3 557.6 556.8 339.3 339.1 888.0 887.2 998.5 999.0 778.9 779.0 10.2 11.1 117.6 118.3
228.9 229.2 668.4 669.1 449.2 448.9 0.2 0.5
"""
TRUTH = np.array([500.0, 60.0, -8.0])
RUNS, POINTS = 1000, 24


def frame(energy: object, **drivers: object) -> pl.DataFrame:
    return pl.DataFrame({"energy": energy, **drivers})


def norris() -> pl.DataFrame:
    numbers = np.array(NORRIS.split(), dtype=float)
    return frame(numbers[::2], x=numbers[1::2])


def simulated(seed: int, points: int = POINTS) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    output, cold = rng.uniform(80, 120, points), rng.uniform(0, 30, points)
    energy = TRUTH[0] + TRUTH[1] * output + TRUTH[2] * cold + rng.normal(0, 100, points)
    return frame(energy, output=output, cold=cold)


def test_a_certified_regression() -> None:
    model = fitted(norris(), ["x"])
    constant, slope = model.terms
    assert constant.value == pytest.approx(-0.262323073774029, rel=1e-9)
    assert constant.standard_error == pytest.approx(0.232818234301152, rel=1e-9)
    assert slope.value == pytest.approx(1.00211681802045, rel=1e-12)
    assert slope.standard_error == pytest.approx(0.429796848199937e-3, rel=1e-9)
    assert model.rmse == pytest.approx(0.884796396144373, rel=1e-9)
    assert model.r2 == pytest.approx(0.999993745883712, rel=1e-12)
    t_975_of_34 = 2.0322445
    assert slope.high == pytest.approx(slope.value + t_975_of_34 * slope.standard_error, rel=1e-9)
    assert (slope.driver_min, slope.driver_max) == (0.2, 999.0)
    assert model.cv_rmse == pytest.approx(model.rmse / model.energy_mean)
    assert model.adjusted_r2 == pytest.approx(1 - (1 - model.r2) * 35 / 34, rel=1e-12)


def test_the_truth_lies_in_the_95_percent_interval_in_95_percent_of_runs() -> None:
    # Binomial: 950 of 1,000 with a standard deviation of 6.9; 930 to 970 are 2.9 of them.
    inside = np.zeros(3)
    for seed in range(RUNS):
        terms = fitted(simulated(seed), ["output", "cold"]).terms
        inside += [term.low <= truth <= term.high for term, truth in zip(terms, TRUTH, strict=True)]
    assert all(930 <= count <= 970 for count in inside), inside


@pytest.mark.parametrize(
    ("points", "drivers", "reason"),
    [
        (simulated(0, 11), ["output", "cold"], "11 points; at least 12 are needed"),
        (simulated(0).with_columns(cold=pl.lit(7.0)), ["output", "cold"], "cold is the same"),
        (simulated(0).with_columns(energy=pl.lit(7.0)), ["output"], "energy is the same"),
        (
            simulated(0).with_columns(tonnes=pl.col("output") * 1000 + 5),
            ["output", "tonnes"],
            "output follows from tonnes: its variance inflation is ",
        ),
        (
            simulated(0, 12).with_columns(
                pl.Series(f"d{n}", np.random.default_rng(n).normal(size=12)) for n in range(11)
            ),
            [f"d{n}" for n in range(11)],
            "12 points for 12 terms",
        ),
    ],
)
def test_what_gives_no_model(points: pl.DataFrame, drivers: list[str], reason: str) -> None:
    assert why_no_model(points, drivers).startswith(reason)
    with pytest.raises(InputError, match=reason):
        fitted(points, drivers)


def test_twelve_points_are_enough_and_drivers_that_differ_a_little_too() -> None:
    assert why_no_model(simulated(3, 12), ["output", "cold"]) == ""
    noise = pl.Series(np.random.default_rng(9).normal(0, 4, POINTS))
    alike = simulated(3).with_columns(tonnes=pl.col("output") + noise)
    assert why_no_model(alike, ["output", "tonnes"]) == ""


def made(**changes: float) -> Model:
    return fitted(simulated(1), ["output", "cold"])._replace(**changes)


def test_acceptance() -> None:
    assert all(check.met for check in accepted(made()))
    assert [c.name for c in accepted(made(r2=0.49)) if not c.met] == ["r2"]
    assert [c.name for c in accepted(made(f_p_value=0.11)) if not c.met] == ["f_p_value"]
    assert all(check.met for check in accepted(made(r2=0.5, f_p_value=0.1)))
    model = made()

    def with_p(*values: float) -> list[str]:
        pairs = zip(model.terms, (0.9, *values), strict=True)  # the constant's does not count
        terms = tuple(term._replace(p_value=p) for term, p in pairs)
        return [c.name for c in accepted(model._replace(terms=terms)) if not c.met]

    assert with_p(0.2, 0.09) == []
    assert with_p(0.21, 0.01) == ["largest_p_value"]
    assert with_p(0.15, 0.1) == ["smallest_p_value"]


def test_a_driver_without_effect_is_not_accepted() -> None:
    rng = np.random.default_rng(4)
    model = fitted(frame(rng.normal(100, 5, 24), x=rng.normal(size=24)), ["x"])
    assert [c.name for c in accepted(model) if not c.met] == [
        "f_p_value", "largest_p_value", "smallest_p_value", "r2",
    ]  # fmt: skip


def test_the_range_in_which_the_model_holds() -> None:
    model = made()
    report = pl.DataFrame({"output": [100.0, 130.0, 100.0], "cold": [10.0, 10.0, 60.0]})
    assert expected_each(model, report)["inside_range"].to_list() == [True, False, False]
    output, cold = means_inside(model, report)
    assert (output.value, output.met) == (110.0, True)
    assert (cold.value, cold.met) == (pytest.approx(80 / 3), True)
    assert not means_inside(model, report.with_columns(cold=pl.lit(40.0)))[1].met


def test_points_on_a_line_have_no_scatter() -> None:
    x = np.arange(12.0)
    model = fitted(frame(3 + 2 * x, x=x), ["x"])
    assert model.r2 == pytest.approx(1)
    assert model.rmse == pytest.approx(0, abs=1e-12)
    assert all(check.met for check in accepted(model))


def test_expected_of_each_and_of_all_are_one() -> None:
    model, report = made(), simulated(77)
    totals = [float(report[name].sum()) for name in model.drivers]
    together = expected_total(model, totals, POINTS)
    assert together.value == pytest.approx(expected_each(model, report)["expected"].sum())
    one = expected_each(model, report.head(1)).row(0, named=True)
    alone = expected_total(model, [report[name][0] for name in model.drivers], 1)
    half = student(model, 0.95) * alone.standard_error
    assert one["expected_high"] - one["expected"] == pytest.approx(half)


def test_residuals_of_periods_that_do_not_meet_are_no_neighbours() -> None:
    start = pl.Series("start_utc", range(24))
    alternating = np.tile([1.0, -1.0], 12)
    x = np.random.default_rng(5).normal(size=24)
    points = frame(10 + x + alternating, x=x).with_columns(start, end_utc=start + 1)
    assert fitted(points, ["x"]).autocorrelation < -0.8
    assert fitted(points, ["x"]).durbin_watson > 3.6
    apart = points.with_columns(
        start_utc=pl.col("start_utc") * 2, end_utc=pl.col("end_utc") * 2 - 1
    )
    assert (fitted(apart, ["x"]).autocorrelation, fitted(apart, ["x"]).durbin_watson) == (0, 2)


def test_autocorrelation_lessens_the_points() -> None:
    model = made(points=100, autocorrelation=0.5)
    assert sample_inflation(model) == 3.0
    assert sample_inflation(made(points=12, autocorrelation=0.5)) == 1.0  # may be chance
    assert student(model, 0.9) == pytest.approx(1.6973 + 0.0003, abs=2e-3)  # 100 / 3 - 3
    assert math.isfinite(sample_inflation(made(points=100, autocorrelation=1.0)))
