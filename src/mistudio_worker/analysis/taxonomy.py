r"""What texts can be about, as data: a versioned TOML file that a user may replace.

Keys of a label, for example `[categories.technical]`, `[tags.code]`, `[indicators.polite_refusal]`:
`words = ["api", "return value"]`, whole words and phrases, never parts of words;
`at_least = 2`, distinct words or phrases that a text must hold, 1 where left out;
and in a table of its own, `[categories.technical.patterns]`, structure of which one match is enough:
`json_object = '\{"\w+":'`, an RE2 expression, which takes linear time, whatever it says.
At the top of the file: `version = "1.0.0"`.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from mistudio_worker.errors import RefusedInput

if TYPE_CHECKING:
    from collections.abc import Mapping

LabelKind = Literal["category", "tag", "indicator"]
_LISTS: Mapping[str, LabelKind] = {"categories": "category", "tags": "tag", "indicators": "indicator"}
UNKNOWN = "unknown"
MOST_BYTES = 1 << 20
MOST_PATTERN_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Label:
    """A category, tag or indicator, and what speaks for it.

    Attributes:
        name: as published; the parts of a category share it.
        kind: which list it stands in.
        at_least: distinct words or phrases that a short text must hold, >= 1.
        words: case-folded words and phrases (with single blanks), in the file's order.
        patterns: (name, RE2 expression); one match is enough.
    """

    name: str
    kind: LabelKind
    at_least: int
    words: tuple[str, ...]
    patterns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """All labels, in the file's order: categories, tags, indicators.

    Attributes:
        version: as the file says.
        sha256: of the file's bytes, hex; part of a job's identity.
        labels: at least one category.
    """

    version: str
    sha256: str
    labels: tuple[Label, ...]

    @staticmethod
    def load(data: bytes) -> Taxonomy:
        """Read and check a taxonomy file.

        Raises:
            RefusedInput: `INVALID_TAXONOMY`, naming the entry, what was found and what was expected.
        """
        if len(data) > MOST_BYTES:
            _refuse(f"the taxonomy has {len(data)} bytes, expected at most {MOST_BYTES}", "leave out entries")
        try:
            root = tomllib.loads(data.decode("utf-8"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            _refuse(f"the taxonomy is not TOML in UTF-8: {error}", "correct the file at the place named")
        version = root.pop("version", None)
        if not isinstance(version, str) or not version:
            _refuse(f"version is {version!r}, expected a string that is not empty", 'add version = "1.0.0" at the top')
        if unknown := sorted(set(root) - set(_LISTS)):
            _refuse(f"unknown table {unknown[0]!r}", f"expected only version and {', '.join(_LISTS)}")
        entries = ((t, n, e) for t in _LISTS for n, e in _table(root.get(t, {}), t).items())
        labels = tuple(label for table, name, entry in entries for label in _labels(table, name, entry))
        if not any(label.kind == "category" for label in labels):
            _refuse("there is no category", "add at least one [categories.NAME]")
        return Taxonomy(version, hashlib.sha256(data).hexdigest(), labels)


def default_taxonomy() -> Taxonomy:
    """The taxonomy of the package."""
    return Taxonomy.load((files("mistudio_worker.analysis") / "data" / "taxonomy.toml").read_bytes())


def _refuse(message: str, hint: str) -> NoReturn:
    raise RefusedInput("INVALID_TAXONOMY", message, hint)


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(f"{where} is {type(value).__name__}, expected a table", f"write it as [{where}]")
    return value


def _labels(table: str, name: str, entry: Any) -> list[Label]:
    """Read an entry: one label, or one for each of its parts, all under the entry's name."""
    where = f"{table}.{name}"
    fields = _table(entry, where)
    if name == UNKNOWN:
        _refuse(f"{where} is what remains when nothing stands out", "choose another name")
    if "parts" not in fields:
        return [_label(table, name, fields, where)]
    if others := sorted(set(fields) - {"parts"}):
        _refuse(f"{where} has both parts and {others[0]}", f"move {others[0]} into a part")
    parts = _table(fields["parts"], f"{where}.parts")
    if not parts:
        _refuse(f"{where}.parts is empty", f"add at least one [{where}.parts.NAME]")
    return [_label(table, name, _table(part, at), at) for key, part in parts.items() for at in [f"{where}.parts.{key}"]]


def _label(table: str, name: str, fields: dict[str, Any], where: str) -> Label:
    if unknown := sorted(set(fields) - {"at_least", "words", "patterns"}):
        _refuse(f"{where} has an unknown key {unknown[0]!r}", "expected at_least, words and patterns, or parts")
    at_least = fields.get("at_least", 1)
    if type(at_least) is not int or at_least < 1:
        _refuse(f"{where}.at_least is {at_least!r}, expected a whole number from 1", "leave it out for 1")
    words = _words(fields.get("words", []), where)
    patterns = _table(fields.get("patterns", {}), f"{where}.patterns")
    checked = tuple((key, _pattern(value, f"{where}.patterns.{key}")) for key, value in patterns.items())
    if not words and not checked:
        _refuse(f"{where} has neither words nor patterns", "add some, or leave the label out")
    return Label(name, _LISTS[table], at_least, words, checked)


def _words(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        _refuse(f"{where}.words is {type(value).__name__}, expected a list of strings", 'write ["word", "two words"]')
    for place, word in enumerate(value, 1):
        if not isinstance(word, str) or not any(map(str.isalnum, word)):
            _refuse(f"{where}.words, entry {place}: {word!r} is not a word", "expected a string with letters or digits")
    return tuple(dict.fromkeys(" ".join(word.casefold().split()) for word in value))


def _pattern(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value or len(value) > MOST_PATTERN_CHARACTERS:
        found = f"{len(value)} characters" if isinstance(value, str) else repr(value)
        _refuse(f"{where}: {found}, expected a string of 1 to {MOST_PATTERN_CHARACTERS} characters", "shorten it")
    try:
        empty = pc.match_substring_regex(pa.array([""]), value)[0].as_py()
    except pa.ArrowInvalid as error:
        reason = str(error).splitlines()[0]
        _refuse(f"{where}: {value!r} is not an RE2 expression: {reason}", "RE2 knows no look-around or back-references")
    if empty:
        _refuse(f"{where}: {value!r} matches an empty text", "make it match something")
    return value
