"""Main meters against their branches: the residual, what accuracy allows, and who is to blame.

    residual = main + inside - branches - aside

The tolerance: the limits +-a of each meter's accuracy class are those of a uniform distribution,
whose standard uncertainty is a / sqrt(3) (JCGM 100:2008, 4.3.7; recalled). Those of all meters are
added as root sum of squares and expanded with k = 3 (6.2): a plant looks at many nodes every day,
and k = 2 would accuse somebody every month. The sum of all limits is the most that classes can
explain. Transformers of current and voltage have no class in the ledger; `losses_ratio` of the node
can make room for them.

Two worked cases. A main meter of class 0.5 at 10,000 kWh and branches of class 1 at 6,000 and
3,950 kWh: the least of sqrt(3) * sqrt(50^2 + 60^2 + 39.5^2) = 152 and 50 + 60 + 39.5 = 149.5 kWh,
so that a residual of 50 balances. The same at 6,000 and 3,000 kWh: 1,000 against 140 does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from math import sqrt

import numpy as np
import polars as pl

from config.balance import accuracy_pct
from config.balance_tables import BALANCES
from config.months import statistical_month
from config.node_tree import NodeTree, Parts
from config.site import Site
from pipeline.sums import total, total_or_null
from pipeline.suspects import Days, Suspect, suspect_of

EXPANSION = 3 / sqrt(3)  # k = 3 times the standard uncertainty of limits
OFF = ("unbalanced", "main_below_branches")
SIDES = ("main", "inside", "branches", "aside")
SUPPLY = ("main", "inside")
PERIOD_KEY = ("grain", "period", "start_utc", "end_utc")
LINE = ("node_id", "energy_code")

PART_SCHEMA = pl.Schema(
    {
        "node_id": pl.String(),
        "energy_code": pl.String(),
        "meter_id": pl.String(),
        "side": pl.String(),
        "sign": pl.Int8(),
        "accuracy_pct": pl.Float64(),
        "losses_ratio": pl.Float64(),
    }
)


def balances(by_meter: pl.DataFrame, site: Site) -> pl.DataFrame:
    """Rows of BALANCES for every node and energy that is metered on two sides.

    ``by_meter``: rows of `meter_periods`, of one grain or several. A bad meter is named from the
    days of a statistical month or year, so only where rows of the grain `day` are among them; for
    the same result as ever they must be all days of the month or year.
    """
    parts = balance_parts(site)
    sums = _judged(_sums(by_meter, parts), site.plant.quality.required_coverage_ratio)
    found = _named(sums, by_meter, parts, site)
    return (
        found.with_columns(plant_id=pl.lit(site.id))
        .select(BALANCES.names)
        .cast(BALANCES.polars_schema())
        .sort(*LINE, "start_utc", "grain")
    )


def balance_parts(site: Site) -> pl.DataFrame:
    """The meters of every balance: side, sign, and permitted error in per cent."""
    plant = site.plant
    tree = NodeTree(plant.nodes, plant.all_meters)
    rows = [
        (node_id, energy, meter_id, side, 1 if side in SUPPLY else -1, pct, node.losses_ratio)
        for node_id, node in plant.nodes.items()
        for energy in tree.energies
        for side, meter_id in _sides(tree.parts(node_id, energy))
        for pct in (_permitted_pct(site, meter_id),)
    ]
    return pl.DataFrame(rows, schema=PART_SCHEMA, orient="row")


def _sides(parts: Parts | None) -> Iterator[tuple[str, str]]:
    for side in SIDES if parts is not None else ():
        for meter_id in getattr(parts, side):
            yield side, meter_id


def _permitted_pct(site: Site, meter_id: str) -> float:
    meter = site.plant.meters.get(meter_id)
    stated = accuracy_pct(meter.accuracy_class) if meter is not None else None
    return site.plant.balance.default_accuracy_pct if stated is None else stated


def _sums(by_meter: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Sums by side, residual with its bounds, tolerance, losses and coverage."""
    wanted = parts.group_by(LINE).agg(wanted=pl.len())
    plus = pl.col("sign") > 0
    whole = pl.len() == pl.col("wanted").first()

    def side(name: str) -> pl.Expr:
        amounts = pl.col("amount").filter(pl.col("side") == name)
        return pl.when(whole & (amounts.null_count() == 0)).then(total(amounts))

    return (
        parts.lazy()
        .join(wanted.lazy(), on=LINE)
        .join(by_meter.lazy().select("meter_id", *PERIOD_KEY, "unit", *FIGURES), on="meter_id")
        .with_columns(
            signed=pl.col("amount") * pl.col("sign"),
            low=pl.when(plus).then(pl.col("low")).otherwise(-pl.col("high")),
            high=pl.when(plus).then(pl.col("high")).otherwise(-pl.col("low")),
            limit=pl.col("amount").abs() * pl.col("accuracy_pct") / 100,
        )
        .with_columns(
            squared=pl.col("limit") ** 2,
        )
        .group_by(*LINE, *PERIOD_KEY, "unit")
        .agg(
            *(side(name).alias(name) for name in SIDES),
            residual=pl.when(whole).then(total_or_null("signed")),
            low=pl.when(whole).then(total_or_null("low")),
            high=pl.when(whole).then(total_or_null("high")),
            tolerance=pl.when(whole).then(
                pl.min_horizontal(
                    EXPANSION * total_or_null("squared").sqrt(), total_or_null("limit")
                )
            ),
            coverage_ratio=pl.when(whole).then(pl.col("coverage_ratio").min()).otherwise(0.0),
            losses_ratio=pl.col("losses_ratio").first(),
        )
        .with_columns(supply=pl.col("main") + pl.col("inside"))
        .with_columns(
            losses=pl.max_horizontal(pl.col("supply"), 0.0) * pl.col("losses_ratio"),
            residual_ratio=pl.when(pl.col("supply") != 0).then(
                pl.col("residual") / pl.col("supply")
            ),
        )
        .collect()
    )


FIGURES = ("amount", "low", "high", "coverage_ratio")


def _judged(sums: pl.DataFrame, required_coverage_ratio: float) -> pl.DataFrame:
    """With ``status``.

    A residual is judged where coverage suffices; else only what holds wherever between its bounds
    the truth is. So gaps on one side accuse nobody.
    """
    residual, low, high = pl.col("residual"), pl.col("low"), pl.col("high")
    bottom, top = -pl.col("tolerance"), pl.col("losses") + pl.col("tolerance")
    covered = pl.col("coverage_ratio") >= required_coverage_ratio
    inside = (residual >= bottom) & (residual <= top)
    proven = (low >= bottom) & (high <= top)
    return sums.with_columns(
        status=pl.when(residual.is_null() | top.is_null())
        .then(pl.lit("unknown"))
        .when((low > top).fill_null(False))
        .then(pl.lit("unbalanced"))
        .when((high < bottom).fill_null(False))
        .then(pl.lit("main_below_branches"))
        .when(inside & (covered | proven.fill_null(False)))
        .then(
            pl.when(residual <= pl.col("tolerance"))
            .then(pl.lit("balanced"))
            .otherwise(pl.lit("within_losses"))
        )
        .otherwise(pl.lit("unknown"))
    )


def _named(
    sums: pl.DataFrame, by_meter: pl.DataFrame, parts: pl.DataFrame, site: Site
) -> pl.DataFrame:
    """With the suspect of each row that is off."""
    windows = sums.with_columns(
        month=_window(site, sums.get_column("grain"), sums.get_column("period"), "month"),
        year=_window(site, sums.get_column("grain"), sums.get_column("period"), "year"),
    )
    off = windows.filter(pl.col("status").is_in(OFF))
    days = windows.filter(pl.col("grain") == "day", pl.col("status") != "unknown")
    found: list[tuple[str, str, str, str, str, str, float | None]] = []
    for grains, window in ((("day", "month"), "month"), (("year",), "year")):
        rows = off.filter(pl.col("grain").is_in(grains), pl.col(window).is_not_null())
        for node_id, energy, label in sorted(rows.select(*LINE, window).unique().iter_rows()):
            here = (pl.col("node_id") == node_id) & (pl.col("energy_code") == energy)
            suspect = _suspect(
                days.filter(here, pl.col(window) == label).sort("start_utc"),
                by_meter.filter(pl.col("grain") == "day"),
                parts.filter(here).sort("meter_id"),
            )
            if suspect is not None:
                found.extend(
                    (node_id, energy, grain, label, suspect.meter_id, suspect.cause, suspect.factor)
                    for grain in grains
                )
    named = pl.DataFrame(found, schema=NAMED_SCHEMA, orient="row")
    label = pl.when(pl.col("grain") == "year").then("year").otherwise("month")
    return (
        windows.with_columns(label=label)
        .join(named, on=(*LINE, "grain", "label"), how="left")
        .with_columns(
            pl.when(pl.col("status").is_in(OFF)).then(pl.col(name)).alias(name)
            for name in ("suspect", "suspect_cause", "suspect_factor")
        )
    )


NAMED_SCHEMA = pl.Schema(
    {
        "node_id": pl.String(),
        "energy_code": pl.String(),
        "grain": pl.String(),
        "label": pl.String(),
        "suspect": pl.String(),
        "suspect_cause": pl.String(),
        "suspect_factor": pl.Float64(),
    }
)


def _window(site: Site, grains: pl.Series, labels: pl.Series, window: str) -> pl.Series:
    """The statistical month or year that a day is in; of a month or year itself, if it is one."""
    last_day = site.plant.plant.month_end_day
    known: dict[str, str] = {}

    def label(grain: str, period: str) -> str | None:
        if grain == window:
            return period
        if grain != "day":
            return None
        if period not in known:
            year, month = statistical_month(date.fromisoformat(period), last_day)
            known[period] = f"{year:04}-{month:02}" if window == "month" else f"{year:04}"
        return known[period]

    found = [label(grain, period) for grain, period in zip(grains, labels, strict=True)]
    return pl.Series(window, found, dtype=pl.String)


def _suspect(days: pl.DataFrame, by_day: pl.DataFrame, parts: pl.DataFrame) -> Suspect | None:
    """Who explains the residuals of one node and energy on ``days``."""
    if days.is_empty():
        return None
    amounts: Mapping[tuple[str, str], float] = {
        (meter_id, period): amount
        for meter_id, period, amount in by_day.filter(
            pl.col("meter_id").is_in(parts.get_column("meter_id").implode())
        )
        .select("meter_id", "period", "amount")
        .iter_rows()
    }
    meter_ids = tuple(parts.get_column("meter_id"))
    return suspect_of(
        Days(
            meter_ids,
            tuple(parts.get_column("sign")),
            np.array([[amounts[one, day] for one in meter_ids] for day in days["period"]]),
            days.get_column("tolerance").to_numpy(),
            days.get_column("losses").to_numpy(),
        )
    )
