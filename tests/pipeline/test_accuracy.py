"""Each folder of tests/cases/accuracy: files into the whole product, figures by known arithmetic.

tests/cases/README.md says what a folder holds; a new folder is a new case.
"""

from __future__ import annotations

import csv
import math
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl
import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator
from ruamel.yaml import YAML

from app import jobs
from app.imports import import_file
from app.options import Kind
from app.sites import load_site
from config.site import Site
from config.tables import CONSUMPTION, FINDINGS, GAPS, INTERVALS, Reading
from pipeline.periods import By
from storage.lake import Lake

CASES = Path(__file__).parent.parent / "cases" / "accuracy"
FOLDERS = sorted(folder for folder in CASES.glob("*") if folder.is_dir())
# Files whose rows come as a collector hands them over (time,meter,value,status), not as an import.
COLLECTED = "collected"
UNSAID: Final = "unsaid"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(Strict):
    """A period's figure. ``low``, ``high``: null where nothing bounds it."""

    by: By
    period: str | tuple[str, ...]  # several: their amounts add up
    node: str = "works"
    energy: str = "electricity"
    amount: float | None = None
    refused: str | None = None
    low: float | Literal["unsaid"] | None = UNSAID
    high: float | Literal["unsaid"] | None = UNSAID
    truth: float | None = None
    coverage: float | None = None

    @model_validator(mode="after")
    def _says_what_is_known(self) -> Figure:
        if self.amount is None and (self.truth is None or UNSAID in (self.low, self.high)):
            raise ValueError("a figure states its amount, or its bounds and the truth in them")
        return self

    @property
    def periods(self) -> tuple[str, ...]:
        return (self.period,) if isinstance(self.period, str) else self.period


class Step(Strict):
    """A file, and what is known once it is in. ``refused_rows``: taken without these."""

    take: str
    refused_rows: int = 0
    figures: tuple[Figure, ...] = Field(min_length=1)
    findings: tuple[str, ...] = ()


class Case(Strict):
    """What expected.yaml says. ``xfail``: what the program still lacks for it."""

    xfail: str | None = None
    steps: tuple[Step, ...] = Field(min_length=1)


def read_case(folder: Path) -> Case:
    return Case.model_validate(YAML(typ="safe").load(folder / "expected.yaml"))


def params() -> list[Any]:
    found = []
    for folder in FOLDERS:
        reason = read_case(folder).xfail
        marks = [] if reason is None else [pytest.mark.xfail(strict=True, reason=reason)]
        found.append(pytest.param(folder, id=folder.name, marks=marks))
    return found


def test_there_are_cases() -> None:
    assert len(FOLDERS) >= 40


@pytest.mark.parametrize("folder", params())
def test_figures_are_right_or_refused(folder: Path, tmp_path: Path) -> None:
    case, plant = read_case(folder), tmp_path / folder.name
    shutil.copytree(folder, plant)
    site = load_site(plant / "plant.yaml")
    lake = jobs.open_lake(site)
    for step in case.steps:
        take(site, lake, plant / step.take, step.refused_rows)
        jobs.refresh(site, lake)
        check_findings(site, lake, step)
        grains = {figure.by for figure in step.figures}
        found = {by: jobs.figures(site, lake, by).consumption for by in grains}
        for figure in step.figures:
            check_figure(site, lake, figure, found[figure.by])
    if len(case.steps) > 1:
        before = tables(site, lake)
        jobs.refresh(site, lake, force=True)
        for name, frame in tables(site, lake).items():
            assert frame.equals(before[name]), f"{name} is another one, computed anew"


def tables(site: Site, lake: Lake) -> dict[str, pl.DataFrame]:
    return {
        table.name: lake.scan(table, site.id).collect().sort(table.key)
        for table in (INTERVALS, GAPS, FINDINGS, CONSUMPTION)
    }


def take(site: Site, lake: Lake, file: Path, refused_rows: int) -> None:
    if not file.name.startswith(COLLECTED):
        taken = import_file(site, lake, Kind.readings, file, partial=refused_rows > 0)
        assert taken.refused == refused_rows
        return
    spool = jobs.open_spool(site)
    with file.open(encoding="utf-8", newline="") as stream:
        spool.append([collected(site, row) for row in csv.DictReader(stream)])
    jobs.flush_spool(site, spool, lake)
    spool.close()


def collected(site: Site, row: dict[str, str]) -> Reading:
    time_us = round(datetime.fromisoformat(row["time"]).timestamp() * 1e6)
    value = float(row["value"]) if row["status"] == "good" else None
    quantity = site.plant.meters[row["meter"]].quantity_name
    return Reading(row["meter"], quantity, time_us, value, row["status"], "gateway", time_us)


def check_findings(site: Site, lake: Lake, step: Step) -> None:
    """The findings of the step, and of others none but of severity info."""
    found = lake.scan(FINDINGS, site.id).select("code", "severity").collect()
    wanted = set(step.findings)
    assert wanted <= set(found["code"])
    assert set(found.filter(pl.col("severity") != "info")["code"]) <= wanted


def check_figure(site: Site, lake: Lake, wanted: Figure, found: pl.DataFrame) -> None:
    figures = found.filter(node_id=wanted.node, energy_code=wanted.energy)
    rows = figures.filter(pl.col("period").is_in(wanted.periods)).rows(named=True)
    assert len(rows) == len(wanted.periods), figures["period"].to_list()
    if wanted.amount is not None:
        assert math.fsum(row["amount"] for row in rows) == near(wanted.amount)
    truth = wanted.amount if wanted.truth is None else wanted.truth
    low, high = (add([row[name] for row in rows]) for name in ("low", "high"))
    assert low is None or low <= near(truth), (low, truth)
    assert high is None or high >= near(truth), (high, truth)
    for bound, given in ((low, wanted.low), (high, wanted.high)):
        if given != UNSAID:
            assert bound == near(given), (low, high)
    for row in rows:
        check_row(site, lake, wanted, row)


def check_row(site: Site, lake: Lake, wanted: Figure, row: dict[str, Any]) -> None:
    assert (row["status"] == "refused") == (wanted.refused is not None), row
    assert (row["amount"] is None) == (wanted.refused is not None), row
    if wanted.refused is not None:
        assert wanted.refused in reasons(site, lake, row["start_utc"], row["end_utc"])
    if wanted.coverage is not None:
        assert row["coverage_ratio"] == near(wanted.coverage)
    if row["amount"] is not None and row["low"] is not None:
        assert row["low"] <= near(row["amount"])
    if row["amount"] is not None and row["high"] is not None:
        assert row["high"] >= near(row["amount"])


def reasons(site: Site, lake: Lake, start: datetime, end: datetime) -> set[str]:
    """Codes of findings and gaps in a time: what a refused figure can be traced to."""
    found: set[str] = set()
    for table, first, last in (
        (FINDINGS, "start_utc", "end_utc"),
        (GAPS, "gap_start_utc", "gap_end_utc"),
    ):
        inside = (pl.col(first) < end) & (pl.col(last) > start)
        codes = lake.scan(table, site.id).filter(inside).select("code").collect()
        found |= set(codes["code"])
    return found


def add(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return math.fsum(known) if len(known) == len(parts) else None


def near(value: float | None) -> Any:
    """Right to 1e-9; of an exact zero, to 1e-9 of a unit."""
    return value if value is None else Near(value)


class Near:
    """A number that equals, and is neither above nor below, what is within 1e-9 of it."""

    def __init__(self, value: float) -> None:
        self.value, self.margin = value, 1e-9 * max(1.0, abs(value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and abs(other - self.value) <= self.margin

    def __ge__(self, other: float) -> bool:
        return other <= self.value + self.margin

    def __le__(self, other: float) -> bool:
        return other >= self.value - self.margin

    def __repr__(self) -> str:
        return f"{self.value!r} to 1e-9"
