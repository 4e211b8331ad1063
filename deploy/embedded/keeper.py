"""Outlive the owner of a stack just long enough to leave nothing behind.

Started by `process.Keeper` with a pipe on standard input. Each line names something to put away: `group PGID`,
`directory PATH` or `file PATH`; `ended PGID` takes a group back. When the pipe ends or the owner is no longer the
parent, whatever ended it (a return, an exception, SIGTERM, SIGKILL), the groups are killed, then the paths removed: one
way out for every kind of end.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path

POLL_S = 0.5
GONE_WITHIN_S = 10.0


def listen(owner: int) -> list[tuple[str, str]]:
    """Collect lines until the pipe ends or the owner is gone."""
    text = b""
    while os.getppid() == owner:
        if not select.select([0], [], [], POLL_S)[0]:
            continue
        chunk = os.read(0, 65_536)
        if not chunk:
            break
        text += chunk
    lines = (line.partition(" ") for line in text.decode().splitlines())
    return [(kind, value) for kind, _, value in lines]


def kill_group(group: int) -> None:
    """End a process group. Its data is thrown away next, so nothing is gained by asking politely."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def remove_directory(path: str) -> None:
    """Remove a tree, again while processes that are still dying write into it."""
    until = time.monotonic() + GONE_WITHIN_S
    while Path(path).exists() and time.monotonic() < until:
        shutil.rmtree(path, ignore_errors=True)
        time.sleep(0.02)


def main() -> None:
    """Wait for the end of the owner, then put its things away."""
    things = listen(int(sys.argv[1]))
    ended = {value for kind, value in things if kind == "ended"}
    for kind, value in things:
        if kind == "group" and value not in ended:  # its number may be a stranger's by now
            kill_group(int(value))
    for kind, value in things:
        if kind == "directory":
            remove_directory(value)
        elif kind == "file":
            Path(value).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
