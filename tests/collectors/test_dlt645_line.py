"""A DL/T 645 line against meters that answer rightly, wrongly, late, in pieces and never."""

from __future__ import annotations

import asyncio
import os
import termios
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from collectors.base import WallClock
from collectors.dlt645.line import MeterLine
from collectors.dlt645.plan import DataRequest, plan_requests
from collectors.dlt645.values import DataValue
from collectors.lines.channel import _spoil_wrong_parity
from config.connections import Dlt645
from config.errors import ConnectFailed, DeviceException, ReplyRefused, ReplyTimeout
from tests.collectors.dlt645_meters import (
    CLOSE,
    FOLLOWING,
    READ,
    SILENCE,
    Answer,
    Asked,
    MeterBus,
    Meters,
)
from tests.collectors.servers import free_port

METER, OTHER = "000012345678", "000000000002"
IMPORT = "01 92 34 12"
ZONE = ZoneInfo("Asia/Shanghai")
PATIENT_S, SHORT_S = 10.0, 0.3
Handler = Callable[[Asked], Answer | Awaitable[Answer]]


def line_of(port: int, timeout_s: float = PATIENT_S, **settings: Any) -> MeterLine:
    connection = Dlt645(type="dlt645", host="127.0.0.1", port=port, timeout_s=timeout_s, **settings)
    return MeterLine(connection, WallClock(), ZONE)


async def read(
    answer: Handler, data_id: str = "00010000", timeout_s: float = PATIENT_S, **settings: Any
) -> bytes:
    async with MeterBus(answer) as bus:
        line = line_of(bus.port, timeout_s, **settings)
        try:
            return await line.read(METER, data_id)
        finally:
            line.close()


KNOWN = Meters(
    {
        METER: {"00010000": IMPORT, "00020000": "26 00 00 00"},
        OTHER: {"00010000": "77 00 00 00"},
    }
)


def test_the_datum_that_was_asked() -> None:
    assert asyncio.run(read(KNOWN)) == bytes.fromhex(IMPORT)


@pytest.mark.parametrize("wake_bytes", [0, 1, 4, 16])
def test_the_wire_carries_the_wake_bytes_and_the_request(wake_bytes: int) -> None:
    async def scenario() -> None:
        async with MeterBus(KNOWN) as bus:
            line = line_of(bus.port, wake_bytes=wake_bytes)
            await line.read(METER, "00010000")
            await line.read(METER, "00020000")
            line.close()
        assert bus.wakes == [wake_bytes, wake_bytes]
        assert [(asked.control, asked.data_id) for asked in bus.asked] == [
            (READ, "00010000"), (READ, "00020000"),
        ]  # fmt: skip
        assert bus.connections == line.connects == 1

    asyncio.run(scenario())


PIECES: dict[str, Callable[[bytes], list[bytes | float]]] = {
    "two halves": lambda whole: [whole[:9], 0.05, whole[9:]],
    "one byte at a time": lambda whole: [step for byte in whole for step in (bytes([byte]), 0.002)],
    "wake bytes that come early": lambda whole: [b"\xfe", 0.05, b"\xfe\xfe\xfe" + whole],
    "a glitch before it": lambda whole: [b"\x00\xff", 0.05, whole],
}


@pytest.mark.parametrize("name", PIECES)
def test_a_reply_in_pieces(name: str) -> None:
    found = asyncio.run(read(lambda asked: PIECES[name](asked.reply(IMPORT))))
    assert found == bytes.fromhex(IMPORT)


def test_an_interface_that_echoes() -> None:
    found = asyncio.run(read(lambda asked: [asked.wire, 0.02, asked.reply(IMPORT)]))
    assert found == bytes.fromhex(IMPORT)


def wrong_sum(asked: Asked) -> bytes:
    reply = bytearray(asked.reply(IMPORT))
    reply[-2] ^= 1
    return bytes(reply)


BAD: dict[str, Handler] = {
    "another meter": lambda a: a.frame(a.data + b"\1\2\3\4", 0x80, address=OTHER),
    "another identifier": lambda a: a.frame(b"\0\0\2\0\1\2\3\4", 0x80),
    "a wrong check sum": wrong_sum,
    "an address": lambda a: a.frame(b"\x78\x56\x34\x12\0\0", 0x82),
    "no data": lambda a: a.reply(b""),
    "garbage": lambda _: bytes(range(0x60, 0xA0)),
    "text": lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a reply and a half": lambda a: a.reply(IMPORT) + a.reply(IMPORT)[:7],
    "two meters at one address": lambda a: a.reply(IMPORT) + a.reply("77 00 00 00"),
}
UNFINISHED: dict[str, Handler] = {
    "half a frame": lambda a: a.reply(IMPORT)[:9],
    "a frame without its end": lambda a: a.reply(IMPORT)[:-1],
    "the echo and the start of another": lambda a: [a.wire, a.wire[:3]],
}


@pytest.mark.parametrize("name", [*BAD, *UNFINISHED])
def test_a_reply_that_does_not_fit_is_refused(name: str) -> None:
    # Text holds no 68, so that nothing begins and the time must run out.
    waits = name in UNFINISHED or name == "text"
    with pytest.raises(ReplyRefused):
        asyncio.run(read({**BAD, **UNFINISHED}[name], timeout_s=SHORT_S if waits else PATIENT_S))


@pytest.mark.parametrize("name", [*BAD, *UNFINISHED])
def test_the_question_after_a_bad_reply_gets_its_own_answer(name: str) -> None:
    spoiled = {**BAD, **UNFINISHED}[name]

    def answer(asked: Asked) -> Answer | Awaitable[Answer]:
        return spoiled(asked) if asked.data_id == "00010000" else KNOWN(asked)

    async def scenario() -> None:
        async with MeterBus(answer) as bus:
            line = line_of(bus.port, SHORT_S)
            with pytest.raises(ReplyRefused):
                await line.read(METER, "00010000")
            assert not line.is_open
            assert await line.read(METER, "00020000") == bytes.fromhex("26 00 00 00")
            line.close()
        assert bus.connections == line.connects == 2

    asyncio.run(scenario())


def test_an_error_reply_leaves_the_line_open() -> None:
    async def scenario() -> None:
        async with MeterBus(KNOWN) as bus:
            line = line_of(bus.port)
            with pytest.raises(DeviceException, match="no such data"):
                await line.read(METER, "00030000")
            assert await line.read(METER, "00010000") == bytes.fromhex(IMPORT)
            line.close()
        assert bus.connections == 1

    asyncio.run(scenario())


SILENT: dict[str, Handler] = {
    "nothing": lambda _: SILENCE,
    "wake bytes alone": lambda _: b"\xfe\xfe\xfe\xfe",
    "a glitch": lambda _: b"\x00",
    "the echo alone": lambda a: b"\xfe\xfe" + a.wire + b"\xff",
}


@pytest.mark.parametrize("name", SILENT)
def test_a_meter_that_is_silent_on_a_line_that_is_not(name: str) -> None:
    with pytest.raises(ReplyTimeout):
        asyncio.run(read(SILENT[name], timeout_s=SHORT_S))


def test_a_late_reply_is_never_the_answer_to_the_next_question() -> None:
    """A bus is one wire: what a meter says late reaches whoever listens then."""

    async def scenario() -> None:
        def answer(asked: Asked) -> Answer:
            if not bus.left_over:
                bus.left_over = asked.reply("77 77 77 77")
                return SILENCE
            return asked.reply(IMPORT)

        async with MeterBus(answer) as bus:
            line = line_of(bus.port, SHORT_S)
            with pytest.raises(ReplyTimeout):
                await line.read(METER, "00010000")
            # The same meter, the same datum: only the silence in between tells them apart.
            assert await line.read(METER, "00010000") == bytes.fromhex(IMPORT)
            assert line.late_replies == 1
            line.close()

    asyncio.run(scenario())


def following(frames: list[str], **spoil: Any) -> Handler:
    """Data in several frames; ``sequence`` and ``data_id`` spoil the frames that follow."""

    def answer(asked: Asked) -> Answer:
        number = asked.data[4] if asked.control == FOLLOWING else 0
        more = spoil.get("endless") or number < len(frames) - 1
        content = frames[min(number, len(frames) - 1)]
        if asked.control == READ:
            return asked.reply(content, more=more)
        if "silent" in spoil:
            return SILENCE
        if "error" in spoil:
            return asked.error(spoil["error"])
        return asked.reply(content, more=more, sequence=number + spoil.get("sequence", 0))

    return answer


def test_data_in_several_frames_are_joined_in_order() -> None:
    frames = ["01 02", "03 04 05", "06", "07 08"]
    joined = bytes(range(1, 9))
    assert asyncio.run(read(following(frames), "0001FF00")) == joined


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        ({"sequence": 1}, ReplyRefused),
        ({"endless": True}, ReplyRefused),
        ({"error": 2}, DeviceException),
        ({"silent": True}, ReplyTimeout),
    ],
    ids=str,
)
def test_data_that_break_off_are_no_data(spoil: dict[str, Any], error: type[Exception]) -> None:
    waits = "silent" in spoil
    with pytest.raises(error):
        asyncio.run(
            read(
                following(["01", "02", "03"], **spoil),
                "0001FF00",
                timeout_s=SHORT_S if waits else PATIENT_S,
            )
        )


def wanting(*data_ids: str) -> DataRequest:
    (request,) = plan_requests([DataValue(i, "q", METER, i, 8) for i in data_ids])
    return request


def test_a_block_over_several_frames_is_split_into_its_values() -> None:
    async def scenario() -> None:
        frames = ["10 00 00 00 11 00", "00 00 12 00 00 00 13", "00 00 00"]
        async with MeterBus(following(frames)) as bus:
            line = line_of(bus.port)
            request = wanting("00010000", "00010100", "00010300")
            content = await line.ask(request, PATIENT_S)
            line.close()
        assert line.found(request, content) == ((10, 11, 13), None)

    asyncio.run(scenario())


@pytest.mark.parametrize("content", ["01 02 03", "01 02 03 04 05", "01 02 03 04 05 06 07 08"])
def test_a_datum_of_another_width_is_refused(content: str) -> None:
    async def scenario() -> None:
        async with MeterBus(lambda asked: asked.reply(content)) as bus:
            line = line_of(bus.port)
            with pytest.raises(ReplyRefused, match="one item has 4"):
                await line.ask(wanting("00010000"), PATIENT_S)
            assert not line.is_open

    asyncio.run(scenario())


def test_a_gateway_that_closes_idle_connections() -> None:
    async def scenario() -> None:
        async with MeterBus(KNOWN) as bus:
            line = line_of(bus.port)
            await line.read(METER, "00010000")
            await bus.hang_up()
            assert await line.read(METER, "00010000") == bytes.fromhex(IMPORT)
            line.close()
        assert line.connects == 2

    asyncio.run(scenario())


def test_a_gateway_that_closes_instead_of_answering() -> None:
    with pytest.raises(ConnectFailed, match="closed the connection"):
        asyncio.run(read(lambda _: CLOSE))


def test_nobody_listens_on_the_port() -> None:
    async def scenario() -> None:
        line = line_of(free_port())
        with pytest.raises(ConnectFailed):
            await line.open()

    asyncio.run(scenario())


def test_bytes_of_wrong_parity_are_spoiled_by_the_port() -> None:
    """Two flipped bits can cancel in a one-byte sum; parity sees each of them."""
    ours, theirs = os.openpty()
    try:
        assert not termios.tcgetattr(theirs)[0] & termios.INPCK
        _spoil_wrong_parity(theirs)
        assert termios.tcgetattr(theirs)[0] & termios.INPCK
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_port_that_does_not_know_parity_is_told_of_or_taken() -> None:
    async def scenario() -> None:
        ours, theirs = os.openpty()
        serial = {"device": os.ttyname(theirs), "baud_rate": 2400, "parity": "even"}
        line = MeterLine(Dlt645(type="dlt645", serial=serial), WallClock(), ZONE)
        try:
            with suppress(ConnectFailed):
                await line.open()
        finally:
            line.close()
            os.close(ours)
            os.close(theirs)

    asyncio.run(scenario())


def test_the_address_of_the_one_meter_on_the_line() -> None:
    async def scenario() -> None:
        answer = bytes.fromhex("68 78 56 34 12 00 00 68 93 06 AB 89 67 45 33 33 C3 16")
        async with MeterBus(lambda _: b"\xfe\xfe\xfe" + answer) as bus:
            line = line_of(bus.port)
            assert await line.read_address() == METER
            line.close()
        assert [(asked.address, asked.control) for asked in bus.asked] == [("A" * 12, 0x13)]

    asyncio.run(scenario())


def test_a_pause_is_kept_between_reply_and_question() -> None:
    async def scenario() -> None:
        times: list[float] = []

        def answer(asked: Asked) -> Answer:
            times.append(asyncio.get_running_loop().time())
            return KNOWN(asked)

        async with MeterBus(answer) as bus:
            line = line_of(bus.port, pause_s=0.2)
            for _ in range(3):
                await line.read(METER, "00010000")
            line.close()
        assert min(b - a for a, b in pairwise(times)) >= 0.2

    asyncio.run(scenario())
