"""Plant features of known kinds, analyse them, and print how well the analysis tells them apart.

    make bench-truth                                          the example run and generated texts
    python -m bench.truth --seed 1                            another draw: 1 to 5 are for tuning
    python -m bench.truth --run DIR --sources FILE.csv        other real texts, with the source of each

The exit code is 1 where a figure misses its target.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.truth.corpora import real_corpus, with_copies
from bench.truth.figures import all_figures
from bench.truth.generated import generated_corpus
from bench.truth.measures import COMPARISONS, MEASURES, compare
from bench.truth.measuring import measure
from bench.truth.planting import generator, plant_all
from bench.truth.table import between_markers, figure_table, kind_table, markdown, measure_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.truth.corpora import Corpus
    from bench.truth.figure import Figure
    from bench.truth.measuring import Outcome

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "measures.md"
REPORTING_SEED = 20261125
"""Never used to tune; 1 to 5 are."""


def main() -> int:
    """Read the options, plant, measure, print."""
    options = _options()
    begun_s = time.monotonic()
    corpora = [
        measure(
            corpus, plant_all(corpus, options.seed), threads=options.threads, originals=not options.without_originals
        )
        for corpus in _corpora(options)
    ]
    figures = all_figures(corpora)
    names = [outcomes[0].corpus.name for outcomes in corpora]
    tables = "\n".join(map(markdown, (figure_table(figures, names), measure_table(corpora), kind_table(corpora))))
    print(tables)
    _write(options, corpora, figures, tables)
    missed = sum(figure.met is False for figure in figures)
    print(f"seed {options.seed}, {time.monotonic() - begun_s:.0f} s, {missed} figures missed")
    return 1 if missed and not options.no_fail else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.truth", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=REPORTING_SEED, help=f"default {REPORTING_SEED}, for reports only")
    parser.add_argument("--run", type=Path, default=ROOT / "examples" / "run", help="a training run of real texts")
    parser.add_argument("--sources", type=Path, default=ROOT / "examples" / "text_sources.csv", help="row,source,...")
    parser.add_argument("--corpus", choices=("real", "generated", "both"), default="both")
    parser.add_argument("--without-originals", action="store_true", help="as a run that lacks original activations")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--features", type=Path, help="write one CSV row a planted feature here")
    parser.add_argument("--update-docs", action="store_true", help=f"write the tables into {PAGE.relative_to(ROOT)}")
    parser.add_argument("--no-fail", action="store_true", help="exit with 0 where a target is missed")
    return parser.parse_args()


def _corpora(options: argparse.Namespace) -> list[Corpus]:
    found = []
    if options.corpus != "generated":
        found.append(real_corpus(options.run, options.sources))
    if options.corpus != "real":
        found.append(generated_corpus(generator(options.seed, "generated")))
    return [with_copies(corpus, generator(options.seed, corpus.name, "copies")) for corpus in found]


def _write(
    options: argparse.Namespace, corpora: Sequence[Sequence[Outcome]], figures: Sequence[Figure], tables: str
) -> None:
    if options.json is not None:
        _write_json(options.json, options.seed, corpora, figures)
    if options.features is not None:
        _write_features(options.features, [outcome for outcomes in corpora for outcome in outcomes])
    if options.update_docs:
        PAGE.write_text(between_markers(PAGE.read_text(encoding="utf-8"), tables), encoding="utf-8")


def _write_json(path: Path, seed: int, corpora: Sequence[Sequence[Outcome]], figures: Sequence[Figure]) -> None:
    """Write the figures, and the AUROC of every measure in every comparison with its interval."""
    aurocs = {(name, comparison): compare(corpora, name, comparison) for comparison in COMPARISONS for name in MEASURES}
    content = {
        "seed": seed,
        "figures": [asdict(figure) | {"met": figure.met} for figure in figures],
        "auroc": [
            {"measure": name, "comparison": comparison, "value": found.value, "interval": found.interval}
            for (name, comparison), found in aurocs.items()
            if found is not None
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_features(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write what is needed to look at single features: truth, measures, verdicts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["corpus", "feature_id", "kind", "name", "positives", "category", "keywords", "flags", *MEASURES]
        )
        for outcome in outcomes:
            planted, report = outcome.planted, outcome.report
            writer.writerow(
                [
                    outcome.corpus.name,
                    report.feature_id,
                    planted.kind,
                    planted.name,
                    planted.positives,
                    report.pattern_category,
                    "; ".join(report.pattern_keywords),
                    " ".join(report.flags),
                    *(score(outcome) for score in MEASURES.values()),
                ]
            )


if __name__ == "__main__":
    sys.exit(main())
