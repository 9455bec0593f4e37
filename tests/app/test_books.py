"""Closing, late data, restating, correcting: by the command line, on the works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app import jobs
from app.imports import import_file
from app.options import Kind
from tests.app.commands import inside
from tests.app.works import QUARTERS, counts, filled, write_readings, write_works


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


def test_an_amount_is_stated_for_what_a_reset_hides(tmp_path: Path) -> None:
    """A reset on 10 September between two readings; 25 kWh passed, as the check meter says."""
    plant = write_works(tmp_path)
    site, lake = filled(plant, days=0)
    reset = 96 * 9 + 40

    def read(name: str, first: int, last: int) -> None:
        rows = counts(first, last)
        for n, (_, values) in enumerate(rows, start=first):
            values["e-kiln"] -= 1000 + 25.0 * reset if n >= reset else 0
        import_file(site, lake, Kind.readings, write_readings(tmp_path / name, rows))

    read("scada-september.csv", 1, 96 * 31)
    jobs.refresh(site, lake)
    unknown = month(plant)
    assert unknown["status"] != "complete" or unknown["high"] != unknown["low"]
    assert codes(plant)["e-kiln"] == ["counter.reset"]
    stated = ("--from", "2025-09-10", "--to", "2025-09-10", "--reason", "check meter")
    done = inside("correct", "amount", "e-kiln", *stated, "--amount", "25", "-p", plant)
    assert done.code == 0, done.err
    known = month(plant)
    assert known["amount"] == known["low"] == known["high"] == pytest.approx(QUARTERS * 25, 1e-12)
    assert codes(plant)["e-kiln"] == ["correction.settled", "counter.reset"]
    # What comes later does not look at that day again, and what is known of it stays.
    read("scada-later.csv", 96 * 31 + 1, 96 * 32)
    jobs.refresh(site, lake)
    assert codes(plant)["e-kiln"][:2] == ["correction.settled", "counter.reset"]
    assert month(plant) == known
    elsewhere = ("--from", "2025-09-20", "--to", "2025-09-20", "--reason", "check meter")
    done = inside("correct", "amount", "e-kiln", *elsewhere, "--amount", "25", "-p", plant)
    assert done.code == 2
    assert "a span with exactly one" in done.err
    assert month(plant) == known


def codes(plant: Path) -> dict[str, list[str]]:
    """Codes of the findings, by subject."""
    shown = inside("show", "findings", "--format", "json", "-p", plant)
    found: dict[str, list[str]] = {}
    for row in json.loads(shown.out):
        found.setdefault(row["subject"], []).append(row["code"])
    return {subject: sorted(some) for subject, some in found.items()}
