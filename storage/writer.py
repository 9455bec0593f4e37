"""Group commit: many collectors, one thread that writes, one sync of the disk for all of them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from types import TracebackType

from config.errors import KgceError
from config.tables import Reading
from storage.spool import Spool

log = logging.getLogger(__name__)

_GROUP_ROWS = 2_000
"""Most readings in one transaction, about 10 ms of the interpreter's time."""
_PACE_S = 0.025
"""While offers keep coming, a group begins this long after the one before it: committing each of
1,000 offers a second by itself would take most of a core."""
_NAP_S = 0.005
"""Without a new offer for so long a group begins at once: who offers may wait for the callbacks,
like a broker that sends a few messages and then waits for their acknowledgements."""
_BACK_OFF_S = (0.1, 5.0)
"""First and longest wait after a failed commit."""
_LOOK_FOR_ROOM_S = 0.5

_Offer = tuple[tuple[Reading, ...], Callable[[], None] | None]


class SpoolWriter:
    """Writes what is offered to the spool in groups. Satisfies the collectors' ``Sink``.

    At most ``queue_limit`` readings wait in memory. When the spool cannot be written, the group
    stays in memory and is tried again; the queue fills, and offers are refused. Nothing is
    dropped. ``trouble`` says what is wrong, and is None when nothing is.
    """

    def __init__(self, spool: Spool, *, queue_limit: int = 50_000) -> None:
        self._spool = spool
        self._queue_limit = queue_limit
        self._offers: deque[_Offer] = deque()
        self._queued = 0  # readings taken and not yet on disk
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waits = False  # the writer, for the first offer
        self._closing_by: float | None = None  # time.monotonic() after which close() gives up
        self._has_room = True
        self._trouble: str | None = None
        # A daemon thread: a process that ends without close() must not hang on a full disk.
        self._thread = threading.Thread(target=self._run, name="kgce-spool-writer", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Why readings cannot be written at the moment; None when they can."""
        with self._changed:
            return self._trouble

    @property
    def queued(self) -> int:
        """Readings taken and not yet on disk."""
        with self._changed:
            return self._queued

    def offer(
        self, readings: Sequence[Reading], on_durable: Callable[[], None] | None = None
    ) -> bool:
        """Take all of ``readings``, or none and return False: full, at the cap, or closed.

        Never blocks; any thread. ``on_durable`` is called from the writer's thread once they are
        on disk, never otherwise. An offer larger than ``queue_limit`` is taken by an empty queue.
        """
        taken = tuple(readings)
        with self._lock:
            fits = self._queued == 0 or self._queued + len(taken) <= self._queue_limit
            if self._closing_by is not None or not self._has_room or not fits:
                return False
            self._offers.append((taken, on_durable))
            self._queued += len(taken)
            if self._waits:
                self._changed.notify_all()
        return True

    def close(self, timeout_s: float = 30.0) -> int:
        """Refuse further offers, write what is queued, and stop.

        Returns the number of readings that could not be written in time: they are lost to the
        spool, and their ``on_durable`` is never called. 0 unless the disk is in trouble.
        """
        with self._changed:
            if self._closing_by is None:
                self._closing_by = time.monotonic() + timeout_s
            self._changed.notify_all()
        self._thread.join()
        if self._queued:
            log.error("%d readings could not be written: %s", self._queued, self._trouble)
        return self._queued

    def __enter__(self) -> SpoolWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        group: list[_Offer] = []
        back_off_s = _BACK_OFF_S[0]
        begun = 0.0  # time.monotonic()
        while True:
            if not group:
                self._wait_for_more(begun + _PACE_S)
                group, begun = self._next_group(), time.monotonic()
            if not group and self._is_closing():
                return
            try:
                # Without a group it is only asked whether there is room again.
                self._commit(group)
            except Exception as error:  # a bug must not end the only thread that writes
                self._report(error)
                if self._gives_up(back_off_s):
                    return
                back_off_s = min(back_off_s * 2, _BACK_OFF_S[1])
            else:
                group, back_off_s = [], _BACK_OFF_S[0]

    def _wait_for_more(self, until_s: float) -> None:
        """Let a group grow until the time comes, or no more offers do."""
        offers = len(self._offers)
        while offers > 0 and self._queued < _GROUP_ROWS and self._closing_by is None:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(left_s, _NAP_S))
            before, offers = offers, len(self._offers)
            if offers == before:
                return

    def _next_group(self) -> list[_Offer]:
        """Wait for offers; empty when closing, or when it is time to look for room."""
        with self._changed:
            while not self._offers and self._closing_by is None:
                self._waits = True
                came = self._changed.wait(None if self._has_room else _LOOK_FOR_ROOM_S)
                self._waits = False
                if not came:
                    break
            group: list[_Offer] = []
            rows = 0
            while self._offers and (not group or rows + len(self._offers[0][0]) <= _GROUP_ROWS):
                group.append(self._offers.popleft())
                rows += len(group[-1][0])
            return group

    def _commit(self, group: list[_Offer]) -> None:
        if group:
            self._spool.append(list(chain.from_iterable(readings for readings, _ in group)))
            for _, on_durable in group:
                if on_durable is not None:
                    _call(on_durable)
            with self._changed:
                self._queued -= sum(len(readings) for readings, _ in group)
            group.clear()
        has_room = self._spool.has_room()
        with self._changed:
            self._has_room = has_room
            self._trouble = None if has_room else self._at_cap()

    def _at_cap(self) -> str:
        return (
            f"{self._spool.path} holds {self._spool.max_bytes} bytes, its cap "
            "(storage.spool_max_mb); collectors wait until the lake takes readings"
        )

    def _report(self, error: Exception) -> None:
        expected = isinstance(error, KgceError)
        text = str(error) if expected else f"{type(error).__name__}: {error}"
        with self._changed:
            news, self._trouble = text != self._trouble, text
        if news:
            log.error("readings wait in memory: %s", text, exc_info=None if expected else error)

    def _is_closing(self) -> bool:
        with self._changed:
            return self._closing_by is not None and not self._offers

    def _gives_up(self, back_off_s: float) -> bool:
        """Wait before the next try; True when closing and the time is over."""
        with self._changed:
            if self._closing_by is None:
                self._changed.wait_for(lambda: self._closing_by is not None, back_off_s)
                return False
            left_s = self._closing_by - time.monotonic()
        if left_s <= 0:
            return True
        time.sleep(min(back_off_s, left_s, 1.0))
        return False


def _call(on_durable: Callable[[], None]) -> None:
    try:
        on_durable()
    except Exception:
        log.exception("a callback for readings on disk failed; the readings are kept")
