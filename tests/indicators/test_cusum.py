"""The CUSUM finds what changed, soon, and cries wolf no more often than it says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from statsmodels.regression.linear_model import OLS

from indicators.cusum import LEVEL, change_points, cusum

Vector = npt.NDArray[np.float64]


def works(
    seed: int, points: int, scatter: float, at: int | None, rho: float = 0.0
) -> tuple[Vector, Vector]:
    """Energy of about 1 with a relative scatter; from ``at`` on 5 % less."""
    rng = np.random.default_rng(seed)
    output, noise = rng.uniform(0.7, 1.3, points), rng.normal(0, scatter, points)
    for n in range(1, points):
        noise[n] += rho * noise[n - 1]
    energy = 0.2 + 0.8 * output + noise
    if at is not None:
        energy[at:] *= 0.95
    return energy, output[:, None]


def test_the_cumulative_sum_goes_over_what_is_unknown() -> None:
    assert cusum([2.0, None, -5.0, 1.0]) == [2.0, None, -3.0, -2.0]


def test_it_is_the_largest_t_of_all_steps() -> None:
    energy, output = works(3, 24, 0.02, 12)
    (found,) = change_points(energy, output)
    step = np.arange(24)[:, None] >= np.arange(3, 22)[None, :]
    design = np.column_stack([np.ones(24), output])
    fits = [OLS(energy, np.column_stack([design, one])).fit() for one in step.T]
    best = max(range(len(fits)), key=lambda n: abs(fits[n].tvalues[-1]))
    assert found.point == best + 3
    assert found.size == pytest.approx(fits[best].params[-1], rel=1e-9)
    assert found.p_value == 0.001


def test_where_nothing_changed_it_finds_no_more_than_its_level() -> None:
    # Binomial: 5 % of 400 is 20, standard deviation 4.4; 7 to 33 are 3 of them.
    found = sum(bool(change_points(*works(s, 24, 0.02, None), level=0.05)) for s in range(400))
    assert 7 <= found <= 33
    assert LEVEL == 0.01


def test_nor_where_neighbouring_days_are_alike() -> None:
    runs = [works(s, 60, 0.02, None, rho=0.6) for s in range(100)]
    told = sum(bool(change_points(*run, autocorrelation=0.6, level=0.05)) for run in runs)
    untold = sum(bool(change_points(*run, level=0.05)) for run in runs)
    assert told <= 11  # 5 % of 100 is 5, standard deviation 2.2
    assert untold > 40


@pytest.mark.parametrize(
    ("points", "base", "scatter", "within"), [(24, 12, 0.015, 5), (425, 365, 0.04, 20)]
)
def test_five_percent_less_is_found_soon(
    points: int, base: int, scatter: float, within: int
) -> None:
    """12 months and 365 days, then ``within`` of what is different: in 9 of 10 plants."""
    runs = [works(s, points, scatter, base) for s in range(20)]
    looks = [change_points(e[: base + within], x[: base + within]) for e, x in runs]
    assert sum(bool(found) for found in looks) >= 18
    later = [change_points(*run)[0] for run in runs]
    near = 1 if points == 24 else 10
    assert sum(abs(one.point - base) <= near for one in later) >= 16
    assert np.median([one.size for one in later]) == pytest.approx(-0.05, abs=0.005)


def test_an_event_that_ends_is_two_steps() -> None:
    right = 0
    for seed in range(20):
        energy, output = works(seed, 120, 0.02, None)
        energy[40:70] += 0.1
        found = change_points(energy, output)
        places = [one.point for one in found]
        if len(found) == 2 and abs(places[0] - 40) <= 1 and abs(places[1] - 70) <= 1:
            right += 1
            assert found[0].size == pytest.approx(0.1, abs=0.025)
            assert found[1].size == pytest.approx(-0.1, abs=0.025)
    assert right >= 18


def test_it_is_the_same_each_time_and_needs_room() -> None:
    energy, output = works(5, 24, 0.02, 12)
    assert change_points(energy, output) == change_points(energy, output)
    assert change_points(energy[:5], output[:5]) == []
    flat = np.full(24, 3.0)
    assert change_points(flat, output) == []
