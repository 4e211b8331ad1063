"""What a real analysis publishes is what the schemas promise: not only the results that tests make by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from jsonschema import Draft202012Validator
from lxml import etree
from support.runs import write_run

from mistudio_worker.analysis.analyze import analyze
from mistudio_worker.analysis.taxonomy import default_taxonomy
from mistudio_worker.analysis.version import ANALYSIS_VERSION
from mistudio_worker.artifacts.reader import read_training_run
from mistudio_worker.artifacts.run_dir import find_run
from mistudio_worker.domain.identity import derive_identity
from mistudio_worker.domain.parameters import Parameters
from mistudio_worker.exports.write_exports import write_exports

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "schemas"


def example(_root: Path) -> Path:
    """The run that ships in the repository."""
    return ROOT / "examples" / "run"


def nothing_in_common(root: Path) -> Path:
    """Texts that share no word, so that likeness in words is 0 and nothing below."""
    write_run(root, texts=[f"word{i} other{i} third{i}" for i in range(120)])
    return root


def one_text(root: Path) -> Path:
    """The smallest run."""
    write_run(root, n_texts=1)
    return root


def without_words(root: Path) -> Path:
    """Texts that hold nothing that is a word."""
    write_run(root, texts=["", " ", "\0", "!?"] * 20)
    return root


def published(run_dir: Path, out: Path) -> dict[str, Path]:
    """Analyse as a worker does; format -> file."""
    run = read_training_run(find_run(run_dir))
    identity = derive_identity(
        run.training_job_id,
        fingerprints={},
        parameters=Parameters(),
        taxonomy_sha256=default_taxonomy().sha256,
        analysis_version=ANALYSIS_VERSION,
        metadata_timestamp=run.metadata.timestamp,
    )
    result = analyze(run, identity=identity, parameters=Parameters(), taxonomy=default_taxonomy())
    out.mkdir()
    return {file.format: file.path for file in write_exports(result, out, on_progress=lambda _done, _total: None)}


@pytest.mark.parametrize("make", [example, nothing_in_common, one_text, without_words])
def test_every_export_is_valid(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """JSON and index hold to their schema, XML to its own, Parquet and `.pt` can be read."""
    files = published(make(tmp_path / "run"), tmp_path / "out")
    for name in ("results", "index"):
        schema = json.loads((SCHEMAS / f"{name}.v1.json").read_text())
        instance = json.loads(files["json" if name == "results" else "index"].read_bytes())
        faults = [f"{e.json_path}: {e.message[:200]}" for e in Draft202012Validator(schema).iter_errors(instance)]
        assert faults == []
    xsd = etree.XMLSchema(etree.parse(SCHEMAS / "results.xsd"))
    xsd.assertValid(etree.parse(files["xml"]))
    torch.load(files["pytorch"], weights_only=True)
