"""A fitted alignment as tensors: saved with the model, and asked for the pairs it has learned from as for new ones.

A pair whose text or image the alignment has seen is judged by the fold model that has not; any other one by all of them, and
the mean of their scores. So tweets may be labelled by what was trained on them.

Pairs are compared with random ones of their own collection: what is typical there may not have been where the model learned (on
rated captions with other topics than those it learned from, Spearman's rho rises from .55 to .62). Where the collection is
small, held-out pairs of the training data fill it up.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from itrp.alignment.cca import Projection
from itrp.alignment.compare import ComparedVectors, normalise
from itrp.alignment.decide import Decision
from itrp.alignment.fit import FittedAlignment
from itrp.alignment.folds import Keys
from itrp.alignment.prepare import BLOCK, Preparation
from itrp.alignment.score import Partners, score_pairs
from itrp.models.device import Vectors

_PREPARATION = ("text_mean", "text_scale", "image_mean", "image_scale", "image_directions")
_PROJECTION = ("text_center", "image_center", "text", "image")
_PARTNERS = ("texts", "images", "text_keys", "image_keys")


class Aligner(nn.Module):
    """Stages 1 to 5 for n pairs at a time."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    @property
    def decision(self) -> Decision:
        """From scores to probabilities."""
        slope, threshold = self.get_buffer("logistic").tolist()
        return Decision(slope, threshold)

    @property
    def folds(self) -> int:
        """How many models it holds; one where vectors are compared as they are."""
        return len(self.get_buffer("partners_held"))

    @property
    def learned(self) -> bool:
        """Whether vectors are prepared and projected: not where they can be compared as they are."""
        return "projection_text" in self._buffers

    def scores(
        self,
        text: Vectors,
        image: Vectors,
        text_keys: Keys,
        image_keys: Keys,
        images: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float64]:
        """z [n] of frozen features [n, dt] and [n, di], with the keys of their contents (`content_keys`).

        images: row numbers [n] of the images that the texts shall stand beside; their own ones by default.
        """
        return self.fit_pairs(text, image, text_keys, image_keys, images)[0]

    @torch.inference_mode()
    def fit_pairs(
        self,
        text: Vectors,
        image: Vectors,
        text_keys: Keys,
        image_keys: Keys,
        images: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """z [n] and the products a * b [n, k], whose sum is the cosine."""
        beside = np.arange(len(text)) if images is None else images
        unseen = self._find_unseen(text_keys, image_keys[beside])
        own = _spread(len(text), int(self.get_buffer("partners_held").max()))
        partners = self._gather_partners(text[own], image[own], text_keys[own], image_keys[own])
        scores = np.zeros(len(text))
        products = np.zeros((len(text), self.get_buffer("partners_texts").shape[2]), dtype=np.float32)
        for start in range(0, len(text), BLOCK):
            block = np.arange(start, min(start + BLOCK, len(text)))
            prepared = self._prepare(text[block], image[beside[block]])
            keys = self._bring(text_keys[block], image_keys[beside[block]])
            for fold in range(self.folds):
                asked = np.flatnonzero((unseen[block] == fold) | (unseen[block] < 0))
                rows, share = block[asked], np.where(unseen[block[asked]] < 0, 1 / self.folds, 1.0)
                b, a = self._project(fold, prepared[0][asked], prepared[1][asked])
                z = score_pairs(b, a, keys[0][asked], keys[1][asked], partners[fold])
                scores[rows] += share * z.double().cpu().numpy()
                products[rows] += (share[:, None] * (a * b).cpu().numpy()).astype(np.float32)
        return scores, products

    def probabilities(
        self,
        text: Vectors,
        image: Vectors,
        text_keys: Keys,
        image_keys: Keys,
        images: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """[n, 2]: that a pair does not match, that it does."""
        matches = self.decision.probabilities(self.scores(text, image, text_keys, image_keys, images))
        return np.stack([1 - matches, matches], axis=1).astype(np.float32)

    def _prepare(self, text: Vectors, image: Vectors) -> tuple[Tensor, Tensor]:
        """[m, dt] and [m, p], the same for all models; vectors that are compared as they are get the length 1."""
        device = self.get_buffer("logistic").device
        if not self.learned:
            return normalise(_to_tensor(text, device)), normalise(_to_tensor(image, device))
        preparation = Preparation(*(self.get_buffer(name) for name in _PREPARATION))
        return preparation.texts(_to_tensor(text, device)), preparation.images(_to_tensor(image, device))

    def _project(self, fold: int, text: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """b and a, [m, k] each, of prepared vectors, by one of the models."""
        if not self.learned:
            return text, image
        projection = Projection(*(self.get_buffer(f"projection_{name}")[fold] for name in _PROJECTION))
        return projection.texts(text), projection.images(image)

    def _gather_partners(self, text: Vectors, image: Vectors, text_keys: Keys, image_keys: Keys) -> list[Partners]:
        """For each model these pairs, filled up with those of the fold that it has not seen."""
        prepared, keys = self._prepare(text, image), self._bring(text_keys, image_keys)
        found = []
        for fold in range(self.folds):
            held = int(self.get_buffer("partners_held")[fold])
            kept = _spread(held, max(0, held - len(text)))
            mine = (*self._project(fold, *prepared), *keys)
            stored = (self.get_buffer(f"partners_{name}")[fold][kept] for name in _PARTNERS)
            found.append(Partners(*(torch.cat(both) for both in zip(mine, stored, strict=True))))
        return found

    def _bring(self, *keys: Keys) -> tuple[Tensor, ...]:
        device = self.get_buffer("logistic").device
        return tuple(torch.from_numpy(np.array(each)).to(device) for each in keys)

    def _find_unseen(self, text_keys: Keys, image_keys: Keys) -> NDArray[np.int64]:
        """[n] the fold model that has seen neither a pair's text nor its image; -1 where none of them has."""
        if not self.learned:
            return np.full(len(text_keys), -1)
        by_text = self._look_up("text", text_keys)
        return np.where(by_text >= 0, by_text, self._look_up("image", image_keys))

    def _look_up(self, side: str, keys: Keys) -> NDArray[np.int64]:
        known, folds = (self.get_buffer(f"seen_{side}_{part}").cpu().numpy() for part in ("keys", "folds"))
        places = np.searchsorted(known, keys).clip(max=len(known) - 1)
        return np.where(known[places] == keys, folds[places].astype(np.int64), -1)


def build_aligner(fitted: FittedAlignment, text_keys: Keys, image_keys: Keys) -> Aligner:
    """What an alignment was fitted to be, with the keys [n] of the pairs it was fitted on."""
    projections = [model.projection for model in fitted.models]
    tensors = {name: getattr(fitted.preparation, name) for name in _PREPARATION}
    tensors |= {
        f"projection_{name}": torch.stack([getattr(each, name) for each in projections]) for name in _PROJECTION
    }
    for side, keys in (("text", text_keys), ("image", image_keys)):
        known, first = np.unique(keys, return_index=True)
        tensors[f"seen_{side}_keys"] = torch.from_numpy(known)
        tensors[f"seen_{side}_folds"] = torch.from_numpy(fitted.folds[first])
    return _complete(tensors, [model.partners for model in fitted.models], fitted.decision)


def build_plain_aligner(compared: ComparedVectors) -> Aligner:
    """One that takes vectors as they are: it has learned what chance pairs look like, and where the classes part."""
    return _complete({}, [compared.partners], compared.decision)


def _complete(tensors: dict[str, Tensor], partners: Sequence[Partners], decision: Decision) -> Aligner:
    """With the partners of each model, and the decision."""
    tensors["partners_held"] = torch.tensor([len(each.texts) for each in partners])
    for name in _PARTNERS:
        # a small fold holds fewer partners than the others
        tensors[f"partners_{name}"] = nn.utils.rnn.pad_sequence(
            [getattr(each, name) for each in partners], batch_first=True
        )
    tensors["logistic"] = torch.tensor([decision.slope, decision.threshold], dtype=torch.float64)
    return Aligner({name: tensor.cpu().contiguous() for name, tensor in tensors.items()})


def _spread(n: int, wanted: int) -> NDArray[np.int64]:
    """At most `wanted` of n rows, evenly spread: the same ones whenever a collection is scored."""
    return np.unique(np.linspace(0, n - 1, min(n, wanted)).round().astype(np.int64)) if n else np.arange(0)


def _to_tensor(vectors: Vectors, device: torch.device) -> Tensor:
    # a copy: the rows may be a read-only memory map
    return torch.from_numpy(np.array(vectors, dtype=np.float32)).to(device)
