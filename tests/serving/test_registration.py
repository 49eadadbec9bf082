"""What the registry says of a version in words."""

import pytest

from itrp.labels import Task
from serving.registration import describe_version


@pytest.mark.parametrize(
    ("task", "description", "told"),
    [
        (
            Task.TEXT,
            {"round": 3, "mapping": [1, 0], "config": {"task": "text"}},
            "Round 3; cluster 0 is 'text represented', cluster 1 is 'text not represented'.",
        ),
        (
            Task.IMAGE,  # the half of a model of four clusters whose relations are 10, 00, 11, 01
            {"round": 2, "mapping": [0, 0, 1, 1], "config": {"task": "image-text"}},
            "Round 2; cluster 0 is 'image does not add', cluster 1 is 'image does not add', cluster 2 is 'image adds', "
            "cluster 3 is 'image adds'.",
        ),
        (
            Task.TEXT,
            {"round": 4, "mapping": [0, 1], "answers": "text", "config": {"task": "image-text"}},
            "Epoch 4; trained on human labels, its outputs are the classes.",
        ),
        (
            Task.IMAGE,
            {"round": 1, "mapping": None, "config": {"task": "image"}},
            "Round 1; its clusters have no class names yet: `itrp evaluate` or `itrp name` gives them; "
            "until then it labels nothing.",
        ),
    ],
)
def test_a_version_in_words(task: Task, description: dict[str, object], told: str) -> None:
    assert describe_version(description, task) == told
