"""Every table of the lake, each column declared once: type, unit, meaning in both languages.

Polars schemas, JSON schemas and the documentation derive from these declarations.
Times are UTC with microseconds. A ``_ratio`` is 0 to 1, a ``_pct`` 0 to 100.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:  # polars is heavy; `kgce --help` must not load it
    import polars as pl

ColumnType = Literal["string", "float", "int", "time"]


class Reading(NamedTuple):
    """One answer of one meter, or the reason why there is none.

    ``value`` is in the unit that the ledger states, before the CT x PT multiplier; it is None
    exactly when ``status`` is not ``good``. ``time_us`` and ``received_us`` are microseconds since
    the epoch, UTC. ``sequence`` counts the ticks of a polled meter's schedule (time // interval),
    and is None where nothing is scheduled.
    """

    meter_id: str
    quantity: str
    time_us: int
    value: float | None
    status: str
    source: str
    received_us: int
    sequence: int | None = None


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
    """A table of the lake, partitioned by ``plant_id`` and the UTC month of ``time_column``."""

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


def _s(name: str, en: str, zh: str, *, nullable: bool = False) -> Column:
    return Column(name, "string", "", en, zh, nullable)


def _f(name: str, unit: str, en: str, zh: str, *, nullable: bool = False) -> Column:
    return Column(name, "float", unit, en, zh, nullable)


def _t(name: str, en: str, zh: str, *, nullable: bool = False) -> Column:
    return Column(name, "time", "UTC", en, zh, nullable)


PLANT = _s("plant_id", "plant", "工厂")
METER = _s("meter_id", "meter", "计量器具")
UNIT = _s("unit", "unit", "单位")
COVERAGE = _f("coverage_ratio", "1", "share of the time that was observed", "数据完整率")
PERIOD = (
    _s("grain", "length of the period: 15min, hour, day, month, year", "统计周期"),
    _s("period", "label of the period in the plant's time zone", "期间"),
    _t("start_utc", "start of the time that the figure covers", "开始时间"),
    _t("end_utc", "end of the time that the figure covers", "结束时间"),
)
ENTRY = (
    _s("source", "file or person that the row came from", "来源"),
    _s("entered_by", "who entered it", "填报人"),
    _t("entered_utc", "when it was entered", "填报时间"),
)

READINGS = Table(
    "readings",
    "time_utc",
    ("plant_id", "meter_id", "quantity", "time_utc"),
    (
        PLANT,
        METER,
        _s("quantity", "quantity read, as the register map names it", "读数项目"),
        _t("time_utc", "time of the reading; for amounts and means the end of their span", "时间"),
        _f(
            "value",
            "the ledger's unit",
            "value before the CT x PT multiplier; empty unless good",
            "读数",
            nullable=True,
        ),
        _s("status", "good, or the reason why there is no value", "状态"),
        _s("source", "connection or file that it came from", "来源"),
        _t("received_utc", "when kgce received it", "接收时间"),
        Column("sequence", "int", "", "tick of the poll schedule", "采集序号", True),
    ),
)

INTERVALS = Table(
    "intervals",
    "interval_start_utc",
    ("plant_id", "meter_id", "quantity", "interval_start_utc"),
    (
        PLANT,
        METER,
        _s("quantity", "quantity read", "读数项目"),
        _t("interval_start_utc", "start of the interval", "区间开始"),
        UNIT,
        _f("measured", "unit", "amount measured inside the interval", "实测量"),
        _f("imputed", "unit", "part of a gap's amount that is laid into the interval", "插补量"),
        _s("imputation_code", "how the imputed part was made; empty where none", "插补方式"),
        COVERAGE,
        _f("low", "unit", "smallest amount that the readings allow", "下限"),
        _f("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
    ),
)

GAPS = Table(
    "gaps",
    "gap_start_utc",
    ("plant_id", "meter_id", "gap_start_utc", "gap_end_utc"),
    (
        PLANT,
        METER,
        _t("gap_start_utc", "last good reading before the gap", "缺口开始"),
        _t("gap_end_utc", "first good reading after the gap", "缺口结束"),
        _s("code", "what made the gap and how its amount is known", "缺口类型"),
        UNIT,
        _f(
            "amount",
            "unit",
            "amount over the whole gap; empty where unknown",
            "数量",
            nullable=True,
        ),
        _f("low", "unit", "smallest amount over the gap", "下限"),
        _f("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        _f(
            "max_rate_per_h",
            "unit/h",
            "rate that bounds any part of the gap; empty where the meter states none",
            "最大速率",
            nullable=True,
        ),
    ),
)

OUTPUTS = Table(
    "outputs",
    "start_utc",
    ("plant_id", "product_id", "start_utc", "end_utc"),
    (
        PLANT,
        _s("product_id", "product", "产品"),
        _t("start_utc", "start of the span", "开始时间"),
        _t("end_utc", "end of the span", "结束时间"),
        _f("qualified_quantity", "unit", "qualified output", "合格品产量"),
        UNIT,
        _f("output_value_cny", "CNY", "output value", "产值", nullable=True),
        *ENTRY,
    ),
)

STATEMENTS = Table(
    "statements",
    "start_utc",
    ("plant_id", "meter_id", "start_utc", "end_utc"),
    (
        PLANT,
        METER,
        _t("start_utc", "start of the span", "开始时间"),
        _t("end_utc", "end of the span", "结束时间"),
        UNIT,
        _f("opening_stock", "unit", "stock at the start", "期初库存"),
        _f("purchased", "unit", "purchased or received", "购进量"),
        _f("closing_stock", "unit", "stock at the end", "期末库存"),
        _f("sold", "unit", "sold or sent out", "外供量"),
        _f("consumed", "unit", "opening + purchased - closing - sold", "消费量"),
        *ENTRY,
    ),
)

CONSUMPTION = Table(
    "consumption",
    "start_utc",
    ("plant_id", "node_id", "energy_code", "grain", "period"),
    (
        PLANT,
        _s("node_id", "node of the plant tree", "用能单元"),
        _s("energy_code", "energy or energy-carrying medium", "能源品种"),
        *PERIOD,
        _f("amount", "unit", "net amount; empty where unknown", "消费量", nullable=True),
        UNIT,
        _f("low", "unit", "smallest amount that the readings allow", "下限", nullable=True),
        _f("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        _f(
            "kgce_calorific",
            "kgce",
            "coal equivalent, calorific basis",
            "折标煤（当量值）",
            nullable=True,
        ),
        _f(
            "kgce_equivalent",
            "kgce",
            "coal equivalent, equivalent basis",
            "折标煤（等价值）",
            nullable=True,
        ),
        COVERAGE,
        _s("status", "complete, partial (the period is not whole) or refused", "状态"),
        _s("factors", "ids of the factors used, calorific then equivalent", "折标系数"),
        _s("confidence", "weakest confidence of the factors used", "系数可信度"),
    ),
)

INDICATORS = Table(
    "indicators",
    "start_utc",
    ("plant_id", "indicator", "subject", "grain", "period", "norm"),
    (
        PLANT,
        _s("indicator", "unit_product_energy, _electricity or _coal", "指标"),
        _s("subject", "product that the figure is of", "产品"),
        *PERIOD,
        _f("value", "unit", "the indicator; empty where refused", "指标值", nullable=True),
        UNIT,
        _f("low", "unit", "smallest value that the readings allow", "下限", nullable=True),
        _f("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        COVERAGE,
        _s("status", "complete, partial (the period is not whole) or refused", "状态"),
        _s(
            "basis", "calorific or equivalent; physical where no coal equivalent enters", "折标口径"
        ),
        _f("numerator", "numerator_unit", "energy", "能耗量", nullable=True),
        _s("numerator_unit", "unit of the numerator", "能耗单位"),
        _f("denominator", "denominator_unit", "qualified (standard) output", "产量", nullable=True),
        _s("denominator_unit", "unit of the denominator", "产量单位"),
        _s("norm", "id of the norm's row; empty where none is set", "限额条目"),
        _s("standard", "standard and edition", "标准"),
        _f("level1", "unit", "level 1, advanced", "1级（先进值）", nullable=True),
        _f("level2", "unit", "level 2, access", "2级（准入值）", nullable=True),
        _f("level3", "unit", "level 3, limit", "3级（限定值）", nullable=True),
        Column(
            "level_reached",
            "int",
            "",
            "best level that the value meets; 0 none; empty where not judged",
            "达到等级",
            True,
        ),
        *(
            _f(
                f"distance_level{n}",
                "unit",
                f"value minus level {n}; above zero is still to go",
                f"距{n}级差距",
                nullable=True,
            )
            for n in (1, 2, 3)
        ),
        *(
            _f(
                f"distance_level{n}_tce_per_year",
                "tce/a",
                "the same as coal equivalent a year at this period's rate of output",
                f"距{n}级年节能量",
                nullable=True,
            )
            for n in (1, 2, 3)
        ),
        _s("confidence", "weakest confidence of the data behind the figure", "数据可信度"),
        _s("provenance", "JSON: table versions, hashes of config and standards data", "数据来源"),
    ),
)

FINDINGS = Table(
    "findings",
    "start_utc",
    ("plant_id", "code", "subject", "start_utc", "end_utc"),
    (
        PLANT,
        _s("code", "dotted name of what was found", "代码"),
        _s("severity", "info, warning or error", "级别"),
        _s("subject", "meter, product or node", "对象"),
        _t("start_utc", "start of the time concerned", "开始时间"),
        _t("end_utc", "end of the time concerned", "结束时间"),
        _s("message", "what it is and what was done with the data", "说明"),
        _s("evidence", "JSON that shows why", "证据"),
    ),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        READINGS,
        INTERVALS,
        GAPS,
        OUTPUTS,
        STATEMENTS,
        CONSUMPTION,
        INDICATORS,
        FINDINGS,
    )
}
