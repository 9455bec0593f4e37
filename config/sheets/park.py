"""The sheet of `kgce park`."""

from __future__ import annotations

from config.columns import UNIT, Table, number, text
from config.sheets.rubric import CONFIDENCE, COVERAGE_OR_NONE, PERIOD

PARK = Table(
    "park",
    "",
    ("park_id", "period", "item"),
    (
        text("park_id", "park", "园区"),
        PERIOD,
        text("scheme", "park, low_carbon_park, supply_chain, design_product or total", "评价体系"),
        text("group", "code of the index, such as EG", "一级指标代号"),
        text("item", "id of green_park.csv; of a total its name", "指标编号"),
        text("item_zh", "item, in Chinese", "指标"),
        text("item_en", "item, in English", "指标（英文）"),
        text("requirement", "required, optional, scored, reference, encouraged", "要求"),
        text("feeds", "whether energy data feed it: yes, partly, no", "能源数据支撑"),
        number("value", "unit", "the figure; empty where unknown", "数值", nullable=True),
        number("low", "unit", "smallest value that the readings allow", "下限", nullable=True),
        number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        UNIT,
        number("lead", "unit", "lead value", "引领值", nullable=True),
        number("term", "1", "value / lead, or lead / value", "指标得分率", nullable=True),
        number("points", "1", "points of a scored item", "得分", nullable=True),
        text(
            "status",
            "met, partly_met, not_met, provisional, refused, needs_evidence or no_reference; of a "
            "total known or unknown",
            "状态",
        ),
        text("reason", "why; empty where there is nothing to say", "原因"),
        COVERAGE_OR_NONE,
        CONFIDENCE,
        text("source", "figures, or the document and person that state it", "依据"),
        text("rows", "ids of the rows used, `;` between them", "所用数据"),
    ),
)
