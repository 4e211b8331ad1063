"""Texts of the run on a terminal: one line, a known width, nothing that acts."""

from __future__ import annotations

import unicodedata

COLUMNS = 100
MOST_WRAPPED_LINES = 6
_HARMLESS_FORMATS = frozenset("\u200c\u200d")  # joiners that scripts and emoji need


def printable(text: str) -> str:
    r"""Return a text on one line without control, bidi, private or unassigned characters.

    White space runs become one blank; whatever could act on a terminal becomes U+FFFD.

    >>> printable("a\n b\x1b[2J")
    'a b\ufffd[2J'
    """
    return "".join(map(_visible, " ".join(text.split())))


def clip(text: str, columns: int) -> str:
    """Return a text made printable and cut to a width; wide characters count as two columns."""
    used = 0
    kept: list[str] = []
    for character in printable(text[: 4 * columns]):
        used += _width(character)
        if used > columns - 3:
            return _whole_or_cut(text, columns, "".join(kept))
        kept.append(character)
    return "".join(kept) if len(text) <= 4 * columns else "".join(kept) + "..."


def wrap(text: str, label: str = "") -> list[str]:
    """Break a text made printable into lines of at most 100 columns, further ones indented, by a label's width if any.

    >>> wrap("one two", "Count  ")
    ['Count  one two']
    """
    lines, line, room = [], "", COLUMNS - len(label)
    for word in printable(text[: COLUMNS * MOST_WRAPPED_LINES]).split():
        clipped = clip(word, room - 4)
        if line and columns_of(line) + 1 + columns_of(clipped) > room:
            lines.append(line)
            line = "" if label else "   "
        line = f"{line} {clipped}" if line else clipped
    lines = [*lines, line] if line else lines
    return [(" " * len(label) if place else label) + line for place, line in enumerate(lines)]


def columns_of(text: str) -> int:
    """Return the number of terminal columns of a text."""
    return sum(map(_width, text))


def _whole_or_cut(text: str, columns: int, kept: str) -> str:
    whole = printable(text[: 4 * columns])
    fits = len(text) <= 4 * columns and columns_of(whole) <= columns
    return whole if fits else kept + "..."


def _visible(character: str) -> str:
    if character.isprintable() or character in _HARMLESS_FORMATS:
        return character
    return "\ufffd"


def _width(character: str) -> int:
    if unicodedata.combining(character) or character in _HARMLESS_FORMATS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
