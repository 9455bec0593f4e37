"""Which data are asked for, so that few requests fetch what a line's meters want.

A block fetches a whole family of data with one request: energy or demand with its tariffs (DI1 =
FF), or a variable with its phases (DL/T 645-2007, annex A).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from collectors.dlt645.frames import NO_SUCH_DATA
from collectors.dlt645.values import DATE_BYTES, TIME_BYTES, DataValue, data_values
from config.errors import CollectError, DeviceException, ReplyRefused
from config.models import Meter
from config.register_map import Device, DeviceField
from config.site import Site

MOST_TARIFFS = 63
USUAL_TARIFFS = 4  # what a block's reply is reckoned with: how many a meter has, only it knows
CLOCK_INTERVAL_S = 3600.0

# DI3 DI2 of variables whose blocks hold phases, or the total and phases: first DI1, last DI1
_PHASES: dict[str, tuple[int, int]] = {
    "0201": (1, 3), "0202": (1, 3), "0203": (0, 3), "0204": (0, 3), "0205": (0, 3),
    "0206": (0, 3), "0207": (1, 3),
}  # fmt: skip
# DI3 DI2 of energies and demands by tariff
_TARIFFS = {
    f"{kind}{di2:02X}" for kind, least in (("00", 0), ("01", 1)) for di2 in range(least, 11)
}


class Block(NamedTuple):
    """Where a datum stands in the block that has it; ``items`` is None where meters differ."""

    data_id: str
    position: int
    items: int | None


def block_of(data_id: str) -> Block | None:
    """The block that holds a datum; None where there is none."""
    family, di1, di0 = data_id[:4], int(data_id[4:6], 16), data_id[6:]
    block_id = f"{family}FF{di0}"
    if family in _TARIFFS and di1 <= MOST_TARIFFS and di0 != "FF":
        return Block(block_id, di1, None)
    first, last = _PHASES.get(family, (1, 0))
    if first <= di1 <= last and di0 == "00":
        return Block(block_id, di1 - first, last - first + 1)
    return None


@dataclass(frozen=True)
class DataRequest:
    """One request for data of one meter, and the values that its reply holds.

    ``data_id`` is that of the values, or of a block that has them all.
    """

    address: str
    data_id: str
    values: tuple[DataValue, ...]

    def __str__(self) -> str:
        """Such as ``meter 000000000001, block 0001FF00``."""
        return f"meter {self.address}, {'block' if self.is_block else 'data'} {self.data_id}"

    @property
    def unit(self) -> str:
        return self.address

    @property
    def is_block(self) -> bool:
        return self.data_id != self.values[0].data_id

    @property
    def reply_bytes(self) -> int:
        """Bytes of data that the reply is expected to have."""
        item_bytes = self.values[0].item_bytes
        if not self.is_block:
            return item_bytes
        places = [place for value in self.values if (place := block_of(value.data_id))]
        items = places[0].items or max(USUAL_TARIFFS, *(place.position for place in places)) + 1
        return items * item_bytes

    def misfit(self, content: bytes) -> CollectError | None:
        """Why ``content`` cannot be the reply; None where it can.

        A block that lacks an item is an error of the meter: its data can be asked for one by one.
        """
        item_bytes = self.values[0].item_bytes
        items, rest = divmod(len(content), item_bytes)
        if rest or not 1 <= items <= (MOST_TARIFFS + 1 if self.is_block else 1):
            return ReplyRefused(
                f"{len(content)} bytes of data {self.data_id}; one item has {item_bytes}"
            )
        for value in self.values if self.is_block else ():
            block = block_of(value.data_id)
            assert block is not None
            if items <= block.position or block.items not in (None, items):
                return DeviceException(
                    f"block {self.data_id} has {items} items, without {value.data_id}",
                    NO_SUCH_DATA,
                )
        return None

    def found(self, content: bytes) -> list[tuple[float | None, str]]:
        """The values, in order, out of a reply that fits."""
        founds = []
        for value in self.values:
            block = block_of(value.data_id) if self.is_block else None
            start = block.position * value.item_bytes if block is not None else 0
            founds.append(value.found(content[start : start + value.item_bytes]))
        return founds


@dataclass(frozen=True)
class ClockRequest:
    """The date and the time that a meter's clock shows; no reading comes of it."""

    address: str
    date_id: str
    time_id: str
    meter_ids: tuple[str, ...]
    values: tuple[DataValue, ...] = ()

    def __str__(self) -> str:
        return f"clock of meter {self.address}"

    @property
    def unit(self) -> str:
        return self.address

    @property
    def reply_bytes(self) -> int:
        return DATE_BYTES + TIME_BYTES


Request = DataRequest | ClockRequest


def plan_requests(values: Iterable[DataValue]) -> tuple[DataRequest, ...]:
    """Requests that fetch ``values``: a block where two data of it or more are wanted."""

    def family(value: DataValue) -> tuple[str, str]:
        block = block_of(value.data_id)
        return value.address, value.data_id if block is None else block.data_id

    def identity(value: DataValue) -> tuple[str, str, str]:
        return *family(value), value.data_id

    requests = []
    for (address, block_id), group in groupby(sorted(values, key=identity), family):
        here = tuple(group)
        data_ids = {value.data_id for value in here}
        alike = len({value.item_bytes for value in here}) == 1
        if len(data_ids) > 1 and alike:
            requests.append(DataRequest(address, block_id, here))
        else:
            requests += singly(here)
    return tuple(requests)


def singly(values: Iterable[DataValue]) -> list[DataRequest]:
    """A request for each datum of ``values``, which are of one meter and in order."""
    by_id = groupby(values, lambda value: (value.address, value.data_id))
    return [DataRequest(address, data_id, tuple(group)) for (address, data_id), group in by_id]


def split(request: Request) -> tuple[DataRequest, DataRequest] | None:
    """Two requests for the values of a block; None where there is nothing to part."""
    if isinstance(request, ClockRequest) or not request.is_block:
        return None
    data_ids = sorted({value.data_id for value in request.values})
    middle = data_ids[len(data_ids) // 2]
    halves = (
        tuple(value for value in request.values if value.data_id < middle),
        tuple(value for value in request.values if value.data_id >= middle),
    )
    low, high = (plan_requests(half) for half in halves)
    return low[0], high[0]


def poll_plan(
    site: Site, connection_id: str, interval_s: float | None = None
) -> dict[float, tuple[Request, ...]]:
    """The requests of a connection by their interval in seconds, shortest first.

    ``interval_s`` goes before the configuration's intervals; the meters' clocks keep theirs.
    Raises ConfigError for a meter whose data are not determined.
    """
    by_interval: dict[float, list[DataValue]] = {}
    for value in data_values(site, connection_id):
        own_s = site.plant.interval_s(site.plant.meters[value.meter_id])
        by_interval.setdefault(own_s if interval_s is None else interval_s, []).append(value)
    plan: dict[float, tuple[Request, ...]] = {
        seconds: plan_requests(values) for seconds, values in by_interval.items()
    }
    for seconds, clock in _clocks(site, connection_id):
        plan[seconds] = (*plan.get(seconds, ()), clock)
    return {seconds: plan[seconds] for seconds in sorted(plan)}


def _clocks(site: Site, connection_id: str) -> Iterable[tuple[float, ClockRequest]]:
    """The clock of each device whose map says where it shows date and time; and how often."""
    by_address: dict[str, list[Meter]] = {}
    for meter in site.plant.meters.values():
        if meter.connection == connection_id:
            by_address.setdefault(meter.meter_address or "", []).append(meter)
    for address, meters in by_address.items():
        device = site.devices[meters[0].device or ""]
        date, time = _clock_field(device, DATE_BYTES), _clock_field(device, TIME_BYTES)
        if date is None or time is None:
            continue
        group = device.groups.get(date.group or time.group or "")
        seconds = CLOCK_INTERVAL_S if group is None else group.interval_s
        ids = (str(date.data_id).upper(), str(time.data_id).upper())
        yield seconds, ClockRequest(address, *ids, tuple(meter.meter_id for meter in meters))


def _clock_field(device: Device, width: int) -> DeviceField | None:
    for field in device.fields.values():
        if field.kind == "clock" and field.data_id is not None and field.digits == 2 * width:
            return field
    return None
