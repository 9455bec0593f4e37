"""The figures of one year, and of the one before, that a year's end is forecast from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from app.baseline_points import midnight, node_energy
from app.published import Published, grain_of
from config.months import month_after, month_start
from config.site import Site
from config.standards import Basis
from config.tables import CONSUMPTION, INDICATORS
from indicators.intensity import Bounded

Carbon = Callable[[str], pl.DataFrame]
UNKNOWN = Bounded(None, None, None)
TCE = {"gce": 1e-6, "kgce": 1e-3, "tce": 1.0}
SERIES = pl.Schema(
    {
        "grain": pl.String(),
        "period": pl.String(),
        "start_utc": pl.Datetime("us", "UTC"),
        "end_utc": pl.Datetime("us", "UTC"),
        "amount": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "made": pl.Float64(),
        "coverage_ratio": pl.Float64(),
        "status": pl.String(),
        "confidence": pl.String(),
        "reason": pl.String(),
    }
)
"""Amounts by month and year; ``made`` is the output that an amount was for, 1 where none is."""


@dataclass(frozen=True)
class YearFigures:
    """To date, and by month: ``this`` and ``last`` year's complete months (amount, made).

    ``until`` and ``reason``: up to when the figures reach, or why there are none.
    """

    start: datetime
    end: datetime
    to_date: Bounded = UNKNOWN
    made: float = 0.0
    until: datetime | None = None
    this: tuple[tuple[float, float] | None, ...] = ()
    last: tuple[tuple[float, float] | None, ...] = ()
    days: tuple[float, ...] = ()
    coverage_ratio: float = 0.0
    confidence: str = ""
    rows: str = ""
    reason: str = ""

    @property
    def over(self) -> bool:
        return self.until == self.end

    @property
    def elapsed_days(self) -> float:
        return 0.0 if self.until is None else (self.until - self.start) / timedelta(1)

    @property
    def rest_days(self) -> float:
        return (self.end - (self.until or self.start)) / timedelta(1)

    @property
    def elapsed_months(self) -> float:
        """Whole months, and the part of the running one by its days."""
        left, whole = self.elapsed_days, 0
        while whole < 12 and left >= self.days[whole] - 1e-9:
            left, whole = left - self.days[whole], whole + 1
        return whole + (left / self.days[whole] if whole < 12 else 0.0)


def energy_series(published: Published, node_id: str, basis: Basis) -> pl.DataFrame:
    """All energy of a node [tce]."""
    found = node_energy(published.rows(CONSUMPTION), published.site, node_id, basis)
    amounts = (pl.col("energy", "low", "high") / 1000).name.keep()
    return (
        found.with_columns(amounts)
        .with_columns(amount=pl.col("energy"), made=pl.lit(1.0), reason=pl.lit(""))
        .select(SERIES.names())
    )


def carbon_series(published: Published, carbon: Carbon, year: int) -> pl.DataFrame:
    """Emissions of the plant [tCO2], of the year, its months and those of the year before."""
    frames = []
    months = [f"{one}-{month:02}" for one in (year - 1, year) for month in range(1, 13)]
    for label in (f"{year:04}", *months):
        span = published.span(label)
        if span is not None:
            total = carbon(label).filter(pl.col("scope") == "total")
            grain = pl.lit(grain_of(label))
            frames.append(
                total.with_columns(
                    grain=grain,
                    start_utc=pl.lit(span[0]).cast(SERIES["start_utc"]),
                    end_utc=pl.lit(span[1]).cast(SERIES["end_utc"]),
                    amount=pl.col("value"),
                    made=pl.lit(1.0),
                ).select(SERIES.names())
            )
    return pl.concat(frames) if frames else SERIES.to_frame()


def product_rows(
    published: Published, product: str, indicator: str, norm: str | None
) -> pl.DataFrame:
    """Rows of INDICATORS of a product: those of the norm, or of the first that its list has."""
    rows = published.rows(INDICATORS).filter(
        pl.col("subject") == product, pl.col("indicator") == indicator
    )
    judged = {*rows["norm"]}
    listed = [one for one in published.site.plant.products[product].norms if one in judged]
    wanted = norm if norm is not None else next(iter(listed), "")
    return rows.filter(pl.col("norm") == wanted)


def product_series(rows: pl.DataFrame, *, tce: bool) -> pl.DataFrame:
    """Energy of a product [numerator's unit, or tce], with the output that it was for.

    ``rows``: of INDICATORS. Bounds are those of the unit consumption, at the output that is stated.
    """
    size = pl.col("numerator_unit").replace_strict(TCE, default=None, return_dtype=pl.Float64)
    per_unit = pl.col("denominator") * (size if tce else pl.lit(1.0))
    return rows.with_columns(
        amount=pl.col("value") * per_unit,
        low=pl.col("low") * per_unit,
        high=pl.col("high") * per_unit,
        made=pl.lit(1.0) if tce else pl.col("denominator"),
        reason=pl.lit(""),
    ).select(SERIES.names())


def year_figures(site: Site, series: pl.DataFrame, year: int, rows: str) -> YearFigures:
    """The year of a series; ``rows`` says where it is from."""
    end_day = site.plant.plant.month_end_day
    start = midnight(site, month_start(year, 1, end_day))
    end = midnight(site, month_start(year + 1, 1, end_day))
    found = series.filter(pl.col("grain") == "year", pl.col("period") == f"{year:04}")
    if found.is_empty():
        return YearFigures(start, end, reason=f"no figures of {year}")
    one = found.row(0, named=True)
    if one["start_utc"] > start:
        since = one["start_utc"].astimezone(site.plant.plant.zone).date()
        return YearFigures(start, end, reason=f"the figures of {year} begin on {since}")
    coverage = one["coverage_ratio"]
    if one["amount"] is None:
        why = f"the year to date is refused, with a coverage of {coverage:.1%}"
        reason = one["reason"] or why
        return YearFigures(start, end, coverage_ratio=coverage, reason=reason)
    bounds = Bounded(one["amount"], one["low"], one["high"])
    return YearFigures(
        start,
        end,
        bounds,
        one["made"],
        one["end_utc"],
        _months(series, year),
        _months(series, year - 1),
        tuple(_lengths(site, year)),
        coverage,
        one["confidence"],
        f"{rows} {year}",
    )


def _months(series: pl.DataFrame, year: int) -> tuple[tuple[float, float] | None, ...]:
    whole = series.filter(
        pl.col("grain") == "month",
        pl.col("status") == "complete",
        pl.col("amount").is_not_null(),
    )
    known = {row["period"]: (row["amount"], row["made"]) for row in whole.iter_rows(named=True)}
    return tuple(known.get(f"{year:04}-{month:02}") for month in range(1, 13))


def _lengths(site: Site, year: int) -> list[float]:
    """Days of the year's months."""
    end_day = site.plant.plant.month_end_day
    firsts = [(year, month) for month in range(1, 13)]
    bounds = [(month_start(*m, end_day), month_start(*month_after(*m), end_day)) for m in firsts]
    return [(midnight(site, b) - midnight(site, a)) / timedelta(1) for a, b in bounds]
