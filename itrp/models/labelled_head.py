"""Two frozen encoders and a small head a task that has learned from a few labels."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from itrp.data.inputs import ShardFile
from itrp.data.look import read_look
from itrp.errors import DataError
from itrp.labels import Task
from itrp.models.aligned_model import read_keys
from itrp.models.aligner import Aligner
from itrp.models.calibration import Calibration
from itrp.models.device import Vectors
from itrp.models.encoder_pair import (
    WEIGHTS_FILE,
    EncoderPair,
    load_weights,
    read_description,
    read_mapping,
    restore_encoders,
)
from itrp.models.head_config import OF_ALIGNMENT, Block, LabelledHeadConfig
from itrp.models.image_encoder import ImageEncoder, load_image_encoder
from itrp.models.text_encoder import TextEncoder, load_text_encoder

Part = TypeVar("Part", bound=nn.Module)

FARTHEST = 8.0
"""Standard deviations from the mean, at most: what hardly varied where the head learned must not decide alone elsewhere."""


class Standardiser(nn.Module):
    """Features of mean 0, whose variances add up to 1 in each block, so that a score of one number weighs as much as a vector."""

    def __init__(self, mean: Tensor, deviation: Tensor, width: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.register_buffer("width", width)
        """[d] each; the width is that of the block a feature is of."""

    def apply_to(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """[n, d] of raw features [n, d]."""
        mean, deviation, width = (_to_numpy(self.get_buffer(name)) for name in ("mean", "deviation", "width"))
        scaled = np.clip((features - mean) / deviation, -FARTHEST, FARTHEST)
        return np.asarray(scaled / np.sqrt(width), dtype=np.float64)


class LabelledHead(nn.Module):
    """Log-odds of class 1, linear in standardised features, and their calibration."""

    def __init__(self, weights: Tensor, intercept: Tensor, calibration: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.register_buffer("intercept", intercept)
        self.register_buffer("calibration", calibration)

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float32]:
        """[n, 2] of standardised features [n, d]."""
        scores = features @ _to_numpy(self.get_buffer("weights")) + float(self.get_buffer("intercept"))
        ones = Calibration(*self.get_buffer("calibration").tolist()).probabilities(scores)
        return np.stack([1 - ones, ones], axis=1).astype(np.float32)


class LabelledHeadModel(EncoderPair):
    """Its classes have their names from the beginning; a head for each task that had labels enough, of which one answers."""

    config: LabelledHeadConfig

    def __init__(
        self,
        config: LabelledHeadConfig,
        text: TextEncoder,
        image: ImageEncoder,
        *,
        aligner: Aligner | None = None,
        standardiser: Standardiser | None = None,
        heads: dict[Task, LabelledHead] | None = None,
        answers: Task | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.text = text
        self.image = image
        self.aligner = aligner
        self.standardiser = standardiser or Standardiser(*torch.zeros(3, 0))
        self.heads = nn.ModuleDict({str(task): head for task, head in (heads or {}).items()})
        self.answers = answers or config.tasks[0]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Those it has a head for."""
        return tuple(task for task in self.config.tasks if str(task) in self.heads)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Those of the configuration that there are: without an alignment none of its own."""
        found = self.config.head.blocks
        return found if self.aligner is not None else tuple(block for block in found if block not in OF_ALIGNMENT)

    def read_features(
        self, text: Vectors, image: Vectors, shard: ShardFile, images: NDArray[np.int64] | None = None
    ) -> dict[Block, NDArray[np.floating]]:
        """[n, width] raw features of a shard's pairs by block, in one order."""
        beside = np.arange(len(text)) if images is None else images
        found: dict[Block, NDArray[np.floating]] = {"text": np.asarray(text), "image": np.asarray(image)[beside]}
        if self.aligner is not None and {*OF_ALIGNMENT} & {*self.blocks}:
            scores, found["products"] = self.aligner.fit_pairs(text, image, *read_keys(shard), images)
            found["score"] = scores[:, None]
        if "look" in self.blocks:
            found["look"] = read_look(shard, self.kept_in)[beside]
        return {block: found[block] for block in self.blocks}

    def classify_vectors(
        self, text: Vectors, image: Vectors, shard: ShardFile, images: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """[n, 2] probabilities of the classes of the task that it answers."""
        blocks = self.read_features(text, image, shard, images)
        head = self.heads[str(self.answers)]
        assert isinstance(head, LabelledHead)
        return head.probabilities(self.standardiser.apply_to(np.concatenate([*blocks.values()], axis=1)))

    def head_digest(self) -> str:
        """The tensors are both tasks': which of them answers is part of the name."""
        return sha256(f"{self.answers} {super().head_digest()}".encode()).hexdigest()

    def save(self, folder: Path, mapping: Sequence[int] | None, extra: dict[str, object] | None = None) -> None:
        """As every pair of encoders is saved, with the task that it answers."""
        super().save(folder, mapping, {"answers": str(self.answers), **(extra or {})})


def build_labelled_head_model(config: LabelledHeadConfig) -> LabelledHeadModel:
    """A model with pretrained encoders that is still to learn. Raises WeightsUnavailableError."""
    return LabelledHeadModel(config, load_text_encoder(config.text), load_image_encoder(config.image))


def load_labelled_head_model(folder: Path) -> tuple[LabelledHeadModel, tuple[int, ...] | None]:
    """A saved model, ready to predict, and its mapping, which is no other than the classes' own order. Raises DataError."""
    description = read_description(folder)
    config, answers = LabelledHeadConfig.model_validate(description["config"]), Task(str(description["answers"]))
    state = load_file(folder / WEIGHTS_FILE)
    heads = {task: _restore(LabelledHead, state, f"heads.{task}.") for task in config.tasks}
    if heads.get(answers) is None:
        raise DataError(f"expected a head for the {answers} task in {folder / WEIGHTS_FILE}, found none")
    aligner = {name.removeprefix("aligner."): each for name, each in state.items() if name.startswith("aligner.")}
    model = LabelledHeadModel(
        config,
        *restore_encoders(config, folder),
        aligner=Aligner(aligner) if aligner else None,
        standardiser=_restore(Standardiser, state, "standardiser."),
        heads={task: head for task, head in heads.items() if head is not None},
        answers=answers,
    )
    load_weights(model, folder)
    return model.eval(), read_mapping(description)


def _restore(kind: type[Part], state: dict[str, Tensor], prefix: str) -> Part | None:
    """A part of buffers alone, with those that are saved under a prefix; None for none."""
    found = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    return kind(**found) if found else None


def _to_numpy(tensor: Tensor) -> NDArray[np.float64]:
    found: NDArray[np.float64] = tensor.double().cpu().numpy()
    return found
