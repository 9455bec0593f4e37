"""Random plants with planted faults and loads without meters: who is named is guilty."""

from __future__ import annotations

from math import sqrt

import numpy as np

from pipeline.suspects import Days, suspect_of

DAYS = 31
PLANTS = 400


def plant(rng: np.random.Generator) -> tuple[Days, str | None, bool]:
    """A month of a plant, the meter that is wrong, and whether a load has no meter."""
    count = int(rng.integers(3, 12))
    together = 1 + 0.15 * rng.standard_normal(DAYS)
    own = rng.uniform(0.02, 0.4, count) * rng.standard_normal((DAYS, count))
    truth = rng.uniform(200, 5000, count) * np.abs(together[:, None] + own)
    truth[rng.uniform(size=truth.shape) < rng.choice([0, 0.1])] = 0.0  # machines rest
    main = truth.sum(axis=1)
    usual = float(main.mean())
    load = {
        "none": np.zeros(DAYS),
        "constant": np.full(DAYS, 0.1 * usual),
        "own rhythm": 0.1 * usual * np.abs(1 + 0.4 * rng.standard_normal(DAYS)),
        "at times": 0.15 * usual * (rng.uniform(size=DAYS) < 0.4),
    }
    kind = str(rng.choice([*load, "none"]))
    shown = np.column_stack([main + load[kind], truth])
    fault, bad = str(rng.choice(["none", "ratio", "dead", "main"])), int(rng.integers(1, count + 1))
    if fault == "ratio":
        shown[:, bad] *= rng.choice([0.5, 2.0, 1 / 3, 0.8])
    elif fault == "dead":
        shown[int(rng.integers(4, 28)) :, bad] = 0.0
    elif fault == "main":
        bad = 0
        shown[:, 0] *= rng.choice([0.5, 2.0, 0.8])
    limits = np.array([0.5, *[1.0] * count]) / 100
    constant, daily = (rng.uniform(-0.5, 0.5, (n, count + 1)) for n in (1, DAYS))
    amounts = shown * (1 + limits * (constant + daily))
    allowed = amounts * limits
    tolerance = np.minimum(sqrt(3) * np.sqrt((allowed**2).sum(axis=1)), allowed.sum(axis=1))
    names = ("main", *(f"b{n}" for n in range(1, count + 1)))
    days = Days(names, (1, *[-1] * count), amounts, tolerance, np.zeros(DAYS))
    return days, None if fault == "none" else names[bad], kind != "none"


def test_whoever_is_named_is_wrong() -> None:
    rng = np.random.default_rng(20261122)
    named, wrongly, seen = 0, 0, 0
    for _ in range(PLANTS):
        days, guilty, load = plant(rng)
        suspect = suspect_of(days)
        seen += guilty is not None and not load
        named += suspect is not None and suspect.meter_id == guilty
        wrongly += suspect is not None and suspect.meter_id != guilty
    assert wrongly == 0
    assert seen > 80
    assert named > seen / 2  # most single faults are found


def test_few_days_and_balanced_days_name_nobody() -> None:
    amounts = np.array([[10.0, 5.0, 1.0]] * 4)
    few = Days(("main", "a", "b"), (1, -1, -1), amounts, np.full(4, 0.1), np.zeros(4))
    assert suspect_of(few) is None
    level = np.array([[6.0, 5.0, 1.0]] * 9)
    fine = Days(("main", "a", "b"), (1, -1, -1), level, np.full(9, 0.1), np.zeros(9))
    assert suspect_of(fine) is None
