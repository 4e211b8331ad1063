"""Texts that are many, long, or no texts."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from support.hostile import opcodes as op
from support.hostile.kind import HostileRun, of_pickle
from support.runs import make_run, save_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from support.runs import RunPaths

INVALID, TOO_LARGE = ("ARTIFACT_INVALID",), ("ARTIFACT_TOO_LARGE",)
ANALYSED = ("completed",)


def _texts(value: bytes) -> Callable[[RunPaths], None]:
    return of_pickle(lambda _: op.activations(texts=value))


def _many(count: int) -> Callable[[RunPaths], None]:
    """So many texts of one byte, each with its row of one feature."""

    def build(where: RunPaths) -> None:
        letters = b"".join(op.text(bytes([97 + n % 26])) + b"q" + bytes([n]) for n in range(26))
        rest = b"".join(bytes([ord("h"), n % 26]) for n in range(26, count))
        pickle = op.activations(
            texts=b"](" + letters + rest + b"e", features=op.matrix("0", count, 1), originals=op.matrix("1", count, 1)
        )
        values = struct.pack("<4f", 0.0, 1.0, 0.5, 2.0) * (count // 4)
        op.save(where.activations, pickle, {"0": values, "1": values})

    return build


def _saved(texts: Sequence[str]) -> Callable[[RunPaths], None]:
    return lambda where: _save(where, texts)


def _save(where: RunPaths, texts: Sequence[str]) -> None:
    save_run(make_run(texts=texts, n_features=6, d=4), where.root)


def _strange() -> list[str]:
    """Forty texts of what breaks writers and readers."""
    odd = [
        "\x00",
        "\ud83d",
        "\udc00 alone",
        "\u202e",
        "]]>",
        "=cmd|' /C calc'!A0",
        "\uffff",
        "\U0010ffff",
        "",
        " \t\r\n",
    ]
    return [f"{text}{number}" if number > 9 else text for number, text in enumerate(odd * 4)]


KINDS = {
    "million_texts": HostileRun("10^6 texts of one byte", TOO_LARGE, _many(1_000_000)),
    "many_texts": HostileRun("100,000 texts of one byte", ("SAE_MISSING",), _many(100_000)),
    "long_text": HostileRun(
        "one text of 100 MB", TOO_LARGE, _texts(op.list_of([op.text(b"x" * 100_000_000), *[op.text("a")] * 3]))
    ),
    "long_word": HostileRun(
        "a text of 2 MB without a space", ANALYSED, _saved(["x" * 2_000_000, *map(str, range(39))])
    ),
    "surrogates": HostileRun("NUL, unpaired surrogates, markup, formulas", ANALYSED, _saved(_strange())),
    "text_ids": HostileRun("numbers for texts", INVALID, _texts(op.list_of([op.number(n) for n in range(4)]))),
    "text_bytes": HostileRun(
        "bytes for texts", INVALID, _texts(op.list_of([op.call("_codecs.encode", op.text("a"), op.text("latin1"))] * 4))
    ),
    "text_lists": HostileRun("lists for texts", INVALID, _texts(op.list_of([op.list_of([])] * 4))),
    "text_tensor": HostileRun("a tensor for texts", INVALID, _texts(op.matrix("0", 4, 3))),
    "invalid_utf8": HostileRun(
        "a text that is no UTF-8", ("ARTIFACT_CORRUPT",), _texts(op.list_of([op.text(b"\xff\xfe")] * 4))
    ),
    "text_dict": HostileRun("a dict for texts", INVALID, _texts(op.dict_of({"0": op.text("a")}))),
    "lost_rows": HostileRun("fewer texts than rows", ("ARTIFACT_MISALIGNED",), _texts(op.list_of([op.text("a")] * 3))),
}
