"""The errors of this room, by code; their messages hold figures and names, never content of the files."""

from __future__ import annotations

from mistudio_worker.errors import RefusedInput

SAVE_AGAIN = "save the file again with torch.save and upload it again"
UPLOAD_AGAIN = "upload the file again; if that does not help, run the training's last step again"
RETRAIN = "run the training's extraction step again, so that all three files come from one run"


def corrupt(message: str) -> RefusedInput:
    """Return the error for a file whose bytes were damaged."""
    return RefusedInput("ARTIFACT_CORRUPT", message, UPLOAD_AGAIN)


def truncated(message: str) -> RefusedInput:
    """Return the error for a file that ends too early."""
    return RefusedInput("ARTIFACT_TRUNCATED", message, UPLOAD_AGAIN)


def legacy(message: str) -> RefusedInput:
    """Return the error for torch's old serialisation."""
    return RefusedInput(
        "ARTIFACT_LEGACY_FORMAT",
        message,
        "re-save it: load it with the trainer's torch and torch.save it in the zip format (the default since 1.6)",
    )


def forbidden(message: str) -> RefusedInput:
    """Return the error for a pickle that does more than hold tensors, numbers and texts."""
    return RefusedInput(
        "ARTIFACT_FORBIDDEN_PICKLE",
        message,
        "do not open this file elsewhere: it may run code; save tensors, numbers, strings, lists and dicts only",
    )


def invalid(message: str, hint: str = SAVE_AGAIN) -> RefusedInput:
    """Return the error for content that is not what the trainer writes."""
    return RefusedInput("ARTIFACT_INVALID", message, hint)


def too_large(message: str, setting: str) -> RefusedInput:
    """Return the error for an artifact over a budget."""
    return RefusedInput(
        "ARTIFACT_TOO_LARGE", message, f"raise MISTUDIO_ANALYSIS__{setting.upper()}, or send a smaller run"
    )


def misaligned(message: str, hint: str = RETRAIN) -> RefusedInput:
    """Return the error for parts that do not belong together."""
    return RefusedInput("ARTIFACT_MISALIGNED", message, hint)
