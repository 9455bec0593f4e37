"""What a protocol adds to the poll engine: the connection, and the meaning of its bytes.

Statuses of a value besides ``good``, and of a request that gave none:

    timeout         connected, no reply in time
    not_connected   no connection, or closed by the other side instead of a reply
    exception_N     the device, or its gateway, answered with error N of its protocol
    bad_reply       the answer does not fit the question
    not_a_number    the register held NaN, an infinity, or digits that are none
    not_available   the register held the number by which the device says that it has no value
    out_of_range    the value lies outside what its register map believes; it is kept
    not_asked       the unit was silent for some ticks, and rests so that the others are served
    skipped         the tick passed while the ones before it were still under way
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from config.errors import CollectError

NOT_A_NUMBER = "not_a_number"
NOT_AVAILABLE = "not_available"
OUT_OF_RANGE = "out_of_range"
SKIPPED = "skipped"


class Wanted(Protocol):
    """What one meter wants."""

    @property
    def meter_id(self) -> str: ...

    @property
    def quantity(self) -> str: ...


class Question(Protocol):
    """One request. Its text names it in the log; equal ones are the same."""

    @property
    def unit(self) -> str:
        """The unit that is asked: trouble and rest are its own."""

    @property
    def values(self) -> Sequence[Wanted]:
        """What the reply holds."""


class Found(NamedTuple):
    """What a reply holds, in the order of the question's values.

    ``values``: in the ledger's unit, None for none. ``statuses``: None where all are good.
    """

    values: Sequence[float | None]
    statuses: Sequence[str] | None = None


Q = TypeVar("Q", bound=Question)


class Line(Protocol[Q]):
    """One connection, and the protocol that is spoken on it."""

    @property
    def timeout_s(self) -> float:
        """Longest wait for a reply."""

    @property
    def is_open(self) -> bool: ...

    @property
    def connects(self) -> int:
        """Connections that were made."""

    @property
    def late_replies(self) -> int:
        """Replies that came after their time-out, and were passed over."""

    def take_slow(self) -> Mapping[str, float]:
        """Units whose late reply came since the last call, and seconds since their request."""

    async def open(self) -> None:
        """Connect, unless connected. Raises ConnectFailed."""

    def close(self) -> None: ...

    async def ask(self, question: Q, wait_s: float) -> bytes:
        """The reply's content. Raises CollectError. Where the protocol cannot tell late replies,
        it waits for ``timeout_s`` whatever ``wait_s`` is."""

    def found(self, question: Q, content: bytes) -> Found:
        """What the reply's content means."""

    def failed(self, question: Q, status: str) -> None:
        """There is no reply to ``question`` this time."""

    def is_unit_silent(self, error: CollectError) -> bool:
        """Whether the unit did not answer, by itself or in the words of its gateway."""

    def is_refused_whole(self, error: CollectError) -> bool:
        """Whether parts of the request may succeed where the whole does not."""

    def split(self, question: Q) -> tuple[Q, Q] | None:
        """Two requests for the values of one; None where that cannot be."""
