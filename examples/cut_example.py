"""Cut the small run of examples/run out of a large one.

    python examples/cut_example.py SRC TEXT_SOURCES_CSV [--out examples/run]

SRC holds models/<job>/ and activations/<job>/ as miStudioTrain writes them; TEXT_SOURCES_CSV has the columns `source`
and `locator`, one row a text; those of the kept texts are written beside the run, as text_sources.csv. Only texts whose
sources may be passed on are kept (see NOTICE.md). The features are those that tell the kept texts apart best, beside
them the densest, the rarest, and a few dead ones: texts on which those fire are left out. Rows and columns are cut,
nothing is trained or made up: the activations are
relu(x W^T + b) of the cut encoder.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

JOB = "train_20261122_090000_0002"
TEXTS = 1600
DISTINCT, DENSE, RARE, DEAD = 144, 6, 6, 4
"""Features of each kind; 160 in all."""
PUBLIC_DOMAIN = """\
kjv sotu usgov austen mobydick plays poems devil jargon elements icd10 dhammapada"""
PERMISSIVE = "pydoc jsonschema kubernetes chat_en cron scheduling"
"""Technical, conversational and temporal texts, which the public domain is poor in."""
KEPT_SOURCES = frozenset(f"{PUBLIC_DOMAIN} {PERMISSIVE}".split())
SEED = 20261122


@dataclass(frozen=True)
class Run:
    """The three files of a training run, decoded."""

    sae: dict[str, Any]
    activations: dict[str, Any]
    metadata: dict[str, Any]


def only_entry(directory: Path) -> Path:
    """The one folder in a folder: the job's."""
    (entry,) = (path for path in directory.iterdir() if path.is_dir())
    return entry


def read_run(source: Path) -> Run:
    """Read a run that is trusted: it comes from our own trainer."""
    model, activations = only_entry(source / "models"), only_entry(source / "activations")
    return Run(
        torch.load(model / "sae_model.pt", weights_only=False),
        torch.load(activations / "feature_activations.pt", weights_only=False),
        json.loads((activations / "metadata.json").read_text()),
    )


def distinctness(active: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """How unevenly each feature fires over the sources, in 0..1: the spread of its rate a source over its largest rate.

    Args:
        active: [n, F] bool.
        sources: [n], the source of each text.

    Returns:
        [F]; 0 for a feature that never fires.
    """
    rates = np.stack([active[sources == name].mean(axis=0) for name in sorted(set(sources))])
    highest = rates.max(axis=0)
    return np.where(highest > 0, 1 - rates.mean(axis=0) / np.where(highest > 0, highest, 1), 0.0)


def choose_features(active: np.ndarray, sources: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Choose columns: the dead-to-be, and the others.

    Returns:
        Two sorted index arrays.
    """
    by_rate = np.argsort(active.mean(axis=0), kind="stable")
    dead, rare, dense = by_rate[:DEAD], by_rate[DEAD : DEAD + RARE], by_rate[-DENSE:]
    taken = set(np.concatenate([dead, rare, dense]).tolist())
    ranked = np.argsort(-distinctness(active, sources), kind="stable")
    distinct = [index for index in ranked.tolist() if index not in taken][:DISTINCT]
    return np.sort(dead), np.sort(np.concatenate([rare, dense, np.array(distinct, dtype=np.int64)]))


def choose_texts(allowed: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Choose TEXTS rows, the same share of each source, in their old order."""
    generator = np.random.default_rng(SEED)
    share = TEXTS / len(allowed)
    chosen: list[int] = []
    for name in sorted(KEPT_SOURCES):
        rows = allowed[sources[allowed] == name]
        chosen.extend(generator.choice(rows, size=round(share * len(rows)), replace=False).tolist())
    return np.sort(np.array(chosen, dtype=np.int64))


def cut(run: Run, sources: np.ndarray) -> tuple[Run, np.ndarray]:
    """Cut rows and columns, and write anew what metadata.json says of them.

    Returns:
        The cut run, and the rows that were kept.
    """
    weights = run.sae["model_state_dict"]
    kept_rows = np.flatnonzero(np.isin(sources, sorted(KEPT_SOURCES)))
    active = (run.activations["feature_activations"].numpy() > 0)[kept_rows]
    dead, living = choose_features(active, sources[kept_rows])
    columns = torch.from_numpy(np.sort(np.concatenate([dead, living])))
    rows = choose_texts(kept_rows[~active[:, dead].any(axis=1)], sources)
    cut_weights = {
        "encoder.weight": weights["encoder.weight"][columns].clone(),
        "encoder.bias": weights["encoder.bias"][columns].clone(),
        "decoder.weight": weights["decoder.weight"][:, columns].clone(),
        "decoder.bias": weights["decoder.bias"].clone(),
    }
    vectors = run.activations["original_activations"][torch.from_numpy(rows)].clone()
    features = torch.relu(vectors @ cut_weights["encoder.weight"].T + cut_weights["encoder.bias"])
    sae = run.sae | {"model_state_dict": cut_weights, "hidden_dim": len(columns)}
    sae["config"] = run.sae["config"] | {"hidden_dim": len(columns)}
    activations = run.activations | {
        "feature_activations": features,
        "original_activations": vectors,
        "texts": [run.activations["texts"][row] for row in rows],
        "feature_count": len(columns),
    }
    return Run(sae, activations, describe(run.metadata, features, vectors)), rows


def describe(metadata: dict[str, Any], features: torch.Tensor, vectors: torch.Tensor) -> dict[str, Any]:
    """The metadata of the cut run; what is told of the training itself stays as it was."""
    rates = (features > 0).float().mean(dim=0)
    count, total = features.shape
    statistics = metadata["feature_statistics"] | {
        "total_features": total,
        "active_features_count": int((rates > 0).sum()),
        "dead_features_count": int((rates == 0).sum()),
        "avg_activation_frequency": float(rates.mean()),
        "feature_activation_rates": rates.tolist(),
        "feature_mean_activations": features.mean(dim=0).tolist(),
        "feature_max_activations": features.max(dim=0).values.tolist(),
        "total_samples_processed": count,
        "batches_processed": -(-count // 32),
    }
    shapes = {
        "text_count": count,
        "activation_shape": list(vectors.shape),
        "feature_activation_shape": list(features.shape),
    }
    paths = {name: str(path).replace(metadata["job_id"], JOB) for name, path in metadata["paths"].items()}
    return metadata | {
        "job_id": JOB,
        "sae_config": metadata["sae_config"] | {"hidden_dim": total},
        "feature_statistics": statistics,
        "data_info": metadata["data_info"] | shapes,
        "paths": paths,
    }


def write_run(run: Run, out: Path) -> None:
    """Write the three files where the bucket has them."""
    model, activations = out / "models" / JOB, out / "activations" / JOB
    model.mkdir(parents=True, exist_ok=True)
    activations.mkdir(parents=True, exist_ok=True)
    torch.save(run.sae, model / "sae_model.pt")
    torch.save(run.activations, activations / "feature_activations.pt")
    (activations / "metadata.json").write_text(json.dumps(run.metadata, indent=2))


def write_sources(sources: list[dict[str, str]], rows: np.ndarray, out: Path) -> None:
    """Write where the text of each kept row comes from."""
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "source", "locator"])
        kept = (sources[row] for row in rows)
        writer.writerows([row, entry["source"], entry["locator"]] for row, entry in enumerate(kept))


def main() -> None:
    """Read, cut, write, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path)
    parser.add_argument("text_sources", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("run"))
    arguments = parser.parse_args()
    with arguments.text_sources.open(newline="") as file:
        sources = list(csv.DictReader(file))
    run, rows = cut(read_run(arguments.source), np.array([entry["source"] for entry in sources]))
    write_run(run, arguments.out)
    write_sources(sources, rows, arguments.out.with_name("text_sources.csv"))
    statistics = run.metadata["feature_statistics"]
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{run.metadata['data_info']}, dead {statistics['dead_features_count']}, {size:,} bytes")


if __name__ == "__main__":
    main()
