"""Waiting for services that are away: nothing is counted, nothing is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from mistudio_worker.errors import ServiceAway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenacity import RetryCallState

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger(__name__)


class Patience:
    """Repeats calls until the service behind them answers.

    Attributes:
        away: code -> message of the services that do not answer now; the loop takes no new records then.
    """

    def __init__(self, wait_max_s: float = 30.0) -> None:
        self.away: dict[str, str] = {}
        self._waiting: Counter[str] = Counter()
        self._wait = wait_random_exponential(multiplier=0.5, max=wait_max_s)

    async def outlast(self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `call(*args, **kwargs)` returns, repeating it for as long as it raises `ServiceAway`.

        Any other error passes through at once. Cancelling ends the wait.
        """
        mine: set[str] = set()

        def remember(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if not isinstance(error, ServiceAway):
                return
            if error.code not in self.away:
                log.warning("service away", code=error.code, message=error.message, hint=error.hint)
            self._wait_for(error, also=error.code not in mine)
            mine.add(error.code)

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(ServiceAway), wait=self._wait, before_sleep=remember, reraise=True
        )
        answered = True
        try:
            return await retrying(call, *args, **kwargs)
        except asyncio.CancelledError:
            answered = False
            raise
        finally:
            for code in mine:
                if self._ends(code) and answered:
                    log.info("service answers again", code=code)

    async def hold(self, reason: ServiceAway, pause_s: float) -> None:
        """Take no new records for a while, as if a service were away; one such pause at a time."""
        log.warning("holding back", code=reason.code, message=reason.message, hint=reason.hint)
        self._wait_for(reason, also=True)
        try:
            await asyncio.sleep(pause_s)
        finally:
            self._ends(reason.code)

    def _wait_for(self, error: ServiceAway, *, also: bool) -> None:
        """Show what is waited for; `also` where one more call waits for it."""
        self._waiting[error.code] += also
        self.away[error.code] = error.message

    def _ends(self, code: str) -> bool:
        """One call waits for it no more; return whether it was the last one."""
        self._waiting[code] -= 1
        if self._waiting[code]:
            return False
        del self._waiting[code], self.away[code]
        return True
