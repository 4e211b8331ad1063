"""When a service outside last answered, and when it last did not."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistudio_worker.errors import ServiceAway

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class ServiceWatch:
    """What is known of one service; times on the monotonic clock, None for never.

    Attributes:
        answered_s: its last answer, whatever it was.
        failed_s: when it was last found away.
        code: of the error then.
    """

    answered_s: float | None = None
    failed_s: float | None = None
    code: str | None = None

    @contextmanager
    def call(self) -> Iterator[None]:
        """Remember how a call ends; one that is cancelled says nothing."""
        try:
            yield
        except ServiceAway as error:
            self.failed_s, self.code = time.monotonic(), error.code
            raise
        except Exception:  # a refusal is an answer, too
            self.answered_s = time.monotonic()
            raise
        self.answered_s = time.monotonic()
