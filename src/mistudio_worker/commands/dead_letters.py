"""`mistudio-worker dead-letters`: look at what died, and send it again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import typer

from mistudio_worker import bootstrap, connections
from mistudio_worker.commands.exit_codes import ExitCode, code_of, say_error
from mistudio_worker.errors import JobNotFound, MistudioError, ServiceAway, WrongUsage
from mistudio_worker.worker.dead_letters import (
    REPLAY_OF,
    DeadLetter,
    Selection,
    is_replayed,
    mark_replayed,
    original_event,
    read_letter,
    without_texts,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mistudio_worker.settings import Settings
    from mistudio_worker.worker.ports import Message, Publisher

VALUE_CHARACTERS = 4000
_AGES_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_time(text: str | None, *, now: datetime | None = None) -> datetime | None:
    """Read a time: ISO 8601 (UTC where it names no zone), or an age such as `90m`, `2h`, `7d`.

    Raises:
        WrongUsage: `INVALID_TIME`.
    """
    if text is None:
        return None
    try:
        if text[-1:] in _AGES_S:
            return (now or datetime.now(UTC)) - timedelta(seconds=float(text[:-1]) * _AGES_S[text[-1]])
        time = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise WrongUsage(
            "INVALID_TIME", f"{text!r:.80} is no time", "write 2026-01-02T03:04:05, or an age: 90m, 2h, 7d"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def selection_of(
    *,
    codes: Sequence[str] | None = None,
    jobs: Sequence[str] | None = None,
    places: Sequence[str] | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Selection:
    """Read the options that say which letters are meant; without any, all are.

    Raises:
        WrongUsage: `INVALID_TIME`.
    """
    return Selection(
        frozenset(codes or ()), frozenset(jobs or ()), frozenset(places or ()), parse_time(since), parse_time(until)
    )


async def list_command(settings: Settings, selection: Selection, *, limit: int, as_json: bool) -> ExitCode:
    """Show the newest of the letters that are meant, oldest first."""
    letters = await _letters(settings, selection)
    async with connections.open_store(settings) as store:
        bucket = settings.store.results_bucket
        shown = [(letter, await is_replayed(store, bucket, letter)) for letter in letters[-limit:]]
    for letter, replayed in shown:
        if as_json:
            typer.echo(json.dumps({**_summary(letter), "replayed": replayed}, ensure_ascii=False))
        else:
            _say(letter, replayed=replayed)
    if not as_json:
        typer.echo(f"{len(letters)} dead letters" + (f", the newest {limit} shown" if len(letters) > limit else ""))
    return ExitCode.DONE


async def show_command(settings: Settings, place: str) -> ExitCode:
    """Show one letter whole: why, where from, its headers and the start of its event.

    Raises:
        JobNotFound: `DEAD_LETTER_NOT_FOUND`.
    """
    letters = await _letters(settings, Selection(places=frozenset([place])))
    if not letters:
        raise JobNotFound(
            "DEAD_LETTER_NOT_FOUND",
            f"{settings.kafka.dead_letter_topic} holds no record {place}",
            "name it as PARTITION:OFFSET, as `mistudio-worker dead-letters list` does",
        )
    [letter] = letters
    for name, content in {**_summary(letter), "message": letter.message, "hint": letter.hint}.items():
        typer.echo(f"{name:9} {content}")
    typer.echo("headers")
    for name, raw in letter.record.headers:
        typer.echo(f"  {name}: {_printable(raw)}")
    typer.echo(f"value     {_printable(letter.record.value or b'')}")
    return ExitCode.DONE


async def replay_command(settings: Settings, selection: Selection, *, dry_run: bool, again: bool) -> ExitCode:
    """Send the events that are meant to their own topic again, oldest first; those sent already only with `again`."""
    letters = await _letters(settings, selection)
    bucket, verb = settings.store.results_bucket, "would send" if dry_run else "sent"
    sent, worst = 0, ExitCode.DONE
    async with connections.open_store(settings) as store, connections.open_publisher(settings) as publisher:
        for letter in letters:
            name = f"{letter.place} {letter.code} {letter.job or ''}".rstrip()
            if not again and await is_replayed(store, bucket, letter):
                typer.echo(f"skipped, sent before: {name}")
                continue
            try:
                message = await original_event(store, bucket, letter)
                if not dry_run:
                    await _send(publisher, message)
                    await mark_replayed(store, bucket, letter)
            except ServiceAway:
                raise
            except MistudioError as error:  # one that cannot be sent keeps no other back
                say_error(error.code, error.message, error.hint)
                worst = max(worst, code_of(error))
                continue
            sent += 1
            typer.echo(f"{verb} {name}")
    typer.echo(f"{verb} {sent} of {len(letters)}")
    return worst


async def _send(publisher: Publisher, message: Message) -> None:
    try:
        await publisher.publish(message)
    except MistudioError as error:
        if error.code != "MESSAGE_TOO_LARGE":
            raise
        await publisher.publish(without_texts(message))


async def _letters(settings: Settings, selection: Selection) -> list[DeadLetter]:
    """All letters that are meant, by the time of their death."""
    log = bootstrap.kafka_log(settings, settings.kafka.dead_letter_topic)
    found = [letter async for record in log.records() if selection.has(letter := read_letter(record))]
    return sorted(found, key=lambda letter: (letter.died_at, letter.record.partition, letter.record.offset))


def _summary(letter: DeadLetter) -> dict[str, str | int]:
    replays = sum(name == REPLAY_OF for name, _ in letter.record.headers)
    return {
        "place": letter.place,
        "died_at": letter.died_at.isoformat(timespec="seconds"),
        "code": letter.code,
        "earlier": ", ".join(letter.codes[:-1]),
        "job": letter.job or "",
        "attempt": letter.attempt,
        "origin": letter.origin,
        "replays": replays,
    }


def _say(letter: DeadLetter, *, replayed: bool) -> None:
    """Two lines a letter: what it is, and why it died."""
    died, job = f"{letter.died_at:%Y-%m-%d %H:%M:%S}", letter.job or "-"
    typer.echo(f"{letter.place:8} {died}  {letter.code:22} {job}{'  (sent again)' if replayed else ''}")
    typer.echo(f"{'':8} {_printable(letter.message.encode())}")


def _printable(raw: bytes) -> str:
    """Bytes as a person can read them; nothing in them reaches the terminal as a command."""
    text = raw.decode("utf-8", "replace")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:VALUE_CHARACTERS])
    return shown + (f"… ({len(raw)} bytes)" if len(text) > VALUE_CHARACTERS else "")
