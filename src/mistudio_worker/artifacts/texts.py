"""The texts of a run: a list of strings that can be encoded as UTF-8."""

from __future__ import annotations

import re

from mistudio_worker.artifacts import refusals

_SURROGATES = re.compile("[\ud800-\udfff]")


def read_texts(value: object, max_texts: int, max_bytes: int) -> tuple[list[str], int]:
    """Return the texts and the number of lone surrogates in them that became U+FFFD.

    Args:
        value: the `texts` entry of feature_activations.pt; None where it is absent.
        max_texts: budget.
        max_bytes: budget for the UTF-8 bytes of all texts together.

    Raises:
        RefusedInput: not a list of strings, or over a budget.
    """
    if not isinstance(value, list):
        found = "absent" if value is None else f"a {type(value).__name__}"
        raise refusals.invalid(f"texts is {found}, expected a list of strings", refusals.RETRAIN)
    if len(value) > max_texts:
        raise refusals.too_large(f"the run has {len(value):,} texts, expected at most {max_texts:,}", "max_texts")
    strange = sum(type(text) is not str for text in value)
    if strange:
        raise refusals.invalid(
            f"texts holds {strange:,} entries of {len(value):,} that are no strings", refusals.RETRAIN
        )
    return _encodable(value, max_bytes)


def _encodable(texts: list[str], max_bytes: int) -> tuple[list[str], int]:
    total = replaced = 0
    for index, text in enumerate(texts):
        if text.isascii():
            total += len(text)
            continue
        try:
            total += len(text.encode())
        except UnicodeEncodeError:
            texts[index], count = _SURROGATES.subn("\ufffd", text)
            replaced += count
            total += len(texts[index].encode())
    if total > max_bytes:
        raise refusals.too_large(f"the texts have {total:,} bytes, expected at most {max_bytes:,}", "max_text_bytes")
    return texts, replaced
