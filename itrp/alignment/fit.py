"""All stages, one after the other: frozen features of unlabelled pairs in, a fitted alignment and its held-out figures out.

Everything goes block by block over the features, which may lie on the disk: beside them memory grows by some 40 bytes a pair.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from itrp.alignment.cca import Moments, Projection, solve_cca, sum_moments, turn_towards
from itrp.alignment.config import AlignmentConfig
from itrp.alignment.decide import Decision, decide
from itrp.alignment.folds import Keys, assign_folds, draw_partners, find_enough_groups
from itrp.alignment.gate import area
from itrp.alignment.prepare import Preparation, TakeRows, fit_preparation, iter_blocks, take_tensor
from itrp.alignment.score import Partners, score_pairs
from itrp.alignment.share import estimate_share, posterior
from itrp.errors import DataError
from itrp.progress import Progress, ignore_progress

PARTS = (1 / 8, 1 / 8, 1 / 4, 1 / 2)
"""The training pairs in nested parts: models of 1/8, 1/4, 1/2 and all of them make the curve."""
CURVE_PAIRS = 4000
"""Held-out pairs that a point of the curve is measured on, at most."""


@dataclass(frozen=True, eq=False)
class PairFeatures:
    """Frozen features of n pairs, read when they are wanted."""

    texts: TakeRows
    """Row numbers -> [m, dt]"""
    images: TakeRows
    """Row numbers -> [m, di]"""
    text_keys: Keys
    image_keys: Keys
    """[n] each (`itrp.alignment.folds.content_keys`)."""

    def __len__(self) -> int:
        return len(self.text_keys)


@dataclass(frozen=True, eq=False)
class FoldModel:
    """What is learned from all folds but one, and the partners, which are of that one."""

    projection: Projection
    partners: Partners


@dataclass(frozen=True, eq=False)
class FittedAlignment:
    """A model, and what its held-out pairs say about it."""

    preparation: Preparation
    models: tuple[FoldModel, ...]
    """Number f has seen nothing of fold f."""
    folds: NDArray[np.uint8]
    """[n]"""
    true: NDArray[np.float64]
    """z [n] of the pairs, each by the model that has not seen it."""
    shuffled: NDArray[np.float64]
    """The same of each text with another image of its fold [m], m <= n."""
    share: float
    """Estimated share of the pairs that match."""
    decision: Decision
    area: float
    """Of true against shuffled held-out pairs."""
    curve: tuple[tuple[int, float], ...]
    """(pairs learned from, area) with fewer and fewer of them, and with all."""


def fit_alignment(
    pairs: PairFeatures,
    config: AlignmentConfig,
    *,
    seed: int,
    device: torch.device,
    progress: Progress = ignore_progress,
) -> FittedAlignment:
    """Raises DataError for fewer pairs than can be told from chance, or pairs that all share a text or an image."""
    folds, groups = _split(pairs, config, seed)
    preparation = fit_preparation(
        pairs.texts, pairs.images, np.arange(len(pairs)), directions=config.image_directions, device=device
    )
    judge = _Judge(pairs, folds, draw_partners(groups, folds, seed + 1), preparation)
    steps = 2 + config.folds
    progress("aligning texts and images", 0, steps)
    learner = _Learner(pairs, folds, _nested_parts(len(pairs), seed + 3), preparation, config, seed + 2)
    curve = tuple((learner.count(parts), _area(judge, learner, parts)) for parts in range(1, len(PARTS) + 1))
    progress("aligning texts and images", 1, steps)
    models = learner.solve()
    if config.reweight:
        for fold in range(config.folds):
            models[fold] = learner.solve_weighted(fold, _weigh(judge, learner, fold, config), models[fold])
            progress("aligning texts and images", 2 + fold, steps)
    true, shuffled = judge.score(models)
    share = estimate_share(true, shuffled)
    progress("aligning texts and images", steps, steps)
    return FittedAlignment(
        preparation,
        tuple(models),
        folds,
        true,
        shuffled,
        share,
        decide(true, share, seed % 2**32),
        area(true, shuffled),
        curve,
    )


def _area(judge: "_Judge", learner: "_Learner", parts: int) -> float:
    models = [learner.complete(fold, learner.project({fold}, parts)) for fold in range(learner.config.folds)]
    return area(*judge.score(models, CURVE_PAIRS))


def _weigh(judge: "_Judge", learner: "_Learner", held_out: int, config: AlignmentConfig) -> NDArray[np.float64]:
    """[n] how likely each pair matches, by models that have seen neither it nor the fold that is held out.

    By any others the weights would tell of the held-out pairs, and the area on them would be too good (.742 for .695).
    """
    models = [learner.complete(fold, learner.project({fold, held_out})) for fold in range(config.folds)]
    of_others = np.flatnonzero(judge.folds != held_out)
    true, shuffled = judge.score(models, rows=of_others)
    weights = np.zeros(len(judge.folds))
    weights[of_others] = np.maximum(posterior(true, shuffled, estimate_share(true, shuffled)), config.least_weight)
    return weights


def _split(pairs: PairFeatures, config: AlignmentConfig, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Fold and group of each pair."""
    groups = find_enough_groups(pairs.text_keys, pairs.image_keys)
    folds = assign_folds(groups, config.folds, seed)
    largest = np.bincount(folds, minlength=config.folds).max()
    if largest > 0.75 * len(pairs):
        raise DataError(
            f"{largest} of {len(pairs)} pairs hang together by equal texts or equal images, so that nothing can be held out: "
            "remove what is repeated"
        )
    return folds, groups


def _nested_parts(n: int, seed: int) -> NDArray[np.uint8]:
    """[n] which of PARTS each pair is in."""
    order = np.random.default_rng(seed).permutation(n)
    parts = np.empty(n, dtype=np.uint8)
    edges = np.round(np.cumsum([0, *PARTS]) * n).astype(int)
    for part, (start, end) in enumerate(pairwise(edges)):
        parts[order[start:end]] = part
    return parts


class _Learner:
    """Makes the fold models of weighted pairs."""

    def __init__(
        self,
        pairs: PairFeatures,
        folds: NDArray[np.uint8],
        parts: NDArray[np.uint8],
        preparation: Preparation,
        config: AlignmentConfig,
        seed: int,
    ) -> None:
        self.pairs = pairs
        self.folds = folds
        self.parts = parts
        self.preparation = preparation
        self.config = config
        rng = np.random.default_rng(seed)
        rows = [np.flatnonzero(folds == fold) for fold in range(config.folds)]
        self.banks = [np.sort(rng.choice(each, min(config.partners, len(each)), replace=False)) for each in rows]
        self.cells = self._sum_cells()
        self._projections: dict[tuple[frozenset[int], int], Projection] = {}

    def project(self, without: Collection[int], parts: int = len(PARTS)) -> Projection:
        """What the pairs of all folds but some tell, of the first `parts` parts. Solved once for each choice."""
        choice = (frozenset(without), parts)
        if choice not in self._projections:
            seen = [held[:parts] for fold, held in enumerate(self.cells) if fold not in without]
            self._projections[choice] = self._align(_add([*chain.from_iterable(seen)]))
        return self._projections[choice]

    def solve(self) -> list[FoldModel]:
        """A model for each fold, from all others, turned so that all mean the same by a dimension."""
        everything = self.project(())
        return [
            self.complete(fold, turn_towards(self.project({fold}), everything)) for fold in range(self.config.folds)
        ]

    def solve_weighted(self, held_out: int, weights: NDArray[np.float64], towards: FoldModel) -> FoldModel:
        """The model of a fold from the pairs of all others with their weights [n]."""
        seen = self._sum(np.flatnonzero(self.folds != held_out), weights)
        return self.complete(held_out, turn_towards(self._align(seen), towards.projection))

    def count(self, parts: int) -> int:
        """Pairs that a fold model learns from, of the first `parts` parts."""
        return round(sum(PARTS[:parts]) * len(self.pairs) * (self.config.folds - 1) / self.config.folds)

    def complete(self, held_out: int, projection: Projection) -> FoldModel:
        """With partners of the fold it has not seen."""
        rows, device = self.banks[held_out], self.preparation.text_mean.device
        partners = Partners(
            projection.texts(self.preparation.texts(take_tensor(self.pairs.texts, rows, device))),
            projection.images(self.preparation.images(take_tensor(self.pairs.images, rows, device))),
            torch.from_numpy(self.pairs.text_keys[rows]).to(device),
            torch.from_numpy(self.pairs.image_keys[rows]).to(device),
        )
        return FoldModel(projection, partners)

    def _sum_cells(self) -> list[list[Moments]]:
        """Moments by fold and part: those of any training set are sums of these."""
        equal = np.ones(len(self.pairs))
        return [
            [
                self._sum(np.flatnonzero((self.folds == fold) & (self.parts == part)), equal)
                for part in range(len(PARTS))
            ]
            for fold in range(self.config.folds)
        ]

    def _align(self, moments: Moments) -> Projection:
        return solve_cca(moments, components=self.config.components, shrinkage=self.config.shrinkage)

    def _sum(self, rows: NDArray[np.int64], weights: NDArray[np.float64]) -> Moments:
        return sum_moments(self.pairs.texts, self.pairs.images, rows, weights[rows], self.preparation)


def _add(moments: Sequence[Moments]) -> Moments:
    return sum(moments[1:], moments[0])


@dataclass(frozen=True, eq=False)
class _Judge:
    """Every pair, and its text with another image, judged by the model that has not seen it."""

    pairs: PairFeatures
    folds: NDArray[np.uint8]
    others: NDArray[np.int64]
    preparation: Preparation

    def score(
        self,
        models: Sequence[FoldModel],
        at_most: int | None = None,
        rows: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """z of the pairs [n], and of their texts with the other images [m], m <= n.

        at_most: every so many-th pair where there are too many. rows: those alone.
        """
        wanted = np.arange(len(self.pairs)) if rows is None else rows
        wanted = wanted[:: max(1, len(wanted) // at_most) if at_most else 1]
        true, shuffled = np.empty(len(wanted)), np.full(len(wanted), np.nan)
        for fold, model in enumerate(models):
            for block in iter_blocks(np.flatnonzero(self.folds[wanted] == fold)):
                own, others = wanted[block], self.others[wanted[block]]
                true[block] = self._score(own, own, model)
                paired = others >= 0
                shuffled[block[paired]] = self._score(own[paired], others[paired], model)
        return true, shuffled[~np.isnan(shuffled)]

    @torch.inference_mode()
    def _score(self, texts: NDArray[np.int64], images: NDArray[np.int64], model: FoldModel) -> NDArray[np.float64]:
        """z of the texts in some rows with the images in others, [m] each."""
        device = self.preparation.text_mean.device
        b = model.projection.texts(self.preparation.texts(take_tensor(self.pairs.texts, texts, device)))
        a = model.projection.images(self.preparation.images(take_tensor(self.pairs.images, images, device)))
        text_keys = torch.from_numpy(self.pairs.text_keys[texts]).to(device)
        image_keys = torch.from_numpy(self.pairs.image_keys[images]).to(device)
        z = score_pairs(b, a, text_keys, image_keys, model.partners)
        found: NDArray[np.float64] = z.double().cpu().numpy()
        return found
