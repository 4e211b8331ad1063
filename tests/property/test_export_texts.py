from __future__ import annotations

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from support.results import feature, result

from mistudio_worker.exports.csv_export import write_csv
from mistudio_worker.exports.json_export import write_json
from mistudio_worker.exports.plain import number_text
from mistudio_worker.exports.printable import clip, columns_of, wrap
from mistudio_worker.exports.xml_export import write_xml

texts = st.text(st.characters(codec="utf-8"), max_size=60)


@given(st.lists(texts, min_size=1, max_size=3))
def test_json_loses_nothing(values: list[str]) -> None:
    """Any text comes back from the JSON as it was."""
    stream = io.BytesIO()
    write_json(result(feature(0, tuple(values))), stream)
    assert [t["text"] for t in json.loads(stream.getvalue())["features"][0]["top_activations"]] == values


@given(texts)
def test_xml_is_well_formed_and_reversible(value: str) -> None:
    """Any text gives XML that parses, and comes back with the help of `replaced`."""
    stream = io.BytesIO()
    write_xml(result(feature(0, (value,))), stream)
    element = etree.fromstring(stream.getvalue()).find(".//activation/text")
    assert element is not None
    characters = list(element.text or "")
    for entry in (element.get("replaced") or "").split():
        offset, code = entry.split(":")
        characters[int(offset)] = chr(int(code, 16))
    assert "".join(characters) == value


@given(texts)
def test_csv_cells_are_inert_and_reversible(value: str) -> None:
    """Any text gives one cell that starts no formula, and but for NUL comes back."""
    stream = io.BytesIO()
    write_csv(result(feature(0, (value,))), stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue().decode(), newline="")))
    cell = rows[0]["top_text_1"]
    assert len(rows) == 1
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert value.replace("\0", "\ufffd") in {cell, cell[1:]}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back(value: float) -> None:
    """Any finite number comes back from its text."""
    assert float(number_text(value)) == value


@given(texts, st.integers(4, 40))
def test_clip_keeps_within_its_width(value: str, columns: int) -> None:
    """No text breaks the layout, nor ends the line."""
    assert columns_of(clip(value, columns)) <= columns
    assert len(clip(value, columns).splitlines()) <= 1
    assert all(columns_of(line) <= 100 for line in wrap(value * 10))
