"""A few fields at the top of a JSON object, found without building the rest.

metadata.json names the job and may put it off, so it is looked at before the child gets it. A whole parse of a file
made to be large takes seconds and hundreds of MiB; this takes the memory of the text and a bounded number of steps.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_STEPS = 1 << 18  # brackets, strings and runs; the trainer's files have hundreds
_RUN = 1 << 18  # characters in one go: other threads work in between
_LONGEST_TOKEN = 512
_OPEN = re.compile(r"\s{0,512}+\{")
_NEXT = re.compile(r'["{}\[\]]')
_IN_STRING = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)  # possessive: it keeps no way back
_COLON = re.compile(r"\s{0,512}+:\s{0,512}+")
_LITERAL = re.compile(r"[-+.\w]{1,512}+")
_EMPTY = re.compile(r"\{\s{0,512}+\}|\[\s{0,512}+\]")


def top_level(data: bytes, names: Collection[str]) -> dict[str, object] | None:
    """Return the values of some fields of a JSON object; of a field that stands there twice the last one.

    A value that is a container or long stands as True, an empty container as None. What is no JSON in parts that are
    passed over is not noticed.

    Args:
        data: the JSON text in UTF-8, UTF-16 or UTF-32.
        names: the fields.

    Returns:
        name -> value of those that are there; None where no whole object is seen within `MAX_STEPS`.
    """
    try:
        text = data.decode(json.detect_encoding(data), "surrogatepass")
    except UnicodeDecodeError:
        return None
    opening = _OPEN.match(text)
    return None if opening is None else _Scan(text, names).object_from(opening.end())


class _Scan:
    """One pass over a text."""

    def __init__(self, text: str, names: Collection[str]) -> None:
        self._text = text
        self._names = names
        self._found: dict[str, object] = {}
        self._steps = MAX_STEPS

    def object_from(self, position: int) -> dict[str, object] | None:
        """Read on behind the opening brace; None where the object does not end, or not the text with it."""
        depth = 1
        while depth:
            mark = self._next(position)
            if mark is None:
                return None
            position = mark.end()
            if mark[0] != '"':
                depth += 1 if mark[0] in "{[" else -1
            elif (end := self._string_end(position)) is None:
                return None
            else:
                position = self._after_key(mark.start(), end) if depth == 1 else end
        return self._found if not self._text[position : position + _LONGEST_TOKEN].strip() else None

    def _next(self, position: int) -> re.Match[str] | None:
        while position < len(self._text) and self._step():
            mark = _NEXT.search(self._text, position, position + _RUN)
            if mark is not None:
                return mark
            position += _RUN
        return None

    def _string_end(self, position: int) -> int | None:
        while position < len(self._text) and self._step():
            run = _IN_STRING.match(self._text, position, position + _RUN)
            position = position if run is None else run.end()
            if self._text[position : position + 1] == '"':
                return position + 1
        return None

    def _step(self) -> bool:
        self._steps -= 1
        return self._steps >= 0

    def _after_key(self, start: int, end: int) -> int:
        """Note the value where the string is a key that is asked for; return where to read on."""
        colon = _COLON.match(self._text, end)
        if colon is None:
            return end
        key = _parsed(self._text[start:end]) if end - start <= _LONGEST_TOKEN else None
        if isinstance(key, str) and key in self._names:
            self._found[key] = self._value(colon.end())
        return colon.end()

    def _value(self, position: int) -> object:
        if _EMPTY.match(self._text, position):
            return None
        if self._text[position : position + 1] == '"':
            end = self._string_end(position + 1)
            short = end is not None and end - position <= _LONGEST_TOKEN
            return _parsed(self._text[position:end]) if short else True
        literal = _LITERAL.match(self._text, position)
        return True if literal is None or len(literal[0]) == _LONGEST_TOKEN else _parsed(literal[0])


def _parsed(token: str) -> object:
    try:
        return json.loads(token)
    except ValueError:
        return True
