"""When which price of electricity holds, and how much was used then (峰谷分时电价)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import polars as pl

from config.tariffs import Tariff

NO_TARIFF = "no_tariff"
NOT_BILLED = "not_billed"
QUARTER = "15m"
RUNS = pl.Schema(
    {
        "start_utc": pl.Datetime("us", "UTC"),
        "end_utc": pl.Datetime("us", "UTC"),
        "tariff": pl.Int64(),
        "tariff_period": pl.String(),
        "cny_per_kwh": pl.Float64(),
    }
)


def tariff_runs(
    tariffs: Sequence[Tariff],
    start: datetime,
    end: datetime,
    zone: ZoneInfo,
    cuts: Sequence[date] = (),
) -> pl.DataFrame:
    r"""Each unbroken time of one tariff period and price from ``start`` to ``end``, in RUNS.

    .. math:: p(t) = p_{tariff(day(t)),\ period(month(t),\ halfhour(t))}

    ``tariffs``: of `config.tariffs.tariffs_in_order`; ``start``, ``end``: aware, on the quarter
    hour; ``cuts``: local days at which a run ends besides. ``tariff`` is the index of the one in
    force; where none is, it is -1 and ``tariff_period`` no_tariff. ``cny_per_kwh`` [CNY/kWh]. The
    half-hours are those of the zone's clock, so a day of 25 hours has the one that is repeated
    twice. kgce's own rule.

    >>> tariff_runs([], datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")),
    ...             datetime(2026, 1, 2, tzinfo=ZoneInfo("UTC")), ZoneInfo("UTC")).row(0)[2:]
    (-1, 'no_tariff', None)
    """
    local = pl.col("start_utc").dt.convert_time_zone(zone.key)
    found = (
        _quarters(start, end)
        .with_columns(day=local.dt.date(), minute=_minute(local), month=_month(local))
        .with_columns(slot=pl.col("minute") // 30, cut=_cuts(cuts))
        .join_asof(_firsts(tariffs), on="day")
        .with_columns(pl.col("tariff").fill_null(-1))
        .join(_clock(tariffs), on=("tariff", "month", "slot"), how="left")
        .with_columns(pl.col("tariff_period").fill_null(NO_TARIFF))
        .sort("start_utc")
    )
    same = ("tariff", "tariff_period", "cny_per_kwh")
    runs = found.group_by(pl.struct("cut", *same).rle_id().alias("run"), maintain_order=True)
    last = pl.col("start_utc").last().dt.offset_by(QUARTER)
    first = (pl.col(name).first() for name in ("start_utc", *same))
    return runs.agg(*first, end_utc=last).select(RUNS.names())


def _quarters(start: datetime, end: datetime) -> pl.DataFrame:
    utc = ZoneInfo("UTC")
    begins = pl.datetime_range(
        start.astimezone(utc), end.astimezone(utc), QUARTER, closed="left", eager=True
    )
    return pl.DataFrame({"start_utc": begins.dt.cast_time_unit("us")})


def _minute(local: pl.Expr) -> pl.Expr:
    return local.dt.hour().cast(pl.Int64) * 60 + local.dt.minute().cast(pl.Int64)


def _month(local: pl.Expr) -> pl.Expr:
    return local.dt.month().cast(pl.Int64)


def _cuts(days: Sequence[date]) -> pl.Expr:
    """How many of the days have come."""
    return pl.sum_horizontal(pl.lit(0), *(pl.col("day") >= day for day in days))


def _firsts(tariffs: Sequence[Tariff]) -> pl.DataFrame:
    rows = [(tariff.from_, index) for index, tariff in enumerate(tariffs)]
    return pl.DataFrame(rows, schema={"day": pl.Date, "tariff": pl.Int64}, orient="row")


def _clock(tariffs: Sequence[Tariff]) -> pl.DataFrame:
    """Tariff period and price of each tariff, month and half-hour."""
    rows = [
        (index, month, slot, name, tariff.price(month, name))
        for index, tariff in enumerate(tariffs)
        for month in range(1, 13)
        for slot, name in enumerate(tariff.season(month).by_half_hour)
    ]
    schema = {
        "tariff": pl.Int64, "month": pl.Int64, "slot": pl.Int64, "tariff_period": pl.String,
        "cny_per_kwh": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def tariff_amounts(
    by_meter: pl.DataFrame, runs: pl.DataFrame, weights: pl.DataFrame
) -> pl.DataFrame:
    r"""Electricity of each tariff period and price [kWh], with what of it was measured.

    .. math:: W_p = \sum_m w_m \sum_{t \in p} W_{m,t}

    ``by_meter``: amount, low, high, measured, imputed, covered_s by meter_id and run (start_utc).
    ``runs``: as of `tariff_runs`, with ``other_cny_per_kwh``, the price of what no tariff bills.
    ``weights``: tariff, meter_id, weight (+1 or -1), billed. A run of which nothing is known adds
    nothing, and lowers the coverage; a meter that knows nothing of a tariff period makes it
    unknown. The coverage is the weakest meter's. kgce's own rule.

    >>> at = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))
    >>> runs = tariff_runs([], at, at.replace(hour=1), ZoneInfo("UTC"))
    >>> by_meter = runs.select("start_utc", "end_utc").with_columns(
    ...     meter_id=pl.lit("main"), amount=8.0, low=8.0, high=9.0, measured=7.0, imputed=1.0,
    ...     covered_s=3600.0)
    >>> weights = pl.DataFrame({"tariff": -1, "meter_id": "main", "weight": 1, "billed": True})
    >>> priced = runs.with_columns(other_cny_per_kwh=0.5)
    >>> tariff_amounts(by_meter, priced, weights).select("amount", "high", "cny_per_kwh").row(0)
    (8.0, 9.0, 0.5)
    """
    own = ("tariff_period", "cny_per_kwh", "tariff")
    plus = pl.col("weight") > 0
    signed = _of_meters(_billed(by_meter, runs, weights), own).with_columns(
        pl.col("amount", "measured", "imputed") * pl.col("weight"),
        low=pl.when(plus).then(pl.col("low")).otherwise(-pl.col("high")),
        high=pl.when(plus).then(pl.col("high")).otherwise(-pl.col("low")),
    )
    return (
        signed.group_by(own)
        .agg(
            *(_sum_or_null(name).alias(name) for name in ("amount", "low", "high")),
            *(_sum(name).alias(name) for name in ("measured", "imputed")),
            pl.col("coverage_ratio").min(),
            pl.col("hours").max(),
        )
        .sort(own)
    )


def _billed(by_meter: pl.DataFrame, runs: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """The meters' amounts by run, with the tariff period and price that each has."""
    at_tariff = pl.col("billed") & (pl.col("tariff") >= 0)
    price = pl.when(at_tariff).then("cny_per_kwh").otherwise("other_cny_per_kwh")
    period = pl.when("billed").then("tariff_period").otherwise(pl.lit(NOT_BILLED))
    return (
        by_meter.join(runs.drop("end_utc"), on="start_utc")
        .join(weights, on=("tariff", "meter_id"))
        .with_columns(
            window_s=(pl.col("end_utc") - pl.col("start_utc")).dt.total_seconds(),
            tariff_period=period,
            cny_per_kwh=price,
        )
    )


def _of_meters(parts: pl.DataFrame, own: Sequence[str]) -> pl.DataFrame:
    covered = pl.col("covered_s").sum() / pl.col("window_s").sum()
    return parts.group_by("meter_id", "weight", *own).agg(
        amount=pl.when(pl.col("amount").is_not_null().any()).then(_sum("amount")),
        low=_sum_or_null("low"),
        high=_sum_or_null("high"),
        measured=_sum("measured"),
        imputed=_sum("imputed"),
        coverage_ratio=covered.clip(0, 1),
        hours=pl.col("window_s").sum() / 3600,
    )


def demand_spans(start: datetime, end: datetime, minutes: int, zone: ZoneInfo) -> pl.DataFrame:
    r"""The intervals over which demand is a mean: start_utc and end_utc, from ``start`` to ``end``.

    .. math:: [t_k, t_k + \Delta t)

    ``minutes`` [min] is 15 or 30; half-hours are those of the zone's clock. kgce's own rule.

    >>> first = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))
    >>> len(demand_spans(first, first.replace(day=2), 30, ZoneInfo("UTC")))
    48
    """
    local = pl.col("start_utc").dt.convert_time_zone(zone.key)
    begins = (_minute(local) % minutes == 0).cum_sum().alias("span")
    quarters = _quarters(start, end).group_by(begins, maintain_order=True)
    last = pl.col("start_utc").last().dt.offset_by(QUARTER)
    return quarters.agg(pl.col("start_utc").first(), end_utc=last).drop("span")


def highest_demand(by_interval: pl.DataFrame, meters: Sequence[str]) -> pl.DataFrame:
    r"""The highest mean power of the intervals: one row, or none where nothing is known.

    .. math:: P = \max_t \sum_m W_{m,t} / \Delta t

    ``by_interval``: amount, low, high [kWh] by meter_id, start_utc and end_utc, of all ``meters``
    together. Columns: start_utc (the first interval in which it stood), kw, low, high [kW],
    imputed (whether any of that interval's amount is). ``high`` is null where nothing bounds one
    of the intervals. kgce's own rule.

    >>> at = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))
    >>> spans = demand_spans(at, at.replace(hour=1), 15, ZoneInfo("UTC"))
    >>> by_interval = spans.with_columns(
    ...     meter_id=pl.lit("main"), amount=pl.Series([40.0, 60.0, 60.0, 50.0]), imputed=0.0,
    ...     low=10.0, high=70.0)
    >>> highest_demand(by_interval, ["main"]).select("kw", "low", "high").row(0)
    (240.0, 40.0, 280.0)
    """
    hours = (pl.col("end_utc") - pl.col("start_utc")).dt.total_seconds() / 3600
    ends = ("amount", "low", "high")
    sums = (
        by_interval.filter(pl.col("meter_id").is_in(list(meters)))
        .group_by("start_utc", "end_utc")
        .agg(*(_sum_or_null(name).alias(name) for name in ends), pl.col("imputed").abs().sum())
        .with_columns(pl.col(ends) / hours)
    )
    bounds = sums.select(
        low=pl.col("low").max(),
        high=pl.when(pl.col("high").null_count() == 0).then(pl.col("high").max()),
    )
    top = sums.drop_nulls("amount").sort("amount", "start_utc", descending=[True, False]).head(1)
    return top.select("start_utc", kw="amount", imputed=pl.col("imputed") > 0).join(
        bounds, how="cross"
    )


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """First moment of a day of the zone, in UTC. kgce's own rule.

    >>> local_midnight(date(2026, 1, 1), ZoneInfo("Asia/Shanghai")).isoformat()
    '2025-12-31T16:00:00+00:00'
    """
    return datetime.combine(day, time(0), zone).astimezone(ZoneInfo("UTC"))


def _sum(name: str) -> pl.Expr:
    """Smallest first: the same to the last bit in whatever order an engine adds."""
    return pl.col(name).drop_nulls().implode().list.sort().list.sum()


def _sum_or_null(name: str) -> pl.Expr:
    return pl.when(pl.col(name).null_count() == 0).then(_sum(name))
