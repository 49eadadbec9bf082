"""One task model answering in memory."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from itrp.data.rejections import RejectedError
from itrp.errors import DataError, UnmappedModelError
from itrp.labels import Task
from serving.predictor import Predictor, class_vocabulary

if TYPE_CHECKING:
    from pathlib import Path

    from flows.platform import Platform


@pytest.fixture(scope="module")
def mapped(trained: "Platform") -> Predictor:
    return Predictor.load(trained.registry.fetch(trained.registry.resolve("itrp-image-task/2")), "cpu")


def test_clusters_become_classes(mapped: Predictor) -> None:
    clusters = np.array([[0.9, 0.1], [0.2, 0.8]])
    named = {(0, 1): clusters, (1, 0): clusters[:, ::-1]}
    for mapping, expected in named.items():
        assert Predictor(mapped.model, mapping, mapped.device).name_classes(clusters).tolist() == expected.tolist()


def test_without_class_names_there_is_no_answer(mapped: Predictor) -> None:
    unmapped = Predictor(mapped.model, None, mapped.device)
    assert unmapped.task is Task.IMAGE
    with pytest.raises(UnmappedModelError, match="this image model knows clusters but not yet which class"):
        unmapped.name_classes(np.array([[0.9, 0.1]]))


def test_one_pair_is_answered_as_among_others(mapped: Predictor, built: "object") -> None:
    folder = built.drawn / "unlabelled"  # type: ignore[attr-defined]
    texts = (folder / "text.txt").read_text().splitlines()[:3]
    images = [(folder / f"images/{number}.jpg").read_bytes() for number in (1, 2, 3)]
    together = mapped.predict(texts, images)
    assert together.shape == (3, 2)
    assert together.sum(axis=1) == pytest.approx([1, 1, 1])
    alone = np.concatenate([mapped.predict([text], [image]) for text, image in zip(texts, images, strict=True)])
    assert together == pytest.approx(alone, abs=1e-5)
    # the answer belongs to the pair: with the pictures in another order it is another one
    assert np.abs(mapped.predict(texts, images[::-1]) - together).max() > 1e-4


def test_a_mapping_without_one_of_the_classes_still_has_its_probability(mapped: Predictor) -> None:
    clusters = np.array([[0.9, 0.1]])
    assert Predictor(mapped.model, (0, 0), mapped.device).name_classes(clusters).tolist() == [[1, 0]]
    assert Predictor(mapped.model, (1, 1), mapped.device).name_classes(clusters).argmax(axis=1).tolist() == [1]


def test_what_is_refused_is_told_with_its_row(mapped: Predictor, built: "object") -> None:
    image = (built.drawn / "unlabelled/images/1.jpg").read_bytes()  # type: ignore[attr-defined]
    with pytest.raises(RejectedError, match="image_not_a_picture: row 1: "):
        mapped.predict(["words", "words"], [image, b"<html></html>"])
    with pytest.raises(RejectedError, match="text_missing: row 2: expected a text, found none"):
        mapped.predict(["words", "words", None], [image] * 3)  # type: ignore[list-item]


def test_no_pairs_have_no_probabilities(mapped: Predictor) -> None:
    assert mapped.predict([], []).shape == (0, 2)


def test_a_folder_without_a_model_is_told(tmp_path: "Path") -> None:
    with pytest.raises(DataError, match="expected a saved ITRp model in "):
        Predictor.load(tmp_path)


def test_vocabulary() -> None:
    assert class_vocabulary(Task.IMAGE) == {"0": "image does not add", "1": "image adds"}
