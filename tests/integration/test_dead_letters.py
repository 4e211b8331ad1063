"""`mistudio-worker dead-letters`, from an event that died to the result that it asked for."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest
from support.command_line import CommandLine
from support.runs import write_run
from support.workers import binary_event

from mistudio_worker.settings_services import KafkaSettings
from mistudio_worker.worker.announcements import POINTER_CONTENT_TYPE

if TYPE_CHECKING:
    from pathlib import Path

    from support.workers import Place, Seen


ROOM_BYTES = 500
"""Less than a dead letter adds to an event, and more than a replay without its texts does."""


@pytest.fixture
def command(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line of a user of the shared worker."""
    return CommandLine(monkeypatch, capsys, place.environment)


@pytest.fixture
def letter(place: Place) -> Seen:
    """The dead letter of a run whose files are not there."""
    return place.wait_for_letter(place.announce(f"train_{uuid.uuid4().hex[:12]}"))


def job_of(letter: Seen) -> str:
    """The training job that a letter is about."""
    return str(json.loads(letter.value or b"")["job_id"])


def note_bytes(job: str) -> int:
    """How long a note makes the event nearly as large as a topic takes."""
    value, headers = binary_event({"job_id": job, "note": ""})
    taken = len(job) + len(value) + sum(len(name) + len(content) for name, content in headers)
    return KafkaSettings().max_message_bytes - ROOM_BYTES - taken


@pytest.mark.usefixtures("worker")
class TestDeadLetters:
    def test_list_and_show(self, command: CommandLine, letter: Seen) -> None:
        """A letter is found by code, job and age, and shown with its reason, remedy, headers and event."""
        job = job_of(letter)
        said = command("dead-letters", "list", "--code", "ARTIFACT_MISSING", "--job", job, "--since", "1h", "--json")
        [line] = said.out.splitlines()
        listed = json.loads(line)
        assert (listed["code"], listed["job"], listed["replayed"]) == ("ARTIFACT_MISSING", job, False)
        assert command("dead-letters", "list", "--job", job, "--code", "OTHER", "--json").out == ""
        assert command("dead-letters", "list", "--job", job, "--until", "1h", "--json").out == ""
        assert job in command("dead-letters", "list", "--job", job).out
        shown = command("dead-letters", "show", listed["place"]).out
        for words in ("ARTIFACT_MISSING", "upload the trainer's files", "original-topic", f'"job_id": "{job}"'):
            assert words in shown

    def test_a_replay_comes_to_its_result(
        self, command: CommandLine, place: Place, letter: Seen, tmp_path: Path
    ) -> None:
        """When its files are there, the event that died is sent again, once, and the job is done."""
        write_run(tmp_path / "run", n_texts=40)
        job = place.put_run(tmp_path / "run", job=job_of(letter))
        said = command("dead-letters", "replay", "--job", job, "--dry-run")
        assert said.out.splitlines()[-1] == "would send 1 of 1"
        said = command("dead-letters", "replay", "--job", job)
        assert (said.code, said.out.splitlines()[-1]) == (0, "sent 1 of 1")
        place.wait_for_records(place.topics.find_complete, job)
        said = command("dead-letters", "replay", "--job", job)
        assert said.out.splitlines()[0].startswith("skipped, sent before: ")
        assert said.out.splitlines()[-1] == "sent 0 of 1"
        assert '"replayed": true' in command("dead-letters", "list", "--job", job, "--json").out

    def test_a_second_death_keeps_its_history(self, command: CommandLine, place: Place, letter: Seen) -> None:
        """A replay that dies again tells both deaths, and where it was sent from."""
        job = job_of(letter)
        assert command("dead-letters", "replay", "--job", job).code == 0
        place.wait_for_records(place.topics.dead_letter, job, count=2)
        lines = command("dead-letters", "list", "--job", job, "--json").out.splitlines()
        first, second = map(json.loads, lines)
        assert (first["earlier"], second["earlier"]) == ("", "ARTIFACT_MISSING")
        assert (first["replays"], second["replays"]) == (0, 1)

    def test_an_event_too_large_for_the_topic(self, command: CommandLine, place: Place, tmp_path: Path) -> None:
        """It goes to the store whole and leaves a pointer, which is listed, shown and replayed like any other."""
        job = f"train_{uuid.uuid4().hex[:12]}"
        note = "x" * note_bytes(job)
        letter = place.wait_for_letter(place.announce(job, note=note))
        key = letter.data["key"]
        assert letter.header("content-type") == POINTER_CONTENT_TYPE
        assert json.loads(place.get(key)) == {"job_id": job, "note": note}
        [line] = command("dead-letters", "list", "--job", job, "--json").out.splitlines()
        assert json.loads(line)["code"] == "ARTIFACT_MISSING"
        assert key in command("dead-letters", "show", json.loads(line)["place"]).out
        write_run(tmp_path / "run", n_texts=40)
        place.put_run(tmp_path / "run", job=job)
        assert command("dead-letters", "replay", "--job", job, "--dry-run").out.splitlines()[-1] == "would send 1 of 1"
        assert place.records(place.topics.find_complete, job) == []
        assert command("dead-letters", "replay", "--job", job).out.splitlines()[-1] == "sent 1 of 1"
        place.wait_for_records(place.topics.find_complete, job)

    def test_what_makes_no_sense(self, command: CommandLine) -> None:
        """A replay of everything must be asked for by name; places and times that are none are said to be."""
        assert command("dead-letters", "replay").code == 2
        assert command("dead-letters", "list", "--since", "soon").code == 2
        said = command("dead-letters", "show", "0:999999")
        assert (said.code, "DEAD_LETTER_NOT_FOUND" in said.err) == (6, True)
