"""LXMERT: a transformer over the tweet's tokens and the image's regions, crossed in its last layers.

Sun et al. 2023, section 4.2 (54.0 % weighted F1 on the image-text task, raw test set), after Tan and Bansal 2019: three encoders,
of language, of objects (36 regions, 2048 features and a box each) and across both. With p the pooled output, tanh(W h + b) of the
first token's state h after the last crossed layer:

    logits = W_task p + b_task

no dropout but the model's own. Regions with another width than the model's (torchvision's have 1024) go through one linear layer
first, learned with everything else; the detector itself is not trained, as in LXMERT.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoTokenizer, LxmertModel, PreTrainedTokenizerBase
from transformers import LxmertConfig as LxmertArchitecture

from itrp.baselines.config import LxmertConfig
from itrp.baselines.detector import load_detector, restore_detector
from itrp.baselines.network import Batch, Heads, Inputs, Network
from itrp.baselines.regions import DetectedRegions, GivenRegions, RegionSource
from itrp.data.inputs import Rows, ShardFile, read_texts
from itrp.inference.embeddings import EmbeddingCache
from itrp.labels import Task
from itrp.models.pretrained import explain_loading, find_checkpoint, load_whole
from itrp.models.text_encoder import pad_rows

TRANSFORMER_FOLDER, REGIONS_FILE = "transformer", "regions.json"
_REMEDY = (
    "give network.name=FOLDER holding config.json, model.safetensors and tokenizer.json as save_pretrained writes them"
)


class Lxmert(Network):
    """logits = heads(LXMERT's pooled output)."""

    def __init__(
        self,
        config: LxmertConfig,
        tasks: Sequence[Task],
        transformer: LxmertModel,
        tokenizer: PreTrainedTokenizerBase,
        regions: RegionSource,
    ) -> None:
        super().__init__(tasks)
        self.config = config
        self.transformer = transformer
        self.tokenizer = tokenizer
        self.regions = regions
        width = transformer.config.visual_feat_dim
        self.project = nn.Identity() if regions.width == width else nn.Linear(regions.width, width)
        self.heads = Heads(tasks, transformer.config.hidden_size)

    def read(self, shards: Sequence[ShardFile], cache: EmbeddingCache) -> Inputs:
        """tokens: one ragged row a pair; regions: [n] records (see `itrp.baselines.regions.Regions`)."""
        texts = [text for shard in shards for text in read_texts(shard)]
        rows = self.tokenizer(texts, truncation=True, max_length=self.config.max_tokens)["input_ids"]
        return {
            "tokens": [np.asarray(row, dtype=np.int32) for row in rows],
            "regions": Rows([self.regions.read(shard, cache) for shard in shards]),
        }

    def collate(self, inputs: Inputs, rows: NDArray[np.integer], device: torch.device) -> Batch:
        """input_ids, attention_mask [b, t]; features [b, boxes, d], boxes [b, boxes, 4] float32, region_mask [b, boxes]."""
        tokens = [inputs["tokens"][row] for row in rows]
        input_ids, mask = pad_rows(tokens, self.tokenizer.pad_token_id or 0, device)
        regions = inputs["regions"].take(rows)
        return {
            "input_ids": input_ids,
            "attention_mask": mask,
            "features": torch.from_numpy(regions["features"].astype(np.float32)).to(device),
            "boxes": torch.from_numpy(regions["boxes"].copy()).to(device),
            "region_mask": torch.from_numpy(np.arange(self.config.boxes) < regions["count"][:, None]).to(device),
        }

    def forward(self, batch: Batch) -> dict[Task, Tensor]:
        """Logits [b, 2] of each task."""
        output = self.transformer(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            visual_feats=self.project(batch["features"]),
            visual_pos=batch["boxes"],
            visual_attention_mask=batch["region_mask"],
        )
        logits: dict[Task, Tensor] = self.heads(output.pooled_output)
        return logits

    def save(self, folder: Path) -> None:
        """Architecture, tokenizer, the regions' width and, where regions are detected, the detector."""
        self.transformer.config.save_pretrained(folder / TRANSFORMER_FOLDER)
        self.tokenizer.save_pretrained(folder / TRANSFORMER_FOLDER)
        (folder / REGIONS_FILE).write_text(json.dumps({"width": self.regions.width}) + "\n")
        if isinstance(self.regions, DetectedRegions):
            self.regions.detector.save(folder)


def load_lxmert(config: LxmertConfig, tasks: Sequence[Task]) -> Lxmert:
    """With a pretrained transformer and detector.

    Raises WeightsUnavailableError for weights that are not to be had or lack tensors, and DataError for a regions file that is
    none.
    """
    with explain_loading("LXMERT model", config.name, _REMEDY):
        tokenizer = AutoTokenizer.from_pretrained(find_checkpoint(config.name), trust_remote_code=False)
        transformer: Any = load_whole(LxmertModel, config.name, torch.float32)
    return Lxmert(config, tasks, transformer, tokenizer, _open_regions(config))


def build_lxmert(config: LxmertConfig, tasks: Sequence[Task], folder: Path) -> Lxmert:
    """What `Lxmert.save` described, with weights still to be loaded."""
    tokenizer = AutoTokenizer.from_pretrained(
        folder / TRANSFORMER_FOLDER, local_files_only=True, trust_remote_code=False
    )
    transformer = LxmertModel(LxmertArchitecture.from_pretrained(folder / TRANSFORMER_FOLDER, local_files_only=True))
    width = json.loads((folder / REGIONS_FILE).read_text())["width"]
    regions: RegionSource = (
        GivenRegions(Path(config.regions).expanduser(), config.boxes, width)
        if config.regions
        else DetectedRegions(config, restore_detector(config, folder))
    )
    return Lxmert(config, tasks, transformer, tokenizer, regions)


def _open_regions(config: LxmertConfig) -> RegionSource:
    if config.regions:
        return GivenRegions(Path(config.regions).expanduser(), config.boxes)
    return DetectedRegions(config, load_detector(config))
