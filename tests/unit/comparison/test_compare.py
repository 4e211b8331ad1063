"""What appeared, vanished and changed, and the figures of the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.comparisons import compared, figures, given_similarities, run_figures, small_comparison
from support.memory_runs import blocks, random_sae, run_of

from mistudio_worker.analysis.execution import Execution
from mistudio_worker.comparison.decoders import decoder_similarities
from mistudio_worker.comparison.of_runs import run_similarities
from mistudio_worker.comparison.top_texts import top_text_similarities
from mistudio_worker.domain.comparison import ComparisonOptions, NotCompared, RunFigures, TierCounts, TierMove
from mistudio_worker.domain.training_run import SaeWeights, TrainingMetadata, TrainingRun
from mistudio_worker.errors import RefusedInput


def results_of(cells: np.ndarray, seed: int = 0) -> RunFigures:
    """Results that follow from activations: each feature with a score of its own, and its top texts."""
    scores = np.round(np.random.default_rng(seed).random(cells.shape[1]), 3)
    features = []
    for f, column in enumerate(cells.T):
        top = sorted((i for i in range(len(column)) if column[i] > 0), key=lambda i: (-column[i], i))[:20]
        texts = [(f"text number {i}", float(column[i])) for i in top]
        features.append(figures(f, float(scores[f]), None if top else "dead", texts=texts))
    return run_figures(features)


def random_run(features: int, seed: int, dim: int = 64, rows: int = 150) -> TrainingRun:
    """A run whose features fire on a fifth of the texts; feature 1 is dead."""
    random = np.random.default_rng(seed)
    cells = np.where(random.random((rows, features)) < 0.2, random.gamma(2, 1, (rows, features)), 0)
    cells[:, 1] = 0
    return replace(run_of(cells), sae=random_sae(features, dim, seed))


def cells_of(run: TrainingRun) -> np.ndarray:
    """Its activations."""
    cells: np.ndarray = run.features.rows(0, run.features.shape[0]).numpy()
    return cells


def permuted(run: TrainingRun, order: np.ndarray) -> TrainingRun:
    """The same run with its features in another order."""
    assert run.sae is not None
    index = torch.from_numpy(order)
    sae = SaeWeights(
        run.sae.encoder_weight[index],
        run.sae.encoder_bias[index],
        run.sae.decoder_weight[:, index],
        run.sae.decoder_bias,
    )
    return replace(run, features=blocks(cells_of(run)[:, order]), sae=sae)


class TestChanges:
    def test_each_kind(self) -> None:
        """Scores that move by 0.1, tiers and categories are changes, smaller moves are none."""
        found = small_comparison()
        assert [(p.feature_a, p.feature_b, p.changes) for p in found.pairs] == [
            (0, 1, ()),
            (1, 0, ()),
            (2, 2, ("category",)),
        ]
        pair = compared(
            run_figures([figures(0, 0.7)]), run_figures([figures(9, 0.6)]), given_similarities([[1.0]])
        ).pairs[0]
        assert (pair.feature_b, pair.changes, pair.score_change) == (9, ("score",), -0.1)
        pair = compared(
            run_figures([figures(0, 0.61)]), run_figures([figures(0, 0.59)]), given_similarities([[1.0]])
        ).pairs[0]
        assert (pair.changes, pair.score_change) == (("tier",), -0.02)

    def test_a_score_that_is_not_defined_does_not_change(self) -> None:
        """Where a feature died the tier has changed; its score of 0 is no score."""
        a, b = run_figures([figures(0, 0.9)]), run_figures([figures(0, 0.0, "dead")])
        pair = compared(a, b, given_similarities([[0.9]])).pairs[0]
        assert (pair.score_change, pair.changes, pair.score_b) == (None, ("tier",), 0.0)

    def test_the_amount_is_an_option(self) -> None:
        """With 0.5 nothing less is a change of the score."""
        a, b = run_figures([figures(0, 0.9)]), run_figures([figures(0, 0.45, "excellent")])
        for amount, changes in ((0.45, ("score",)), (0.5, ())):
            assert (
                compared(a, b, given_similarities([[1.0]]), ComparisonOptions(None, amount)).pairs[0].changes == changes
            )


class TestLone:
    def test_appeared_and_vanished(self) -> None:
        """Each with its nearest: too far, or matched with a feature that is more similar to it."""
        found = small_comparison()
        assert [(f.feature_id, f.nearest_feature, f.nearest_similarity) for f in found.vanished] == [(3, 1, 0.8)]
        assert [(f.feature_id, f.nearest_feature, f.nearest_similarity) for f in found.appeared] == [(3, 0, 0.1)]
        assert found.vanished[0].pattern_keywords == ("word3", "=sum", '{"type"', "naïve", "15min")

    def test_dead_features_neither_appear_nor_vanish(self) -> None:
        """That another one never fires is no news."""
        found = small_comparison()
        assert found.not_compared == NotCompared("nothing to match by", (4,), (4,))

    def test_a_feature_that_died_is_matched_by_its_direction(self) -> None:
        """The decoder tells which one it was."""
        a, b = run_figures([figures(0, 0.9)]), run_figures([figures(0, 0.0, "dead")])
        sae = random_sae(1, 64)
        found = compared(a, b, decoder_similarities(sae, sae))
        assert [(p.tier_a, p.tier_b) for p in found.pairs] == [("excellent", "dead")]

    @pytest.mark.parametrize("side", ["A", "B"])
    def test_nothing_to_match_by_is_refused(self, side: str) -> None:
        """Where no feature of a run is comparable the error says whose, and by what."""
        a, b = run_figures([figures(0), figures(1)]), run_figures([figures(0), figures(1)])
        none = {f"comparable_{side.lower()}": [False, False]}
        with pytest.raises(RefusedInput, match=f"RUNS_NOT_COMPARABLE: none of the 2 features of {side}"):
            compared(a, b, given_similarities(np.eye(2), **none))


class TestSummary:
    def test_figures(self) -> None:
        """By hand, over the three pairs of the small comparison."""
        summary = small_comparison().summary
        assert (summary.matched, summary.changed, summary.vanished, summary.appeared) == (3, 1, 1, 1)
        assert (summary.matched_share_a, summary.matched_share_b, summary.median_similarity) == (0.75, 0.75, 0.95)
        assert summary.score_correlation == pytest.approx(np.corrcoef([0.85, 0.62, 0.45], [0.84, 0.63, 0.41])[0, 1])
        assert summary.mean_score_change == pytest.approx((-0.01 + 0.01 - 0.04) / 3)
        assert summary.tiers["excellent"] == TierCounts(1, 1)
        assert summary.tiers["insufficient"] == TierCounts(0, 1)
        assert next(iter(summary.tiers)) == "excellent"
        assert summary.tier_moves == (
            TierMove("excellent", "excellent", 1),
            TierMove("good", "good", 1),
            TierMove("fair", "fair", 1),
        )

    def test_shares_are_of_the_features_of_each_run(self) -> None:
        """One pair is half of two features and a quarter of four, of which a dead one is not counted."""
        a, b = (
            run_figures([figures(i) for i in range(2)]),
            run_figures([figures(i) for i in range(4)] + [figures(4, 0, "dead")]),
        )
        summary = compared(a, b, given_similarities(np.eye(2, 5) * [[0.9], [0.3]])).summary
        assert (summary.matched_share_a, summary.matched_share_b) == (0.5, 0.25)

    def test_no_pair(self) -> None:
        """Without any pair the figures of pairs are not defined."""
        found = compared(run_figures([figures(0)]), run_figures([figures(0)]), given_similarities([[0.2]]))
        summary = found.summary
        assert (summary.matched_share_a, summary.matched_share_b) == (0.0, 0.0)
        assert (summary.median_similarity, summary.score_correlation, summary.mean_score_change) == (None, None, None)

    @pytest.mark.parametrize(("scores", "defined"), [([0.5, 0.6], False), ([0.5] * 3, False), ([0.5, 0.5, 0.6], True)])
    def test_correlation_needs_three_pairs_that_vary(self, scores: list[float], defined: bool) -> None:  # noqa: FBT001
        """Two pairs always lie on a line, and equal scores on none."""
        run = run_figures([figures(i, score) for i, score in enumerate(scores)])
        correlation = compared(run, run, given_similarities(np.eye(len(scores)))).summary.score_correlation
        assert (correlation is not None) == defined

    def test_what_else_differs_is_told(self) -> None:
        """Other formulas, another taxonomy, another top_k: a change may come from them alone."""
        a = run_figures([figures(0)])
        b = run_figures([figures(0)], analysis="2.0", taxonomy_sha256="cd" * 32, top_k=5)
        caveats = compared(a, b, given_similarities([[1.0]])).caveats
        assert [caveat.split(":")[0] for caveat in caveats] == [
            "the analysis versions differ (1.0 and 2.0)",
            "the taxonomies differ",
            "top_k differs (20 and 5)",
        ]
        assert compared(a, a, given_similarities([[1.0]])).caveats == ()


class TestInvariance:
    @pytest.mark.parametrize("by", ["decoder", "activation", "top_texts"])
    def test_a_run_against_itself(self, by: str) -> None:
        """Every feature that gives anything to match by is matched with itself, 1.0 alike, and nothing changed."""
        run = random_run(30, 3)
        results = results_of(cells_of(run))
        similarities = (
            top_text_similarities(results, results)
            if by == "top_texts"
            else run_similarities(run, run, by=by, execution=Execution())  # type: ignore[arg-type]
        )
        found = compared(results, results, similarities)
        own = [f for f in range(30) if by == "decoder" or f != 1]
        assert [(p.feature_a, p.feature_b, p.similarity, p.changes) for p in found.pairs] == [
            (f, f, 1.0, ()) for f in own
        ]
        assert (found.vanished, found.appeared) == ((), ())
        assert found.summary.score_correlation == 1.0

    @settings(deadline=None, max_examples=15)
    @given(seed=st.integers(0, 99), by=st.sampled_from(["decoder", "activation", "top_texts"]))
    def test_permuted_features_only_permute(self, seed: int, by: str) -> None:
        """With B's features in another order the pairs are the same under their new ids, to the last bit."""
        a, b = random_run(20, 1, 8), random_run(25, 2, 8)
        order = np.random.default_rng(seed).permutation(25)
        results_a, results_b = results_of(cells_of(a)), results_of(cells_of(b))
        moved_b = RunFigures(
            results_b.run, tuple(replace(results_b.features[f], feature_id=i) for i, f in enumerate(order))
        )
        options = ComparisonOptions(0.05)

        def found(run: TrainingRun, results: RunFigures) -> set[tuple[int, int, float]]:
            similarities = (
                top_text_similarities(results_a, results)
                if by == "top_texts"
                else run_similarities(a, run, by=by, execution=Execution())  # type: ignore[arg-type]
            )
            return {
                (p.feature_a, p.feature_b, p.similarity)
                for p in compared(results_a, results, similarities, options).pairs
            }

        whole = found(b, results_b)
        assert len(whole) > 5
        assert {(f, int(order[g]), s) for f, g, s in found(permuted(b, order), moved_b)} == whole

    def test_what_was_done_to_a_run_is_found(self) -> None:
        """Features permuted, some turned a little, some replaced, some dropped: each is called what it is."""
        a = random_run(40, 5)
        assert a.sae is not None
        order = np.random.default_rng(9).permutation(40)
        b = permuted(a, order[:34])
        assert b.sae is not None
        weight = b.sae.decoder_weight.clone()
        weight[:, :10] += 0.4 * torch.randn(64, 10, generator=torch.Generator().manual_seed(0))
        weight[:, 10:14] = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
        b = replace(b, sae=replace(b.sae, decoder_weight=weight))
        results_a, results_b = results_of(cells_of(a)), results_of(cells_of(b))
        found = compared(results_a, results_b, run_similarities(a, b, by="auto", execution=Execution()))
        same = {g for g in range(34) if not 10 <= g < 14}
        assert {(p.feature_a, p.feature_b) for p in found.pairs} == {(int(order[g]), g) for g in same}
        gone = {int(f) for f in order[10:14]} | {int(f) for f in order[34:]}
        assert {f.feature_id for f in found.vanished} | set(found.not_compared.a) == gone
        assert {f.feature_id for f in found.appeared} | set(found.not_compared.b) == {10, 11, 12, 13}
        assert {p.similarity for p in found.pairs if p.feature_b >= 14} == {1.0}
        assert all(0.8 < p.similarity < 1.0 for p in found.pairs if p.feature_b < 10)


class TestChoice:
    def test_auto_takes_the_decoders_where_it_can(self) -> None:
        """Both there, same d: decoder; without an autoencoder or with another d: activation."""
        a, b = random_run(5, 1), random_run(7, 2)
        wider = replace(b, sae=random_sae(7, 65))
        for other, method in ((b, "decoder"), (replace(b, sae=None), "activation"), (wider, "activation")):
            assert run_similarities(a, other, by="auto", execution=Execution()).method == method
        assert run_similarities(a, b, by="activation", execution=Execution()).method == "activation"

    @pytest.mark.parametrize(
        "metadata", [TrainingMetadata(model_name="m", layer=4), TrainingMetadata(model_name="n", layer=3)]
    )
    def test_decoders_of_another_space_are_taken_only_when_asked_for(self, metadata: TrainingMetadata) -> None:
        """The same d of another layer or model is chance; who asks for it all the same is told."""
        a = replace(random_run(5, 1), metadata=TrainingMetadata(model_name="m", layer=3))
        b = replace(random_run(5, 2), metadata=metadata)
        assert run_similarities(a, b, by="auto", execution=Execution()).method == "activation"
        asked = run_similarities(a, b, by="decoder", execution=Execution())
        assert (asked.method, "different spaces" in asked.caveats[0]) == ("decoder", True)

    @pytest.mark.parametrize(
        ("by", "change", "words"),
        [
            ("decoder", {"sae": None}, "B has no autoencoder"),
            ("decoder", {"sae": random_sae(7, 65)}, "of A have 64 dimensions, those of B 65"),
            ("activation", {"texts": [f"other {i}" for i in range(150)]}, "0 texts in common"),
            (
                "auto",
                {"texts": [f"text number {i + 101}" for i in range(150)], "sae": None},
                "49 texts in common.*no autoencoder",
            ),
        ],
    )
    def test_what_is_missing_is_said(self, by: str, change: dict[str, object], words: str) -> None:
        """Runs that cannot be compared are refused with the reason."""
        a, b = random_run(5, 1), replace(random_run(7, 2), **change)  # type: ignore[arg-type]
        with pytest.raises(RefusedInput, match=f"RUNS_NOT_COMPARABLE: .*{words}"):
            run_similarities(a, b, by=by, execution=Execution())  # type: ignore[arg-type]
