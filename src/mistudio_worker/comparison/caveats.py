"""What else than the features differs between two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mistudio_worker.domain.comparison import ComparedRun
    from mistudio_worker.domain.training_run import TrainingMetadata


def caveats_of(a: ComparedRun, b: ComparedRun) -> tuple[str, ...]:
    """Name what makes scores, tiers and categories of two results differ although no feature did."""
    differences = {
        f"the analysis versions differ ({a.analysis} and {b.analysis}): scores, tiers and categories may differ for "
        "that alone": a.analysis != b.analysis,
        "the taxonomies differ: categories may differ for that alone": a.taxonomy_sha256 != b.taxonomy_sha256,
        f"top_k differs ({a.top_k} and {b.top_k}): keywords and categories may differ for that alone": (
            a.top_k != b.top_k
        ),
    }
    return tuple(caveat for caveat, there in differences.items() if there)


def space_difference(a: TrainingMetadata, b: TrainingMetadata) -> str | None:
    """Say how the activations of two runs differ; None where the metadata do not tell of a difference.

    Decoder directions of another model or layer lie in another space, however equal its dimension.
    """
    if a.model_name and b.model_name and a.model_name != b.model_name:
        return f"the models differ ({a.model_name} and {b.model_name})"
    if a.layer is not None and b.layer is not None and a.layer != b.layer:
        return f"the layers differ ({a.layer} and {b.layer})"
    return None
