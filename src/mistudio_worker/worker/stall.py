"""Telling a consumer that is stuck from one that has nothing to do, or no broker."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING

from mistudio_worker.errors import ServiceAway

if TYPE_CHECKING:
    from mistudio_worker.worker.ports import RecordSource

LOOK_SHARE = 0.25
"""Part of the limit after which an idle consumer is compared with the broker again."""


class Sign(StrEnum):
    """What a consumer shows when it makes no progress; each of them may pass by itself."""

    UNSETTLED = "a rebalance that does not end"
    POLL_FAILS = "polling fails"
    COMMIT_UNANSWERED = "commits get no answer"
    UNREAD = "records wait and are not given out"


class StallWatch:
    """Remembers since when each sign is seen.

    Args:
        source: what is watched.
        limit_s: a sign that lasts so long, though the broker answers others, means that the consumer is stuck.
    """

    def __init__(self, source: RecordSource, limit_s: float) -> None:
        self._source = source
        self._limit_s = limit_s
        self._since_s: dict[Sign, float] = {}
        self._looked_s = time.monotonic()

    def see(self, sign: Sign) -> None:
        """A sign is there, still or anew."""
        self._since_s.setdefault(sign, time.monotonic())

    def clear(self, *signs: Sign) -> None:
        """These are gone; without any named, all."""
        for sign in signs or tuple(Sign):
            self._since_s.pop(sign, None)

    async def look(self) -> None:
        """Compare a consumer that had nothing to give out with the broker, now and then."""
        if time.monotonic() - self._looked_s < self._limit_s * LOOK_SHARE:
            return
        self._looked_s = time.monotonic()
        try:
            unread = await self._source.has_unread()
        except ServiceAway:
            return
        (self.see if unread else self.clear)(Sign.UNREAD)

    async def stuck(self) -> Sign | None:
        """Return the sign that the consumer is stuck; None where it is not.

        An outage of the broker shows the same signs and is no reason: they are counted anew after it.
        """
        now_s = time.monotonic()
        lasting = next((sign for sign, since_s in self._since_s.items() if now_s - since_s >= self._limit_s), None)
        if lasting is not None and not await self._source.broker_answers():
            self.clear()
            return None
        return lasting
