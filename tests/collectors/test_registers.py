"""Decoding and request plans."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.modbus.registers import (
    RegisterValue,
    decode,
    plan_line,
    plan_requests,
    poll_plan,
    register_values,
    split,
)
from config.errors import ConfigError, InputError
from config.register_map import WIDTH_BYTES
from tests.collectors.sites import meter, site_of

# 1234.5 as float32 is 0x449A5000: the letters of an order spell these bytes as they come.
GOLDEN = [
    ("f32", "ABCD", "449A5000", 1234.5),
    ("f32", "CDAB", "5000449A", 1234.5),
    ("f32", "BADC", "9A440050", 1234.5),
    ("f32", "DCBA", "00509A44", 1234.5),
    ("f64", "ABCDEFGH", "40934A0000000000", 1234.5),
    ("f64", "GHEFCDAB", "000000004A004093", 1234.5),
    ("f64", "HGFEDCBA", "00000000004A9340", 1234.5),
    ("u16", "AB", "FFFE", 65534),
    ("u16", "BA", "FEFF", 65534),
    ("i16", "AB", "FFFE", -2),
    ("u32", "ABCD", "00010002", 65538),
    ("u32", "CDAB", "00020001", 65538),
    ("u32", "BADC", "01000200", 65538),
    ("i32", "ABCD", "FFFFFFFE", -2),
    ("i32", "DCBA", "FEFFFFFF", -2),
    ("u64", "ABCDEFGH", "0000000100000002", 4294967298),
    ("u64", "BADCFEHG", "0000010000000200", 4294967298),
    ("u64", "GHEFCDAB", "0002000000010000", 4294967298),
    ("i64", "ABCDEFGH", "FFFFFFFFFFFFFFFE", -2),
    ("u64", "ABCDEFGH", "FFFFFFFFFFFFFFFF", 18446744073709551615),
    ("f64", "BADCFEHG", "9340004A00000000", 1234.5),
    ("f64", "EFGHABCD", "0000000040934A00", 1234.5),
    ("f64", "CDABGHEF", "4A00409300000000", 1234.5),
    ("u48", "ABCDEF", "000100000002", 4294967298),
    ("u48", "EFCDAB", "000200000001", 4294967298),
    ("i48", "ABCDEF", "FFFFFFFFFFFE", -2),
    ("bcd16", "AB", "1234", 1234),
    ("bcd32", "ABCD", "12345678", 12345678),
    ("bcd32", "CDAB", "56781234", 12345678),
    ("bcd48", "ABCDEF", "123456789012", 123456789012),
    ("bcd64", "HGFEDCBA", "7856341200000000", 12345678),
    ("m10k32", "ABCD", "04D2162E", 12345678),  # 1234, 5678
    ("m10k32", "CDAB", "162E04D2", 12345678),
    ("m10k48", "EFCDAB", "162E04D20001", 112345678),
    ("m10k64", "ABCDEFGH", "0000000104D2162E", 112345678),
]


@pytest.mark.parametrize(("number_type", "order", "wire", "number"), GOLDEN)
def test_golden_bytes(number_type: str, order: str, wire: str, number: float) -> None:
    assert decode(bytes.fromhex(wire), number_type, order) == number


def test_golden_bytes_cover_each_type() -> None:
    assert {case[0] for case in GOLDEN} == set(WIDTH_BYTES)


@pytest.mark.parametrize(
    ("wire", "number_type", "order"),
    [(b"\0\0", "f32", "ABCD"), (b"\0\0\0\0", "f32", "AB"), (b"\0\0\0\0", "u16", "AB")],
)
def test_lengths_that_differ_are_refused(wire: bytes, number_type: str, order: str) -> None:
    with pytest.raises(InputError, match="bytes in order"):
        decode(wire, number_type, order)


def value(address: int, number_type: str = "u16", **fields: object) -> RegisterValue:
    known = {
        "meter_id": f"m{address}",
        "quantity": "value",
        "unit_id": 1,
        "function": 3,
        "order": "ABCDEFGH"[: WIDTH_BYTES[number_type]],
    }
    return RegisterValue(address=address, type=number_type, **{**known, **fields})  # type: ignore[arg-type]


def test_scale_gives_the_nearest_number() -> None:
    wire = (12345).to_bytes(2, "big")
    assert value(7, scale=0.01).read_from(wire, 7) == 123.45
    assert value(7, scale=0.001).read_from(wire, 7) == 12.345
    assert value(7, scale=10.0).read_from(wire, 7) == 123450.0
    assert value(7, scale=0.3).read_from(wire, 7) == 12345 * 0.3
    assert value(7, scale=-0.01).read_from(wire, 7) == -123.45
    assert value(7, scale=0.0).read_from(wire, 7) == 0.0
    assert value(7, scale=1e-300).read_from(wire, 7) == 12345e-300
    assert isinstance(value(7).read_from(wire, 7), float)


def test_value_is_cut_out_of_a_longer_reply() -> None:
    wire = b"".join(address.to_bytes(2, "big") for address in range(100, 110))
    assert value(103).read_from(wire, 100) == 103
    assert value(103, "u32").read_from(wire, 100) == 103 * 65536 + 104


def test_not_a_number_comes_through_as_such() -> None:
    assert math.isnan(value(0, "f32").read_from(bytes.fromhex("7FC00000"), 0))
    assert math.isinf(value(0, "f32").read_from(bytes.fromhex("7F800000"), 0))


def extents(values: list[RegisterValue], limit: int, hole: int) -> list[tuple[int, int, int, int]]:
    plan = plan_requests(values, limit, hole)
    return [(r.unit_id, r.function, r.address, r.count) for r in plan]


def test_neighbours_share_a_request() -> None:
    values = [value(4, "f32"), value(0, "f32"), value(2, "f32")]
    assert extents(values, 125, 0) == [(1, 3, 0, 6)]


def test_holes_are_read_over_up_to_the_limit() -> None:
    values = [value(0), value(9), value(19)]
    assert extents(values, 125, 8) == [(1, 3, 0, 10), (1, 3, 19, 1)]
    assert extents(values, 125, 9) == [(1, 3, 0, 20)]
    assert extents(values, 125, 0) == [(1, 3, 0, 1), (1, 3, 9, 1), (1, 3, 19, 1)]


def test_units_and_functions_are_asked_apart() -> None:
    values = [value(0), value(1, function=4), value(2, unit_id=2)]
    assert extents(values, 125, 8) == [(1, 3, 0, 1), (1, 4, 1, 1), (2, 3, 2, 1)]


def test_a_value_is_not_torn_at_the_limit() -> None:
    assert extents([value(0, "u64"), value(4, "u64")], 7, 8) == [(1, 3, 0, 4), (1, 3, 4, 4)]


def test_the_smaller_limit_counts() -> None:
    values = [value(2 * i, "f32", max_registers=4) for i in range(4)]
    assert extents(values, 125, 8) == [(1, 3, 0, 4), (1, 3, 4, 4)]
    assert extents(values, 2, 8) == [(1, 3, 2 * i, 2) for i in range(4)]


def test_the_device_limit_of_one_unit_is_not_that_of_another() -> None:
    values = [value(i, unit_id=1, max_registers=1) for i in range(2)]
    values += [value(i, unit_id=2) for i in range(2)]
    assert extents(values, 125, 8) == [(1, 3, 0, 1), (1, 3, 1, 1), (2, 3, 0, 2)]


def test_meters_that_share_registers_share_the_request() -> None:
    assert extents([value(0, "u64"), value(2, "u16"), value(3, "u32")], 125, 0) == [(1, 3, 0, 5)]


def test_a_value_over_the_limit_is_refused() -> None:
    with pytest.raises(ConfigError, match="m0: u64 takes 4 registers, one request 3"):
        plan_requests([value(0, "u64")], 3, 8)


register_value = st.builds(
    lambda address, kind, unit, function, most: value(
        address, kind, unit_id=unit, function=function, max_registers=most
    ),
    st.integers(0, 200),
    st.sampled_from(sorted(WIDTH_BYTES)),
    st.integers(1, 3),
    st.sampled_from([3, 4]),
    st.sampled_from([None, 4, 10]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(register_value, max_size=40), st.integers(4, 125), st.integers(0, 20))
def test_plan_holds_its_promises(values: list[RegisterValue], limit: int, hole: int) -> None:
    plan = plan_requests(values, limit, hole)
    assert sorted(map(str, values)) == sorted(str(v) for request in plan for v in request.values)
    for request in plan:
        device_limits = [
            v.max_registers
            for v in values
            if v.max_registers and (v.unit_id, v.function) == (request.unit_id, request.function)
        ]
        assert request.count <= min([limit, *device_limits])
        wanted = set()
        for one in request.values:
            assert (one.unit_id, one.function) == (request.unit_id, request.function)
            assert request.address <= one.address
            assert one.end <= request.address + request.count
            wanted.update(range(one.address, one.end))
        assert request.address in wanted
        assert request.address + request.count - 1 in wanted
        holes = "".join("." if a in wanted else " " for a in range(min(wanted), max(wanted)))
        assert max(map(len, holes.split("."))) <= hole


@settings(max_examples=300, deadline=None)
@given(st.lists(register_value, max_size=40))
def test_split_holds_its_promises(values: list[RegisterValue]) -> None:
    for request in plan_requests(values, 125, 20):
        halves = split(request)
        if halves is None:
            continue
        first, second = halves
        assert first.values + second.values == request.values
        assert first.values
        assert second.values
        assert first.address + first.count <= second.address
        assert first.address == request.address
        assert second.address + second.count == request.address + request.count


def test_split_cuts_at_the_widest_hole() -> None:
    (request,) = plan_requests([value(0), value(1), value(2), value(9), value(11)], 125, 8)
    halves = split(request)
    assert halves is not None
    assert [(half.address, half.count) for half in halves] == [(0, 3), (9, 3)]


def test_split_without_a_hole_cuts_in_the_middle() -> None:
    (request,) = plan_requests([value(2 * i, "f32") for i in range(4)], 125, 8)
    halves = split(request)
    assert halves is not None
    assert [half.address for half in halves] == [0, 4]


def test_nothing_to_split() -> None:
    (alone,) = plan_requests([value(0, "u64")], 125, 8)
    (entangled,) = plan_requests([value(0, "u64"), value(2, "u64")], 125, 8)
    assert split(alone) is None
    assert split(entangled) is None


def test_plan_line() -> None:
    plan = plan_requests([value(0), value(2), value(40, "f32")], 125, 8)
    assert plan_line(plan) == "2 requests touch 5 registers for 3 values"
    assert plan_line(plan[:1]) == "1 request touches 3 registers for 2 values"
    assert plan_line(plan_requests([value(0)], 125, 8)) == (
        "1 request touches 1 register for 1 value"
    )


GATEWAY = {"gw": {"type": "modbus_tcp", "host": "127.0.0.1"}}


def test_values_of_register_maps_and_of_the_ledger(tmp_path: Path) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "own-map.yaml").write_text(
        "maker: A\nmodel: B\nsource: a test\nct_pt: primary\nfunction: 4\nword_order: little\n"
        "max_registers: 20\nfields:\n"
        "  import: {address: 10, type: u32, unit: kWh, scale: 0.1, kind: counter}\n"
        "  export: {address: 12, type: u32, unit: kWh, function: 3, order: BADC, kind: counter}\n"
    )
    site = site_of(
        tmp_path,
        GATEWAY,
        {
            "a": meter("gw", device="own-map", quantity="import", unit_id=7),
            "b": meter("gw", device="own-map", quantity="export"),
            "c": meter("gw", device="own-map", quantity="import", function=3, scale=0.5),
            "d": meter("gw", register=100, type="f32", order="CDAB", function=4, scale=2),
            "e": meter("gw", register=102, type="u16", unit_id=0),
        },
    )
    found = [
        (v.meter_id, v.quantity, v.unit_id, v.function, v.address, v.type, v.order, v.scale)
        for v in register_values(site, "gw")
    ]
    assert found == [
        ("a", "import", 7, 4, 10, "u32", "CDAB", 0.1),
        ("b", "export", 1, 3, 12, "u32", "BADC", 1.0),
        ("c", "import", 1, 3, 10, "u32", "CDAB", 0.5),
        ("d", "value", 1, 4, 100, "f32", "CDAB", 2.0),
        ("e", "value", 0, 3, 102, "u16", "AB", 1.0),
    ]
    assert {v.max_registers for v in register_values(site, "gw")} == {20, None}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"register": 65535, "type": "f32"}, "ends past register 65535"),
        (
            {"device": "eastron-sdm630", "quantity": "energy_import", "register": 5},
            "'eastron-sdm630' and a register of its own",
        ),
        (
            {"device": "eastron-sdm630", "quantity": "energy_import", "type": "u16"},
            "'eastron-sdm630' and a register of its own",
        ),
    ],
)
def test_registers_that_are_not_determined(
    tmp_path: Path, fields: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        register_values(site_of(tmp_path, GATEWAY, {"a": meter("gw", **fields)}), "gw")


def test_only_modbus_connections_have_registers(tmp_path: Path) -> None:
    broker = {"broker": {"type": "mqtt", "host": "127.0.0.1"}}
    site = site_of(tmp_path, GATEWAY | broker, {"a": meter("broker", topic="t")})
    for wrong in ("broker", "nowhere"):
        with pytest.raises(ConfigError, match=f"'{wrong}' is no Modbus connection"):
            register_values(site, wrong)


def test_intervals_have_plans_of_their_own(tmp_path: Path) -> None:
    site = site_of(
        tmp_path,
        {"gw": GATEWAY["gw"] | {"interval_s": 30}},
        {
            "a": meter("gw", register=0, type="u16"),
            "b": meter("gw", register=1, type="u16", interval_s=5),
            "c": meter("gw", register=2, type="u16"),
        },
    )
    plan = poll_plan(site, "gw")
    assert [(s, [(r.address, r.count) for r in plan[s]]) for s in plan] == [
        (5, [(1, 1)]),
        (30, [(0, 3)]),
    ]
    assert list(poll_plan(site, "gw", 2.0)) == [2.0]
