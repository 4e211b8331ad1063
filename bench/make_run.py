"""Make a seeded run of any size in the trainer's three files.

    python bench/make_run.py DIR --texts 5220 --features 512 --dim 5120

Texts are Zipf-distributed words around a topic each; originals follow the topics, so that features have something
to respond to. The same options always make the same run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

JOB_ID = "train_20260101_000000_0001"
TOPICS = 64
VOCABULARY = 30_000
ROW_BLOCK = 4096


def main() -> None:
    """Read the options and write the run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--texts", type=int, default=5_220)
    parser.add_argument("--text-bytes", type=int, default=2_000)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--dim", type=int, default=5_120)
    parser.add_argument("--density", type=float, default=0.08, help="share of texts that a feature fires on")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write_run(options.directory, options)
    print(f"{options.directory}: {options.texts} texts, {options.features} features, d = {options.dim}")


def write_run(directory: Path, options: argparse.Namespace) -> None:
    """Write models/<job>/ and activations/<job>/ under a directory."""
    random = np.random.default_rng(options.seed)
    topics = random.integers(TOPICS, size=options.texts)
    originals = make_originals(random, topics, options.dim)
    weight, bias = make_encoder(random, originals, options.features, options.density)
    features = torch.relu(originals @ weight.T + bias)
    models, activations = directory / "models" / JOB_ID, directory / "activations" / JOB_ID
    for folder in (models, activations):
        folder.mkdir(parents=True, exist_ok=True)
    state = {
        "encoder.weight": weight,
        "encoder.bias": bias,
        "decoder.weight": weight.T.contiguous(),
        "decoder.bias": torch.zeros(options.dim),
    }
    torch.save(
        {"model_state_dict": state, "hidden_dim": options.features, "input_dim": options.dim}, models / "sae_model.pt"
    )
    torch.save(
        {
            "feature_activations": features,
            "original_activations": originals,
            "texts": make_texts(random, topics, options.text_bytes),
            "feature_count": options.features,
            "activation_dim": options.dim,
        },
        activations / "feature_activations.pt",
    )
    metadata = {"job_id": JOB_ID, "timestamp": "2026-01-01T00:00:00", "ready_for_find_service": True}
    (activations / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")


def make_originals(random: np.random.Generator, topics: np.ndarray, dim: int) -> torch.Tensor:
    """Return [n, d] float32: a direction for each topic, and noise."""
    directions = random.standard_normal((TOPICS, dim), dtype=np.float32)
    originals = np.empty((len(topics), dim), dtype=np.float32)
    for start in range(0, len(topics), ROW_BLOCK):
        rows = slice(start, start + ROW_BLOCK)
        noise = random.standard_normal((len(topics[rows]), dim), dtype=np.float32)
        originals[rows] = 0.5 * directions[topics[rows]] + noise
    return torch.from_numpy(originals)


def make_encoder(
    random: np.random.Generator, originals: torch.Tensor, features: int, density: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight [F, d] and bias [F]: each feature looks near a text, its bias sets the density."""
    chosen = torch.from_numpy(random.integers(len(originals), size=features))
    weight = torch.nn.functional.normalize(
        originals[chosen] + torch.from_numpy(random.standard_normal((features, originals.shape[1]), dtype=np.float32))
    )
    sample = originals[:: max(1, len(originals) // 2048)] @ weight.T
    return weight, -torch.quantile(sample, 1 - density, dim=0)


def make_texts(random: np.random.Generator, topics: np.ndarray, size: int) -> list[str]:
    """Return texts of about `size` bytes: a third of the words are the topic's own."""
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = np.array(["".join(random.choice(letters, size=random.integers(3, 11))) for _ in range(VOCABULARY)])
    count = max(1, size // 7)
    texts = []
    for topic in topics:
        common = random.zipf(1.3, size=count) % VOCABULARY
        own = (random.zipf(1.5, size=count) % 200 + topic * 300) % VOCABULARY
        texts.append(" ".join(words[np.where(random.random(count) < 0.33, own, common)])[:size])
    return texts


if __name__ == "__main__":
    main()
