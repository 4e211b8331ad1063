"""One kind of hostile run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.hostile import opcodes
from support.runs import make_run, paths, save_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.runs import RunPaths

CANARY = "CODE_RAN"
"""What the code in a hostile file would make, were it executed: a folder of this name beside models/."""


@dataclass(frozen=True)
class HostileRun:
    """A run on disk and how it must end.

    Attributes:
        what: for the documentation, in a few words.
        codes: error codes that may come, or codes of the gaps where it is analysed in part; `completed` where it may be
            analysed as a whole. One of them must come.
        build: writes it; gets the places of the files, nothing is there yet.
        on_disk_only: whether it cannot be uploaded: a link, or a file that is large but for its holes.
    """

    what: str
    codes: tuple[str, ...]
    build: Callable[[RunPaths], None]
    on_disk_only: bool = False

    def write(self, root: Path) -> RunPaths:
        """Write the run under `root`."""
        where = paths(root)
        where.activations.parent.mkdir(parents=True, exist_ok=True)
        self.build(where)
        return where


def of_pickle(make: Callable[[Path], bytes]) -> Callable[[RunPaths], None]:
    """Build a run whose feature_activations.pt holds the pickle; `make` gets the canary's path."""

    def build(where: RunPaths) -> None:
        opcodes.save(where.activations, make(where.root / CANARY), opcodes.storages())

    return build


def of_extra(value: Callable[[Path], bytes]) -> Callable[[RunPaths], None]:
    """Build a run that is whole but for one more entry, the value of these opcodes."""
    return of_pickle(lambda canary: opcodes.activations(more={"model_info": value(canary)}))


def of_damage(damage: Callable[[RunPaths], object]) -> Callable[[RunPaths], None]:
    """Build a good run and damage its files."""

    def build(where: RunPaths) -> None:
        save_run(make_run(n_texts=40, n_features=6, d=4), where.root)
        damage(where)

    return build
