"""One task model answering in memory."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from itrp.errors import DataError, UnmappedModelError
from itrp.labels import Task
from itrp.refusals import RefusedError
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


@pytest.mark.slow
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


def test_bytes_that_are_no_picture_are_refused(mapped: Predictor) -> None:
    with pytest.raises(RefusedError):
        mapped.predict(["words"], [b"<html></html>"])


def test_a_folder_without_a_model_is_told(tmp_path: "Path") -> None:
    with pytest.raises(DataError, match="expected a saved ITRp model in "):
        Predictor.load(tmp_path)


def test_vocabulary() -> None:
    assert class_vocabulary(Task.IMAGE) == {"0": "image does not add", "1": "image adds"}
