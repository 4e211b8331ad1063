"""How much of an artifact is believed before it is refused."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Budgets for reading a run; what lies over one is refused with the figure found.

    Attributes:
        max_checkpoint_bytes: size of one checkpoint file; activations are mapped, not loaded.
        max_zip_entries: entries of a checkpoint's zip directory.
        max_pickle_bytes: size of the pickle inside a checkpoint; the texts stand in it.
        max_pickle_opcodes: steps of the pickle's program; a text takes two.
        max_texts: texts of a run.
        max_one_text_bytes: UTF-8 bytes of one text.
        max_text_bytes: all texts together, in UTF-8 and in memory.
        max_features: columns of the feature activations.
        max_activation_dim: columns of the original activations.
        max_sae_bytes: float32 copies of the autoencoder's weights.
        max_metadata_bytes: size of metadata.json.
        alignment_rows: rows over which the features are recomputed; all rows of a smaller run.
        alignment_max_error: largest relative Frobenius error at which features and autoencoder belong together.
        alignment_seed: which rows are taken.
    """

    max_checkpoint_bytes: int = 256 * GIB
    max_zip_entries: int = 4096
    max_pickle_bytes: int = GIB
    max_pickle_opcodes: int = 1 << 21
    max_texts: int = 500_000
    max_one_text_bytes: int = 16 * MIB
    max_text_bytes: int = GIB
    max_features: int = 1 << 17
    max_activation_dim: int = 1 << 17
    max_sae_bytes: int = 8 * GIB
    max_metadata_bytes: int = 64 * MIB
    alignment_rows: int = 256
    alignment_max_error: float = 0.05
    alignment_seed: int = 0
