"""What the logs leave out."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

from mistudio_worker.logging_setup import REPEAT_S, Unrepeated


def record(name: str, message: str, *arguments: object, at_s: float = 0.0) -> logging.LogRecord:
    """Return a log record of a moment."""
    made = logging.LogRecord(name, logging.ERROR, "file.py", 1, message, arguments, None)
    made.created = at_s
    return made


def test_a_library_says_the_same_once_in_a_while() -> None:
    """The same complaint passes again only after the pause, whatever its arguments; another one passes at once."""
    unrepeated = Unrepeated()
    assert unrepeated.filter(record("aiokafka", "Unable to connect to %s", 1))
    assert not unrepeated.filter(record("aiokafka", "Unable to connect to %s", 2, at_s=REPEAT_S - 1))
    assert unrepeated.filter(record("aiokafka", "Unable to update metadata", at_s=REPEAT_S - 1))
    assert unrepeated.filter(record("aiokafka", "Unable to connect to %s", 1, at_s=REPEAT_S))


def test_our_own_lines_always_pass() -> None:
    """Two canonical lines of two jobs have the same message, and both count."""
    unrepeated = Unrepeated()
    assert unrepeated.filter(record("mistudio_worker.worker.job", "job"))
    assert unrepeated.filter(record("mistudio_worker.worker.job", "job"))


def test_lines_of_the_kafka_client_are_about_no_job() -> None:
    """Its tasks keep the context of the job that happened to start them; other libraries' lines belong to the job."""
    script = (
        "import logging, structlog; from mistudio_worker.logging_setup import configure_logging;"
        "from mistudio_worker.settings import LogSettings; configure_logging(LogSettings(format='json'));"
        "structlog.contextvars.bind_contextvars(job='j');"
        "[logging.getLogger(name).warning('m') for name in ('aiokafka.conn', 'urllib3')];"
        "structlog.get_logger('mistudio_worker').warning('m')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["logger"], line.get("job")) for line in lines] == [
        ("aiokafka.conn", None),
        ("urllib3", "j"),
        ("mistudio_worker", "j"),
    ]
