"""The two tasks, the four relations, and how they are written down.

Source: Vempala and Preotiuc-Pietro, "Categorizing and inferring the relationship between the text and image of
Twitter posts", ACL 2019. T = the text is represented in the image, I = the image adds to the meaning.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

UNLABELLED = -1
"""The label of a pair that nobody has labelled."""

GUIDELINE_VERSION = "2026-11"
"""Of what people are told about both tasks before they label; every label of theirs keeps the version."""


class Task(StrEnum):
    """What is asked of a pair."""

    TEXT = "text"
    """Is the text represented in the image? (0 or 1)"""
    IMAGE = "image"
    """Does the image add to the meaning of the tweet? (0 or 1)"""
    IMAGE_TEXT = "image-text"
    """Both at once: one of the four relations, class index 2*T + I."""


CLASS_NAMES: dict[Task, tuple[str, ...]] = {
    Task.TEXT: ("text not represented", "text represented"),
    Task.IMAGE: ("image does not add", "image adds"),
    Task.IMAGE_TEXT: ("00", "01", "10", "11"),
}
"""Names of the classes by class index."""

PERSON_WORDS: dict[Task, tuple[str, ...]] = {
    Task.TEXT: ("not-represented", "represented"),
    Task.IMAGE: ("does-not-add", "adds"),
    Task.IMAGE_TEXT: CLASS_NAMES[Task.IMAGE_TEXT],
}
"""What a person types for a class, by class index."""

RELATIONS: dict[str, str] = {
    "00": "text not represented, image does not add",
    "01": "text not represented, image adds",
    "10": "text represented, image does not add",
    "11": "text represented, image adds",
}
"""The relation codes `TI` of the ITR data set and what they mean."""


def combine_labels(text_labels: NDArray[np.integer], image_labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Class indices 2*T + I of the image-text task, [n]; UNLABELLED where either label is."""
    text = np.asarray(text_labels, dtype=np.int64)
    image = np.asarray(image_labels, dtype=np.int64)
    unlabelled = (text == UNLABELLED) | (image == UNLABELLED)
    return np.where(unlabelled, UNLABELLED, 2 * text + image)


def relation_code(text_label: int, image_label: int) -> str:
    """The two-digit code `TI`, for example "10"."""
    return f"{int(text_label)}{int(image_label)}"
