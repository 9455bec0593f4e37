"""What a plan takes of a bus's time, and what `kgce check` says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from collectors.dlt645.frames import FRAME_BYTES, ID_BYTES
from collectors.dlt645.plan import ClockRequest, Request, poll_plan
from collectors.dlt645.values import dlt645_connection
from collectors.lines.bus import counted, why_overloaded
from config.connections import Dlt645
from config.site import Site

REPLY_WAKE_BYTES = 4  # what a reply is reckoned with; a meter may send none
LEAST_REPLY_DELAY_S = 0.02  # the shortest that DL/T 645-2007 allows; the longest is 0.5 s


def bus_seconds(
    requests: Iterable[Request],
    bits_per_s: float,
    bits_per_byte: float,
    wake_bytes: int = 4,
    pause_s: float = 0.0,
) -> float:
    """The least time in seconds that a bus is taken by ``requests``, each asked once.

    ``wake_bytes`` and ``pause_s`` are the connection's. Meters are reckoned to reply after the
    shortest time that the standard allows.
    """
    seconds = 0.0
    for request in requests:
        exchanges = 2 if isinstance(request, ClockRequest) else 1
        asked = wake_bytes + FRAME_BYTES + ID_BYTES
        answered = REPLY_WAKE_BYTES + FRAME_BYTES + ID_BYTES
        characters = exchanges * (asked + answered) + request.reply_bytes
        seconds += characters * bits_per_byte / bits_per_s
        seconds += exchanges * (LEAST_REPLY_DELAY_S + pause_s)
    return seconds


def bus_load_ratio(connection: Dlt645, plan: Mapping[float, Sequence[Request]]) -> float | None:
    """The share of its time that a bus is taken by the plan; above 1 it cannot be met.

    None where nobody stated the speed of the bus.
    """
    if connection.bits_per_s is None:
        return None
    line = connection.bits_per_s, connection.bits_per_byte
    own = connection.wake_bytes, connection.pause_s
    return sum(bus_seconds(requests, *line, *own) / seconds for seconds, requests in plan.items())


def why_unmet(site: Site, connection_id: str) -> str | None:
    """Why the plan of a bus cannot be met; None where it can, or nobody can say."""
    connection, plan = dlt645_connection(site, connection_id), poll_plan(site, connection_id)
    everything = plan_line([request for requests in plan.values() for request in requests])
    return why_overloaded(everything, connection.bits_per_s, bus_load_ratio(connection, plan))


def plan_line(requests: Sequence[Request]) -> str:
    """Such as ``3 requests to 2 meters for 9 values``."""
    values = sum(len(request.values) for request in requests)
    meters = len({request.address for request in requests})
    return (
        f"{counted(len(requests), 'request')} to {counted(meters, 'meter')} for "
        f"{counted(values, 'value')}"
    )


def describe_dlt645(site: Site, connection_id: str) -> str:
    """What would be read, a line for each interval, and the load of the bus."""
    connection = dlt645_connection(site, connection_id)
    plan = poll_plan(site, connection_id)
    peer = f"{connection_id}: DL/T 645 {connection.peer}"
    lines = []
    for interval_s, requests in plan.items():
        data = [request for request in requests if not isinstance(request, ClockRequest)]
        if data:
            lines.append(f"every {interval_s:g} s {plan_line(data)}")
        if clocks := len(requests) - len(data):
            lines.append(f"every {interval_s:g} s {counted(clocks, 'clock')} compared")
    load_ratio = bus_load_ratio(connection, plan)
    if plan and load_ratio is not None:
        lines.append(f"the bus is taken {load_ratio:.1%} of its time")
    return "\n".join(f"{peer}, {line}" for line in lines or ["no meters"])
