"""What a column and a table are, and the columns that many tables share.

Polars schemas, JSON schemas and the documentation derive from these declarations.
Times are UTC with microseconds. A ``_ratio`` is 0 to 1, a ``_pct`` 0 to 100.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # polars is heavy; `kgce --help` must not load it
    import polars as pl

ColumnType = Literal["string", "float", "int", "bool", "time"]


@dataclass(frozen=True)
class Column:
    """A column: its type, unit ("" where it has none), and meaning in English and Chinese."""

    name: str
    type: ColumnType
    unit: str
    en: str
    zh: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """A table of the lake, partitioned by ``plant_id`` and the UTC month of ``time_column``; or a
    sheet, which is not stored and has none."""

    name: str
    time_column: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def polars_schema(self) -> pl.Schema:
        """The Polars schema, without the partition column ``month``."""
        import polars as pl

        types: dict[str, Any] = {
            "string": pl.String(),
            "float": pl.Float64(),
            "int": pl.Int64(),
            "bool": pl.Boolean(),
            "time": pl.Datetime("us", "UTC"),
        }
        return pl.Schema({column.name: types[column.type] for column in self.columns})

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the array of flat records that commands print."""
        properties = {column.name: _json_property(column) for column in self.columns}
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": f"kgce {self.name}",
            "type": "array",
            "items": {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            },
        }


def _json_property(column: Column) -> dict[str, Any]:
    kinds: dict[ColumnType, str] = {
        "string": "string",
        "float": "number",
        "int": "integer",
        "bool": "boolean",
        "time": "string",
    }
    kind: str | list[str] = kinds[column.type]
    described = f"{column.en} / {column.zh}" + (f" [{column.unit}]" if column.unit else "")
    prop: dict[str, Any] = {
        "type": [kind, "null"] if column.nullable else kind,
        "description": described,
    }
    if column.type == "time":
        prop["format"] = "date-time"
    return prop


def month_of(time: datetime) -> str:
    """The partition of a UTC time, such as ``2026-10``."""
    return time.strftime("%Y-%m")


def text(name: str, en: str, zh: str, *, nullable: bool = False) -> Column:
    return Column(name, "string", "", en, zh, nullable)


def number(name: str, unit: str, en: str, zh: str, *, nullable: bool = False) -> Column:
    return Column(name, "float", unit, en, zh, nullable)


def flag(name: str, en: str, zh: str, *, nullable: bool = False) -> Column:
    return Column(name, "bool", "", en, zh, nullable)


def moment(name: str, en: str, zh: str, *, nullable: bool = False) -> Column:
    return Column(name, "time", "UTC", en, zh, nullable)


PLANT = text("plant_id", "plant", "工厂")
METER = text("meter_id", "meter", "计量器具")
UNIT = text("unit", "unit", "单位")
COVERAGE = number("coverage_ratio", "1", "share of the time that was observed", "数据完整率")
PERIOD = (
    text("grain", "kind of period: 15min, 30min, hour, shift, day, month, year", "统计周期"),
    text("period", "label of the period in the plant's time zone", "期间"),
    moment("start_utc", "start of the time that the figure covers", "开始时间"),
    moment("end_utc", "end of the time that the figure covers", "结束时间"),
)
ENTRY = (
    text("source", "file or person that the row came from", "来源"),
    text("entered_by", "who entered it", "填报人"),
    moment("entered_utc", "when it was entered", "填报时间"),
)
