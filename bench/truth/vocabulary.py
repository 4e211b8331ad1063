"""The words of the generated corpus."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ONSETS = (
    "b",
    "c",
    "d",
    "f",
    "g",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "w",
    "z",
    "br",
    "dr",
    "gr",
    "pl",
    "st",
)
RIMES = ("a", "e", "i", "o", "u", "an", "en", "in", "on", "ar", "er", "or", "al", "el", "il", "am", "em", "as", "is")
INVENTED = 2_400


@dataclass(frozen=True)
class Topic:
    """What a text can be about: its script and its words."""

    name: str
    script: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """Topics, the glue words of each script, and invented words that belong to no topic."""

    topics: tuple[Topic, ...]
    glue: dict[str, tuple[str, ...]]
    invented: tuple[str, ...]

    def topics_in(self, script: str) -> tuple[Topic, ...]:
        """Return the topics written in a script."""
        return tuple(topic for topic in self.topics if topic.script == script)


def read_vocabulary(random: np.random.Generator) -> Vocabulary:
    """Read the words that stand in the file beside this module, and invent the others."""
    content = tomllib.loads(Path(__file__).with_name("vocabulary.toml").read_text(encoding="utf-8"))
    topics = tuple(
        Topic(name, topic["script"], tuple(topic["words"].split())) for name, topic in content["topics"].items()
    )
    glue = {script: tuple(words.split()) for script, words in content["glue"].items()}
    return Vocabulary(topics, glue, invent_words(random, INVENTED))


def invent_words(random: np.random.Generator, count: int) -> tuple[str, ...]:
    """Return distinct pronounceable words of two to four syllables."""
    words: dict[str, None] = {}
    while len(words) < count:
        syllables = int(random.integers(2, 5))
        words["".join(f"{random.choice(ONSETS)}{random.choice(RIMES)}" for _ in range(syllables))] = None
    return tuple(words)
