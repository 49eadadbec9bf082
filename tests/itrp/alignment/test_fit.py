"""The whole alignment on made-up pairs: it finds what matches, says so honestly, and is what it was when it is saved."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from itrp.alignment.config import AlignmentConfig
from itrp.alignment.fit import FittedAlignment, fit_alignment
from itrp.alignment.gate import area
from itrp.errors import DataError
from itrp.models.aligner import Aligner, build_aligner
from tests.itrp.alignment.made_up import MadeUpPairs, make_pairs

CPU = torch.device("cpu")
CONFIG = AlignmentConfig(image_directions=20, components=6, partners=64)


def fit(pairs: MadeUpPairs, seed: int = 0) -> FittedAlignment:
    return fit_alignment(pairs.features, CONFIG, seed=seed, device=CPU)


@pytest.fixture(scope="module")
def pairs() -> MadeUpPairs:
    return make_pairs(800, 0.6, seed=1)


@pytest.fixture(scope="module")
def fitted(pairs: MadeUpPairs) -> FittedAlignment:
    return fit(pairs)


@pytest.fixture(scope="module")
def aligner(pairs: MadeUpPairs, fitted: FittedAlignment) -> Aligner:
    return build_aligner(fitted, pairs.text_keys, pairs.image_keys)


def test_it_finds_what_matches_without_a_label(pairs: MadeUpPairs, fitted: FittedAlignment) -> None:
    assert area(fitted.true[pairs.match], fitted.true[~pairs.match]) > 0.95
    assert fitted.share == pytest.approx(0.6, abs=0.12)
    right = (fitted.decision.probabilities(fitted.true) > 0.5) == pairs.match
    assert right.mean() > 0.85


def test_pairs_it_has_never_seen(aligner: Aligner) -> None:
    new = make_pairs(400, 0.5, seed=2)
    z = aligner.scores(new.texts, new.images, new.text_keys, new.image_keys)
    assert area(z[new.match], z[~new.match]) > 0.95


def test_where_nothing_matches_the_gate_says_so() -> None:
    """True and shuffled pairs are alike: no fold may see, by weights or by kin, what it is judged on."""
    areas = [fit(make_pairs(400, 0.0, seed=seed)).area for seed in range(3, 9)]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.03)


def test_the_area_is_that_of_half_matching_pairs(fitted: FittedAlignment) -> None:
    """A pair that does not match is as a shuffled one: 0.6 x nearly 1 + 0.4 x 0.5. Weights that had seen the held-out pairs
    would show here as more."""
    assert fitted.area == pytest.approx(0.79, abs=0.03)


def test_the_curve_rises_with_the_pairs(fitted: FittedAlignment) -> None:
    sizes, areas = zip(*fitted.curve, strict=True)
    assert sizes == (75, 150, 300, 600)
    assert areas[0] < areas[-1]


def test_equal_seeds_equal_models(pairs: MadeUpPairs, fitted: FittedAlignment) -> None:
    again = fit(pairs)
    np.testing.assert_array_equal(again.true, fitted.true)
    assert again.decision == fitted.decision
    assert (fit(pairs, seed=1).folds != fitted.folds).any()


def test_a_pair_it_has_learned_from_is_judged_by_the_model_that_has_not_seen_it(
    pairs: MadeUpPairs, fitted: FittedAlignment, aligner: Aligner
) -> None:
    """Its own pairs' scores are those held out, but for the partners, which are of the whole collection here."""
    own = aligner.scores(pairs.texts, pairs.images, pairs.text_keys, pairs.image_keys)
    unknown = aligner.scores(pairs.texts, pairs.images, pairs.text_keys + 10**9, pairs.image_keys + 10**9)
    assert np.corrcoef(own, fitted.true)[0, 1] > 0.97
    # the mean of four models, three of which have seen the pair, flatters it
    assert unknown[~pairs.match].mean() > own[~pairs.match].mean()


def test_a_known_text_with_a_new_image_is_kept_from_the_models_that_saw_the_text(
    pairs: MadeUpPairs, aligner: Aligner
) -> None:
    text_alone = aligner._find_unseen(pairs.text_keys[:5], pairs.image_keys[:5] + 10**9)
    image_alone = aligner._find_unseen(pairs.text_keys[:5] + 10**9, pairs.image_keys[:5])
    np.testing.assert_array_equal(text_alone, image_alone)
    assert (text_alone >= 0).all()


def test_texts_beside_other_images(aligner: Aligner) -> None:
    new = make_pairs(300, 1.0, seed=4)
    others = np.roll(np.arange(300), 1)
    args = new.texts, new.images, new.text_keys, new.image_keys
    assert area(aligner.scores(*args), aligner.scores(*args, others)) > 0.95
    np.testing.assert_array_equal(aligner.scores(*args, np.arange(300)), aligner.scores(*args))


def test_what_is_typical_of_a_collection_drops_out(aligner: Aligner) -> None:
    """All texts and images lean towards one topic. Its own pairs, as partners, do too; those of the training data do not, beside
    which everything seems to match."""
    new = make_pairs(400, 0.5, seed=5, lean=2)
    z = aligner.scores(new.texts, new.images, new.text_keys, new.image_keys)
    alone = np.concatenate(
        [aligner.scores(new.texts[[n]], new.images[[n]], new.text_keys[[n]], new.image_keys[[n]]) for n in range(400)]
    )
    assert abs(z[~new.match].mean()) < 0.3
    assert alone[~new.match].mean() > 0.5
    assert area(z[new.match], z[~new.match]) > area(alone[new.match], alone[~new.match])


def test_one_pair_alone_is_scored_too(aligner: Aligner) -> None:
    new = make_pairs(400, 0.5, seed=6)
    alone = [
        aligner.scores(new.texts[[n]], new.images[[n]], new.text_keys[[n]], new.image_keys[[n]]).item()
        for n in range(100)
    ]
    assert area(np.array(alone)[new.match[:100]], np.array(alone)[~new.match[:100]]) > 0.9
    assert len(aligner.scores(new.texts[:0], new.images[:0], new.text_keys[:0], new.image_keys[:0])) == 0


def test_products_add_up_to_the_cosine_and_mean_the_same_in_every_fold(pairs: MadeUpPairs, aligner: Aligner) -> None:
    _, products = aligner.fit_pairs(pairs.texts, pairs.images, pairs.text_keys, pairs.image_keys)
    assert products.shape == (800, 6)
    assert np.abs(products.sum(axis=1)).max() <= 1 + 1e-5
    of_fold = [products[aligner._find_unseen(pairs.text_keys, pairs.image_keys) == fold] for fold in range(4)]
    spread = np.array([each[:, 0].std() for each in of_fold])
    assert spread.max() < 1.5 * spread.min()


def test_it_is_its_tensors(aligner: Aligner) -> None:
    copy = Aligner({name: tensor.clone() for name, tensor in aligner.state_dict().items()})
    new = make_pairs(50, 0.5, seed=7)
    args = new.texts, new.images, new.text_keys, new.image_keys
    np.testing.assert_array_equal(copy.probabilities(*args), aligner.probabilities(*args))
    found = aligner.probabilities(*args)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_too_few_pairs_are_told_with_what_to_do() -> None:
    with pytest.raises(
        DataError, match=r"expected at least 40 pairs with texts and images of their own .* found 30 pairs in 30"
    ):
        fit(make_pairs(30, 1.0, seed=0))


def test_pairs_that_all_share_an_image_are_told() -> None:
    pairs = make_pairs(400, 1.0, seed=0)
    with pytest.raises(DataError, match="found 400 pairs in 1 groups that share a text or an image"):
        fit(replace(pairs, image_keys=np.zeros(400, dtype=np.int64)))
    keys = pairs.image_keys.copy()
    keys[:350] = 0  # one image with 350 texts: whatever is held out, most is not
    with pytest.raises(DataError, match="350 of 400 pairs hang together by equal texts or equal images"):
        fit(replace(pairs, image_keys=keys))
