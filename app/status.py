"""What `kgce status` says: the daemon, its connections, and the loss account of every meter."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from app.daemon import HEARTBEAT_S
from config.connections import Files, Folder, SqlDatabase
from config.errors import StorageError
from config.site import Site
from config.tables import READINGS
from storage.lake import Lake
from storage.spool import Spool

ACCOUNT_SCHEMA = pl.Schema(
    {
        "plant_id": pl.String(),
        "meter_id": pl.String(),
        "connection": pl.String(),
        "expected": pl.Int64(),
        "good": pl.Int64(),
        "missing": pl.Int64(),
        "dropped": pl.Int64(),
        "duplicates": pl.Int64(),
        "repeated": pl.Int64(),
        "late": pl.Int64(),
        "reasons": pl.String(),
        "balanced": pl.Boolean(),
        "last_good_utc": pl.Datetime("us", "UTC"),
    }
)


@dataclass
class Status:
    """``lines`` for the person; ``accounts`` one row a meter; ``trouble`` what needs somebody."""

    lines: list[str]
    accounts: pl.DataFrame
    trouble: list[str] = field(default_factory=list)


def status(site: Site, lake: Lake) -> Status:
    """The state of the plant's collection. Works beside a running daemon, and without one."""
    lines, trouble = [f"{site.plant.plant.name} ({site.id})"], []
    file = site.storage_path / "spool.db"
    accounts: list[Any] = []
    state: dict[str, Any] = {}
    if file.is_file():
        try:
            spool = Spool.read_only(file)
            try:
                accounts = spool.account()
                state = json.loads(spool.state().get("daemon", "{}"))
                waiting, used = spool.waiting(), spool.used_bytes()
            finally:
                spool.close()
        except StorageError as error:
            trouble.append(str(error))
        else:
            _daemon_lines(state, lines, trouble, site.plant.plant.zone)
            lines.append(f"spool: {waiting} readings wait for the lake, {used / 1e6:.1f} MB")
    else:
        lines.append("daemon: has not run here yet")
    versions = lake.versions()
    lines.append("lake: " + (", ".join(f"{k} v{v}" for k, v in versions.items()) or "empty"))
    frame = _accounts(site, lake, accounts)
    if is_alive(state):
        trouble += _silent_meters(site, state, frame)
    off = frame.filter(~pl.col("balanced"))
    trouble += [f"{m}: expected is not good + missing + dropped" for m in off["meter_id"]]
    return Status(lines, frame, trouble)


def is_alive(state: dict[str, Any]) -> bool:
    """Whether the daemon that put ``state`` still runs."""
    if not state or not state["running"]:
        return False
    return time.time() - state["at_us"] / 1e6 < 10 * HEARTBEAT_S and _exists(state["pid"])


def _daemon_lines(
    state: dict[str, Any], lines: list[str], trouble: list[str], zone: ZoneInfo
) -> None:
    if not state:
        lines.append("daemon: has not run here yet")
        return
    alive, at = is_alive(state), _time(state["at_us"], zone)
    if alive:
        lines.append(f"daemon: running (pid {state['pid']}), {state['queued']} readings in memory")
    elif state["running"]:
        lines.append(f"daemon: ended without a shutdown, last seen {at}")
        trouble.append("the daemon was killed or crashed; start it with `kgce run`")
    else:
        lines.append(f"daemon: stopped {at}")
    if alive and state["spool_trouble"]:
        trouble.append(f"spool: {state['spool_trouble']}")
    if alive and state.get("config_trouble"):
        trouble.append(
            f"the changed configuration is refused, the one before goes on: "
            f"{state['config_trouble']}"
        )
    if alive and state.get("metrics_trouble"):
        trouble.append(state["metrics_trouble"])
    for one in state["connections"]:
        last = _time(one["last_good_us"], zone) if one["last_good_us"] else "never"
        lines.append(
            f"connection {one['connection']}: {one['state']}"
            + (f" - {one['detail']}" if one["detail"] else "")
            + f"; this run: {one['good']} good, {one['missing']} missing, {one['dropped']} "
            f"dropped; last good {last}"
        )
        if alive and one["state"] not in ("up", "starting"):
            trouble.append(f"connection {one['connection']} is {one['state']}: {one['detail']}")
    for meter_id, offset_s in state.get("clock_offset_s", {}).items():
        if alive:
            trouble.append(f"meter {meter_id}: its clock is {offset_s:+.0f} s from this machine's")
    for name, job in state["jobs"].items():
        if job["trouble"]:
            trouble.append(f"{name}: {job['trouble']}")


def _silent_meters(site: Site, state: dict[str, Any], accounts: pl.DataFrame) -> list[str]:
    """Meters that the daemon reads, and of which the lake has had nothing good for a gap's time."""
    last_good = dict(accounts.select("meter_id", "last_good_utc").iter_rows())
    plant = site.plant
    silent = []
    for meter_id, meter in plant.meters.items():
        if meter.connection is None:
            continue
        if isinstance(plant.connections[meter.connection], Files | Folder | SqlDatabase):
            continue  # whoever makes the files says how often they come
        last: datetime | None = last_good[meter_id]
        since_s = max(last.timestamp() if last else 0.0, state["since_us"] / 1e6)
        gap_s = plant.quality.gap_factor * plant.interval_s(meter)
        # A good reading takes a flush to reach the lake.
        if time.time() - since_s > gap_s + plant.intervals.flush_s + HEARTBEAT_S:
            seen = _local(last, plant.plant.zone) if last else "the daemon started"
            every = f"{plant.interval_s(meter):g} s"
            silent.append(f"meter {meter_id}: no good reading since {seen}, due every {every}")
    return silent


def _accounts(site: Site, lake: Lake, accounts: list[Any]) -> pl.DataFrame:
    """The loss account by meter; meters of the ledger that nothing was heard of have a row too."""
    heard = {account.meter_id: account for account in accounts}
    last_good = dict(
        lake.scan(READINGS, site.id)
        .filter(pl.col("status") == "good")
        .group_by("meter_id")
        .agg(pl.col("time_utc").max())
        .collect()
        .iter_rows()
    )
    rows = []
    for meter_id in dict.fromkeys((*site.plant.meters, *heard)):
        meter, account = site.plant.meters.get(meter_id), heard.get(meter_id)
        reasons = {**account.missing, **account.dropped} if account else {}
        rows.append(
            (
                site.id,
                meter_id,
                (meter and meter.connection) or "",
                account.expected if account else 0,
                account.good if account else 0,
                sum(account.missing.values()) if account else 0,
                sum(account.dropped.values()) if account else 0,
                account.duplicates if account else 0,
                account.repeated if account else 0,
                account.late if account else 0,
                json.dumps(reasons, sort_keys=True) if reasons else "",
                account.balanced if account else True,
                last_good.get(meter_id),
            )
        )
    return pl.DataFrame(rows, schema=ACCOUNT_SCHEMA, orient="row")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _time(us: int, zone: ZoneInfo) -> str:
    return _local(datetime.fromtimestamp(us / 1e6, UTC), zone)


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
