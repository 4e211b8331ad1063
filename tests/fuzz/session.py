"""One round of the fuzzer, in a process of its own: what it does to that process is seen from outside."""

from __future__ import annotations

import multiprocessing
import re
import resource
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from hypothesis.strategies import SearchStrategy

MORE_BYTES = 1 << 30
"""What a round may allocate beside what the process holds at its start."""
HANGS_AFTER_S = 300.0


@dataclass(frozen=True)
class Round:
    """What is fuzzed, with which seed, how often."""

    target: str
    seed: int
    examples: int


@dataclass(frozen=True)
class Played:
    """What came of a round: how often each outcome, and what was found, with the input."""

    outcomes: Counter[str] = field(default_factory=Counter)
    finding: str | None = None
    content: bytes = b""


def play(asked: Round, current: Path) -> Played:
    """Play a round; a process that dies or hangs is a finding like any other.

    Args:
        asked: the round.
        current: where the input under test is kept.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_play_here, args=(asked, current, theirs), daemon=True)
    process.start()
    theirs.close()
    played = _answer(ours)
    process.kill() if played is None else process.join()
    process.join()
    if played is None:
        return Played(finding=f"the process ended with {process.exitcode} or hung", content=current.read_bytes())
    return played if played.finding is None else Played(played.outcomes, played.finding, current.read_bytes())


def _answer(connection: Connection) -> Played | None:
    try:
        return connection.recv() if connection.poll(HANGS_AFTER_S) else None
    except EOFError:
        return None


def _play_here(asked: Round, current: Path, connection: Connection) -> None:
    from fuzz.targets import check, good_run  # noqa: PLC0415 - torch is loaded in this process alone

    good_run()
    check(asked.target, b"[]\n")  # what is loaded late
    _bound_memory()
    outcomes: Counter[str] = Counter()

    @seed(asked.seed)
    @settings(
        max_examples=asked.examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(_strategy(asked.target))
    def trial(content: bytes) -> None:
        current.write_bytes(content)
        outcomes[check(asked.target, content)] += 1

    try:
        trial()
    except BaseException as error:  # whatever it is, it is the finding
        told = "".join(traceback.format_exception(error, limit=-6))[-3000:]
        connection.send(Played(outcomes, told.encode("utf-8", "backslashreplace").decode()))
    else:
        connection.send(Played(outcomes))


def _strategy(target: str) -> SearchStrategy[bytes]:
    from fuzz import checkpoints, documents  # noqa: PLC0415

    match target:
        case "event":
            return documents.events()
        case "metadata":
            return documents.metadata()
        case "run":
            return checkpoints.reprogrammed(checkpoints.ACTIVATIONS) | checkpoints.damaged(checkpoints.ACTIVATIONS)
        case _:
            return (
                checkpoints.damaged(checkpoints.SAE)
                | checkpoints.reprogrammed(checkpoints.SAE)
                | checkpoints.reprogrammed(checkpoints.ACTIVATIONS)
            )


def _bound_memory() -> None:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    (held,) = re.findall(r"^VmData:\s+(\d+) kB$", status, re.MULTILINE)
    most = 1024 * int(held) + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
