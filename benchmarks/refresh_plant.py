"""A plant of many meters and years of minute readings, laid into the lake as the daemon leaves it.

Past months stand in a few large files in the order of arrival, as compaction makes them; a new day
comes in small batches, compacted every six hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from app import jobs
from app.sites import load_site
from config.site import Site
from config.tables import READINGS, TABLES
from storage.commits import commit_actions, open_or_create
from storage.datafiles import month_of_day, write_file
from storage.lake import Lake
from tests.plants import CLINKER_ELECTRICITY, CLINKER_ENERGY, write_plant

CEMENT_ENERGY = "GB 16780-2021|水泥产品|单位产品综合能耗"
PROCESSES = ("quarry", "raw-mill", "kiln", "cooler", "cement-mill", "packing")
PER_PROCESS = 9
PRODUCTS = {
    "clinker": (("quarry", "raw-mill", "kiln", "cooler"), (CLINKER_ENERGY, CLINKER_ELECTRICITY)),
    "cement": (PROCESSES[:5], (CEMENT_ENERGY,)),
    "bagged": (PROCESSES, (CEMENT_ENERGY,)),
}
MINUTE_US = 60_000_000
DAY_MINUTES = 1440
FILE_DAYS = 8
"""Days of 500 meters that compaction puts into one file of about 100 MB."""
BATCH_MINUTES = 5
COMPACTED_MINUTES = 360
SEED = 20261115


def end_of_history() -> datetime:
    """The 15th of this month (UTC): every length of history ends in the midst of a month."""
    return datetime.now(UTC).replace(day=15, hour=0, minute=0, second=0, microsecond=0)


def start_of_history(months: int) -> datetime:
    """So many months before its end."""
    end = end_of_history()
    month = end.year * 12 + end.month - 1 - months
    return end.replace(year=month // 12, month=month % 12 + 1)


def write_large_plant(folder: Path, meters: int) -> Path:
    """plant.yaml and meters.csv of ``meters`` counters at 60 nodes, three of them of products."""
    nodes: dict[str, Any] = {"works": {"name": "Works", "level": "plant"}}
    places = []
    for process in PROCESSES:
        nodes[process] = {"name": process, "level": "process", "parent": "works"}
        for number in range(PER_PROCESS):
            place = f"{process}-{number}"
            nodes[place] = {"name": place, "level": "equipment", "parent": process}
            places.append(place)
    rows = [
        _counter(f"e{n:03}", places[n % len(places)], _rated(n), energy="electricity", unit="kWh")
        for n in range(meters - len(PRODUCTS))
    ]
    rows += [
        _counter(f"p-{product}", "works", 300.0, product=product, role="output", unit="t")
        for product in PRODUCTS
    ]
    products = {
        name: {"name": name, "unit": "t", "boundary": list(boundary), "norms": list(norms)}
        for name, (boundary, norms) in PRODUCTS.items()
    }
    return write_plant(
        folder,
        meters=rows,
        nodes=nodes,
        connections={"historian": {"type": "files"}},
        products=products,
        imports={},
        intervals={"poll_s": 60},
    )


def _rated(number: int) -> float:
    return (55.0, 110.0, 250.0, 400.0)[number % 4]


def _counter(meter_id: str, node: str, rated: float, **cells: str) -> dict[str, str]:
    row = {"meter_id": meter_id, "name": meter_id, "node": node, "kind": "counter"}
    return {**row, "connection": "historian", "rated_per_h": str(rated), **cells}


@dataclass
class Meters:
    """Counters that run on from day to day, each at a load of its own that goes up and down.

    Of every hundred meters, in a month, three fall silent for hours, two dip to zero for five
    minutes, and one starts anew from zero.
    """

    site: Site
    values: npt.NDArray[np.float64] = field(init=False)
    rated: npt.NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(SEED)
        self.ids = pl.Series(list(self.site.plant.meters), dtype=pl.String)
        rated = [meter.rated_per_h or 0.0 for meter in self.site.plant.meters.values()]
        self.rated = np.array(rated)
        self.values = rng.uniform(1e3, 1e6, len(rated)).round(2)
        self.load = rng.uniform(0.3, 0.6, len(rated))

    def day(self, day: datetime) -> pl.DataFrame:
        """One day's readings in the order of time; the counters stand at its end afterwards."""
        day_us = round(day.timestamp()) * 1_000_000
        rng = np.random.default_rng((SEED, day_us // (MINUTE_US * DAY_MINUTES)))
        count = len(self.ids)
        shape = (DAY_MINUTES, count)
        swing = 1 + 0.4 * np.sin(np.arange(DAY_MINUTES) / DAY_MINUTES * 2 * np.pi)
        steps = self.rated / 60 * self.load * swing[:, None] * rng.uniform(0.6, 1.4, shape)
        values = (self.values + np.cumsum(steps, axis=0)).round(2)
        for meter in np.flatnonzero(rng.random(count) < 0.01 / 30):
            at = rng.integers(DAY_MINUTES)
            values[at:, meter] = (values[at:, meter] - values[at, meter]).round(2)
        self.values = values[-1].copy()
        silent = np.zeros(shape, np.bool_)
        for meter in np.flatnonzero(rng.random(count) < 0.03 / 30):
            at = rng.integers(DAY_MINUTES)
            silent[at : at + rng.integers(60, 600), meter] = True
        for meter in np.flatnonzero(rng.random(count) < 0.02 / 30):
            at = rng.integers(DAY_MINUTES)
            values[at : at + 5, meter] = 0.0
        minutes = day_us + np.arange(DAY_MINUTES, dtype=np.int64)[:, None] * MINUTE_US
        read = np.arange(count) * 40_000 + rng.integers(0, 30_000, shape)
        return self._frame((minutes + read).ravel(), values.ravel(), silent.ravel())

    def _frame(
        self, t: npt.NDArray[np.int64], values: npt.NDArray[np.float64], silent: npt.NDArray[Any]
    ) -> pl.DataFrame:
        numbers = np.tile(np.arange(len(self.ids), dtype=np.uint32), DAY_MINUTES)
        frame = pl.DataFrame({"t": t, "value": values, "silent": silent})
        return frame.select(
            plant_id=pl.lit(self.site.id),
            meter_id=self.ids.gather(numbers),
            quantity=pl.lit("value"),
            time_utc=pl.from_epoch("t", "us").dt.replace_time_zone("UTC"),
            value=pl.when(~pl.col("silent")).then("value"),
            status=pl.when("silent").then(pl.lit("timeout")).otherwise(pl.lit("good")),
            source=pl.lit("historian"),
            received_utc=pl.from_epoch(pl.col("t") + 50_000, "us").dt.replace_time_zone("UTC"),
            sequence=pl.col("t") // MINUTE_US,
        ).cast(READINGS.polars_schema())


def fill(lake: Lake, meters: Meters, months: int) -> int:
    """The history, in files as compaction leaves them; the number of readings."""
    folder = lake.path / READINGS.name
    rows = 0
    for days in _groups(start_of_history(months), end_of_history()):
        frame = pl.concat(meters.day(day) for day in days)
        delta = open_or_create(READINGS, folder)
        commit_actions(folder, delta, [write_file(READINGS, folder, frame, month_of_day(days[0]))])
        rows += len(frame)
    return rows


def _groups(start: datetime, end: datetime) -> Iterator[list[datetime]]:
    """Days in groups of `FILE_DAYS`, none over the end of a month."""
    days: list[datetime] = []
    day = start
    while day < end:
        if days and (len(days) == FILE_DAYS or day.month != days[0].month):
            yield days
            days = []
        days.append(day)
        day += timedelta(days=1)
    if days:
        yield days


def append_day(lake: Lake, meters: Meters, day: datetime) -> int:
    """One day more, as flushes and compactions put it there; the number of readings."""
    frame = meters.day(day)
    batch = BATCH_MINUTES * len(meters.ids)
    for number, part in enumerate(frame.iter_slices(batch)):
        if number * BATCH_MINUTES % COMPACTED_MINUTES == 0:
            jobs.compact_lake(lake, TABLES.values())
        lake.append(READINGS, part)
    return len(frame)


def open_plant(folder: Path) -> tuple[Site, Lake]:
    site = load_site(folder / "plant.yaml")
    return site, jobs.open_lake(site)
