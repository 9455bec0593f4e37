"""The two languages of what is shown on screen."""

from __future__ import annotations

import locale
import os
from typing import Literal

Lang = Literal["zh", "en"]


def default_lang() -> Lang:
    """The locale's language: zh where it is Chinese, else en."""
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    name = next((n for n in names if n), None) or locale.getlocale()[0] or ""
    return "zh" if name.lower().startswith(("zh", "chinese")) else "en"


CARBON_ZH: dict[str, str] = {
    "direct": "化石燃料燃烧",
    "electricity": "电力",
    "heat": "热力",
    "exported": "外供（扣减）",
    "total": "总量",
    "own_renewable": "自用可再生能源",
    "biomass": "生物质",
    "feedstock": "原料用能",
    "all": "合计",
    "plant": "全厂",
    "carbon_per_product": "单位产品碳排放",
    "product_footprint": "产品碳足迹（制造阶段）",
    "carbon_per_output_value": "单位产值碳排放",
    "carbon_per_added_value": "单位增加值碳排放",
    "carbon_per_energy": "单位能耗碳排放",
    "own": "自发自用",
    "direct_line": "绿电直连",
    "traded": "绿电交易",
    "certificate": "绿证",
    "sold": "绿证售出",
    "energy": "综合能源消费量",
    "renewable": "可再生能源",
    "non_fossil": "非化石能源",
    "renewable_rate": "可再生能源利用率",
    "non_fossil_rate": "非化石能源占比",
    "wind": "风能",
    "solar": "太阳能",
    "hydro": "水能",
    "geothermal": "地热能",
    "ocean": "海洋能",
    "nuclear": "核能",
}

# Words of cells that are codes in the data, as a Chinese screen shows them.
WORDS_ZH: dict[str, str] = {
    "norm level 1": "限额1级（先进值）",
    "norm level 2": "限额2级（准入值）",
    "norm level 3": "限额3级（限定值）",
    "benchmark": "标杆水平",
    "baseline": "基准水平",
    "own best": "自身最好",
    "year before": "上年同期",
    "peers best 5 %": "同行前5%",
    "peers median": "同行中位数",
    "met": "符合",
    "partly_met": "部分得分",
    "not_met": "不符合",
    "provisional": "暂定（期间不完整）",
    "needs_evidence": "需提供证明材料",
    "no_reference": "缺引领值或基准值",
    "term": "系数",
    "quality": "拟合质量",
    "acceptance": "验收条件",
    "constant": "常数项",
    "accepted": "可用",
    "not_accepted": "不满足验收条件",
    "base": "基准期",
    "report": "报告期",
    "on_track": "正常",
    "at_risk": "有超限风险",
    "missed": "已超限",
    "insufficient_data": "数据不足",
    "unit_product": "单位产品能耗",
    "energy": "能耗",
    "carbon": "碳排放",
    "measured": "实测",
    "last_year": "按上年进度",
    "rate": "按本年速率",
    "True": "是",
    "False": "否",
    "sharp": "尖",
    "peak": "峰",
    "flat": "平",
    "valley": "谷",
    "deep_valley": "深谷",
    "no_tariff": "无分时电价",
    "not_billed": "不按此电价计费",
    "total": "合计",
    "unallocated": "未分摊",
    "output_value": "产值",
    "added_value": "增加值",
    "energy_cost": "能源费",
    "demand_charge": "基本电费",
    "unit_cost": "单位产品能源成本",
    "class": "按类别",
    "band": "分档",
    "step": "阶梯",
    "norm": "限额",
    "conversion": "加工转换",
    "recovery": "余能回收",
    "valid": "有效",
    "overdue": "超期",
    "product": "按产品",
    "output value": "按产值",
    "factor": "折标系数",
    "complete": "完整",
    "partial": "期间不完整",
    "refused": "数据不足",
    "calorific": "当量值",
    "equivalent": "等价值",
    "physical": "实物量",
    "unit_product_energy": "单位产品综合能耗",
    "unit_product_electricity": "单位产品电耗",
    "unit_product_coal": "单位产品煤耗",
    "balanced": "账平",
    "within_losses": "损耗范围内",
    "unbalanced": "不平衡",
    "main_below_branches": "总表小于分表",
    "unknown": "无法判断",
    "ratio": "倍率不符",
    "dead": "停走",
    "info": "提示",
    "warning": "警告",
    "error": "错误",
    "good": "正常",
    "up": "已连接",
    "down": "断开",
    "waiting": "等待",
    "starting": "启动中",
    "stopped": "已停止",
    "stale": "过期",
    "never": "尚无数据",
    "timeout": "无应答",
    "not_connected": "无连接",
    "bad_reply": "应答不符",
    "not_a_number": "非数值",
    "not_available": "设备无此值",
    "out_of_range": "超出可信范围",
    "not_asked": "无应答后暂停",
    "skipped": "线路太慢，已跳过",
    "bad_payload": "报文无法解析",
    "complies": "合规",
    "exceeds": "超限",
    "insufficient data": "数据不足以判定",
    "not from data": "不由数据判定",
    "inside": "厂内不要求",
    "plant": "进出用能单位",
    "process": "次级用能单位",
    "equipment": "主要用能设备",
    "yes": "是",
    "no": "否",
    "spool": "采集",
    "import": "导入",
    **CARBON_ZH,
}

# What a person reads instead of a reading's status.
STATUS_EN: dict[str, str] = {
    "never": "nothing yet",
    "timeout": "no reply",
    "not_connected": "no connection",
    "bad_reply": "reply does not fit",
    "not_a_number": "not a number",
    "not_available": "device has no value",
    "out_of_range": "not believable",
    "not_asked": "rests after silence",
    "skipped": "skipped: line too slow",
    "bad_payload": "unreadable message",
}


# Headings of the screen that are no column of a table.
HEADINGS_ZH: dict[str, str] = {
    "next_level": "下一等级",
    "distance_next": "距下一等级",
    "tce_per_year": "折年节能量 tce",
    "expected": "应采",
    "good": "正常",
    "missing": "缺失",
    "dropped": "丢弃",
    "duplicates": "重复",
    "repeated": "同刻再采",
    "late": "迟到",
    "reasons": "原因",
    "balanced": "账平",
    "connection": "连接",
    "last_good_utc": "最后正常时间",
    "meter_id": "计量器具",
    "plant_id": "工厂",
    "name": "名称",
    "value": "数值",
    "unit": "单位",
    "status": "状态",
    "age": "距今",
    "connection_state": "连接状态",
    "subject": "对象",
    "against": "对标项",
    "reference": "参照",
    "reference_value": "参照值",
    "gap": "差距",
    "gap_ratio": "差距比",
    "sure": "确定",
    "confidence": "可信度",
    "kind": "类别",
    "levels": "等级值",
    "effective_from": "实施日期",
    "note": "备注",
    "standard": "标准",
    "title_zh": "名称",
    "rows": "条数",
    "file": "文件",
    "severity": "程度",
    "message": "说明",
    "indicator": "指标",
}


def status_words(status: str, lang: Lang) -> str:
    """A reading's status in words.

    >>> status_words("timeout", "en"), status_words("exception_2", "en"), status_words("new", "zh")
    ('no reply', 'device says error 2', 'new')
    """
    if status.startswith("exception_"):
        number = status.removeprefix("exception_")
        return f"设备报错 {number}" if lang == "zh" else f"device says error {number}"
    return STATUS_EN.get(status, status) if lang == "en" else word(status, lang)


def word(text: str, lang: Lang) -> str:
    return WORDS_ZH.get(text, text) if lang == "zh" else text
