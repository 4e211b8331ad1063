"""metadata.json that is large, deep, or not JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.hostile.kind import HostileRun, of_damage

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.runs import RunPaths

UNREADABLE, TOO_LARGE, ANALYSED = ("METADATA_UNREADABLE",), ("ARTIFACT_TOO_LARGE",), ("completed",)
LARGEST = 16 << 20
"""The largest metadata.json that is read, by default."""


def _of(content: bytes) -> Callable[[RunPaths], None]:
    return of_damage(lambda where: where.metadata.write_bytes(content))


def _changed(change: Callable[[bytes], bytes]) -> Callable[[RunPaths], None]:
    return of_damage(lambda where: where.metadata.write_bytes(change(where.metadata.read_bytes())))


def _with(**entries: object) -> Callable[[RunPaths], None]:
    return _changed(lambda content: json.dumps({**json.loads(content), **entries}).encode())


def _gigabyte(where: RunPaths) -> None:
    with where.metadata.open("r+b") as file:
        file.truncate(1 << 30)


def _filled(piece: bytes) -> bytes:
    """The largest list of one piece that is read."""
    return b'{"a":[' + b",".join([piece] * ((LARGEST - 16) // (len(piece) + 1))) + b"]}"


KINDS = {
    "metadata_gigabyte": HostileRun(
        "metadata.json of 1 GiB, sparse", TOO_LARGE, of_damage(_gigabyte), on_disk_only=True
    ),
    "metadata_over": HostileRun("metadata.json a byte over the limit", TOO_LARGE, _of(b"{" + b" " * LARGEST)),
    "metadata_deep": HostileRun(
        "lists nested 10^5 deep", UNREADABLE, _of(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    ),
    "metadata_deep_objects": HostileRun(
        "objects nested 10^5 deep", UNREADABLE, _of(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
    ),
    "metadata_open": HostileRun("16 MiB of opening brackets", UNREADABLE, _of(b"[" * (LARGEST - 1))),
    "metadata_lists": HostileRun("16 MiB of empty lists", (*ANALYSED, *UNREADABLE), _of(_filled(b"[]"))),
    "metadata_objects": HostileRun("16 MiB of small objects", (*ANALYSED, *UNREADABLE), _of(_filled(b'{"a":0}'))),
    "metadata_numbers": HostileRun("16 MiB of numbers", (*ANALYSED, *UNREADABLE), _of(_filled(b"1"))),
    "metadata_escapes": HostileRun("16 MiB of escapes", ANALYSED, _of(b'{"a":"' + b"\\n" * (LARGEST // 2 - 8) + b'"}')),
    "metadata_digits": HostileRun("an integer of 10^5 digits", UNREADABLE, _of(b'{"a": ' + b"9" * 100_000 + b"}")),
    "metadata_exponent": HostileRun("a number of 10^999999", ANALYSED, _of(b'{"a": 1e999999}')),
    "metadata_infinity": HostileRun(
        "NaN and Infinity",
        ANALYSED,
        _with(training_results={"final_loss": float("nan"), "final_sparsity": float("inf")}),
    ),
    "metadata_duplicates": HostileRun(
        "a key twice, ready and not ready",
        ("ARTIFACT_NOT_READY",),
        _of(b'{"ready_for_find_service": true, "ready_for_find_service": false}'),
    ),
    "metadata_invalid_utf8": HostileRun("bytes that are no UTF-8", UNREADABLE, _of(b'{"job_id": "\xff\xfe"}')),
    "metadata_bom": HostileRun("a byte order mark", ANALYSED, _changed(lambda content: b"\xef\xbb\xbf" + content)),
    "metadata_utf16": HostileRun("UTF-16", ANALYSED, _changed(lambda content: content.decode().encode("utf-16"))),
    "metadata_surrogates": HostileRun(
        "unpaired surrogates and NUL", ANALYSED, _of(b'{"job_id": "\\ud800\\u0000", "timestamp": "\\udfff"}')
    ),
    "metadata_cut": HostileRun("JSON that breaks off", UNREADABLE, _changed(lambda content: content[:-2])),
    "metadata_list": HostileRun("a list", UNREADABLE, _of(b"[1]")),
    "metadata_types": HostileRun(
        "every section of the wrong type",
        ANALYSED,
        _of(b'{"model_info": 7, "sae_config": [], "data_info": "x", "feature_statistics": null}'),
    ),
    "metadata_shape": HostileRun(
        "a shape of 10^30",
        (*ANALYSED, "ARTIFACT_MISALIGNED"),
        _with(data_info={"feature_activation_shape": [10**30, 1]}),
    ),
    "metadata_rates": HostileRun(
        "a million rates",
        ("ARTIFACT_MISALIGNED",),
        _with(feature_statistics={"feature_activation_rates": [0] * 1_000_000}),
    ),
}
