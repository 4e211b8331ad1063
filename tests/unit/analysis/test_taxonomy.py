from __future__ import annotations

import hashlib

import pytest

from mistudio_worker.analysis.taxonomy import Taxonomy, default_taxonomy
from mistudio_worker.errors import RefusedInput

HEAD = 'version = "1"\n[categories.technical]\n'
NAMED = {
    "category": "technical conversational behavioral temporal factual reasoning emotional linguistic domain_specific",
    "tag": "json_schema api code time_interval scheduling chat_roles personality licence_text poetry definition"
    " question list url_path number_table",
    "indicator": "capability_assessment tool_recommendation polite_refusal information_provision uncertainty_expression"
    " confidence_expression",
}


def test_default_taxonomy_names_what_the_design_names() -> None:
    """The package's file loads and holds all categories, tags and indicators."""
    names = {kind: {x.name for x in default_taxonomy().labels if x.kind == kind} for kind in NAMED}
    assert names["category"] == set(NAMED["category"].split())
    assert names["indicator"] == set(NAMED["indicator"].split())
    assert set(NAMED["tag"].split()) <= names["tag"]


def test_words_are_folded_and_kept_once() -> None:
    """Case and white space of an entry do not matter, and the hash is of the bytes."""
    data = (HEAD + 'words = ["API", "api", "Return  Value"]').encode()
    taxonomy = Taxonomy.load(data)
    assert taxonomy.labels[0].words == ("api", "return value")
    assert taxonomy.labels[0].at_least == 1
    assert taxonomy.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("version = ", "not TOML"),
        ('[categories.a]\nwords = ["x"]', "version"),
        ('version = "1"', "no category"),
        ('version = "1"\ncategories = 3', "categories"),
        ('version = "1"\n[colours.red]\nwords = ["x"]', "colours"),
        (HEAD, "technical"),
        (HEAD + 'words = "api"', "categories.technical.words"),
        (HEAD + 'words = ["api", "?!"]', "entry 2"),
        (HEAD + 'words = ["api"]\nat_least = 0', "at_least"),
        (HEAD + 'words = ["api"]\nat_least = true', "at_least"),
        (HEAD + 'words = ["api"]\nweight = 2', "weight"),
        (HEAD + "[categories.technical.patterns]\nbrace = '(('", "technical.patterns.brace"),
        (HEAD + "[categories.technical.patterns]\nback = '(a)\\1'", "technical.patterns.back"),
        (HEAD + "[categories.technical.patterns]\nall = '.*'", "empty text"),
        (HEAD + "[categories.technical.patterns]\nall = 3", "technical.patterns.all"),
        ('version = "1"\n[categories.unknown]\nwords = ["x"]', "unknown"),
        (HEAD + "parts = 3", "technical.parts"),
        (HEAD + "[categories.technical.parts]", "parts is empty"),
        (HEAD + 'words = ["x"]\n[categories.technical.parts.a]\nwords = ["y"]', "both parts and words"),
        (HEAD + "[categories.technical.parts.a]", "technical.parts.a"),
        (HEAD + "#" * (1 << 20), "bytes"),
    ],
)
def test_faults_are_named(text: str, named: str) -> None:
    """Each fault of a file is refused with its place."""
    with pytest.raises(RefusedInput, match=named) as caught:
        Taxonomy.load(text.encode())
    assert caught.value.code == "INVALID_TAXONOMY"
    assert caught.value.hint
