"""The models of a register map: config/devices/<maker>-<model>.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from config.base import Model

NumberType = Literal[
    "u16", "i16", "u32", "i32", "u48", "i48", "u64", "i64", "f32", "f64",
    "bcd16", "bcd32", "bcd48", "bcd64", "m10k32", "m10k48", "m10k64",
]  # fmt: skip
FieldType = Literal[
    "u16", "i16", "u32", "i32", "u48", "i48", "u64", "i64", "f32", "f64",
    "bcd16", "bcd32", "bcd48", "bcd64", "m10k32", "m10k48", "m10k64", "string",
]  # fmt: skip
WIDTH_BYTES: dict[str, int] = {
    "u16": 2, "i16": 2, "u32": 4, "i32": 4, "u48": 6, "i48": 6, "u64": 8, "i64": 8,
    "f32": 4, "f64": 8, "bcd16": 2, "bcd32": 4, "bcd48": 6, "bcd64": 8,
    "m10k32": 4, "m10k48": 6, "m10k64": 8,
}  # fmt: skip
INTEGERS = ("u16", "i16", "u32", "i32", "u48", "i48", "u64", "i64")
# Where the manual counts registers from, and the function that its 3xxxx or 4xxxx form implies.
BASES: dict[int, int | None] = {0: None, 1: None, 30001: 4, 40001: 3, 300001: 4, 400001: 3}
Base = Literal[0, 1, 30001, 40001, 300001, 400001]
Register = Annotated[int, Field(ge=0, le=465536)]


class ScaleSource(Model):
    """A register that the value's scale is read from, each time that the value is read."""

    address: Register = Field(description="Register number, counted from the map's base.")
    type: NumberType = Field("i16", description="Number type.")
    function: Literal[3, 4] | None = Field(None, description="Modbus function; default the map's.")
    order: str | None = Field(None, description="Byte order on the wire; default the map's.")
    use: Literal["power_of_ten", "factor"] = Field(
        "power_of_ten", description="The register holds an exponent of 10, or the factor itself."
    )
    scale: float = Field(1.0, description="Factor from register number to the factor (`factor`).")


class Group(Model):
    """Fields that are read at an interval of their own."""

    interval_s: float = Field(ge=0.1, le=86400, description="Poll interval of the group's fields.")


class DeviceField(Model):
    """One value of a register map."""

    address: Register | None = Field(
        None, description="Register number as the manual prints it, counted from the map's base."
    )
    type: FieldType | None = Field(None, description="Number type; `string` is text for `probe`.")
    registers: int | None = Field(None, ge=1, le=125, description="Length of a string.")
    data_id: str | None = Field(
        None,
        pattern=r"^[0-9A-Fa-f]{8}$",
        description="DL/T 645: data identifier DI3 DI2 DI1 DI0, such as 00010000.",
    )
    digits: int | None = Field(None, ge=1, le=16, description="DL/T 645: BCD digits of the value.")
    signed: bool = Field(False, description="DL/T 645: the highest bit is the sign.")
    unit: str | None = Field(None, description="Unit after the scale.")
    function: Literal[3, 4] | None = Field(None, description="Modbus function; default the map's.")
    order: str | None = Field(
        None, description="Byte order on the wire, A for the most significant byte; default ABCD..."
    )
    scale: float = Field(1.0, description="Factor from register number to `unit`.")
    offset: float = Field(0.0, description="Added after the scale.")
    scale_from: tuple[ScaleSource, ...] = Field(
        (), description="Registers whose content scales the value too (SunSpec, CT and PT ratios)."
    )
    bits: tuple[int, int] | None = Field(
        None, description="Lowest and highest bit of a bit field, 0 the least significant."
    )
    not_available: tuple[int | float, ...] = Field(
        (),
        description="Register numbers that mean `no value`, such as 0xFFFFFFFF; NaN always does.",
    )
    valid: tuple[float, float] | None = Field(
        None, description="Least and most believable value, in `unit`."
    )
    modulus: float | None = Field(
        None, gt=0, description="Value at which the counter rolls over to 0, in `unit`."
    )
    group: str | None = Field(None, description="Read group; default the connection's interval.")
    kind: Literal["counter", "gauge", "text", "clock"] = Field(
        description="counter, gauge; text: shown by `probe`; clock: the device's time (on Modbus "
        "seconds since 1970, UTC), compared with this machine's."
    )

    @field_validator("bits")
    @classmethod
    def _bits_ascend(cls, bits: tuple[int, int] | None) -> tuple[int, int] | None:
        if bits is not None and not 0 <= bits[0] <= bits[1] <= 63:
            raise ValueError(f"bits {list(bits)}; allowed: [lowest, highest] of 0 to 63")
        return bits

    @model_validator(mode="after")
    def _hangs_together(self) -> DeviceField:
        if (self.address is None) == (self.data_id is None):
            raise ValueError("give either address and type (Modbus), or data_id and digits")
        if self.address is not None and self.type is None:
            raise ValueError("address without type")
        if self.data_id is not None and (self.digits is None or self.type is not None):
            raise ValueError("data_id needs digits, and has no type")
        if (self.type == "string") != (self.registers is not None):
            raise ValueError("`registers` is the length of a string, and only of a string")
        if self.kind in ("counter", "gauge") and (self.unit is None or self.type == "string"):
            raise ValueError(f"a {self.kind} has a unit and a number type")
        if self.bits is not None and self.type not in INTEGERS:
            raise ValueError(f"bits of {self.type}; allowed: {', '.join(INTEGERS)}")
        if self.valid is not None and self.valid[0] >= self.valid[1]:
            raise ValueError(f"valid {list(self.valid)}; allowed: [least, most]")
        if self.modulus is not None and self.kind != "counter":
            raise ValueError("only a counter has a modulus")
        return self


class Device(Model):
    """A register map: config/devices/<maker>-<model>.yaml."""

    maker: str = Field(description="Maker.")
    model: str = Field(description="Model.")
    medium: Literal["electricity", "water", "gas", "heat", "steam", "air", "other"] = Field(
        "electricity", description="What it meters."
    )
    source: str = Field(description="Where the facts are from.")
    ct_pt: Literal["primary", "secondary", "setting", "none"] = Field(
        description="Whether registers hold primary values (multiplier 1), secondary values "
        "(multiplier CT x PT), either by a setting of the meter; or it has no transformers."
    )
    note: str | None = Field(None, description="What whoever sets it up must know.")
    function: Literal[3, 4] | None = Field(
        None, description="Modbus function of the fields; default that of the base, else 3."
    )
    base: Base = Field(
        0, description="What the manual calls the first register: 0, 1, 40001, 30001..."
    )
    word_order: Literal["big", "little"] = Field("big", description="Order of 16-bit words.")
    max_registers: int | None = Field(None, ge=1, le=125, description="Most in one request.")
    max_hole: int | None = Field(
        None, ge=0, le=124, description="Largest run of unwanted registers that it lets one read."
    )
    groups: dict[str, Group] = Field(default_factory=dict, description="Read groups by name.")
    fields: dict[str, DeviceField] = Field(min_length=1, description="Values by name.")

    @model_validator(mode="after")
    def _hangs_together(self) -> Device:
        implied = BASES[self.base]
        if implied is not None and self.function not in (None, implied):
            raise ValueError(f"base {self.base} is function {implied}, not {self.function}")
        for name, field in self.fields.items():
            if field.group is not None and field.group not in self.groups:
                raise ValueError(f"field {name!r}: no group {field.group!r} is defined")
            for place in (field.address, *(s.address for s in field.scale_from)):
                if place is not None and not 0 <= place - self.base <= 65535:
                    raise ValueError(
                        f"field {name!r}: register {place}; allowed: {self.base} to "
                        f"{self.base + 65535} with base {self.base}"
                    )
        return self

    def function_of(self, own: int | None) -> int:
        """The Modbus function of a field that states ``own`` or nothing."""
        return own or self.function or BASES[self.base] or 3
