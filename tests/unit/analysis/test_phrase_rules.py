from __future__ import annotations

import numpy as np
import pytest

from mistudio_worker.analysis.candidate_words import candidate_words
from mistudio_worker.analysis.phrase_rules import DEAD, FLAWED, MOST_ATOMS_OF_A_TERM, automaton, begin, step, term_form
from mistudio_worker.analysis.phrases import count_terms, kinds_of_atoms, phrase_text
from mistudio_worker.analysis.terms import build_term_table


def terms_of(text: str) -> list[str]:
    """All terms of several atoms in a text, by the rules themselves."""
    table = build_term_table([text])
    atoms, kinds = table.atoms.tolist(), kinds_of_atoms(table, candidate_words(table)).tolist()
    meaning = {kind: bits for bits, kind in automaton().kinds.items()}
    found = []
    for place in range(len(atoms)):
        state = DEAD
        for at in range(place, min(len(atoms), place + MOST_ATOMS_OF_A_TERM)):
            if atoms[at] < 0:
                break
            bits = meaning[kinds[atoms[at] >> 1]]
            state = begin(bits) if at == place else step(state, bits, blank=bool(atoms[at] & 1))
            if state in (DEAD, FLAWED):
                break
            if term_form(state):
                found.append(phrase_text(table, place, at - place + 1))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the state of the union", ["state of the union"]),
        ("of the", []),
        ("the state, of union", []),
        ("granted free of charge", ["granted free", "granted free of charge", "free of charge"]),
        ('{"type": 1', ['{"type"', '{"type":', '"type":']),
        ('"type"', []),
        ('a type": {"b', []),
        ("User: hi", ["user:"]),
        ("it: is", []),
        ("*/5", ["*/", "*/5", "/5"]),
        ("1 * * * x", ["* *", "* * *", "* *"]),
        ("* */ *", ["* *", "*/", "/ *"]),
        ("a -> b", ["->"]),
        ("-- ... ?! (", []),
        ("so (we think) it ends.", []),
        ("'quoted' and “typed”", []),
        ("os.path is. Here", ["os.path"]),
        ("06:30", ["06:30"]),
        ("${name} }", ["${name", "${name}", "{name", "{name}"]),
        ("`foo`", ["`foo`"]),
        ("x,y;z", []),
        ("os.path(x", ["os.path"]),
        ("😂", ["😂"]),
        ("日本語", ["日本語"]),
        ("日本。本語", []),
        ("x" * 70 + ":y", []),
    ],
)
def test_what_is_a_term(text: str, expected: list[str]) -> None:
    """Phrases begin and end with words that mean something, structural tokens are whole and balanced."""
    assert terms_of(text) == expected


def test_the_tables_say_what_the_rules_say() -> None:
    """Every kind of atom has a column, every state leads to a state, and the compiled pass counts the same."""
    rules = automaton()
    assert rules.steps.shape == (rules.forms.size, 2 * len(rules.kinds))
    assert rules.steps.min() == DEAD
    assert rules.steps.max() == rules.forms.size - 1
    assert set(rules.steps[1].tolist()) == {1}
    text = 'the state of the union: {"type": "x y"} */5 😂 os.path 日本語 and so on, ends.'
    table = build_term_table([text, text])
    assert count_terms(table, kinds_of_atoms(table, candidate_words(table))) == 2 * len(terms_of(text))


def test_every_mark_has_a_kind() -> None:
    """No punctuation mark or symbol of Unicode is unknown to the automaton."""
    text = " ".join(map(chr, np.setdiff1d(np.arange(0x21, 0x1FFFF), np.arange(0xD800, 0xE000)).tolist()))
    table = build_term_table([text])
    assert kinds_of_atoms(table, candidate_words(table)).size == len(table.terms) + len(table.marks)
