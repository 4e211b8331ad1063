"""All kinds of hostile runs, by name."""

from __future__ import annotations

from support.hostile import metadata, pickles, tensors, texts, zips

FAMILIES = {
    "pickles": pickles.KINDS,
    "archives": zips.KINDS,
    "tensors": tensors.KINDS,
    "texts": texts.KINDS,
    "metadata.json": metadata.KINDS,
}
HOSTILE_RUNS = {name: kind for kinds in FAMILIES.values() for name, kind in kinds.items()}
