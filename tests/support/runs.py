"""Synthetic training runs in exactly the three files that the trainer writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

JOB_ID = "train_20260102_030405_0001"
TOKEN = "hf_doNotLeakThisToken"  # noqa: S105 - a made-up token that must never show up anywhere

_WORDS = [
    "river",
    "stone",
    "harvest",
    "letter",
    "engine",
    "garden",
    "winter",
    "window",
    "compass",
    "market",
    "teacher",
    "copper",
    "signal",
    "thunder",
    "recipe",
    "ladder",
    "violin",
    "kernel",
    "pocket",
    "harbour",
    "lantern",
    "feather",
    "ticket",
    "button",
    "meadow",
    "hammer",
    "mirror",
    "island",
    "pepper",
    "saddle",
]


@dataclass(frozen=True)
class RunPaths:
    """Where the files of one run lie; `root` holds models/ and activations/."""

    root: Path
    training_job_id: str
    activations: Path
    sae_model: Path
    metadata: Path


@dataclass
class RunContents:
    """The three files as objects, to be changed before they are saved."""

    job_id: str
    activations: dict[str, Any]
    sae: dict[str, Any]
    metadata: dict[str, Any]

    def weight(self, name: str) -> torch.Tensor:
        """Return one entry of the SAE's state dict."""
        tensor: torch.Tensor = self.sae["model_state_dict"][name]
        return tensor

    def encode(self) -> None:
        """Recompute the features from originals and weights, in the dtype they had."""
        x = self.activations["original_activations"].float()
        product = x @ self.weight("encoder.weight").float().T + self.weight("encoder.bias").float()
        self.activations["feature_activations"] = torch.relu(product).to(self.activations["feature_activations"].dtype)


def paths(root: Path, job_id: str = JOB_ID) -> RunPaths:
    """Return where the files of a run lie, whether they are there or not."""
    return RunPaths(
        root=root,
        training_job_id=job_id,
        activations=root / "activations" / job_id / "feature_activations.pt",
        sae_model=root / "models" / job_id / "sae_model.pt",
        metadata=root / "activations" / job_id / "metadata.json",
    )


def write_run(
    root: Path,
    *,
    job_id: str = JOB_ID,
    texts: Sequence[str] | None = None,
    n_texts: int = 200,
    n_features: int = 24,
    d: int = 16,
    seed: int = 0,
    features_dtype: torch.dtype = torch.float32,
    sae_dtype: torch.dtype = torch.float32,
) -> RunPaths:
    """Write a run whose features follow from its vectors and weights; `texts` overrides `n_texts`."""
    contents = make_run(
        job_id=job_id,
        texts=texts,
        n_texts=n_texts,
        n_features=n_features,
        d=d,
        seed=seed,
        features_dtype=features_dtype,
        sae_dtype=sae_dtype,
    )
    return save_run(contents, root)


def make_run(
    *,
    job_id: str = JOB_ID,
    texts: Sequence[str] | None = None,
    n_texts: int = 200,
    n_features: int = 24,
    d: int = 16,
    seed: int = 0,
    features_dtype: torch.dtype = torch.float32,
    sae_dtype: torch.dtype = torch.float32,
) -> RunContents:
    """Make the contents of `write_run` in memory; about one feature in six fires on a text."""
    generator = torch.Generator().manual_seed(seed)
    texts = synthetic_texts(n_texts, seed) if texts is None else list(texts)
    originals = torch.randn(len(texts), d, generator=generator)
    encoder = torch.randn(n_features, d, generator=generator) / d**0.5
    state = {
        "encoder.weight": encoder.to(sae_dtype),
        "encoder.bias": torch.full((n_features,), -1.0, dtype=sae_dtype),
        "decoder.weight": (encoder.T.contiguous() + 0.05 * torch.randn(d, n_features, generator=generator)).to(
            sae_dtype
        ),
        "decoder.bias": (0.01 * torch.randn(d, generator=generator)).to(sae_dtype),
    }
    contents = RunContents(job_id, _activations(texts, originals, n_features, features_dtype), _sae(state), {})
    contents.encode()
    refresh_metadata(contents)
    return contents


def save_run(contents: RunContents, root: Path) -> RunPaths:
    """Write the three files."""
    where = paths(root, contents.job_id)
    where.activations.parent.mkdir(parents=True, exist_ok=True)
    where.sae_model.parent.mkdir(parents=True, exist_ok=True)
    torch.save(contents.activations, where.activations)
    torch.save(contents.sae, where.sae_model)
    where.metadata.write_text(json.dumps(contents.metadata, indent=2), encoding="utf-8")
    return where


def synthetic_texts(n: int, seed: int = 0) -> list[str]:
    """Return n distinct texts of 6 to 13 plain words."""
    rng = np.random.default_rng(seed)
    picks = (rng.choice(_WORDS, size=int(rng.integers(6, 14))) for _ in range(n))
    return [f"{' '.join(words)} number {row}." for row, words in enumerate(picks)]


def refresh_metadata(contents: RunContents) -> None:
    """Make metadata.json say what the tensors say."""
    features = contents.activations["feature_activations"].float()
    n, n_features = features.shape
    d = int(contents.sae["input_dim"])
    rates = (features > 0).float().mean(0).tolist() if n else [0.0] * n_features
    means = features.mean(0).tolist() if n else [0.0] * n_features
    maxima = features.max(0).values.tolist() if n else [0.0] * n_features
    active = sum(rate > 0 for rate in rates)
    job = contents.job_id
    contents.metadata = {
        "job_id": job,
        "service": "miStudioTrain",
        "version": "1.2.0",
        "timestamp": "2026-01-02T03:04:05.678901",
        "model_info": {
            **contents.activations["model_info"],
            "actual_model_loaded": "synthetic/tiny",
            "architecture": "TinyModel",
            "total_layers": 6,
            "selected_layer": 3,
            "hidden_size": d,
            "vocab_size": 32000,
            "requires_token": True,
        },
        "memory_optimizations_applied": {"fp16": False},
        "sae_config": {"input_dim": d, "hidden_dim": n_features, "sparsity_coeff": 0.001, "learning_rate": 0.0003},
        "training_results": {"final_loss": 0.0125, "epochs_trained": 4, "final_sparsity": 0.17},
        "feature_statistics": {
            "total_features": n_features,
            "active_features_count": active,
            "dead_features_count": n_features - active,
            "avg_activation_frequency": sum(rates) / n_features if n_features else 0.0,
            "feature_activation_rates": rates,
            "feature_mean_activations": means,
            "feature_max_activations": maxima,
            "total_samples_processed": n,
            "batches_processed": -(-n // 32),
        },
        "data_info": {
            "text_count": len(contents.activations.get("texts", [])),
            "activation_shape": [n, d],
            "feature_activation_shape": [n, n_features],
        },
        "paths": {
            "model_path": f"/trainer/data/models/{job}/sae_model.pt",
            "activations_path": f"/trainer/data/activations/{job}/feature_activations.pt",
            "metadata_path": f"/trainer/data/activations/{job}/metadata.json",
        },
        "ready_for_find_service": True,
    }


def _activations(
    texts: list[str], originals: torch.Tensor, n_features: int, features_dtype: torch.dtype
) -> dict[str, Any]:
    return {
        "feature_activations": torch.zeros(len(texts), n_features, dtype=features_dtype),
        "original_activations": originals,
        "texts": texts,
        "feature_count": n_features,
        "activation_dim": originals.shape[1],
        "model_info": {"model_name": "synthetic/tiny"},
    }


def _sae(state: dict[str, torch.Tensor]) -> dict[str, Any]:
    hidden, width = state["encoder.weight"].shape
    return {
        "model_state_dict": state,
        "config": {"model_name": "synthetic/tiny", "huggingface_token": TOKEN, "max_epochs": 4},
        "training_stats": {
            "losses": [np.float64(0.5), np.float64(0.0125)],
            "sparsity_levels": [np.float64(0.3), np.float64(0.17)],
            "reconstruction_errors": [np.float64(0.4), np.float64(0.01)],
        },
        "input_dim": width,
        "hidden_dim": hidden,
        "sparsity_coeff": 0.001,
        "model_info": {"model_name": "synthetic/tiny"},
        "memory_optimizations": {"fp16": False},
    }
