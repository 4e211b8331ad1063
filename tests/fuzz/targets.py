"""What is fuzzed: bytes in, the outcome in a word; anything but a refusal that comes out is a finding."""

from __future__ import annotations

import json
import tempfile
import time
from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from support.runs import RunPaths, make_run, save_run

from mistudio_worker.artifacts.checkpoint import load_checkpoint
from mistudio_worker.artifacts.files import ArtifactFiles
from mistudio_worker.artifacts.limits import Limits
from mistudio_worker.artifacts.metadata import announced, read_metadata
from mistudio_worker.artifacts.reader import read_training_run
from mistudio_worker.errors import MistudioError
from mistudio_worker.worker.incoming import read_request, readable_job_id
from mistudio_worker.worker.ports import Record

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW_S = 10.0
LIMITS = Limits()
_PLAIN = (
    *(str, bytes, int, float, type(None), torch.Size, torch.device, torch.dtype),
    *(torch.TypedStorage, torch.UntypedStorage, torch.serialization.StorageType),
)


class Finding(AssertionError):
    """Something came out that must not."""


@cache
def good_run() -> RunPaths:
    """A small run, written once for this process; it goes with the process."""
    folder = tempfile.TemporaryDirectory(prefix="mistudio-fuzz-")
    _KEPT.append(folder)
    return save_run(make_run(n_texts=6, n_features=4, d=3), Path(folder.name))


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def check(target: str, content: bytes) -> str:
    """Feed one target; return `read` or the code of the refusal.

    Raises:
        Finding: it took too long, or what came out is no plain data.
        Exception: whatever else the code under test raised.
    """
    begun_s = time.perf_counter()
    try:
        TARGETS[target](content)
        outcome = "read"
    except MistudioError as error:
        outcome = error.code
        (error.message + error.hint).encode()
    if time.perf_counter() - begun_s > SLOW_S:
        raise Finding(f"{outcome} after {time.perf_counter() - begun_s:.1f} s")
    return outcome


def join(headers: list[tuple[str, bytes]], value: bytes) -> bytes:
    """Write a record as one input: a line of JSON with the headers, then the value."""
    return json.dumps([[name, content.decode("latin-1")] for name, content in headers]).encode() + b"\n" + value


def _event(content: bytes) -> None:
    line, _, value = content.partition(b"\n")
    headers = [(name, text.encode("latin-1")) for name, text in json.loads(line)]
    record = Record("training-complete", 0, 0, 0, None, value, headers)
    readable_job_id(record)
    request = read_request(record, artifacts_bucket="artifacts")
    if any(".." in ref.key.split("/") or ref.key.startswith("/") for ref in request.artifacts.values()):
        raise Finding("an unsafe key was let through")


def _metadata(content: bytes) -> None:
    announced(content)
    read_metadata(_written("metadata.json", content), LIMITS)


def _checkpoint(content: bytes) -> None:
    _check_plain(load_checkpoint(_written("some.pt", content), LIMITS), 0)


def _run(content: bytes) -> None:
    good = good_run()
    files = ArtifactFiles(good.training_job_id, _written("feature_activations.pt", content), good.sae_model, None)
    run = read_training_run(files, LIMITS)
    run.features.rows(0, run.features.shape[0]).double().sum()


def _written(name: str, content: bytes) -> Path:
    path = good_run().root / name
    path.write_bytes(content)
    return path


def _check_plain(value: Any, depth: int) -> None:
    """Walk what was read: plain data and tensors within their storages, nothing else."""
    if depth > 20 or isinstance(value, _PLAIN):
        return
    if type(value) in (torch.Tensor, torch.nn.Parameter):
        value.detach().double().sum()
    elif type(value) in (dict, OrderedDict, list, tuple):
        for part in value.values() if isinstance(value, dict) else value:
            _check_plain(part, depth + 1)
    elif type(value).__name__ != "_SkippedDtype" and not callable(value):
        raise Finding(f"a {type(value).__name__} was read")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "event": _event,
    "metadata": _metadata,
    "checkpoint": _checkpoint,
    "run": _run,
}
