"""DL/T 645: which data are asked for, what a bus is reckoned with, and what is refused at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from collectors.connections import describe, make_collector
from collectors.dlt645.collector import Dlt645Collector
from collectors.dlt645.load import bus_seconds, why_unmet
from collectors.dlt645.plan import (
    Block,
    ClockRequest,
    DataRequest,
    block_of,
    plan_requests,
    poll_plan,
    split,
)
from collectors.dlt645.values import DataValue
from collectors.memory import MemorySink
from config.devices import read_device
from config.errors import ConfigError, DeviceException, ReplyRefused
from config.site import Site
from tests.collectors.sites import meter, site_of

ONE, TWO = "000000000001", "000000000002"
WIDTHS = {"00": 8, "01": 6, "0201": 4, "0202": 6, "0203": 6, "0206": 4, "0280": 4}


def value(data_id: str, address: str = ONE) -> DataValue:
    digits = WIDTHS.get(data_id[:2]) or WIDTHS[data_id[:4]]
    return DataValue(f"m{data_id}", "q", address, data_id, digits)


def planned(*wanted: str, address: str = ONE) -> list[tuple[str, int]]:
    requests = plan_requests([value(data_id, address) for data_id in wanted])
    return [(request.data_id, len(request.values)) for request in requests]


@pytest.mark.parametrize(
    ("data_id", "block"),
    [
        ("00000000", Block("0000FF00", 0, None)), ("00010000", Block("0001FF00", 0, None)),
        ("00010400", Block("0001FF00", 4, None)), ("00013F00", Block("0001FF00", 63, None)),
        ("00014000", None), ("00010001", Block("0001FF01", 0, None)), ("000100FF", None),
        ("0001FF00", None), ("000A0100", Block("000AFF00", 1, None)), ("00150000", None),
        ("01010000", Block("0101FF00", 0, None)), ("01000000", None),
        ("02010100", Block("0201FF00", 0, 3)), ("02010300", Block("0201FF00", 2, 3)),
        ("02010000", None), ("02020200", Block("0202FF00", 1, 3)),
        ("02030000", Block("0203FF00", 0, 4)), ("02030300", Block("0203FF00", 3, 4)),
        ("02030400", None), ("02060000", Block("0206FF00", 0, 4)),
        ("02070100", Block("0207FF00", 0, 3)), ("02800002", None), ("04000101", None),
    ],
)  # fmt: skip
def test_blocks(data_id: str, block: Block | None) -> None:
    assert block_of(data_id) == block


@pytest.mark.parametrize(
    ("wanted", "requests"),
    [
        (["00010000"], [("00010000", 1)]),
        (["00010000", "00010100"], [("0001FF00", 2)]),
        (["00010400", "00010000", "00010200"], [("0001FF00", 3)]),
        (["00010000", "00020000"], [("00010000", 1), ("00020000", 1)]),
        (["00010000", "00010000"], [("00010000", 2)]),
        (["00010000", "00010001"], [("00010000", 1), ("00010001", 1)]),
        (["02010100", "02010200", "02010300", "02800002"], [("0201FF00", 3), ("02800002", 1)]),
        (["02030000", "02030100", "02020100"], [("02020100", 1), ("0203FF00", 2)]),
        (["01010000", "01010100"], [("0101FF00", 2)]),
        ([], []),
    ],
)
def test_a_block_where_two_of_its_data_are_wanted(
    wanted: list[str], requests: list[tuple[str, int]]
) -> None:
    assert planned(*wanted) == requests


def test_meters_do_not_share_a_request() -> None:
    requests = plan_requests([value("00010000"), value("00010100", TWO)])
    assert [(r.address, r.data_id) for r in requests] == [(ONE, "00010000"), (TWO, "00010100")]
    assert [str(r) for r in requests] == [
        f"meter {ONE}, data 00010000",
        f"meter {TWO}, data 00010100",
    ]


def test_values_of_unlike_width_are_not_of_one_block() -> None:
    odd = DataValue("m", "q", ONE, "00010100", 6)
    requests = plan_requests([value("00010000"), odd])
    assert [r.data_id for r in requests] == ["00010000", "00010100"]


def test_a_block_is_parted_until_nothing_is_left_to_part() -> None:
    (block,) = plan_requests([value(f"0001{tariff:02}00") for tariff in range(4)])
    halves = split(block)
    assert halves is not None
    assert [(r.data_id, len(r.values)) for r in halves] == [("0001FF00", 2), ("0001FF00", 2)]
    quarters = split(halves[0])
    assert quarters is not None
    assert [(r.data_id, len(r.values)) for r in quarters] == [("00010000", 1), ("00010100", 1)]
    assert split(quarters[0]) is None
    assert split(ClockRequest(ONE, "04000101", "04000102", ("m",))) is None


def test_two_meters_of_the_ledger_want_the_same_datum() -> None:
    (block,) = plan_requests([value("00010000"), value("00010000"), value("00010100")])
    halves = split(block)
    assert halves is not None
    assert [(r.data_id, len(r.values)) for r in halves] == [("00010000", 2), ("00010100", 1)]
    content = bytes.fromhex("11 00 00 00 22 00 00 00")
    assert block.misfit(content) is None
    assert [found for found, _ in block.found(content)] == [11, 11, 22]


def block_request(*wanted: str) -> DataRequest:
    (request,) = plan_requests([value(data_id) for data_id in wanted])
    return request


@pytest.mark.parametrize(
    ("wanted", "size", "error"),
    [
        (["00010000"], 4, None), (["00010000"], 3, ReplyRefused), (["00010000"], 8, ReplyRefused),
        (["01010000"], 8, None), (["01010000"], 3, ReplyRefused),
        (["00010000", "00010200"], 12, None), (["00010000", "00010200"], 20, None),
        (["00010000", "00010200"], 256, None), (["00010000", "00010200"], 260, ReplyRefused),
        (["00010000", "00010200"], 8, DeviceException),
        (["00010000", "00010200"], 13, ReplyRefused),
        (["02010100", "02010200"], 6, None), (["02010100", "02010200"], 4, DeviceException),
        (["02010100", "02010200"], 8, DeviceException),
        (["02010100", "02010200"], 5, ReplyRefused),
        (["02030000", "02030100"], 12, None), (["02030000", "02030100"], 3, DeviceException),
    ],
)  # fmt: skip
def test_which_replies_fit(wanted: list[str], size: int, error: type[Exception] | None) -> None:
    misfit = block_request(*wanted).misfit(bytes(size))
    assert misfit is None if error is None else type(misfit) is error


def test_where_the_values_stand_in_a_block() -> None:
    request = block_request("00010000", "00010300", "00010100")
    content = bytes.fromhex("10 00 00 00 11 00 00 00 FF FF FF FF 13 00 00 00")
    by_id = {v.data_id: f for v, f in zip(request.values, request.found(content), strict=True)}
    assert by_id == {
        "00010000": (10, "good"), "00010100": (11, "good"), "00010300": (13, "good"),
    }  # fmt: skip


# Characters: 4 FE, 12 of frame and 4 of identifier each way, and the data; 20 ms till the reply.
@pytest.mark.parametrize(
    ("requests", "options", "seconds"),
    [
        ([block_request("00010000")], {}, 44 * 11 / 2400 + 0.02),
        ([block_request("00010000", "00010100")], {}, 60 * 11 / 2400 + 0.02),
        ([block_request("02010100", "02010200")], {}, 46 * 11 / 2400 + 0.02),
        ([block_request("00010000")], {"wake_bytes": 0}, 40 * 11 / 2400 + 0.02),
        ([block_request("00010000")], {"pause_s": 0.5}, 44 * 11 / 2400 + 0.52),
        ([block_request("00010000")] * 3, {}, 3 * (44 * 11 / 2400 + 0.02)),
        (
            [ClockRequest(ONE, "04000101", "04000102", ("m",))],
            {},
            87 * 11 / 2400 + 0.04,
        ),
        ([], {}, 0.0),
    ],
)  # fmt: skip
def test_seconds_of_a_bus(requests: list[Any], options: dict[str, Any], seconds: float) -> None:
    assert bus_seconds(requests, 2400, 11, **options) == pytest.approx(seconds)


BUS = {
    "type": "dlt645",
    "serial": {"device": "/dev/ttyS9", "baud_rate": 2400, "parity": "even"},
    "interval_s": 60,
}


def row(quantity: str, address: str = ONE, **fields: Any) -> dict[str, Any]:
    known = {"device": "dlt645-2007", "quantity": quantity, "meter_address": address}
    return meter("bus", **{**known, **fields})


def site(folder: Path, meters: dict[str, dict[str, Any]], **settings: Any) -> Site:
    return site_of(folder, {"bus": {**BUS, **settings}}, meters)


ROWS = {
    "a": row("energy_import"),
    "b": row("energy_import_tariff_1"),
    "c": row("total_power", kind="gauge", unit="kW", interval_s=5),
    "d": row("energy_import", TWO),
}


def test_the_plan_of_a_bus(tmp_path: Path) -> None:
    plan = poll_plan(site(tmp_path, ROWS), "bus")
    assert {seconds: [str(request) for request in plan[seconds]] for seconds in plan} == {
        5: [f"meter {ONE}, data 02030000"],
        60: [f"meter {ONE}, block 0001FF00", f"meter {TWO}, data 00010000"],
        3600: [f"clock of meter {ONE}", f"clock of meter {TWO}"],
    }
    (clock, _) = plan[3600]
    assert isinstance(clock, ClockRequest)
    assert clock.meter_ids == ("a", "b", "c")


def test_a_given_interval_is_not_the_clocks(tmp_path: Path) -> None:
    plan = poll_plan(site(tmp_path, ROWS), "bus", 1.0)
    assert {seconds: len(requests) for seconds, requests in plan.items()} == {1.0: 3, 3600: 2}


def test_a_description(tmp_path: Path) -> None:
    here = site(tmp_path, ROWS)
    fast_s = 43 * 11 / 2400 + 0.02
    slow_s = (60 + 44) * 11 / 2400 + 0.04
    clocks_s = 2 * (87 * 11 / 2400 + 0.04)
    load = fast_s / 5 + slow_s / 60 + clocks_s / 3600
    assert describe(here, "bus").splitlines() == [
        f"bus: DL/T 645 /dev/ttyS9, {line}"
        for line in (
            "every 5 s 1 request to 1 meter for 1 value",
            "every 60 s 2 requests to 2 meters for 3 values",
            "every 3600 s 2 clocks compared",
            f"the bus is taken {load:.1%} of its time",
        )
    ]
    assert why_unmet(here, "bus") is None
    assert isinstance(make_collector(here, "bus", MemorySink()), Dlt645Collector)


def test_a_plan_that_cannot_be_met(tmp_path: Path) -> None:
    rows = {f"m{n}": row("energy_import", f"{n:012}") for n in range(30)}
    fast = site(tmp_path / "fast", rows, interval_s=1)
    reason = why_unmet(fast, "bus")
    assert reason is not None
    assert "at 2400 bit/s they take 665% of the bus's time" in reason
    assert why_unmet(site(tmp_path / "slow", rows, interval_s=60), "bus") is None


def test_a_gateway_whose_bus_nobody_described(tmp_path: Path) -> None:
    rows = {f"m{n}": row("energy_import", f"{n:012}") for n in range(30)}
    gateway = {"type": "dlt645", "host": "10.0.0.5", "interval_s": 1}
    here = site_of(tmp_path, {"bus": gateway}, rows)
    assert why_unmet(here, "bus") is None
    assert describe(here, "bus").startswith("bus: DL/T 645 10.0.0.5:4001, every 1 s 30 requests")
    bus = {**gateway, "bus_baud_rate": 2400}
    assert why_unmet(site_of(tmp_path / "known", {"bus": bus}, rows), "bus") is not None


def test_a_bus_without_meters(tmp_path: Path) -> None:
    here = site_of(tmp_path, {"bus": BUS, "f": {"type": "files"}}, {"a": meter("f")})
    assert describe(here, "bus") == "bus: DL/T 645 /dev/ttyS9, no meters"


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no address": ({"meter_address": None}, {}, "meter_address is missing"),
    "an address that is too short": ({"meter_address": "1234"}, {}, "meter_address"),
    "everybody's address": ({"meter_address": "9" * 12}, {}, "999999999999 is for everybody"),
    "no device": ({"device": None}, {}, "no device"),
    "an unknown quantity": (
        {"quantity": "energy_import_t1"},
        {},
        "did you mean 'energy_import'",
    ),
    "a Modbus map": ({"device": "eastron-sdm630"}, {}, "is a register, and bus talks DL/T 645"),
    "another unit": ({"unit": "MWh"}, {}, "dlt645-2007 gives energy_import as counter in 'kWh'"),
    "the highest demand as a flow": (
        {"quantity": "demand_import_max", "kind": "gauge", "unit": "kW"},
        {},
        "as text in 'kW'",
    ),
    "7 data bits": (
        {},
        {"serial": {**BUS["serial"], "data_bits": 7}},  # type: ignore[dict-item]
        "needs data_bits: 8",
    ),
    "parity that nobody stated": (
        {},
        {"serial": {"device": "/dev/ttyS9", "baud_rate": 2400}},
        "state serial.baud_rate and serial.parity",
    ),
    "neither port nor gateway": ({}, {"serial": None}, "`serial`, or `host`"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused_before_anything_is_sent(name: str, tmp_path: Path) -> None:
    fields, settings, says = WRONG[name]
    cells = row(**{"quantity": "energy_import", **fields})
    rows = {"a": {key: cell for key, cell in cells.items() if cell is not None}}
    with pytest.raises(ConfigError) as caught:
        site(tmp_path, rows, **settings)
    assert says in str(caught.value)


def test_a_collector_of_something_else(tmp_path: Path) -> None:
    here = site_of(tmp_path, {"bus": BUS, "f": {"type": "files"}}, {"a": meter("f")})
    with pytest.raises(ConfigError, match="'f' is no DL/T 645 connection"):
        Dlt645Collector(here, "f", MemorySink())


def test_every_datum_of_the_map_has_a_place_of_its_own() -> None:
    fields = read_device("dlt645-2007").fields
    assert len(fields) >= 40
    assert len({field.data_id for field in fields.values()}) == len(fields)
    for field in fields.values():
        assert field.modulus in (None, 10 ** (field.digits or 0) * field.scale)
