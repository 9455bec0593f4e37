"""The sheets of `kgce metering` and `kgce supervise`."""

from __future__ import annotations

from config.columns import METER, UNIT, Table, number, text

_EDITION = (
    text("edition", "standard and edition that judged; empty where none did", "执行标准"),
    text("newer_edition", "newer one in force whose contents are not here; else empty", "现行新版"),
)
_CONFIDENCE = text("confidence", "weakest confidence of the data behind it", "可信度")

METERING_PROVISION = Table(
    "metering_provision",
    "",
    ("edition", "energy_class", "level"),
    (
        text("energy_class", "class of the standard", "能源类别"),
        text("level", "plant (in and out of it), process or equipment", "配备级别"),
        number("needed", "1", "points that are to be metered for certain", "应配备数"),
        number("installed", "1", "of those, the ones with a meter for certain", "实配备数"),
        number("undecided", "1", "points of which need or meter is not known", "待定数"),
        number("value", "%", "provision rate; empty where not known", "配备率", nullable=True),
        number("low", "%", "smallest rate that what is known allows", "下限"),
        number("high", "%", "largest", "上限"),
        UNIT,
        number(
            "required", "%", "rate required; empty where not known", "要求配备率", nullable=True
        ),
        text("status", "met, not_met or unknown", "判定"),
        *_EDITION,
        text("rows", "JSON: ids of the rows used", "依据条目"),
        text("evidence", "JSON: each point, with need, meter and why", "证据"),
        text("reason", "why it is not known; else empty", "原因"),
        _CONFIDENCE,
    ),
)

CALIBRATION = Table(
    "calibration",
    "",
    ("meter_id",),
    (
        METER,
        text("name", "name", "名称"),
        text("node_id", "node", "用能单元"),
        text("level", "level of the node", "级别"),
        text("energy_code", "energy", "能源品种"),
        text("calibrated_on", "day of the last calibration; empty where not stated", "检定日期"),
        text("calibration_due", "day by which the next is due; empty where not stated", "有效期至"),
        number("days_left", "d", "days from the day asked for to that", "剩余天数", nullable=True),
        text("calibration", "valid, overdue or unknown", "检定状态"),
        text("accuracy_class", "class by the ledger; empty where not stated", "准确度等级"),
        text("required_class", "class required; several where the case is not known", "要求等级"),
        text(
            "accuracy",
            "met, not_met, unknown, or inside (the plant: no class is asked)",
            "准确度判定",
        ),
        *_EDITION,
        text("rows", "JSON: ids of the rows used", "依据条目"),
        text("reason", "why something is not known; else empty", "原因"),
        _CONFIDENCE,
    ),
)

SUPERVISION = Table(
    "supervision",
    "",
    ("check_id", "subject", "aspect"),
    (
        text("check_id", "id of the check: S an inspector's, T a sign of tampering", "编号"),
        text("area", "area of the check", "领域"),
        text("item_zh", "what is checked, in Chinese", "监察内容"),
        text("item_en", "what is checked, in English", "监察内容（英文）"),
        text("subject", "product, node, meter or plant", "对象"),
        text("aspect", "what of the subject: indicator, energy, level, day", "方面"),
        text("period", "month or year", "期间"),
        text("verdict", "complies, exceeds, insufficient data, or not from data", "结论"),
        number("value", "unit", "the figure; empty where there is none", "数值", nullable=True),
        number("limit", "unit", "what it is held against", "限值", nullable=True),
        UNIT,
        number("low", "unit", "smallest value that the data allow", "下限", nullable=True),
        number("high", "unit", "largest; empty where nothing bounds it", "上限", nullable=True),
        number("coverage_ratio", "1", "share of the time observed", "数据完整率", nullable=True),
        text("status", "of the figure: complete, partial or refused; else empty", "数据状态"),
        text("basis", "standard and edition, law or rule", "依据"),
        text("consequence", "what the rule says may follow where it exceeds", "后果"),
        text("reason", "why, in words", "说明"),
        text("evidence", "JSON from which the verdict follows again", "证据"),
        _CONFIDENCE,
    ),
)

SUPERVISED: tuple[Table, ...] = (METERING_PROVISION, CALIBRATION, SUPERVISION)
