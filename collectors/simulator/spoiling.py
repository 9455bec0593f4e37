"""Modbus replies that are wrong on purpose: the faults, and the bytes that each one sends."""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import StrEnum

from collectors.simulator.modbus_frames import Asked, Frames, TcpFrames


class Fault(StrEnum):
    """What can be wrong with a reply, or with the values of a right one."""

    late = "late"
    duplicate = "duplicate"
    reordered = "reordered"
    short = "short"
    long = "long"
    wrong_unit = "wrong_unit"
    wrong_function = "wrong_function"
    wrong_transaction = "wrong_transaction"
    wrong_protocol = "wrong_protocol"
    wrong_byte_count = "wrong_byte_count"
    crc_error = "crc_error"
    exception_2 = "exception_2"
    exception_4 = "exception_4"
    exception_6 = "exception_6"
    exception_11 = "exception_11"
    byte_by_byte = "byte_by_byte"
    garbage = "garbage"
    silence = "silence"
    reset = "reset"
    close = "close"
    deaf = "deaf"
    half_open = "half_open"
    stuck = "stuck"
    rollover = "rollover"
    clock_jump = "clock_jump"
    torn = "torn"


MEANINGS: dict[Fault, str] = {
    Fault.late: "the reply comes after the client has given up",
    Fault.duplicate: "the reply comes twice",
    Fault.reordered: "a reply to an earlier request comes first",
    Fault.short: "a part of the reply only; or fewer registers than were asked for",
    Fault.long: "more registers than were asked for",
    Fault.wrong_unit: "the reply of another unit",
    Fault.wrong_function: "a reply of another function",
    Fault.wrong_transaction: "another transaction number (TCP)",
    Fault.wrong_protocol: "a protocol number that is not 0 (TCP)",
    Fault.wrong_byte_count: "a byte count that does not fit the bytes",
    Fault.crc_error: "a bit flipped on the line (RTU)",
    Fault.exception_2: "exception 2, illegal data address",
    Fault.exception_4: "exception 4, device failure",
    Fault.exception_6: "exception 6, device busy",
    Fault.exception_11: "exception 11, gateway target failed to respond",
    Fault.byte_by_byte: "one byte at a time",
    Fault.garbage: "random bytes",
    Fault.silence: "no reply",
    Fault.reset: "the connection is reset (TCP)",
    Fault.close: "the connection is closed instead of a reply (TCP)",
    Fault.deaf: "closed, and the next connection is accepted and never answered (TCP)",
    Fault.half_open: "the connection stays open and is never answered again (TCP)",
    Fault.stuck: "for the next requests the values stand still",
    Fault.rollover: "counters begin again from 0",
    Fault.clock_jump: "for the next requests the values of another time",
    Fault.torn: "some words of now and some of the moment before",
}
VALUE_FAULTS = frozenset((Fault.stuck, Fault.rollover, Fault.clock_jump, Fault.torn))
EXCEPTIONS = {
    Fault.exception_2: 2,
    Fault.exception_4: 4,
    Fault.exception_6: 6,
    Fault.exception_11: 11,
}
_TCP_FRAMES = frozenset((Fault.wrong_transaction, Fault.wrong_protocol))
_TCP_STREAMS = frozenset((Fault.reset, Fault.close, Fault.deaf, Fault.half_open))


def faults_of(framing: str, *, serial: bool = False) -> tuple[Fault, ...]:
    """The faults that a line with ``framing`` ("tcp" or "rtu") can have."""
    out = set(_TCP_FRAMES) if framing == "rtu" else {Fault.crc_error}
    if serial:
        out |= _TCP_STREAMS
    return tuple(fault for fault in Fault if fault not in out)


class Plan:
    """Which fault each reply gets: drawn from a seed, the same for the same seed."""

    def __init__(self, faults: Sequence[Fault], rate: float, seed: int) -> None:
        """``rate``: the share of requests that meet a fault, 0 to 1."""
        self.faults = tuple(faults)
        self.rate = rate if faults else 0.0
        self.drawn = random.Random(seed)

    def next(self) -> Fault | None:
        return self.drawn.choice(self.faults) if self.drawn.random() < self.rate else None


def spoiled(
    fault: Fault,
    frames: Frames,
    asked: Asked,
    pdu: bytes,
    earlier: Sequence[bytes],
    drawn: random.Random,
) -> list[bytes]:
    """What is written, one after the other, instead of the reply ``pdu`` to ``asked``.

    ``earlier``: frames of replies to earlier requests. Faults of time and of the connection send
    the right reply, or none, and are no matter of bytes.
    """
    right = frames.frame(asked, pdu)
    if fault in EXCEPTIONS:
        return [frames.frame(asked, asked.exception(EXCEPTIONS[fault]))]
    if fault is Fault.duplicate:
        return [right + right]
    if fault is Fault.reordered:
        before = drawn.choice(earlier) if earlier else right
        # In one piece: with RTU framing nothing else tells the two apart.
        return [before + right] if drawn.random() < 0.5 or frames.name == "rtu" else [before, right]
    if fault is Fault.short:
        if drawn.random() < 0.5 or len(pdu) < 6:
            return [right[: drawn.randrange(1, len(right))]]
        return [frames.frame(asked, asked.reply(pdu[2:-2]))]
    if fault is Fault.long:
        return [frames.frame(asked, asked.reply(pdu[2:] + drawn.randbytes(2)))]
    if fault is Fault.wrong_unit:
        return [frames.frame(asked, pdu, (asked.unit + drawn.randrange(1, 256)) % 256)]
    if fault is Fault.wrong_function:
        function = (pdu[0] + drawn.randrange(1, 256)) % 256
        return [frames.frame(asked, bytes((function,)) + pdu[1:])]
    if fault is Fault.wrong_byte_count:
        count = (pdu[1] + drawn.randrange(1, 256)) % 256
        return [frames.frame(asked, bytes((pdu[0], count)) + pdu[2:])]
    if fault is Fault.crc_error:
        return [_flipped(right, drawn)]
    if fault is Fault.garbage:
        return [drawn.randbytes(drawn.randrange(1, 300))]
    if fault is Fault.byte_by_byte:
        return [right[i : i + 1] for i in range(len(right))]
    if isinstance(frames, TcpFrames) and fault in _TCP_FRAMES:
        return [_wrong_header(fault, frames, asked, pdu, drawn)]
    return [right]


def _flipped(frame: bytes, drawn: random.Random) -> bytes:
    at, bit = drawn.randrange(len(frame)), 1 << drawn.randrange(8)
    return frame[:at] + bytes((frame[at] ^ bit,)) + frame[at + 1 :]


def _wrong_header(
    fault: Fault, frames: TcpFrames, asked: Asked, pdu: bytes, drawn: random.Random
) -> bytes:
    if fault is Fault.wrong_protocol:
        return frames.header(asked, len(pdu), protocol=drawn.randrange(1, 65536)) + pdu
    # One near it is that of a neighbouring request; one far from it is nobody's.
    step = drawn.choice((-2, -1, 1, 2)) if drawn.random() < 0.5 else drawn.randrange(2000, 60000)
    return frames.header(asked, len(pdu), transaction=(asked.transaction + step) % 65536) + pdu
