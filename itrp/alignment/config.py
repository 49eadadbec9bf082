"""What can be set of an alignment."""

from typing import Literal, TypeAlias

from pydantic import Field, model_validator

from itrp.config import LARGEST_SEED, FrozenConfig, ImageEncoderConfig, Real, TextEncoderConfig, Whole, Words
from itrp.labels import Task


class AlignmentConfig(FrozenConfig):
    """Stages 1 to 5."""

    image_directions: Whole = Field(256, ge=2, le=4096)
    """Principal directions of the image's features that are kept."""
    components: Whole = Field(64, ge=1, le=4096)
    """Dimensions of the common space."""
    shrinkage: Real = Field(4.0, gt=0, le=1000)
    """Multiple of the mean variance that is added to every covariance's diagonal; 4 has the best gate on captions and tweets."""
    folds: Whole = Field(4, ge=2, le=100)
    """Parts of the pairs; a pair is judged by a model that has seen nothing of its part."""
    partners: Whole = Field(256, ge=16, le=100_000)
    """Random pairs that a pair is compared with."""
    reweight: bool = True
    """Fit again with each pair weighted by how likely it matches."""
    least_weight: Real = Field(0.02, gt=0, le=1)
    """The least weight of a pair in such a fit."""


class AlignedConfig(FrozenConfig):
    """A model of the text task that learns from true against shuffled pairs. The encoders stay as they are."""

    name: Words = Field(min_length=1)
    task: Literal[Task.TEXT] = Task.TEXT
    text: TextEncoderConfig = TextEncoderConfig()
    image: ImageEncoderConfig = ImageEncoderConfig()
    alignment: AlignmentConfig = AlignmentConfig()
    pairs: Whole | None = Field(None, ge=2)
    """Train on the first so many pairs of the data set; None for all."""
    embed_batch_size: Whole = Field(64, ge=1, le=1_000_000)
    seed: Whole = Field(0, ge=0, le=LARGEST_SEED)

    @model_validator(mode="after")
    def _check_frozen(self) -> "AlignedConfig":
        if self.text.finetune or self.image.finetune:
            raise ValueError("an alignment fine-tunes no encoder: text.finetune and image.finetune must be false")
        return self

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The text task alone: how well a text fits says nothing about what the image adds."""
        return (Task.TEXT,)


class MatchingConfig(FrozenConfig):
    """Stages 3 to 5, all there is to do where the vectors can be compared as they are."""

    partners: Whole = Field(256, ge=16, le=100_000)
    """Random pairs that a pair is compared with."""


class DualAlignedConfig(FrozenConfig):
    """A model of the text task by a dual encoder's own vectors: how much better does a pair fit than chance pairs?

    The encoder stays as it is. Nothing is learned about which text belongs to which image, so that nothing is held out.
    """

    name: Words = Field(min_length=1)
    task: Literal[Task.TEXT] = Task.TEXT
    dual_encoder: Words = Field(min_length=1)
    """Hub id or local folder of a transformers CLIP or SigLIP model."""
    alignment: MatchingConfig = MatchingConfig()
    pairs: Whole | None = Field(None, ge=2)
    """Take the first so many pairs of the data set for what chance is; None for all."""
    embed_batch_size: Whole = Field(64, ge=1, le=1_000_000)
    seed: Whole = Field(0, ge=0, le=LARGEST_SEED)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The text task alone."""
        return (Task.TEXT,)


AnyAlignedConfig: TypeAlias = AlignedConfig | DualAlignedConfig
"""What has no rounds, and names for its classes from the beginning."""
ALIGNED_CONFIGS = (AlignedConfig, DualAlignedConfig)
