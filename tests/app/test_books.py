"""Closing, late data, restating, correcting: by the command line, on the works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.app.commands import inside
from tests.app.works import filled, write_works


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    """All of September and the first day of October."""
    file = write_works(tmp_path)
    filled(file, days=31)
    return file


def month(plant: Path, node: str = "kiln") -> dict[str, object]:
    shown = inside("show", "consumption", "--by", "month", "--format", "json", "-p", plant)
    return next(
        row
        for row in json.loads(shown.out)
        if row["node_id"] == node
        and row["energy_code"] == "electricity"
        and row["period"] == "2025-09"
    )


def test_a_closed_month_changes_by_a_restatement_alone(plant: Path) -> None:
    before = month(plant)
    assert before["status"] == "complete"
    assert inside("period", "close", "2025-09", "-p", plant).code == 0
    again = inside("period", "close", "2025-09", "-p", plant)
    assert again.code == 2
    assert "closed already" in again.err
    corrected = inside(
        "correct", "reading", "e-kiln", "--at", "2025-10-01T00:00", "--value", "72990",
        "--reason", "read by hand", "--by-whom", "Chen", "-p", plant,
    )  # fmt: skip
    assert corrected.code == 0, corrected.err
    assert month(plant) == before
    found = inside("show", "findings", "--format", "json", "-p", plant)
    assert "period.closed_differs" in found.out
    unsaid = inside("period", "restate", "2025-09", "--reason", " ", "-p", plant)
    assert unsaid.code == 2
    done = inside(
        "period", "restate", "2025-09", "--reason", "register read by hand", "--by-whom", "Li",
        "--format", "json", "-p", plant,
    )  # fmt: skip
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    (row,) = [
        r for r in rows
        if (r["subject"], r["figure"], r["grain"]) == ("kiln", "electricity", "month")
    ]  # fmt: skip
    assert row["old_value"] == before["amount"]
    assert row["new_value"] == month(plant)["amount"] != before["amount"]
    assert (row["reason"], row["entered_by"]) == ("register read by hand", "Li")
    assert json.loads(row["old_row"])["amount"] == before["amount"]
    listed = inside("period", "list", "--format", "json", "-p", plant)
    assert [r["action"] for r in json.loads(listed.out)] == ["close", "restate"]
    found = inside("show", "findings", "--format", "json", "-p", plant)
    assert "period.closed_differs" not in found.out
    assert (
        "nothing differs"
        in inside("period", "restate", "2025-09", "--reason", "once more", "-p", plant).err
    )
