"""A lake whose process ends at the worst moment: after it was written, before anybody knows."""

from __future__ import annotations

from storage.lake import Lake


class Crash(Exception):
    """The end of the process."""


class DyingLake(Lake):
    def append(self, table, frame, *, app=None, metadata=None) -> bool:
        super().append(table, frame, app=app, metadata=metadata)
        raise Crash
