"""What is missing from a run, put into words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mistudio_worker.domain.training_run import Gap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mistudio_worker.artifacts.values import BadColumns

_SHOWN = 5


def of_files(metadata: Gap | None, *, has_sae: bool, has_originals: bool) -> Iterator[Gap]:
    """Yield the gaps of whole files and entries."""
    if metadata is not None:
        yield metadata
    if not has_sae:
        yield Gap(
            "SAE_MISSING",
            "sae_model.pt is absent: no geometry of the features, and features were not checked against it",
        )
    if not has_originals:
        yield Gap(
            "ORIGINALS_MISSING",
            "feature_activations.pt has no original_activations: no coherence or diversity in the activation space,"
            " and features were not checked against them",
        )


def of_values(columns: BadColumns, rows: tuple[int, ...], *, texts: int) -> Iterator[Gap]:
    """Yield the gaps of cells that no training produces."""
    if columns.not_finite:
        yield _of_columns("FEATURE_NOT_FINITE", "NaN or infinite", columns.not_finite)
    if columns.negative:
        yield _of_columns("FEATURE_NEGATIVE", "negative, impossible after a ReLU", columns.negative)
    if rows:
        unchecked = ", and features were not checked against them" if len(rows) == texts else ""
        yield Gap(
            "ORIGINAL_NOT_FINITE",
            f"{len(rows):,} of {texts:,} original activations hold NaN or infinite values (texts {_first(rows)}):"
            f" they take no part in measures over the activation space{unchecked}",
            texts=rows,
        )


def _of_columns(code: str, what: str, cells: Mapping[int, int]) -> Gap:
    ids = tuple(cells)
    return Gap(
        code,
        f"{sum(cells.values()):,} feature activations in {len(ids):,} features are {what} (features {_first(ids)}):"
        " these features were not analysed",
        features=ids,
    )


def _first(ids: Sequence[int]) -> str:
    shown = ", ".join(map(str, ids[:_SHOWN]))
    return shown if len(ids) <= _SHOWN else f"{shown} and {len(ids) - _SHOWN:,} more"
