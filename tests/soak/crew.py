"""The workers of a soak: places that are filled again when their worker ends."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from embedded.process import Keeper

SETTINGS = {
    # a worker that dies or stands still is missed after 6 s
    "MISTUDIO_KAFKA__SESSION_TIMEOUT_MS": "6000",
    "MISTUDIO_KAFKA__HEARTBEAT_INTERVAL_MS": "1000",
    "MISTUDIO_STORE__CONNECT_TIMEOUT_S": "2",
    "MISTUDIO_STORE__READ_TIMEOUT_S": "5",
    "MISTUDIO_JOB__RETRY_WAIT_MAX_S": "2",
    "MISTUDIO_JOB__GRACE_S": "20",
    # kills by chance must not use up a job's attempts: that limit has tests of its own
    "MISTUDIO_JOB__MAX_ATTEMPTS": "1000",
    "MISTUDIO_JOB__MAX_SILENT_DEATHS": "1000",
    "MISTUDIO_ANALYSIS__THREADS": "1",
}


@dataclass
class Post:
    """A place for one worker at a time; its work folder stays.

    Attributes:
        name: Of the place.
        mortal: Whether its workers may be killed, paused or told to end; one that is not is there to be measured.
        workers: All that ever filled it, the present one last.
    """

    name: str
    mortal: bool
    workers: list[Worker] = field(default_factory=list)

    @property
    def worker(self) -> Worker:
        """The present one."""
        return self.workers[-1]


class Crew:
    """A few posts, filled.

    Args:
        environment: Settings that lead the workers to broker and store.
        directory: For logs and work folders.
        keeper: Ends the workers should the soak be killed.
        size: Number of posts; the first one is immortal.
    """

    def __init__(self, environment: Mapping[str, str], directory: Path, keeper: Keeper, size: int = 3) -> None:
        self._environment, self._directory, self._keeper = environment, directory, keeper
        self._exits = contextlib.ExitStack()
        self.posts = [Post(f"worker{number}", mortal=number > 0) for number in range(size)]

    def __enter__(self) -> Crew:
        """Fill all posts."""
        for post in self.posts:
            self.fill(post)
        return self

    def __exit__(self, *_: object) -> None:
        """End those that still run."""
        self._exits.close()

    def fill(self, post: Post) -> None:
        """Start a new worker in a post."""
        work_dir = self.work_dir(post)
        work_dir.mkdir(exist_ok=True)
        environment = {**self._environment, **SETTINGS, "MISTUDIO_JOB__WORK_DIR": str(work_dir)}
        worker = Worker(environment, self._directory / f"{post.name}-{len(post.workers)}", self._keeper)
        post.workers.append(self._exits.enter_context(worker))

    def work_dir(self, post: Post) -> Path:
        """Where the workers of a post keep the files of a job."""
        return self._directory / f"{post.name}-work"

    def all_workers(self) -> list[Worker]:
        """All that ever ran."""
        return [worker for post in self.posts for worker in post.workers]


def pause(worker: Worker) -> None:
    """SIGSTOP the worker itself; its child goes on."""
    os.kill(worker.process.pid, signal.SIGSTOP)


def go_on(worker: Worker) -> None:
    """SIGCONT."""
    os.kill(worker.process.pid, signal.SIGCONT)
