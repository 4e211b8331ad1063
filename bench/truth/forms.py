"""What a generated text can look like: prose in five scripts, and structures whose words come from any topic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.truth.vocabulary import Topic, Vocabulary

UNITS = ("s", "sec", "min", "h", "hours", "minutes", "days", "weeks")
DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
OWN_WORDS, INVENTED_WORDS = 8, 40
"""Distinct words of the topic, and invented ones, that a text draws from."""
UNSPACED_SCRIPTS = ("han", "thai")


class Writer:
    """Writes texts about a topic; every choice comes from one generator."""

    def __init__(self, vocabulary: Vocabulary, random: np.random.Generator) -> None:
        self._vocabulary = vocabulary
        self._random = random
        self._commonness = 1.0 / (np.arange(len(vocabulary.invented)) + 20.0)
        self._commonness /= self._commonness.sum()

    def pick(self, choices: Sequence[str]) -> str:
        """Return one of the choices."""
        return choices[int(self._random.integers(len(choices)))]

    def number(self, low: int, high: int) -> int:
        """Return a whole number, low <= number < high."""
        return int(self._random.integers(low, high))

    def invented(self) -> str:
        """Return an invented word, some far more often than others."""
        return self._vocabulary.invented[int(self._random.choice(len(self._commonness), p=self._commonness))]

    def word(self, topic: Topic) -> str:
        """Return a content word: of the topic, or an invented one."""
        return self.pick(topic.words) if self._random.random() < 0.6 else self.invented()

    def prose(self, topic: Topic, words: int) -> str:
        """Return sentences of about `words` words in the topic's script; a fifth of the words are the topic's own.

        A text repeats its words, as texts do: it has but a few of the topic's and of the invented ones.
        """
        glue = self._vocabulary.glue[topic.script]
        own = self._random.choice(topic.words, size=OWN_WORDS, replace=False).tolist()
        invented = [self.invented() for _ in range(min(words, INVENTED_WORDS))]
        kinds = self._random.random(words)
        invent = 0.25 if topic.script == "latin" else 0.0
        chosen = [
            self.pick(own) if kind < 0.2 else self.pick(invented) if kind < 0.2 + invent else self.pick(glue)
            for kind in kinds
        ]
        return self._sentences(chosen, topic.script)

    def _sentences(self, words: list[str], script: str) -> str:
        blank = "" if script in UNSPACED_SCRIPTS else " "
        stop = {"han": "。", "thai": " "}.get(script, ". ")
        parts = []
        while words:
            length = self.number(4, 16)
            sentence, words = words[:length], words[length:]
            parts.append(blank.join([sentence[0].capitalize(), *sentence[1:]]))
        return stop.join(parts) + stop.rstrip()

    def json_object(self, topic: Topic, items: int) -> str:
        """Return a JSON object of about `items` keys."""
        entries: dict[str, object] = {"type": self.pick(("object", "string", "array", "integer"))}
        for _ in range(items):
            value: object = self.number(0, 5_000) if self._random.random() < 0.4 else self.word(topic)
            entries[self.word(topic)] = value if self._random.random() < 0.8 else {"type": "string", "name": value}
        return json.dumps(entries)

    def cron_lines(self, topic: Topic, items: int) -> str:
        """Return crontab lines."""
        return " ".join(
            f"{self.pick(('*/5', '*/15', '0', str(self.number(1, 60))))} {self.pick(('*', str(self.number(0, 24))))} "
            f"{self.pick(('*', '1', '15'))} * {self.pick(('*', *DAYS))} {self.word(topic)}"
            for _ in range(max(1, items // 3))
        )

    def intervals(self, topic: Topic, items: int) -> str:
        """Return times and intervals among words."""
        makers: tuple[Callable[[], str], ...] = (
            lambda: f"every {self.number(2, 60)} {self.pick(UNITS[3:])}",
            lambda: f"{self.number(1, 90)}{self.pick(('min', 's', 'h', 'ms'))}",
            lambda: f"{self.number(0, 24):02d}:{self.pick(('00', '15', '30', '45'))}",
        )
        return " ".join(
            f"{self.word(topic)} {makers[self.number(0, 3)]()}{self.pick((',', ';', ''))}" for _ in range(items)
        )

    def urls(self, topic: Topic, items: int) -> str:
        """Return addresses with paths, and few words."""
        return " ".join(
            f"{self.invented()} https://{self.invented()}.example/{self.word(topic)}/{self.number(1, 999)}"
            for _ in range(max(1, items // 2))
        )

    def number_table(self, topic: Topic, items: int) -> str:
        """Return rows of a name and figures."""
        return " ".join(
            f"{self.word(topic)} | " + " | ".join(f"{self._random.random() * 1000:.2f}" for _ in range(3))
            for _ in range(max(1, items // 2))
        )

    def chat(self, topic: Topic, items: int) -> str:
        """Return turns of two speakers."""
        ask, answer = self.pick(("User Assistant", "Human AI")).split()
        return " ".join(
            f"{ask}: {self.prose(topic, self.number(3, 9))[:-1]}? {answer}: {self.prose(topic, self.number(3, 9))}"
            for _ in range(max(1, items // 4))
        )

    def code(self, topic: Topic, items: int) -> str:
        """Return functions in Python."""
        return " ".join(
            f"def {self.invented()}_{self.word(topic)}({self.invented()}, {self.invented()}): "
            f"return {self.invented()}.{self.word(topic)}({self.number(0, 99)})"
            for _ in range(max(1, items // 3))
        )
