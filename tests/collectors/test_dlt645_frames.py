"""DL/T 645 frames: golden vectors worked out by hand, and everything that is no reply."""

from __future__ import annotations

import inspect
import math
from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collectors.dlt645 import frames
from collectors.dlt645.frames import MOST_FOLLOWING, Dialogue, encode, error_text
from collectors.dlt645.values import DataValue, decode, meter_time
from config.errors import CollectError, DeviceException, ReplyRefused

METER = "000012345678"
HEAD = "68 78 56 34 12 00 00 68"

# name: identifier, rest of the request, rest of the reply, data as on the wire
CORPUS: dict[str, tuple[str, str, str, str]] = {
    "combined active, -12.50 kWh": (
        "00000000", "11 04 33 33 33 33 C5 16",
        "91 08 33 33 33 33 83 45 33 B3 F7 16", "50 12 00 80",
    ),
    "forward active, 123492.01 kWh": (
        "00010000", "11 04 33 33 34 33 C6 16",
        "91 08 33 33 34 33 34 C5 67 45 EF 16", "01 92 34 12",
    ),
    "reverse active, 0.26 kWh": (
        "00020000", "11 04 33 33 35 33 C7 16",
        "91 08 33 33 35 33 59 33 33 33 3D 16", "26 00 00 00",
    ),
    "forward active, total and four tariffs": (
        "0001FF00", "11 04 33 32 34 33 C5 16",
        "91 18 33 32 34 33 43 38 33 33 33 34 33 33 33 35 33 33 43 35 33 33 33 33 33 33 7F 16",
        "10 05 00 00 00 01 00 00 00 02 00 00 10 02 00 00 00 00 00 00",
    ),
    "voltage A, 220.4 V": (
        "02010100", "11 04 33 34 34 35 C9 16", "91 06 33 34 34 35 37 55 D7 16", "04 22",
    ),
    "voltages, B absent": (
        "0201FF00", "11 04 33 32 34 35 C7 16",
        "91 0A 33 32 34 35 37 55 32 32 CC 4C 55 16", "04 22 FF FF 99 19",
    ),
    "current A, -1.234 A": (
        "02020100", "11 04 33 34 35 35 CA 16", "91 07 33 34 35 35 67 45 B3 AC 16", "34 12 80",
    ),
    "currents, C absent": (
        "0202FF00", "11 04 33 32 35 35 C8 16",
        "91 0D 33 32 35 35 67 45 B3 33 83 33 32 32 32 2F 16", "34 12 80 00 50 00 FF FF FF",
    ),
    "active power, 5.4321 kW": (
        "02030000", "11 04 33 33 36 35 CA 16", "91 07 33 33 36 35 54 76 38 4F 16", "21 43 05",
    ),
    "active powers": (
        "0203FF00", "11 04 33 32 36 35 C9 16",
        "91 10 33 32 36 35 33 33 C5 33 33 45 33 33 33 33 33 B3 DD 16",
        "00 00 92 00 00 12 00 00 00 00 00 80",
    ),
    "reactive power, -79.9999 kvar": (
        "02040000", "11 04 33 33 37 35 CB 16", "91 07 33 33 37 35 CC CC 2C 12 16", "99 99 F9",
    ),
    "power factor, -0.998": (
        "02060000", "11 04 33 33 39 35 CD 16", "91 06 33 33 39 35 CB BC D6 16", "98 89",
    ),
    "frequency, 49.98 Hz": (
        "02800002", "11 04 35 33 B3 35 49 16", "91 06 35 33 B3 35 CB 7C 12 16", "98 49",
    ),
    "demand, 1.2345 kW": (
        "02800004", "11 04 37 33 B3 35 4B 16", "91 07 37 33 B3 35 78 56 34 D0 16", "45 23 01",
    ),
    "highest demand and when": (
        "01010000", "11 04 33 33 34 34 C7 16",
        "91 0C 33 33 34 34 78 56 34 63 3B 48 44 59 D4 16", "45 23 01 30 08 15 11 26",
    ),
    "date": (
        "04000101", "11 04 34 34 33 37 CB 16", "91 08 34 34 33 37 33 55 44 59 74 16", "00 22 11 26",
    ),
    "time": (
        "04000102", "11 04 35 34 33 37 CC 16", "91 07 35 34 33 37 89 67 45 84 16", "56 34 12",
    ),
}  # fmt: skip

# A meter's own words, as its maker printed them: forward active 0.26 kWh, voltage A 100.1 V.
PRINTED = [
    ("000000000161", "00010000", "FE FE FE FE 68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16",
     "68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16", "26 00 00 00"),
    ("000000000161", "02010100", "FE FE FE FE 68 61 01 00 00 00 00 68 11 04 33 34 34 35 17 16",
     "68 61 01 00 00 00 00 68 91 06 33 34 34 35 34 43 10 16", "01 10"),
]  # fmt: skip


def wire(text: str) -> bytes:
    return bytes.fromhex(text)


def asking(data_id: str = "00010000", address: str = METER) -> Dialogue:
    dialogue = Dialogue(0)
    dialogue.read(address, data_id)
    return dialogue


@pytest.mark.parametrize("name", CORPUS)
def test_golden_frames(name: str) -> None:
    data_id, question, reply, content = CORPUS[name]
    dialogue = Dialogue(0)
    assert dialogue.read(METER, data_id) == wire(f"{HEAD} {question}")
    received = bytearray(wire(f"FE FE FE FE {HEAD} {reply}"))
    assert dialogue.take(received) == wire(content)
    assert not received
    assert not dialogue.more


@pytest.mark.parametrize(("address", "data_id", "question", "reply", "content"), PRINTED)
def test_frames_that_a_maker_printed(
    address: str, data_id: str, question: str, reply: str, content: str
) -> None:
    dialogue = Dialogue(4)
    assert dialogue.read(address, data_id) == wire(question)
    assert dialogue.take(bytearray(wire(reply))) == wire(content)


def test_an_address_is_asked_for() -> None:
    dialogue = Dialogue(2)
    assert dialogue.read_address() == wire("FE FE 68 AA AA AA AA AA AA 68 13 00 DF 16")
    content = dialogue.take(bytearray(wire(f"{HEAD} 93 06 AB 89 67 45 33 33 C3 16")))
    assert content == wire("78 56 34 12 00 00")
    dialogue.read_address()
    with pytest.raises(ReplyRefused, match="says that it is 000012345679"):
        dialogue.take(bytearray(wire(f"{HEAD} 93 06 AC 89 67 45 33 33 C4 16")))


def test_data_in_three_frames() -> None:
    dialogue = asking("0001FF00")
    first = dialogue.take(
        bytearray(wire(f"{HEAD} B1 0C 33 32 34 33 43 38 33 33 33 34 33 33 1B 16"))
    )
    assert (first, dialogue.more) == (wire("10 05 00 00 00 01 00 00"), True)
    assert dialogue.read_following() == wire(f"{HEAD} 12 05 33 32 34 33 34 FB 16")
    second = dialogue.take(bytearray(wire(f"{HEAD} B2 09 33 32 34 33 33 35 33 33 34 6D 16")))
    assert (second, dialogue.more) == (wire("00 02 00 00"), True)
    assert dialogue.read_following() == wire(f"{HEAD} 12 05 33 32 34 33 35 FC 16")
    third = dialogue.take(bytearray(wire(f"{HEAD} 92 09 33 32 34 33 43 35 33 33 35 5E 16")))
    assert (third, dialogue.more) == (wire("10 02 00 00"), False)


def test_a_frame_out_of_turn_is_refused() -> None:
    dialogue = asking("0001FF00")
    dialogue.read_following()
    dialogue.read_following()
    with pytest.raises(ReplyRefused, match="frame 01 to a request for frame 2"):
        dialogue.take(bytearray(wire(f"{HEAD} B2 09 33 32 34 33 33 35 33 33 34 6D 16")))


def test_frames_that_follow_without_end() -> None:
    dialogue = asking()
    for _ in range(MOST_FOLLOWING):
        dialogue.read_following()
    with pytest.raises(ReplyRefused, match="more than 15 frames"):
        dialogue.read_following()


def test_an_error_reply_is_named() -> None:
    with pytest.raises(DeviceException, match=r"error 2 \(no such data\)") as caught:
        asking().take(bytearray(wire(f"{HEAD} D1 01 35 EB 16")))
    assert (caught.value.code, caught.value.status) == (2, "exception_2")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (0x01, "other error"), (0x02, "no such data"), (0x04, "wrong password or no permission"),
        (0x08, "baud rate cannot be changed"), (0x10, "too many annual time zones"),
        (0x20, "too many day tables"), (0x40, "too many tariffs"), (0x00, "no bit set"),
        (0x42, "no such data, too many tariffs"),
    ],
)  # fmt: skip
def test_bits_of_an_error(code: int, says: str) -> None:
    assert error_text(code) == says


REPLY = wire(f"FE FE {HEAD} 91 08 33 33 34 33 34 C5 67 45 EF 16")
CONTENT = wire("01 92 34 12")


def sealed(text: str) -> bytes:
    """A frame with the check sum and the end that fit."""
    body = wire(text)
    return body + bytes([sum(body) % 256, 0x16])


REFUSED: dict[str, tuple[bytes, str]] = {
    "another meter": (
        sealed("68 79 56 34 12 00 00 68 91 08 33 33 34 33 34 C5 67 45"),
        "meter 000012345679 to a request to 000012345678",
    ),
    "another identifier": (
        sealed(f"{HEAD} 91 08 33 33 35 33 34 C5 67 45"),
        "data 00020000 to a request for 00010000",
    ),
    "an identifier that breaks off": (sealed(f"{HEAD} 91 03 33 33 34"), "data 010000"),
    "an identifier alone": (sealed(f"{HEAD} 91 04 33 33 34 33"), "no data"),
    "no data at all": (sealed(f"{HEAD} 91 00"), "data  to a request"),
    "the reply to an address request": (
        sealed(f"{HEAD} 93 06 AB 89 67 45 33 33"),
        "control code 93 to 11",
    ),
    "the reply to a write": (sealed(f"{HEAD} 94 00"), "control code 94 to 11"),
    "another master's request": (
        sealed(f"{HEAD} 11 04 33 33 35 33"),
        "control code 11 to 11",
    ),
    "a following frame that was not asked for": (
        sealed(f"{HEAD} 92 09 33 33 34 33 34 C5 67 45 34"),
        "control code 92 to 11",
    ),
    "an error without a code": (sealed(f"{HEAD} D1 00"), "0 bytes instead of 1"),
    "an error with two codes": (sealed(f"{HEAD} D1 02 35 35"), "2 bytes instead of 1"),
    "a wrong check sum": (REPLY[:-2] + b"\xee\x16", "check sum"),
    "a wrong end": (REPLY[:-1] + b"\x17", "check sum or end"),
    "a length beyond the standard": (wire(f"{HEAD} 91 C9 33"), "201 bytes of data"),
    "no second start": (wire("68 78 56 34 12 00 00 69 91 08"), "without its second 68"),
    "text": (b"hello, this is a gateway's web page", "without its second 68"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str) -> None:
    received, says = REFUSED[name]
    with pytest.raises(ReplyRefused) as caught:
        asking().take(bytearray(received))
    assert says in str(caught.value)
    assert caught.value.status == "bad_reply"


def test_one_byte_at_a_time() -> None:
    dialogue, received = asking(), bytearray()
    for byte in REPLY[:-1]:
        received.append(byte)
        assert dialogue.take(received) is None
    received.append(REPLY[-1])
    assert dialogue.take(received) == CONTENT


@pytest.mark.parametrize("before", ["", "FE", "FE FE FE FE FE FE FE FE", "00", "FF 00 FE"])
@pytest.mark.parametrize("behind", ["", "FE", "00 FF"])
def test_what_a_line_shows_around_a_frame_is_passed_over(before: str, behind: str) -> None:
    received = bytearray(wire(before) + REPLY + wire(behind))
    assert asking().take(received) == CONTENT
    assert not received


def test_an_interface_that_hears_itself() -> None:
    dialogue = Dialogue(4)
    echo = dialogue.read(METER, "00010000")
    received = bytearray(echo[:9])
    assert dialogue.take(received) is None
    received += echo[9:]
    assert dialogue.take(received) is None
    received += REPLY
    assert dialogue.take(received) == CONTENT


def test_bytes_behind_a_reply_stay_and_can_be_counted() -> None:
    received = bytearray(REPLY + REPLY[2:9])
    assert asking().take(received) == CONTENT
    assert bytes(received) == REPLY[2:9]


FRAME = REPLY[2:]


@pytest.mark.parametrize("bit", range(8 * len(FRAME)))
def test_a_flipped_bit_is_refused_or_never_whole(bit: int) -> None:
    flipped = bytearray(FRAME)
    flipped[bit // 8] ^= 1 << bit % 8
    with suppress(ReplyRefused):
        assert asking().take(flipped) is None


@given(st.binary(max_size=300))
@example(FRAME[:7] * 40)
def test_no_random_bytes_are_a_value(received: bytes) -> None:
    with suppress(ReplyRefused):
        assert asking().take(bytearray(received)) is None


@given(
    meter=st.sampled_from([METER, "000012345679", "999999999999"]),
    control=st.integers(0, 255),
    data_id=st.sampled_from(["00010000", "0001FF00", "00000100"]),
    content=st.binary(min_size=1, max_size=40),
)
@example(METER, 0x91, "00010000", CONTENT)
def test_a_whole_frame_is_a_value_only_if_it_answers_the_question(
    meter: str, control: int, data_id: str, content: bytes
) -> None:
    data = wire(data_id)[::-1] + content
    body = b"\x68" + wire(meter)[::-1] + bytes([0x68, control, len(data)])
    body += bytes((byte + 0x33) % 256 for byte in data)
    frame = bytearray(body + bytes([sum(body) % 256, 0x16]))
    fits = meter == METER and control in (0x91, 0xB1) and data_id == "00010000"
    try:
        found = asking().take(frame)
    except ReplyRefused:
        assert not fits
    else:
        assert fits
        assert found == content


@given(
    control=st.integers(0, 255),
    address=st.text("0123456789", min_size=12, max_size=12),
    data=st.binary(max_size=20),
)
@example(0x14, METER, b"")
@example(0x11, "999999999999", b"")
def test_only_reads_can_be_encoded(control: int, address: str, data: bytes) -> None:
    if control in (0x11, 0x12, 0x13) and address != "9" * 12:
        assert encode(control, address, data)[8] == control
        return
    with pytest.raises(CollectError, match="not sent"):
        encode(control, address, data)


def test_a_dialogue_asks_three_things() -> None:
    public = {name for name, _ in inspect.getmembers(Dialogue, inspect.isfunction)}
    assert {name for name in public if name[0] != "_"} == {
        "read", "read_following", "read_address", "take",
    }  # fmt: skip
    assert frames.READS == (0x11, 0x12, 0x13)


@pytest.mark.parametrize(
    ("text", "signed", "number"),
    [
        ("78 56 34 12", False, 12345678), ("99 99 99 99", False, 99999999),
        ("00 00 00 80", False, 80000000), ("00 00 00 80", True, 0), ("01 00 00 80", True, -1),
        ("99 99 99 F9", True, -79999999), ("99 99 99 79", True, 79999999), ("05", False, 5),
    ],
)  # fmt: skip
def test_decimals(text: str, signed: bool, number: int) -> None:
    assert decode(wire(text), signed=signed) == number


@pytest.mark.parametrize("text", ["0A 00", "A0 00", "00 0A", "00 FA", "FF 00"])
def test_digits_that_are_none(text: str) -> None:
    assert math.isnan(decode(wire(text)))
    assert math.isnan(decode(wire(text), signed=True))


@given(st.integers(1, 8), st.data())
def test_every_number_is_the_one_that_was_meant(width: int, data: st.DataObject) -> None:
    least = data.draw(st.sampled_from([0, -(8 * 10 ** (2 * width - 1) - 1)]))
    number = data.draw(st.integers(least, -least or 10 ** (2 * width) - 1))
    digits = bytearray.fromhex(f"{abs(number):0{2 * width}}")
    digits[0] |= 0x80 if number < 0 else 0
    assert decode(bytes(digits[::-1]), signed=least < 0) == number


def value(**fields: object) -> DataValue:
    known: dict[str, object] = {"data_id": "00010000", "digits": 8, "scale": 0.01, **fields}
    return DataValue("m", "q", METER, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "text", "found"),
    [
        ({}, "01 92 34 12", (123492.01, "good")),
        ({}, "FF FF FF FF", (None, "not_available")),
        ({}, "FF FF FF 0F", (None, "not_a_number")),
        ({"signed": True}, "50 12 00 80", (-12.5, "good")),
        ({"signed": True}, "FF FF FF FF", (None, "not_available")),
        ({"offset": 10.0}, "50 12 00 00", (22.5, "good")),
        ({"not_available": (99999999,)}, "99 99 99 99", (None, "not_available")),
        ({"valid": (0.0, 10.0)}, "50 12 00 00", (12.5, "out_of_range")),
        (
            {"data_id": "01010000", "digits": 6, "scale": 0.0001},
            "45 23 01 30 08 15 11 26",
            (1.2345, "good"),
        ),
    ],
)
def test_values(fields: dict[str, object], text: str, found: tuple[float | None, str]) -> None:
    here = value(**fields)
    assert len(wire(text)) == here.item_bytes
    assert here.found(wire(text)) == found


SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_a_meter_s_time() -> None:
    shown = meter_time(wire("00 22 11 26"), wire("56 34 12"), SHANGHAI)
    assert shown == datetime(2026, 11, 22, 12, 34, 56, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("date", "time"),
    [
        ("00 31 11 26", "56 34 12"), ("00 22 13 26", "56 34 12"), ("00 22 11 26", "60 34 12"),
        ("00 22 11 26", "56 34 24"), ("FF FF FF FF", "FF FF FF"), ("00 2A 11 26", "56 34 12"),
    ],
)  # fmt: skip
def test_a_time_that_is_none(date: str, time: str) -> None:
    assert meter_time(wire(date), wire(time), SHANGHAI) is None
