"""What the registry says of a version in words."""

import pytest

from serving.registration import describe_version


@pytest.mark.parametrize(
    ("description", "told"),
    [
        (
            {"round": 3, "mapping": [1, 0], "config": {"task": "text"}},
            "Round 3; cluster 0 is 'text represented', cluster 1 is 'text not represented'.",
        ),
        (
            {"round": 2, "mapping": [2, 0, 3, 1], "config": {"task": "image-text"}},
            "Round 2; cluster 0 is '10', cluster 1 is '00', cluster 2 is '11', cluster 3 is '01'.",
        ),
        (
            {"round": 1, "mapping": None, "config": {"task": "image"}},
            "Round 1; its clusters have no class names yet: `itrp evaluate` chooses them; "
            "until then nothing is scored with it.",
        ),
    ],
)
def test_a_version_in_words(description: dict[str, object], told: str) -> None:
    assert describe_version(description) == told
