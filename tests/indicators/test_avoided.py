"""Savings: the plan's worked number, and uncertainties against simulated plants."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from indicators.avoided import avoided_energy, fractional_uncertainty
from indicators.baseline import Expected, Model, expected_total, fitted, sample_inflation, student
from indicators.intensity import Bounded
from indicators.savings import energy_saved


def test_the_plans_worked_saving() -> None:
    assert energy_saved(22_400, 56_000, 29_640, 78_000) == pytest.approx(1560, rel=1e-12)


def test_the_bounds_hold_model_and_readings() -> None:
    saving = avoided_energy(Expected(1000.0, 10.0), Bounded(950.0, 940.0, 970.0), 1.8)
    assert (saving.value, saving.uncertainty) == (50.0, 18.0)
    assert (saving.low, saving.high) == (12.0, 78.0)
    assert saving.uncertainty_ratio == pytest.approx(0.36)
    assert avoided_energy(Expected(5.0, 1.0), Bounded(5.0, 5.0, 5.0), 2.0).uncertainty_ratio is None


def noise(rng: np.random.Generator, points: int, rho: float) -> np.ndarray:
    drawn = rng.normal(0, 50, points)
    for n in range(1, points):
        drawn[n] = rho * drawn[n - 1] + np.sqrt(1 - rho**2) * drawn[n]
    return drawn


def met(seed: int, base: int, report: int, rho: float) -> tuple[Model, float, Expected]:
    """A model, the energy that was really avoided less what was reported, and the expected."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(8, 12, base + report)
    energy = 400 + 60 * x + noise(rng, base + report, rho)
    model = fitted(pl.DataFrame({"energy": energy[:base], "x": x[:base]}), ["x"])
    expected = expected_total(model, [float(x[base:].sum())], report)
    return model, expected.value - float(energy[base:].sum()), expected


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    # Binomial: 90 % of 600, standard deviation 7.3; 518 to 562 are 3 of them.
    inside, errors, shorts = 0, [], []
    for seed in range(600):
        model, error, expected = met(seed, 12, 12, 0.0)
        t = student(model, 0.9)
        inside += abs(error) <= t * expected.standard_error
        errors.append(error)
        short = fractional_uncertainty(1.0, model.cv_rmse, 12, sample_inflation(model), 12, t)
        shorts.append(short / t * expected.value)
    assert 518 <= inside <= 562
    # The short formula is not exact: within a fifth of the scatter that there is.
    assert np.mean(shorts) == pytest.approx(np.std(errors), rel=0.2)


def test_days_that_are_alike_make_it_wider() -> None:
    # Autocorrelation 0.6 doubles the scatter of a sum. 90 % of 200, standard deviation 4.2.
    corrected, plain = 0, 0
    for seed in range(200):
        model, error, expected = met(seed, 365, 90, 0.6)
        alone = model._replace(autocorrelation=0.0)
        corrected += abs(error) <= student(model, 0.9) * expected.standard_error
        narrow = expected.standard_error / np.sqrt(sample_inflation(model))
        plain += abs(error) <= student(alone, 0.9) * narrow
    assert 167 <= corrected <= 193
    assert plain < 140


def test_the_short_formula_by_hand() -> None:
    # 1.26 x 2 x 0.1 / 0.05 x sqrt(4 x (1 + 2 / 90) / 30)
    found = fractional_uncertainty(-0.05, 0.1, 360, 4.0, 30, 2.0)
    assert found == pytest.approx(5.04 * (4 * (92 / 90) / 30) ** 0.5)
