"""What was appended to a Delta table since a version, as its log tells.

Commits that rewrite files without changing a row (compaction, marked by ``dataChange: false``) are
passed over. A commit that takes rows away ends the matter: then nobody can tell.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import polars as pl

_ADDS_ROWS = "WRITE"
"""The operation of an append; an overwrite has it too, and removes files."""


class Appended(NamedTuple):
    """Rows appended to a table, up to its version ``version``."""

    rows: pl.LazyFrame
    version: int


def appended_files(folder: Path, plant_id: str, after: int, last: int) -> list[Path] | None:
    """The data files with the plant's rows that commits ``after`` + 1 to ``last`` appended.

    None where that cannot be told: a commit or file is gone, or rows of the plant were replaced,
    deleted or restored. Raises OSError.
    """
    if not -1 <= after <= last:
        return None
    found: list[Path] = []
    for version in range(after + 1, last + 1):
        try:
            commit = (folder / "_delta_log" / f"{version:020d}.json").read_text(encoding="utf-8")
            added = _added([json.loads(line) for line in commit.splitlines()], plant_id)
        except (FileNotFoundError, ValueError):
            return None
        if added is None:
            return None
        found += [folder / unquote(path) for path in added]
    return found if all(file.exists() for file in found) else None


def _added(actions: list[dict[str, Any]], plant_id: str) -> list[str] | None:
    operation = next((a["commitInfo"].get("operation") for a in actions if "commitInfo" in a), None)
    added: list[str] = []
    for action in actions:
        for kind in ("add", "remove"):
            change = action.get(kind)
            if change is None or not change.get("dataChange", True):
                continue
            # Of a removal the protocol lets a writer leave the partition out.
            if (change.get("partitionValues") or {}).get("plant_id", plant_id) != plant_id:
                continue
            if kind == "remove" or operation != _ADDS_ROWS:
                return None
            added.append(change["path"])
    return added
