"""CUSUM of actual minus expected energy, and the points at which the relation changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
LEVEL = 0.01
DRAWS = 999
MOST_CHANGES = 5
LEAST_STRETCH = 3
_SEED = 50_006
_CHUNK = 111


class Change(NamedTuple):
    """A step in energy: number of the first point after it, its size [energy unit per period], and
    the probability of as clear a step where nothing changed."""

    point: int
    size: float
    p_value: float


def cusum(differences: Sequence[float | None]) -> list[float | None]:
    r"""Cumulative sum of actual minus expected [energy unit].

    .. math:: C_t = \sum_{i \le t} (E_i - \hat E_i)

    A period whose difference is unknown has none, and those behind it go on from the last that has.
    ISO 50006 (clause not checked against the print).

    >>> cusum([1.0, None, 2.5])
    [1.0, None, 3.5]
    """
    sums = accumulate(0.0 if one is None else one for one in differences)
    return [None if one is None else so_far for one, so_far in zip(differences, sums, strict=True)]


def change_points(
    energy: Vector, drivers: Vector, autocorrelation: float = 0.0, level: float = LEVEL
) -> list[Change]:
    r"""Points at which the energy steps up or down, beside what the drivers explain.

    .. math:: \max_k |C_k| / (\lVert M d_k \rVert \lVert M E \rVert), \quad C_k = d_k' M E

    M takes out constant and drivers, d_k is 0 before point k and 1 from it on, so C_k is the CUSUM
    of the residuals; the quotient is Quandt's likelihood ratio (1960; Andrews 1993). It does not
    depend on coefficients or scatter, so 999 seeded draws of normal errors give its exact p-value
    (Dwass 1957), of errors with the ``autocorrelation`` [1] where one is given. While p is at most
    ``level`` the step is kept, all are put to their clearest places (Bai 1997), and the rest is
    looked at again. So where nothing changed, at most the share ``level`` of looks finds something;
    who looks each day looks often. ``energy``: n points in order of time, ``drivers``: n rows. No
    change is closer than 3 points to another or to an end. kgce's own rule.

    >>> made = np.array([1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0, 1.1, 2.9, 3.0, 3.1, 2.9, 3.0, 3.1])
    >>> [(one.point, round(one.size, 2)) for one in change_points(made, np.empty((14, 0)))]
    [(8, 1.99)]
    """
    base = np.column_stack([np.ones(len(energy)), drivers])
    found: list[tuple[int, float]] = []
    while len(found) < MOST_CHANGES:
        design, places = _with_steps(base, found)
        ratios = _ratios(design, energy[:, None], places)
        if not ratios.size or (p := _p_value(design, places, ratios, autocorrelation)) > level:
            break
        found = _moved(base, energy, [*found, (int(places[int(ratios.argmax())]), p)])
    design, _ = _with_steps(base, found)
    sizes = np.linalg.lstsq(design, energy, rcond=None)[0][base.shape[1] :]
    steps = zip(found, sizes, strict=True)
    return sorted(Change(place, float(size), p) for (place, p), size in steps)


def _with_steps(
    base: Vector, found: Sequence[tuple[int, float]]
) -> tuple[Vector, npt.NDArray[np.int64]]:
    """The design with the steps that were found, and the places where another may be."""
    steps = [np.arange(len(base)) >= place for place, _ in found]
    return np.column_stack([base, *steps]), _places(len(base), [place for place, _ in found])


def _moved(
    base: Vector, energy: Vector, found: Sequence[tuple[int, float]]
) -> list[tuple[int, float]]:
    """Each step at its clearest place beside the others: one that was found alone may be off."""
    moved = list(found)
    for at, (_, p_value) in enumerate(found):
        design, places = _with_steps(base, moved[:at] + moved[at + 1 :])
        ratios = _ratios(design, energy[:, None], places)
        moved[at] = (int(places[int(ratios.argmax())]), p_value)
    return moved


def _places(points: int, taken: Sequence[int]) -> npt.NDArray[np.int64]:
    """Where a step may be: away from the ends, and from steps that were found."""
    every = np.arange(LEAST_STRETCH, points - LEAST_STRETCH + 1)
    return every[[all(abs(one - other) >= LEAST_STRETCH for other in taken) for one in every]]


def _ratios(design: Vector, energy: Vector, places: npt.NDArray[np.int64]) -> Vector:
    """The quotient at each place (rows), for each column of ``energy``."""
    base = np.linalg.qr(design / np.abs(design).max(axis=0))[0]
    left = energy - base @ (base.T @ energy)
    behind = np.cumsum(left[::-1], axis=0)[::-1][places]
    taken_out = np.cumsum(base[::-1], axis=0)[::-1][places]
    size = (len(design) - places) - (taken_out**2).sum(axis=1)
    free = size > 1e-9 * len(design)
    scale = np.sqrt(np.where(free, size, 1.0))[:, None] * np.sqrt((left**2).sum(axis=0))
    clear = free[:, None] & (scale > 1e-9 * np.abs(energy).max(initial=0.0))
    return np.where(clear, np.abs(behind) / np.where(clear, scale, 1.0), 0.0)


def _p_value(
    design: Vector, places: npt.NDArray[np.int64], ratios: Vector, autocorrelation: float
) -> float:
    """Share of the draws, and of what was met, that is at least as clear."""
    rng, reached = np.random.default_rng(_SEED), 0
    for _ in range(DRAWS // _CHUNK):
        drawn = _errors(rng, len(design), autocorrelation)
        reached += int((_ratios(design, drawn, places).max(axis=0) >= ratios.max()).sum())
    return (1 + reached) / (1 + DRAWS)


def _errors(rng: np.random.Generator, points: int, autocorrelation: float) -> Vector:
    """Columns of normal errors, each next to the one before as it is told."""
    drawn = rng.standard_normal((points, _CHUNK))
    if autocorrelation:
        fresh = np.sqrt(1 - autocorrelation**2)
        for row in range(1, points):
            drawn[row] = autocorrelation * drawn[row - 1] + fresh * drawn[row]
    return drawn
