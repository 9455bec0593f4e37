"""Meters that stand still while production runs (law 3), as rows of ``findings``: one a day."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import polars as pl

from config.models import Plant
from config.months import statistical_month
from config.node_tree import NodeTree
from config.site import Site
from config.tables import FINDINGS
from pipeline.sums import total

# code -> (severity, message)
MESSAGES: dict[str, tuple[str, str]] = {
    "meter.stands_still": (
        "warning",
        "this meter took nothing on a day on which a product of its node was made, and mostly it "
        "does: look whether it is dead; no figure was changed",
    ),
}
CODE = "meter.stands_still"
LEAST_DAYS = 3  # on which the meter ran, of the month, to know what is usual
MOSTLY = 2  # days on which it ran, for each on which it stood at another time


def standstills(by_meter: pl.DataFrame, site: Site) -> pl.DataFrame:
    """Rows of FINDINGS for energy meters that took exactly nothing on a day with production.

    ``by_meter``: as `rollup.meter_periods` makes it; of it the whole days, which must be all those
    of their statistical months: a meter is judged by the other days of the month. Only days count
    that are covered as the configuration demands, and on which some of a product was made for
    certain: one that the meter serves (`_served`). Of these the meter must have run on at least
    `LEAST_DAYS`, and on `MOSTLY` times those on which it stood besides the days in a row that it is
    accused of: a standby line stands now and then, and a dead meter in one go.

    Two cases, of the ten days of a month with production. 900 kWh on the first three, 0 on the
    other seven: seven findings. 0 on nine and 900 on the fifth, or on every other day: none.
    """
    days = by_meter.filter(pl.col("grain") == "day", "whole")
    made = _made(days, site.plant)
    judged = _judged(days, made, site)
    rows = [_row(site, day, made) for day in _accused(judged).iter_rows(named=True)]
    return pl.DataFrame(rows, schema=FINDINGS.polars_schema(), orient="row").sort(*FINDINGS.key)


def _made(days: pl.DataFrame, plant: Plant) -> pl.DataFrame:
    """Products made for certain: product_id, start_utc, output, output_unit."""
    meters = {
        meter_id: meter.product
        for meter_id, meter in plant.all_meters.items()
        if meter.product is not None and meter.role == "output"
    }
    product = pl.col("meter_id").replace_strict(meters, default=None, return_dtype=pl.String)
    return (
        days.filter(pl.col("low") > 0, pl.col("amount").is_not_null())
        .select("start_utc", "amount", product_id=product, output_unit="unit")
        .filter(pl.col("product_id").is_not_null())
        .group_by("product_id", "start_utc", "output_unit")
        .agg(output=total("amount"))
        .sort("product_id", "start_utc")
    )


def _judged(days: pl.DataFrame, made: pl.DataFrame, site: Site) -> pl.DataFrame:
    """Covered days of energy meters on which a product of theirs was made, in order."""
    plant = site.plant
    pairs = pl.DataFrame(
        list(_served(plant)), schema={"meter_id": pl.String, "product_id": pl.String}, orient="row"
    )
    ran = made.join(pairs, on="product_id").group_by("meter_id", "start_utc").agg("product_id")
    months = {
        period: statistical_month(date.fromisoformat(period), plant.plant.month_end_day)
        for period in days["period"].unique()
    }
    label = {period: f"{year}-{month:02}" for period, (year, month) in months.items()}
    return (
        days.filter(
            pl.col("coverage_ratio") >= plant.quality.required_coverage_ratio,
            pl.col("amount").is_not_null(),
        )
        .join(ran, on=("meter_id", "start_utc"))
        .with_columns(
            month=pl.col("period").replace_strict(label, return_dtype=pl.String),
            products=pl.col("product_id").list.sort(),
            stands=pl.col("amount") == 0,
        )
        .sort("meter_id", "start_utc")
    )


def _served(plant: Plant) -> Iterator[tuple[str, str]]:
    """Each meter that is read and takes energy in, with the products that it is judged by.

    These are the products whose boundary holds it, without those whose boundary holds that of
    another one of them as a whole: of what kiln and mill make, clinker alone says whether the kiln
    runs, for cement is made from stored clinker too.
    """
    tree = NodeTree(plant.nodes, plant.meters)
    lines = {node_id: {node_id, *tree.ancestors(node_id)} for node_id in plant.nodes}
    inside = {
        product_id: {one for one, line in lines.items() if line & set(product.boundary)}
        for product_id, product in plant.products.items()
    }
    for meter_id, meter in plant.meters.items():
        if meter.energy is None or meter.role != "input" or meter.connection is None:
            continue
        holding = [product_id for product_id, nodes in inside.items() if meter.node in nodes]
        for product_id in holding:
            if not any(inside[other] < inside[product_id] for other in holding):
                yield meter_id, product_id


def _accused(judged: pl.DataFrame) -> pl.DataFrame:
    """The days on which a meter stands that mostly runs, with ``usual``, its middle running day."""
    month = ("meter_id", "month")
    runs = pl.col("amount") > 0
    return (
        judged.with_columns(
            in_a_row=pl.col("stands").rle_id().over(month),
            running=runs.sum().over(month),
            standing=pl.col("stands").cast(pl.Int64).sum().over(month),
            usual=pl.col("amount").filter(runs).median().over(month),
        )
        .with_columns(at_once=pl.len().cast(pl.Int64).over(*month, "in_a_row"))
        .filter(
            "stands",
            pl.col("running") >= LEAST_DAYS,
            pl.col("running") >= MOSTLY * (pl.col("standing") - pl.col("at_once")),
        )
    )


def _row(site: Site, day: dict[str, Any], made: pl.DataFrame) -> tuple[Any, ...]:
    severity, message = MESSAGES[CODE]
    outputs = made.filter(
        pl.col("start_utc") == day["start_utc"], pl.col("product_id").is_in(day["products"])
    )
    evidence = {
        "day": day["period"],
        "usual": day["usual"],
        "unit": day["unit"],
        "running_days": day["running"],
        "coverage_ratio": day["coverage_ratio"],
        "made": [
            {"product": product, "output": output, "unit": unit}
            for product, unit, output in outputs.select(
                "product_id", "output_unit", "output"
            ).iter_rows()
        ],
    }
    text = json.dumps(evidence, ensure_ascii=False)
    return (
        site.id, CODE, severity, day["meter_id"], day["start_utc"], day["end_utc"], message, text
    )  # fmt: skip
