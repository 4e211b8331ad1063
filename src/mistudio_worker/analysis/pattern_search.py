r"""Which texts match which regular expressions, each text read a few times for all of them.

An automaton reads a text at the same speed whether it looks for one expression or for any of several. So the
expressions are searched for in groups, as one that matches where any of them does, and one by one only in the texts
where the group is found. Too large a group needs more states than RE2 keeps, and is slower than its members.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mistudio_worker.analysis.execution import Execution, map_tiles, spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

GROUPED = 5
"""Expressions of a group. Ten of the built-in ones are faster on texts that match none of them, and several times as
slow on texts that match many."""
BLOCK_CHARACTERS = 1 << 22
"""Texts are searched in blocks of about so many characters: the expressions are compiled anew for each."""
UTF8_BYTES = 4
"""Most bytes of a character in Arrow's memory."""
_MANY_STATES = re.compile(r"\{\d*,\d{2,}\}|\\[pP]|\.\*")
"""Long counted repeats, scripts and `.*` multiply the states of their group, so they keep to themselves."""
_QUOTATION = "\\Q"
"""It may run on to the end of its expression, and would swallow what joins that one to others."""


def find_matches(
    texts: Sequence[str], expressions: Sequence[str], execution: Execution
) -> dict[str, NDArray[np.int64]]:
    """Return the texts that match each expression, ascending.

    Args:
        texts: n texts without lone surrogates.
        expressions: valid RE2 expressions, each once.
        execution: threads and budget; the result is the same for any.

    Raises:
        RefusedInput: `MEMORY_BUDGET_EXCEEDED`, a block does not fit.
    """
    groups = _groups(expressions)
    found = {expression: [np.empty(0, dtype=np.int64)] for expression in expressions}
    for start, end in _blocks(texts):
        tile_bytes = UTF8_BYTES * sum(map(len, texts[start:end]))
        execution.require(tile_bytes, "one block of texts")
        block = pa.array(texts[start:end], pa.large_string())

        def search(group: list[str], block: pa.Array = block) -> list[NDArray[np.int64]]:
            return _search(block, group)

        parts = map_tiles(search, groups, execution, tile_bytes=tile_bytes) if groups else ()
        for group, rows in zip(groups, parts, strict=True):
            for expression, mine in zip(group, rows, strict=True):
                found[expression].append(start + mine)
    return {expression: np.concatenate(mine) for expression, mine in found.items()}


def _blocks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Cut the texts after each BLOCK_CHARACTERS."""
    start, characters = 0, 0
    for place, text in enumerate(texts, 1):
        characters += len(text)
        if characters >= BLOCK_CHARACTERS:
            yield start, place
            start, characters = place, 0
    if start < len(texts):
        yield start, len(texts)


def _groups(expressions: Sequence[str]) -> list[list[str]]:
    """Put alike ones together, so that those with many states do not slow the others down."""
    alone = [[e] for e in expressions if _QUOTATION in e]
    many = [e for e in expressions if _QUOTATION not in e and _MANY_STATES.search(e)]
    few = [e for e in expressions if _QUOTATION not in e and not _MANY_STATES.search(e)]
    return alone + [kind[a:b] for kind in (many, few) for a, b in spans(len(kind), GROUPED)]


def _search(block: pa.Array, group: list[str]) -> list[NDArray[np.int64]]:
    """Rows of a block that match each expression of a group."""
    if len(group) == 1:
        return [_matching(block, group[0])]
    try:
        rows = _matching(block, "|".join(f"(?:{expression})" for expression in group))
    except pa.ArrowInvalid:  # together they are too large for RE2
        return [_matching(block, expression) for expression in group]
    some = block.take(pa.array(rows))
    return [rows[_matching(some, expression)] for expression in group]


def _matching(block: pa.Array, expression: str) -> NDArray[np.int64]:
    return np.flatnonzero(pc.match_substring_regex(block, expression).to_numpy(zero_copy_only=False))
