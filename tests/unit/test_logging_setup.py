"""What the logs leave out."""

from __future__ import annotations

import logging

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
