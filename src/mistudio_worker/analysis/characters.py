"""What a character is to those who cut texts into words."""

from __future__ import annotations

import unicodedata

from mistudio_worker.analysis.kernels.term_index import BLANK, JOINER, MARK, UNSPACED, WORD

JOINERS = "'’-\u200c\u200d"
"""Kept between letters: apostrophes, the hyphen, and the joiners that Persian and Indic words are written with."""
UNSPACED_RANGES = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)


def is_unspaced(character: str) -> bool:
    """Whether the character belongs to a script that writes no blanks between words."""
    code = ord(character)
    return code >= UNSPACED_RANGES[0][0] and any(low <= code <= high for low, high in UNSPACED_RANGES)


def character_class(character: str) -> int:
    """Return BLANK, WORD, UNSPACED, JOINER or MARK."""
    if character in JOINERS:
        return JOINER
    kind = unicodedata.category(character)[0]
    if character == "_" or kind in "LMN":
        return UNSPACED if is_unspaced(character) else WORD
    return BLANK if kind in "ZC" else MARK
