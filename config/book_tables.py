"""The tables that keep the books: amounts by meter and period, corrections, closings, revisions."""

from __future__ import annotations

from config.columns import COVERAGE, METER, PERIOD, PLANT, UNIT, Table, moment, number, text

BY_WHOM = (
    text("reason", "why", "原因"),
    text("entered_by", "who entered it", "填报人"),
    moment("entered_utc", "when it was entered", "填报时间"),
)

METER_PERIODS = Table(
    "meter_periods",
    "start_utc",
    ("plant_id", "meter_id", "grain", "period"),
    (
        PLANT,
        METER,
        *PERIOD,
        number("measured", "unit", "amount measured inside the period", "实测量"),
        number("imputed", "unit", "parts of gaps that are laid into the period", "插补量"),
        number("amount", "unit", "both together; empty where unknown", "数量", nullable=True),
        UNIT,
        number("low", "unit", "smallest amount that the readings allow", "下限", nullable=True),
        number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        number("covered_s", "s", "time that was observed", "有效时长"),
        COVERAGE,
    ),
)

CORRECTIONS = Table(
    "corrections",
    "start_utc",
    ("plant_id", "meter_id", "kind", "start_utc", "end_utc", "entered_utc"),
    (
        PLANT,
        METER,
        text(
            "kind",
            "reading: the value at a time; discard: readings that are not to be believed; amount: "
            "what passed where nothing could be booked; void: an earlier correction of the same "
            "span no longer holds",
            "更正类型",
        ),
        moment("start_utc", "start of the time concerned", "开始时间"),
        moment("end_utc", "end of the time concerned; of a reading its time", "结束时间"),
        number(
            "value",
            "the ledger's unit for a reading, the amount's unit for an amount",
            "the right value; empty where readings are discarded",
            "更正值",
            nullable=True,
        ),
        *BY_WHOM,
    ),
)

CLOSINGS = Table(
    "closings",
    "start_utc",
    ("plant_id", "period", "entered_utc"),
    (
        PLANT,
        *PERIOD,
        text("action", "close: frozen from now on; restate: changed for the reason", "操作"),
        *BY_WHOM,
        text("provenance", "JSON: table versions, hashes of config and standards data", "数据来源"),
    ),
)

REVISIONS = Table(
    "revisions",
    "start_utc",
    ("plant_id", "table", "subject", "figure", "grain", "period", "entered_utc"),
    (
        PLANT,
        text("table", "consumption or indicators", "表"),
        text("subject", "node or product", "对象"),
        text("figure", "energy of the node; indicator and norm of the product", "指标"),
        *PERIOD,
        UNIT,
        number("old_value", "unit", "figure before; empty where none", "原值", nullable=True),
        number("new_value", "unit", "figure since; empty where none", "新值", nullable=True),
        text("old_status", "status before; empty where there was no row", "原状态"),
        text("new_status", "status since; empty where there is no row any more", "新状态"),
        text("old_row", "JSON: the whole row before", "原记录"),
        text("kind", "data, configuration or restatement", "修订类型"),
        *BY_WHOM,
    ),
)
