"""The sheets of `kgce rubric` and `kgce platform`."""

from __future__ import annotations

from config.columns import COVERAGE, PLANT, UNIT, Column, Table, flag, number, text

PERIOD = text("period", "year, or a month as an indication", "期间")
COVERAGE_OR_NONE = Column(
    COVERAGE.name, COVERAGE.type, COVERAGE.unit, COVERAGE.en, COVERAGE.zh, True
)
CONFIDENCE = text("confidence", "weakest confidence of the data behind it", "可信度")

RUBRIC = Table(
    "rubric",
    "",
    ("plant_id", "period", "edition", "item"),
    (
        PLANT,
        PERIOD,
        text("edition", "S6, G25, JS26: see rubric_editions.csv", "评价版本"),
        text("section", "code of the section", "一级指标代码"),
        text("section_zh", "section, in Chinese", "一级指标"),
        text("section_en", "section, in English", "一级指标（英文）"),
        text("item", "id of the item", "指标编号"),
        text("item_zh", "item, in Chinese", "指标"),
        text("item_en", "item, in English", "指标（英文）"),
        text("kind", "item, gate (basic requirement) or rule of the region", "类别"),
        text("requirement", "veto, required or optional", "要求"),
        flag("gate", "no score counts unless it is met", "门槛"),
        text("feeds", "whether energy data feed it: yes, partly, no", "能源数据支撑"),
        text("input", "figure that feeds it; empty where none does", "输入指标"),
        number("value", "unit", "the figure; empty where unknown", "数值", nullable=True),
        number("low", "unit", "smallest value that the readings allow", "下限", nullable=True),
        number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        UNIT,
        number("lead", "unit", "lead value: full points from here on", "引领值", nullable=True),
        number("base", "unit", "base value: no points beyond it", "基准值", nullable=True),
        text("reference", "id of the norm, or source of lead and base", "参照"),
        number("fraction", "1", "share of the points", "得分率", nullable=True),
        number("points", "1", "points; empty where not known", "得分", nullable=True),
        number("points_low", "1", "points that are certain", "最低得分", nullable=True),
        number("points_high", "1", "points that are possible", "最高得分", nullable=True),
        number("points_most", "1", "points of the item; empty: not found", "满分", nullable=True),
        text(
            "status",
            "met, partly_met, not_met, provisional (the period is not whole), refused (coverage), "
            "needs_evidence (no figure) or no_reference (nothing to hold the figure to)",
            "状态",
        ),
        text("reason", "why; empty where there is nothing to say", "原因"),
        COVERAGE_OR_NONE,
        CONFIDENCE,
        text("source", "figures, or the document and person that state it", "依据"),
        text("rows", "ids of the rows used, `;` between them", "所用数据"),
        text("parts", "JSON: the figure of each product that counts", "分产品数据"),
    ),
)

PLATFORM = Table(
    "platform",
    "",
    ("function",),
    (
        text("function", "id of the function", "编号"),
        text("name_zh", "function, in Chinese", "功能"),
        text("name_en", "function, in English", "功能（英文）"),
        flag("there", "every command that shows it is there", "具备"),
        text("proof", "commands that show it", "证明命令"),
        text("reason", "what is not there, or what it does not do", "说明"),
        CONFIDENCE,
    ),
)

RUBRICS = (RUBRIC, PLATFORM)
