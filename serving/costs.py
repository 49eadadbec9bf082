"""What systems cost on this machine: measured once for an architecture, kept, and shown beside every F1."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from itrp.baselines.supervised_model import SupervisedModel
from itrp.data.inputs import ShardFile
from itrp.data.shards import iter_batches
from itrp.evaluation.cost import Cost, describe_device, measure_cost
from itrp.files import write_atomically
from itrp.inference.prediction import predict_pairs
from itrp.models.aligned_model import AlignedModel
from itrp.models.dual_aligned_model import DualAlignedModel
from itrp.models.encoder_pair import ENCODERS
from itrp.models.itrp_model import ItrpModel
from itrp.systems import System

COST_PAIRS = 64
"""Pairs a cost is measured on."""


class CostBook:
    """Costs by key in a folder; measured on the first pairs of a shard where a key is new."""

    def __init__(self, folder: Path, shard: ShardFile, device: torch.device) -> None:
        self.folder = folder
        self.shard = shard
        self.device = device

    def of_system(self, model: System) -> Cost:
        """Of a model on this device: decoding, both encoders and the head, nothing cached."""
        if isinstance(model, SupervisedModel):
            parts = model.config.network.model_dump(mode="json")
        elif isinstance(model, DualAlignedModel):
            parts = {"dual encoder": model.config.dual_encoder}
        else:
            parts = {
                "text": model.config.text.name,
                "image": model.config.image.name,
                "pixels": model.config.image.pixels.name,
            }
            if not model.reads_text:
                del parts["text"]
        # a head costs nothing beside its encoders: systems that share these share one measurement
        shapes = sorted(
            (name, list(tensor.shape))
            for name, tensor in model.state_dict().items()
            if isinstance(model, SupervisedModel) or name.startswith(_count_encoders(model))
        )
        # comparing cosines costs no more than a linear head does
        kind = ItrpModel if isinstance(model, AlignedModel) else type(model)
        return self.measure(
            [kind.__name__, parts, shapes],
            lambda texts, images: predict_pairs(model.to(self.device), texts, images, self.device),
        )

    def measure(self, key: object, label: Callable[[list[str], list[bytes]], object]) -> Cost:
        """The cost kept under a key, or that of labelling some pairs now; weights and seeds change nothing in it."""
        digest = hashlib.sha256(json.dumps([key, describe_device(self.device)], default=str).encode()).hexdigest()
        kept = self.folder / f"{digest[:20]}.json"
        if kept.exists():
            return Cost(**json.loads(kept.read_text()))
        texts, images = _read_pairs(self.shard, COST_PAIRS)
        cost = measure_cost(lambda: label(texts, images), len(texts), self.device)
        with write_atomically(kept) as draft:
            draft.write_text(json.dumps(asdict(cost)) + "\n")
        return cost


def _count_encoders(model: System) -> tuple[str, ...]:
    """What the names of the tensors begin with that cost anything."""
    if isinstance(model, DualAlignedModel):
        return ("encoder.",)
    reads_text = isinstance(model, SupervisedModel) or model.reads_text
    return ENCODERS if reads_text else ("image.",)


def _read_pairs(shard: ShardFile, count: int) -> tuple[list[str], list[bytes]]:
    """Texts and images' bytes of the first pairs of a shard."""
    texts: list[str] = []
    images: list[bytes] = []
    for batch in iter_batches(shard.path, ["text", "image"]):
        texts += batch.column("text").to_pylist()
        images += batch.column("image").field("bytes").to_pylist()
        if len(texts) >= count:
            break
    return texts[:count], images[:count]
