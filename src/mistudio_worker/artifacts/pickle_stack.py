"""The stack of a pickle's program, of what the values are instead of the values.

Strings, integers, names and small tuples stand on it as they are, None for any other value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistudio_worker.artifacts import refusals
from mistudio_worker.artifacts.pickle_calls import Made, check_call, check_keys, check_state, check_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mistudio_worker.artifacts.limits import Limits
    from mistudio_worker.artifacts.zip_directory import ZipEntry
    from mistudio_worker.errors import RefusedInput

_KNOWN_TUPLE = 16
_MAX_CALLS = 1 << 17  # each takes torch some microseconds


class PickleStack:
    """What torch's unpickler would have on its stack, and under each mark."""

    def __init__(self, entries: Mapping[str, ZipEntry], limits: Limits) -> None:
        self.values: list[object] = []
        self._entries = entries
        self._limits = limits
        self._below: list[list[object]] = []
        self._calls = self._tensors = 0

    def mark(self) -> None:
        """Begin a new stack; the one below is out of reach until `pop_mark`."""
        self._below.append(self.values)
        self.values = []

    def pop(self) -> object:
        """Take the topmost value."""
        if not self.values:
            raise _nothing_there()
        return self.values.pop()

    def pop_mark(self) -> list[object]:
        """Take all values above the last mark."""
        if not self._below:
            raise _nothing_there()
        items, self.values = self.values, self._below.pop()
        return items

    def push_tuple(self, items: list[object]) -> None:
        """Push the tuple of these."""
        self.values.append(tuple(items) if len(items) <= _KNOWN_TUPLE else None)

    def push_tuple_of(self, length: int) -> None:
        """Push the tuple of the topmost values."""
        self.push_tuple([self.pop() for _ in range(length)][::-1])

    def set_item(self) -> None:
        """Put one value into a dict."""
        self.pop()
        check_keys([self.pop()])

    def set_items(self) -> None:
        """Put all values above the mark into a dict."""
        check_keys(self.pop_mark()[::2])

    def set_state(self) -> None:
        """Give the topmost value but one its state."""
        state, target = self.pop(), self.pop()
        check_state(target, state)
        self.values.append(target)

    def call(self) -> None:
        """Call a function with a tuple of arguments."""
        arguments, function = self.pop(), self.pop()
        made = check_call(function, arguments)
        self._calls += 1
        self._tensors += made is Made.TENSOR
        if self._calls > _MAX_CALLS:
            raise refusals.invalid(f"the pickle makes more than {_MAX_CALLS:,} objects by calls")
        if self._tensors > self._limits.max_zip_entries:
            raise refusals.too_large(
                f"the pickle makes more than {self._limits.max_zip_entries:,} tensors", "max_zip_entries"
            )
        self.values.append(made)

    def refer(self) -> None:
        """Replace a persistent id by the storage that it names."""
        self.values.append(check_storage(self.pop(), self._entries))


OPCODES: dict[int, Callable[[PickleStack], object]] = {
    ord("("): PickleStack.mark,
    ord("t"): lambda stack: stack.push_tuple(stack.pop_mark()),
    ord("\x85"): lambda stack: stack.push_tuple_of(1),
    ord("\x86"): lambda stack: stack.push_tuple_of(2),
    ord("\x87"): lambda stack: stack.push_tuple_of(3),
    ord(")"): lambda stack: stack.values.append(()),
    ord("}"): lambda stack: stack.values.append(Made.DICT),
    ord("a"): PickleStack.pop,
    ord("e"): PickleStack.pop_mark,
    ord("s"): PickleStack.set_item,
    ord("u"): PickleStack.set_items,
    ord("R"): PickleStack.call,
    ord("b"): PickleStack.set_state,
    ord("Q"): PickleStack.refer,
}
"""Opcodes that have no argument and work on the stack alone."""


def _nothing_there() -> RefusedInput:
    return refusals.corrupt("the pickle takes a value where it has none")
