"""Pickles that call, loop, swell or lie."""

from __future__ import annotations

import builtins
import functools
import operator
import os
import pickle
import struct
from collections import UserDict
from typing import TYPE_CHECKING, Any

from support.hostile import opcodes as op
from support.hostile.kind import HostileRun, of_extra, of_pickle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORBIDDEN = ("ARTIFACT_FORBIDDEN_PICKLE",)
TOO_LARGE = ("ARTIFACT_TOO_LARGE",)
ANALYSED = ("SAE_MISSING",)  # harmless: analysed, in part since nothing stands beside it


class _Calls:
    """Reduces to a call."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self._call


class _Lazy(UserDict[str, str]):
    """A class of nobody's library, rebuilt by its state."""


def _calling(function: Callable[..., Any], *arguments: object) -> Callable[[Path], bytes]:
    """Opcodes of protocol 2 that call a function; the text CANARY in an argument becomes the canary's path."""

    def make(canary: Path) -> bytes:
        given = [a.replace("CANARY", str(canary)) if isinstance(a, str) else a for a in arguments]
        return _plain(_Calls(function, *given))

    return make


def _plain(value: object, protocol: int = 2) -> bytes:
    """The opcodes of a value, without PROTO and STOP."""
    return pickle.dumps(value, protocol=protocol)[2:-1]


def _getattr_chain(canary: Path) -> bytes:
    """getattr(getattr(__import__("os"), "path"), "os").mkdir(canary)."""
    imported = _Calls(builtins.__import__, "os")
    return _plain(_Calls(operator.methodcaller, "mkdir", str(canary))) + _plain(_Calls(getattr, imported, "path"))


def _inst(canary: Path) -> bytes:
    return b"(" + op.text(str(canary)) + b"ios\nmkdir\n"


def _obj(canary: Path) -> bytes:
    return b"(" + op.name("os.mkdir") + op.text(str(canary)) + b"o"


def _stack_global(canary: Path) -> bytes:
    return op.text("os") + op.text("mkdir") + b"\x93" + op.text(str(canary)) + b"\x85R"


def _built_state(canary: Path) -> bytes:
    """A setattr by BUILD on a function that is allowed."""
    return op.name("torch._utils._rebuild_tensor_v2") + op.dict_of({"__code__": op.text(str(canary))}) + b"b"


def _tensor_state(_: Path) -> bytes:
    """BUILD on a tensor: set_ with a shape that nobody checked."""
    lie = op.tuple_of(op.storage("0", 12), op.number(0), op.tuple_of(op.number(1 << 40)), op.tuple_of(op.number(1)))
    return op.tensor("0", 12, (4, 3), (3, 1)) + lie + b"b"


def _copied_dict(_: Path) -> bytes:
    """OrderedDict(pairs), again and again: a few bytes each, a million entries each."""
    pairs = op.list_of([op.tuple_of(op.text(f"{n:06}"), b"N") for n in range(2000)]) + b"q\x64"
    copies = b"".join(op.name("collections.OrderedDict") + b"h\x64\x85R" for _ in range(20_000))
    return op.list_of([pairs, copies])


def _copied_state(_: Path) -> bytes:
    """BUILD copies a dict into each of many objects."""
    state = op.dict_of({f"{n:06}": b"N" for n in range(2000)}) + b"q\x64"
    copies = b"".join(op.call("collections.OrderedDict") + b"h\x64b" for _ in range(20_000))
    return op.list_of([state, copies])


def _encoded_again(_: Path) -> bytes:
    """_codecs.encode of one long string, again and again."""
    long = op.text("x" * (1 << 20)) + b"q\x64"
    copies = b"".join(op.name("_codecs.encode") + b"(h\x64" + op.text("latin1") + b"tR" for _ in range(20_000))
    return op.list_of([long, copies])


def _colliding_keys(_: Path) -> bytes:
    """Integers of one hash: a dict of them takes quadratic time."""
    modulus = (1 << 61) - 1
    return b"}(" + b"".join(op.number(n * modulus) + b"N" for n in range(1, 60_000)) + b"u"


def _memo_bomb(_: Path) -> bytes:
    """Each list holds the one before ten times."""
    made = op.list_of([op.text("lol")]) + b"q\x00"
    for level in range(1, 40):
        made += b"](" + bytes([ord("h"), level - 1]) * 10 + b"eq" + bytes([level])
    return op.list_of([made])


def _memo_far(_: Path) -> bytes:
    """Puts at the end of a table that a reader in C would make room for."""
    return op.text("far") + b"r\xff\xff\xff\xff"


def _veiled_root(_: Path) -> bytes:
    """A whole run in an OrderedDict whose methods are hidden behind attributes of their names."""
    parts = op.activations()[len(op.PROTOCOL) + 1 : -1]  # MARK, the entries, SETITEMS
    veil = op.dict_of({name: op.text("x") for name in ("get", "keys", "items", "values", "__iter__", "__class__")})
    return op.program(op.call("collections.OrderedDict") + parts + veil + b"b")


def of_opcodes(value: bytes) -> Callable[[Path], bytes]:
    """The same opcodes, wherever the canary is."""
    return lambda _: value


def _many(opcode: bytes, count: int) -> Callable[[Path], bytes]:
    return lambda _: b"](" + opcode * count + b"e"


def _many_tensors(_: Path) -> bytes:
    return op.list_of([op.tensor("0", 12, (4, 3), (3, 1))] * 20_000)


def _many_calls(_: Path) -> bytes:
    return op.list_of([op.call("collections.OrderedDict")] * 200_000)


def _nested(opening: bytes, closing: bytes, depth: int) -> Callable[[Path], bytes]:
    return lambda _: opening * depth + b"N" + closing * depth


def _recursive(_: Path) -> bytes:
    """A list and a dict that hold themselves and each other."""
    return b"]q\x64(h\x64" + b"}q\x65(" + op.text("a") + b"h\x65" + op.text("b") + b"h\x64ue"


def _recursive_texts(_: Path) -> bytes:
    return op.activations(texts=b"]q\x64(h\x64h\x64h\x64h\x64e")


def _huge_integer(_: Path) -> bytes:
    """LONG4 of a megabyte."""
    return b"\x8b" + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20)


def _endless_name(_: Path) -> bytes:
    return b"c" + b"a" * (1 << 20)


KINDS = {
    "os_system": HostileRun("os.system", FORBIDDEN, of_extra(_calling(os.system, "mkdir 'CANARY'"))),
    "os_mkdir": HostileRun("os.mkdir", FORBIDDEN, of_extra(_calling(os.mkdir, "CANARY"))),
    "builtins_eval": HostileRun(
        "builtins.eval", FORBIDDEN, of_extra(_calling(eval, "__import__('os').mkdir('CANARY')"))
    ),
    "builtins_exec": HostileRun("builtins.exec", FORBIDDEN, of_extra(_calling(exec, "import os; os.mkdir('CANARY')"))),
    "functools_partial": HostileRun(
        "functools.partial", FORBIDDEN, of_extra(_calling(functools.partial, os.mkdir, "CANARY"))
    ),
    "getattr_chain": HostileRun("a chain of getattr", FORBIDDEN, of_extra(_getattr_chain)),
    "torch_load": HostileRun(
        "torch.load of a file within",
        FORBIDDEN,
        of_extra(lambda canary: op.call("torch.serialization.load", op.text(str(canary)))),
    ),
    "torch_empty": HostileRun(
        "torch.empty of 2^40 elements", FORBIDDEN, of_extra(of_opcodes(op.call("torch.empty", op.number(1 << 40))))
    ),
    "bytearray": HostileRun(
        "bytearray of 2^40 bytes", FORBIDDEN, of_extra(of_opcodes(op.call("builtins.bytearray", op.number(1 << 40))))
    ),
    "own_class": HostileRun("an object of a class", FORBIDDEN, of_extra(of_opcodes(_plain(_Lazy())))),
    "inst": HostileRun("the opcode INST", FORBIDDEN, of_extra(_inst)),
    "obj": HostileRun("the opcode OBJ", FORBIDDEN, of_extra(_obj)),
    "stack_global": HostileRun("the opcode STACK_GLOBAL", FORBIDDEN, of_extra(_stack_global)),
    "newobj": HostileRun(
        "the opcode NEWOBJ", FORBIDDEN, of_extra(of_opcodes(op.name("torch.FloatStorage") + b"K\x01\x85\x81"))
    ),
    "extension": HostileRun("the opcode EXT4", FORBIDDEN, of_extra(of_opcodes(b"\x84\x01\x00\x00\x00"))),
    "protocol_5": HostileRun("a pickle of protocol 5", FORBIDDEN, of_pickle(lambda _: pickle.dumps({}, protocol=5))),
    "protocol_0": HostileRun("a pickle of protocol 0", FORBIDDEN, of_pickle(lambda _: pickle.dumps({}, protocol=0))),
    "persistent_text": HostileRun("PERSID, a reference in text", FORBIDDEN, of_extra(of_opcodes(b"P/etc/passwd\n"))),
    "persistent_integer": HostileRun(
        "a reference that is a number", FORBIDDEN, of_extra(of_opcodes(op.number(7) + b"Q"))
    ),
    "persistent_module": HostileRun(
        "a reference to a module", FORBIDDEN, of_extra(of_opcodes(op.tuple_of(op.text("module"), op.text("os")) + b"Q"))
    ),
    "function_state": HostileRun("a state set on a function", FORBIDDEN, of_extra(_built_state)),
    "tensor_state": HostileRun("a state set on a tensor", FORBIDDEN, of_extra(_tensor_state)),
    "copied_dict": HostileRun("a dict copied 20,000 times by its constructor", FORBIDDEN, of_extra(_copied_dict)),
    "copied_state": HostileRun("a dict copied 20,000 times by BUILD", FORBIDDEN, of_extra(_copied_state)),
    "encoded_again": HostileRun("a string encoded 20,000 times", FORBIDDEN, of_extra(_encoded_again)),
    "colliding_keys": HostileRun("a dict whose keys all collide", ("ARTIFACT_INVALID",), of_extra(_colliding_keys)),
    "memo_bomb": HostileRun("lists that hold 10^39 texts by reference", ANALYSED, of_extra(_memo_bomb)),
    "memo_far": HostileRun("a memo entry at 2^32 - 1", ANALYSED, of_extra(_memo_far)),
    "many_objects": HostileRun("10^7 tiny objects", TOO_LARGE, of_extra(_many(b"]", 10_000_000))),
    "many_numbers": HostileRun("10^7 numbers", TOO_LARGE, of_extra(_many(b"K\x01", 10_000_000))),
    "many_tensors": HostileRun("20,000 tensors over one storage", TOO_LARGE, of_extra(_many_tensors)),
    "many_calls": HostileRun("200,000 calls", ("ARTIFACT_INVALID",), of_extra(_many_calls)),
    "deep_lists": HostileRun("lists nested 300,000 deep", ANALYSED, of_extra(_nested(b"]", b"a", 300_000))),
    "deep_tuples": HostileRun("tuples nested 300,000 deep", ANALYSED, of_extra(_nested(b"", b"\x85", 300_000))),
    "deep_marks": HostileRun("300,000 marks", ("ARTIFACT_CORRUPT",), of_extra(of_opcodes(b"(" * 300_000))),
    "recursive": HostileRun("containers that hold themselves", ANALYSED, of_extra(_recursive)),
    "recursive_texts": HostileRun("texts that hold themselves", ("ARTIFACT_INVALID",), of_pickle(_recursive_texts)),
    "huge_integer": HostileRun("an integer of a megabyte", FORBIDDEN, of_extra(_huge_integer)),
    "long_integer": HostileRun(
        "an integer of 255 bytes", ("ARTIFACT_INVALID",), of_extra(of_opcodes(b"\x8a\xff" + b"\x7f" * 255))
    ),
    "endless_name": HostileRun("a name of a megabyte", ("ARTIFACT_CORRUPT",), of_extra(_endless_name)),
    "cut_pickle": HostileRun("a pickle that breaks off", ("ARTIFACT_TRUNCATED",), of_pickle(lambda _: b"\x80\x02}(")),
    "underflow": HostileRun(
        "a pickle that takes what it has not", ("ARTIFACT_CORRUPT",), of_pickle(lambda _: b"\x80\x02R.")
    ),
    "veiled_root": HostileRun("a dict with attributes in the place of its methods", ANALYSED, of_pickle(_veiled_root)),
    "list_root": HostileRun("a list instead of a dict", ("ARTIFACT_INVALID",), of_pickle(lambda _: op.program(b"]"))),
}
