r"""Which runs of words and marks read as one term: an automaton, made of rules for one atom more.

- **Phrase**: words with nothing but blanks between, the first and the last no stop words (`state of the union`); in
  scripts without blanks overlapping pairs of characters.
- **Structural token**: atoms without blanks between, among them a mark of structure: a symbol (`=`, `$`, `<`), one of
  `* / \ & # @ % : { } [ ]`, or a full stop within a word (`os.path`). It holds a word that is no stop word, or no
  letter at all and no colon at the end. Marks of prose (`. ? !`) neither begin nor end it, a colon does not begin
  it, quotes stand in pairs, and no bracket or quote closes that was not opened in it (`{"type":`, `user:`, `*/5`).
- **Bare marks**: symbols, `-` and `!` alone, all or none of them with blanks between (`->`, `* * *`). An emoji is a
  term alone.

Commas, semicolons and round brackets stand in no term.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ATOMS_OF_A_TERM = 6
DEAD = -1
"""A run that is part of no term."""
STRUCTURE_MARKS = frozenset("*/\\&#@%:{}[]：")
SEPARATORS = frozenset(",;，；、،؛")

# what is known of an atom
CONTENT, LETTER, MARK, STRUCTURE, EMOJI, DOT, SEPARATES, OPENS, CLOSES, PROSE, COLON = (1 << i for i in range(11))
DOUBLE_QUOTE, SINGLE_QUOTE, BACKTICK = 1 << 11, 1 << 12, 1 << 13
QUOTES = DOUBLE_QUOTE | SINGLE_QUOTE | BACKTICK
_QUOTES = {'"': DOUBLE_QUOTE, "'": SINGLE_QUOTE, "`": BACKTICK}

# what is known of a run; its open quotes have the bits of the atoms
HAS_MARK, HAS_STRUCTURE, HAS_CONTENT, HAS_LETTER, HAS_WORD, HAS_BLANK, HAS_PROSE, LONGER = (1 << i for i in range(8))
FIRST_CONTENT, FIRST_EDGE = 1 << 8, 1 << 9
LAST_CONTENT, LAST_EDGE, LAST_SYMBOL, LAST_WORD, LAST_DOT, LAST_OPENED, EMOJI_ALONE = (1 << i for i in range(14, 21))
LAST = LAST_CONTENT | LAST_EDGE | LAST_SYMBOL | LAST_WORD | LAST_DOT | LAST_OPENED | EMOJI_ALONE
FLAWED = 1 << 21
"""It closes what was opened before it: it is no term and begins none, but a run that begins earlier can be one."""
ONE_OPEN = 1 << 22
"""The bits from here on count open brackets."""
_MOST_OPEN = 3 * ONE_OPEN
_NOT_BEGUN = -2


def word_bits(*, content: bool, letter: bool) -> int:
    """Return what is known of a word: whether it may begin and end a phrase, whether it has a letter."""
    return CONTENT * content | LETTER * letter


def mark_bits(mark: str) -> int:
    """Return what is known of a punctuation mark or symbol."""
    kind = unicodedata.category(mark)
    bits = MARK | _QUOTES.get(mark, 0)
    bits |= STRUCTURE * (kind[0] == "S" or mark in STRUCTURE_MARKS) | EMOJI * (kind == "So")
    separates = mark in SEPARATORS or (kind in ("Ps", "Pe") and mark not in STRUCTURE_MARKS)
    bits |= DOT * (mark == ".") | SEPARATES * separates | COLON * (mark in ":：")
    bits |= OPENS * (kind == "Ps") | CLOSES * (kind == "Pe")
    bare = bits & STRUCTURE and not bits & (QUOTES | OPENS | CLOSES)
    return bits | PROSE * (not bare and mark not in "-!")


def begin(atom: int) -> int:
    """Return the state of a run of one atom, or DEAD."""
    state = _with_mark(0, atom) if atom & MARK else _with_word(0, atom)
    if state == DEAD:
        return DEAD
    state |= FIRST_EDGE * bool(state & LAST_EDGE and not atom & COLON)
    state |= FIRST_CONTENT * bool(state & LAST_CONTENT)
    return state | EMOJI_ALONE * bool(atom & EMOJI)


def step(state: int, atom: int, *, blank: bool) -> int:
    """Return the state after one atom more, or DEAD."""
    if state & FLAWED:
        return FLAWED
    if not atom & MARK:
        if blank and state & HAS_MARK:
            return DEAD
        return _with_word(state | LONGER | HAS_BLANK * blank, atom)
    if blank:
        bare = state & LAST_SYMBOL and atom & STRUCTURE and not state & HAS_WORD
        if not bare or (state & LONGER and not state & HAS_BLANK):
            return DEAD
        return _with_mark(state | LONGER | HAS_BLANK, atom)
    return DEAD if state & HAS_BLANK else _with_mark(state | LONGER, atom)


def _with_word(state: int, atom: int) -> int:
    new = (state & ~LAST) | HAS_WORD | LAST_WORD | LAST_EDGE
    new |= (HAS_CONTENT | LAST_CONTENT) * bool(atom & CONTENT) | HAS_LETTER * bool(atom & LETTER)
    return new | HAS_STRUCTURE * bool(state & LAST_DOT)


def _with_mark(state: int, atom: int) -> int:
    if atom & SEPARATES:
        return DEAD
    if state & LAST_OPENED and atom & (OPENS | CLOSES | QUOTES | COLON):
        return FLAWED  # a quote opens before a word
    new = ((state & ~LAST) ^ (atom & QUOTES)) | HAS_MARK | HAS_PROSE * bool(atom & PROSE)
    if new & atom & QUOTES:
        if state & LAST_WORD:
            return FLAWED  # a quote after a word closes
        new |= LAST_OPENED
    if atom & CLOSES and state < ONE_OPEN:
        return FLAWED
    if atom & OPENS and state >= _MOST_OPEN:
        return DEAD  # keeps the states few; no term needs more
    new += ONE_OPEN * bool(atom & OPENS) - ONE_OPEN * bool(atom & CLOSES)
    new |= HAS_STRUCTURE * bool(atom & STRUCTURE) | LAST_EDGE * bool(atom & (STRUCTURE | QUOTES))
    new |= LAST_SYMBOL * bool(atom & STRUCTURE and not atom & COLON)
    return new | LAST_DOT * bool(atom & DOT and state & LAST_WORD)


NO_TERM, PHRASE, TOKEN = 0, 1, 2
"""A phrase of words between blanks; any other term, which stands for its parts where it is as frequent as they."""


def term_form(state: int) -> int:
    """Return what a run in this state is: NO_TERM, PHRASE or TOKEN."""
    if not _is_term(state):
        return NO_TERM
    return PHRASE if state & HAS_BLANK else TOKEN


def _is_term(state: int) -> bool:
    """Whether it is a term of several atoms, or an emoji."""
    if state == DEAD or state & FLAWED:
        return False
    if not state & LONGER:
        return bool(state & EMOJI_ALONE)
    if not state & HAS_MARK:
        return bool(state & FIRST_CONTENT and state & LAST_CONTENT)
    if not state & HAS_WORD:
        return bool(state & HAS_STRUCTURE) and not state & HAS_PROSE
    telling = state & HAS_CONTENT if state & HAS_LETTER else state & (LAST_WORD | LAST_SYMBOL)
    return bool(telling and state & HAS_STRUCTURE and state & FIRST_EDGE and state & LAST_EDGE and not state & QUOTES)


@dataclass(frozen=True, slots=True)
class Automaton:
    """The rules as tables.

    Attributes:
        kinds: what is known of an atom -> its kind.
        steps: [states, 2 kinds] int16, the next state after an atom, column 2 kind + 1 where a blank stands before
            it; DEAD where no term goes on. State 0 is that of a run not yet begun, state 1 that of a flawed one.
        forms: [states] int8, whether the run is a term, see `term_form`.
    """

    kinds: dict[int, int]
    steps: NDArray[np.int16]
    forms: NDArray[np.int8]


@cache
def automaton() -> Automaton:
    """Make the tables: some 1,500 states of runs that may still grow to MOST_ATOMS_OF_A_TERM atoms."""
    words = {0, LETTER, LETTER | CONTENT}
    kinds = sorted(words | {mark_bits(mark) for mark in "\"'`.,:-?()*{}§=" + "☺"})
    columns = [(atom, blank) for atom in kinds for blank in (False, True)]
    states = [_NOT_BEGUN, FLAWED]
    numbers = {state: number for number, state in enumerate(states)} | {DEAD: DEAD}
    steps: list[list[int]] = []
    while len(steps) < len(states):
        state = states[len(steps)]
        following = [begin(a) if state == _NOT_BEGUN else step(state, a, blank=b) for a, b in columns]
        for new in following:
            if new not in numbers:
                numbers[new] = len(states)
                states.append(new)
        steps.append([numbers[new] for new in following])
    forms = np.array([term_form(state) for state in states], dtype=np.int8)
    return Automaton({atom: kind for kind, atom in enumerate(kinds)}, np.array(steps, dtype=np.int16), forms)
