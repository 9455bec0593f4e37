"""Trouble that is logged when it begins and when it ends, not at each poll."""

from __future__ import annotations

import logging

from collectors.base import GOOD


class Changes:
    """Remembers the subjects that are in trouble, and logs a line when that changes.

    A subject that was never noted counts as good. Subjects come from the configuration, so that
    what is remembered stays bounded.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._troubles: dict[str, str] = {}

    @property
    def has_trouble(self) -> bool:
        """Whether any subject is not good."""
        return bool(self._troubles)

    def note(self, subject: str, state: str, detail: str = "") -> None:
        """``subject`` is now in ``state``; ``detail`` says more and is logged only on a change."""
        before = self._troubles.get(subject, GOOD)
        if state == before:
            return
        if state == GOOD:
            del self._troubles[subject]
            self._logger.info("%s: good again, after %s", subject, before)
        else:
            self._troubles[subject] = state
            self._logger.warning("%s: %s%s", subject, state, detail and f": {detail}")
