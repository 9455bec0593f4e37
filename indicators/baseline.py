"""Energy baselines (能源基准): energy as a linear function of what drives it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from config.errors import InputError

Vector = npt.NDArray[np.float64]
CONSTANT = "constant"
LEAST_POINTS = 12
LARGEST_INFLATION = 100.0
COEFFICIENT_CONFIDENCE = 0.95


class Term(NamedTuple):
    """A coefficient [energy unit per unit of the driver], its 95 % interval, and the driver's
    range in the base period; of the constant the range is empty."""

    name: str
    value: float
    standard_error: float
    low: float
    high: float
    p_value: float
    driver_min: float | None
    driver_max: float | None
    driver_mean: float | None


class Model(NamedTuple):
    """A fitted baseline. ``covariance`` is that of the coefficients, in the order of ``terms``;
    ``rmse`` [energy unit] and ``cv_rmse`` [1] have the degrees of freedom in the divisor."""

    terms: tuple[Term, ...]
    covariance: Vector
    points: int
    energy_mean: float
    rmse: float
    cv_rmse: float
    r2: float
    adjusted_r2: float
    f_p_value: float
    durbin_watson: float
    autocorrelation: float

    @property
    def drivers(self) -> tuple[str, ...]:
        return tuple(term.name for term in self.terms if term.name != CONSTANT)


class Check(NamedTuple):
    """One condition of acceptance: what is, what is allowed, and whether it is met."""

    name: str
    value: float
    allowed: str
    met: bool


class Expected(NamedTuple):
    """What a model expects of some periods together, and the standard error of a new total."""

    value: float
    standard_error: float


def why_no_model(points: pl.DataFrame, drivers: Sequence[str]) -> str:
    """Why the points give no model; empty where they do.

    ``points``: columns start_utc, end_utc, energy and each driver, without nulls. Refused are fewer
    than 12 points, as many terms as points, energy or a driver that is the same in every point, and
    a driver that the others explain so far that its variance inflation [1] is over 100. The least
    number of points is practice of ISO 50006; the bound of inflation [1] is kgce's own rule.

    >>> why_no_model(pl.DataFrame({"energy": [1.0, 2.0], "output": [1.0, 2.0]}), ["output"])
    '2 points; at least 12 are needed'
    """
    if len(points) < LEAST_POINTS:
        return f"{len(points)} points; at least {LEAST_POINTS} are needed"
    if len(points) <= len(drivers) + 1:
        return f"{len(points)} points for {len(drivers) + 1} terms"
    for name in ("energy", *drivers):
        if _is_constant(points[name].to_numpy()):
            return f"{name} is the same in every period"
    for name in drivers:
        others = [other for other in drivers if other != name]
        inflation = _inflation(points[name].to_numpy(), points.select(others).to_numpy())
        if inflation > LARGEST_INFLATION:
            how = f"{inflation:.0f}" if inflation < 1e6 else "without end"
            return f"{name} follows from {', '.join(others)}: its variance inflation is {how}"
    return ""


def fitted(points: pl.DataFrame, drivers: Sequence[str]) -> Model:
    r"""Ordinary least squares of energy on its drivers and a constant.

    .. math:: E = \beta_0 + \sum_j \beta_j x_j + \varepsilon, \quad
        CV = \frac{1}{\bar E} \sqrt{\frac{\sum \varepsilon^2}{n - p}}

    ``points`` as for `why_no_model`, in order of time. Energy in its unit per period, drivers in
    theirs. Durbin-Watson and autocorrelation [1] are of residuals of periods that follow on each
    other. ISO 50006 and, for CV(RMSE), ASHRAE
    Guideline 14 (clauses not checked against the print). Raises InputError where there is no model.

    >>> x = [float(n) for n in range(12)]
    >>> noise = [0.1, -0.1, -0.1, 0.1] * 3
    >>> made = pl.DataFrame({"x": x, "energy": [5 + 2 * a + b for a, b in zip(x, noise)]})
    >>> [(term.name, round(term.value, 3)) for term in fitted(made, ["x"]).terms]
    [('constant', 5.0), ('x', 2.0)]
    """
    from statsmodels.regression.linear_model import OLS  # takes seconds to load

    if reason := why_no_model(points, drivers):
        raise InputError(reason)
    energy = points["energy"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):  # points that lie on a line exactly
        found = OLS(energy, _design(points, drivers)).fit()
        terms = tuple(_terms(found, points, drivers))
        r2, adjusted, f_p = (found.rsquared, found.rsquared_adj, found.f_pvalue)
    rmse = math.sqrt(max(found.ssr, 0.0) / found.df_resid)
    return Model(
        terms,
        np.asarray(found.cov_params()),
        len(points),
        float(energy.mean()),
        rmse,
        rmse / abs(float(energy.mean())),
        float(r2),
        float(adjusted),
        float(f_p),
        *_autocorrelation(found.resid, points),
    )


def accepted(model: Model) -> tuple[Check, ...]:
    """The conditions that a baseline has to meet, each with what it is [1].

    p of the F test at most 0.1, p of every driver at most 0.2 and of one under 0.1, R2 at least
    0.5. kgce's own rule, after the practice of the VERIFI programme.

    >>> [check.name for check in accepted(Model((), np.eye(1), 12, 1, 1, 1, 1, 1, 0, 2, 0))]
    ['f_p_value', 'largest_p_value', 'smallest_p_value', 'r2']
    """
    p_values = [term.p_value for term in model.terms if term.name != CONSTANT] or [math.nan]
    return (
        Check("f_p_value", model.f_p_value, "<= 0.1", model.f_p_value <= 0.1),
        Check("largest_p_value", max(p_values), "<= 0.2", max(p_values) <= 0.2),
        Check("smallest_p_value", min(p_values), "< 0.1", min(p_values) < 0.1),
        Check("r2", model.r2, ">= 0.5", model.r2 >= 0.5),
    )


def means_inside(model: Model, report: pl.DataFrame) -> tuple[Check, ...]:
    """Whether each driver's mean over the report periods lies in the range of the base period.

    ``report`` has a column for each driver, in the driver's unit [unit]. kgce's own rule,
    after ISO 50006.

    >>> means_inside(Model((), np.eye(1), 12, 1, 1, 1, 1, 1, 0, 2, 0), pl.DataFrame())
    ()
    """
    found = []
    for term in model.terms:
        if term.driver_min is not None and term.driver_max is not None and len(report):
            mean = float(report[term.name].to_numpy().mean())
            allowed = f"{term.driver_min:.6g} to {term.driver_max:.6g}"
            inside = term.driver_min <= mean <= term.driver_max
            found.append(Check(f"mean of {term.name}", mean, allowed, inside))
    return tuple(found)


def expected_each(model: Model, drivers: pl.DataFrame) -> pl.DataFrame:
    r"""What the model expects of each row, with the 95 % interval of one new period.

    .. math:: \hat E = x' \beta, \quad s^2 = x' \mathrm{Cov}(\beta) x + \mathrm{RMSE}^2

    Columns expected, expected_low, expected_high [energy unit] and inside_range: whether every
    driver lies in the range of the base period. kgce's own rule: linear regression.

    >>> flat = Model((Term("constant", 5.0, 0, 5, 5, 0, None, None, None),), np.zeros((1, 1)),
    ...              12, 5.0, 0.0, 0.0, 1, 1, 0, 2, 0)
    >>> expected_each(flat, pl.DataFrame({"x": [1.0]})).row(0)
    (5.0, 5.0, 5.0, True)
    """
    design = _design(drivers, model.drivers)
    value = design @ np.array([term.value for term in model.terms])
    spread = np.sqrt(((design @ model.covariance) * design).sum(axis=1) + model.rmse**2)
    half = student(model, COEFFICIENT_CONFIDENCE) * spread
    inside = np.ones(len(drivers), dtype=bool)
    for term in model.terms:
        if term.driver_min is not None and term.driver_max is not None:
            given = drivers[term.name].to_numpy()
            inside &= (given >= term.driver_min) & (given <= term.driver_max)
    columns = {"expected": value, "expected_low": value - half, "expected_high": value + half}
    return pl.DataFrame({**columns, "inside_range": inside})


def expected_total(model: Model, totals: Sequence[float], periods: float) -> Expected:
    r"""What the model expects of ``periods`` periods together [energy unit].

    .. math:: \hat E = X' \beta, \quad
        s^2 = \frac{n}{n'} (X' \mathrm{Cov}(\beta) X + m\, \mathrm{RMSE}^2)

    ``totals``: the sum of each driver over the periods, in the order of ``model.drivers``. n / n'
    is `sample_inflation`. ASHRAE Guideline 14 in the exact form of Reddy and Claridge
    (2000); clause not checked against the print.

    >>> flat = Model((Term("constant", 5.0, 0, 5, 5, 0, None, None, None),), np.zeros((1, 1)),
    ...              12, 5.0, 1.0, 0.2, 1, 1, 0, 2, 0)
    >>> expected_total(flat, [], 4)
    Expected(value=20.0, standard_error=2.0)
    """
    row = np.array([periods, *totals])
    variance = float(row @ model.covariance @ row) + periods * model.rmse**2
    value = float(row @ np.array([term.value for term in model.terms]))
    return Expected(value, math.sqrt(sample_inflation(model) * variance))


def sample_inflation(model: Model) -> float:
    r"""By how much autocorrelation lessens the number of points, n / n' [1].

    .. math:: n' = n \frac{1 - \rho}{1 + \rho}

    1 where the autocorrelation is not above zero by more than chance (1.96 / sqrt(n)). ASHRAE
    Guideline 14 (clause not checked against the print).

    >>> made = Model((), np.eye(1), 100, 1, 1, 1, 1, 1, 0, 1.0, 0.5)
    >>> sample_inflation(made), sample_inflation(made._replace(autocorrelation=0.1))
    (3.0, 1.0)
    """
    rho = min(model.autocorrelation, 0.99)
    return (1 + rho) / (1 - rho) if rho > 1.96 / math.sqrt(model.points) else 1.0


def student(model: Model, confidence: float) -> float:
    r"""Student's t of a two-sided interval [1], with the degrees of freedom of n' points.

    .. math:: t = F_t^{-1}\left(\frac{1 + c}{2},\ n' - p\right)

    ``confidence`` c [1]; p terms, and at least one degree is left. kgce's own rule.

    >>> made = Model((), np.eye(1), 10, 1, 1, 1, 1, 1, 0, 2, 0)
    >>> round(student(made, 0.95), 3)
    2.228
    """
    from scipy.stats import t

    points = model.points / sample_inflation(model)
    return float(t.ppf((1 + confidence) / 2, max(1.0, points - len(model.terms))))


def _design(frame: pl.DataFrame, drivers: Sequence[str]) -> Vector:
    columns = [np.ones(len(frame)), *(frame[name].to_numpy() for name in drivers)]
    return np.column_stack(columns)


def _is_constant(values: Vector) -> bool:
    return bool(np.ptp(values) <= 1e-9 * np.abs(values).max())


def _inflation(values: Vector, others: Vector) -> float:
    """Variance inflation factor of a driver."""
    if not others.shape[1]:
        return 1.0
    design = np.column_stack([np.ones(len(values)), others / np.abs(others).max(axis=0)])
    left = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    around = values - values.mean()
    rest = float(left @ left)
    return float(around @ around) / rest if rest > 0 else math.inf


def _terms(found: Any, points: pl.DataFrame, drivers: Sequence[str]) -> Iterator[Term]:
    ends = found.conf_int(1 - COEFFICIENT_CONFIDENCE)
    for place, name in enumerate((CONSTANT, *drivers)):
        given = None if name == CONSTANT else points[name].to_numpy()
        yield Term(
            name,
            float(found.params[place]),
            float(found.bse[place]),
            *(float(ends[place][0]), float(ends[place][1])),
            float(found.pvalues[place]),
            *((None, None, None) if given is None else _range(given)),
        )


def _range(given: Vector) -> tuple[float, float, float]:
    return float(given.min()), float(given.max()), float(given.mean())


def _autocorrelation(residuals: Vector, points: pl.DataFrame) -> tuple[float, float]:
    """Durbin-Watson and the lag-1 autocorrelation, of neighbours in time."""
    if "end_utc" in points.columns:
        meets = points["end_utc"].to_numpy()[:-1] == points["start_utc"].to_numpy()[1:]
    else:
        meets = np.ones(len(points) - 1, dtype=bool)
    square = float(residuals @ residuals)
    if not square or not meets.any():
        return 2.0, 0.0
    size = square * meets.sum() / (len(residuals) - 1)
    before, after = residuals[:-1][meets], residuals[1:][meets]
    return float(((after - before) ** 2).sum()) / size, float(before @ after) / size
