"""What can be set of a head that learns from a few labels."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from itrp.alignment.config import AlignmentConfig
from itrp.config import (
    LARGEST_SEED,
    FrozenConfig,
    ImageEncoderConfig,
    TextEncoderConfig,
    Whole,
    Words,
    answered_tasks,
)
from itrp.labels import Task

FEWEST_LABELS = 20
"""Of a task. With fewer, cross-validation decides nothing."""

Block = Literal["text", "image", "products", "score", "look"]
BLOCKS: tuple[Block, ...] = ("text", "image", "products", "score", "look")
"""The text's vector and the image's, the products a * b of an alignment and its score z, and statistics of the image."""
OF_ALIGNMENT: tuple[Block, ...] = ("products", "score")
NEWEST, OWN = "newest", "own"
"""Where an alignment comes from, beside a model's name: a registered one that fits, or the data set's own pairs."""


class HeadConfig(FrozenConfig):
    """Logistic regression on blocks of features, each of which weighs the same."""

    blocks: tuple[Block, ...] = BLOCKS
    folds: Whole = Field(5, ge=2, le=100)
    """Of the cross-validation that chooses the regularisation and calibrates; pairs that share a text or an image share one."""
    alignment_from: Words = Field(NEWEST, min_length=1)
    """Whose alignment of texts and images gives a * b and z. `newest`: the text task's champion, or else its newest version, that
    is an aligned model of the same encoders, and the data set's own pairs where there is none; `own`: these pairs anyway; or a
    registered aligned model, as itrp-text-task/3. A few labelled tweets alone hardly teach what goes with what."""
    alignment: AlignmentConfig = AlignmentConfig()
    """Of texts and images, fitted on all pairs of the data set where theirs is wanted; it looks at no label."""

    @field_validator("blocks")
    @classmethod
    def _check_blocks(cls, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        if not blocks or len({*blocks}) < len(blocks):
            raise ValueError(f"expected some of {', '.join(BLOCKS)}, each once")
        return tuple(block for block in BLOCKS if block in blocks)  # in one order, whoever names them


class LabelledHeadConfig(FrozenConfig):
    """A small head that learns from labels, on encoders that stay as they are."""

    name: Words = Field(min_length=1)
    task: Task = Task.IMAGE_TEXT
    """text, image, or image-text for both, each with a head of its own."""
    text: TextEncoderConfig = TextEncoderConfig()
    image: ImageEncoderConfig = ImageEncoderConfig()
    head: HeadConfig = HeadConfig()
    labels: Whole | None = Field(None, ge=FEWEST_LABELS)
    """Learn from so many of the train split's labels of each task, drawn with the seed; None for all."""
    embed_batch_size: Whole = Field(64, ge=1, le=1_000_000)
    seed: Whole = Field(0, ge=0, le=LARGEST_SEED)

    @model_validator(mode="after")
    def _check_frozen(self) -> "LabelledHeadConfig":
        if self.text.finetune or self.image.finetune:
            raise ValueError(
                "a head on frozen encoders fine-tunes none: text.finetune and image.finetune must be false"
            )
        return self

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that are asked for; one without enough labels is left out."""
        return answered_tasks(self.task)
