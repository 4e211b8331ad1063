"""What goes wrong in a soak: one thing after another, by lot."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from soak.crew import go_on, pause

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from embedded.stack import EmbeddedStack
    from embedded.toxiproxy import Proxies, Proxy

    from soak.crew import Crew, Post

DRAINED_WITHIN_S = 60.0
LONG_PAUSE_S = 9.0
"""Longer than the session of a worker: it comes back as one that the group has given up."""


class Disturbances:
    """Lets things go wrong, and remembers how often."""

    def __init__(self, stack: EmbeddedStack, proxies: Proxies, crew: Crew, dice: random.Random) -> None:
        self._stack, self._proxies, self._crew, self._dice = stack, proxies, crew, dice
        self.counts: Counter[str] = Counter()
        self.breaches: list[str] = []
        self._kinds: dict[str, tuple[int, Callable[[], None]]] = {
            "worker killed": (3, self._kill_worker),
            "child killed": (3, self._kill_child),
            "worker paused": (4, lambda: self._pause(self._dice.uniform(0.5, 3.0))),
            "worker paused past its session": (2, lambda: self._pause(LONG_PAUSE_S)),
            "worker drained": (1, self._drain),
            "broker cut": (3, lambda: self._cut(self._proxies.broker, ("cut",))),
            "store cut": (3, lambda: self._cut(self._proxies.store, ("cut",))),
            "broker's network bad": (2, lambda: self._cut(self._proxies.broker, BAD)),
            "store's network bad": (2, lambda: self._cut(self._proxies.store, BAD)),
            "broker restarted": (1, self._restart_broker),
        }

    def next(self) -> str:
        """Let one thing go wrong, wait until it is over, and return what it was."""
        names = list(self._kinds)
        (kind,) = self._dice.choices(names, weights=[self._kinds[name][0] for name in names])
        self._replace_the_fallen()
        self._kinds[kind][1]()
        self.counts[kind] += 1
        return kind

    def _replace_the_fallen(self) -> None:
        """A worker ends only where it is told to."""
        for post in self._crew.posts:
            if not post.worker.running:
                self.breaches.append(f"a worker ended by itself: {post.worker.log[-2000:]}")
                self._crew.fill(post)

    def _mortal(self) -> Post:
        return self._dice.choice([post for post in self._crew.posts if post.mortal])

    def _kill_worker(self) -> None:
        post = self._mortal()
        post.worker.kill()
        self._crew.fill(post)

    def _kill_child(self) -> None:
        worker = self._dice.choice(self._crew.posts).worker
        if worker.child() is not None:  # else it is just being started
            worker.kill_child()

    def _pause(self, duration_s: float) -> None:
        worker = self._mortal().worker
        pause(worker)
        time.sleep(duration_s)
        go_on(worker)

    def _drain(self) -> None:
        post = self._mortal()
        if (code := post.worker.stop(DRAINED_WITHIN_S)) != 0:
            self.breaches.append(f"a worker that was told to drain ended with {code}: {post.worker.log[-2000:]}")
        self._crew.fill(post)

    def _cut(self, proxy: Proxy, faults: Sequence[str]) -> None:
        proxy.inject(self._dice.choice(faults))
        time.sleep(self._dice.uniform(0.5, 5.0))
        proxy.heal()

    def _restart_broker(self) -> None:
        self._stack.kill_kafka()
        time.sleep(self._dice.uniform(0.5, 3.0))
        self._stack.start_kafka()


BAD = ("latency", "bandwidth", "reset", "limit", "half-open", "requests lost", "answers lost")
