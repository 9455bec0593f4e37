"""How fast readings become figures, against the least that any engine must do.

    python benchmarks/pipeline.py [--readings 20000000] [--rounds 3] [--faults 20] [--layout both]

Makes one file of minute readings of 50 counters and lets three contenders read it in turn, each in
a process of its own: kgce's whole pipeline (duplicates, disorder, dips, rollovers, resets, gaps,
15-minute grid, coverage, bounds, months by meter), a bare Polars scan-lag-sum, and the same naive
lag in DuckDB SQL. Prints readings a second, ratios of the medians, and the peak of memory. The
ratios are of one run on one machine; the two bare ones book every fault as energy.

Layout "together": each meter's rows stand together, as compaction leaves them. "arrival": all
meters interleaved in order of time, as they come in.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Run as a script, this file's folder comes first, and `import pipeline` would find this file.
sys.path[0] = str(Path(__file__).parents[1])

METERS = 50
MINUTE_US = 60_000_000
START_US = 1_767_225_600_000_000  # 2026-01-01T00:00Z
RATED_PER_H = 150.0


def make_file(folder: Path, readings: int, faults: int) -> dict[str, Path]:
    """The file in both layouts; ``faults`` meters each have a dip, a hole, repeats, a late row."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(20260101)
    each = -(-readings // METERS)
    meters = []
    for _ in range(METERS):
        t = START_US + np.arange(each) * MINUTE_US + rng.integers(0, 400_000, each)
        v = np.cumsum(rng.random(each) * 2.0)
        meters.append((t, v))
    for number in rng.choice(METERS, min(faults, METERS), replace=False):
        t, v = meters[number]
        at = int(rng.integers(1000, each - 5000))
        v[at : at + 3] = 0.0  # a dip
        gone = np.arange(at + 2000, at + 2300)  # five hours of silence
        again = np.arange(at + 3000, at + 3003)  # sent twice
        order = np.r_[np.delete(np.arange(each), gone), again]
        order[at + 1500 - 1], order[at + 1500] = order[at + 1500], order[at + 1500 - 1]
        meters[number] = (t[order], v[order])
    frames = [
        pl.DataFrame({"t": t, "value": v}).select(
            plant_id=pl.lit("works"),
            meter_id=pl.lit(f"m{number:02}"),
            quantity=pl.lit("energy"),
            time_utc=pl.from_epoch("t", "us").dt.replace_time_zone("UTC"),
            value="value",
            status=pl.lit("good"),
            received_utc=pl.from_epoch("t", "us").dt.replace_time_zone("UTC"),
        )
        for number, (t, v) in enumerate(meters)
    ]
    whole = pl.concat(frames)
    files = {"together": folder / "together.parquet", "arrival": folder / "arrival.parquet"}
    whole.write_parquet(files["together"])
    whole.sort("time_utc", maintain_order=True).write_parquet(files["arrival"])
    return files


def run_kgce(file: Path) -> dict[str, float]:
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    import polars as pl

    from config.tables import STATEMENTS
    from pipeline.measure import measure
    from pipeline.periods import periods
    from pipeline.rollup import interval_sums, meter_periods
    from pipeline.rules import US_PER_H, MeterRule

    rules = [
        MeterRule(
            meter_id=f"m{number:02}",
            quantity="energy",
            kind="counter",
            unit="kWh",
            scale=1.0,
            max_gap_us=3 * MINUTE_US,
            rate_per_us=RATED_PER_H * 1.2 / US_PER_H,
        )
        for number in range(METERS)
    ]
    measured = measure(
        pl.scan_parquet(file),
        STATEMENTS.polars_schema().to_frame().lazy(),
        rules,
        plant_id="works",
        window_us=24 * US_PER_H,
    )
    months = periods(
        "month", datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC), ZoneInfo("UTC")
    )
    sums = interval_sums(measured.intervals.lazy(), months)
    gaps, backwards = measured.gaps.lazy(), measured.known.backwards
    by_month = meter_periods(sums, gaps, months, rules, backwards)
    return {
        "sum": float(by_month["amount"].sum()),
        "intervals": len(measured.intervals),
        "findings": len(measured.findings),
        "gaps": len(measured.gaps),
    }


def run_polars(file: Path) -> dict[str, float]:
    import polars as pl

    lag = pl.col("value").shift(1).over("meter_id")
    total = pl.scan_parquet(file).select((pl.col("value") - lag).sum())
    return {"sum": total.collect(engine="streaming").item()}


def run_duckdb(file: Path) -> dict[str, float]:
    import duckdb

    query = (
        "SELECT sum(d) FROM (SELECT value - lag(value) OVER (PARTITION BY meter_id ORDER BY "
        f"time_utc) AS d FROM read_parquet('{file}'))"
    )
    (row,) = duckdb.execute(query).fetchall()
    return {"sum": row[0]}


CONTENDERS = {"kgce": run_kgce, "polars": run_polars, "duckdb": run_duckdb}


def peak_mb() -> float:
    """Most memory that this process has held. (What getrusage says begins with the parent's.)"""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def one(name: str, file: Path) -> None:
    """Run one contender and print what it took, as JSON. Imports are not timed."""
    import duckdb  # noqa: F401
    import polars as pl

    import pipeline.measure  # noqa: F401

    pl.LazyFrame({"a": [1]}).collect(engine="streaming")
    before = time.perf_counter(), time.process_time()
    answer = CONTENDERS[name](file)
    wall_s, cpu_s = time.perf_counter() - before[0], time.process_time() - before[1]
    print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s, "peak_mb": peak_mb(), **answer}))


def measure_layout(layout: str, file: Path, readings: int, rounds: int) -> None:
    took: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name in CONTENDERS:
            command = [sys.executable, __file__, "--one", name, "--file", str(file)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            took[name].append(json.loads(out))
    print(f"\n{layout}: {readings:,} readings, {file.stat().st_size / 1e6:.0f} MB, {rounds} rounds")
    print(f"{'':8}{'readings/s':>14}{'wall s':>9}{'CPU s':>8}{'peak MB':>9}  sum")
    for name, runs in took.items():
        wall = statistics.median(run["wall_s"] for run in runs)
        cpu = statistics.median(run["cpu_s"] for run in runs)
        peak = max(run["peak_mb"] for run in runs)
        total = runs[0]["sum"]
        print(f"{name:8}{readings / wall:>14,.0f}{wall:>9.2f}{cpu:>8.2f}{peak:>9.0f}  {total:,.3f}")
    first = took["kgce"][0]
    print(
        f"kgce made {first['intervals']:,.0f} intervals, {first['gaps']:.0f} gaps and "
        f"{first['findings']:.0f} findings"
    )
    for other in ("polars", "duckdb"):
        wall = statistics.median(
            b["wall_s"] / a["wall_s"] for a, b in zip(took["kgce"], took[other], strict=True)
        )
        cpu = statistics.median(
            b["cpu_s"] / a["cpu_s"] for a, b in zip(took["kgce"], took[other], strict=True)
        )
        print(f"kgce reaches {wall:.2f} of bare {other}'s readings/s (by CPU time {cpu:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--readings", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--faults", type=int, default=20, help="meters with faults")
    parser.add_argument("--layout", choices=("together", "arrival", "both"), default="both")
    parser.add_argument("--one", choices=tuple(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.file)
        return
    with tempfile.TemporaryDirectory(prefix="kgce-bench-") as folder:
        files = make_file(Path(folder), given.readings, given.faults)
        for layout, file in files.items():
            if given.layout in (layout, "both"):
                measure_layout(layout, file, given.readings, given.rounds)


if __name__ == "__main__":
    main()
