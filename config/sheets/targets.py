"""The sheets of what a year may use: targets and budgets, and the right to use energy."""

from __future__ import annotations

from config.columns import COVERAGE, UNIT, Table, number, text

_TO_DATE = (
    number("value", "unit", "the year to date", "本年累计", nullable=True),
    number("low", "unit", "smallest that the readings allow", "下限", nullable=True),
    number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
)
_FORECAST = (
    number("forecast", "unit", "the whole year", "全年预测", nullable=True),
    number(
        "forecast_low", "unit", "smallest; empty where nothing bounds it", "预测下限", nullable=True
    ),
    number(
        "forecast_high", "unit", "largest; empty where nothing bounds it", "预测上限", nullable=True
    ),
    text("method", "measured, baseline, last_year or rate: how the rest is forecast", "预测方法"),
)
_REST = (
    COVERAGE,
    text("confidence", "weakest confidence of the data behind it", "可信度"),
    text("rows", "what it is made of: table, subject and period", "数据来源"),
    text("source", "where the limit was set", "依据"),
    text("reason", "why it is as it is; empty where nothing is to be said", "说明"),
)

TARGET = Table(
    "targets",
    "",
    ("target", "year"),
    (
        text("target", "id of the target", "目标"),
        text("year", "statistical year", "年度"),
        text("kind", "energy, carbon or unit_product", "类别"),
        text("subject", "node or product", "对象"),
        number("limit", "unit", "the most that is allowed in the year", "目标值"),
        *_TO_DATE,
        UNIT,
        text("until", "day and time up to which the figures reach; empty where none", "截止"),
        *_FORECAST,
        number("deviation", "unit", "forecast - limit", "偏差", nullable=True),
        number("deviation_ratio", "1", "the same of the limit", "偏差率", nullable=True),
        text("status", "on_track, at_risk, missed or insufficient_data", "状态"),
        *_REST,
    ),
)

QUOTA = Table(
    "quota",
    "",
    ("year",),
    (
        text("year", "year of the allowance", "年度"),
        text("basis", "calorific or equivalent", "折标口径"),
        number("allowance", "unit", "as it was set", "配额"),
        number("bought", "unit", "bought since", "购入"),
        number("sold", "unit", "sold since", "出让"),
        number("available", "unit", "allowance + bought - sold", "可用量"),
        *_TO_DATE,
        UNIT,
        text("until", "day and time up to which the figures reach; empty where none", "截止"),
        number("left", "unit", "available - to date", "剩余", nullable=True),
        *_FORECAST,
        number(
            "balance",
            "unit",
            "available - forecast; below zero is to be bought",
            "平衡",
            nullable=True,
        ),
        number(
            "balance_low",
            "unit",
            "smallest; empty where nothing bounds it",
            "平衡下限",
            nullable=True,
        ),
        number(
            "balance_high",
            "unit",
            "largest; empty where nothing bounds it",
            "平衡上限",
            nullable=True,
        ),
        text("status", "on_track, at_risk, missed (used up) or insufficient_data", "状态"),
        *_REST,
    ),
)

TARGETS = (TARGET, QUOTA)
