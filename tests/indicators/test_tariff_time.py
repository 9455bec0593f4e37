"""Half-hours of the zone's clock, on days of 23, 24 and 25 hours; amounts and demands by them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from config.tariffs import Season, Tariff
from indicators.tariff_time import highest_demand, local_midnight, tariff_amounts, tariff_runs

# Valley from 22:00 to 02:30: its end lies inside the hour that Berlin leaves out or repeats.
HOURS = {"valley": ["22:00-02:30"], "peak": ["02:30-22:00"]}


def tariff(day: str = "2020-01-01", **fields: object) -> Tariff:
    whole = {"from": day, "prices": {"peak": 1.0, "valley": 0.5}, "source": "invented"}
    return Tariff.model_validate({"seasons": [{"hours": HOURS}], **whole, **fields})


def hours_of(day: date, zone: str, *tariffs: Tariff) -> dict[str, float]:
    at = ZoneInfo(zone)
    runs = tariff_runs(
        tariffs or (tariff(),), local_midnight(day, at), local_midnight(day + timedelta(1), at), at
    )
    length = (pl.col("end_utc") - pl.col("start_utc")).dt.total_seconds().sum() / 3600
    return dict(runs.group_by("tariff_period").agg(length).iter_rows())


@pytest.mark.parametrize(
    ("day", "zone", "valley", "peak"),
    [
        (date(2025, 9, 10), "Asia/Shanghai", 4.5, 19.5),
        (date(2025, 3, 30), "Europe/Berlin", 4.0, 19.0),  # 02:00 becomes 03:00
        (date(2025, 10, 26), "Europe/Berlin", 5.0, 20.0),  # 02:00 to 03:00 comes twice
        (date(2025, 9, 10), "Asia/Kathmandu", 4.5, 19.5),  # half-hours begin at :15 and :45 UTC
    ],
)
def test_a_day_is_as_long_as_it_is(day: date, zone: str, valley: float, peak: float) -> None:
    assert hours_of(day, zone) == {"valley": valley, "peak": peak}


def test_the_hour_that_comes_twice_is_cut_at_its_half_both_times() -> None:
    at = ZoneInfo("Europe/Berlin")
    start = local_midnight(date(2025, 10, 26), at)
    runs = tariff_runs([tariff()], start, start + timedelta(hours=25), at)
    begins = [(one - start) / timedelta(hours=1) for one in runs["start_utc"]]
    assert begins == [0, 2.5, 3, 3.5, 23]
    assert runs["tariff_period"].to_list() == ["valley", "peak", "valley", "peak", "valley"]


def test_edges_of_half_hours_belong_to_what_begins() -> None:
    at = ZoneInfo("Asia/Shanghai")
    runs = tariff_runs([tariff()], *_day(at), at)
    edges = [one.astimezone(at).strftime("%H:%M") for one in runs["start_utc"]]
    assert edges == ["00:00", "02:30", "22:00"]
    assert runs["end_utc"][-1] == _day(at)[1]


def test_seasons_and_tariffs_change_at_local_midnight() -> None:
    at = ZoneInfo("Asia/Shanghai")
    summer = [
        {"months": [7, 8, 9], "hours": {"sharp": ["00:00-24:00"]}, "prices": {"sharp": 2.0}},
        {"months": [1, 2, 3, 4, 5, 6, 10, 11, 12], "hours": HOURS},
    ]
    first = local_midnight(date(2025, 9, 30), at)
    runs = tariff_runs([tariff(seasons=summer)], first, first + timedelta(2), at)
    assert runs.row(0)[1:] == (first + timedelta(1), 0, "sharp", 2.0)
    later = tariff("2025-09-11", prices={"peak": 9.0, "valley": 8.0})
    runs = tariff_runs([later], *_day(at), at)
    assert runs["tariff_period"].to_list() == ["no_tariff"]
    start = _day(at)[0]
    runs = tariff_runs([tariff(), later], start, start + timedelta(2), at)
    prices = runs.filter(pl.col("tariff_period") == "valley")["cny_per_kwh"].to_list()
    assert prices == [0.5, 0.5, 8.0, 8.0]
    # The run across midnight is cut where the price changes.
    assert local_midnight(date(2025, 9, 11), at) in runs["start_utc"].to_list()


def _day(at: ZoneInfo) -> tuple[datetime, datetime]:
    return local_midnight(date(2025, 9, 10), at), local_midnight(date(2025, 9, 11), at)


def _amounts(*rows: tuple[str, int, float | None, float, float | None]) -> pl.DataFrame:
    """Meter, hour of 10 September, amount, low, high; each of one hour."""
    start, hour = datetime(2025, 9, 10, tzinfo=UTC), timedelta(hours=1)
    return pl.DataFrame(
        [
            (
                *(meter, start + h * hour, start + (h + 1) * hour),
                *(amount, amount or 0.0, 0.0, low, high, 0.0 if amount is None else 3600.0),
            )
            for meter, h, amount, low, high in rows
        ],
        schema={
            "meter_id": pl.String, "start_utc": pl.Datetime("us", "UTC"),
            "end_utc": pl.Datetime("us", "UTC"), "amount": pl.Float64, "measured": pl.Float64,
            "imputed": pl.Float64, "low": pl.Float64, "high": pl.Float64, "covered_s": pl.Float64,
        },
        orient="row",
    )  # fmt: skip


def test_what_goes_out_is_deducted_with_its_bounds_swapped() -> None:
    amounts = _amounts(("main", 0, 10.0, 9.0, 12.0), ("sold", 0, 4.0, 3.0, 6.0))
    runs = pl.DataFrame(
        {"start_utc": amounts["start_utc"][:1], "end_utc": amounts["end_utc"][:1], "tariff": [0],
         "tariff_period": ["peak"], "cny_per_kwh": [1.0], "other_cny_per_kwh": [None]},
        schema_overrides={"other_cny_per_kwh": pl.Float64},
    )  # fmt: skip
    weights = pl.DataFrame(
        {"tariff": [0, 0], "meter_id": ["main", "sold"], "weight": [1, -1], "billed": [True, True]}
    )
    row = tariff_amounts(amounts, runs, weights).row(0, named=True)
    assert (row["amount"], row["low"], row["high"]) == (6.0, 3.0, 9.0)
    unknown = _amounts(("main", 0, 10.0, 9.0, 12.0), ("sold", 0, None, 0.0, None))
    row = tariff_amounts(unknown, runs, weights).row(0, named=True)
    assert (row["amount"], row["low"], row["high"]) == (None, None, 12.0)
    assert row["coverage_ratio"] == 0.0


def test_the_highest_demand_is_the_first_of_equals_and_bounded_by_all() -> None:
    amounts = _amounts(
        ("a", 0, 10.0, 10.0, 10.0), ("b", 0, 5.0, 5.0, 5.0),
        ("a", 1, 12.0, 12.0, 12.0), ("b", 1, 8.0, 8.0, 8.0),
        ("a", 2, 12.0, 0.0, 30.0), ("b", 2, 8.0, 8.0, 8.0),
    )  # fmt: skip
    top = highest_demand(amounts, ["a", "b"]).row(0, named=True)
    assert (top["kw"], top["low"], top["high"]) == (20.0, 20.0, 38.0)
    assert top["start_utc"] == datetime(2025, 9, 10, 1, tzinfo=UTC)
    open_ended = _amounts(("a", 0, 10.0, 10.0, 10.0), ("a", 1, None, 0.0, None))
    assert highest_demand(open_ended, ["a"])["high"].to_list() == [None]
    assert highest_demand(_amounts(("a", 1, None, 0.0, None)), ["a"]).is_empty()


def test_a_season_covers_the_day_once() -> None:
    with pytest.raises(ValueError, match="22:00-22:30 belongs to no period"):
        Season.model_validate({"hours": {"valley": ["22:30-02:30"], "peak": ["02:30-22:00"]}})
    with pytest.raises(ValueError, match="02:00-02:30 belongs to valley and peak"):
        Season.model_validate({"hours": {"valley": ["22:00-02:30"], "peak": ["02:00-22:00"]}})
    with pytest.raises(ValueError, match="month 7 stands in 2 seasons"):
        tariff(seasons=[{"hours": HOURS}, {"months": [7], "hours": HOURS}])
