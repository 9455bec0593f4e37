"""Which requests fetch the values: few, and none that tears a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from collectors.lines.bus import counted, why_overloaded
from collectors.modbus.values import RegisterValue, Span, modbus_connection, register_values
from config.connections import Modbus, ModbusRtu
from config.devices import place
from config.errors import ConfigError
from config.site import Site

_QUESTION_BYTES = 8  # RTU: unit, function, address, count, check sum
_REPLY_BYTES = 5  # RTU: unit, function, byte count, check sum; and the registers
_SILENT_CHARACTERS = 3.5  # before each frame
CLOCK_INTERVAL_S = 3600.0  # between two looks at a device's clock
TURNAROUND_S = 0.01  # what a meter takes to answer, at the least: nobody states it


@dataclass(frozen=True)
class Request:
    """One read request, and what its reply holds: ``values``, and ``spans`` of other values'
    scales. ``clock_of``: the meters whose device's clock the one span is."""

    unit_id: int
    function: int
    address: int
    count: int
    values: tuple[RegisterValue, ...]
    spans: tuple[Span, ...] = ()
    clock_of: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Such as ``unit 3, registers 100 to 103 (function 4)``."""
        last = self.address + self.count - 1
        registers = f"registers {self.address} to {last}" if self.count > 1 else f"register {last}"
        if self.clock_of:
            registers = f"clock in {registers}"
        return f"unit {self.unit_id}, {registers} (function {self.function})"

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.unit_id, self.function, self.address, self.count, self.values))

    @cached_property
    def unit(self) -> str:
        return str(self.unit_id)


@dataclass(frozen=True)
class _Piece:
    """A span, the values whose own number it is, and the device's limits for its request."""

    span: Span
    values: tuple[RegisterValue, ...]
    max_registers: int
    max_hole: int
    name: str

    @property
    def is_scale(self) -> bool:
        return not self.values


def plan_requests(
    values: Iterable[RegisterValue], max_registers: int, max_hole: int
) -> tuple[Request, ...]:
    """Requests that fetch ``values``: few, and none that tears a value.

    Neighbours of one unit and function share a request, over holes of up to ``max_hole`` unwanted
    registers. A request has at most ``max_registers`` registers; a device's own limits go before
    both, for all of its unit. Registers that scales are read from come first. Raises ConfigError
    for a value that is longer than a request.
    """
    pieces = _pieces(values, max_registers, max_hole)

    def unit_and_function(piece: _Piece) -> tuple[int, int]:
        return piece.span.unit_id, piece.span.function

    def where(piece: _Piece) -> tuple[int, int, int, int]:
        return *unit_and_function(piece), piece.span.address, piece.span.end

    requests: list[Request] = []
    for (unit_id, function), group in groupby(sorted(pieces, key=where), unit_and_function):
        here = list(group)
        limit = min(piece.max_registers for piece in here)
        hole = min(piece.max_hole for piece in here)
        for run in _runs(here, limit, hole):
            requests.append(_request(unit_id, function, run))
    # Stable: a unit's requests stay in order, but those of scales are read before what they scale.
    return tuple(sorted(requests, key=lambda r: (r.unit_id, not r.spans)))


def _pieces(values: Iterable[RegisterValue], max_registers: int, max_hole: int) -> list[_Piece]:
    wanting: dict[Span, list[RegisterValue]] = {}
    limits: dict[Span, tuple[int, int, str]] = {}
    for value in values:
        wanting.setdefault(value.span, []).append(value)
        for span in value.spans:
            wanting.setdefault(span, [])
            most, hole, name = limits.get(span, (max_registers, max_hole, value.meter_id))
            own_hole = max_hole if value.max_hole is None else value.max_hole
            limits[span] = (min(most, value.max_registers or most), min(hole, own_hole), name)
    return [_Piece(span, tuple(wanting[span]), *limits[span]) for span in wanting]


def _runs(pieces: Sequence[_Piece], limit: int, max_hole: int) -> Iterator[list[_Piece]]:
    run: list[_Piece] = []
    end = 0
    for piece in pieces:
        span = piece.span
        if span.count > limit:
            raise ConfigError(
                f"meter {piece.name}: {span.type} takes {span.count} registers, one request "
                f"{limit}: the value would be torn",
                allowed="a value inside one request",
                todo="correct max_registers or the type",
            )
        too_far = span.address - end > max_hole
        if run and (too_far or span.end - run[0].span.address > limit):
            yield run
            run, end = [], 0
        run.append(piece)
        end = max(end, span.end)
    if run:
        yield run


def _request(unit_id: int, function: int, pieces: Sequence[_Piece]) -> Request:
    address = pieces[0].span.address
    count = max(piece.span.end for piece in pieces) - address
    values = tuple(value for piece in pieces for value in piece.values)
    scales = {scaler.span for value in values for scaler in value.scale_from}
    spans = tuple(piece.span for piece in pieces if piece.is_scale or piece.span in scales)
    return Request(unit_id, function, address, count, values, spans)


def split(request: Request) -> tuple[Request, Request] | None:
    """Two requests for the values of one, cut at its widest hole, or else nearest to its middle.

    None where every cut would tear a value.
    """
    pieces = _request_pieces(request)
    middle = request.address + request.count / 2
    cuts = []
    end = request.address
    for index, piece in enumerate(pieces):
        address = piece.span.address
        if index and address >= end:
            cuts.append((address - end, -abs(address - middle), index))
        end = max(end, piece.span.end)
    if not cuts:
        return None
    index = max(cuts)[-1]
    unit_id, function = request.unit_id, request.function
    return _request(unit_id, function, pieces[:index]), _request(unit_id, function, pieces[index:])


def _request_pieces(request: Request) -> list[_Piece]:
    wanting: dict[Span, list[RegisterValue]] = {span: [] for span in request.spans}
    for value in request.values:
        wanting.setdefault(value.span, []).append(value)
    pieces = [_Piece(span, tuple(wanting[span]), 0, 0, "") for span in wanting]
    return sorted(pieces, key=lambda piece: (piece.span.address, piece.span.end))


def plan_line(requests: Sequence[Request]) -> str:
    """Such as ``3 requests touch 24 registers for 9 values``."""
    verb = "touches" if len(requests) == 1 else "touch"
    registers = sum(request.count for request in requests)
    values = sum(len(request.values) for request in requests)
    return (
        f"{counted(len(requests), 'request')} {verb} {counted(registers, 'register')} for "
        f"{counted(values, 'value')}"
    )


def poll_plan(
    site: Site, connection_id: str, interval_s: float | None = None
) -> dict[float, tuple[Request, ...]]:
    """The requests of a connection by their interval in seconds, shortest first.

    ``interval_s`` goes before the intervals of the configuration. Raises ConfigError.
    """
    connection = modbus_connection(site, connection_id)
    by_interval: dict[float, list[RegisterValue]] = {}
    for value in register_values(site, connection_id):
        own_s = site.plant.interval_s(site.plant.meters[value.meter_id])
        by_interval.setdefault(own_s if interval_s is None else interval_s, []).append(value)
    limits = connection.max_registers, connection.max_hole
    plan = {
        interval: plan_requests(by_interval[interval], *limits) for interval in sorted(by_interval)
    }
    for interval, request in _clock_requests(site, connection_id):
        if interval_s is None:
            plan[interval] = (*plan.get(interval, ()), request)
    return plan


def _clock_requests(site: Site, connection_id: str) -> Iterator[tuple[float, Request]]:
    """The clocks of the connection's devices, each with its interval in seconds."""
    meters: dict[tuple[int, str], list[str]] = {}
    for meter in site.plant.meters.values():
        if meter.connection == connection_id and meter.device is not None:
            unit_id = 1 if meter.unit_id is None else meter.unit_id
            meters.setdefault((unit_id, meter.device), []).append(meter.meter_id)
    for (unit_id, name), meter_ids in meters.items():
        device = site.devices[name]
        for field in device.fields.values():
            if field.kind != "clock" or field.address is None:
                continue
            function, address, number_type, order = place(device, field)
            span = Span(unit_id, function, address, number_type, order)
            group = device.groups.get(field.group or "")
            request = Request(unit_id, function, address, span.count, (), (span,), tuple(meter_ids))
            yield group.interval_s if group is not None else CLOCK_INTERVAL_S, request


def bus_load_ratio(connection: Modbus, plan: Mapping[float, Sequence[Request]]) -> float | None:
    """The share of its time that a serial bus is taken by the plan; above 1 it cannot be met.

    None where nobody stated the speed of the bus. Frames and silences as of Modbus over Serial
    Line V1.02, 2.5.1; `TURNAROUND_S` for the meter, and the connection's own pause.
    """
    if not isinstance(connection, ModbusRtu) or connection.bits_per_s is None:
        return None
    character_s = connection.bits_per_byte / connection.bits_per_s
    silence_s = max(_SILENT_CHARACTERS * character_s, 0.00175)
    rest_s = max(silence_s, connection.pause_s)
    load_ratio = 0.0
    for interval_s, requests in plan.items():
        for request in requests:
            characters = _QUESTION_BYTES + _REPLY_BYTES + 2 * request.count
            load_ratio += (
                characters * character_s + silence_s + rest_s + TURNAROUND_S
            ) / interval_s
    return load_ratio


def why_unmet(site: Site, connection_id: str) -> str | None:
    """Why the plan of a serial bus cannot be met; None where it can, or nobody can say."""
    connection, plan = modbus_connection(site, connection_id), poll_plan(site, connection_id)
    everything = plan_line([request for requests in plan.values() for request in requests])
    bits_per_s = getattr(connection, "bits_per_s", None)
    return why_overloaded(everything, bits_per_s, bus_load_ratio(connection, plan))


def describe_modbus(site: Site, connection_id: str) -> str:
    """What would be read, a line for each interval, and the load of a serial bus."""
    connection = modbus_connection(site, connection_id)
    plan = poll_plan(site, connection_id)
    kind = "Modbus RTU" if isinstance(connection, ModbusRtu) else "Modbus TCP"
    peer = f"{connection_id}: {kind} {connection.peer}"
    lines = [f"every {interval:g} s {plan_line(plan[interval])}" for interval in plan]
    load_ratio = bus_load_ratio(connection, plan)
    if load_ratio is not None:
        lines.append(f"the bus is taken {load_ratio:.1%} of its time")
    return "\n".join(f"{peer}, {line}" for line in lines or ["no meters"])
