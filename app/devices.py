"""What `kgce devices` lists, finds and shows: the register maps that meters can name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from app.language import Lang
from config.devices import known_devices, place, read_device
from config.register_map import Device, DeviceField, ScaleSource
from config.tables import Column, Table

MAPS = Table(
    "devices",
    "",
    ("device",),
    (
        Column("device", "string", "", "register map, as the ledger names it", "寄存器表"),
        Column("maker", "string", "", "maker", "厂家"),
        Column("model", "string", "", "model", "型号"),
        Column("medium", "string", "", "what it meters", "介质"),
        Column("ct_pt", "string", "", "what the registers hold", "CT/PT 侧"),
        Column("quantities", "int", "", "number of quantities", "量数"),
        Column("where", "string", "", "package, or plant: beside plant.yaml", "出处"),
        Column("source", "string", "", "where the facts are from", "依据"),
        Column("note", "string", "", "what to know", "说明", nullable=True),
    ),
)
MAPS_ON_SCREEN = ("device", "maker", "model", "medium", "ct_pt", "quantities", "where")

FIELDS = Table(
    "device_fields",
    "",
    ("quantity",),
    (
        Column("quantity", "string", "", "quantity, as the ledger names it", "量"),
        Column("kind", "string", "", "counter, gauge, text or clock", "类别"),
        Column("unit", "string", "", "unit after the scale", "单位", nullable=True),
        Column("function", "int", "", "Modbus function", "功能码", nullable=True),
        Column("register", "int", "", "register as the manual prints it", "寄存器", nullable=True),
        Column("address", "int", "", "address on the wire, from 0", "线上地址", nullable=True),
        Column("data_id", "string", "", "DL/T 645 data identifier", "数据标识", nullable=True),
        Column("type", "string", "", "number type", "数据类型", nullable=True),
        Column("order", "string", "", "bytes on the wire, A the highest", "字节序", nullable=True),
        Column("scale", "float", "", "factor to the unit", "系数"),
        Column("offset", "float", "", "added after the scale", "偏移"),
        Column("scaled_by", "string", "", "what [registers] scale it by", "系数寄存器", True),
        Column("bits", "string", "", "lowest and highest bit", "位", nullable=True),
        Column("not_available", "string", "", "numbers for no value", "无效值", nullable=True),
        Column("valid", "string", "", "least and most believable value", "可信范围", nullable=True),
        Column("modulus", "float", "", "value at which it rolls over", "翻转值", nullable=True),
        Column("interval_s", "float", "s", "poll interval of its group", "采集周期 s", True),
    ),
)
FIELDS_ON_SCREEN = (
    "quantity", "kind", "unit", "function", "register", "data_id", "type", "order", "scale",
    "scaled_by", "not_available", "modulus",
)  # fmt: skip

# Codes of the maps, as screens say them; data keep the code.
WORDS: dict[Lang, dict[str, str]] = {
    "en": {},
    "zh": {
        "electricity": "电",
        "water": "水",
        "gas": "燃气",
        "heat": "热",
        "steam": "蒸汽",
        "air": "压缩空气",
        "other": "其他",
        "primary": "一次侧",
        "secondary": "二次侧",
        "setting": "按表内设置",
        "none": "无互感器",
        "counter": "累计",
        "gauge": "瞬时",
        "text": "文本",
        "clock": "时钟",
        "package": "自带",
        "plant": "本厂",
    },
}
MULTIPLIER: dict[str, dict[Lang, str]] = {
    "primary": {"en": "values are primary: multiplier 1", "zh": "一次值：倍率为 1"},
    "secondary": {
        "en": "values are secondary: multiplier CT x PT",
        "zh": "二次值：倍率为 CT×PT",
    },
    "setting": {
        "en": "primary or secondary values, by a setting of the meter: compare with its display",
        "zh": "一次值或二次值，取决于表内设置：请与表显核对",
    },
    "none": {"en": "no transformers: multiplier 1", "zh": "无互感器：倍率为 1"},
}


def all_devices(beside: Path | None = None) -> dict[str, Device]:
    """Every register map by name: those of the package, and those in ``beside``/devices.

    A map beside plant.yaml goes before the package's of the same name. Raises ConfigError for a
    wrong map.
    """
    names = sorted({*known_devices(), *_own_names(beside)})
    return {name: read_device(name, beside) for name in names}


def _own_names(beside: Path | None) -> set[str]:
    return {file.stem for file in (beside / "devices").glob("*.yaml")} if beside else set()


def maps(words: Sequence[str] = (), beside: Path | None = None) -> pl.DataFrame:
    """One row a register map in which every word is found: in its name, its maker, model or
    medium, or the name of a quantity."""
    own = _own_names(beside)
    rows = [
        {
            "device": name,
            "maker": device.maker,
            "model": device.model,
            "medium": device.medium,
            "ct_pt": device.ct_pt,
            "quantities": len(device.fields),
            "where": "plant" if name in own else "package",
            "source": device.source,
            "note": device.note,
        }
        for name, device in all_devices(beside).items()
        if _fits(words, name, device)
    ]
    return _frame(rows, MAPS)


def _fits(words: Sequence[str], name: str, device: Device) -> bool:
    medium = device.medium, WORDS["zh"][device.medium]
    texts = [t.casefold() for t in (name, device.maker, device.model, *medium, *device.fields)]
    return all(any(word.casefold() in text for text in texts) for word in words)


def fields(device: Device) -> pl.DataFrame:
    """One row a quantity of the map."""
    return _frame([_row(device, name, field) for name, field in device.fields.items()], FIELDS)


def _row(device: Device, name: str, field: DeviceField) -> dict[str, Any]:
    on_modbus = field.address is not None
    order = field.order
    if on_modbus and field.type != "string":
        order = place(device, field).order
    return {
        "quantity": name,
        "kind": field.kind,
        "unit": field.unit,
        "function": device.function_of(field.function) if on_modbus else None,
        "register": field.address,
        "address": None if field.address is None else field.address - device.base,
        "data_id": field.data_id,
        "type": _type(field),
        "order": order,
        "scale": field.scale,
        "offset": field.offset,
        "scaled_by": _listed(_scale(source) for source in field.scale_from),
        "bits": _listed(str(bit) for bit in field.bits or ()),
        "not_available": _listed(str(number) for number in field.not_available),
        "valid": _listed(f"{bound:g}" for bound in field.valid or ()),
        "modulus": field.modulus,
        "interval_s": device.groups[field.group].interval_s if field.group else None,
    }


def _type(field: DeviceField) -> str | None:
    if field.type == "string":
        return f"string({field.registers})"
    return field.type or (f"bcd({field.digits})" if field.digits else None)


def _scale(source: ScaleSource) -> str:
    """Such as `10^[40210]` or `[142]`: what the register in brackets holds."""
    held = f"[{source.address}]"
    if source.use == "power_of_ten":
        return f"10^{held}"
    return held if source.scale == 1 else f"{held} x {source.scale:g}"


def _listed(texts: Iterable[str]) -> str | None:
    return ", ".join(texts) or None


def about(name: str, device: Device, lang: Lang) -> Iterator[str]:
    """What to say above the quantities of a map."""
    words = WORDS[lang]
    yield f"{name}: {device.maker} {device.model} ({words.get(device.medium, device.medium)})"
    yield MULTIPLIER[device.ct_pt][lang]
    most = [
        (device.max_registers, "registers in one request", "个寄存器（每次请求上限）"),
        (device.max_hole, "unwanted registers between two values", "个寄存器（最大空档）"),
    ]
    for number, en, zh in most:
        if number is not None:
            yield f"≤ {number} {zh if lang == 'zh' else en}"
    yield f"{'依据：' if lang == 'zh' else 'source: '}{device.source}"
    if device.note:
        yield device.note


def for_screen(frame: pl.DataFrame, lang: Lang) -> pl.DataFrame:
    """``frame`` with the codes of the maps in the screen's language."""
    codes = [name for name in ("medium", "ct_pt", "kind", "where") if name in frame.columns]
    return frame.with_columns(pl.col(codes).replace(WORDS[lang])) if codes else frame


def _frame(rows: Sequence[dict[str, Any]], table: Table) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=table.polars_schema())
