"""Energy and drivers of a baseline, period by period: what its model is made of."""

from __future__ import annotations

import csv
from datetime import date, datetime, time, timedelta

import polars as pl

from app import jobs
from app.calendar import calendar, data_span
from app.figures import by_meter, figures_of, output_meters, outputs_of
from app.progress import read_progress
from app.published import Published
from app.publishing import amounts_of
from config.baselines import Baseline
from config.book_tables import METER_PERIODS
from config.errors import InputError
from config.site import Site
from config.standards import CONFIDENCES, Basis
from config.tables import CONSUMPTION
from config.units import conversion_factor
from indicators.numerators import STATUSES, energy_rule, sum_periods
from pipeline.periods import By
from pipeline.rollup import judged, product_output
from pipeline.rules import rules_of
from pipeline.virtual import rolled_up, virtual_rules_of

SPAN = ("period", "start_utc", "end_utc")


def midnight(site: Site, day: date) -> datetime:
    """First moment of a day of the plant."""
    return site.moment(datetime.combine(day, time(0)))


def unit_of(site: Site, baseline: Baseline) -> str:
    """Unit of the baseline's energy."""
    return site.library.energies[baseline.energy] if baseline.energy else "kgce"


def points_of(published: Published, baseline: Baseline) -> pl.DataFrame:
    """A row for each period since the base period began, in order of time.

    Columns: the period's; energy, low, high [unit of the baseline], kgce; coverage_ratio, status
    and confidence of the energy; a column for each driver; reason: why it is no point, empty where
    it is one.
    """
    site, first = published.site, midnight(published.site, baseline.from_)
    consumption, amounts, periods = _sources(published, baseline.grain, first)
    frame = _energy(site, consumption, baseline).filter(pl.col("start_utc") >= first)
    product_of = pl.DataFrame(
        list(output_meters(site).items()),
        schema={"meter_id": pl.String, "product_id": pl.String},
        orient="row",
    )
    made = product_output(amounts, product_of, outputs_of(site, published.lake, periods), periods)
    reasons = [_why_not("energy", "energy", "status")]
    for name in baseline.drivers:
        if name not in site.plant.products and name not in site.plant.all_meters:
            frame = frame.join(_typed(site, baseline, name), on="period", how="left")
            reasons.append(_why_not(name, name, f"_{name}"))
            continue
        if name in site.plant.products:
            values = _output(site, made, name)
        else:
            values = amounts.filter(pl.col("meter_id") == name)
        required = site.plant.quality.required_coverage_ratio
        driver = judged(values, required).select(
            *SPAN, pl.col("amount").alias(name), pl.col("status").alias(f"_{name}")
        )
        frame = frame.join(driver, on=SPAN, how="left")
        reasons.append(_why_not(name, name, f"_{name}"))
    reason = pl.concat_str(reasons, separator="; ", ignore_nulls=True)
    return frame.with_columns(reason=reason).drop(f"_{n}" for n in baseline.drivers).sort(SPAN[1])


def node_energy(consumption: pl.DataFrame, site: Site, node_id: str, basis: Basis) -> pl.DataFrame:
    """All energies of a node together, by grain and period: energy, low, high [kgce]; as the sheets
    state it, coverage_ratio, status and confidence."""
    rule = energy_rule(site.library, basis)
    rows = consumption.filter(pl.col("node_id") == node_id)
    names = dict(enumerate(STATUSES)), dict(enumerate(CONFIDENCES))
    return sum_periods(rows, rule, ()).select(
        "grain",
        *SPAN,
        "coverage_ratio",
        pl.col("numerator_low").alias("low"),
        pl.col("numerator_high").alias("high"),
        energy=pl.col("numerator"),
        kgce=pl.col("numerator"),
        status=pl.when(pl.col("numerator").is_null())
        .then(pl.lit("refused"))
        .otherwise(pl.col("status_rank").replace_strict(names[0], return_dtype=pl.String)),
        confidence=pl.col("confidence_rank").replace_strict(names[1], return_dtype=pl.String),
    )


def _energy(site: Site, consumption: pl.DataFrame, baseline: Baseline) -> pl.DataFrame:
    columns = (*SPAN, "energy", "low", "high", "kgce", "coverage_ratio", "status", "confidence")
    if baseline.energy is None:
        return node_energy(consumption, site, baseline.node, baseline.basis).select(columns)
    return (
        consumption.filter(
            pl.col("node_id") == baseline.node, pl.col("energy_code") == baseline.energy
        )
        .with_columns(energy=pl.col("amount"), kgce=pl.col(f"kgce_{baseline.basis}"))
        .select(columns)
    )


def _output(site: Site, made: pl.DataFrame, product_id: str) -> pl.DataFrame:
    """Output of the product in its unit."""
    mine = made.filter(pl.col("product_id") == product_id)
    unit = site.plant.products[product_id].unit
    sizes = {given: conversion_factor(given, unit) for given in {unit, *mine["unit"]}}
    size = pl.col("unit").replace_strict(sizes, return_dtype=pl.Float64)
    return mine.with_columns(amount=pl.col("quantity") * size)


def _typed(site: Site, baseline: Baseline, name: str) -> pl.DataFrame:
    """A column of the baseline's file, by period. Raises InputError for what is no number."""
    rows: list[tuple[str, float]] = []
    file = site.folder / (baseline.file or "")
    with file.open(encoding="utf-8-sig", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), 2):
            if not (text := (row[name] or "").strip()):
                continue
            try:
                rows.append((row["period"].strip(), float(text)))
            except ValueError:
                raise InputError(
                    f"{file}:{number}: {name} is {text!r}",
                    allowed="a number, or nothing where it is not known",
                ) from None
    frame = pl.DataFrame(rows, schema={"period": pl.String, name: pl.Float64}, orient="row")
    if frame["period"].is_duplicated().any():
        twice = frame.filter(frame["period"].is_duplicated())["period"][0]
        raise InputError(f"{file}: {twice} stands twice", allowed="one row for a period")
    return frame.with_columns(pl.lit("complete").alias(f"_{name}"))


def _why_not(what: str, value: str, status: str) -> pl.Expr:
    """`what` with its status; null where it is complete."""
    known = pl.col(value).is_not_null() & (pl.col(status) == "complete").fill_null(False)
    stated = pl.col(status).fill_null("absent")
    return pl.when(~known).then(pl.format("{} is {}", pl.lit(what), stated))


def _sources(
    published: Published, grain: str, first: datetime
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Consumption, amounts by meter, and the periods; hours are computed, the rest is published."""
    site, lake = published.site, published.lake
    span = data_span(site, lake)
    if grain == "hour":
        progress = read_progress(jobs.storage_folder(site) / jobs.PROGRESS, jobs.origin(site))
        backwards = progress.known.backwards if progress is not None else frozenset[str]()
        amounts, periods = by_meter(site, lake, span, "hour", backwards, start=first)
        outputs = outputs_of(site, lake, periods)
        made = figures_of(site, amounts, outputs, periods, provenance="")
        return made.consumption, amounts, periods
    by: By = "day" if grain == "day" else "month"
    periods = calendar(site, span, by).filter(pl.col("end_utc") > first - timedelta(1))
    rules = [*rules_of(site), *rolled_up(virtual_rules_of(site))]
    if periods.is_empty():
        nothing = METER_PERIODS.polars_schema().to_frame().drop("plant_id")
        return published.rows(CONSUMPTION).clear(), nothing.with_columns(whole=True), periods
    amounts = amounts_of(site, lake, periods, rules)
    return published.rows(CONSUMPTION).filter(pl.col("grain") == by), amounts, periods
