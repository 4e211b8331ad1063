"""Logs: JSON lines, or colours on a terminal, on stderr; also for the libraries' own."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import structlog
    from structlog.typing import EventDict

    from mistudio_worker.settings import LogSettings

REPEAT_S = 30.0
MOST_REMEMBERED = 1000


def configure_logging(settings: LogSettings) -> None:
    """Set up structlog and the standard library's logging alike."""
    import structlog  # noqa: PLC0415 - half of the start of a command that logs nothing

    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=[_merge_job, *shared],
        )
    )
    handler.addFilter(Unrepeated())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("mistudio_worker").setLevel(settings.level.upper())
    logging.getLogger("aiokafka").setLevel(logging.NOTSET)  # in case `quiet_libraries` went before


def _merge_job(logger: Any, name: str, event: EventDict) -> EventDict:
    """Say whose job a library's line is about; the Kafka client's tasks outlive the job that happened to start them."""
    import structlog  # noqa: PLC0415 - as above

    if event["_record"].name.startswith("aiokafka"):
        return event
    return structlog.contextvars.merge_contextvars(logger, name, event)


def quiet_libraries() -> None:
    """Keep the clients' own complaints from a command's stderr: it says itself what is wrong and what to do."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class Unrepeated(logging.Filter):
    """Lets a library say the same thing once in `REPEAT_S`: a client whose broker is away says it ten times a second.

    What mistudio_worker itself logs always passes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said_s: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to let the record pass."""
        if record.name.startswith("mistudio_worker"):
            return True
        said = (record.name, str(record.msg))
        fresh = record.created - self._said_s.get(said, float("-inf")) >= REPEAT_S
        if fresh:
            if len(self._said_s) >= MOST_REMEMBERED:
                self._said_s.clear()
            self._said_s[said] = record.created
        return fresh
