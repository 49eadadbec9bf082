"""The one configuration tree of an ITRp experiment: frozen, closed to unknown names, written down with every run."""

from collections.abc import Iterable
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from itrp.errors import WrongUseError
from itrp.labels import CLASS_NAMES, Task
from itrp.pixel_format import Decoder, PixelFormat


class FrozenConfig(BaseModel):
    """A branch of a configuration: cannot be changed, and knows no other names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OptimizerConfig(FrozenConfig):
    """A parameter group's optimizer."""

    name: Literal["adam", "sgd"] = "adam"
    learning_rate: float = Field(gt=0)


class TextEncoderConfig(FrozenConfig):
    """The text encoder: token vectors of a transformers model, pooled to one vector a text."""

    name: str = "minilm"
    """`minilm`, a hub id such as `bert-base-uncased`, or a local folder."""
    pooling: Literal["mean", "cls"] = "mean"
    """Mean of the last hidden states over the real tokens, or the first token's (METHOD: BERT's [CLS])."""
    max_tokens: int = Field(128, ge=8, le=512)
    strip_link: bool = False
    """Remove the trailing ` https://t.co/...` that X appends for the picture."""
    finetune: bool = False
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-5)


class ImageEncoderConfig(FrozenConfig):
    """The image encoder: a convolutional classifier without its last layer, pooled to one vector a picture."""

    name: str = "efficientnet-lite0"
    """`efficientnet-lite0` or any torchvision classifier, for example `resnet101`."""
    weights: str = "IMAGENET1K_V1"
    """A torchvision weights name, or the path of a local .pth or .safetensors file."""
    size: int = Field(224, ge=64, le=1024)
    """Pictures are resized to size x size, without a crop."""
    decoder: Decoder = "pillow"
    """Who decodes and resizes JPEGs: pillow, as the reference code has it, or torchvision, about 1.4 times as quick."""
    finetune: bool = False
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-5)

    @property
    def pixels(self) -> PixelFormat:
        """What the encoder reads of a picture."""
        return PixelFormat(self.size, self.decoder)


class ClusteringConfig(FrozenConfig):
    """How a subset's embeddings become pseudo-labels."""

    method: Literal["kmeans", "gmm", "random"] = "kmeans"
    n_init: int = Field(1, ge=1)
    """Restarts of k-means; scikit-learn's default is 1 now and was 10 when the paper was written."""


class ExperimentConfig(FrozenConfig):
    """One ITRp model: the task it learns, its encoders, and every switch of Algorithm 1 (METHOD)."""

    name: str
    task: Task
    algorithm: Literal["itrp", "vanilla"] = "itrp"
    """`vanilla` clusters the frozen features of all pairs once and trains nothing: the baseline of Table 3."""
    k: Literal[2, 4] = 2
    """Clusters, and outputs of the head; 4 is the one-model image-text variant."""
    text: TextEncoderConfig = TextEncoderConfig()
    image: ImageEncoderConfig = ImageEncoderConfig()
    fusion: Literal["concatenation", "multiplication", "addition"] = "concatenation"
    dropout: float = Field(0.0, ge=0, lt=1)
    """On the fused embedding, while training."""
    head_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-4)
    clustering: ClusteringConfig = ClusteringConfig()
    sampling: Literal["under", "over", "combination", "random"] = "combination"
    epochs: int = Field(1, ge=1)
    pairs: int | None = Field(None, ge=2)
    """Train on the first so many pairs of the data set; None for all."""
    subset_size: int = Field(5000, ge=2)
    shuffle: bool = False
    """Shuffle the training set once, with seed 0 as the reference code does, before it is cut into subsets."""
    batch_size: int = Field(32, ge=1)
    embed_batch_size: int = Field(64, ge=1)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _check_clusters(self) -> "ExperimentConfig":
        if self.k != len(CLASS_NAMES[self.task]):
            raise ValueError(f"the {self.task} task has {len(CLASS_NAMES[self.task])} classes, but k is {self.k}")
        if self.algorithm == "vanilla" and (self.text.finetune or self.image.finetune):
            raise ValueError("vanilla clustering trains nothing: text.finetune and image.finetune must be false")
        if self.algorithm == "vanilla" and self.clustering.method == "random":
            raise ValueError("random clusters tell nothing about other pairs: vanilla needs kmeans or gmm")
        return self

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks a trained model answers: its own, or both where its four clusters are relations."""
        return answered_tasks(self.task)


def answered_tasks(task: Task) -> tuple[Task, ...]:
    """The image-text task is answered as the text and the image task together."""
    return (Task.TEXT, Task.IMAGE) if task is Task.IMAGE_TEXT else (task,)


Config = TypeVar("Config", bound=BaseModel)


def override(config: Config, assignments: Iterable[str]) -> Config:
    """A copy with `key=value` assignments applied, dots for the branches: `seed=3 text.optimizer.learning_rate=1e-5`.

    Raises WrongUseError naming the key for anything that is not a field or not one of its values.
    """
    tree = config.model_dump(mode="json")
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator:
            raise WrongUseError(
                f"expected key=value, found {assignment!r}; for example seed=3 or clustering.method=gmm"
            )
        _assign(tree, key.strip(), _parse_value(value))
    try:
        return type(config).model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the experiment"
        raise WrongUseError(f"{place}: {first['msg']}, found {first['input']!r}"[:400]) from None


def _assign(tree: dict[str, Any], key: str, value: Any) -> None:
    *branches, leaf = key.split(".")
    node: Any = tree
    for branch in branches:
        node = node.get(branch) if isinstance(node, dict) else None
    if not isinstance(node, dict) or leaf not in node:
        known = ", ".join(_leaves(tree))
        raise WrongUseError(f"no setting is called {key!r}; known are {known}")
    node[leaf] = value


def _leaves(tree: dict[str, Any], prefix: str = "") -> list[str]:
    names = []
    for key, value in tree.items():
        names += _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return names


def _parse_value(text: str) -> Any:
    """YAML's reading of a scalar, with 1e-5 as a number too (YAML 1.1 takes it for a string)."""
    try:
        return float(text) if "e" in text.lower() and text[:1].isdigit() else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        return text
