"""kill -9 at random moments of writing and flushing: what was acknowledged is there, once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from config.tables import READINGS
from storage.flush import flush
from storage.lake import Lake
from storage.spool import Spool
from tests.storage.readings import PLANT

ROOT = Path(__file__).parents[2]
PER_GROUP = 4


def killed_run(file: Path, first: int, lines: int, then_s: float) -> list[int]:
    """Start the writer, kill it some time after ``lines`` groups; the groups acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.crashing_writer", str(file), str(first)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(lines)]
    time.sleep(then_s)
    process.send_signal(signal.SIGKILL)
    told += process.stdout.readlines()
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    return [int(line) for line in told if line.endswith("\n")]


@pytest.mark.parametrize("seed", range(2))
def test_acknowledged_readings_survive_kill_9(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    file = tmp_path / "spool.db"
    lake = Lake(tmp_path / "lake")
    acknowledged: set[int] = set()
    first = 0
    for _ in range(5):
        acknowledged |= set(killed_run(file, first, chance.randint(1, 200), chance.random() / 5))
        spool = Spool(file, max_bytes=1 << 30, dedupe_s=1e9)
        assert spool.damage is None
        polled, pushed = spool.account()
        assert polled.balanced
        assert pushed.balanced
        spool.close()
        # The next run leaves ticks out, as a plant does whose gateway was down.
        first = max(acknowledged) + 1_000

    spool = Spool(file, max_bytes=1 << 30, dedupe_s=1e9)
    flush(spool, lake, PLANT, 1_000)
    rows = lake.scan(READINGS, PLANT).select("meter_id", "time_utc", "value").collect()
    assert not rows.is_duplicated().any()
    per_group = Counter(int(value) for value in rows["value"])
    assert acknowledged <= per_group.keys()
    assert set(per_group.values()) == {PER_GROUP}  # a group is there whole or not at all
    polled, pushed = spool.account()
    good = rows.group_by("meter_id").len().sort("meter_id")["len"].to_list()
    assert [polled.good, pushed.good] == good
    assert polled.missing.keys() == {"not_running"}
    ticks = rows.filter(pl.col("meter_id") == "polled")["value"]
    assert polled.expected == int(ticks.max()) - int(ticks.min()) + 1
    spool.close()
