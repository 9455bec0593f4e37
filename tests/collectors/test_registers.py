"""Decoding and request plans."""

from __future__ import annotations

from itertools import repeat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.modbus.collector import Reply
from collectors.modbus.numbers import Decoder, bits_of, decode
from collectors.modbus.plan import (
    bus_load_ratio,
    plan_line,
    plan_requests,
    poll_plan,
    split,
    why_unmet,
)
from collectors.modbus.values import RegisterValue, Scaler, Span, register_values
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
    with pytest.raises(InputError, match=r"bytes for|order .* for"):
        decode(wire, number_type, order)


def value(address: int, number_type: str = "u16", **fields: object) -> RegisterValue:
    where = span(
        address, number_type, **{k: fields.pop(k) for k in ("unit_id", "function") if k in fields}
    )
    return RegisterValue(f"m{address}", "value", where, **fields)  # type: ignore[arg-type]


def span(address: int, number_type: str = "u16", unit_id: int = 1, function: int = 3) -> Span:
    order = "ABCDEFGH"[: WIDTH_BYTES[number_type]]
    return Span(unit_id, function, address, number_type, order)


def read(values: list[RegisterValue], registers: list[int]) -> list[tuple[float | None, str]]:
    """What the values find where the registers from 0 on are these."""
    scales: dict[Span, int | float | str] = {}
    found = {}
    for request in plan_requests(values, 125, 8):
        words = registers[request.address : request.address + request.count]
        wire = b"".join(word.to_bytes(2, "big") for word in words)
        values_found, statuses = Reply(request).found(wire, scales)
        results = zip(values_found, statuses or repeat("good"), strict=False)
        found |= zip(request.values, results, strict=False)
    return [found[one] for one in values]


def one(*registers: int, number_type: str = "u16", **fields: object) -> tuple[float | None, str]:
    """What a value at register 0 finds."""
    return read([value(0, number_type, **fields)], list(registers))[0]


def test_scale_gives_the_nearest_number() -> None:
    scales = [0.01, 0.001, 10.0, 0.3, -0.01, 0.0, 1e-300]
    exact = [123.45, 12.345, 123450.0, 12345 * 0.3, -123.45, 0.0, 12345e-300]
    for scale, wanted in zip(scales, exact, strict=True):
        assert one(12345, scale=scale) == (wanted, "good")
        assert one(12345, scale=scale, not_available=(7,)) == (wanted, "good")
    assert isinstance(one(12345)[0], float)


def test_values_are_cut_out_of_a_longer_reply() -> None:
    registers = list(range(100, 110))
    found = read([value(3), value(0), value(5, "u32"), value(4, "u64")], registers)
    assert [number for number, _ in found[:3]] == [103, 100, 105 * 65536 + 106]
    assert found[3][0] == 1.0 * int.from_bytes(bytes.fromhex("0068 0069 006A 006B"), "big")


@pytest.mark.parametrize(
    ("registers", "number_type"),
    [((0x7FC0, 0), "f32"), ((0x7F80, 0), "f32"), ((0x12A4,), "bcd16"), ((1, 10_000), "m10k32")],
)
def test_what_is_no_number_has_no_value(registers: tuple[int, ...], number_type: str) -> None:
    assert one(*registers, number_type=number_type) == (None, "not_a_number")
    beside = read([value(0, number_type), value(2)], [*[*registers, 0][:2], 7])
    assert beside == [(None, "not_a_number"), (7.0, "good")]


def test_sentinels_have_no_value() -> None:
    assert one(0xFFFF, not_available=(0xFFFF,)) == (None, "not_available")
    assert one(0x8000, number_type="i16", not_available=(-32768,)) == (None, "not_available")
    assert one(0xFFFE, not_available=(0xFFFF,)) == (65534, "good")


def test_a_value_out_of_its_range_is_kept_and_said() -> None:
    assert one(900, scale=0.1, valid=(0, 80)) == (90.0, "out_of_range")
    assert one(800, scale=0.1, valid=(0, 80)) == (80.0, "good")


def test_offset_and_bits() -> None:
    assert one(200, scale=0.1, offset=-50) == (-30.0, "good")
    assert one(0b1101_0000, bits=(4, 6)) == (5.0, "good")
    assert one(0x8000, number_type="i16", bits=(15, 15)) == (1.0, "good")
    assert bits_of(0xFFFFFFFF, (0, 31)) == 0xFFFFFFFF


def scaled(address: int, *scalers: Scaler, **fields: object) -> RegisterValue:
    return value(address, scale_from=scalers, **fields)


def test_a_scale_is_read_from_another_register() -> None:
    near = Scaler(span(1, "i16"), is_exponent=True)
    assert read([scaled(0, near)], [12345, 0xFFFE]) == [(123.45, "good")]
    assert read([scaled(0, near)], [12345, 2]) == [(1234500.0, "good")]
    assert read([scaled(0, near)], [12345, 0x8000]) == [(None, "not_available")]
    ratios = Scaler(span(30), False), Scaler(span(31), False, 0.1)
    assert read([scaled(0, *ratios)], [5, *[0] * 29, 40, 1000]) == [(5 * 40 * 100.0, "good")]
    both = read([scaled(0, near), value(1, "i16")], [12345, 0xFFFF])
    assert both == [(1234.5, "good"), (-1.0, "good")]


def test_scales_are_read_before_what_they_scale() -> None:
    plan = plan_requests([scaled(0, Scaler(span(60), False)), value(9, unit_id=2)], 125, 8)
    assert [(r.unit_id, r.address) for r in plan] == [(1, 60), (1, 0), (2, 9)]


def test_without_its_scale_a_value_has_the_reason_of_the_scale() -> None:
    wanted = scaled(0, Scaler(span(60), False))
    own = plan_requests([wanted], 125, 8)[1]
    assert Reply(own).found(b"\0\7", {span(60): "timeout"}) == ([None], ["timeout"])
    assert Reply(own).found(b"\0\7", {}) == ([None], ["not_asked"])


def test_a_reply_that_is_too_short_is_refused() -> None:
    with pytest.raises(InputError, match="3 bytes"):
        Decoder([(2, "u16", "AB")])(b"\0\1\2")


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
            if v.max_registers
            and (v.span.unit_id, v.span.function) == (request.unit_id, request.function)
        ]
        assert request.count <= min([limit, *device_limits])
        wanted = set()
        for one in (v.span for v in request.values):
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
        (v.meter_id, v.quantity, *vars(v.span).values(), v.scale)
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


def test_a_manual_that_counts_from_40001(tmp_path: Path) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "own-map.yaml").write_text(
        "maker: A\nmodel: B\nsource: a test\nct_pt: none\nbase: 30001\nfields:\n"
        "  total: {address: 30013, type: u32, unit: kWh, kind: counter, group: slow}\n"
        "groups:\n  slow: {interval_s: 300}\n"
    )
    rows = {
        "a": meter("gw", device="own-map", quantity="total"),
        "b": meter("gw", register=40101, register_base=40001, type="u16"),
        "c": meter("gw", register=1, register_base=1, type="u16"),
    }
    site = site_of(tmp_path, GATEWAY, rows)
    found = {v.meter_id: (v.span.function, v.span.address) for v in register_values(site, "gw")}
    assert found == {"a": (4, 12), "b": (3, 100), "c": (3, 0)}
    assert list(poll_plan(site, "gw")) == [60, 300]


@pytest.mark.parametrize(("register", "base"), [(40000, 40001), (0, 1), (105537, 40001)])
def test_a_register_below_or_behind_its_base(tmp_path: Path, register: int, base: int) -> None:
    row = meter("gw", register=register, register_base=base, type="u16")
    with pytest.raises(ConfigError, match=f"with register_base {base}"):
        site_of(tmp_path, GATEWAY, {"a": row})


BUS = {"bus": {"type": "modbus_rtu", "serial": {"device": "/dev/ttyS9", "parity": "even"}}}


def test_the_load_of_a_bus(tmp_path: Path) -> None:
    # 20 units, one request of 50 registers each at 9600 Bd and 11 bits: (8 + 105) characters and
    # two silences of 3.5 of them make 137.5 ms, and the meter's own 10 ms.
    rows = {
        f"m{unit}-{at}": meter("bus", register=at, type="u16", unit_id=unit)
        for unit in range(1, 21)
        for at in (0, 49)
    }
    connection = {**BUS["bus"], "max_hole": 60, "interval_s": 10}
    site = site_of(tmp_path / "a", {"bus": connection}, rows)
    settings = site.plant.connections["bus"]
    load = bus_load_ratio(settings, poll_plan(site, "bus"))  # type: ignore[arg-type]
    assert load == pytest.approx(20 * (120 * 11 / 9600 + 0.010) / 10)
    assert why_unmet(site, "bus") is None
    tight = site_of(tmp_path / "b", {"bus": {**connection, "interval_s": 3}}, rows)
    assert "at 9600 bit/s they take 98% of the bus's time" in str(why_unmet(tight, "bus"))
