"""Configuration of the supervised systems the paper compares with: one network each, one way of training them all."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from itrp.config import (
    LARGEST_SEED,
    LARGEST_SKLEARN_SEED,
    FrozenConfig,
    ImageEncoderConfig,
    OptimizerConfig,
    Real,
    TextEncoderConfig,
    Whole,
    Words,
    answered_tasks,
)
from itrp.labels import Task

STAND_IN = "stand-in"
"""In place of a name: a small model of the same class with random weights, written by `itrp.baselines.provision`."""


class TwoEncodersConfig(FrozenConfig):
    """BERT+ResNet and RoBERTa+EfficientNet: text vector and image vector side by side, a linear layer."""

    kind: Literal["two-encoders"] = "two-encoders"
    text: TextEncoderConfig = TextEncoderConfig(name="bert-base-uncased", finetune=True)
    image: ImageEncoderConfig = ImageEncoderConfig(name="resnet101", finetune=True)


class LstmInceptionConfig(FrozenConfig):
    """LSTM+InceptionNet: an LSTM over pretrained word vectors, GoogLeNet or Inception v3, an MLP."""

    kind: Literal["lstm-inception"] = "lstm-inception"
    words: Words = ""
    """Word vectors: a gensim or GloVe text file, or FILE.npy with its words, one a line, in FILE.vocab.txt."""
    vocabulary: Whole | None = Field(400_000, ge=1)
    """Read, and save with a model, the first so many words of the file (they are sorted by frequency); None for all."""
    max_words: Whole = Field(64, ge=1, le=10_000)
    hidden: Whole = Field(200, ge=1, le=65_536)
    """Width of the LSTM's state, and of the MLP's hidden layer."""
    image: ImageEncoderConfig = ImageEncoderConfig(name="googlenet", finetune=True)


class ClipConfig(FrozenConfig):
    """CLIP: the text and the image embedding side by side, a linear layer."""

    kind: Literal["clip"] = "clip"
    name: Words = Field("openai/clip-vit-base-patch32", min_length=1)
    """Hub id or local folder of a transformers CLIP or SigLIP model."""
    normalise: bool = True
    """Embeddings of length 1, as the checkpoint was trained; false: as its projections give them."""


class CmaClipConfig(FrozenConfig):
    """CMA-CLIP: sequence-wise attention over CLIP's tokens and patches, then modality-wise attention a task."""

    kind: Literal["cma-clip"] = "cma-clip"
    name: Words = Field("openai/clip-vit-base-patch32", min_length=1)
    """Hub id or local folder of a transformers CLIP model."""
    layers: Whole = Field(2, ge=1, le=100)
    heads: Whole = Field(8, ge=1, le=1024)
    dropout: Real = Field(0.1, ge=0, lt=1)


class LxmertConfig(FrozenConfig):
    """LXMERT: a cross-modal transformer over tokens and detector regions."""

    kind: Literal["lxmert"] = "lxmert"
    name: Words = Field("unc-nlp/lxmert-base-uncased", min_length=1)
    """Hub id or local folder of a transformers LXMERT model."""
    regions: Words = ""
    """An npz file with the user's own region features (see `itrp.baselines.regions`); empty: the detector's."""
    detector: Words = Field("fasterrcnn_resnet50_fpn", min_length=1)
    """torchvision's detector for images without given regions."""
    detector_weights: Words = Field("COCO_V1", min_length=1)
    """A torchvision weights name, or the path of a local .pth or .safetensors file."""
    detector_size: Whole | None = Field(None, ge=32, le=10_000)
    """Shortest side the detector sees an image at; None: the detector's own."""
    min_score: Real = Field(0.05, ge=0, lt=1)
    """Regions that the detector is less sure of are left out."""
    boxes: Whole = Field(36, ge=1, le=10_000)
    max_tokens: Whole = Field(64, ge=8, le=512)


NetworkConfig = Annotated[
    TwoEncodersConfig | LstmInceptionConfig | ClipConfig | CmaClipConfig | LxmertConfig, Field(discriminator="kind")
]


class SupervisedConfig(FrozenConfig):
    """A supervised system: trained on human labels, all parameters fine-tuned (Sun et al. 2023, section 4.2)."""

    name: Words = Field(min_length=1)
    task: Task
    """text, image, or image-text for both at once, each with a head of its own."""
    network: NetworkConfig
    optimizer: OptimizerConfig = OptimizerConfig(name="adam", learning_rate=2e-5)
    """Of every parameter."""
    epochs: Whole = Field(10, ge=1, le=100_000)
    batch_size: Whole = Field(32, ge=1, le=1_000_000)
    embed_batch_size: Whole = Field(64, ge=1, le=1_000_000)
    """Pairs at a time when only predictions are wanted."""
    validation: Real = Field(0.1, ge=0, lt=1)
    """Share of the labelled train split that is not trained on and chooses the epoch under the protocol `dev`. With 0, as in the
    paper's code, nothing honest can choose it, and the last epoch is taken."""
    pairs: Whole | None = Field(None, ge=2)
    """Train on the first so many labelled pairs; None for all."""
    seed: Whole = Field(0, ge=0, le=LARGEST_SEED)

    @model_validator(mode="after")
    def _check_everything_is_trained(self) -> "SupervisedConfig":
        for side in ("text", "image"):
            encoder = getattr(self.network, side, None)
            if encoder is not None and not encoder.finetune:
                raise ValueError(f"a supervised system trains every parameter: network.{side}.finetune must be true")
        if self.validation and self.seed > LARGEST_SKLEARN_SEED:
            raise ValueError(
                f"scikit-learn holds pairs out with a seed up to {LARGEST_SKLEARN_SEED:,}, but seed is {self.seed}"
            )
        return self

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks it answers, each with a head of its own."""
        return answered_tasks(self.task)


class ZeroShotConfig(FrozenConfig):
    """A model that answers without any training: what a person would take today."""

    name: Words = Field(min_length=1)
    method: Literal["similarity", "vlm"]
    """One threshold on the cosine of a dual encoder (CLIP, SigLIP), or the most likely of four answers of a vision-language
    model."""
    model: Words = Field(min_length=1)
    """Hub id or local folder of the transformers model."""
    embed_batch_size: Whole = Field(8, ge=1, le=1_000_000)
    """Pairs at a time."""
    seed: Whole = Field(0, ge=0, le=LARGEST_SEED)
    """Nothing is drawn: every seed gives the same predictions."""

    @property
    def task(self) -> Task:
        """Both tasks."""
        return Task.IMAGE_TEXT

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks it answers."""
        return answered_tasks(self.task)
