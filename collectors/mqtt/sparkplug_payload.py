"""Sparkplug B payloads: the fields of its protobuf messages that a reader of metrics needs.

Field numbers and types are those of the Sparkplug specification 3.0.0, 6.4; fields that are not
declared here are skipped when a payload is read. Needs the package protobuf (extra ``sparkplug``).
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

from config.errors import ConfigError, InputError

# Data types, 6.4.16.
_SIGNED_BITS = {1: 8, 2: 16, 3: 32, 4: 64}  # Int8 to Int64
_UNSIGNED_BITS = {5: 8, 6: 16, 7: 32, 8: 64}  # UInt8 to UInt64
_FLOATS = (9, 10)
_TEXTS = (12, 14)

GOOD_QUALITY, STALE_QUALITY = 192, 500  # property Quality, 6.4.13; 0 is bad

_Fields = tuple[tuple[int, str, str], ...]
_PROPERTY_VALUE: _Fields = (
    (1, "type", "uint32"),
    (2, "is_null", "bool"),
    (3, "int_value", "uint32"),
    (4, "long_value", "uint64"),
)
_PROPERTY_SET: _Fields = ((1, "keys", "string*"), (2, "values", "PropertyValue*"))
_METRIC: _Fields = (
    (1, "name", "string"),
    (2, "alias", "uint64"),
    (3, "timestamp", "uint64"),
    (4, "datatype", "uint32"),
    (5, "is_historical", "bool"),
    (7, "is_null", "bool"),
    (9, "properties", "PropertySet"),
    (10, "int_value", "uint32"),
    (11, "long_value", "uint64"),
    (12, "float_value", "float"),
    (13, "double_value", "double"),
    (14, "boolean_value", "bool"),
    (15, "string_value", "string"),
)
_PAYLOAD: _Fields = (
    (1, "timestamp", "uint64"),
    (2, "metrics", "Metric*"),
    (3, "seq", "uint64"),
)
_MESSAGES = {
    "PropertyValue": _PROPERTY_VALUE,
    "PropertySet": _PROPERTY_SET,
    "Metric": _METRIC,
    "Payload": _PAYLOAD,
}
_VALUE_FIELDS = tuple(name for number, name, _ in _METRIC if number >= 10)


class Metric(NamedTuple):
    """One metric as it was sent; what was not sent is None."""

    name: str | None
    alias: int | None
    time_ms: int | None
    datatype: int | None
    is_null: bool
    raw: float | str | None  # an integer is without its sign still
    quality: int | None


class SparkplugPayload(NamedTuple):
    time_ms: int | None
    sequence: int | None
    metrics: tuple[Metric, ...]


def require_protobuf(place: str) -> None:
    """Raises ConfigError where the package is missing."""
    try:
        found = find_spec("google.protobuf")
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise ConfigError(
            f"{place}: metric needs the package protobuf",
            allowed="kgce with its extra `sparkplug`",
            todo="install it: uv tool install 'kgce[sparkplug]', or pip install 'kgce[sparkplug]'",
        )


@cache
def _payload_type() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="kgce/sparkplug.proto", package="kgce.sparkplug", syntax="proto2"
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for number, name, kind in fields:
            repeated, kind = kind.endswith("*"), kind.rstrip("*")
            field = message.field.add(name=name, number=number)
            field.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in _MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".kgce.sparkplug.{kind}"
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("kgce.sparkplug.Payload"))


def decode(raw: bytes) -> SparkplugPayload:
    """Raises InputError for bytes that are no Sparkplug payload."""
    from google.protobuf.message import DecodeError

    message = _payload_type()()
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise InputError(
            "payload is no Sparkplug B", allowed="a protobuf message of Sparkplug B"
        ) from error
    return SparkplugPayload(
        _given(message, "timestamp"),
        _given(message, "seq"),
        tuple(_metric(metric) for metric in message.metrics),
    )


def _given(message: Any, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None


def _metric(metric: Any) -> Metric:
    raw = next((_given(metric, f) for f in _VALUE_FIELDS if metric.HasField(f)), None)
    properties = metric.properties
    quality = None
    for key, value in zip(properties.keys, properties.values, strict=False):
        if key == "Quality":
            quality = _given(value, "int_value")
            quality = _given(value, "long_value") if quality is None else quality
    return Metric(
        _given(metric, "name"),
        _given(metric, "alias"),
        _given(metric, "timestamp"),
        _given(metric, "datatype"),
        bool(metric.is_null),
        raw,
        quality,
    )


def number_of(metric: Metric, datatype: int | None) -> float | int | str:
    """The value of a metric of the given data type, with its sign.

    Raises InputError where it has none, or is no number.
    """
    raw = metric.raw
    if raw is None or isinstance(raw, bool):
        raise InputError(
            f"metric of data type {datatype} holds no number",
            allowed="integers, floats, or a text that is a number",
        )
    if not isinstance(raw, int):
        return raw
    if bits := _SIGNED_BITS.get(datatype or 0):
        raw &= (1 << bits) - 1
        return raw - (1 << bits) if raw >> (bits - 1) else raw
    if bits := _UNSIGNED_BITS.get(datatype or 0):
        return raw & (1 << bits) - 1
    if datatype is None and raw < 1 << 31:
        return raw  # the same with and without a sign
    raise InputError(
        f"metric of data type {datatype} holds the integer {raw}",
        allowed="data types Int8 to UInt64, in the metric or in its birth certificate",
    )
