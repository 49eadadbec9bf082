"""The one configuration tree of an ITRp experiment: frozen, closed to unknown names, written down with every run."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from itrp.errors import WrongUseError
from itrp.labels import CLASS_NAMES, Task
from itrp.pixel_format import Decoder, PixelFormat

LARGEST_SEED = 2**63 - 1
"""What the catalog keeps, and torch takes."""
LARGEST_SKLEARN_SEED = 2**32 - 1
LONGEST_TEXT = 4096


def _reject_truth(value: Any) -> Any:
    if isinstance(value, bool):  # which is 1 or 0 to Python: batches of one pair
        raise ValueError("expected a number")
    return value


def _check_size(value: int) -> int:
    if abs(value) > LARGEST_SEED:
        raise ValueError(f"expected a number up to {LARGEST_SEED:,}")
    return value


def _check_text(value: str) -> str:
    if not value.isprintable() or len(value) > LONGEST_TEXT:
        raise ValueError(f"expected at most {LONGEST_TEXT:,} printable characters")
    return value


Whole = Annotated[int, BeforeValidator(_reject_truth), AfterValidator(_check_size)]
Real = Annotated[float, BeforeValidator(_reject_truth)]
Words = Annotated[str, AfterValidator(_check_text)]
"""What fields are made of: values that a run accepts and then fails with, hours later, are none of them."""


class FrozenConfig(BaseModel):
    """A branch of a configuration: cannot be changed, and knows no other names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OptimizerConfig(FrozenConfig):
    """A parameter group's optimizer."""

    name: Literal["adam", "sgd"] = "adam"
    learning_rate: Real = Field(gt=0, le=1000)


class TextEncoderConfig(FrozenConfig):
    """The text encoder: token vectors of a transformers model, pooled to one vector a text."""

    name: Words = Field("minilm", min_length=1)
    """`minilm`, a hub id such as `bert-base-uncased`, or a local folder."""
    pooling: Literal["mean", "cls"] = "mean"
    """Mean of the last hidden states over the real tokens, or the first token's (METHOD: BERT's [CLS])."""
    max_tokens: Whole = Field(128, ge=8, le=512)
    strip_link: bool = False
    """Remove the trailing ` https://t.co/...` that X appends for the image."""
    finetune: bool = False
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-5)


class ImageEncoderConfig(FrozenConfig):
    """The image encoder: a convolutional classifier without its last layer, pooled to one vector an image."""

    name: Words = Field("efficientnet-lite0", min_length=1)
    """`efficientnet-lite0` (or 1 or 2, each with a package of its own) or any torchvision classifier, for example `resnet101`."""
    weights: Words = Field("IMAGENET1K_V1", min_length=1)
    """A torchvision weights name, or the path of a local .pth or .safetensors file."""
    size: Whole = Field(224, ge=64, le=1024)
    """Images are resized to size x size, without a crop."""
    decoder: Decoder = "pillow"
    """Who decodes and resizes JPEGs: pillow, as the reference code has it, or torchvision, about 1.4 times as quick."""
    finetune: bool = False
    optimizer: OptimizerConfig = OptimizerConfig(learning_rate=2e-5)

    @property
    def pixels(self) -> PixelFormat:
        """What the encoder reads of an image."""
        return PixelFormat(self.size, self.decoder)


class ClusteringConfig(FrozenConfig):
    """How a subset's embeddings become pseudo-labels."""

    method: Literal["kmeans", "gmm", "random"] = "kmeans"
    n_init: Whole = Field(1, ge=1, le=10_000)
    """Restarts of k-means; scikit-learn's default is 1 now and was 10 when the paper was written."""


class ExperimentConfig(FrozenConfig):
    """One ITRp model: the task it learns, its encoders, and every switch of Algorithm 1 (METHOD)."""

    name: Words = Field(min_length=1)
    task: Task
    algorithm: Literal["itrp", "vanilla"] = "itrp"
    """`vanilla` clusters the frozen features of all pairs once and trains nothing: the baseline of Table 3."""
    k: Literal[2, 4] = 2
    """Clusters, and outputs of the head; 4 is the one-model image-text variant."""
    text: TextEncoderConfig = TextEncoderConfig()
    image: ImageEncoderConfig = ImageEncoderConfig()
    fusion: Literal["concatenation", "multiplication", "addition", "image", "image-root"] = "concatenation"
    """`image` is the image's vector alone, `image-root` the square roots of its entries: no text is read then."""
    dropout: Real = Field(0.0, ge=0, lt=1)
    """On the fused embedding, while training."""
    head_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=1e-4)
    clustering: ClusteringConfig = ClusteringConfig()
    sampling: Literal["under", "over", "combination", "random"] = "combination"
    epochs: Whole = Field(1, ge=1, le=100_000)
    pairs: Whole | None = Field(None, ge=2)
    """Train on the first so many pairs of the data set; None for all."""
    subset_size: Whole = Field(5000, ge=2)
    shuffle: bool = False
    """Shuffle the training set once, with seed 0 as the reference code does, before it is cut into subsets."""
    batch_size: Whole = Field(32, ge=1, le=1_000_000)
    embed_batch_size: Whole = Field(64, ge=1, le=1_000_000)
    seed: Whole = Field(0, ge=0, le=LARGEST_SEED)

    @model_validator(mode="after")
    def _check_clusters(self) -> "ExperimentConfig":
        if self.k != len(CLASS_NAMES[self.task]):
            raise ValueError(f"the {self.task} task has {len(CLASS_NAMES[self.task])} classes, but k is {self.k}")
        if self.algorithm == "vanilla" and (self.text.finetune or self.image.finetune):
            raise ValueError("vanilla clustering trains nothing: text.finetune and image.finetune must be false")
        if self.image_alone and self.text.finetune:
            raise ValueError(f"fusion={self.fusion} reads no text: text.finetune must be false")
        if self.fusion == "image-root" and self.image.finetune:
            raise ValueError(
                "the square root's gradient is infinite at 0: fusion=image-root needs image.finetune=false"
            )
        if self.algorithm == "vanilla" and self.seed > LARGEST_SKLEARN_SEED:
            raise ValueError(
                f"scikit-learn clusters with a seed up to {LARGEST_SKLEARN_SEED:,}, but seed is {self.seed}"
            )
        if self.algorithm == "vanilla" and self.clustering.method == "random":
            raise ValueError("random clusters say nothing about other pairs: vanilla needs kmeans or gmm")
        return self

    @property
    def image_alone(self) -> bool:
        """Whether the texts are not read at all."""
        return self.fusion in ("image", "image-root")

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks a trained model answers: its own, or both where its four clusters are relations."""
        return answered_tasks(self.task)


def answered_tasks(task: Task) -> tuple[Task, ...]:
    """The image-text task is answered as the text and the image task together."""
    return (Task.TEXT, Task.IMAGE) if task is Task.IMAGE_TEXT else (task,)


Config = TypeVar("Config", bound=BaseModel)

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._+-]{0,98}[A-Za-z0-9_+-])?")
"""Names of experiments become parts of object keys and of files' names."""


def override(config: Config, assignments: Iterable[str]) -> Config:
    """A copy with `key=value` assignments applied, dots for the branches: `seed=3 text.optimizer.learning_rate=1e-5`.

    Raises WrongUseError naming the key for anything that is not a field or not one of its values.
    """
    tree = config.model_dump(mode="json")
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator:
            raise WrongUseError(
                f"expected key=value, found {_show(assignment)}; for example seed=3 or clustering.method=gmm"
            )
        _assign(tree, key.strip(), _parse_value(value))
        if key.strip() == "name":
            _check_name(tree["name"])
    try:
        return type(config).model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the experiment"
        message = first["msg"].removeprefix("Value error, ")
        raise WrongUseError(f"{place}: {message}, found {_show(first['input'])}"[:400]) from None


def _check_name(name: object) -> None:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise WrongUseError(
            "name: expected 1 to 100 of A-Z a-z 0-9 . _ + - and blanks, beginning with a letter or digit and ending in neither "
            f"a dot nor a blank, found {_show(name)}"
        )


def _assign(tree: dict[str, Any], key: str, value: Any) -> None:
    *branches, leaf = key.split(".")
    node: Any = tree
    for branch in branches:
        node = node.get(branch) if isinstance(node, dict) else None
    if not isinstance(node, dict) or leaf not in node:
        known = ", ".join(_leaves(tree))
        raise WrongUseError(f"no setting is called {_show(key)}; known are {known}")
    node[leaf] = value


def _leaves(tree: dict[str, Any], prefix: str = "") -> list[str]:
    names = []
    for key, value in tree.items():
        names += _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return names


def _parse_value(text: str) -> Any:
    """YAML's reading of a scalar, with 1e-5 as a number too (YAML 1.1 takes it for a string)."""
    try:
        if "e" in text.lower() and text[:1].isdigit():
            return float(text)
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            return text  # a few of them stand for gigabytes
        return yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError):
        return text


def _show(value: object) -> str:
    """At most 200 characters of what was found."""
    try:
        shown = repr(value)
    except (ValueError, RecursionError):  # a number of more than 4,300 digits, or brackets in brackets
        return f"a {type(value).__name__} too long to show"
    return shown if len(shown) <= 200 else f"{shown[:197]}..."
