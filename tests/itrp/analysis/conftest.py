"""Annotations written down by hand."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from itrp.data.annotations import Annotations

Annotate = Callable[..., Annotations]


@pytest.fixture
def annotate() -> Annotate:
    """`annotate(relations, corrected, split)`: "10" is T = 1, I = 0 and "--" unlabelled; corrected names those it changes."""

    def make(
        relations: Sequence[str], corrected: dict[int, str] | None = None, split: Sequence[str] | None = None
    ) -> Annotations:
        after = [(corrected or {}).get(row, code) for row, code in enumerate(relations)]
        columns = [
            np.array([-1 if code[side] == "-" else int(code[side]) for code in codes])
            for codes in (relations, after)
            for side in (0, 1)
        ]
        text, image, corrected_text, corrected_image = columns
        return Annotations(
            ids=np.array([f"t{row}" for row in range(len(relations))]),
            split=np.array(split if split is not None else ["test"] * len(relations)),
            text=text,
            image=image,
            controversial=np.array([row in (corrected or {}) for row in range(len(relations))]),
            corrected_text=corrected_text,
            corrected_image=corrected_image,
        )

    return make
