"""The quick look at a JSON object agrees with a whole parse, and is bounded whatever the text holds."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mistudio_worker.artifacts.metadata_scan import MAX_STEPS, top_level

NAMES = ("ready", "time")
LARGE = 4 << 20
KEYS = st.sampled_from([*NAMES, "other", "re\\ady", 'ti"me', "\u0394"]) | st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80) | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def expected(content: dict[str, object]) -> dict[str, object]:
    """What a whole parse tells of the fields: containers as they are documented."""
    found = {name: content[name] for name in NAMES if name in content}
    return {
        name: (True if value else None) if isinstance(value, list | dict) else value for name, value in found.items()
    }


@settings(max_examples=300, deadline=None)
@given(
    content=st.dictionaries(KEYS, VALUES, max_size=6),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 0, 2]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"]),
)
def test_it_agrees_with_a_whole_parse(
    content: dict[str, object],
    ascii_only: bool,  # noqa: FBT001 - drawn by hypothesis
    indent: int | None,
    encoding: str,
) -> None:
    """Whatever stands beside or within the fields, however it is written, they are found as a parser finds them."""
    written = json.dumps(content, ensure_ascii=ascii_only, indent=indent).encode(encoding, "surrogatepass")
    assert json.dumps(top_level(written, NAMES), sort_keys=True) == json.dumps(expected(content), sort_keys=True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"ready": 1, "ready": 2}', {"ready": 2}),
        (b'{"a": {"ready": 1}, "b": ["ready", {"ready": 2}]}', {}),
        (b'{"\\u0072eady": false}', {"ready": False}),
        (b'{"a": "\\"ready\\": 1", "ready": "}"}', {"ready": "}"}),
        (b'{"time": "' + b"x" * 600 + b'"}', {"time": True}),
        (b'{"ready": 1', None),
        (b'{"ready": 1} x', None),
        (b'{"ready": "', None),
        (b'{"a": "\\', None),
        (b"[1]", None),
        (b"", None),
        (b'{"ready": "\xff"}', None),
    ],
)
def test_texts_made_by_hand(text: bytes, found: dict[str, object] | None) -> None:
    """The last of two wins, what is nested is not meant, what breaks off says nothing."""
    assert top_level(text, NAMES) == found


@pytest.mark.parametrize(
    "text",
    [
        b"[" * LARGE,
        b'{"a":' + b"[" * LARGE,
        b'{"a":[' + b"[]," * (LARGE // 3) + b"0]}",
        b"{" + b'"k":1,' * (LARGE // 6) + b'"z":1}',
        b'{"a":"' + b"\\n" * (LARGE // 2) + b'"}',
        b'{"a":"' + b"\\" * LARGE,
        b"{" + b" " * LARGE,
        b'{"a":"' + b"x" * LARGE,
        b'{"ready":' + b"1" * LARGE + b"}",
        b'{"ready":' + b" " * LARGE + b"1}",
    ],
    ids=["lists", "in one", "small lists", "keys", "escapes", "backslashes", "blanks", "string", "digits", "far"],
)
def test_large_texts_take_bounded_time(text: bytes) -> None:
    """Steps are counted: what needs more says nothing. A generous limit: a quiet machine takes a fifth of a second."""
    begun_s = time.perf_counter()
    assert top_level(text, ("time",)) in (None, {})
    assert time.perf_counter() - begun_s < 10
    assert MAX_STEPS < LARGE
