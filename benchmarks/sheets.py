"""How long the documents of a year take: rubric, audit tables, benchmark list.

    python -m benchmarks.sheets [--runs 3] [--keep DIR]

Lays a calendar year of the sample cement works, with check meters besides (30 meters, readings each
quarter of an hour), into a lake and refreshes it. Then runs the commands as a person would, each in
a process of its own, start of the interpreter included, and prints seconds for each and together.
``--keep`` leaves the plant in a folder and takes it from there the next time.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from app import jobs
from app.sites import load_site
from collectors.simulator import CementPlant, layout, write_site
from config.site import Site
from config.tables import READINGS

METERS = 30
QUARTER_US = 900_000_000
DOCUMENTS: dict[str, tuple[str, ...]] = {
    "rubric": ("rubric", "{year}", "--format", "json", "-o", "{out}/rubric.json"),
    "audit": ("audit", "{year}", "--format", "json", "--dir", "{out}/audit"),
    "benchmark": ("benchmark", "{year}", "--format", "json", "-o", "{out}/benchmark.json"),
}
TOGETHER = ("documents", "{year}", "--dir", "{out}/pack")
"""The same in one command, with supervision and renewables besides."""


def made(folder: Path, year: int) -> Path:
    """The plant with its year in the lake, refreshed; made where it is not there."""
    file = folder / "plant.yaml"
    if (folder / "ready").exists():
        return file
    write_site(folder, modbus_port=1502, mqtt_port=1883, since=date(year, 1, 1))
    plant = CementPlant(date(year, 1, 1))
    checks = _add_checks(folder, METERS - len(plant.meters))
    site = load_site(file)
    lake = jobs.open_lake(site)
    zone = ZoneInfo(layout.TIMEZONE)
    for month in range(1, 13):
        first = datetime(year, month, 1, tzinfo=zone)
        last = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
        times = range(_us(first), _us(last) + (month == 12), QUARTER_US)
        rows = [
            _readings(site, meter_id, times, [plant.register_reading(shown, t) for t in times])
            for meter_id, shown in ({m: m for m in plant.meters} | checks).items()
        ]
        lake.append(READINGS, pl.concat(rows).select(READINGS.names).cast(READINGS.polars_schema()))
    jobs.refresh(site, lake)
    (folder / "ready").touch()
    return file


def _add_checks(folder: Path, count: int) -> dict[str, str]:
    """Verification meters beside the kiln's; the meter that each repeats."""
    ledger = folder / "meters.csv"
    with ledger.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    kiln = next(row for row in rows if row["meter_id"] == "kiln")
    found = {f"check_{n:02}": "kiln" for n in range(count)}
    rows += [
        {**kiln, "meter_id": one, "name": one, "role": "check", "unit_id": str(100 + n)}
        for n, one in enumerate(found)
    ]
    with ledger.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return found


def _readings(site: Site, meter_id: str, times: range, values: list[float]) -> pl.DataFrame:
    meter = site.plant.meters[meter_id]
    at = pl.Series(times, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({
        "plant_id": site.id,
        "meter_id": meter_id,
        "quantity": meter.quantity_name,
        "time_utc": at,
        "value": values,
        "status": "good",
        "source": meter.connection or "",
        "received_utc": at + timedelta(seconds=1),
        "sequence": pl.Series([t // QUARTER_US for t in times], dtype=pl.Int64),
    })  # fmt: skip


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


def timed(plant: Path, year: int, out: Path) -> dict[str, float]:
    """Seconds that each command takes, and the one that makes all."""
    took = {}
    for name, words in {**DOCUMENTS, "documents": TOGETHER}.items():
        command = [word.format(year=year, out=out) for word in words]
        since = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "app.cli", *command, "-p", str(plant)],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )
        took[name] = time.perf_counter() - since
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    year = datetime.now(UTC).year - 1
    with tempfile.TemporaryDirectory(prefix="kgce-sheets-") as name:
        plant = made(given.keep or Path(name) / "plant", year)
        site = load_site(plant)
        count = jobs.open_lake(site).scan(READINGS, site.id).select(pl.len()).collect().item()
        print(f"{len(site.plant.meters)} meters, {count:,} readings of {year}")
        together = []
        for _ in range(given.runs):
            took = timed(plant, year, Path(name))
            together.append((took.pop("documents"), sum(took.values())))
            each = ", ".join(f"{one} {seconds:.2f} s" for one, seconds in took.items())
            print(f"  {each}: {together[-1][1]:.2f} s; all in one {together[-1][0]:.2f} s")
    one, three = (statistics.median(column) for column in zip(*together, strict=True))
    print(f"median of the three {three:.2f} s, of all in one command {one:.2f} s")


if __name__ == "__main__":
    main()
