import numpy as np
import pytest

from itrp.labels import CLASS_NAMES, RELATIONS, UNLABELLED, Task, combine_labels, relation_code


def test_the_four_relations_are_twice_the_text_plus_the_image() -> None:
    combined = combine_labels(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    assert combined.tolist() == [0, 1, 2, 3]
    assert combined.dtype == np.int64


def test_an_unlabelled_side_leaves_the_pair_unlabelled() -> None:
    assert UNLABELLED == -1
    combined = combine_labels(np.array([-1, 0, 1, -1], dtype=np.int8), np.array([1, -1, 1, -1], dtype=np.int8))
    assert combined.tolist() == [-1, -1, 3, -1]
    assert combined.dtype == np.int64


@pytest.mark.parametrize(
    ("text", "image", "code"), [(0, 0, "00"), (0, 1, "01"), (1, 0, "10"), (np.int8(1), True, "11")]
)
def test_a_code_names_the_class_and_its_meaning(text: int, image: int, code: str) -> None:
    assert relation_code(text, image) == code
    index = int(combine_labels(np.array([text]), np.array([image]))[0])
    assert CLASS_NAMES[Task.IMAGE_TEXT][index] == code
    text_name, image_name = CLASS_NAMES[Task.TEXT][text], CLASS_NAMES[Task.IMAGE][int(image)]
    assert RELATIONS[code] == f"{text_name}, {image_name}"


def test_every_relation_has_a_meaning() -> None:
    assert set(RELATIONS) == set(CLASS_NAMES[Task.IMAGE_TEXT])
