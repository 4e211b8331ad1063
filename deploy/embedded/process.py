"""Server processes that end with their owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LOG_TAIL_LINES = 25
READY_WITHIN_S = 60.0


class StackError(RuntimeError):
    """The embedded stack cannot be had; the message says why and what to do."""


class Keeper:
    """The process that kills and removes what it was told of, as soon as its owner ends for whatever reason."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("keeper.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(script), str(os.getpid())],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl+C in the terminal reaches the owner only
        )

    def put_away(self, kind: str, value: object) -> None:
        """Name what to put away at the end, a process `group`, a `directory` or a `file`; or a group that `ended`."""
        pipe = self._process.stdin
        if pipe is None:
            raise StackError("the keeper was started without its pipe")
        pipe.write(f"{kind} {value}\n".encode())
        pipe.flush()

    def close(self) -> None:
        """Put everything away now and wait until that is done."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


class Server:
    """One server process with its log, leader of its own process group."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = list(command)
        self._log = log
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: Keeper | None = None

    def start(self, keeper: Keeper) -> None:
        """Start the process; it may be started again after `kill`."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._log.parent,
                start_new_session=True,
            )
        self._keeper = keeper
        keeper.put_away("group", self._process.pid)

    def stop(self, within_s: float) -> None:
        """SIGTERM to the leader, which may take its time; SIGKILL to what is left of the group after that."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(within_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group, and wait for the leader."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._keeper is not None:
            self._keeper.put_away("ended", self._process.pid)
        self._process = None

    def wait_until(self, answers: Callable[[], bool], within_s: float = READY_WITHIN_S) -> None:
        """Ask again and again until the server answers.

        Raises:
            StackError: It ended, or did not answer in time; the message holds the end of its log.
        """
        until = time.monotonic() + within_s
        while not answers():
            if self._process is None or self._process.poll() is not None:
                raise StackError(f"{self.name} ended before it answered. The end of its log:\n{self.log_tail()}")
            if time.monotonic() > until:
                raise StackError(
                    f"{self.name} did not answer within {within_s:g} s. The end of its log:\n{self.log_tail()}"
                )
            time.sleep(0.1)

    def log_tail(self) -> str:
        """The last lines of the log."""
        return tail(self._log)


def tail(log: Path) -> str:
    """The last lines of a log."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
