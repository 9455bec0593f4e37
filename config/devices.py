"""Register maps: config/devices/<maker>-<model>.yaml, or a file beside plant.yaml."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import NamedTuple

from config.errors import ConfigError
from config.register_map import WIDTH_BYTES, Device, DeviceField, ScaleSource
from config.yaml import Source, combine, read_yaml, validate

DEVICES_FOLDER = Path(__file__).parent / "devices"


def byte_order(number_type: str, order: str | None, word_order: str = "big") -> str:
    """The order of a value's bytes on the wire, spelled with A for the most significant.

    >>> byte_order("f32", None), byte_order("f32", None, "little"), byte_order("u64", "BADCFEHG")
    ('ABCD', 'CDAB', 'BADCFEHG')

    Raises ConfigError where ``order`` does not spell each byte once.
    """
    letters = "ABCDEFGH"[: WIDTH_BYTES[number_type]]
    if order is None:
        words = [letters[i : i + 2] for i in range(0, len(letters), 2)]
        return "".join(words if word_order == "big" else reversed(words))
    if sorted(order) != sorted(letters):
        raise ConfigError(
            f"order {order!r} does not fit {number_type}",
            allowed=f"the letters {letters} in the order of the wire, such as {letters}",
        )
    return order


def known_devices() -> list[str]:
    return sorted(file.stem for file in DEVICES_FOLDER.glob("*.yaml"))


def read_device(name: str, beside: Path | None = None) -> Device:
    """The register map ``name``: ``beside``/devices/NAME.yaml first, then the package's.

    Raises ConfigError for an unknown name, a wrong file, fields that overlap, or a field that
    would be torn over two requests.
    """
    for folder in (beside / "devices" if beside else None, DEVICES_FOLDER):
        if folder and (file := folder / f"{name}.yaml").is_file():
            source = read_yaml(file)
            device = validate(Device, source)
            if problems := _register_problems(device, source):
                raise combine(problems)
            return device
    near = difflib.get_close_matches(name, known_devices(), 1)
    raise ConfigError(
        f"unknown device {name!r}",
        allowed=f"one of {len(known_devices())} models; `kgce devices` lists them",
        todo=f"did you mean {near[0]!r}?"
        if near
        else f"put the meter's register map into devices/{name}.yaml beside plant.yaml",
    )


def span(device: Device, field: DeviceField) -> range:
    """Registers that the field takes, counted from 0; empty where it has none."""
    if field.address is None or field.type is None:
        return range(0)
    first = field.address - device.base
    return range(first, first + (field.registers or WIDTH_BYTES[field.type] // 2))


class Place(NamedTuple):
    """Where a number stands in a Modbus unit; ``address`` is counted from 0."""

    function: int
    address: int
    type: str
    order: str


def place(device: Device, field: DeviceField | ScaleSource, order: str | None = None) -> Place:
    """Where a field's number stands; ``order`` goes before the map's.

    Raises ConfigError for a field that is no number of a Modbus register.
    """
    if field.address is None or field.type is None or field.type == "string":
        raise ConfigError(
            f"{device.maker} {device.model}: a field that holds no number in a register",
            allowed="a field with address and number type",
        )
    return Place(
        device.function_of(field.function),
        field.address - device.base,
        field.type,
        byte_order(field.type, order or field.order, device.word_order),
    )


def _register_problems(device: Device, source: Source) -> list[ConfigError]:
    problems = []
    taken: dict[tuple[int, int], str] = {}
    for name, field in device.fields.items():
        here = source.place(("fields", name))
        registers = span(device, field)
        if not registers:
            continue
        if registers[-1] > 65535:
            problems.append(
                ConfigError(
                    f"{here}: {field.type} at {field.address} ends past register 65535",
                    allowed="addresses 0 to 65535",
                )
            )
        if device.max_registers is not None and len(registers) > device.max_registers:
            problems.append(
                ConfigError(
                    f"{here}: {field.type} takes {len(registers)} registers, one request of this "
                    f"device {device.max_registers}: the value would be torn",
                    allowed="a value inside one request",
                    todo="correct max_registers or the type",
                )
            )
        try:
            if field.type is not None and field.type != "string":
                byte_order(field.type, field.order)
        except ConfigError as error:
            problems.append(
                ConfigError(
                    f"{source.place(('fields', name, 'order'))}: {error.given}",
                    allowed=error.allowed,
                )
            )
        function = device.function_of(field.function)
        others = {taken[key] for r in registers if (key := (function, r)) in taken}
        for other in sorted(others if field.bits is None else ()):
            problems.append(
                ConfigError(
                    f"{here}: registers {registers[0]} to {registers[-1]} overlap those of "
                    f"{other!r}",
                    allowed="each register in one field",
                    todo="check address and type against the meter's manual",
                )
            )
        for register in registers if field.bits is None else ():
            taken.setdefault((function, register), name)
    return problems
